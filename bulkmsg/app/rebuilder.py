"""The work of rebuilding a progress log: which tickets are read when, and what is noted of each message.

Knows the helpdesk through a desk, and writes to the new log alone. Of the batch only what waits for its ticket to be
read is in memory.
"""

from __future__ import annotations

import asyncio
import secrets as random_source
import socket
from collections.abc import AsyncIterator, Sequence
from contextlib import suppress
from dataclasses import dataclass, field
from pathlib import Path
from random import Random

from bulkmsg.app.prepare import RunOptions
from bulkmsg.app.sweep import sweep
from bulkmsg.delivery import Policy, outcome_of
from bulkmsg.desk import Desk, Halt
from bulkmsg.errors import ExitCode, LogUnusable
from bulkmsg.events import RunView
from bulkmsg.journal import Fold, ProgressLog, RunInfo, read_fold
from bulkmsg.looking import Sight, Sighting
from bulkmsg.message import Message
from bulkmsg.outcome import COUNTED, Outcome, State
from bulkmsg.plan import seconds_left
from bulkmsg.ports import KnownTicket, Learned, RetryVerdict, TicketNote
from bulkmsg.reconcile import Reading, Wanted, generated_ids, wanted
from bulkmsg.validation.survey import BatchFile, Survey, messages

# Messages that wait for their tickets at a time, about 0.6 kB each. The batch is read once for each so many.
WAITING = 50_000
_LOST = "the progress log was lost"
_NOT_FOUND = "not found in the helpdesk"
_NOTHING_OF_OURS = (
    "no external id of this batch was met anywhere, but texts of it were: the helpdesk seems not to keep them, so "
    "looking proves nothing"
)


@dataclass(frozen=True)
class Rebuilt:
    """How a rebuild ended. `counts` are those of the whole batch; `halt` says why it stopped before its end.

    Args:
        held: how many messages are in doubt because looking proves nothing about them.
        nothing_of_ours: the helpdesk seems not to keep external ids.
    """

    batch: str
    log: Path
    total: int
    counts: dict[str, int]
    held: int
    nothing_of_ours: bool
    duplicates: tuple[tuple[str, tuple[int, ...]], ...]
    tickets: int
    requests: int
    throttled: int
    seconds: float
    halt: Halt | None


@dataclass
class Rebuilder:
    """Carries a rebuild out, through a desk that is handed in.

    Args:
        witness: what a damaged log said before its damage, None where nothing is known of it.
        waiting: messages that wait for their tickets at a time.
    """

    batch: BatchFile
    survey: Survey
    account: str
    options: RunOptions
    log: ProgressLog
    witness: Fold | None = None
    random: Random = field(default_factory=Random)
    run: str = field(default_factory=lambda: random_source.token_hex(8))
    waiting: int = WAITING
    duplicates: list[tuple[str, tuple[int, ...]]] = field(default_factory=list)
    tickets: int = 0
    held: int = 0
    nothing_of_ours: bool = False
    desk: Desk | None = None

    def __post_init__(self) -> None:
        header, known = self.survey.header, self.log.fold.counts
        assert header is not None
        self.policy = Policy(header.mode, self.options.settle, self.options.in_doubt)
        settled = sum(number for state, number in known.items() if state is not State.PENDING)
        self.counts = {**known, State.PENDING: self.survey.messages - settled}
        self.proven = known[State.CREATED] > 0
        self._resumed = self.log.fold.size > 0
        self._generated = generated_ids(self.account, header.name)
        self._settling = True
        self._began = 0.0

    async def work(self, desk: Desk, user: int | None) -> None:
        """Read what there is to read, and note it.

        Raises:
            Stopped: the desk was stopped. LogUnusable, InvalidBatch: as writing and reading the two does.
        """
        self.desk, self._began = desk, asyncio.get_running_loop().time()
        flags = dict(self.options.flags)
        info = RunInfo(self.run, socket.gethostname(), user, flags, self.survey.digest, None, False, "rebuild")
        self.log.begin_run(info)
        # What the run before had in flight may be stored within one settle, and be listed within another.
        await desk.sleep(2 * self.options.settle)
        self._settling = False
        while lanes := await self._next_lanes():
            await sweep(lanes, desk, self.random, self._take, self._generated)
        await self._doubt_all_unless_proven()
        self.log.rebuilt()

    def end(self, code: ExitCode, desk: Desk) -> Rebuilt:
        """Close the work's record in the log, and say how it ended."""
        seconds = round(asyncio.get_running_loop().time() - self._began, 3) if self._began else 0.0
        with suppress(LogUnusable, ValueError):  # it ended before it began, or with the log
            self.log.end_run(int(code), self.counts, desk.requests, desk.throttled, seconds)
        assert self.survey.header is not None
        return Rebuilt(
            self.survey.header.name,
            self.log.path,
            self.survey.messages,
            {state.value: self.counts[state] for state in COUNTED},
            self.held,
            self.nothing_of_ours,
            tuple(self.duplicates),
            self.tickets,
            desk.requests,
            desk.throttled,
            seconds,
            desk.halt,
        )

    # -- which tickets ----------------------------------------------------------------------------------------------

    async def _next_lanes(self) -> list[list[Wanted]]:
        """The next tickets that are not read yet, each with all that the batch has on it, however far apart."""
        lanes: dict[str, list[Wanted]] = {}
        count = 0
        async for message in self._all():
            lane = message.ticket.lane
            if lane not in lanes:
                if count >= self.waiting or self.log.knows(message.key):
                    continue
                lanes[lane] = []
            lanes[lane].append(wanted(message))
            count += 1
        if lanes and self._resumed:
            await self._add_known(lanes)
        return list(lanes.values())

    async def _add_known(self, lanes: dict[str, list[Wanted]]) -> None:
        """Of a ticket whose reading was noted in part, also what is known already: it is no stranger there."""
        listed = {each.who.key for lane in lanes.values() for each in lane}
        async for message in self._all():
            if message.ticket.lane in lanes and (each := wanted(message)).who.key not in listed:
                lanes[message.ticket.lane].append(each)

    async def _all(self) -> AsyncIterator[Message]:
        """All messages of the batch; signals and the display get their turn in between."""
        for number, message in enumerate(messages(self.batch, self.survey, self.account)):
            if number % 256 == 0:
                await asyncio.sleep(0)
            yield message

    # -- what they say ----------------------------------------------------------------------------------------------

    def _take(self, lane: Sequence[Wanted], seen: Reading) -> None:
        self.tickets += 1
        search = lane[0].search
        if seen.home is not None and search and self.log.ticket(search) is None:
            self.log.note_ticket(TicketNote(search, KnownTicket(seen.home), Learned.FOUND))
        unknown = [each for each in lane if not self.log.knows(each.who.key)]
        sightings = [seen.sighting(each) for each in unknown]
        if seen.ids or seen.strangers or any(sighting.sight is Sight.FOUND for sighting in sightings):
            self.proven = True
        for each, sighting in zip(unknown, sightings, strict=True):
            self._note(each, sighting, seen)

    def _note(self, each: Wanted, sighting: Sighting, seen: Reading) -> None:
        if sighting.sight is Sight.FOUND:
            outcome = outcome_of(sighting)
            self._learn(each, outcome)
            if outcome.duplicates:
                self.duplicates.append((each.who.key, outcome.duplicates))
        elif sighting.sight is Sight.UNREADABLE:
            there = next(iter(sighting.tickets), None)
            self._learn(each, Outcome(State.IN_DOUBT, ticket_id=there, error=f"{_LOST}; {sighting.reason}"))
        elif why := seen.suspicion(each, proven=self.proven) or self._contradiction(each):
            self._learn(each, Outcome(State.IN_DOUBT, error=why, hold=True))
        else:
            self._absent(each, next(iter(sighting.tickets), None))

    def _absent(self, each: Wanted, there: int | None) -> None:
        """Surely not there: sent again where the policy allows that, as after any complete look-up."""
        self._learn(each, Outcome(State.IN_DOUBT, ticket_id=there, error=f"{_LOST}; {_NOT_FOUND}"))
        if self.policy.resends(each.who.kind):
            self.log.retry(each.who.key, 0, RetryVerdict.ABSENT, 0, f"{_LOST}; {_NOT_FOUND}")
            self._move(State.IN_DOUBT, State.PENDING)

    def _contradiction(self, each: Wanted) -> str:
        """Whether the damaged log says that it was created: then something took it away, or hides it."""
        told = self.witness.standing(each.who.key) if self.witness else None
        if told is None or told.state is not State.CREATED:
            return ""
        number = f" as message {told.message_id}" if told.message_id else ""
        return f"the damaged progress log says that it was created{number}, but it is {_NOT_FOUND}"

    async def _doubt_all_unless_proven(self) -> None:
        """Where nothing of ours was met but something looks like ours, no absence is believed."""
        now = read_fold(self.log.path)
        self.held = sum(where.hold for _, where in now.doubtful())
        if self.proven or not self.held:
            return
        self.nothing_of_ours = True
        async for message in self._all():
            where = now.standing(message.key)
            if where.state in (State.PENDING, State.IN_DOUBT) and not where.hold:
                self.log.learn(wanted(message).who, Outcome(State.IN_DOUBT, error=_NOTHING_OF_OURS, hold=True))
                self._move(where.state, State.IN_DOUBT)
                self.held += 1

    def _learn(self, each: Wanted, outcome: Outcome) -> None:
        self.log.learn(each.who, outcome)
        self._move(State.PENDING, outcome.state)

    def _move(self, before: State, after: State) -> None:
        self.counts[before] -= 1
        self.counts[after] += 1

    # -- a look from outside ----------------------------------------------------------------------------------------

    def view(self) -> RunView:
        """Where the rebuild stands, for whoever shows it."""
        desk = self.desk
        assert desk is not None
        now = asyncio.get_running_loop().time()
        left = 0 if self._resumed else max(0, self.survey.tickets - self.tickets)
        requests = round(left * desk.requests / self.tickets) if self.tickets else 0
        return RunView(
            total=self.survey.messages,
            counts={state.value: self.counts[state] for state in COUNTED},
            requests=desk.requests,
            throttled=desk.throttled,
            recent_rate=desk.rate_now(now),
            limit=str(desk.pacer.rate),
            elapsed=now - self._began,
            remaining=seconds_left(requests, desk.pacer.rate) if requests else None,
            waiting=desk.waiting or self._phase(),
        )

    def _phase(self) -> str:
        if self._settling:
            return f"{2 * self.options.settle:g} s for what an earlier run may have had in flight"
        of = "" if self._resumed else f" of {self.survey.tickets:,}"
        return f"for the log to be rebuilt: {self.tickets:,}{of} tickets read"
