"""Reading a lost or damaged progress log back from the helpdesk: each ticket of the batch once; nothing is sent.

begin    the batch is checked, and a log begun that no run accepts before it is rebuilt
rebuild  what the last run may have had in flight settles; tickets are read; each message is noted as it is known

Killed at any point, the same command goes on: messages that the new log knows need no second reading. The helpdesk's
word decides what was sent. What a damaged log says before its damage only makes more doubtful, never less.
"""

from __future__ import annotations

import asyncio
import socket
from collections.abc import Callable
from contextlib import suppress
from dataclasses import dataclass
from datetime import datetime
from pathlib import Path

from bulkmsg.app.inspect import require_valid
from bulkmsg.app.prepare import RunOptions, whose_log
from bulkmsg.app.rebuilder import Rebuilder, Rebuilt
from bulkmsg.app.run import Watcher
from bulkmsg.app.sweep import visit
from bulkmsg.desk import Desk
from bulkmsg.errors import ExitCode, LogDamaged, LogUnusable, UsageError
from bulkmsg.journal import (
    Fold,
    LogIdentity,
    ProgressLog,
    demand_identity,
    kept_damaged,
    log_exists,
    read_salvage,
)
from bulkmsg.ports import Sink
from bulkmsg.validation.survey import BatchFile, Survey, survey


class AlreadyRebuilt(Exception):
    """The log was rebuilt by an earlier try of this command; an ordinary run goes on with it."""


@dataclass
class Rebuilding:
    """A log on its way back. It holds the log's lock: close it.

    Args:
        witness: what a damaged log said before its damage.
        kept: where the damaged log stands now; None if it was lost, or was put there by an earlier try.
    """

    batch: BatchFile
    options: RunOptions
    survey: Survey
    path: Path
    identity: LogIdentity
    log: ProgressLog
    witness: Fold | None = None
    kept: Path | None = None

    @property
    def account(self) -> str:
        return self.identity.account

    @property
    def resumed(self) -> bool:
        """Whether an earlier try has noted something already."""
        return self.log.fold.size > 0

    def close(self) -> None:
        self.log.close()


def begin_rebuild(batch: BatchFile, options: RunOptions, now: Callable[[], datetime]) -> Rebuilding:
    """Check all that can be checked before the first request, and begin the log anew, or go on with it.

    Raises:
        AlreadyRebuilt: there is nothing left to do.
        UsageError, Refused, InvalidBatch, LogUnusable: why it cannot begin; nothing was changed.
    """
    if options.sandbox:
        raise UsageError("a sandbox begins empty, so there is no log to rebuild", "leave --rebuild-log out")
    path, identity = whose_log(batch, options, now)
    log = _half_rebuilt(path, identity, now, None if options.takeover else socket.gethostname())
    try:
        witness = _witness(path, identity, begun=log is not None)
        seen = survey(batch, now=now())
        require_valid(seen, batch.name)
        if log is not None:
            return Rebuilding(batch, options, seen, path, identity, log, witness)
    except BaseException:
        if log is not None:
            log.close()
        raise
    log, kept = ProgressLog.rebuild(path, identity, now)
    return Rebuilding(batch, options, seen, path, identity, log, witness, kept)


def _half_rebuilt(
    path: Path, identity: LogIdentity, now: Callable[[], datetime], host: str | None
) -> ProgressLog | None:
    """The log that an earlier try began; None where one has to be begun."""
    if not log_exists(path):
        return None
    try:
        log = ProgressLog.open(path, identity, now, host=host, rebuilding=True)
    except LogDamaged:
        return None
    if log.fold.rebuilding:
        return log
    log.close()
    if log.fold.rebuilt:
        raise AlreadyRebuilt
    raise LogUnusable(
        f"the progress log {path} is sound, so there is nothing to rebuild",
        "run without --rebuild-log; should you know that it is older than the last run, move it away first",
    )


def _witness(path: Path, identity: LogIdentity, *, begun: bool) -> Fold | None:
    """What a damaged log can still tell: the one in place, or the one that an earlier try put aside."""
    damaged = kept_damaged(path) if begun or not log_exists(path) else path
    told = read_salvage(damaged) if damaged is not None else None
    if told is not None:
        demand_identity(told.header, identity, path)
    return told


async def _rebuild(plan: Rebuilding, sink: Sink, watcher: Watcher) -> Rebuilt:
    rebuilder = Rebuilder(plan.batch, plan.survey, plan.account, plan.options, plan.log, plan.witness)

    async def work(desk: Desk, user: int | None) -> None:
        rebuilder.desk = desk
        show = asyncio.create_task(watcher.watch(rebuilder.view))
        try:
            await rebuilder.work(desk, user)
        finally:
            show.cancel()
            with suppress(asyncio.CancelledError, Exception):
                await show

    desk = await visit(plan, sink, watcher.note, rebuilder.random, work)
    return rebuilder.end(desk.halt.code if desk.halt else ExitCode.OK, desk)


def rebuild(plan: Rebuilding, sink: Sink, watcher: Watcher) -> Rebuilt:
    """Carry out a rebuild, shown by the watcher, and close the log.

    Raises:
        LogUnusable: the log cannot be written. InvalidBatch: the batch was changed meanwhile.
    """
    try:
        return asyncio.run(_rebuild(plan, sink, watcher))
    finally:
        plan.close()
