"""A run against an account in simulated time: a heap of things that happen, and a limiter that is told the time."""

from __future__ import annotations

import heapq
import math
from collections.abc import Callable
from itertools import count
from typing import Protocol

from tests.accounts import Account, Figures, Verdict


class Limiter(Protocol):
    """What decides when a request may start, as `bulkmsg.pacing.Pacer` does."""

    def wait(self, now: float) -> float: ...

    def start(self, now: float) -> int: ...

    def answered(self, token: int, now: float, used: int | None, limit: int | None) -> None: ...

    def throttled(
        self, token: int, now: float, retry_after: float, used: int | None = None, limit: int | None = None
    ) -> None: ...


class PacedRun:
    """A run with always something to send and at most `workers` requests under way.

    Args:
        limiter: makes one for each process; it is told when the earlier processes' requests started.
        headers: whether the answers carry the count.
        alone: a worker that is refused waits for itself, because the limiter does not stop them all.
    """

    def __init__(
        self,
        account: Account,
        limiter: Callable[[list[float]], Limiter],
        *,
        workers: int = 8,
        headers: bool = True,
        alone: bool = False,
    ) -> None:
        self._account, self._new_limiter = account, limiter
        self._workers, self._headers, self._alone = workers, headers, alone
        self._heap: list[tuple[float, int, Callable[[float], None]]] = []
        self._order = count()
        self._flying = 0
        self._woken = math.inf
        self.starts: list[float] = []
        self.limiter: Limiter

    def at(self, when: float, act: Callable[[float], None]) -> None:
        heapq.heappush(self._heap, (when, next(self._order), act))

    def run(self, seconds: float, restart_every: float = math.inf) -> Figures:
        self.at(0.0, self._restart)
        for number in range(1, math.ceil(seconds / restart_every)):
            self.at(number * restart_every, self._restart)
        while self._heap and self._heap[0][0] < seconds:
            when, _, act = heapq.heappop(self._heap)
            act(when)
        self._account.others_until(seconds)
        return self._account.figures

    def _restart(self, now: float) -> None:
        """A new process, that knows nothing of what the last one has under way."""
        self.limiter, self._flying = self._new_limiter(self.starts), 0
        self._send(now)

    def _send(self, now: float) -> None:
        while self._flying < self._workers:
            wait = self.limiter.wait(now)
            if wait > 0:
                self._wake(now + wait)
                return
            self._flying += 1
            token = self.limiter.start(now)
            self.starts.append(now)
            self.at(now + self._account.way(), self._arrival(self.limiter, token))

    def _wake(self, when: float) -> None:
        if when < self._woken:
            self._woken = when
            self.at(when, self._wake_up)

    def _wake_up(self, now: float) -> None:
        if now == self._woken:  # else an earlier one took its place
            self._woken = math.inf
            self._send(now)

    def _arrival(self, limiter: Limiter, token: int) -> Callable[[float], None]:
        def arrive(now: float) -> None:
            verdict = self._account.arrive(now)
            self.at(now + self._account.way(), lambda later: self._answer(limiter, token, later, verdict))

        return arrive

    def _answer(self, limiter: Limiter, token: int, now: float, verdict: Verdict) -> None:
        if limiter is not self.limiter:
            return  # nobody is there any more
        used = verdict.used if self._headers else None
        limit = self._account.server.rate.limit if self._headers else None
        if verdict.accepted:
            limiter.answered(token, now, used, limit)
        else:
            limiter.throttled(token, now, verdict.pause, used, limit)
        if self._alone and not verdict.accepted:
            self.at(now + verdict.pause, self._free)
        else:
            self._free(now)

    def _free(self, now: float) -> None:
        self._flying -= 1
        self._send(now)
