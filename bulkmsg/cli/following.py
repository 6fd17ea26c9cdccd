"""Which command to type next."""

from __future__ import annotations

import shlex
from collections.abc import Mapping

from bulkmsg.cli.options import BatchArgs


def next_command(batch: BatchArgs, counts: Mapping[str, int], *more: str, mend: bool = False) -> str:
    """What brings the batch further: run it while messages are left to send, which looks for those in doubt as well;
    then settle what is in doubt, run again what failed, and last look at what was rejected.

    With `mend` running it again would meet the same again, so looking comes first.
    """
    if mend:
        return batch.command("results", *more, "--only", "rejected,failed")
    if counts["in_doubt"] and not counts["pending"]:
        return batch.command("resolve", *more)
    if counts["pending"] or counts["failed"]:
        return batch.command("run", *more)
    bad = [state for state in ("rejected", "held_back") if counts[state]]
    if bad:
        return batch.command("results", *more, "--only", ",".join(bad))
    return batch.command("results", *more)


def account_command(batch: BatchArgs, what: str) -> str:
    """The command that shows the account that a batch is for, or one of its lists."""
    named = [part for flag, value in batch.typed if flag == "--account" for part in (flag, value)]
    return shlex.join(["bulkmsg", "account", *([what] if what else []), *named])
