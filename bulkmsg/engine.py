"""Many deliveries at once: one lane per ticket, order inside, lanes side by side, everything at the account's pace.

Obeys `delivery`, asks `pacing`, writes to the journal before and after, announces events, stops gently. It knows the
helpdesk and the journal only through their ports, and the time only through the event loop.
"""

from __future__ import annotations

import asyncio
from collections import deque
from collections.abc import Callable, Iterator, Sequence, Set
from dataclasses import dataclass, field, replace
from random import Random

from bulkmsg.courier import Courier, Load
from bulkmsg.delivery import Policy
from bulkmsg.desk import Desk, Halt, Stopped
from bulkmsg.errors import ExitCode, InvalidBatch, LogUnusable
from bulkmsg.events import RunView
from bulkmsg.message import ExistingTicket, Message, NewTicket, log_name
from bulkmsg.outcome import COUNTED, Outcome, Standing, State, Tally, without_addresses
from bulkmsg.parcel import Parcel, parcels
from bulkmsg.plan import Action, decide, seconds_left, was_changed
from bulkmsg.ports import Journal, Sink
from bulkmsg.stopping import ErrorLimit, ErrorTally, OnRejection, reason_of
from bulkmsg.uploads import Uploader

# Messages read ahead for lanes that are busy: enough to keep the pace through long threads, never the batch. Bytes are
# counted until a parcel is done, so that threads of megabytes are not all in memory at once.
LOOK_AHEAD = 1000
LOOK_AHEAD_BYTES = 32_000_000
_BREATH = 100  # messages read in one go
DRAIN_SECONDS = 30.0


@dataclass
class Lane:
    """The parcels of one ticket that wait for their turn. `blocked` once a message of it did not arrive."""

    name: str
    waiting: deque[Parcel] = field(default_factory=deque)
    blocked: bool = False


_DOUBTFUL = (State.INTENDED, State.IN_DOUBT)


def _after_retry(standing: Standing, attempt: int) -> Standing:
    """Where a message stands that was in doubt and is known to be absent by now."""
    state = State.PENDING if standing.state in _DOUBTFUL else standing.state
    return replace(standing, state=state, attempt=attempt, hold=False)


def _any_created(of: Sequence[tuple[Message, Standing]]) -> bool:
    """Whether a person or an older log says that messages are there, and not in which ticket."""
    return any(standing.state is State.CREATED for _, standing in of)


@dataclass
class Engine:
    """One run over the messages of a batch.

    Args:
        desk: the helpdesk at its pace.
        journal: where intents and outcomes go.
        standing: what the progress log says of a key.
        last_created: the newest message that the log says was created, for trusting look-ups.
        tally: where the selected messages stand at the start; it is kept up to date.
        errors: how many rejected and failed messages the run bears; by itself any number.
        on_rejection: what a rejected message means for those behind it.
        looked: what is in doubt was looked for right before, so it is left as it is, and holds its ticket back.
        shared: hashes of the files that several messages carry.
        update_tickets: new tickets that are there by now get their own fields again where these were changed.

    Attributes:
        updated: how many tickets got them. not_updated: which did not: external id as logs show it, id, and why.
    """

    desk: Desk
    journal: Journal
    sink: Sink
    policy: Policy
    standing: Callable[[str], Standing]
    tally: Tally
    last_created: Standing | None = None
    retry_rejected: bool = False
    random: Random = field(default_factory=Random)
    errors: ErrorTally = field(default_factory=lambda: ErrorTally(ErrorLimit(), 0))
    on_rejection: OnRejection = OnRejection.HOLD_TICKET
    looked: bool = False
    shared: Set[int] = frozenset()
    update_tickets: bool = False

    def __post_init__(self) -> None:
        self._lanes: dict[str, Lane] = {}
        self._blocked: set[str] = set()
        self._tasks: dict[asyncio.Task[None], None] = {}  # in order: the same run is the same to the last byte
        self._queued = 0
        self._queued_bytes = 0
        self._read = 0
        self._room = asyncio.Event()
        # Requests for each message, so that what is left can be told as time.
        self._each = min(1.0, self.errors.expected / max(1, self.tally.total - self.tally[State.CREATED]))
        self._started = 0.0
        self._unfinished = False
        self._overdrawn: Halt | None = None
        self.desk.when_stopped(lambda halt: self._room.set())
        self.bug: BaseException | None = None
        self.updated = 0
        self.not_updated: list[tuple[str, int, str]] = []
        self.courier = Courier(
            self.desk,
            self.journal,
            self.sink,
            self.policy,
            self.tally,
            self.standing,
            self.last_created,
            self.random,
            Uploader(self.desk, self.shared, self.random),
            when_parked=self._room.set,
        )

    @property
    def duplicates(self) -> list[tuple[str, tuple[int, ...]]]:
        """Keys of which several stand in the helpdesk, with the ids."""
        return self.courier.duplicates

    # -- the run --------------------------------------------------------------------------------------------------

    async def run(self, messages: Iterator[Message]) -> Halt | None:
        """Send all messages; returns why it stopped early, or None when all were worked on."""
        self._started = asyncio.get_running_loop().time()
        try:
            await self._feed(messages)
        except InvalidBatch as error:
            self.desk.stop(Halt(error.exit_code, error.message, error.hint))
        await self._drain()
        if self.bug is not None:
            raise self.bug
        return self._why_it_ended()

    def _why_it_ended(self) -> Halt | None:
        halt = self.desk.halt
        if halt is not None and halt is self._overdrawn:
            return self._too_many_errors()  # with what was in flight when it stopped
        if halt is not None and halt.done_is_done and not self._unfinished:
            return None
        return halt

    async def _feed(self, messages: Iterator[Message]) -> None:
        for parcel in parcels(self._breathing(messages)):
            await self._breathe()
            if self.desk.halt is not None:
                self._unfinished = True
                return
            if self._nothing_to_do(parcel):
                continue
            await self._wait_for_room(parcel.lane)
            self._enqueue(parcel.lane, parcel)

    def _nothing_to_do(self, parcel: Parcel) -> bool:
        keep = all(self._action(each, self.standing(each.key)) is Action.KEEP for each in parcel.messages)
        return keep and not self._to_update(parcel)

    def _breathing(self, messages: Iterator[Message]) -> Iterator[Message]:
        for message in messages:
            self._read += 1
            yield message

    async def _breathe(self) -> None:
        """Let signals and lanes be served, also where the next hundred thousand messages are there already."""
        if self._read >= _BREATH:
            self._read = 0
            await asyncio.sleep(0)

    def _action(self, message: Message, standing: Standing, thread: str = "") -> Action:
        return decide(message, standing, retry_rejected=self.retry_rejected, looked=self.looked, thread=thread)

    async def _wait_for_room(self, lane: str) -> None:
        """Until the parcel fits: into a lane that is open already, or as a new lane beside those at work."""
        while self.desk.halt is None:
            fits = self._queued < LOOK_AHEAD and self._queued_bytes < LOOK_AHEAD_BYTES
            at_work = len(self._lanes) - self.courier.parked
            if fits and (lane in self._lanes or at_work < 2 * self.desk.at_once):
                return
            self._room.clear()
            await self._room.wait()

    def _enqueue(self, name: str, parcel: Parcel) -> None:
        self._queued += len(parcel.messages)
        self._queued_bytes += parcel.size
        lane = self._lanes.get(name)
        if lane is not None:
            lane.waiting.append(parcel)
            return
        lane = self._lanes[name] = Lane(name, deque([parcel]), name in self._blocked)
        task = asyncio.create_task(self._work(lane))
        self._tasks[task] = None
        task.add_done_callback(self._tasks.pop)

    async def _drain(self) -> None:
        """Wait for the lanes: to their end, or, when the run stops, as long as requests in flight may take."""
        while self._tasks:
            stopping = self.desk.halt is not None
            await asyncio.wait(list(self._tasks), timeout=DRAIN_SECONDS if stopping else 1.0)
            if stopping:
                self.abandon()

    def abandon(self) -> None:
        """Give up what is in flight: each lane records its message as in doubt and ends."""
        for task in list(self._tasks):
            self._unfinished = task.cancel() or self._unfinished

    # -- one lane -------------------------------------------------------------------------------------------------

    async def _work(self, lane: Lane) -> None:
        try:
            while lane.waiting and self.desk.halt is None:
                parcel = lane.waiting.popleft()
                self._queued -= len(parcel.messages)
                try:
                    await self._one(lane, parcel)
                finally:
                    self._queued_bytes -= parcel.size
                    self._room.set()
                for message in parcel.messages:
                    self.courier.done(message)
        except Stopped:
            self._unfinished = True
        except LogUnusable as error:
            self.desk.stop(Halt(error.exit_code, error.message, error.hint))
        except Exception as error:  # a bug: stop everything gently and let the roof tell it
            self.bug = error
            self.desk.stop(Halt(ExitCode.BUG, "an error inside bulkmsg"))
        finally:
            self._unfinished = self._unfinished or bool(lane.waiting)
            self._queued -= sum(len(parcel.messages) for parcel in lane.waiting)
            self._queued_bytes -= sum(parcel.size for parcel in lane.waiting)
            if lane.blocked:
                self._blocked.add(lane.name)
            self._lanes.pop(lane.name, None)
            self._room.set()

    async def _one(self, lane: Lane, parcel: Parcel) -> None:
        """Work on a parcel: as one request where it may open its ticket, else message by message."""
        left = [(message, self.standing(message.key)) for message in parcel.messages]
        ticket, home = parcel.ticket, self._home(parcel)
        if home is None and isinstance(ticket, NewTicket) and parcel.first and not _any_created(left):
            left, home = await self._open(lane, parcel, left)
        elif home is None and not lane.blocked and self._any_to_send(left) and not isinstance(ticket, ExistingTicket):
            home = await self._find_home(lane, ticket.external_id, left)
        for message, standing in left:
            await self._message(lane, message, standing, home)
        if home is not None and self._to_update(parcel) and not lane.blocked:
            assert isinstance(ticket, NewTicket)
            await self._update(ticket, home)

    def _home(self, parcel: Parcel) -> int | None:
        """The id of a parcel's ticket, as far as it is known."""
        ticket = parcel.ticket
        if isinstance(ticket, ExistingTicket):
            return ticket.id
        if (known := self.journal.ticket(ticket.external_id)) is not None:
            return known.id
        return next((id for m in parcel.messages if (id := self.standing(m.key).ticket_id) is not None), None)

    def _any_to_send(self, left: Sequence[tuple[Message, Standing]]) -> bool:
        return any(self._action(message, standing) is Action.SEND for message, standing in left)

    async def _open(
        self, lane: Lane, parcel: Parcel, all: Sequence[tuple[Message, Standing]]
    ) -> tuple[list[tuple[Message, Standing]], int | None]:
        """Create a new ticket with its first messages, or find out what became of an earlier try.

        Whatever a rejection means for others, a ticket is not created without one of its messages.

        Returns:
            The messages that are to go to it one by one, and its id; none where there is nothing more to do.
        """
        members = []
        for message, standing in all:
            if self._action(message, standing, parcel.thread) is Action.LEAVE:
                lane.blocked = True
            else:
                members.append((message, standing))
        if not members:
            return [], None
        load = Load(tuple(m for m, _ in members), tuple(s for _, s in members), None, parcel.thread)
        if lane.blocked and not any(standing.state in _DOUBTFUL for _, standing in members):
            self.courier.settle(load, [Outcome(State.HELD_BACK)] * len(members))
            return [], None
        outcomes = await self.courier.carry(load, held=lane.blocked)
        self._judge(lane, outcomes)
        home = next((outcome.ticket_id for outcome in outcomes if outcome.ticket_id is not None), None)
        left = [
            (message, _after_retry(standing, attempt))
            for (message, standing), attempt, outcome in zip(members, load.attempts, outcomes, strict=True)
            if outcome.state is State.PENDING
        ]
        return ([], None) if self.desk.halt is not None and home is None else (left, home)

    async def _find_home(self, lane: Lane, external_id: str, left: list[tuple[Message, Standing]]) -> int | None:
        """Look up a ticket that is known by its external id alone. Where there is not just one, nothing is sent."""
        home = await self.courier.home(external_id)
        if isinstance(home, int):
            return home
        place = next(i for i, each in enumerate(left) if self._action(*each) is Action.SEND)
        message, standing = left.pop(place)
        outcome = Outcome(State.FAILED, error=home)
        self.courier.settle(Load((message,), (standing,), None), [outcome])
        self._judge(lane, [outcome])
        return None

    async def _message(self, lane: Lane, message: Message, standing: Standing, home: int | None) -> None:
        """Bring one message to a ticket that is there."""
        action = self._action(message, standing)
        if action is Action.KEEP:
            return
        doubtful = standing.state in _DOUBTFUL
        if action is Action.LEAVE or (doubtful and home is None):
            lane.blocked = lane.blocked or self._holds_back(standing.state)
            return
        load = Load((message,), (standing,), home)
        if lane.blocked and not doubtful:
            self.courier.settle(load, [Outcome(State.HELD_BACK)])
            return
        self._judge(lane, await self.courier.carry(load, held=lane.blocked))

    def _judge(self, lane: Lane, outcomes: Sequence[Outcome]) -> None:
        """What outcomes mean for the rest of the ticket and of the run."""
        for outcome in outcomes:
            if outcome.state is not State.PENDING:
                lane.blocked = lane.blocked or self._holds_back(outcome.state)
        for state in dict.fromkeys(outcome.state for outcome in outcomes):
            alike = [outcome for outcome in outcomes if outcome.state is state]
            self._mind(alike[0], len(alike))

    def _holds_back(self, state: State) -> bool:
        """Whether a message that ended so keeps those behind it waiting. One that may yet arrive always does."""
        if state is State.REJECTED:
            return self.on_rejection is not OnRejection.CONTINUE
        return state is not State.CREATED

    def _mind(self, outcome: Outcome, messages: int) -> None:
        """End the run where the user's rules say so."""
        self.errors.count(outcome, messages)
        if self.errors.is_over and self.desk.halt is None:
            self._overdrawn = self._too_many_errors()
            self.desk.stop(self._overdrawn)
        elif outcome.state is State.REJECTED and self.on_rejection is OnRejection.STOP:
            said = f"a message was rejected, and --on-rejection says stop: {reason_of(outcome)}"
            self.desk.stop(Halt(ExitCode.STOPPED, said, self.errors.hint, mend=True))

    def _too_many_errors(self) -> Halt:
        return Halt(ExitCode.STOPPED, self.errors.told, self.errors.hint, mend=True)

    # -- the tickets' own fields ----------------------------------------------------------------------------------

    def _to_update(self, parcel: Parcel) -> bool:
        """Whether this parcel ends a ticket whose own fields differ from those that were sent, and they are asked for.

        They go last: a message may reopen a ticket that the batch has as closed.
        """
        if not self.update_tickets or not parcel.last or not isinstance(parcel.ticket, NewTicket):
            return False
        return was_changed(parcel.ticket, self.journal.ticket(parcel.ticket.external_id))

    async def _update(self, ticket: NewTicket, home: int) -> None:
        why = await self.courier.update(ticket, home)
        if not why:
            self.updated += 1
        elif self.desk.halt is None:
            self.not_updated.append((log_name(ticket.external_id), home, without_addresses(why)))

    # -- a look from outside --------------------------------------------------------------------------------------

    def view(self) -> RunView:
        """Where the run stands, for whoever shows it."""
        now = asyncio.get_running_loop().time()
        left = self.tally[State.PENDING]
        rate = self.desk.pacer.rate
        elapsed = now - self._started
        used = self.desk.requests - rate.per_second * elapsed  # of the burst with which a run begins
        remaining = seconds_left(round(left * self._each), rate, used) / self.desk.pacer.share
        waiting = self.desk.waiting
        if self.desk.halt is not None:
            waiting = "for the requests in flight, then it stops"
        elif not waiting and self.courier.parked and self.courier.parked == len(self._lanes):
            waiting = "looking for messages in doubt"
        return RunView(
            total=self.tally.total,
            counts={state.value: self.tally[state] for state in COUNTED},
            requests=self.desk.requests,
            throttled=self.desk.throttled,
            recent_rate=self.desk.rate_now(now),
            limit=str(rate),
            elapsed=elapsed,
            remaining=remaining if self.desk.requests and self.desk.halt is None else None,
            waiting=waiting,
        )
