"""The order of times inside a ticket: whether a message is older than the one that stands before it. Pure."""

from __future__ import annotations

from dataclasses import dataclass, field

from bulkmsg.diagnostic import Related
from bulkmsg.source import Json, Path, Place
from bulkmsg.validation.checks import Trouble

# An existing ticket's messages stand together or nearly so; more tickets at a time are not remembered, so that memory
# is bounded.
REMEMBERED = 500
_HINT = "put the older one first: messages are sent in the order of the batch, and the helpdesk shows them by time"


@dataclass(frozen=True, slots=True)
class Late:
    """A message that is older than one before it on its ticket: by which field, and where the newer one stands."""

    ticket: str
    field: str
    file: str
    line: int

    def trouble(self) -> Trouble:
        before = Related("the newer message that stands before it", self.file, self.line, 1)
        message = f"the message is older than one that stands before it {self.ticket}"
        return Trouble("BM703", (self.field,), message, _HINT, related=(before,))


def time_of(fields: dict[str, Json]) -> tuple[str, str] | None:
    """By which time the helpdesk puts a message into its ticket, and the field that has it.

    Threads are ordered by `created_datetime` (Gorgias reference, "List messages"), which in import mode is
    `sent_datetime` unless it is given. A time comes without its Z: so it sorts as text before the same with a fraction.
    """
    name = "created_datetime" if fields.get("created_datetime") else "sent_datetime"
    text = fields.get(name)
    return (text[:-1], name) if isinstance(text, str) and text[-1:] == "Z" else None


@dataclass
class TicketTimes:
    """The latest time seen on each of the last tickets, between `REMEMBERED` and twice as many."""

    _recent: dict[int | str, tuple[str, str, int]] = field(default_factory=dict)  # the time, its file and line
    _before: dict[int | str, tuple[str, str, int]] = field(default_factory=dict)

    def look(self, ticket: int | str, fields: dict[str, Json], place: Place) -> Late | None:
        """Take in the next message of an existing ticket, at `place`; says if it is older than one before it."""
        found = time_of(fields)
        if found is None:
            return None
        time, name = found
        latest = self._recent.get(ticket) or self._before.get(ticket)
        if latest is not None and time < latest[0]:
            return Late(f"on ticket {ticket}" if isinstance(ticket, int) else "on its ticket", name, *latest[1:])
        if len(self._recent) >= REMEMBERED and ticket not in self._recent:
            self._recent, self._before = {}, self._recent
        self._recent[ticket] = time, place.file, place.line
        return None


@dataclass
class ThreadTimes:
    """The latest time seen among the messages of one new ticket, and where that stands."""

    _latest: tuple[str, Place, Path] | None = None

    def look(self, fields: dict[str, Json], place: Place, path: Path) -> Late | None:
        """Take in the ticket's next message, which stands at `path` in the entry at `place`."""
        found = time_of(fields)
        if found is None:
            return None
        time, name = found
        if self._latest is not None and time < self._latest[0]:
            _, before, where = self._latest
            return Late("in its ticket", name, before.file, before.line_of(where))
        self._latest = time, place, path
        return None
