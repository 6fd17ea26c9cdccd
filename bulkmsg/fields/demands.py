"""Where a field is required or must be absent, and why, in words: the rules of the schemas turned around."""

from __future__ import annotations

from collections.abc import Iterator
from typing import Any

from bulkmsg import schema
from bulkmsg.fields import tree
from bulkmsg.fields.tree import MESSAGE_TYPES, Home, Steps
from bulkmsg.schema import Schema

_CASES = {
    "import": "in import mode",
    "send": "in send mode",
    "on_ticket": "on an existing ticket",
    "in_ticket": "inside a new ticket",
}


def demands(root: str, steps: Steps) -> tuple[str, ...]:
    """`required in import mode: ...`, `must be absent inside a new ticket: ...`; what always holds stands alone."""
    found = list(dict.fromkeys(_all(root, steps)))
    always = next((each for each in found if _is_always(each)), None)
    return tuple(each for each in found if always is None or each == always or not each.startswith("required"))


def always(root: str, steps: Steps) -> bool:
    """Whether the field is required wherever the object that it belongs to stands."""
    return any(map(_is_always, _all(root, steps)))


def _is_always(demand: str) -> bool:
    return demand.partition(":")[0] == "required"


def _all(root: str, steps: Steps) -> Iterator[str]:
    if not steps:
        return
    whole = schema.load(root)
    if steps[0] in tree.parts(root) and steps[1:]:
        yield from _asked((root, whole["$defs"][steps[0]]), steps[1:], "")
        return
    yield from _asked((root, whole), steps, "")
    for part, where in (_CASES if root in MESSAGE_TYPES else {}).items():
        yield from _asked((root, whole["$defs"][part]), steps, where)


def _asked(at: Home, steps: Steps, where: str) -> Iterator[str]:
    """What a rule asks of the field at `steps` below it."""
    if not steps:
        return
    home, node = at
    if len(steps) == 1:
        yield from _asked_here(node, steps[0], where)
    elif steps[0] in node.get("properties", {}):
        yield from _asked_inside((home, node["properties"][steps[0]]), steps[1:], where)
    if "$ref" in node:
        yield from _asked(tree.target(home, node["$ref"]), steps, where)
    for each in node.get("allOf", ()):
        yield from _asked((home, each), steps, where)
    condition = _condition(node.get("if"))
    if condition and isinstance(node.get("then"), dict):
        yield from _asked((home, node["then"]), steps, condition)


def _asked_inside(at: Home, steps: Steps, where: str) -> Iterator[str]:
    """The same below a field, be it a map or a list of maps."""
    yield from _asked(at, steps, where)
    home, node = at
    for each in (node.get("items"), *node.get("prefixItems", ())):
        if isinstance(each, dict):
            yield from _asked((home, each), steps, where)
    for face in [tree.target(home, node["$ref"])] if "$ref" in node else []:
        if isinstance(face[1].get("items"), dict):
            yield from _asked((face[0], face[1]["items"]), steps, where)


def _asked_here(node: Schema, name: str, where: str) -> Iterator[str]:
    why = node.get("x-why", "")
    if name in node.get("required", ()):
        yield _sentence("required", where, why.get(name, "") if isinstance(why, dict) else why)
    alternatives = [each["required"][0] for each in node.get("anyOf", ()) if each.get("required")]
    if name in alternatives:
        told = why if isinstance(why, str) and where else ""  # what always holds says no more than the demand itself
        yield _sentence(f"one of {', '.join(alternatives)} is required", where, told)
    rule = node.get("properties", {}).get(name)
    if isinstance(rule, dict) and (rule.get("not") == {} or rule.get("const", ...) is None):
        yield _sentence("must be absent", where, str(rule.get("x-why", "")))


def _sentence(what: str, where: str, why: str) -> str:
    head = f"{what} {where}".strip()
    why = why.removeprefix(where).strip()
    return f"{head}: {why}" if why else head


def _condition(rule: Any) -> str:
    """In words, the one thing that an `if` asks: only those are told of."""
    absent: list[str] = rule.get("not", {}).get("required", []) if isinstance(rule, dict) else []
    if len(absent) == 1:
        return f"where there is no {absent[0]}"
    compared = list(rule.get("properties", {}).items()) if isinstance(rule, dict) and rule.get("required") else []
    if len(compared) != 1 or "const" not in compared[0][1]:
        return ""
    name, value = compared[0][0], compared[0][1]["const"]
    spoken = {("channel", "email"): "on the email channel", ("mode", "send"): "in send mode"}
    return spoken.get((name, value), f"where {name} is {value}")
