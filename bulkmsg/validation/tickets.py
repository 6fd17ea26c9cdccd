"""New tickets: what of an entry is the ticket's and what its message's, and what each takes from the other. Pure."""

from __future__ import annotations

from bulkmsg.message import Mode
from bulkmsg.source import Json, Path
from bulkmsg.validation import values
from bulkmsg.validation.checks import Trouble


def split(
    fields: dict[str, Json], *, from_cells: bool
) -> tuple[dict[str, Json], dict[str, Json] | None, list[Trouble]]:
    """The ticket's own fields, its message's fields (None when it has no usable one), and what is wrong.

    Args:
        from_cells: the entry is a row of columns: its own are the message's, those below `ticket.` the ticket's.
    """
    if from_cells:
        own = fields.get("ticket") or {}
        return own, {name: value for name, value in fields.items() if name != "ticket"}, []
    ticket = {name: value for name, value in fields.items() if name != "messages"}
    trouble = _message_trouble(fields.get("messages"))
    return ticket, None if trouble else fields["messages"][0], [trouble] if trouble else []


def _message_trouble(messages: Json) -> Trouble | None:
    if messages is None or messages == []:
        hint = "write `messages:` with one message below it: a ticket cannot exist without one"
        return Trouble("BM202", ("messages",), "the new ticket has no message", hint)
    if not isinstance(messages, list):
        hint = "write a dash before it: `messages:`, and below it `- type: incoming`"
        return Trouble("BM203", ("messages",), "`messages` of a ticket must be a list", hint)
    if len(messages) > 1:
        hint = "keep its first message here; the others can follow under `messages:` once the ticket has its id"
        return Trouble("BM702", ("messages", 1), "a new ticket can hold one message in this version", hint)
    if not isinstance(messages[0], dict):
        return Trouble("BM203", ("messages", 0), "a message must be a mapping of fields", "begin it with `type:`")
    return None


def message_path(*, from_cells: bool) -> Path:
    """Where the message's fields stand in the entry."""
    return () if from_cells else ("messages", 0)


def ticket_path(*, from_cells: bool) -> Path:
    """Where the ticket's own fields stand in the entry."""
    return ("ticket",) if from_cells else ()


def inherit(ticket: dict[str, Json], message: dict[str, Json]) -> tuple[str, ...]:
    """Put into a message what it takes from its ticket; returns the fields' names."""
    if "subject" in message or not isinstance(ticket.get("subject"), str):
        return ()
    message["subject"] = ticket["subject"]
    return ("subject",)


def request_fields(ticket: dict[str, Json], body: dict[str, Json], mode: Mode) -> dict[str, Json]:
    """The request's body without `messages` and `external_id` (Gorgias reference, "Create a ticket").

    Args:
        ticket: the ticket's own fields, finished.
        body: its first message's, from which it takes what it lacks.
    """
    fields = {name: value for name, value in ticket.items() if name not in ("key", "external_id")}
    if "tags" in fields:
        fields["tags"] = [{"name": name} for name in fields["tags"]]
    for name in ("channel", "via", "from_agent"):
        fields.setdefault(name, body[name])
    if "customer" not in fields and (customer := _customer_of(body)):
        fields["customer"] = customer
    if mode is Mode.IMPORT:
        fields["imported"] = True
    return fields


def _customer_of(body: dict[str, Json]) -> dict[str, Json] | None:
    """The reference to a ticket's customer: the sender of an incoming message, the recipient of an outgoing one."""
    if body["channel"] == "internal-note":
        return None
    person = body.get("receiver" if body["from_agent"] else "sender")
    if isinstance(person, dict):
        return {name: person[name] for name in ("id", "email") if name in person} or None
    listed = (body.get("source") or {}).get("to") or []
    address = listed[0].get("address") if listed else None
    return {"email": address} if address and values.is_address(address) else None
