"""The narrow doors through which the engine meets the world: protocols, and the values that pass through them."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from dataclasses import dataclass, field
from enum import Enum, StrEnum
from typing import Protocol

from bulkmsg.events import Event
from bulkmsg.message import Kind, Upload
from bulkmsg.outcome import Outcome
from bulkmsg.source import Json


class Contact(Enum):
    """How far a request got. Only NEVER_LEFT proves that nothing was processed when there is no answer."""

    ANSWERED = "answered"  # a real response came, whole
    NEVER_LEFT = "never left"  # no byte of the request's head was sent: refused, DNS, TLS, connect timeout
    LOST = "lost"  # it may have arrived: reset, timeout, cut or oversized answer


@dataclass(frozen=True, slots=True)
class Request:
    """One API call. `path` is built from checked integers and constants, never from the user's text.

    With `upload` the body is a form that holds this file, read while it is sent.
    """

    method: str
    path: str
    query: tuple[tuple[str, str], ...] = ()
    body: bytes | None = None
    upload: Upload | None = None


@dataclass(frozen=True, slots=True)
class Reply:
    """What came back, or what went wrong.

    Args:
        status: the HTTP status of a real response, else 0.
        json: the parsed body, or None if there was none or it was no JSON; `is_json` tells the two apart.
        used, limit: the two sides of `X-Gorgias-Account-Api-Call-Limit`, if it came.
        retry_after: the raw text of `Retry-After`, if it came.
        location: the raw text of `Location`, if it came.
        reason: for a person, when there is no answer: what happened, without addresses and credentials.
        sent, received: loop time in seconds of the request's start and the answer's end.
        again: it was refused (401) for an access token that ran out and is made anew before the next request.
    """

    contact: Contact
    status: int = 0
    json: Json = None
    is_json: bool = False
    used: int | None = None
    limit: int | None = None
    retry_after: str | None = None
    location: str | None = None
    reason: str = ""
    sent: float = 0.0
    received: float = 0.0
    again: bool = False


class Helpdesk(Protocol):
    """The one door to the helpdesk. Follows no redirect, repeats nothing, raises nothing but cancellation."""

    async def call(self, request: Request) -> Reply: ...


@dataclass(frozen=True, slots=True)
class RenewalTrouble:
    """Why there is no new access token. `final`: asking again would be refused again."""

    final: bool
    reason: str
    hint: str = ""


class Renewal(Protocol):
    """Access that runs out and can be had anew. Times are loop time in seconds; a token is known by its number."""

    @property
    def number(self) -> int:
        """That of the access token in use."""

    def is_due(self, now: float) -> bool:
        """Whether a new one is needed before the next request."""

    async def renew(self) -> RenewalTrouble | None:
        """Have a new one, or go on with another command's; what stands in the way, if there is none in use then."""

    def was_accepted(self, number: int) -> None:
        """A request with that token was let in."""

    def was_refused(self, number: int) -> bool:
        """A request with that token got 401. Returns whether to send it again, once there is a new one."""


@dataclass(frozen=True, slots=True)
class Intent:
    """What is written of a message before the request that carries it may leave.

    Args:
        payload: hash of the request's final bytes, 32 hex characters; one request may carry many messages.
        ticket: the ticket's id in the helpdesk; None when the request creates it.
        ticket_content: hash of a new ticket's own fields; empty where it is not known.
        thread: hash of all that leaves with a new ticket (`parcel`).
    """

    key: str
    attempt: int
    kind: Kind
    content: str
    payload: str
    ticket: int | None
    external_id: str
    ticket_external_id: str | None = None
    ticket_content: str = ""
    thread: str = ""


@dataclass(frozen=True, slots=True)
class Fate:
    """What became of a message with an attempt, and the content hash that was tried."""

    key: str
    attempt: int
    content: str
    outcome: Outcome


class Learned(StrEnum):
    """How it is known where a ticket with an external id stands."""

    CREATED = "created"  # by a request of ours
    FOUND = "found"  # by looking for it
    UPDATED = "updated"  # it was there, and its own fields were sent


@dataclass(frozen=True, slots=True)
class KnownTicket:
    """A ticket known by its external id: its id in the helpdesk, and the hash of its own fields as last sent; empty
    where we never sent them."""

    id: int
    content: str = ""


@dataclass(frozen=True, slots=True)
class TicketNote:
    """That the ticket with an external id stands there, and how that is known."""

    external_id: str
    known: KnownTicket
    how: Learned


@dataclass(frozen=True, slots=True)
class Identity:
    """Who a message is to the log and to the helpdesk. Key and external ids are in the form in which logs hold them.

    `ticket` is None for a message in a new ticket, which has a `ticket_external_id`.
    """

    key: str
    kind: Kind
    content: str
    ticket: int | None
    external_id: str
    ticket_external_id: str | None = None


class RetryVerdict(StrEnum):
    """Why an attempt may be followed by another."""

    NOT_PROCESSED = "not_processed"  # surely never processed
    ABSENT = "absent"  # complete look-ups showed it absent, and the policy allows a new attempt
    PERSON = "person"  # a person said so


class Journal(Protocol):
    """Where intents and outcomes are kept. Each call returns when its records are on stable storage; those of one
    call are about one request.

    Raises (all methods that write):
        LogUnusable: the records could not be made safe; nothing new may be sent.
    """

    def intents(self, intents: Sequence[Intent]) -> None: ...

    def outcomes(self, fates: Sequence[Fate], note: TicketNote | None = None) -> None:
        """Fates that one answer or one look told, and where it showed their ticket."""

    def retries(self, tried: Sequence[tuple[str, int]], verdict: RetryVerdict, status: int, reason: str) -> None:
        """Note of keys with their attempts that others may follow."""

    def note_ticket(self, note: TicketNote) -> None: ...

    def ticket(self, external_id: str) -> KnownTicket | None:
        """The ticket with this external id, as far as it was noted."""


class Budget(Protocol):
    """Where the runs of one account on this machine tell each other what they use of it. Raises nothing of its own.

    `trouble` says for a person why it cannot be used, and is empty while it can; a run then goes on alone.
    """

    @property
    def trouble(self) -> str: ...

    def peek(self) -> bytes:
        """What was kept last, at any time; empty where nothing can be known."""

    async def exchange(self, act: Callable[[bytes], bytes | None]) -> None:
        """Call `act` once with what was kept last, and keep what it returns, if anything; no other run is let in
        between."""


class Sink(Protocol):
    """Who listens to events: the display, the events file. Must not raise and must not wait."""

    def tell(self, event: Event) -> None: ...


@dataclass
class Silence:
    """A sink that keeps what it is told; for tests and for callers that want nothing."""

    events: list[Event] = field(default_factory=list)

    def tell(self, event: Event) -> None:
        self.events.append(event)
