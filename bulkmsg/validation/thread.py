"""A new ticket while its messages come in: they wait until all that the ticket takes from them is known. Pure.

A list of messages comes at once, rows of a table come one by one; a table's ticket must not be kept whole.
"""

from __future__ import annotations

from dataclasses import dataclass, field

from bulkmsg.message import Kind, Mode, canonical, short_hash
from bulkmsg.source import Json, Place
from bulkmsg.threads import MOST_MESSAGES
from bulkmsg.validation import tickets
from bulkmsg.validation.drafts import Draft, TicketDraft
from bulkmsg.validation.order import ThreadTimes

# Among so many messages a ticket's customer is looked for, and so many characters of a table's cells: those of its one
# request, or as many as may wait in memory.
_LOOKED_AT = MOST_MESSAGES
_MOST_WAITING = 16 << 20


@dataclass
class Thread:
    """A new ticket and those of its messages that wait.

    Args:
        ticket: the ticket's own fields, finished.
        written: the same as they are written where the ticket begins, at `place`.
        name: the ticket's external id, by which further rows of a table are known.
        broken: the ticket or a message of it is wrong, so that none of them becomes a message.
    """

    ticket: dict[str, Json]
    written: dict[str, Json]
    place: Place
    mode: Mode
    name: str | None = None
    broken: bool = False
    times: ThreadTimes = field(default_factory=ThreadTimes)
    count: int = 0
    _own: dict[str, Json] = field(init=False)
    _draft: TicketDraft = field(init=False)
    _waiting: list[Draft] = field(default_factory=list)
    _size: int = 0
    _customer: dict[str, Json] | None = None
    _certain: bool = False  # whether no later message can change whose ticket it is
    _known: bool = False  # whether the ticket's fields are

    def __post_init__(self) -> None:
        own = self._own = tickets.own_fields(self.ticket)
        self._draft = TicketDraft(
            {}, self.ticket.get("external_id"), self.ticket.get("key"), short_hash(canonical(own))
        )
        self._certain = "customer" in own

    @property
    def draft(self) -> TicketDraft:
        return self._draft

    def add(self, draft: Draft, size: int = 0) -> None:
        """Take in the next message; `size` is how many characters of a table it keeps from being forgotten."""
        self.count += 1
        self._size += size
        self._waiting.append(draft)
        if self._certain:
            return
        customer = tickets.customer_of(draft.body)
        if customer is not None and (self._customer is None or draft.kind is Kind.INCOMING):
            self._customer = customer
            self._certain = draft.kind is Kind.INCOMING
        self._certain = self._certain or self.count >= _LOOKED_AT or self._size >= _MOST_WAITING

    @property
    def settled(self) -> bool:
        """Whether messages may go on before all have come."""
        return self._certain and self._draft.reference is not None

    def release(self) -> list[Draft]:
        """Those that waited, complete; none of a ticket that is broken."""
        ready, self._waiting = self._waiting, []
        if self.broken or not ready:
            return []
        if not self._known:
            self._known = True
            first = ready[0].body
            self._draft.fields = tickets.request_fields(self._own, first, self._customer, self.mode)
            if self._draft.reference is None:
                self._draft.lead(_leader(ready, self.mode))
        return ready


def _leader(drafts: list[Draft], mode: Mode) -> Draft:
    """The message by which a ticket is known that has neither external id nor key.

    A note may say the same in every ticket of a batch, a message to or from a customer hardly does. In send mode an
    outgoing message has its key from its recipients, which a corrected text leaves as it is.
    """
    if mode is Mode.SEND and (mailed := next((one for one in drafts if one.kind is Kind.OUTGOING), None)):
        return mailed
    return next((one for one in drafts if one.kind is not Kind.INTERNAL_NOTE), drafts[0])
