"""Signals: heard by a run while it goes on, and before and after that the end of the command."""

from __future__ import annotations

import asyncio
import signal
from collections.abc import Callable, Iterator
from contextlib import contextmanager, suppress
from types import FrameType
from typing import Any

from bulkmsg.errors import ExitCode

SIGNALS = {
    signal.SIGINT: ExitCode.SIGINT,
    signal.SIGTERM: ExitCode.SIGTERM,
    signal.SIGHUP: ExitCode.SIGHUP,
}


class Interrupted(KeyboardInterrupt):
    """A signal came while nothing was in flight."""

    def __init__(self, number: signal.Signals) -> None:
        super().__init__(f"stopped by {number.name}")
        self.exit_code = SIGNALS[number]


@contextmanager
def interruptible() -> Iterator[None]:
    """While entered, a signal unwinds the command, so that files are closed and locks given up.

    Raises:
        Interrupted: one came, from wherever the command just is.
    """

    def interrupt(number: int, frame: FrameType | None) -> None:
        raise Interrupted(signal.Signals(number))

    before: dict[signal.Signals, Any] = {}
    try:
        for number in SIGNALS:
            with suppress(ValueError):  # not the main thread
                if signal.getsignal(number) is not signal.SIG_IGN:  # as under nohup
                    before[number] = signal.signal(number, interrupt)
        yield
    finally:
        for number, handler in before.items():
            signal.signal(number, handler)


class Listening:
    """Tells each signal of `SIGNALS` while it is entered; needs a running loop."""

    def __init__(self, tell: Callable[[signal.Signals], None]) -> None:
        self._tell = tell
        self._heard: dict[signal.Signals, Any] = {}

    def __enter__(self) -> None:
        loop = asyncio.get_running_loop()
        for number in SIGNALS:
            with suppress(ValueError, RuntimeError, NotImplementedError):  # not the main thread, or not this system
                before = signal.getsignal(number)
                if number is signal.SIGHUP and before is signal.SIG_IGN:
                    continue  # started under nohup: a closed terminal must not stop it
                loop.add_signal_handler(number, self._tell, number)
                self._heard[number] = before

    def __exit__(self, *args: object) -> None:
        loop = asyncio.get_running_loop()
        for number, before in self._heard.items():
            loop.remove_signal_handler(number)
            signal.signal(number, before)
