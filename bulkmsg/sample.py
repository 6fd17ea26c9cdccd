"""Which tickets of a batch a run takes: all, the first few, or a sample that shows what there is in the batch.

Pure and streaming: messages go by once, and what is kept of them grows with the sample that is asked for, not with the
batch. The same batch always gives the same sample, whatever was sent of it before.
"""

from __future__ import annotations

from collections import Counter
from collections.abc import Iterable, Iterator
from dataclasses import dataclass, field
from heapq import heappush, heappushpop, nlargest
from itertools import groupby

from bulkmsg.message import Message, NewTicket, hash64
from bulkmsg.traits import Rank, Trait, text_size, traits

Lanes = frozenset[str]

_MOST_OF_A_RANK = 200  # names of channels and scripts are open lists; what comes after so many shows nothing new
_COUNTED = 4096  # tickets whose length is known at a time
_SPREAD = 4  # so many times as many tickets as are wanted are kept, to spread the sample evenly


@dataclass(frozen=True, slots=True)
class First:
    """The first tickets of a batch."""

    tickets: int

    def lanes(self, messages: Iterable[Message]) -> Lanes:
        found: set[str] = set()
        for message in messages:
            found.add(message.ticket.lane)
            if len(found) == self.tickets:
                break
        return frozenset(found)


@dataclass(frozen=True, slots=True)
class Sample:
    """Tickets that show every type, channel, attachment, script and field, and the longest thread; the rest are spread
    evenly over the batch.

    The batch's first ticket is always among them: a later run whose progress log was lost looks for the first message
    of the batch, and so finds that the batch ran before.
    """

    tickets: int

    def lanes(self, messages: Iterable[Message]) -> Lanes:
        seen = _Seen(self.tickets)
        for lane, of_one in groupby(messages, key=lambda message: message.ticket.lane):
            seen.add(lane, of_one)
        return frozenset(seen.chosen())


Selection = First | Sample


@dataclass(frozen=True, slots=True)
class _Candidate:
    """A ticket that may be in the sample: where it stands in the batch, and what it shows."""

    lane: str
    place: int
    traits: frozenset[Trait]


@dataclass(slots=True)
class _Best:
    """The ticket that has most of something; the earliest of several."""

    size: int = -1
    candidate: _Candidate | None = None

    def see(self, size: int, candidate: _Candidate) -> None:
        if size > self.size:
            self.size, self.candidate = size, candidate


@dataclass(slots=True)
class _Lengths:
    """How many messages tickets have. Where messages of very many tickets alternate, only the long ones are counted."""

    counts: dict[str, int] = field(default_factory=dict)

    def add(self, lane: str, count: int) -> int:
        whole = self.counts[lane] = self.counts.get(lane, 0) + count
        if len(self.counts) > _COUNTED:
            self.counts = dict(nlargest(_COUNTED // 2, self.counts.items(), key=lambda each: each[1]))
        return whole


@dataclass(slots=True)
class _Spread:
    """Distinct tickets from all over the batch: those with the lowest hashes, which any number of tickets leaves."""

    most: int
    places: dict[str, int] = field(default_factory=dict)
    _highest: list[tuple[int, str]] = field(default_factory=list)

    def see(self, lane: str, name: str, place: int) -> None:
        if lane in self.places:
            return
        one = (-hash64(name), lane)
        if len(self.places) < self.most:
            heappush(self._highest, one)
        elif one > self._highest[0]:
            del self.places[heappushpop(self._highest, one)[1]]
        else:
            return
        self.places[lane] = place

    def evenly(self, count: int, but: Iterable[str]) -> Iterator[str]:
        """So many of them at even distances in the batch, or all there are."""
        out = frozenset(but)
        left = sorted((place, lane) for lane, place in self.places.items() if lane not in out)
        count = min(count, len(left))
        return (left[(2 * each + 1) * len(left) // (2 * count)][1] for each in range(count))


class _Seen:
    """What of the batch went by: of each trait how often it was there, and the tickets that show it best."""

    def __init__(self, size: int) -> None:
        self._size = size
        self._place = 0
        self._counts: Counter[Trait] = Counter()
        self._kept: dict[Trait, list[_Candidate]] = {}
        self._ranks: Counter[Rank] = Counter()
        self._lengths = _Lengths()
        self._thread, self._text = _Best(), _Best()
        self._spread = _Spread(_SPREAD * size)

    def add(self, lane: str, messages: Iterator[Message]) -> None:
        """Take in messages of one ticket that follow each other."""
        found: set[Trait] = set() if self._place else {Trait(Rank.FIRST, "first ticket")}
        count = longest = 0
        name = ""
        for message in messages:
            name = name or _name(message)
            found.update(traits(message))
            count += 1
            longest = max(longest, text_size(message))
        candidate = _Candidate(lane, self._place, frozenset(found))
        self._place += 1
        self._thread.see(self._lengths.add(lane, count), candidate)
        self._text.see(longest, candidate)
        self._spread.see(lane, name, candidate.place)
        for trait in found:
            self._note(trait, candidate)

    def _note(self, trait: Trait, candidate: _Candidate) -> None:
        """Keep of each trait its first ticket, and the one that shows most beside it."""
        kept = self._kept.get(trait)
        if kept is None:
            if self._ranks[trait.rank] < _MOST_OF_A_RANK:
                self._ranks[trait.rank] += 1
                self._counts[trait] = 1
                self._kept[trait] = [candidate]
            return
        self._counts[trait] += 1
        if len(candidate.traits) > len(kept[-1].traits):
            kept[1:] = [candidate]

    def chosen(self) -> list[str]:
        """The sample: first what shows all traits, the rarest of each rank first, then tickets from all over."""
        lanes: dict[str, None] = {}
        shown: set[Trait] = set()
        for trait, candidates in self._wanted():
            if len(lanes) == self._size:
                break
            if trait not in shown:
                best = max(candidates, key=lambda each: (len(each.traits - shown), -each.place))
                lanes[best.lane] = None
                shown |= best.traits | {trait}
        more = self._spread.evenly(self._size - len(lanes), lanes)
        return [*lanes, *more]

    def _wanted(self) -> list[tuple[Trait, list[_Candidate]]]:
        longest = (("longest thread", self._thread), ("longest text", self._text))
        for name, best in longest:
            if best.candidate is not None:
                self._kept[Trait(Rank.LONGEST, name)] = [best.candidate]
        return sorted(self._kept.items(), key=lambda each: (each[0].rank, self._counts[each[0]], each[0].name))


def _name(message: Message) -> str:
    """What a ticket is called in any account: a generated external id is another in each."""
    ticket = message.ticket
    return message.key if isinstance(ticket, NewTicket) and not ticket.given else ticket.lane
