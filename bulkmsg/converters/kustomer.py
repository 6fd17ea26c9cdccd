"""Kustomer: conversations, messages, notes, users and customers as JSON:API resources."""

from __future__ import annotations

from collections.abc import Iterable, Iterator

from bulkmsg.converters.lists import Pages
from bulkmsg.converters.order import oldest_first
from bulkmsg.converters.texts import addresses, id_text, items, mapping, one_line, text, time_text
from bulkmsg.converters.times import utc
from bulkmsg.converters.words import (
    About,
    Address,
    Facts,
    Finding,
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
    "Kustomer",
    (
        "pages of the API (JSON:API): messages, notes, conversations, users, customers",
        "what such pages hold under `included`, and webhook events with the resource under `data`",
    ),
    (
        (Sureness.RECORDED, "the frame of a message, its addresses, a conversation's own fields"),
        (Sureness.DOCUMENTED, "notes, drafts, users, customers"),
    ),
    instead="give messages and notes of the API as JSON, with conversations, users and customers "
    "(docs/convert-kustomer.md says how)",
)
_KINDS = frozenset({"message", "note", "conversation", "user", "customer"})
_CHANNELS = {
    "email": "email",
    "sms": "sms",
    "chat": "chat",
    "voice": "phone",
    "whatsapp": "whatsapp",
    "facebook": "facebook-messenger",
    "twitter-dm": "twitter-direct-message",
    "twitter-tweet": "twitter",
    "instagram": "instagram-direct-message",
    "instagram-comment": "instagram-comment",
    "form": "contact_form",
}
# 1 is the lowest and 5 the highest (Kustomer documentation, "Conversations and messages").
_PRIORITIES = {"1": "low", "2": "low", "3": "normal", "4": "high", "5": "critical"}


class Kustomer:
    """See `words.Converter`."""

    def __init__(self, reading: Reading) -> None:
        self.reading = reading
        self.pages = Pages()

    # What a record is.

    def sort(self, record: Record) -> Iterable[Sorted]:
        value = _resource(record.value)
        kind = text(value.get("type"))
        ticket = _related(value, "conversation")
        links = mapping(record.page.get("links"))
        new = self.pages.see(record, f"{kind}s of {ticket}" if ticket else f"{kind}s", bool(links.get("next")))
        beside = items(record.page.get("included")) if new else items(record.value.get("included"))
        return [each for resource in (value, *beside) for each in self._sorted(resource)]

    def _sorted(self, value: dict[str, Json]) -> Iterator[Sorted]:
        kind, id = text(value.get("type")), id_text(value.get("id"))
        if kind == "draft":
            yield Skip("a draft")
        elif kind not in _KINDS:
            yield Skip(f"a record of another kind ({one_line(kind)[:60] or 'unknown'})")
        elif not id:
            yield Finding("no-id", f"a {kind} without an id", "export once more, with ids and relationships")
        elif kind == "conversation":
            yield Facts(id, value, time_text(mapping(value.get("attributes")).get("updatedAt")))
        elif kind in ("user", "customer"):
            yield _person(id, kind, mapping(value.get("attributes")))
        else:
            yield self._piece(value, kind, id)

    def _piece(self, value: dict[str, Json], kind: str, id: str) -> Sorted:
        ticket = _related(value, "conversation") or self.reading.ticket
        if not ticket:
            hint = "keep the `relationships` of each record, or give --ticket"
            return Finding("ticket-unknown", f"the {kind} does not say which conversation it belongs to", hint)
        return Piece(ticket, f"{kind}-{id}", value, time_text(mapping(value.get("attributes")).get("updatedAt")))

    # What a conversation says.

    def talk(self, thread: Thread, people: People) -> Talk:
        return _Ticket(self.reading, thread, people).talk()

    def close(self) -> Iterator[Note]:
        yield from self.pages.close()


def _resource(value: dict[str, Json]) -> dict[str, Json]:
    """A resource by itself, out of the object around a single one, such as a webhook's event."""
    inner = value.get("data")
    return inner if isinstance(inner, dict) and "attributes" in inner else value


def _related(value: dict[str, Json], name: str, kind: str = "") -> str:
    """The id of a related resource, "" for none; if `kind` is given, of one of that kind only."""
    data = mapping(mapping(mapping(value.get("relationships")).get(name)).get("data"))
    return id_text(data.get("id")) if kind in ("", data.get("type")) else ""


def _person(id: str, kind: str, attributes: dict[str, Json]) -> Person:
    name = one_line(attributes.get("displayName")) or one_line(attributes.get("name"))
    if kind == "user":
        return Person(id, Side.STAFF, text(attributes.get("email")).strip(), name)
    mails = _ends(attributes.get("emails"))
    return Person(id, Side.CUSTOMER, mails[0].address if mails else "", name)


class _Ticket:
    """One conversation with its messages and notes."""

    def __init__(self, reading: Reading, thread: Thread, people: People) -> None:
        self.reading = reading
        self.thread = thread
        self.people = people
        self.record: dict[str, Json] = thread.facts.value if thread.facts else {}
        self.facts = mapping(self.record.get("attributes"))
        self.pieces = oldest_first(thread.pieces, _moment)

    def talk(self) -> Talk:
        facts, thread = self.facts, self.thread
        reason = "its conversation is spam" if facts.get("spam") is True else ""
        reason = "its conversation is deleted" if facts.get("deleted") else reason
        turns: list[Turn | Placed] = [
            Placed(Skip(reason), piece.file, piece.line) if reason else self._turn(piece) for piece in self.pieces
        ]
        if not turns and thread.facts is not None:
            why = reason or "a conversation whose messages are not in the export"
            turns = [Placed(Skip(why), thread.facts.file, thread.facts.line)]
        return Talk(
            thread.ticket,
            turns,
            subject=text(facts.get("name")) or self._first_subject(),
            status=text(facts.get("status")),
            priority=_PRIORITIES.get(id_text(facts.get("priority")), ""),
            customer=self._customer(),
            assignee=self._assignee(),
            fields=mapping(facts.get("custom")),
            mailbox=self._mailbox(),
            created=time_text(facts.get("createdAt")),
            updated=time_text(facts.get("updatedAt")),
        )

    def _first_subject(self) -> str:
        return next(filter(None, (_subject(piece.value) for piece in self.pieces)), "")

    def _customer(self) -> Person | None:
        """The customer by the conversation's word, else by a message's; his address also from what he sent or got."""
        id = next(filter(None, (_related(each, "customer") for each in self._records())), "")
        known = self.people.get(id) if id else None
        if known is not None and known.email:
            return known
        for direction, name in (("in", "from"), ("out", "to")):
            for piece in self.pieces:
                found = _ends(_meta(piece.value).get(name)) if _direction(piece.value) == direction else ()
                if found:
                    return Person(id or found[0].address, Side.CUSTOMER, found[0].address, known.name if known else "")
        return known or (Person(id, Side.CUSTOMER) if id else None)

    def _records(self) -> Iterator[dict[str, Json]]:
        yield self.record
        yield from (piece.value for piece in self.pieces)

    def _staff(self, id: str) -> Person | None:
        return (self.people.get(id) or Person(id, Side.STAFF)) if id else None

    def _assignee(self) -> Person | None:
        users = self.facts.get("assignedUsers")
        return self._staff(id_text(users[0])) if isinstance(users, list) and users else None

    def _mailbox(self) -> Address | None:
        for piece in self.pieces:
            if _direction(piece.value) == "out" and (found := _ends(_meta(piece.value).get("from"))):
                return found[0]
        return None

    # A message or a note.

    def _turn(self, piece: Stored) -> Turn | Placed:
        value = piece.value
        own = mapping(value.get("attributes"))
        kind = self._kind(value, own)
        if isinstance(kind, Skip | Finding):
            return Placed(kind, piece.file, piece.line)
        meta = _meta(value) if kind is not Kind.INTERNAL_NOTE else {}
        sender = _ends(meta.get("from"))
        return Turn(
            piece.id,
            kind,
            self._author(value, own, kind),
            _time(value),
            piece.file,
            piece.line,
            text=_body(own),
            subject=_subject(value),
            channel=_CHANNELS.get(text(own.get("channel")), "api" if own.get("channel") else "email"),
            sender_address=sender[0] if sender else None,
            to=_ends(meta.get("to")),
            cc=_ends(meta.get("cc")),
            bcc=_ends(meta.get("bcc")),
            flags=tuple(self._flags(own)),
            notes=tuple(self._notes(value, own)),
        )

    def _kind(self, value: dict[str, Json], own: dict[str, Json]) -> Kind | Skip | Finding:
        """The first row of the table that fits."""
        if own.get("redacted") is True and not _body(own).strip():
            return Skip("redacted")
        if not _body(own).strip() and _attached(value):
            hint = "enter its files by hand; the API gives them apart from messages"
            return Finding("attachments-only", "the message holds nothing but attachments", hint)
        if value.get("type") == "note":
            return Kind.INTERNAL_NOTE
        direction = _direction(value)
        if direction == "in":
            return Kind.INCOMING
        if direction != "out":
            hint = "export the messages once more, with all their attributes"
            return Finding("direction-unknown", "the message does not say whether it came in or went out", hint)
        if own.get("auto") is not True or self.reading.bots == "outgoing":
            return Kind.OUTGOING
        return Skip("written by an automation") if self.reading.bots == "skip" else Kind.INTERNAL_NOTE

    def _author(self, value: dict[str, Json], own: dict[str, Json], kind: Kind) -> Person | None:
        if kind is not Kind.INCOMING:
            return self._staff("" if own.get("auto") is True else _related(value, "createdBy", "user"))
        id = _related(value, "customer")
        known = self.people.get(id) if id else None
        found = _ends(_meta(value).get("from"))
        if (known is not None and known.email) or not found:
            return known or (Person(id, Side.CUSTOMER) if id else None)
        return Person(id or found[0].address, Side.CUSTOMER, found[0].address, found[0].name)

    def _flags(self, own: dict[str, Json]) -> Iterator[str]:
        if own.get("auto") is True and own.get("direction") == "out":
            yield "automation"
        if own.get("redacted") is True:
            yield "redacted"
        if self._is_merged():
            yield "merged"

    def _is_merged(self) -> bool:
        return bool(self.facts.get("mergedTarget") or _related(self.record, "mergedTarget"))

    def _notes(self, value: dict[str, Json], own: dict[str, Json]) -> Iterator[Note]:
        if own.get("error") or own.get("status") == "error":
            yield Note("failed-to-send", "Kustomer could not send a message; it is kept")
        if _attached(value):
            yield Note(
                "attachments-left-out", "a message has attachments, which the API gives apart; they are left out"
            )
        if self.facts.get("tags"):
            yield Note("tags-left-out", "a message's conversation has tags, of which the export has the ids only")


# Parts of resources.


def _meta(value: dict[str, Json]) -> dict[str, Json]:
    return mapping(mapping(value.get("attributes")).get("meta"))


def _direction(value: dict[str, Json]) -> str:
    return text(mapping(value.get("attributes")).get("direction"))


def _time(value: dict[str, Json]) -> str:
    own = mapping(value.get("attributes"))
    return time_text(own.get("sentAt") or own.get("createdAt"))


def _moment(piece: Stored) -> str:
    return utc(_time(piece.value)) or ""


def _body(own: dict[str, Json]) -> str:
    """A message's whole text is called its preview; that of a note is its body."""
    return text(own.get("preview")) or text(own.get("body"))


def _subject(value: dict[str, Json]) -> str:
    return text(mapping(value.get("attributes")).get("subject")) or text(_meta(value).get("subject"))


def _attached(value: dict[str, Json]) -> bool:
    return bool(mapping(mapping(value.get("relationships")).get("attachments")).get("data"))


def _ends(value: Json) -> tuple[Address, ...]:
    """Addresses, each a text or an object with an `email`; phone numbers are left out."""
    return addresses([text(each.get("email")) if isinstance(each, dict) else each for each in _listed(value)])


def _listed(value: Json) -> list[Json]:
    return value if isinstance(value, list) else [value] if value else []
