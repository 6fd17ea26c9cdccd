"""Shows a run while it goes on, on the error stream and nowhere else.

The one room that imports rich, and only when a bar is drawn. Nothing here may decide anything, and nothing may keep the
sending from going on: a stream that is closed, full or cannot show a character costs the display and no more.
"""

from __future__ import annotations

import asyncio
import contextlib
import math
import os
import select
import sys
from collections.abc import Callable
from datetime import datetime, timedelta
from enum import StrEnum
from typing import TYPE_CHECKING, TextIO

from bulkmsg.events import RunView
from bulkmsg.outcome import COUNTED, State

if TYPE_CHECKING:
    from rich.console import Console, RenderableType
    from rich.live import Live

_TICK = 0.25
_PLAIN_EVERY = 10.0
_DECILES = 10
_FAR_AWAY = 10 * 365 * 86_400.0
_DOT = " · "


class Style(StrEnum):
    """How a run is shown. A bar needs a terminal: elsewhere it is plain lines."""

    AUTO = "auto"
    BAR = "bar"
    PLAIN = "plain"
    NONE = "none"


class Display:
    """Shows what `view` tells, until its task is cancelled; then one last line stays.

    Args:
        style: how; `auto` draws a bar on a terminal and writes plain lines elsewhere.
        view: a look at the run, asked four times a second.
        title: what is run, in front of the bar.
        stream: where to, the error stream by default.
        now: the local time, from which the time of the end is told.
    """

    def __init__(
        self,
        style: Style,
        view: Callable[[], RunView],
        *,
        title: str = "",
        stream: TextIO | None = None,
        now: Callable[[], datetime] = datetime.now,
    ) -> None:
        self._view = view
        self._now = now
        self._stream = stream if stream is not None else sys.stderr
        self._face = _face(style, self._stream, title)

    async def run(self) -> None:
        """Show the run, again and again, until cancelled."""
        try:
            while True:
                self._attempt(lambda: self._face.show(self._view(), self._now(), asyncio.get_running_loop().time()))
                await asyncio.sleep(_TICK)
        finally:
            self._attempt(lambda: self._face.last(self._view(), self._now()))

    def note(self, text: str) -> None:
        """Say one line: above the bar, or among the plain lines."""
        self._attempt(lambda: self._face.note(text))

    def _attempt(self, show: Callable[[], None]) -> None:
        with contextlib.suppress(Exception):
            if _takes_a_line(self._stream):
                show()


class _Silent:
    """Shows nothing; the shape of every face."""

    def show(self, view: RunView, now: datetime, at: float) -> None: ...

    def last(self, view: RunView, now: datetime) -> None: ...

    def note(self, text: str) -> None: ...


class _Plain(_Silent):
    """One line every ten seconds, and whenever another tenth is done."""

    def __init__(self, stream: TextIO) -> None:
        self._stream = stream
        self._shown_at = -math.inf
        self._tenth = 0
        self._line = ""

    def show(self, view: RunView, now: datetime, at: float) -> None:
        tenth = math.floor(_part(view) * _DECILES)
        if tenth == self._tenth and at - self._shown_at < _PLAIN_EVERY:
            return
        self._tenth, self._shown_at = tenth, at
        self._write(plain_line(view, now))

    def last(self, view: RunView, now: datetime) -> None:
        line = plain_line(view, now)
        if line != self._line:
            self._write(line)

    def note(self, text: str) -> None:
        self._write(text)

    def _write(self, line: str) -> None:
        self._line = line
        self._stream.write(_showable(line, self._stream) + "\n")
        self._stream.flush()


class _Bar(_Silent):
    """A bar and a line below it, drawn over and over in place."""

    def __init__(self, stream: TextIO, title: str) -> None:
        self._stream = stream
        self._title = title
        self._live: Live | None = None

    def show(self, view: RunView, now: datetime, at: float) -> None:
        if self._live is None:
            self._live = self._begin()
        self._live.update(self._picture(view, now), refresh=True)

    def last(self, view: RunView, now: datetime) -> None:
        if self._live is not None:
            self._live.stop()
        _Plain(self._stream).note(plain_line(view, now))

    def note(self, text: str) -> None:
        if self._live is None:
            _Plain(self._stream).note(text)
        else:
            self._live.console.print(self._text(text))

    def _begin(self) -> Live:
        from rich.live import Live

        console = _console(self._stream)
        live = Live(console=console, auto_refresh=False, transient=True, redirect_stdout=False, redirect_stderr=False)
        live.start()
        return live

    def _picture(self, view: RunView, now: datetime) -> RenderableType:
        from rich.console import Group
        from rich.progress_bar import ProgressBar
        from rich.table import Table

        bar = Table.grid(padding=(0, 1))
        head = [self._text(self._title)] if self._title else []
        bar.add_row(
            *head, ProgressBar(total=max(view.total, 1), completed=_done(view), width=40), self._text(_per_cent(view))
        )
        return Group(bar, self._text(bar_line(view, now)))

    def _text(self, text: str) -> RenderableType:
        from rich.text import Text

        return Text(
            _showable(text, self._stream), no_wrap=True, overflow="ellipsis" if _speaks_utf(self._stream) else "crop"
        )


def _console(stream: TextIO) -> Console:
    from rich.console import Console

    class Calm(Console):
        """On a broken pipe rich ends the process and puts standard output to sleep; here it is one more lost line."""

        def on_broken_pipe(self) -> None:
            raise OSError("nobody reads the display any more")

    return Calm(file=stream, force_terminal=True, markup=False, highlight=False, emoji=False)


def _face(style: Style, stream: TextIO | None, title: str) -> _Silent:
    if style is Style.NONE or stream is None:
        return _Silent()
    if style is not Style.PLAIN and _is_terminal(stream):
        return _Bar(stream, title)
    return _Plain(stream)


def plain_line(view: RunView, now: datetime) -> str:
    """`120 of 900 created, 2 rejected · 1.9/s of 40/20s · 6 min 30 s left, ends 18:42`"""
    created = f"{view.counts.get(State.CREATED, 0)} of {view.total} created"
    others = [f"{number} {name}" for name, number in _standing(view) if name != State.CREATED]
    return _DOT.join([", ".join([created, *others]), *_pace(view, now)])


def bar_line(view: RunView, now: datetime) -> str:
    """What stands below the bar: done of total, what became of them, and how fast it goes."""
    became = ", ".join(f"{number} {name}" for name, number in _standing(view))
    return _DOT.join([f"{_done(view)} of {view.total}", *([became] if became else []), *_pace(view, now)])


def spoken_duration(seconds: float) -> str:
    """A duration as people say it: `45 s`, `6 min 30 s`, `2 h 05 min`, `3 d 04 h`."""
    whole = math.ceil(max(0.0, min(seconds, _FAR_AWAY)))
    if whole < 60:
        return f"{whole} s"
    if whole < 3600:
        return f"{whole // 60} min {whole % 60:02} s"
    minutes = math.ceil(whole / 60)
    if minutes < 24 * 60:
        return f"{minutes // 60} h {minutes % 60:02} min"
    hours = math.ceil(minutes / 60)
    return f"{hours // 24} d {hours % 24:02} h"


def _pace(view: RunView, now: datetime) -> list[str]:
    said = [f"{view.recent_rate:.1f}/s of {view.limit}"]
    if view.waiting:
        said.append(f"waiting {view.waiting}")
    if view.remaining is not None and 0 < view.remaining < _FAR_AWAY:
        said.append(f"{spoken_duration(view.remaining)} left, ends {ends_at(now, view.remaining)}")
    return said


def ends_at(now: datetime, remaining: float) -> str:
    """When something ends that takes so many seconds more: the time of day, with the date where it is another day."""
    end = now + timedelta(seconds=remaining)
    return end.strftime("%H:%M" if end.date() == now.date() else "%Y-%m-%d %H:%M")


def _standing(view: RunView) -> list[tuple[str, int]]:
    """The outcomes that are not zero, in the order in which people read them."""
    counted = [(state.replace("_", " "), view.counts.get(state, 0)) for state in COUNTED if state is not State.PENDING]
    return [(name, number) for name, number in counted if number]


def _done(view: RunView) -> int:
    return view.total - view.counts.get(State.PENDING, 0)


def _part(view: RunView) -> float:
    return _done(view) / view.total if view.total else 1.0


def _per_cent(view: RunView) -> str:
    return f"{math.floor(100 * _part(view))} %"


def _is_terminal(stream: TextIO) -> bool:
    with contextlib.suppress(Exception):  # a closed stream raises
        return stream.isatty() and os.environ.get("TERM", "") != "dumb"
    return False


def _takes_a_line(stream: TextIO | None) -> bool:
    """Whether a write would go through at once: a stopped terminal or a full pipe must not stop the sending."""
    if stream is None or stream.closed:
        return False
    try:
        number = stream.fileno()
    except (OSError, ValueError, AttributeError):
        return True  # no file of the system's, so nothing that can be full
    return bool(select.select([], [number], [], 0)[1])


def _speaks_utf(stream: TextIO) -> bool:
    return (getattr(stream, "encoding", None) or "utf-8").lower().startswith("utf")


def _showable(text: str, stream: TextIO) -> str:
    """One line that the stream can show: control characters escaped, what its encoding lacks put in ASCII."""
    line = "".join(char if char.isprintable() else char.encode("unicode_escape").decode() for char in text)
    if _speaks_utf(stream):
        return line
    encoding = stream.encoding
    return line.replace("·", "-").encode(encoding, "replace").decode(encoding)
