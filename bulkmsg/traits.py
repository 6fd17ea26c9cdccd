"""What is particular about a message: its type, channel, attachments, scripts and fields, as small comparable values.

A sample of a batch shows each of them. Pure; knows no other message.
"""

from __future__ import annotations

import unicodedata
from collections.abc import Iterator
from enum import IntEnum
from functools import cache, lru_cache
from typing import NamedTuple

from bulkmsg.message import ExistingTicket, Message, NewTicket
from bulkmsg.source import Json


class Rank(IntEnum):
    """What a sample shows first where it is too small for everything.

    FIRST and LONGEST are of the whole batch: its first ticket, its longest thread and its longest text.
    """

    FIRST = 0
    TYPE = 1
    CHANNEL = 2
    ATTACHMENT = 3
    LONGEST = 4
    TICKET = 5
    SCRIPT = 6
    REST = 7


class Trait(NamedTuple):
    rank: Rank
    name: str


_ENDS = ("to", "cc", "bcc")


def traits(message: Message) -> Iterator[Trait]:
    """All that is particular about a message and, where it is in a new ticket, about that ticket."""
    body = message.body
    yield _trait(Rank.TYPE, message.kind.value)
    yield _trait(Rank.CHANNEL, str(body.get("channel")))
    yield _trait(Rank.TICKET, _reference(message))
    for name in body:
        yield _trait(Rank.REST, f"field {name}")
    yield _trait(Rank.REST, _form(body))
    yield from _of_attachments(message)
    yield from _of_addresses(body)
    yield from (_trait(Rank.SCRIPT, script) for script in scripts(_texts(body)))
    if isinstance(message.ticket, NewTicket):
        yield from _of_ticket(message.ticket.fields)


def text_size(message: Message) -> int:
    """How long its text is, in characters."""
    return sum(map(len, _texts(message.body)))


@lru_cache(maxsize=4096)
def _trait(rank: Rank, name: str) -> Trait:
    return Trait(rank, name)


def _reference(message: Message) -> str:
    if isinstance(message.ticket, NewTicket):
        return "new ticket"
    return "ticket by id" if isinstance(message.ticket, ExistingTicket) else "ticket by external id"


def _form(body: dict[str, Json]) -> str:
    """Which bodies it has."""
    has = [name for name in ("body_text", "body_html") if body.get(name)]
    return " and ".join(has) or "no body"


def _of_attachments(message: Message) -> Iterator[Trait]:
    count = len(message.body.get("attachments") or ())
    if count:
        yield _trait(Rank.ATTACHMENT, "one attachment" if count == 1 else "several attachments")
    if message.uploads:
        yield _trait(Rank.ATTACHMENT, "file")
    if count > len(message.uploads):
        yield _trait(Rank.ATTACHMENT, "link")


def _of_addresses(body: dict[str, Json]) -> Iterator[Trait]:
    source = body.get("source") or {}
    for end in _ENDS:
        if found := source.get(end):
            yield _trait(Rank.REST, end if len(found) == 1 else f"several in {end}")


def _of_ticket(fields: dict[str, Json]) -> Iterator[Trait]:
    for name, value in fields.items():
        yield _trait(Rank.REST, f"ticket's {name}")
        if name in ("status", "priority", "spam"):
            yield _trait(Rank.REST, f"ticket's {name} {value}")


def _texts(body: dict[str, Json]) -> list[str]:
    found = (body.get(name) for name in ("subject", "body_text", "body_html"))
    return [text for text in found if isinstance(text, str)]


def scripts(texts: list[str]) -> set[str]:
    """What other than ASCII is in the texts: scripts as Unicode names them, emoji, marks and the like."""
    return {_script(letter) for text in texts if not text.isascii() for letter in set(text) if ord(letter) > 127}


@cache  # of the 150,000 characters of Unicode at most
def _script(letter: str) -> str:
    kind = unicodedata.category(letter)
    if kind.startswith("L"):
        return unicodedata.name(letter, "unnamed letter").partition(" ")[0].lower()
    if kind in ("So", "Sk") and letter > "\u2190":
        return "symbols beyond 16 bits, such as emoji" if letter > "\uffff" else "symbols"
    return {"M": "combining marks", "C": "invisible", "N": "digits", "Z": "blanks"}.get(kind[0], "signs")
