"""Looking for messages in the helpdesk: reading listings to their end, and what they prove. Generators of steps, as
`delivery` is one, which is also where it is decided what follows from a sighting.

Pure: whoever carries out the steps keeps the time. "Absent" is said only after complete, readable answers.
"""

from __future__ import annotations

from collections.abc import Callable, Generator, Sequence
from dataclasses import dataclass
from enum import Enum
from random import Random
from typing import Any

from bulkmsg.gorgias import wire
from bulkmsg.message import ExistingTicket, Message, NamedTicket, log_name
from bulkmsg.ports import Contact, Reply, Request
from bulkmsg.retry import backoff, external_id_of, match
from bulkmsg.source import Json

_LISTING_TRIES = 6
_MOST_PAGES = 10_000


@dataclass(frozen=True, slots=True)
class Look:
    """Send a request that only reads. Answered with a Reply."""

    request: Request


@dataclass(frozen=True, slots=True)
class Pause:
    """Let this lane alone wait. Answered with None."""

    seconds: float
    reason: str


@dataclass(frozen=True, slots=True)
class Refusal:
    """Say that the credentials or their rights were refused: the run must stop. Answered with None."""

    status: int
    error: str


ReadingStep = Look | Pause | Refusal


class Sight(Enum):
    FOUND = "found"
    ABSENT = "absent"
    UNREADABLE = "unreadable"


@dataclass(frozen=True, slots=True)
class Sighting:
    """What looking for a message showed.

    Args:
        ids: the messages found.
        tickets: where it was found, or would have been: the ticket that is there. Several are a new ticket's doubles.
        status: the HTTP status of the answer that made it unreadable, where there was one.
    """

    sight: Sight
    ids: tuple[int, ...] = ()
    tickets: tuple[int, ...] = ()
    reason: str = ""
    status: int = 0


LookingFor = Generator[ReadingStep, Any, list[Sighting]]


def look_for(messages: Sequence[Message], ticket: int | None, random: Random) -> LookingFor:
    """Read everything that could show the messages of one ticket. "Absent" is said only after complete, readable
    answers.

    Args:
        ticket: its id where it is known; otherwise it is found by its external id.
    """
    wanted = [log_name(message.external_id) for message in messages]
    own = messages[0].ticket
    if ticket is None and isinstance(own, ExistingTicket):
        ticket = own.id
    if ticket is not None:
        return (yield from find_messages(ticket, wanted, random))
    assert not isinstance(own, ExistingTicket)
    if isinstance(own, NamedTicket):
        return (yield from find_in_named(own.external_id, wanted, random))
    return (yield from find_thread(own.external_id, wanted, random))


def find_messages(ticket: int, wanted: Sequence[str], random: Random) -> LookingFor:
    """Look in a ticket for messages by their external ids, given in the form in which logs hold them."""
    items = yield from _all_pages(lambda page: wire.list_messages(ticket, page), random)
    if isinstance(items, str):
        return [Sighting(Sight.UNREADABLE, reason=items)] * len(wanted)
    found = [tuple(number for number, external in items if external == each) for each in wanted]
    absent = Sighting(Sight.ABSENT)
    if not all(found):
        absent = yield from stands_alone(ticket, random)
    return [Sighting(Sight.FOUND, ids, (ticket,)) if ids else absent for ids in found]


def stands_alone(ticket: int, random: Random) -> Generator[ReadingStep, Any, Sighting]:
    """Whether what a ticket's listing does not show is absent: a merged ticket may list nothing, so the ticket itself
    has to answer under its own id as well."""
    reply = yield from _read(wire.get_ticket(ticket), random)
    body = reply.json if isinstance(reply, Reply) and reply.is_json and isinstance(reply.json, dict) else {}
    if not isinstance(reply, Reply) or reply.status != 200 or wire.integer_id(body.get("id")) != ticket:
        if isinstance(reply, str):
            return Sighting(Sight.UNREADABLE, reason=reply)
        return Sighting(Sight.UNREADABLE, reason=f"the ticket answered {reply.status}", status=reply.status)
    return Sighting(Sight.ABSENT, tickets=(ticket,))


def tickets_named(
    external_id: str, random: Random, *, trashed: bool = True
) -> Generator[ReadingStep, Any, tuple[int, ...] | str]:
    """The ids of all tickets with an external id, given as it was sent; or why they could not be read."""
    items = yield from _all_pages(lambda page: wire.find_tickets(external_id, page, trashed=trashed), random)
    if isinstance(items, str):
        return items
    return tuple(number for number, external in items if external == log_name(external_id))


def find_thread(external_id: str, wanted: Sequence[str], random: Random) -> LookingFor:
    """Look for a new ticket by its external id, and in it for its messages by theirs, as logs hold them.

    That a message is absent from a ticket that is there is believed only where others of ours are met in it.
    """
    tickets = yield from tickets_named(external_id, random)
    if isinstance(tickets, str):
        return [Sighting(Sight.UNREADABLE, reason=tickets)] * len(wanted)
    reason = ""
    for ticket in tickets:
        where = (ticket, *(each for each in tickets if each != ticket))
        items = yield from _all_pages(lambda page, ticket=ticket: wire.list_messages(ticket, page), random)
        if isinstance(items, str):
            reason = items
            break
        found = match(items, wanted)
        if any(found):
            absent = Sighting(Sight.ABSENT, tickets=where)
            return [Sighting(Sight.FOUND, ids, where) if ids else absent for ids in found]
    if not tickets:
        return [Sighting(Sight.ABSENT)] * len(wanted)
    reason = reason or nobody_of_ours(tickets[0])
    return [Sighting(Sight.UNREADABLE, tickets=tickets, reason=reason)] * len(wanted)


def nobody_of_ours(ticket: int) -> str:
    """Why a ticket that carries a new ticket's external id proves nothing."""
    return f"ticket {ticket} carries its external id, and no message in it carries one of ours"


def find_in_named(external_id: str, wanted: Sequence[str], random: Random) -> LookingFor:
    """Look for messages in whatever tickets stand outside of the trash under an external id."""
    tickets = yield from tickets_named(external_id, random, trashed=False)
    if isinstance(tickets, str):
        return [Sighting(Sight.UNREADABLE, reason=tickets)] * len(wanted)
    seen = [Sighting(Sight.ABSENT)] * len(wanted)
    for ticket in tickets:
        here = yield from find_messages(ticket, wanted, random)
        seen = [now if was.sight is Sight.ABSENT else was for was, now in zip(seen, here, strict=True)]
    return seen


def find_home(external_id: str, random: Random) -> Generator[ReadingStep, Any, int | str]:
    """The id of the one ticket with an external id, the trash left out; or why there is none to send to."""
    tickets = yield from tickets_named(external_id, random, trashed=False)
    if isinstance(tickets, tuple) and len(tickets) == 1:
        return tickets[0]
    if isinstance(tickets, str):
        return f"the ticket could not be looked up by its external id: {tickets}"
    shown = log_name(external_id)
    if not tickets:
        return f"no ticket has the external id {shown}: create it, or correct ticket_external_id"
    return f"several tickets have the external id {shown}: {', '.join(map(str, tickets))}; use ticket_id instead"


def _all_pages(request: Any, random: Random) -> Generator[ReadingStep, Any, list[tuple[int, str]] | str]:
    """Ids and external ids (as logs hold them) of a whole listing; or why it could not be read to its end."""
    found: list[tuple[int, str]] = []

    def note(number: int, item: dict[str, Json]) -> None:
        found.append((number, external_id_of(item)))

    why = yield from read_listing(request, note, random)
    return why or found


def read_listing(
    request: Any, take: Callable[[int, dict[str, Json]], None], random: Random
) -> Generator[ReadingStep, Any, str]:
    """Hand over each item of a whole listing once, with its id; why it could not be read to its end, empty if it was.

    Args:
        request: makes the request for a page from the query part that asks for it, None for the first.
    """
    seen: set[int] = set()
    asked: set[tuple[str, str]] = set()
    page_after: tuple[str, str] | None = None
    for _ in range(_MOST_PAGES):
        reply = yield from _read(request(page_after), random)
        page = wire.read_page(reply) if isinstance(reply, Reply) else reply
        if isinstance(page, str):
            return page
        before = len(seen)
        for item in page.items:
            number = wire.integer_id(item.get("id"))
            if number is None:
                return "the listing holds an item without an id"
            if number not in seen:
                seen.add(number)
                take(number, item)
        if page.next is None:
            return ""
        if page.next in asked or (page.items and len(seen) == before):
            return "the listing repeats itself"
        asked.add(page.next)
        page_after = page.next
    return "the listing does not end"


def _read(request: Request, random: Random) -> Generator[ReadingStep, Any, Reply | str]:
    """A reading request, repeated while the helpdesk has trouble; its answer, or why there is none."""
    last = ""
    for tries in range(_LISTING_TRIES):
        reply: Reply = yield Look(request)
        while reply.status == 429:
            reply = yield Look(request)
        if reply.status == 401 and reply.again:
            last = "the helpdesk answered 401"
            continue
        if reply.status in (401, 403):
            yield Refusal(reply.status, wire.error_text(reply))
            return f"the helpdesk answered {reply.status}"
        if reply.contact is Contact.ANSWERED and reply.status < 500 and (reply.is_json or reply.status >= 300):
            return reply
        last = reply.reason or f"the helpdesk answered {reply.status}"
        yield Pause(backoff(tries, random, 10.0), last)
    return last
