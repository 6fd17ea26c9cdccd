"""The batch held against the progress log, before anything is sent: what stands where, what was edited or removed.

Pure: takes messages and standings, returns a value.
"""

from __future__ import annotations

from collections import Counter
from collections.abc import Callable, Iterable, Iterator
from dataclasses import dataclass, field

from bulkmsg.message import ExistingTicket, Message, Mode, NewTicket, hash64, people_of
from bulkmsg.outcome import COUNTED, UNTOUCHED, Standing, State, Tally
from bulkmsg.parcel import Parcel, parcels
from bulkmsg.plan import Action, Costs, decide, was_changed, was_edited
from bulkmsg.ports import KnownTicket
from bulkmsg.sample import Lanes

_SHOWN = 10


@dataclass
class Review:
    """What a run has before it.

    Args:
        tally: where the selected messages stand.
        to_send: how many messages will be sent, `to_settle` looked for first, `to_hold` noted as held back.
        costs: the requests that this takes, as long as nothing goes wrong.
        mails: how many of them would be mailed; `people` how many differ among whom they go to.
        edited: entries changed after they were created or while in doubt (the first few), and how many in all.
        removed: what the log knows as created or in doubt and the batch no longer holds: its key as the log shows it,
            and where it stands in the helpdesk.
        changed_tickets: tickets that are there and whose own fields the batch has otherwise than they were sent.
        blocked: lanes that something left as it is holds back.
        first, last: the first and last selected message.
    """

    tally: Tally
    to_send: int = 0
    to_settle: int = 0
    to_hold: int = 0
    costs: Costs = field(default_factory=Costs)
    mails: int = 0
    people: int = 0
    edited: list[Message] = field(default_factory=list)
    edited_count: int = 0
    removed: list[str] = field(default_factory=list)
    blocked: set[str] = field(default_factory=set)
    removed_count: int = 0
    changed_tickets: int = 0
    swapped: list[str] = field(default_factory=list)
    first: Message | None = None
    last: Message | None = None

    @property
    def requests(self) -> int:
        return self.costs.total


@dataclass
class _Fresh:
    """Entries that the log does not know, where keys are content hashes: there an edit shows only as one key gone and
    another new, on the same ticket, or, where the ticket itself is new and has no external_id, on any."""

    tickets: set[int] = field(default_factory=set)
    nameless: bool = False

    def add(self, message: Message) -> None:
        if isinstance(message.ticket, ExistingTicket):
            self.tickets.add(message.ticket.id)
        elif isinstance(message.ticket, NewTicket):
            self.nameless = self.nameless or not message.ticket.given

    def may_replace(self, gone: Standing) -> bool:
        return self.nameless or gone.ticket_id in self.tickets


def select(messages: Iterable[Message], lanes: Lanes | None) -> Iterator[Message]:
    """The messages of these tickets, all of them without a choice."""
    return (message for message in messages if lanes is None or message.ticket.lane in lanes)


def review(
    messages: Iterable[Message],
    mode: Mode,
    standing: Callable[[str], Standing],
    mark: Callable[[str], None],
    unmarked: Callable[[], Iterator[tuple[str, Standing]]],
    *,
    ticket: Callable[[str], KnownTicket | None] = lambda external_id: None,
    lanes: Lanes | None = None,
    retry_rejected: bool = False,
    rejections_hold: bool = True,
    first_run: bool = False,
    looked: bool = False,
    update_tickets: bool = False,
) -> Review:
    """Look at the whole batch and the whole log.

    Args:
        standing, mark, unmarked: the folded log's word on a key, noting that the batch holds it, and what is left.
        ticket: its word on a ticket with an external id.
        lanes: the tickets that are selected, None where all are.
        rejections_hold: a rejection that stays as it is keeps the rest of its ticket waiting.
        first_run: there is no log, so nothing can have been edited, and nothing needs to be remembered.
        looked: those in doubt were looked for right before, and are left.
        update_tickets: changed fields of tickets that are there are sent.
    """
    found = Review(Tally(0))
    fresh = _Fresh()
    people: set[int] = set()
    requests = _Requests()
    for parcel in parcels(messages):
        selected = lanes is None or parcel.lane in lanes
        own = parcel.ticket
        load = _Load(parcel, None if isinstance(own, ExistingTicket) else ticket(own.external_id))
        for message in parcel.messages:
            where = standing(message.key)
            mark(message.key)
            load.see(where)
            _see_edit(found, message, where)
            if not first_run and where is UNTOUCHED and message.key.startswith("c-"):
                fresh.add(message)
        if not selected:
            continue
        load.decide(retry_rejected=retry_rejected, looked=looked)
        if load.opens and Action.LEAVE in load.actions:
            found.blocked.add(parcel.lane)  # a new ticket goes with all of its messages, or not at all
        for message, where, action in load.rows:
            if action is Action.LEAVE and (rejections_hold or where.state is not State.REJECTED):
                found.blocked.add(parcel.lane)
            load.add(message, _count(found, message, where, action, people))
        changed = parcel.last and load.was_changed
        found.changed_tickets += changed
        requests.add(load, update=changed and update_tickets and parcel.lane not in found.blocked)
    found.people = len(people)
    found.costs = requests.costs
    _see_removed(found, unmarked(), fresh)
    return found


@dataclass
class _Load:
    """What is to do with a parcel: messages to send and to look for.

    Args:
        known: its ticket, where that is known by its external id.
        home: the ticket is there. any_created: and that is known of a message in it.
    """

    parcel: Parcel
    known: KnownTicket | None
    standings: list[Standing] = field(default_factory=list)
    actions: list[Action] = field(default_factory=list)
    send: list[Message] = field(default_factory=list)
    settle: int = 0
    home: bool = False
    any_created: bool = False

    def __post_init__(self) -> None:
        self.home = self.known is not None or isinstance(self.parcel.ticket, ExistingTicket)

    def see(self, where: Standing) -> None:
        """Where its next message stands."""
        self.standings.append(where)
        self.home = self.home or where.ticket_id is not None
        self.any_created = self.any_created or where.state is State.CREATED

    def decide(self, *, retry_rejected: bool, looked: bool) -> None:
        thread = self.parcel.thread if self.opens else ""
        self.actions = [
            decide(message, where, retry_rejected=retry_rejected, looked=looked, thread=thread)
            for message, where in zip(self.parcel.messages, self.standings, strict=True)
        ]

    @property
    def rows(self) -> Iterator[tuple[Message, Standing, Action]]:
        return zip(self.parcel.messages, self.standings, self.actions, strict=True)

    def add(self, message: Message, to_do: Action) -> None:
        self.settle += to_do is Action.SETTLE
        if to_do is Action.SEND:
            self.send.append(message)

    @property
    def opens(self) -> bool:
        """Whether one request may create its ticket with all of it, as the engine does it."""
        own, first = self.parcel.ticket, self.parcel.first
        return isinstance(own, NewTicket) and first and not self.home and not self.any_created

    @property
    def was_changed(self) -> bool:
        own = self.parcel.ticket
        return isinstance(own, NewTicket) and was_changed(own, self.known)


@dataclass
class _Requests:
    """The requests of a run, counted by what they are for."""

    counted: Counter[str] = field(default_factory=Counter)
    named: set[int] = field(default_factory=set)
    uploads: set[int] = field(default_factory=set)

    def add(self, load: _Load, *, update: bool) -> None:
        self.uploads.update(upload.hash64 for message in load.send for upload in message.uploads)
        self.counted["updates"] += update
        if load.opens and not load.settle:
            self.counted["new_tickets"] += bool(load.send)
            return
        # A new ticket is found by a search, and one reading of it shows all of its messages.
        self.counted["in_doubt"] += 2 if load.opens else load.settle
        self.counted["messages"] += len(load.send)
        if load.send and not load.home and not load.opens:
            self.named.add(hash64(load.parcel.lane))

    @property
    def costs(self) -> Costs:
        return Costs(**self.counted, named_tickets=len(self.named), uploads=len(self.uploads))


def _see_edit(found: Review, message: Message, where: Standing) -> None:
    if was_edited(message, where):
        found.edited_count += 1
        if len(found.edited) < _SHOWN:
            found.edited.append(message)


def _whereabouts(where: Standing) -> str:
    if where.ticket_id is None:
        return ""
    message = f"message {where.message_id} of " if where.message_id else ""
    return f" ({message}ticket {where.ticket_id})"


def _count(found: Review, message: Message, where: Standing, action: Action, people: set[int]) -> Action:
    """Count a message; returns what will be done with it, where an earlier one of its ticket may hold it back."""
    found.first = found.first or message
    found.last = message
    found.tally.total += 1
    state = where.state if where.state in COUNTED else State.IN_DOUBT
    found.tally.counts[state] += 1
    if action is Action.SEND and message.ticket.lane in found.blocked:
        found.to_hold += state is not State.HELD_BACK
        return Action.LEAVE
    found.to_send += action is Action.SEND
    found.to_settle += action is Action.SETTLE
    if action in (Action.SEND, Action.SETTLE) and message.will_be_mailed:
        found.mails += 1
        people.update(hash64(person) for person in people_of(message) or [message.key])
    return action


def _see_removed(found: Review, left: Iterator[tuple[str, Standing]], fresh: _Fresh) -> None:
    for key, where in left:
        if where.state not in (State.CREATED, State.INTENDED, State.IN_DOUBT):
            continue
        found.removed_count += 1
        if len(found.removed) < _SHOWN:
            found.removed.append(key + _whereabouts(where))
        if key.startswith("c-") and fresh.may_replace(where) and len(found.swapped) < _SHOWN:
            found.swapped.append(key)
