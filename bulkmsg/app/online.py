"""The whole preflight of `plan --online`: the account, agents, mailboxes, rules, and each existing ticket."""

from __future__ import annotations

import asyncio
from collections.abc import Callable, Iterator
from dataclasses import dataclass, field
from random import Random

from bulkmsg.app.preflight import REFUSING, Examined, Who, examine
from bulkmsg.app.prepare import RunOptions, account_for
from bulkmsg.app.sweep import visit
from bulkmsg.desk import Desk, Halt, Stopped, explore
from bulkmsg.diagnostic import Diagnostic
from bulkmsg.errors import ExitCode, worst
from bulkmsg.message import ExistingTicket, NamedTicket, hash64
from bulkmsg.plan import PREFLIGHT_REQUESTS
from bulkmsg.ports import Silence
from bulkmsg.preflight import findings as told
from bulkmsg.preflight.questions import MOST_WRONG, TicketSeen, look_at_ticket, look_for_ticket
from bulkmsg.source import Json
from bulkmsg.validation.hashes import HashBag
from bulkmsg.validation.roster import Reference, What, Wrong
from bulkmsg.validation.survey import BatchFile, Survey, messages

_AT_ONCE = 8  # tickets looked at side by side: as many more may be asked for once enough are wrong
_TELL_EVERY = 30.0  # seconds between two words on how far it is


@dataclass(frozen=True)
class Looked:
    """What the preflight came to.

    Args:
        tickets: how many existing tickets were looked at.
        halt: why it ended before it had looked at everything.
    """

    findings: list[Diagnostic]
    requests: int
    tickets: int
    halt: Halt | None = None

    @property
    def code(self) -> ExitCode:
        """3 where the batch must be changed, 4 where the account stands against it, else the halt's."""
        wrong = [found.rule in REFUSING for found in self.findings if found.is_error]
        codes = [ExitCode.REFUSED if of_account else ExitCode.INVALID for of_account in wrong]
        return worst([*codes, *([self.halt.code] if self.halt else [])])

    def as_json(self) -> dict[str, Json]:
        """The part of `plan --format json` that tells what was looked at."""
        return {"requests": self.requests, "tickets": self.tickets, "complete": self.halt is None}


@dataclass
class Online:
    """One preflight; `say` is told now and then how far it is."""

    batch: BatchFile
    survey: Survey
    options: RunOptions
    say: Callable[[str], None]
    random: Random = field(default_factory=Random)
    _tickets: int = 0
    _unsure: int = 0
    _why: str = ""
    _told_at: float = 0.0

    def __post_init__(self) -> None:
        """Raises:
        Refused: no account is named, or the batch belongs to another.
        """
        assert self.survey.header is not None
        written, options = self.survey.header.account, self.options
        self.account = account_for(written, options.account, options.base_url, sandbox=False)
        self._who = Who()
        self._seen = Examined()
        self._wrong: dict[Reference, Wrong] = {}

    @property
    def existing(self) -> int:
        """Tickets that the batch takes for existing ones."""
        return self.survey.tickets - self.survey.new_tickets

    @property
    def requests(self) -> int:
        """What it costs where nothing is wrong: a run's own questions, and one for each existing ticket."""
        return PREFLIGHT_REQUESTS + self.survey.roster.requests + self.existing

    def look(self) -> Looked:
        """Ask everything. What ends it early, such as a signal or credentials that are refused, is told in `halt`."""
        desk = asyncio.run(visit(self, Silence(), self.say, self.random, self._ask, self._meet))
        self._seen.wrong |= self._wrong
        self._seen.close(self)
        findings = [*self._seen.findings, *self._left()]
        return Looked(findings, desk.requests, self._tickets, desk.halt)

    def _meet(self, who: Who) -> None:
        self._who = who

    async def _ask(self, desk: Desk, user: int | None) -> None:
        self._told_at = asyncio.get_running_loop().time()
        self._seen = await examine(desk, self, self._who, self.random, ignore_rules=False)
        waiting = self._waiting()
        lookers = [asyncio.create_task(self._look_on(waiting, desk)) for _ in range(min(desk.concurrency, _AT_ONCE))]
        try:
            await asyncio.gather(*lookers)
        finally:
            for looker in lookers:
                looker.cancel()
            await asyncio.gather(*lookers, return_exceptions=True)

    def _waiting(self) -> Iterator[ExistingTicket | NamedTicket]:
        """Each existing ticket of the batch once; what is kept of it is a hash."""
        met = HashBag()
        for message in messages(self.batch, self.survey, self.account):
            ticket = message.ticket
            if isinstance(ticket, ExistingTicket | NamedTicket) and (number := hash64(ticket.lane)) not in met:
                met.add(number)
                yield ticket

    async def _look_on(self, waiting: Iterator[ExistingTicket | NamedTicket], desk: Desk) -> None:
        name: int | str
        for ticket in waiting:
            if isinstance(ticket, ExistingTicket):
                name, question = ticket.id, look_at_ticket(ticket.id, self.random)
            else:
                name, question = ticket.external_id, look_for_ticket(ticket.external_id, self.random)
            seen = await explore(question, desk)
            if desk.halt is not None:
                raise Stopped
            self._take(name, seen)
            if len(self._wrong) >= MOST_WRONG:
                return

    def _take(self, name: int | str, seen: TicketSeen) -> None:
        self._tickets += 1
        if seen.unsure:
            self._unsure, self._why = self._unsure + 1, seen.unsure
        elif wrong := told.wrong_ticket(name, seen):
            self._wrong[Reference(What.TICKET, name)] = wrong
        now = asyncio.get_running_loop().time()
        if now - self._told_at >= _TELL_EVERY:
            self._told_at = now
            self.say(f"{self._tickets:,} of {self.existing:,} tickets looked at")

    def _left(self) -> Iterator[Diagnostic]:
        if self._unsure:
            some = f"{self._unsure:,} of {self.existing:,} tickets were not checked"
            yield told.unread("tickets", self._why, some, self.batch.name)
        if len(self._wrong) >= MOST_WRONG and self._tickets < self.existing:
            yield told.many_wrong(len(self._wrong), self.existing - self._tickets, self.batch.name)
