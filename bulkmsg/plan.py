"""What a run would do, from the batch and the progress log: which messages, how many requests, how long. Pure."""

from __future__ import annotations

from dataclasses import dataclass
from enum import Enum

from bulkmsg.message import Message
from bulkmsg.outcome import Standing, State
from bulkmsg.settings import Rate

# What a run asks before it sends: the account and the user whom the credentials belong to.
PREFLIGHT_REQUESTS = 2


class Action(Enum):
    """What a run does with an entry, given where it stands."""

    SEND = "send"  # for the first time, or again because it surely is not there
    SETTLE = "settle"  # it may be there: look first
    KEEP = "keep"  # it is there
    LEAVE = "leave"  # rejected as it stands, or in doubt and just looked for: a person's part; it holds its ticket back


def decide(message: Message, standing: Standing, *, retry_rejected: bool = False, looked: bool = False) -> Action:
    """What to do with a message (product rule: rejected ones are sent if they were changed, or when asked to).

    `looked`: those in doubt were looked for right before.
    """
    if standing.state is State.CREATED:
        return Action.KEEP
    if standing.state in (State.INTENDED, State.IN_DOUBT):
        return Action.LEAVE if looked else Action.SETTLE
    if standing.state is State.REJECTED and standing.content == message.content and not retry_rejected:
        return Action.LEAVE
    return Action.SEND


def was_edited(message: Message, standing: Standing) -> bool:
    """Whether an entry was changed after it was created or while it is in doubt."""
    fixed = standing.state in (State.CREATED, State.INTENDED, State.IN_DOUBT)
    return fixed and standing.content != message.content


@dataclass(frozen=True, slots=True)
class Plan:
    """What a run of this batch would do from an empty progress log.

    Args:
        sends: outgoing messages that would really be mailed; `recipients` to how many people.
        tickets: how many tickets the batch touches; `new_tickets` of them are created, `named_tickets` looked up by
            their external id.
        posts: requests that create something: a new ticket with its messages, or one message.
        uploads: requests that upload the files that messages carry.
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
    uploads: int = 0

    @property
    def lookups(self) -> int:
        """A first run looks for its first and last entry, by a listing and the ticket, or one search per new ticket;
        and for each ticket that is known by its external id."""
        ends = min(self.messages, 2)
        return ends * (1 if self.new_tickets == self.tickets else 2) + self.named_tickets

    @property
    def requests(self) -> int:
        return PREFLIGHT_REQUESTS + self.lookups + self.posts + self.uploads

    @property
    def seconds(self) -> float:
        return seconds_for(self.requests, self.rate)


def seconds_for(requests: int, rate: Rate) -> float:
    """How long requests take by the law of a leaky bucket that starts empty: a burst of the limit, then the rate."""
    return max(0.0, (requests - rate.limit) / rate.per_second)


def seconds_left(requests: int, rate: Rate) -> float:
    """How long requests take once the burst is used up."""
    return requests / rate.per_second
