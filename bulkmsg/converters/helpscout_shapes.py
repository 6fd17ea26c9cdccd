"""Help Scout's records by their looks; the API's second version, its first and webhooks in the same words."""

from __future__ import annotations

import re
from collections.abc import Iterator
from pathlib import PurePath

from bulkmsg.converters.texts import addresses, id_text, items, mapping, one_line, text
from bulkmsg.converters.words import Address, File, Person, Side
from bulkmsg.readers.records import Record
from bulkmsg.source import Json

_STREAMS = {
    "conversations": "conversation",
    "threads": "thread",
    "conversation_threads": "thread",
    "customers": "customer",
    "users": "user",
    "mailboxes": "mailbox",
    "inboxes": "mailbox",
}
_OF_CONVERSATION = re.compile(r"/conversations/(\d+)(?:[/?.]|$)")
_DIGITS_AT_END = re.compile(r"(\d+)$")
_CHATS = frozenset({"chat", "beaconchat"})


def kind_of(record: Record) -> str:
    """By the name of its list or stream, else by its fields."""
    value = record.value
    named = _STREAMS.get(record.stream)
    if named:
        return named
    if value.keys() <= {"_links", "page", "_embedded", "pages", "count", "items"}:
        return "empty page"
    if "subject" in value or "primaryCustomer" in value or "folderId" in value:
        return "conversation"
    if "body" in value or "actionType" in value or isinstance(value.get("action"), dict):
        return "thread"
    if value.get("role") in ("owner", "admin", "user"):
        return "user"
    if "slug" in value and "email" in value:
        return "mailbox"
    if ("firstName" in value or "first" in value) and ("emails" in value or "_embedded" in value or "email" in value):
        return "customer"
    return "unknown"


def threads(value: dict[str, Json]) -> list[dict[str, Json]] | None:
    """The threads inside a conversation: `threads` is a list in the first version and a number in the second."""
    for found in (value.get("threads"), mapping(value.get("_embedded")).get("threads")):
        if isinstance(found, list):
            return items(found)
    return None


def conversation_of(record: Record) -> str:
    """The conversation of a thread: its own word, a link of its page or of itself, or the file's name."""
    value = record.value
    for own in ("conversationId", "conversation_id"):
        if id := id_text(value.get(own)):
            return id
    for links in (record.page.get("_links"), value.get("_links")):
        for each in mapping(links).values():
            found = _OF_CONVERSATION.search(text(mapping(each).get("href")))
            if found:
                return found.group(1)
    digits = _DIGITS_AT_END.search(PurePath(record.file).name.partition(".")[0])
    return digits.group(1) if digits else ""


def person(value: Json, side: Side | None = None) -> Person | None:
    """Somebody, as records mention him. Customers are numbered apart from users: customer-ID; None if nobody."""
    who = mapping(value)
    id = id_text(who.get("id"))
    if not who or (not id and not email(who)) or id == "0":
        return None
    staff = side is Side.STAFF if side else who.get("type") in ("user", "team")
    name = one_line(f"{first(who, 'first', 'firstName')} {first(who, 'last', 'lastName')}")
    if not staff:
        return Person(f"customer-{id or email(who)}", Side.CUSTOMER, email(who), name)
    return Person(id or email(who), Side.STAFF, email(who), name)


def first(value: dict[str, Json], *names: str) -> str:
    return next((found for name in names if (found := text(value.get(name)))), "")


def email(who: dict[str, Json]) -> str:
    """The one address, or the first of the list that customers have."""
    own = text(who.get("email")).strip()
    listed = who.get("emails") or mapping(who.get("_embedded")).get("emails")
    for each in listed if isinstance(listed, list) and not own else ():
        own = own or text(each.get("value") if isinstance(each, dict) else each).strip()
    return own


def writer_is_customer(value: dict[str, Json]) -> bool | None:
    """Whether a customer created a thread; None if it does not say."""
    who = mapping(value.get("createdBy")).get("type")
    if who in ("customer", "user", "team"):
        return bool(who == "customer")
    flag = value.get("createdByCustomer")
    return flag if isinstance(flag, bool) else None


def action(value: dict[str, Json]) -> str:
    return text(value.get("actionType")) or text(mapping(value.get("action")).get("type"))


def channel(value: dict[str, Json], facts: dict[str, Json]) -> str:
    kinds = {text(each).lower() for each in (value.get("type"), mapping(value.get("source")).get("type"))}
    if kinds & _CHATS or facts.get("type") == "chat":
        return "chat"
    return "phone" if "phone" in kinds or facts.get("type") == "phone" else "email"


def tags(facts: dict[str, Json]) -> Iterator[str]:
    found = facts.get("tags")
    for each in found if isinstance(found, list) else ():
        yield text(each.get("tag") or each.get("name")) if isinstance(each, dict) else text(each)


def fields(facts: dict[str, Json]) -> dict[str, Json]:
    """Custom fields by their ids and by their names; `text` is what people see of a number of a choice."""
    found: dict[str, Json] = {}
    for each in items(facts.get("customFields")):
        value = each.get("text") or each.get("value")
        found |= {id_text(each.get("id")): value, text(each.get("name")): value}
    return found


def mailbox(value: Json) -> tuple[Address, ...]:
    """The address of a mailbox's record."""
    box = mapping(value)
    return tuple(Address(each.address, one_line(box.get("name"))) for each in addresses(box.get("email")))


def files(value: dict[str, Json]) -> Iterator[File]:
    """The link for people comes before that for programs, which answers JSON with the file inside."""
    for each in items(mapping(value.get("_embedded")).get("attachments")) or items(value.get("attachments")):
        links, size = mapping(each.get("_links")), each.get("size")
        web, data = (text(mapping(links.get(name)).get("href")) for name in ("web", "data"))
        yield File(
            text(each.get("url")) or web or data,
            first(each, "filename", "fileName"),
            text(each.get("mimeType")),
            size if isinstance(size, int) and size >= 0 else None,
        )


def needs_login(value: dict[str, Json]) -> bool:
    """Whether a file has no link but that for programs."""
    return any(each.url.endswith("/data") for each in files(value))
