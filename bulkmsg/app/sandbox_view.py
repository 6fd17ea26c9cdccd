"""What stands in the sandbox after a run, as much of it as a person reads."""

from __future__ import annotations

from typing import Any

from bulkmsg.source import Json

SANDBOX_SHOWN = 20  # tickets, messages of a ticket, and mails


def sandbox_view(sandbox: Any) -> dict[str, Json]:
    """What stands in the sandbox, as much of it as a person reads."""
    desk, when = sandbox.helpdesk, sandbox.moment()
    sandbox.house.api.settle(when)
    shown = [desk.complete(ticket) for _, ticket in sorted(desk.tickets.items())[:SANDBOX_SHOWN]]
    outbox = desk.post.outbox
    return {
        "counts": {"tickets": len(desk.tickets), "messages": len(desk.messages), "outbox": len(outbox)},
        "tickets": [_sandbox_ticket(ticket) for ticket in shown],
        "outbox": list(outbox[:SANDBOX_SHOWN]),
    }


def _sandbox_ticket(ticket: dict[str, Json]) -> dict[str, Json]:
    messages = sorted(ticket["messages"], key=lambda each: (each["created_datetime"], each["id"]))
    return {
        "id": ticket["id"],
        "status": ticket["status"],
        "subject": ticket["subject"],
        "messages": [_sandbox_message(message) for message in messages[:SANDBOX_SHOWN]],
        "more": max(0, len(messages) - SANDBOX_SHOWN),
    }


def _sandbox_message(message: dict[str, Json]) -> dict[str, Json]:
    names = ("id", "channel", "from_agent", "created_datetime", "subject")
    who = (message["sender"] or {}).get("email") or "somebody"
    return {**{name: message[name] for name in names}, "who": who, "text": message["body_text"] or "(HTML)"}
