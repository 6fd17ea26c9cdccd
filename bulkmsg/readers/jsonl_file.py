"""JSON Lines, line by line: strict JSON, no key twice, no number that loses information, and a broken line costs only itself."""

from __future__ import annotations

import json
import re
from collections.abc import Iterator
from dataclasses import dataclass
from json.decoder import scanstring

import orjson

from bulkmsg.diagnostic import Diagnostic, file_finding
from bulkmsg.readers.files import InputFile
from bulkmsg.readers.text import LineCounter, TextStream, Unreadable, known_encoding, nul, other_encoding, shown, wrong_byte
from bulkmsg.source import Json, Node, Path, Position

MAX_LINE = 64 << 20  # bytes of one line
MAX_DEPTH = 64  # levels of lists and objects
EXACT = 2**53  # integers up to here survive in every JSON reader
_BATCH = 1 << 16  # bytes read at once

_BLANKS = re.compile(r"[ \t\r\n]*")
_DECODER = json.JSONDecoder()


class LinePlace:
    """The place of one line's value. Holds the line, which is scanned when a position is asked for."""

    __slots__ = ("_text", "file", "line")

    def __init__(self, file: str, line: int, text: bytes) -> None:
        self.file = file
        self.line = line
        self._text = text

    def at(self, path: Path, *, name: bool = False) -> Position:
        text = self._text.decode()
        start, key = _blanks(text, 0), -1
        for part in path:
            found = _child(text, start, part)
            if found is None:
                break
            start, key = found
        return Position(self.line, (key if name and key >= 0 else start) + 1)


def _blanks(text: str, at: int) -> int:
    match = _BLANKS.match(text, at)
    return match.end() if match else at


def _child(text: str, start: int, part: str | int) -> tuple[int, int] | None:
    """Where the value `part` of the list or object at `start` begins, and its name (-1 for none); None if it is not there."""
    for key, key_at, at in _children(text, start):
        if key == part and type(key) is type(part):
            return at, key_at
    return None


def _children(text: str, start: int) -> Iterator[tuple[str | int, int, int]]:
    """The name or index of each value in the list or object at `start`, where its name begins (-1), where it begins."""
    named = text[start : start + 1] == "{"
    at = _blanks(text, start + 1)
    if text[start : start + 1] not in ("{", "[") or text[at : at + 1] in ("}", "]"):
        return
    index = 0
    while True:
        key: str | int = index
        key_at = -1
        if named:
            key_at = at
            key, at = scanstring(text, at + 1)
            at = _blanks(text, _blanks(text, at) + 1)
        yield key, key_at, at
        at = _blanks(text, _DECODER.raw_decode(text, at)[1])
        if text[at : at + 1] != ",":
            return
        at = _blanks(text, at + 1)
        index += 1


def lines(file: InputFile, *, encoding: str = "utf-8") -> Iterator[Node | Diagnostic]:
    """`Node((index,), value)` for each line that is not blank, counted from 0, and what is wrong with the others.

    Never raises for the content. A broken line is a finding and reading goes on; bytes that are no text end it.
    """
    index = 0
    try:
        source = ByteLines(file, encoding, MAX_LINE)
        for batch in source:
            for number, line in enumerate(batch, source.before + 1):
                try:
                    value = orjson.loads(line)
                    if _keys(value, MAX_DEPTH) != line.count(b'":') or b"\\u0000" in line or not _plain(line):
                        _verify(line)
                except (orjson.JSONDecodeError, _Odd) as error:
                    if not line.strip():
                        continue
                    yield from _trouble(line, number, error, source)
                else:
                    yield Node((index,), value, LinePlace(file.name, number, line))
                index += 1
    except Unreadable as stop:
        yield stop.diagnostic


class _Odd(Exception):  # noqa: N818 - a path through this module, no error of ours
    """A line that must not pass, with its rule, message and hint, and the path of what is wrong in it."""

    def __init__(self, rule: str, message: str, hint: str, path: Path = ()) -> None:
        super().__init__(rule, message, hint, path)
        self.rule, self.message, self.hint, self.path = rule, message, hint, path


def _plain(line: bytes) -> bool:
    """Whether no colon after a name hides behind a blank, so that counting `":` counts at least every name."""
    return b" :" not in line and b"\t:" not in line and b"\r:" not in line


def _keys(value: Json, levels: int) -> int:
    """How many names the objects in a value have together.

    Raises:
        _Odd: it is nested deeper than `levels`, or holds a number that no reader would keep exactly.
    """
    count = 0
    items = value
    if type(value) is dict:
        count = len(value)
        items = value.values()
    elif type(value) is not list:
        items = (value,)
    elif not levels:
        raise _Odd("BM107", f"lists and objects stand more than {MAX_DEPTH} deep in each other", "write it flatter")
    if not levels:
        raise _Odd("BM107", f"lists and objects stand more than {MAX_DEPTH} deep in each other", "write it flatter")
    for item in items:
        kind = type(item)
        if kind is str:
            continue
        if kind is dict or kind is list:
            count += _keys(item, levels - 1)
        elif (kind is int or kind is float) and not -EXACT <= item <= EXACT:
            raise _Odd("BM106", _BIG, "if it is text, such as an order number, quote it")
    return count


_BIG = "a number is beyond what a JSON number holds exactly (9007199254740992)"
