"""The conversation about one request and the messages it carries, as a generator: it yields steps, is handed replies,
and ends with an Outcome for each message.

The law of this room: a request that may have arrived is never repeated before complete look-ups have shown its
messages absent and the policy allows it. Pure: the engine takes the steps, writes the records and keeps the time.

    pending --Post--> created | rejected
                      not processed: Retry record, Pause, Post again
                      in doubt: Pause(settle), look at all pages; found: created
                                absent: Pause(settle), look again; still absent: Retry record and Post again, or held
                                its new ticket is there without it: Retry record, and it goes to that ticket by itself
"""

from __future__ import annotations

from collections.abc import Generator, Sequence
from dataclasses import dataclass
from random import Random
from typing import Any

from bulkmsg import json_text
from bulkmsg.gorgias import wire
from bulkmsg.looking import Pause, ReadingStep, Refusal, Sight, Sighting, look_for
from bulkmsg.message import Kind, Message, Mode, log_name
from bulkmsg.outcome import Outcome, Standing, State
from bulkmsg.ports import Contact, Reply, Request, RetryVerdict
from bulkmsg.retry import MOST_RENEWALS, REJECTING, Judgement, Verdict, backoff, judge, merged_into
from bulkmsg.settings import InDoubt
from bulkmsg.source import Json


@dataclass(frozen=True, slots=True)
class Post:
    """Write the intents of another attempt, then send the messages. Answered with a Reply."""


@dataclass(frozen=True, slots=True)
class Retry:
    """Record that the attempt may be followed by another, for the messages at these places. Answered with None."""

    which: tuple[int, ...]
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
class Set:
    """Send a request that sets something, and may be sent twice. Answered with a Reply."""

    request: Request


Step = Post | Retry | Trust | Distrust | Set | ReadingStep
Conversation = Generator[Step, Any, tuple[Outcome, ...]]


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


def mode_allows(mode: Mode, kinds: Sequence[Kind], payload: bytes) -> bool:
    """The mode's rule once more, on the very bytes about to leave.

    In import mode no public message leaves without a filled `sent_datetime` (Gorgias would deliver it: reference,
    "Create a message"); in send mode no outgoing message leaves with one.
    """
    body: Json = json_text.loads(payload)
    messages = body.get("messages", [body])
    if len(messages) != len(kinds):
        return False
    return all(_allowed(mode, kind, message) for kind, message in zip(kinds, messages, strict=True))


def _allowed(mode: Mode, kind: Kind, message: dict[str, Json]) -> bool:
    if kind is Kind.INTERNAL_NOTE:
        return message.get("channel") == "internal-note"
    if mode is Mode.IMPORT:
        return bool(message.get("sent_datetime"))
    return kind is not Kind.OUTGOING or not message.get("sent_datetime")


def deliver(
    messages: Sequence[Message], standings: Sequence[Standing], ticket: int | None, policy: Policy, random: Random
) -> Conversation:
    """Bring the messages of one request to their outcomes, from wherever the progress log says they stand.

    Args:
        ticket: the id of the ticket where the one message goes; None for a new ticket with all of them.

    Returns:
        An outcome for each. PENDING where the run stops, or where the new ticket turned out to be there, as the
        `ticket_id` then says: such a message has to go to that ticket by itself.
    """
    case = _Case(tuple(messages), ticket, policy, random)
    everything = tuple(range(len(messages)))
    doubt = tuple(i for i in everything if standings[i].state in (State.INTENDED, State.IN_DOUBT))
    cause = standings[doubt[0]] if doubt else Standing()
    hold = any(standings[i].hold for i in doubt)
    status, error = cause.status or 0, first_cause(cause.error)
    posts = refusals = renewals = 0
    while True:
        if doubt:
            settled = yield from _settle(case, doubt, status, error, hold=hold)
            if settled is not None:
                return settled
            yield Retry(doubt, RetryVerdict.ABSENT, status, error)
            doubt, hold = (), False
        if posts >= policy.attempts:
            return case.all(Outcome(State.FAILED, status=status or None, error=_used_up(posts, error)))
        reply: Reply = yield Post()
        told = judge(reply, messages, ticket)
        status, error = told.status, told.error
        if told.verdict is Verdict.CREATED:
            if not told.echoed:
                yield Distrust()
            return tuple(Outcome(State.CREATED, number, told.ticket_id, told.status) for number in told.ids)
        if told.verdict is Verdict.REJECTED:
            return _rejected(case, told)
        if told.verdict is Verdict.IN_DOUBT:
            posts, doubt = posts + 1, everything
            continue
        yield Retry(everything, RetryVerdict.NOT_PROCESSED, status, error)
        if told.verdict is Verdict.REFUSED:
            renewals += 1
            if not reply.again or renewals > MOST_RENEWALS:
                yield Refusal(status, error)
                return case.all(Outcome(State.PENDING))
            continue
        renewals = 0
        if told.verdict is Verdict.NOT_PROCESSED:
            yield Pause(backoff(refusals, random), error)
            refusals += 1


@dataclass(frozen=True, slots=True)
class _Case:
    """What one conversation is about."""

    messages: tuple[Message, ...]
    ticket: int | None
    policy: Policy
    random: Random

    def all(self, outcome: Outcome) -> tuple[Outcome, ...]:
        return (outcome,) * len(self.messages)

    def some(self, outcomes: dict[int, Outcome], ticket: int | None = None) -> tuple[Outcome, ...]:
        """The outcomes of the messages at those places; the others are as they were."""
        rest = Outcome(State.PENDING, ticket_id=ticket)
        return tuple(outcomes.get(place, rest) for place in range(len(self.messages)))


def _used_up(posts: int, error: str) -> str:
    return f"{posts} attempts, none arrived: {error}"


def _rejected(case: _Case, told: Judgement) -> tuple[Outcome, ...]:
    """The one that the helpdesk names carries the error; the others say that they were refused with it."""
    named = dict(told.named)
    if not named or len(case.messages) == 1:
        return case.all(Outcome(State.REJECTED, status=told.status, error=told.error))
    first = log_name(case.messages[min(named)].key)
    others = f"its ticket was refused because of the message {first}"
    return tuple(
        Outcome(State.REJECTED, status=told.status, error=named.get(place, others))
        for place in range(len(case.messages))
    )


def update(ticket: int, fields: bytes, policy: Policy, random: Random) -> Generator[Step, Any, str]:
    """Set a ticket's own fields; empty when it is done, else why it was not. Setting them twice is setting them once
    and sends nothing to anybody, so what is in doubt is simply sent again."""
    last = ""
    for tries in range(policy.attempts):
        reply: Reply = yield Set(wire.update_ticket(ticket, fields))
        while reply.status == 429:
            reply = yield Set(wire.update_ticket(ticket, fields))
        if reply.contact is Contact.ANSWERED and 200 <= reply.status < 300:
            return ""
        last = reply.reason or wire.error_text(reply)
        if reply.status == 401 and reply.again:
            continue
        if reply.status in (401, 403):
            yield Refusal(reply.status, last)
            return last
        if (other := merged_into(reply, ticket)) is not None:
            return f"the ticket was merged into ticket {other}"
        if reply.contact is Contact.ANSWERED and reply.status in REJECTING and reply.is_json:
            return f"HTTP {reply.status}: {last}"
        yield Pause(backoff(tries, random), last)
    return last


def first_cause(error: str | None) -> str:
    """Why a message is in doubt, without what each look at it has added since."""
    return (error or "an earlier run ended before its answer came").partition("; ")[0]


def _settle(
    case: _Case, doubt: tuple[int, ...], status: int, error: str, *, hold: bool = False
) -> Generator[Step, Any, tuple[Outcome, ...] | None]:
    """Look for messages in doubt: their outcomes, or None when all are surely absent and may be sent again.

    `hold`: their absence cannot be seen, as the progress log says, so one look for finding them is all.
    """
    wanted = [case.messages[place] for place in doubt]
    seen: list[Sighting] = []
    for _ in range(1 if hold else 2):
        yield Pause(case.policy.settle, f"{error}; looking for {'the message' if len(doubt) == 1 else 'its ticket'}")
        seen = yield from look_for(wanted, case.ticket, case.random)
        if not any(each.sight is Sight.ABSENT for each in seen):
            break
    return (yield from _judge_looks(case, dict(zip(doubt, seen, strict=True)), status, error, hold=hold))


def _judge_looks(
    case: _Case, seen: dict[int, Sighting], status: int, error: str, *, hold: bool
) -> Generator[Step, Any, tuple[Outcome, ...] | None]:
    """What the last of the looks says of each message."""
    outcomes = {place: outcome_of(each) for place, each in seen.items() if each.sight is Sight.FOUND}
    there = next((each.tickets[0] for each in seen.values() if each.tickets), None) if case.ticket is None else None
    absent = [place for place, each in seen.items() if each.sight is Sight.ABSENT]

    def doubtful(why: str) -> Outcome:
        said = f"{error}; {why}" if why else error
        return Outcome(State.IN_DOUBT, ticket_id=there, status=status or None, error=said, hold=hold)

    outcomes |= {place: doubtful(each.reason) for place, each in seen.items() if each.sight is Sight.UNREADABLE}
    if absent and hold:
        outcomes |= dict.fromkeys(absent, doubtful(""))
    elif absent and not (yield Trust()):
        outcomes |= dict.fromkeys(absent, doubtful(_UNTRUSTED))
    else:
        kept = [place for place in absent if not case.policy.resends(case.messages[place].kind)]
        if there is None and kept:
            kept = absent  # a new ticket goes with all of its messages or not at all
        outcomes |= dict.fromkeys(kept, doubtful("not found in the helpdesk"))
        again = tuple(place for place in absent if place not in kept)
        if again and there is None:
            return None
        if again:
            yield Retry(again, RetryVerdict.ABSENT, status, error)
    return case.some(outcomes, there)


_UNTRUSTED = "the helpdesk does not give our external ids back, so looking proves nothing"


def outcome_of(seen: Sighting) -> Outcome:
    """What finding a message says of it."""
    ticket = seen.tickets[0] if seen.tickets else None
    twice = seen.tickets if len(seen.tickets) > 1 else seen.ids if len(seen.ids) > 1 else ()
    error = f"{len(twice)} of it stand in the helpdesk" if twice else None
    first = seen.ids[0] if seen.ids else None
    return Outcome(State.CREATED, first, ticket, error=error, found=True, duplicates=twice)
