"""A valid message before the account is known: what identifies it, and the message it becomes. Pure values."""

from __future__ import annotations

from dataclasses import dataclass

from bulkmsg.batch import Entry
from bulkmsg.message import (
    ExistingTicket,
    Kind,
    Message,
    Mode,
    NewTicket,
    canonical,
    derive_external_id,
    short_hash,
)
from bulkmsg.source import Json
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


@dataclass(frozen=True, slots=True)
class TicketDraft:
    """A new ticket before the account is known: its request's fields, and what the user wrote to identify it."""

    fields: dict[str, Json]
    external_id: str | None
    key: str | None

    @property
    def reference(self) -> str | None:
        return self.external_id or self.key


@dataclass(slots=True)
class Draft:
    """A valid message before the account is known.

    `fields` are the finished entry's; `inherited` those that it has from its new ticket and that are not part of its
    identity. What is made of them is made when it is asked for: most drafts are only validated.
    """

    kind: Kind
    fields: dict[str, Json]
    ticket: int | TicketDraft
    entry: Entry
    given_key: str | None
    inherited: tuple[str, ...] = ()
    mode: Mode = Mode.IMPORT
    _body: dict[str, Json] | None = None
    _content: str = ""
    _identity: tuple[str, KeyOrigin] | None = None

    @property
    def reference(self) -> Json:
        """What the user wrote to say which ticket."""
        return self.ticket if isinstance(self.ticket, int) else self.ticket.reference

    @property
    def body(self) -> dict[str, Json]:
        """The request's body, without a generated `external_id`."""
        if self._body is None:
            self._body = request_body(self.kind, self.mode, self.fields)
        return self._body

    @property
    def external_id(self) -> str | None:
        found = self.fields.get("external_id")
        return None if found is None else str(found)

    def content(self) -> str:
        """16 hex characters over type, ticket reference and final body without `external_id` and what is inherited."""
        if not self._content:
            left_out = ("external_id", *self.inherited)
            body = {name: value for name, value in self.body.items() if name not in left_out}
            reference = self.reference if not isinstance(self.ticket, TicketDraft) else self.ticket.external_id
            self._content = short_hash(canonical([self.kind.value, reference, body]))
        return self._content

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
        return default_key(self.kind, self.mode, self.body, self.reference, self.content())

    def message(self, account: str, batch: str, key: str) -> Message:
        """The message as it will be sent from this batch to this account."""
        body = self.body
        if self.external_id is None:
            body = {**body, "external_id": derive_external_id(account, batch, key)}
        place = self.entry.place
        ticket = self._final_ticket(account, batch, key)
        return Message(self.kind, key, ticket, body, self.content(), place.file, place.line)

    def _final_ticket(self, account: str, batch: str, key: str) -> ExistingTicket | NewTicket:
        if isinstance(self.ticket, int):
            return ExistingTicket(self.ticket)
        given = self.ticket.external_id
        own = given or derive_external_id(account, batch, f"ticket {self.ticket.key or key}")
        return NewTicket(own, self.ticket.fields, given is not None)
