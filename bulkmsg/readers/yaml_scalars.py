"""What a YAML scalar means: the core schema of YAML 1.2, without the forms of numbers that lose information."""

from __future__ import annotations

import math
import re
from dataclasses import dataclass

from bulkmsg.readers.text import shown
from bulkmsg.source import Json

EXACT = 2**53  # integers up to here survive in every JSON reader, the helpdesk's and the browser's included

WORDS: dict[str, bool | None] = {
    "": None,
    "~": None,
    "null": None,
    "Null": None,
    "NULL": None,
    "true": True,
    "True": True,
    "TRUE": True,
    "false": False,
    "False": False,
    "FALSE": False,
}
# The first characters of every plain scalar that may be something else than text; "" stands for the empty one.
STARTERS = frozenset({"", *"~nNtTfF0123456789+-."})

_INTEGER = re.compile(r"[-+]?[0-9]+")
_BASED = re.compile(r"0(?:o[0-7]+|x[0-9a-fA-F]+)")
_FLOAT = re.compile(r"[-+]?(?:\.[0-9]+|[0-9]+(?:\.[0-9]*)?)(?:[eE][-+]?[0-9]+)?")
_LEADING_ZERO = re.compile(r"[-+]?0[0-9]")
_NOT_FINITE = re.compile(r"[-+]?\.(?:inf|Inf|INF)|\.(?:nan|NaN|NAN)")
_LONGEST = 64  # digits of a number that is looked at at all


@dataclass(frozen=True, slots=True)
class Refusal:
    """Why a scalar is no value, and what to write instead: a rule's id, a message and a hint."""

    rule: str
    message: str
    hint: str


def plain(text: str) -> Json | Refusal:
    """The value of an unquoted scalar, or the refusal of a number that would lose information."""
    if text in WORDS:
        return WORDS[text]
    if text.isdigit() and text.isascii() and len(text) < 16 and (text[0] != "0" or text == "0"):
        return int(text)
    return _number(text) if text[0] in "0123456789+-." else text


def _number(text: str) -> Json | Refusal:
    if _NOT_FINITE.fullmatch(text):
        return _lossy(text, "is no number that JSON knows")
    based = bool(_BASED.fullmatch(text))
    if not based and not _FLOAT.fullmatch(text):
        return text
    if _LEADING_ZERO.match(text):
        return _lossy(text, "would lose its leading zero")
    if len(text) > _LONGEST:
        return _lossy(text, "has too many digits for a number")
    if based:
        value: int | float = int(text, 0)
    else:
        value = int(text) if _INTEGER.fullmatch(text) else float(text)
    if not math.isfinite(value) or abs(value) > EXACT:
        return _lossy(text, "is beyond what a JSON number holds exactly (9007199254740992)")
    return value


def _lossy(text: str, why: str) -> Refusal:
    quoted = f"'{text}'" if len(text) <= 40 else "'...'"
    return Refusal(
        "BM106", f"the number `{shown(text, 24)}` {why}", f"if it is text, such as an order number, quote it: {quoted}"
    )


_PREFIX = "tag:yaml.org,2002:"
_SCALAR_TAGS = {"str", "int", "float", "bool", "null"}


def tagged(text: str, tag: str) -> Json | Refusal:
    """The value of a scalar with an explicit tag; only the core tags exist here."""
    core = tag.removeprefix(_PREFIX) if tag.startswith(_PREFIX) else None
    if tag == "!" or core == "str":
        return text
    if core not in _SCALAR_TAGS:
        return unknown_tag(tag)
    value = plain(text)
    if isinstance(value, Refusal):
        return value
    if core == "float" and type(value) is int:
        return float(value)
    if _kind(value) != core:
        return Refusal(
            "BM105",
            f"a value tagged `!!{core}` is not of that kind",
            "leave the tag out, and quote the value if it is text",
        )
    return value


def _kind(value: Json) -> str:
    return {"NoneType": "null"}.get(type(value).__name__, type(value).__name__)


def collection_tag(tag: str | None, core: str) -> Refusal | None:
    """The refusal of a tag on a mapping (`core` is "map") or a list ("seq"); None if it is fine."""
    return None if tag in (None, "!", _PREFIX + core) else unknown_tag(str(tag))


def unknown_tag(tag: str) -> Refusal:
    name = "!!" + tag.removeprefix(_PREFIX) if tag.startswith(_PREFIX) else tag
    return Refusal(
        "BM105",
        f"the tag `{shown(name)}` is not allowed",
        "remove it and write the plain value; a text that begins with ! must be quoted",
    )
