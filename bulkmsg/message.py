"""The valid, typed thing that is sent: a message, its kind, its key, the ticket it belongs to, and its hashes."""

from __future__ import annotations

import hashlib
import re
from collections.abc import Sequence
from dataclasses import dataclass, replace
from enum import StrEnum

from bulkmsg import json_text
from bulkmsg.source import Json


class Kind(StrEnum):
    INCOMING = "incoming"
    OUTGOING = "outgoing"
    INTERNAL_NOTE = "internal-note"


class Mode(StrEnum):
    """`import` stores history and mails nobody; `send` really sends."""

    IMPORT = "import"
    SEND = "send"


@dataclass(frozen=True, slots=True)
class ExistingTicket:
    """A ticket known by its id in the helpdesk."""

    id: int

    @property
    def lane(self) -> str:
        return f"#{self.id}"


@dataclass(frozen=True, slots=True)
class NewTicket:
    """A ticket that one request creates together with its messages.

    `fields` is the request's body without `messages` and `external_id`, in the API's shape
    (Gorgias reference, "Create a ticket"). `content` is their hash, 16 hex characters: it says whether the ticket's
    own fields were edited, apart from its messages.

    The messages of one new ticket follow each other in a batch's messages, and share one value of this class.
    """

    external_id: str
    fields: dict[str, Json]
    given: bool  # the user wrote the external_id, so it belongs to the entry's identity
    content: str = ""

    @property
    def lane(self) -> str:
        return f"+{self.external_id}"


@dataclass(frozen=True, slots=True)
class NamedTicket:
    """A ticket that an earlier batch or anybody made, known by its external id until it was looked up."""

    external_id: str

    @property
    def lane(self) -> str:
        return f"={self.external_id}"


Ticket = ExistingTicket | NewTicket | NamedTicket


@dataclass(frozen=True, slots=True)
class Upload:
    """A file on this machine that is an attachment of a message once it was uploaded.

    Args:
        position: its place in the message's `attachments`, from 0.
        file: the path as the batch gives it, from the batch's folder; only for people.
        path: where it really lies, every link resolved.
        digest: sha256 of what it holds, 64 hex characters; `size` in bytes.
        mark: what the file system said of it when it was read: as long as that is the same, so is what it holds.
        name, content_type: what the helpdesk is told of it; `guessed`: the type was made from the name.
    """

    position: int
    file: str
    path: str
    digest: str
    size: int
    mark: tuple[int, ...]
    name: str
    content_type: str
    guessed: bool = False

    @property
    def identity(self) -> tuple[str, str, str]:
        """Files with the same are uploaded once: a name is part of an upload (Gorgias reference, "Upload files")."""
        return self.digest, self.name, self.content_type

    @property
    def hash64(self) -> int:
        return hash64("\0".join(self.identity))


@dataclass(frozen=True, slots=True)
class Message:
    """One message, ready to be sent.

    `body` is exactly what goes on the wire, `external_id` included (Gorgias reference, "Create a message").
    `content` is the hash that says whether an entry was edited: 16 hex characters over type, ticket reference and
    final body without `external_id`.
    `uploads` are attachments that are still files here: until `with_uploaded` has put in what the helpdesk answered,
    `body` has no `url` for them, and the helpdesk would refuse it.
    """

    kind: Kind
    key: str
    ticket: Ticket
    body: dict[str, Json]
    content: str
    file: str
    line: int
    uploads: tuple[Upload, ...] = ()

    @property
    def external_id(self) -> str:
        return str(self.body["external_id"])

    @property
    def will_be_mailed(self) -> bool:
        """Whether the helpdesk will really deliver it: outgoing with no `sent_datetime` ("Create a message")."""
        return self.kind is Kind.OUTGOING and not self.body.get("sent_datetime")


def with_uploaded(message: Message, found: Sequence[dict[str, Json]]) -> Message:
    """The message with what the helpdesk answered for each of its `uploads`, in their order; its content stays."""
    attachments = list(message.body["attachments"])
    for upload, item in zip(message.uploads, found, strict=True):
        attachments[upload.position] = {**attachments[upload.position], **item}
    return replace(message, body={**message.body, "attachments": attachments}, uploads=())


def thread_payload(ticket: NewTicket, messages: Sequence[Message]) -> bytes:
    """The final bytes of the request that creates a ticket with its messages, 1 to 500 ("Create a ticket")."""
    bodies = [message.body for message in messages]
    return canonical({**ticket.fields, "external_id": ticket.external_id, "messages": bodies})


def canonical(value: Json) -> bytes:
    """The one way a value is written before it is hashed or sent: UTF-8 JSON, sorted keys, no blanks."""
    return json_text.dumps_sorted(value)


def short_hash(data: bytes) -> str:
    """16 hex characters: for telling two versions of one entry apart, and for keys made from content."""
    return hashlib.sha256(data).hexdigest()[:16]


def hash64(text: str) -> int:
    """A 64-bit number for a key, for indexes that must stay small; equal numbers are settled by the keys."""
    return int.from_bytes(hashlib.sha256(text.encode()).digest()[:8], "big")


_SLUG = re.compile(r"[^A-Za-z0-9._-]+")


def derive_external_id(account: str, batch: str, key: str) -> str:
    """The external id of an entry that gives none: the same for ever for the same account, batch name and key.

    At most 255 characters (Gorgias reference, "Create a message"); no address shows in it.
    """
    digest = hashlib.sha256("\0".join((account, batch, key)).encode()).hexdigest()
    return f"bulkmsg-{_SLUG.sub('-', batch)[:64]}-{digest[:32]}"


def log_name(key: str) -> str:
    """A key or external id as it may stand in logs and events: as its hash when it holds an address."""
    return "#" + hashlib.sha256(key.encode()).hexdigest()[:32] if "@" in key else key


def people_of(message: Message) -> list[str]:
    """The addresses an outgoing message goes to, lower case, each once: `source.to`, `.cc`, `.bcc`, else `receiver`."""
    source = message.body.get("source") or {}
    found = [
        str(item["address"]).lower()
        for part in ("to", "cc", "bcc")
        for item in source.get(part) or ()
        if item.get("address")
    ]
    receiver = message.body.get("receiver") or {}
    if not found and receiver.get("email"):
        found = [str(receiver["email"]).lower()]
    if not found and receiver.get("id"):
        found = [f"customer {receiver['id']}"]
    return list(dict.fromkeys(found))
