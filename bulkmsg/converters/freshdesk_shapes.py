"""The two shapes of Freshdesk's records made one: that of the API v2, where `body` is HTML and `body_text` is plain.

In the account's export and the API v1 it is the other way round: `body` is plain and `body_html` is HTML; records are
wrapped in their names, and the number that people see is `display_id`.
"""

from __future__ import annotations

from collections.abc import Iterator

from bulkmsg.converters.texts import flag, id_text, items, mapping, one_line, text
from bulkmsg.converters.words import File, Finding, Person, Side
from bulkmsg.readers.records import Record
from bulkmsg.source import Json

PRIORITIES = {"1": "low", "2": "normal", "3": "high", "4": "critical"}
_STATUSES = {"2": "open", "3": "pending", "4": "solved", "5": "closed"}
_WRAPPERS = {
    "helpdesk_ticket": "ticket",
    "ticket": "ticket",
    "note": "conversation",
    "helpdesk_note": "conversation",
    "conversation": "conversation",
    "user": "person",
    "agent": "person",
    "contact": "person",
}
_STREAMS = {
    "tickets": "ticket",
    "helpdesk_ticket": "ticket",
    "conversations": "conversation",
    "notes": "conversation",
    "agents": "person",
    "contacts": "person",
    "users": "person",
    "user": "person",
    "agent": "person",
    "contact": "person",
    "companies": "company",
    "company": "company",
    "groups": "group",
    "group": "group",
}


def kind_of(record: Record) -> tuple[str, dict[str, Json]]:
    """What a record is, by its wrapper, its list or its fields, and the record without its wrapper."""
    value = record.value
    if len(value) == 1:
        ((name, inner),) = value.items()
        if name in _WRAPPERS and isinstance(inner, dict):
            return _WRAPPERS[name], inner
    named = _STREAMS.get(record.stream)
    if named:
        return named, value
    if "user_id" in value and ("ticket_id" in value or "incoming" in value):
        return "conversation", value
    if "requester_id" in value:
        return "ticket", value
    if isinstance(value.get("contact"), dict) or "helpdesk_agent" in value or "email" in value:
        return "person", value
    return ("company" if "domains" in value else "unknown"), value


def ticket(value: dict[str, Json]) -> dict[str, Json]:
    """A ticket in the shape of v2."""
    made = dict(value)
    if "display_id" in value or "description_html" in value or "notes" in value:
        made["id"] = value.get("display_id") or value.get("id")
        if "description" in value or "description_html" in value:
            made["description"] = value.get("description_html")
            made["description_text"] = value.get("description")
        made["conversations"] = [_bare_note(each) for each in items(value.get("notes"))]
        made["cc_emails"] = mapping(value.get("cc_email")).get("cc_emails")
        made["to_emails"] = value.get("to_email")
        made["custom_fields"] = value.get("custom_field") or value.get("custom_fields")
        made.pop("notes", None)
    elif text(value.get("description")):
        made.pop("description_text", None)  # has lost its line breaks (recorded)
    return made


def conversation(value: dict[str, Json]) -> dict[str, Json]:
    """A conversation in the shape of v2."""
    made = dict(value)
    if "body_html" in value:
        made["body"] = value.get("body_html")
        made["body_text"] = value.get("body")
        made.pop("body_html")
    elif text(value.get("body")):
        made.pop("body_text", None)
    return made


def _bare_note(value: dict[str, Json]) -> dict[str, Json]:
    """A note of v1, which may be wrapped."""
    for name in ("note", "helpdesk_note"):
        if isinstance(value.get(name), dict):
            inner: dict[str, Json] = value[name]
            return inner
    return value


def person(value: dict[str, Json], stream: str) -> Person | Finding:
    """An agent, a contact, or a user of the export, who says himself what he is."""
    user = value.get("contact") or value.get("user")
    inner = user if isinstance(user, dict) else value
    staff = inner is not value or flag(value.get("helpdesk_agent")) is True or stream in ("agents", "agent")
    id = id_text(value.get("user_id")) or id_text(value.get("id")) or id_text(inner.get("id"))
    if not id:
        return Finding("no-id", "a person without an id", "export agents and contacts once more")
    side = Side.STAFF if staff else Side.CUSTOMER
    return Person(id, side, text(inner.get("email")).strip(), one_line(inner.get("name")))


def status(value: Json) -> str:
    """The status in words; numbers of an account's own stay numbers, for `--status-map`."""
    number = id_text(value)
    return _STATUSES.get(number, number)


def tags(value: Json) -> Iterator[str]:
    """Names, which the export wraps."""
    for each in value if isinstance(value, list) else ():
        name = each.get("name") if isinstance(each, dict) else each
        if isinstance(name, str):
            yield name


def files(value: dict[str, Json]) -> Iterator[File]:
    for each in items(value.get("attachments")):
        wrapped = mapping(each.get("attachment")) or each
        size = wrapped.get("size", wrapped.get("content_file_size"))
        yield File(
            text(wrapped.get("attachment_url")),
            text(wrapped.get("name") or wrapped.get("content_file_name")),
            text(wrapped.get("content_type") or wrapped.get("content_content_type")),
            size if isinstance(size, int) and size >= 0 else None,
        )
