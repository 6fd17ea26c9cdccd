"""One entry's findings on their way out: each at the place where the user must change something, and said once."""

from __future__ import annotations

from collections.abc import Callable, Collection, Iterable
from dataclasses import dataclass, field
from functools import cache

from bulkmsg import schema
from bulkmsg.batch import Entry, Header
from bulkmsg.diagnostic import RULES, Diagnostic, Related, Severity
from bulkmsg.message import Kind, log_name
from bulkmsg.source import Json, Path, Place, Position, path_text
from bulkmsg.template import has_marks
from bulkmsg.validation.checks import Trouble

# Errors of one entry, and as many warnings and notes, which never take an error's place: a whole thread is one entry.
# More help nobody, and each costs a look into the entry's text.
MOST_PER_ENTRY = 50

_LONGEST_KEY = 255
_KEYWORD_RULES = {
    "additionalProperties": "BM201",
    "propertyNames": "BM201",
    "required": "BM202",
    "type": "BM203",
    "enum": "BM204",
    "const": "BM204",
    "minLength": "BM205",
    "maxLength": "BM205",
    "minimum": "BM205",
    "maximum": "BM205",
    "minItems": "BM205",
    "maxItems": "BM205",
    "minProperties": "BM205",
    "pattern": "BM206",
    "not": "BM206",
    "format": "BM206",
}
_OF_THE_TYPE = frozenset({"from_agent", "public", "channel"})
_HINTS = {
    "BM203": "see `bulkmsg schema` for what the field may hold",
    "BM302": "take sent_datetime out, or write mode: import if the message was sent already",
    "BM304": "leave the field out: the type says it already",
    "BM205": "make it fit",
    "BM206": "write it in that form, or leave the field out",
}


def rule_of(item: schema.Violation) -> str:
    """The rule that a violation of a schema breaks."""
    if item.field in ("sent_datetime", "created_datetime") and item.keyword in ("required", "anyOf"):
        return "BM301"
    last = item.field or (item.path[-1] if item.path else "")
    if last == "sent_datetime" and item.keyword == "const":
        return "BM302"
    if last in _OF_THE_TYPE and item.keyword in ("const", "enum", "not"):
        return "BM304"
    if last in ("ticket_id", "ticket_external_id") and item.keyword in ("not", "required", "anyOf"):
        return "BM701"
    if item.keyword == "anyOf" and item.field is not None:
        return "BM202"
    return _KEYWORD_RULES.get(item.keyword, "BM207")


def hint_of(item: schema.Violation, rule: str) -> str:
    """What to do about a violation: every finding says it."""
    if item.keyword in ("additionalProperties", "propertyNames"):
        return item.hint or "take it out"
    return item.hint or _HINTS.get(rule, "see `bulkmsg schema` for what may stand here")


# Whether one more finding of a rule and a severity would only be counted.
Enough = Callable[[str, Severity], bool]


def never_enough(rule: str, severity: Severity) -> bool:
    return False


@dataclass(slots=True)
class Told:
    """What was told about one entry.

    Args:
        report: takes each finding; `said` are those that many entries share, told already.
        enough: whether one more finding of a rule and a severity is only counted, so that no exact place is looked for.
        written: the entry's own fields as they were merged, from cells, a filled-in template or a mapping.
        column_of: for a row of columns, the column that gave a field.
        columns_at: for a row put into a template, the columns that fill in the value at a path.
        kind: what the entry is, once that is known.
        at_message, at_ticket: where the message's and the ticket's fields stand in `written`.
    """

    header: Header
    entry: Entry
    report: Callable[[Diagnostic], None]
    said: set[tuple[str, str, int, int, str]]
    enough: Enough = never_enough
    written: dict[str, Json] = field(default_factory=dict)
    column_of: Callable[[Path], str | None] | None = None
    columns_at: Callable[[Path], Collection[str]] = lambda path: ()
    kind: Kind | None = None
    at_message: Path = ()
    at_ticket: Path | None = None
    errors: int = 0
    key: str | None = None
    _told_errors: int = 0
    _told_others: int = 0
    _spots: set[Path] = field(default_factory=set)
    _unreadable: set[Path] = field(default_factory=set)

    def add(self, trouble: Trouble, prefix: Path = (), *, of_row: bool = False, column: str | None = None) -> None:
        """Tell one trouble; `of_row` where it lies in the row's data, whatever the template says, in `column`."""
        if self._leaves_out(trouble):
            return
        path = (*prefix, *trouble.path)
        self._spots.add(path)
        self._tell(trouble, path, of_row=of_row, column=column)

    def counts_only(self, rule: str) -> bool:
        """Whether a finding of this rule would only be counted; then it is."""
        level = RULES[rule].severity
        if not self.enough(rule, level):
            return False
        self.errors += level is Severity.ERROR
        self.report(_counted(rule, level))
        return True

    def unreadable(self, trouble: Trouble, column: str | None = None) -> None:
        """Tell of a row's value that could not be read; that its field is missing needs no finding of its own then."""
        self._unreadable.add(trouble.path)
        self._emit(trouble, (self.entry.place, () if column is None else (column,)), trouble.path)

    def violations(self, found: Iterable[schema.Violation], prefix: Path = ()) -> None:
        """Tell what a schema has against the entry, but for what was told better already."""
        for item in found:
            rule = rule_of(item)
            path = (*prefix, *item.path)
            if rule in ("BM203", "BM205", "BM206", "BM207") and path in self._spots:
                continue
            named = item.keyword in ("additionalProperties", "propertyNames") and item.field is not None
            whole = (*path, item.field) if item.field is not None else path
            if whole in self._unreadable or (rule == "BM202" and whole in self._spots):
                continue
            trouble = Trouble(rule, whole, item.message, hint_of(item, rule), Severity.ERROR)
            self._tell(trouble, whole, name=named, missing=item.field is not None and not named)

    @property
    def full(self) -> bool:
        """Whether no more errors are told of this entry; enough of them were."""
        return self._told_errors >= MOST_PER_ENTRY

    def _leaves_out(self, trouble: Trouble) -> bool:
        """Whether a trouble is not told: an error is noted all the same, a warning counted where it would only be."""
        if trouble.level is Severity.ERROR:
            self.errors += self.full
            return self.full
        if self._told_others < MOST_PER_ENTRY:
            return False
        if self.enough(trouble.rule, trouble.level):
            self.report(_counted(trouble.rule, trouble.level))
        return True

    def _tell(
        self,
        trouble: Trouble,
        path: Path,
        *,
        name: bool = False,
        missing: bool = False,
        of_row: bool = False,
        column: str | None = None,
    ) -> None:
        """Find the place where the user must change something, and tell it there."""
        origin = None if missing or of_row else self._in_defaults(path)
        if origin is not None:
            field, place, inner = origin
            self._emit(trouble, (place, inner), (field, *inner), name=name, shared=True)
            return
        entry, block = self.entry, self.entry.block
        shown = (*entry.prefix, *path)
        if block is not None and block.template is not None:
            inner = ("template", *path)
            if of_row or _filled_in(block.template, path):
                columns = (column,) if column is not None else self.columns_at(path)
                asks = _related("the template asks for it here", block.place, inner)
                self._emit(trouble, self._cell(columns), shown, related=(asks,))
            else:
                self._emit(trouble, (block.place, inner), (*block.prefix, *inner), name=name, shared=True)
        elif self.column_of is not None:
            found = self.column_of(path)
            self._emit(trouble, self._cell((found,) if found else ()), shown)
        else:
            self._emit(trouble, (entry.place, path), shown, name=name)

    def _cell(self, columns: Collection[str]) -> tuple[Place, Path]:
        """The cell from which a value came; the row as a whole where it came from several or from none."""
        return self.entry.place, tuple(columns) if len(columns) == 1 else ()

    def _emit(
        self,
        trouble: Trouble,
        where: tuple[Place, Path],
        path: Path,
        *,
        name: bool = False,
        shared: bool = False,
        related: tuple[Related, ...] = (),
    ) -> None:
        if self._leaves_out(trouble):
            return
        if trouble.level is Severity.ERROR:
            self.errors += 1
            self._told_errors += 1
        else:
            self._told_others += 1
        place, inner = where
        exact = not self.enough(trouble.rule, trouble.level)
        at = place.at(inner, name=name) if exact else Position(place.line, 1)
        related = (*trouble.related, *related)
        if shared:
            spot = (trouble.rule, place.file, at.line, at.column, trouble.message)
            if spot in self.said:
                return
            self.said.add(spot)
            related = (*related, self._needs_it())
        written = place.anchored(inner, name=name) if exact else None
        if written is not None:
            said = f"the value is written here, at the anchor `&{written.anchor[:60]}`"
            related = (Related(said, place.file, written.position.line, written.position.column), *related)
        in_table = self.entry.cells is not None and not shared
        self.report(
            Diagnostic(
                trouble.rule,
                trouble.level,
                trouble.message,
                trouble.hint,
                place.file,
                at.line,
                at.column,
                path_text(path),
                None if shared else self._shown_key,
                self.entry.number if in_table else None,
                _text(inner) if in_table else None,
                related,
            )
        )

    def _needs_it(self) -> Related:
        """The first entry that a finding in `defaults` or in a template is about."""
        place = self.entry.place
        at = place.at(())
        return Related("the first entry that needs it", place.file, at.line, at.column, self._shown_key)

    @property
    def _shown_key(self) -> str | None:
        return None if self.key is None or len(self.key) > _LONGEST_KEY else log_name(self.key)

    def _in_defaults(self, path: Path) -> tuple[str, Place, Path] | None:
        """Where the value at `path` stands in the header, as `default_at` says; None when the entry itself has it."""
        if not path or holds(self.written, path):
            return None
        defaults = self.header.defaults
        for layer in self._layers(path):
            if holds(defaults, layer):
                return default_at(self.header, layer)
        return None

    def _layers(self, path: Path) -> list[Path]:
        """The places in `defaults` from which the value at `path` may have come, the topmost first."""
        of_ticket = self.at_ticket is not None and path[: len(self.at_ticket)] == self.at_ticket
        of_message = path[: len(self.at_message)] == self.at_message
        if of_ticket and not (of_message and len(self.at_message) >= len(self.at_ticket or ())):
            return [("ticket", *path[len(self.at_ticket or ()) :])]
        inner = path[len(self.at_message) :]
        return [(self.kind.value, *inner), inner] if self.kind else [inner]


@cache
def _counted(rule: str, level: Severity) -> Diagnostic:
    """A finding that is only counted, so that nothing of it is made but its kind."""
    return Diagnostic(rule, level, "", "", "", 0, 0)


def _related(message: str, place: Place, path: Path) -> Related:
    at = place.at(path)
    return Related(message, place.file, at.line, at.column)


def _text(path: Path) -> str | None:
    """The column that a place in a row names."""
    return path[0] if path and isinstance(path[0], str) else None


def holds(value: Json, path: Path) -> bool:
    """Whether something stands at `path` in a value."""
    for part in path:
        inside = isinstance(value, dict) and part in value
        if not inside and not (isinstance(value, list) and isinstance(part, int) and part < len(value)):
            return False
        value = value[part]
    return True


def default_at(header: Header, path: Path) -> tuple[str, Place, Path]:
    """Where a default is written: the field of the header, that field's place, and the path in it."""
    if header.account is not None and holds(header.overlay, path):
        return "accounts", header.place("accounts"), (header.account, "defaults", *path)
    return "defaults", header.place("defaults"), path


def _filled_in(template: Json, path: Path) -> bool:
    """Whether the value at `path` of a template comes from the row, and not from the template as it is written."""
    for part in path:
        if isinstance(template, str):
            break
        if not holds(template, (part,)):
            return False
        template = template[part]
    return isinstance(template, str) and has_marks(template)
