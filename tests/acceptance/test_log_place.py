"""The place of the log is taken away under a run, or cannot be written: with the real command."""

from __future__ import annotations

import os
import shutil
import subprocess
from collections.abc import Callable
from pathlib import Path

import pytest

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
from tests.acceptance.servers import bulkmsg, environment, run, sandbox

MESSAGES = 40


def _heals(url: str, batch: Path) -> None:
    done = run(url, "run", batch, *OPTIONS)
    assert done.returncode == 0, done.stderr
    assert landed_once(url, MESSAGES)


def test_a_folder_that_is_removed_midway_stops_the_run_and_is_no_first_run_afterwards(tmp_path: Path) -> None:
    (tmp_path / "here").mkdir()
    batch = history_batch(tmp_path / "here", MESSAGES)
    text = batch.read_text()
    with sandbox(*QUICK, "--latency", "0.1:0.2") as url:
        process = start(url, batch)
        until_some_arrived(url, 5)
        shutil.rmtree(batch.parent)
        _, err = process.communicate(timeout=60)
        assert process.returncode == 7, err
        assert "deleted" in err
        landed = created(url)
        assert len(landed) == len(set(landed)) < MESSAGES
        batch.parent.mkdir()
        batch.write_text(text)
        again = run(url, "run", batch, *OPTIONS)
        assert again.returncode == 7, again.stderr
        assert "missing" in again.stderr
        assert created(url) == landed


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
    batch = history_batch(tmp_path, MESSAGES)
    log, kept = log_of(batch), tmp_path / "kept"
    with sandbox(*QUICK, "--latency", "0.05:0.1") as url:
        process = start(url, batch)
        until_some_arrived(url, 5)
        log.rename(kept)
        put(log)
        process.kill()
        process.communicate()
        done = run(url, "run", batch, *OPTIONS)
        assert done.returncode == 7, done.stderr
        assert requests(url)["GET /api/account"] == 1, "the refused run asked something"
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
    (tmp_path / "here").mkdir()
    batch = history_batch(tmp_path / "here", MESSAGES)
    before = _on_a_read_only_folder(batch.parent)
    with sandbox(*QUICK) as url:
        command = [*before, *bulkmsg("run", batch, *OPTIONS)]
        done = subprocess.run(command, env=environment(url), capture_output=True, text=True, timeout=60)
        batch.parent.chmod(0o700)
        assert done.returncode == 7, done.stderr
        assert "nothing was sent" in done.stderr
        assert "Traceback" not in done.stderr
        assert created(url) == []
        _heals(url, batch)
