"""What the schemas say about a field, by its path: `outgoing.source.from`, `batch.mode`, `event.outcome`.

Pure reading of `schemas/`. A path begins with a schema's name. Nothing here checks anything.
"""

from __future__ import annotations

from collections.abc import Iterable, Iterator
from dataclasses import dataclass
from functools import cache

from bulkmsg.fields import demands, kinds, tree
from bulkmsg.fields.tree import MESSAGE_TYPES, ROOTS, Home, Steps
from bulkmsg.source import Json

__all__ = ["MESSAGE_TYPES", "ROOTS", "Below", "Field", "Told", "alike", "field", "paths", "refused"]


@dataclass(frozen=True, slots=True)
class Below:
    """A field below another: its name, what it is, and whether it is always needed there."""

    name: str
    title: str
    description: str
    required: bool


@dataclass(frozen=True, slots=True)
class Field:
    """All that the schemas say about one field."""

    path: str
    title: str
    description: str
    kind: str  # "text, 1 to 255 characters"; empty where nothing is said
    allowed: tuple[str, ...]  # the only values it can have; empty: any of its kind
    examples: tuple[Json, ...]
    demands: tuple[str, ...]  # where it is required or must be absent, and why
    below: tuple[Below, ...]

    @property
    def name(self) -> str:
        return self.path.rpartition(".")[2]


@dataclass(frozen=True, slots=True)
class Told:
    """A field, or several of which one explanation holds, and the rules that speak of it."""

    names: tuple[str, ...]  # the paths of all
    field: Field
    rules: tuple[str, ...]


@cache
def field(path: str) -> Field | None:
    """The field at a path that begins with a schema's name; None if there is none."""
    root, *rest = path.split(".")
    steps = tuple(rest)
    found = tree.node(root, steps)
    if found is None:
        return None
    title, description = tree.texts(root, found[1], steps)
    return Field(
        path=path,
        title=title,
        description=description,
        kind=kinds.kind(found) if steps else "",
        allowed=tuple(dict.fromkeys(kinds.allowed(found))) if steps else (),
        examples=tuple(found[1].get("examples", ())) if steps else (),
        demands=demands.demands(root, steps),
        below=tuple(_below(root, steps, found)),
    )


def _below(root: str, steps: Steps, at: Home) -> Iterator[Below]:
    for name in tree.names(root, steps, at):
        found = tree.node(root, (*steps, name))
        assert found is not None
        title, description = tree.texts(root, found[1], (*steps, name))
        yield Below(name, title, description, demands.always(root, (*steps, name)))


def refused(path: str) -> str:
    """Why a field of the API is refused on purpose; empty if it is not."""
    root, *steps = path.split(".")
    owner = tree.node(root, tuple(steps[:-1])) if steps else None
    reasons = (face.get("x-refused", {}).get(steps[-1], "") for _, face in tree.faces(owner, root)) if owner else ()
    return next((str(reason) for reason in reasons if reason), "")


@cache
def paths() -> tuple[str, ...]:
    """Every path that can be explained."""
    return tuple(path for root in ROOTS for path in _paths(root, (), ()))


def _paths(root: str, steps: Steps, above: tuple[int, ...]) -> Iterator[str]:
    found = tree.node(root, steps)
    assert found is not None
    yield ".".join((root, *steps))
    if id(found[1]) not in above:
        for name in tree.names(root, steps, found):
            yield from _paths(root, (*steps, name), (*above, id(found[1])))


def alike(found: Iterable[Field]) -> list[list[Field]]:
    """The fields in groups of which one explanation holds."""
    groups: dict[tuple[object, ...], list[Field]] = {}
    for each in found:
        told = (each.title, each.description, each.kind, each.allowed, each.demands, tuple(b.name for b in each.below))
        groups.setdefault(told, []).append(each)
    return list(groups.values())
