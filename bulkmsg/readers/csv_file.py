"""CSV tables, row by row: strict about quotes and widths, exact about physical lines, in bounded memory.

Nothing is guessed and nothing trimmed; the delimiter is the caller's, and one that does not fit is named.
"""

from __future__ import annotations

import csv
import threading
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from itertools import chain, islice

from bulkmsg.diagnostic import Diagnostic, file_finding
from bulkmsg.readers.text import ByteLines, ByteSource, Unreadable, shown
from bulkmsg.source import Path, Place, Position, Row

MAX_CELL = 2_000_000  # characters; more is taken for a quote that is never closed
MAX_LINE = 4_000_000  # bytes of one physical line
_MAX_PIECES = 512  # pieces of the file, some 32 kB each, that one row may go through
_MAX_ROW_LINES = 500_000
_MAX_BLANKS = 1000  # blank lines above the header
_LINE_ENDS = frozenset({b"\n", b"\r\n", b"\r"})
_DELIMITERS = (";", "\t", "|", ",")


@dataclass(frozen=True)
class Columns:
    """The header row: the columns' names as written, and where each stands (`place.at((name,))`)."""

    names: list[str]
    place: Place


class CellPlace:
    """The place of a row. Holds the row's own lines, which are scanned again when a cell's position is asked for."""

    __slots__ = ("_lines", "_table", "line")

    def __init__(self, table: _Table, line: int, lines: list[str]) -> None:
        self._table = table
        self.line = line
        self._lines = lines

    @property
    def file(self) -> str:
        return self._table.name

    def at(self, path: Path, *, name: bool = False) -> Position:
        """The position of the cell in the column that `path` begins with (its name, or its index from 0)."""
        column = path[0] if path else 0
        if isinstance(column, str):
            names = self._table.names
            column = names.index(column) if column in names else 0
        line, character = _cell("".join(self._lines), column, self._table.delimiter)
        return Position(self.line + line, character + 1)

    def anchored(self, path: Path, *, name: bool = False) -> None:
        """A table has no aliases."""

    def line_of(self, path: Path) -> int:
        return self.line


def _cell(text: str, index: int, delimiter: str) -> tuple[int, int]:
    """The 0-based line and column at which cell `index` of a row begins; the row's beginning if it has no such cell."""
    start = 0
    for _ in range(index):
        end = _after_quote(text, start) if text[start : start + 1] == '"' else start
        cut = text.find(delimiter, end)
        if cut < 0:
            return 0, 0
        start = cut + 1
    return _line_column(text[:start])


def _after_quote(text: str, start: int) -> int:
    """The index after the quote that closes the one at `start`, or the end."""
    at = start + 1
    while (at := text.find('"', at)) >= 0:
        if text[at + 1 : at + 2] != '"':
            return at + 1
        at += 2
    return len(text)


def rows(file: ByteSource, *, delimiter: str = ",", encoding: str = "utf-8") -> Iterator[Columns | Row | Diagnostic]:
    """The header as `Columns`, then each data row as `Row`, and what is wrong in between. Never raises for the content.

    Rows that do not fit the header are findings (BM112) and not yielded; blank rows are counted and told of once, at
    the end (BM119). Nothing follows a wrong header, encoding or delimiter, or a quote that is never closed.
    """
    if len(delimiter) != 1 or delimiter in '"\r\n\0 ':
        message = f"the delimiter `{shown(delimiter)}` is not one character that can part cells"
        yield file_finding("BM118", message, 'give one character, such as `delimiter: ";"`', file.name)
        return
    try:
        with _large_cells():
            yield from _Table(ByteLines(file, encoding, MAX_LINE), delimiter).read()
    except Unreadable as stop:
        yield stop.diagnostic


_readers = 0
_old_limit = 0
_lock = threading.Lock()


@contextmanager
def _large_cells() -> Iterator[None]:
    """Raises the csv module's limit, which is one for the whole process, while any of our readers is at work."""
    global _readers, _old_limit
    with _lock:
        _readers += 1
        if _readers == 1:
            _old_limit = csv.field_size_limit(MAX_CELL)
    try:
        yield
    finally:
        with _lock:
            _readers -= 1
            if not _readers:
                csv.field_size_limit(_old_limit)


class _Table:
    """One table being read: its lines, its header, its counts."""

    def __init__(self, source: ByteLines, delimiter: str) -> None:
        self.name = source.name
        self.delimiter = delimiter
        self.names: list[str] = []
        self._source = source
        self._lines: list[str] = []  # physical lines from the current row's first on
        self._first = 0  # physical lines before these
        self._done = 0  # physical lines of finished rows
        self._blank = 0
        self._skipped = 0  # blank lines that the csv module never saw
        self._first_blank = 0
        self._reader = csv.reader(chain.from_iterable(self._batches()), delimiter=delimiter, strict=True)

    def _batches(self) -> Iterator[list[str]]:
        """Physical lines with their ends, many at once; keeps those of a row that goes on."""
        pieces = 0
        for batch in self._source:
            if batch[0] in _LINE_ENDS and self._between_rows() and _LINE_ENDS.issuperset(batch):
                self._skip(len(batch))
                continue
            try:
                new = list(map(bytes.decode, batch))
            except UnicodeDecodeError:
                self._source.refuse()
            pieces = pieces + 1 if self._done == self._first else 0
            del self._lines[: self._done - self._first]
            self._lines += new
            self._first = self._done
            if pieces > _MAX_PIECES or len(self._lines) > _MAX_ROW_LINES:
                raise Unreadable(self._endless_row())
            yield new

    def _between_rows(self) -> bool:
        return bool(self.names) and self._done == self._first + len(self._lines)

    def _skip(self, count: int) -> None:
        """Passes over so many blank lines without the csv module, which would take seconds for a bomb of them."""
        self._first_blank = self._first_blank or self._done + 1
        self._blank += count
        self._skipped += count
        self._done += count
        self._first = self._done
        self._lines.clear()

    def _read_lines(self) -> int:
        """Physical lines read so far, up to the end of the current row."""
        return self._reader.line_num + self._skipped

    def _endless_row(self) -> Diagnostic:
        opened, column, _ = _last_quote("".join(self._lines), self.delimiter)
        line = self._done + 1
        message = f"the row that begins on line {line} has no end within {len(self._lines):,} lines"
        hint = "look for a quote that is never closed; it begins here at the latest"
        return file_finding("BM117", message, hint, self.name, line + opened, column + 1)

    def read(self) -> Iterator[Columns | Row | Diagnostic]:
        header = self._header()
        yield header
        if isinstance(header, Diagnostic):
            return
        yield from self._rows()
        if self._blank:
            count = "1 blank row was" if self._blank == 1 else f"{self._blank:,} blank rows were"
            yield file_finding(
                "BM119", f"{count} skipped", "remove them if they are no intention", self.name, self._first_blank, 1
            )

    # The header.

    def _header(self) -> Columns | Diagnostic:
        try:
            names = next((cells for cells in islice(self._reader, _MAX_BLANKS) if cells or not self._skip_line()), None)
        except csv.Error as error:
            return self._broken(error)[0]
        if names is None:
            hint = "the first row must name the columns, as in `type,ticket_id,body_text`"
            return file_finding("BM111", "the file is empty: it has no header row", hint, self.name, 1, 1)
        place = self._place()
        self._done = self._read_lines()
        self.names = names
        return self._wrong_delimiter(names, place) or self._wrong_names(names, place) or Columns(names, place)

    def _skip_line(self) -> bool:
        """Passes over a blank line before the header."""
        self._done = self._read_lines()
        return True

    def _place(self) -> CellPlace:
        start = self._done - self._first
        return CellPlace(self, self._done + 1, self._lines[start : self._read_lines() - self._first])

    def _wrong_delimiter(self, names: list[str], place: Place) -> Diagnostic | None:
        found = [mark for mark in _DELIMITERS if mark != self.delimiter and mark in names[0]]
        if len(names) > 1 or not found:
            return None
        if names[0].lower().startswith("sep="):
            hint = 'remove this line, which only Excel knows, and say `delimiter: ";"` (`--delimiter ";"`) if need be'
            return file_finding(
                "BM111", "the first line is Excel's `sep=`, not a header", hint, self.name, place.line, 1
            )
        likely = max(found, key=names[0].count)
        written = "\\t" if likely == "\t" else likely
        shell = r"$'\t'" if likely == "\t" else f"'{likely}'"
        message = (
            f"the header is one single column: the delimiter looks to be '{written}', not '{shown(self.delimiter)}'"
        )
        hint = f'say `delimiter: "{written}"` or `--delimiter {shell}`'
        return file_finding("BM118", message, hint, self.name, place.line, 1)

    def _wrong_names(self, names: list[str], place: Place) -> Diagnostic | None:
        seen: dict[str, int] = {}
        for index, column in enumerate(names):
            if not column:
                return self._wrong_name(
                    f"column {index + 1} has no name", "name every column, or remove the empty ones", place, index
                )
            if column in seen:
                twice = f"as column {seen[column] + 1} and as column {index + 1}"
                message = f"the column `{shown(column)}` stands twice in the header, {twice}"
                return self._wrong_name(message, "rename or remove one of them", place, index)
            seen[column] = index
        return None

    def _wrong_name(self, message: str, hint: str, place: Place, index: int) -> Diagnostic:
        at = place.at((index,))
        return file_finding("BM111", message, hint, self.name, at.line, at.column)

    # The rows.

    def _rows(self) -> Iterator[Row | Diagnostic]:
        reader, width = self._reader, len(self.names)
        number = 0
        while True:
            try:
                for cells in reader:
                    number += 1
                    line = self._done + 1
                    start = self._done - self._first
                    self._done = end = reader.line_num + self._skipped
                    if not cells:
                        self._first_blank = self._first_blank or line
                        self._blank += 1
                    elif len(cells) == width and any(cells):
                        place = CellPlace(self, line, self._lines[start : end - self._first])
                        yield Row(cells, number + self._skipped, place)
                    elif any(cells):
                        yield self._misfit(cells, number + self._skipped, line)
                    else:
                        self._first_blank = self._first_blank or line
                        self._blank += 1
                return
            except csv.Error as error:
                number += 1
                found, final = self._broken(error, number + self._skipped)
                yield found
                if final:
                    return
                self._done = self._read_lines()

    def _misfit(self, cells: list[str], number: int, line: int) -> Diagnostic:
        have, want = len(cells), len(self.names)
        counted = "1 cell" if have == 1 else f"{have} cells"
        message = f"the row has {counted}, the header has {want}"
        if have > want:
            hint = "put a cell that holds the delimiter in double quotes"
        else:
            hint = "give every row all its cells, empty ones too; a line break inside a cell needs double quotes"
        return file_finding("BM112", message, hint, self.name, line, 1, number)

    def _broken(self, error: csv.Error, number: int = 0) -> tuple[Diagnostic, bool]:
        """The finding for what the csv module refuses in the current row, and whether reading ends with it."""
        line = self._done + 1
        text = "".join(self._lines[self._done - self._first : self._read_lines() - self._first])
        row = number or None  # the header is none
        opened, column, closed = _last_quote(text, self.delimiter)
        at = line + opened
        if "expected after" in str(error):
            message = f"text stands after the quote that closes the cell begun on line {at}, column {column + 1}"
            if closed > opened:
                message += f", the closing one on line {line + closed}"
            hint = (
                'write a quote inside a quoted cell twice, as in "5"" pipe"; check that the quotes around it are meant'
            )
            return file_finding("BM117", message, hint, self.name, at, column + 1, row), False
        if "field larger" in str(error):
            message = f"the cell that begins on line {at} goes on for more than {MAX_CELL:,} characters"
        else:
            message = f"the quoted cell that begins on line {at} is never closed"
        hint = 'close it with a quote; a quote inside a quoted cell is written twice, as in "5"" pipe"'
        return file_finding("BM117", message, hint, self.name, at, column + 1, row), True


def _last_quote(text: str, delimiter: str) -> tuple[int, int, int]:
    """Where the quoted cell that a row breaks in begins (0-based line and column), and the line of its end."""
    start = 0
    while True:
        quoted = text[start : start + 1] == '"'
        end = _after_quote(text, start) if quoted else start
        rest = text[end : end + 1]
        if quoted and (end >= len(text) or rest not in (delimiter, "\r", "\n")):
            break
        cut = text.find(delimiter, end)
        if cut < 0:
            break
        start = cut + 1
    line, column = _line_column(text[:start])
    return line, column, _line_column(text[:end])[0]


def _line_column(before: str) -> tuple[int, int]:
    """The 0-based line and column after a text."""
    before = before.replace("\r\n", "\n").replace("\r", "\n")
    return before.count("\n"), len(before) - before.rfind("\n") - 1
