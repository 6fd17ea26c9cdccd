"""The progress log of a run: opened or begun, recovered, written record by record.

Joins the others of this room: the lock and the file (`files`), what is sound in it (`scan`, where it is also
argued why a torn tail may be cut), what it says (`fold`), and writing (`append`). Not for several threads at
once.
"""

from __future__ import annotations

import fcntl
import os
from collections.abc import Callable, Mapping
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
from bulkmsg.message import log_name
from bulkmsg.outcome import Outcome, State
from bulkmsg.ports import Identity, Intent, RetryVerdict
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
        """Note what is about to be sent. Refused once anything has failed."""
        key = log_name(intent.key)
        self._ledger.check(key, State.INTENDED)
        body = records.intent_body(self._open_run(), self._at(), intent)
        offset = self._out.begin(body)
        try:
            self._note(key, State.INTENDED, offset)
        except LogUnusable:
            self._take_word_back(intent)
            raise

    def _take_word_back(self, intent: Intent) -> None:
        """An intent that could not be made safe stands in the file, and its request never leaves: say so behind it,
        lest the message counts as in doubt. Should a power cut take this record and not the intent, it is looked up."""
        with suppress(LogUnusable):
            reason = "it did not leave: its intent could not be made safe"
            self.retry(intent.key, intent.attempt, RetryVerdict.NOT_PROCESSED, 0, reason)

    def outcome(self, key: str, attempt: int, content: str, outcome: Outcome, said_by: str = "") -> None:
        """Note a fate; `said_by` names the person whose word it is. Tried even after an error.

        Raises:
            LogUnusable: it could not be made safe.
        """
        if outcome.state in _NO_OUTCOMES:
            raise ValueError(f"{outcome.state.value} is no outcome to record")
        body = records.outcome_body(self._open_run(), self._at(), key, attempt, content, outcome, said_by)
        self._settle(log_name(key), outcome.state, body)

    def retry(self, key: str, attempt: int, verdict: RetryVerdict, status: int, reason: str, said_by: str = "") -> None:
        """Note that an attempt surely came to nothing, or that a person said so. Tried even after an error."""
        body = records.retry_body(self._open_run(), self._at(), key, attempt, verdict, status, reason, said_by)
        self._settle(log_name(key), State.PENDING, body)

    def learn(self, who: Identity, outcome: Outcome) -> None:
        """Note what looking showed of a message that this log knows nothing of; for rebuilding."""
        if outcome.state in _NO_OUTCOMES:
            raise ValueError(f"{outcome.state.value} is no outcome to record")
        self._settle(who.key, outcome.state, records.learned_body(self._open_run(), self._at(), who, outcome))

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

    def _settle(self, key: str, state: State, body: dict[str, Json]) -> None:
        self._ledger.check(key, state)
        self._note(key, state, self._out.settle(body))

    def _note(self, key: str, state: State, offset: int) -> None:
        # First what the file says now, then whether it is safe: a record stands there even if its fsync
        # fails.
        self._ledger.move(key, CODES[state], offset)
        self._out.sync()

    def _open_run(self) -> str:
        if not self._run:
            raise ValueError("no run is open")
        return self._run

    def _at(self) -> str:
        return records.timestamp(self._now())


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
