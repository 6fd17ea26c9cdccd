"""Where things stand in a YAML entry: its own text, parsed once more, only when a finding asks."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

from bulkmsg.source import Path, Position

# Events are told apart by their class's name, so that the YAML library keeps its one door in `yaml_file`.
Event = Any
# From the text of one value to the parser's events for it, as far as they go.
Parse = Callable[[str], list[Event]]

# NEL, LS and PS end a line in YAML 1.1, which the parsers speak, and are characters like any other in 1.2 and JSON.
# They travel through the parser as these noncharacters.
LINE_CHARACTERS = str.maketrans("\x85\u2028\u2029", "\U0008fffe\U0009fffe\U000afffe")
_BACK = str.maketrans("\U0008fffe\U0009fffe\U000afffe", "\x85\u2028\u2029")
MAX_LOOKED_AT = 1 << 18  # characters of an entry that are parsed again for a finding's place
STAND_INS = ("\U0008fffe", "\U0009fffe", "\U000afffe")


def restored(text: str) -> str:
    """A scalar's text with its own line characters back."""
    return text if text.isascii() else text.translate(_BACK)


def position(mark: Any) -> Position:
    """A parser's mark, which counts from 0, as a position, which counts from 1."""
    return Position(mark.line + 1, mark.column + 1)


class YamlPlace:
    """The place of one entry. Holds the pieces of the file it is written in, parsed again when a position is asked for.

    A piece is some 64 kB, shared by the entries in it: keep positions, not places.
    """

    __slots__ = ("_base", "_end", "_events", "_key", "_parse", "_start", "_texts", "file")

    def __init__(
        self,
        file: str,
        start: Any,
        end: Any,
        texts: tuple[str, ...],
        base: int,
        parse: Parse,
        key: Position | None = None,
    ) -> None:
        # `start` and `end` are the parser's marks, which count characters of the file; `texts` begin at `base`.
        self.file = file
        self._start = start
        self._end = end
        self._texts = texts
        self._base = base
        self._parse = parse
        self._key = key
        self._events: list[Event] | None = None

    @property
    def line(self) -> int:
        return self._key.line if self._key is not None else int(self._start.line) + 1

    def at(self, path: Path, *, name: bool = False) -> Position:
        start = self._start
        events = self._parsed()
        at, key = 0, None
        for part in path:
            found = _child(events, at, part)
            if found is None:
                break
            at, key = found
        if name and at == 0 and self._key is not None:
            return self._key
        if at >= len(events):
            return position(start)
        here = position((key if name and key is not None else events[at]).start_mark)
        return Position(start.line + here.line, here.column)

    def _parsed(self) -> list[Event]:
        """The entry's events; none for one so long that looking for a place in it would take longer than reading."""
        start, end = self._start, self._end
        if self._events is None:
            self._events = []
            if end.index - start.index <= MAX_LOOKED_AT:
                text = "".join(self._texts)[start.index - self._base : end.index - self._base]
                self._events = self._parse(" " * start.column + text)
        return self._events


def after(events: list[Event], at: int) -> int:
    """The index of the event that follows the value beginning at `at`."""
    depth = 0
    while at < len(events):
        kind = type(events[at]).__name__
        depth += kind.endswith("StartEvent")
        depth -= kind.endswith("EndEvent")
        at += 1
        if depth <= 0:
            break
    return at


def _child(events: list[Event], at: int, part: str | int) -> tuple[int, Event | None] | None:
    """The index of the value `part` in the collection at `at`, and the event of its name, or None."""
    kind = type(events[at]).__name__ if events else ""
    if kind == "MappingStartEvent" and isinstance(part, str):
        return _field(events, at + 1, part)
    if kind == "SequenceStartEvent" and isinstance(part, int):
        return _item(events, at + 1, part)
    return None


def _field(events: list[Event], at: int, part: str) -> tuple[int, Event | None] | None:
    merge: tuple[int, Event] | None = None
    while at < len(events) and type(events[at]).__name__ != "MappingEndEvent":
        key, value = events[at], after(events, at)
        if value >= len(events):
            break
        text = getattr(key, "value", None)
        if text is not None and restored(text) == part:
            return value, key
        if is_merge(key):
            merge = at, key
        at = after(events, value)
    return merge


def _item(events: list[Event], at: int, part: int) -> tuple[int, None] | None:
    for _ in range(part):
        if at >= len(events) or type(events[at]).__name__ == "SequenceEndEvent":
            return None
        at = after(events, at)
    if at >= len(events) or type(events[at]).__name__ == "SequenceEndEvent":
        return None
    return at, None


def is_merge(event: Event) -> bool:
    """Whether this key is the merge key: `<<`, unquoted."""
    return getattr(event, "value", None) == "<<" and not event.style and event.tag is None
