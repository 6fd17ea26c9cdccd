"""A strict leaking bucket, shared with another application. It forgives nothing."""

from __future__ import annotations

import math
from dataclasses import dataclass
from random import Random


@dataclass
class Leaky:
    """Every request adds one, `limit / window` leak away each second; what would make it overflow is refused.

    Args:
        others: requests a second of another application; `bursts`: they come ten seconds' worth at once.
    """

    limit: int
    window: float
    others: float
    bursts: bool
    random: Random
    level: float = 0.0
    at: float = 1000.0

    def take(self, now: float) -> tuple[bool, int, int]:
        """Whether a request that arrives now is taken, what the header shows as used, and whole seconds to wait."""
        passed, self.at = now - self.at, now
        self.level = max(0.0, self.level - passed * self.limit / self.window)
        if self.others and passed > 0:
            self._neighbour(passed)
        if self.level + 1 <= self.limit:
            self.level += 1
            return True, math.ceil(self.level), 0
        wait = (self.level + 1 - self.limit) * self.window / self.limit
        return False, self.limit, max(1, math.ceil(wait))

    def _neighbour(self, passed: float) -> None:
        """The other application is refused as we are, so the bucket never overflows."""
        came = self.others * min(passed, self.window)
        if self.bursts:
            came = self.others * 10.0 if self.random.random() < min(1.0, passed / 10.0) else 0.0
        self.level = min(float(self.limit), self.level + came)
