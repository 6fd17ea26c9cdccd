"""What other applications on the account use, and how much room is left for what they may send next."""

from __future__ import annotations

import math
from dataclasses import dataclass

from bulkmsg.pacing.counts import Reading

# Room in a window of 40 is 2.5 % of the rate for each slot, for ever: two slots, and those of one gust.
_RESERVE = 2.0
# For so many windows a gust is remembered: 20 minutes of the usual window. A neighbour that comes every minute stays
# known, and one that has gone gives its room back.
_MEMORY = 60.0
# No gust counts for more than this part of the limit: else one mistake would stop us.
_GUST_MOST = 0.2
_CALM = 0.5
# A smaller rise may come of rounding, jitter, and clocks that differ.
_WHOLE = 1.3
# A rise that a window would not show is a mistake of the mirror, but for what was under way.
_UNSURE = 2.0
# What a fixed window will still bring is its average so far, and so many more.
_FORECAST_MORE = 2.0


@dataclass(slots=True)
class Others:
    """Others, as far as readings of the counter show them.

    Args:
        window: over which the helpdesk counts, in seconds.
        inherited: what stood in the counter at our first reading and was not ours. It may be an earlier run's.
    """

    window: float
    least: int = 0  # of the window, at the last reading
    _most: int = 0
    _at: float = -math.inf
    inherited: int | None = None
    _each_window: float = 0.0  # the average of fixed windows
    _gust: float = 0.0
    _gust_at: float = 0.0

    def gust(self, now: float) -> float:
        """The largest number that came at once, fading as time passes; 0.0 while nobody is seen."""
        gust = self._gust * math.exp((self._gust_at - now) / (self.window * _MEMORY))
        return gust if gust >= _CALM else 0.0

    def blow(self, now: float, size: float, limit: int) -> None:
        self._gust, self._gust_at = min(max(self.gust(now), size), limit * _GUST_MOST), now

    def see(self, reading: Reading, limit: int, rise: float | None) -> None:
        """Learn from what our own requests cannot explain of a count.

        Args:
            rise: how far the count stood above the bucket that we had pictured, if the helpdesk has one.
        """
        least = reading.used - reading.perhaps
        more = 0.0 if self.inherited is None else float(least - max(0, self._most))
        if rise is not None and rise < _WHOLE:
            pass
        elif rise is not None:
            self.blow(reading.now, min(rise, max(0.0, more) + _UNSURE), limit)
        elif self.inherited is not None and least > self.inherited + 1:  # one may be a trick of time
            self.blow(reading.now, max(1.0, more), limit)
        if self.inherited is None:
            self.inherited = max(0, least)
        self.least, self._most, self._at = max(0, least), reading.used - reading.surely, reading.now

    def refused(self, now: float, others: int) -> None:
        """The counter stood at its limit, and so many of it were not ours."""
        self.least, self._at = max(0, others), now

    def window_ended(self) -> None:
        self._each_window = (self._each_window + self.least) / 2 if self._each_window else float(self.least)

    def reserve(self, now: float) -> float:
        """Slots of a window that stay free for others."""
        gust = self.gust(now)
        if gust:
            return _RESERVE + gust
        return 1.0 if self.least else 0.0

    def taken(self, now: float) -> float:
        """Slots of a window that are not for us."""
        return max(self._left(now) + self.reserve(now), self._forecast)

    def fades_in(self, now: float, slots: float) -> float:
        """Seconds until others have probably given back so many slots; `math.inf` if that is not to be expected."""
        left = self._left(now)
        if slots > left or self._forecast > left + self.reserve(now):
            return math.inf
        return slots * self.window / self.least

    @property
    def _forecast(self) -> float:
        return self._each_window + _FORECAST_MORE if self._each_window >= 1 else 0.0

    def _left(self, now: float) -> float:
        """What was seen last passes out of the window bit by bit."""
        return self.least * max(0.0, 1 - (now - self._at) / self.window)
