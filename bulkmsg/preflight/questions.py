"""The questions of the preflight: generators of steps, handed their answers. None changes anything in the helpdesk."""

from __future__ import annotations

import re
from collections.abc import Callable, Generator, Iterable
from dataclasses import dataclass, field
from random import Random
from typing import Any, Generic, TypeVar

from bulkmsg.gorgias import wire
from bulkmsg.gorgias.wire import Listing
from bulkmsg.looking import Look, Pause, ReadingStep, Refusal
from bulkmsg.ports import Reply, Request
from bulkmsg.preflight.things import User
from bulkmsg.retry import backoff
from bulkmsg.source import Json

_PROBES = 5  # tries of one question, before the answer counts as one that cannot be had
MOST_PAGES = 100  # of one list: 10,000 items
MOST_WRONG = 50  # wrong names of one kind after which no more are looked for: somebody has to look at these first

T = TypeVar("T")
Asking = Generator[ReadingStep, Any, T]


def ask(request: Request, random: Random) -> Asking[Reply]:
    """One question; only 401 is a refusal of everything, since a token may lack the right to ask this one.

    A 401 for a token that ran out is asked again: it is made anew before the next request.
    """
    reply: Reply
    for tries in range(_PROBES):
        reply = yield Look(request)
        if reply.status == 401 and reply.again:
            continue
        if reply.status == 401:
            yield Refusal(401, wire.error_text(reply))
            return reply
        if reply.status and reply.status < 500 and reply.status != 429:
            return reply
        yield Pause(backoff(tries, random, 10.0), reply.reason)
    return reply


@dataclass
class Listed(Generic[T]):
    """What was read of a list; `why` says why it is not the whole, empty where it is; `status` is the last
    answer's."""

    items: list[T] = field(default_factory=list)
    why: str = ""
    status: int = 0


def read_list(
    listing: Listing,
    read: Callable[[Json], T | None],
    random: Random,
    enough: Callable[[T], bool] = lambda item: False,
) -> Asking[Listed[T]]:
    """A list, page by page.

    Args:
        read: an item as a value; None for one that says nothing.
        enough: told each item, says when no more is needed.
    """
    found: Listed[T] = Listed()
    following: tuple[str, str] | None = None
    seen: set[tuple[str, str]] = set()
    for _ in range(MOST_PAGES):
        reply = yield from ask(wire.list_of(listing, following), random)
        found.status = reply.status
        page = wire.read_page(reply)
        if isinstance(page, str):
            found.why = _why(reply)
            return found
        done = False
        for value in filter(None, map(read, page.items)):
            found.items.append(value)
            done = enough(value) or done
        following = page.next
        if done or following is None:
            return found
        if following in seen:
            found.why = "the list leads back to a page that was read"
            return found
        seen.add(following)
    found.why = f"the list is longer than {MOST_PAGES} pages"
    return found


@dataclass
class Agents:
    """Who of those wanted is a user.

    Args:
        me: by which names the user of the credentials goes; a list without them does not show everybody.
        missing: names that are surely none.
        unsure: names that could not be looked up, and `why`.
        seen: addresses of users that were met, to tell who may have been meant.
    """

    me: frozenset[str | int] = frozenset()
    missing: list[str | int] = field(default_factory=list)
    unsure: list[str | int] = field(default_factory=list)
    why: str = ""
    seen: set[str] = field(default_factory=set)


def find_agents(wanted: Iterable[str | int], one_by_one: int, me: User | None, random: Random) -> Asking[Agents]:
    """Look for users, in the cheaper of two ways: each by itself, or all in the list of users.

    A name that is missing one way is looked for the other way as well, since it is documented of neither whether it
    minds capital letters or shows everybody.
    """
    names = list(wanted)
    found = Agents(me.names if me else frozenset())
    first = _each if len(names) <= one_by_one else _in_list
    second = _in_list if first is _each else _each
    missing = yield from first(names, found, random)
    if missing:
        missing = yield from second(missing, found, random)
    found.missing = [name for name in missing if name not in found.unsure]
    return found


def _each(names: list[str | int], found: Agents, random: Random) -> Asking[list[str | int]]:
    missing: list[str | int] = []
    for name in names:
        if len(missing) >= MOST_WRONG:
            break
        request = wire.get_user(name) if isinstance(name, int) else wire.find_users(name)
        reply = yield from ask(request, random)
        known = _by_id(name, reply) if isinstance(name, int) else _in_page(reply)
        if isinstance(known, str):
            found.unsure.append(name)
            found.why = known
        elif not any(name in user.names for user in known):
            missing.append(name)
    return missing


def _by_id(number: int, reply: Reply) -> list[User] | str:
    """The user in an answer, nobody for a 404, or why it says nothing."""
    if reply.status == 404 and reply.is_json:
        return []
    user = User.read(reply.json) if 200 <= reply.status < 300 else None
    return _why(reply) if user is None or user.id != number else [user]


def _in_page(reply: Reply) -> list[User] | str:
    page = wire.read_page(reply)
    return _why(reply) if isinstance(page, str) else [user for user in map(User.read, page.items) if user is not None]


def _why(reply: Reply) -> str:
    """Why an answer says nothing, for a person."""
    if reply.status >= 300:
        return f"HTTP {reply.status}: {wire.error_text(reply)}" if reply.is_json else f"HTTP {reply.status}"
    return "the answer is not in a form that the API documents" if reply.status else reply.reason or "no answer"


def _in_list(names: list[str | int], found: Agents, random: Random) -> Asking[list[str | int]]:
    left, met = set(names), False

    def meet(user: User) -> bool:
        nonlocal met
        left.difference_update(user.names)
        met = met or not found.me.isdisjoint(user.names)
        found.seen.update(name for name in user.names if isinstance(name, str))
        return not left

    listed = yield from read_list(Listing.USERS, User.read, random, meet)
    if left and not listed.why and not (met if found.me else found.seen):
        found.why = "the helpdesk's list of users lacks the user of the credentials, so it does not show everybody"
        found.unsure += left
    elif left:  # a list that cannot be read leaves the word to the other way
        found.why = listed.why
    return [name for name in names if name in left]


@dataclass(frozen=True, slots=True)
class TicketSeen:
    """What a look at a ticket showed: `exists`, or where it went, or `unsure` why not.

    Args:
        survivor: the id of the ticket into which it was merged.
        ids: tickets with an external id, where there are several.
    """

    exists: bool = False
    survivor: int | None = None
    ids: tuple[int, ...] = ()
    unsure: str = ""


def look_at_ticket(number: int, random: Random) -> Asking[TicketSeen]:
    """Whether a ticket is there. A merged one answers 301 (Gorgias changelog, "301 redirect when fetching merged
    ticket")."""
    reply = yield from ask(wire.get_ticket(number), random)
    if 200 <= reply.status < 300 and isinstance(reply.json, dict) and wire.integer_id(reply.json.get("id")) == number:
        return TicketSeen(exists=True)
    if reply.status == 404 and reply.is_json:
        return TicketSeen()
    if reply.status == 301 and (other := survivor_of(reply, number)) is not None:
        return TicketSeen(survivor=other)
    return TicketSeen(unsure=f"HTTP {reply.status}" if reply.status else reply.reason or "no answer")


def survivor_of(reply: Reply, number: int) -> int | None:
    """The id of another ticket that a redirect names."""
    match = re.search(r"/tickets/([1-9][0-9]{0,17})(?:/|$|\?)", reply.location or "")
    other = int(match.group(1)) if match else number
    return None if other == number else other


def look_for_ticket(external_id: str, random: Random) -> Asking[TicketSeen]:
    """Whether exactly one ticket has an external id; a filter that was passed over is noticed by what comes back."""
    reply = yield from ask(wire.find_tickets(external_id), random)
    page = wire.read_page(reply)
    if isinstance(page, str):
        return TicketSeen(unsure=page)
    if any(item.get("external_id") != external_id for item in page.items):
        return TicketSeen(unsure="the list holds other tickets as well")
    ids = tuple(number for item in page.items if (number := wire.integer_id(item.get("id"))) is not None)
    return TicketSeen(exists=len(ids) == 1, ids=ids if len(ids) > 1 else ())
