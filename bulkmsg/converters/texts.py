"""Small readers of values that sources share: ids, times, addresses, links, HTML that is to be a line of text."""

from __future__ import annotations

import base64
import html
import re
from collections.abc import Iterator
from datetime import UTC, datetime
from email.utils import getaddresses
from urllib.parse import parse_qs, urlsplit

from bulkmsg.converters.words import Address
from bulkmsg.source import Json
from bulkmsg.validation.values import is_address

_TAG = re.compile(r"<[^<>]*>")
_BREAK = re.compile(r"<(?:br|/p|/div|/li|/h[1-6]|/tr)\b[^<>]*>", re.IGNORECASE)
_BLANKS = re.compile(r"\s+")
_VISIBLE_TAG = re.compile(r"<(?:img|video|audio|iframe)\b", re.IGNORECASE)
_CONTROLS = re.compile(r"[\x00-\x1f\x7f-\x9f]+")
_SLASHED = re.compile(r"(\d{4})/(\d{2})/(\d{2}) (\d{2}:\d{2}:\d{2}) ?([+-]\d{2}):?(\d{2})")
_MILLISECONDS = 10**11  # numbers above are no seconds


def id_text(value: Json) -> str:
    """An id as text, "" for none; a float that is whole (a careless dump) loses its point."""
    if value is None or isinstance(value, bool):
        return ""
    if isinstance(value, float) and value.is_integer():
        return str(int(value))
    return str(value).strip()


def time_text(value: Json) -> str:
    """A time as RFC 3339: texts stay as they are, old slashed ones are turned, numbers are epoch seconds or, above
    10^11, milliseconds. "" for what is no time.
    """
    if isinstance(value, str):
        old = _SLASHED.fullmatch(value.strip())
        if old:
            year, month, day, clock, hours, minutes = old.groups()
            return f"{year}-{month}-{day}T{clock}{hours}:{minutes}"
        return value.strip()
    if isinstance(value, bool) or not isinstance(value, int | float):
        return ""
    seconds = value / 1000 if value > _MILLISECONDS else value
    try:
        read = datetime.fromtimestamp(seconds, UTC)
    except (ValueError, OverflowError, OSError):
        return ""
    fraction = f".{read.microsecond // 1000:03}" if read.microsecond >= 1000 else ""
    return f"{read:%Y-%m-%dT%H:%M:%S}{fraction}Z"


def flag(value: Json) -> bool | None:
    """Yes or no, also where a dump writes 1 or "true"; None for what is neither. A private note depends on it."""
    if isinstance(value, bool):
        return value
    word = str(value).strip().lower() if isinstance(value, int | str) else ""
    return True if word in ("true", "1") else False if word in ("false", "0") else None


def one_line(text: Json) -> str:
    """A text without control characters and line breaks, for subjects and names."""
    return _BLANKS.sub(" ", _CONTROLS.sub(" ", text)).strip() if isinstance(text, str) else ""


def text(value: Json) -> str:
    return value if isinstance(value, str) else ""


def items(value: Json) -> list[dict[str, Json]]:
    """The objects in a list; [] for what is none, since dumps write null for an empty list."""
    return [each for each in value if isinstance(each, dict)] if isinstance(value, list) else []


def mapping(value: Json) -> dict[str, Json]:
    return value if isinstance(value, dict) else {}


def addresses(value: Json) -> tuple[Address, ...]:
    """Addresses out of a text or a list of texts, `"Name" <address>` too; what is no address is left out."""
    listed = value if isinstance(value, list) else [value]
    words = [each for each in listed if isinstance(each, str)]
    found = getaddresses([one_line(each) for each in words])
    return unique(Address(address.strip(), one_line(name)) for name, address in found if is_address(address.strip()))


def unique(found: Iterator[Address] | tuple[Address, ...]) -> tuple[Address, ...]:
    """Each address once, compared without case."""
    kept: dict[str, Address] = {}
    for each in found:
        kept.setdefault(each.address.lower(), each)
    return tuple(kept.values())


def flattened(markup: str) -> str:
    """One line of text out of HTML that a source wraps a subject in."""
    return one_line(html.unescape(_TAG.sub("", _BREAK.sub(" ", markup))))


def is_empty(markup: str) -> bool:
    """Whether HTML shows nothing: no words and no picture."""
    if _VISIBLE_TAG.search(markup):
        return False
    return not html.unescape(_TAG.sub("", markup)).strip(" \t\r\n\xa0\u200b\ufeff")


_EXPIRING = frozenset({"x-amz-expires", "x-goog-expires", "expires"})
_SIGNED_TOKEN = re.compile(r"eyJ[\w-]+\.(eyJ[\w-]+)\.")


def is_short_lived(url: str) -> bool:
    """Whether a link says of itself that it expires: a signed address of a file store, or a token with a date."""
    try:
        query = parse_qs(urlsplit(url).query, keep_blank_values=True)
    except ValueError:  # such as brackets that are no IPv6 address
        return False
    if any(name.lower() in _EXPIRING for name in query):
        return True
    token = _SIGNED_TOKEN.search(url)
    return token is not None and b'"exp"' in _base64(token.group(1))


def _base64(text: str) -> bytes:
    try:
        return base64.urlsafe_b64decode(text + "=" * (-len(text) % 4))
    except ValueError:
        return b""
