"""Readers against independent writers: what json, yaml and csv write, the readers read back, with right positions."""

from __future__ import annotations

import csv
import io
import json
import tempfile
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any

import yaml
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st

from bulkmsg.diagnostic import Diagnostic
from bulkmsg.readers import csv_file, jsonl_file, yaml_file
from bulkmsg.readers.csv_file import Columns
from bulkmsg.readers.files import open_input
from bulkmsg.source import Node, Row

SETTINGS = settings(max_examples=50, deadline=None, suppress_health_check=[HealthCheck.too_slow])

# Text as people have it: no NUL, no surrogates, no control characters, which YAML cannot hold raw.
texts = st.text(
    st.characters(exclude_categories=("Cs", "Cc", "Cn")) | st.sampled_from("\n\t\u2028\x85 :#-'\"{}[]"), max_size=12
)
numbers = st.integers(-(2**53), 2**53) | st.floats(-(2.0**53), 2.0**53, allow_nan=False)
json_values = st.recursive(
    st.none() | st.booleans() | numbers | texts,
    lambda inner: st.lists(inner, max_size=4) | st.dictionaries(texts, inner, max_size=4),
    max_leaves=12,
)


def read(text: str, reader: Callable[..., Iterator[Any]], **options: Any) -> list[Any]:
    with tempfile.TemporaryDirectory() as folder:
        path = Path(folder) / "x"
        path.write_bytes(text.encode())
        file = open_input(path, "x")
        assert not isinstance(file, Diagnostic)
        with file:
            return list(reader(file, **options))


def values(found: list[Any]) -> list[Any]:
    assert all(isinstance(item, Node) for item in found), found
    return [item.value for item in found]


@SETTINGS
@given(st.lists(json_values, max_size=4), st.sampled_from([None, 1, 4]), st.booleans())
def test_json_written_into_yaml_is_read_back(entries: list[Any], indent: int | None, escaped: bool) -> None:
    text = json.dumps({"messages": entries}, indent=indent, ensure_ascii=escaped)
    with tempfile.TemporaryDirectory() as folder:
        path = Path(folder) / "x"
        path.write_text(text, encoding="utf-8", newline="")
        file = open_input(path, "x.json")
        assert not isinstance(file, Diagnostic)
        with file:
            assert values(list(yaml_file.nodes(file))) == entries


@SETTINGS
@given(st.lists(json_values, max_size=4), st.sampled_from([None, True, False]), st.booleans())
def test_yaml_is_read_back(entries: list[Any], flow: bool | None, unicode: bool) -> None:
    quoted = [_quoted(entry) for entry in entries]
    text = yaml.dump({"messages": quoted}, Dumper=_Dumper, default_flow_style=flow, allow_unicode=unicode)
    assert values(read(text, yaml_file.nodes)) == entries


class _Text(str):
    """Text that the dumper must quote: plain YAML 1.1 text such as `0o7` is a number in 1.2."""


class _Dumper(yaml.SafeDumper):
    def ignore_aliases(self, data: Any) -> bool:
        return True


_Dumper.add_representer(
    _Text, lambda dumper, data: dumper.represent_scalar("tag:yaml.org,2002:str", str(data), style='"')
)


def _quoted(value: Any) -> Any:
    if isinstance(value, str):
        return _Text(value)
    if isinstance(value, float):
        return value if value != int(value) else int(value)
    if isinstance(value, dict):
        return {_Text(key): _quoted(item) for key, item in value.items()}
    return [_quoted(item) for item in value] if isinstance(value, list) else value


@SETTINGS
@given(st.lists(json_values, max_size=5), st.booleans(), st.sampled_from([(",", ":"), (", ", ": "), (" , ", " : ")]))
def test_json_lines_are_read_back(entries: list[Any], escaped: bool, separators: tuple[str, str]) -> None:
    lines = [json.dumps(entry, ensure_ascii=escaped, separators=separators) for entry in entries]
    assert values(read("\n".join(lines), jsonl_file.lines)) == entries


@SETTINGS
@given(json_values.filter(lambda value: isinstance(value, dict) and value), texts, st.booleans())
def test_a_key_given_twice_is_always_noticed(entry: dict[str, Any], filler: str, escaped: bool) -> None:
    key = next(iter(entry))
    inner = json.dumps({"t": filler, **entry}, ensure_ascii=escaped)
    doubled = f"{inner[:-1]}, {json.dumps(key)}: 1}}"
    for text in (doubled, f'[{{"{filler.isalpha()}": {doubled}}}]'):
        assert [item.rule for item in read(text, jsonl_file.lines)] == ["BM104"]
        assert [item.rule for item in read(f"messages: [{text}]", _as_json)] == ["BM104"]


def _as_json(file: Any) -> Iterator[Any]:
    file.name = "x.json"
    return yaml_file.nodes(file)


@SETTINGS
@given(
    st.lists(texts.filter(bool), min_size=2, max_size=5, unique=True),
    st.data(),
    st.sampled_from([",", ";", "\t"]),
    st.sampled_from(["\n", "\r\n"]),
    st.booleans(),
)
def test_csv_is_read_back_and_positions_point_at_cells(
    names: list[str], data: st.DataObject, delimiter: str, end: str, everything: bool
) -> None:
    cells = st.lists(texts, min_size=len(names), max_size=len(names)).filter(any)
    rows = data.draw(st.lists(cells, max_size=5))
    out = io.StringIO(newline="")
    style: Any = {"delimiter": delimiter, "lineterminator": end}
    csv.writer(out, quoting=csv.QUOTE_ALL if everything else csv.QUOTE_MINIMAL, **style).writerows([names, *rows])
    text = out.getvalue()
    found = read(text, csv_file.rows, delimiter=delimiter)
    assert isinstance(found[0], Columns)
    assert found[0].names == names
    assert [item.cells for item in found[1:]] == rows
    lines = io.StringIO(text, newline="").readlines()
    for row in found[1:]:
        assert isinstance(row, Row)
        for name, cell in zip(names, row.cells, strict=True):
            at = row.place.at((name,))
            rest = lines[at.line - 1][at.column - 1 :]
            assert rest.startswith(('"', cell[:1] or delimiter, end))


# Positions, against the library's own composer.

block_texts = st.text("ab: \n#é-", max_size=6)
plain_values = st.recursive(
    st.none() | st.booleans() | st.integers(0, 99) | block_texts,
    lambda inner: (
        st.lists(inner, max_size=3) | st.dictionaries(st.text("abé1 ", min_size=1, max_size=3), inner, max_size=3)
    ),
    max_leaves=10,
)


@SETTINGS
@given(st.lists(plain_values, min_size=1, max_size=4), st.sampled_from([None, True, False]), st.integers(1, 5))
def test_positions_are_those_of_the_composer(entries: list[Any], flow: bool | None, indent: int) -> None:
    text = "# é\n" + yaml.safe_dump(
        {"name": "x", "messages": entries}, default_flow_style=flow, indent=indent, allow_unicode=True, sort_keys=False
    )
    root = yaml.compose(text, Loader=yaml.SafeLoader)
    assert isinstance(root, yaml.MappingNode)
    listed = root.value[1][1]
    found = [item for item in read(text, yaml_file.nodes) if isinstance(item, Node) and item.path[0] == "messages"]
    by_index = {item.path[1]: item for item in found}
    for index, node in enumerate(listed.value):
        if index in by_index:
            _compare(by_index[index].place, (), node, None)


def _compare(place: Any, path: tuple[Any, ...], node: yaml.Node, key: yaml.Node | None) -> None:
    at = place.at(path)
    assert (at.line, at.column) == (node.start_mark.line + 1, node.start_mark.column + 1)
    if key is not None:
        at = place.at(path, name=True)
        assert (at.line, at.column) == (key.start_mark.line + 1, key.start_mark.column + 1)
    if isinstance(node, yaml.MappingNode):
        for name, value in node.value:
            _compare(place, (*path, name.value), value, name)
    elif isinstance(node, yaml.SequenceNode):
        for index, value in enumerate(node.value):
            _compare(place, (*path, index), value, None)


@SETTINGS
@given(json_values, st.sampled_from([(",", ":"), (" , ", " : ")]), st.booleans())
def test_positions_in_json_lines_point_at_what_is_there(value: Any, separators: tuple[str, str], escaped: bool) -> None:
    line = json.dumps(value, separators=separators, ensure_ascii=escaped)
    [node] = read(line, jsonl_file.lines)
    for path, there in _walk(value, ()):
        column = node.place.at(path).column
        assert json.JSONDecoder().raw_decode(line, column - 1)[0] == there
        if path and isinstance(path[-1], str):
            column = node.place.at(path, name=True).column
            assert json.JSONDecoder().raw_decode(line, column - 1)[0] == path[-1]


def _walk(value: Any, path: tuple[Any, ...]) -> Iterator[tuple[tuple[Any, ...], Any]]:
    yield path, value
    if isinstance(value, dict):
        for key, item in value.items():
            yield from _walk(item, (*path, key))
    elif isinstance(value, list):
        for index, item in enumerate(value):
            yield from _walk(item, (*path, index))
