"""A bucket that leaks, a log of our own requests, and one reading of the helpdesk's counter."""

from __future__ import annotations

import math
from bisect import bisect_left, bisect_right, insort
from dataclasses import dataclass

# From so many answers on, half of the quickest round trip is surely less than any later one will take.
_TRIPS = 200


class Bucket:
    """Every request adds one to `level`, and every second takes `leak` away."""

    __slots__ = ("at", "leak", "level")

    def __init__(self) -> None:
        self.leak = 1.0
        self.level = 0.0
        self.at = -math.inf

    def drain(self, now: float) -> None:
        self.level = max(0.0, self.level - self.leak * max(0.0, now - self.at))
        self.at = max(self.at, now)

    def wait(self, now: float, room: float) -> float:
        """Seconds until one more fits under `room`; a room below one still lets single requests through."""
        self.drain(now)
        return (self.level + 1 - max(room, 1.0)) / self.leak

    def add(self, now: float) -> None:
        self.drain(now)
        self.level += 1


@dataclass(frozen=True, slots=True)
class Reading:
    """What one answer says of the helpdesk's counter, and what of ours must and may be in it.

    Args:
        start: when its request started; the counter was read between then and `now`.
        used: the header's count; the request itself is in it.
        overlapping: others of ours under way at that time, each of them counted already or not yet.
        surely: how many of ours a window must hold.
        perhaps: how many of ours a window can hold at most.
    """

    start: float
    now: float
    used: int
    overlapping: int
    surely: int
    perhaps: int

    @property
    def age(self) -> float:
        """The counter was read at most so many seconds ago."""
        return self.now - self.start


class Log:
    """Our requests of the last windows: when they started, and when their answers came.

    A request is counted somewhere between the two moments. So its place in a window is surely free one window after its
    answer; a part of the quickest round trip is taken off, which that answer and the next request spend on their ways.
    """

    __slots__ = ("_confirmed", "_ends", "_starts", "_trips", "flying", "quickest", "slowest")

    def __init__(self) -> None:
        self._starts: list[float] = []
        self._ends: list[float] = []
        self._confirmed: list[float] = []  # starts of others of our processes that surely left
        self._trips = 0
        self.quickest, self.slowest = math.inf, 0.0
        self.flying = 0

    def start(self, now: float) -> None:
        insort(self._starts, now)
        self.flying += 1

    def land(self, start: float, now: float, *, counted: bool = True) -> None:
        """It is under way no more; one that was refused is not counted (Gorgias reference, "Rate Limits")."""
        self.flying -= 1
        if counted:
            insort(self._ends, now)
        elif start in self._starts:
            self._starts.remove(start)

    def note(self, end: float) -> None:
        """One of another process, which has its answer by `end`; it may have been refused, or never have left."""
        insort(self._ends, end)

    def confirm(self, start: float) -> None:
        insort(self._confirmed, start)

    def doubt(self) -> None:
        """Some of those that were confirmed were refused."""
        self._confirmed.clear()

    def time(self, round_trip: float) -> None:
        self._trips += 1
        self.quickest = min(self.quickest, round_trip)
        self.slowest = max(self.slowest, round_trip)

    def forget(self, before: float) -> None:
        del self._starts[: bisect_left(self._starts, before)]
        del self._ends[: bisect_left(self._ends, before)]
        del self._confirmed[: bisect_left(self._confirmed, before)]

    @property
    def newest(self) -> float:
        return self._starts[-1] if self._starts else -math.inf

    def started_since(self, moment: float) -> int:
        """How many of ours started then or later, and surely left."""
        return sum(len(starts) - bisect_left(starts, moment) for starts in (self._starts, self._confirmed))

    def perhaps_since(self, moment: float) -> int:
        """How many of ours may have been counted after that moment."""
        return self.flying + len(self._ends) - bisect_right(self._ends, moment)

    def unsure(self, now: float, window: float) -> int:
        """How many in the window may never have left, since other processes, which still go on, started them."""
        if not self._confirmed:
            return 0
        return max(0, self.perhaps_since(now - window) - self.started_since(now - window))

    def read(
        self, start: float, now: float, used: int, window: float, anew: tuple[float, float], doubtful: int
    ) -> Reading:
        """Read the counter from an answer that has just landed.

        Args:
            window: over which the helpdesk may count.
            anew: between these two moments its counter began anew, if it ever did.
            doubtful: how many of ours may never have arrived.
        """
        overlapping = self.flying + len(self._ends) - 1 - bisect_left(self._ends, start)
        surely = self.started_since(max(now - window, anew[1])) - overlapping - doubtful
        return Reading(start, now, used, overlapping, surely, self.perhaps_since(max(start - window, anew[0])))

    def wait(self, now: float, window: float, free: float) -> float:
        """Seconds until one more stands in the window with at most `free` in all, `math.inf`: not before an answer.

        A `free` below one still lets single requests through.
        """
        way = self.quickest / 2 if self._trips >= _TRIPS else 0.0
        gone = bisect_right(self._ends, now - window + way)
        surplus = self.flying + len(self._ends) - gone + 1 - math.floor(max(free, 1.0))
        if surplus <= 0:
            return 0.0
        last = gone + surplus - 1
        return self._ends[last] + window - way - now if last < len(self._ends) else math.inf
