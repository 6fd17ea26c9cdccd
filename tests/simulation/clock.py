"""The wall clock of a simulation: it goes with the loop's."""

from __future__ import annotations

from datetime import UTC, datetime, timedelta

_BEGIN = datetime(2026, 3, 1, 10, tzinfo=UTC)


def moment(now: float) -> datetime:
    """The wall clock when the loop shows `now`; a virtual loop begins at 1000."""
    return _BEGIN + timedelta(seconds=now - 1000.0)
