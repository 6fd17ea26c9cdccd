"""How these tests read: a text in, nodes, rows and findings out."""

from __future__ import annotations

from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any

import pytest

from bulkmsg.diagnostic import Diagnostic
from bulkmsg.readers import csv_file, jsonl_file, yaml_file
from bulkmsg.readers.files import open_input

Read = Callable[..., list[Any]]


def _reader(tmp_path: Path, read: Callable[..., Iterator[Any]]) -> Read:
    def run(text: str | bytes, name: str = "batch", **options: Any) -> list[Any]:
        path = tmp_path / "input"
        path.write_bytes(text.encode() if isinstance(text, str) else text)
        opened = open_input(path, name)
        assert not isinstance(opened, Diagnostic)
        with opened as file:
            return list(read(file, **options))

    return run


@pytest.fixture
def read_yaml(tmp_path: Path) -> Read:
    return _reader(tmp_path, yaml_file.nodes)


@pytest.fixture
def read_csv(tmp_path: Path) -> Read:
    return _reader(tmp_path, csv_file.rows)


@pytest.fixture
def read_jsonl(tmp_path: Path) -> Read:
    return _reader(tmp_path, jsonl_file.lines)


def _told(found: list[Any]) -> list[tuple[str, int, int]]:
    """The findings, as rule, line and column; each says something and gives a way out."""
    diagnostics = [item for item in found if isinstance(item, Diagnostic)]
    assert all(item.message and item.hint and item.file == "batch" for item in diagnostics)
    return [(item.rule, item.line, item.column) for item in diagnostics]


def _values(found: list[Any]) -> list[Any]:
    """The nodes, as path and value; findings are left out."""
    return [(item.path, item.value) for item in found if not isinstance(item, Diagnostic)]


@pytest.fixture
def told() -> Callable[[list[Any]], list[tuple[str, int, int]]]:
    return _told


@pytest.fixture
def values() -> Callable[[list[Any]], list[Any]]:
    return _values
