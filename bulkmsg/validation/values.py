"""What single values must look like beyond their schema: dates, addresses, channels, texts. Pure functions."""

from __future__ import annotations

import re
from collections.abc import Callable, Iterator
from datetime import UTC, datetime, timedelta
from difflib import get_close_matches
from enum import Enum
from functools import lru_cache
from zoneinfo import ZoneInfo

from bulkmsg.source import Json, Path

# Gorgias reference, "Create a message": the 21 channels that need no registration.
# fmt: off
CHANNELS = frozenset([
    "aircall", "api", "chat", "contact_form", "email", "facebook", "facebook-mention", "facebook-messenger",
    "facebook-recommendations", "help-center", "instagram-ad-comment", "instagram-comment",
    "instagram-direct-message", "instagram-mention", "internal-note", "phone", "sms", "twitter",
    "twitter-direct-message", "whatsapp", "yotpo-review",
])
# fmt: on
MESSAGE_DATES = ("sent_datetime", "created_datetime", "opened_datetime")
TICKET_DATES = (
    "created_datetime",
    "updated_datetime",
    "opened_datetime",
    "closed_datetime",
    "trashed_datetime",
    "snooze_datetime",
    "last_message_datetime",
    "last_received_message_datetime",
)
# Gorgias changelog, "Limit ticket message body size to 1MB"; whether MB is decimal is not said: the smaller one.
BODY_BYTES = 1_000_000
# No helpdesk history is older; spreadsheets write an empty date as 1899 or 1900, and a zero timestamp is 1970.
_OLDEST_YEAR = 1990

_DATE = re.compile(
    r"([0-9]{4}-[0-9]{2}-[0-9]{2})[Tt ]([0-9]{2}:[0-9]{2}:[0-9]{2})(\.[0-9]{1,9})?([Zz]|[+-][0-9]{2}:[0-9]{2})?"
)
_ADDRESS_CHAR = r"[^\s@\x00-\x1f\x7f-\x9f\u200e\u200f\u202a-\u202e\u2066-\u2069]"
_ADDRESS = re.compile(f"{_ADDRESS_CHAR}+@{_ADDRESS_CHAR}+")
_CONTROL = re.compile(r"[\x00-\x1f\x7f-\x9f]")
_NAME_IN_BRACES = re.compile(r"\{\{\s*[\w.-]{1,40}\s*\}\}|%\w+%")
_PLACEHOLDER = re.compile(r"\{\{\s*[^{}\n]{1,80}\}\}|%[A-Z][A-Z_]{2,40}%")


class DateTrouble(Enum):
    """Why a text is no usable date."""

    FORM = "is not a date and time like 2021-03-01T10:00:00Z"
    CALENDAR = "does not exist in the calendar"
    ZONE = "has no time zone"
    SKIPPED = "does not exist in that time zone: the clock was put forward over it"
    ANCIENT = "is too long ago to be true"


def utc(text: str, zone: ZoneInfo | None) -> tuple[str, DateTrouble | None, bool]:
    """A date as it leaves: RFC 3339 in UTC with `Z`, keeping its fraction of a second.

    Args:
        text: RFC 3339; without an offset it is read in `zone`.

    Returns:
        the date, why it is none (then the text is unchanged), and whether a clock change doubled it (the first is
        taken).
    """
    match = _DATE.fullmatch(text)
    if match is None:
        return text, DateTrouble.FORM, False
    day, time, fraction, offset = match.groups()
    if time[:2] == "24":  # ISO 8601 has it, RFC 3339 has not; newer Pythons would take it
        return text, DateTrouble.CALENDAR, False
    if offset is None and zone is None:
        return text, DateTrouble.ZONE, False
    try:
        moment = datetime.fromisoformat(text[:19])
        if moment.year < _OLDEST_YEAR:
            return text, DateTrouble.ANCIENT, False
        if offset is None:
            return _local(moment, fraction or "", zone)
        if offset == "Z" and text[10] == "T":
            return text, None, False
        if offset in "Zz":
            return f"{day}T{time}{fraction or ''}Z", None, False
        moment = datetime.fromisoformat(f"{day}T{time}{offset}").astimezone(UTC)
    except (ValueError, OverflowError):
        return text, DateTrouble.CALENDAR, False
    return f"{moment:%Y-%m-%dT%H:%M:%S}{fraction or ''}Z", None, False


def _local(moment: datetime, fraction: str, zone: ZoneInfo | None) -> tuple[str, DateTrouble | None, bool]:
    first = moment.replace(tzinfo=zone, fold=0).astimezone(UTC)
    second = moment.replace(tzinfo=zone, fold=1).astimezone(UTC)
    if first.astimezone(zone).replace(tzinfo=None) != moment:
        return moment.isoformat(), DateTrouble.SKIPPED, False
    return f"{first:%Y-%m-%dT%H:%M:%S}{fraction}Z", None, second != first


def tomorrow(now: datetime) -> str:
    """The text after which a `sent_datetime` lies more than a day in the future."""
    return f"{now.astimezone(UTC) + timedelta(days=1):%Y-%m-%dT%H:%M:%S}Z"


def is_address(text: str) -> bool:
    """One @, no blanks, no control characters or direction overrides, at most 320 characters."""
    return len(text) <= 320 and _has_address_form(text)


@lru_cache(maxsize=1024)  # a message names the same address in several fields, and support's own is in all of them
def _has_address_form(text: str) -> bool:
    return _ADDRESS.fullmatch(text) is not None


def channel_trouble(channel: str) -> str | None:
    """The channel that was meant, when this one differs from a known one only by case or a letter or two."""
    if channel in CHANNELS:
        return None
    folded = channel.strip().lower().replace(" ", "-")
    for candidate in (folded, folded.replace("-", "_"), folded.replace("_", "-")):
        if candidate in CHANNELS:
            return candidate
    close = get_close_matches(folded, CHANNELS, 1, cutoff=0.75)
    return close[0] if close and _distance(folded, close[0]) <= 2 else None


def _distance(left: str, right: str) -> int:
    row = list(range(len(right) + 1))
    for i, a in enumerate(left, 1):
        previous, row[0] = row[0], i
        for j, b in enumerate(right, 1):
            previous, row[j] = row[j], min(row[j] + 1, row[j - 1] + 1, previous + (a != b))
    return row[-1]


def has_control(text: str) -> bool:
    return not text.isprintable() and _CONTROL.search(text) is not None


def placeholder_in(text: str) -> str | None:
    """A placeholder that was never filled in, as it stands in the text; "" for one that is more than a name."""
    if "{{" not in text and "%" not in text:
        return None
    match = _PLACEHOLDER.search(text)
    if match is None:
        return None
    return match.group() if _NAME_IN_BRACES.fullmatch(match.group()) else ""


def too_many_bytes(text: str) -> bool:
    """Whether a body is over the limit; only a text that could be is encoded to count."""
    return len(text) * 4 > BODY_BYTES and len(text.encode()) > BODY_BYTES


def texts(value: Json, path: Path = ()) -> Iterator[tuple[Path, str]]:
    """All text values below a value, names of fields included, with their paths."""
    if isinstance(value, str):
        yield path, value
    elif isinstance(value, dict):
        for name, item in value.items():
            yield (*path, name), name
            yield from texts(item, (*path, name))
    elif isinstance(value, list):
        for index, item in enumerate(value):
            yield from texts(item, (*path, index))


def any_text(value: Json, test: Callable[[str], bool]) -> bool:
    """Whether `test` holds for one of the same texts; the quick question before `texts` says where."""
    if isinstance(value, str):
        return test(value)
    if isinstance(value, dict):
        for name, item in value.items():
            if test(name) or any_text(item, test):
                return True
    elif isinstance(value, list):
        for item in value:
            if any_text(item, test):
                return True
    return False


def quotable(text: str) -> str:
    """A text in quotes as a message may show it: "" for one that is long, or could be somebody's address or words."""
    return repr(text) if len(text) <= 40 and "@" not in text and text.count(" ") < 3 else ""


# What keys to other services look like; headers of e-mails hold signatures and tokens of links, which are none.
_LIKE_A_KEY = re.compile(
    r"\b[srp]k_(?:live|test)_[0-9A-Za-z]{16,}|\bAKIA[0-9A-Z]{16}\b|\bgh[pousr]_[0-9A-Za-z]{36}|\bgithub_pat_\w{40}"
    r"|\bxox[abeoprs]-[0-9A-Za-z-]{10,}|\bAIza[0-9A-Za-z_-]{35}|\bsk-[0-9A-Za-z_-]{32,}"
    r"|-----BEGIN [A-Z ]*PRIVATE KEY-----|(?i:\b(?:bearer|basic) )[0-9A-Za-z+/=_.-]{24,}"
)


def like_a_key(text: str) -> bool:
    """Whether a text holds something like a secret key of some service."""
    return len(text) >= 16 and _LIKE_A_KEY.search(text) is not None
