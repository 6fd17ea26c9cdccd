"""The pacer against helpdesks that count in every way there is, in simulated time.

A discrete-event simulation: no loop and no waiting, a heap of things that happen and a pacer that is told the time.
"""

from __future__ import annotations

import heapq
import math
import random
from collections import deque
from collections.abc import Callable
from dataclasses import dataclass, field
from itertools import count
from typing import Protocol

import pytest

from bulkmsg.pacing import Pacer
from bulkmsg.settings import Rate

RATE = Rate(40, 20.0)
SEEDS = (1, 2, 3)


class Server(Protocol):
    """How a helpdesk counts."""

    def hit(self, now: float) -> tuple[bool, int, float]:
        """A request arrives: whether it is accepted, the header's count, and the pause asked for if not."""


@dataclass
class Leaky:
    """A bucket that leaks all the time."""

    rate: Rate
    level: float = 0.0
    at: float = 0.0

    def hit(self, now: float) -> tuple[bool, int, float]:
        self.level = max(0.0, self.level - self.leaked(now))
        if self.level + 1 > self.rate.limit + 1e-9:
            return False, self.rate.limit, max(1.0, math.ceil(1 / self.rate.per_second))
        self.level += 1
        return True, math.ceil(self.level), 0.0

    def leaked(self, now: float) -> float:
        gone, self.at = (now - self.at) * self.rate.per_second, now
        return gone


@dataclass
class Drip(Leaky):
    """A bucket from which one whole request drips at a time."""

    def leaked(self, now: float) -> float:
        drops = math.floor((now - self.at) * self.rate.per_second)
        self.at += drops / self.rate.per_second
        return drops


@dataclass
class Sliding:
    """At most `limit` accepted in any window."""

    rate: Rate
    times: deque[float] = field(default_factory=deque)

    def hit(self, now: float) -> tuple[bool, int, float]:
        while self.times and self.times[0] <= now - self.rate.window:
            self.times.popleft()
        if len(self.times) >= self.rate.limit:
            return False, self.rate.limit, max(1.0, math.ceil(self.times[0] + self.rate.window - now))
        self.times.append(now)
        return True, len(self.times), 0.0


@dataclass
class Fixed:
    """A counter that starts again at every full window of the clock."""

    rate: Rate
    window: int = -1
    used: int = 0

    def hit(self, now: float) -> tuple[bool, int, float]:
        window = math.floor(now / self.rate.window)
        if window != self.window:
            self.window, self.used = window, 0
        if self.used >= self.rate.limit:
            return False, self.rate.limit, max(1.0, math.ceil((window + 1) * self.rate.window - now))
        self.used += 1
        return True, self.used, 0.0


@dataclass
class Figures:
    accepted: int = 0
    throttled: int = 0
    late_throttled: int = 0  # after the first two windows
    others_accepted: int = 0
    others_throttled: int = 0


class Simulation:
    """One account: our pacer with always something to send, at most `workers` under way, and perhaps others."""

    def __init__(
        self, server: Server, seed: int, pacer: Callable[[], Pacer], *, workers: int = 32, headers: bool = True
    ) -> None:
        self.server, self.new_pacer, self.workers, self.headers = server, pacer, workers, headers
        self.random = random.Random(seed)
        self.pacer = pacer()
        self.figures = Figures()
        self.heap: list[tuple[float, int, Callable[[float], None]]] = []
        self.order = count()
        self.flying = 0
        self.retiring = 0
        self.woken = math.inf

    def at(self, when: float, act: Callable[[float], None]) -> None:
        heapq.heappush(self.heap, (when, next(self.order), act))

    def delay(self) -> float:
        return self.random.uniform(0.01, 0.25)

    def run(self, seconds: float) -> Figures:
        self.at(0.0, self.send)
        while self.heap and self.heap[0][0] < seconds:
            when, _, act = heapq.heappop(self.heap)
            act(when)
        return self.figures

    def send(self, now: float) -> None:
        while self.flying < self.workers:
            wait = self.pacer.wait(now)
            if wait > 0:
                self.wake(now + wait)
                return
            self.flying += 1
            self.at(now + self.delay(), self.arrival(self.pacer, self.pacer.start(now)))

    def wake(self, when: float) -> None:
        if when < self.woken:
            self.woken = when
            self.at(when, self.wake_up)

    def wake_up(self, now: float) -> None:
        if now == self.woken:  # else an earlier one took its place
            self.woken = math.inf
            self.send(now)

    def arrival(self, pacer: Pacer, token: int) -> Callable[[float], None]:
        def arrive(now: float) -> None:
            accepted, used, pause = self.server.hit(now)
            self.figures.accepted += accepted
            self.figures.throttled += not accepted
            self.figures.late_throttled += not accepted and now > 2 * RATE.window
            self.at(now + self.delay(), lambda later: self.answer(pacer, token, later, accepted, used, pause))

        return arrive

    def answer(self, pacer: Pacer, token: int, now: float, accepted: bool, used: int, pause: float) -> None:
        self.flying -= pacer is self.pacer
        limit = self.server.rate.limit if self.headers else None  # type: ignore[attr-defined]
        if accepted:
            pacer.answered(token, now, used if self.headers else None, limit)
        else:
            pacer.throttled(token, now, pause, used if self.headers else None, limit)
        self.send(now)

    def restart_every(self, seconds: float, until: float) -> None:
        for number in range(1, int(until / seconds)):
            self.at(number * seconds, self.restart)

    def restart(self, now: float) -> None:
        self.pacer, self.flying = self.new_pacer(), 0
        self.send(now)

    def others(self, per_second: float, until: float, burst: int = 1) -> None:
        now = 0.0
        while (now := now + self.random.expovariate(per_second / burst)) < until:
            for _ in range(burst):
                self.at(now, self.other)

    def other(self, now: float) -> None:
        accepted, _, _ = self.server.hit(now)
        self.figures.others_accepted += accepted
        self.figures.others_throttled += not accepted


SECONDS = 1200.0
LEAKING = (Leaky, Drip)
COUNTING = (Sliding, Fixed)
Kind = Callable[[Rate], Server]


def fresh() -> Pacer:
    return Pacer(RATE)


def most(kind: Kind, rate: Rate = RATE, seconds: float = SECONDS) -> float:
    """What the server accepts at the very most; the windows' first limit comes at their end again."""
    return rate.per_second * seconds + (rate.limit if kind in LEAKING else 0)


@pytest.mark.parametrize("seed", SEEDS)
@pytest.mark.parametrize("kind", LEAKING)
def test_a_leaking_bucket_is_used_up_without_one_refusal(kind: Kind, seed: int) -> None:
    figures = Simulation(kind(RATE), seed, fresh).run(SECONDS)
    assert figures.throttled == 0
    assert figures.accepted >= 0.995 * most(kind)


@pytest.mark.parametrize("seed", SEEDS)
@pytest.mark.parametrize("kind", COUNTING)
def test_windows_are_found_out_by_one_refusal_and_kept_from_then_on(kind: Kind, seed: int) -> None:
    figures = Simulation(kind(RATE), seed, fresh).run(SECONDS)
    assert figures.throttled <= 2
    assert figures.late_throttled == 0
    assert figures.accepted >= 0.97 * most(kind)


@pytest.mark.parametrize("kind", LEAKING + COUNTING)
def test_without_headers_the_documented_rate_is_kept(kind: Kind) -> None:
    figures = Simulation(kind(RATE), 1, fresh, headers=False).run(SECONDS)
    assert figures.throttled <= (0 if kind in LEAKING else 1)
    assert figures.accepted >= (0.995 if kind in LEAKING else 0.97) * most(kind)


@pytest.mark.parametrize("seed", SEEDS)
@pytest.mark.parametrize("kind", LEAKING)
def test_a_spent_budget_costs_one_refusal_at_most(kind: Kind, seed: int) -> None:
    server = kind(RATE)
    for _ in range(RATE.limit):
        server.hit(0.0)
    figures = Simulation(server, seed, fresh).run(SECONDS)
    assert figures.throttled <= 1
    assert figures.accepted >= 0.995 * (most(kind) - RATE.limit)


@pytest.mark.parametrize("seed", SEEDS)
@pytest.mark.parametrize("kind", LEAKING)
def test_other_applications_get_what_they_ask_for(kind: Kind, seed: int) -> None:
    simulation = Simulation(kind(RATE), seed, fresh)
    simulation.others(0.5, SECONDS)
    figures = simulation.run(SECONDS)
    assert figures.throttled <= 1
    assert figures.others_throttled <= 0.01 * figures.others_accepted
    assert figures.accepted >= 0.99 * (most(kind) - figures.others_accepted)


@pytest.mark.parametrize("kind", LEAKING)
def test_bursts_of_others_cost_few_refusals_of_ours(kind: Kind) -> None:
    simulation = Simulation(kind(RATE), 1, fresh)
    simulation.others(0.5, SECONDS, burst=8)
    figures = simulation.run(SECONDS)
    assert figures.throttled <= 10
    assert figures.others_throttled <= 0.2 * figures.others_accepted


@pytest.mark.parametrize("kind", LEAKING + COUNTING)
def test_restarts_cost_at_most_one_refusal_each(kind: Kind) -> None:
    simulation = Simulation(kind(RATE), 1, fresh)
    simulation.restart_every(30.0, SECONDS)
    figures = simulation.run(SECONDS)
    assert figures.throttled <= (0 if kind in LEAKING else SECONDS / 30)


@pytest.mark.parametrize("rate", [Rate(1, 5.0), Rate(2, 5.0), Rate(3, 10.0), Rate(10, 10.0), Rate(80, 20.0)], ids=str)
@pytest.mark.parametrize("kind", LEAKING)
def test_limits_of_every_size_are_kept(kind: Kind, rate: Rate) -> None:
    figures = Simulation(kind(rate), 1, lambda: Pacer(rate)).run(300.0)
    assert figures.throttled == 0
    assert figures.accepted >= 0.6 * most(kind, rate, 300.0)


@pytest.mark.parametrize("kind", LEAKING + COUNTING)
def test_a_ceiling_below_the_limit_is_kept(kind: Kind) -> None:
    ceiling = Rate(20, 20.0)
    figures = Simulation(kind(RATE), 1, lambda: Pacer(RATE, ceiling)).run(SECONDS)
    assert figures.throttled == 0
    assert 0.97 * ceiling.per_second * SECONDS <= figures.accepted <= ceiling.limit + ceiling.per_second * SECONDS


@pytest.mark.parametrize("kind", LEAKING + COUNTING)
def test_a_share_is_kept(kind: Kind) -> None:
    figures = Simulation(kind(RATE), 1, lambda: Pacer(RATE, share=0.5)).run(SECONDS)
    assert figures.throttled == 0
    assert 0.48 * RATE.per_second * SECONDS <= figures.accepted <= 0.5 * (RATE.limit + RATE.per_second * SECONDS)


@pytest.mark.parametrize("kind", LEAKING)
def test_a_bucket_that_leaks_faster_than_documented_does_not_hold_a_ceiling_down(kind: Kind) -> None:
    faster, ceiling = Rate(40, 2.0), Rate(20, 2.0)
    figures = Simulation(kind(faster), 1, lambda: Pacer(RATE, ceiling)).run(120.0)
    assert figures.throttled == 0
    assert figures.accepted >= 0.97 * ceiling.per_second * 120.0
