"""A schema made self-contained: what it refers to in its sibling files stands in its own `$defs`. Pure.

References become pointers within the one file, not embedded resources with an `$id` each: editors that know no
embedded resources follow those too. The bundle keeps the `$id` of its schema, being the same schema.
"""

from __future__ import annotations

from collections.abc import Callable
from functools import cache
from typing import Any

from bulkmsg import schema
from bulkmsg.schema import Schema

_ENDING = ".schema.json"
_MAPS = frozenset({"properties", "patternProperties", "dependentSchemas", "$defs"})  # names to schemas
_DATA = frozenset({"const", "enum", "examples", "required"})  # and all of ours, `x-...`

Target = tuple[str, str]  # a schema's name and that of one of its definitions; "" for the whole


@cache
def bundled(name: str) -> Schema:
    """The schema of that name without a reference to any other file. Shared: do not change it.

    It accepts what the schema accepts. Only definitions that are reached are taken over, in the order of their
    names; its own keep their names, those of others are called after both: `incoming.entry`.

    Raises:
        KeyError: there is none of that name.
    """
    root = schema.load(name)
    taken: dict[Target, Schema] = {}
    wanted = _targets(root, name)
    while foreign := {target for target in wanted if target[0] != name} - taken.keys():
        taken |= {target: _part(target) for target in foreign}
        wanted = {reached for target in foreign for reached in _targets(taken[target], target[0])}
    own = {word: _localised(node, name, name) for word, node in root.get("$defs", {}).items()}
    others = {_local_name(target): _localised(taken[target], target[0], name) for target in sorted(taken)}
    rest = {word: value for word, value in root.items() if word != "$defs"}
    return {**_localised(rest, name, name), "$defs": own | others}


def _part(target: Target) -> Schema:
    name, definition = target
    whole = schema.load(name)
    part: Schema = whole["$defs"][definition] if definition else whole
    return {word: value for word, value in part.items() if word not in ("$schema", "$id", "$defs")}


def _target(reference: str, home: str) -> Target:
    """What a reference in the schema `home` means. All of ours mean a whole schema or a definition of one."""
    file, _, pointer = reference.partition("#")
    return file.removesuffix(_ENDING) or home, pointer.removeprefix("/$defs/")


def _local_name(target: Target) -> str:
    return ".".join(filter(None, target))


def _targets(node: Schema, home: str) -> set[Target]:
    """All that a schema refers to, wherever in it."""
    found: set[Target] = set()

    def note(reference: str) -> str:
        found.add(_target(reference, home))
        return reference

    _mapped(node, note)
    return found


def _localised(node: Schema, home: str, into: str) -> Schema:
    """The schema with each reference turned into one to where its target stands in the bundle of `into`."""

    def local(reference: str) -> str:
        target = _target(reference, home)
        if target[0] != into:
            return f"#/$defs/{_local_name(target)}"
        return f"#/$defs/{target[1]}" if target[1] else "#"

    moved: Schema = _mapped(node, local)
    return moved


def _mapped(node: Any, turn: Callable[[str], str]) -> Any:
    """A copy of a schema with each of its references turned; what is data in it stays as it is."""
    if isinstance(node, list):
        return [_mapped(item, turn) for item in node]
    if not isinstance(node, dict):
        return node
    return {word: _mapped_keyword(word, value, turn) for word, value in node.items()}


def _mapped_keyword(word: str, value: Any, turn: Callable[[str], str]) -> Any:
    if word == "$ref":
        return turn(value)
    if word in _MAPS:
        return {name: _mapped(inner, turn) for name, inner in value.items()}
    return value if word in _DATA or word.startswith("x-") else _mapped(value, turn)
