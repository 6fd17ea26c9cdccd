"""Findings for people: where, what, the line itself with a caret, and what to do."""

from __future__ import annotations

import unicodedata
from collections.abc import Callable, Iterable, Iterator, Mapping, Sequence

from bulkmsg.diagnostic import Diagnostic, Severity
from bulkmsg.reports.words import count, visible

# The line of a finding, as it stands in the file; None where it cannot be shown.
LineOf = Callable[[Diagnostic], str | None]

_WIDTH = 100
_BEFORE_CARET = 60
# A finding about a secret must not show it: what validate says ends up in the logs of build machines.
_SECRET = frozenset({"BM409"})


def in_order(findings: Iterable[Diagnostic]) -> list[Diagnostic]:
    """Errors first, then by place: the files in the order in which they came up, and their lines."""
    listed = list(findings)
    files = {name: number for number, name in enumerate(dict.fromkeys(found.file for found in listed))}
    ranks = {severity: number for number, severity in enumerate(Severity)}
    return sorted(listed, key=lambda found: (ranks[found.severity], files[found.file], found.line, found.column))


def blocks(findings: Iterable[Diagnostic], line_of: LineOf) -> Iterator[str]:
    """Each finding as a block of lines."""
    for found in findings:
        yield "\n".join(_block(found, line_of))


def _block(found: Diagnostic, line_of: LineOf) -> Iterator[str]:
    place = f"{found.file}:{found.line}:{found.column}" if found.line else found.file
    yield f"{visible(place)}: {found.severity.value}: {visible(found.text)} [{found.rule}]"
    line = line_of(found) if found.line and found.rule not in _SECRET else None
    if line is not None:
        yield from excerpt(line, found.line, found.column)
    for other in found.related:
        key = f" (key {other.key})" if other.key is not None else ""
        yield visible(f"  see {other.file}:{other.line}:{other.column}: {other.message}{key}")
    if found.hint:
        yield f"  hint: {visible(found.hint)}"


def excerpt(line: str, number: int, column: int) -> Iterator[str]:
    """A line of a file with a caret below the column, cut to what a terminal holds."""
    start = 0 if len(line) <= _WIDTH else max(0, column - 1 - _BEFORE_CARET)
    before = ("…" if start else "") + _plain(line[start : column - 1])
    behind = _plain(line[column - 1 : column - 1 + _WIDTH])
    room = max(1, _WIDTH - len(before))
    shown = before + (behind if len(behind) <= room else behind[:room] + "…")
    margin = f"{number:>6} | "
    yield (margin + shown).rstrip()
    yield f"{' ' * (len(margin) - 2)}| {' ' * _columns(before)}^"


def _plain(text: str) -> str:
    return visible(text.replace("\t", " "))


def _columns(text: str) -> int:
    """How many columns of a terminal a text takes."""
    return sum(
        0 if unicodedata.combining(char) else 2 if unicodedata.east_asian_width(char) in "WF" else 1 for char in text
    )


def verdict(counts: Mapping[Severity, int], names: Sequence[str], messages: int, *, at_least: bool = False) -> str:
    """`2 errors, 1 warning in batch.yaml: 120 messages`; `at_least` where not every finding was looked for."""
    found = [count(counts[severity], severity.value) for severity in Severity if counts.get(severity)]
    if not counts.get(Severity.ERROR):
        found.insert(0, "no errors")
    where = visible(names[0]) if len(names) == 1 else count(len(names), "file")
    return f"{'at least ' if at_least else ''}{', '.join(found)} in {where}: {count(messages, 'message')}"


def left_out(shown: int, total: int, *, at_least: bool = False) -> str:
    """That not all findings were shown, and how to see them."""
    return f"{shown:,} of {'at least ' if at_least else ''}{total:,} findings are shown; --max-findings 0 shows all"
