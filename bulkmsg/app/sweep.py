"""Reading many tickets once each, several side by side, at the account's pace: for commands that send nothing."""

from __future__ import annotations

import asyncio
import re
from collections.abc import Awaitable, Callable, Iterable, Iterator, Sequence
from contextlib import AsyncExitStack
from datetime import UTC, datetime
from random import Random
from secrets import token_hex
from signal import Signals

from bulkmsg.app.preflight import Who, meet
from bulkmsg.app.prepare import Errand
from bulkmsg.app.signals import SIGNALS, Listening
from bulkmsg.app.target import over_http
from bulkmsg.deadline import deadlines
from bulkmsg.desk import GO_ON, Desk, Halt, Stopped, explore
from bulkmsg.pacing import Pacer
from bulkmsg.ports import Sink
from bulkmsg.reconcile import Reading, Wanted, read_lane
from bulkmsg.retry import Breaker

Take = Callable[[Sequence[Wanted], Reading], None]
Work = Callable[[Desk, int | None], Awaitable[None]]


async def visit(
    errand: Errand,
    sink: Sink,
    note: Callable[[str], None],
    random: Random,
    work: Work,
    met: Callable[[Who], None] = lambda who: None,
) -> Desk:
    """Do some reading at the helpdesk. Afterwards the desk says what it took, and in `halt` why it ended early.

    Whatever halts it, such as a signal or the end of its time, ends all at once: nothing that is under way here changes
    anything in the helpdesk.

    Args:
        note: says something to a person meanwhile.
        work: is given the desk and the id of the user behind the credentials, where it is told.
        met: is told before whose account it is and who we are there.
    """
    options = errand.options
    async with AsyncExitStack() as stack:
        reached = await stack.enter_async_context(over_http(errand))
        pacer, renewal = Pacer(reached.assumed, options.rate), reached.renewal
        desk = Desk(reached.helpdesk, pacer, Breaker(), sink, options.concurrency, renewal=renewal, share=options.share)
        desk.meet(reached.budget, token_hex(8), note)
        if renewal is not None:
            renewal.note = note
        stack.enter_context(Listening(_stopper(desk, note)))

        async def whole() -> None:
            who = await meet(desk, errand, random)
            met(who)
            if desk.halt is None:
                await work(desk, who.user_id)

        task = asyncio.create_task(whole())

        def end(halt: Halt) -> None:
            task.cancel()

        desk.when_stopped(end)
        now = asyncio.get_running_loop().time()
        desk.keep(deadlines(now, datetime.now(UTC), options.max_duration, options.stop_at))
        try:
            await task
        except Stopped:
            pass
        except asyncio.CancelledError:
            if desk.halt is None:
                raise
    return desk


def _stopper(desk: Desk, note: Callable[[str], None]) -> Callable[[Signals], None]:
    def stop(number: Signals) -> None:
        if desk.halt is None:
            note(f"stopping ({number.name})")
        desk.stop(Halt(SIGNALS[number], f"stopped by {number.name}", GO_ON))

    return stop


async def sweep(
    lanes: Iterable[Sequence[Wanted]],
    desk: Desk,
    random: Random,
    take: Take,
    generated: re.Pattern[str] | None = None,
) -> None:
    """Read the ticket of each lane once and hand over what it showed.

    Raises:
        Stopped: the command is stopping; what was not handed over was not read to its end.
        LogUnusable: from `take`.
    """
    waiting = iter(lanes)
    readers = [asyncio.create_task(_read_on(waiting, desk, random, take, generated)) for _ in range(desk.concurrency)]
    try:
        await asyncio.gather(*readers)
    finally:
        for reader in readers:
            reader.cancel()
        await asyncio.gather(*readers, return_exceptions=True)


async def _read_on(
    waiting: Iterator[Sequence[Wanted]], desk: Desk, random: Random, take: Take, generated: re.Pattern[str] | None
) -> None:
    for lane in waiting:
        seen = await explore(read_lane(lane, random, generated), desk)
        if desk.halt is not None:  # the credentials were refused: what was read in that state says nothing
            raise Stopped
        take(lane, seen)
