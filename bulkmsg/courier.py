"""Carrying one request's messages to their outcomes: takes the steps of `delivery`, and writes before and after.

Knows the helpdesk through a desk and the journal through its port; nothing of lanes, and of the batch only what it is
handed. Here, right before the intents, the final bytes of a request are made.
"""

from __future__ import annotations

import asyncio
import hashlib
from collections.abc import Callable, Sequence
from contextlib import suppress
from dataclasses import dataclass, field
from random import Random

from bulkmsg import delivery
from bulkmsg.delivery import Conversation, Distrust, Policy, Post, Retry, Set, Step, Trust
from bulkmsg.desk import Desk, Stopped, explore, proves, refusal
from bulkmsg.errors import LogUnusable
from bulkmsg.events import Event, Name
from bulkmsg.gorgias import wire
from bulkmsg.looking import Look, Pause, find_home
from bulkmsg.message import ExistingTicket, Message, NewTicket, log_name
from bulkmsg.outcome import Outcome, Standing, State, Tally
from bulkmsg.parcel import final_bytes, update_bytes
from bulkmsg.ports import Fate, Intent, Journal, KnownTicket, Learned, Reply, Request, Sink, TicketNote
from bulkmsg.retry import judge
from bulkmsg.source import Json
from bulkmsg.uploads import Uploader


@dataclass
class Load:
    """Messages that one request carries, with where each stood before.

    Args:
        ticket: the id of the ticket where the one message goes; None for a new ticket with all of them.
        thread: the hash of all that leaves with a new ticket (`parcel`).
        attempts: how many attempts were begun for each by now.
    """

    messages: tuple[Message, ...]
    standings: tuple[Standing, ...]
    ticket: int | None
    thread: str = ""
    attempts: list[int] = field(default_factory=list)

    def __post_init__(self) -> None:
        self.attempts = [standing.attempt for standing in self.standings]

    def content_of(self, place: int, outcome: Outcome) -> str:
        """The form of an entry that an outcome is about: an attempt of an earlier run may have sent another text."""
        standing = self.standings[place]
        looked = outcome.state in (State.CREATED, State.IN_DOUBT)  # found, or looked for
        same = self.attempts[place] == standing.attempt and looked
        return standing.content if same and standing.content else self.messages[place].content

    def news(self, outcomes: Sequence[Outcome]) -> TicketNote | None:
        """What the outcomes say of where a new ticket stands; its own fields are those of the attempt that made it."""
        own = self.messages[0].ticket
        told = next((outcome for outcome in outcomes if outcome.ticket_id is not None), None)
        if self.ticket is not None or not isinstance(own, NewTicket) or told is None or told.ticket_id is None:
            return None
        earlier = [
            standing.ticket_content
            for standing, attempt in zip(self.standings, self.attempts, strict=True)
            if standing.attempt == attempt and standing.ticket_content
        ]
        made = told.state is State.CREATED and not told.found
        content = own.content if made or not earlier else earlier[0]
        how = Learned.CREATED if made else Learned.FOUND
        return TicketNote(own.external_id, KnownTicket(told.ticket_id, content), how)


@dataclass
class Courier:
    """Carries loads for one run.

    Args:
        tally: where the messages stand; it is kept up to date.
        before: what the progress log said of a key when the run began.
        last_created: the newest message that the log says was created, for trusting look-ups.
    """

    desk: Desk
    journal: Journal
    sink: Sink
    policy: Policy
    tally: Tally
    before: Callable[[str], Standing]
    last_created: Standing | None
    random: Random
    uploader: Uploader
    duplicates: list[tuple[str, tuple[int, ...]]] = field(default_factory=list)
    parked: int = 0
    when_parked: Callable[[], None] = lambda: None

    def __post_init__(self) -> None:
        self._trusted: bool | None = None if self.last_created is not None else True
        self._trust_lock = asyncio.Lock()
        self._flying: set[str] = set()
        self._counted: dict[str, State] = {}  # where the tally has what is being worked on, if it moved in this run

    async def carry(self, load: Load, *, held: bool) -> tuple[Outcome, ...]:
        """Bring a load to its outcomes and record them; PENDING where the run stops, or as `delivery.deliver` says.

        Args:
            held: an earlier message of the ticket did not arrive: what is in doubt is looked for, and nothing sent.

        Raises:
            Stopped: the run is stopping. LogUnusable: the log cannot be written.
        """
        talk = delivery.deliver(load.messages, load.standings, load.ticket, self.policy, self.random)
        outcomes = await self._converse(talk, load, held=held)
        self.settle(load, outcomes)
        return outcomes

    def done(self, message: Message) -> None:
        """Nothing more will be said of this message in this run."""
        self._counted.pop(message.key, None)

    async def _converse(self, conversation: Conversation, load: Load, *, held: bool) -> tuple[Outcome, ...]:
        answer: object = None
        try:
            while True:
                step = conversation.send(answer)
                if isinstance(step, Post):
                    if held:  # it was in doubt and is absent: as any other, it may not overtake
                        return (Outcome(State.HELD_BACK),) * len(load.messages)
                    if unsent := await self._upload(load):
                        return unsent
                answer = await self._take(step, load)
        except StopIteration as end:
            outcomes: tuple[Outcome, ...] = end.value
            return outcomes
        except (asyncio.CancelledError, Stopped):
            self._give_up(load)
            raise
        finally:
            conversation.close()

    async def _upload(self, load: Load) -> tuple[Outcome, ...]:
        """Upload what the load carries, so that its final bytes can be made; the outcomes where that cannot be done.

        A new ticket does not leave without one of its messages: the others wait until that one was mended.
        """
        ready: list[Message] = []
        for message in load.messages:
            told = await self.uploader.attach(message)
            if isinstance(told, Outcome):
                outcomes = [Outcome(State.HELD_BACK)] * len(load.messages)
                outcomes[len(ready)] = told
                return tuple(outcomes)
            ready.append(told)
        load.messages = tuple(ready)
        return ()

    async def _take(self, step: Step, load: Load) -> object:
        if isinstance(step, Post):
            return await self._post(load)
        if isinstance(step, Look):
            return await self._look(step.request, log_name(load.messages[0].key))
        if isinstance(step, Pause):
            await self._pause(step)
        elif isinstance(step, Retry):
            self._note_retry(step, load)
        elif isinstance(step, Trust):
            return await self._trusts()
        elif isinstance(step, Distrust):
            self._trusted = False
        elif isinstance(step, Set):
            return await self.desk.call(step.request)
        else:
            self.desk.stop(refusal(step.status, step.error))
        return None

    async def _post(self, load: Load) -> Reply:
        payload = final_bytes(load.messages, load.ticket)
        if not delivery.mode_allows(self.policy.mode, [message.kind for message in load.messages], payload):
            key = log_name(load.messages[0].key)
            raise AssertionError(f"the request with the message {key!r} is not allowed in {self.policy.mode} mode")
        digest = hashlib.sha256(payload).hexdigest()[:32]
        load.attempts = [attempt + 1 for attempt in load.attempts]

        def begin() -> None:
            self.journal.intents(_intents(load, digest))
            for message, attempt in zip(load.messages, load.attempts, strict=True):
                self._flying.add(message.key)
                told: dict[str, Json] = {"attempt": attempt, "ticket": load.ticket}
                self.sink.tell(Event(Name.ATTEMPT_STARTED, log_name(message.key), told))

        reply = await self.desk.call(wire.create(load.ticket, payload), begin)
        self._tell_answer(reply, load)
        return reply

    def _tell_answer(self, reply: Reply, load: Load) -> None:
        verdict = judge(reply, load.messages, load.ticket).verdict.value
        seconds = round(reply.received - reply.sent, 3)
        for message, attempt in zip(load.messages, load.attempts, strict=True):
            told: dict[str, Json] = {"attempt": attempt, "ticket": load.ticket, "status": reply.status or None}
            told |= {"verdict": verdict, "seconds": seconds}
            self.sink.tell(Event(Name.ATTEMPT_FINISHED, log_name(message.key), told))

    async def _look(self, request: Request, key: str | None) -> Reply:
        self.sink.tell(Event(Name.LOOKUP_STARTED, key))
        reply = await self.desk.call(request)
        told: dict[str, Json] = {"status": reply.status or None, "verdict": reply.contact.value}
        self.sink.tell(Event(Name.LOOKUP_FINISHED, key, told))
        return reply

    async def _pause(self, step: Pause) -> None:
        self.parked += 1
        self.when_parked()
        self.sink.tell(Event(Name.WAITING, fields={"seconds": round(step.seconds, 3), "reason": step.reason}))
        try:
            await self.desk.sleep(step.seconds)
        finally:
            self.parked -= 1

    async def _trusts(self) -> bool:
        """Whether look-ups prove anything: looked one success back, once, before the first absence is believed."""
        async with self._trust_lock:
            if self._trusted is None:
                self._trusted = await proves(self.last_created, self.desk, self.random)
            return self._trusted

    # -- tickets ----------------------------------------------------------------------------------------------------

    async def home(self, external_id: str) -> int | str:
        """The id of the one ticket with an external id, noted in the log; or why there is none to send to.

        Raises:
            Stopped: the run is stopping. LogUnusable: the log cannot be written.
        """
        found = await explore(find_home(external_id, self.random), self.desk)
        if self.desk.halt is not None:  # the credentials were refused: what was read in that state says nothing
            raise Stopped
        if isinstance(found, int):
            self.journal.note_ticket(TicketNote(external_id, KnownTicket(found), Learned.FOUND))
        return found

    async def update(self, ticket: NewTicket, id: int) -> str:
        """Set the own fields of a ticket that is there; why it was refused, empty when it is done and noted.

        Raises:
            Stopped: the run is stopping. LogUnusable: the log cannot be written.
        """
        talk = delivery.update(id, update_bytes(ticket), self.policy, self.random)
        answer: object = None
        try:
            while True:
                answer = await self._take(talk.send(answer), Load((), (), id))
        except StopIteration as end:
            why: str = end.value
        finally:
            talk.close()
        if not why:
            self.journal.note_ticket(TicketNote(ticket.external_id, KnownTicket(id, ticket.content), Learned.UPDATED))
        return why

    # -- outcomes ---------------------------------------------------------------------------------------------------

    def _count(self, key: str, state: State) -> None:
        """Let the tally say of a message what the log says of it now."""
        self.tally.move(self._counted.get(key) or self.before(key).state, state)
        self._counted[key] = state

    def _note_retry(self, step: Retry, load: Load) -> None:
        keys = [load.messages[place].key for place in step.which]
        tried = [(load.messages[place].key, load.attempts[place]) for place in step.which]
        try:
            self.journal.retries(tried, step.verdict, step.status, step.reason)
        except LogUnusable:
            for message in load.messages:  # for the log, and so for the next run, its intent is all there is
                if message.key in self._flying:
                    self._count(message.key, State.IN_DOUBT)
            raise
        for key in keys:
            self._flying.discard(key)
            self._count(key, State.PENDING)

    def settle(self, load: Load, outcomes: Sequence[Outcome]) -> None:
        """Record what became of messages, all that one answer or one look told in one write.

        Raises:
            LogUnusable: it could not be made safe.
        """
        told = [place for place, outcome in enumerate(outcomes) if outcome.state is not State.PENDING]
        flew = [load.messages[place].key for place in told if load.messages[place].key in self._flying]
        self._flying.difference_update(flew)
        fates = [self._fate(load, place, outcomes[place]) for place in told if _is_news(load, place, outcomes[place])]
        note = load.news(outcomes)
        try:
            if fates:
                self.journal.outcomes(fates, note)
            elif note is not None:
                self.journal.note_ticket(note)
        except LogUnusable:
            for key in flew:  # for the log, and so for the next run, its intent is all there is
                self._count(key, State.IN_DOUBT)
            raise
        for place in told:
            self._announce(load.messages[place], load.attempts[place], outcomes[place])

    def _fate(self, load: Load, place: int, outcome: Outcome) -> Fate:
        content = load.content_of(place, outcome)
        return Fate(load.messages[place].key, load.attempts[place], content, outcome)

    def _announce(self, message: Message, attempt: int, outcome: Outcome) -> None:
        self._count(message.key, outcome.state)
        if outcome.duplicates:
            self.duplicates.append((message.key, outcome.duplicates))
        fields: dict[str, Json] = {"outcome": outcome.state.value, "attempt": attempt, "status": outcome.status}
        if outcome.ticket_id is not None:
            fields["ticket"] = outcome.ticket_id
        self.sink.tell(Event(Name.MESSAGE_SETTLED, log_name(message.key), fields))

    def _give_up(self, load: Load) -> None:
        """The run ends before this load's answer came, or before it was looked for."""
        gone = Outcome(State.IN_DOUBT, error="the run ended before this was settled")
        flew = [message.key in self._flying for message in load.messages]
        if any(flew):
            with suppress(LogUnusable):  # the intents stand in the log, which says the same
                self.settle(load, [gone if each else Outcome(State.PENDING) for each in flew])


def _is_news(load: Load, place: int, outcome: Outcome) -> bool:
    """Whether the log does not say so already: what is held back, or cannot be sent, may be so in run after run."""
    standing = load.standings[place]
    if outcome.state is not standing.state or load.attempts[place] != standing.attempt:
        return True
    if outcome.state is State.HELD_BACK:
        return False
    as_before = outcome.error == standing.error and load.content_of(place, outcome) == standing.content
    return not (outcome.state in (State.REJECTED, State.FAILED) and as_before)


def _intents(load: Load, digest: str) -> list[Intent]:
    own = load.messages[0].ticket
    external_id = None if isinstance(own, ExistingTicket) else own.external_id
    content = own.content if isinstance(own, NewTicket) and load.ticket is None else ""
    return [
        Intent(
            message.key,
            attempt,
            message.kind,
            message.content,
            digest,
            load.ticket,
            message.external_id,
            external_id,
            content,
            load.thread if load.ticket is None else "",
        )
        for message, attempt in zip(load.messages, load.attempts, strict=True)
    ]
