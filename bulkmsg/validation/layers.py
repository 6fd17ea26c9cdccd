"""Layers: `defaults`, defaults of the type, template, cells, the entry. Later wins; pure functions on plain values."""

from __future__ import annotations

from bulkmsg.message import Kind
from bulkmsg.source import Json

TYPE_SECTIONS = frozenset(kind.value for kind in Kind)
_NOT_GENERAL = TYPE_SECTIONS | {"ticket", "type"}  # `type` picks the sections, it does not lie below entries


def merge(below: dict[str, Json], above: dict[str, Json]) -> dict[str, Json]:
    """`above` laid over `below`: maps merge, lists replace, null removes. Neither is changed."""
    merged = {**below, **above}
    for name, value in above.items():
        if value is None:
            del merged[name]
        elif isinstance(value, dict):
            lower = below.get(name)
            merged[name] = merge(lower if isinstance(lower, dict) else {}, value)
    return merged


def fits(kind: Kind, name: str, value: Json, allowed: frozenset[str]) -> bool:
    """Whether a general default may reach this kind of message; one that the type forbids is left out.

    `allowed` are the kind's fields by its schema. The rest are the type's own rules (Gorgias changelog, "Stricter
    ticket messages validation").
    """
    note = kind is Kind.INTERNAL_NOTE
    if name not in allowed:
        return False
    if name == "from_agent":
        return value is (kind is not Kind.INCOMING)
    if name == "public":
        return value is not note
    if name == "channel":
        return (value == "internal-note") is note
    if name == "source" and note:
        return isinstance(value, dict) and value.get("type") == "internal-note"
    return True


def base_for(kind: Kind, defaults: dict[str, Json], allowed: frozenset[str]) -> tuple[dict[str, Json], list[str]]:
    """What lies below every entry of a kind, and the names of the general defaults that were left out."""
    general = {name: value for name, value in defaults.items() if name not in _NOT_GENERAL}
    kept = {name: value for name, value in general.items() if fits(kind, name, value, allowed)}
    own = defaults.get(kind.value)
    return merge(merge({}, kept), own if isinstance(own, dict) else {}), sorted(general.keys() - kept.keys())
