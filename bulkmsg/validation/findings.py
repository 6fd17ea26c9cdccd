"""Collecting findings: all are counted, as many as a person can use are kept, and what is left out is said."""

from __future__ import annotations

from collections import Counter
from dataclasses import dataclass, field

from bulkmsg.diagnostic import Diagnostic, Severity


@dataclass
class Findings:
    """Diagnostics of one reading.

    Args:
        most: how many are kept in all; `alike` how many notes or warnings of one rule. Errors come first: a warning
            never takes an error's place.
    """

    most: int = 1000
    alike: int = 20
    kept: list[Diagnostic] = field(default_factory=list)
    counts: Counter[Severity] = field(default_factory=Counter)
    _by_rule: Counter[str] = field(default_factory=Counter)
    _errors: int = 0
    _again: bool = False
    _told: set[tuple[str, str, int, int, str, str]] = field(default_factory=set)

    def add(self, found: Diagnostic) -> None:
        if self._again and (_mark(found) in self._told or self.only_counts(found.rule, found.severity)):
            return
        self.counts[found.severity] += 1
        self._by_rule[found.rule] += 1
        if found.is_error:
            if self._errors < self.most:
                self._errors += 1
                self.kept.append(found)
        elif self._by_rule[found.rule] <= self.alike and len(self.kept) - self._errors < self.most:
            self.kept.append(found)

    def only_counts(self, rule: str, severity: Severity) -> bool:
        """Whether one more finding of this kind would be counted and not kept."""
        if severity is Severity.ERROR:
            return self._errors >= self.most
        return self._by_rule[rule] >= self.alike or len(self.kept) - self._errors >= self.most

    def read_again(self) -> None:
        """The same batch is read once more, for another account: of what comes now only the new is told, and counted as
        far as it is kept."""
        self._told = {_mark(found) for found in self.kept}
        self._again = True

    @property
    def errors(self) -> int:
        return self.counts[Severity.ERROR]

    @property
    def full(self) -> bool:
        """Whether no more errors are kept: from here on entries are only counted, and the counts are lower bounds."""
        return self._errors >= self.most

    @property
    def left_out(self) -> int:
        return self.counts.total() - len(self.kept)


def _mark(found: Diagnostic) -> tuple[str, str, int, int, str, str]:
    """What tells one finding from another, whichever entry or account it was met with."""
    return found.rule, found.file, found.line, found.column, found.path, found.message
