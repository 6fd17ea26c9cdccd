"""What is announced while a run goes on: one value per event, without bodies, addresses or credentials.

The names and fields are the contract of `schemas/event.schema.json`.
"""

from __future__ import annotations

from dataclasses import dataclass, field
from enum import StrEnum

from bulkmsg.source import Json

VERSION = 1


class Name(StrEnum):
    RUN_STARTED = "run_started"
    ATTEMPT_STARTED = "attempt_started"
    ATTEMPT_FINISHED = "attempt_finished"
    UPLOAD_STARTED = "upload_started"
    UPLOAD_FINISHED = "upload_finished"
    LOOKUP_STARTED = "lookup_started"
    LOOKUP_FINISHED = "lookup_finished"
    MESSAGE_SETTLED = "message_settled"
    THROTTLED = "throttled"
    WAITING = "waiting"
    RUN_FINISHED = "run_finished"


@dataclass(frozen=True, slots=True)
class Event:
    """One event. `key` is already in the form that logs may show."""

    name: Name
    key: str | None = None
    fields: dict[str, Json] = field(default_factory=dict)

    def as_json(self, run: str, ts: str) -> dict[str, Json]:
        """The line of the events file; `ts` is UTC, RFC 3339."""
        line: dict[str, Json] = {"v": VERSION, "ts": ts, "run": run, "event": self.name.value}
        if self.key is not None:
            line["key"] = self.key
        return {**line, **self.fields}


@dataclass(frozen=True, slots=True)
class RunView:
    """A look at a run from outside, for whoever shows it.

    Args:
        total, counts: messages selected, and how many stand where (by the outcome's name, `pending` included).
        requests, throttled: requests answered so far in this run, and how many of them with 429.
        recent_rate: requests a second over the last window.
        limit: the limit in force, as text like "40/20s".
        elapsed: seconds since the run began.
        remaining: estimated seconds to the end, None while unknown.
        waiting: what the run waits for, in words, empty when it works.
    """

    total: int
    counts: dict[str, int]
    requests: int
    throttled: int
    recent_rate: float
    limit: str
    elapsed: float
    remaining: float | None
    waiting: str = ""
