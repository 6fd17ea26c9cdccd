"""Times of other helpdesks as this one takes them: UTC with a Z, and strictly one after the other inside a ticket."""

from __future__ import annotations

from dataclasses import dataclass
from datetime import UTC, datetime, timedelta

from bulkmsg.validation import values

_STEP = timedelta(milliseconds=1)


def utc(text: str) -> str | None:
    """A time in UTC with `Z` and at most milliseconds; None for what is no time, has no zone, or cannot be true."""
    found, trouble, _ = values.utc(text, None)
    if trouble is not None:
        return None
    if len(found) == 20:
        return found
    fraction = found[20:-1][:3].ljust(3, "0")
    return f"{found[:19]}.{fraction}Z" if fraction != "000" else f"{found[:19]}Z"


@dataclass(slots=True)
class Times:
    """Keeps equal times of a ticket in their order, by a millisecond each: the helpdesk orders by time alone."""

    _last: str = ""

    def after(self, time: str) -> str:
        """The time itself, or the first millisecond after the one before."""
        if self._last and time[:-1] <= self._last[:-1]:
            later = datetime.fromisoformat(self._last) + _STEP
            time = f"{later.astimezone(UTC):%Y-%m-%dT%H:%M:%S}.{later.microsecond // 1000:03}Z"
        self._last = time
        return time
