"""A valid message before the account is known: what identifies it, and the message it becomes. Pure values."""

from __future__ import annotations

from dataclasses import dataclass

from bulkmsg.batch import Entry
from bulkmsg.message import (
    Kind,
    Message,
    Mode,
    NewTicket,
    Ticket,
    Upload,
    canonical,
    derive_external_id,
    short_hash,
)
from bulkmsg.settings import Attachments
from bulkmsg.source import Json, Path
from bulkmsg.validation.attachments import as_known, as_sent
from bulkmsg.validation.identity import KeyOrigin, default_key

_NOT_BODY = ("type", "key", "ticket_id", "ticket_external_id")


def request_body(kind: Kind, mode: Mode, fields: dict[str, Json]) -> dict[str, Json]:
    """The body of the request that creates a message with these fields (Gorgias reference, "Create a message")."""
    body = {name: value for name, value in fields.items() if name not in _NOT_BODY}
    body["from_agent"] = kind is not Kind.INCOMING
    body.setdefault("via", "api")
    if kind is Kind.INTERNAL_NOTE:
        body["channel"] = "internal-note"
    if mode is Mode.IMPORT and "sent_datetime" in body:
        body.setdefault("created_datetime", body["sent_datetime"])
    return body


@dataclass(slots=True)
class TicketDraft:
    """A new ticket before the account is known; the drafts of its messages share it.

    Args:
        fields: its request's; empty until the messages from which it takes some of them came.
        external_id, key: what the user wrote to identify it.
        content: the hash of what the user says of it, whatever it takes from its messages.
        leader: the key of the message by which it is known when the user wrote neither, and where that came from.
    """

    fields: dict[str, Json]
    external_id: str | None
    key: str | None
    content: str = ""
    leader: tuple[str, KeyOrigin] | None = None

    @property
    def reference(self) -> str | None:
        return self.external_id or self.key

    def lead(self, draft: Draft) -> None:
        """Be known by this message."""
        draft.leads = True
        self.leader = draft.identity()

    def ticket(self, account: str, batch: str, leader: str) -> NewTicket:
        """The ticket as this batch creates it in this account; `leader` is the final key of the message it is known by.

        Without external id and key the ticket is known by the key of one of its messages.
        """
        given = self.external_id
        own = given or derive_external_id(account, batch, f"ticket {self.key or leader}")
        return NewTicket(own, self.fields, given is not None, self.content)


@dataclass(slots=True)
class Draft:
    """A valid message before the account is known.

    What is made of it is made when it is asked for: most drafts are only validated.

    Args:
        fields: the finished entry's; `inherited` those that it has from its new ticket and that are not part of its
            identity.
        ticket: the ticket's id, its external id, or the new ticket.
        path: where the message stands in the entry, if it does not make up the whole entry.
        first: whether it is the first message of its new ticket; `leads` whether the ticket is known by it.
        uploads: the files among its attachments.
    """

    kind: Kind
    fields: dict[str, Json]
    ticket: int | str | TicketDraft
    entry: Entry
    given_key: str | None
    inherited: tuple[str, ...] = ()
    mode: Mode = Mode.IMPORT
    path: Path = ()
    first: bool = True
    leads: bool = False
    uploads: tuple[Upload, ...] = ()
    _body: dict[str, Json] | None = None
    _content: str = ""
    _identity: tuple[str, KeyOrigin] | None = None

    @property
    def reference(self) -> Json:
        """What the user wrote to say which ticket."""
        return self.ticket.reference if isinstance(self.ticket, TicketDraft) else self.ticket

    @property
    def body(self) -> dict[str, Json]:
        """The request's body, without a generated `external_id`, its attachments as the batch gives them."""
        if self._body is None:
            self._body = request_body(self.kind, self.mode, self.fields)
        return self._body

    @property
    def external_id(self) -> str | None:
        found = self.fields.get("external_id")
        return None if found is None else str(found)

    def content(self) -> str:
        """16 hex characters over type, ticket reference and final body without `external_id` and what is inherited.

        Of a file counts what it holds, its name and a given type; not where it lies, nor whether it is to be uploaded.
        """
        if not self._content:
            ticket = self.ticket
            self._content = self._hash(ticket.external_id if isinstance(ticket, TicketDraft) else ticket)
        return self._content

    def _hash(self, reference: Json) -> str:
        left_out = ("external_id", *self.inherited)
        body = {name: value for name, value in self.body.items() if name not in left_out}
        if self.uploads:
            body["attachments"] = as_known(body["attachments"], self.uploads)
        return short_hash(canonical([self.kind.value, reference, body]))

    def identity(self) -> tuple[str, KeyOrigin]:
        """The key, before identical entries are counted, and where it comes from."""
        if self._identity is None:
            self._identity = self._find_identity()
        return self._identity

    def _find_identity(self) -> tuple[str, KeyOrigin]:
        if self.given_key is not None:
            return self.given_key, KeyOrigin.GIVEN
        if self.external_id is not None:
            return self.external_id, KeyOrigin.EXTERNAL_ID
        return default_key(self.kind, self.mode, self.body, self.reference, self._content_of_key)

    def _content_of_key(self) -> str:
        """The content with all by which the ticket is known: messages that say the same in two tickets are two."""
        ticket = self.ticket
        if not isinstance(ticket, TicketDraft) or ticket.external_id is not None:
            return self.content()
        if ticket.key is not None:
            return self._hash(["key", ticket.key])
        return self.content() if self.leads or ticket.leader is None else self._hash(["led by", ticket.leader[0]])

    def sent(self, attachments: Attachments) -> dict[str, Json]:
        """The body with the attachments that leave; those that are uploaded first lack their `url`."""
        return as_sent(self.body, self.uploads, attachments)

    def message(
        self, account: str, batch: str, key: str, ticket: Ticket, attachments: Attachments = Attachments.UPLOAD
    ) -> Message:
        """The message as it will be sent from this batch to this account, on its final ticket."""
        body = self.sent(attachments)
        uploads = self.uploads if attachments is Attachments.UPLOAD else ()
        if self.external_id is None:
            body = {**body, "external_id": derive_external_id(account, batch, key)}
        place = self.entry.place
        return Message(self.kind, key, ticket, body, self.content(), place.file, place.line_of(self.path), uploads)
