"""What becomes of messages: the states, their legal moves, and the counts of a run."""

from __future__ import annotations

import re
from dataclasses import dataclass, field
from enum import StrEnum

# Whatever hangs together around an @, in the ways it may be written in an answer's text.
_ADDRESS_PART = re.compile(r"[^\s<>()\[\],;:\"']+")
_AT = re.compile(r"@|%40|\\u0040|&#64;|\uff20", re.IGNORECASE)


class State(StrEnum):
    """Where a message stands. All but PENDING and INTENDED are outcomes."""

    PENDING = "pending"
    INTENDED = "intended"  # an intent is on disk and no outcome: it may exist in the helpdesk
    CREATED = "created"  # it exists in the helpdesk
    REJECTED = "rejected"  # the helpdesk refused it
    FAILED = "failed"  # attempts used up, surely not created
    IN_DOUBT = "in_doubt"  # it may exist, and looking did not settle it
    HELD_BACK = "held_back"  # an earlier message of its ticket did not arrive
    UNDONE = "undone"  # it was created, and deleted again


# The legal moves, by the record that makes them. The schema of the progress log prints the same table.
MOVES: dict[State, frozenset[State]] = {
    # in doubt without an intent: of a lost log's message nothing is known until it is looked for
    # rejected or failed without an intent: a file that it carries could not be uploaded, or its ticket, named by its
    # external id, was looked for and is not there
    State.PENDING: frozenset(
        {State.INTENDED, State.HELD_BACK, State.CREATED, State.REJECTED, State.FAILED, State.IN_DOUBT}
    ),
    State.INTENDED: frozenset({State.PENDING, State.CREATED, State.REJECTED, State.FAILED, State.IN_DOUBT}),
    State.IN_DOUBT: frozenset({State.PENDING, State.CREATED, State.IN_DOUBT, State.FAILED}),
    State.REJECTED: frozenset({State.INTENDED, State.HELD_BACK, State.REJECTED, State.FAILED}),
    State.FAILED: frozenset({State.INTENDED, State.HELD_BACK, State.REJECTED, State.FAILED}),
    State.HELD_BACK: frozenset({State.INTENDED, State.HELD_BACK, State.REJECTED, State.FAILED}),
    State.CREATED: frozenset({State.UNDONE}),
    State.UNDONE: frozenset({State.INTENDED, State.HELD_BACK, State.REJECTED, State.FAILED}),
}

# The states that answers count, in the order in which people read them. An intent without an outcome is in doubt.
COUNTED = (
    State.CREATED,
    State.REJECTED,
    State.FAILED,
    State.HELD_BACK,
    State.IN_DOUBT,
    State.UNDONE,
    State.PENDING,
)


@dataclass(frozen=True, slots=True)
class Outcome:
    """The fate of a message after a run's work on it.

    Args:
        state: an outcome, or PENDING when the run stopped before it was settled.
        message_id, ticket_id: the helpdesk's ids, where it exists.
        status: the HTTP status that decided, where one did.
        error: what the helpdesk said, addresses masked.
        found: it was found by looking, not told by the answer to our request.
        duplicates: ids of all messages with our external id, when there is more than one.
        hold: look-ups cannot show it absent, so only finding it or a person's word settles it, in every mode.
    """

    state: State
    message_id: int | None = None
    ticket_id: int | None = None
    status: int | None = None
    error: str | None = None
    found: bool = False
    duplicates: tuple[int, ...] = ()
    hold: bool = False


@dataclass
class Tally:
    """Counts by state that always add up to `total`."""

    total: int
    counts: dict[State, int] = field(default_factory=lambda: dict.fromkeys(COUNTED, 0))

    def move(self, before: State, after: State) -> None:
        self.counts[_counted(before)] -= 1
        self.counts[_counted(after)] += 1

    def __getitem__(self, state: State) -> int:
        return self.counts[state]


def _counted(state: State) -> State:
    return State.IN_DOUBT if state is State.INTENDED else state


@dataclass(frozen=True, slots=True)
class Standing:
    """What the progress log says of one entry.

    Args:
        content: the content hash under which it was last attempted (16 hex characters), empty if never.
        attempt: how many attempts were begun.
        external_id: as the log holds it; empty if never attempted.
        run: the id of the run that wrote the last record about it.
        hold: as in `Outcome`.
        thread, ticket_content: hashes of what left with its new ticket, and of the ticket's own fields (16 hex
            characters each); empty where it was no such request.
    """

    state: State = State.PENDING
    content: str = ""
    attempt: int = 0
    message_id: int | None = None
    ticket_id: int | None = None
    status: int | None = None
    error: str | None = None
    external_id: str = ""
    run: str = ""
    hold: bool = False
    thread: str = ""
    ticket_content: str = ""


UNTOUCHED = Standing()


def without_addresses(text: str) -> str:
    """A text of the helpdesk's as logs and summaries may show it: each address in it as `[address]`."""
    return _ADDRESS_PART.sub(lambda part: "[address]" if _AT.search(part.group()) else part.group(), text)


@dataclass(frozen=True, slots=True)
class Doubt:
    """A message that may exist in the helpdesk, with all that the progress log knows for looking it up.

    Args:
        key: as the log shows it.
        at: when it was last tried, or when a rebuilt log first knew of it, UTC, RFC 3339.
        kind: the type's name; empty where the log does not say it.
        ticket_external_id: the new ticket's, as the log holds it; empty for a ticket known by its id.
    """

    key: str
    standing: Standing
    at: str
    kind: str = ""
    ticket_external_id: str = ""
