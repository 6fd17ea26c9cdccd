"""The helpdesk at the account's pace: every request of a run passes here, waits for its turn, and is learned from.

Knows requests and answers, nothing of messages and lanes; the time only through the event loop. Here a run is halted.
"""

from __future__ import annotations

import asyncio
import math
from collections import deque
from collections.abc import Callable, Coroutine, Generator
from contextlib import suppress
from dataclasses import dataclass, field, replace
from datetime import UTC, datetime
from random import Random
from typing import Any, TypeVar

from bulkmsg.deadline import Deadline
from bulkmsg.errors import ExitCode
from bulkmsg.events import Event, Name
from bulkmsg.gorgias import wire
from bulkmsg.looking import Look, Pause, ReadingStep, Refusal, Sight, find_messages
from bulkmsg.meeting import Meeting
from bulkmsg.outcome import Standing
from bulkmsg.pacing import Pacer, retry_after_seconds
from bulkmsg.places import MOST, Places
from bulkmsg.ports import Budget, Contact, Helpdesk, Renewal, Reply, Request, Sink
from bulkmsg.retry import Breaker
from bulkmsg.share import Share
from bulkmsg.sharing import Company

Seen = TypeVar("Seen")
GO_ON = "run the same command again: it goes on where it stopped"
_INSTANT = 1e-6  # a wait so short that a clock may not move by it


@dataclass(frozen=True, slots=True)
class Halt:
    """Why a run stops before its end.

    Args:
        mend: going on at once would meet the same again, so that the first thing to do is to look at the rejected.
        done_is_done: it is nothing to tell if all was worked on by the time it took effect.
    """

    code: ExitCode
    reason: str
    hint: str = ""
    mend: bool = False
    done_is_done: bool = False


class Stopped(Exception):
    """A lane meets the end of the run before its next request."""


@dataclass
class Desk:
    """The helpdesk at the account's pace: every request passes here, alone or in company, and is counted.

    Args:
        concurrency: at most so many requests in flight at once; usually fewer, see `places`.
        now_utc: the wall clock, for dates that others set: `Retry-After`, and a time of day at which to stop.
        share: the part of the limit that is ours, by the time of day; None leaves it to the pacer.
        renewal: for access that runs out; a new token is had while no request starts, and before any record of one.
    """

    helpdesk: Helpdesk
    pacer: Pacer
    breaker: Breaker
    sink: Sink
    concurrency: int = MOST
    now_utc: Callable[[], datetime] = lambda: datetime.now(UTC)
    renewal: Renewal | None = None
    share: Share | None = None
    requests: int = 0
    throttled: int = 0
    waiting: str = ""
    halt: Halt | None = None
    in_flight: int = 0
    recent: deque[float] = field(default_factory=lambda: deque(maxlen=200))

    def __post_init__(self) -> None:
        self._turn = asyncio.Lock()
        self._changed = asyncio.Event()
        self._stopping = asyncio.Event()
        self._deadlines: tuple[Deadline, ...] = ()
        self._told: list[Callable[[Halt], None]] = []
        self._meeting: Meeting | None = None
        self.places = Places(self.concurrency)

    def meet(self, budget: Budget | None, run: str, note: Callable[[str], None]) -> None:
        """Share the account's budget with its other runs; without one the helpdesk is this run's alone.

        Args:
            run: the name of this run, unlike any other's.
            note: is told, once, why the others cannot be met.
        """
        self._meeting = Meeting(budget, Company(self.pacer, run), note) if budget is not None else None

    def stop(self, halt: Halt) -> None:
        """Let nothing new start; the first reason stays."""
        if self.halt is not None:
            return
        self.halt = halt
        self._stopping.set()
        self._changed.set()
        for tell in self._told:
            tell(halt)

    def when_stopped(self, tell: Callable[[Halt], None]) -> None:
        """Have the halt told at the moment when it comes."""
        self._told.append(tell)

    async def until_stopped(self) -> None:
        """Wait for the halt."""
        await self._stopping.wait()

    def keep(self, deadlines: tuple[Deadline, ...]) -> None:
        """Stop when the first of them has come: what sleeps is woken, and what would start looks again itself."""
        self._deadlines = deadlines
        loop = asyncio.get_running_loop()
        for each in deadlines:
            loop.call_at(each.at, self._time_is_up, each)
        self._look_at_the_time(loop.time())

    def _look_at_the_time(self, now: float) -> None:
        for each in self._deadlines:
            if each.is_over(now, self.now_utc()):
                self._time_is_up(each)

    def _time_is_up(self, deadline: Deadline) -> None:
        self.stop(Halt(ExitCode.STOPPED, deadline.reason, GO_ON, done_is_done=True))

    async def sleep(self, seconds: float) -> None:
        """Wait, but not beyond the end of the run.

        Raises:
            Stopped: the run is stopping.
        """
        try:
            await asyncio.wait_for(self._stopping.wait(), seconds)
        except TimeoutError:
            return
        raise Stopped

    async def _change_within(self, seconds: float) -> None:
        self._changed.clear()
        with suppress(TimeoutError):
            await asyncio.wait_for(self._changed.wait(), None if math.isinf(seconds) else seconds)

    async def call(self, request: Request, before: Callable[[], None] | None = None) -> Reply:
        """Send one request when its turn comes; `before` is done right before its first byte may leave.

        Raises:
            Stopped: the run is stopping; the request did not leave.
            LogUnusable: `before` could not be recorded; the request did not leave.
        """
        loop = asyncio.get_running_loop()
        async with self._turn:
            await self._wait_to_leave(loop)
            if request.method != "GET":
                await self._wait_until_reached(loop)
            if before is not None:
                before()
            leaving = self._leave(loop)
        return await self._exchange(request, leaving, self.breaker.good)

    async def _wait_to_leave(self, loop: asyncio.AbstractEventLoop) -> None:
        await self._wait_for_access(loop)
        await self._wait_for_turn(loop)
        await self._wait_for_access(loop)  # the turn may have been long in coming
        if self.halt is not None:
            raise Stopped

    async def _wait_until_reached(self, loop: asyncio.AbstractEventLoop) -> None:
        """In an outage a small question goes ahead of what creates something, which would be in doubt if it got lost.
        Once it is answered one request is tried: that others fail may be all that is wrong."""
        while self.breaker.is_open:
            question = self._exchange(wire.get_account(), self._leave(loop), self.breaker.reached)
            reply = await self._unless_stopped(question)
            await self._wait_to_leave(loop)
            if _is_sensible(reply):
                return

    async def _unless_stopped(self, question: Coroutine[Any, Any, Reply]) -> Reply:
        """The answer to what may be given up at any time.

        Raises:
            Stopped: the run is stopping.
        """
        asking, stopping = asyncio.ensure_future(question), asyncio.ensure_future(self._stopping.wait())
        try:
            await asyncio.wait({asking, stopping}, return_when=asyncio.FIRST_COMPLETED)
            if asking.done():
                return asking.result()
            raise Stopped
        finally:
            asking.cancel()
            stopping.cancel()
            await asyncio.gather(asking, stopping, return_exceptions=True)

    def _leave(self, loop: asyncio.AbstractEventLoop) -> tuple[int, int]:
        """A request leaves: with which access token, and as what the pacer knows it."""
        self.breaker.begin()
        self.in_flight += 1
        return self.renewal.number if self.renewal else 0, self.pacer.start(loop.time())

    async def _exchange(self, request: Request, leaving: tuple[int, int], good: Callable[[], None]) -> Reply:
        """What comes back; `good` is told where that is a sensible answer."""
        loop = asyncio.get_running_loop()
        access, token = leaving
        try:
            reply = await self.helpdesk.call(request)
        except BaseException:
            self.pacer.lost(token, loop.time())
            raise
        finally:
            self.in_flight -= 1
            self._changed.set()
        self._learn(token, reply, loop.time(), good)
        return self._judge_access(access, reply)

    async def _wait_for_access(self, loop: asyncio.AbstractEventLoop) -> None:
        """Have a new access token where one is due; an unreachable helpdesk is waited for, a refusal ends the run."""
        tries = 0
        while self.halt is None and self.renewal is not None and self.renewal.is_due(loop.time()):
            trouble = await self.renewal.renew()
            if trouble is None:
                return
            if trouble.final:
                self.stop(Halt(ExitCode.REFUSED, trouble.reason, trouble.hint))
                return
            self._note_silence(loop.time(), trouble.reason)
            await self._change_within(min(30.0, 0.5 * 2.0**tries))
            tries += 1

    def _judge_access(self, access: int, reply: Reply) -> Reply:
        if self.renewal is None or reply.contact is not Contact.ANSWERED:
            return reply
        if reply.status == 401:
            return replace(reply, again=self.renewal.was_refused(access))
        self.renewal.was_accepted(access)
        return reply

    async def _wait_for_turn(self, loop: asyncio.AbstractEventLoop) -> None:
        while self.halt is None:
            now = loop.time()
            if self.share is not None:
                self.pacer.share = self.share.at(self.now_utc())
            self._look_at_the_time(now)  # its timer may be late, where the loop was busy or the machine asleep
            if self.halt is not None:
                break
            wait = self._wait(now) if self._meeting is None else await self._meeting.claim(self._wait)
            if wait < _INSTANT and self.halt is None:
                self.waiting = ""
                return
            self._say_waiting(now)
            await self._change_within(wait)
        raise Stopped

    @property
    def at_once(self) -> int:
        """How many requests may be in flight now."""
        return self.places.at_once(self.pacer.rate.per_second * self.pacer.share)

    def _wait(self, now: float) -> float:
        if self.in_flight >= self.at_once:
            return math.inf
        wait = max(self.pacer.wait(now), self.breaker.wait(now))
        return wait if wait >= _INSTANT else 0.0

    def _say_waiting(self, now: float) -> None:
        pause = self.pacer.paused(now)
        if pause > 0:
            self.waiting = "the helpdesk asked for a pause"
        elif self.breaker.is_open:
            self.waiting = "the helpdesk does not answer"
        else:
            self.waiting = ""

    def _learn(self, token: int, reply: Reply, now: float, good: Callable[[], None]) -> None:
        self.requests += 1
        self.recent.append(now)
        if reply.contact is Contact.ANSWERED:
            self.places.took(reply.received - reply.sent)
        if self._meeting is not None:
            self._meeting.hear(now)
        if reply.status == 429:
            self.throttled += 1
            pause = retry_after_seconds(reply.retry_after, self.now_utc())
            self.pacer.throttled(token, now, pause, reply.used, reply.limit)
            self.sink.tell(Event(Name.THROTTLED, fields={"seconds": round(pause, 3)}))
        elif reply.contact is Contact.ANSWERED or reply.used is not None:  # an answer that was cut still had its header
            self.pacer.answered(token, now, reply.used, reply.limit)
        else:
            self.pacer.lost(token, now)
        if _is_sensible(reply):
            good()
        else:
            self._note_silence(now, reply.reason)

    def _note_silence(self, now: float, reason: str) -> None:
        self.breaker.bad(now)
        if self.breaker.is_hopeless(now):
            hint = "run the same command again when it is reachable: it goes on where it stopped"
            self.stop(Halt(ExitCode.STOPPED, f"the helpdesk has not answered for long: {reason}", hint))

    def rate_now(self, now: float) -> float:
        """Requests a second over the last 20 seconds."""
        times = [time for time in self.recent if time > now - 20.0]
        return len(times) / max(1.0, now - times[0]) if times else 0.0


def _is_sensible(reply: Reply) -> bool:
    return reply.contact is Contact.ANSWERED and reply.status < 500


def refusal(status: int, error: str) -> Halt:
    """Why a run stops when the helpdesk refuses our credentials or their rights."""
    if status == 401:
        hint = "check GORGIAS_EMAIL and GORGIAS_API_KEY (`bulkmsg auth check` tells what is in use), then run again"
        reason = "the helpdesk does not accept the credentials"
    else:
        hint = "give the key's user the right to write messages, or ask about the account's quota, then run again"
        reason = "the helpdesk refused the right to do this"
    said = f": {error}" if error else ""
    return Halt(ExitCode.REFUSED, f"{reason} (HTTP {status}{said})", hint)


async def explore(search: Generator[ReadingStep, Any, Seen], desk: Desk) -> Seen:
    """Carry out a search that only reads, outside any lane.

    Raises:
        Stopped: the run is stopping.
    """
    answer: object = None
    try:
        while True:
            step = search.send(answer)
            answer = None
            if isinstance(step, Look):
                answer = await desk.call(step.request)
            elif isinstance(step, Pause):
                await desk.sleep(step.seconds)
            elif isinstance(step, Refusal):
                desk.stop(refusal(step.status, step.error))
    except StopIteration as end:
        found: Seen = end.value
        return found
    finally:
        search.close()


async def proves(created: Standing | None, desk: Desk, random: Random) -> bool:
    """Whether looking proves anything: a message that surely was created is found by its external id.

    Raises:
        Stopped: the run is stopping.
    """
    if created is None or created.ticket_id is None or not created.external_id:
        return True
    (seen,) = await explore(find_messages(created.ticket_id, [created.external_id], random), desk)
    return seen.sight is Sight.FOUND
