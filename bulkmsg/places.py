"""How many requests may be under way at once: as many as the slowness of the answers asks for, and no more.

What is under way when a run is killed is in doubt afterwards, so that few are better than many; but with too few, slow
answers would cost rate. On average rate times latency are under way (Little's law), and some more when several are slow
at once.
"""

from __future__ import annotations

import math

USUAL = 8
MOST = 64
_SPREADS = 3.0  # how many standard deviations above the average, if they came at random
_WEIGHT = 0.125  # of the newest answer in the smoothed latency


class Places:
    """Where requests are while they are under way.

    Args:
        most: never more than these.
    """

    def __init__(self, most: int = MOST) -> None:
        self.most = most
        self._latency = 0.0

    @property
    def latency(self) -> float:
        """Seconds that an answer takes, smoothed; 0.0 while none has come."""
        return self._latency

    def took(self, seconds: float) -> None:
        """An answer came after so many seconds."""
        self._latency += (seconds - self._latency) * (_WEIGHT if self._latency else 1.0)

    def at_once(self, per_second: float) -> int:
        """How many may be under way at so many requests a second."""
        busy = per_second * self._latency
        wanted = math.ceil(busy + _SPREADS * math.sqrt(busy))
        return min(self.most, max(USUAL, wanted))
