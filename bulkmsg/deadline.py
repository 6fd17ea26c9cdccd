"""Until when a run may go on: lengths of time and times of day as users give them, and what they mean for it. Pure."""

from __future__ import annotations

import re
from dataclasses import dataclass
from datetime import UTC, datetime, time, timedelta, tzinfo

from bulkmsg.errors import UsageError
from bulkmsg.settings import parse_duration

_CLOCK = re.compile(r"([01]?\d|2[0-3]):([0-5]\d)")
_DATED = re.compile(r"\d{4}-\d\d-\d\d[T ]\d\d:\d\d(?::\d\d)?(?:Z|[+-]\d\d:\d\d)?")
_YEAR = 366 * 86_400.0


@dataclass(frozen=True, slots=True)
class Stretch:
    """A length of time as the user gave it."""

    seconds: float
    text: str

    def __str__(self) -> str:
        return self.text


def parse_stretch(text: str) -> Stretch:
    """A length of time above zero, such as `2h`.

    Raises:
        UsageError: it is none, or longer than a year.
    """
    seconds = parse_duration(text)
    if not 0 < seconds <= _YEAR:
        raise UsageError(f"{text} is no time to run for", "give something between a moment and a year, like 2h")
    return Stretch(seconds, text)


@dataclass(frozen=True, slots=True)
class Moment:
    """A moment as the user gave it; `at` has a zone."""

    at: datetime
    text: str

    def __str__(self) -> str:
        return self.text


def parse_stop_at(text: str, now: datetime, zone: tzinfo | None = None) -> Moment:
    """The next `18:00`, or a date with a time, such as `2026-11-22T18:00` (`Z` or an offset may follow).

    Args:
        now: the present moment, with a zone.
        zone: in which a time without one is meant; None for the machine's own.

    Raises:
        UsageError: the text is neither, or that moment is over.
    """
    clock = _CLOCK.fullmatch(text)
    if clock is not None:
        return Moment(_next(time(int(clock.group(1)), int(clock.group(2))), now, zone), text)
    at = _dated(text, zone)
    if at <= now:
        raise UsageError(f"{text} is over already", "give a moment that is still to come, or a time of day like 18:00")
    return Moment(at, text)


def _dated(text: str, zone: tzinfo | None) -> datetime:
    try:
        given = datetime.fromisoformat(text) if _DATED.fullmatch(text) else None
    except ValueError:
        given = None
    if given is None:
        raise UsageError(f"{text!r} is no time", "write it like 18:00, or with its date like 2026-11-22T18:00")
    return given.astimezone(UTC) if given.tzinfo is not None else _in_zone(given, zone)


def _next(clock: time, now: datetime, zone: tzinfo | None) -> datetime:
    """The clock's next occurrence: tomorrow's, if today's is over."""
    today = now.astimezone(zone).date()
    places = (datetime.combine(today + timedelta(days), clock) for days in range(3))
    # A night that puts the clocks back brings an hour twice; fold tells the second.
    moments = (_in_zone(naive.replace(fold=fold), zone) for naive in places for fold in (0, 1))
    return next(at for at in moments if at > now)


def _in_zone(naive: datetime, zone: tzinfo | None) -> datetime:
    # A time that a clock change skips is read with the offset before it, so it is as long after that hour began.
    return (naive.astimezone() if zone is None else naive.replace(tzinfo=zone)).astimezone(UTC)


@dataclass(frozen=True, slots=True)
class Deadline:
    """From when on nothing may start.

    Args:
        at: seconds on the loop's clock, which no change of the wall clock moves.
        moment: where the user gave one. The loop's clock may stand while the machine sleeps, so that the wall clock
            is asked as well.
    """

    at: float
    reason: str
    moment: datetime | None = None

    def is_over(self, now: float, wall: datetime) -> bool:
        return now >= self.at or (self.moment is not None and wall >= self.moment)


def deadlines(began: float, wall: datetime, longest: Stretch | None, stop_at: Moment | None) -> tuple[Deadline, ...]:
    """What `--max-duration` and `--stop-at` mean for a run that begins now; the earlier of both ends it.

    Args:
        began: the loop's clock. wall: the wall clock at the same time, with a zone.
    """
    found = []
    if longest is not None:
        found.append(Deadline(began + longest.seconds, f"--max-duration {longest} is over"))
    if stop_at is not None:
        left = (stop_at.at - wall).total_seconds()
        found.append(Deadline(began + left, f"--stop-at {stop_at} has come", stop_at.at))
    return tuple(found)
