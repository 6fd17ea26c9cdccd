"""Every entry's outcome, a line each: for spreadsheets, for programs, for a terminal. All of them stream."""

from __future__ import annotations

import csv
import io
from collections.abc import Callable, Iterable, Iterator
from itertools import chain, islice

from bulkmsg.reports.json import dump
from bulkmsg.reports.words import visible
from bulkmsg.source import Json

COLUMNS = (
    "key",
    "external_id",
    "file",
    "line",
    "ticket_id",
    "message_id",
    "outcome",
    "attempts",
    "status",
    "error",
)
Row = dict[str, Json]

# A cell that begins so is run as a formula by spreadsheet programs (OWASP, "CSV Injection").
_FORMULA = ("=", "+", "-", "@", "\t", "\r")
_SHOWN = ("outcome", "key", "place", "ticket_id", "message_id", "status", "error")
_WIDEST = {"key": 40, "place": 40, "error": 100}
_SAMPLE = 200


def csv_lines(rows: Iterable[Row]) -> Iterator[str]:
    """Comma-separated, with a header row; text that a spreadsheet would run begins with an apostrophe."""
    yield ",".join(COLUMNS) + "\n"
    for row in rows:
        out = io.StringIO()
        csv.writer(out).writerow(_cell(row[name]) for name in COLUMNS)
        # With "\n" as its line end the writer would leave a lone CR in a cell unquoted.
        yield out.getvalue().removesuffix("\r\n") + "\n"


def _cell(value: Json) -> Json:
    return "'" + value if isinstance(value, str) and value.startswith(_FORMULA) else value


def jsonl_lines(rows: Iterable[Row]) -> Iterator[str]:
    """A JSON object a line, its fields as in `schemas/report.schema.json`."""
    for row in rows:
        yield dump({name: row[name] for name in COLUMNS}) + "\n"


def table_lines(rows: Iterable[Row]) -> Iterator[str]:
    """Columns side by side; their widths are those of the first rows, longer ones simply stick out."""
    source = map(_shown, rows)
    sample = list(islice(source, _SAMPLE))
    widths = [max(len(name), *(len(row[at]) for row in sample), 0) for at, name in enumerate(_SHOWN)]
    for row in chain([list(_SHOWN)], sample, source):
        yield "  ".join(cell.ljust(width) for cell, width in zip(row, widths, strict=True)).rstrip() + "\n"


def _shown(row: Row) -> list[str]:
    cells = {**row, "place": f"{row['file']}:{row['line']}", "outcome": row["outcome"].replace("_", " ")}
    return [_fitted(name, "" if cells[name] is None else visible(str(cells[name]))) for name in _SHOWN]


def _fitted(name: str, cell: str) -> str:
    widest = _WIDEST.get(name, 20)
    return cell if len(cell) <= widest else cell[: widest - 1] + "…"


FORMATS: dict[str, Callable[[Iterable[Row]], Iterator[str]]] = {
    "csv": csv_lines,
    "jsonl": jsonl_lines,
    "table": table_lines,
}
