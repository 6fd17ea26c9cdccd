"""Stopping, two runs at once, and logs that cannot be used, with the real command."""

from __future__ import annotations

import json
import os
import signal
import time
from pathlib import Path
from typing import Any

import pytest

from tests.acceptance.batches import OPTIONS, history_batch, landed_once, start, until_some_arrived
from tests.acceptance.servers import asked, run, sandbox


@pytest.mark.parametrize(
    ("number", "code"), [(signal.SIGINT, 130), (signal.SIGTERM, 143), (signal.SIGHUP, 129)], ids=["INT", "TERM", "HUP"]
)
def test_a_first_signal_drains_and_the_same_command_goes_on(tmp_path: Path, number: signal.Signals, code: int) -> None:
    batch = history_batch(tmp_path)
    with sandbox("--latency", "0.1:0.2", "--limit", "400", "--window", "2") as url:
        process = start(url, batch)
        until_some_arrived(url)
        process.send_signal(number)
        out, err = process.communicate(timeout=30)
        assert process.returncode == code, err
        answer = json.loads(out)
        assert answer["in_doubt"] == 0
        assert answer["created"] == len(asked(url, "/_sandbox/history")["created"])
        assert sum(answer[state] for state in ("created", "pending")) == answer["total"]
        assert err.rstrip().splitlines()[-1].startswith("next: bulkmsg run ")
        assert run(url, "run", batch, *OPTIONS).returncode == 0
        assert landed_once(url, 60)


def test_a_second_signal_ends_at_once_and_nothing_is_lost_or_doubled(tmp_path: Path) -> None:
    batch = history_batch(tmp_path)
    with sandbox("--latency", "3:4", "--limit", "400", "--window", "2") as url:
        process = start(url, batch)
        log = tmp_path / "batch.yaml.acme.progress.jsonl"
        while not (log.exists() and '"intent"' in log.read_text()):
            time.sleep(0.05)
        process.send_signal(signal.SIGTERM)
        time.sleep(0.3)
        process.send_signal(signal.SIGTERM)
        begun = time.monotonic()
        out, err = process.communicate(timeout=30)
        assert time.monotonic() - begun < 2.0
        assert process.returncode == 143, err
        assert json.loads(out)["in_doubt"] >= 1
    with sandbox("--limit", "400", "--window", "2") as url:
        assert run(url, "run", batch, *OPTIONS).returncode == 0


def test_of_two_runs_at_once_the_second_sends_nothing(tmp_path: Path) -> None:
    batch = history_batch(tmp_path)
    with sandbox("--latency", "0.2:0.3", "--limit", "400", "--window", "2") as url:
        first = start(url, batch)
        until_some_arrived(url)
        second = run(url, "run", batch, *OPTIONS)
        assert second.returncode == 7, second.stderr
        assert "another run" in second.stderr
        first.communicate(timeout=60)
        assert first.returncode == 0
        assert landed_once(url, 60)


def _flip(data: bytes) -> bytes:
    middle = len(data) // 2
    return data[:middle] + bytes([data[middle] ^ 1]) + data[middle + 1 :]


@pytest.mark.parametrize(
    ("harm", "said"),
    [(_flip, "damaged"), (lambda data: b"not a log\n", "not"), (lambda data: data.replace(b"acme", b"ecma", 1), "")],
    ids=["one bit", "another file", "edited"],
)
def test_a_log_that_was_harmed_stops_the_run_before_anything_is_sent(tmp_path: Path, harm: Any, said: str) -> None:
    batch = history_batch(tmp_path)
    with sandbox("--limit", "400", "--window", "2") as url:
        assert run(url, "run", batch, *OPTIONS).returncode == 0
        log = tmp_path / "batch.yaml.acme.progress.jsonl"
        log.write_bytes(harm(log.read_bytes()))
        done = run(url, "run", batch, *OPTIONS)
        assert done.returncode == 7, done.stderr
        assert said in done.stderr
        assert landed_once(url, 60)


def test_the_log_is_private_and_holds_no_body_and_no_address(tmp_path: Path) -> None:
    batch = history_batch(tmp_path)
    with sandbox("--limit", "400", "--window", "2") as url:
        done = run(url, "run", batch, *OPTIONS, "--events", tmp_path / "events.jsonl")
        assert done.returncode == 0, done.stderr
    log = tmp_path / "batch.yaml.acme.progress.jsonl"
    assert log.stat().st_mode & 0o777 == 0o600
    for file in (log, tmp_path / "events.jsonl"):
        text = file.read_text()
        assert "@" not in text
        assert "message 1" not in text
        assert "key-for-tests" not in text
        assert all(json.loads(line) for line in text.splitlines())


def test_credentials_revoked_midway_stop_with_everything_else_pending(tmp_path: Path) -> None:
    batch = history_batch(tmp_path)
    with sandbox("--limit", "400", "--window", "2", "--revoke-after", "10") as url:
        done = run(url, "run", batch, *OPTIONS)
        assert done.returncode == 4, done.stderr
        answer = json.loads(done.stdout)
        assert (answer["created"], answer["rejected"], answer["failed"]) == (10, 0, 0)
        assert answer["pending"] == 50


def test_a_batch_that_was_edited_after_it_was_sent_is_refused_and_named(tmp_path: Path) -> None:
    batch = history_batch(tmp_path, 8)
    text = batch.read_text().replace("- type", "- key: k\n  type", 1)
    batch.write_text(text)
    with sandbox("--limit", "400", "--window", "2") as url:
        assert run(url, "run", batch, *OPTIONS).returncode == 0
        batch.write_text(text.replace("message 0", "another text"))
        done = run(url, "run", batch, *OPTIONS)
        assert done.returncode == 3
        assert "k (" in done.stderr
        assert "another text" not in done.stderr
        assert run(url, "run", batch, *OPTIONS, "--allow-changed").returncode == 0
        assert landed_once(url, 8)


def test_a_batch_may_grow_and_be_reordered(tmp_path: Path) -> None:
    batch = history_batch(tmp_path, 8)
    with sandbox("--limit", "400", "--window", "2") as url:
        assert run(url, "run", batch, *OPTIONS).returncode == 0
        head, *entries = batch.read_text().split("\n- ")
        more = history_batch(tmp_path, 12).read_text().split("\n- ")[1:]
        batch.write_text("\n- ".join([head, *reversed(entries), *more[8:]]))
        assert run(url, "run", batch, *OPTIONS).returncode == 0
        assert landed_once(url, 12)


def test_a_copied_folder_goes_on_elsewhere(tmp_path: Path) -> None:
    here, there = tmp_path / "here", tmp_path / "there"
    here.mkdir()
    batch = history_batch(here)
    with sandbox("--limit", "400", "--window", "2", "--latency", "0.05:0.1") as url:
        process = start(url, batch)
        until_some_arrived(url)
        process.kill()
        process.communicate()
        os.rename(here, there)
        assert run(url, "run", there / "batch.yaml", *OPTIONS).returncode == 0
        assert landed_once(url, 60)
