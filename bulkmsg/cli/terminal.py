"""The one place that writes: answers to stdout, talk to stderr. No stream that fails ends a command.

Whatever is shown as text passes through here, so nothing from a user's file reaches a terminal as a control character.
"""

from __future__ import annotations

import errno
import os
import sys
from collections.abc import Iterable
from contextlib import suppress
from typing import TextIO

from bulkmsg.reports.words import visible


class Terminal:
    """The two streams of a command.

    Attributes:
        lost: why the answer could not be written whole, empty if it was or if its reader just left.
    """

    def __init__(self) -> None:
        self.lost = ""
        self._open = True

    def say(self, *lines: str) -> None:
        """Talk, for people."""
        with suppress(OSError, ValueError):
            if sys.stderr is not None:
                _write(sys.stderr, _safe(lines))

    def answer(self, *lines: str) -> bool:
        """The answer for people, shown as well as the terminal can. Returns whether anybody still reads."""
        return self._put(_safe(lines), "")

    def data(self, pieces: Iterable[str]) -> bool:
        """The answer for programs: always UTF-8, in pieces that bring their own line ends."""
        return all(self._put(piece, "utf-8") for piece in pieces)

    def close(self) -> None:
        """Write out what is left. Without this Python complains about a closed pipe when it ends."""
        try:
            if sys.stdout is not None:
                sys.stdout.flush()
        except (OSError, ValueError) as error:
            self._lose(error)
        with suppress(OSError, ValueError):
            if sys.stderr is not None:
                sys.stderr.flush()

    @property
    def asks(self) -> bool:
        """Whether a person can be asked."""
        return _is_terminal(sys.stdin) and _is_terminal(sys.stderr)

    @property
    def reads_from_person(self) -> bool:
        """Whether what is read from stdin is typed."""
        return _is_terminal(sys.stdin)

    @property
    def answers_to_person(self) -> bool:
        """Whether the answer goes to a terminal."""
        return _is_terminal(sys.stdout)

    def ask(self, question: str) -> str:
        """What a person types, empty at the end of input."""
        with suppress(OSError, ValueError):
            _write(sys.stderr, visible(question))
        return sys.stdin.readline().strip()

    def lose(self, error: BaseException) -> None:
        """Note that the answer's stream failed while somebody else wrote to it."""
        self._lose(error)

    def _put(self, text: str, encoding: str) -> bool:
        if not self._open or sys.stdout is None:
            return False
        try:
            _write(sys.stdout, text, encoding)
        except (OSError, ValueError) as error:
            self._lose(error)
        return self._open

    def _lose(self, error: BaseException) -> None:
        self._open = False
        if not isinstance(error, ValueError) and getattr(error, "errno", None) not in (errno.EPIPE, errno.EBADF):
            self.lost = self.lost or str(getattr(error, "strerror", "") or error)
        with suppress(OSError, ValueError):  # what is still in the buffer goes nowhere, without a word
            sink = os.open(os.devnull, os.O_WRONLY)
            os.dup2(sink, sys.stdout.fileno())
            os.close(sink)


def _safe(lines: Iterable[str]) -> str:
    return "".join(visible(line, keep="\n") + "\n" for line in lines)


def _write(stream: TextIO, text: str, encoding: str = "") -> None:
    """A text in the stream's own encoding, or the one given; what it cannot show is written as an escape."""
    raw = getattr(stream, "buffer", None)
    if raw is None:
        stream.write(text)
    else:
        stream.flush()
        raw.write(text.encode(encoding or stream.encoding or "utf-8", "backslashreplace"))
        raw.flush()


def _is_terminal(stream: TextIO | None) -> bool:
    with suppress(OSError, ValueError):
        return stream is not None and stream.isatty()
    return False
