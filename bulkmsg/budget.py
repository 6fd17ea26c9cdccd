"""The small file through which the runs of one account on this machine share its budget, and the lock on it.

Knows nothing of what is kept in it. A whole content takes the place of another in one step, so a run that is killed
leaves no half of one. Nothing is flushed: a machine that starts again knows of no request, and the file of another
boot counts as empty, since the clock that its times are read from began anew.

Every failure of the system ends the sharing and never the run: it goes on alone, and says why in `trouble`.
"""

from __future__ import annotations

import asyncio
import fcntl
import os
import stat
from collections.abc import Callable
from contextlib import suppress
from pathlib import Path

_FILE, _NEW, _LOCK = "budget.json", "budget.new", "budget.lock"
_MOST = 65_536  # bytes; what is longer was not written by us
_SAFELY = os.O_NOFOLLOW | os.O_CLOEXEC | os.O_NONBLOCK
# The lock is held for less than a millisecond. Who holds it longer is stopped, and sends nothing meanwhile.
_TRY_EVERY = 0.002
_PATIENCE = 1.0
_AGAIN_AFTER = 10.0
_BOOT = Path("/proc/sys/kernel/random/boot_id")


class SharedBudget:
    """The budget of one account: a folder of its own, made when it is needed. Close it.

    Args:
        folder: None where there is no place for one.
        boot: names the time since the machine was started; the clock of what is kept began with it.
    """

    def __init__(self, folder: Path | None, boot: str | None = None) -> None:
        self.trouble = ""
        self._folder = folder or Path()
        self._boot = (_this_boot() if boot is None else boot).encode()
        self._lock: int | None = None
        self._alone_until = 0.0
        if folder is None:
            self.trouble = "there is no home folder to keep it in"

    def close(self) -> None:
        if self._lock is not None:
            os.close(self._lock)
            self._lock = None

    def peek(self) -> bytes:
        """What was kept last; empty where there is nothing of this boot that could be ours."""
        try:
            fd = os.open(self._folder / _FILE, os.O_RDONLY | _SAFELY)
        except OSError:
            return b""
        try:
            _demand_own_file(fd)
            whole = os.read(fd, _MOST + 1)
        except OSError:
            return b""
        finally:
            os.close(fd)
        boot, _, kept = whole.partition(b"\n")
        return kept if boot == self._boot and len(whole) <= _MOST else b""

    async def exchange(self, act: Callable[[bytes], bytes | None]) -> None:
        """Call `act` with what was kept last, and keep what it returns, while no other run does the same."""
        if not await self._locked():
            act(b"")
            return
        assert self._lock is not None
        try:
            kept = act(self.peek())
            if kept is not None:
                self._keep(kept)
        finally:
            if self._lock is not None:
                fcntl.flock(self._lock, fcntl.LOCK_UN)

    async def _locked(self) -> bool:
        loop = asyncio.get_running_loop()
        patience = loop.time() + _PATIENCE
        if self.trouble or loop.time() < self._alone_until:
            return False
        try:
            while not self._try_lock():
                if loop.time() >= patience:
                    self._alone_until = loop.time() + _AGAIN_AFTER
                    return False
                await asyncio.sleep(_TRY_EVERY)
        except OSError as error:
            self._give_up(error)
            return False
        return True

    def _try_lock(self) -> bool:
        """Whether the lock is ours now. A lock on a file that somebody has deleted keeps nobody out.

        Raises:
            OSError: it cannot be had at all.
        """
        if self._lock is None:
            self._folder.mkdir(mode=0o700, parents=True, exist_ok=True)
            self._lock = os.open(self._folder / _LOCK, os.O_RDWR | os.O_CREAT | _SAFELY, 0o600)
            _demand_own_file(self._lock)
        try:
            fcntl.flock(self._lock, fcntl.LOCK_EX | fcntl.LOCK_NB)
        except BlockingIOError:
            return False
        with suppress(FileNotFoundError):
            if os.path.samestat(os.fstat(self._lock), (self._folder / _LOCK).lstat()):
                return True
        self.close()
        return False

    def _keep(self, kept: bytes) -> None:
        new = self._folder / _NEW
        try:
            with suppress(FileNotFoundError):
                new.unlink()  # of a run that was killed right here
            fd = os.open(new, os.O_WRONLY | os.O_CREAT | os.O_EXCL | _SAFELY, 0o600)
            try:
                whole = self._boot + b"\n" + kept
                if os.write(fd, whole) < len(whole):
                    raise OSError("the disk is full")
            finally:
                os.close(fd)
            new.replace(self._folder / _FILE)
        except OSError as error:
            self._give_up(error)

    def _give_up(self, error: OSError) -> None:
        self.trouble = f"{self._folder} cannot be used: {error.strerror or error}"
        self.close()


def _demand_own_file(fd: int) -> None:
    info = os.fstat(fd)
    if not stat.S_ISREG(info.st_mode) or info.st_uid != os.geteuid():
        raise OSError("it holds something that is not ours")


def _this_boot() -> str:
    """Empty where the system does not tell: there, times that lie ahead give another boot away."""
    try:
        return _BOOT.read_text().strip()
    except OSError:
        return ""
