"""Intercom's records by their looks; conversations, tickets and connectors' streams in the same words."""

from __future__ import annotations

import html
import re
from collections.abc import Iterator
from dataclasses import dataclass

from bulkmsg.converters.texts import addresses, flattened, id_text, is_empty, items, mapping, one_line, text, time_text
from bulkmsg.converters.words import Address, File, Finding, Person, Side
from bulkmsg.readers.records import Record
from bulkmsg.source import Json

CUSTOMERS = frozenset({"user", "lead", "contact", "customer"})
_TYPES = {
    "conversation": "conversation",
    "ticket": "conversation",
    "conversation_part": "part",
    "ticket_part": "part",
    **dict.fromkeys((*CUSTOMERS, "admin"), "person"),
}
_STREAMS = {
    "conversations": "conversation",
    "tickets": "conversation",
    "conversation_parts": "part",
    "ticket_parts": "part",
    **dict.fromkeys(("contacts", "admins", "users", "leads", "customers"), "person"),
}
_CHANNELS = {
    "email": "email",
    "facebook": "facebook-messenger",
    "twitter": "twitter-direct-message",
    "instagram": "instagram-direct-message",
    "whatsapp": "whatsapp",
    "sms": "sms",
    "phone_call": "phone",
    "phone_switch": "phone",
}
_MARKUP = re.compile(r"<[a-zA-Z/!][^<>]*>")
_EXPIRING_PICTURE = re.compile(r"<img\b[^<>]*\bexpires=", re.IGNORECASE)
_TITLE, _DESCRIPTION = "_default_title_", "_default_description_"
_SOLVED = frozenset({"resolved", "closed"})


@dataclass(frozen=True, slots=True)
class Ends:
    """The addresses of a message on the wire, where it went by mail."""

    sender: tuple[Address, ...] = ()
    to: tuple[Address, ...] = ()
    cc: tuple[Address, ...] = ()
    bcc: tuple[Address, ...] = ()


def kind_of(record: Record) -> tuple[str, dict[str, Json]]:
    """What a record is, by its own type, its list or its fields; a webhook's record is the one that it tells of."""
    value = record.value
    if value.get("type") == "notification_event":
        value = mapping(mapping(value.get("data")).get("item"))
    named = _TYPES.get(text(value.get("type"))) or _STREAMS.get(record.stream)
    if named:
        return named, value
    if "part_type" in value:
        return "part", value
    if "conversation_parts" in value or "source" in value:
        return "conversation", value
    if value.get("role") in ("user", "lead") or "away_mode_enabled" in value:
        return "person", value
    return one_line(value.get("type"))[:60] or "unknown", value


def parts(value: dict[str, Json]) -> list[dict[str, Json]] | None:
    """The parts inside a conversation or a ticket; None where it has no list of them."""
    for name in ("conversation_parts", "ticket_parts"):
        inner = value.get(name)
        inner = inner.get(name) if isinstance(inner, dict) else inner
        if isinstance(inner, list):
            return items(inner)
    return None


def total(value: dict[str, Json]) -> int:
    """How many parts a conversation says that it has."""
    for name in ("conversation_parts", "ticket_parts"):
        count = mapping(value.get(name)).get("total_count")
        if isinstance(count, int):
            return count
    return 0


def person(value: dict[str, Json]) -> Person | Finding:
    """A contact or an admin of a file of people."""
    id = id_text(value.get("id"))
    if not id:
        return Finding("no-id", "a person without an id", "export contacts and admins once more")
    staff = value.get("type") == "admin" or "away_mode_enabled" in value or "has_inbox_seat" in value
    return Person(id, Side.STAFF if staff else Side.CUSTOMER, text(value.get("email")).strip(), name(value))


def name(value: dict[str, Json]) -> str:
    """A name; they may be entity-encoded."""
    return one_line(html.unescape(text(value.get("name"))))


def when(value: Json) -> str:
    """A time: seconds since 1970, of which connectors make texts."""
    return time_text(int(value) if isinstance(value, str) and value.isascii() and value.isdigit() else value)


def bodies(body: str) -> tuple[str, str]:
    """HTML and text: without any tag a body is plain (dumps with display_as=plaintext, newer webhooks)."""
    return (body, "") if _MARKUP.search(body) else ("", body)


def says_nothing(value: dict[str, Json]) -> bool:
    """Neither a word, nor a picture, nor a file."""
    return is_empty(text(value.get("body"))) and not items(value.get("attachments"))


def has_expiring_picture(body: str) -> bool:
    return _EXPIRING_PICTURE.search(body) is not None


def subject(facts: dict[str, Json]) -> str:
    """The title, else the subject of the opening message, which mails wrap in HTML."""
    title = text(facts.get("title")) or text(_attribute(facts, _TITLE))
    return one_line(html.unescape(title)) or flattened(text(mapping(facts.get("source")).get("subject")))


def description(facts: dict[str, Json]) -> str:
    """The description of a ticket, which is its opening message."""
    return text(_attribute(facts, _DESCRIPTION))


def _attribute(facts: dict[str, Json], name: str) -> Json:
    return attributes(facts).get(name)


def attributes(facts: dict[str, Json]) -> dict[str, Json]:
    """Custom attributes by their names; tickets may wrap the values with their types."""
    found = {**mapping(facts.get("custom_attributes")), **mapping(facts.get("ticket_attributes"))}
    return {key: each["value"] if isinstance(each, dict) and "value" in each else each for key, each in found.items()}


def status(facts: dict[str, Json]) -> str:
    """open, closed, snoozed, or a ticket's state of its own in these words."""
    state = facts.get("ticket_state")
    word = text(mapping(state).get("category")) or text(state)
    if word:
        return "closed" if word in _SOLVED else "open"
    if isinstance(facts.get("open"), bool) and not text(facts.get("state")):
        return "open" if facts["open"] else "closed"
    return text(facts.get("state"))


def tags(facts: dict[str, Json]) -> Iterator[str]:
    found = facts.get("tags")
    for each in items(found.get("tags") if isinstance(found, dict) else found):
        yield html.unescape(text(each.get("name")))


def contacts(facts: dict[str, Json]) -> list[str]:
    """The ids of those whose conversation it is."""
    found = facts.get("contacts")
    listed = items(found.get("contacts") if isinstance(found, dict) else found)
    return [id for each in listed if (id := id_text(each.get("id")))]


def channel(value: dict[str, Json], facts: dict[str, Json]) -> str:
    """What has headers of a mail was one; else the conversation says where it began, in the messenger if nowhere."""
    if items(mapping(value.get("email_message_metadata")).get("email_address_headers")):
        return "email"
    return _CHANNELS.get(text(mapping(facts.get("source")).get("type")), "chat")


def ends(value: dict[str, Json]) -> Ends:
    """The headers of a mail."""
    found: dict[str, list[str]] = {}
    for each in items(mapping(value.get("email_message_metadata")).get("email_address_headers")):
        found.setdefault(text(each.get("type")).lower(), []).append(text(each.get("email_address")))
    return Ends(*(addresses(found.get(name)) for name in ("from", "to", "cc", "bcc")))


def files(value: dict[str, Json]) -> Iterator[File]:
    for each in items(value.get("attachments")):
        size = each.get("filesize")
        yield File(
            text(each.get("url")),
            text(each.get("name")),
            text(each.get("content_type")),
            size if isinstance(size, int) and size >= 0 else None,
        )
