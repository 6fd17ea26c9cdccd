"""Stand-ins for people and their words: the same for the same text everywhere, of the same length and shape.

For bug reports and demonstrations. Ids, times, types and links between records stay. A stand-in is made from a hash:
nobody reads the text out of it, but who has a text can see whether it was this one.
"""

from __future__ import annotations

import hashlib
import re
from collections.abc import Iterator
from string import ascii_lowercase, ascii_uppercase, digits

from bulkmsg.source import Json

_DOMAIN = ".test"  # belongs to nobody (RFC 2606)
_ADDRESSES = frozenset({"email", "address"})
_WORDS = frozenset({"subject", "name", "original_author", "body_text", "tags"})
_MARKUP = re.compile(r"(<[^<>]*>|&#?\w+;)")


def anonymised(ticket: dict[str, Json]) -> dict[str, Json]:
    """The ticket with people and texts replaced."""
    found: dict[str, Json] = {name: _value(name, each) for name, each in ticket.items()}
    return found


def _value(name: str, value: Json) -> Json:
    if isinstance(value, dict):
        return {each: _value(each, inner) for each, inner in value.items()}
    if isinstance(value, list):
        return [_value(name, each) for each in value]
    if not isinstance(value, str):
        return value
    if name in _ADDRESSES:
        return address(value)
    if name in _WORDS:
        return words(value)
    if name == "body_html":
        return "".join(
            part if _is_plain(part) else _tag(part) if part[:1] == "<" else words(part) for part in _split(value)
        )
    if name == "url":
        return f"https://files{_DOMAIN}/{hashlib.sha256(value.encode()).hexdigest()[:32]}"
    if name == "message_id":
        return address(value) if "@" in value else words(value)
    if name == "value":  # of a custom field
        return words(value)
    return value


def address(text: str) -> str:
    """An address of the same length, where the domain is long enough, that belongs to nobody."""
    local, _, domain = text.rpartition("@")
    if not local:
        return words(text)
    return f"{words(local.lower())}@{words(domain.lower()[: max(1, len(domain) - len(_DOMAIN))])}{_DOMAIN}"


def words(text: str) -> str:
    """A text with every letter and digit replaced by another of its kind; the same text gives the same."""
    stream = _stream(text)
    return "".join(_stand_in(char, stream) for char in text)


def _stream(text: str) -> Iterator[int]:
    seed = hashlib.sha256(text.encode("utf-8", "replace")).digest()
    number = 0
    while True:
        yield from hashlib.sha256(seed + number.to_bytes(8, "big")).digest()
        number += 1


def _stand_in(char: str, stream: Iterator[int]) -> str:
    if char.isdecimal():
        return digits[next(stream) % 10]
    if char.isupper():
        return ascii_uppercase[next(stream) % 26]
    if char.isalpha():
        return ascii_lowercase[next(stream) % 26]
    return char


def _split(markup: str) -> list[str]:
    return [part for part in _MARKUP.split(markup) if part]


def _is_plain(part: str) -> bool:
    """Whether a part says nothing about anybody: an entity, or a tag without attributes."""
    return part[:1] == "&" or re.fullmatch(r"</?\w+\s*/?>", part) is not None


def _tag(part: str) -> str:
    """A tag with the values of its attributes taken out; they may hold names and links."""
    name = re.match(r"</?\w+", part)
    return f"{name.group()}>" if name else ""
