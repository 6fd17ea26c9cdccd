"""A disk that can fail, and forget: behind `journal.files.Disk`, over real files in a folder in memory.

What a crash leaves: after a kill all that was written, since the system still has it; after a power cut what was
flushed, and of the rest nothing, a part, or zeroes by the sector. A failed fsync loses what it should have flushed,
and a later one that succeeds does not bring it back, as on Linux.
"""

from __future__ import annotations

import errno
import os
import stat
from dataclasses import dataclass, field
from pathlib import Path
from random import Random
from typing import NoReturn

from tests.simulation.doom import FOLDER, Doom

_SECTOR = 512


@dataclass
class DiskPlan:
    """How the disk fails in one run.

    Args:
        full_at: the write of this number finds no room, nor do later ones until `full_for` were refused.
        short: a refused write writes a part, as a real one may.
        hard: freeing the reserve gives no room.
        eio_at: the fsync of this number fails, once.
    """

    full_at: int | None = None
    full_for: int = 1
    short: bool = False
    hard: bool = False
    eio_at: int | None = None


@dataclass
class SimDisk:
    """Args:
    log: the progress log's path.
    troubled: a write or an fsync failed in this run.
    failed_sync: an fsync failed in this history, so a later power cut may leave a log that is refused.
    """

    log: Path
    random: Random
    doom: Doom = field(default_factory=Doom)
    plan: DiskPlan = field(default_factory=DiskPlan)
    writes: int = 0
    syncs: int = 0
    troubled: bool = False
    failed_sync: bool = False
    _safe: dict[int, bytes] = field(default_factory=dict)
    _holes: list[tuple[int, int]] = field(default_factory=list)
    _listed: bool = False

    def begin(self, doom: Doom, plan: DiskPlan) -> None:
        """A new process."""
        self.doom, self.plan = doom, plan
        self.writes = self.syncs = 0
        self.troubled = False

    # -- the port ---------------------------------------------------------------------------------------------------

    def write(self, fd: int, data: bytes) -> int:
        self._step("before a write")
        torn = self.doom.torn(len(data), self._end_of_log(fd))
        if torn is not None:
            os.write(fd, data[:torn])
            self.doom.die(f"inside a write, after {torn} of {len(data)} bytes")
        if self._is_full():
            if self.plan.short:
                return os.write(fd, data[: len(data) // 2])
            _fail(errno.ENOSPC)
        done = os.write(fd, data)
        self._step("after a write")
        return done

    def fsync(self, fd: int) -> None:
        info = os.fstat(fd)
        is_folder = stat.S_ISDIR(info.st_mode)
        self._step(FOLDER if is_folder else "before fsync")
        if is_folder:
            self._listed = self.log.exists()
            return
        content = os.pread(fd, info.st_size, 0)
        self.syncs += 1
        if self.plan.eio_at == self.syncs:
            self.troubled = self.failed_sync = True
            self._holes.append((len(self._safe.get(info.st_ino, b"")), len(content)))
            _fail(errno.EIO)
        self._safe[info.st_ino] = self._with_holes(content)
        self._step("after fsync")

    def truncate(self, fd: int, size: int) -> None:
        self._step("before cutting")
        if size == 0 and not self.plan.hard and self.troubled:
            self.plan.full_at = None  # the reserve's room
        os.ftruncate(fd, size)
        self._step("after cutting")

    # -- trouble ----------------------------------------------------------------------------------------------------

    def _step(self, where: str) -> None:
        if self.doom.dead:  # what a dying process still tries to do does not happen
            _fail(errno.EIO)
        self.doom.step(where)

    def _is_full(self) -> bool:
        self.writes += 1
        at = self.plan.full_at
        if at is None or not at <= self.writes < at + self.plan.full_for:
            return False
        self.troubled = True
        return True

    def _end_of_log(self, fd: int) -> int | None:
        """Where the next byte of the log goes, also while it is still written aside; None for another file."""
        info = os.fstat(fd)
        for path in (self.log, self.log.with_name(self.log.name + ".new")):
            try:
                if path.stat().st_ino == info.st_ino:
                    return info.st_size
            except FileNotFoundError:
                continue
        return None

    def _with_holes(self, content: bytes) -> bytes:
        for begin, end in self._holes:
            end = min(end, len(content))
            if begin < end:
                content = content[:begin] + b"\0" * (end - begin) + content[end:]
        return content

    # -- what a crash leaves ----------------------------------------------------------------------------------------

    def snapshot(self, power_cut: bool) -> dict[str, bytes]:
        """The files that stand in the folder when the machine, or only the process, is started again."""
        files = {path.name: path.read_bytes() for path in self.log.parent.iterdir() if path != self.log}
        if not self.log.exists():
            return files
        content = self.log.read_bytes()
        if not power_cut:
            return {**files, self.log.name: content}
        if not self._listed and self.random.random() < 0.5:
            return files
        return {**files, self.log.name: self._left_of(content)}

    def _left_of(self, content: bytes) -> bytes:
        safe = self._safe.get(self.log.stat().st_ino, b"")
        if not content.startswith(safe):
            if self._holes:
                return self._with_holes(content)
            return self.random.choice((content, safe))  # it was cut, and that was not flushed
        tail = content[len(safe) :]
        way = self.random.choice(("all", "none", "part", "zeroes", "sectors"))
        if way == "all" and not self._holes:
            return content
        if way == "part":
            return safe + tail[: self.random.randint(0, len(tail))]
        if way == "zeroes":
            return safe + b"\0" * len(tail)
        return safe + self._some_sectors(tail, len(safe)) if way == "sectors" else safe

    def _some_sectors(self, tail: bytes, start: int) -> bytes:
        parts = []
        at = 0
        while at < len(tail):
            size = min(_SECTOR - (start + at) % _SECTOR, len(tail) - at)
            parts.append(tail[at : at + size] if self.random.random() < 0.5 else b"\0" * size)
            at += size
        return b"".join(parts)

    def restore(self, files: dict[str, bytes], power_cut: bool) -> None:
        """Put the folder into that state. After a power cut all that is left is on the disk for good."""
        if power_cut:
            self._safe.clear()
            self._holes.clear()
            for path in self.log.parent.iterdir():
                path.unlink()
            for name, content in files.items():
                (self.log.parent / name).write_bytes(content)
                (self.log.parent / name).chmod(0o600)
            if self.log.exists():
                self._safe[self.log.stat().st_ino] = files[self.log.name]
            self._listed = True
            return
        for name, content in files.items():
            path = self.log.parent / name
            if path != self.log and not path.exists():
                path.write_bytes(content)
                path.chmod(0o600)


def _fail(number: int) -> NoReturn:
    raise OSError(number, os.strerror(number))
