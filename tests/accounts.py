"""One account of a helpdesk in simulated time: servers that count in every way there is, the network, the neighbours.

No loop and no waiting: whatever happens is told the time. All chance comes from the seed.
"""

from __future__ import annotations

import math
import random
from collections import deque
from collections.abc import Callable, Iterator
from dataclasses import dataclass, field
from typing import NamedTuple, Protocol

from bulkmsg.settings import Rate

RATE = Rate(40, 20.0)


class Verdict(NamedTuple):
    """What a helpdesk says to a request: taken or refused, the header's count, and the pause asked for if refused."""

    accepted: bool
    used: int
    pause: float = 0.0


class Server(Protocol):
    """How a helpdesk counts."""

    @property
    def rate(self) -> Rate: ...

    def hit(self, now: float) -> Verdict:
        """A request arrives."""


def _refused(rate: Rate, seconds: float) -> Verdict:
    return Verdict(False, rate.limit, max(1.0, math.ceil(seconds)))


@dataclass
class Leaky:
    """A bucket that leaks all the time."""

    rate: Rate = RATE
    level: float = 0.0
    at: float = 0.0

    def hit(self, now: float) -> Verdict:
        self.level = max(0.0, self.level - self.leaked(now))
        if self.level + 1 > self.rate.limit + 1e-9:
            return _refused(self.rate, (self.level + 1 - self.rate.limit) / self.rate.per_second)
        self.level += 1
        return Verdict(True, math.ceil(self.level))

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

    rate: Rate = RATE
    times: deque[float] = field(default_factory=deque)

    def hit(self, now: float) -> Verdict:
        while self.times and self.times[0] <= now - self.rate.window:
            self.times.popleft()
        if len(self.times) >= self.rate.limit:
            return _refused(self.rate, self.times[0] + self.rate.window - now)
        self.times.append(now)
        return Verdict(True, len(self.times))


@dataclass
class Fixed:
    """A counter that starts again at every full window of the clock."""

    rate: Rate = RATE
    window: int = -1
    used: int = 0

    def hit(self, now: float) -> Verdict:
        window = math.floor(now / self.rate.window)
        if window != self.window:
            self.window, self.used = window, 0
        if self.used >= self.rate.limit:
            return _refused(self.rate, (window + 1) * self.rate.window - now)
        self.used += 1
        return Verdict(True, self.used)


Kind = Callable[[Rate], Server]
Neighbours = Callable[[random.Random], Iterator[float]]
LEAKING: tuple[Kind, ...] = (Leaky, Drip)
COUNTING: tuple[Kind, ...] = (Sliding, Fixed)


def most(kind: Kind, seconds: float, rate: Rate = RATE) -> float:
    """What a server accepts at the very most; a bucket's first limit comes on top, a window's is its share of time."""
    return rate.per_second * seconds + (rate.limit if kind in LEAKING else 0)


def even_way(chance: random.Random) -> float:
    """One way through the network: both ways take 20 to 500 ms."""
    return chance.uniform(0.01, 0.25)


def heavy_way(chance: random.Random) -> float:
    """One way with a heavy tail: mostly 60 ms, one in a hundred above 600 ms, never above 1.5 s."""
    return min(1.5, chance.lognormvariate(math.log(0.06), 1.0))


def quick_way(chance: random.Random) -> float:
    return chance.uniform(0.01, 0.012)


def slow_way(chance: random.Random) -> float:
    return chance.uniform(0.245, 0.25)


def nobody(chance: random.Random) -> Iterator[float]:
    return iter(())


def evenly(chance: random.Random) -> Iterator[float]:
    """A neighbour that takes 0.5 a second, one in each two seconds."""
    slot = 0
    while True:
        yield 2.0 * slot + chance.uniform(0.0, 2.0)
        slot += 1


def at_random(chance: random.Random, burst: int = 1) -> Iterator[float]:
    """Neighbours that take 0.5 a second at moments that nothing foretells."""
    now = 0.0
    while True:
        now += chance.expovariate(0.5 / burst)
        for _ in range(burst):
            yield now


def in_bursts(chance: random.Random) -> Iterator[float]:
    """Neighbours that take eight at once, every sixteen seconds on average."""
    return at_random(chance, 8)


@dataclass
class Figures:
    """What came of it: ours and the others', accepted and refused."""

    accepted: int = 0
    throttled: int = 0
    late_throttled: int = 0  # after the first two windows
    others_accepted: int = 0
    others_throttled: int = 0


class Account:
    """A server, the network before it, and who else sends to it.

    Args:
        fast: how much faster the server's clock goes than ours, in parts of a million.
    """

    def __init__(
        self,
        server: Server,
        seed: int,
        way: Callable[[random.Random], float] = even_way,
        neighbours: Neighbours = nobody,
        fast: float = 0.0,
    ) -> None:
        self.server, self._way, self._speed = server, way, 1.0 + fast / 1e6
        self._chance = random.Random(seed)
        self._neighbours = neighbours(random.Random(seed + 1000))
        self._next_neighbour = next(self._neighbours, math.inf)
        self.figures = Figures()

    def way(self) -> float:
        """Seconds that the next request or answer is on its way."""
        return self._way(self._chance)

    def arrive(self, now: float) -> Verdict:
        """One of our requests arrives, after all that others sent before. Requests arrive in the order of time."""
        self.others_until(now)
        verdict = self.server.hit(now * self._speed)
        self.figures.accepted += verdict.accepted
        self.figures.throttled += not verdict.accepted
        self.figures.late_throttled += not verdict.accepted and now > 2 * RATE.window
        return verdict

    def others_until(self, now: float) -> None:
        while self._next_neighbour <= now:
            verdict = self.server.hit(self._next_neighbour * self._speed)
            self.figures.others_accepted += verdict.accepted
            self.figures.others_throttled += not verdict.accepted
            self._next_neighbour = next(self._neighbours, math.inf)
