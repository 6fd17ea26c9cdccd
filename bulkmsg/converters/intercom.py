"""Intercom: conversations and tickets with their parts, contacts and admins, as its API and connectors write them."""

from __future__ import annotations

from collections.abc import Iterable, Iterator
from dataclasses import replace

from bulkmsg.converters import intercom_shapes as shapes
from bulkmsg.converters.order import oldest_first
from bulkmsg.converters.texts import flag, id_text, mapping, one_line, text
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
    "Intercom",
    (
        "conversations with their parts, each fetched by itself from the API: one a file, one a line, or in a list",
        "tickets with their parts, fetched alike",
        "the streams conversations and conversation_parts of Singer and Airbyte connectors",
        "contacts and admins, who say which address belongs to whom",
    ),
    (
        (Sureness.RECORDED, "conversations, parts, tickets, connectors' lines"),
        (Sureness.DOCUMENTED, "contacts, admins, lists and searches (which hold no parts), webhooks"),
    ),
    instead="fetch each conversation by itself, GET /conversations/{id}: lists, searches and the content data export "
    "hold no replies (docs/convert-intercom.md)",
)
# Filled by a bot with a sentence of its own (recorded): never a message.
_BOILERPLATE = frozenset({"channel_and_reply_time_expectation"})
_KNOWN = frozenset(
    """
    comment note note_and_reopen open close assignment assign_and_reopen assign_and_unsnooze close_without_reply
    quick_reply operator_workflow_event conversation_attribute_updated_by_admin conversation_attribute_updated_by_user
    conversation_attribute_updated_by_workflow default_assignment away_mode_assignment ticket_state_updated_by_admin
    ticket_attribute_updated_by_admin language_detection_details conversation_tags_updated snoozed unsnoozed
    timer_unsnooze participant_added participant_removed priority_changed conversation_rating_changed
    conversation_rating_remark_added entity_linked entities_unlinked user_became_idle custom_action_started
    custom_action_finished
    """.split()  # noqa: SIM905
)
_AUTOMATED = frozenset({"automated", "operator_initiated", "campaigns_initiated"})
_INTERNAL_TICKETS = ("back", "tracker")


class Intercom:
    """See `words.Converter`."""

    def __init__(self, reading: Reading) -> None:
        self.reading = reading
        self.parts_apart = False  # whether parts come in a stream of their own

    def sort(self, record: Record) -> Iterable[Sorted]:
        kind, value = shapes.kind_of(record)
        match kind:
            case "conversation":
                return list(self._conversation(value))
            case "part":
                self.parts_apart = True
                ticket = id_text(value.get("conversation_id")) or id_text(value.get("ticket_id"))
                return [self._part(value, ticket or self.reading.ticket)]
            case "person":
                return [shapes.person(value)]
        return [Skip(f"a record of another kind ({kind})")]

    def _conversation(self, value: dict[str, Json]) -> Iterator[Sorted]:
        id = id_text(value.get("id"))
        if not id:
            yield Finding("no-id", "a conversation without an id", "fetch the conversations once more")
            return
        inside = shapes.parts(value)
        own = {name: each for name, each in value.items() if name not in ("conversation_parts", "ticket_parts")}
        own |= {"_has_parts": inside is not None, "_total": shapes.total(value)}
        # Of a conversation in a list and one with its parts the latter counts, whatever is newer.
        yield Facts(id, own, f"{int(inside is not None)}{shapes.when(value.get('updated_at'))}")
        for each in inside or ():
            yield self._part(each, id)

    def _part(self, value: dict[str, Json], ticket: str) -> Sorted:
        if not ticket:
            hint = "fetch the conversation as a whole, keep the connector's conversation_id, or give --ticket"
            return Finding("ticket-unknown", "the part does not say which conversation it belongs to", hint)
        id = id_text(value.get("id")) or short_hash(canonical(value))
        return Piece(ticket, id, value, shapes.when(value.get("updated_at")))

    def talk(self, thread: Thread, people: People) -> Talk:
        return _Conversation(self.reading, thread, people, self.parts_apart).talk()

    def close(self) -> Iterator[Note]:
        yield from ()


class _Conversation:
    """One conversation: its opening message, which stands in `source` alone, and its parts."""

    def __init__(self, reading: Reading, thread: Thread, people: People, parts_apart: bool) -> None:
        self.reading = reading
        self.thread = thread
        self.people = people
        self.parts_apart = parts_apart
        self.facts: dict[str, Json] = thread.facts.value if thread.facts else {}
        self.source = mapping(self.facts.get("source"))
        self.met = _met([self.source, *(each.value for each in thread.pieces)])
        self.contacts = shapes.contacts(self.facts)

    def talk(self) -> Talk:
        facts = self.facts
        pieces = oldest_first(self.thread.pieces, lambda each: shapes.when(each.value.get("created_at")))
        turns: list[Turn | Placed] = [self._turn(each) for each in pieces]
        if self.thread.facts is not None:
            turns.insert(0, self._opening(self.thread.facts))
        return Talk(
            self.thread.ticket,
            turns,
            subject=shapes.subject(facts),
            status=shapes.status(facts),
            priority="high" if facts.get("priority") in ("priority", True) else "",
            tags=tuple(shapes.tags(facts)),
            customer=self._customer(),
            assignee=self._assignee(),
            fields={**shapes.attributes(facts), "team_assignee_id": facts.get("team_assignee_id")},
            mailbox=self._mailbox(),
            created=shapes.when(facts.get("created_at")),
            updated=shapes.when(facts.get("updated_at")),
            closed=shapes.when(mapping(facts.get("statistics")).get("last_close_at")),
            notes=tuple(self._ticket_notes()),
        )

    # People.

    def _customer(self) -> Person | None:
        """Whose conversation it is: its contact, else who opened it, else the first one who wrote in."""
        ids = self.contacts or list(self.met)
        return self._person(ids[0], Side.CUSTOMER) if ids else None

    def _person(self, id: str, side: Side) -> Person:
        """Who has that id; what the file of people leaves empty, the conversation may say elsewhere."""
        filed = self.people.get(id)
        met = self.met.get(id) if side is Side.CUSTOMER else None
        both = [each for each in (filed, met) if each is not None]
        email = next((each.email for each in both if each.email), "")
        return Person(id, side, email, next((each.name for each in both if each.name), ""))

    def _assignee(self) -> Person | None:
        assigned = mapping(self.facts.get("assignee"))  # what the API had before version 2
        old = id_text(assigned.get("id")) if assigned.get("type") == "admin" else ""
        id = id_text(self.facts.get("admin_assignee_id")) or old
        return self._person(id, Side.STAFF) if id and id != "0" else None

    def _author(self, value: dict[str, Json], kind: Kind) -> Person | None:
        author = mapping(value.get("author"))
        id, role = id_text(author.get("id")), text(author.get("type"))
        own = Person(id, Side.STAFF, text(author.get("email")).strip(), shapes.name(author))
        if kind is Kind.INCOMING:
            known = self._person(id, Side.CUSTOMER)
            return replace(known, email=own.email or known.email, name=own.name or known.name)
        if role in shapes.CUSTOMERS:  # only users of the helpdesk write notes: whoever is none is stood in for
            return replace(own, side=Side.CUSTOMER, email="")
        if role == "bot":
            return Person(f"bot-{id}", Side.BOT, "", own.name)
        if role == "team":  # teams are numbered apart from admins
            return replace(own, id=f"team-{id}")
        known = self._person(id, Side.STAFF)
        return replace(known, email=own.email or known.email, name=own.name or known.name)

    # The opening message.

    def _opening(self, facts: Stored) -> Turn | Placed:
        missing = not self.facts.get("_has_parts") and not self.thread.pieces and not self.parts_apart
        if missing:
            what = "`conversation_parts` is missing: the answer to a list or a search, which holds no replies"
            found = Finding("no-parts", what, "fetch each conversation by itself, GET /conversations/{id}")
            return Placed(found, facts.file, facts.line)
        if not self.source and shapes.description(self.facts):
            return self._description(facts)
        opening = {**self.source, "created_at": self.facts.get("created_at")}
        found_kind = self._opening_kind(opening)
        if not isinstance(found_kind, Kind):
            return Placed(found_kind, facts.file, facts.line)
        turn = self._made(f"conversation-{self.thread.ticket}-source", found_kind, opening, facts)
        delivered = text(opening.get("delivered_as"))
        automated = delivered in _AUTOMATED and found_kind is not Kind.INCOMING and "automation" not in turn.flags
        return replace(turn, flags=("automation", *turn.flags)) if automated else turn

    def _opening_kind(self, opening: dict[str, Json]) -> Kind | Skip | Finding:
        if flag(opening.get("redacted")):
            return Skip("redacted")
        if shapes.says_nothing(opening):
            return Skip("empty: the conversation was opened without a message")
        automated = text(opening.get("delivered_as")) in _AUTOMATED
        return self._kind_by_author(mapping(opening.get("author")), automated=automated)

    def _description(self, facts: Stored) -> Turn:
        """A ticket says nowhere who described it; back-office and tracker tickets are never shown to customers."""
        category = text(self.facts.get("category") or mapping(self.facts.get("ticket_type")).get("category")).lower()
        internal = category.startswith(_INTERNAL_TICKETS)
        markup, plain = shapes.bodies(shapes.description(self.facts))
        return Turn(
            f"ticket-{self.thread.ticket}-description",
            Kind.INTERNAL_NOTE if internal else Kind.INCOMING,
            None if internal else self._customer(),
            shapes.when(self.facts.get("created_at")),
            facts.file,
            facts.line,
            html=markup,
            text=plain,
            channel="chat",
            notes=() if internal else (Note("ticket-description", "a ticket's description counts as its customer's"),),
        )

    # A part.

    def _turn(self, piece: Stored) -> Turn | Placed:
        kind = self._kind(piece.value)
        if not isinstance(kind, Kind):
            return Placed(kind, piece.file, piece.line)
        return self._made(f"part-{piece.id}", kind, piece.value, piece)

    def _kind(self, value: dict[str, Json]) -> Kind | Skip | Finding:
        """The first rule that fits; what was written decides, not the part's name."""
        name = one_line(value.get("part_type"))[:60]
        if flag(value.get("redacted")):
            return Skip("redacted")  # its body is a sentence that says so, in the account's language (recorded)
        if shapes.says_nothing(value) or name in _BOILERPLATE:
            return Skip(f"event {name or 'part'}")
        if name.startswith("note"):
            return Kind.INTERNAL_NOTE
        return self._kind_by_author(mapping(value.get("author")))

    def _kind_by_author(self, author: dict[str, Json], *, automated: bool = False) -> Kind | Skip | Finding:
        role, id = text(author.get("type")), id_text(author.get("id"))
        filed = self.people.get(id) if role not in (*shapes.CUSTOMERS, "admin", "team", "bot") else None
        if role in shapes.CUSTOMERS or (filed is not None and filed.side is Side.CUSTOMER):
            return Kind.INCOMING
        if role == "bot" or (automated and role in ("admin", "team")):
            return self._bot()
        if role in ("admin", "team") or filed is not None:
            return Kind.OUTGOING
        if id and id in self.contacts:
            return Kind.INCOMING
        hint = "give the files of contacts and admins as well"
        return Finding("author-unknown", f"author {id or '(none)'} is neither a contact nor an admin", hint)

    def _bot(self) -> Kind | Skip:
        if self.reading.bots == "skip":
            return Skip("written by a bot or an automation (--bots skip)")
        return Kind.INTERNAL_NOTE if self.reading.bots == "note" else Kind.OUTGOING

    def _made(self, id: str, kind: Kind, value: dict[str, Json], at: Stored) -> Turn:
        author = self._author(value, kind)
        markup, plain = shapes.bodies(text(value.get("body")))
        turn = Turn(
            id,
            kind,
            author,
            shapes.when(value.get("created_at")),
            at.file,
            at.line,
            html=markup,
            text=plain,
            channel=shapes.channel(value, self.facts),
            attachments=tuple(shapes.files(value)),
            flags=tuple(self._flags(value, kind)),
            notes=tuple(self._notes(value, kind)),
        )
        return _on_the_wire(turn, value)

    def _flags(self, value: dict[str, Json], kind: Kind) -> Iterator[str]:
        author = mapping(value.get("author"))
        if author.get("type") == "bot" or author.get("from_ai_agent") is True or author.get("is_ai_answer") is True:
            yield "automation"
        if kind is Kind.INCOMING and self._is_tweet():
            yield "text-withheld"

    def _is_tweet(self) -> bool:
        return self.source.get("type") == "twitter"

    def _notes(self, value: dict[str, Json], kind: Kind) -> Iterator[Note]:
        author, name = mapping(value.get("author")), one_line(value.get("part_type"))[:60]
        if kind is Kind.INTERNAL_NOTE and text(author.get("type")) in shapes.CUSTOMERS:
            yield Note("note-by-customer", "a note by somebody who is no admin")
        if kind is Kind.OUTGOING and name.startswith("assign") and _is_for_another(value):
            yield Note("assignment-to-another", "a text with which a conversation was handed on was kept as a reply")
        if name and name not in _KNOWN:
            yield Note("part-type-unknown", "a part of a type that is not known was kept, since something is written")
        if kind is Kind.INCOMING and self._is_tweet():
            yield Note("text-withheld", "Intercom replaces what was written on Twitter by a sentence of its own")
        if shapes.has_expiring_picture(text(value.get("body"))):
            yield Note("inline-image", "a picture inside a text is linked by an address that expires")

    # The conversation.

    def _mailbox(self) -> Address | None:
        """The support address: what replies were sent from, else what the first mail alone was sent to."""
        pieces = [self.source, *(each.value for each in self.thread.pieces)]
        mails = [(text(mapping(each.get("author")).get("type")), shapes.ends(each)) for each in pieces]
        sent = [ends.sender[0] for role, ends in mails if role in ("admin", "team", "bot") and ends.sender]
        came = [ends.to[0] for role, ends in mails if role in shapes.CUSTOMERS and len(ends.to) == 1]
        return next(iter((*sent, *came)), None)

    def _ticket_notes(self) -> Iterator[Note]:
        said = [each.value.get("conversation_total_parts") for each in self.thread.pieces]
        total = max([self.facts.get("_total") or 0, *(each for each in said if isinstance(each, int))])
        if total > len(self.thread.pieces):
            yield Note("parts-cut", "a conversation has more parts than the export: the API gives the newest 500 only")
        if self.thread.facts is None:
            yield Note("opening-missing", "parts whose conversation is not in the export: its first message is missing")


def _met(records: Iterable[dict[str, Json]]) -> dict[str, Person]:
    """The customers who wrote, in order; who is a lead first may be a user later, with the same id."""
    found: dict[str, Person] = {}
    for author in (mapping(each.get("author")) for each in records):
        id = id_text(author.get("id"))
        if id and text(author.get("type")) in shapes.CUSTOMERS:
            made = Person(id, Side.CUSTOMER, text(author.get("email")).strip(), shapes.name(author))
            known = found.get(id, made)
            found[id] = replace(known, email=known.email or made.email, name=known.name or made.name)
    return found


def _is_for_another(value: dict[str, Json]) -> bool:
    assigned, author = value.get("assigned_to"), mapping(value.get("author"))
    to = id_text(assigned.get("id") if isinstance(assigned, dict) else assigned)
    return bool(to) and to not in (id_text(author.get("id")), text(author.get("email")), text(author.get("name")))


def _on_the_wire(turn: Turn, value: dict[str, Json]) -> Turn:
    """The headers, where it went by mail."""
    ends = shapes.ends(value)
    if turn.kind is Kind.INTERNAL_NOTE:
        return turn
    return replace(turn, sender_address=next(iter(ends.sender), None), to=ends.to, cc=ends.cc, bcc=ends.bcc)
