"""The objects of responses: every key that recorded answers show, in their order."""

from typing import Any

from bulkmsg.sandbox.clock import Moment, given
from bulkmsg.sandbox.people import Person, person_view
from bulkmsg.sandbox.rules import NOTE
from bulkmsg.sandbox.wire import Json

ECHOED = ("subject", "body_text", "body_html", "stripped_text", "stripped_html", "stripped_signature")
TICKET_DATES = ("opened", "last_received_message", "last_message", "updated", "closed", "trashed", "snooze")
EXCERPT = 200


def new_message(number: int, ticket_id: int, data: Json, when: Moment) -> Json:
    """A message with every key that responses show, in their order; people and external_id come later."""
    note = data["channel"] == NOTE
    created = given(data, "created_datetime") or when.stamp
    sent = given(data, "sent_datetime") or (None if data["from_agent"] else created)
    echoed: dict[str, Any] = {key: data.get(key) for key in ECHOED}
    dates = {key: given(data, key) for key in ("deleted_datetime", "failed_datetime", "opened_datetime")}
    return {
        "id": number,
        "uri": f"/api/tickets/{ticket_id}/messages/{number}/",
        "message_id": data.get("message_id"),
        "ticket_id": ticket_id,
        "external_id": None,
        "public": False if note else data.get("public", True),
        "channel": data["channel"],
        "via": data.get("via", "api"),
        "source": {"type": data["channel"], **(data.get("source") or {})},
        "sender": None,
        "auth_customer_identity": None,
        "integration_id": data.get("integration_id"),
        "intents": [],
        "rule_id": None,
        "from_agent": data["from_agent"],
        "receiver": None,
        **echoed,
        "attachments": [{"public": True, **each} for each in data.get("attachments") or ()] or None,
        "macros": data.get("macros") or [],
        "actions": data.get("actions"),
        "headers": data.get("headers"),
        "imported": False,
        "meta": data.get("meta"),
        "created_datetime": created,
        "processed_datetime": when.stamp,
        "sent_datetime": sent,
        **dates,
        "last_sending_error": data.get("last_sending_error"),
        "is_retriable": True,
    }


def blank_ticket(number: int, created: str) -> Json:
    """A ticket's own fields, before anything was said about it."""
    return {
        "id": number,
        "uri": f"/api/tickets/{number}/",
        "external_id": None,
        "status": "open",
        "priority": "normal",
        "channel": "api",
        "via": "api",
        "from_agent": False,
        "spam": False,
        "imported": False,
        "assignee_user": None,
        "assignee_user_id": None,
        "assignee_team": None,
        "assignee_team_id": None,
        "language": None,
        "subject": None,
        "summary": None,
        "meta": None,
        "tags": [],
        "created_datetime": created,
        "processed_datetime": created,
        **{f"{name}_datetime": None for name in TICKET_DATES},
        "satisfaction_survey": None,
        "is_unread": True,
    }


def embedded(message: Json) -> Json:
    """A message inside its ticket: recordings lack these two keys there."""
    return {key: value for key, value in message.items() if key not in ("headers", "deleted_datetime")}


def full_ticket(data: Json, customer: Person | None, messages: list[Json]) -> Json:
    """A ticket with all its messages. `requester` is the old name of the customer."""
    view = person_view(customer, data["created_datetime"]) if customer else None
    before = {key: data[key] for key in ("id", "uri", "external_id")}
    options = {"email": {"answerable": True}, NOTE: {"answerable": True}}
    return {
        **before,
        "events": [],
        **{key: value for key, value in data.items() if key not in before},
        "customer": view,
        "requester": view,
        "messages": [embedded(message) for message in messages],
        "reply_options": options,
    }


def compact_ticket(data: Json, customer: Person | None, messages: list[Json]) -> Json:
    """A ticket in a listing: no messages, but their count and an excerpt of the last."""
    kept = {key: value for key, value in data.items() if key not in _NOT_LISTED}
    last = messages[-1] if messages else None
    undelivered = any(m["failed_datetime"] for m in messages if m["from_agent"])
    return {
        **kept,
        "customer": customer.short if customer else None,
        "excerpt": (last["body_text"] or "")[:EXCERPT] if last else None,
        "integrations": [],
        "messages_count": len(messages),
        "last_sent_message_not_delivered": undelivered,
        "custom_fields": {},
    }


_NOT_LISTED = (
    "assignee_user_id",
    "assignee_team_id",
    "imported",
    "processed_datetime",
    "satisfaction_survey",
)
