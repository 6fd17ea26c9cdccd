"""Points in time on both clocks, and times as the helpdesk writes them."""

from dataclasses import dataclass
from datetime import UTC, datetime, timedelta

from bulkmsg.sandbox.checks import moment
from bulkmsg.sandbox.wire import Json


@dataclass(frozen=True, slots=True)
class Moment:
    """One point in time: monotonic for lags and order, wall for what responses show."""

    mono: float
    wall: datetime

    @property
    def stamp(self) -> str:
        return stamp(self.wall)

    def later(self, seconds: float) -> "Moment":
        return Moment(self.mono + seconds, self.wall + timedelta(seconds=seconds))


def stamp(value: datetime) -> str:
    """As responses show times: microseconds and +00:00. Texts of this form sort like the times they mean."""
    return value.astimezone(UTC).isoformat(timespec="microseconds")


def given(data: Json, name: str) -> str | None:
    """A time of the request, normalised; None when absent, null or empty."""
    value = moment(data[name]) if data.get(name) else None
    return stamp(value) if value else None
