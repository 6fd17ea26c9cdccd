"""When the next request may start: arithmetic that is told the time and answers how long to wait.

No clock, no asyncio, no input or output may live here; all times are seconds of one clock that never goes back.

Three limits hold at once, and the longest wait wins:

- *ours*, a leaky bucket of our own requests. No header empties it, so a header that lies, or a ceiling below what the
  helpdesk allows, never makes us faster than the rate in force.
- *the mirror*, our picture of the helpdesk's own bucket. Each answer's header corrects it in both directions, within
  what the requests still under way leave uncertain. So other applications on the account are seen and given way to,
  and a start assumes nothing: the first request goes alone and reads the level.
- *the log*, in place of the mirror, once it shows that the helpdesk counts requests in windows of time. A mirror that
  leaks is misled by such a count; a sliding window of our own starts keeps every kind of limit.
"""

from __future__ import annotations

import math
import re
from bisect import bisect_left, bisect_right, insort
from dataclasses import dataclass
from datetime import UTC, datetime
from email.utils import parsedate_to_datetime
from enum import Enum
from itertools import count

from bulkmsg.settings import Rate

# What stays free of the limit: 4 of 40. It takes up the jitter of the network (rate times jitter, about one request)
# and what others send between two of our answers. It costs its requests once in a run, not once a second.
_MARGIN = 0.1
_MARGIN_AT_MOST = 0.25
_DOUBLINGS_AT_MOST = 2
# With nothing under way, and no word for this part of the window and for some slots, the level is unknown again.
_STALE = 0.25
_STALE_SLOTS = 3
# A count that falls by this part of the limit more than a bucket leaks is no bucket's.
_FALL = 0.25
# The log's window is longer than the helpdesk's by the jitter seen one way, within these parts of it.
_SLACK_AT_LEAST = 0.005
_SLACK_AT_MOST = 0.05
# For so many windows we remember what others use, where windows are counted. Longer means fewer refusals, ours and
# theirs, and less of the room for us: our own bursts hide theirs from us for most of a window.
_MEMORY = 3.0
# How long a request that we are only told of may be under way, in windows, as long as no answer to us took longer. Too
# short, and a count that lacks it makes the mirror stand too low; too long costs little, since the mirror leaks anyway.
_FLIGHT_UNKNOWN = 0.05
# A shorter wait is rounding; a sleep of that length might not move the clock.
_TINY = 1e-6

_NUMBER = re.compile(r"[+-]?[0-9]+(\.[0-9]*)?|[+-]?\.[0-9]+")
_PAUSE_UNKNOWN = 5.0
_PAUSE_LEAST, _PAUSE_MOST = 1.0, 300.0
_FRACTION_LEAST = 0.05


@dataclass(slots=True)
class _Bucket:
    """Every request adds one to `level`, and every second takes `leak` away."""

    leak: float
    level: float = 0.0
    at: float = -math.inf

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
class _Flight:
    """A request under way, and whether it went alone to learn the level."""

    start: float
    probe: bool


class Counting(Enum):
    """How the helpdesk counts, as far as it has shown it. Both kinds of window put the log in the mirror's place."""

    UNKNOWN = "unknown"
    LEAKS = "leaks"  # it showed less than we had sent within the window, and no sudden fall
    SUSPECTED = "suspected"  # it refused a request that a leaking bucket would have taken
    WINDOWS = "windows"  # its count fell faster than a bucket can leak


class Corrected(Enum):
    """Which way an answer corrected the mirror since other runs were told of it."""

    NOT = "not"
    DOWN = "down"  # what is used is surely no more than this
    UP = "up"  # strangers use some of it

    def both(self, ours: float, theirs: float) -> float:
        """One level out of ours and that of the others, who do not know of the correction."""
        if self is Corrected.DOWN:
            return min(ours, theirs)
        return max(ours, theirs) if self is Corrected.UP else theirs


@dataclass(frozen=True, slots=True)
class Learned:
    """What one run of ours knows of the account at a moment, for another that knows less.

    Args:
        level: how full the helpdesk's bucket was at `at`.
        heard: when the last answer said so; minus infinity while none has.
        until: the end of the pause that a Retry-After asks for.
        limit: the header's right side, None while it was not seen.
        doublings: how often the part of the limit that stays free was doubled.
        quickest, slowest: seconds that answers took; infinity and zero while none has come.
    """

    at: float
    level: float
    heard: float = -math.inf
    until: float = -math.inf
    limit: int | None = None
    counting: Counting = Counting.UNKNOWN
    doublings: int = 0
    quickest: float = math.inf
    slowest: float = 0.0


# What a refusal against expectation teaches: once, that there may be windows; when the log does not keep us from
# refusals either, that there are none, and that others send in bursts.
_AFTER_REFUSAL = {Counting.UNKNOWN: Counting.SUSPECTED, Counting.SUSPECTED: Counting.LEAKS}


class Pacer:
    """The budget of one account, as far as we know it.

    Args:
        assumed: the documented limit for the kind of credentials; its window stays, its limit until a header is seen.
        ceiling: the user's own limit. A header lowers its limit and never raises it.
        share: the part of the rate in force that is ours, 0 < share <= 1.
    """

    def __init__(self, assumed: Rate, ceiling: Rate | None = None, share: float = 1.0) -> None:
        self._assumed = assumed
        self._ceiling = ceiling
        self._share = share
        self._told: int | None = None  # the right side of the header
        self._tokens = count(1)
        self._flights: dict[int, _Flight] = {}
        self._starts: list[float] = []  # of the last windows
        self._ends: list[float] = []  # of the last window
        self._probing = False
        self._heard = -math.inf
        self._until = -math.inf
        self._throttled_at = -math.inf
        self._doublings = 0
        self._corrected = Corrected.NOT
        self._counting = Counting.UNKNOWN
        self._doubtful = 0  # lost since the mirror was last set right: it may stand that much too high
        self._quickest, self._slowest = math.inf, 0.0
        self._others, self._others_at = 0.0, 0.0
        self._ours, self._mirror = _Bucket(1.0), _Bucket(1.0)
        self._retune()

    @property
    def rate(self) -> Rate:
        """The rate in force."""
        if self._ceiling is None:
            return Rate(self._limit, self._assumed.window)
        return Rate(min(self._ceiling.limit, self._limit), self._ceiling.window)

    @property
    def more_possible(self) -> Rate | None:
        """What the helpdesk allows, where its header shows that the ceiling keeps us below it."""
        if self._ceiling is None or self._told is None:
            return None
        allowed = Rate(self._told, self._assumed.window)
        return allowed if allowed.per_second > self.rate.per_second else None

    @property
    def share(self) -> float:
        """The part of the rate in force that is ours; it may be set at any time."""
        return self._share

    @share.setter
    def share(self, share: float) -> None:
        self._share = share
        self._retune()

    @property
    def counting(self) -> Counting:
        return self._counting

    def paused(self, now: float) -> float:
        """Seconds for which everybody is stopped by a Retry-After."""
        return max(0.0, self._until - now)

    def wait(self, now: float) -> float:
        """Seconds until the next request may start: 0.0 is now, `math.inf` is not before an answer has arrived."""
        if self._flights and (self._probing or self._limit == 1):
            return math.inf
        known = self._log_wait(now) if self._logging else self._mirror.wait(now, self._limit - self._margin)
        longest = max(self.paused(now), known, self._ours.wait(now, self.rate.limit * self._share))
        return longest if longest > _TINY else 0.0

    def start(self, now: float) -> int:
        """Take a slot for a request that starts now; the token names it afterwards."""
        if not self._flights and now - self._heard >= self._stale_after:
            self._probing = True
        token = next(self._tokens)
        self._flights[token] = _Flight(now, self._probing)
        self._ours.add(now)
        self._mirror.add(now)
        self._starts.append(now)
        del self._starts[: bisect_left(self._starts, now - 3 * self._log_window)]
        return token

    def note(self, start: float, *, ours: bool = True) -> None:
        """Take into account a request of ours that this pacer did not start: an earlier run's, another process's.

        Args:
            start: when it started, by the clock of all other times here. Tell the oldest first: one that comes late
                counts as if it had started at the last moment we looked.
            ours: it counts against our own ceiling and share as well, not only against the helpdesk's limit.
        """
        insort(self._starts, start)
        if ours:
            self._ours.add(start)
        self._mirror.add(start)
        longest = max(self._slowest, self._server.window * _FLIGHT_UNKNOWN)
        insort(self._ends, start + longest)

    def learned(self, now: float) -> Learned:
        """What this pacer knows, for those of other runs on the account."""
        self._mirror.drain(now)
        self._corrected = Corrected.NOT
        return Learned(
            now,
            self._mirror.level,
            self._heard,
            self._until,
            self._told,
            self._counting,
            self._doublings,
            self._quickest,
            self._slowest,
        )

    @property
    def untold(self) -> bool:
        """Whether an answer has corrected the level since `learned` was asked for."""
        return self._corrected is not Corrected.NOT

    def adopt(self, learned: Learned, now: float) -> None:
        """Take over what another run of ours told last, so that all have one level and one pause.

        Note the starts that it knew of before. What an answer has taught us since we told others holds beside it.
        """
        self._until = max(self._until, learned.until)
        self._doublings = max(self._doublings, min(learned.doublings, _DOUBLINGS_AT_MOST))
        self._quickest = min(self._quickest, learned.quickest)
        self._slowest = max(self._slowest, learned.slowest)
        if self._counting is Counting.UNKNOWN:
            self._counting = learned.counting
        if self._told is None and learned.limit is not None and learned.limit < self._limit:
            self._told = learned.limit
            self._retune()
        if learned.heard > -math.inf:
            self._heard = max(self._heard, learned.heard)
            self._mirror.drain(now)
            theirs = max(0.0, learned.level - self._mirror.leak * max(0.0, now - learned.at))
            self._mirror.level = self._corrected.both(self._mirror.level, theirs)

    def answered(self, token: int, now: float, used: int | None, limit: int | None) -> None:
        """An answer other than 429; `used` and `limit` are the header's two sides, `used` counts the request itself."""
        flight = self._land(token, now)
        self._hear(flight, now, limit)
        if used is not None and used >= 0 and now - flight.start < self._server.window:
            self._correct(flight.start, now, min(used, self._limit))

    def lost(self, token: int, now: float) -> None:
        """No answer: it may have been counted, so it stays counted; it taught nothing."""
        self._land(token, now)
        self._doubtful += 1

    def throttled(
        self, token: int, now: float, retry_after: float, used: int | None = None, limit: int | None = None
    ) -> None:
        """A 429: everybody stops for `retry_after` seconds. The refused of one burst teach one lesson."""
        flight = self._land(token, now)
        self._hear(flight, now, limit)
        self._until = max(self._until, now + retry_after)
        if not flight.probe and flight.start >= self._throttled_at:
            self._doublings = min(self._doublings + 1, _DOUBLINGS_AT_MOST)
            self._counting = _AFTER_REFUSAL.get(self._counting, self._counting)
        self._throttled_at = now
        if flight.start in self._starts:  # refused, so not counted (Gorgias reference, "Rate Limits")
            self._starts.remove(flight.start)
        self._mirror.drain(now)
        self._mirror.level = max(self._mirror.level, self._limit)
        self._corrected = Corrected.UP
        self._see_others(flight.start, now, self._limit if used is None else min(used, self._limit))

    @property
    def _logging(self) -> bool:
        return self._counting in (Counting.SUSPECTED, Counting.WINDOWS)

    @property
    def _limit(self) -> int:
        """The helpdesk's limit: as its header told, and until then as we believe."""
        if self._told is not None:
            return self._told
        return self._ceiling.limit if self._ceiling else self._assumed.limit

    @property
    def _server(self) -> Rate:
        """The helpdesk's rate. A ceiling below its limit says nothing about its window, one at or above it does."""
        known = self._ceiling is not None and self._ceiling.limit >= self._limit
        return Rate(self._limit, self._ceiling.window if self._ceiling and known else self._assumed.window)

    @property
    def _stale_after(self) -> float:
        return max(self.rate.window * _STALE, _STALE_SLOTS / self.rate.per_second)

    @property
    def _margin(self) -> float:
        if self._limit == 1:
            return 0.0
        wanted = self._limit * _MARGIN * 2.0**self._doublings
        return max(1.0, min(wanted, self._limit * _MARGIN_AT_MOST))

    @property
    def _log_window(self) -> float:
        window = self.rate.window
        jitter = max(0.0, self._slowest - self._quickest) / 2
        return window + min(max(jitter, window * _SLACK_AT_LEAST), window * _SLACK_AT_MOST)

    def _retune(self) -> None:
        self._ours.leak = self.rate.per_second * self._share
        self._mirror.leak = self._server.per_second

    def _land(self, token: int, now: float) -> _Flight:
        flight = self._flights.pop(token)
        insort(self._ends, now)
        if self._limit == 1:  # no margin takes up the jitter: its place is counted from the answer on
            self._mirror.drain(now)
            self._mirror.level = max(self._mirror.level, 1.0)
        del self._ends[: bisect_left(self._ends, now - self._server.window)]
        return flight

    def _hear(self, flight: _Flight, now: float, limit: int | None) -> None:
        self._heard = now
        self._probing = False
        self._quickest = min(self._quickest, now - flight.start)
        self._slowest = max(self._slowest, now - flight.start)
        if limit is not None and limit >= 1 and limit != self._told:
            self._told = limit
            for bucket in (self._ours, self._mirror):
                bucket.drain(now)
                bucket.level = min(bucket.level, limit)
            self._retune()

    def _correct(self, start: float, now: float, used: int) -> None:
        """Fit the mirror to a count taken somewhere between `start` and `now`."""
        mirror = self._mirror
        mirror.drain(now)
        overlapping = len(self._flights) + len(self._ends) - 1 - bisect_left(self._ends, start)
        most, least = used + overlapping, used - mirror.leak * (now - start)
        self._judge(start, now, used, overlapping)
        if most < mirror.level and self._limit > 1:
            mirror.level = most
            self._doubtful = 0
            self._corrected = Corrected.DOWN
        elif least > mirror.level:  # others are sending; the count is about half a round trip old
            mirror.level = used - mirror.leak * (now - start) / 2
            self._corrected = Corrected.UP
        self._see_others(start, now, used)

    def _judge(self, start: float, now: float, used: int, overlapping: int) -> None:
        """Learn how the helpdesk counts from what the one way of counting cannot show."""
        surely = self._own(now - self._server.window) - overlapping - self._doubtful
        if used + overlapping < self._mirror.level - self._doubtful - max(2.0, self._limit * _FALL):
            self._counting = Counting.WINDOWS
        elif self._counting is not Counting.WINDOWS and self._limit / 2 <= used < surely - self._margin:
            self._counting = Counting.LEAKS

    def _see_others(self, start: float, now: float, used: int) -> None:
        """Keep what our own starts cannot explain of a count."""
        own = self._own(start - self._log_window)
        self._others = max(self._others_now(now), float(used - own))
        self._others_at = now

    def _others_now(self, now: float) -> float:
        """What others use of a window, fading over windows, since our own bursts hide it for a while."""
        return self._others * math.exp((self._others_at - now) / (self._server.window * _MEMORY))

    def _own(self, since: float) -> int:
        return len(self._starts) - bisect_left(self._starts, since)

    def _log_wait(self, now: float) -> float:
        """Seconds until the window has room for one more of ours beside what others use."""
        free = self.rate.limit * self._share
        others = self._others_now(now)
        if others >= 0.5:
            free = min(free, self._limit - self._margin - others)
        gone = bisect_right(self._starts, now - self._log_window)
        surplus = len(self._starts) - gone + 1 - math.floor(max(free, 1.0))
        return self._starts[gone + surplus - 1] + self._log_window - now if surplus > 0 else 0.0


def retry_after_seconds(text: str | None, now_utc: datetime) -> float:
    """The pause that a `Retry-After` asks for, between 1 and 300 seconds whatever it says.

    A number with a fraction is taken as it stands from 0.05 on, since scaled-down servers ask for such pauses; Gorgias
    itself sends whole seconds (Gorgias reference, "Rate Limits"). Zero and what lies in the past give 1, and what is
    missing or cannot be read gives 5: a caller that meets it again and again lets it grow by itself.
    """
    text = (text or "").strip()
    if not _NUMBER.fullmatch(text):
        return _until_date(text, now_utc)
    seconds = float(text)
    least = _PAUSE_LEAST if "." not in text or seconds < _FRACTION_LEAST else _FRACTION_LEAST
    return min(max(seconds, least), _PAUSE_MOST)


def _until_date(text: str, now_utc: datetime) -> float:
    try:
        date = parsedate_to_datetime(text)
        seconds = ((date if date.tzinfo else date.replace(tzinfo=UTC)) - now_utc).total_seconds()
    except (ValueError, TypeError, OverflowError, IndexError):
        return _PAUSE_UNKNOWN
    return min(max(seconds, _PAUSE_LEAST), _PAUSE_MOST)
