"""Signals are heard by a run while it goes on, and by nobody else."""

from __future__ import annotations

import asyncio
import signal
from collections.abc import Callable
from contextlib import suppress

from bulkmsg.errors import ExitCode

SIGNALS = {
    signal.SIGINT: ExitCode.SIGINT,
    signal.SIGTERM: ExitCode.SIGTERM,
    signal.SIGHUP: ExitCode.SIGHUP,
}


class Listening:
    """Tells each signal of `SIGNALS` while it is entered; needs a running loop."""

    def __init__(self, tell: Callable[[signal.Signals], None]) -> None:
        self._tell = tell
        self._heard: list[signal.Signals] = []

    def __enter__(self) -> None:
        loop = asyncio.get_running_loop()
        for number in SIGNALS:
            with suppress(ValueError, RuntimeError, NotImplementedError):  # not the main thread, or not this system
                if number is signal.SIGHUP and signal.getsignal(number) is signal.SIG_IGN:
                    continue  # started under nohup: a closed terminal must not stop it
                loop.add_signal_handler(number, self._tell, number)
                self._heard.append(number)

    def __exit__(self, *args: object) -> None:
        loop = asyncio.get_running_loop()
        for number in self._heard:
            loop.remove_signal_handler(number)
