"""Many deliveries at once: one lane per ticket, order inside, lanes side by side, everything at the account's pace.

Obeys `delivery`, asks `pacing`, writes to the journal before and after, announces events, stops gently. It knows the
helpdesk and the journal only through their ports, and the time only through the event loop.
"""

from __future__ import annotations

import asyncio
import hashlib
from collections import deque
from collections.abc import Callable, Iterator, Set
from contextlib import suppress
from dataclasses import dataclass, field
from random import Random

from bulkmsg import delivery
from bulkmsg.delivery import Conversation, Distrust, Look, Pause, Policy, Post, Retry, Step, Trust
from bulkmsg.desk import Desk, Halt, Stopped, proves, refusal
from bulkmsg.errors import ExitCode, InvalidBatch, LogUnusable
from bulkmsg.events import Event, Name, RunView
from bulkmsg.gorgias import wire
from bulkmsg.message import ExistingTicket, Message, log_name
from bulkmsg.outcome import COUNTED, Outcome, Standing, State, Tally
from bulkmsg.plan import Action, decide, seconds_left
from bulkmsg.ports import Intent, Journal, Reply, Request, Sink
from bulkmsg.retry import judge
from bulkmsg.source import Json
from bulkmsg.stopping import ErrorLimit, ErrorTally, OnRejection, reason_of
from bulkmsg.uploads import Uploader

# Messages read ahead for lanes that are busy: enough to keep the pace through long threads, never the batch.
LOOK_AHEAD = 1000
LOOK_AHEAD_BYTES = 32_000_000
# Messages read in one go. Where the next hundred thousand are there already, signals and lanes must still be served.
_BREATH = 100
DRAIN_SECONDS = 30.0


@dataclass
class Lane:
    """The messages of one ticket that wait for their turn. `blocked` once one of them did not arrive."""

    name: str
    waiting: deque[Message] = field(default_factory=deque)
    blocked: bool = False


def _content_of(message: Message, standing: Standing, attempt: int, outcome: Outcome) -> str:
    """The form of an entry that an outcome is about: an attempt of an earlier run may have sent another text."""
    same = attempt == standing.attempt and outcome.state in (State.CREATED, State.IN_DOUBT)  # found, or looked for
    return standing.content if same and standing.content else message.content


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

    def __post_init__(self) -> None:
        self._uploader = Uploader(self.desk, self.shared, self.random)
        self._lanes: dict[str, Lane] = {}
        self._blocked: set[str] = set()
        self._tasks: dict[asyncio.Task[None], None] = {}  # in order: the same run is the same to the last byte
        self._queued = 0
        self._queued_bytes = 0
        self._parked = 0
        self._room = asyncio.Event()
        self._trusted: bool | None = None if self.last_created is not None else True
        self._trust_lock = asyncio.Lock()
        self._flying: dict[str, tuple[Message, int]] = {}
        self._counted: dict[str, State] = {}  # where the tally has what is being worked on, if it moved in this run
        self._started = 0.0
        self._unfinished = False
        self._overdrawn: Halt | None = None
        self.desk.when_stopped(lambda halt: self._room.set())
        self.duplicates: list[tuple[str, tuple[int, ...]]] = []
        self.bug: BaseException | None = None

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
        for number, message in enumerate(messages):
            if number % _BREATH == 0:
                await asyncio.sleep(0)
            if self.desk.halt is not None:
                self._unfinished = True
                return
            standing = self.standing(message.key)
            if self._action(message, standing) is Action.KEEP:
                continue
            lane = message.ticket.lane
            await self._wait_for_room(lane)
            self._enqueue(lane, message)

    def _action(self, message: Message, standing: Standing) -> Action:
        return decide(message, standing, retry_rejected=self.retry_rejected, looked=self.looked)

    async def _wait_for_room(self, lane: str) -> None:
        """Until the message fits: into a lane that is open already, or as a new lane beside those at work."""
        while self.desk.halt is None:
            fits = self._queued < LOOK_AHEAD and self._queued_bytes < LOOK_AHEAD_BYTES
            at_work = len(self._lanes) - self._parked
            if fits and (lane in self._lanes or at_work < 2 * self.desk.at_once):
                return
            self._room.clear()
            await self._room.wait()

    def _enqueue(self, name: str, message: Message) -> None:
        self._queued += 1
        self._queued_bytes += len(message.payload)
        lane = self._lanes.get(name)
        if lane is not None:
            lane.waiting.append(message)
            return
        lane = self._lanes[name] = Lane(name, deque([message]), name in self._blocked)
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
                message = lane.waiting.popleft()
                self._queued -= 1
                self._queued_bytes -= len(message.payload)
                self._room.set()
                await self._one(lane, message)
                self._counted.pop(message.key, None)
        except Stopped:
            self._unfinished = True
        except LogUnusable as error:
            self.desk.stop(Halt(error.exit_code, error.message, error.hint))
        except Exception as error:  # a bug: stop everything gently and let the roof tell it
            self.bug = error
            self.desk.stop(Halt(ExitCode.BUG, "an error inside bulkmsg"))
        finally:
            self._unfinished = self._unfinished or bool(lane.waiting)
            if lane.blocked:
                self._blocked.add(lane.name)
            self._lanes.pop(lane.name, None)
            self._room.set()

    async def _one(self, lane: Lane, message: Message) -> None:
        standing = self.standing(message.key)
        if self._action(message, standing) is Action.LEAVE:
            lane.blocked = lane.blocked or self._holds_back(standing.state)
            return
        if lane.blocked and standing.state not in (State.INTENDED, State.IN_DOUBT):
            self._settle(message, standing, standing.attempt, Outcome(State.HELD_BACK))
            return
        conversation = delivery.deliver(message, standing, self.policy, self.random)
        outcome, attempt = await self._converse(conversation, lane, message, standing.attempt)
        if outcome.state is State.PENDING:
            return
        self._settle(message, standing, attempt, outcome)
        lane.blocked = lane.blocked or self._holds_back(outcome.state)
        self._mind(outcome)

    def _holds_back(self, state: State) -> bool:
        """Whether a message that ended so keeps those behind it waiting. One that may yet arrive always does."""
        if state is State.REJECTED:
            return self.on_rejection is not OnRejection.CONTINUE
        return state is not State.CREATED

    def _mind(self, outcome: Outcome) -> None:
        """End the run where the user's rules say so."""
        self.errors.count(outcome)
        if self.errors.is_over and self.desk.halt is None:
            self._overdrawn = self._too_many_errors()
            self.desk.stop(self._overdrawn)
        elif outcome.state is State.REJECTED and self.on_rejection is OnRejection.STOP:
            said = f"a message was rejected, and --on-rejection says stop: {reason_of(outcome)}"
            self.desk.stop(Halt(ExitCode.STOPPED, said, self.errors.hint, mend=True))

    def _too_many_errors(self) -> Halt:
        return Halt(ExitCode.STOPPED, self.errors.told, self.errors.hint, mend=True)

    async def _converse(
        self, conversation: Conversation, lane: Lane, message: Message, attempt: int
    ) -> tuple[Outcome, int]:
        answer: object = None
        try:
            while True:
                step = conversation.send(answer)
                if isinstance(step, Post):
                    if lane.blocked:  # it was in doubt and is absent: as any other, it may not overtake
                        return Outcome(State.HELD_BACK), attempt
                    ready = await self._uploader.attach(message)
                    if isinstance(ready, Outcome):
                        return ready, attempt
                    message, attempt = ready, step.attempt
                answer = await self._take(step, message)
        except StopIteration as end:
            return end.value, attempt
        except (asyncio.CancelledError, Stopped):
            self._give_up(message, attempt)
            raise
        finally:
            conversation.close()

    async def _take(self, step: Step, message: Message) -> object:
        if isinstance(step, Post):
            return await self._post(step, message)
        if isinstance(step, Look):
            return await self._look(step.request, log_name(message.key))
        if isinstance(step, Pause):
            await self._pause(step)
        elif isinstance(step, Retry):
            self._note_retry(step, message.key)
        elif isinstance(step, Trust):
            return await self._trusts()
        elif isinstance(step, Distrust):
            self._trusted = False
        else:
            self.desk.stop(refusal(step.status, step.error))
        return None

    async def _post(self, step: Post, message: Message) -> Reply:
        request = wire.create(message)
        payload = request.body or b""
        if not delivery.mode_allows(self.policy.mode, message.kind, payload):
            raise AssertionError(f"the message {log_name(message.key)!r} is not allowed in {self.policy.mode} mode")
        ticket = message.ticket.id if isinstance(message.ticket, ExistingTicket) else None
        own = None if isinstance(message.ticket, ExistingTicket) else message.ticket.external_id
        digest = hashlib.sha256(payload).hexdigest()[:32]
        intent = Intent(
            message.key, step.attempt, message.kind, message.content, digest, ticket, message.external_id, own
        )
        fields: dict[str, Json] = {"attempt": step.attempt, "ticket": ticket}

        def begin() -> None:
            self.journal.intent(intent)
            self._flying[message.key] = message, step.attempt
            self.sink.tell(Event(Name.ATTEMPT_STARTED, log_name(message.key), fields))

        reply = await self.desk.call(request, begin)
        told = {
            **fields,
            "status": reply.status or None,
            "verdict": judge(reply, message).verdict.value,
            "seconds": round(reply.received - reply.sent, 3),
        }
        self.sink.tell(Event(Name.ATTEMPT_FINISHED, log_name(message.key), told))
        return reply

    async def _look(self, request: Request, key: str | None) -> Reply:
        self.sink.tell(Event(Name.LOOKUP_STARTED, key))
        reply = await self.desk.call(request)
        told = {"status": reply.status or None, "verdict": reply.contact.value}
        self.sink.tell(Event(Name.LOOKUP_FINISHED, key, told))
        return reply

    async def _pause(self, step: Pause) -> None:
        self._parked += 1
        self._room.set()
        self.sink.tell(Event(Name.WAITING, fields={"seconds": round(step.seconds, 3), "reason": step.reason}))
        try:
            await self.desk.sleep(step.seconds)
        finally:
            self._parked -= 1

    async def _trusts(self) -> bool:
        """Whether look-ups prove anything: looked one success back, once, before the first absence is believed."""
        async with self._trust_lock:
            if self._trusted is None:
                self._trusted = await proves(self.last_created, self.desk, self.random)
            return self._trusted

    # -- outcomes -------------------------------------------------------------------------------------------------

    def _count(self, key: str, state: State) -> None:
        """Let the tally say of a message what the log says of it now."""
        self.tally.move(self._counted.get(key) or self.standing(key).state, state)
        self._counted[key] = state

    def _note_retry(self, step: Retry, key: str) -> None:
        try:
            self.journal.retry(key, step.attempt, step.verdict, step.status, step.reason)
        except LogUnusable:
            self._count(key, State.IN_DOUBT)  # for the log, and so for the next run, its intent is all there is
            raise
        self._flying.pop(key, None)
        self._count(key, State.PENDING)

    def _settle(self, message: Message, standing: Standing, attempt: int, outcome: Outcome) -> None:
        same = outcome.state is standing.state and attempt == standing.attempt
        flew = self._flying.pop(message.key, None) is not None
        if not (same and outcome.state is State.HELD_BACK):
            try:
                self.journal.outcome(message.key, attempt, _content_of(message, standing, attempt, outcome), outcome)
            except LogUnusable:
                if flew:  # for the log, and so for the next run, its intent is all there is
                    self._count(message.key, State.IN_DOUBT)
                raise
        self._count(message.key, outcome.state)
        if outcome.duplicates:
            self.duplicates.append((message.key, outcome.duplicates))
        fields: dict[str, Json] = {"outcome": outcome.state.value, "attempt": attempt, "status": outcome.status}
        if outcome.ticket_id is not None:
            fields["ticket"] = outcome.ticket_id
        self.sink.tell(Event(Name.MESSAGE_SETTLED, log_name(message.key), fields))

    def _give_up(self, message: Message, attempt: int) -> None:
        """The run ends before this message's answer came, or before it was looked for."""
        if message.key not in self._flying:
            return
        standing = self.standing(message.key)
        outcome = Outcome(State.IN_DOUBT, error="the run ended before this was settled")
        with suppress(LogUnusable):  # the intent stands in the log, which says the same
            self._settle(message, standing, attempt, outcome)

    # -- a look from outside --------------------------------------------------------------------------------------

    def view(self) -> RunView:
        """Where the run stands, for whoever shows it."""
        now = asyncio.get_running_loop().time()
        left = self.tally[State.PENDING]
        rate = self.desk.pacer.rate
        elapsed = now - self._started
        used = self.desk.requests - rate.per_second * elapsed  # of the burst with which a run begins
        waiting = self.desk.waiting
        if self.desk.halt is not None:
            waiting = "for the requests in flight, then it stops"
        elif not waiting and self._parked and self._parked == len(self._lanes):
            waiting = "looking for messages in doubt"
        return RunView(
            total=self.tally.total,
            counts={state.value: self.tally[state] for state in COUNTED},
            requests=self.desk.requests,
            throttled=self.desk.throttled,
            recent_rate=self.desk.rate_now(now),
            limit=str(rate),
            elapsed=elapsed,
            remaining=seconds_left(left, rate, used) if self.desk.requests and self.desk.halt is None else None,
            waiting=waiting,
        )
