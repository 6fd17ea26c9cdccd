"""Finding out by looking, a ticket at a time: one reading says of all its messages whether they are there.

Pure, like `delivery`, whose rules of reading these are: it yields looks and pauses, and ends with a value. Of what a
listing shows only ids and hashes are kept.

    a lane's wanted messages --read_lane--> Reading --sighting--> found | absent | unreadable, for each
                                                    --suspicion-> why an absence proves nothing, where it does not
"""

from __future__ import annotations

import re
from collections.abc import Generator, Sequence
from dataclasses import dataclass, field, replace
from random import Random
from typing import Any

from bulkmsg.gorgias import wire
from bulkmsg.looking import ReadingStep, Sight, Sighting, nobody_of_ours, read_listing, stands_alone, tickets_named
from bulkmsg.message import ExistingTicket, Message, NamedTicket, derive_external_id, hash64, log_name
from bulkmsg.ports import Identity, KnownTicket
from bulkmsg.retry import external_id_of
from bulkmsg.source import Json

_DIGEST = 32  # hex characters at the end of a generated external id


@dataclass(frozen=True, slots=True)
class Wanted:
    """A message that is looked for; small, since many wait for their tickets at once.

    Args:
        search: the ticket's external id as it was sent, by which it is found where its id is not known; empty where
            that is not known either.
        named: the ticket is not of this batch, so that only one outside of the trash will do.
        marks: hashes of its direction and text, to recognise it where the helpdesk does not keep external ids.
    """

    who: Identity
    search: str = ""
    named: bool = False
    marks: tuple[int, ...] = ()

    @property
    def by_content(self) -> bool:
        """Whether its key, and so its external id, changes when the entry is edited."""
        return self.who.key.startswith("c-")


def wanted(message: Message, known: KnownTicket | None = None) -> Wanted:
    """A message of the batch as it is looked for; `known` is its ticket, where that is known by its external id."""
    own = message.ticket
    ticket = own.id if isinstance(own, ExistingTicket) else known.id if known is not None else None
    external_id = None if isinstance(own, ExistingTicket) else own.external_id
    who = Identity(
        log_name(message.key),
        message.kind,
        message.content,
        ticket,
        log_name(message.external_id),
        None if external_id is None else log_name(external_id),
    )
    return Wanted(who, external_id or "", isinstance(own, NamedTicket), _marks(message.body))


def _marks(fields: dict[str, Json]) -> tuple[int, ...]:
    """Hashes of the direction with the text, and with the HTML; blanks do not count, they may change on the way."""
    side = "out" if fields.get("from_agent") else "in"
    texts = ((name, fields.get(name)) for name in ("body_text", "body_html"))
    return tuple(
        hash64(f"{side} {name} {' '.join(text.split())}")
        for name, text in texts
        if isinstance(text, str) and text.strip()
    )


@dataclass
class Reading:
    """What one reading of a lane's ticket showed.

    Args:
        ids: the messages found, by external id as logs hold it.
        tickets: the ticket that was read; behind it others that carry the same external id.
        unreadable: the reading that proves nothing, else None.
        alike: a message for each mark that was met on one without an external id of ours.
        strangers: messages with generated external ids of this batch that none of its entries on this ticket has.
    """

    ids: dict[str, list[int]] = field(default_factory=dict)
    tickets: tuple[int, ...] = ()
    unreadable: Sighting | None = None
    alike: dict[int, int] = field(default_factory=dict)
    strangers: list[int] = field(default_factory=list)

    @property
    def home(self) -> int | None:
        """The ticket that was read, if one is there."""
        return self.tickets[0] if self.tickets else None

    def sighting(self, each: Wanted) -> Sighting:
        """What it says of one of the messages that it was read for."""
        if ids := self.ids.get(each.who.external_id, []):
            return Sighting(Sight.FOUND, tuple(ids), self.tickets)
        return self.unreadable or Sighting(Sight.ABSENT, tickets=self.tickets)

    def suspicion(self, each: Wanted, *, proven: bool) -> str:
        """Why the absence of a message proves nothing; empty where it does.

        Args:
            proven: external ids of ours were met, so the helpdesk keeps them, and what only looks alike is not ours.
        """
        if each.by_content and self.strangers:
            return (
                f"message {self.strangers[0]} on its ticket came from an entry of this batch that is no longer in it, "
                "perhaps this one before it was edited"
            )
        twin = next((self.alike[mark] for mark in each.marks if mark in self.alike), None)
        if twin is not None and not proven:
            return f"message {twin} on its ticket says the same and does not carry our external id"
        return ""


def generated_ids(account: str, batch: str) -> re.Pattern[str]:
    """What the external ids look like that are made for entries of this batch (`derive_external_id`)."""
    return re.compile(re.escape(derive_external_id(account, batch, "")[:-_DIGEST]) + rf"[0-9a-f]{{{_DIGEST}}}")


def read_lane(lane: Sequence[Wanted], random: Random, generated: re.Pattern[str] | None = None) -> LaneReading:
    """Read a lane's ticket once, to its end.

    Args:
        lane: messages of one ticket; of one that is there all that the batch has in it, if `generated` is given.
        generated: what this batch's own external ids look like; without it no strangers are looked for.
    """
    first = lane[0]
    home = next((each.who.ticket for each in lane if each.who.ticket is not None), None)
    if home is not None:
        return _read_ticket(home, lane, random, generated)
    return _search(first, lane, random, generated)


LaneReading = Generator[ReadingStep, Any, Reading]


def _search(first: Wanted, lane: Sequence[Wanted], random: Random, generated: re.Pattern[str] | None) -> LaneReading:
    if not first.search:
        why = "the progress log holds only a hash of its ticket's external id, by which nothing can be found"
        return _unreadable(why)
    tickets = yield from tickets_named(first.search, random, trashed=not first.named)
    if isinstance(tickets, str):
        return _unreadable(tickets)
    for ticket in tickets:
        seen = yield from _read_ticket(ticket, lane, random, generated)
        if seen.ids or seen.unreadable is not None or first.named:
            seen.tickets = (ticket, *(each for each in tickets if each != ticket))
            return seen
    return Reading() if not tickets else _unreadable(nobody_of_ours(tickets[0]), *tickets)


def _unreadable(why: str, *tickets: int) -> Reading:
    return Reading(tickets=tickets, unreadable=Sighting(Sight.UNREADABLE, tickets=tickets, reason=why))


def _read_ticket(ticket: int, lane: Sequence[Wanted], random: Random, generated: re.Pattern[str] | None) -> LaneReading:
    seen = Reading(tickets=(ticket,))
    ours = {each.who.external_id for each in lane}
    marks = {mark for each in lane for mark in each.marks}

    def take(number: int, item: dict[str, Json]) -> None:
        external_id = external_id_of(item)
        if external_id in ours:
            seen.ids.setdefault(external_id, []).append(number)
        elif generated is not None and generated.fullmatch(external_id):
            seen.strangers.append(number)
        else:
            for mark in marks.intersection(_marks(item)):
                seen.alike.setdefault(mark, number)

    why = yield from read_listing(lambda page: wire.list_messages(ticket, page), take, random)
    if why:
        return _unreadable(why, ticket)
    if len(seen.ids) < len(ours):
        alone = yield from stands_alone(ticket, random)
        seen.unreadable = replace(alone, tickets=(ticket,)) if alone.sight is Sight.UNREADABLE else None
    return seen
