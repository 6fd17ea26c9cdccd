"""An event loop whose clock jumps to the next timer when everything is asleep, so that hours pass in no time.

Nothing of the product knows about it: code that asks its loop for the time and sleeps on its loop runs unchanged.
Pipes and sockets that are ready are served before the clock moves, but a peer in another process is not waited for.
Work in the loop's own threads is: while it goes on, the clock stands.
"""

from __future__ import annotations

import asyncio
import selectors
from collections.abc import Callable, Coroutine
from concurrent.futures import Executor
from typing import Any, TypeVar

T = TypeVar("T")

_REAL_PATIENCE = 10.0  # seconds that a thread may take


class Deadlock(RuntimeError):
    """Nothing is scheduled, so nothing would ever happen again."""


class OutOfTime(RuntimeError):
    """The coroutine was still running when its limit of virtual seconds was up."""


class _JumpingSelector(selectors.SelectSelector):
    """Where the loop would sleep, the clock jumps instead."""

    jump: Callable[[float | None], None]
    threads = 0

    def select(self, timeout: float | None = None) -> list[tuple[selectors.SelectorKey, int]]:
        ready = super().select(_REAL_PATIENCE if self.threads and timeout != 0 else 0)
        if not ready and timeout != 0:
            self.jump(timeout)
        return ready


class VirtualLoop(asyncio.SelectorEventLoop):
    """A loop that never sleeps. Its clock begins at 1000, since no code may take it to begin at zero."""

    def __init__(self, limit_seconds: float = 86_400.0) -> None:
        self._now = 1000.0
        self._end = self._now + limit_seconds
        self._jumper = _JumpingSelector()
        self._jumper.jump = self._jump
        super().__init__(self._jumper)

    def time(self) -> float:
        return self._now

    def run_in_executor(  # type: ignore[override]
        self, executor: Executor | None, func: Callable[..., T], *args: Any
    ) -> asyncio.Future[T]:
        future: asyncio.Future[T] = super().run_in_executor(executor, func, *args)
        self._jumper.threads += 1
        future.add_done_callback(self._thread_done)
        return future

    def _thread_done(self, future: asyncio.Future[Any]) -> None:
        self._jumper.threads -= 1

    async def shutdown_default_executor(self, timeout: float | None = None) -> None:  # noqa: ASYNC109
        self._jumper.threads += 1
        await super().shutdown_default_executor()
        self._jumper.threads -= 1

    def _jump(self, seconds: float | None) -> None:
        if seconds is None:
            raise Deadlock(f"nothing is scheduled, and these wait for ever: {self._waiting()}")
        if self._now + seconds > self._end:
            self._end = float("inf")  # closing may take its time
            raise OutOfTime(f"still running after the virtual time allowed: {self._waiting()}")
        self._now += seconds

    def _waiting(self) -> str:
        return "; ".join(sorted(_place(task) for task in asyncio.all_tasks(self))) or "no task at all"


def _place(task: asyncio.Task[Any]) -> str:
    stack = task.get_stack()
    if not stack:
        return task.get_name()
    code = stack[-1].f_code
    return f"{task.get_name()} in {code.co_name} ({code.co_filename}:{stack[-1].f_lineno})"


def run_virtual(coro: Coroutine[Any, Any, T], *, limit_seconds: float = 86_400.0) -> T:
    """Run a coroutine to its end on a fresh virtual loop, and close everything behind it.

    Raises:
        Deadlock: everything waits and nothing is scheduled.
        OutOfTime: the coroutine needs more than `limit_seconds` of virtual time.
    """
    with asyncio.Runner(loop_factory=lambda: VirtualLoop(limit_seconds)) as runner:
        return runner.run(coro)
