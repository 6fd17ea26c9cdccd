"""What leaves in one request: a message for a ticket that is there, or a new ticket with its first messages. Pure."""

from __future__ import annotations

from collections.abc import Iterable, Iterator, Sequence
from dataclasses import dataclass
from functools import cached_property
from itertools import groupby

from bulkmsg import json_text
from bulkmsg.message import Message, NewTicket, Ticket, canonical, short_hash, thread_payload
from bulkmsg.threads import FirstRequest


@dataclass(frozen=True)
class Parcel:
    """Messages of one ticket that are worked on together: more than one only where they may create it in one request.

    Args:
        first: with it its ticket begins. What comes after the first parcel of a new ticket goes message by message.
        last: with it its ticket ends.
        size: bytes of the messages' bodies.
    """

    messages: tuple[Message, ...]
    size: int
    first: bool = True
    last: bool = True

    @property
    def ticket(self) -> Ticket:
        return self.messages[0].ticket

    @property
    def lane(self) -> str:
        return self.messages[0].ticket.lane

    @cached_property
    def thread(self) -> str:
        """A hash of all that would leave with a new ticket: 16 hex characters; empty for any other parcel."""
        if not isinstance(self.ticket, NewTicket) or not self.first:
            return ""
        contents = (message.content for message in self.messages)
        return short_hash("\0".join((self.ticket.content, *contents)).encode())


def parcels(messages: Iterable[Message]) -> Iterator[Parcel]:
    """The batch in parcels, in its order; the messages of a new ticket follow each other in it.

    A new ticket begins with as many of its messages as one request may hold. Holds no more than one parcel.
    """
    for _, of_one in groupby(messages, key=lambda message: message.ticket.lane):
        yield from _of_ticket(of_one)


def _of_ticket(messages: Iterator[Message]) -> Iterator[Parcel]:
    held: list[Message] = []
    size, first, opening = 0, True, FirstRequest()
    for message in messages:
        more = len(json_text.dumps(message.body))
        together = isinstance(message.ticket, NewTicket) and opening.takes(more)
        if held and not together:
            yield Parcel(tuple(held), size, first=first, last=False)
            held, size, first = [], 0, False
        held.append(message)
        size += more
    yield Parcel(tuple(held), size, first=first)


def final_bytes(messages: Sequence[Message], ticket: int | None) -> bytes:
    """The very bytes of the request: one message for the ticket of that id, or the new ticket with all of them."""
    own = messages[0].ticket
    if ticket is None:
        if not isinstance(own, NewTicket):
            raise ValueError("only a new ticket is created together with its messages")
        return thread_payload(own, messages)
    (message,) = messages
    return canonical(message.body)


# Of a new ticket's fields those that only creating takes (`imported`, `created_datetime`: Gorgias reference, "Update a
# ticket"), and those that say whose it is and how its first message came, which a later word must not change.
_FIXED = frozenset(
    {
        "messages",
        "imported",
        "created_datetime",
        "external_id",
        "customer",
        "channel",
        "via",
        "from_agent",
        "split_from",
    }
)


def update_bytes(ticket: NewTicket) -> bytes:
    """The bytes of the request that sets the fields of a ticket that is there already."""
    return canonical({name: value for name, value in ticket.fields.items() if name not in _FIXED})
