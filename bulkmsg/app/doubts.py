"""Messages in doubt as somebody settles them: a person's words, each case with what came of it, and the answer."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass

from bulkmsg.desk import Halt
from bulkmsg.errors import ExitCode, worst
from bulkmsg.message import Kind
from bulkmsg.outcome import Doubt, State
from bulkmsg.ports import Identity
from bulkmsg.reconcile import Wanted
from bulkmsg.source import Json


@dataclass(frozen=True, slots=True)
class Words:
    """What a person says of messages in doubt, by their keys as the batch has them or as the log shows them."""

    created: tuple[str, ...] = ()
    resend: tuple[str, ...] = ()

    def __bool__(self) -> bool:
        return bool(self.created or self.resend)


@dataclass
class Case:
    """One message in doubt, and what came of it.

    Args:
        file, line: where its entry stands; None where the batch no longer holds it.
        outcome: CREATED, PENDING (the next run sends it), or IN_DOUBT still.
        by: "look" or "person", who settled it; empty while it is in doubt.
        reason: why it is in doubt still, or what settled it.
        absent: it was looked for and not found, so a person may know more; else it could not be looked for.
    """

    doubt: Doubt
    wanted: Wanted | None
    file: str | None = None
    line: int | None = None
    outcome: State = State.IN_DOUBT
    by: str = ""
    reason: str = ""
    message_id: int | None = None
    duplicates: tuple[int, ...] = ()
    absent: bool = False

    def settle(self, outcome: State, by: str, reason: str) -> None:
        self.outcome, self.by, self.reason = outcome, by, reason

    def as_json(self) -> dict[str, Json]:
        """A message of the answer of `resolve --format json`."""
        standing = self.doubt.standing
        return {
            "key": self.doubt.key,
            "file": self.file,
            "line": self.line,
            "ticket_id": standing.ticket_id,
            "attempts": standing.attempt,
            "at": self.doubt.at,
            "status": standing.status,
            "error": standing.error,
            "outcome": self.outcome.value,
            "by": self.by or None,
            "reason": self.reason or None,
            "message_id": self.message_id,
            "duplicates": list(self.duplicates),
        }


@dataclass(frozen=True)
class Resolved:
    """What a resolve came to. `counts` are those of the whole batch."""

    batch: str
    cases: Sequence[Case]
    counts: dict[str, int]
    requests: int = 0
    throttled: int = 0
    seconds: float = 0.0
    halt: Halt | None = None

    @property
    def remaining(self) -> list[Case]:
        return [case for case in self.cases if case.outcome is State.IN_DOUBT]

    @property
    def exit_code(self) -> ExitCode:
        codes = [ExitCode.IN_DOUBT] if self.remaining else []
        codes += [ExitCode.FINDINGS] if any(case.duplicates for case in self.cases) else []
        return worst([*codes, self.halt.code] if self.halt else codes)

    def as_json(self) -> dict[str, Json]:
        """The stable answer of `resolve --format json`."""
        return {
            "batch": self.batch,
            "in_doubt": len(self.remaining),
            "settled": len(self.cases) - len(self.remaining),
            "messages": [case.as_json() for case in self.cases],
            "requests": self.requests,
            "throttled": self.throttled,
            "seconds": round(self.seconds, 3),
            "exit_code": int(self.exit_code),
        }


def known_by_log(doubt: Doubt) -> Wanted | None:
    """What the log alone knows for looking it up; None where that is not enough."""
    standing = doubt.standing
    if not doubt.kind or not standing.external_id:
        return None
    if standing.ticket_id is None and not doubt.ticket_external_id:
        return None
    own = doubt.ticket_external_id or None
    who = Identity(doubt.key, Kind(doubt.kind), standing.content, standing.ticket_id, standing.external_id, own)
    return Wanted(who, "" if doubt.ticket_external_id.startswith("#") else doubt.ticket_external_id)
