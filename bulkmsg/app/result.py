"""How a run ended, as a value, and the stable answer that `run` and `status` give in JSON."""

from __future__ import annotations

from dataclasses import dataclass
from pathlib import Path
from typing import Any, Protocol

from bulkmsg.app.prepare import Prepared
from bulkmsg.errors import ExitCode, worst
from bulkmsg.outcome import COUNTED, State
from bulkmsg.settings import Rate
from bulkmsg.source import Json


class Counted(Protocol):
    """Whatever tells where the messages of a batch stand, and what it took."""

    @property
    def batch(self) -> str: ...
    @property
    def total(self) -> int: ...
    @property
    def counts(self) -> dict[str, int]: ...
    @property
    def requests(self) -> int: ...
    @property
    def throttled(self) -> int: ...
    @property
    def seconds(self) -> float: ...


def standing_answer(told: Counted, exit_code: int | None) -> dict[str, Json]:
    """The stable answer of `run` and `status` with `--format json`; the states add up to `total`."""
    return {
        "batch": told.batch,
        "total": told.total,
        **told.counts,
        "requests": told.requests,
        "throttled": told.throttled,
        "seconds": round(told.seconds, 3),
        "exit_code": exit_code,
    }


@dataclass(frozen=True)
class RunResult:
    """How a run ended. `counts` add up to `total`.

    Args:
        reason, hint: why it stopped early, and what to do; empty where it came to its end.
        mend: it stopped because of messages that did not arrive, so these are to be looked at first.
        tickets_changed: tickets that are there with other fields than the batch has now, before this run.
        tickets_updated: how many of them got these; tickets_refused: which did not: external id, id, and why.
    """

    batch: str
    total: int
    counts: dict[str, int]
    requests: int
    throttled: int
    seconds: float
    exit_code: ExitCode
    log: Path
    reason: str = ""
    hint: str = ""
    mend: bool = False
    duplicates: tuple[tuple[str, tuple[int, ...]], ...] = ()
    more_possible: Rate | None = None
    sandbox: dict[str, Json] | None = None
    tickets_changed: int = 0
    tickets_updated: int = 0
    tickets_refused: tuple[tuple[str, int, str], ...] = ()

    @property
    def tickets_left(self) -> int:
        """Tickets whose fields differ still."""
        return self.tickets_changed - self.tickets_updated

    def as_json(self) -> dict[str, Json]:
        """The stable answer of `run --format json`."""
        tickets = {"tickets_updated": self.tickets_updated, "tickets_left": self.tickets_left}
        return {**standing_answer(self, int(self.exit_code)), **tickets}


def result_of(prepared: Prepared, codes: list[ExitCode], **more: Any) -> RunResult:
    """How things stand, as a result; what is bad among the messages adds to the codes."""
    tally = prepared.review.tally
    if tally[State.IN_DOUBT]:
        codes.append(ExitCode.IN_DOUBT)
    if tally[State.REJECTED] or tally[State.FAILED] or tally[State.HELD_BACK] or more.get("duplicates"):
        codes.append(ExitCode.FINDINGS)
    if more.get("tickets_refused"):
        codes.append(ExitCode.FINDINGS)
    standing: dict[str, Any] = {
        "batch": prepared.name,
        "total": tally.total,
        "counts": {state.value: tally[state] for state in COUNTED},
        "requests": 0,
        "throttled": 0,
        "seconds": 0.0,
        "exit_code": worst(codes),
        "log": prepared.path,
        "tickets_changed": prepared.review.changed_tickets,
    }
    return RunResult(**{**standing, **more})
