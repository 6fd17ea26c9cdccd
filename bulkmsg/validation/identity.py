"""Keys: what identifies an entry in its batch. Pure functions; docs/batch.md tells users the same."""

from __future__ import annotations

from collections.abc import Callable
from enum import Enum

from bulkmsg.message import Kind, Mode, canonical, short_hash
from bulkmsg.source import Json


class KeyOrigin(Enum):
    """Where a key comes from; it decides what a second entry with the same key means."""

    GIVEN = "key"
    EXTERNAL_ID = "external_id"
    PEOPLE = "recipients"
    CONTENT = "content"


def recipients(body: dict[str, Json]) -> list[str]:
    """Whom an outgoing message goes to, for its key: addresses in lower case, sorted, else the receiver's id."""
    source = body.get("source") or {}
    found = {
        str(item["address"]).lower()
        for part in ("to", "cc", "bcc")
        for item in source.get(part) or ()
        if isinstance(item, dict) and item.get("address")
    }
    receiver = body.get("receiver") or {}
    if not found and receiver.get("email"):
        found.add(str(receiver["email"]).lower())
    if not found and receiver.get("id"):
        found.add(f"#{receiver['id']}")
    return sorted(found)


def default_key(
    kind: Kind, mode: Mode, body: dict[str, Json], ticket: Json, content: Callable[[], str]
) -> tuple[str, KeyOrigin]:
    """The key of an entry that gives neither `key` nor `external_id`.

    Args:
        ticket: what the user wrote to say which ticket: its id, its external id or key, or None inside a new ticket
            that has neither.
        content: gives the content hash, with the ticket in it.

    Returns:
        In send mode, for an outgoing message, a hash of ticket and recipients and never of the text: a corrected
        text must not mail anybody twice. Otherwise a hash of the content.
    """
    if mode is Mode.SEND and kind is Kind.OUTGOING:
        people = recipients(body)
        if people:
            identity = people if ticket is None else [ticket, people]
            return f"to-{short_hash(canonical(identity))}", KeyOrigin.PEOPLE
    return f"c-{content()}", KeyOrigin.CONTENT
