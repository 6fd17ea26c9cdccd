"""The progress log reduced to what it says: where each key stands, which runs there were, what they cost.

Pure: it is fed decoded records one after the other and keeps no lines; details are read back through a
function that is handed in. No file is opened here, and whether a line is sound has been decided before
(`records`, `scan`).
"""

from __future__ import annotations

from collections.abc import Iterator, Mapping

from bulkmsg.journal.ledger import CODES, Ledger, LineAt
from bulkmsg.journal.records import LogIdentity, RunInfo, identity_of, run_of
from bulkmsg.journal.tickets import Tickets
from bulkmsg.message import log_name
from bulkmsg.outcome import COUNTED, UNTOUCHED, Doubt, Standing, State
from bulkmsg.ports import KnownTicket
from bulkmsg.source import Json

_INTENDED = CODES[State.INTENDED]
_PENDING = CODES[State.PENDING]
# What an outcome's record may say. An intent makes INTENDED and a retry makes PENDING.
_OUTCOMES = {name: code for name, code in CODES.items() if code not in (_INTENDED, _PENDING)}


class Fold:
    """What a log says. Keys are asked for as the batch has them; those that come out stand as the log shows
    them.

    Attributes:
        header, format: whose log this is, and the version of its form.
        runs: how many runs there were, rebuilding and resolving not counted.
        last_run: the newest of all three; last_end: its end record, None while it has none: it died, or still goes on.
        rebuilding: it was lost and is not rebuilt to its end: what it does not know may stand in the helpdesk.
        rebuilt: it was lost once, and rebuilt.
        last_part: which part of its write the last record is, and of how many.
        requests, throttled, seconds: sums over all runs that came to their end.
    """

    def __init__(self, header: Mapping[str, Json], line_at: LineAt) -> None:
        self.header: LogIdentity = identity_of(header)
        self.format: int = header["format"]
        self.rebuilding = header.get("rebuild") is True
        self.rebuilt = False
        self.runs = 0
        self.last_run: RunInfo | None = None
        self.last_end: dict[str, Json] | None = None
        self.requests = 0
        self.throttled = 0
        self.seconds = 0.0
        self.ledger = Ledger(line_at)
        self.tickets = Tickets(line_at)
        self.last_part = (1, 1)
        self._open_run = ""
        self._latest: tuple[str, int | None] = ("", None)

    @property
    def size(self) -> int:
        """How many keys the log knows."""
        return len(self.ledger)

    @property
    def counts(self) -> dict[State, int]:
        """Keys of the log by state. An intent without an outcome counts as in doubt."""
        counts = {state: self.ledger.count(state) for state in COUNTED}
        counts[State.IN_DOUBT] += self.ledger.count(State.INTENDED)
        return counts

    def standing(self, key: str) -> Standing:
        """Where a key stands; UNTOUCHED if the log does not know it.

        `content`, `status`, `error` and the ids are those of the last record about the key; where it has no
        content or ticket, those of the last intent. A retry's reason stands in `error`.
        """
        index = self._find(key)
        return UNTOUCHED if index is None else self._standing(index)[1]

    def ticket(self, external_id: str) -> KnownTicket | None:
        """What the log says of the ticket with this external id."""
        return self.tickets.find(log_name(external_id))

    def mark(self, key: str) -> None:
        """The batch still holds this key. Cheapest right after `standing` was asked for it."""
        index = self._find(key)
        if index is not None:
            self.ledger.mark(index)

    def unmarked(self) -> Iterator[tuple[str, Standing]]:
        """The keys that were never marked, in the order of the log."""
        return (self._standing(index) for index in self.ledger.unmarked())

    def doubtful(self) -> Iterator[tuple[str, Standing]]:
        """The keys that may exist in the helpdesk, in the order of the log."""
        return (self._standing(index) for index in self.ledger.having(State.INTENDED, State.IN_DOUBT))

    def doubts(self) -> Iterator[Doubt]:
        """The same, with what there is for looking them up."""
        for index in self.ledger.having(State.INTENDED, State.IN_DOUBT):
            last_at, named_at = self.ledger.offsets(index)
            named = self.ledger.record(named_at or last_at)
            key, standing = self._standing(index)
            yield Doubt(key, standing, named["at"], named.get("kind", ""), named.get("ticket_external_id", ""))

    @property
    def last_created(self) -> Standing | None:
        """The newest entry that stands as created and has an external id to look for."""
        places = map(self.ledger.offsets, self.ledger.having(State.CREATED))
        newest = max((place for place in places if place[1]), default=None)
        return None if newest is None else self._read(*newest, State.CREATED)[1]

    def add(self, record: Mapping[str, Json], offset: int) -> None:
        """Take in the record that stands at `offset`.

        Raises:
            ValueError, KeyError, TypeError: it may not stand there.
        """
        self.last_part = record.get("part", 1), record.get("of", 1)
        name = record["record"]
        if name == "run":
            self._begin(record)
            return
        if record["run"] != self._open_run:
            raise ValueError("a record outside of its run")
        if name == "intent":
            self.ledger.move(record["key"], _INTENDED, offset)
        elif name == "outcome":
            names = "external_id" in record
            self.ledger.move(record["key"], _OUTCOMES[record["outcome"]], offset, names=names)
        elif name == "retry":
            self.ledger.move(record["key"], _PENDING, offset)
        elif name == "ticket":
            self.tickets.note(record["ticket_external_id"], offset)
        elif name == "rebuilt":
            self._rebuilt()
        elif name == "end":
            self._end(record)
        else:
            raise ValueError(f"a record of unknown kind {name!r}")

    def _begin(self, record: Mapping[str, Json]) -> None:
        self.last_run = run_of(record)
        self.last_end = None
        self.runs += self.last_run.command == "run"
        self._open_run = self.last_run.run

    def _rebuilt(self) -> None:
        if not self.rebuilding:
            raise ValueError("a log that was never lost cannot be rebuilt")
        self.rebuilding, self.rebuilt = False, True

    def _end(self, record: Mapping[str, Json]) -> None:
        self.last_end = {name: value for name, value in record.items() if name != "sum"}
        self.requests += record["requests"]
        self.throttled += record["throttled"]
        self.seconds += record["seconds"]
        self._open_run = ""

    def _find(self, key: str) -> int | None:
        if self._latest[0] != key or not key:
            self._latest = (key, self.ledger.find(log_name(key)))
        return self._latest[1]

    def _standing(self, index: int) -> tuple[str, Standing]:
        return self._read(*self.ledger.offsets(index), self.ledger.state(index))

    def _read(self, last_at: int, intent_at: int, state: State) -> tuple[str, Standing]:
        last = self.ledger.record(last_at)
        intent: dict[str, Json] = self.ledger.record(intent_at) if intent_at else {}
        return last["key"], Standing(
            state=state,
            content=str(last.get("content", intent.get("content", ""))),
            attempt=last["attempt"],
            message_id=last.get("message_id"),
            ticket_id=last.get("ticket_id", intent.get("ticket", intent.get("ticket_id"))),
            status=last.get("status"),
            error=last.get("error", last.get("reason")),
            external_id=intent.get("external_id", ""),
            run=last["run"],
            hold=last.get("hold", False),
            thread=intent.get("thread", ""),
            ticket_content=intent.get("ticket_content", ""),
        )
