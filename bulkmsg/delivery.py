"""The conversation about one message, as a generator: it yields steps, is handed replies, and ends with an Outcome.

The law of this room: a request that may have arrived is never repeated before complete look-ups have shown the
message absent and the policy allows it. Pure: the engine takes the steps, writes the records and keeps the time.

    pending --Post--> created | rejected
                      not processed: Retry record, Pause, Post again
                      in doubt: Pause(settle), look at all pages; found: created
                                absent: Pause(settle), look again; still absent: Retry record and Post again, or held
"""

from __future__ import annotations

from collections.abc import Callable, Generator
from dataclasses import dataclass
from enum import Enum
from random import Random
from typing import Any

from bulkmsg import json_text
from bulkmsg.gorgias import wire
from bulkmsg.message import ExistingTicket, Kind, Message, Mode, log_name
from bulkmsg.outcome import Outcome, Standing, State
from bulkmsg.ports import Contact, Reply, Request, RetryVerdict
from bulkmsg.retry import Verdict, backoff, judge
from bulkmsg.settings import InDoubt
from bulkmsg.source import Json

_LISTING_TRIES = 6
_MOST_RENEWALS = 3  # posts in a row that are refused for an access token that had run out
_MOST_PAGES = 10_000


@dataclass(frozen=True, slots=True)
class Post:
    """Write the intent of this attempt, then send the message. Answered with a Reply."""

    attempt: int


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
class Retry:
    """Record that the attempt may be followed by another. Answered with None."""

    attempt: int
    verdict: RetryVerdict
    status: int
    reason: str


@dataclass(frozen=True, slots=True)
class Trust:
    """Ask whether look-ups prove anything in this run. Answered with a bool."""


@dataclass(frozen=True, slots=True)
class Distrust:
    """Say that the helpdesk did not keep our external id: look-ups prove nothing from here on. Answered with None."""


@dataclass(frozen=True, slots=True)
class Refusal:
    """Say that the credentials or their rights were refused: the run must stop. Answered with None."""

    status: int
    error: str


Step = Post | Look | Pause | Retry | Trust | Distrust | Refusal
Conversation = Generator[Step, Any, Outcome]


@dataclass(frozen=True, slots=True)
class Policy:
    """How to deliver.

    Args:
        settle: seconds after which the helpdesk shows an accepted message in its listings.
        in_doubt: the user's word; None for the defaults (hold public messages in send mode, otherwise resend).
        attempts: posts of one message in one run, after which it has failed.
    """

    mode: Mode
    settle: float = 60.0
    in_doubt: InDoubt | None = None
    attempts: int = 8

    def resends(self, kind: Kind) -> bool:
        """Whether a message that was surely looked for and not found is sent again."""
        if self.in_doubt is not None:
            return self.in_doubt is InDoubt.RESEND
        return self.mode is Mode.IMPORT or kind is Kind.INTERNAL_NOTE


def mode_allows(mode: Mode, kind: Kind, payload: bytes) -> bool:
    """The mode's rule once more, on the very bytes about to leave.

    In import mode no public message leaves without a filled `sent_datetime` (Gorgias would deliver it: reference,
    "Create a message"); in send mode no outgoing message leaves with one.
    """
    body: Json = json_text.loads(payload)
    messages = body.get("messages", [body])
    if mode is Mode.IMPORT and kind is not Kind.INTERNAL_NOTE:
        return all(bool(message.get("sent_datetime")) for message in messages)
    if mode is Mode.SEND and kind is Kind.OUTGOING:
        return not any(message.get("sent_datetime") for message in messages)
    return kind is not Kind.INTERNAL_NOTE or all(message.get("channel") == "internal-note" for message in messages)


def deliver(message: Message, standing: Standing, policy: Policy, random: Random) -> Conversation:
    """Bring one message to its outcome, from wherever the progress log says it stands."""
    attempt = standing.attempt
    doubtful = standing.state in (State.INTENDED, State.IN_DOUBT)
    hold = doubtful and standing.hold
    status, error = standing.status or 0, first_cause(standing.error)
    posts = refusals = renewals = 0
    while True:
        if doubtful:
            settled = yield from _settle(message, policy, status, error, random, hold=hold)
            if settled is not None:
                return settled
            yield Retry(attempt, RetryVerdict.ABSENT, status, error)
            doubtful = False
        if posts >= policy.attempts:
            return Outcome(State.FAILED, status=status or None, error=f"{posts} attempts, none arrived: {error}")
        attempt += 1
        reply: Reply = yield Post(attempt)
        told = judge(reply, message)
        status, error = told.status, told.error
        if told.verdict is Verdict.CREATED:
            if told.echo != message_echo(message):
                yield Distrust()
            return Outcome(State.CREATED, told.message_id, told.ticket_id, told.status)
        if told.verdict is Verdict.REJECTED:
            return Outcome(State.REJECTED, status=status, error=error)
        if told.verdict is Verdict.IN_DOUBT:
            posts, doubtful = posts + 1, True
            continue
        yield Retry(attempt, RetryVerdict.NOT_PROCESSED, status, error)
        if told.verdict is Verdict.REFUSED:
            renewals += 1
            if not reply.again or renewals > _MOST_RENEWALS:
                yield Refusal(status, error)
                return Outcome(State.PENDING)
            continue
        renewals = 0
        if told.verdict is Verdict.NOT_PROCESSED:
            yield Pause(backoff(refusals, random), error)
            refusals += 1


def first_cause(error: str | None) -> str:
    """Why a message is in doubt, without what each look at it has added since."""
    return (error or "an earlier run ended before its answer came").partition("; ")[0]


def message_echo(message: Message) -> str:
    """The external id that the answer must bring back: the ticket's for a new ticket, else the message's."""
    return message.external_id if isinstance(message.ticket, ExistingTicket) else message.ticket.external_id


class Sight(Enum):
    FOUND = "found"
    ABSENT = "absent"
    UNREADABLE = "unreadable"


@dataclass(frozen=True, slots=True)
class Sighting:
    """What looking for a message showed. `ids` are the messages found; for a new ticket `tickets` the tickets.

    `status` is the HTTP status of the answer that made it unreadable, where there was one.
    """

    sight: Sight
    ids: tuple[int, ...] = ()
    tickets: tuple[int, ...] = ()
    reason: str = ""
    status: int = 0


def _settle(
    message: Message, policy: Policy, status: int, error: str, random: Random, *, hold: bool = False
) -> Generator[Step, Any, Outcome | None]:
    """Look for a message in doubt: its outcome, or None when it is surely absent and may be sent again.

    `hold`: its absence cannot be seen, as the progress log says, so one look for finding it is all.
    """
    for _ in range(1 if hold else 2):
        yield Pause(policy.settle, f"{error}; looking for the message")
        seen = yield from look_for(message, random)
        if seen.sight is Sight.FOUND:
            return outcome_of(seen, new=not isinstance(message.ticket, ExistingTicket))
        if seen.sight is Sight.UNREADABLE:
            return Outcome(State.IN_DOUBT, status=status or None, error=f"{error}; {seen.reason}", hold=hold)
    if hold:
        return Outcome(State.IN_DOUBT, status=status or None, error=error, hold=True)
    trusted: bool = yield Trust()
    if not trusted:
        reason = "the helpdesk does not give our external ids back, so looking proves nothing"
        return Outcome(State.IN_DOUBT, status=status or None, error=f"{error}; {reason}")
    if not policy.resends(message.kind):
        return Outcome(State.IN_DOUBT, status=status or None, error=f"{error}; not found in the helpdesk")
    return None


def outcome_of(seen: Sighting, *, new: bool) -> Outcome:
    """What finding a message says of it; `new` if it was looked for by its new ticket."""
    ticket = seen.tickets[0] if seen.tickets else None
    twice = seen.tickets if new else seen.ids
    error = f"{len(twice)} of it stand in the helpdesk" if len(twice) > 1 else None
    first = seen.ids[0] if seen.ids else None
    return Outcome(State.CREATED, first, ticket, error=error, found=True, duplicates=twice if len(twice) > 1 else ())


def look_for(message: Message, random: Random) -> Generator[Step, Any, Sighting]:
    """Read everything that could show the message. "Absent" is said only after complete, readable answers."""
    if isinstance(message.ticket, ExistingTicket):
        return (yield from find_message(message.ticket.id, log_name(message.external_id), random))
    return (yield from find_ticket(message.ticket.external_id, random))


def find_message(ticket: int, logged_external_id: str, random: Random) -> Generator[Step, Any, Sighting]:
    """Look for a message by its external id, given in the form in which logs hold it."""
    items = yield from _all_pages(lambda page: wire.list_messages(ticket, page), random)
    if isinstance(items, str):
        return Sighting(Sight.UNREADABLE, reason=items)
    ids = [number for number, external in items if external == logged_external_id]
    if ids:
        return Sighting(Sight.FOUND, tuple(ids), (ticket,))
    return (yield from stands_alone(ticket, random))


def stands_alone(ticket: int, random: Random) -> Generator[Step, Any, Sighting]:
    """Whether what a ticket's listing does not show is absent: a merged ticket may list nothing, so the ticket itself
    has to answer under its own id as well."""
    reply = yield from _read(wire.get_ticket(ticket), random)
    body = reply.json if isinstance(reply, Reply) and reply.is_json and isinstance(reply.json, dict) else {}
    if not isinstance(reply, Reply) or reply.status != 200 or wire.integer_id(body.get("id")) != ticket:
        if isinstance(reply, str):
            return Sighting(Sight.UNREADABLE, reason=reply)
        return Sighting(Sight.UNREADABLE, reason=f"the ticket answered {reply.status}", status=reply.status)
    return Sighting(Sight.ABSENT)


def find_ticket(external_id: str, random: Random) -> Generator[Step, Any, Sighting]:
    """Look for a new ticket by its external id, in the form in which it was sent."""
    items = yield from _all_pages(lambda page: wire.find_tickets(external_id, page), random)
    if isinstance(items, str):
        return Sighting(Sight.UNREADABLE, reason=items)
    tickets = [number for number, external in items if external == log_name(external_id)]
    if not tickets:
        return Sighting(Sight.ABSENT)
    reply = yield from _read(wire.get_ticket(tickets[0]), random)
    body = reply.json if isinstance(reply, Reply) and isinstance(reply.json, dict) else {}
    messages = body.get("messages")
    ids = [wire.integer_id(item.get("id")) for item in messages or () if isinstance(item, dict)]
    return Sighting(Sight.FOUND, tuple(number for number in ids if number), tuple(tickets))


def _all_pages(request: Any, random: Random) -> Generator[Step, Any, list[tuple[int, str]] | str]:
    """Ids and external ids (as logs hold them) of a whole listing; or why it could not be read to its end."""
    found: list[tuple[int, str]] = []

    def note(number: int, item: dict[str, Json]) -> None:
        found.append((number, external_id_of(item)))

    why = yield from read_listing(request, note, random)
    return why or found


def external_id_of(item: dict[str, Json]) -> str:
    """An item's external id as logs hold it, empty where it has none."""
    return log_name(str(item.get("external_id") or ""))


def read_listing(
    request: Any, take: Callable[[int, dict[str, Json]], None], random: Random
) -> Generator[Step, Any, str]:
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


def _read(request: Request, random: Random) -> Generator[Step, Any, Reply | str]:
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
