"""Cells of a CSV become values: what a column's name means, and how its text is read. Pure functions.

Nothing is trimmed; an empty cell is absent; what a column needs is said by the schemas.
"""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass
from difflib import get_close_matches
from enum import Enum
from functools import cache

from bulkmsg import json_text, schema
from bulkmsg.message import Kind
from bulkmsg.readers.jsonl_file import value_of
from bulkmsg.source import Json, Path

_SAFE_INTEGER = 2**53
_ADDRESS_LISTS = frozenset({"source.to", "source.cc", "source.bcc"})


class CellForm(Enum):
    TEXT = "text"
    INTEGER = "a whole number, digits only"
    BOOLEAN = "true or false"
    ADDRESS = "one address"
    ADDRESSES = "addresses separated by `;`"
    JSON = "a list or an object, written as JSON"


class CellError(Exception):
    """A cell that does not hold what its column needs; the text says what it should be."""


@cache
def forms() -> dict[str, CellForm]:
    """What each column needs, by dotted path; a ticket's own fields stand under `ticket.`."""
    found: dict[str, CellForm] = {}
    for kind in Kind:
        found.update(_walk(kind.value, schema.load(kind.value)["$defs"]["entry"], ""))
    ticket = schema.load("ticket")["$defs"]["fields"]
    own = _walk("ticket", ticket, "")
    found.update({f"ticket.{path}": form for path, form in own.items() if path != "messages"})
    return found


def _walk(document: str, node: dict[str, Json], path: str) -> dict[str, CellForm]:
    while "$ref" in node:
        document, node = _resolve(document, node["$ref"])
    types = node.get("type", [])
    kinds = {types} if isinstance(types, str) else set(types)
    found = {path: _form(path, kinds, node)} if path else {}
    if path.count(".") < 3:
        for name, inner in node.get("properties", {}).items():
            if isinstance(inner, dict):
                found.update(_walk(document, inner, f"{path}.{name}" if path else name))
    return found


def _resolve(document: str, reference: str) -> tuple[str, dict[str, Json]]:
    file, _, pointer = reference.partition("#")
    document = file.removesuffix(".schema.json") or document
    node: dict[str, Json] = schema.load(document)
    for part in pointer.strip("/").split("/") if pointer.strip("/") else ():
        node = node[part]
    return document, node


def _form(path: str, kinds: set[str], node: dict[str, Json]) -> CellForm:
    if path in _ADDRESS_LISTS:
        return CellForm.ADDRESSES
    if path == "source.from":
        return CellForm.ADDRESS
    if kinds & {"integer", "number"}:
        return CellForm.INTEGER
    if "boolean" in kinds or isinstance(node.get("const"), bool):
        return CellForm.BOOLEAN
    return CellForm.JSON if kinds & {"array", "object"} else CellForm.TEXT


def read_integer(cell: str) -> Json:
    """Digits only, without a leading zero, within what JSON numbers keep exactly.

    Raises:
        CellError: anything else.
    """
    if not (cell.isascii() and cell.isdigit()) or (cell[0] == "0" and len(cell) > 1):
        raise CellError("a whole number: digits only, without leading zero, blanks or separators")
    if len(cell) > 16 or (number := int(cell)) > _SAFE_INTEGER:
        raise CellError("a whole number below 9,007,199,254,740,993")
    return number


def read_boolean(cell: str) -> Json:
    """`true` or `false` in any case.

    Raises:
        CellError: anything else.
    """
    folded = cell.lower()
    if folded not in ("true", "false"):
        raise CellError("`true` or `false`")
    return folded == "true"


def read_address(cell: str) -> Json:
    """One address, or the object in JSON."""
    return read_json(cell) if cell.startswith("{") else {"address": cell}


def read_addresses(cell: str) -> Json:
    """Addresses separated by `;` (blanks after it belong to it), or the list in JSON."""
    if cell.startswith("["):
        return read_json(cell)
    if ";" not in cell:
        return [{"address": cell}]
    first, *rest = cell.split(";")
    parts = [first, *(part.lstrip(" ") for part in rest)]
    return [{"address": part} for part in parts if part]


def read_json(cell: str) -> Json:
    """A list or an object in JSON.

    Raises:
        CellError: no JSON.
    """
    try:
        return value_of(cell)
    except ValueError as error:
        why = "" if isinstance(error, json_text.JSONDecodeError) else f"; {error}"
        raise CellError(f'a list or an object written as JSON, like ["vip"]{why}') from None


READERS: dict[CellForm, Callable[[str], Json] | None] = {
    CellForm.TEXT: None,
    CellForm.INTEGER: read_integer,
    CellForm.BOOLEAN: read_boolean,
    CellForm.ADDRESS: read_address,
    CellForm.ADDRESSES: read_addresses,
    CellForm.JSON: read_json,
}


def read_rendered(fields: dict[str, Json], *, in_ticket: bool) -> tuple[dict[str, Json], list[tuple[Path, str]]]:
    """A filled-in template with the texts that a schema wants as numbers or booleans read like cells.

    Returns:
        the fields, and the paths whose text cannot be read, with what they should be. An empty text is absent.
    """
    wrong: list[tuple[Path, str]] = []

    def read(value: Json, path: Path, name: str) -> Json:
        if isinstance(value, dict):
            read_items = {
                key: read(item, (*path, key), f"{name}.{key}" if name else key) for key, item in value.items()
            }
            return {key: item for key, item in read_items.items() if item is not _ABSENT}
        if isinstance(value, list):
            inner = "" if in_ticket and path == ("messages",) else name
            return [read(item, (*path, index), inner) for index, item in enumerate(value)]
        form = forms().get(f"ticket.{name}" if in_ticket and path[:1] != ("messages",) else name)
        if not isinstance(value, str) or form not in (CellForm.INTEGER, CellForm.BOOLEAN):
            return value
        convert = READERS[form]
        try:
            return convert(value) if value and convert else _ABSENT
        except CellError as error:
            wrong.append((path, str(error)))
            return _ABSENT

    return read(fields, (), ""), wrong


_ABSENT = object()


@dataclass(frozen=True, slots=True)
class CellTrouble:
    """A column or cell that cannot be read; `path` is the field's path, `column` the column's name in the file."""

    rule: str
    column: str
    message: str
    hint: str


def meta_form(path: str) -> CellForm | None:
    """Free key/value fields (`meta.x`, `headers.X`) take any name below them, as text."""
    head = path.removeprefix("ticket.").split(".", 1)[0]
    return CellForm.TEXT if head in ("meta", "headers") and "." in path.removeprefix("ticket.") else None


class SheetPlan:
    """How the rows of one file become fields: compiled once from its header row.

    Args:
        columns: the names in the file; `names`: what they are called after `columns:` renamed them.
        key: the column whose value is the key, if the block names one.
        skip: the key's column needs no field of that name.
    """

    def __init__(self, columns: tuple[str, ...], names: tuple[str, ...], key: str | None) -> None:
        self.troubles: list[CellTrouble] = []
        self.key_index = names.index(key) if key in names else columns.index(key) if key in columns else None
        self._columns = columns
        self._by_path: dict[Path, str] = {}
        groups: dict[tuple[str, ...], list[tuple[int, str, Callable[[str], Json] | None]]] = {(): []}
        for index, name in enumerate(names):
            form = forms().get(name) or meta_form(name)
            if form is None:
                if index != self.key_index:
                    self.troubles.append(self._unknown(columns[index], name))
                continue
            parts = tuple(name.split("."))
            self._by_path[parts] = columns[index]
            groups.setdefault(parts[:-1], []).append((index, parts[-1], READERS[form]))
        # The columns below one parent together, each before those below its children; the entry's own come first.
        self._groups = sorted(groups.items(), key=lambda item: len(item[0]))

    def _unknown(self, column: str, name: str) -> CellTrouble:
        close = get_close_matches(name, forms(), 1, cutoff=0.6)
        hint = f"did you mean `{close[0]}`?" if close else "columns are fields, like sender.email; see `bulkmsg schema`"
        return CellTrouble("BM114", column, f"the column {column!r} is no field", hint)

    def values(self, cells: list[str], troubles: list[CellTrouble]) -> dict[str, Json]:
        """The row's fields, nested; a ticket's own under `ticket`. Cells that cannot be read are told and left out."""
        fields: dict[str, Json] = {}
        for parents, group in self._groups:
            inner: dict[str, Json] = {} if parents else fields
            for index, name, reader in group:
                if cell := cells[index]:
                    try:
                        inner[name] = reader(cell) if reader else cell
                    except CellError as error:
                        troubles.append(self._unreadable(self._columns[index], error))
            if parents and inner:
                self._place(fields, parents, inner, troubles)
        return fields

    def _unreadable(self, column: str, error: CellError) -> CellTrouble:
        return CellTrouble(
            "BM113", column, f"the cell must be {error}", "write the cell in that form, or leave it empty"
        )

    def _place(
        self, fields: dict[str, Json], parents: tuple[str, ...], inner: dict[str, Json], troubles: list[CellTrouble]
    ) -> None:
        target: Json = fields
        for parent in parents[:-1]:
            target = target.setdefault(parent, {})
            if not isinstance(target, dict):  # a whole given as JSON that is no object
                break
        below = target.get(parents[-1]) if isinstance(target, dict) else target
        if below is None:
            target[parents[-1]] = inner
        elif isinstance(below, dict):
            below.update(inner)
        else:
            whole = ".".join(parents)
            column = self._by_path[(*parents, next(iter(inner)))]
            hint = "keep one of the two: the whole as JSON, or its parts in columns of their own"
            troubles.append(CellTrouble("BM113", column, f"{whole!r} is given both whole and in parts", hint))

    def column_of(self, path: Path) -> str | None:
        """The column in the file from which the value at `path` came."""
        parts = tuple(part for part in path if isinstance(part, str))
        for length in range(len(parts), 0, -1):
            if (found := self._by_path.get(parts[:length])) is not None:
                return found
        return next((column for known, column in self._by_path.items() if known[: len(parts)] == parts), None)
