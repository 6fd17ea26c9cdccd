"""Sending a prepared batch, with the progress log beside it: preflight, then the engine, then how it ended."""

from __future__ import annotations

import asyncio
import secrets as random_source
import signal
import socket
from collections.abc import Callable, Coroutine
from contextlib import AsyncExitStack, suppress
from dataclasses import dataclass, field, replace
from datetime import UTC, datetime
from random import Random
from typing import Any, Protocol

from bulkmsg import __version__
from bulkmsg.app.preflight import examine, look_for_lost_log, meet, refuse
from bulkmsg.app.prepare import Prepared
from bulkmsg.app.result import RunResult, result_of
from bulkmsg.app.sandbox_view import sandbox_view
from bulkmsg.app.signals import SIGNALS, Listening
from bulkmsg.app.target import Reach, over_http
from bulkmsg.deadline import deadlines
from bulkmsg.delivery import Policy
from bulkmsg.desk import GO_ON, Desk, Halt, Stopped
from bulkmsg.diagnostic import Diagnostic
from bulkmsg.engine import Engine
from bulkmsg.errors import LogUnusable, worst
from bulkmsg.events import Event, Name, RunView
from bulkmsg.journal import LogIdentity, ProgressLog, RunInfo
from bulkmsg.outcome import COUNTED
from bulkmsg.pacing import Pacer
from bulkmsg.ports import Sink
from bulkmsg.retry import Breaker
from bulkmsg.review import select
from bulkmsg.source import Json
from bulkmsg.stopping import ErrorTally


def idle(prepared: Prepared) -> RunResult | None:
    """The result of a run that has nothing to send, to look for or to note; None if there is something."""
    found = prepared.review
    to_update = prepared.options.update_tickets and found.changed_tickets
    if found.to_send or found.to_settle or found.to_hold or to_update:
        return None
    return result_of(prepared, [], requests=0)


class Watcher(Protocol):
    """Who shows the run while it goes on."""

    async def watch(self, view: Callable[[], RunView]) -> None:
        """Shows until it is cancelled."""

    def note(self, text: str) -> None:
        """Something to say in between."""


@dataclass
class Sending:
    """One run on its way.

    Args:
        consent: the number of people that were agreed to be mailed.
        reach: how the run comes to its helpdesk.
        found: is told what the preflight found, before that stops the run or lets it go on.
    """

    prepared: Prepared
    sink: Sink
    watcher: Watcher
    now: Callable[[], datetime]
    consent: int | None = None
    run: str = field(default_factory=lambda: random_source.token_hex(8))
    random: Random = field(default_factory=Random)
    engine: Engine | None = None
    desk: Desk | None = None
    reach: Reach = over_http
    found: Callable[[list[Diagnostic]], None] = lambda findings: None
    _signals: int = 0
    _began: float = 0.0

    async def send(self) -> RunResult:
        """Send what is to be sent.

        Raises:
            LogUnusable: the batch ran before and its log is missing, or the log cannot be written.
            Refused: the account's own rules or its status stand against the run.
            InvalidBatch: the batch names agents or mailboxes that the account does not have.
        """
        options = self.prepared.options
        self._began = asyncio.get_running_loop().time()
        ends = deadlines(self._began, self.now(), options.max_duration, options.stop_at)
        async with AsyncExitStack() as stack:
            reached = await stack.enter_async_context(self.reach(self.prepared))
            stack.enter_context(Listening(self._on_signal))
            pacer = Pacer(reached.assumed, options.rate)
            desk = Desk(reached.helpdesk, pacer, Breaker(), self.sink, options.concurrency, self.now, reached.renewal)
            desk.share = options.share
            self.desk = desk
            self.desk.meet(reached.budget, self.run, self.watcher.note)
            if reached.renewal is not None:
                reached.renewal.note = self.watcher.note
            self.desk.when_stopped(self._tell_stop)
            self.desk.keep(ends)
            user = await _unless_stopped(self.desk, self._preflight(self.desk))
            if self.desk.halt is not None:
                return self._result(self.desk.halt)
            result = await self._run(user)
            return result if reached.sandbox is None else replace(result, sandbox=sandbox_view(reached.sandbox))

    async def _preflight(self, desk: Desk) -> int | None:
        prepared = self.prepared
        who = await meet(desk, prepared, self.random)
        if prepared.log is None and desk.halt is None:
            await look_for_lost_log(desk, prepared, self.random)
        if desk.halt is None:
            with suppress(Stopped):
                seen = await examine(desk, prepared, who, self.random, ignore_rules=prepared.options.ignore_rules)
                seen.close(prepared)
                self.found(seen.findings)
                refuse(seen.findings, prepared.batch.name)
        return who.user_id

    async def _run(self, user: int | None) -> RunResult:
        prepared, desk = self.prepared, self.desk
        assert desk is not None
        log = prepared.log = prepared.log or self._begin_log()
        info = RunInfo(
            self.run,
            socket.gethostname(),
            user,
            dict(prepared.options.flags),
            prepared.survey.digest,
            self.consent,
            prepared.options.sandbox,
        )
        log.begin_run(info)
        fold = log.fold
        self.engine = Engine(
            desk,
            log,
            self.sink,
            Policy(prepared.mode, prepared.options.settle, prepared.options.in_doubt),
            fold.standing,
            prepared.review.tally,
            fold.last_created,
            prepared.options.retry_rejected,
            self.random,
            ErrorTally(prepared.options.max_errors, prepared.review.requests),
            prepared.options.on_rejection,
            prepared.options.looked,
            prepared.survey.shared,
            prepared.options.update_tickets,
        )
        self.sink.tell(Event(Name.RUN_STARTED, fields={"total": prepared.review.tally.total}))
        halt = await self._watched(self.engine)
        self._write_end(log, self._result(halt))
        result = self._result(halt)  # anew, since writing the end may have failed as well
        self.sink.tell(Event(Name.RUN_FINISHED, fields=_ending(result)))
        return result

    def _begin_log(self) -> ProgressLog:
        prepared = self.prepared
        identity = LogIdentity(prepared.account, prepared.mode, prepared.name, __version__)
        return ProgressLog.create(prepared.path, identity, self.now, prepared.disk)

    async def _watched(self, engine: Engine) -> Halt | None:
        show = asyncio.create_task(self.watcher.watch(engine.view))
        try:
            return await engine.run(select(self.prepared.messages(), self.prepared.lanes))
        finally:
            show.cancel()
            with suppress(asyncio.CancelledError, Exception):
                await show

    def _result(self, halt: Halt | None) -> RunResult:
        desk, engine, log = self.desk, self.engine, self.prepared.log
        assert desk is not None
        ends = [each for each in (halt, _failure(log) if log else None) if each is not None]
        code = worst(each.code for each in ends)
        halt = next((each for each in ends if each.code is code), None)
        return result_of(
            self.prepared,
            [halt.code] if halt else [],
            requests=desk.requests,
            throttled=desk.throttled,
            seconds=asyncio.get_running_loop().time() - self._began,
            reason=halt.reason if halt else "",
            hint=halt.hint if halt else "",
            mend=halt.mend if halt else False,
            duplicates=tuple(engine.duplicates) if engine else (),
            tickets_updated=engine.updated if engine else 0,
            tickets_refused=tuple(engine.not_updated) if engine else (),
            more_possible=desk.pacer.more_possible,
        )

    def _write_end(self, log: ProgressLog, result: RunResult) -> None:
        counts = {state: result.counts[state.value] for state in COUNTED}
        with suppress(LogUnusable):  # how it ended is told all the same
            log.end_run(int(result.exit_code), counts, result.requests, result.throttled, round(result.seconds, 3))

    def _on_signal(self, number: signal.Signals) -> None:
        """The first lets nothing new start; the second gives up what is in flight."""
        self._signals += 1
        if self.desk is not None and self._signals == 1:
            if self.desk.halt is not None:
                self.watcher.note(f"it is stopping already ({self.desk.halt.reason}); Ctrl-C once more stops at once")
            self.desk.stop(Halt(SIGNALS[number], f"stopped by {number.name}", GO_ON))
        elif self.engine is not None:
            self.engine.abandon()

    def _tell_stop(self, halt: Halt) -> None:
        """Say at once why nothing new starts; the summary comes when what is in flight has its answer."""
        flying = self.desk.in_flight if self.desk and self.engine else 0
        if flying:
            waits = f"waiting up to 30 s for {flying} request{'s' if flying != 1 else ''} in flight"
            again = "; Ctrl-C once more stops at once" if self._signals else ""
            self.watcher.note(f"stopping ({halt.reason}): {waits}{again}")


async def _unless_stopped(desk: Desk, asking: Coroutine[Any, Any, int | None]) -> int | None:
    """What was asked; given up at once when the run stops, since questions leave nothing to be recorded."""
    asked = asyncio.create_task(asking)
    stopped = asyncio.create_task(desk.until_stopped())
    await asyncio.wait({asked, stopped}, return_when=asyncio.FIRST_COMPLETED)
    stopped.cancel()
    if not asked.done():
        asked.cancel()
    with suppress(asyncio.CancelledError):
        return await asked
    return None


def _failure(log: ProgressLog) -> Halt | None:
    """A log that failed is the run's ending, even where the failure came too late to stop anything."""
    trouble = log.trouble
    return None if trouble is None else Halt(trouble.exit_code, trouble.message, trouble.hint)


def _ending(result: RunResult) -> dict[str, Json]:
    """What the last event of a run says."""
    return {
        "total": result.total,
        **result.counts,
        "requests": result.requests,
        "throttled": result.throttled,
        "seconds": round(result.seconds, 3),
        "exit_code": int(result.exit_code),
    }


def send(sending: Sending) -> RunResult:
    """Carry out a prepared run and close its log.

    Raises:
        BulkmsgError: as `Sending.send`.
    """
    try:
        return asyncio.run(sending.send())
    finally:
        sending.prepared.close()


def utc_now() -> datetime:
    return datetime.now(UTC)
