"""Templates: Jinja2 in its sandbox, on string values after parsing. The only door to jinja2.

A template is compiled once and rendered per row; a cell's own text is never a template. What goes wrong is a value.
The sandbox keeps a template from Python, and the bounds here keep it from filling memory or running for hours: no
function, no macro, no loop within a loop, filters from a list, and no text above two million characters.
"""

from __future__ import annotations

import re
from collections.abc import Callable, Collection, Iterable, Iterator
from dataclasses import dataclass
from difflib import get_close_matches
from functools import cache
from typing import Any

from bulkmsg.source import Json, Path

_MARKS = ("{{", "{%", "{#")
_EXPRESSION = re.compile(r"\{[{%#].*?(?:[}%#]\}|\Z)", re.DOTALL)
_NOT_WORD = re.compile(r"\W+")
_MAX_TEXT = 2_000_000  # characters that one text may have
_MAX_EXPRESSIONS = 1_000  # of a whole template
_MAX_EXPRESSED = 50_000  # characters that all of them may have together
_MAX_ITEMS = 200  # that one loop goes through
_MAX_BITS = 256  # of a number that is multiplied

_FILTERS = frozenset(
    {"abs", "capitalize", "count", "d", "default", "e", "escape", "first", "float", "forceescape", "format"}
    | {"int", "join", "last", "length", "list", "lower", "replace", "reverse", "round", "safe", "sort", "string"}
    | {"striptags", "title", "trim", "truncate", "unique", "upper", "urlencode", "wordcount"}
)
# Methods of texts and of `row`; none of them gives more than it takes.
_METHODS = frozenset(
    {"capitalize", "count", "endswith", "find", "isalpha", "isdigit", "items", "keys", "lower", "lstrip", "partition"}
    | {"removeprefix", "removesuffix", "rpartition", "rsplit", "rstrip", "split", "startswith", "strip", "swapcase"}
    | {"title", "upper", "values"}
)
_NODES = frozenset(
    {"Template", "Output", "TemplateData", "Name", "Const", "List", "Tuple", "Dict", "Pair", "Keyword", "CondExpr"}
    | {"Filter", "Test", "Compare", "Operand", "And", "Or", "Not", "Neg", "Pos", "Add", "Sub", "Mul", "Div"}
    | {"FloorDiv", "Mod", "Concat", "Getattr", "Getitem", "Slice", "Call", "If", "For", "Assign"}
)


@dataclass(frozen=True, slots=True)
class TemplateTrouble:
    """What is wrong with a template, or with a row put into it (`of_row`); `path` is inside the template.

    `column` is the row's column that it lies in, where it is one.
    """

    rule: str
    path: Path
    message: str
    hint: str
    of_row: bool = False
    column: str | None = None


def has_marks(text: str) -> bool:
    """Whether a text is filled in, and does not simply stand there."""
    return any(mark in text for mark in _MARKS)


def identifier(column: str) -> str:
    """A column's name as templates write it: `First name` is `first_name`. "" when nothing is left of it."""
    return _NOT_WORD.sub("_", column.lower()).strip("_")


class _Refused(Exception):
    """An expression that a template may not hold, or that would make too much: what is wrong, and the way out."""

    def __init__(self, message: str, hint: str) -> None:
        super().__init__(message)
        self.message, self.hint = message, hint


Render = Callable[["_Row"], Json]
Asked = tuple[str, bool]  # a column that a template asks for, and whether as `row["..."]`


@dataclass(slots=True)
class _Row:
    """One row being filled in."""

    variables: dict[str, Any]
    columns: Collection[str]
    troubles: list[TemplateTrouble]


class Template:
    """A compiled template: an entry in which some texts are filled in from a row.

    Args:
        value: the entry as written under `template:`.
        columns: the columns' names, after the block renamed them; None when each row has its own.
    """

    def __init__(self, value: dict[str, Json], columns: tuple[str, ...] | None) -> None:
        self.troubles: list[TemplateTrouble] = []
        self._columns = columns
        self._expressions = 0
        self._expressed = 0
        self._names = _names(columns) if columns is not None else {}
        self._asked: dict[Path, set[Asked]] = {}
        self._render = self._compile(value, ())

    @property
    def broken(self) -> bool:
        """Whether no row can be put into it."""
        return any(trouble.rule != "BM603" for trouble in self.troubles)

    def render(self, row: dict[str, str], columns: tuple[str, ...]) -> tuple[dict[str, Json], list[TemplateTrouble]]:
        """The entry for one row. `row` holds the cells that are not empty, by column; `columns` are the row's."""
        names = self._names if self._columns is not None else _names(columns)
        variables: dict[str, Any] = {name: row[column] for name, column in names.items() if column in row}
        variables["row"] = row
        filled = _Row(variables, columns, [])
        return self._render(filled), filled.troubles

    def columns_at(self, path: Path, columns: tuple[str, ...]) -> tuple[str, ...]:
        """The row's columns that fill in the value at `path` of the entry."""
        whole = next((path[:length] for length in range(len(path), 0, -1) if path[:length] in self._asked), None)
        if whole is None:
            return ()
        names = self._names if self._columns is not None else _names(columns)
        found = (name if as_row else names.get(name, "") for name, as_row in sorted(self._asked[whole]))
        return tuple(dict.fromkeys(name for name in found if name in columns))

    def _compile(self, value: Json, path: Path) -> Render:
        if isinstance(value, str) and has_marks(value):
            return self._text(value, path)
        if isinstance(value, dict):
            parts = [(name, self._compile(item, (*path, name))) for name, item in value.items()]
            return lambda row: {name: part(row) for name, part in parts}
        if isinstance(value, list):
            items = [self._compile(item, (*path, index)) for index, item in enumerate(value)]
            return lambda row: [item(row) for item in items]
        return lambda row: value

    def _text(self, text: str, path: Path) -> Render:
        html = next((part for part in reversed(path) if isinstance(part, str)), "").endswith("_html")
        try:
            self._count(text)
            template = _environment(html).compiled(text, self._check_names(path))
        except _Refused as refused:
            self.troubles.append(TemplateTrouble("BM602", path, refused.message, refused.hint))
            return lambda row: ""

        def render(row: _Row) -> Json:
            try:
                result: str = template.render(row.variables)
                return _sendable(result)
            except Exception as error:  # any error of an expression is the template's or the row's: a finding
                row.troubles.append(self._trouble(path, text, error, row))
            return ""

        return render

    def _count(self, text: str) -> None:
        for match in _EXPRESSION.finditer(text):
            self._expressions += 1
            self._expressed += len(match.group())
            if self._expressions > _MAX_EXPRESSIONS or self._expressed > _MAX_EXPRESSED:
                most = f"{_MAX_EXPRESSIONS:,} expressions of {_MAX_EXPRESSED:,} characters together"
                raise _Refused(f"a template may hold {most}, and no more", "make it simpler")

    # -- columns that are not there --------------------------------------------------------------------------------

    def _check_names(self, path: Path) -> Callable[[set[Asked], set[Asked]], None]:
        def check(asked: set[Asked], bare: set[Asked]) -> None:
            self._asked[path] = asked
            if self._columns is None:
                return
            known = {(name, False) for name in self._names} | {(column, True) for column in self._columns}
            for one in sorted(asked - known):
                self.troubles.append(self._no_column(path, one[0], guarded=one not in bare))

        return check

    def _no_column(self, path: Path, name: str, *, guarded: bool) -> TemplateTrouble:
        columns = self._columns or ()
        twins = [column for column in columns if identifier(column) == name]
        if len(twins) > 1:
            message = f"`{name}` could be any of the columns {_listed(twins)}"
            return TemplateTrouble("BM601", path, message, f'say which: `row["{twins[0]}"]`, or rename one')
        known = sorted({*columns, *self._names})
        close = get_close_matches(name, known, 1)
        hint = f"did you mean `{close[0]}`?" if close else f"the columns are {_listed(columns)}"
        if guarded:
            message = f"the template uses `{name}`, and there is no such column: each row gets its default"
            return TemplateTrouble("BM603", path, message, hint)
        return TemplateTrouble("BM601", path, f"the template uses `{name}`, and there is no such column", hint)

    # -- what goes wrong with a row --------------------------------------------------------------------------------

    def _trouble(self, path: Path, text: str, error: Exception, row: _Row) -> TemplateTrouble:
        if isinstance(error, _Refused):
            return TemplateTrouble("BM602", path, error.message, error.hint, of_row=True)
        missing = _missing_name(error)
        if not missing or missing not in text:
            return _failure(path, error)
        names = {identifier(column): column for column in row.columns}
        if missing in row.columns or missing in names:
            plain = missing if missing.isidentifier() else f'row["{missing}"]'
            hint = f"fill in the cell, or write {{{{ {plain} | default('...') }}}}"
            message = f"the template needs `{missing}`, and that cell is empty"
            column = missing if missing in row.columns else names[missing]
            return TemplateTrouble("BM601", path, message, hint, of_row=True, column=column)
        close = get_close_matches(missing, sorted({*row.columns, *names}), 1)
        hint = f"did you mean `{close[0]}`?" if close else f"give the row that field, or use `{missing} | default('')`"
        message = f"the template uses `{missing}`, and the row has no such field"
        return TemplateTrouble("BM601", path, message, hint, of_row=True)


def _failure(path: Path, error: Exception) -> TemplateTrouble:
    name = type(error).__name__
    if name == "SecurityError":
        hint = "templates fill in values; what belongs to Python is out of reach"
        return TemplateTrouble("BM602", path, "the template reaches for what templates may not have", hint)
    reason = "an expression gives nothing" if name == "UndefinedError" else f"{name} in an expression"
    hint = "check its filters, and give an `else` where there is an `if`"
    return TemplateTrouble("BM602", path, f"the template cannot be filled in here: {reason}", hint, of_row=True)


def _names(columns: tuple[str, ...]) -> dict[str, str]:
    """The columns by the names that templates call them; one that two columns would share is left out.

    A column that is written as templates write it has its name for itself.
    """
    found: dict[str, str] = {}
    twice: set[str] = {""}
    for column in columns:
        name = identifier(column)
        if name in found:
            twice.add(name)
        found[name] = column
    exact = {column: column for column in columns if column and identifier(column) == column}
    return {name: column for name, column in found.items() if name not in twice} | exact


def _listed(columns: Iterable[str]) -> str:
    listed = [column if len(column) <= 40 else column[:40] + "…" for column in columns]
    more = f" and {len(listed) - 20} more" if len(listed) > 20 else ""
    return ", ".join(f"`{column}`" for column in listed[:20]) + more


def _sendable(text: str) -> str:
    if len(text) > _MAX_TEXT:
        raise _Refused(f"the text would have more than {_MAX_TEXT:,} characters", "make it shorter")
    if "\0" in text or not _is_text(text):
        raise _Refused("the text would hold a NUL or half a character", "take the escape out of the template")
    return text


def _is_text(text: str) -> bool:
    try:
        text.encode()
    except UnicodeEncodeError:
        return False
    return True


# -- the door to jinja2 ----------------------------------------------------------------------------------------------

Compiled = Any
_UNDEFINED = re.compile(r"^'([^']*)' is undefined$|has no attribute '([^']*)'$")


def _missing_name(error: Exception) -> str | None:
    """The name that an expression asked for in vain; "" when it gave nothing, None for other errors."""
    from jinja2 import UndefinedError

    if not isinstance(error, UndefinedError):
        return None
    found = _UNDEFINED.search(str(error))
    return (found.group(1) or found.group(2) or "") if found else ""


@cache
def _environment(html: bool) -> _Jinja:
    return _Jinja(html)


class _Jinja:
    """One sandbox: compiles texts, after a look at everything they ask for."""

    def __init__(self, html: bool) -> None:
        from jinja2 import StrictUndefined
        from jinja2.sandbox import SandboxedEnvironment

        class Bounded(SandboxedEnvironment):
            intercepted_binops = frozenset({"+", "*", "%"})
            concat = staticmethod(_concat)

            def call_binop(self, context: Any, operator: str, left: Any, right: Any) -> Any:
                _check_operands(operator, left, right)
                return super().call_binop(context, operator, left, right)

        self._environment = Bounded(
            undefined=StrictUndefined, keep_trailing_newline=True, autoescape=html, finalize=_finalize
        )
        self._environment.globals.clear()
        _bound_filters(self._environment)

    def compiled(self, text: str, check_names: Callable[[set[Asked], set[Asked]], None]) -> Compiled:
        """The text, ready to be filled in.

        Raises:
            _Refused: it is not well-formed, or asks for what templates do not have.
        """
        from jinja2 import TemplateError

        try:
            tree = self._environment.parse(text)
            _check_nodes(tree)
            check_names(*_names_used(tree))
            return self._environment.from_string(_bounded(tree))
        except TemplateError as error:
            hint = "see jinja.palletsprojects.com for the form of expressions; a literal {{ is written {{ '{{' }}"
            raise _Refused(f"the template is not well-formed: {_short(error)}", hint) from None
        except _Refused:
            raise
        except Exception:  # too deep for the parser or for Python's own compiler, or a number of thousands of digits
            raise _Refused("the template is too complicated", "take its expressions apart") from None


def _short(error: Exception) -> str:
    text = str(error)
    return text if len(text) <= 160 and text.isprintable() else type(error).__name__


def _concat(parts: Iterable[str]) -> str:
    """What a template gives, piece by piece, so that it ends in time."""
    collected: list[str] = []
    size = 0
    for part in parts:
        size += len(part)
        _check_size(size)
        collected.append(part)
    return "".join(collected)


def _check_size(size: int) -> None:
    if size > _MAX_TEXT:
        raise _Refused(f"the text would have more than {_MAX_TEXT:,} characters", "make it shorter")


def _finalize(value: Any) -> Any:
    from jinja2 import Undefined

    if value is None or (callable(value) and not isinstance(value, Undefined)):
        raise _Refused("an expression gives no text", "use a column's name, with `default(...)` if it may be empty")
    return value


def _check_operands(operator: str, left: Any, right: Any) -> None:
    if operator == "+":
        if hasattr(left, "__len__") and hasattr(right, "__len__"):
            _check_size(len(left) + len(right))
        return
    numbers = isinstance(left, int | float) and isinstance(right, int | float)
    if not numbers:
        raise _Refused(f"`{operator}` works on numbers only", "write `price | float` to make a number of a cell")
    if operator == "*" and any(isinstance(side, int) and side.bit_length() > _MAX_BITS for side in (left, right)):
        raise _Refused("a number grows too large", "make the calculation simpler")


def _check_nodes(tree: Any) -> None:
    from jinja2 import nodes

    for node in tree.find_all(nodes.Node):
        kind = type(node).__name__
        if kind not in _NODES and not isinstance(node, nodes.Operand):
            hint = "fill in values; put the logic where the rows are made"
            raise _Refused(f"templates have no `{kind.lower()}`", hint)
        if isinstance(node, nodes.Filter) and node.name not in _FILTERS:
            close = get_close_matches(node.name, _FILTERS, 1)
            hint = f"did you mean `{close[0]}`?" if close else f"there are {', '.join(sorted(_FILTERS))}"
            raise _Refused(f"templates have no filter `{node.name}`", hint)
        if isinstance(node, nodes.Call) and not (isinstance(node.node, nodes.Getattr) and node.node.attr in _METHODS):
            raise _Refused("templates cannot call that", f"there are {', '.join(sorted(_METHODS))}, and filters")
        if isinstance(node, nodes.Name) and node.name in ("self", "super", "caller"):
            raise _Refused(f"templates have no `{node.name}`", "columns are seen by their names")
        if isinstance(node, nodes.For) and (node.recursive or next(_loops_in(node), None) is not None):
            raise _Refused("a loop stands within a loop", "one loop is enough; prepare the rows for more")


def _loops_in(loop: Any) -> Iterator[Any]:
    from jinja2 import nodes

    for child in loop.iter_child_nodes():
        yield from (child,) if isinstance(child, nodes.For) else child.find_all(nodes.For)


def _names_used(tree: Any) -> tuple[set[Asked], set[Asked]]:
    """The columns that a template asks for, and those of them that must be there somewhere."""
    from jinja2 import meta, nodes

    free = set(meta.find_undeclared_variables(tree)) - {"row"}
    may_miss = {
        id(node.node)
        for node in tree.find_all((nodes.Filter, nodes.Test))
        if node.name in ("default", "d", "defined", "undefined")
    }
    asked: set[Asked] = set()
    bare: set[Asked] = set()
    for node in tree.find_all((nodes.Name, nodes.Getitem)):
        one = _asked_for(node)
        if one is not None and (one[1] or one[0] in free):
            asked.add(one)
            if id(node) not in may_miss:
                bare.add(one)
    return asked, bare


def _asked_for(node: Any) -> Asked | None:
    from jinja2 import nodes

    if isinstance(node, nodes.Name):
        return str(node.name), False
    of_row = isinstance(node.node, nodes.Name) and node.node.name == "row" and isinstance(node.arg, nodes.Const)
    return (node.arg.value, True) if of_row and isinstance(node.arg.value, str) else None


def _bounded(tree: Any) -> Any:
    """The tree with `~` as a bounded join, and loops over a bounded list."""
    from jinja2 import nodes
    from jinja2.visitor import NodeTransformer

    class Bounds(NodeTransformer):
        def visit_Concat(self, node: Any) -> Any:
            self.generic_visit(node)
            listed = nodes.List(node.nodes, lineno=node.lineno)
            return nodes.Filter(listed, "join", [], [], None, None, lineno=node.lineno)

        def visit_For(self, node: Any) -> Any:
            self.generic_visit(node)
            node.iter = nodes.Filter(node.iter, "_items", [], [], None, None, lineno=node.lineno)
            return node

    bounded = Bounds().visit(tree)
    bounded.set_environment(tree.environment)
    return bounded


def _bound_filters(environment: Any) -> None:
    from jinja2 import filters, pass_eval_context

    @pass_eval_context
    def join(context: Any, value: Iterable[Any], between: str = "") -> Any:
        items = list(value)
        _check_size(sum(len(str(item)) for item in items) + len(str(between)) * len(items))
        return filters.do_join(context, items, between)

    @pass_eval_context
    def replace(context: Any, text: Any, old: str, new: str, count: int | None = None) -> Any:
        found = str(text).count(old) if old else len(str(text)) + 1
        _check_size(len(str(text)) + found * len(str(new)))
        return filters.do_replace(context, text, old, new, count)

    def format_(text: Any, *args: Any, **named: Any) -> Any:
        if re.search(r"[0-9]{3}|\*", str(text)):
            raise _Refused("a format makes too much of a value", "use at most two digits in it")
        return filters.do_format(text, *args, **named)

    def items(value: Iterable[Any]) -> list[Any]:
        listed = list(value)
        if len(listed) > _MAX_ITEMS:
            raise _Refused(f"a loop goes through more than {_MAX_ITEMS:,} items", "make the list shorter")
        return listed

    environment.filters.update(join=join, replace=replace, format=format_, _items=items)
