"""The progress log as a file: made aside, opened with distrust, locked, and read back by offset.

Knows nothing of what stands in it. Every failure of the system comes out as LogUnusable.

One run at a time. The lock that counts is `flock` on the log itself: it holds through every path that leads
to the file, and the kernel drops it with the process. It cannot guard a path from which the log was deleted,
so a run also keeps a lock on `<log>.reserve`, the file whose room is given up when the disk is full.
"""

from __future__ import annotations

import errno
import fcntl
import os
import stat
import weakref
from collections.abc import Iterator
from contextlib import contextmanager, suppress
from datetime import UTC, datetime
from pathlib import Path
from typing import NoReturn, Protocol

from bulkmsg.errors import LogInUse, LogUnusable
from bulkmsg.journal.records import MAX_LINE, visible

# Room for what is in flight when the disk is full: outcomes of some 800 messages, such as eight threads of a hundred.
# What does not fit even so keeps its intent, and is looked up.
RESERVE_BYTES = 262_144
DAMAGED = ".damaged-"  # between a log's name and the moment at which it was put aside
_BLOCK = 16_384
_COPY_BLOCK = 1 << 20
_SAFELY = os.O_NOFOLLOW | os.O_CLOEXEC | os.O_NONBLOCK
_FULL_SYNC: int | None = getattr(fcntl, "F_FULLFSYNC", None)


class Disk(Protocol):
    """What is done to a file's bytes; the place where tests let a disk fail. Any call may raise OSError."""

    def write(self, fd: int, data: bytes) -> int: ...

    def fsync(self, fd: int) -> None: ...

    def truncate(self, fd: int, size: int) -> None: ...


class RealDisk:
    """The system's own calls."""

    def write(self, fd: int, data: bytes) -> int:
        return os.write(fd, data)

    def fsync(self, fd: int) -> None:
        if _FULL_SYNC is not None:  # there, fsync alone leaves the bytes in the drive's cache
            fcntl.fcntl(fd, _FULL_SYNC)
        else:
            os.fsync(fd)

    def truncate(self, fd: int, size: int) -> None:
        os.ftruncate(fd, size)


class Lines:
    """Reads single lines by offset, through a descriptor of its own that lives as long as this does."""

    def __init__(self, fd: int) -> None:
        self._fd = os.dup(fd)
        self.end: int | None = None  # nothing behind it counts
        self._start = 0
        self._block = b""
        weakref.finalize(self, os.close, self._fd)

    def at(self, offset: int) -> bytes:
        """The line that begins there, without its newline."""
        begin = offset - self._start
        stop = self._block.find(b"\n", begin) if begin >= 0 else -1
        if stop >= 0:
            return self._block[begin:stop]
        return self._load(offset)

    def _load(self, offset: int) -> bytes:
        block = os.pread(self._fd, _BLOCK, offset)
        if b"\n" not in block:
            block = os.pread(self._fd, MAX_LINE, offset)
        self._start, self._block = offset, block
        stop = block.find(b"\n")
        limit = len(block) if self.end is None else self.end - offset
        return block[: min(stop, limit) if stop >= 0 else limit]


def shown(path: Path) -> str:
    return visible(str(path))


def log_exists(path: Path) -> bool:
    """Whether anything stands at the path, be it a log or not."""
    try:
        path.lstat()
    except (FileNotFoundError, NotADirectoryError):
        return False
    except OSError as error:
        _unusable(path, error)
    return True


@contextmanager
def translated(path: Path) -> Iterator[None]:
    """Turns the system's refusals into ours."""
    try:
        yield
    except OSError as error:
        _unusable(path, error)


def open_log(path: Path) -> int:
    """A descriptor to append with, locked, on a file that is surely the one at the path."""
    with translated(path):
        fd = os.open(path, os.O_RDWR | os.O_APPEND | _SAFELY)
        try:
            _demand_own_file(fd, path)
            _lock(fd, path)
            _demand_same(fd, path)
            if stat.S_IMODE(os.fstat(fd).st_mode) != 0o600:
                os.fchmod(fd, 0o600)
        except BaseException:
            os.close(fd)
            raise
    return fd


def open_to_read(path: Path) -> int:
    with translated(path):
        fd = os.open(path, os.O_RDONLY | _SAFELY)
        if not stat.S_ISREG(os.fstat(fd).st_mode):
            os.close(fd)
            _refuse(path, "is no regular file")
    return fd


def create_log(path: Path, data: bytes, disk: Disk, *, replace: bool = False) -> int:
    """As `open_log`, for a new file that appears at the path whole and locked. Needs the reserve's lock.

    `replace`: in the place of a log that stands there, which has to be locked as well.
    """
    aside = path.with_name(path.name + ".new")
    with translated(path):
        aside.unlink(missing_ok=True)  # of a run that died right here
        fd = os.open(aside, os.O_RDWR | os.O_APPEND | os.O_CREAT | os.O_EXCL | _SAFELY, 0o600)
        try:
            os.fchmod(fd, 0o600)
            _lock(fd, path)
            _write_whole(disk, fd, data)
            disk.fsync(fd)
            _publish(aside, path, disk, replace=replace)
        except BaseException:
            os.close(fd)
            with suppress(OSError):
                aside.unlink()
            raise
    return fd


def sync_folder(path: Path, disk: Disk) -> None:
    """Make the log's name safe: a file without one is lost with all that was flushed to it."""
    folder = os.open(path.parent, os.O_RDONLY | os.O_DIRECTORY | os.O_CLOEXEC)
    try:
        disk.fsync(folder)
    finally:
        os.close(folder)


def keep_damaged(path: Path, fd: int, moment: datetime, disk: Disk) -> Path:
    """A copy of a locked log beside it, under a name that says what it is; on stable storage when it returns.

    A copy and not a move: without anything at its path the next run would take the batch for one that never ran.
    """
    base = f"{path.name}{DAMAGED}{moment.astimezone(UTC):%Y%m%dT%H%M%SZ}"
    with translated(path):
        names = (path.with_name(base + more) for more in ("", *(f"-{number}" for number in range(2, 100))))
        aside = next(name for name in names if not log_exists(name))
        copy = os.open(aside, os.O_WRONLY | os.O_APPEND | os.O_CREAT | os.O_EXCL | _SAFELY, 0o600)
        try:
            offset = 0
            while block := os.pread(fd, _COPY_BLOCK, offset):
                _write_whole(disk, copy, block)
                offset += len(block)
            disk.fsync(copy)
            sync_folder(path, disk)
        finally:
            os.close(copy)
    return aside


def kept_damaged(path: Path) -> Path | None:
    """The newest damaged copy beside a log."""
    with translated(path):
        found = sorted(each for each in path.parent.iterdir() if each.name.startswith(path.name + DAMAGED))
    return found[-1] if found else None


def take_reserve(path: Path, disk: Disk) -> int:
    """Lock the reserve beside the log and fill it, so that its room is really taken."""
    reserve = reserve_of(path)
    with translated(path):
        fd = _open_reserve(reserve, path)
        try:
            disk.truncate(fd, 0)
            _write_whole(disk, fd, os.urandom(RESERVE_BYTES))  # nothing that a file system could squeeze
        except BaseException:
            release_reserve(path, fd)
            raise
    return fd


def release_reserve(path: Path, fd: int) -> None:
    """Give up the reserve and its lock; the file goes first, while it is still ours."""
    with suppress(OSError):
        reserve_of(path).unlink()
    with suppress(OSError):
        os.close(fd)


def reserve_of(path: Path) -> Path:
    return path.with_name(path.name + ".reserve")


def _open_reserve(reserve: Path, path: Path) -> int:
    while True:
        fd = os.open(reserve, os.O_RDWR | os.O_CREAT | _SAFELY, 0o600)
        try:
            _demand_own_file(fd, reserve)
            _lock(fd, path)
            if _same(fd, reserve):
                os.fchmod(fd, 0o600)
                return fd
        except BaseException:
            os.close(fd)
            raise
        os.close(fd)  # a run that just ended took it away; look again


def _publish(aside: Path, path: Path, disk: Disk, *, replace: bool) -> None:
    # A rename, not a link: a crash between link and unlink would leave a log with two names, which no run
    # accepts. It would also replace; but whoever else might be creating this log has to hold the reserve's
    # lock, as we do.
    if not replace and log_exists(path):
        _refuse(path, "appeared in this very moment")
    aside.rename(path)
    sync_folder(path, disk)


def _write_whole(disk: Disk, fd: int, data: bytes) -> None:
    if disk.write(fd, data) != len(data):
        raise OSError(errno.ENOSPC, os.strerror(errno.ENOSPC))


def _lock(fd: int, path: Path) -> None:
    try:
        fcntl.flock(fd, fcntl.LOCK_EX | fcntl.LOCK_NB)
    except BlockingIOError:
        raise LogInUse(
            f"the progress log {shown(path)} is locked: another run is using it",
            "nothing was sent by this one; wait for the other or stop it; `bulkmsg status` shows how it goes",
        ) from None


def _demand_own_file(fd: int, path: Path) -> None:
    info = os.fstat(fd)
    if not stat.S_ISREG(info.st_mode):
        _refuse(path, "is no regular file")
    if info.st_uid != os.geteuid():
        _refuse(path, "belongs to another user")
    if info.st_nlink > 1:
        _refuse(path, "has a second name (a hard link)")


def _demand_same(fd: int, path: Path) -> None:
    if not _same(fd, path) or os.fstat(fd).st_nlink != 1:
        _refuse(path, "was replaced while it was being opened")


def _same(fd: int, path: Path) -> bool:
    with suppress(FileNotFoundError):
        return os.path.samestat(os.fstat(fd), path.lstat())
    return False


def _refuse(path: Path, what: str) -> NoReturn:
    raise LogUnusable(
        f"{shown(path)} {what}, so it is not used as a progress log",
        "put the log itself there, as a plain file of your own, or name another with --progress-log",
    )


def _unusable(path: Path, error: OSError) -> NoReturn:
    if error.errno == errno.ELOOP:
        _refuse(path, "is a symbolic link")
    if error.errno == errno.EISDIR:
        _refuse(path, "is a directory")
    raise LogUnusable(
        f"the progress log {shown(path)} cannot be used: {error.strerror}",
        "nothing was sent; mend that, or name another place with --progress-log",
    ) from error
