"""What a run would do, from the batch and the progress log: which messages, how many requests, how long. Pure."""

from __future__ import annotations

import math
from collections.abc import Iterator
from dataclasses import dataclass, fields, replace
from datetime import UTC, datetime
from enum import Enum
from functools import lru_cache

from bulkmsg.message import ExistingTicket, Message, NamedTicket, NewTicket
from bulkmsg.outcome import Standing, State
from bulkmsg.pacing import Pacer
from bulkmsg.ports import KnownTicket
from bulkmsg.settings import API_KEY_RATE, OAUTH_RATE, Rate
from bulkmsg.share import ALL, Share, seconds_under

# What every visit to the helpdesk asks first: the account and the user whom the credentials belong to.
PREFLIGHT_REQUESTS = 2
_ASKED = 1000
# What it takes to see that a message is not there (`looking.look_for`): one search by the ticket's external id where
# the ticket is new, else the ticket's messages and the ticket itself, which is searched for first where it is named.
ABSENT_REQUESTS = {NewTicket: 1, ExistingTicket: 2, NamedTicket: 3}


class Action(Enum):
    """What a run does with an entry, given where it stands."""

    SEND = "send"  # for the first time, or again because it surely is not there
    SETTLE = "settle"  # it may be there: look first
    KEEP = "keep"  # it is there
    LEAVE = "leave"  # rejected as it stands, or in doubt and just looked for: a person's part; it holds its ticket back


def decide(
    message: Message, standing: Standing, *, retry_rejected: bool = False, looked: bool = False, thread: str = ""
) -> Action:
    """What to do with a message (product rule: rejected ones are sent if they were changed, or when asked to).

    Args:
        looked: those in doubt were looked for right before.
        thread: the hash of all that would leave with its new ticket. All of that is refused in one answer, so a change
            anywhere in it is a change of each message.
    """
    if standing.state is State.CREATED:
        return Action.KEEP
    if standing.state in (State.INTENDED, State.IN_DOUBT):
        return Action.LEAVE if looked else Action.SETTLE
    if standing.state is State.REJECTED and not retry_rejected and _as_refused(message, standing, thread):
        return Action.LEAVE
    return Action.SEND


def _as_refused(message: Message, standing: Standing, thread: str) -> bool:
    same_thread = not thread or not standing.thread or standing.thread == thread
    return standing.content == message.content and same_thread


def was_changed(ticket: NewTicket, known: KnownTicket | None) -> bool:
    """Whether a ticket that is there by now has other fields of its own in the batch than those that were sent."""
    return known is not None and bool(known.content and ticket.content) and known.content != ticket.content


def was_edited(message: Message, standing: Standing) -> bool:
    """Whether an entry was changed after it was created or while it is in doubt."""
    fixed = standing.state in (State.CREATED, State.INTENDED, State.IN_DOUBT)
    return fixed and standing.content != message.content


@dataclass(frozen=True, slots=True)
class Costs:
    """The requests of a run by what they are for, as long as no answer is lost.

    Args:
        account: whose helpdesk it is and who we are there.
        preflight: whether it has the agents and mailboxes that the batch names, and which rules may react.
        lost_log: whether messages of this batch stand there although there is no progress log.
        named_tickets: the ids of tickets that are known by their external id.
        in_doubt: looking for messages of which an earlier run does not know whether they arrived.
        uploads: files that messages carry.
        new_tickets, messages: requests that create something.
        updates: own fields of tickets that are there and were changed in the batch since, where these are asked for.
    """

    account: int = 0
    preflight: int = 0
    lost_log: int = 0
    named_tickets: int = 0
    in_doubt: int = 0
    uploads: int = 0
    new_tickets: int = 0
    messages: int = 0
    updates: int = 0

    @property
    def total(self) -> int:
        return sum(self.parts.values())

    @property
    def parts(self) -> dict[str, int]:
        """In the order in which a run comes to them."""
        return {each.name: getattr(self, each.name) for each in fields(self)}


@dataclass(frozen=True, slots=True)
class Left:
    """What earlier runs left to do, by the progress log.

    Args:
        to_send, to_settle, to_hold: messages to send, to look for first, and to note as held back.
        costs: the requests that this takes, without those that every run makes.
    """

    to_send: int = 0
    to_settle: int = 0
    to_hold: int = 0
    costs: Costs = Costs()

    @property
    def nothing(self) -> bool:
        return not (self.to_send or self.to_settle or self.to_hold or self.costs.updates)


@dataclass(frozen=True, slots=True)
class Plan:
    """What a run of this batch would do.

    Args:
        sends: outgoing messages that would really be mailed; `recipients` to how many people.
        tickets: how many tickets the batch touches; `new_tickets` of them are created, `named_tickets` looked up by
            their external id.
        posts: requests that create something: a new ticket with its messages, or one message.
        preflight, lost_log, uploads: requests for these, as `Costs` has them.
        left: what earlier runs left to do; None for a first run. All other numbers are of the whole batch.
        settle: seconds that a run waits before it looks for what is in doubt.
        share: the part of the limit that is ours, from the moment `begun` on, which counts for a timetable.
    """

    batch: str
    mode: str
    messages: int
    by_type: dict[str, int]
    tickets: int
    new_tickets: int
    recipients: int
    sends: int
    rate: Rate
    posts: int
    named_tickets: int = 0
    preflight: int = 0
    lost_log: int = 0
    uploads: int = 0
    left: Left | None = None
    settle: float = 0.0
    share: Share = ALL
    begun: datetime = datetime(2000, 1, 1, tzinfo=UTC)

    @property
    def to_do(self) -> int:
        """How many messages are to be sent, or looked for."""
        return self.messages if self.left is None else self.left.to_send + self.left.to_settle

    @property
    def costs(self) -> Costs:
        """What the run would cost in requests."""
        if self.left is not None:
            return self._costs_left(self.left)
        return Costs(
            account=PREFLIGHT_REQUESTS,
            preflight=self.preflight,
            lost_log=self.lost_log,
            named_tickets=self.named_tickets,
            uploads=self.uploads,
            new_tickets=self.new_tickets,
            messages=self.posts - self.new_tickets,
        )

    def _costs_left(self, left: Left) -> Costs:
        if left.nothing:
            return Costs()
        return replace(left.costs, account=PREFLIGHT_REQUESTS, preflight=self.preflight)

    @property
    def requests(self) -> int:
        return self.costs.total

    @property
    def seconds(self) -> float:
        return self.seconds_at(self.rate)

    def seconds_at(self, rate: Rate) -> float:
        """How long it would take at another rate."""
        waits = self.settle if self.left is not None and self.left.to_settle else 0.0
        return max(seconds_for(self.requests, rate, self.share, self.begun), waits)

    def faster(self) -> Iterator[tuple[str, Rate, float]]:
        """Credentials and accounts with a higher limit: in words, as a rate, and how long it would take there."""
        for how, rate in LIMITS.items():
            if rate.per_second > self.rate.per_second:
                yield how, rate, self.seconds_at(rate)


# Gorgias reference, "Rate Limits".
LIMITS = {
    "with an API key": API_KEY_RATE,
    "with OAuth": OAUTH_RATE,
    "on an Enterprise account with an API key": Rate(40, 10.0),
    "on an Enterprise account with OAuth": Rate(80, 10.0),
}


def seconds_for(requests: int, rate: Rate, share: Share = ALL, begun: datetime | None = None) -> float:
    """How long it takes until the last of so many requests has started: a burst, then the mean rate.

    Args:
        share: the part of them that is ours.
        begun: the moment of the first one, which a timetable asks for; with a zone.
    """
    if share == ALL or begun is None:
        return max(0.0, (requests - burst(rate)) / rate.per_second)
    kept_free = max(0.0, rate.limit * share.at(begun) - burst(rate))
    return seconds_under(requests + kept_free, rate, share, begun)


def seconds_left(requests: int, rate: Rate, used: float = math.inf) -> float:
    """How long requests take from now on.

    Args:
        used: how much of the bucket is used by now, as far as it is known; else the whole burst.
    """
    free = burst(rate)
    return max(0.0, requests + min(max(used, 0.0), free) - free) / rate.per_second


@lru_cache
def burst(rate: Rate) -> int:
    """How many requests start at once where nothing was used before: the pacer itself is asked."""
    if rate.limit > _ASKED:  # far above what there is, it keeps free the same part
        return rate.limit * burst(Rate(_ASKED, rate.window)) // _ASKED
    pacer = Pacer(rate)
    pacer.answered(pacer.start(0.0), 0.0, 1, rate.limit)
    count = 1
    while pacer.wait(0.0) == 0.0:
        pacer.start(0.0)
        count += 1
    return count
