"""Putting lines at the end of the log so that each is on stable storage, and knowing when that is over.

Knows bytes, the chain and trouble; nothing of records' meaning. Records that belong together are one write, so that
one fsync makes them safe and a short write is taken back whole. After the first error of the disk nothing new
may begin. What is in flight may still be settled, with the reserve's room given up for it:

    sound      all is well
    full       a write failed and was taken back; settling is still tried
    unsynced   fsync failed: what was written may be lost, and as no later fsync could say otherwise, none is
               tried; settling still writes, for whoever reads the log next may find it, but never calls it
               safe
    shut       foreign bytes stand in the file, or a torn line could not be taken back: nothing is written
"""

from __future__ import annotations

import os
from collections.abc import Mapping, Sequence
from enum import Enum
from pathlib import Path
from typing import NoReturn

from bulkmsg.errors import LogUnusable
from bulkmsg.journal.files import Disk, shown
from bulkmsg.journal.records import encode, parts, sum_of
from bulkmsg.source import Json


class Health(Enum):
    SOUND = "sound"
    FULL = "full"
    UNSYNCED = "unsynced"
    SHUT = "shut"


class Appender:
    """The end of an open, locked log."""

    def __init__(self, path: Path, fd: int, reserve: int, end: int, last_sum: bytes, disk: Disk) -> None:
        self._path = path
        self._fd = fd
        self._reserve = reserve
        self._reserve_kept = True
        self._end = end
        self._sum = last_sum
        self._disk = disk
        self.health = Health.SOUND
        self._reason = ""

    @property
    def trouble(self) -> LogUnusable | None:
        """Why nothing new may begin; None while all is well."""
        return None if self.health is Health.SOUND else self._refusal()

    def begin(self, *bodies: Mapping[str, Json]) -> list[int]:
        """Write records that open something new; their offsets. `sync` makes them safe."""
        self._demand_sound()
        if not os.fstat(self._fd).st_nlink:
            self._give_up(Health.FULL, "it was deleted")
        return self._write(bodies)

    def settle(self, *bodies: Mapping[str, Json]) -> list[int]:
        """Write records about something that is in flight: once more with the reserve's room, if need be."""
        self._demand_open()
        try:
            return self._write(bodies)
        except LogUnusable:
            self._demand_open()
            if not self._reserve_kept:
                raise
            self._free_reserve()
            return self._write(bodies)

    def sync(self) -> None:
        """Make what was written safe.

        Raises:
            LogUnusable: it is not, and it is not known to be ever.
        """
        if self.health is Health.UNSYNCED:
            self._refuse()
        try:
            self._disk.fsync(self._fd)
        except OSError as error:
            self._give_up(Health.UNSYNCED, str(error.strerror))

    def shut(self) -> None:
        self.health, self._reason = Health.SHUT, "it is closed"

    def _demand_sound(self) -> None:
        if self.health is not Health.SOUND:
            self._refuse()

    def _demand_open(self) -> None:
        if self.health is Health.SHUT:
            self._refuse()

    def _write(self, bodies: Sequence[Mapping[str, Json]]) -> list[int]:
        lines: list[bytes] = []
        for body in parts(bodies):
            lines.append(encode(body, sum_of(lines[-1]) if lines else self._sum))
        data = b"".join(lines)
        self._demand_untouched()
        try:
            written, reason = self._disk.write(self._fd, data), "the disk took only a part of a record"
        except OSError as error:
            written, reason = -1, str(error.strerror)
        if written != len(data):
            self._take_back(reason)
        offsets = []
        for line in lines:
            offsets.append(self._end)
            self._end += len(line)
        self._sum = sum_of(lines[-1])
        return offsets

    def _take_back(self, reason: str) -> NoReturn:
        """Leave no torn line behind, so that nothing is ever written after one."""
        try:
            if os.fstat(self._fd).st_size != self._end:
                self._disk.truncate(self._fd, self._end)
        except OSError:
            self._give_up(Health.SHUT, reason)
        self._give_up(Health.FULL, reason)

    def _demand_untouched(self) -> None:
        if os.fstat(self._fd).st_size != self._end:
            self._give_up(Health.SHUT, "something else has written to it")

    def _free_reserve(self) -> None:
        # Emptied, not deleted: its lock still tells other runs about this one.
        self._reserve_kept = False
        try:
            self._disk.truncate(self._reserve, 0)
        except OSError as error:
            self._give_up(Health.FULL, str(error.strerror))

    def _give_up(self, health: Health, reason: str) -> NoReturn:
        # An earlier failed fsync outweighs a full disk: it stays unsafe, whatever comes.
        if not (self.health is Health.UNSYNCED and health is Health.FULL):
            self.health = health
        self._reason = reason
        self._refuse()

    def _refuse(self) -> NoReturn:
        raise self._refusal()

    def _refusal(self) -> LogUnusable:
        return LogUnusable(
            f"the progress log {shown(self._path)} cannot be written: {self._reason}",
            "nothing new is sent; mend that and run the same command again: it goes on where the log ends",
        )
