"""Mistakes about the progress log."""

from __future__ import annotations

from collections.abc import Callable
from contextlib import ExitStack, suppress
from dataclasses import replace
from typing import Any

from bulkmsg.app import run
from bulkmsg.desk import Desk
from bulkmsg.errors import LogUnusable
from bulkmsg.journal import IllegalMove
from bulkmsg.journal import log as journal_log
from bulkmsg.journal.append import Appender, Health
from bulkmsg.journal.fold import Fold
from bulkmsg.journal.log import ProgressLog
from bulkmsg.outcome import Outcome, Standing, State
from bulkmsg.ports import Fate, Reply, Request
from tests.simulation.mistakes.register import mistake, swap


@mistake("log after the answer: the intent is written when the answer is there")
def _log_after(stack: ExitStack) -> None:
    async def call(self: Desk, request: Request, before: Callable[[], None] | None = None) -> Reply:
        reply: Reply = await real(self, request)
        if before is not None:
            before()
        return reply

    real = swap(stack, Desk, "call", call)


@mistake("no fsync: records are written and never flushed")
def _no_fsync(stack: ExitStack) -> None:
    swap(stack, Appender, "sync", lambda out: None)


@mistake("fsync tried again: after an error of the disk the second fsync is believed")
def _fsync_again(stack: ExitStack) -> None:
    def sync(out: Appender) -> None:
        try:
            real(out)
        except LogUnusable:
            out.health = Health.SOUND
            real(out)

    real = swap(stack, Appender, "sync", sync)


@mistake("the torn tail stays: what follows is written behind it")
def _torn_tail(stack: ExitStack) -> None:
    def recover(fd: int, found: Any, path: Any, disk: Any) -> Any:
        return replace(found, end=path.stat().st_size, ended=True)

    swap(stack, journal_log, "_recover", recover)


@mistake("the log's name is not flushed: a run goes on with a log that a killed run had just begun")
def _name_unsafe(stack: ExitStack) -> None:
    swap(stack, journal_log, "sync_folder", lambda path, disk: None)


@mistake("going on after the log failed: a record that cannot be written stops nothing")
def _going_on(stack: ExitStack) -> None:
    def intents(log: ProgressLog, given: Any) -> None:
        try:
            real(log, given)
        except LogUnusable:
            return

    real = swap(stack, ProgressLog, "intents", intents)


@mistake("outcome before the answer: created is written as soon as the request leaves")
def _outcome_early(stack: ExitStack) -> None:
    def intents(log: ProgressLog, given: Any) -> None:
        real(log, given)
        early = Outcome(State.CREATED, status=201)
        real_outcomes(log, [Fate(each.key, each.attempt, each.content, early) for each in given])

    def unless_told(method: Any) -> Any:
        def write(*args: Any) -> None:
            with suppress(IllegalMove):  # whatever the answer says comes too late
                method(*args)

        return write

    real = swap(stack, ProgressLog, "intents", intents)
    real_outcomes = swap(stack, ProgressLog, "outcomes", unless_told(ProgressLog.outcomes))
    swap(stack, ProgressLog, "retries", unless_told(ProgressLog.retries))


@mistake("an attempt's number used again: each intent says it is the first")
def _attempt_again(stack: ExitStack) -> None:
    def intents(log: ProgressLog, given: Any) -> None:
        real(log, [replace(each, attempt=1) for each in given])

    def outcomes(log: ProgressLog, fates: Any, *rest: Any) -> None:
        real_outcomes(log, [replace(each, attempt=min(each.attempt, 1)) for each in fates], *rest)

    real = swap(stack, ProgressLog, "intents", intents)
    real_outcomes = swap(stack, ProgressLog, "outcomes", outcomes)


@mistake("the newest attempt forgotten: after a crash an intent without an outcome counts as never sent")
def _intents_forgotten(stack: ExitStack) -> None:
    def standing(self: Any, key: str) -> Standing:
        found: Standing = real(self, key)
        return replace(found, state=State.PENDING) if found.state is State.INTENDED else found

    real = swap(stack, Fold, "standing", standing)


@mistake("a lost log is a first run: nobody looks whether the batch ran before")
def _lost_log(stack: ExitStack) -> None:
    async def nothing(*args: Any) -> None:
        return

    swap(stack, run, "look_for_lost_log", nothing)
