"""What befalls the real command from outside: stopped for long, raced by another, its files taken away."""

from __future__ import annotations

import json
import os
import shutil
import signal
import subprocess
import time
from collections.abc import Callable
from pathlib import Path

import pytest

from tests.acceptance.servers import asked, bulkmsg, environment, run, sandbox

OPTIONS = ["--settle", "0.2s", "--progress", "none", "--format", "json", "--rate", "400/2s"]
SANDBOX = ["--limit", "400", "--window", "2"]
MESSAGES = 40


def _batch(folder: Path) -> Path:
    person = "{from: {address: jane@example.com}, to: [{address: support@acme.example}]}"
    common = f"type: incoming, channel: email, sender: {{email: jane@example.com}}, source: {person}"
    dated = "sent_datetime: 2024-03-01T10:00:00Z"
    entries = [f"- {{{common}, ticket_id: {1 + n % 4}, body_text: message {n}, {dated}}}" for n in range(MESSAGES)]
    folder.mkdir(exist_ok=True)
    path = folder / "batch.yaml"
    path.write_text("\n".join(["version: 1", "name: hard-times", "messages:", *entries]))
    return path


def _log(batch: Path) -> Path:
    return batch.with_name("batch.yaml.acme.progress.jsonl")


def _start(url: str, batch: Path, *more: str) -> subprocess.Popen[str]:
    command = bulkmsg("run", batch, *OPTIONS, *more)
    return subprocess.Popen(command, env=environment(url), stdout=subprocess.PIPE, stderr=subprocess.PIPE, text=True)


def _landed(url: str) -> list[str]:
    return [item["external_id"] for item in asked(url, "/_sandbox/history")["created"]]


def _until(true: Callable[[], bool]) -> None:
    for _ in range(1000):
        if true():
            return
        time.sleep(0.02)
    raise AssertionError("it never came to be")


def _heals(url: str, batch: Path) -> None:
    done = run(url, "run", batch, *OPTIONS)
    assert done.returncode == 0, done.stderr
    assert json.loads(done.stdout)["created"] == MESSAGES
    landed = _landed(url)
    assert len(landed) == len(set(landed)) == MESSAGES


def test_stopped_for_longer_than_a_request_may_take_and_let_go_on(tmp_path: Path) -> None:
    batch = _batch(tmp_path)
    with sandbox(*SANDBOX, "--latency", "0.1:0.2") as url:
        process = _start(url, batch, "--timeout", "1")
        _until(lambda: len(_landed(url)) > 4)
        process.send_signal(signal.SIGSTOP)
        time.sleep(1.5)
        process.send_signal(signal.SIGCONT)
        out, err = process.communicate(timeout=60)
        assert process.returncode == 0, err
        assert json.loads(out)["created"] == MESSAGES
        landed = _landed(url)
        assert len(landed) == len(set(landed)) == MESSAGES


@pytest.mark.parametrize("begun", [False, True], ids=["without a log", "with a log"])
def test_of_two_processes_started_at_once_one_sends_and_the_other_ends_with_7(tmp_path: Path, begun: bool) -> None:
    batch = _batch(tmp_path)
    with sandbox(*SANDBOX, "--latency", "0.02:0.05") as url:
        if begun:
            assert run(url, "run", batch, *OPTIONS, "--limit", "1").returncode == 0
        both = [_start(url, batch) for _ in range(2)]
        told = [process.communicate(timeout=60) for process in both]
        codes = sorted(process.returncode for process in both)
        assert codes == [0, 7], told
        landed = _landed(url)
        assert len(landed) == len(set(landed)) == MESSAGES


# -- the place of the log is taken away or cannot be written ---------------------------------------------------------


def test_a_folder_that_is_removed_midway_stops_the_run_and_is_no_first_run_afterwards(tmp_path: Path) -> None:
    batch = _batch(tmp_path / "here")
    text = batch.read_text()
    with sandbox(*SANDBOX, "--latency", "0.1:0.2") as url:
        process = _start(url, batch)
        _until(lambda: len(_landed(url)) > 4)
        shutil.rmtree(batch.parent)
        _, err = process.communicate(timeout=60)
        assert process.returncode == 7, err
        assert "deleted" in err
        landed = _landed(url)
        assert len(landed) == len(set(landed)) < MESSAGES
        batch.parent.mkdir()
        batch.write_text(text)
        again = run(url, "run", batch, *OPTIONS)
        assert again.returncode == 7, again.stderr
        assert "missing" in again.stderr
        assert _landed(url) == landed


def a_link(path: Path) -> None:
    path.symlink_to(path.with_name("kept"))


def a_pipe(path: Path) -> None:
    os.mkfifo(path)


def a_folder(path: Path) -> None:
    path.mkdir()


@pytest.mark.parametrize("put", [a_link, a_pipe, a_folder])
def test_a_log_that_is_moved_away_midway_is_refused_until_it_is_back(
    tmp_path: Path, put: Callable[[Path], None]
) -> None:
    batch = _batch(tmp_path)
    log, kept = _log(batch), tmp_path / "kept"
    with sandbox(*SANDBOX, "--latency", "0.05:0.1") as url:
        process = _start(url, batch)
        _until(lambda: len(_landed(url)) > 4)
        log.rename(kept)
        put(log)
        process.kill()
        process.communicate()
        done = run(url, "run", batch, *OPTIONS)
        assert done.returncode == 7, done.stderr
        assert asked(url, "/_sandbox/state")["requests"]["GET /api/account"] == 1, "the refused run asked something"
        log.rmdir() if log.is_dir() and not log.is_symlink() else log.unlink()
        kept.rename(log)
        _heals(url, batch)


def _on_a_read_only_folder(folder: Path) -> list[str]:
    """What to put before a command so that it finds the folder read-only, whoever runs it."""
    if os.geteuid() != 0:
        folder.chmod(0o500)
        return []
    mount = 'mount --bind "$0" "$0" && mount -o remount,ro,bind "$0" && exec "$@"'
    command = ["unshare", "--mount", "sh", "-c", mount, str(folder)]
    if subprocess.run([*command, "true"], capture_output=True).returncode:
        pytest.skip("root needs `unshare --mount` to see a folder as read-only, and may not use it here")
    return command


def test_a_read_only_folder_stops_the_run_before_anything_is_sent(tmp_path: Path) -> None:
    batch = _batch(tmp_path / "here")
    before = _on_a_read_only_folder(batch.parent)
    with sandbox(*SANDBOX) as url:
        command = [*before, *bulkmsg("run", batch, *OPTIONS)]
        done = subprocess.run(command, env=environment(url), capture_output=True, text=True, timeout=60)
        batch.parent.chmod(0o700)
        assert done.returncode == 7, done.stderr
        assert "nothing was sent" in done.stderr
        assert "Traceback" not in done.stderr
        assert _landed(url) == []
        _heals(url, batch)
