"""Which command to type next."""

from __future__ import annotations

from collections.abc import Mapping

from bulkmsg.cli.options import BatchArgs

_RUN_AGAIN = ("in_doubt", "pending", "failed")


def next_command(batch: BatchArgs, counts: Mapping[str, int], *more: str, mend: bool = False) -> str:
    """What brings the batch further: run it again while that alone helps, else look at what was rejected.

    With `mend` running it again would meet the same again, so looking comes first.
    """
    if mend:
        return batch.command("results", *more, "--only", "rejected,failed")
    if any(counts[state] for state in _RUN_AGAIN):
        return batch.command("run", *more)
    bad = [state for state in ("rejected", "held_back") if counts[state]]
    if bad:
        return batch.command("results", *more, "--only", ",".join(bad))
    return batch.command("results", *more)
