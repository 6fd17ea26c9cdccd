"""What people see while a run goes on, on every kind of stream there is."""

from __future__ import annotations

import asyncio
import contextlib
import io
import os
import subprocess
import sys
from collections.abc import Callable
from dataclasses import replace
from datetime import datetime

import pytest

from bulkmsg.events import RunView
from bulkmsg.progress import Display, Style, bar_line, plain_line, spoken_duration
from tests.virtual_clock import run_virtual

NOON = datetime(2025, 3, 4, 12, 0)
VIEW = RunView(900, {"created": 120, "pending": 780}, 125, 0, 1.94, "40/20s", 62.0, 390.0)


class Terminal(io.StringIO):
    def isatty(self) -> bool:
        return True


class Latin(io.TextIOWrapper):
    def __init__(self, encoding: str = "ascii", tty: bool = False) -> None:
        self.bytes = io.BytesIO()
        super().__init__(self.bytes, encoding=encoding)
        self.tty = tty

    def isatty(self) -> bool:
        return self.tty

    def text(self) -> str:
        self.flush()
        return self.bytes.getvalue().decode(self.encoding)


class Broken(io.StringIO):
    def __init__(self, error: Exception, tty: bool) -> None:
        super().__init__()
        self.error, self.tty = error, tty

    def isatty(self) -> bool:
        return self.tty

    def write(self, text: str) -> int:
        raise self.error


@pytest.fixture(autouse=True)
def plain_environment(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("TERM", "xterm")
    monkeypatch.setenv("COLUMNS", "140")
    for name in ("NO_COLOR", "FORCE_COLOR"):
        monkeypatch.delenv(name, raising=False)


def show(
    stream: io.TextIOBase | None,
    seconds: float,
    view: Callable[[], RunView] = lambda: VIEW,
    style: Style = Style.AUTO,
    notes: tuple[str, ...] = (),
) -> None:
    """Show a run for some virtual seconds, then cancel the display."""

    async def main() -> None:
        display = Display(style, view, title="batch.yaml", stream=stream, now=lambda: NOON)  # type: ignore[arg-type]
        task = asyncio.create_task(display.run())
        await asyncio.sleep(seconds)
        for note in notes:
            display.note(note)
        task.cancel()
        with contextlib.suppress(asyncio.CancelledError):
            await task

    run_virtual(main())


def growing(per_look: int) -> Callable[[], RunView]:
    done = iter(range(0, 100_000, per_look))

    def view() -> RunView:
        created = min(next(done), VIEW.total)
        return replace(VIEW, counts={"created": created, "pending": VIEW.total - created})

    return view


def test_the_plain_line_says_it_all() -> None:
    assert plain_line(VIEW, NOON) == "120 of 900 created · 1.9/s of 40/20s · 6 min 30 s left, ends 12:06"


def test_what_went_wrong_is_counted_and_zero_is_not_said() -> None:
    counts = {"created": 120, "rejected": 2, "in_doubt": 1, "held_back": 0, "pending": 777}
    assert plain_line(replace(VIEW, counts=counts), NOON).startswith("120 of 900 created, 2 rejected, 1 in doubt · ")
    assert bar_line(replace(VIEW, counts=counts), NOON).startswith(
        "123 of 900 · 120 created, 2 rejected, 1 in doubt · "
    )


def test_what_it_waits_for_is_said() -> None:
    view = replace(VIEW, waiting="12 s: the helpdesk asked for a pause")
    assert " · waiting 12 s: the helpdesk asked for a pause · " in bar_line(view, NOON)


@pytest.mark.parametrize("remaining", [None, 0.0, float("inf"), float("nan"), 1e300])
def test_an_unknown_end_is_not_told(remaining: float | None) -> None:
    assert plain_line(replace(VIEW, remaining=remaining), NOON).endswith("of 40/20s")


def test_an_end_on_another_day_has_its_date() -> None:
    assert plain_line(replace(VIEW, remaining=13 * 3600), NOON).endswith("13 h 00 min left, ends 2025-03-05 01:00")


@pytest.mark.parametrize(
    ("seconds", "said"),
    [
        (-1, "0 s"),
        (0, "0 s"),
        (0.2, "1 s"),
        (59.5, "1 min 00 s"),
        (390, "6 min 30 s"),
        (3599, "59 min 59 s"),
        (7500, "2 h 05 min"),
        (86_399, "1 d 00 h"),
        (3 * 86_400 + 4 * 3600, "3 d 04 h"),
    ],
)
def test_durations_as_people_say_them(seconds: float, said: str) -> None:
    assert spoken_duration(seconds) == said


def test_plain_lines_come_every_ten_seconds_and_at_the_end() -> None:
    stream = io.StringIO()
    show(stream, 35.1, growing(1))
    assert len(stream.getvalue().splitlines()) == 6  # at 0, 10, 20, 30, at the first tenth, at the end


def test_plain_lines_come_at_each_tenth() -> None:
    stream = io.StringIO()
    show(stream, 9.0, growing(30))
    assert [line.split()[0] for line in stream.getvalue().splitlines()] == [str(90 * n) for n in range(11)]


def test_the_last_line_is_not_said_twice() -> None:
    stream = io.StringIO()
    show(stream, 1.0)
    assert stream.getvalue() == plain_line(VIEW, NOON) + "\n"


def test_a_terminal_gets_a_bar_and_keeps_one_line() -> None:
    stream = Terminal()
    show(stream, 1.0, notes=("something happened [red]here[/red]",))
    drawn = stream.getvalue()
    assert "━" in drawn and "13 %" in drawn and "batch.yaml" in drawn
    assert "something happened [red]here[/red]" in drawn
    assert drawn.endswith(plain_line(VIEW, NOON) + "\n")


@pytest.mark.parametrize("style", [Style.AUTO, Style.BAR])
def test_a_dumb_terminal_and_a_file_get_plain_lines(style: Style, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("TERM", "dumb")
    for stream in (Terminal(), io.StringIO()):
        show(stream, 1.0, style=style)
        assert stream.getvalue() == plain_line(VIEW, NOON) + "\n"


def test_none_shows_nothing() -> None:
    stream = Terminal()
    show(stream, 30.0, style=Style.NONE, notes=("a note",))
    assert stream.getvalue() == ""


@pytest.mark.parametrize("tty", [True, False])
@pytest.mark.parametrize("error", [BrokenPipeError(), ValueError("closed"), OSError(5, "gone"), RuntimeError()])
def test_a_broken_stream_stops_nothing(error: Exception, tty: bool) -> None:
    show(Broken(error, tty), 30.0, notes=("a note",))


def test_a_closed_or_missing_stream_stops_nothing(monkeypatch: pytest.MonkeyPatch) -> None:
    closed = Terminal()
    closed.close()
    show(closed, 30.0, notes=("a note",))
    monkeypatch.setattr(sys, "stderr", None)
    show(None, 30.0, notes=("a note",))


def test_a_view_that_fails_stops_nothing() -> None:
    def view() -> RunView:
        raise ZeroDivisionError

    show(io.StringIO(), 30.0, view)


def test_a_pipe_that_nobody_reads_stops_nothing() -> None:
    reader, writer = os.pipe()
    os.set_blocking(writer, False)
    with contextlib.suppress(BlockingIOError):
        while os.write(writer, b"x" * 4096):
            pass
    os.set_blocking(writer, True)
    with os.fdopen(writer, "w") as stream:
        show(stream, 3600.0, growing(1), notes=("a note",))
        os.close(reader)


@pytest.mark.parametrize("encoding", ["ascii", "latin-1", "cp437"])
@pytest.mark.parametrize("tty", [True, False])
def test_a_stream_without_unicode_gets_what_it_can_show(encoding: str, tty: bool) -> None:
    stream = Latin(encoding, tty)
    show(stream, 1.0, notes=("日本 · é",))
    assert "120 of 900 created - 1.9/s of 40/20s - 6 min 30 s left" in stream.text()
    assert "?? - " in stream.text()


@pytest.mark.parametrize("columns", ["1", "2", "10", "40"])
def test_a_narrow_terminal_stops_nothing(columns: str, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("COLUMNS", columns)
    stream = Terminal()
    show(stream, 1.0, notes=("a note",))
    assert stream.getvalue().endswith(plain_line(VIEW, NOON) + "\n")


def test_no_color_is_obeyed(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("NO_COLOR", "1")
    stream = Terminal()
    show(stream, 1.0)
    assert "━" in stream.getvalue()
    assert "\x1b[38" not in stream.getvalue() and "\x1b[3" not in stream.getvalue()


@pytest.mark.parametrize("stream", [Terminal(), io.StringIO()])
def test_names_cannot_speak_to_the_terminal(stream: io.StringIO) -> None:
    show(stream, 1.0, notes=("evil\x1b]0;title\x07\nname\u202e",))
    assert r"evil\x1b]0;title\x07\nname\u202e" in stream.getvalue()


def test_an_empty_batch_is_whole() -> None:
    stream = Terminal()
    show(stream, 1.0, lambda: RunView(0, {}, 0, 0, 0.0, "40/20s", 0.0, None))
    assert "100 %" in stream.getvalue()


def test_plain_lines_never_load_rich() -> None:
    code = (
        "import asyncio, io, sys\n"
        "from bulkmsg.progress import Display, Style\n"
        "from bulkmsg.events import RunView\n"
        "view = RunView(1, {}, 0, 0, 0.0, '40/20s', 0.0, None)\n"
        "display = Display(Style.PLAIN, lambda: view)\n"
        "display.note('a note')\n"
        "try: asyncio.run(asyncio.wait_for(display.run(), 0.01))\n"
        "except TimeoutError: pass\n"
        "print('rich' in sys.modules)\n"
    )
    done = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, check=True)
    assert done.stdout == "False\n"
    assert "1 of 1" in done.stderr or "0 of 1 created" in done.stderr
