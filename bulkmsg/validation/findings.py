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

    def add(self, found: Diagnostic) -> None:
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
