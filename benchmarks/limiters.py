"""What others limit their rate with, on the very accounts on which `pacing.py` measures bulkmsg.

Plain spacing and no limiter are told the time, as our pacer is. The libraries run as they are, on a clock that jumps.
"""

from __future__ import annotations

import asyncio
import contextlib
from collections.abc import Awaitable, Callable

from aiolimiter import AsyncLimiter
from pyrate_limiter import InMemoryBucket, Limiter, Rate, SingleBucketFactory
from pyrate_limiter.clocks import AbstractClock

from tests.accounts import RATE, Account, Figures, Verdict
from tests.virtual_clock import run_virtual

WORKERS = 8
Acquire = Callable[[], Awaitable[object]]


class Spacing:
    """One request every half second."""

    def __init__(self, seconds: float = RATE.window / RATE.limit) -> None:
        self.seconds, self.next = seconds, 0.0

    def wait(self, now: float) -> float:
        return max(0.0, self.next - now)

    def start(self, now: float) -> int:
        self.next = max(self.next, now) + self.seconds
        return 0

    def answered(self, token: int, now: float, used: int | None, limit: int | None) -> None:
        pass

    def throttled(self, token: int, now: float, retry_after: float, used: int | None, limit: int | None) -> None:
        pass


def no_limiter() -> Spacing:
    """Each worker sends at once, and waits as long as a 429 says."""
    return Spacing(0.0)


class _Clock(AbstractClock):
    def now(self) -> int:
        return int(asyncio.get_running_loop().time() * 1000)


def aiolimiter() -> Acquire:
    return AsyncLimiter(RATE.limit, RATE.window).acquire


def pyrate() -> Acquire:
    bucket = InMemoryBucket([Rate(RATE.limit, int(RATE.window * 1000))])
    bucket._clock = _Clock()
    limiter = Limiter(SingleBucketFactory(bucket, schedule_leak=False))
    return lambda: limiter.try_acquire_async("account")


async def _worker(account: Account, acquire: Acquire, began: float) -> None:
    loop = asyncio.get_running_loop()
    while True:
        await acquire()
        answer: asyncio.Future[Verdict] = loop.create_future()

        def arrive(answer: asyncio.Future[Verdict] = answer) -> None:
            verdict = account.arrive(loop.time() - began)
            if not answer.cancelled():
                answer.set_result(verdict)

        loop.call_later(account.way(), arrive)  # it arrives, whatever becomes of the worker
        verdict = await answer
        await asyncio.sleep(account.way() + verdict.pause)


async def _whole(account: Account, library: Callable[[], Acquire], seconds: float, restart_every: float) -> Figures:
    began = asyncio.get_running_loop().time()
    left = seconds
    while left > 0:
        acquire = library()
        workers = [asyncio.create_task(_worker(account, acquire, began)) for _ in range(WORKERS)]
        await asyncio.sleep(min(left, restart_every))
        left -= restart_every
        for worker in workers:
            worker.cancel()
        with contextlib.suppress(asyncio.CancelledError):
            await asyncio.gather(*workers, return_exceptions=True)
    account.others_until(seconds)
    return account.figures


def run_library(account: Account, library: Callable[[], Acquire], seconds: float, restart_every: float) -> Figures:
    """What comes of a run whose workers wait for a library's leave."""
    return run_virtual(_whole(account, library, seconds, restart_every))
