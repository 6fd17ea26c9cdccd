"""Front: conversations with their messages and comments, teammates and contacts, as its API gives them."""

from __future__ import annotations

import re
from collections.abc import Iterable, Iterator
from pathlib import PurePath

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
    Refusal,
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
    "Front",
    (
        "pages of the API: messages and comments of conversations, conversations, teammates, contacts",
        "conversations that a script wrote with their `messages` and `comments` inside",
        "what connectors write of the same",
    ),
    ((Sureness.DOCUMENTED, "all of it; no real recordings are public, so look at the first tickets with care"),),
    instead="give messages and comments of the API as JSON, with conversations and teammates (docs/convert-front.md "
    "says how); the analytics export holds an extract of each message only",
)
_PREFIXES = {
    "msg": "message",
    "com": "comment",
    "cnv": "conversation",
    "tea": "teammate",
    "crd": "contact",
    "ctc": "contact",
}
_STREAMS = {
    "messages": "message",
    "comments": "comment",
    "conversation": "conversation",
    "conversations": "conversation",
    "teammates": "teammate",
    "contacts": "contact",
}
_CHANNELS = {
    "call": "phone",
    "phone-call": "phone",
    "sms": "sms",
    "whatsapp": "whatsapp",
    "facebook": "facebook-messenger",
    "tweet": "twitter",
    "tweet_dm": "twitter-direct-message",
    "front_chat": "chat",
    "smooch": "chat",
    "intercom": "chat",
    "googleplay": "api",
    "custom": "api",
}
_LEFT_OUT = {"deleted": "its conversation is deleted", "spam": "its conversation is spam"}
# Front gives nothing of tweets away but this (Front reference, "Messages").
_REDACTED = "[REDACTED]"
_CONVERSATION = re.compile(r"\bcnv_\w+")


class Front:
    """See `words.Converter`."""

    def __init__(self, reading: Reading) -> None:
        self.reading = reading
        self.pages = Pages()

    # What a record is.

    def sort(self, record: Record) -> Iterable[Sorted]:
        value = record.value
        if "Extract" in value and "Message ID" in value:
            raise Refusal(f"{record.file} is the analytics export, which holds extracts and no messages", ABOUT.instead)
        kind = _kind_of(record)
        ticket = self._conversation_of(record) if kind in ("message", "comment") else ""
        more = bool(mapping(record.page.get("_pagination")).get("next"))
        self.pages.see(record, f"{kind}s of {ticket}" if ticket else f"{kind}s", more)
        match kind:
            case "message" | "comment":
                return [_piece(value, kind, ticket)]
            case "conversation":
                return list(_conversation(value))
            case "teammate":
                return [_teammate(value)]
            case "contact":
                return list(_contact(value))
        return [Skip(f"a record of another kind ({kind})")]

    def _conversation_of(self, record: Record) -> str:
        """A message says it in a link only; else the link of its page, the object around it, or the file's name."""
        own = id_text(record.value.get("conversation_id")) or _linked(mapping(record.value.get("_links")))
        page = record.page
        around = _linked(mapping(page.get("_links"))) or id_text(mapping(page.get("conversation")).get("id"))
        named = _CONVERSATION.search(PurePath(record.file).name.partition(".")[0])
        return own or around or (named.group() if named else self.reading.ticket)

    # What a conversation says.

    def talk(self, thread: Thread, people: People) -> Talk:
        return _Ticket(self.reading, thread, people).talk()

    def close(self) -> Iterator[Note]:
        yield from self.pages.close()


def _kind_of(record: Record) -> str:
    """By the beginning of its id, else by the name of its list or stream, else by its fields."""
    value = record.value
    found = _PREFIXES.get(id_text(value.get("id")).partition("_")[0]) or _STREAMS.get(record.stream)
    if found:
        return found
    if "is_inbound" in value:
        return "message"
    return "comment" if "posted_at" in value else "unknown"


def _linked(links: dict[str, Json]) -> str:
    found = _CONVERSATION.search(text(mapping(links.get("related")).get("conversation")) or text(links.get("self")))
    return found.group() if found else ""


def _piece(value: dict[str, Json], kind: str, ticket: str) -> Sorted:
    id = id_text(value.get("id"))
    if not id:
        return Finding("no-id", f"a {kind} without an id", "export the messages once more, with their ids")
    if not ticket:
        hint = "keep the `_links` of each record, name the file after its conversation (cnv_123.json), or give --ticket"
        return Finding("ticket-unknown", f"the {kind} does not say which conversation it belongs to", hint)
    return Piece(ticket, id, {**value, "_kind": kind})


def _conversation(value: dict[str, Json]) -> Iterator[Sorted]:
    id = id_text(value.get("id"))
    if not id:
        yield Finding("no-id", "a conversation without an id", "export the conversations once more")
        return
    inside = {"messages": "message", "comments": "comment"}
    yield Facts(id, {name: each for name, each in value.items() if name not in inside})
    for name, kind in inside.items():
        yield from (_piece(each, kind, id) for each in items(value.get(name)))


def _teammate(value: dict[str, Json]) -> Person:
    return Person(id_text(value.get("id")), Side.STAFF, text(value.get("email")).strip(), _name(value))


def _contact(value: dict[str, Json]) -> Iterator[Sorted]:
    """Messages name a contact by one of his handles only: he is found by each."""
    handles = [text(each.get("handle")).strip() for each in items(value.get("handles"))]
    mails = addresses(handles)
    for handle in filter(None, handles):
        yield Person(handle, Side.CUSTOMER, mails[0].address if mails else "", one_line(value.get("name")))


class _Ticket:
    """One conversation with its messages and comments."""

    def __init__(self, reading: Reading, thread: Thread, people: People) -> None:
        self.reading = reading
        self.thread = thread
        self.people = people
        self.facts: dict[str, Json] = thread.facts.value if thread.facts else {}
        self.pieces = oldest_first(thread.pieces, _moment, newest_is_usual=True)

    def talk(self) -> Talk:
        facts, thread = self.facts, self.thread
        reason = _LEFT_OUT.get(text(facts.get("status")), "")
        turns: list[Turn | Placed] = [
            Placed(Skip(reason), piece.file, piece.line) if reason else self._turn(piece) for piece in self.pieces
        ]
        if not turns and thread.facts is not None:
            why = reason or "a conversation whose messages are not in the export"
            turns = [Placed(Skip(why), thread.facts.file, thread.facts.line)]
        return Talk(
            thread.ticket,
            turns,
            subject=text(facts.get("subject")) or self._first_subject(),
            status=text(facts.get("status")),
            tags=tuple(text(tag.get("name")) for tag in items(facts.get("tags"))),
            customer=self._customer(),
            assignee=self._staff(mapping(facts.get("assignee"))),
            fields=mapping(facts.get("custom_fields")),
            mailbox=self._mailbox(),
            created=time_text(facts.get("created_at")),
        )

    def _first_subject(self) -> str:
        return next(filter(None, (text(piece.value.get("subject")) for piece in self.pieces)), "")

    def _customer(self) -> Person | None:
        """Whom the conversation is with: its own word, else who wrote in first, else who was written to first."""
        own = mapping(self.facts.get("recipient"))
        if own.get("handle"):
            return self._contact(own)
        for inbound, role in ((True, "from"), (False, "to")):
            for piece in self.pieces:
                found = _recipients(piece.value, role) if piece.value.get("is_inbound") is inbound else []
                if found:
                    return self._contact(found[0])
        return None

    def _contact(self, recipient: dict[str, Json]) -> Person:
        """Handles may be phone numbers or names of social networks."""
        handle = text(recipient.get("handle")).strip()
        own = addresses(handle)
        known = self.people.get(handle)
        name = one_line(recipient.get("name")) or (known.name if known else "")
        if own:
            return Person(handle, Side.CUSTOMER, own[0].address, name)
        return known or Person(handle, Side.CUSTOMER, "", name)

    def _staff(self, author: dict[str, Json]) -> Person | None:
        id = id_text(author.get("id"))
        known = self.people.get(id) if id else None
        if known is not None:
            return known
        email = text(author.get("email")).strip()
        return Person(id or email, Side.STAFF, email, _name(author)) if id or email else None

    def _mailbox(self) -> Address | None:
        for piece in self.pieces:
            if piece.value.get("is_inbound") is False and (found := _ends(piece.value, "from")):
                return found[0]
        return None

    # A message or a comment.

    def _turn(self, piece: Stored) -> Turn | Placed:
        value = piece.value
        kind = self._kind(value)
        if isinstance(kind, Skip | Finding):
            return Placed(kind, piece.file, piece.line)
        is_note = kind is Kind.INTERNAL_NOTE
        is_comment = value.get("_kind") == "comment"
        sender = _ends(value, "from")
        return Turn(
            piece.id,
            kind,
            self._author(value, kind),
            _time(value),
            piece.file,
            piece.line,
            html="" if is_comment else text(value.get("body")),
            text=text(value.get("body")) if is_comment else text(value.get("text")),
            subject=text(value.get("subject")),
            channel=_CHANNELS.get(text(value.get("type")), "email"),
            sender_address=sender[0] if sender and not is_note else None,
            to=() if is_note else _ends(value, "to"),
            cc=() if is_note else _ends(value, "cc"),
            bcc=() if is_note else _ends(value, "bcc"),
            attachments=tuple(_files(value)),
            flags=("automation",) if kind is not Kind.INCOMING and _is_automatic(value) else (),
            notes=tuple(_notes(value)),
        )

    def _kind(self, value: dict[str, Json]) -> Kind | Skip | Finding:
        """The first row of the table that fits; `is_inbound` can be trusted (Front reference, "Messages")."""
        if value.get("draft_mode"):
            return Skip("a draft")
        if _REDACTED in (text(value.get("body")).strip(), text(value.get("text")).strip()):
            return Skip("redacted: Front does not give away what was said on Twitter")
        if _is_note(value) or self.facts.get("type") == "discussion":
            return self._of_bots(value, Kind.INTERNAL_NOTE)
        if value.get("is_inbound") is True:
            return Kind.INCOMING
        if value.get("is_inbound") is False:
            return self._of_bots(value, Kind.OUTGOING)
        hint = "export the messages once more, with all their fields"
        return Finding("direction-unknown", "the message does not say whether it came in or went out", hint)

    def _of_bots(self, value: dict[str, Json], kind: Kind) -> Kind | Skip:
        if not _is_automatic(value) or self.reading.bots == "outgoing":
            return kind
        return Skip("written by an automation") if self.reading.bots == "skip" else Kind.INTERNAL_NOTE

    def _author(self, value: dict[str, Json], kind: Kind) -> Person | None:
        """Of an inbound message the sender on the wire: its author is the teammate who forwarded or imported it."""
        sender = next(iter(_recipients(value, "from")), None)
        author = mapping(value.get("author"))
        if kind is Kind.INCOMING:
            return self._contact(sender) if sender else None
        if _is_automatic(value):
            return Person(id_text(author.get("id")) or "automation", Side.BOT, "", _name(author) or "automation")
        found = self._staff(author)
        if found is None and sender is not None:
            handle = text(sender.get("handle")).strip()
            return Person(handle, Side.STAFF, handle, one_line(sender.get("name")))
        return found


# Parts of records.


def _time(value: dict[str, Json]) -> str:
    """Seconds with a fraction; comments name it otherwise."""
    return time_text(value.get("created_at") or value.get("posted_at"))


def _moment(piece: Stored) -> str:
    return utc(_time(piece.value)) or ""


def _is_note(value: dict[str, Json]) -> bool:
    return value.get("_kind") == "comment" or value.get("type") == "internal"


def _is_automatic(value: dict[str, Json]) -> bool:
    """Whether a rule, macro, integration or the like stands as author, and no person."""
    return text(mapping(value.get("author")).get("type")) not in ("", "user")


def _name(value: dict[str, Json]) -> str:
    whole = f"{text(value.get('first_name'))} {text(value.get('last_name'))}"
    return one_line(whole) or one_line(value.get("username"))


def _recipients(value: dict[str, Json], role: str) -> list[dict[str, Json]]:
    return [each for each in items(value.get("recipients")) if each.get("role") == role and each.get("handle")]


def _ends(value: dict[str, Json], role: str) -> tuple[Address, ...]:
    found = ((each, addresses(each.get("handle"))) for each in _recipients(value, role))
    return tuple(Address(ends[0].address, one_line(each.get("name"))) for each, ends in found if ends)


def _files(value: dict[str, Json]) -> Iterator[File]:
    for each in items(value.get("attachments")):
        size = each.get("size")
        yield File(
            text(each.get("url")),
            text(each.get("filename")),
            text(each.get("content_type")),
            size if isinstance(size, int) and size >= 0 else None,
        )


def _notes(value: dict[str, Json]) -> Iterator[Note]:
    if value.get("error_type"):
        yield Note("failed-to-send", "Front could not send a message; it is kept")
    if any("frontapp.com/" in text(each.get("url")) for each in items(value.get("attachments"))):
        yield Note("link-needs-login", "the link to an attachment leads to Front's API, which asks for its token")
