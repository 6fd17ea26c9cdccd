"""Finding out by looking, a ticket at a time: one reading says of all its messages whether they are there.

Pure, like `delivery`, whose rules of reading these are: it yields looks and pauses, and ends with a value. Of what a
listing shows only ids and hashes are kept.

    a lane's wanted messages --read_lane--> Reading --sighting--> found | absent | unreadable, for each
                                                    --suspicion-> why an absence proves nothing, where it does not
"""

from __future__ import annotations

import re
from collections.abc import Generator, Sequence
from dataclasses import dataclass, field
from random import Random
from typing import Any

from bulkmsg.delivery import Sight, Sighting, Step, external_id_of, find_ticket, read_listing, stands_alone
from bulkmsg.gorgias import wire
from bulkmsg.message import ExistingTicket, Message, derive_external_id, hash64, log_name
from bulkmsg.ports import Identity
from bulkmsg.source import Json

_DIGEST = 32  # hex characters at the end of a generated external id


@dataclass(frozen=True, slots=True)
class Wanted:
    """A message that is looked for; small, since many wait for their tickets at once.

    Args:
        search: for a new ticket its external id as it was sent, by which it is found; empty where it is not known.
        marks: hashes of its direction and text, to recognise it where the helpdesk does not keep external ids.
    """

    who: Identity
    search: str = ""
    marks: tuple[int, ...] = ()

    @property
    def by_content(self) -> bool:
        """Whether its key, and so its external id, changes when the entry is edited."""
        return self.who.key.startswith("c-")


def wanted(message: Message) -> Wanted:
    """A message of the batch as it is looked for."""
    existing = isinstance(message.ticket, ExistingTicket)
    who = Identity(
        log_name(message.key),
        message.kind,
        message.content,
        message.ticket.id if isinstance(message.ticket, ExistingTicket) else None,
        log_name(message.external_id),
        None if isinstance(message.ticket, ExistingTicket) else log_name(message.ticket.external_id),
    )
    search = "" if isinstance(message.ticket, ExistingTicket) else message.ticket.external_id
    return Wanted(who, search, _marks(message.body) if existing else ())


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
        ticket: for a new ticket what the search for it showed.
        unreadable: the reading that proves nothing, else None.
        alike: a message for each mark that was met on one without an external id of ours.
        strangers: messages with generated external ids of this batch that none of its entries on this ticket has.
    """

    ids: dict[str, list[int]] = field(default_factory=dict)
    ticket: Sighting | None = None
    unreadable: Sighting | None = None
    alike: dict[int, int] = field(default_factory=dict)
    strangers: list[int] = field(default_factory=list)

    def sighting(self, each: Wanted) -> Sighting:
        """What it says of one of the messages that it was read for."""
        if self.ticket is not None:
            return self.ticket
        ids = self.ids.get(each.who.external_id, [])
        if ids and each.who.ticket is not None:
            return Sighting(Sight.FOUND, tuple(ids), (each.who.ticket,))
        return self.unreadable or Sighting(Sight.ABSENT)

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
        lane: messages of one ticket; of an existing one all that the batch has there, if `generated` is given.
        generated: what this batch's own external ids look like; without it no strangers are looked for.
    """
    first = lane[0]
    if first.who.ticket is not None:
        return _read_ticket(first.who.ticket, lane, random, generated)
    return _search(first, random)


LaneReading = Generator[Step, Any, Reading]


def _search(first: Wanted, random: Random) -> LaneReading:
    if not first.search:
        why = "the progress log holds only a hash of its new ticket's external id, by which nothing can be found"
        return Reading(ticket=Sighting(Sight.UNREADABLE, reason=why))
    return Reading(ticket=(yield from find_ticket(first.search, random)))


def _read_ticket(ticket: int, lane: Sequence[Wanted], random: Random, generated: re.Pattern[str] | None) -> LaneReading:
    seen = Reading()
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
        return Reading(unreadable=Sighting(Sight.UNREADABLE, reason=why))
    if len(seen.ids) < len(ours):
        alone = yield from stands_alone(ticket, random)
        seen.unreadable = alone if alone.sight is Sight.UNREADABLE else None
    return seen
