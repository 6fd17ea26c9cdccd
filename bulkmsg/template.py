"""Templates: Jinja2 in its sandbox, on string values after parsing. The only door to jinja2.

A template is compiled once and rendered per row; a cell's own text is never a template. What goes wrong is a value.
"""

from __future__ import annotations

import re
from collections.abc import Callable
from dataclasses import dataclass
from difflib import get_close_matches
from typing import Any

from jinja2 import StrictUndefined, TemplateError, UndefinedError
from jinja2.sandbox import SandboxedEnvironment

from bulkmsg.source import Json, Path

_MARKS = ("{{", "{%", "{#")
_QUOTED = re.compile(r"'([^']*)'")
_NOT_WORD = re.compile(r"\W+")


@dataclass(frozen=True, slots=True)
class TemplateTrouble:
    """What is wrong with a template, or with a row put into it; `path` is inside the template."""

    rule: str
    path: Path
    message: str
    hint: str


def identifier(column: str) -> str:
    """A column's name as templates write it: `First name` is `first_name`."""
    return _NOT_WORD.sub("_", column.lower()).strip("_")


Render = Callable[[dict[str, Any], list[TemplateTrouble]], Json]


class Template:
    """A compiled template: an entry in which some texts are filled in from a row.

    Args:
        value: the entry as written under `template:`.
        columns: the columns' names, after the block renamed them.
    """

    def __init__(self, value: dict[str, Json], columns: tuple[str, ...]) -> None:
        self.troubles: list[TemplateTrouble] = []
        self._columns = columns
        self._plain = SandboxedEnvironment(undefined=StrictUndefined, keep_trailing_newline=True)
        self._html = SandboxedEnvironment(undefined=StrictUndefined, keep_trailing_newline=True, autoescape=True)
        self._names = {column: identifier(column) for column in columns}
        self._check_names()
        self._render = self._compile(value, ())

    def render(self, row: dict[str, str]) -> tuple[dict[str, Json], list[TemplateTrouble]]:
        """The entry for one row. `row` holds the cells that are not empty, by column."""
        troubles: list[TemplateTrouble] = []
        variables: dict[str, Any] = {self._names[column]: cell for column, cell in row.items()}
        variables["row"] = row
        return self._render(variables, troubles), troubles

    def _check_names(self) -> None:
        seen: dict[str, str] = {}
        for column, name in self._names.items():
            if name in seen:
                message = f"the columns {seen[name]!r} and {column!r} would both be called `{name}`"
                self.troubles.append(TemplateTrouble("BM602", (), message, "rename one with `columns:`"))
            seen[name] = column

    def _compile(self, value: Json, path: Path) -> Render:
        if isinstance(value, str) and any(mark in value for mark in _MARKS):
            return self._text(value, path)
        if isinstance(value, dict):
            parts = [(name, self._compile(item, (*path, name))) for name, item in value.items()]
            return lambda variables, troubles: {name: part(variables, troubles) for name, part in parts}
        if isinstance(value, list):
            items = [self._compile(item, (*path, index)) for index, item in enumerate(value)]
            return lambda variables, troubles: [item(variables, troubles) for item in items]
        return lambda variables, troubles: value

    def _text(self, text: str, path: Path) -> Render:
        html = next((part for part in reversed(path) if isinstance(part, str)), "").endswith("_html")
        try:
            template = (self._html if html else self._plain).from_string(text)
        except TemplateError as error:
            hint = "see jinja.palletsprojects.com for the form of expressions; a literal {{ is written {{ '{{' }}"
            self.troubles.append(TemplateTrouble("BM602", path, f"the template is not well-formed: {error}", hint))
            return lambda variables, troubles: ""

        def render(variables: dict[str, Any], troubles: list[TemplateTrouble]) -> Json:
            try:
                return template.render(variables)
            except UndefinedError as error:
                troubles.append(self._undefined(path, str(error), variables))
            except Exception as error:  # any error of an expression is the template's, and must not end the reading
                message = f"the template cannot be filled in: {type(error).__name__}"
                troubles.append(TemplateTrouble("BM602", path, message, "check its filters and their arguments"))
            return ""

        return render

    def _undefined(self, path: Path, error: str, variables: dict[str, Any]) -> TemplateTrouble:
        quoted = _QUOTED.findall(error)
        name = str(quoted[-1]) if quoted else "?"
        known = {*self._columns, *self._names.values()}
        if name in known:
            hint = f"fill in the cell, or write {{{{ {identifier(name)} | default('...') }}}}"
            return TemplateTrouble("BM601", path, f"the template needs `{name}`, and that cell is empty", hint)
        close = get_close_matches(name, sorted(known), 1)
        hint = f"did you mean `{close[0]}`?" if close else f"the columns are {', '.join(sorted(known)[:20])}"
        return TemplateTrouble("BM601", path, f"the template uses `{name}`, and there is no such column", hint)
