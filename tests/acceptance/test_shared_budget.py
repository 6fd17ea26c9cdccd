"""Runs of one account on one machine share its budget: real processes against a bucket that forgives nothing.

The helpdesk is slow to leak, so that a second in which this machine is busy with something else breaks nothing.
"""

from __future__ import annotations

import json
import stat
import subprocess
from pathlib import Path

import pytest

from tests.acceptance.batches import created, history_batch, until
from tests.acceptance.servers import asked, bulkmsg, environment, run, sandbox

LEAKY = ("--limit", "100", "--window", "10", "--latency", "0.005:0.05")
OPTIONS = ("--rate", "100/10s", "--settle", "0.3s", "--progress", "none", "--format", "json")
MESSAGES = 80


@pytest.fixture
def state(tmp_path: Path) -> Path:
    """The user's folder for the state of programs."""
    return tmp_path / "state"


def batch_of(folder: Path, messages: int = MESSAGES) -> Path:
    folder.mkdir()
    return history_batch(folder, messages, tickets=20)


def start(url: str, batch: Path, state: Path) -> subprocess.Popen[str]:
    env = environment(url, XDG_STATE_HOME=str(state))
    command = bulkmsg("run", batch, *OPTIONS, "--name", batch.parent.name)
    return subprocess.Popen(command, env=env, stdout=subprocess.PIPE, stderr=subprocess.PIPE, text=True)


def throttled(url: str) -> int:
    number: int = asked(url, "/_sandbox/state")["throttled"]
    return number


def test_two_runs_side_by_side_are_never_told_to_wait_and_each_message_arrives_once(
    tmp_path: Path, state: Path
) -> None:
    with sandbox(*LEAKY) as url:
        runs = [start(url, batch_of(tmp_path / name), state) for name in ("spring", "autumn")]
        ends = [process.communicate(timeout=120) for process in runs]
        ids = created(url)
        assert throttled(url) == 0
    assert [process.returncode for process in runs] == [0, 0], ends
    assert [json.loads(out)["created"] for out, _ in ends] == [MESSAGES, MESSAGES]
    assert len(ids) == len(set(ids)) == 2 * MESSAGES


def test_a_run_that_was_killed_and_started_again_knows_how_much_is_used(tmp_path: Path, state: Path) -> None:
    batch = batch_of(tmp_path / "history", 2 * MESSAGES)
    with sandbox(*LEAKY) as url:
        first = start(url, batch, state)
        until(lambda: len(created(url)) >= MESSAGES)  # the free burst is nearly used up
        first.kill()
        first.communicate()
        second = start(url, batch, state)
        out, err = second.communicate(timeout=120)
        ids = created(url)
        assert throttled(url) == 0
    assert second.returncode == 0, err
    assert json.loads(out)["created"] == 2 * MESSAGES
    assert len(ids) == len(set(ids)) == 2 * MESSAGES


def test_what_is_shared_is_small_and_private_and_tells_nothing_of_the_batch(tmp_path: Path, state: Path) -> None:
    batch = batch_of(tmp_path / "history", 10)
    with sandbox(*LEAKY) as url:
        _, err = start(url, batch, state).communicate(timeout=120)
        folder = state / "bulkmsg" / f"loopback-{url.rpartition(':')[2]}"
    file = folder / "budget.json"
    assert "other runs" not in err
    assert stat.S_IMODE(folder.stat().st_mode) == 0o700
    assert stat.S_IMODE(file.stat().st_mode) == 0o600
    kept = file.read_text()
    assert len(kept) < 4096
    assert not [word for word in ("jane", "key-for-tests", "anna", "history", "bulkmsg-") if word in kept]


def test_where_the_folder_cannot_be_used_the_run_says_so_once_and_goes_on(tmp_path: Path, state: Path) -> None:
    batch = batch_of(tmp_path / "history", 10)
    state.write_text("a file in the way")
    with sandbox(*LEAKY) as url:
        done = run(url, "run", batch, *OPTIONS, XDG_STATE_HOME=str(state))
    assert done.returncode == 0, done.stderr
    assert done.stderr.count("other runs on this account cannot be seen") == 1
    assert str(state) in done.stderr


def test_a_sandbox_of_its_own_is_shared_with_nobody(tmp_path: Path, state: Path) -> None:
    batch = batch_of(tmp_path / "history", 10)
    done = run(None, "run", batch, "--sandbox", "--progress", "none", XDG_STATE_HOME=str(state))
    assert done.returncode == 0, done.stderr
    assert not state.exists()
