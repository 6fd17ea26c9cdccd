"""The helpdesk goes away, or turns us away, and comes back: the real command on a network that fails."""

from __future__ import annotations

import json
import signal
import time
import urllib.request
from pathlib import Path

import pytest

from tests.acceptance.batches import (
    OPTIONS,
    QUICK,
    created,
    history_batch,
    landed_once,
    requests,
    start,
    until,
    until_some_arrived,
)
from tests.acceptance.gate import gate
from tests.acceptance.servers import run, sandbox

KEY = ("--email", "anna@acme.example", "--api-key", "key-for-tests-0123")


def renew(url: str, **changes: object) -> None:
    """What the account's owner changes at the helpdesk."""
    request = urllib.request.Request(f"{url}/_sandbox/account", json.dumps(changes).encode(), method="POST")
    with urllib.request.urlopen(request) as answer:
        assert answer.status == 200


def test_an_outage_is_sat_out(tmp_path: Path) -> None:
    batch = history_batch(tmp_path)
    with sandbox("--latency", "0.1:0.2", *QUICK) as url, gate(url) as network:
        process = start(network.url, batch)
        until_some_arrived(url, 5)
        network.shut()
        arrived = len(created(url))
        time.sleep(2.0)
        assert process.poll() is None, "a run survives that nobody answers"
        assert len(created(url)) - arrived <= 8
        network.open()
        out, err = process.communicate(timeout=120)
        assert process.returncode == 0, err
        assert json.loads(out)["created"] == 60
        assert landed_once(url, 60)


@pytest.mark.parametrize("number", [signal.SIGINT, signal.SIGTERM])
def test_an_outage_is_left_when_somebody_wants_to(tmp_path: Path, number: signal.Signals) -> None:
    batch = history_batch(tmp_path)
    with sandbox("--latency", "0.1:0.2", *QUICK) as url, gate(url) as network:
        process = start(network.url, batch)
        until_some_arrived(url, 5)
        network.shut()
        time.sleep(1.5)
        process.send_signal(number)
        began = time.monotonic()
        _, err = process.communicate(timeout=30)
        assert time.monotonic() - began < 3.0
        assert process.returncode == 128 + number, err
        network.open()
        assert run(network.url, "run", batch, *OPTIONS).returncode == 0
        assert landed_once(url, 60)


def test_a_helpdesk_that_cannot_be_reached_ends_a_run_that_has_not_begun(tmp_path: Path) -> None:
    done = run("http://127.0.0.1:1", "run", history_batch(tmp_path), *OPTIONS)
    assert done.returncode == 5, done.stderr
    assert "the helpdesk cannot be reached" in done.stderr
    assert done.stderr.splitlines()[-1].startswith("next: bulkmsg run ")
    assert [path.name for path in tmp_path.iterdir()] == ["batch.yaml"], "no log was begun"


def test_new_credentials_and_the_same_command_finish_what_revoked_ones_left(tmp_path: Path) -> None:
    batch = history_batch(tmp_path)
    with sandbox(*QUICK, *KEY, "--revoke-after", "10") as url:
        done = run(url, "run", batch, *OPTIONS)
        told = json.loads(done.stdout)
        assert done.returncode == 4, done.stderr
        assert (told["created"], told["pending"]) == (10, 50), "refused messages are pending, not rejected"
        assert "does not accept the credentials (HTTP 401" in done.stderr
        assert done.stderr.splitlines()[-1] == f"next: bulkmsg run {batch}"
        renew(url, email="anna@acme.example", api_key="another-key-45678")
        assert run(url, "run", batch, *OPTIONS).returncode == 4, "the old key stays revoked"
        done = run(url, "run", batch, *OPTIONS, GORGIAS_API_KEY="another-key-45678")
        assert done.returncode == 0, done.stderr
        assert landed_once(url, 60)
        assert requests(url)["POST /api/tickets/{id}/messages"] < 60 + 8, "nothing new started after the first refusal"


def test_a_used_up_quota_stops_the_run_and_a_larger_one_goes_on(tmp_path: Path) -> None:
    batch = history_batch(tmp_path)
    with sandbox(*QUICK, "--quota", "10") as url:
        done = run(url, "run", batch, *OPTIONS)
        told = json.loads(done.stdout)
        assert done.returncode == 4, done.stderr
        assert (told["created"], told["pending"]) == (10, 50)
        assert "Messaging quota exceeded" in done.stderr
        assert "quota" in next(line for line in done.stderr.splitlines() if line.startswith("hint: "))
        renew(url, quota=None)
        assert run(url, "run", batch, *OPTIONS).returncode == 0
        assert landed_once(url, 60)


@pytest.mark.skipif(not Path("/proc/self/stat").exists(), reason="looks at /proc")
def test_a_run_that_was_suspended_for_longer_than_a_request_may_take_goes_on(tmp_path: Path) -> None:
    batch = history_batch(tmp_path)
    with sandbox("--latency", "0.1:0.2", *QUICK) as url:
        process = start(url, batch, "--timeout", "1")
        until_some_arrived(url, 3)
        process.send_signal(signal.SIGSTOP)
        until(lambda: Path(f"/proc/{process.pid}/stat").read_text().split()[2] == "T")
        time.sleep(2.0)
        process.send_signal(signal.SIGCONT)
        _, err = process.communicate(timeout=60)
        assert process.returncode == 0, err
        assert landed_once(url, 60)
