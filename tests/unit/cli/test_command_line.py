"""The command line by itself: which flags there are, what they are read into, what is never taken from outside."""

from __future__ import annotations

import io
import sys
from importlib import import_module
from pathlib import Path
from typing import Any

import click
import pytest

from bulkmsg.cli import findings, main
from bulkmsg.cli.options import BatchArgs
from bulkmsg.cli.results import outcomes
from bulkmsg.cli.root import COMMANDS, root
from bulkmsg.cli.sandbox import settings_of
from bulkmsg.cli.terminal import Terminal
from bulkmsg.errors import UsageError

CONTEXT = click.Context(root)


def commands() -> list[click.Command]:
    return [import_module(f"bulkmsg.cli.{name}").command for name in COMMANDS]


def options() -> list[tuple[str, click.Option]]:
    inner = [(each, (each, *getattr(each, "commands", {}).values())) for each in commands()]
    return [
        (each.name or "", param)
        for each, parts in inner
        for part in parts
        for param in part.params
        if isinstance(param, click.Option)
    ]


@pytest.mark.parametrize("name", COMMANDS)
def test_the_list_of_commands_says_what_each_says_of_itself(name: str) -> None:
    command = root.get_command(CONTEXT, name)
    assert command is not None
    assert (command.help or "").splitlines()[0] == COMMANDS[name]


def test_every_flag_has_a_variable_but_those_that_must_be_said_with_the_command() -> None:
    without = {flag.opts[-1] for _, flag in options() if not flag.envvar}
    assert without == {"--mode", "--allow-send", "--yes", "--resend", "--rebuild-log", "--takeover"}
    for command, flag in options():
        if flag.envvar:
            long = next(each for each in flag.opts if each.startswith("--"))
            own = long[2:].replace("-", "_").upper()
            starts = {"sandbox": {"BULKMSG_SANDBOX_"}, "auth": {"BULKMSG_AUTH_", "BULKMSG_"}}.get(command, {"BULKMSG_"})
            assert flag.envvar in {start + own for start in starts}


def test_every_flag_says_what_it_does() -> None:
    assert [flag.opts for _, flag in options() if not flag.help] == []


def test_the_next_command_can_be_copied() -> None:
    args = BatchArgs("my batch.csv", typed=(("--mode", "send"), ("--progress-log", "x y.jsonl")))
    assert args.command("run") == "bulkmsg run 'my batch.csv' --mode send --progress-log 'x y.jsonl'"
    assert args.command("validate") == "bulkmsg validate 'my batch.csv' --mode send"
    assert BatchArgs("-x.yaml").command("run") == "bulkmsg run ./-x.yaml"


def test_outcomes_are_read_however_they_are_written() -> None:
    assert outcomes(("rejected,in-doubt", "held_back")) == {"rejected", "in_doubt", "held_back"}
    assert "pending" in outcomes(())
    with pytest.raises(UsageError, match="refused"):
        outcomes(("refused",))


def test_the_flags_of_the_sandbox_become_its_settings() -> None:
    settings = settings_of({"port": 0, "latency": "100ms:0.4s", "merged": ("17:18",), "no_auto_tickets": True})
    assert settings.latency == (0.1, 0.4)
    assert settings.merged == {17: 18}
    assert not settings.auto_tickets
    with pytest.raises(UsageError):
        settings_of({"merged": ("17",)})


@pytest.mark.parametrize(
    ("words", "said"),
    [
        (["rnu"], "Did you mean 'run'?"),
        (["run", "x.yaml", "--sandbx"], "--sandbox"),
        (["run", "x.yaml", "--mode", "sned"], "'send'"),
        (["plan"], "Missing argument"),
        (["run", "x.yaml", "--rate", "0/1s"], "--rate"),
    ],
)
def test_a_wrong_command_line_is_told_what_was_meant(
    words: list[str], said: str, capsys: pytest.CaptureFixture[str]
) -> None:
    assert main(words) == 2
    assert said in capsys.readouterr().err


# -- lines of files --------------------------------------------------------------------------------------------------


@pytest.mark.parametrize(
    "data",
    [
        b"one\ntwo\nthree",
        b"one\r\ntwo\r\nthree\r\n",
        b"one\rtwo\rthree",
        b"\xef\xbb\xbfone\ntwo\nthree\n",
        "one\x0c\u2028\ntwo\nthree".encode(),
    ],
)
def test_lines_are_counted_as_editors_do(tmp_path: Path, data: bytes) -> None:
    file = tmp_path / "a.yaml"
    file.write_bytes(data)
    found = findings.read_lines(file, {1, 2, 3, 9})
    assert found[1].startswith("one")
    assert (found[2], found[3]) == ("two", "three")


def test_a_line_across_the_pieces_in_which_a_file_is_read_stays_whole(tmp_path: Path) -> None:
    file = tmp_path / "a.csv"
    file.write_text("x" * 200_000 + "é\nnext\n")
    assert findings.read_lines(file, {1, 2}) == {1: "x" * 200_000 + "é", 2: "next"}


def test_a_line_that_is_no_text_is_not_shown(tmp_path: Path) -> None:
    file = tmp_path / "a.csv"
    file.write_bytes(b"caf\xe9\nplain\n")
    assert findings.read_lines(file, {1, 2}) == {2: "plain"}
    assert findings.read_lines(file, {1}, "windows-1252") == {1: "café"}
    assert findings.read_lines(tmp_path / "none", {1}) == {}


# -- streams ---------------------------------------------------------------------------------------------------------


class Broken(io.RawIOBase):
    """A stream that fails as the system says."""

    def __init__(self, error: OSError) -> None:
        self.error = error

    def writable(self) -> bool:
        return True

    def write(self, data: Any) -> int:
        raise self.error


def _stdout(monkeypatch: pytest.MonkeyPatch, raw: Any, encoding: str = "utf-8") -> None:
    monkeypatch.setattr(sys, "stdout", io.TextIOWrapper(raw, encoding=encoding))


def test_a_reader_who_left_is_no_trouble(monkeypatch: pytest.MonkeyPatch) -> None:
    _stdout(monkeypatch, Broken(BrokenPipeError(32, "Broken pipe")))
    terminal = Terminal()
    assert not terminal.answer("x")
    assert not terminal.data(["y"])
    assert terminal.lost == ""


def test_a_full_disk_is_told(monkeypatch: pytest.MonkeyPatch) -> None:
    _stdout(monkeypatch, Broken(OSError(28, "No space left on device")))
    terminal = Terminal()
    assert not terminal.answer("x")
    assert terminal.lost == "No space left on device"


def test_what_a_terminal_cannot_show_is_escaped_but_data_stay_utf_8(monkeypatch: pytest.MonkeyPatch) -> None:
    raw = io.BytesIO()
    _stdout(monkeypatch, raw, "ascii")
    terminal = Terminal()
    assert terminal.answer("Grüße \x1b[31m")
    assert terminal.data(["Grüße\n"])
    assert raw.getvalue() == b"Gr\\xfc\\xdfe \\x1b[31m\n" + "Grüße\n".encode()


def test_no_stdout_at_all_is_no_trouble(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(sys, "stdout", None)
    assert main(["schema", "batch"]) == 0


# -- the last handler ------------------------------------------------------------------------------------------------


def _fail(error: BaseException) -> Any:
    def command(*args: object, **more: object) -> None:
        raise error

    return command


def test_a_bug_is_told_without_anything_private(
    monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    monkeypatch.delenv("BULKMSG_DEBUG", raising=False)
    monkeypatch.setattr("bulkmsg.cli.schema.print_schema", _fail(ValueError("jane@example.com wrote: hello")))
    assert main(["schema"]) == 70
    told = capsys.readouterr().err
    assert "ValueError at cli/schema.py:" in told
    assert "jane" not in told
    assert "Traceback" not in told


def test_a_traceback_is_shown_when_asked_for_and_holds_no_credential(
    monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    monkeypatch.setenv("BULKMSG_DEBUG", "1")
    monkeypatch.setenv("GORGIAS_EMAIL", "anna@acme.example")
    monkeypatch.setenv("GORGIAS_API_KEY", "0123456789abcdef")
    monkeypatch.setattr("bulkmsg.cli.schema.print_schema", _fail(ValueError("with key 0123456789abcdef")))
    assert main(["schema"]) == 70
    told = capsys.readouterr().err
    assert "Traceback" in told
    assert "0123456789abcdef" not in told


def test_ctrl_c_ends_without_a_traceback(monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]) -> None:
    monkeypatch.setattr("bulkmsg.cli.schema.print_schema", _fail(KeyboardInterrupt()))
    assert main(["schema"]) == 130
    assert capsys.readouterr().err.split() == ["interrupted"]


def test_the_message_of_an_error_is_shown_harmless(capsys: pytest.CaptureFixture[str]) -> None:
    assert main(["schema", "x\x1b[31m"]) == 2
    assert "\x1b" not in capsys.readouterr().err
