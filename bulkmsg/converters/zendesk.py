"""Zendesk: tickets, comments, audits, ticket events and users, as its exports, its API and connectors write them."""

from __future__ import annotations

import re
from collections.abc import Iterable, Iterator
from dataclasses import replace

from bulkmsg.converters import zendesk_pages
from bulkmsg.converters.order import oldest_first
from bulkmsg.converters.texts import addresses, flag, id_text, items, mapping, one_line, text, time_text, unique
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
    "Zendesk Support",
    (
        "the account's JSON export (one ticket, user or organization a line), with comments where it has them",
        "pages of the API: tickets (incremental too), ticket comments, ticket audits, users",
        "incremental ticket events, if fetched with include=comment_events",
        "what Singer and Airbyte connectors write of the same",
    ),
    (
        (Sureness.RECORDED, "tickets, comments, audits, users, pages, connectors' lines"),
        (Sureness.DOCUMENTED, "ticket events, the account's export, chats, redactions"),
    ),
    instead="give ticket comments or ticket audits as JSON, with tickets and users (docs/convert-zendesk.md says how); "
    "--descriptions makes one message of each ticket that has no comments",
)

CHANNELS = {
    "chat": "chat",
    "native_messaging": "chat",
    "messaging": "chat",
    "voice": "phone",
    "phone": "phone",
    "twitter": "twitter",
    "facebook": "facebook",
    "sms": "sms",
    "whatsapp": "whatsapp",
}
# Channels were numbers once, and are in ticket events (Zendesk reference, "Via types").
_NUMBERED = {
    0: "web",
    4: "email",
    5: "api",
    8: "rule",
    19: "merge",
    20: "batch",
    21: "recovered",
    29: "chat",
    33: "voice",
}
_PRIORITIES = {"low": "low", "normal": "normal", "high": "high", "urgent": "critical"}
_COMMENTS = frozenset({"Comment", "VoiceComment", "TpeVoiceComment", ""})
_SYSTEM = "-1"
_MERGED = re.compile(
    r"\s*(?:Requests? (?:#\d+[^\n]{0,200}?)was closed and merged into this request|Requests #\d+[^\n]{0,400}?"
    r"were closed and merged into this request|This request was closed and merged into request #\d+)"
)


class Zendesk:
    """See `words.Converter`."""

    def __init__(self, reading: Reading) -> None:
        self.reading = reading
        self.pages = zendesk_pages.Pages()

    # What a record is.

    def sort(self, record: Record) -> Iterable[Sorted]:
        self.pages.see(record)
        value = record.value
        kind = zendesk_pages.kind_of(record)
        match kind:
            case "user":
                return [_person(value)]
            case "ticket":
                return self._ticket(value)
            case "audit":
                return list(self._audit(value, id_text(value.get("ticket_id")) or self.pages.ticket_of(record)))
            case "ticket_event":
                return list(self._events(value))
            case "comment":
                ticket = self.reading.ticket if self.pages.ticket_of(record) == "" else self.pages.ticket_of(record)
                return [self._comment(value, ticket)]
        return [Skip(f"a record of another kind ({kind})")]

    def _ticket(self, value: dict[str, Json]) -> list[Sorted]:
        id = id_text(value.get("id"))
        if not id:
            return [Finding("no-id", "a ticket without an id", "export the tickets once more")]
        inside: list[Sorted] = [self._comment(each, id) for each in items(value.get("comments"))]
        for audit in items(value.get("audits")):
            inside.extend(self._audit(audit, id))
        own = {name: each for name, each in value.items() if name not in ("comments", "audits")}
        if isinstance(value.get("comments"), list) or isinstance(value.get("audits"), list):
            own["_has_comments"] = True
        return [Facts(id, own, time_text(value.get("updated_at"))), *inside]

    def _comment(self, value: dict[str, Json], ticket: str) -> Sorted:
        if not ticket:
            return Finding(
                "ticket-unknown",
                "the comment does not say which ticket it belongs to",
                "keep its page whole (next_page or url names the ticket), name the file after the ticket, "
                "comments/123.json, or give --ticket",
            )
        kind = text(value.get("type"))
        if kind not in _COMMENTS:
            return Skip(f"event {one_line(kind)[:60]}")
        return Piece(ticket, id_text(value.get("id")) or short_hash(canonical(value)), value)

    def _audit(self, audit: dict[str, Json], ticket: str) -> Iterator[Sorted]:
        """Each event is a record; time and channel are the audit's, the author is the event's own."""
        for event in items(audit.get("events")):
            kind = text(event.get("type"))
            if kind == "CommentPrivacyChange":
                id = f"privacy-{id_text(event.get('id'))}"
                yield Piece(ticket, id, {**event, "created_at": audit.get("created_at"), "_privacy": True})
            elif kind == "ChatStartedEvent":
                history = items(mapping(event.get("value")).get("history"))
                yield Note(
                    "chat-history", f"a chat's transcript of {len(history)} lines was left out; it is a comment too"
                )
                yield Skip("event ChatStartedEvent")
            elif kind not in _COMMENTS:
                yield Skip(f"event {one_line(kind)[:60]}")
            else:
                around = {name: audit.get(name) for name in ("created_at", "via", "metadata")}
                own = {name: each for name, each in event.items() if each is not None or name not in around}
                yield self._comment({"author_id": audit.get("author_id"), **around, **own}, ticket)

    def _events(self, value: dict[str, Json]) -> Iterator[Sorted]:
        ticket = id_text(value.get("ticket_id"))
        children = items(value.get("child_events"))
        for child in children:
            kind = text(child.get("event_type"))
            if kind == "Comment" and ("body" in child or "html_body" in child):
                around = {"created_at": value.get("created_at") or value.get("timestamp"), "via": value.get("via")}
                yield self._comment({"author_id": value.get("updater_id"), **around, **child}, ticket)
            elif kind == "Comment" or child.get("comment_present"):
                hint = "fetch the ticket events once more with include=comment_events"
                yield Finding(
                    "events-without-comments", "the event says that a comment exists and not what it says", hint
                )
            else:
                yield Skip(f"event {one_line(kind)[:60] or 'change'}")

    # What a ticket says.

    def talk(self, thread: Thread, people: People) -> Talk:
        return _Ticket(self.reading, thread, people).talk()

    def close(self) -> Iterator[Note]:
        yield from self.pages.close()


class _Ticket:
    """One ticket with all its comments."""

    def __init__(self, reading: Reading, thread: Thread, people: People) -> None:
        self.reading = reading
        # Audits of a whole account, and lists that were sorted so, name the newest first.
        pieces = oldest_first(thread.pieces, lambda each: time_text(each.value.get("created_at")))
        self.thread = replace(thread, pieces=pieces)
        self.people = people
        self.facts: dict[str, Json] = thread.facts.value if thread.facts else {}
        self.requester = id_text(self.facts.get("requester_id"))
        self.privacy = _privacy(pieces)

    def talk(self) -> Talk:
        facts, thread = self.facts, self.thread
        reason = self._left_out()
        turns: list[Turn | Placed] = [
            Placed(Skip(reason), piece.file, piece.line) if reason else self._turn(piece) for piece in thread.pieces
        ]
        if not turns:
            turns = [self._description(reason)]
        return Talk(
            thread.ticket,
            turns,
            subject=self._subject(),
            status=text(facts.get("status")),
            priority=_PRIORITIES.get(text(facts.get("priority")), ""),
            tags=_tags(facts.get("tags")),
            customer=self._customer(),
            assignee=self._assignee(),
            fields=_fields(facts),
            mailbox=self._mailbox(),
            created=time_text(facts.get("created_at")),
            updated=time_text(facts.get("updated_at")),
        )

    def _left_out(self) -> str:
        facts = self.facts
        if facts.get("status") == "deleted":
            return "its ticket is deleted"
        if facts.get("subject") == "SCRUBBED" and facts.get("description") == "X":
            return "its ticket is scrubbed"
        return ""

    def _subject(self) -> str:
        subject = one_line(self.facts.get("subject"))
        # Phone tickets write line breaks as \n (recorded).
        description = text(self.facts.get("description")).replace("\\n", " ")
        return subject or one_line(description)[:100]

    def _customer(self) -> Person | None:
        if self.requester:
            return self.people.get(self.requester) or Person(self.requester, Side.CUSTOMER)
        if self.thread.facts:
            return None
        for piece in self.thread.pieces:
            author = self.people.get(id_text(piece.value.get("author_id")))
            if author is not None and author.side is Side.CUSTOMER and flag(piece.value.get("public")) is not False:
                return author
        return None

    def _assignee(self) -> Person | None:
        id = id_text(self.facts.get("assignee_id"))
        return (self.people.get(id) or Person(id, Side.STAFF)) if id else None

    def _mailbox(self) -> Address | None:
        found = addresses(self.facts.get("recipient"))
        if not found:
            to = mapping(mapping(mapping(self.facts.get("via")).get("source")).get("to"))
            # Of a ticket that an agent opened the other end is the customer.
            found = tuple(each for each in addresses(to.get("address")) if each.address.lower() != self._own_address())
        return found[0] if found else None

    def _own_address(self) -> str:
        person = self.people.get(self.requester)
        return person.email.lower() if person else ""

    # A comment.

    def _turn(self, piece: Stored) -> Turn | Placed:
        value = piece.value
        if value.get("_privacy"):
            return Placed(Skip("event CommentPrivacyChange"), piece.file, piece.line)
        id = id_text(value.get("author_id"))
        kind = self._kind(id, self.privacy.get(piece.id, flag(value.get("public"))))
        if isinstance(kind, Finding | Skip):
            return Placed(kind, piece.file, piece.line)
        flags = tuple(_flags(value))
        if kind is Kind.OUTGOING and "merge-notice" in flags:
            kind = Kind.INTERNAL_NOTE  # the helpdesk's own words, no answer to anybody
        author = self._author(id, kind, value)
        channel = self._channel(value)
        turn = Turn(
            f"comment-{piece.id}",
            kind,
            author,
            time_text(value.get("created_at")),
            piece.file,
            piece.line,
            html=text(value.get("html_body")),
            text=text(value.get("body")),
            channel=channel,
            attachments=tuple(_files(value)),
            flags=flags,
            notes=tuple(self._notes(author, kind, value)),
        )
        return self._on_the_wire(turn, value)

    def _kind(self, id: str, public: bool | None) -> Kind | Finding | Skip:
        """The type, by who wrote it (in this order: private, the person's role, the requester)."""
        if public is False:
            return Kind.INTERNAL_NOTE
        person = self.people.get(id)
        if person is not None:
            if person.side is Side.CUSTOMER or (self.reading.requester_wins and id == self.requester):
                return Kind.INCOMING
            return Kind.OUTGOING
        if id and id == self.requester:
            return Kind.INCOMING
        if id == _SYSTEM or not id:
            return Skip("written by the system") if self.reading.bots == "skip" else self._bot()
        if self.people.given:
            hint = "give the whole users file, with agents and suspended users too"
            return Finding("author-unknown", f"author {id} is not in the users file", hint)
        return Kind.OUTGOING

    def _bot(self) -> Kind:
        return Kind.INTERNAL_NOTE if self.reading.bots == "note" else Kind.OUTGOING

    def _author(self, id: str, kind: Kind, value: dict[str, Json]) -> Person | None:
        person = self.people.get(id)
        if kind is Kind.INCOMING:
            return person or Person(id, Side.CUSTOMER, self._wire_address(value))
        if person is None:
            return None if id in ("", _SYSTEM) else Person(id, Side.STAFF)
        # Only users of the helpdesk write notes: whoever is none is stood in for.
        return person if person.side is Side.STAFF else replace(person, email="")

    def _wire_address(self, value: dict[str, Json]) -> str:
        """Where the mail came from: the best word of somebody who is in no users file."""
        found = addresses(mapping(mapping(mapping(value.get("via")).get("source")).get("from")).get("address"))
        return found[0].address if found else ""

    def _notes(self, author: Person | None, kind: Kind, value: dict[str, Json]) -> Iterator[Note]:
        if kind is Kind.INTERNAL_NOTE and author is not None and author.side is Side.CUSTOMER:
            yield Note("note-by-customer", "a private comment by somebody who is no agent")
        if kind is Kind.OUTGOING and author is not None and not self.people.given:
            yield Note("no-users-file", "no users file was given: whoever is not the requester was taken for an agent")
        if mapping(value.get("data")).get("recording_url"):
            yield Note("recording-left-out", "a call's recording needs a login and was left out")

    def _channel(self, value: dict[str, Json]) -> str:
        if text(value.get("type")) in ("VoiceComment", "TpeVoiceComment"):
            return "phone"
        own = CHANNELS.get(_channel_word(value))
        return own or CHANNELS.get(_channel_word(self.facts), "email")

    def _on_the_wire(self, turn: Turn, value: dict[str, Json]) -> Turn:
        source = mapping(mapping(value.get("via")).get("source"))
        ends = mapping(source.get("from")), mapping(source.get("to"))
        cc = unique((*addresses(ends[1].get("email_ccs")), *self._copies()))
        if turn.kind is Kind.INCOMING:
            sender = addresses(ends[0].get("address"))
            return replace(turn, sender_address=sender[0] if sender else None, to=addresses(ends[1].get("address")))
        return replace(turn, cc=cc) if turn.kind is Kind.OUTGOING else turn

    def _copies(self) -> tuple[Address, ...]:
        ids = self.facts.get("email_cc_ids")
        people = [self.people.get(id_text(id)) for id in ids] if isinstance(ids, list) else []
        return addresses([person.email for person in people if person is not None and person.email])

    # A ticket without comments.

    def _description(self, reason: str) -> Turn | Placed:
        facts = self.thread.facts
        assert facts is not None  # a thread holds pieces or facts
        if reason:
            return Placed(Skip(reason), facts.file, facts.line)
        if self.facts.get("_has_comments"):
            return Placed(Skip("a ticket without any comment"), facts.file, facts.line)
        if not self.reading.descriptions:
            return Placed(
                Skip("a ticket whose comments are not in the export (--descriptions)"), facts.file, facts.line
            )
        submitter = id_text(self.facts.get("submitter_id")) or self.requester
        kind = self._kind(submitter, flag(self.facts.get("is_public")))
        if isinstance(kind, Finding | Skip):
            return Placed(kind, facts.file, facts.line)
        turn = Turn(
            f"ticket-{self.thread.ticket}-description",
            kind,
            self._author(submitter, kind, self.facts),
            time_text(self.facts.get("created_at")),
            facts.file,
            facts.line,
            text=text(self.facts.get("description")).replace("\\n", "\n"),
            channel=self._channel(self.facts),
        )
        return self._on_the_wire(turn, self.facts)


# Parts of records.


def _person(value: dict[str, Json]) -> Person | Finding:
    name = one_line(value.get("name"))
    role = text(value.get("role"))
    if role not in ("end-user", "agent", "admin") or not id_text(value.get("id")):
        return Finding("no-role", "a user without an id, or whose role is not known", "export the users once more")
    side = Side.CUSTOMER if role == "end-user" else Side.STAFF
    return Person(id_text(value.get("id")), side, text(value.get("email")).strip(), name)


def _privacy(pieces: Iterable[Stored]) -> dict[str, bool]:
    """Whether comments were made private or public later: the last word of each."""
    changes = sorted(
        (piece for piece in pieces if piece.value.get("_privacy")),
        key=lambda piece: text(piece.value.get("created_at")),
    )
    last = ((id_text(piece.value.get("comment_id")), flag(piece.value.get("public"))) for piece in changes)
    return {id: public for id, public in last if public is not None}


def _channel_word(value: dict[str, Json]) -> str:
    channel = mapping(value.get("via")).get("channel", value.get("via_id"))
    return _NUMBERED.get(channel, "") if isinstance(channel, int) else text(channel)


def _flags(value: dict[str, Json]) -> Iterator[str]:
    via = _channel_word(value)
    rel = mapping(mapping(value.get("via")).get("source")).get("rel")
    if "merge" in (via, rel) or _MERGED.match(text(value.get("body"))):
        yield "merge-notice"
    if via in ("rule", "system"):
        yield "automation"


def _tags(value: Json) -> tuple[str, ...]:
    return tuple(tag for tag in value if isinstance(tag, str)) if isinstance(value, list) else ()


def _files(value: dict[str, Json]) -> Iterator[File]:
    for each in items(value.get("attachments")):
        url = text(each.get("content_url")) or text(each.get("mapped_content_url"))
        size = each.get("size")
        yield File(
            url,
            text(each.get("file_name")),
            text(each.get("content_type")),
            size if isinstance(size, int) and size >= 0 else None,
        )


def _fields(facts: dict[str, Json]) -> dict[str, Json]:
    found = {id_text(each.get("id")): each.get("value") for each in items(facts.get("custom_fields"))}
    own = {name: facts[name] for name in ("type", "external_id", "brand_id", "group_id") if facts.get(name) is not None}
    return {**own, **found}
