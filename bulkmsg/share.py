"""The part of an account's limit that a run may use, always or by a timetable: values and arithmetic, no clock."""

from __future__ import annotations

import re
from collections.abc import Iterator
from dataclasses import dataclass
from datetime import UTC, datetime, time, timedelta, tzinfo
from zoneinfo import ZoneInfo, ZoneInfoNotFoundError

from bulkmsg.errors import UsageError
from bulkmsg.settings import Rate

_CLOCK = r"([01]?\d|2[0-3]):([0-5]\d)|24:00"
_SPAN = re.compile(rf"(?P<start>{_CLOCK})\s*-\s*(?P<end>{_CLOCK})")
_PERCENT = re.compile(r"(\d{1,3}(?:\.\d+)?)\s*%")
_DAY = 24 * 60
_HINT = 'write it like 60%, or as a timetable: "08:00-18:00=40%, *=95%"'


@dataclass(frozen=True, slots=True)
class Span:
    """A part of each day, in minutes since midnight. One that ends before it starts goes over midnight."""

    start: int
    end: int
    part: float

    def holds(self, minute: int) -> bool:
        if self.start < self.end:
            return self.start <= minute < self.end
        return minute >= self.start or minute < self.end

    def meets(self, other: Span) -> bool:
        return self.holds(other.start) or other.holds(self.start)

    def __str__(self) -> str:
        return f"{_clock(self.start)}-{_clock(self.end)}={self.part * 100:g}%"


@dataclass(frozen=True, slots=True)
class Share:
    """Which part of the limit is ours at which time of day.

    Args:
        rest: the part, between 0 and 1, outside of all spans. The spans do not overlap.
        zone: whose time of day is meant; None for the machine's own.
    """

    rest: float = 1.0
    spans: tuple[Span, ...] = ()
    zone: tzinfo | None = None

    def at(self, moment: datetime) -> float:
        """The part at a moment, which has a zone."""
        if not self.spans:
            return self.rest
        local = moment.astimezone(self.zone)
        minute = local.hour * 60 + local.minute
        return next((span.part for span in self.spans if span.holds(minute)), self.rest)

    def next_change(self, moment: datetime) -> datetime | None:
        """When the part changes next, in UTC; None for never."""
        now = self.at(moment)
        changes = (edge for edge in self._edges(moment) if edge > moment and self.at(edge) != now)
        return min(changes, default=None)

    def _edges(self, moment: datetime) -> Iterator[datetime]:
        """All starts and ends from yesterday on, of a doubled hour both. A change may be two days away."""
        today = moment.astimezone(self.zone).date()
        for days in range(-1, 4):
            midnight = datetime.combine(today + timedelta(days), time())
            for minute in {edge for span in self.spans for edge in (span.start, span.end)}:
                for fold in (0, 1):
                    wall = (midnight + timedelta(minutes=minute)).replace(fold=fold, tzinfo=self.zone)
                    yield wall.astimezone(UTC)

    def __str__(self) -> str:
        if not self.spans:
            return f"{self.rest * 100:g}%"
        zone = [str(self.zone)] if self.zone is not None else []
        return ", ".join([*map(str, self.spans), f"*={self.rest * 100:g}%", *zone])


ALL = Share()


def parse_share(text: str) -> Share:
    """A share from `60%` or `08:00-18:00=40%, *=95%, Europe/Berlin`.

    Without `*` the rest of the day is 100 %, without a zone the machine's own counts, as it does for `--stop-at`.

    Raises:
        UsageError: the text is neither, a part is not above 0 and at most 100 %, or two spans overlap.
    """
    items = [item.strip() for item in text.split(",")]
    if len(items) == 1 and "=" not in text:
        return Share(_part(items[0], text))
    zone = None if "=" in items[-1] else _zone(items.pop(), text)
    rest: float | None = None
    spans: list[Span] = []
    for item in items:
        name, _, percent = (part.strip() for part in item.partition("="))
        if name != "*":
            spans.append(_span(name, _part(percent, text), text))
        elif rest is None:
            rest = _part(percent, text)
        else:
            raise UsageError(f"the share {text!r} gives * twice", "say once what counts for the rest of the day")
    _refuse_overlaps(spans)
    return Share(1.0 if rest is None else rest, tuple(spans), zone)


def _part(percent: str, text: str) -> float:
    match = _PERCENT.fullmatch(percent)
    if match is None:
        raise UsageError(f"{text!r} is no share", _HINT)
    part = float(match.group(1)) / 100
    if part == 0:
        raise UsageError(
            f"the share {text!r} would send nothing for a time",
            "give 1% or more; to stop at a time of day use --stop-at: the same command goes on later",
        )
    if part > 1:
        raise UsageError(f"the share {text!r} is more than there is", "give 100% at most")
    return part


def _span(name: str, part: float, text: str) -> Span:
    match = _SPAN.fullmatch(name)
    if match is None:
        raise UsageError(f"{name!r} in the share {text!r} is no part of a day", _HINT)
    start, end = (_minutes(match.group(edge)) for edge in ("start", "end"))
    if start % _DAY == end % _DAY:
        raise UsageError(f"{name!r} in the share {text!r} does not say how long", "for the whole day write * instead")
    return Span(start % _DAY, end, part)


def _minutes(clock: str) -> int:
    hours, minutes = clock.split(":")
    return int(hours) * 60 + int(minutes)


def _clock(minute: int) -> str:
    return f"{minute // 60:02}:{minute % 60:02}"


def _zone(name: str, text: str) -> tzinfo:
    try:
        return ZoneInfo(name)
    except (ZoneInfoNotFoundError, ValueError, OSError):
        raise UsageError(
            f"{name!r} in the share {text!r} is neither a part of a day nor a time zone",
            'the zone stands last, as in "08:00-18:00=40%, *=95%, Europe/Berlin"',
        ) from None


def _refuse_overlaps(spans: list[Span]) -> None:
    for place, span in enumerate(spans):
        for other in spans[:place]:
            if span.meets(other):
                raise UsageError(f"{other} and {span} overlap", "let one end where the other begins")


def seconds_under(requests: float, rate: Rate, share: Share, now: datetime) -> float:
    """How long requests take from a moment on, by the law of a leaky bucket of which a part is ours.

    At any time as many have started as leaked out of our part so far, and as fit into our part at that time.

    Args:
        rate: the limit of which the share is a part.
        now: the moment of the first one, with a zone.
    """
    leaked, at = 0.0, now
    while True:
        part, change = share.at(at), share.next_change(at)
        missing = max(0.0, requests - rate.limit * part - leaked)
        seconds = missing / (rate.per_second * part)
        if change is None or seconds <= (change - at).total_seconds():
            return (at - now).total_seconds() + seconds
        leaked += (change - at).total_seconds() * rate.per_second * part
        at = change
