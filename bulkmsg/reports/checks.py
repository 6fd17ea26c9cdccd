"""What `validate` found in batches, as each of its formats takes it. The formats themselves stand in formats.py."""

from __future__ import annotations

import posixpath
from collections import Counter
from collections.abc import Callable, Iterable, Iterator, Mapping, Sequence
from dataclasses import dataclass, field

from bulkmsg.diagnostic import Diagnostic, Severity
from bulkmsg.reports.findings import LineOf, left_out, verdict
from bulkmsg.rule_pages import Page

PathOf = Callable[[str], str]


@dataclass(frozen=True, slots=True)
class Checked:
    """One batch that was looked at.

    Args:
        name: as the user named it.
        counts: all findings by severity, lower bounds with `at_least`; `shown` are those to show, worst first.
        unread: whether it could not be looked at.
        lines: gets the lines that findings are about, for a format that shows them.
    """

    name: str
    messages: int
    counts: Mapping[Severity, int]
    shown: Sequence[Diagnostic]
    lines: Callable[[Sequence[Diagnostic]], LineOf]
    at_least: bool = False
    unread: bool = False

    @property
    def findings(self) -> int:
        return sum(self.counts.values())

    @property
    def left_out(self) -> str:
        """That not all findings are shown, and how to see them; empty where they are."""
        shown = len(self.shown)
        return left_out(shown, self.findings, at_least=self.at_least) if shown < self.findings else ""

    @property
    def verdict(self) -> str:
        return verdict(self.counts, [self.name], self.messages, at_least=self.at_least)


@dataclass
class Totals:
    """All batches together."""

    names: list[str] = field(default_factory=list)
    counts: Counter[Severity] = field(default_factory=Counter)
    messages: int = 0
    shown: int = 0
    at_least: bool = False

    def add(self, checked: Checked) -> None:
        self.names.append(checked.name)
        self.counts.update(checked.counts)
        self.messages += checked.messages
        self.shown += len(checked.shown)
        self.at_least = self.at_least or checked.at_least

    @classmethod
    def of(cls, checks: Iterable[Checked]) -> Totals:
        totals = cls()
        for checked in checks:
            totals.add(checked)
        return totals

    @property
    def findings(self) -> int:
        return self.counts.total()

    @property
    def left_out(self) -> str:
        """That not all findings are shown, and how to see them; empty where they are."""
        return left_out(self.shown, self.findings, at_least=self.at_least) if self.shown < self.findings else ""

    @property
    def verdict(self) -> str:
        return verdict(self.counts, self.names, self.messages, at_least=self.at_least)


@dataclass(frozen=True, slots=True)
class Frame:
    """What a format must know besides the findings.

    Args:
        strict: whether a warning fails the check.
        path_of: a file's path below the repository's root as it is known to a build server; absolute if outside.
        pages: what there is to say about each rule, for a format that takes it along.
    """

    strict: bool = False
    path_of: PathOf = str
    pages: Mapping[str, Page] = field(default_factory=dict)


Render = Callable[[Iterable[Checked], Frame], Iterator[str]]


def below(root: str, folder: str) -> PathOf:
    """How files that are named from `folder` are called from `root`; both are absolute."""

    def path_of(name: str) -> str:
        whole = posixpath.normpath(posixpath.join(folder, name))
        inside = whole.startswith(f"{root.rstrip('/')}/")
        return posixpath.relpath(whole, root) if inside else whole

    return path_of
