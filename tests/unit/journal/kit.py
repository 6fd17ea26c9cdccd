"""What the tests of the progress log share: a clock, an identity, a small history, and a disk that can fail."""

from __future__ import annotations

import errno
import os
from dataclasses import dataclass, field
from datetime import UTC, datetime, timedelta
from pathlib import Path

from bulkmsg.journal import Disk, LogIdentity, ProgressLog, RunInfo, log_exists
from bulkmsg.message import Kind, Mode
from bulkmsg.outcome import Outcome, State
from bulkmsg.ports import Intent, RetryVerdict

IDENTITY = LogIdentity("acme", Mode.IMPORT, "spring", "bulkmsg 0.1.0")
CREATED, IN_DOUBT, REJECTED, HELD_BACK = State.CREATED, State.IN_DOUBT, State.REJECTED, State.HELD_BACK


@dataclass
class Clock:
    """Each look at it is a quarter of a second later."""

    moment: datetime = datetime(2026, 3, 1, 10, tzinfo=UTC)

    def __call__(self) -> datetime:
        self.moment += timedelta(milliseconds=250)
        return self.moment


@dataclass
class QuietDisk:
    """Writes for real and leaves the flushing out, which tests need not wait for."""

    def write(self, fd: int, data: bytes) -> int:
        return os.write(fd, data)

    def fsync(self, fd: int) -> None:
        pass

    def truncate(self, fd: int, size: int) -> None:
        os.ftruncate(fd, size)


@dataclass
class FailingDisk(QuietDisk):
    """A disk with little room, and with errors to come.

    Args:
        room: bytes that still go in; None for no end of them. Truncating gives room back.
        short: a write that does not fit writes what fits, as a real one may.
        sync_errors: how many of the next fsyncs fail.
        synced: descriptors that were flushed, in order.
    """

    room: int | None = None
    short: bool = False
    write_errno: int = 0
    truncate_errno: int = 0
    sync_errors: int = 0
    synced: list[int] = field(default_factory=list)

    def write(self, fd: int, data: bytes) -> int:
        if self.write_errno:
            raise OSError(self.write_errno, os.strerror(self.write_errno))
        if self.room is None:
            return os.write(fd, data)
        fits = data[: self.room]
        if len(fits) < len(data) and not (self.short and fits):
            raise OSError(errno.ENOSPC, os.strerror(errno.ENOSPC))
        self.room -= len(fits)
        return os.write(fd, fits)

    def fsync(self, fd: int) -> None:
        self.synced.append(fd)
        if self.sync_errors:
            self.sync_errors -= 1
            raise OSError(errno.EIO, os.strerror(errno.EIO))

    def truncate(self, fd: int, size: int) -> None:
        if self.truncate_errno:
            raise OSError(self.truncate_errno, os.strerror(self.truncate_errno))
        if self.room is not None:
            self.room += os.fstat(fd).st_size - size
        os.ftruncate(fd, size)


def info(run: str = "r1") -> RunInfo:
    return RunInfo(run, "host-3", 8842, {"rate": "40/20s"}, "9f" * 32, None, False)


def intent_for(key: str, attempt: int = 1, ticket: int | None = 5) -> Intent:
    return Intent(key, attempt, Kind.INCOMING, "c0" * 8, "ab" * 16, ticket, f"x-{key}")


def begin(path: Path, disk: Disk | None = None, run: str = "r1", identity: LogIdentity = IDENTITY) -> ProgressLog:
    """A log with an open run, begun or gone on with."""
    way = ProgressLog.open if log_exists(path) else ProgressLog.create
    log = way(path, identity, Clock(), disk or QuietDisk())
    log.begin_run(info(run))
    return log


def created(log: ProgressLog, key: str, number: int = 7) -> None:
    log.outcome(key, 1, "c0" * 8, Outcome(CREATED, message_id=number, ticket_id=5, status=201))


def history(path: Path) -> None:
    """Two runs with every kind of record and every outcome; the second run died with an intent open."""
    log = begin(path)
    for number in range(4):
        log.intent(intent_for(f"row-{number}"))
        created(log, f"row-{number}", number + 1)
    log.intent(intent_for("anna@example.com", ticket=None))
    log.outcome("anna@example.com", 1, "c0" * 8, Outcome(REJECTED, status=400, error="no bob@example.com here"))
    log.outcome("later", 0, "c0" * 8, Outcome(HELD_BACK))
    log.end_run(1, {CREATED: 4, REJECTED: 1, HELD_BACK: 1}, 6, 1, 3.25)
    log.close()
    log = begin(path, run="r2")
    log.intent(intent_for("later"))
    log.retry("later", 1, RetryVerdict.NOT_PROCESSED, 429, "throttled")
    log.intent(intent_for("later", 2))
    log.outcome("later", 2, "c0" * 8, Outcome(IN_DOUBT))
    log.outcome("row-0", 1, "c0" * 8, Outcome(State.UNDONE))
    log.outcome("never", 0, "c0" * 8, Outcome(CREATED, message_id=90, ticket_id=5, found=True, duplicates=(90, 91)))
    log.intent(intent_for("Äußerstes", 1))
    log.close()
