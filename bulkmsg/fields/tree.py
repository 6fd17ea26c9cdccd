"""Finding the part of a schema that a path names. Lists need no index: below `to` stand the fields of its items."""

from __future__ import annotations

from collections.abc import Iterator

from bulkmsg import schema
from bulkmsg.schema import Schema

MESSAGE_TYPES = ("incoming", "outgoing", "internal-note")
# Where the fields of a schema stand, and which text is about the whole.
_ROOTS = {
    **dict.fromkeys(MESSAGE_TYPES, ("$defs/entry", "$defs/entry")),
    "ticket": ("$defs/fields", "$defs/entry"),
    "batch": ("", ""),
    "progress-log": ("", ""),
    "event": ("", ""),
    "report": ("", ""),
    "mapping": ("", ""),
}
ROOTS = tuple(_ROOTS)
_FORKED = frozenset({"progress-log", "event"})  # the root holds a name only; `allOf` leads to the rest

Steps = tuple[str, ...]
Home = tuple[str, Schema]  # a part of a schema, with the name of the file that its references begin from


def node(root: str, steps: Steps) -> Home | None:
    """The part of a schema that stands at these steps; None if there is none."""
    if root not in _ROOTS:
        return None
    whole = schema.load(root)
    found = _down((root, _inside(whole, _ROOTS[root][0])), steps, root)
    if found is None and steps and steps[0] in parts(root):  # also where a field has the same name, such as outcome
        found = _down((root, whole["$defs"][steps[0]]), steps[1:], root)
    return found


def _down(here: Home, steps: Steps, root: str) -> Home | None:
    for step in steps:
        face = next((face for face in faces(here, root) if step in face[1].get("properties", ())), None)
        if face is None:
            return None
        here = (face[0], face[1]["properties"][step])
    return here


def parts(root: str) -> list[str]:
    """The named shapes that a schema for programs is made of, such as `event.run_started`."""
    return list(schema.load(root).get("$defs", ())) if root in (*_FORKED, "report") else []


def names(root: str, steps: Steps, here: Home) -> list[str]:
    """The names of all fields below a part."""
    found = [name for _, face in faces(here, root) for name in face.get("properties", ())]
    return list(dict.fromkeys([*found, *(() if steps else parts(root))]))


def faces(here: Home, root: str, seen: tuple[int, ...] = ()) -> Iterator[Home]:
    """A part and all that says which fields stand in it: what it refers to, its items, its cases."""
    home, part = here
    if id(part) in seen:  # free data refers to itself
        return
    yield here
    seen = (*seen, id(part))
    inner = [part[case] for case in ("items", "then", "else") if isinstance(part.get(case), dict)]
    inner += part.get("allOf", ()) if root in _FORKED else ()
    for each in inner:
        yield from faces((home, each), root, seen)
    if "$ref" in part:
        yield from faces(target(home, part["$ref"]), root, seen)


def target(home: str, reference: str) -> Home:
    """What a `$ref` in the file `home` refers to."""
    file, _, pointer = reference.partition("#")
    name = file.removesuffix(".schema.json") or home
    return name, _inside(schema.load(name), pointer)


def texts(root: str, part: Schema, steps: Steps) -> tuple[str, str]:
    """Title and description."""
    told = part if steps else _inside(schema.load(root), _ROOTS[root][1])
    return str(told.get("title", "")), str(told.get("description", ""))


def _inside(part: Schema, pointer: str) -> Schema:
    for step in filter(None, pointer.split("/")):
        part = part[step]
    return part
