"""Settling messages in doubt: by looking for them once more, or by a person's word. Nothing is sent.

begin    the log opened and locked, what is in doubt joined with the batch, a person's words checked
say      the words recorded
look     each ticket read once, and once more where something is missing, after the waits of `delivery`

Holds all that is in doubt in memory, and nothing else of the batch.
"""

from __future__ import annotations

import asyncio
import getpass
import os
import secrets as random_source
import socket
from collections.abc import Callable, Sequence
from contextlib import suppress
from dataclasses import dataclass, field, replace
from datetime import datetime
from difflib import get_close_matches
from random import Random

from bulkmsg import __version__
from bulkmsg.app.doubts import Case, Resolved, Words, known_by_log
from bulkmsg.app.history import History
from bulkmsg.app.prepare import RunOptions, Visit, account_for
from bulkmsg.app.sweep import sweep, visit
from bulkmsg.delivery import Policy, first_cause, outcome_of
from bulkmsg.desk import Desk, proves
from bulkmsg.errors import LogUnusable, Refused, UsageError
from bulkmsg.journal import LogIdentity, ProgressLog, RunInfo
from bulkmsg.looking import Sight, Sighting
from bulkmsg.message import ExistingTicket, Message, log_name
from bulkmsg.outcome import UNTOUCHED, Outcome, Standing, State
from bulkmsg.ports import Identity, KnownTicket, Learned, RetryVerdict, Silence, TicketNote
from bulkmsg.reconcile import Reading, Wanted, wanted
from bulkmsg.settings import Credentials
from bulkmsg.validation.survey import BatchFile

NOT_FOUND = "not found in the helpdesk"
_UNTRUSTED = "the helpdesk does not give our external ids back, so looking proves nothing"


class Resolving:
    """What is in doubt, ready to be settled. It holds the log's lock: close it.

    Raises:
        UsageError: the batch never ran; the command line contradicts it. Refused: it belongs to another account.
        LogUnusable: the log cannot be opened, or a run is using it. InvalidBatch: the batch has errors.
    """

    def __init__(self, batch: BatchFile, options: RunOptions, now: Callable[[], datetime]) -> None:
        self.options = options
        self.history = History(batch, options.account, options.base_url, options.progress_log)
        if self.history.path is None or self.history.fold is None:
            where = f" {self.history.path}" if self.history.path else ""
            raise NothingKnown(f"nothing is known of this batch: there is no progress log{where}")
        told = self.history.fold.header
        self.account = self._account(told.account)
        identity = LogIdentity(self.account, told.mode, told.batch, __version__)
        host = None if options.takeover else socket.gethostname()
        self.log = ProgressLog.open(self.history.path, identity, now, host=host)
        try:
            self.policy = Policy(told.mode, options.settle)
            self.cases = {doubt.key: Case(doubt, known_by_log(doubt)) for doubt in self.log.fold.doubts()}
            for message in self.history.messages():
                self._join(message)
        except BaseException:
            self.log.close()
            raise

    def _account(self, logged: str) -> str:
        named = self.history.header_account or self.options.account or self.options.base_url
        if not named:
            return logged
        return account_for(self.history.header_account, self.options.account, self.options.base_url, sandbox=False)

    def _join(self, message: Message) -> None:
        """Say where the entry stands. What is looked for is what was tried: the entry may have been edited since."""
        case = self.cases.get(log_name(message.key))
        if case is None:
            return
        case.file, case.line = message.file, message.line
        own, tried = message.ticket, case.wanted.who if case.wanted else None
        known = None if isinstance(own, ExistingTicket) else self.log.fold.ticket(own.external_id)
        now = wanted(message, known)
        if tried is None:
            case.wanted = now
        elif _is_same(now.who, tried):
            case.wanted = replace(now, who=replace(now.who, ticket=tried.ticket or now.who.ticket))

    @property
    def name(self) -> str:
        return self.history.name

    @property
    def of_sandbox(self) -> bool:
        """Whether the log is that of a sandbox, which ended with its run."""
        last = self.log.fold.last_run
        return last is not None and last.sandbox

    def nothing(self) -> Resolved:
        """The answer where nothing is in doubt; the log is left as it is."""
        return Resolved(self.name, (), self.history.status().counts)

    def close(self) -> None:
        self.log.close()

    # -- a person's word --------------------------------------------------------------------------------------------

    def say(self, words: Words) -> Resolved:
        """Record what a person says. All words are checked before the first is recorded.

        Raises:
            UsageError: a key that is not in doubt, or is named for both.
            LogUnusable: the log cannot be written.
        """
        created = [self._doubted(key) for key in words.created]
        resend = [self._doubted(key) for key in words.resend]
        for case in created:
            if case in resend:
                raise UsageError(
                    f"{case.doubt.key!r} cannot both be there and be sent again",
                    "give its key to --mark-created or to --resend, whichever is true",
                )
        person = _person()
        self.begin(None)
        for case in created:
            if case.outcome is State.IN_DOUBT:
                self.record(case, Outcome(State.CREATED, ticket_id=case.doubt.standing.ticket_id), person)
                case.settle(State.CREATED, "person", "created, by your word")
        for case in resend:
            if case.outcome is State.IN_DOUBT:
                standing = case.doubt.standing
                self.log.retry(case.doubt.key, standing.attempt, RetryVerdict.PERSON, 0, "a person said so", person)
                case.settle(State.PENDING, "person", "pending, by your word")
        return self._end(None, 0.0)

    def _doubted(self, key: str) -> Case:
        case = self.cases.get(log_name(key))
        if case is not None:
            return case
        where = self.log.fold.standing(key)
        if where is not UNTOUCHED:
            raise UsageError(f"{key!r} is not in doubt: {_whereabouts(where)}", "nothing was recorded")
        if any(log_name(message.key) == log_name(key) for message in self.history.messages()):
            raise UsageError(f"{key!r} is not in doubt: it was never tried", "nothing was recorded")
        close = get_close_matches(key, self.cases, 1)
        meant = f"did you mean {close[0]!r}? " if close else ""
        hint = f"nothing was recorded; {meant}`bulkmsg resolve BATCH` lists the keys in doubt"
        raise UsageError(f"neither the batch nor its progress log has a message with the key {key!r}", hint)

    # -- looking ----------------------------------------------------------------------------------------------------

    def demand_somewhere_to_look(self) -> None:
        """Raises Refused where the log is that of a sandbox."""
        if self.of_sandbox:
            hint = "begin anew: `bulkmsg run BATCH --sandbox`"
            raise Refused("this is the log of a run in a sandbox, which ended with it: there is nowhere to look", hint)

    def look(self, credentials: Credentials, note: Callable[[str], None]) -> Resolved:
        """Look for all that is in doubt, and record what came of it.

        Args:
            note: says something to a person meanwhile.

        Raises:
            Refused: the log is that of a sandbox, which is gone.
            LogUnusable: the log cannot be written.
        """
        self.demand_somewhere_to_look()
        self.options = replace(self.options, credentials=credentials)
        return asyncio.run(self._look(note))

    async def _look(self, note: Callable[[str], None]) -> Resolved:
        began = asyncio.get_running_loop().time()
        looking = Looking(self, note)
        desk = await visit(Visit(self.account, self.options), Silence(), note, looking.random, looking.work)
        for case in self.cases.values():
            if case.outcome is State.IN_DOUBT and not case.reason:
                case.reason = "it was not looked for to the end"
        return self._end(desk, asyncio.get_running_loop().time() - began)

    # -- the log ----------------------------------------------------------------------------------------------------

    def begin(self, user: int | None) -> None:
        flags, digest = dict(self.options.flags), self.history.digest
        run = random_source.token_hex(8)
        self.log.begin_run(RunInfo(run, socket.gethostname(), user, flags, digest, None, self.of_sandbox, "resolve"))

    def record(self, case: Case, outcome: Outcome, person: str = "") -> None:
        """Note a fate in the log, under the content that was tried."""
        standing = case.doubt.standing
        self.log.outcome(case.doubt.key, standing.attempt, standing.content, outcome, person)

    def _end(self, desk: Desk | None, seconds: float) -> Resolved:
        self.history.recount()
        counts = self.history.status().counts
        took = (desk.requests, desk.throttled, desk.halt) if desk else (0, 0, None)
        done = Resolved(self.name, list(self.cases.values()), counts, took[0], took[1], seconds, took[2])
        states = {State(name): number for name, number in counts.items()}
        with suppress(LogUnusable, ValueError):  # it cannot be written, or was stopped before it began
            self.log.end_run(int(done.exit_code), states, took[0], took[1], round(seconds, 3))
        return done


class NothingKnown(UsageError):
    """There is no progress log, so nothing is in doubt that anybody could know of."""


@dataclass
class Looking:
    """The looks of one resolve: twice, as before any sending again (`delivery`), with one reading of each ticket."""

    resolving: Resolving
    note: Callable[[str], None]
    random: Random = field(default_factory=Random)
    absent: list[Case] = field(default_factory=list)

    async def work(self, desk: Desk, user: int | None) -> None:
        self.resolving.begin(user)
        settle = self.resolving.options.settle
        cases = list(self.resolving.cases.values())
        for word in ("looking", "looking once more"):
            lanes = _lanes(cases)
            if not lanes:
                return
            self.note(f"waiting {settle:g} s, then {word}: {len(cases):,} in doubt on {len(lanes):,} tickets")
            await desk.sleep(settle)
            self.absent = []
            await sweep(
                [[case.wanted for case in lane if case.wanted] for lane in lanes], desk, self.random, self._take
            )
            cases = self.absent
        await self._judge(desk)

    def _take(self, lane: Sequence[Wanted], seen: Reading) -> None:
        log, search = self.resolving.log, lane[0].search
        if seen.home is not None and search and log.ticket(search) is None:
            content = self.resolving.cases[lane[0].who.key].doubt.standing.ticket_content
            log.note_ticket(TicketNote(search, KnownTicket(seen.home, content), Learned.FOUND))
        for each in lane:
            self._note(self.resolving.cases[each.who.key], seen.sighting(each))

    def _note(self, case: Case, sighting: Sighting) -> None:
        hold = case.doubt.standing.hold
        if sighting.sight is Sight.FOUND:
            outcome = outcome_of(sighting)
            self.resolving.record(case, outcome)
            case.settle(State.CREATED, "look", "found")
            case.message_id, case.duplicates = outcome.message_id, outcome.duplicates
        elif sighting.sight is Sight.UNREADABLE:
            self._stay(case, sighting.reason, ticket=next(iter(sighting.tickets), None))
        elif hold:
            self._stay(case, NOT_FOUND, absent=True)
        else:
            self.absent.append(case)

    async def _judge(self, desk: Desk) -> None:
        """What was absent twice: the next run sends it again where a run might do so itself, else it stays in doubt."""
        resends = [case for case in self.absent if self._may_resend(case)]
        trusted = not resends or await proves(self.resolving.log.fold.last_created, desk, self.random)
        for case in self.absent:
            if not self._may_resend(case):
                self._stay(case, NOT_FOUND, absent=True)
            elif not trusted:
                self._stay(case, _UNTRUSTED, absent=True)
            else:
                standing = case.doubt.standing
                why = f"{first_cause(standing.error)}; {NOT_FOUND}"
                self.resolving.log.retry(case.doubt.key, standing.attempt, RetryVerdict.ABSENT, 0, why)
                case.settle(State.PENDING, "look", "surely not there")

    def _may_resend(self, case: Case) -> bool:
        return case.wanted is not None and self.resolving.policy.resends(case.wanted.who.kind)

    def _stay(self, case: Case, reason: str, *, absent: bool = False, ticket: int | None = None) -> None:
        standing = case.doubt.standing
        error = f"{first_cause(standing.error)}; {reason}"
        where = standing.ticket_id or ticket
        outcome = Outcome(State.IN_DOUBT, ticket_id=where, status=standing.status, error=error, hold=standing.hold)
        self.resolving.record(case, outcome)
        case.reason = f"{first_cause(standing.error)}; {reason}" if standing.hold else reason
        case.absent = absent


def _is_same(now: Identity, tried: Identity) -> bool:
    """Whether the entry is about the same message in the same ticket as what was tried."""
    if now.ticket_external_id is None and now.ticket != tried.ticket:
        return False
    return (now.external_id, now.ticket_external_id) == (tried.external_id, tried.ticket_external_id)


def _lanes(cases: Sequence[Case]) -> list[list[Case]]:
    lanes: dict[int | str | None, list[Case]] = {}
    for case in cases:
        if case.wanted is not None:
            who = case.wanted.who
            lanes.setdefault(who.ticket_external_id or who.ticket, []).append(case)
        elif not case.reason:
            case.reason = "the progress log does not say where to look for it, and the batch no longer holds it"
    return list(lanes.values())


def _whereabouts(where: Standing) -> str:
    """`it stands as created (message 5 of ticket 3)`."""
    parts = [f"message {where.message_id}"] if where.message_id else []
    parts += [f"ticket {where.ticket_id}"] if where.ticket_id else []
    return f"it stands as {where.state.value.replace('_', ' ')}" + (f" ({' of '.join(parts)})" if parts else "")


def _person() -> str:
    """Who types, as the machine knows him."""
    try:
        return getpass.getuser()
    except (KeyError, OSError):  # a user without a name, as in some containers
        return f"user {os.getuid()}"
