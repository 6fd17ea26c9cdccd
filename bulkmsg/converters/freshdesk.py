"""Freshdesk: dumps of the API (v2), and the account's export, whose JSON and XML are shaped like the old API (v1)."""

from __future__ import annotations

from collections.abc import Iterable, Iterator
from dataclasses import replace

from bulkmsg.converters import freshdesk_shapes as shapes
from bulkmsg.converters.order import oldest_first
from bulkmsg.converters.texts import addresses, flag, id_text, is_empty, items, mapping, text, time_text
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
from bulkmsg.message import Kind, canonical, short_hash
from bulkmsg.readers.records import Record
from bulkmsg.source import Json

ABOUT = About(
    "Freshdesk",
    (
        "pages of the API v2: tickets with their descriptions, conversations, agents, contacts",
        "tickets fetched with include=conversations, which hold only the first ones",
        "the account's export, a zip of JSON or XML: Tickets0, Users0, AllAgents0",
        "what Singer and Airbyte connectors write of the same",
    ),
    (
        (Sureness.RECORDED, "tickets, conversations and attachments of the API v2, notes of v1"),
        (Sureness.DOCUMENTED, "agents, contacts, kinds of conversations"),
        (Sureness.TOOLS, "the account's export"),
    ),
    instead="give tickets with their descriptions, conversations, agents and contacts (docs/convert-freshdesk.md)",
    xml=True,
)
_OUTBOUND, _CHAT = "10", "15"  # sources of tickets
_SURVEY, _FORWARD = "6", "8"  # sources of conversations, which are another list
_TICKET_CHANNELS = {"3": "phone", "5": "twitter", "6": "facebook", "7": "chat", "13": "whatsapp", "15": "chat"}
_CHANNELS = {"5": "twitter", "7": "facebook", "9": "phone"}  # of conversations
_EMBEDDED = 10  # conversations that the API embeds in a ticket at most
_INLINE = "attachment.freshdesk.com/inline/attachment?token="
_SYSTEM_ROW = "created_by:"


class Freshdesk:
    """See `words.Converter`."""

    def __init__(self, reading: Reading) -> None:
        self.reading = reading

    def sort(self, record: Record) -> Iterable[Sorted]:
        kind, value = shapes.kind_of(record)
        match kind:
            case "ticket":
                return list(self._ticket(shapes.ticket(value)))
            case "conversation":
                return [self._conversation(shapes.conversation(value), id_text(value.get("ticket_id")))]
            case "person":
                return [shapes.person(value, record.stream)]
        return [Skip(f"a record of another kind ({kind})")]

    def _ticket(self, value: dict[str, Json]) -> Iterator[Sorted]:
        id = id_text(value.get("id"))
        if not id:
            yield Finding("no-id", "a ticket without an id", "export the tickets once more")
            return
        # Of a ticket in a plain list and one with its description the latter counts, whatever is newer.
        version = f"{int('description' in value)}{time_text(value.get('updated_at'))}"
        yield Facts(id, {name: each for name, each in value.items() if name != "conversations"}, version)
        requester = mapping(value.get("requester"))
        if id_text(requester.get("id")) and text(requester.get("email")):  # else the file of contacts knows more
            yield shapes.person(requester, "contacts")
        inside = items(value.get("conversations"))
        for each in inside:
            yield self._conversation(shapes.conversation(each), id)
        if len(inside) == _EMBEDDED:
            yield Note(
                "embedded-ten", "a ticket holds exactly 10 conversations: the API embeds no more, fetch the rest"
            )

    def _conversation(self, value: dict[str, Json], ticket: str) -> Sorted:
        ticket = ticket or self.reading.ticket
        if not ticket:
            hint = "fetch conversations with their ticket_id, or give --ticket"
            return Finding("ticket-unknown", "the conversation does not say which ticket it belongs to", hint)
        return Piece(
            ticket, id_text(value.get("id")) or short_hash(canonical(value)), value, time_text(value.get("updated_at"))
        )

    def talk(self, thread: Thread, people: People) -> Talk:
        return _Ticket(self.reading, thread, people).talk()

    def close(self) -> Iterator[Note]:
        yield from ()


class _Ticket:
    """One ticket: its description, which is the first message, and its conversations."""

    def __init__(self, reading: Reading, thread: Thread, people: People) -> None:
        self.reading = reading
        pieces = oldest_first(thread.pieces, lambda each: time_text(each.value.get("created_at")))
        self.thread = replace(thread, pieces=pieces)
        self.people = people
        self.facts: dict[str, Json] = thread.facts.value if thread.facts else {}
        self.requester = id_text(self.facts.get("requester_id"))

    def talk(self) -> Talk:
        facts, thread = self.facts, self.thread
        reason = "its ticket is spam" if flag(facts.get("spam")) else ""
        reason = "its ticket is deleted" if flag(facts.get("deleted")) else reason
        turns: list[Turn | Placed] = [
            Placed(Skip(reason), each.file, each.line) if reason else self._turn(each) for each in thread.pieces
        ]
        if thread.facts is not None:
            turns.insert(0, self._description(thread.facts, reason))
        return Talk(
            thread.ticket,
            turns,
            subject=text(facts.get("subject")),
            status=shapes.status(facts.get("status")),
            priority=shapes.PRIORITIES.get(id_text(facts.get("priority")), ""),
            tags=tuple(shapes.tags(facts.get("tags"))),
            customer=self._person(self.requester, Side.CUSTOMER) if self.requester else None,
            assignee=self._assignee(),
            fields=mapping(facts.get("custom_fields")),
            mailbox=self._mailbox(),
            created=time_text(facts.get("created_at")),
            updated=time_text(facts.get("updated_at")),
        )

    def _person(self, id: str, side: Side) -> Person:
        return self.people.get(id) or Person(id, side)

    def _assignee(self) -> Person | None:
        id = id_text(self.facts.get("responder_id"))
        return self._person(id, Side.STAFF) if id else None

    def _mailbox(self) -> Address | None:
        found = addresses(self.facts.get("support_email"))
        return found[0] if found else None

    def _channel(self, source: Json) -> str:
        return _CHANNELS.get(id_text(source)) or _TICKET_CHANNELS.get(id_text(self.facts.get("source")), "email")

    # The description.

    def _description(self, facts: Stored, reason: str) -> Turn | Placed:
        value = self.facts
        if reason:
            return Placed(Skip(reason), facts.file, facts.line)
        if "description" not in value:
            hint = "fetch the tickets one by one, or the list with include=description"
            what = Finding(
                "no-description", "the list of tickets leaves descriptions out: the first message is missing", hint
            )
            return Placed(what, facts.file, facts.line)
        outbound = id_text(value.get("source")) == _OUTBOUND
        id = id_text(value.get("responder_id")) if outbound else self.requester
        author = self._person(id, Side.STAFF if outbound else Side.CUSTOMER) if id else None
        return Turn(
            f"ticket-{self.thread.ticket}-description",
            Kind.OUTGOING if outbound else Kind.INCOMING,
            author,
            time_text(value.get("created_at")),
            facts.file,
            facts.line,
            html=text(value.get("description")),
            text=text(value.get("description_text")),
            channel=self._channel(None),
            to=() if outbound else addresses(value.get("to_emails")),
            cc=addresses(value.get("cc_emails")),
            attachments=tuple(shapes.files(value)),
            notes=tuple(self._description_notes(author, outbound)),
        )

    def _description_notes(self, author: Person | None, outbound: bool) -> Iterator[Note]:
        if not outbound and author is not None and author.side is Side.STAFF:
            yield Note("requester-is-agent", "the ticket's requester is an agent; the description came in from him")
        if id_text(self.facts.get("source")) == _CHAT:
            yield Note("chat-transcript", "the description of a chat repeats what was said in it")
        yield from _inline(text(self.facts.get("description")))

    # A conversation.

    def _turn(self, piece: Stored) -> Turn | Placed:
        value = piece.value
        kind = self._kind(value)
        if isinstance(kind, Skip | Finding):
            return Placed(kind, piece.file, piece.line)
        author = self._author(id_text(value.get("user_id")), kind)
        turn = Turn(
            f"conversation-{piece.id}",
            kind,
            author,
            time_text(value.get("created_at")),
            piece.file,
            piece.line,
            html=text(value.get("body")),
            text=text(value.get("body_text")),
            channel=self._channel(value.get("source")),
            attachments=tuple(shapes.files(value)),
            flags=tuple(_flags(value)),
            notes=tuple(_notes(value, author, kind)),
        )
        return self._on_the_wire(turn, value)

    def _kind(self, value: dict[str, Json]) -> Kind | Skip | Finding:
        """The first row of the table that fits."""
        if flag(value.get("deleted")):
            return Skip("a deleted note")
        if text(value.get("body_text") or value.get("body")).lstrip().startswith(_SYSTEM_ROW):
            return Skip("a row of the system")
        if flag(value.get("private")):
            return Kind.INTERNAL_NOTE
        source = id_text(value.get("source"))
        if source == _SURVEY:
            return Kind.INCOMING if _has_words(value) else Skip("a survey without text")
        if source == _FORWARD:
            return Kind.INTERNAL_NOTE
        id = id_text(value.get("user_id"))
        person = self.people.get(id)
        if person is not None:
            return Kind.OUTGOING if person.side is Side.STAFF else Kind.INCOMING
        if id and id == self.requester:
            return Kind.INCOMING
        incoming = flag(value.get("incoming"))
        if incoming is not None:
            return Kind.INCOMING if incoming else Kind.OUTGOING
        hint = "give the files of agents and contacts as well"
        return Finding("author-unknown", f"user {id or '(none)'} is neither among agents nor contacts", hint)

    def _author(self, id: str, kind: Kind) -> Person | None:
        if not id:
            return None
        if kind is Kind.INCOMING:
            return self._person(id, Side.CUSTOMER)
        found = self._person(id, Side.STAFF)
        # Only users of the helpdesk write notes: whoever is none is stood in for.
        return found if found.side is Side.STAFF else replace(found, email="")

    def _on_the_wire(self, turn: Turn, value: dict[str, Json]) -> Turn:
        """`from_email` is the support mailbox, never the person; only replies have it."""
        to, box = addresses(value.get("to_emails")), addresses(value.get("from_email"))
        if turn.kind is Kind.INCOMING:
            return replace(turn, to=addresses(value.get("support_email")), cc=addresses(value.get("cc_emails")))
        if turn.kind is Kind.INTERNAL_NOTE:
            return turn
        to = tuple(each for each in to if not box or each.address.lower() != box[0].address.lower())
        cc, bcc = addresses(value.get("cc_emails")), addresses(value.get("bcc_emails"))
        return replace(turn, sender_address=box[0] if box else None, to=to, cc=cc, bcc=bcc)


def _has_words(value: dict[str, Json]) -> bool:
    return bool(text(value.get("body_text")).strip()) or not is_empty(text(value.get("body")))


def _flags(value: dict[str, Json]) -> Iterator[str]:
    source = id_text(value.get("source"))
    if source == _SURVEY:
        yield "survey"
    if source == _FORWARD:
        yield "forward"
    if value.get("automation_id") or value.get("auto_response"):
        yield "automation"


def _notes(value: dict[str, Json], author: Person | None, kind: Kind) -> Iterator[Note]:
    failed = value.get("email_failure_count")
    if isinstance(failed, int) and failed > 0:
        yield Note("bounced", "a reply did not reach everybody; it is kept")
    if kind is Kind.INTERNAL_NOTE and author is not None and author.side is Side.CUSTOMER:
        yield Note("note-by-customer", "a private note by somebody who is no agent")
    yield from _inline(text(value.get("body")))


def _inline(markup: str) -> Iterator[Note]:
    if _INLINE in markup:
        yield Note("inline-image", "a picture inside a text is linked by a token that expires")
