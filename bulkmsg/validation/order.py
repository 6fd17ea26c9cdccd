"""The order of times inside a ticket: whether a message is older than the one that stands before it. Pure."""

from __future__ import annotations

from dataclasses import dataclass, field

from bulkmsg.diagnostic import Related
from bulkmsg.source import Json, Place
from bulkmsg.validation.checks import Trouble

# A ticket's messages stand together or nearly so; more tickets at a time are not remembered, so that memory is bounded.
REMEMBERED = 500
_HINT = "put the older one first: messages are sent in the order of the batch, and the helpdesk shows them by time"


@dataclass(frozen=True, slots=True)
class Late:
    """A message that is older than one before it on its ticket: by which field, and where the newer one stands."""

    ticket: int
    field: str
    file: str
    line: int

    def trouble(self) -> Trouble:
        before = Related("the newer message that stands before it", self.file, self.line, 1)
        message = f"the message is older than one that stands before it on ticket {self.ticket}"
        return Trouble("BM703", (self.field,), message, _HINT, related=(before,))


@dataclass
class TicketTimes:
    """The latest time seen on each of the last tickets, between `REMEMBERED` and twice as many."""

    _recent: dict[int, tuple[str, str, int]] = field(default_factory=dict)  # the time, its file and line
    _before: dict[int, tuple[str, str, int]] = field(default_factory=dict)

    def look(self, ticket: int, fields: dict[str, Json], place: Place) -> Late | None:
        """Take in the next message of a ticket, which stands at `place`; says if it is older than one before it.

        Threads are ordered by `created_datetime` (Gorgias reference, "List messages"), which in import mode is
        `sent_datetime` unless it is given.
        """
        name = "created_datetime" if fields.get("created_datetime") else "sent_datetime"
        text = fields.get(name)
        if not isinstance(text, str) or text[-1:] != "Z":
            return None
        time = text[:-1]  # without its Z a time sorts as text before the same with a fraction
        latest = self._recent.get(ticket) or self._before.get(ticket)
        if latest is not None and time < latest[0]:
            return Late(ticket, name, latest[1], latest[2])
        if len(self._recent) >= REMEMBERED and ticket not in self._recent:
            self._recent, self._before = {}, self._recent
        self._recent[ticket] = time, place.file, place.line
        return None
