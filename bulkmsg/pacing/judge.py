"""How the helpdesk counts, in a bucket that leaks or in windows of time: what its readings prove."""

from __future__ import annotations

import math
from enum import Enum

from bulkmsg.pacing.counts import Log, Reading

# A count that falls by this part of the limit more than a bucket leaks is no bucket's.
_FALL = 0.25
_FALL_LEAST = 2.0
# So many readings in a row that a leak does not explain and a window does: no leak. Three of them fit into the margin.
_SURPRISES = 3
_SURPRISES_AGAINST_PROOF = 10
# A reading says little of windows while more of ours than this are under way.
_CLEAR = 2
# A counter that holds no more than what came since the last reading, and so much of others, has begun anew.
_ANEW = 2


class Counting(Enum):
    """How the helpdesk counts, as far as it has shown it."""

    UNKNOWN = "unknown"
    LEAKS = "leaks"  # a count fell short of what any window must hold
    WINDOWS = "windows"  # a count fell faster than a bucket leaks, or did not fall where a bucket leaks


class Judge:
    """Learns how the helpdesk counts. What it believes, a later proof overturns.

    A window of time holds at least those of our requests that were surely counted within it. A count below that, which
    shrank without falling to nothing, is a bucket's. A bucket never shrinks faster than it leaks. Between these two
    proofs stands a guess: several readings in a row that show all of our requests and no leak.
    """

    def __init__(self, log: Log) -> None:
        self.counting = Counting.UNKNOWN
        self.anew = (-math.inf, -math.inf)  # between these moments a fixed window began
        self._log = log
        self._last: Reading | None = None
        self._surprises = 0

    def refused(self) -> bool:
        """A request was refused that a bucket, as we pictured it, would have taken. Whether that taught anything."""
        if self.counting is not Counting.UNKNOWN:
            return False
        self.counting = Counting.WINDOWS
        return True

    def outdated(self, start: float, now: float) -> bool:
        """Whether an answer may tell of a window that has ended since."""
        return start < self.anew[1] < now

    def hear(self, reading: Reading, limit: int, leak: float, level: float, doubtful: int) -> None:
        """Weigh one reading.

        Args:
            leak: of the bucket that the helpdesk may have, in requests a second.
            level: what that bucket holds by all readings so far.
            doubtful: how many of ours in that level may never have arrived.
        """
        if self._fell(reading, limit, leak, level - doubtful):
            self.counting = Counting.WINDOWS
            self._see_beginning(reading)
        elif self._lost(reading) and limit / 2 <= reading.used < reading.surely:
            self.counting, self._surprises = Counting.LEAKS, 0
        elif not reading.surely <= reading.used <= reading.perhaps:
            self._surprises = 0
        elif reading.used - leak * reading.age > level and reading.overlapping <= _CLEAR:
            self._surprised()
        self._last = reading

    def _fell(self, reading: Reading, limit: int, leak: float, level: float) -> bool:
        """Whether it fell faster than a bucket leaks."""
        if self._last is not None:
            level = max(level, self._last.used - leak * (reading.now - self._last.now))
        return reading.used + reading.overlapping < level - max(_FALL_LEAST, limit * _FALL)

    def _see_beginning(self, reading: Reading) -> None:
        if self._last is not None and reading.used <= self._log.perhaps_since(self._last.start) + _ANEW:
            self.anew = (self._last.start, reading.now)

    def _lost(self, reading: Reading) -> bool:
        """Whether less stands in the counter than at the last reading and what of ours surely came since.

        With more than half of the limit still in it, it did not begin anew in between: so it is no fixed window.
        """
        if self._last is None or reading.start < self._last.now:
            return False
        came = self._log.started_since(self._last.now) - reading.overlapping
        return reading.used < self._last.used + came

    def _surprised(self) -> None:
        """A window explains the reading to the letter, and a leak only if others filled up just what had leaked."""
        self._surprises += 1
        proved = self.counting is Counting.LEAKS
        if self._surprises >= (_SURPRISES_AGAINST_PROOF if proved else _SURPRISES):
            self.counting, self._surprises = Counting.WINDOWS, 0
