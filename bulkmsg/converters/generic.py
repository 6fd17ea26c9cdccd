"""Any NDJSON or CSV, by a declarative file that says what its fields mean (schemas/mapping.schema.json)."""

from __future__ import annotations

from collections.abc import Iterable, Iterator

from bulkmsg.converters.texts import addresses, id_text, items, one_line, text, time_text
from bulkmsg.converters.words import (
    About,
    Facts,
    File,
    Finding,
    Input,
    Note,
    People,
    Person,
    Piece,
    Placed,
    Reading,
    Side,
    Skip,
    Sorted,
    Stored,
    Sureness,
    Talk,
    Thread,
    Turn,
)
from bulkmsg.message import Kind
from bulkmsg.readers.records import Record
from bulkmsg.source import Json

ABOUT = About(
    "anything, by a mapping",
    ("NDJSON, JSON lists and CSV tables whose fields --mapping map.yaml explains (docs/convert.md)",),
    (
        (
            Sureness.DOCUMENTED,
            "your mapping says what the fields mean; schemas/mapping.schema.json says how to write it",
        ),
    ),
    Input.TABLE,
    "check with one record that the paths of the mapping are those of the file",
)
_KINDS = frozenset(kind.value for kind in Kind)
_PRIORITIES = frozenset({"low", "normal", "high", "critical"})
Mapping = dict[str, Json]


class Generic:
    """See `words.Converter`."""

    def __init__(self, reading: Reading) -> None:
        self.mapping: Mapping = reading.mapping or {}
        self.message: Mapping = self.mapping.get("message", {})
        self.facts: Mapping = self.mapping.get("ticket", {})

    def sort(self, record: Record) -> Iterable[Sorted]:
        value = record.value
        reason = self._skipped(value)
        if reason:
            return [Skip(reason)]
        match self._kind(value):
            case "message":
                return [self._message(value)]
            case "ticket":
                return [Facts(self._id(self.facts.get("id"), value), value, "")]
            case "person":
                return [self._person(value)]
            case "skip":
                return [Skip("a kind of record that the mapping skips")]
        hint = "name its value under kind.values of the mapping"
        return [Finding("kind-unknown", "the mapping does not say what this kind of record is", hint)]

    def _skipped(self, value: Json) -> str:
        for rule in self.mapping.get("skip", []):
            if key(at(value, rule["path"])) == key(rule["equals"]):
                return str(rule["reason"])
        return ""

    def _kind(self, value: Json) -> str:
        rule = self.mapping.get("kind")
        return "message" if rule is None else str(rule["values"].get(key(at(value, rule["path"])), ""))

    def _message(self, value: Json) -> Sorted:
        ticket, id = self._id(self.message["ticket"], value), self._id(self.message["id"], value)
        if not ticket or not id:
            name = "id" if ticket else "ticket"
            return Finding(
                f"no-{name}", f"the record has no {name}", f"check the path of message.{name} in the mapping"
            )
        return Piece(ticket, id, value)

    def _person(self, value: Json) -> Sorted:
        rules = self.mapping.get("person")
        side = id_text(looked(rules.get("side"), value)) if rules else ""
        if rules is None or side not in (Side.CUSTOMER, Side.STAFF):
            return Finding("no-side", "the person is neither customer nor staff", "map it under person.side.values")
        return _named(rules, value, Side(side)) or Finding(
            "no-id", "the person has no id", "check person.id in the mapping"
        )

    def _id(self, rule: Json, value: Json) -> str:
        return id_text(looked(rule, value))

    def talk(self, thread: Thread, people: People) -> Talk:
        own = thread.facts.value if thread.facts else thread.pieces[0].value
        turns: list[Turn | Placed] = [self._turn(piece, people) for piece in thread.pieces]
        if not turns:
            assert thread.facts is not None  # a thread holds pieces or facts
            turns = [Placed(Skip("a ticket without any message"), thread.facts.file, thread.facts.line)]
        priority = id_text(looked(self.facts.get("priority"), own))
        box = addresses(looked(self.facts.get("mailbox"), own))
        return Talk(
            thread.ticket,
            turns,
            subject=text(looked(self.facts.get("subject"), own)),
            status=id_text(looked(self.facts.get("status"), own)),
            priority=priority if priority in _PRIORITIES else "",
            tags=tuple(_list(looked(self.facts.get("tags"), own))),
            customer=self._customer(thread, own, people),
            assignee=self._known(self.facts.get("assignee"), own, Side.STAFF, people),
            fields=own,
            mailbox=box[0] if box else None,
            created=time_text(looked(self.facts.get("created"), own)),
        )

    def _customer(self, thread: Thread, own: Json, people: People) -> Person | None:
        found = self._known(self.facts.get("customer"), own, Side.CUSTOMER, people)
        for piece in thread.pieces:
            if found is not None:
                break
            found = self._known(self.message.get("customer"), piece.value, Side.CUSTOMER, people)
            if found is None and looked(self.message["type"], piece.value) == Kind.INCOMING:
                found = self._known(self.message.get("author"), piece.value, Side.CUSTOMER, people)
        return found

    def _known(self, rules: Json, value: Json, side: Side, people: People) -> Person | None:
        """The person that a record names: as the people's records have it, else as it stands there."""
        if not rules:
            return None
        named = _named(rules, value, side)
        return (people.get(named.id) or named) if named else None

    def _turn(self, piece: Stored, people: People) -> Turn | Placed:
        value, rules = piece.value, self.message
        kind = id_text(looked(rules["type"], value))
        if kind not in _KINDS:
            hint = "map every value under message.type.values, to incoming, outgoing or internal-note"
            return Placed(Finding("type-unknown", "the record's type is not mapped", hint), piece.file, piece.line)
        side = Side.CUSTOMER if kind == Kind.INCOMING else Side.STAFF
        ends = addresses(looked(rules.get("from"), value))
        return Turn(
            piece.id,
            Kind(kind),
            self._known(rules.get("author"), value, side, people),
            _time(looked(rules["sent"], value)),
            piece.file,
            piece.line,
            html=text(looked(rules.get("html"), value)),
            text=text(looked(rules.get("text"), value)),
            subject=text(looked(rules.get("subject"), value)),
            channel=id_text(looked(rules.get("channel"), value)) or "email",
            sender_address=ends[0] if ends else None,
            to=addresses(looked(rules.get("to"), value)),
            cc=addresses(looked(rules.get("cc"), value)),
            bcc=addresses(looked(rules.get("bcc"), value)),
            attachments=tuple(_files(rules.get("attachments"), value)),
        )

    def close(self) -> Iterator[Note]:
        yield from ()


def looked(rule: Json, record: Json) -> Json:
    """The value that a rule of the mapping finds in a record; None for none."""
    if rule is None:
        return None
    if isinstance(rule, str):
        return at(record, rule)
    if "value" in rule:
        return rule["value"]
    found = at(record, rule["path"])
    if "values" in rule:
        return rule["values"].get(key(found), rule.get("default"))
    return rule.get("default") if found is None else found


def at(record: Json, path: str) -> Json:
    """The value at a dotted path; a name that holds dots itself, as a CSV's column may, comes first."""
    if isinstance(record, dict) and path in record:
        return record[path]
    for part in path.split("."):
        if isinstance(record, dict):
            record = record.get(part)
        elif isinstance(record, list) and part.isdigit() and int(part) < len(record):
            record = record[int(part)]
        else:
            return None
    return record


def _named(rules: Mapping, value: Json, side: Side) -> Person | None:
    email = text(looked(rules.get("email"), value)).strip()
    id = id_text(looked(rules.get("id"), value)) or email.lower()
    return Person(id, side, email, one_line(looked(rules.get("name"), value))) if id else None


def key(value: Json) -> str:
    """A value as the keys of a mapping write it."""
    if isinstance(value, bool):
        return "true" if value else "false"
    return "null" if value is None else id_text(value)


def _time(value: Json) -> str:
    """A time; a cell of a table that holds digits only is a number."""
    digits = value if isinstance(value, str) and value.isascii() and value.isdigit() and len(value) > 8 else None
    return time_text(int(digits) if digits else value)


def _list(value: Json) -> list[str]:
    words = value.split(",") if isinstance(value, str) else value if isinstance(value, list) else []
    return [each.strip() for each in words if isinstance(each, str)]


def _files(rules: Json, value: Json) -> Iterator[File]:
    for each in items(at(value, rules["path"])) if rules else ():
        size = at(each, rules["size"]) if "size" in rules else None
        name, kind = (text(at(each, rules[key])) if key in rules else "" for key in ("name", "content_type"))
        known = size if isinstance(size, int) and size >= 0 else None
        yield File(text(at(each, rules["url"])), name, kind or "application/octet-stream", known)
