"""The progress log of a run: opened or begun, recovered, written record by record.

Joins the others of this room: the lock and the file (`files`), what is sound in it (`scan`, where it is also
argued why a torn tail may be cut), what it says (`fold`), and writing (`append`). Not for several threads at
once.
"""

from __future__ import annotations

import fcntl
import os
from collections.abc import Callable, Mapping, Sequence
from contextlib import ExitStack, suppress
from datetime import datetime
from pathlib import Path
from typing import NoReturn

from bulkmsg.errors import LogDamaged, LogInUse, LogUnusable
from bulkmsg.journal import records
from bulkmsg.journal.append import Appender
from bulkmsg.journal.files import (
    Disk,
    Lines,
    RealDisk,
    create_log,
    keep_damaged,
    log_exists,
    open_log,
    open_to_read,
    release_reserve,
    shown,
    sync_folder,
    take_reserve,
    translated,
)
from bulkmsg.journal.fold import Fold
from bulkmsg.journal.ledger import CODES, Ledger
from bulkmsg.journal.records import CHAIN_START, LogIdentity, RunInfo
from bulkmsg.journal.scan import Scan, salvage, scan
from bulkmsg.journal.tickets import Tickets
from bulkmsg.message import log_name
from bulkmsg.outcome import Outcome, State
from bulkmsg.ports import Fate, Identity, Intent, KnownTicket, RetryVerdict, TicketNote
from bulkmsg.source import Json

Clock = Callable[[], datetime]
_REAL_DISK = RealDisk()
_NO_OUTCOMES = (State.PENDING, State.INTENDED)


def read_fold(path: Path) -> Fold:
    """What a log says, without a lock and also while a run writes to it; a torn tail is passed over.

    Raises:
        LogUnusable: missing, no log, damaged before its tail, or of a newer format.
    """
    fd = open_to_read(path)
    try:
        return _scan(fd, path).fold
    finally:
        os.close(fd)


def read_salvage(path: Path) -> Fold | None:
    """What a damaged log says before its damage; for telling, never for sending. None if it says nothing."""
    fd = open_to_read(path)
    try:
        with translated(path), os.fdopen(os.dup(fd), "rb", buffering=1 << 18) as stream:
            return salvage(stream, Lines(fd).at)
    finally:
        os.close(fd)


class ProgressLog:
    """The journal of one run, and the only writer of its file.

    Attributes:
        fold: what the log said when it was opened; this run's own records do not enter it.
    """

    def __init__(self, path: Path, fd: int, reserve: int, found: Scan, now: Clock, disk: Disk) -> None:
        self.path = path
        self.fold = found.fold
        self._now = now
        self._fd = fd
        self._reserve = reserve
        self._out = Appender(path, fd, reserve, found.end, found.last_sum, disk)
        self._ledger = Ledger(Lines(fd).at, before=found.fold.ledger)
        self._tickets = Tickets(Lines(fd).at, before=found.fold.tickets)
        self._run = ""
        self._closed = False

    @classmethod
    def create(cls, path: Path, identity: LogIdentity, now: Clock, disk: Disk = _REAL_DISK) -> ProgressLog:
        """Begin a log where nothing stands yet.

        Raises:
            LogUnusable: something stands there, another run uses it, or it cannot be written.
        """
        line = records.encode(records.header(identity, records.timestamp(now())), CHAIN_START)
        with ExitStack() as undo:
            reserve = _with_reserve(path, disk, undo)
            fd = create_log(path, line, disk)
            undo.callback(_unlock, fd)
            log = cls(path, fd, reserve, _scan(fd, path), now, disk)
            undo.pop_all()
        return log

    @classmethod
    def rebuild(
        cls, path: Path, identity: LogIdentity, now: Clock, disk: Disk = _REAL_DISK
    ) -> tuple[ProgressLog, Path | None]:
        """Begin a log anew where one was lost or damaged, and say where the damaged one is kept now.

        Until `rebuilt` is written only this way or `open(rebuilding=True)` accepts it: the mark stands in its first
        line, so no crash can leave it without.

        Raises:
            LogInUse: another run uses what stands there.
            LogUnusable: it is sound, or no log of ours; or the new one cannot be written.
        """
        line = records.encode(records.header(identity, records.timestamp(now()), rebuild=True), CHAIN_START)
        with ExitStack() as undo, ExitStack() as before:
            reserve = _with_reserve(path, disk, undo)
            aside = None
            if log_exists(path):
                old = open_log(path)
                before.callback(_unlock, old)
                _demand_damage(old, path)
                aside = keep_damaged(path, old, now(), disk)
            fd = create_log(path, line, disk, replace=aside is not None)
            undo.callback(_unlock, fd)
            log = cls(path, fd, reserve, _scan(fd, path), now, disk)
            undo.pop_all()
        return log, aside

    @classmethod
    def open(
        cls,
        path: Path,
        identity: LogIdentity,
        now: Clock,
        disk: Disk = _REAL_DISK,
        *,
        host: str | None = None,
        rebuilding: bool = False,
    ) -> ProgressLog:
        """Go on with a log: lock it, fold it, cut a torn tail.

        Args:
            host: this machine's name: a log that a run on another one left open is refused, untouched, since the
                lock cannot tell whether that run still goes on. None takes it over.
            rebuilding: also one whose rebuilding was begun and not finished.

        Raises:
            LogInUse: another run uses it, or may.
            LogUnusable: missing, damaged, of another batch or a newer format, half rebuilt, or it cannot be written.
        """
        with ExitStack() as undo:
            reserve = _with_reserve(path, disk, undo)
            fd = open_log(path)
            undo.callback(_unlock, fd)
            found = _scan(fd, path)
            demand_identity(found.fold.header, identity, path)
            if host is not None:
                _demand_ended_or_ours(found.fold, host, path)
            if found.fold.rebuilding and not rebuilding:
                _refuse_half(path)
            log = cls(path, fd, reserve, _recover(fd, found, path, disk), now, disk)
            undo.pop_all()
        return log

    @property
    def sound(self) -> bool:
        """Whether a new intent can still be written."""
        return self.trouble is None

    @property
    def trouble(self) -> LogUnusable | None:
        """What went wrong with the log, so that no new intent can be written; None while it is sound."""
        return self._out.trouble

    def begin_run(self, info: RunInfo) -> None:
        if self._run:
            raise ValueError("a run is open already")
        self._out.begin(records.run_body(info, self._at()))
        self._out.sync()
        self._run = info.run

    def intent(self, intent: Intent) -> None:
        """Note one message that is about to be sent; as `intents`."""
        self.intents([intent])

    def intents(self, intents: Sequence[Intent]) -> None:
        """Note what is about to be sent in one request: one write, one fsync. Refused once anything has failed.

        Of a write that a crash tears some intents may stand and others not. None of them left, as the request waits
        for the fsync: those that stand are looked up, for the others nothing is known, and both is safe.
        """
        run, at = self._open_run(), self._at()
        keys = [log_name(intent.key) for intent in intents]
        for key in keys:
            self._ledger.check(key, State.INTENDED)
        offsets = self._out.begin(*(records.intent_body(run, at, intent) for intent in intents))
        try:
            self._note(keys, [State.INTENDED] * len(keys), offsets)
        except LogUnusable:
            self._take_word_back(intents)
            raise

    def _take_word_back(self, intents: Sequence[Intent]) -> None:
        """Intents that could not be made safe stand in the file, and their request never leaves: say so behind them,
        lest their messages count as in doubt. Should a power cut take that and not the intents, they are looked up."""
        with suppress(LogUnusable):
            reason = "it did not leave: its intent could not be made safe"
            tried = [(intent.key, intent.attempt) for intent in intents]
            self.retries(tried, RetryVerdict.NOT_PROCESSED, 0, reason)

    def outcomes(self, fates: Sequence[Fate], note: TicketNote | None = None, said_by: str = "") -> None:
        """Note fates that one answer or one look told, in one write; `said_by` names the person whose word it is. Tried
        even after an error. Of a write that a crash tears some are missing: their intents stand, so they are looked
        up. The ticket stands first, so whoever finds a message created also knows its ticket.

        Raises:
            LogUnusable: they could not be made safe.
        """
        for fate in fates:
            _demand_outcome(fate.outcome)
        run, at = self._open_run(), self._at()
        keys, states = [log_name(fate.key) for fate in fates], [fate.outcome.state for fate in fates]
        bodies = [records.outcome_body(run, at, fate, said_by) for fate in fates]
        if note is not None:
            bodies.insert(0, records.ticket_body(run, at, note))
        self._settle(keys, states, bodies, note)

    def outcome(self, key: str, attempt: int, content: str, outcome: Outcome, said_by: str = "") -> None:
        """Note one fate; as `outcomes`."""
        self.outcomes([Fate(key, attempt, content, outcome)], None, said_by)

    def retries(
        self,
        tried: Sequence[tuple[str, int]],
        verdict: RetryVerdict,
        status: int,
        reason: str,
        said_by: str = "",
    ) -> None:
        """Note that attempts surely came to nothing, or that a person said so. Tried even after an error."""
        run, at = self._open_run(), self._at()
        bodies = [records.retry_body(run, at, key, attempt, verdict, status, reason, said_by) for key, attempt in tried]
        self._settle([log_name(key) for key, _ in tried], [State.PENDING] * len(tried), bodies)

    def retry(self, key: str, attempt: int, verdict: RetryVerdict, status: int, reason: str, said_by: str = "") -> None:
        """Note it of one message; as `retries`."""
        self.retries([(key, attempt)], verdict, status, reason, said_by)

    def note_ticket(self, note: TicketNote) -> None:
        """Note where a ticket with an external id stands. Tried even after an error."""
        self._settle([], [], [records.ticket_body(self._open_run(), self._at(), note)], note)

    def ticket(self, external_id: str) -> KnownTicket | None:
        """What this run or an earlier one noted of the ticket with this external id."""
        return self._tickets.find(log_name(external_id))

    def learn(self, who: Identity, outcome: Outcome) -> None:
        """Note what looking showed of a message that this log knows nothing of; for rebuilding."""
        _demand_outcome(outcome)
        body = records.learned_body(self._open_run(), self._at(), who, outcome)
        self._settle([who.key], [outcome.state], [body])

    def knows(self, key: str) -> bool:
        """Whether any record is about this key, those of this run included."""
        name = log_name(key)
        return self._ledger.find(name) is not None or self.fold.ledger.find(name) is not None

    def rebuilt(self) -> None:
        """All that could be read was read: from here on the log says all that is known."""
        self._out.begin(records.rebuilt_body(self._open_run(), self._at()))
        self._out.sync()

    def end_run(
        self, exit_code: int, counts: Mapping[State, int], requests: int, throttled: int, seconds: float
    ) -> None:
        run, self._run = self._open_run(), ""
        at = self._at()
        self._out.settle(records.end_body(run, at, exit_code, counts, requests, throttled, seconds))
        self._out.sync()

    def close(self) -> None:
        """Unlock the log and take the reserve away. `fold` stays readable. Safe to call again.

        All that counts is on the disk by now, so a disk that fails here is not worth a word.
        """
        if self._closed:
            return
        self._closed = True
        self._out.shut()
        _unlock(self._fd)
        release_reserve(self.path, self._reserve)

    def _settle(
        self,
        keys: Sequence[str],
        states: Sequence[State],
        bodies: Sequence[Mapping[str, Json]],
        note: TicketNote | None = None,
    ) -> None:
        for key, state in zip(keys, states, strict=True):
            self._ledger.check(key, state)
        offsets = self._out.settle(*bodies)
        if note is not None:
            self._tickets.note(log_name(note.external_id), offsets.pop(0))
        self._note(keys, states, offsets)

    def _note(self, keys: Sequence[str], states: Sequence[State], offsets: Sequence[int]) -> None:
        # First what the file says now, then whether it is safe: a record stands there even if its fsync
        # fails.
        for key, state, offset in zip(keys, states, offsets, strict=True):
            self._ledger.move(key, CODES[state], offset)
        self._out.sync()

    def _open_run(self) -> str:
        if not self._run:
            raise ValueError("no run is open")
        return self._run

    def _at(self) -> str:
        return records.timestamp(self._now())


def _demand_outcome(outcome: Outcome) -> None:
    if outcome.state in _NO_OUTCOMES:
        raise ValueError(f"{outcome.state.value} is no outcome to record")


def _unlock(fd: int) -> None:
    with suppress(OSError):
        fcntl.flock(fd, fcntl.LOCK_UN)  # closing is not enough: readers by offset hold the same open file
    with suppress(OSError):
        os.close(fd)


def _with_reserve(path: Path, disk: Disk, undo: ExitStack) -> int:
    reserve = take_reserve(path, disk)
    undo.callback(release_reserve, path, reserve)
    return reserve


def _scan(fd: int, path: Path) -> Scan:
    lines = Lines(fd)
    with translated(path), os.fdopen(os.dup(fd), "rb", buffering=1 << 18) as stream:
        stream.seek(0)
        found = scan(stream, lines.at, shown(path))
    lines.end = found.end
    return found


def _recover(fd: int, found: Scan, path: Path, disk: Disk) -> Scan:
    """Leave the file ending with its last sound record and a newline, on stable storage and under its name.

    Also where nothing was torn: a run that was killed may have left records, or the file's very name, unflushed, and
    what this run reads there it goes by.
    """
    with translated(path):
        if not found.ended or os.fstat(fd).st_size != found.end:
            disk.truncate(fd, found.end)
        if not found.ended and disk.write(fd, b"\n") != 1:
            raise OSError(28, "No space left on device")
        disk.fsync(fd)
        sync_folder(path, disk)
    return Scan(found.fold, found.end if found.ended else found.end + 1, found.last_sum)


def left_open_elsewhere(fold: Fold, host: str) -> str:
    """The other machine whose run has no end in the log; empty where there is none. `host` is this one's name."""
    run = fold.last_run
    return run.host if run and fold.last_end is None and run.host != records.discreet(host) else ""


def _demand_ended_or_ours(fold: Fold, host: str, path: Path) -> None:
    other = left_open_elsewhere(fold, host)
    if not other:
        return
    raise LogInUse(
        f"the progress log {shown(path)} was left open by a run on another machine, {other}; this one is "
        f"{records.discreet(host)}",
        "nothing was sent; make sure that the run there has ended, and that this log is its newest copy; then add "
        "--takeover: what was in flight there is looked for before anything is sent again",
    )


def _demand_damage(fd: int, path: Path) -> None:
    try:
        _scan(fd, path)
    except LogDamaged:
        return
    raise LogUnusable(
        f"the progress log {shown(path)} is sound, so there is nothing to rebuild",
        "run without --rebuild-log; should you know that it is older than the last run, move it away first",
    )


def _refuse_half(path: Path) -> NoReturn:
    raise LogUnusable(
        f"the progress log {shown(path)} is being rebuilt and does not say yet what was sent; nothing was sent now",
        "`bulkmsg run BATCH --rebuild-log` goes on with rebuilding it",
    )


def demand_identity(header: LogIdentity, wanted: LogIdentity, path: Path) -> None:
    """Raises LogUnusable unless a log with this header is the one that is wanted."""
    ours = (wanted.account, wanted.mode, log_name(wanted.batch))
    theirs = (header.account, header.mode, header.batch)
    if ours != theirs:
        names = ("account {!r}, mode {}, batch {!r}".format(*who) for who in (theirs, ours))
        raise LogUnusable(
            f"the progress log {shown(path)} belongs to {next(names)}; this run is {next(names)}",
            "give this batch a log of its own with --progress-log, or correct the account, mode or name",
        )
