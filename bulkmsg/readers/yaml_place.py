"""Where things stand in a YAML entry: its own text, parsed once more, only when a finding asks."""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass
from typing import Any

from bulkmsg.source import Anchored, Json, Path, Position

# Events are told apart by their class's name, so that the YAML library keeps its one door in `yaml_file`.
Event = Any
# From the text of one value to the parser's events for it, as far as they go.
Parse = Callable[[str], list[Event]]

# NEL, LS and PS end a line in YAML 1.1, which the parsers speak, and are characters like any other in 1.2 and JSON.
# They travel through the parser as these noncharacters.
LINE_CHARACTERS = str.maketrans("\x85\u2028\u2029", "\U0008fffe\U0009fffe\U000afffe")
_BACK = str.maketrans("\U0008fffe\U0009fffe\U000afffe", "\x85\u2028\u2029")
MAX_LOOKED_AT = 1 << 18  # characters of an entry that are parsed again for a finding's place
_MAX_HOPS = 16  # aliases in aliases that are followed to the place of a value
STAND_INS = ("\U0008fffe", "\U0009fffe", "\U000afffe")


def restored(text: str) -> str:
    """A scalar's text with its own line characters back."""
    return text if text.isascii() else text.translate(_BACK)


def position(mark: Any) -> Position:
    """A parser's mark, which counts from 0, as a position, which counts from 1."""
    return Position(mark.line + 1, mark.column + 1)


@dataclass(slots=True)
class Anchor:
    """A value that aliases can ask for, with what each alias adds: values, characters, levels.

    Args:
        state: "ready"; "open" while it is being read; "streamed" for a list of entries, which is not kept.
        start, end: the parser's marks around it; `text`: how it is written, "" where that is too long to keep.
    """

    value: Json
    nodes: int = 0
    chars: int = 0
    depth: int = 0
    held: int = 0
    state: str = "ready"
    start: Any = None
    end: Any = None
    text: str = ""


class YamlPlace:
    """The place of one entry. Holds the pieces of the file it is written in, parsed again when a position is asked for.

    A piece is some 64 kB, shared by the entries in it: keep positions, not places.
    """

    __slots__ = ("_anchors", "_base", "_end", "_events", "_key", "_lines", "_parse", "_start", "_texts", "file")

    def __init__(
        self,
        file: str,
        start: Any,
        end: Any,
        texts: tuple[str, ...],
        base: int,
        parse: Parse,
        key: Position | None = None,
        anchors: Mapping[str, Anchor] | None = None,
        lines: Mapping[str, Sequence[int]] | None = None,
    ) -> None:
        # `start` and `end` are the parser's marks, which count characters of the file; `texts` begin at `base`.
        # `lines` are those on which the items of the entry's own lists begin.
        self.file = file
        self._start = start
        self._end = end
        self._texts = texts
        self._base = base
        self._parse = parse
        self._key = key
        self._anchors = anchors or {}
        self._lines = lines or {}
        self._events: list[Event] | None = None

    @property
    def line(self) -> int:
        return self._key.line if self._key is not None else int(self._start.line) + 1

    def at(self, path: Path, *, name: bool = False) -> Position:
        at, key, rest = self._reached(path)
        events = self._parsed()
        if name and at == 0 and self._key is not None:
            return self._key
        if at >= len(events):
            line = self._item_line(path)
            return position(self._start) if line is None else Position(line, 1)
        here = position((key if name and key is not None and not rest else events[at]).start_mark)
        return Position(self._start.line + here.line, here.column)

    def line_of(self, path: Path) -> int:
        return self._item_line(path) or self.line

    def _item_line(self, path: Path) -> int | None:
        if len(path) < 2 or not isinstance(path[0], str) or not isinstance(path[1], int):
            return None
        lines = self._lines.get(path[0], ())
        return lines[path[1]] if path[1] < len(lines) else None

    def anchored(self, path: Path, *, name: bool = False) -> Anchored | None:
        return self._anchored(path, name, _MAX_HOPS)

    def _anchored(self, path: Path, name: bool, hops: int) -> Anchored | None:
        at, key, rest = self._reached(path)
        events = self._parsed()
        merged = at < len(events) and events[at] is key
        anchor = next((one for one in _aliases(events, at) if not merged or self._holds(one, rest)), None)
        found = None if anchor is None else self._anchors.get(anchor)
        if anchor is None or found is None or found.start is None:
            return None
        base = found.start.index
        inner = YamlPlace(self.file, found.start, found.end, (found.text,), base, self._parse, None, self._anchors)
        deeper = inner._anchored(rest, name, hops - 1) if hops else None
        return deeper or Anchored(restored(anchor), inner.at(rest, name=name))

    def _reached(self, path: Path) -> tuple[int, Event | None, Path]:
        """How far a path leads in the entry's own text: the event there, that of its name, and what is left of it."""
        events = self._parsed()
        at, key = 0, None
        for index, part in enumerate(path):
            found = _child(events, at, part, self._holds)
            if found is None:
                return at, key, path[index:]
            at, key = found
            if events[at] is key:  # a merge key, behind which the value is
                return at, key, path[index:]
        return at, key, ()

    def _holds(self, anchor: str, path: Path) -> bool:
        """Whether a merged mapping gives the field that a path begins with."""
        found = self._anchors.get(anchor)
        return found is not None and isinstance(found.value, dict) and bool(path) and path[0] in found.value

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


def _child(
    events: list[Event], at: int, part: str | int, holds: Callable[[str, Path], bool]
) -> tuple[int, Event | None] | None:
    """The index of the value `part` in the collection at `at`, and the event of its name, or None.

    Where a merge key gives it, both are the merge key's.
    """
    kind = type(events[at]).__name__ if events else ""
    if kind == "MappingStartEvent" and isinstance(part, str):
        return _field(events, at + 1, part, holds)
    if kind == "SequenceStartEvent" and isinstance(part, int):
        return _item(events, at + 1, part)
    return None


def _field(
    events: list[Event], at: int, part: str, holds: Callable[[str, Path], bool]
) -> tuple[int, Event | None] | None:
    merge: tuple[int, Event] | None = None
    while at < len(events) and type(events[at]).__name__ != "MappingEndEvent":
        key, value = events[at], after(events, at)
        if value >= len(events):
            break
        text = getattr(key, "value", None)
        if text is not None and restored(text) == part:
            return value, key
        if is_merge(key) and any(holds(anchor, (part,)) for anchor in _aliases(events, at)):
            merge = at, key
        at = after(events, value)
    return merge


def _aliases(events: list[Event], at: int) -> list[str]:
    """The anchors that the value at `at` asks for: one for an alias, those that a merge key names."""
    if at >= len(events):
        return []
    if type(events[at]).__name__ == "AliasEvent":
        return [str(events[at].anchor)]
    if not is_merge(events[at]):
        return []
    value = after(events, at)
    inside = events[value : after(events, value)]
    return [str(event.anchor) for event in inside if type(event).__name__ == "AliasEvent"]


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
