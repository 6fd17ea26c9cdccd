"""What a value may be, in words: its kind, its limits, the only values it can have."""

from __future__ import annotations

from collections.abc import Iterator
from typing import Any

from bulkmsg.fields import tree
from bulkmsg.fields.tree import Home
from bulkmsg.schema import Schema

_MOST = 2**53 - 1  # what JSON keeps exactly: a limit of the format that nobody meets
_OF_LISTS = frozenset({"items", "minItems", "maxItems"})
_OF_TEXTS = frozenset({"minLength", "maxLength"})
_KINDS = {
    "string": ("text", "texts"),
    "integer": ("a whole number", "whole numbers"),
    "number": ("a number", "numbers"),
    "boolean": ("true or false", "true or false"),
    "object": ("a map of fields", "maps of fields"),
    "array": ("a list", "lists"),
}


def kind(at: Home) -> str:
    """`text, 1 to 255 characters`; `a list of maps of fields, at most 500`."""
    choices = [_choice(each) for each in _choices(at)]
    return "; or ".join(dict.fromkeys(filter(None, choices)))


def _choices(at: Home) -> Iterator[Home]:
    home, node = at
    if "anyOf" in node and "type" not in node:
        for each in node["anyOf"]:
            yield from _choices((home, each))
    elif "$ref" in node and "type" not in node:
        yield from _choices(tree.target(home, node["$ref"]))
    elif node.get("type") == ["string", "array"]:
        yield home, {word: value for word, value in node.items() if word not in _OF_LISTS} | {"type": "string"}
        yield home, {word: value for word, value in node.items() if word not in _OF_TEXTS} | {"type": "array"}
    else:
        yield at


def _choice(at: Home) -> str:
    home, node = at
    kinds = [kind for kind in _listed(node.get("type")) if kind != "null"]
    if "enum" in node or "const" in node or not kinds:
        return ""
    if "x-expects" in node:
        words = str(node["x-expects"])
    elif kinds == ["array"] and isinstance(node.get("items"), dict):
        words = f"a list of {_plural((home, node['items']))}"
    else:
        words = " or ".join(_KINDS[kind][0] for kind in kinds)
    return ", ".join(filter(None, [words, *_limits(node)]))


def _plural(at: Home) -> str:
    found = [_KINDS[kind][1] for each in _choices(at) for kind in _listed(each[1].get("type")) if kind != "null"]
    return " or ".join(dict.fromkeys(found)) or "values"


def _limits(node: Schema) -> Iterator[str]:
    yield _range(node.get("minLength"), node.get("maxLength"), "character")
    if "x-expects" not in node:
        yield _range(node.get("minimum"), None if node.get("maximum") == _MOST else node.get("maximum"), "")
    yield _range(node.get("minItems"), node.get("maxItems"), "item")


def _range(low: int | None, high: int | None, unit: str) -> str:
    noun = f" {unit}{'' if (high or low) == 1 else 's'}" if unit else ""
    if low and low == high:
        return f"exactly {low:,}{noun}"
    if high is not None:
        return f"{low:,} to {high:,}{noun}" if low else f"at most {high:,}{noun}"
    if low is None:
        return ""
    return f"at least {low:,}{noun}" if unit else f"{low:,} or more"


def allowed(at: Home) -> Iterator[str]:
    for _, node in _choices(at):
        values = node.get("enum", [node["const"]] if "const" in node else [])
        yield from (value if isinstance(value, str) else str(value).lower() for value in values if value is not None)


def _listed(value: Any) -> list[str]:
    return [value] if isinstance(value, str) else list(value or ())
