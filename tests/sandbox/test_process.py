"""The sandbox as a process of its own: `python -m bulkmsg.sandbox`."""

import ast
import json
import signal
import subprocess
import sys
import urllib.request
from dataclasses import fields
from pathlib import Path

import pytest

import bulkmsg.sandbox
from bulkmsg.sandbox.cli import parse, parser
from bulkmsg.sandbox.settings import SandboxSettings

ROOM = Path(bulkmsg.sandbox.__file__).parent


def test_the_url_is_the_first_line_and_a_signal_ends_it_with_0() -> None:
    command = [sys.executable, "-m", "bulkmsg.sandbox", "--limit", "400", "--window", "2", "--seed", "7"]
    with subprocess.Popen(command, stdout=subprocess.PIPE, text=True) as process:
        assert process.stdout is not None
        url = process.stdout.readline().strip()
        with urllib.request.urlopen(url + "/_sandbox/state") as reply:
            assert json.load(reply)["account"] == "sandbox"
        process.send_signal(signal.SIGTERM)
        assert process.wait(5) == 0


@pytest.mark.parametrize(
    ("arguments", "said"),
    [(["--faults", "fire=1"], "no fault is called 'fire'"), (["--limit", "0"], "limit: must be at least 1")],
)
def test_settings_that_make_no_sense_end_it_with_2(
    arguments: list[str], said: str, capsys: pytest.CaptureFixture[str]
) -> None:
    from bulkmsg.sandbox.__main__ import main

    assert main(arguments) == 2
    assert said in capsys.readouterr().err


def test_every_setting_has_a_flag() -> None:
    flags = {option for action in parser()._actions for option in action.option_strings}
    assert {"--" + each.name.replace("_", "-") for each in fields(SandboxSettings)} <= flags


def test_without_flags_the_settings_are_the_defaults() -> None:
    assert parse([]) == SandboxSettings()


def test_flags_become_settings() -> None:
    line = (
        "--port 8089 --limiter window --latency 0.1:0.2 --tickets 1 2 --merged 3:4 --deleted 5 --agents a@b.c d@e.f "
        "--no-auto-tickets --strict-integrations --rules Auto=ticket-created --token-life 60 --external-ids cut"
    )
    assert parse([*line.split(), "--account-settings", '{"auto-merge": {}}']) == SandboxSettings(
        port=8089,
        limiter="window",
        latency=(0.1, 0.2),
        tickets=(1, 2),
        merged={3: 4},
        deleted=frozenset({5}),
        agents=("a@b.c", "d@e.f"),
        auto_tickets=False,
        strict_integrations=True,
        rules={"Auto": "ticket-created"},
        token_life=60.0,
        external_ids="cut",
        account_settings={"auto-merge": {}},
    )


def imports(file: Path) -> set[str]:
    found: set[str] = set()
    for node in ast.walk(ast.parse(file.read_text())):
        if isinstance(node, ast.Import):
            found |= {alias.name for alias in node.names}
        elif isinstance(node, ast.ImportFrom):
            found.add(node.module or "")
    return found


def test_it_imports_nothing_of_the_house_and_each_library_through_one_door() -> None:
    for file in ROOM.glob("*.py"):
        names = imports(file)
        assert not [n for n in names if n.startswith("bulkmsg") and not n.startswith("bulkmsg.sandbox")], file
        roots = {name.partition(".")[0] for name in names}
        assert ("aiohttp" in roots) == (file.name == "server.py")
        assert ("jinja2" in roots) == (file.name == "page.py")
