"""What a YAML parser's complaint means to a person: the usual mistakes, by name, with the way out.

Messages never quote a value's text, which may be private.
"""

from __future__ import annotations

import re
from dataclasses import dataclass
from typing import Any

from bulkmsg.diagnostic import Diagnostic, file_finding
from bulkmsg.readers.text import shown

_NO_BLANK = re.compile(r"\s*(?:- +)*([A-Za-z_][\w.-]*):(?=[^\s:/])")
_COLON_IN_TEXT = re.compile(r"\s*(?:- +)*[\w.-]+: +[^\s'\"|>\[{&*!].*?:(?:\s|$)")
_QUOTE = "put the text in single quotes: 'like this' (a ' inside is written twice)"


@dataclass(frozen=True, slots=True)
class Complaint:
    """What the parser said, with 0-based marks, and the text of a line by its 0-based number ("" if it is gone)."""

    problem: str
    context: str
    mark: Any
    context_mark: Any
    line: Any

    def text(self, mark: Any, back: int = 0) -> str:
        return str(self.line(mark.line - back)) if mark else ""

    @property
    def char(self) -> str:
        return self.text(self.mark)[self.mark.column :][:1] if self.mark else ""


def explained(complaint: Complaint, file: str) -> Diagnostic:
    """The finding (BM103) for a parser's complaint."""
    for explain in (_character, _quote, _escape, _anchor, _missing_blank, _colon, _placeholder, _structure):
        if found := explain(complaint):
            message, hint, mark = found
            break
    else:
        message, hint, mark = f"the YAML is not well-formed: {shown(complaint.problem, 120)}", "", complaint.mark
    line, column = (mark.line + 1, mark.column + 1) if mark else (0, 0)
    hint = hint or "look at the indentation and the quotes on this line and the one above"
    return file_finding("BM103", message, hint, file, line, column)


Explained = tuple[str, str, Any] | None


def _character(it: Complaint) -> Explained:
    tab = "\t" in it.text(it.mark)[: it.mark.column + 1] if it.mark else False
    if tab and not it.text(it.mark)[: it.mark.column].strip():
        return (
            "a tab stands in the indentation",
            "YAML is indented by blanks only: replace each tab by two blanks",
            it.mark,
        )
    if "cannot start any token" in it.problem and it.char:
        return f"a text may not begin with `{shown(it.char)}`", _QUOTE, it.mark
    if "directive" in it.problem or "directive" in it.context:
        return "a line that begins with % is a YAML directive, and this one is not known", _QUOTE, it.mark
    return None


def _quote(it: Complaint) -> Explained:
    if "quoted scalar" in it.context and ("end of stream" in it.problem or "document indicator" in it.problem):
        return (
            "a quote is opened here and never closed",
            "close it; a quote inside a text in the same quotes is written '' or \\\"",
            it.context_mark,
        )
    return None


def _escape(it: Complaint) -> Explained:
    if "escape" not in it.problem and "hexdecimal" not in it.problem:
        return None
    start = it.text(it.mark).rfind("\\", 0, it.mark.column + 1) if it.mark else -1
    mark = _Mark(it.mark.line, start) if start >= 0 else it.mark
    if "Unicode character escape" in it.problem:
        return (
            "an escape here stands for no character (half of a surrogate pair, or beyond U+10FFFF)",
            "write the character itself, or its full code as in \\U0001F600",
            mark,
        )
    return (
        "a backslash in double quotes begins an unknown escape",
        "write \\\\ for a backslash, or use single quotes",
        mark,
    )


def _anchor(it: Complaint) -> Explained:
    for context, char, kind in (("alias", "*", "an alias"), ("anchor", "&", "an anchor"), ("tag", "!", "a tag")):
        if f"scanning {context}" in it.context or f"scanning a{'n' if char != '!' else ''} {context}" in it.context:
            return f"a text may not begin with `{char}`: it begins {kind}", _QUOTE, it.context_mark or it.mark
    return None


def _missing_blank(it: Complaint) -> Explained:
    for mark, back in ((it.context_mark, 0), (it.mark, 0), (it.mark, 1)):
        found = _NO_BLANK.match(it.text(mark, back))
        if found and "flow" not in it.context:
            return (
                f"a blank is missing after `{shown(found.group(1))}:`",
                f"write `{shown(found.group(1))}: value`",
                _Mark(mark.line - back, found.end(1)),
            )
    return None


def _colon(it: Complaint) -> Explained:
    if "mapping values are not allowed" not in it.problem:
        return None
    if _COLON_IN_TEXT.match(it.text(it.mark)):
        return "an unquoted text holds a colon followed by a blank", _QUOTE, it.mark
    return (
        "a field begins where none can begin",
        "indent all fields of an entry alike; a text that holds `: ` must be quoted",
        it.mark,
    )


def _placeholder(it: Complaint) -> Explained:
    if "{{" in it.text(it.mark) or "{{" in it.text(it.context_mark):
        mark = it.mark if "{{" in it.text(it.mark) else it.context_mark
        column = it.text(mark).index("{{")
        return "a text may not begin with `{{` unless it is quoted", 'quote it: "{{ name }}"', _Mark(mark.line, column)
    return None


def _structure(it: Complaint) -> Explained:
    if "expected ':'" in it.problem:
        return (
            "a `:` is missing after a field's name",
            "write `name: value`, with a blank after the colon",
            it.context_mark or it.mark,
        )
    if "block mapping" in it.context:
        return (
            "this line does not fit the fields above it",
            "indent all fields of an entry alike; text after a closing quote belongs inside the quotes",
            it.mark,
        )
    if "block collection" in it.context or "block sequence" in it.context or "block entr" in it.problem:
        return "this line does not fit the list above it", "indent every `- ` of a list alike", it.mark
    if "flow" in it.context:
        return (
            "a [ ] list or { } mapping is not closed, or lacks a comma",
            "check brackets and commas from here on",
            it.context_mark,
        )
    if "undefined tag handle" in it.problem:
        return "a text may not begin with `!`: it begins a tag", _QUOTE, it.mark
    return None


@dataclass(frozen=True, slots=True)
class _Mark:
    """A place we found ourselves, counted from 0 as the parser's marks are."""

    line: int
    column: int
