"""What one would write without bulkmsg: read the file, check each message with compiled jsonschema, count the wrong.

Nothing in it is slow on purpose. The validators are compiled once, stop at the first error, check no formats and
explain nothing; dates, addresses and what occurs twice, at which bulkmsg looks as well, are left out. YAML is read by
the C parser.
"""

from __future__ import annotations

import csv
import json
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any

from jsonschema import Draft202012Validator
from referencing import Registry, Resource

Schema = dict[str, Any]
Check = Callable[[Any], bool]

_BASE = "https://bulkmsg.dev/schemas/"
_FOLDER = Path(__file__).resolve().parent.parent / "schemas"
_KINDS = ("incoming", "outgoing", "internal-note")
_NUMBERS = ("ticket_id",)


def checks(*, inlined: bool = False) -> dict[str, Check]:
    """The three types' validators, for an import into existing tickets.

    With `inlined` the schemas' references are resolved beforehand, which jsonschema would do anew for each message.
    """
    schemas: dict[str, Schema] = {path.name: json.loads(path.read_text("utf-8")) for path in _FOLDER.glob("*.json")}
    registry: Registry[Any] = Registry().with_resources(
        [(_BASE + name, Resource.from_contents(schema)) for name, schema in schemas.items()]
    )
    found: dict[str, Check] = {}
    for kind in _KINDS:
        home = f"{_BASE}{kind}.schema.json"
        schema: Schema = {"allOf": [{"$ref": f"{home}{part}"} for part in ("", "#/$defs/import", "#/$defs/on_ticket")]}
        if inlined:
            schema = _inlined(schema, home, schemas, ())
        found[kind] = Draft202012Validator(schema, registry=registry).is_valid
    return found


def _inlined(node: Any, home: str, schemas: dict[str, Schema], around: tuple[str, ...]) -> Any:
    if isinstance(node, list):
        return [_inlined(item, home, schemas, around) for item in node]
    if not isinstance(node, dict):
        return node
    rest = {name: _inlined(value, home, schemas, around) for name, value in node.items() if name != "$ref"}
    if not isinstance(node.get("$ref"), str):
        return rest
    file, _, pointer = node["$ref"].partition("#")
    file = (file or home).removeprefix(_BASE)
    reference = f"{_BASE}{file}#{pointer}"
    if reference in around:  # a schema that holds itself stays a reference
        return {**rest, "$ref": reference}
    target: Any = schemas[file]
    for part in pointer.split("/")[1:]:
        target = target[part]
    bare = {name: value for name, value in target.items() if name not in ("$id", "$schema", "$defs")}
    return {**rest, "allOf": [_inlined(bare, _BASE + file, schemas, (*around, reference)), *rest.get("allOf", ())]}


def invalid(path: Path, checkers: dict[str, Check]) -> tuple[int, int]:
    """How many messages the file holds, and how many of them are wrong."""
    readers = {".csv": _csv, ".yaml": _yaml, ".jsonl": _jsonl}
    total = wrong = 0
    for message in readers[path.suffix](path):
        total += 1
        check = checkers.get(message.get("type"))
        wrong += check is None or not check(message)
    return total, wrong


def _csv(path: Path) -> Iterator[Any]:
    with path.open(encoding="utf-8", newline="") as file:
        for row in csv.DictReader(file):
            yield _nested(row)


def _nested(row: dict[str, str]) -> dict[str, Any]:
    message: dict[str, Any] = {}
    for column, cell in row.items():
        if not cell:
            continue
        value: Any = cell
        if column in _NUMBERS and cell.isdigit():
            value = int(cell)
        elif column == "source.from":
            value = {"address": cell}
        elif column == "source.to":
            value = [{"address": address} for address in cell.split(";")]
        *parents, name = column.split(".")
        target = message
        for parent in parents:
            target = target.setdefault(parent, {})
        target[name] = value
    return message


def _jsonl(path: Path) -> Iterator[Any]:
    with path.open("rb") as file:
        yield from map(json.loads, file)


def _yaml(path: Path) -> Iterator[Any]:
    import yaml

    with path.open("rb") as file:
        yield from yaml.load(file, Loader=yaml.CSafeLoader)["messages"]
