"""Entries become drafts of messages, or findings. The one place where layers, schemas and checks meet.

Pure but for the `report` it is handed: nothing here reads files, knows the account or talks to anybody.
"""

from __future__ import annotations

from collections.abc import Callable, Sequence
from dataclasses import dataclass, field
from datetime import datetime
from difflib import get_close_matches
from functools import cache
from zoneinfo import ZoneInfo

from bulkmsg import schema
from bulkmsg.batch import Entry, Header
from bulkmsg.diagnostic import Diagnostic, Severity, finding
from bulkmsg.message import Kind, Upload
from bulkmsg.settings import Attachments
from bulkmsg.source import Json, Path, Place
from bulkmsg.validation import attachments, checks, tickets, values
from bulkmsg.validation.checks import Trouble
from bulkmsg.validation.clashes import SecondLook
from bulkmsg.validation.drafts import Draft
from bulkmsg.validation.layers import base_for, merge
from bulkmsg.validation.order import TicketTimes
from bulkmsg.validation.rows import Rows
from bulkmsg.validation.thread import Thread
from bulkmsg.validation.told import MOST_PER_ENTRY, Enough, Told, default_at, never_enough

_REFERENCE = ("ticket_id", "ticket_external_id")
_MOST_FIELDS = 500
_KINDS = {kind.value: kind for kind in Kind}
# Stands for a ticket's messages where its own fields are held against the schema; they are looked at one by one.
_ANY_MESSAGE: Json = {"type": "internal-note", "sender": {"id": 1}, "body_text": "-"}


@dataclass(frozen=True, slots=True)
class _KindRules:
    """What holds for one kind: its defaults, those left out of it, and the checkers of finished entries."""

    base: dict[str, Json]
    in_ticket_base: dict[str, Json]
    dropped: list[str]
    on_ticket: schema.Checker
    in_ticket: schema.Checker


@dataclass
class Assembly:
    """Makes drafts of a batch's entries and reports what is wrong with them.

    Args:
        header: the batch's header, with the command line's word in it.
        now: the time by which a date lies in the future.
        report: takes each finding.
        secrets: the credentials in use, which must not stand in a batch.
        enough: whether one more finding of a rule and a severity would only be counted.
        second: what entries are held against in a second reading; nothing in the first.
        look: looks at a file that an entry attaches.
        choice: what leaves of attachments.

    Attributes:
        messages: how many messages the entries so far hold, those with errors as well.
    """

    header: Header
    now: datetime
    report: Callable[[Diagnostic], None]
    secrets: tuple[str, ...] = ()
    enough: Enough = never_enough
    second: SecondLook = field(default_factory=SecondLook)
    look: attachments.Look = attachments.no_folder
    choice: Attachments = Attachments.UPLOAD
    messages: int = 0
    _thread: Thread | None = None  # of a table, whose further rows may come
    _times: TicketTimes = field(default_factory=TicketTimes)
    _rows: Rows = field(init=False)
    _zones: dict[str, ZoneInfo | None] = field(default_factory=dict)
    _said: set[tuple[str, str, int, int, str]] = field(default_factory=set)
    _seen: set[Kind] = field(default_factory=set)
    _tomorrow: str = ""

    def __post_init__(self) -> None:
        self._rows = Rows(self.report)
        mode, defaults = self.header.mode.value, self.header.defaults
        self._rules: dict[Kind, _KindRules] = {}
        for kind in Kind:
            allowed = frozenset(schema.load(kind.value)["$defs"]["entry"]["properties"]) - {"type", "key"}
            base, dropped = base_for(kind, defaults, allowed)
            without_ticket = {name: value for name, value in defaults.items() if name not in _REFERENCE}
            self._rules[kind] = _KindRules(
                base,
                base_for(kind, without_ticket, allowed)[0],
                dropped,
                schema.checker(kind.value, mode, "on_ticket"),
                schema.checker(kind.value, mode, "in_ticket"),
            )
        self._ticket_checker = schema.checker("ticket")
        ticket = defaults.get("ticket")
        self._ticket_base = merge({}, ticket) if isinstance(ticket, dict) else {}
        self._zone = self._zone_of(self.header.timezone, self.header.place("timezone"), (), ("timezone",))
        self._tomorrow = values.tomorrow(self.now)

    def close(self) -> None:
        """All entries were seen: tells which general defaults were left out of some of them, each once."""
        left_out: dict[str, list[str]] = {}
        for kind in Kind:
            for name in self._rules[kind].dropped if kind in self._seen else ():
                left_out.setdefault(name, []).append(kind.value)
        for name, kinds in sorted(left_out.items()):
            message = f"the default `{name}` is left out of {' and '.join(kinds)} entries, which must not have it"
            hint = f"move it under the types it is meant for, as in `defaults: {{outgoing: {{{name}: ...}}}}`"
            field, place, inner = default_at(self.header, (name,))
            self.report(finding("BM305", message, hint, place, inner, name=True, prefix=(field,)))

    def _zone_of(self, name: str | None, place: Place, path: Path, prefix: Path) -> ZoneInfo | None:
        if name is None:
            return None
        if name not in self._zones:
            try:
                self._zones[name] = ZoneInfo(name)
            except (OSError, ValueError, KeyError):  # unknown, not a name of a zone, or a path
                self._zones[name] = None
                hint = "take a name of the IANA list, like Europe/Paris or America/New_York"
                said = f"the time zone {name[:60]!r} is not known"
                self.report(finding("BM110", said, hint, place, path, prefix=prefix))
        return self._zones[name]

    # -- one entry ------------------------------------------------------------------------------------------------

    def drafts(self, entry: Entry) -> Sequence[Draft]:
        """The messages that are complete once this entry is read, in the batch's order: its own, those of rows before.

        Errors are reported, and what has them is left out: a message, or a new ticket as a whole.
        """
        told = Told(self.header, entry, self.report, self._said, self.enough)
        fields = self._rows.fields(entry, told)
        if fields is None:
            self.messages += 1
            return ()
        told.written = fields
        told.key = _name_of(fields)
        block = entry.block
        zone = self._zone
        if block is not None and block.timezone is not None:
            zone = self._zone_of(block.timezone, block.place, ("timezone",), block.prefix)
        from_cells = told.column_of is not None and not (block and block.template)
        if from_cells and (entry.section == "tickets" or "ticket" in fields):
            return self._row_of_ticket(fields, zone, told)
        before = self.rest() if self._thread is not None else ()
        own = self._complete(entry, fields, zone, told)
        return (*before, *own) if before else own

    def _complete(self, entry: Entry, fields: dict[str, Json], zone: ZoneInfo | None, told: Told) -> Sequence[Draft]:
        """The messages of an entry that needs no other."""
        if entry.section == "tickets":
            return self._ticket_with_messages(fields, zone, told)
        self.messages += 1
        draft = self._on_ticket(entry, fields, zone, told)
        return () if draft is None or told.errors else (draft,)

    def rest(self) -> Sequence[Draft]:
        """The messages that still wait for further rows of their ticket: no more will come."""
        thread, self._thread = self._thread, None
        return () if thread is None else thread.release()

    # -- a message on an existing ticket ---------------------------------------------------------------------------

    def _on_ticket(self, entry: Entry, fields: dict[str, Json], zone: ZoneInfo | None, told: Told) -> Draft | None:
        kind = self._kind(fields, told, ())
        if kind is None:
            return None
        rules = self._rules[kind]
        merged = self._merged(kind, merge(rules.base, fields), zone, told, ())
        self._check(kind, merged, rules.on_ticket, told, ())
        uploads = self._uploads(merged, told, ())
        if told.errors:
            return None
        ticket = merged["ticket_id"] if "ticket_id" in merged else merged["ticket_external_id"]
        late = self._times.look(ticket, merged, entry.place)
        if late is not None and not told.counts_only("BM703"):
            told.add(late.trouble())
        if isinstance(ticket, str):
            self._tell(self.second.ticket(ticket, entry.place, created=False), told, ())
        self._tell(self.second.sender(kind, merged, entry.place), told, ())
        self._look_around(kind, merged, told, ())
        return Draft(kind, merged, ticket, entry, merged.get("key"), (), self.header.mode, uploads=uploads)

    def _look_around(self, kind: Kind, merged: dict[str, Json], told: Told, path: Path) -> None:
        for trouble in self.second.message(kind, merged, told.entry.place, path):
            told.add(trouble, path)

    @staticmethod
    def _tell(found: Trouble | None, told: Told, path: Path) -> None:
        if found is not None:
            told.add(found, path)

    def _kind(self, fields: dict[str, Json], told: Told, path: Path) -> Kind | None:
        name = fields.get("type", self.header.defaults.get("type"))
        kind = _KINDS.get(name) if isinstance(name, str) else None
        if kind is not None:
            told.kind = kind
            self._seen.add(kind)
            return kind
        if name is None:
            message = "the entry does not say its type"
        else:
            said = values.quotable(name) if isinstance(name, str) else ""
            message = f"{said} is no type of message" if said else "this is no type of message"
        meant = _meant_kind(name) if isinstance(name, str) else None
        hint = "write `type: incoming`, `type: outgoing` or `type: internal-note`"
        hint = f"did you mean `type: {meant}`?" if meant else hint
        told.add(Trouble("BM208", (*path, "type"), message, hint))
        return None

    def _merged(
        self, kind: Kind, merged: dict[str, Json], zone: ZoneInfo | None, told: Told, path: Path
    ) -> dict[str, Json]:
        merged["type"] = kind.value
        for trouble in checks.normalise_dates(merged, values.MESSAGE_DATES, zone):
            told.add(trouble, path)
        return merged

    def _check(self, kind: Kind, merged: dict[str, Json], checker: schema.Checker, told: Told, path: Path) -> None:
        for trouble in checks.message_troubles(kind, self.header.mode, merged, self._tomorrow):
            told.add(trouble, path)
        for trouble in checks.identity_troubles(merged):
            told.add(trouble, path)
        for trouble in checks.secret_troubles(merged, self.secrets):
            told.add(trouble, path)
        self._hold_against(checker, merged, told, path, checks.MESSAGE_NUMBERS)

    def _uploads(self, merged: dict[str, Json], told: Told, path: Path) -> tuple[Upload, ...]:
        """The files that the message carries, looked at."""
        if "attachments" not in merged:
            return ()
        troubles = attachments.choice_troubles(merged, self.choice)
        found = attachments.look_at(merged, self.header.mode, self.look, troubles)
        for trouble in troubles:
            told.add(trouble, path)
        return found

    def _hold_against(
        self, checker: schema.Checker, merged: dict[str, Json], told: Told, path: Path, numbers: checks.Fields
    ) -> None:
        """Hold a finished entry against its schema, and against what schemas cannot say of numbers."""
        for trouble in checks.number_troubles(merged, numbers):
            told.add(trouble, path)
        if checker.is_valid(merged):
            return
        if told.full:
            told.errors += 1
            return
        if self.enough("", Severity.ERROR):
            if told.errors:
                return
            told.errors += 1
            message, hint, place = "the entry has errors, too", "mend the others first", told.entry.place
            self.report(Diagnostic("BM207", Severity.ERROR, message, hint, place.file, place.line, 1))
            return
        if len(merged) > _MOST_FIELDS:  # all beyond are unknown, and looking at each would take long
            kept = sorted(merged, key=lambda name: name not in _known_fields())[:_MOST_FIELDS]
            merged = {name: merged[name] for name in kept}
        if (many := attachments.too_many(merged)) is not None:
            told.add(many, path)
            merged = attachments.cut(merged)
            if checker.is_valid(merged):
                return
        found = checker.violations(merged, MOST_PER_ENTRY)
        told.violations((item for item in found if item.path[:1] != ("messages",)), path)
        if not found:
            message = "the entry holds a value that JSON has no word for"
            told.add(Trouble("BM203", path, message, "take odd characters and over-long numbers out"))

    # -- messages in new tickets -----------------------------------------------------------------------------------

    def _ticket_with_messages(self, fields: dict[str, Json], zone: ZoneInfo | None, told: Told) -> Sequence[Draft]:
        """A ticket with a list of messages; all of them, or none."""
        own, messages, trouble = tickets.split(fields)
        self.messages += len(messages)
        told.at_ticket, told.at_message = (), ("messages", 0)
        if trouble is not None:
            told.add(trouble)
        thread = self._begin(own, zone, told)
        for index, written in enumerate(messages):
            told.at_message = ("messages", index)
            if isinstance(written, dict):
                told.key = _name_of(written) or _name_of(own)
                self._in_ticket(thread, written, zone, told)
            else:
                told.add(tickets.no_message(told.at_message))
        return () if told.errors else thread.release()

    def _row_of_ticket(self, fields: dict[str, Json], zone: ZoneInfo | None, told: Told) -> Sequence[Draft]:
        """A row of a table: it goes on with the ticket of the row before, or begins one."""
        self.messages += 1
        told.at_ticket = ("ticket",)
        own = fields.get("ticket") or {}
        written = {name: value for name, value in fields.items() if name != "ticket"}
        thread = self._thread
        before: Sequence[Draft] = ()
        if not own and told.column_of is not None and told.column_of(("ticket", tickets.NAME)) is not None:
            told.add(tickets.nameless_row())
            thread = Thread({}, own, told.entry.place, self.header.mode, broken=True)
        elif thread is None or thread.name is None or thread.name != own.get(tickets.NAME):
            before = self.rest()
            thread = self._thread = self._begin(own, zone, told)
        else:
            for trouble in tickets.contradictions(own, thread.written, thread.ticket, thread.place):
                told.add(trouble, told.at_ticket)
        self._in_ticket(thread, written, zone, told)
        thread.broken = thread.broken or told.errors > 0
        return (*before, *thread.release()) if thread.settled else before

    def _begin(self, own: dict[str, Json], zone: ZoneInfo | None, told: Told) -> Thread:
        """A new ticket, as far as its own fields tell."""
        path, place = told.at_ticket or (), told.entry.place
        ticket = merge(self._ticket_base, own)
        for trouble in checks.normalise_dates(ticket, values.TICKET_DATES, zone):
            told.add(trouble, path)
        for trouble in checks.ticket_troubles(ticket, self.header.mode):
            told.add(trouble, path)
        for trouble in checks.identity_troubles(ticket):
            told.add(trouble, path)
        for trouble in checks.secret_troubles(ticket, self.secrets):
            told.add(trouble, path)
        finished = {**ticket, "messages": [_ANY_MESSAGE]}
        self._hold_against(self._ticket_checker, finished, told, path, checks.TICKET_NUMBERS)
        if told.errors:
            return Thread({}, own, place, self.header.mode, own.get(tickets.NAME), broken=True)
        self._tell(tickets.open_though_closed(ticket), told, path)
        self._tell(self.second.ticket(ticket.get(tickets.NAME), place, created=True), told, path)
        return Thread(ticket, own, place, self.header.mode, ticket.get(tickets.NAME))

    def _in_ticket(self, thread: Thread, written: dict[str, Json], zone: ZoneInfo | None, told: Told) -> None:
        """The next message of a new ticket."""
        kind, path, entry = self._kind(written, told, told.at_message), told.at_message, told.entry
        if kind is None:
            return
        rules = self._rules[kind]
        merged = self._merged(kind, merge(rules.in_ticket_base, written), zone, told, path)
        self._check(kind, merged, rules.in_ticket, told, path)
        uploads = self._uploads(merged, told, path)
        if told.errors or thread.broken:
            return
        if thread.count == 0:
            self._tell(tickets.begun_too_late(thread.ticket, merged), told, told.at_ticket or ())
        late = thread.times.look(merged, entry.place, path)
        if late is not None and not told.counts_only("BM703"):
            told.add(late.trouble(), path)
        self._tell(self.second.sender(kind, merged, entry.place, path), told, path)
        self._look_around(kind, merged, told, path)
        first = thread.count == 0
        inherited = tickets.inherit(thread.ticket, merged)
        key = merged.get("key") or (thread.draft.key if first else None)
        draft = Draft(kind, merged, thread.draft, entry, key, inherited, self.header.mode, path, first, uploads=uploads)
        thread.add(draft, sum(map(len, entry.cells)) if entry.cells is not None else 0)


def _meant_kind(name: str) -> str | None:
    """The type that was probably meant."""
    folded = name.strip().lower().replace("_", "-").replace(" ", "-")
    close = get_close_matches(folded, _KINDS, 1)
    return close[0] if close else next((kind for kind in _KINDS if len(folded) > 3 and folded in kind), None)


@cache
def _known_fields() -> frozenset[str]:
    """All that an entry of some kind may hold at its top."""
    parts = [*((kind.value, "entry") for kind in Kind), ("ticket", "fields")]
    return frozenset(name for file, part in parts for name in schema.load(file)["$defs"][part]["properties"])


def _name_of(fields: dict[str, Json]) -> str | None:
    """What the user calls the entry: its key, or its external id."""
    for name in ("key", "external_id"):
        if isinstance(found := fields.get(name), str):
            return found
    return None
