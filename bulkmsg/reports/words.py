"""Small words that all reports share: counts, rates, and names from files that are safe to show."""

from __future__ import annotations

import unicodedata
from collections.abc import Iterable, Mapping

from bulkmsg.outcome import COUNTED
from bulkmsg.settings import Rate

# All that does not show, or shows something else than what stands there: controls and escape sequences, bidi
# overrides and joiners, lone surrogates, line separators, unassigned and private characters.
_UNSEEN = frozenset({"Cc", "Cf", "Cs", "Co", "Cn", "Zl", "Zp"})


def visible(text: str, keep: str = "") -> str:
    """The text with all that would not show written out, as `\\x1b`; characters in `keep` stay as they are."""
    if text.isprintable():
        return text
    return "".join(char if char in keep or not _is_unseen(char) else _escaped(char) for char in text)


def _is_unseen(char: str) -> bool:
    return unicodedata.category(char) in _UNSEEN


def _escaped(char: str) -> str:
    return char.encode("unicode_escape").decode("ascii")


def shortened(text: str, limit: int) -> str:
    """At most `limit` characters of a text, visible."""
    shown = visible(text)
    return shown if len(shown) <= limit else shown[: limit - 1] + "…"


def count(number: int, noun: str, plural: str = "") -> str:
    """`1 message`, `1,200 messages`."""
    return f"{number:,} {noun if number == 1 else plural or noun + 's'}"


def people(number: int) -> str:
    return count(number, "person", "people")


def listing(parts: Iterable[str]) -> str:
    """`a`, `a and b`, `a, b and c`."""
    items = list(parts)
    return " and ".join((", ".join(items[:-1]), items[-1])) if len(items) > 1 else "".join(items)


def rate_words(rate: Rate) -> str:
    """`40 requests per 20 s`."""
    return f"{count(rate.limit, 'request')} per {rate.window:g} s"


def standing(counts: Mapping[str, int]) -> str:
    """`118 created, 2 rejected`: the states that are not empty, in the order in which people read them."""
    told = [f"{counts[state.value]:,} {state.replace('_', ' ')}" for state in COUNTED if counts.get(state.value)]
    return ", ".join(told) or "nothing to do"
