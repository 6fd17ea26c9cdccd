"""Where things are written: positions in the user's files, and the raw nodes that readers find there.

Positions are 1-based, in lines and in characters of a line, as editors count them.
"""

from __future__ import annotations

from dataclasses import dataclass
from typing import Any, Protocol

# A value as JSON knows it: None, bool, int, float, str, list or dict with text keys.
Json = Any
Path = tuple[str | int, ...]


@dataclass(frozen=True, slots=True)
class Position:
    """A character in a file; line and column start at 1."""

    line: int
    column: int


@dataclass(frozen=True, slots=True)
class Anchored:
    """A value that an alias only repeats: the name of its anchor, and where it is really written."""

    anchor: str
    position: Position


class Place(Protocol):
    """Where one entry is written. Holds only what is cheap; exact columns are computed when a finding asks."""

    @property
    def file(self) -> str:
        """The file's name as the user gave it, or as the `from:` block resolves it."""

    @property
    def line(self) -> int:
        """The line on which the entry begins."""

    def at(self, path: Path, *, name: bool = False) -> Position:
        """The position of the value at `path` inside the entry (with `name`: of its field's name).

        A path that is not there gives the nearest thing above it. A value that came through an alias or a merge
        key gives the place where the alias stands, since that is where this entry asks for it.
        """

    def anchored(self, path: Path, *, name: bool = False) -> Anchored | None:
        """Where the value at `path` is written, if it came through an alias or a merge key; None if it did not."""

    def line_of(self, path: Path) -> int:
        """The line of item `path[1]` of the entry's list `path[0]`, or of the entry; costs next to nothing."""


@dataclass(frozen=True, slots=True)
class Spot:
    """The simplest place: a file and one position, for whatever is inside."""

    file: str
    line: int
    column: int = 1

    def at(self, path: Path, *, name: bool = False) -> Position:
        return Position(self.line, self.column)

    def anchored(self, path: Path, *, name: bool = False) -> Anchored | None:
        return None

    def line_of(self, path: Path) -> int:
        return self.line


@dataclass(frozen=True, slots=True)
class Node:
    """A value found in a YAML or JSON Lines file: a header field, an entry, or a `from:` block."""

    path: Path
    value: Json
    place: Place


@dataclass(slots=True)
class Row:
    """A data row of a CSV file. `number` counts data rows from 1, as a spreadsheet's user does below the header."""

    cells: list[str]
    number: int
    place: Place


def path_text(path: Path) -> str:
    """A path as people write it: ('messages', 3, 'source', 'to') becomes messages[3].source.to."""
    text = ""
    for part in path:
        text += f"[{part}]" if isinstance(part, int) else f".{part}" if text else part
    return text
