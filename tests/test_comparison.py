"""What docs/comparison.md says of bulkmsg itself is measured anew; the other tools are measured by `make compare`."""

from __future__ import annotations

import importlib.util
import re
import sys
from pathlib import Path
from types import ModuleType

import pytest

ROOT = Path(__file__).parent.parent
PAGE = (ROOT / "docs" / "comparison.md").read_text()


@pytest.fixture(scope="module")
def compare() -> ModuleType:
    spec = importlib.util.spec_from_file_location("compare", ROOT / "benchmarks" / "compare.py")
    assert spec is not None and spec.loader is not None
    module = importlib.util.module_from_spec(spec)
    sys.modules["compare"] = module  # its dataclasses look for it there
    spec.loader.exec_module(module)
    return module


def cells(text: str) -> dict[str, str]:
    """Each mistake of the tables, with what they say of bulkmsg in their second column."""
    return {match[1]: match[2] for match in re.finditer(r"^\| ([^|]+) \| ([^|]+) \|", text, re.MULTILINE)}


@pytest.mark.parametrize("kind", ["YAML", "CSV"])
def test_the_page_says_what_bulkmsg_finds(kind: str, compare: ModuleType, tmp_path: Path) -> None:
    good, mistakes = getattr(compare, kind), getattr(compare, f"IN_{kind}")
    asked = compare.tools(None, tmp_path / "batch.json", tmp_path / "table.json")
    measured = cells("\n".join(compare.table(kind.lower(), good, mistakes, asked, tmp_path)))
    section = PAGE.partition(f"### One mistake in a {kind} batch")[2].partition("\n### ")[0]
    assert measured == cells(section)
    assert set(measured) == {"mistake", *(each.title for each in mistakes)}
    assert {said for title, said in measured.items() if title != "mistake"} == {"line and column"}


@pytest.mark.parametrize("name", ["wrong.yaml", "wrong.csv"])
def test_the_page_shows_what_bulkmsg_prints(name: str, compare: ModuleType, tmp_path: Path) -> None:
    kind = name.rpartition(".")[2].upper()
    titles = compare.SEVERAL if kind == "YAML" else compare.SEVERAL_IN_CSV
    (tmp_path / name).write_text(compare.with_mistakes(getattr(compare, kind), getattr(compare, f"IN_{kind}"), titles))
    printed = compare.output([*compare.BULKMSG, "validate", name], tmp_path)
    assert f"`bulkmsg validate {name}`\n\n```text\n{printed}```\n" in PAGE
