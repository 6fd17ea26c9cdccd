"""Rows of CSV tables as records, for conversions: every cell is text, an empty one is absent."""

from __future__ import annotations

from collections.abc import Iterator

from bulkmsg.diagnostic import Diagnostic
from bulkmsg.readers import csv_file
from bulkmsg.readers.records import Record
from bulkmsg.readers.text import ByteSource
from bulkmsg.source import Row


def table(file: ByteSource, encoding: str, delimiter: str) -> Iterator[Record | Diagnostic]:
    """A record for each row, by the names of its header; what is wrong with others is a finding."""
    names: list[str] = []
    for item in csv_file.rows(file, delimiter=delimiter, encoding=encoding):
        if isinstance(item, csv_file.Columns):
            names = item.names
        elif isinstance(item, Row):
            cells = zip(names, item.cells, strict=True)
            yield Record({name: cell for name, cell in cells if cell}, file.name, item.place.line)
        else:
            yield item
