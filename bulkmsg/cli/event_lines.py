"""Writes events as JSON lines, from a thread of its own: a slow reader never slows the sending."""

from __future__ import annotations

import errno
import os
import sys
from collections.abc import Iterable
from queue import Full, Queue
from threading import Thread
from types import TracebackType
from typing import Self

from bulkmsg import json_text
from bulkmsg.app.run import utc_now
from bulkmsg.cli.terminal import Terminal
from bulkmsg.errors import UsageError
from bulkmsg.events import Event

# What waits for a reader that is slower than the run; at about 200 bytes an event.
_WAITING = 50_000
_PATIENCE = 5.0


class EventLines:
    """A sink that writes NDJSON. `run` is set when the run has its id, before the first event.

    Raises:
        UsageError: the file cannot be opened.
    """

    def __init__(self, path: str, terminal: Terminal) -> None:
        self.run = ""
        self._path = path
        self._terminal = terminal
        self._queue: Queue[bytes | None] = Queue(_WAITING)
        self._missed = 0
        self._failed = ""
        self._file = _open(path)
        self._writer = Thread(target=self._write, name="events", daemon=True)

    def tell(self, event: Event) -> None:
        stamp = utc_now().isoformat(timespec="milliseconds").replace("+00:00", "Z")
        try:
            self._queue.put_nowait(json_text.dumps_line(event.as_json(self.run, stamp)))
        except Full:
            self._missed += 1

    def __enter__(self) -> Self:
        self._writer.start()
        return self

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        try:
            self._queue.put(None, timeout=_PATIENCE)
            self._writer.join(_PATIENCE)
        except Full:
            self._missed += self._queue.qsize()
        self._tell_losses()

    def _write(self) -> None:
        while (line := self._queue.get()) is not None:
            if self._failed:
                continue
            try:
                _write_all(self._file, [line])
            except OSError as error:
                self._failed = error.strerror or "it cannot be written"

    def _tell_losses(self) -> None:
        where = "stdout" if self._path == "-" else self._path
        if self._writer.is_alive():
            self._terminal.say(f"warning: events: {where} takes no more; its last events are missing")
        elif self._failed and not (self._path == "-" and self._failed == os.strerror(errno.EPIPE)):
            self._terminal.say(f"warning: events: {where}: {self._failed}; the events from there on are missing")
        if self._missed:
            self._terminal.say(f"warning: events: {self._missed:,} are missing: {where} takes them too slowly")
        if self._path != "-" and not self._writer.is_alive():
            os.close(self._file)


def _open(path: str) -> int:
    if path == "-":
        try:
            return sys.stdout.fileno()
        except (AttributeError, OSError, ValueError):
            return os.open(os.devnull, os.O_WRONLY)
    try:
        # Appended, never replaced: a run that goes on must not wipe out what the one before told.
        return os.open(path, os.O_WRONLY | os.O_APPEND | os.O_CREAT | os.O_CLOEXEC, 0o600)
    except OSError as error:
        raise UsageError(f"--events: {path} cannot be written: {error.strerror}", "name another file") from None


def _write_all(file: int, lines: Iterable[bytes]) -> None:
    for line in lines:
        rest = memoryview(line)
        while rest:
            rest = rest[os.write(file, rest) :]
