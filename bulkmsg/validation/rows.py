"""Entries as written become fields: cells by their columns, rows by their template, keys by their key column."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass, field
from typing import TYPE_CHECKING

from bulkmsg.batch import Block, Entry, Sheet
from bulkmsg.diagnostic import Diagnostic, finding
from bulkmsg.source import Json, Path, path_text
from bulkmsg.validation.cells import CellTrouble, SheetPlan, forms, read_rendered
from bulkmsg.validation.checks import Trouble
from bulkmsg.validation.told import Told

if TYPE_CHECKING:
    from bulkmsg.template import Template, TemplateTrouble


@dataclass
class _Table:
    """A file of columns, prepared once: how its rows become fields, and where their key is."""

    sheet: Sheet
    usable: bool
    key_index: int | None
    plan: SheetPlan | None

    def column_of(self, path: Path) -> str | None:
        if path[:1] == ("key",) and self.key_index is not None and self.sheet.block.key is not None:
            return self.sheet.columns[self.key_index]
        return self.plan.column_of(path) if self.plan is not None and path else None

    def path_of(self, column: str) -> Path:
        """The field that a column gives."""
        name = self.sheet.names[self.sheet.columns.index(column)] if column in self.sheet.columns else column
        return tuple(name.split("."))


@dataclass
class Rows:
    """What turns entries into fields; says what is wrong with a file's columns or a template once, through `report`."""

    report: Callable[[Diagnostic], None]
    _tables: dict[int, _Table] = field(default_factory=dict)
    _templates: dict[tuple[int, tuple[str, ...] | None], tuple[Block, Template]] = field(default_factory=dict)

    def fields(self, entry: Entry, told: Told) -> dict[str, Json] | None:
        """The entry's fields; None when they cannot be told, which was reported."""
        if entry.cells is not None:
            return self._from_cells(entry, entry.cells, told)
        assert entry.value is not None
        if entry.block is None:
            return entry.value
        return self._from_mapping(entry, entry.block, entry.value, told)

    # -- rows of columns -------------------------------------------------------------------------------------------

    def _from_cells(self, entry: Entry, cells: list[str], told: Told) -> dict[str, Json] | None:
        assert entry.sheet is not None
        table = self._table(entry.sheet)
        if not table.usable:
            return None
        told.column_of = table.column_of
        key = cells[table.key_index] if table.key_index is not None else None
        told.key = key or None
        if table.plan is None:
            names = entry.sheet.names
            row = {name: cell for name, cell in zip(names, cells, strict=True) if cell}
            return self._rendered(entry, entry.sheet.block, names, row, key, told)
        troubles: list[CellTrouble] = []
        fields = table.plan.values(cells, troubles)
        for trouble in troubles:
            path = table.path_of(trouble.column)
            told.unreadable(Trouble(trouble.rule, path, trouble.message, trouble.hint), trouble.column)
        return _keyed(fields, entry.sheet.block, key, told)

    def _table(self, sheet: Sheet) -> _Table:
        table = self._tables.get(id(sheet))
        if table is None:
            table = self._tables[id(sheet)] = self._prepared(sheet)
        return table

    def _prepared(self, sheet: Sheet) -> _Table:
        block = sheet.block
        usable = self._names_differ(sheet)
        key_index = None
        if block.key is not None:
            named = (names for names in (sheet.names, sheet.columns) if block.key in names)
            key_index = next((names.index(block.key) for names in named), None)
            if key_index is None:
                usable = False
                message = f"`key: {_shown(block.key)}` names no column of {_shown(sheet.file)}"
                hint = f"the columns are {_listed(sheet.names)}"
                self.report(finding("BM116", message, hint, block.place, ("key",), prefix=block.prefix))
        if block.template is not None:
            return _Table(sheet, usable, key_index, None)
        if not usable:
            return _Table(sheet, usable, key_index, None)
        plan = SheetPlan(sheet.columns, sheet.names, block.key)
        for trouble in plan.troubles:
            usable = False
            self.report(finding(trouble.rule, trouble.message, trouble.hint, sheet.place, (trouble.column,)))
        return _Table(sheet, usable, key_index, plan)

    def _names_differ(self, sheet: Sheet) -> bool:
        seen: dict[str, str] = {}
        for column, name in zip(sheet.columns, sheet.names, strict=True):
            if name in seen:
                message = f"the columns `{_shown(seen[name])}` and `{_shown(column)}` would both be `{_shown(name)}`"
                hint = "give one of them another name under `columns:`"
                self.report(finding("BM111", message, hint, sheet.place, (column,)))
                return False
            seen[name] = column
        return True

    # -- rows that are mappings ------------------------------------------------------------------------------------

    def _from_mapping(self, entry: Entry, block: Block, value: dict[str, Json], told: Told) -> dict[str, Json] | None:
        if block.columns:
            renamed = {block.columns.get(name, name): item for name, item in value.items()}
            if len(renamed) < len(value):
                hint = "give one of them another name under `columns:`"
                told.add(Trouble("BM116", (), "two fields would have the same name by `columns:`", hint), of_row=True)
                return None
            value = renamed
        key = None if block.key is None else _text_of(value.get(block.key)) or ""
        told.key = key or None
        if block.template is not None:
            row = {name: text for name, item in value.items() if (text := _text_of(item))}
            return self._rendered(entry, block, tuple(value), row, key, told)
        if block.key is not None and block.key not in forms():
            value = {name: item for name, item in value.items() if name != block.key}
        return _keyed(value, block, key, told)

    # -- templates -------------------------------------------------------------------------------------------------

    def _rendered(
        self, entry: Entry, block: Block, columns: tuple[str, ...], row: dict[str, str], key: str | None, told: Told
    ) -> dict[str, Json] | None:
        template = self._template(block, columns if entry.cells is not None else None)
        if template.broken:
            return None
        fields, troubles = template.render(row, columns)
        told.columns_at = lambda path: _written(entry, template.columns_at(path, columns))
        for trouble in troubles:
            named = _written(entry, (trouble.column,)) if trouble.column is not None else (None,)
            told.add(_plain(trouble), of_row=trouble.of_row, column=named[0])
        if troubles:
            return None
        fields, wrong = read_rendered(fields, in_ticket=entry.section == "tickets")
        for path, expected in wrong:
            hint = "check the column that fills it in"
            filling = told.columns_at(path)
            column = next(iter(filling)) if len(filling) == 1 else None
            told.unreadable(Trouble("BM113", path, f"`{path_text(path)}` must be {expected}", hint), column)
        return _keyed(fields, block, key, told)

    def _template(self, block: Block, columns: tuple[str, ...] | None) -> Template:
        from bulkmsg.template import Template  # here: a batch without templates never pays for its import

        name = (id(block), columns)
        if name not in self._templates:
            template = Template(block.template or {}, columns)
            self._templates[name] = block, template
            for trouble in template.troubles:
                path = ("template", *trouble.path)
                self.report(
                    finding(trouble.rule, trouble.message, trouble.hint, block.place, path, prefix=block.prefix)
                )
        return self._templates[name][1]


def _written(entry: Entry, columns: tuple[str, ...]) -> tuple[str, ...]:
    """Columns as the file itself calls them, whatever `columns:` renamed them to."""
    if entry.sheet is not None:
        known = dict(zip(entry.sheet.names, entry.sheet.columns, strict=True))
        return tuple(known.get(name, name) for name in columns)
    renamed = entry.block.columns if entry.block is not None else {}
    known = {new: old for old, new in renamed.items()}
    return tuple(known.get(name, name) for name in columns)


def _plain(trouble: TemplateTrouble) -> Trouble:
    return Trouble(trouble.rule, trouble.path, trouble.message, trouble.hint)


def _keyed(fields: dict[str, Json], block: Block, key: str | None, told: Told) -> dict[str, Json]:
    if block.key is None:
        return fields
    if not key:
        message = f"`key: {_shown(block.key)}` names a column that is empty here"
        told.add(Trouble("BM116", ("key",), message, "fill it in: a key identifies the entry for ever"), of_row=True)
        return fields
    return {**fields, "key": key}


def _text_of(value: Json) -> str | None:
    """A value of a mapping as a cell would hold it; None for what no cell holds."""
    if value is None or isinstance(value, dict | list):
        return None
    if isinstance(value, bool):
        return "true" if value else "false"
    return str(value)


def _shown(name: str) -> str:
    cut = name if len(name) <= 60 else name[:60] + "…"
    return cut if cut.isprintable() else ascii(cut)[1:-1]


def _listed(names: tuple[str, ...]) -> str:
    more = f" and {len(names) - 20} more" if len(names) > 20 else ""
    return ", ".join(_shown(name) for name in names[:20]) + more
