"""The account's request budget: two models of it, told the time, never sleeping.

Gorgias reference, "Rate limits": a leaky bucket, `X-Gorgias-Account-Api-Call-Limit: used/limit` on every
answer, 429 with `Retry-after` in whole seconds. Recorded headers rise by one per call without draining, like
a window counter, so both models are offered.
"""

import math
from dataclasses import dataclass
from typing import Protocol

from bulkmsg.sandbox.settings import SandboxSettings

HEADER = "X-Gorgias-Account-Api-Call-Limit"


@dataclass(frozen=True, slots=True)
class Grant:
    """The limiter's word on one request."""

    allowed: bool
    used: int
    limit: int
    wait: float
    """Seconds until the next request would be allowed; 0 when this one was."""

    @property
    def header(self) -> str:
        return f"{self.used}/{self.limit}"


class Bucket(Protocol):
    """A budget that is asked for one request at a time."""

    def take(self, now: float) -> Grant: ...


class Leaky:
    """A bucket that leaks limit/window per second; a request fits if the level stays within the limit."""

    def __init__(self, limit: int, window: float, neighbour: float = 0.0) -> None:
        self.limit, self.leak, self.neighbour = limit, limit / window, neighbour
        self.level, self.seen = 0.0, -math.inf

    def take(self, now: float) -> Grant:
        self._flow(now)
        if self.level + 1 <= self.limit + 1e-9:
            self.level += 1
            return Grant(True, math.ceil(self.level - 1e-9), self.limit, 0.0)
        return Grant(False, self.limit, self.limit, (self.level + 1 - self.limit) / self.leak)

    def _flow(self, now: float) -> None:
        passed = 0.0 if self.seen == -math.inf else max(0.0, now - self.seen)
        self.seen = max(now, self.seen)
        self.level = min(self.limit, max(0.0, self.level + (self.neighbour - self.leak) * passed))


class Window:
    """A counter that starts again at every full window since the first request."""

    def __init__(self, limit: int, window: float, neighbour: float = 0.0) -> None:
        self.limit, self.window, self.neighbour = limit, window, neighbour
        self.start, self.count = -math.inf, 0

    def take(self, now: float) -> Grant:
        self._turn(now)
        used = self.count + int(self.neighbour * (now - self.start))
        if used + 1 <= self.limit:
            self.count += 1
            return Grant(True, used + 1, self.limit, 0.0)
        return Grant(False, self.limit, self.limit, self.start + self.window - now)

    def _turn(self, now: float) -> None:
        if self.start == -math.inf:
            self.start = now
        elif now - self.start >= self.window:
            self.start += (now - self.start) // self.window * self.window
            self.count = 0


def bucket(settings: SandboxSettings) -> Bucket:
    """The model that the settings ask for."""
    kind = Leaky if settings.limiter == "leaky" else Window
    return kind(settings.limit, settings.window, settings.neighbour)


def retry_after(wait: float, fractional: bool) -> str:
    """The header's text: whole seconds, at least 1; or hundredths, at least 0.05, for scaled-down windows."""
    if fractional:
        return f"{max(0.05, math.ceil(wait * 100 - 1e-6) / 100):g}"
    return str(max(1, math.ceil(wait - 1e-6)))
