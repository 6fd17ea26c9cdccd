"""Three limits of which the longest wait wins, and what an answer teaches them.

- *ours*, a leaky bucket of our own requests. No header empties it, so a header that lies, or a ceiling below what the
  helpdesk allows, never makes us faster than the rate in force.
- *the mirror*, our picture of the helpdesk's own bucket. Each answer's header corrects it in both directions, within
  what the requests still under way leave uncertain. So other applications on the account are seen and given way to,
  and a start assumes nothing: the first request goes alone and reads the level.
- *the log*, a window of our own requests beside what others use. A mirror that leaks is misled by a helpdesk that
  counts in windows of time; a log keeps every kind of limit, and costs a bucket 2 % of its rate.

Until the helpdesk has shown how it counts, mirror and log hold both; then the one that fits. Without a header a bucket
is believed in, as it is documented. `benchmarks/pacing.py` measures what the figures below do.
"""

from __future__ import annotations

import math
from dataclasses import dataclass
from itertools import count

from bulkmsg.pacing.counts import Bucket, Log, Reading
from bulkmsg.pacing.judge import Counting, Judge
from bulkmsg.pacing.learned import Corrected, Learned
from bulkmsg.pacing.others import Others
from bulkmsg.settings import Rate

# What stays free of a bucket: 4 of 40. It takes up the jitter of the network (rate times jitter, about one request).
# With others on the account 8, for what they send between two of our answers, and more where they come in gusts.
# It costs its requests once in a run, not once a second.
_MARGIN = 0.1
_MARGIN_WITH_OTHERS = 0.2
_MARGIN_FOR_GUSTS = 2.5
_MARGIN_AT_MOST = 0.5
# As many more while it is not known how is counted, and other processes go on whose last starts may not have left: a
# bucket shows by a count below all that surely left.
_MARGIN_UNSURE_MOST = 0.25
# With nothing under way, and no word for this part of the window and for some slots, the level is unknown again.
_STALE = 0.25
_STALE_SLOTS = 3
# The log's window is longer than the helpdesk's by what two clocks may differ, with room to spare.
_DRIFT = 0.001
# In windows the requests of a fresh start go at most at twice the mean rate: a burst would come back with each window,
# and between two bursts nothing is heard of others.
_SPREAD = 0.5
# How long a request that we are only told of may be under way, in windows, as long as no answer to us took longer. Too
# short, and a count that lacks it makes the mirror stand too low; too long, and its place in a window is free too late.
_FLIGHT_UNKNOWN = 0.02
# No more often than that do we look whether others have made room.
_SOON = 0.01
# Windows in which a start obeys the log and the mirror.
_TRIAL = 2.0
# A shorter wait is rounding; a sleep of that length might not move the clock.
_TINY = 1e-6


@dataclass(frozen=True, slots=True)
class _Flight:
    """A request under way, and whether it went alone to learn the level."""

    start: float
    probe: bool


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
        self._probing = False
        self._heard = -math.inf
        self._first_read = math.inf
        self._mute = False  # the answers carry no count
        self._until = -math.inf
        self._throttled_at = -math.inf
        self._doubtful = 0  # lost since the mirror was last set right: it may stand that much too high
        self._corrected = Corrected.NOT
        self._counting_told = Counting.UNKNOWN  # to other runs, or by them
        self._log = Log()
        self._judge = Judge(self._log)
        self._ours, self._mirror = Bucket(), Bucket()
        self._others = Others(assumed.window)
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
        if share != self._share:
            self._share = share
            self._retune()

    @property
    def counting(self) -> Counting:
        return self._judge.counting

    def paused(self, now: float) -> float:
        """Seconds for which everybody is stopped by a Retry-After."""
        return max(0.0, self._until - now)

    def wait(self, now: float) -> float:
        """Seconds until the next request may start: 0.0 is now, `math.inf` is not before an answer has arrived."""
        if self._flights and (self._probing or self._limit == 1):
            return math.inf
        longest = max(self.paused(now), self._ours.wait(now, self.rate.limit * self._share))
        if self.counting is not Counting.WINDOWS:
            longest = max(longest, self._mirror.wait(now, self._limit - self._margin(now)))
        if self.counting is Counting.WINDOWS or (self.counting is Counting.UNKNOWN and self._on_trial(now)):
            longest = max(longest, self._log_wait(now))
        return longest if longest > _TINY else 0.0

    def start(self, now: float) -> int:
        """Take a slot for a request that starts now; the token names it afterwards."""
        if not self._flights and now - self._heard >= self._stale_after:
            self._probing = True
        token = next(self._tokens)
        self._flights[token] = _Flight(now, self._probing)
        self._ours.add(now)
        self._mirror.add(now)
        self._log.start(now)
        self._log.forget(now - 3 * max(self.rate.window, self._server.window))
        return token

    def note(self, start: float, *, ours: bool = True) -> None:
        """Take into account a request of ours that this pacer did not start: an earlier run's, another process's.

        Args:
            start: when it started, by the clock of all other times here. Tell the oldest first: one that comes late
                counts as if it had started at the last moment we looked.
            ours: it counts against our own ceiling and share as well, not only against the helpdesk's limit.
        """
        self._log.note(start + max(self._log.slowest, self._server.window * _FLIGHT_UNKNOWN))
        self._mirror.add(start)
        if ours:
            self._ours.add(start)

    def confirm(self, start: float) -> None:
        """A start that was noted surely left: its process went on after it. So it helps to see how is counted."""
        self._log.confirm(start)

    def learned(self, now: float) -> Learned:
        """What this pacer knows, for those of other runs on the account."""
        self._mirror.drain(now)
        self._corrected, self._counting_told = Corrected.NOT, self.counting
        log, gust = self._log, self._others.gust(now)
        level, told = self._mirror.level, self._told
        return Learned(now, level, self._heard, self._until, told, self.counting, gust, log.quickest, log.slowest)

    @property
    def untold(self) -> bool:
        """Whether an answer has taught us something since `learned` was asked for."""
        return self._corrected is not Corrected.NOT or self.counting is not self._counting_told

    def adopt(self, learned: Learned, now: float) -> None:
        """Take over what another run of ours told last, so that all have one level and one pause.

        Note the starts that it knew of before. What an answer has taught us since we told others holds beside it.
        """
        if learned.until > self._until:
            self._until = learned.until
            self._log.doubt()
        self._others.blow(now, learned.gust, self._limit)
        self._log.quickest = min(self._log.quickest, learned.quickest)
        self._log.slowest = max(self._log.slowest, learned.slowest)
        if learned.counting is not Counting.UNKNOWN and self.counting is self._counting_told:
            # all of us count alike: who keeps to a window beside one who keeps to a bucket is never let in
            self._judge.counting = self._counting_told = learned.counting
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
        self._mute = used is None
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
        flight = self._land(token, now, counted=False)
        self._hear(flight, now, limit)
        self._until = max(self._until, now + retry_after)
        first = not flight.probe and flight.start >= self._throttled_at
        if first and not self._judge.refused():
            self._others.blow(now, 2 * max(1.0, self._others.gust(now)), self._limit)
        self._throttled_at = now
        self._mirror.drain(now)
        self._mirror.level = max(self._mirror.level, self._limit)
        self._corrected = Corrected.UP
        ours = self._log.perhaps_since(flight.start - self._server.window)
        self._others.refused(now, (self._limit if used is None else min(used, self._limit)) - ours)

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

    def _margin(self, now: float) -> float:
        if self._limit == 1:
            return 0.0
        gust = self._others.gust(now)
        wanted = max(self._limit * (_MARGIN_WITH_OTHERS if gust else _MARGIN), _MARGIN_FOR_GUSTS * gust)
        if self.counting is Counting.UNKNOWN:
            wanted += min(self._log.unsure(now, self._server.window), self._limit * _MARGIN_UNSURE_MOST)
        return max(1.0, min(wanted, self._limit * _MARGIN_AT_MOST))

    def _on_trial(self, now: float) -> bool:
        """Whether it may yet be seen how is counted; after that a bucket is believed in, as it is documented."""
        return not self._mute and now < self._first_read + _TRIAL * self._server.window

    def _log_wait(self, now: float) -> float:
        """Seconds until the window has room for one more of ours beside what others use."""
        window = self.rate.window * (1 + _DRIFT)
        free = self._limit - self._others.taken(now)
        wait = self._log.wait(now, window, free)
        if wait > 0:  # perhaps others make room before we do
            missing = self._log.perhaps_since(now - window) + 1 - free
            wait = min(wait, max(_SOON, self._others.fades_in(now, missing)))
        if self.counting is Counting.UNKNOWN:
            return wait
        spread = self._log.newest + _SPREAD * self.rate.window / self.rate.limit - now
        return max(wait, spread, self._log.wait(now, window, self.rate.limit * self._share))

    def _retune(self) -> None:
        self._ours.leak = self.rate.per_second * self._share
        self._mirror.leak = self._server.per_second
        self._others.window = self._server.window

    def _land(self, token: int, now: float, *, counted: bool = True) -> _Flight:
        flight = self._flights.pop(token)
        self._log.land(flight.start, now, counted=counted)
        if self._limit == 1:  # no margin takes up the jitter: its place is counted from the answer on
            self._mirror.drain(now)
            self._mirror.level = max(self._mirror.level, 1.0)
        return flight

    def _hear(self, flight: _Flight, now: float, limit: int | None) -> None:
        self._heard = now
        self._probing = False
        self._log.time(now - flight.start)
        if limit is not None and limit >= 1 and limit != self._told:
            self._told = limit
            for bucket in (self._ours, self._mirror):
                bucket.drain(now)
                bucket.level = min(bucket.level, limit)
            self._retune()

    def _correct(self, start: float, now: float, used: int) -> None:
        """Fit what we believe to a count taken somewhere between `start` and `now`."""
        if self._judge.outdated(start, now):
            return
        self._first_read = min(self._first_read, now)
        mirror, anew = self._mirror, self._judge.anew
        mirror.drain(now)
        reading = self._log.read(start, now, used, self._server.window, anew, self._doubtful)
        window = self._server.window
        self._judge.hear(reading, self._limit, mirror.leak, mirror.level, self._doubtful, window)
        if self._judge.anew != anew:
            self._others.window_ended()
        rise = self._set_mirror(reading)
        self._others.see(reading, self._limit, rise if self.counting is Counting.LEAKS else None)

    def _set_mirror(self, reading: Reading) -> float:
        """Correct the mirror where it shows what cannot be; how far it surely had to rise, which others have done."""
        mirror, before = self._mirror, self._mirror.level
        most, least = reading.used + reading.overlapping, reading.used - mirror.leak * reading.age
        if most < before and self._limit > 1:
            mirror.level, self._doubtful = most, 0
            self._corrected = Corrected.DOWN
        elif least > before:
            mirror.level = (reading.used + least) / 2  # the count is about half a round trip old
            self._corrected = Corrected.UP
            return least - before
        return 0.0
