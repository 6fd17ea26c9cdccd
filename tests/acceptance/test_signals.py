"""Signals at every stage of a run: while the batch is checked, while questions are asked, while messages are sent and
looked for; the first time and the second."""

from __future__ import annotations

import json
import signal
import subprocess
import time
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
    until,
    until_some_arrived,
)
from tests.acceptance.servers import asked, run, sandbox

SIGNALS = [(signal.SIGINT, 130), (signal.SIGTERM, 143), (signal.SIGHUP, 129)]
each_signal = pytest.mark.parametrize(("number", "code"), SIGNALS, ids=["INT", "TERM", "HUP"])


def ended(process: subprocess.Popen[str]) -> tuple[str, str]:
    """What a process still said, if it was gone within a second; another is granted to a machine that is busy."""
    began = time.monotonic()
    out, err = process.communicate(timeout=60)
    assert time.monotonic() - began < 2.0, err
    assert "Traceback" not in err
    assert err.rstrip().splitlines()[-1].startswith("next: bulkmsg run "), err
    return out, err


@each_signal
def test_while_the_batch_is_checked(tmp_path: Path, number: signal.Signals, code: int) -> None:
    batch = history_batch(tmp_path, 2)
    with sandbox(*QUICK) as url:
        assert run(url, "run", batch, *OPTIONS).returncode == 0
        log = log_of(batch).read_bytes()
        history_batch(tmp_path, 30_000)  # some seconds of reading
        process = start(url, batch)
        reserve = log_of(batch).with_name(log_of(batch).name + ".reserve")
        until(reserve.exists)
        process.send_signal(number)
        _, err = ended(process)
        assert process.returncode == code, err
        assert f"stopped by {number.name}; nothing is in flight" in err
        assert not reserve.exists(), "the lock was given up in order"
        assert log_of(batch).read_bytes() == log
        assert len(created(url)) == 2


@each_signal
def test_while_the_account_is_asked_for(tmp_path: Path, number: signal.Signals, code: int) -> None:
    with sandbox("--latency", "20:20", *QUICK) as url:
        process = start(url, history_batch(tmp_path))
        until(lambda: requests(url))
        process.send_signal(number)
        out, err = ended(process)
        assert process.returncode == code, err
        assert json.loads(out)["pending"] == 60
        assert [path.name for path in tmp_path.iterdir()] == ["batch.yaml"], "no log was begun"


@each_signal
def test_while_a_message_in_doubt_waits_to_be_looked_for(tmp_path: Path, number: signal.Signals, code: int) -> None:
    batch = history_batch(tmp_path, 1)
    with sandbox("--faults", "drop-after@1", *QUICK) as url:
        process = start(url, batch, "--settle", "30s")
        until_some_arrived(url)
        time.sleep(0.3)
        process.send_signal(number)
        out, err = ended(process)
        assert process.returncode == code, err
        assert json.loads(out)["in_doubt"] == 1
        assert run(url, "run", batch, *OPTIONS).returncode == 0
        assert landed_once(url, 1)


def test_while_a_killed_run_is_recovered_from(tmp_path: Path) -> None:
    """A run died with a request in flight; the next is stopped while it looks for it, gently and then at once."""
    batch = history_batch(tmp_path, 4)
    with sandbox("--latency", "0.4:0.5", *QUICK) as url:
        first = start(url, batch)
        until(lambda: log_of(batch).exists() and '"intent"' in log_of(batch).read_text())
        first.kill()
        first.communicate()
        assert "outcome" not in log_of(batch).read_text(), "it died before its first answer"
        assert asked(url, "/_sandbox/faults")["met"] == {}
        slow = start(url, batch, "--settle", "1s")
        until(lambda: requests(url).get("GET /api/messages", 0) > 2)  # two were the first run's look for a lost log
        slow.send_signal(signal.SIGINT)
        time.sleep(0.1)
        slow.send_signal(signal.SIGINT)
        out, err = ended(slow)
        assert slow.returncode == 130, err
        assert json.loads(out)["in_doubt"] >= 1
        assert run(url, "run", batch, *OPTIONS).returncode == 0
        assert landed_once(url, 4)


@each_signal
def test_a_second_time_while_requests_are_in_flight(tmp_path: Path, number: signal.Signals, code: int) -> None:
    batch = history_batch(tmp_path, 8, tickets=8)
    with sandbox("--faults", "hang=1:60", *QUICK) as url:
        process = start(url, batch)
        until_some_arrived(url)
        process.send_signal(number)
        time.sleep(0.3)
        assert process.poll() is None, "the first waits for what is in flight"
        process.send_signal(number)
        out, err = ended(process)
        assert process.returncode == code, err
        told = json.loads(out)
        assert (told["in_doubt"], told["created"]) == (len(created(url)), 0)
        in_doubt = [line for line in log_of(batch).read_text().splitlines() if '"outcome":"in_doubt"' in line]
        assert len(in_doubt) == told["in_doubt"], "recorded, not only told"


def test_two_different_signals_are_a_first_and_a_second(tmp_path: Path) -> None:
    with sandbox("--faults", "hang=1:60", *QUICK) as url:
        process = start(url, history_batch(tmp_path, 3))
        until_some_arrived(url)
        process.send_signal(signal.SIGHUP)
        time.sleep(0.2)
        process.send_signal(signal.SIGTERM)
        _, err = ended(process)
        assert process.returncode == 129, err
        assert "stopped by SIGHUP" in err


def test_a_closed_terminal_does_not_end_a_run_under_nohup(tmp_path: Path) -> None:
    batch = history_batch(tmp_path, 20)
    before = signal.signal(signal.SIGHUP, signal.SIG_IGN)  # what nohup does; the child inherits it
    try:
        with sandbox("--latency", "0.1:0.2", *QUICK) as url:
            process = start(url, batch)
            until_some_arrived(url)
            process.send_signal(signal.SIGHUP)
            _, err = process.communicate(timeout=60)
            assert process.returncode == 0, err
            assert landed_once(url, 20)
    finally:
        signal.signal(signal.SIGHUP, before)
