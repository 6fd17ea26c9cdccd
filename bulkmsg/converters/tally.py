"""The bookkeeping of a conversion: every record is a message, a skip or a finding, and the sum is kept. Pure.

Only counts, and a few places for each reason, are held: it does not grow with the export.
"""

from __future__ import annotations

from collections import Counter
from dataclasses import dataclass, field

from bulkmsg.converters.compose import Agent
from bulkmsg.message import Kind

EXAMPLES = 5  # places that are remembered for each reason
_MOST_REASONS = 200
_MOST_AGENTS = 10_000
OTHER = "other reasons"


@dataclass(slots=True)
class Reason:
    """Why records ended as they did: how many, and where the first of them stand."""

    count: int = 0
    message: str = ""
    hint: str = ""
    places: list[tuple[str, int]] = field(default_factory=list)

    def add(self, file: str, line: int) -> None:
        self.count += 1
        if file and len(self.places) < EXAMPLES:
            self.places.append((file, line))


@dataclass(slots=True)
class Tally:
    """What came in and what became of it.

    Args:
        records: of the input that could have become messages; tickets' own records and people are counted apart.
        tickets_read: tickets' own records, `tickets_repeated` of them older versions of others.
        tickets_written: tickets in the batch; `tickets_empty` have no message left.
        agents: by id in the source, with the number of their messages.
    """

    records: int = 0
    by_kind: Counter[Kind] = field(default_factory=Counter)
    skips: dict[str, Reason] = field(default_factory=dict)
    findings: dict[str, Reason] = field(default_factory=dict)
    notes: dict[str, Reason] = field(default_factory=dict)
    flags: Counter[str] = field(default_factory=Counter)
    people: int = 0
    tickets_read: int = 0
    tickets_repeated: int = 0
    tickets_written: int = 0
    tickets_empty: int = 0
    agents: dict[str, tuple[Agent, int]] = field(default_factory=dict)

    @property
    def messages(self) -> int:
        return sum(self.by_kind.values())

    @property
    def skipped(self) -> int:
        return sum(reason.count for reason in self.skips.values())

    @property
    def found(self) -> int:
        return sum(reason.count for reason in self.findings.values())

    @property
    def agrees(self) -> bool:
        """Whether nothing disappeared."""
        return self.records == self.messages + self.skipped + self.found

    def skip(self, reason: str, file: str, line: int) -> None:
        _reason(self.skips, reason).add(file, line)

    def find(self, code: str, message: str, hint: str, file: str, line: int) -> None:
        reason = _reason(self.findings, code)
        reason.message, reason.hint = reason.message or message, reason.hint or hint
        reason.add(file, line)

    def note(self, code: str, message: str, file: str, line: int) -> None:
        reason = _reason(self.notes, code)
        reason.message = reason.message or message
        reason.add(file, line)

    def meet(self, agent: Agent, messages: int) -> None:
        """An agent who wrote so many messages; 0 for one who only owns a ticket."""
        name = agent.person.id or agent.person.email or agent.person.name
        known = self.agents.get(name)
        if known or len(self.agents) < _MOST_AGENTS:
            self.agents[name] = (agent, (known[1] if known else 0) + messages)

    @property
    def unmapped(self) -> list[tuple[Agent, int]]:
        """Agents whom nobody mapped, with the most messages first."""
        found = (each for each in self.agents.values() if each[0].how != "mapped" and each[0].person.id)
        return sorted(found, key=lambda each: (-each[1], each[0].person.id))


def _reason(reasons: dict[str, Reason], name: str) -> Reason:
    if name not in reasons and len(reasons) >= _MOST_REASONS:
        name = OTHER
    return reasons.setdefault(name, Reason())
