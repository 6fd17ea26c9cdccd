"""Help Scout: conversations with their threads, customers, users and mailboxes, of both versions of its API."""

from __future__ import annotations

from collections.abc import Iterable, Iterator
from dataclasses import dataclass, field, replace

from bulkmsg.converters import helpscout_shapes as shapes
from bulkmsg.converters.order import oldest_first
from bulkmsg.converters.texts import addresses, id_text, mapping, one_line, text, time_text
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
    "Help Scout",
    (
        "pages of the API's second version: conversations fetched with embed=threads, or threads in pages of their own",
        "the API's first version, and webhooks: conversations with their threads inside",
        "mailboxes, users and customers, where conversations do not name them whole",
    ),
    (
        (
            Sureness.RECORDED,
            "conversations and threads of the first version, line items, addresses, the order of lists",
        ),
        (Sureness.DOCUMENTED, "the second version: pages, attachments, mailboxes, users, customers"),
    ),
    instead="give conversations with their threads, fetched with embed=threads, as JSON (docs/convert-helpscout.md)",
    types=("forwardparent", "forwardchild", "phone"),
)
_LEFT_OUT = {"draft": "a draft", "hidden": "a hidden thread", "underreview": "a thread that is under review"}
_UNSEEN = ("deleted", "draft")  # states of conversations
_KINDS = {
    "customer": Kind.INCOMING,
    "message": Kind.OUTGOING,
    "reply": Kind.OUTGOING,
    "note": Kind.INTERNAL_NOTE,
    "forwardparent": Kind.INTERNAL_NOTE,
    "forwardchild": Kind.INTERNAL_NOTE,
}
_BY_WRITER = frozenset({"chat", "beaconchat", "phone"})
_AUTOMATIONS = frozenset({"workflow", "manual-workflow"})
_PROVENANCE = {
    "merged": "merged",
    "movedFromMailbox": "moved-from-mailbox",
    "imported": "imported",
    "importedExternal": "imported",
    "changedTicketCustomer": "changed-customer",
    "originalCreator": "original-creator",
}


@dataclass(slots=True)
class _Pages:
    """Which pages of a list were there. Keeps numbers only, of lists that have several pages."""

    _last: dict[str, Json] = field(default_factory=dict)
    _seen: dict[str, set[int]] = field(default_factory=dict)
    _total: dict[str, int] = field(default_factory=dict)

    def see(self, record: Record) -> None:
        page = record.page
        if page is self._last or not page:
            return
        self._last = page
        inner = mapping(page.get("page")) or {"number": page.get("page"), "totalPages": page.get("pages")}
        number, total = inner.get("number"), inner.get("totalPages")
        if not isinstance(number, int) or not isinstance(total, int) or total < 2:
            return
        of = shapes.conversation_of(record) if record.stream == "threads" else ""
        name = f"threads of conversation {of}" if of else record.stream or "items"
        self._total[name] = total
        self._seen.setdefault(name, set()).add(number)

    def close(self) -> Iterator[Note]:
        for name, seen in self._seen.items():
            if len(seen) < self._total[name]:
                yield Note("page-missing", f"{name}: {len(seen)} of {self._total[name]} pages are there")


class HelpScout:
    """See `words.Converter`."""

    def __init__(self, reading: Reading) -> None:
        self.reading = reading
        self.pages = _Pages()
        self.mailboxes: dict[str, Address] = {}

    def sort(self, record: Record) -> Iterable[Sorted]:
        self.pages.see(record)
        value, kind = record.value, shapes.kind_of(record)
        match kind:
            case "conversation":
                return list(self._conversation(value))
            case "thread":
                return [self._thread(value, shapes.conversation_of(record) or self.reading.ticket)]
            case "user" | "customer":
                found = shapes.person(value, Side.STAFF if kind == "user" else Side.CUSTOMER)
                return [found or Finding("no-id", "a person without an id", "export users and customers once more")]
            case "mailbox":
                self.mailboxes |= {id_text(value.get("id")): each for each in shapes.mailbox(value)[:1]}
                return [Skip("a mailbox, which was read for its address")]
            case "empty page":
                return [Skip("an empty page")]
        return [Skip(f"a record of another kind ({kind})")]

    def _conversation(self, value: dict[str, Json]) -> Iterator[Sorted]:
        id = id_text(value.get("id"))
        if not id:
            yield Finding("no-id", "a conversation without an id", "fetch the conversations once more")
            return
        inside = shapes.threads(value)
        own = {name: each for name, each in value.items() if name not in ("threads", "_embedded")}
        own |= {"_has_threads": inside is not None or value.get("threads") == 0}
        # Of a conversation in a list and one with its threads the latter counts, whatever is newer.
        updated = shapes.first(value, "userUpdatedAt", "userModifiedAt", "modifiedAt", "createdAt")
        yield Facts(id, own, f"{int(inside is not None)}{time_text(updated)}")
        for each in inside or ():
            yield self._thread(each, id)

    def _thread(self, value: dict[str, Json], conversation: str) -> Sorted:
        if not conversation:
            what = "the thread does not say which conversation it belongs to"
            hint = "keep its page whole (its links name the conversation), name the file after it, or give --ticket"
            return Finding("ticket-unknown", what, hint)
        return Piece(conversation, id_text(value.get("id")) or short_hash(canonical(value)), value)

    def talk(self, thread: Thread, people: People) -> Talk:
        return _Conversation(self.reading, thread, people, self.mailboxes).talk()

    def close(self) -> Iterator[Note]:
        yield from self.pages.close()


class _Conversation:
    """One conversation with its threads."""

    def __init__(self, reading: Reading, thread: Thread, people: People, mailboxes: dict[str, Address]) -> None:
        self.reading = reading
        self.thread = thread
        self.people = people
        self.mailboxes = mailboxes
        self.facts: dict[str, Json] = thread.facts.value if thread.facts else {}
        self.customer = self._customer()

    def talk(self) -> Talk:
        facts, reason = self.facts, self._left_out()
        pieces = oldest_first(
            self.thread.pieces, lambda each: time_text(each.value.get("createdAt")), newest_is_usual=True
        )
        turns: list[Turn | Placed] = [
            Placed(Skip(reason), each.file, each.line) if reason else self._turn(each) for each in pieces
        ]
        return Talk(
            self.thread.ticket,
            turns or [self._without_threads(reason)],
            subject=text(facts.get("subject")),
            status=text(facts.get("status")),
            tags=tuple(shapes.tags(facts)),
            customer=self.customer,
            assignee=self._known(shapes.person(facts.get("assignee") or facts.get("owner"), Side.STAFF)),
            fields={**shapes.fields(facts), "number": facts.get("number")},
            mailbox=self._mailbox(),
            created=time_text(facts.get("createdAt")),
            updated=time_text(shapes.first(facts, "userUpdatedAt", "userModifiedAt", "modifiedAt")),
            closed=time_text(facts.get("closedAt")),
        )

    def _left_out(self) -> str:
        if self.facts.get("status") == "spam":
            return "its conversation is spam"
        state = self.facts.get("state")
        return f"its conversation is {'deleted' if state == 'deleted' else 'a draft'}" if state in _UNSEEN else ""

    def _without_threads(self, reason: str) -> Placed:
        facts = self.thread.facts
        assert facts is not None  # a thread holds pieces or facts
        if reason or self.facts.get("_has_threads"):
            return Placed(Skip(reason or "a conversation without any thread"), facts.file, facts.line)
        hint = "fetch the conversations with embed=threads, or the threads of each"
        what = Finding("no-threads", "the list of conversations holds no threads: nothing that was written", hint)
        return Placed(what, facts.file, facts.line)

    # People.

    def _known(self, person: Person | None) -> Person | None:
        """What a record leaves out of a person, the file of people says."""
        filed = self.people.get(person.id) if person else None
        if person is None or filed is None:
            return person
        return replace(person, email=person.email or filed.email, name=person.name or filed.name)

    def _customer(self) -> Person | None:
        """Whose conversation it is: as it says, else as the oldest thread says that names one."""
        own = self.facts.get("primaryCustomer") or self.facts.get("customer")
        named = (own, *(each.value.get("customer") for each in self.thread.pieces))
        found = next((each for each in named if mapping(each)), None)
        return self._known(shapes.person(found, Side.CUSTOMER))

    def _author(self, value: dict[str, Json], kind: Kind) -> Person | None:
        """Who created the thread; what a user entered for a customer is that customer's."""
        by_customer = shapes.writer_is_customer(value)
        side = Side.CUSTOMER if by_customer else Side.STAFF
        writer = self._known(shapes.person(value.get("createdBy"), side))
        if kind is Kind.INCOMING:
            named = self._known(shapes.person(value.get("customer"), Side.CUSTOMER))
            return (writer if by_customer else None) or named or self.customer
        return writer  # a customer among them is stood in for: only users write replies and notes

    def _mailbox(self) -> Address | None:
        box = mapping(self.facts.get("mailbox"))
        own = shapes.mailbox(box)
        id = id_text(self.facts.get("mailboxId")) or id_text(box.get("id"))
        return own[0] if own else self.mailboxes.get(id)

    # A thread.

    def _turn(self, piece: Stored) -> Turn | Placed:
        value = piece.value
        kind = self._kind(value)
        if not isinstance(kind, Kind):
            return Placed(kind, piece.file, piece.line)
        turn = Turn(
            f"thread-{piece.id}",
            kind,
            self._author(value, kind),
            time_text(value.get("createdAt")),
            piece.file,
            piece.line,
            html=text(value.get("body")),
            channel=shapes.channel(value, self.facts),
            attachments=tuple(shapes.files(value)),
            flags=tuple(_flags(value)),
            notes=tuple(_notes(value, kind)),
        )
        return self._on_the_wire(turn, value)

    def _kind(self, value: dict[str, Json]) -> Kind | Skip | Finding:
        """The first row of the table that fits."""
        name, state = text(value.get("type")).lower(), text(value.get("state")).lower()
        if name == "lineitem":
            return Skip(f"line item {one_line(shapes.action(value))[:60]}".strip())
        if state in _LEFT_OUT:
            return Skip(_LEFT_OUT[state])
        if name in _KINDS:
            return self.reading.types.get(name, _KINDS[name])
        by_customer = shapes.writer_is_customer(value)
        if by_customer is None:
            hint = "fetch the conversation once more; its threads say who created them"
            return Finding("author-unknown", "the thread says neither what it is nor who created it", hint)
        if by_customer:
            return Kind.INCOMING
        # An agent's record of a call was never sent to anybody.
        return self.reading.types.get(name, Kind.INTERNAL_NOTE) if name == "phone" else Kind.OUTGOING

    def _on_the_wire(self, turn: Turn, value: dict[str, Json]) -> Turn:
        if turn.kind is Kind.INTERNAL_NOTE:
            return turn
        ends = {name: addresses(value.get(name)) for name in ("to", "cc", "bcc")}
        box = shapes.mailbox(value.get("fromMailbox")) if turn.kind is Kind.OUTGOING else ()
        sender = box[0] if box else None
        return replace(turn, sender_address=sender, to=ends["to"], cc=ends["cc"], bcc=ends["bcc"])


def _flags(value: dict[str, Json]) -> Iterator[str]:
    action = shapes.action(value)
    if action in _AUTOMATIONS or mapping(value.get("source")).get("type") == "workflows":
        yield "automation"
    if action in _PROVENANCE:
        yield _PROVENANCE[action]
    if text(value.get("type")).lower().startswith("forward"):
        yield "forward"


def _notes(value: dict[str, Json], kind: Kind) -> Iterator[Note]:
    name = text(value.get("type")).lower()
    if name not in _KINDS and name not in _BY_WRITER:
        yield Note("thread-type-unknown", "a thread of a type that is not known was kept, by who created it")
    if kind is not Kind.INCOMING and shapes.writer_is_customer(value):
        yield Note("reply-by-customer", "a reply or a note that was created by somebody who is no user")
    if shapes.needs_login(value):
        yield Note("attachment-needs-login", "the only link to an attachment needs a login, and answers JSON")
