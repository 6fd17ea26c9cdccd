"""Which bodies the helpdesk takes: known fields, types, limits, and the rules per type of message.

Sources: Gorgias reference, "Create a message" and "Create a ticket" (fields and enumerations of June 2026);
changelog, "Stricter ticket messages validation", "Limit ticket message body size to 1MB", "Limit length of
ticket subject". Who may be a sender is checked in `people`, because it depends on who is known.
"""

from collections.abc import Mapping
from typing import Any

from bulkmsg.sandbox.checks import (
    MISSING,
    Check,
    anything,
    array,
    body,
    boolean,
    date,
    integer,
    mapping,
    nullable,
    one_of,
    record,
    text,
)
from bulkmsg.sandbox.wire import Json, Problems

NOTE = "internal-note"

_VIA = """
    aircall api chat contact_form email facebook facebook-mention facebook-messenger
    facebook-recommendations form helpdesk help-center instagram instagram-ad-comment instagram-comment
    instagram-direct-message instagram-mention internal-note phone rule shopify sms twilio twitter
    twitter-direct-message whatsapp yotpo yotpo-review zendesk
"""
VIA = frozenset(_VIA.split())
_SOURCE_TYPES = """
    aircall api app custom-chat chat chat-contact-form chat-offline-capture contact-form email facebook
    facebook-comment facebook-mention-comment facebook-mention-post facebook-message facebook-messenger
    facebook-post facebook-review facebook-review-comment form google-business-messages help-center
    help-center-contact-form helpdesk instagram instagram-ad-comment instagram-ad-media
    instagram-comment instagram-direct-message instagram-media instagram-mention-comment
    instagram-mention-media internal-note ottspott-call phone rule self_service shopify sms
    system-message tiktok-shop twilio twitter-direct-message twitter-mention-tweet twitter-quoted-tweet
    twitter-tweet whatsapp-message yotpo-review yotpo-review-private-comment yotpo-review-public-comment
"""
SOURCE_TYPES = frozenset(_SOURCE_TYPES.split())
FROM_MISSING = '"From" field is missing or empty'
TO_MISSING = '"To" field is missing'

_END = record({"name": text(), "address": text(320)})
SOURCE = record(
    {
        "type": one_of(SOURCE_TYPES),
        "from": _END,
        "to": array(_END),
        "cc": array(_END),
        "bcc": array(_END),
        "extra": mapping,
    }
)
PERSON = record(
    {
        "id": integer(1),
        "email": text(320, null=False),
        "name": text(),
        "firstname": text(),
        "lastname": text(),
        "external_id": text(255),
        "note": text(),
        "timezone": text(),
        "language": text(),
        "meta": nullable(mapping),
        "channels": array(record({"type": text(), "address": text(), "preferred": boolean}, ["type", "address"])),
    }
)
ATTACHMENT = record(
    {
        "url": text(null=False),
        "name": text(null=False),
        "content_type": text(null=False),
        "size": nullable(integer(0)),
        "public": boolean,
        "extra": anything,
    },
    ["url", "name", "content_type"],
)
_DATES = ("created", "sent", "failed", "opened", "deleted")
MESSAGE: Mapping[str, Check] = {
    "channel": text(null=False, shortest=1),
    "from_agent": boolean,
    "via": one_of(VIA),
    "body_text": body(),
    "body_html": body(),
    "subject": text(998),
    "sender": PERSON,
    "receiver": nullable(PERSON),
    "source": SOURCE,
    "external_id": text(255),
    "message_id": text(),
    "imported": boolean,
    "last_sending_error": nullable(record({"error": text()})),
    "public": boolean,
    "integration_id": nullable(integer(1)),
    "attachments": nullable(array(ATTACHMENT)),
    "headers": nullable(mapping),
    "meta": nullable(mapping),
    "mention_ids": array(integer(1)),
    "macros": array(record({"id": integer(1)})),
    "actions": nullable(array(mapping)),
    "stripped_text": text(),
    "stripped_html": text(),
    "stripped_signature": text(),
    **{f"{name}_datetime": date for name in _DATES},
}
MESSAGE_IN_TICKET = {name: check for name, check in MESSAGE.items() if name != "imported"}
_ID = nullable(record({"id": integer(1)}))
_TICKET_DATES = ("updated", "opened", "closed", "trashed", "snooze", "last_message", "last_received_message")
TICKET_CHANGE: Mapping[str, Check] = {
    "customer": record({"id": integer(1), "email": text(320, null=False), "name": text()}),
    "subject": text(998),
    "channel": text(null=False, shortest=1),
    "via": one_of(VIA),
    "from_agent": boolean,
    "external_id": text(255),
    "status": one_of(frozenset({"open", "closed"})),
    "priority": one_of(frozenset({"critical", "high", "normal", "low"})),
    "assignee_user": _ID,
    "assignee_team": _ID,
    "tags": array(
        record({"id": integer(1), "name": text(256, null=False, shortest=1), "decoration": nullable(mapping)})
    ),
    "custom_fields": array(record({"id": integer(1), "value": anything}, ["id"])),
    "language": text(),
    "spam": boolean,
    "meta": nullable(mapping),
    "split_from": nullable(integer(1)),
    "is_unread": boolean,
    **{f"{name}_datetime": date for name in _TICKET_DATES},
}
TICKET: Mapping[str, Check] = {
    **{name: check for name, check in TICKET_CHANGE.items() if name != "is_unread"},
    "created_datetime": date,
    "imported": boolean,
    "messages": array(anything, 1, 500),
}
CUSTOMER: Mapping[str, Check] = {
    **{name: text(320 if name == "email" else 255) for name in ("email", "name", "external_id")},
    **{name: text() for name in ("firstname", "lastname", "language", "timezone", "note")},
    "channels": array(record({"type": text(), "address": text(), "preferred": boolean}, ["type", "address"])),
    "meta": nullable(mapping),
    "data": anything,
}


def message_problems(data: Any, fields: Mapping[str, Check] = MESSAGE) -> Problems:
    """What is wrong with a message body on its own; empty when nothing."""
    problem = record(fields, ["channel", "from_agent"])(data)
    if isinstance(problem, list):
        return {"_schema": problem}
    return problem or _type_problems(data)


def ticket_problems(data: Any) -> Problems:
    """What is wrong with the body of a new ticket, its messages included, nested along the body."""
    problem = record(TICKET, ["messages"])(data)
    if problem:
        return problem if isinstance(problem, dict) else {"_schema": problem}
    messages = enumerate(data["messages"])
    found = {str(i): p for i, each in messages if (p := message_problems(each, MESSAGE_IN_TICKET))}
    return {"messages": found} if found else {}


def change_problems(data: Any) -> Problems:
    """What is wrong with a change of a ticket."""
    problem = record(TICKET_CHANGE)(data)
    return {"_schema": problem} if isinstance(problem, list) else problem or {}


def customer_problems(data: Any) -> Problems:
    problem = record(CUSTOMER)(data)
    return {"_schema": problem} if isinstance(problem, list) else problem or {}


def _type_problems(data: Json) -> Problems:
    if data["channel"] == NOTE:
        return _note_problems(data)
    incoming = not data["from_agent"]
    if incoming and data.get("receiver"):
        return {"receiver": ["Receiver must not be set on a message from a customer."]}
    return _mail_problems(data) if data["channel"] == "email" else {}


def _note_problems(data: Json) -> Problems:
    if not data["from_agent"]:
        return {"from_agent": ["An internal note must come from an agent."]}
    if data.get("receiver"):
        return {"receiver": ["Receiver must not be set on an internal note."]}
    if not data.get("sender") and not address(data, "from"):
        return {"sender": MISSING}
    return {}


def _mail_problems(data: Json) -> Problems:
    """Both ends of an e-mail must be named; the texts are reported ones, their place a guess."""
    if not address(data, "from"):
        return {"source": {"from": [FROM_MISSING]}}
    return {} if address(data, "to") else {"source": {"to": [TO_MISSING]}}


def address(data: Json, end: str) -> str:
    """The first address at one end of the source, or nothing."""
    found = (data.get("source") or {}).get(end) or {}
    first = found[0] if isinstance(found, list) else found
    return (first.get("address") or "").strip()
