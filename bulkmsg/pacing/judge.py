"""How the helpdesk counts, in a bucket that leaks or in windows of time: what its readings prove."""

from __future__ import annotations

import math
from collections import deque
from enum import Enum

from bulkmsg.pacing.counts import Log, Reading

# A count that falls by this part of the limit more than a bucket leaks is no bucket's.
_FALL = 0.25
_FALL_LEAST = 2.0
# So many slots that should have leaked and did not, in so many readings or more: no leak. They fit into the margin. A
# helpdesk that rounds its count shows up to one, and takes it back.
_UNLEAKED = 3
_UNLEAKED_AGAINST_PROOF = 10
# A reading says little of windows while more of ours than this are under way.
_CLEAR = 2
# A counter that holds no more than what came since the last reading, and so much of others, has begun anew.
_ANEW = 2
# So many of the limit others may send between two readings, when it is to be told that a counter did not begin anew.
_STRANGE = 0.1
# Readings that are remembered: more than are under way at once, so that some lie wholly before the next.
_PAST = 64


class Counting(Enum):
    """How the helpdesk counts, as far as it has shown it."""

    UNKNOWN = "unknown"
    LEAKS = "leaks"  # a count fell short of what any window must hold
    WINDOWS = "windows"  # a count fell faster than a bucket leaks, or did not fall where a bucket leaks


class Judge:
    """Learns how the helpdesk counts. What it believes, a later proof overturns.

    A window of time holds at least those of our requests that were surely counted within it. A count below that, which
    shrank without beginning anew, is a bucket's. A bucket never shrinks faster than it leaks. Between these two
    proofs stands a guess: readings that show all of our requests, while slots that should have leaked add up.
    """

    def __init__(self, log: Log) -> None:
        self.counting = Counting.UNKNOWN
        self.anew = (-math.inf, -math.inf)  # between these moments a fixed window began
        self._log = log
        self._last: Reading | None = None
        self._past: deque[Reading] = deque(maxlen=_PAST)
        self._unleaked, self._rises = 0.0, 0
        self._shrank = (-math.inf, -math.inf)  # between these moments

    def refused(self) -> bool:
        """A request was refused that a bucket, as we pictured it, would have taken. Whether that taught anything."""
        if self.counting is not Counting.UNKNOWN:
            return False
        self.counting = Counting.WINDOWS
        return True

    def outdated(self, start: float, now: float) -> bool:
        """Whether an answer may tell of a window that has ended since."""
        return start < self.anew[1] < now

    def hear(self, reading: Reading, limit: int, leak: float, level: float, doubtful: int, window: float) -> None:
        """Weigh one reading.

        Args:
            leak: of the bucket that the helpdesk may have, in requests a second.
            level: what that bucket holds by all readings so far.
            doubtful: how many of ours in that level may never have arrived.
            window: over which it counts, if it counts in windows.
        """
        if self._fell(reading, limit, leak, level - doubtful):
            self.counting = Counting.WINDOWS
            self._see_beginning(reading)
        elif self.counting is not Counting.LEAKS and self._leaks(reading, limit, window):
            self.counting = Counting.LEAKS
            self._unleaked, self._rises = 0.0, 0
        elif reading.used > reading.perhaps or (reading.used < reading.surely and self.counting is Counting.LEAKS):
            self._unleaked, self._rises = 0.0, 0
        elif reading.used < reading.surely:
            pass  # a bucket, or a window that began anew in a silence: the next readings tell
        elif reading.overlapping <= _CLEAR:
            self._weigh_leak(reading.used - leak * reading.age - level, reading.used + reading.overlapping - level)
        self._last = reading
        self._past.append(reading)

    def _fell(self, reading: Reading, limit: int, leak: float, level: float) -> bool:
        """Whether it fell faster than a bucket leaks."""
        if self._last is not None:
            level = max(level, self._last.used - leak * (reading.now - self._last.now))
        return reading.used + reading.overlapping < level - max(_FALL_LEAST, limit * _FALL)

    def _see_beginning(self, reading: Reading) -> None:
        if self._last is not None and reading.used <= self._log.perhaps_since(self._last.start) + _ANEW:
            self.anew = (self._last.start, reading.now)

    def _leaks(self, reading: Reading, limit: int, window: float) -> bool:
        """Whether less than any window must hold stands in the counter, and it shrank without beginning anew.

        It did not begin anew if more stands in it than all that came since; nor can it do so twice within one window.
        """
        if reading.used >= reading.surely:
            return False
        for earlier in reversed(self._past):
            came = self._log.started_since(earlier.now) - reading.overlapping
            if earlier.now <= reading.start and reading.used < earlier.used + came:
                return self._shrank_since(earlier, reading, limit, window)
        return False

    def _shrank_since(self, earlier: Reading, reading: Reading, limit: int, window: float) -> bool:
        if reading.used > self._log.perhaps_since(earlier.start) + limit * _STRANGE:
            return True
        began, seen = self._shrank
        if reading.now - began >= window:
            self._shrank = (earlier.start, reading.now)
            return False
        return earlier.start >= seen

    def _weigh_leak(self, rise: float, fall: float) -> None:
        """A window explains the reading to the letter, and a leak only if others filled up just what had leaked.

        Args:
            rise: how far the count surely stands above what a bucket would hold, if above 0.
            fall: how far it surely stands below, if below 0.
        """
        self._unleaked = max(0.0, self._unleaked + max(rise, 0.0) + min(fall, 0.0))
        self._rises += rise > 0
        enough = _UNLEAKED_AGAINST_PROOF if self.counting is Counting.LEAKS else _UNLEAKED
        if min(self._unleaked, self._rises) >= enough:
            self.counting = Counting.WINDOWS
            self._unleaked, self._rises = 0.0, 0
