"""Whom and what of the account a batch refers to: agents, mailboxes, integrations. Gathered while it is validated.

Only names and counts are kept, of as many as a person could mean; where they stand is looked up in a second reading,
and only if one of them is wrong.
"""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from dataclasses import dataclass, field, replace
from enum import Enum
from typing import NamedTuple

from bulkmsg.diagnostic import RULES, Diagnostic, Related, Severity
from bulkmsg.message import Kind
from bulkmsg.source import Json, Path, Place
from bulkmsg.validation.checks import Trouble
from bulkmsg.validation.clashes import SecondLook

MOST = 10_000  # different names of one kind that are kept; a batch with more of them is told so, not refused
ASKED_ONE_BY_ONE = 20  # agents up to here are asked for one by one; beyond, the list of all users costs less
_PLACES_SHOWN = 3


class What(Enum):
    """What a name in a batch stands for."""

    AGENT = "agent"
    MAILBOX = "mailbox"
    INTEGRATION = "integration"
    TICKET = "ticket"


class Reference(NamedTuple):
    """A name in a batch for something that must be in the helpdesk. Addresses are in lower case."""

    what: What
    name: str | int


def references(kind: Kind, fields: Mapping[str, Json]) -> Iterator[tuple[Reference, Path]]:
    """What a message refers to, and where in it: its agents, and the mailbox it goes out through.

    Who must be what: Gorgias changelog, "Stricter ticket messages validation" (the sender of an outgoing message or a
    note is a user); guide "Create a new message in ticket via API" (`source.from` is an e-mail integration);
    reference "Create a message" (`mention_ids` are users).
    """
    if kind is Kind.INCOMING:
        return
    sender = fields.get("sender")
    if isinstance(sender, dict):
        if isinstance(email := sender.get("email"), str):
            yield Reference(What.AGENT, email.lower()), ("sender", "email")
        elif isinstance(number := sender.get("id"), int):
            yield Reference(What.AGENT, number), ("sender", "id")
    for at, number in enumerate(fields.get("mention_ids") or ()):
        yield Reference(What.AGENT, number), ("mention_ids", at)
    if kind is not Kind.OUTGOING:
        return
    if isinstance(number := fields.get("integration_id"), int):
        yield Reference(What.INTEGRATION, number), ("integration_id",)
    if fields.get("channel") == "email":
        address = ((fields.get("source") or {}).get("from") or {}).get("address")
        if isinstance(address, str):
            yield Reference(What.MAILBOX, address.lower()), ("source", "from", "address")


@dataclass
class Roster:
    """Everything of the account that a batch refers to, each name once with how many messages use it.

    Args:
        left_out: uses of names beyond the most that are kept; these names are not checked.
        replies: messages that an Observer may not write: all but internal notes.
    """

    uses: dict[Reference, int] = field(default_factory=dict)
    left_out: int = 0
    replies: int = 0

    def add(self, kind: Kind, fields: Mapping[str, Json]) -> None:
        """Take a valid message's references."""
        uses = self.uses
        self.replies += kind is not Kind.INTERNAL_NOTE
        for reference, _ in references(kind, fields):
            if reference in uses:
                uses[reference] += 1
            elif len(uses) < MOST:
                uses[reference] = 1
            else:
                self.left_out += 1

    def names(self, what: What) -> list[str | int]:
        """The names of one kind, in the order in which the batch first uses them."""
        return [reference.name for reference in self.uses if reference.what is what]

    @property
    def needs_integrations(self) -> bool:
        return any(reference.what in (What.MAILBOX, What.INTEGRATION) for reference in self.uses)

    @property
    def requests(self) -> int:
        """What looking these up costs where nothing is wrong, and each list fits into one page of 100.

        A request per agent, or one for the list of users where there are many; one for the integrations; one for the
        rules. What is wrong costs more, since it is looked for a second way.
        """
        agents = len(self.names(What.AGENT))
        return (agents if agents <= ASKED_ONE_BY_ONE else 1) + self.needs_integrations + 1


@dataclass(frozen=True, slots=True)
class Wrong:
    """What the helpdesk has against a reference: a rule, what happened, what to do."""

    rule: str
    message: str
    hint: str
    severity: Severity | None = None

    @property
    def level(self) -> Severity:
        return self.severity or RULES[self.rule].severity


class Whereabouts(SecondLook):
    """Finds where wrong references stand: each is told once, at the first entry that uses it."""

    def __init__(self, wrong: Mapping[Reference, Wrong]) -> None:
        super().__init__()
        self._wrong = wrong
        self.told: list[Reference] = []
        self.others: dict[Reference, list[Related]] = {}
        self.counts: dict[Reference, int] = {}

    def message(self, kind: Kind, fields: Mapping[str, Json], place: Place, path: Path) -> Iterator[Trouble]:
        for reference, inner in (*references(kind, fields), *_ticket(fields)):
            found = self._wrong.get(reference)
            if found is None:
                continue
            self.counts[reference] = self.counts.get(reference, 0) + 1
            if self.counts[reference] == 1:
                self.told.append(reference)
                # As a warning: after an error the rest of the entry would not be looked at.
                yield Trouble(found.rule, inner, found.message, found.hint, Severity.WARNING)
            elif self.counts[reference] <= _PLACES_SHOWN + 1:
                line = place.at(path).line if path else place.line
                self.others.setdefault(reference, []).append(Related("here as well", place.file, line, 1))

    def finish(self, reference: Reference, found: Diagnostic) -> Diagnostic:
        """A finding with all that the whole reading told of its reference: how grave it is, and the other places."""
        count = self.counts[reference]
        return replace(
            found,
            severity=self._wrong[reference].level,
            message=found.message + (f"; used {count:,} times" if count > 1 else ""),
            related=(*found.related, *self.others.get(reference, ())),
        )


def _ticket(fields: Mapping[str, Json]) -> Iterator[tuple[Reference, Path]]:
    for name in ("ticket_id", "ticket_external_id"):
        if isinstance(value := fields.get(name), int | str):
            yield Reference(What.TICKET, value), (name,)
