"""Entries become drafts of messages, or findings. The one place where layers, schemas and checks meet.

Pure but for the `report` it is handed: nothing here reads files, knows the account or talks to anybody.
"""

from __future__ import annotations

from collections.abc import Callable, Iterable
from dataclasses import dataclass, field
from datetime import datetime
from typing import Any
from zoneinfo import ZoneInfo

from bulkmsg import schema
from bulkmsg.batch import Block, Entry, Header, Sheet
from bulkmsg.diagnostic import RULES, Diagnostic, Severity, finding
from bulkmsg.message import (
    ExistingTicket,
    Kind,
    Message,
    Mode,
    NewTicket,
    canonical,
    derive_external_id,
    short_hash,
)
from bulkmsg.source import Json, Path, Place, path_text
from bulkmsg.validation import checks, values
from bulkmsg.validation.cells import CellTrouble, SheetPlan, read_rendered
from bulkmsg.validation.checks import Trouble
from bulkmsg.validation.identity import KeyOrigin, default_key
from bulkmsg.validation.layers import base_for, merge

_NOT_BODY = ("type", "key", "ticket_id", "ticket_external_id")
_KINDS = {kind.value: kind for kind in Kind}
_KEYWORD_RULES = {
    "additionalProperties": "BM201",
    "required": "BM202",
    "type": "BM203",
    "enum": "BM204",
    "const": "BM204",
    "minLength": "BM205",
    "maxLength": "BM205",
    "minimum": "BM205",
    "maximum": "BM205",
    "minItems": "BM205",
    "maxItems": "BM205",
    "pattern": "BM206",
    "format": "BM206",
}
# What is wrong with every row of a template alike stands in the template, not in the row.
_STRUCTURAL = frozenset({"BM201", "BM202", "BM203", "BM207", "BM208", "BM301", "BM302", "BM304", "BM602", "BM701"})


@dataclass(frozen=True, slots=True)
class TicketDraft:
    """A new ticket before the account is known: its request's fields, and what the user wrote to identify it."""

    fields: dict[str, Json]
    external_id: str | None
    key: str | None

    @property
    def reference(self) -> str | None:
        return self.external_id or self.key


@dataclass(slots=True)
class Draft:
    """A valid message before the account is known.

    `body` is the request's body without a generated `external_id`; `inherited` are the fields that it has from its
    new ticket and that are not part of its identity.
    """

    kind: Kind
    body: dict[str, Json]
    ticket: int | TicketDraft
    entry: Entry
    given_key: str | None
    inherited: tuple[str, ...] = ()
    mode: Mode = Mode.IMPORT
    _content: str = ""
    _identity: tuple[str, KeyOrigin] | None = None

    @property
    def reference(self) -> Json:
        """What the user wrote to say which ticket."""
        return self.ticket if isinstance(self.ticket, int) else self.ticket.reference

    @property
    def external_id(self) -> str | None:
        found = self.body.get("external_id")
        return None if found is None else str(found)

    def content(self) -> str:
        """16 hex characters over type, ticket reference and final body without `external_id` and what is inherited."""
        if not self._content:
            left_out = ("external_id", *self.inherited)
            body = {name: value for name, value in self.body.items() if name not in left_out}
            reference = self.reference if not isinstance(self.ticket, TicketDraft) else self.ticket.external_id
            self._content = short_hash(canonical([self.kind.value, reference, body]))
        return self._content

    def identity(self) -> tuple[str, KeyOrigin]:
        """The key, before identical entries are counted, and where it comes from."""
        if self._identity is None:
            self._identity = self._find_identity()
        return self._identity

    def _find_identity(self) -> tuple[str, KeyOrigin]:
        if self.given_key is not None:
            return self.given_key, KeyOrigin.GIVEN
        if self.external_id is not None:
            return self.external_id, KeyOrigin.EXTERNAL_ID
        return default_key(self.kind, self.mode, self.body, self.reference, self.content())

    def message(self, account: str, batch: str, key: str) -> Message:
        """The message as it will be sent from this batch to this account."""
        body = self.body
        if self.external_id is None:
            body = {**body, "external_id": derive_external_id(account, batch, key)}
        place = self.entry.place
        ticket = self._final_ticket(account, batch, key)
        return Message(self.kind, key, ticket, body, self.content(), place.file, place.line)

    def _final_ticket(self, account: str, batch: str, key: str) -> ExistingTicket | NewTicket:
        if isinstance(self.ticket, int):
            return ExistingTicket(self.ticket)
        given = self.ticket.external_id
        own = given or derive_external_id(account, batch, f"ticket {self.ticket.key or key}")
        return NewTicket(own, self.ticket.fields, given is not None)


@dataclass(frozen=True, slots=True)
class _KindRules:
    base: dict[str, Json]
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
    """

    header: Header
    now: datetime
    report: Callable[[Diagnostic], None]
    secrets: tuple[str, ...] = ()
    _plans: dict[int, tuple[Sheet, SheetPlan]] = field(default_factory=dict)
    _templates: dict[tuple[int, tuple[str, ...]], tuple[Block, Any]] = field(default_factory=dict)
    _zones: dict[str, ZoneInfo | None] = field(default_factory=dict)
    _said: set[tuple[str, str, int, int, str]] = field(default_factory=set)
    _tomorrow: str = ""

    def __post_init__(self) -> None:
        mode = self.header.mode.value
        self._rules: dict[Kind, _KindRules] = {}
        for kind in Kind:
            allowed = frozenset(schema.load(kind.value)["$defs"]["entry"]["properties"]) - {"type", "key"}
            base, dropped = base_for(kind, self.header.defaults, allowed)
            self._rules[kind] = _KindRules(
                base, schema.checker(kind.value, mode, "on_ticket"), schema.checker(kind.value, mode, "in_ticket")
            )
            for name in dropped:
                self._tell_dropped(kind, name)
        self._ticket_checker = schema.checker("ticket")
        ticket = self.header.defaults.get("ticket")
        self._ticket_base = merge({}, ticket) if isinstance(ticket, dict) else {}
        self._zone = self._zone_of(self.header.timezone)
        self._tomorrow = values.tomorrow(self.now)

    def _tell_dropped(self, kind: Kind, name: str) -> None:
        place = self.header.place("defaults")
        message = f"the default `{name}` is left out of {kind.value} entries, which must not have it"
        hint = f"move it under the type it is meant for, or leave it: `defaults: {{outgoing: {{{name}: ...}}}}`"
        self.report(finding("BM305", message, hint, place, (name,), name=True, prefix=("defaults",)))

    def _zone_of(self, name: str | None) -> ZoneInfo | None:
        if name is None:
            return None
        if name not in self._zones:
            try:
                self._zones[name] = ZoneInfo(name)
            except (OSError, ValueError, KeyError):  # unknown, not a name of a zone, or a path
                self._zones[name] = None
                place = self.header.place("timezone")
                hint = "take a name of the IANA list, like Europe/Paris or America/New_York"
                self.report(finding("BM110", f"the time zone {name[:60]!r} is not known", hint, place))
        return self._zones[name]

    # -- one entry ------------------------------------------------------------------------------------------------

    def draft(self, entry: Entry) -> Draft | None:
        """The entry's message; None when it has errors, which were reported."""
        told = _Told(self, entry)
        fields = self._fields(entry, told)
        if fields is None:
            return None
        zone = self._zone_of(entry.block.timezone) if entry.block and entry.block.timezone else self._zone
        if entry.section == "tickets" or "ticket" in fields:
            draft = self._in_new_ticket(entry, fields, zone, told)
        else:
            draft = self._on_ticket(entry, fields, zone, told)
        return None if told.errors else draft

    def _fields(self, entry: Entry, told: _Told) -> dict[str, Json] | None:
        if entry.cells is None:
            assert entry.value is not None
            if entry.block is not None and entry.block.template is not None:
                row = {name: str(value) for name, value in entry.value.items() if _is_cell(value)}
                return self._rendered(entry, entry.block, tuple(entry.value), row, told)
            fields = entry.value
        else:
            assert entry.sheet is not None and entry.block is not None
            if entry.block.template is not None:
                sheet = entry.sheet
                row = {name: cell for name, cell in zip(sheet.names, entry.cells, strict=True) if cell}
                return self._rendered(entry, entry.block, sheet.names, row, told)
            plan = self._plan(entry.sheet)
            if plan.troubles:
                return None
            troubles: list[CellTrouble] = []
            fields = plan.values(entry.cells, troubles)
            for trouble in troubles:
                told.cell(trouble)
        return self._with_key(entry, fields, told)

    def _plan(self, sheet: Sheet) -> SheetPlan:
        known = self._plans.get(id(sheet))
        if known is None:
            known = sheet, SheetPlan(sheet.columns, sheet.names, sheet.block.key)
            self._plans[id(sheet)] = known
            for trouble in known[1].troubles:
                place = sheet.place
                self.report(finding(trouble.rule, trouble.message, trouble.hint, place, (trouble.column,)))
        return known[1]

    def _with_key(self, entry: Entry, fields: dict[str, Json], told: _Told) -> dict[str, Json]:
        block = entry.block
        if block is None or block.key is None:
            return fields
        key: str | None = None
        if entry.cells is not None and entry.sheet is not None:
            index = self._plan(entry.sheet).key_index if block.template is None else _index(entry.sheet, block.key)
            key = entry.cells[index] if index is not None else None
        elif entry.value is not None:
            key = str(entry.value.get(block.key) or "")
        if not key:
            message = f"`key: {block.key}` names a column that is missing or empty here"
            told.add(Trouble("BM116", ("key",), message, "fill in the cell: a key identifies the entry for ever"))
            return fields
        return {**fields, "key": key}

    def _rendered(
        self, entry: Entry, block: Block, columns: tuple[str, ...], row: dict[str, str], told: _Told
    ) -> dict[str, Json] | None:
        template = self._template(block, columns)
        if template.troubles:
            return None
        fields, troubles = template.render(row)
        for trouble in troubles:
            told.add(Trouble(trouble.rule, trouble.path, trouble.message, trouble.hint))
        if troubles:
            return None
        return self._with_key(entry, told.read_texts(fields), told)

    def _template(self, block: Block, columns: tuple[str, ...]) -> Any:
        from bulkmsg.template import Template  # here: a batch without templates never pays for its import

        name = (id(block), columns)
        if name not in self._templates:
            template = Template(block.template or {}, columns)
            self._templates[name] = block, template
            for trouble in template.troubles:
                path = ("template", *trouble.path)
                self.report(
                    finding(trouble.rule, trouble.message, trouble.hint, block.place, path, prefix=block.prefix)
                )
        return self._templates[name][1]

    # -- a message on an existing ticket ---------------------------------------------------------------------------

    def _on_ticket(self, entry: Entry, fields: dict[str, Json], zone: ZoneInfo | None, told: _Told) -> Draft | None:
        kind = self._kind(fields, told, ())
        if kind is None:
            return None
        merged = self._merged(kind, fields, zone, told, ())
        self._check(kind, merged, self._rules[kind].on_ticket, told, ())
        if told.errors:
            return None
        if "ticket_external_id" in merged:
            hint = "give `ticket_id`, the number in the ticket's address in the helpdesk"
            told.add(Trouble("BM701", ("ticket_external_id",), "tickets are not yet found by their external id", hint))
            return None
        return Draft(
            kind, self._body(kind, merged), merged["ticket_id"], entry, merged.get("key"), (), self.header.mode
        )

    def _kind(self, fields: dict[str, Json], told: _Told, path: Path) -> Kind | None:
        name = fields.get("type", self.header.defaults.get("type"))
        kind = _KINDS.get(name) if isinstance(name, str) else None
        if kind is None:
            missing = name is None
            message = "the entry does not say its type" if missing else f"{str(name)[:40]!r} is no type of message"
            hint = "write `type: incoming`, `type: outgoing` or `type: internal-note`"
            told.add(Trouble("BM208", path if missing else (*path, "type"), message, hint))
        return kind

    def _merged(
        self, kind: Kind, fields: dict[str, Json], zone: ZoneInfo | None, told: _Told, path: Path
    ) -> dict[str, Json]:
        merged = merge(self._rules[kind].base, fields)
        merged["type"] = kind.value
        for trouble in checks.normalise_dates(merged, values.MESSAGE_DATES, zone):
            told.add(trouble, path)
        return merged

    def _check(self, kind: Kind, merged: dict[str, Json], checker: schema.Checker, told: _Told, path: Path) -> None:
        for trouble in checks.message_troubles(kind, self.header.mode, merged, self._tomorrow):
            told.add(trouble, path)
        if self.secrets:
            for trouble in checks.secret_troubles(merged, self.secrets):
                told.add(trouble, path)
        if not checker.is_valid(merged):
            told.violations(checker.violations(merged), path)

    def _body(self, kind: Kind, merged: dict[str, Json]) -> dict[str, Json]:
        body = {name: value for name, value in merged.items() if name not in _NOT_BODY}
        body["from_agent"] = kind is not Kind.INCOMING
        body.setdefault("via", "api")
        if kind is Kind.INTERNAL_NOTE:
            body["channel"] = "internal-note"
        if self.header.mode is Mode.IMPORT and "sent_datetime" in body:
            body.setdefault("created_datetime", body["sent_datetime"])
        return body

    # -- a message in a new ticket ---------------------------------------------------------------------------------

    def _in_new_ticket(self, entry: Entry, fields: dict[str, Json], zone: ZoneInfo | None, told: _Told) -> Draft | None:
        ticket, written, path = self._split(entry, fields, told)
        if written is None:
            return None
        kind = self._kind(written, told, path)
        if kind is None:
            return None
        ticket = merge(self._ticket_base, ticket)
        for trouble in checks.normalise_dates(ticket, values.TICKET_DATES, zone):
            told.add(trouble)
        merged = self._merged(kind, written, zone, told, path)
        inherited = self._inherit(ticket, merged)
        self._check(kind, merged, self._rules[kind].in_ticket, told, path)
        self._check_ticket(ticket, merged, told)
        if told.errors:
            return None
        body = self._body(kind, merged)
        key = merged.get("key") or ticket.get("key")
        draft = TicketDraft(
            _ticket_fields(ticket, body, self.header.mode), ticket.get("external_id"), ticket.get("key")
        )
        return Draft(kind, body, draft, entry, key, inherited, self.header.mode)

    def _split(
        self, entry: Entry, fields: dict[str, Json], told: _Told
    ) -> tuple[dict[str, Json], dict[str, Json] | None, Path]:
        """The ticket's own fields, its message's fields, and where the message stands in the entry."""
        if entry.cells is not None and (entry.block is None or entry.block.template is None):
            own = fields.get("ticket") or {}
            return own, {name: value for name, value in fields.items() if name != "ticket"}, ()
        ticket = {name: value for name, value in fields.items() if name != "messages"}
        messages = fields.get("messages")
        if not isinstance(messages, list) or not messages:
            hint = "write `messages:` with one message below it: a ticket cannot exist without one"
            told.add(Trouble("BM202", (), "the new ticket has no message", hint))
            return ticket, None, ()
        if len(messages) > 1:
            hint = "keep its first message here; the others can follow under `messages:` once the ticket has its id"
            told.add(Trouble("BM702", ("messages", 1), "a new ticket can hold one message in this version", hint))
            return ticket, None, ()
        if not isinstance(messages[0], dict):
            told.add(Trouble("BM203", ("messages", 0), "a message must be a mapping of fields", "begin with `type:`"))
            return ticket, None, ()
        return ticket, messages[0], ("messages", 0)

    def _inherit(self, ticket: dict[str, Json], merged: dict[str, Json]) -> tuple[str, ...]:
        if "subject" in merged or not isinstance(ticket.get("subject"), str):
            return ()
        merged["subject"] = ticket["subject"]
        return ("subject",)

    def _check_ticket(self, ticket: dict[str, Json], merged: dict[str, Json], told: _Told) -> None:
        for trouble in checks.ticket_troubles(ticket, self.header.mode):
            told.add(trouble)
        if self.secrets:
            for trouble in checks.secret_troubles(ticket, self.secrets):
                told.add(trouble)
        whole = {**ticket, "messages": [merged]}
        if not self._ticket_checker.is_valid(whole):
            found = self._ticket_checker.violations(whole)
            told.violations([item for item in found if item.path[:1] != ("messages",)], ())


def _is_cell(value: Json) -> bool:
    return value is not None and value != "" and not isinstance(value, dict | list)


def _index(sheet: Sheet, key: str) -> int | None:
    for names in (sheet.names, sheet.columns):
        if key in names:
            return names.index(key)
    return None


def _ticket_fields(ticket: dict[str, Json], body: dict[str, Json], mode: Mode) -> dict[str, Json]:
    """The request's body without `messages` and `external_id` (Gorgias reference, "Create a ticket")."""
    fields = {name: value for name, value in ticket.items() if name not in ("key", "external_id")}
    if isinstance(fields.get("tags"), list):
        fields["tags"] = [{"name": name} for name in fields["tags"]]
    for name in ("channel", "via", "from_agent"):
        fields.setdefault(name, body[name])
    if "customer" not in fields and (customer := _customer_of(body)):
        fields["customer"] = customer
    if mode is Mode.IMPORT:
        fields["imported"] = True
    return fields


def _customer_of(body: dict[str, Json]) -> dict[str, Json] | None:
    """The reference to a ticket's customer: the sender of an incoming message, the recipient of an outgoing one."""
    if body["channel"] == "internal-note":
        return None
    person = body.get("receiver" if body["from_agent"] else "sender")
    if isinstance(person, dict):
        return {name: person[name] for name in ("id", "email") if name in person} or None
    listed = (body.get("source") or {}).get("to") or []
    address = listed[0].get("address") if listed else None
    return {"email": address} if address and values.is_address(address) else None


@dataclass(slots=True)
class _Told:
    """The findings of one entry on their way out: puts each at its place, once, the better of two at the same spot."""

    assembly: Assembly
    entry: Entry
    errors: int = 0
    spots: set[Path] = field(default_factory=set)
    given: set[Path] = field(default_factory=set)

    def cell(self, trouble: CellTrouble) -> None:
        place = self.entry.place
        self._report(finding(trouble.rule, trouble.message, trouble.hint, place, (trouble.column,)))
        self.given.add(tuple(trouble.column.split(".")))

    def add(self, trouble: Trouble, prefix: Path = ()) -> None:
        path = (*prefix, *trouble.path)
        self.spots.add(path)
        severity = trouble.severity or RULES[trouble.rule].severity
        self._report(self._at(trouble.rule, trouble.message, trouble.hint, path, severity))

    def violations(self, found: Iterable[schema.Violation], prefix: Path) -> None:
        for item in found:
            path = (*prefix, *item.path)
            rule = _rule_of(item)
            if (rule in ("BM205", "BM206") and path in self.spots) or self._is_unreadable_cell(item):
                continue
            named = item.keyword == "additionalProperties" and item.field is not None
            whole = (*path, item.field) if named and item.field is not None else path
            self._report(self._at(rule, item.message, item.hint, whole, Severity.ERROR, name=named))

    def _is_unreadable_cell(self, item: schema.Violation) -> bool:
        """A field that is missing only because its cell could not be read was told already."""
        return item.field is not None and (*item.path, item.field) in self.given

    def read_texts(self, fields: dict[str, Json]) -> dict[str, Json]:
        """A template's results that the schema wants as numbers, read like cells."""
        found, wrong = read_rendered(fields, in_ticket=self.entry.section == "tickets")
        for path, expected in wrong:
            hint = "check the column that fills it in"
            self.add(Trouble("BM113", path, f"`{path_text(path)}` must be {expected}", hint))
        return found

    def _report(self, diagnostic: Diagnostic) -> None:
        self.errors += diagnostic.is_error
        spot = (diagnostic.rule, diagnostic.file, diagnostic.line, diagnostic.column, diagnostic.message)
        if self.entry.block is not None and diagnostic.line != self.entry.place.line:
            if spot in self.assembly._said:
                return
            self.assembly._said.add(spot)
        self.assembly.report(diagnostic)

    def _at(
        self, rule: str, message: str, hint: str, path: Path, severity: Severity, *, name: bool = False
    ) -> Diagnostic:
        place, inner, prefix = self._origin(rule, path)
        return finding(rule, message, hint, place, inner, name=name, prefix=prefix, severity=severity)

    def _origin(self, rule: str, path: Path) -> tuple[Place, Path, Path]:
        """Where the user must change something for the value at `path`: its place, its path there, and the prefix."""
        entry, block = self.entry, self.entry.block
        if block is not None and block.template is not None:
            if rule in _STRUCTURAL:
                return block.place, ("template", *path), block.prefix
            return entry.place, (), ()
        if entry.cells is not None and entry.sheet is not None:
            column = self.assembly._plan(entry.sheet).column_of(path)
            return entry.place, (column,) if column else (), ()
        if path and not _holds(entry.value, path[:1]):
            found = self._default(path)
            if found is not None:
                return found
        return entry.place, path, entry.prefix

    def _default(self, path: Path) -> tuple[Place, Path, Path] | None:
        defaults = self.assembly.header.defaults
        name = (self.entry.value or {}).get("type", defaults.get("type"))
        place = self.assembly.header.place("defaults")
        if isinstance(name, str) and _holds(defaults, (name, path[0])):
            return place, (name, *path), ("defaults",)
        return (place, path, ("defaults",)) if _holds(defaults, path[:1]) else None


def _holds(value: Json, path: Path) -> bool:
    for part in path:
        if not isinstance(value, dict) or part not in value:
            return False
        value = value[part]
    return True


def _rule_of(item: schema.Violation) -> str:
    if item.field in ("sent_datetime", "created_datetime") and item.keyword in ("required", "anyOf"):
        return "BM301"
    last = item.field or (item.path[-1] if item.path else "")
    if last == "sent_datetime" and item.keyword == "not":
        return "BM302"
    if last in ("from_agent", "public") and item.keyword in ("const", "enum"):
        return "BM304"
    if last in ("ticket_id", "ticket_external_id") and item.keyword in ("not", "required", "anyOf"):
        return "BM701"
    if item.keyword == "anyOf" and item.field is not None:
        return "BM202"
    return _KEYWORD_RULES.get(item.keyword, "BM207")
