"""Runs that end early by a rule of the user's, and logs left open elsewhere, with the real command."""

from __future__ import annotations

import json
import socket
import time
from datetime import UTC, datetime, timedelta
from pathlib import Path
from typing import Any

import pytest

from bulkmsg.journal import LogIdentity, ProgressLog, RunInfo, read_fold
from bulkmsg.message import Mode
from tests.acceptance.batches import (
    OPTIONS,
    QUICK,
    created,
    history_batch,
    landed_once,
    log_of,
    requests,
    start,
    until_some_arrived,
)
from tests.acceptance.servers import run, sandbox

ONE_AT_A_TIME = ("-j", "1")
UNKNOWN = ("--no-auto-tickets",)


def answer(done: Any) -> dict[str, int]:
    found: dict[str, int] = json.loads(done.stdout)
    return found


# -- errors ----------------------------------------------------------------------------------------------------------


def test_a_batch_for_another_account_stops_after_the_twenty_sixth_error(tmp_path: Path) -> None:
    batch = history_batch(tmp_path, 80, tickets=80)
    with sandbox(*QUICK, *UNKNOWN) as url:
        done = run(url, "run", batch, *OPTIONS, *ONE_AT_A_TIME)
        assert done.returncode == 5, done.stderr
        assert (answer(done)["rejected"], answer(done)["pending"]) == (26, 54)
        assert "26 of the 26 messages worked on were rejected or failed, 26 in a row" in done.stderr
        assert "26 of them: HTTP 404" in done.stderr
        assert "another account" in done.stderr
        assert done.stderr.splitlines()[-1] == f"next: bulkmsg results {batch} --only rejected,failed"
        assert requests(url)["POST /api/tickets/{id}/messages"] == 26


def test_running_again_goes_on_behind_the_errors(tmp_path: Path) -> None:
    batch = history_batch(tmp_path, 12, tickets=12)
    with sandbox(*QUICK, *UNKNOWN, "--tickets", *map(str, range(5, 13))) as url:
        done = run(url, "run", batch, *OPTIONS, *ONE_AT_A_TIME, "--max-errors", "2")
        assert (done.returncode, answer(done)["rejected"], answer(done)["created"]) == (5, 3, 0)
        done = run(url, "run", batch, *OPTIONS, *ONE_AT_A_TIME, BULKMSG_MAX_ERRORS="2")
        assert (done.returncode, answer(done)["rejected"], answer(done)["created"]) == (1, 4, 8), done.stderr


@pytest.mark.parametrize(("bears", "code", "rejected"), [("0", 5, 1), ("10%", 5, 3), ("50%", 1, 10), ("100%", 1, 10)])
def test_how_many_errors_a_run_bears(tmp_path: Path, bears: str, code: int, rejected: int) -> None:
    batch = history_batch(tmp_path, 20, tickets=20)
    with sandbox(*QUICK, *UNKNOWN, "--tickets", *map(str, range(11, 21))) as url:
        done = run(url, "run", batch, *OPTIONS, *ONE_AT_A_TIME, "--max-errors", bears)
        assert (done.returncode, answer(done)["rejected"]) == (code, rejected), done.stderr


# -- rejections ------------------------------------------------------------------------------------------------------


def test_the_rest_of_a_ticket_waits_or_goes_on_or_the_run_stops(tmp_path: Path) -> None:
    for choice, code, told in [
        ("hold-ticket", 1, {"rejected": 1, "held_back": 2, "created": 3, "pending": 0}),
        ("continue", 1, {"rejected": 3, "held_back": 0, "created": 3, "pending": 0}),
        ("stop", 5, {"rejected": 1, "held_back": 0, "created": 0, "pending": 5}),
    ]:
        folder = tmp_path / choice
        folder.mkdir()
        batch = history_batch(folder, 6, tickets=2)
        with sandbox(*QUICK, "--deleted", "1") as url:
            done = run(url, "run", batch, *OPTIONS, *ONE_AT_A_TIME, "--on-rejection", choice)
            assert done.returncode == code, (choice, done.stderr)
            assert {state: answer(done)[state] for state in told} == told, choice
            assert len(created(url)) == told["created"]
            if choice == "stop":
                assert "a message was rejected, and --on-rejection says stop: HTTP 404" in done.stderr


def test_held_back_messages_go_on_once_the_user_says_so(tmp_path: Path) -> None:
    batch = history_batch(tmp_path, 6, tickets=2)
    batch.write_text(batch.read_text().replace("type: incoming", "type: outgoing", 1))  # by somebody who is no agent
    with sandbox(*QUICK, "--agents", "anna@acme.example", "--closed", "users") as url:  # so that it is only found then
        first = run(url, "run", batch, *OPTIONS)
        assert answer(first)["held_back"] == 2, first.stderr
        again = run(url, "run", batch, *OPTIONS, BULKMSG_ON_REJECTION="continue")
        assert again.returncode == 1, again.stderr
        assert {name: answer(again)[name] for name in ("created", "rejected", "held_back")} == {
            "created": 5, "rejected": 1, "held_back": 0,
        }  # fmt: skip
        assert landed_once(url, 5)


# -- time ------------------------------------------------------------------------------------------------------------


def test_a_run_ends_in_good_time_and_the_same_command_goes_on(tmp_path: Path) -> None:
    batch = history_batch(tmp_path, 60)
    with sandbox("--limit", "10", "--window", "1") as url:
        slow = ("--settle", "0.3s", "--progress", "none", "--format", "json", "--rate", "10/1s")
        done = run(url, "run", batch, *slow, "--max-duration", "2.5s")
        assert done.returncode == 5, done.stderr
        told = answer(done)
        assert 0 < told["created"] < 60
        assert told["created"] + told["pending"] == 60
        assert 2.5 <= told["seconds"] < 4.0
        assert "--max-duration 2.5s is over" in done.stderr
        assert done.stderr.splitlines()[-1] == f"next: bulkmsg run {batch}"
        assert run(url, "run", batch, *slow).returncode == 0
        assert landed_once(url, 60)
    runs = [json.loads(line) for line in log_of(batch).read_text().splitlines() if '"record":"run"' in line]
    assert runs[0]["flags"]["max-duration"] == "2.5s"


def test_a_time_of_day_ends_a_run(tmp_path: Path) -> None:
    batch = history_batch(tmp_path, 60)
    with sandbox("--limit", "10", "--window", "1") as url:
        soon = (datetime.now(UTC) + timedelta(seconds=6)).strftime("%Y-%m-%dT%H:%M:%SZ")
        done = run(url, "run", batch, "--progress", "none", "--format", "json", "--rate", "5/1s", "--stop-at", soon)
        ended = datetime.now(UTC)
        assert done.returncode == 5, done.stderr
        assert f"--stop-at {soon} has come" in done.stderr
        assert f"it stops at {soon} (in " in done.stderr
        assert ended < datetime.fromisoformat(soon) + timedelta(seconds=4)
        assert 0 < answer(done)["created"] < 60


@pytest.mark.parametrize(
    "flags",
    [
        ("--stop-at", "25:00"),
        ("--stop-at", "2020-01-01T00:00"),
        ("--max-duration", "0"),
        ("--max-duration", "soon"),
        ("--max-errors", "101%"),
        ("--max-errors", "-1"),
        ("--on-rejection", "retry"),
    ],
)
def test_nonsense_is_refused_before_anything_is_asked(tmp_path: Path, flags: tuple[str, str]) -> None:
    done = run("http://127.0.0.1:1", "run", history_batch(tmp_path), *flags)
    assert done.returncode == 2
    assert flags[0] in done.stderr.splitlines()[0]


# -- a log left open -------------------------------------------------------------------------------------------------


def _left_open_by(host: str, batch: Path) -> None:
    """As a run on that machine leaves it when it is killed."""
    log = ProgressLog.open(log_of(batch), LogIdentity("acme", Mode.IMPORT, "stopping", "x"), lambda: datetime.now(UTC))
    log.begin_run(RunInfo("ab" * 8, host, None, {}, "0" * 64, None, False))
    log.close()


def test_a_log_left_open_on_another_machine_needs_a_person_s_word(tmp_path: Path) -> None:
    batch = history_batch(tmp_path)
    with sandbox("--latency", "0.1:0.2", *QUICK) as url:
        process = start(url, batch)
        until_some_arrived(url)
        process.kill()
        process.communicate()
        _left_open_by("build-7", batch)
        before = requests(url)
        for more in ({}, {"BULKMSG_TAKEOVER": "1"}):
            done = run(url, "run", batch, *OPTIONS, **more)
            assert done.returncode == 7, done.stderr
            assert "another machine, build-7" in done.stderr
            assert "--takeover" in done.stderr
            assert done.stderr.splitlines()[-1] == f"next: bulkmsg status {batch}"
        assert requests(url) == before
        assert "on another machine, build-7, is going on, or was killed" in run(url, "status", batch).stdout
        done = run(url, "run", batch, *OPTIONS, "--takeover")
        assert done.returncode == 0, done.stderr
        assert landed_once(url, 60)
    last = read_fold(log_of(batch)).last_run
    assert last is not None
    assert (last.host, last.flags["takeover"]) == (socket.gethostname(), "true")
    assert run(url, "run", batch, *OPTIONS).returncode == 0, "its newest run has an end"


def test_a_second_machine_is_refused_before_the_batch_is_read(tmp_path: Path) -> None:
    batch = history_batch(tmp_path, 2)
    with sandbox(*QUICK) as url:
        assert run(url, "run", batch, *OPTIONS).returncode == 0
        _left_open_by("build-7", batch)
        batch.write_text(batch.read_text().replace("messages:", "messages: [", 1))
        began = time.monotonic()
        done = run(url, "run", batch, *OPTIONS)
        assert (done.returncode, "another machine" in done.stderr) == (7, True)
        assert time.monotonic() - began < 5.0
