"""What the runs of one account on one machine tell each other: whose request started when, and whose turn it is.

Arithmetic on values, told the time by the one clock that all processes of a machine share. Where it is kept is no
matter of this module; what was kept is believed only as far as it makes sense.
"""

from __future__ import annotations

import math
from dataclasses import dataclass, field

from bulkmsg import json_text
from bulkmsg.pacing import Counting, Learned, Pacer
from bulkmsg.source import Json

_VERSION = 1
# Starts that are kept: those of a window and a quarter, as the longest limit counts them.
_WINDOWS_KEPT = 1.25
_STARTS_MOST = 1000
_RUN_MOST = 32  # characters of a run's name
_PAUSE_MOST = 300.0  # as `pacing.retry_after_seconds` has it
_LIMIT_MOST = 1_000_000
_ANSWER_MOST = 600.0  # seconds that an answer may have taken
# Times are kept to the microsecond, and no two starts of a run have the same, so that each is counted once.
_DIGITS, _APART = 6, 1e-6
# What is further ahead comes from another boot, or is no time at all.
_AHEAD = 0.01
# How long a run that had its turn leaves a free slot to each run that waits longer, in slots: above the jitter of two
# processes that wake for the same slot, and too short to be missed. A bucket leaks on meanwhile, so no rate is lost.
_COURTESY = 0.125
_COURTESY_MOST = 0.5
# A run that takes another slot so many seconds after one was alive to send what it took that one for.
_LEFT_WITHIN = 1.0
# A shorter wait is rounding, and the slot is free: whoever takes it must say so.
_TINY = 1e-6


@dataclass(frozen=True, slots=True)
class Common:
    """What the runs have told each other.

    Args:
        starts: when which run started a request, the oldest first.
        allowed: requests a second that each of these runs may make by its own `--rate` and `--share`.
        queued: runs that wait for a turn and have no start here, and when they said so.
        learned: what the run that came last knew of the account.
    """

    starts: tuple[tuple[float, str], ...] = ()
    allowed: dict[str, float] = field(default_factory=dict)
    queued: dict[str, float] = field(default_factory=dict)
    learned: Learned | None = None


class Company:
    """One run among those of its account.

    Args:
        pacer: hears of the others' requests here.
        run: the name of this run, unlike any other's.
    """

    def __init__(self, pacer: Pacer, run: str) -> None:
        self._pacer = pacer
        self._run = run
        self._noted: dict[str, float] = {}  # the newest start of each run that the pacer was told of
        self._sure: dict[str, float] = {}  # the newest of each run that surely left
        self._common = Common()
        self._kept = b""
        self._due = -math.inf
        self._last = 0.0

    def hear(self, kept: bytes, now: float) -> None:
        """Tell the pacer what others did since we listened last."""
        if kept == self._kept:
            return
        self._kept = kept
        self._common = read(kept, now)
        mine = self._allowed
        for at, run in self._common.starts:
            if run != self._run and at > self._noted.get(run, -math.inf):
                # A run that may go faster than this one would starve it, if all it does counted against our ceiling.
                self._pacer.note(min(at, now), ours=self._common.allowed.get(run, math.inf) <= mine)
                self._noted[run] = at
        for at, run in self._common.starts:
            if run != self._run and self._sure.get(run, -math.inf) < at < self._noted[run] - _LEFT_WITHIN:
                self._pacer.confirm(at)
                self._sure[run] = at
        if self._common.learned is not None:
            self._pacer.adopt(self._common.learned, now)

    def expect(self, wait: float, now: float) -> None:
        """The next slot is free for all of us in `wait` seconds; infinity is nothing to queue for."""
        if wait > 0:
            self._due = now + wait if wait < math.inf else -math.inf

    @property
    def has_news(self) -> bool:
        """Whether the others should hear of us although no slot is free: of a corrected level, or that we wait."""
        queued = self._run in self._common.queued or any(run == self._run for _, run in self._common.starts)
        return self._pacer.untold or (self._due > -math.inf and not queued)

    def claim(self, wait: float, now: float) -> tuple[float, bytes | None]:
        """Take the slot, or hear how long to wait; with it comes what the others must know, if anything.

        Args:
            wait: what the pacer says, after `hear`.
        """
        if wait > 0:
            self.expect(wait, now)
            return wait, self.told(now) if self.has_news else None
        left = self._due + self._courtesy(now) - now
        if left > _TINY:
            return left, None
        self._due = -math.inf
        self._last = max(round(now, _DIGITS), round(self._last + _APART, _DIGITS))
        return 0.0, self.told(now, ((self._last, self._run),))

    def told(self, now: float, new: tuple[tuple[float, str], ...] = ()) -> bytes:
        """What we all know now, with these new starts of ours."""
        known = self._pacer.learned(now)
        before = self._common
        oldest = now - self._pacer.rate.window * _WINDOWS_KEPT
        starts = (*(each for each in before.starts if each[0] > oldest), *new)[-_STARTS_MOST:]
        queued = {run: at for run, at in before.queued.items() if at > oldest} | {self._run: now}
        for _, run in starts:
            queued.pop(run, None)
        runs = {run for _, run in starts} | set(queued)
        allowed = {run: rate for run, rate in before.allowed.items() if run in runs} | {self._run: self._allowed}
        self._common = Common(starts, allowed, queued, known)
        self._kept = write(self._common, known.level + len(new))
        return self._kept

    @property
    def _allowed(self) -> float:
        return self._pacer.rate.per_second * self._pacer.share

    def _courtesy(self, now: float) -> float:
        """Seconds that a free slot is left to runs that had their last turn before us, or none yet."""
        recent = now - self._pacer.rate.window
        last = {run: -math.inf for run, at in self._common.queued.items() if at > recent}
        last |= {run: at for at, run in self._common.starts if at > recent}
        own = last.get(self._run, -math.inf)
        before = sum(at < own for at in last.values())
        return min(before * _COURTESY, _COURTESY_MOST) / self._pacer.rate.per_second


def write(common: Common, level: float) -> bytes:
    """The form in which it is kept; `level` is that of the bucket with the newest start in it."""
    known = common.learned
    told: dict[str, Json] = {}
    if known is not None:
        told = {
            "at": round(known.at, _DIGITS),
            "level": round(level, 3),
            "heard": _finite(known.heard),
            "until": _finite(known.until),
            "limit": known.limit if (known.limit or 0) <= _LIMIT_MOST else None,
            "counting": known.counting.value,
            "gust": round(known.gust, 3),
            "quickest": _finite(known.quickest),
            "slowest": min(known.slowest, _ANSWER_MOST),
        }
    starts = [[at, run] for at, run in common.starts]
    whole = {"starts": starts, "allowed": common.allowed, "queued": common.queued, "learned": told}
    return json_text.dumps({"v": _VERSION, **whole})


def read(kept: bytes, now: float) -> Common:
    """What was kept, as far as it makes sense; anything else is as if nothing had been kept."""
    try:
        whole = json_text.loads(kept) if kept else {}
        if not isinstance(whole, dict) or whole.get("v") != _VERSION:
            return Common()
        starts = tuple(sorted(_start(each, now) for each in whole["starts"][-_STARTS_MOST:]))
        allowed = {_name(run): _number(rate, 0.0, math.inf) for run, rate in whole["allowed"].items()}
        queued = {_name(run): _past(at, now) for run, at in whole["queued"].items()}
        return Common(starts, allowed, queued, _learned(whole["learned"], now))
    except (ValueError, TypeError, KeyError, AttributeError):  # JSONDecodeError is a ValueError
        return Common()


def _start(value: Json, now: float) -> tuple[float, str]:
    at, run = value
    return _number(at, -math.inf, now + _AHEAD), _name(run)


def _learned(value: Json, now: float) -> Learned | None:
    if not value:
        return None
    limit = value["limit"]
    return Learned(
        _past(value["at"], now),
        _number(value["level"], 0.0, 2 * _LIMIT_MOST),
        -math.inf if value["heard"] is None else _past(value["heard"], now),
        -math.inf if value["until"] is None else _number(value["until"], -math.inf, now + _PAUSE_MOST + _AHEAD),
        None if limit is None else int(_number(limit, 1, _LIMIT_MOST)),
        Counting(value["counting"]),
        _number(value["gust"], 0.0, _LIMIT_MOST),
        math.inf if value["quickest"] is None else _number(value["quickest"], 0.0, math.inf),
        _number(value["slowest"], 0.0, _ANSWER_MOST),
    )


def _past(value: Json, now: float) -> float:
    return min(_number(value, -math.inf, now + _AHEAD), now)


def _number(value: Json, least: float, most: float) -> float:
    if isinstance(value, bool) or not isinstance(value, int | float) or not least <= value <= most:
        raise ValueError(f"{value!r} is out of its bounds")
    return float(value)


def _name(value: Json) -> str:
    if not isinstance(value, str) or not 1 <= len(value) <= _RUN_MOST:
        raise ValueError("no name of a run")
    return value


def _finite(value: float) -> float | None:
    return round(value, _DIGITS) if math.isfinite(value) else None
