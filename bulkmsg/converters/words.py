"""The words of a conversion: what a source's records are, what they become, and the interface of a converter."""

from __future__ import annotations

from collections.abc import Iterable, Iterator, Mapping, Sequence
from dataclasses import dataclass, field
from enum import StrEnum
from typing import Protocol

from bulkmsg.message import Kind
from bulkmsg.readers.records import Record
from bulkmsg.source import Json


class Sureness(StrEnum):
    """Where our knowledge of a format comes from, the surest first."""

    RECORDED = "recorded payloads"
    DOCUMENTED = "vendor documentation"
    TOOLS = "other tools' code"


class Input(StrEnum):
    """Which reader takes a source's files apart."""

    JSON = "json"
    TABLE = "table"
    MAIL = "mail"


@dataclass(frozen=True, slots=True)
class About:
    """What `convert --list` says of a source.

    Args:
        reads: the files that it takes, a line each.
        sure: how sure we are of their format, and of which parts.
        input: how the files are read.
        instead: what to export, for somebody who has files that hold no messages.
        xml: whether its XML files are read as well.
        types: records of these types may become what `--type-map` says.
    """

    title: str
    reads: tuple[str, ...]
    sure: tuple[tuple[Sureness, str], ...]
    input: Input = Input.JSON
    instead: str = ""
    xml: bool = False
    types: tuple[str, ...] = ()


class Side(StrEnum):
    """On which side of a conversation somebody stands."""

    CUSTOMER = "customer"
    STAFF = "staff"
    BOT = "bot"


@dataclass(frozen=True, slots=True)
class Person:
    """Somebody of the source; `id` as text, since one file writes 1 and another "1". `email` may be empty."""

    id: str
    side: Side
    email: str = ""
    name: str = ""


@dataclass(frozen=True, slots=True)
class Facts:
    """A record that says what a ticket is; of several with the same id the one with the highest `version` counts."""

    ticket: str
    value: Json
    version: str = ""


@dataclass(frozen=True, slots=True)
class Piece:
    """A record that may become a message of `ticket`; of several with the same id the highest `version` counts."""

    ticket: str
    id: str
    value: Json
    version: str = ""


@dataclass(frozen=True, slots=True)
class Kin:
    """Names of one ticket, the oldest first, as a mail of the time `since` knows them: any of them may be the `ticket`
    of a piece. The first name that the oldest of all such records knows is the ticket's own.
    """

    names: tuple[str, ...]
    since: str


@dataclass(frozen=True, slots=True)
class Skip:
    """A record that becomes no message on purpose; `reason` is a short text that is counted."""

    reason: str


@dataclass(frozen=True, slots=True)
class Finding:
    """A record that should have become a message and could not; `code` groups what is alike. Quotes nobody."""

    code: str
    message: str
    hint: str


@dataclass(frozen=True, slots=True)
class Note:
    """Something worth knowing that changes no sum; `code` groups what is alike."""

    code: str
    message: str


Sorted = Person | Facts | Piece | Kin | Skip | Finding | Note


@dataclass(frozen=True, slots=True)
class Stored:
    """A record as it was put aside, with its place."""

    id: str
    value: Json
    file: str
    line: int


@dataclass(frozen=True, slots=True)
class Thread:
    """All that belongs to one ticket: its own record, if the export has it, and its pieces in the input's order."""

    ticket: str
    facts: Stored | None
    pieces: Sequence[Stored]


@dataclass(frozen=True, slots=True)
class Address:
    """An end of a message on the wire."""

    address: str
    name: str = ""


@dataclass(frozen=True, slots=True)
class File:
    """An attachment; `size` in bytes. `path` where its bytes were in the export: from the output's folder."""

    url: str
    name: str
    content_type: str = "application/octet-stream"
    size: int | None = None
    path: str = ""


@dataclass(frozen=True, slots=True)
class Turn:
    """A message in neutral words, before the options have their say.

    Args:
        id: the external id's second half, such as comment-123.
        author: None where nobody of the people files wrote it: an automation, or somebody deleted.
        sent: RFC 3339, as the source writes it; offsets are fine.
        channel: a channel of ours.
        sender_address: what stood in From on the wire; for outgoing messages the support mailbox, not the person.
        flags: marks that go to `meta.flags` and are counted, such as merge-notice.
        notes: what the report shall tell of this message.
    """

    id: str
    kind: Kind
    author: Person | None
    sent: str
    file: str
    line: int
    html: str = ""
    text: str = ""
    subject: str = ""
    channel: str = "email"
    sender_address: Address | None = None
    to: tuple[Address, ...] = ()
    cc: tuple[Address, ...] = ()
    bcc: tuple[Address, ...] = ()
    attachments: tuple[File, ...] = ()
    message_id: str = ""
    flags: tuple[str, ...] = ()
    notes: tuple[Note, ...] = ()


@dataclass(frozen=True, slots=True)
class Placed:
    """A skip or a finding of one record of a thread, with the record's place."""

    what: Skip | Finding
    file: str
    line: int


@dataclass(frozen=True, slots=True)
class Talk:
    """A ticket in neutral words.

    Args:
        id: of the ticket in the source.
        turns: one item for each piece of the thread, in the order in which equal times shall stand.
        status: the source's word; `--status-map` has the last say.
        priority: low, normal, high, critical, or empty.
        customer: whose ticket it is.
        assignee: the agent who looks after it.
        fields: custom fields by the source's id or name, for `--field-map`.
        mailbox: the support address that the ticket came to.
        notes: what the report shall tell of the ticket as a whole.
    """

    id: str
    turns: Sequence[Turn | Placed]
    subject: str = ""
    status: str = ""
    priority: str = ""
    tags: tuple[str, ...] = ()
    customer: Person | None = None
    assignee: Person | None = None
    fields: Mapping[str, Json] = field(default_factory=dict)
    mailbox: Address | None = None
    created: str = ""
    updated: str = ""
    closed: str = ""
    notes: tuple[Note, ...] = ()


class People(Protocol):
    """Who is who, by id as text."""

    @property
    def given(self) -> bool:
        """Whether any people file was given."""

    def get(self, id: str) -> Person | None: ...


@dataclass(frozen=True, slots=True)
class Reading:
    """What of the options concerns reading a source."""

    requester_wins: bool = False
    descriptions: bool = False
    bots: str = "outgoing"
    ticket: str = ""
    own: tuple[str, ...] = ()  # addresses, and domains without an @, whose mails went out
    reply_to: bool = False
    skip_labels: tuple[str, ...] = ()
    mapping: Json = None  # of the generic source
    types: Mapping[str, Kind] = field(default_factory=dict)  # of records, by their types in the source


class Converter(Protocol):
    """A source. One is made for each conversion, with its `Reading`; it may remember what pages said of themselves.

    It is asked twice: `sort` for each record, in the order of the files, and then `talk` for each ticket.
    """

    def sort(self, record: Record) -> Iterable[Sorted]:
        """What a record is. A record that holds others gives one item for each; each `Piece`, `Skip` and `Finding`
        counts as one record of the input.
        """

    def talk(self, thread: Thread, people: People) -> Talk:
        """The ticket: with one turn, skip or finding for each piece. A thread without pieces may bring items of its
        own, such as the description, which then count as records.
        """

    def close(self) -> Iterator[Note]:
        """What can be said when all files were read, such as pages that are missing."""


class Refusal(Exception):
    """The files are not what this source converts, and no record of them will do: one sentence, and what to export."""

    def __init__(self, message: str, hint: str) -> None:
        super().__init__(message)
        self.message = message
        self.hint = hint
