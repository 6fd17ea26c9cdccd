"""HubSpot: threads of the conversations inbox with their messages, actors and contacts, as its API gives them."""

from __future__ import annotations

import re
from collections.abc import Iterable, Iterator

from bulkmsg.converters.lists import Pages
from bulkmsg.converters.order import oldest_first
from bulkmsg.converters.texts import addresses, id_text, items, mapping, one_line, text, time_text
from bulkmsg.converters.times import utc
from bulkmsg.converters.words import (
    About,
    Address,
    Facts,
    File,
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
    "HubSpot conversations",
    (
        "pages of the API: messages of threads, threads, actors",
        "contacts of the CRM, for the addresses of visitors",
    ),
    (
        (Sureness.RECORDED, "messages of e-mail, and events of assignment"),
        (Sureness.DOCUMENTED, "threads, actors, comments, messages of other channels"),
    ),
    instead="give messages of threads as JSON, with threads and actors (docs/convert-hubspot.md says how); tickets of "
    "the CRM hold no messages",
)
_ACTOR = re.compile(r"[AVBEISL]-\S")
_EVENTS = frozenset({"ASSIGNMENT", "THREAD_STATUS_CHANGE", "THREAD_INBOX_CHANGE"})
_MESSAGE, _COMMENT, _WELCOME = "MESSAGE", "COMMENT", "WELCOME_MESSAGE"
_AUTOMATIC = frozenset("BISL")  # bot, integration, system, artificial agent
_EMAIL = "HS_EMAIL_ADDRESS"


class Hubspot:
    """See `words.Converter`."""

    def __init__(self, reading: Reading) -> None:
        self.reading = reading
        self.pages = Pages()

    # What a record is.

    def sort(self, record: Record) -> Iterable[Sorted]:
        value = record.value
        kind = _kind_of(value)
        ticket = id_text(value.get("conversationsThreadId")) or self.reading.ticket
        more = bool(mapping(record.page.get("paging")).get("next"))
        self.pages.see(record, f"{kind}s of {ticket}" if kind == "message" else f"{kind}s", more)
        id = id_text(value.get("id"))
        if not id and kind != "unknown":
            return [Finding("no-id", f"a {kind} without an id", "fetch them once more, with their ids")]
        match kind:
            case "message":
                return [self._message(value, id, ticket)]
            case "thread":
                return [Facts(id, value, time_text(value.get("latestMessageTimestamp")))]
            case "actor":
                return list(_actor(value, id))
            case "contact":
                return [_contact(mapping(value.get("properties")), id)]
        return [Skip("a record of another kind (unknown)")]

    def _message(self, value: dict[str, Json], id: str, ticket: str) -> Sorted:
        kind = text(value.get("type"))
        if kind in _EVENTS:
            return Skip(f"event {kind}")
        if kind not in (_MESSAGE, _COMMENT, _WELCOME):
            return Skip(f"event {one_line(kind)[:60] or 'without a type'}")
        if not ticket:
            hint = "fetch messages with their conversationsThreadId, or give --ticket"
            return Finding("ticket-unknown", "the message does not say which thread it belongs to", hint)
        return Piece(ticket, id, value, time_text(value.get("updatedAt")))

    # What a thread says.

    def talk(self, thread: Thread, people: People) -> Talk:
        return _Ticket(self.reading, thread, people).talk()

    def close(self) -> Iterator[Note]:
        yield from self.pages.close()


def _kind_of(value: dict[str, Json]) -> str:
    if "conversationsThreadId" in value or "truncationStatus" in value:
        return "message"
    if _ACTOR.match(id_text(value.get("id"))):
        return "actor"
    if "inboxId" in value or "originalChannelId" in value:
        return "thread"
    return "contact" if "email" in mapping(value.get("properties")) else "unknown"


def _actor(value: dict[str, Json], id: str) -> Iterator[Sorted]:
    """An agent is known by his address as well: he may write from his own mailbox."""
    email = text(value.get("email")).strip()
    side = _side(id)
    yield Person(id, side, email, one_line(value.get("name")))
    if side is Side.STAFF and email:
        yield Person(email.lower(), side, email, one_line(value.get("name")))


def _contact(properties: dict[str, Json], id: str) -> Person:
    """The actor of a visitor who is a contact is numbered like the contact (HubSpot changelog, "Changes to Actors")."""
    name = one_line(f"{text(properties.get('firstname'))} {text(properties.get('lastname'))}")
    return Person(f"V-{id}", Side.CUSTOMER, text(properties.get("email")).strip(), name)


def _side(actor: str) -> Side:
    if actor[:1] in _AUTOMATIC:
        return Side.BOT
    return Side.STAFF if actor[:1] == "A" else Side.CUSTOMER


class _Ticket:
    """One thread with its messages and comments."""

    def __init__(self, reading: Reading, thread: Thread, people: People) -> None:
        self.reading = reading
        self.thread = thread
        self.people = people
        self.facts: dict[str, Json] = thread.facts.value if thread.facts else {}
        self.pieces = oldest_first(thread.pieces, _moment)

    def talk(self) -> Talk:
        facts, thread = self.facts, self.thread
        reason = "its thread is spam" if facts.get("spam") is True else ""
        reason = "its thread is archived, which is HubSpot's word for deleted" if facts.get("archived") else reason
        turns: list[Turn | Placed] = [
            Placed(Skip(reason), piece.file, piece.line) if reason else self._turn(piece) for piece in self.pieces
        ]
        if not turns and thread.facts is not None:
            why = reason or "a thread whose messages are not in the export"
            turns = [Placed(Skip(why), thread.facts.file, thread.facts.line)]
        return Talk(
            thread.ticket,
            turns,
            subject=next(filter(None, (text(piece.value.get("subject")) for piece in self.pieces)), ""),
            status=text(facts.get("status")),
            customer=self._customer(),
            assignee=self._staff(id_text(facts.get("assignedTo"))),
            mailbox=self._mailbox(),
            created=time_text(facts.get("createdAt")),
            closed=time_text(facts.get("closedAt")),
        )

    def _customer(self) -> Person | None:
        """The contact of the thread; his address also from what he sent or was sent."""
        contact = id_text(self.facts.get("associatedContactId"))
        known = self.people.get(f"V-{contact}") if contact else None
        if known is not None and known.email:
            return known
        for kind, role in ((Kind.INCOMING, "senders"), (Kind.OUTGOING, "recipients")):
            for piece in self.pieces:
                others = items(piece.value.get(role)) if self._kind(piece.value) is kind else []
                if others:
                    return self._somebody(others[0])
        return known or (Person(f"V-{contact}", Side.CUSTOMER) if contact else None)

    def _somebody(self, party: dict[str, Json]) -> Person:
        """A customer by his actor, with the address that stands beside it, or stood in it in older dumps."""
        actor = id_text(party.get("actorId"))
        known = self.people.get(actor) if actor else None
        found = _mail(party)
        name = one_line(party.get("name")) or (known.name if known else "")
        if found is not None:
            return Person(actor or found.address.lower(), Side.CUSTOMER, found.address, name)
        return known or Person(actor or f"{self.thread.ticket}-{name or 'unnamed'}", Side.CUSTOMER, "", name)

    def _staff(self, actor: str) -> Person | None:
        if not actor:
            return None
        known = self.people.get(actor)
        return known or Person(actor, Side.BOT if actor[:1] in _AUTOMATIC else Side.STAFF)

    def _mailbox(self) -> Address | None:
        for piece in self.pieces:
            incoming = self._kind(piece.value) is Kind.INCOMING
            found = _ends(piece.value, "TO") if incoming else _senders(piece.value)
            if found and self._kind(piece.value) in (Kind.INCOMING, Kind.OUTGOING):
                return found[0]
        return None

    # A message or a comment.

    def _turn(self, piece: Stored) -> Turn | Placed:
        value = piece.value
        kind = self._kind(value)
        if isinstance(kind, Skip | Finding):
            return Placed(kind, piece.file, piece.line)
        is_note = kind is Kind.INTERNAL_NOTE
        sender = _senders(value)
        return Turn(
            f"message-{piece.id}",
            kind,
            self._author(value, kind),
            _time(value),
            piece.file,
            piece.line,
            html=text(value.get("richText")),
            text=text(value.get("text")),
            subject=text(value.get("subject")),
            channel="email" if _is_mail(value) else "chat",
            sender_address=sender[0] if sender and not is_note else None,
            to=() if is_note else _ends(value, "TO"),
            cc=() if is_note else _ends(value, "CC"),
            bcc=() if is_note else _ends(value, "BCC"),
            attachments=tuple(_files(value)),
            flags=tuple(_flags(value, kind)),
            notes=tuple(self._notes(value, kind)),
        )

    def _kind(self, value: dict[str, Json]) -> Kind | Skip | Finding:
        """The first row of the table that fits."""
        if value.get("archived") is True:
            return Skip("archived, which is HubSpot's word for deleted")
        if value.get("type") == _COMMENT:
            return self._of_bots(value, Kind.INTERNAL_NOTE)
        if value.get("type") == _WELCOME or self._is_by_staff(value):
            return self._of_bots(value, Kind.OUTGOING)
        match value.get("direction"):
            case "INCOMING":
                return Kind.INCOMING
            case "OUTGOING":
                return self._of_bots(value, Kind.OUTGOING)
        hint = "fetch the messages once more, with all their fields"
        return Finding("direction-unknown", "the message does not say whether it came in or went out", hint)

    def _of_bots(self, value: dict[str, Json], kind: Kind) -> Kind | Skip:
        if not _is_automatic(value) or self.reading.bots == "outgoing":
            return kind
        return Skip("written by an automation") if self.reading.bots == "skip" else Kind.INTERNAL_NOTE

    def _is_by_staff(self, value: dict[str, Json]) -> bool:
        """Whether an agent sent it. A reply from his own mailbox comes in by its direction, yet the customer got it."""
        if self.reading.requester_wins and value.get("direction") == "INCOMING" and self._is_by_contact(value):
            return False
        if _actor_of(value)[:1] == "A":
            return True
        known = next((self.people.get(end.address.lower()) for end in _senders(value)), None)
        return known is not None and known.side is Side.STAFF

    def _is_by_contact(self, value: dict[str, Json]) -> bool:
        """Whether the thread's own contact sent it: staff may ask for help, too."""
        contact = self.people.get(f"V-{id_text(self.facts.get('associatedContactId'))}")
        ends = [end.address.lower() for end in _senders(value)]
        return contact is not None and contact.email.lower() in ends

    def _author(self, value: dict[str, Json], kind: Kind) -> Person | None:
        senders = items(value.get("senders"))
        if kind is Kind.INCOMING:
            return self._somebody(senders[0]) if senders else None
        actor = _actor_of(value)
        if _is_automatic(value):
            return Person(actor or "automation", Side.BOT, "", _name(value) or "automation")
        if actor[:1] == "A":
            return self._staff(actor)
        end = next(iter(_senders(value)), None)
        return Person(end.address.lower(), Side.STAFF, end.address, _name(value)) if end else None

    def _notes(self, value: dict[str, Json], kind: Kind) -> Iterator[Note]:
        if _is_cut(value):
            yield Note("body-cut", "HubSpot cut a body; fetch its original-content and put it in before converting")
        if mapping(value.get("status")).get("statusType") == "FAILED":
            yield Note("failed-to-send", "HubSpot could not send a message; it is kept")
        if kind is Kind.OUTGOING and value.get("direction") == "INCOMING":
            yield Note("sent-by-staff", "a message came in by its direction, but an agent sent it: it goes out")


# Parts of messages.


def _time(value: dict[str, Json]) -> str:
    return time_text(value.get("createdAt"))


def _moment(piece: Stored) -> str:
    return utc(_time(piece.value)) or ""


def _actor_of(value: dict[str, Json]) -> str:
    """Who wrote it: the first sender, else who made the record."""
    sender = next(iter(items(value.get("senders"))), {})
    return id_text(sender.get("actorId")) or ("" if sender else id_text(value.get("createdBy")))


def _is_automatic(value: dict[str, Json]) -> bool:
    return value.get("type") == _WELCOME or _actor_of(value)[:1] in _AUTOMATIC


def _is_cut(value: dict[str, Json]) -> bool:
    return text(value.get("truncationStatus")) not in ("", "NOT_TRUNCATED")


def _flags(value: dict[str, Json], kind: Kind) -> Iterator[str]:
    if kind is not Kind.INCOMING and _is_automatic(value):
        yield "automation"
    if _is_cut(value):
        yield "body-cut"


def _name(value: dict[str, Json]) -> str:
    return next((one_line(each.get("name")) for each in items(value.get("senders"))), "")


def _identifiers(party: dict[str, Json]) -> list[dict[str, Json]]:
    """One, or in older dumps several."""
    return [mapping(party.get("deliveryIdentifier")), *items(party.get("deliveryIdentifiers"))]


def _mail(party: dict[str, Json]) -> Address | None:
    words = [text(each.get("value")) for each in _identifiers(party) if each.get("type") == _EMAIL]
    actor = id_text(party.get("actorId"))
    found = addresses([*words, *([actor[2:]] if actor.startswith("E-") else [])])
    return Address(found[0].address, one_line(party.get("name"))) if found else None


def _senders(value: dict[str, Json]) -> tuple[Address, ...]:
    return tuple(filter(None, map(_mail, items(value.get("senders")))))


def _ends(value: dict[str, Json], role: str) -> tuple[Address, ...]:
    parties = (each for each in items(value.get("recipients")) if (text(each.get("recipientField")) or "TO") == role)
    return tuple(filter(None, map(_mail, parties)))


def _is_mail(value: dict[str, Json]) -> bool:
    return any(_mail(each) for each in (*items(value.get("senders")), *items(value.get("recipients"))))


def _files(value: dict[str, Json]) -> Iterator[File]:
    yield from (File(text(each.get("url")), text(each.get("name"))) for each in items(value.get("attachments")))
