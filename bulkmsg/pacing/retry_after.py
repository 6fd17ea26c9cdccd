"""The pause that a `Retry-After` asks for, in every flavour that servers send."""

from __future__ import annotations

import re
from datetime import UTC, datetime
from email.utils import parsedate_to_datetime

_NUMBER = re.compile(r"[+-]?[0-9]+(\.[0-9]*)?|[+-]?\.[0-9]+")
_PAUSE_UNKNOWN = 5.0
_PAUSE_LEAST, _PAUSE_MOST = 1.0, 300.0
_FRACTION_LEAST = 0.05


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
