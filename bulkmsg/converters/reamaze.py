"""Re:amaze: conversations and messages as its API gives them. Messages have no id, so that one is derived."""

from __future__ import annotations

from collections import Counter
from collections.abc import Iterable, Iterator

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
from bulkmsg.message import Kind, canonical, short_hash
from bulkmsg.readers.records import Record
from bulkmsg.source import Json

ABOUT = About(
    "Re:amaze",
    (
        "pages of the API: messages, conversations, staff, contacts",
        "conversations that a script wrote with their `messages` inside",
    ),
    (
        (Sureness.DOCUMENTED, "messages and conversations, as far as their examples show them"),
        (Sureness.TOOLS, 'who is staff (`user["staff?"]`)'),
    ),
    instead="give messages of the API as JSON, with conversations and staff (docs/convert-reamaze.md says how)",
)
_REGULAR, _NOTE, _COLLISION = "0", "1", "2"  # visibilities (Re:amaze reference, "Retrieving Messages")
# Of the numbers of statuses only these are sure; all others are for `--status-map`.
_STATUSES = {"0": "open", "5": "hold"}
_STAFF = "staff?"  # a name with a question mark


class Reamaze:
    """See `words.Converter`."""

    def __init__(self, reading: Reading) -> None:
        self.reading = reading
        self._page: dict[str, Json] = {}
        self._pages: Counter[tuple[str, str, str]] = Counter()  # of lists that have several

    # What a record is.

    def sort(self, record: Record) -> Iterable[Sorted]:
        value = record.value
        if isinstance(value.get("staff"), list):
            return [_person(each, Side.STAFF) for each in items(value["staff"])]
        around = self._see(record)
        if "slug" in value and "body" not in value:
            return [*around, *self._conversation(value)]
        if "body" in value:
            return [*around, self._message(value, mapping(record.page.get("conversation")) or record.page)]
        if record.stream in ("contacts", "staff") or "email" in value:
            return [_person(value, Side.STAFF if record.stream == "staff" else Side.CUSTOMER)]
        return [Skip("a record of another kind (unknown)")]

    def _see(self, record: Record) -> list[Sorted]:
        """Take in a page: it says how many there should be, not which it is. It may be a conversation itself."""
        page = record.page
        if page is self._page:
            return []
        self._page = page
        count = id_text(page.get("page_count"))
        if count.isdigit() and int(count) > 1:
            self._pages[record.stream, count, id_text(page.get("total_count"))] += 1
        return list(self._conversation(page)) if "slug" in page else []

    def _conversation(self, value: dict[str, Json]) -> Iterator[Sorted]:
        slug = id_text(value.get("slug"))
        if not slug:
            yield Finding("no-id", "a conversation without a slug", "fetch the conversations once more")
            return
        yield Facts(slug, {name: each for name, each in value.items() if name != "messages"})
        yield from (self._message(each, value) for each in items(value.get("messages")))

    def _message(self, value: dict[str, Json], around: dict[str, Json]) -> Sorted:
        own = mapping(value.get("conversation"))
        slug = id_text(own.get("slug")) or id_text(around.get("slug")) or self.reading.ticket
        if not slug:
            hint = "fetch messages with their `conversation`, or give --ticket"
            return Finding("ticket-unknown", "the message does not say which conversation it belongs to", hint)
        # The same moment may be written in another zone the next time.
        sent = time_text(value.get("created_at"))
        seen = {"slug": slug, "time": utc(sent) or sent, "body": value.get("body")}
        return Piece(slug, short_hash(canonical(seen)), value)

    # What a conversation says.

    def talk(self, thread: Thread, people: People) -> Talk:
        return _Ticket(self.reading, thread, people).talk()

    def close(self) -> Iterator[Note]:
        for (name, count, _), seen in self._pages.items():
            if seen % int(count):
                yield Note(
                    "page-missing", f"a list of {name or 'records'} has {count} pages, of which some are missing"
                )


def _person(value: dict[str, Json], side: Side) -> Sorted:
    """People have no id that messages name: they are known by their address."""
    found = addresses(value.get("email"))
    if not found:
        return Note("person-without-address", "a person in a list of people has no address and cannot be joined")
    return Person(found[0].address.lower(), side, found[0].address, one_line(value.get("name")))


class _Ticket:
    """One conversation with its messages."""

    def __init__(self, reading: Reading, thread: Thread, people: People) -> None:
        self.reading = reading
        self.thread = thread
        self.people = people
        inside = next((mapping(piece.value.get("conversation")) for piece in thread.pieces), {})
        self.facts: dict[str, Json] = {**inside, **(thread.facts.value if thread.facts else {})}
        self.pieces = oldest_first(thread.pieces, _moment)
        self.mailbox = next(iter(addresses(mapping(self.facts.get("category")).get("email"))), None)

    def talk(self) -> Talk:
        facts, thread = self.facts, self.thread
        turns = [self._turn(piece) for piece in self.pieces]
        if not turns and thread.facts is not None:
            why = "a conversation whose messages are not in the export"
            turns = [Placed(Skip(why), thread.facts.file, thread.facts.line)]
        status = id_text(facts.get("status"))
        tags = facts.get("tag_list")
        return Talk(
            thread.ticket,
            turns,
            subject=text(facts.get("subject")),
            status=_STATUSES.get(status, status),
            tags=tuple(tag for tag in tags if isinstance(tag, str)) if isinstance(tags, list) else (),
            customer=self._customer(),
            assignee=self._of(mapping(facts.get("assignee")), Side.STAFF) if facts.get("assignee") else None,
            fields=mapping(facts.get("data")),
            mailbox=self.mailbox,
            created=time_text(facts.get("created_at")),
        )

    def _of(self, user: dict[str, Json], side: Side) -> Person:
        """Somebody by what a record says of him; without an address he is one of this conversation only."""
        email, name = text(user.get("email")).strip(), one_line(user.get("name"))
        return Person(email.lower() or f"{self.thread.ticket}-{name or 'unnamed'}", side, email, name)

    def _customer(self) -> Person | None:
        """Who opened the conversation, if he is no staff; else who wrote in first, or was written to first."""
        author = mapping(self.facts.get("author"))
        if author and self._side(author) is not Side.STAFF:
            return self._of(author, Side.CUSTOMER)
        for piece in self.pieces:
            if self._kind(piece.value) is Kind.INCOMING:
                return self._of(mapping(piece.value.get("user")), Side.CUSTOMER)
        for piece in self.pieces:
            others = self._recipients(piece.value) if self._kind(piece.value) is Kind.OUTGOING else ()
            if others:
                return Person(others[0].address.lower(), Side.CUSTOMER, others[0].address, others[0].name)
        return None

    def _side(self, user: dict[str, Json]) -> Side | None:
        """Which side somebody is on: by his record's word, by the people files, or as who opened the conversation."""
        if isinstance(user.get(_STAFF), bool):
            return Side.STAFF if user[_STAFF] else Side.CUSTOMER
        email = text(user.get("email")).strip().lower()
        known = self.people.get(email) if email else None
        if known is not None:
            return known.side
        opened = text(mapping(self.facts.get("author")).get("email")).strip().lower()
        return Side.CUSTOMER if email and email == opened else None

    # A message.

    def _turn(self, piece: Stored) -> Turn | Placed:
        value = piece.value
        kind = self._kind(value)
        if isinstance(kind, Finding):
            return Placed(kind, piece.file, piece.line)
        user = mapping(value.get("user"))
        author = self._of(user, Side.CUSTOMER if kind is Kind.INCOMING else Side.STAFF)
        by_customer = kind is Kind.INTERNAL_NOTE and self._side(user) is Side.CUSTOMER
        if by_customer:  # only users of the helpdesk write notes: whoever is none is stood in for
            author = Person(author.id, Side.CUSTOMER, "", author.name)
        is_collision = id_text(value.get("visibility")) == _COLLISION
        return Turn(
            f"message-{piece.id}",
            kind,
            author,
            _time(value),
            piece.file,
            piece.line,
            text=text(value.get("body")),
            to=self._recipients(value) if kind is Kind.OUTGOING else (),
            attachments=tuple(_files(value)),
            flags=("collision",) if is_collision else (),
            notes=(Note("note-by-customer", "a note by somebody who is no staff"),) if by_customer else (),
        )

    def _kind(self, value: dict[str, Json]) -> Kind | Finding:
        """The first row of the table that fits."""
        visibility = id_text(value.get("visibility"))
        if visibility in (_NOTE, _COLLISION):
            return Kind.INTERNAL_NOTE
        if visibility not in (_REGULAR, ""):
            hint = "look at it there: may the customer see it? Then enter it by hand"
            return Finding("visibility-unknown", "the message's visibility is a number that is not documented", hint)
        side = self._side(mapping(value.get("user")))
        if side is None:
            hint = "give the lists of staff and contacts as well"
            return Finding("author-unknown", "the message does not say whether staff or a customer wrote it", hint)
        return Kind.OUTGOING if side is Side.STAFF else Kind.INCOMING

    def _recipients(self, value: dict[str, Json]) -> tuple[Address, ...]:
        """To whom it went, without the support address."""
        box = self.mailbox.address.lower() if self.mailbox else ""
        found = ((addresses(each.get("email")), one_line(each.get("name"))) for each in items(value.get("recipients")))
        return tuple(Address(ends[0].address, name) for ends, name in found if ends and ends[0].address.lower() != box)


def _time(value: dict[str, Json]) -> str:
    return time_text(value.get("created_at"))


def _moment(piece: Stored) -> str:
    return utc(_time(piece.value)) or ""


def _files(value: dict[str, Json]) -> Iterator[File]:
    for each in items(value.get("attachments")):
        size = each.get("file_file_size")
        yield File(
            text(each.get("url")),
            text(each.get("file_file_name")),
            text(each.get("file_content_type")),
            size if isinstance(size, int) and size >= 0 else None,
        )
