"""`preview` with the real command: a page with a sample, at full speed, and nothing else touched."""

from __future__ import annotations

import json
import os
import signal
import socket
import subprocess
import time
import urllib.request
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import Any

import pytest

from tests.acceptance.servers import asked, bulkmsg, environment, run
from tests.acceptance.test_threads import ticket, write

IMPORT = ("--mode", "import")
BARE = {name: value for name, value in environment().items() if not name.startswith("GORGIAS_")}


@contextmanager
def preview(batch: Path, *more: str) -> Iterator[tuple[str, subprocess.Popen[str]]]:
    """A preview that is up: the address that it prints, and its process."""
    process = subprocess.Popen(
        bulkmsg("preview", batch, *more), env=BARE, stdout=subprocess.PIPE, stderr=subprocess.PIPE, text=True
    )
    try:
        assert process.stdout is not None
        yield process.stdout.readline().strip(), process
    finally:
        process.kill()
        process.communicate()


def ended(process: subprocess.Popen[str], by: signal.Signals = signal.SIGINT) -> tuple[int, str]:
    process.send_signal(by)
    told = process.communicate(timeout=30)[1]
    return process.returncode, told


def page(url: str) -> str:
    with urllib.request.urlopen(url) as answer:
        shown: str = answer.read().decode()
    return shown


def many(number: int) -> list[dict[str, Any]]:
    return [ticket(each, 2) for each in range(number)]


@pytest.mark.parametrize("by", [signal.SIGINT, signal.SIGTERM])
def test_a_sample_is_shown_without_credentials_and_nothing_is_left_behind(tmp_path: Path, by: signal.Signals) -> None:
    batch = write(tmp_path / "batch.jsonl", many(120))
    with preview(batch, *IMPORT) as (url, process):
        assert url.startswith("http://127.0.0.1:")
        counts = asked(url, "/_sandbox/state")["counts"]
        assert (counts["tickets"], counts["messages"]) == (50, 100)
        assert page(url).count("<article") == 50
        code, told = ended(process, by)
    assert code == 0
    assert "100 created of 100 messages, in 50 tickets (a sample of the batch's 120)" in told
    assert told.splitlines()[-1] == f"next: bulkmsg run {batch} --mode import"
    assert [each.name for each in tmp_path.iterdir()] == ["batch.jsonl"]
    with pytest.raises(OSError), socket.create_connection(("127.0.0.1", int(url.rpartition(":")[2])), 1):
        pass


def test_the_sample_is_the_one_that_run_takes(tmp_path: Path) -> None:
    batch = write(tmp_path / "batch.jsonl", many(60))
    log = tmp_path / "run.log"
    with preview(batch, *IMPORT, "--sample", "7") as (url, _):
        shown = {each["external_id"] for each in asked(url, "/_sandbox/state")["tickets"]}
    assert run(None, "run", batch, *IMPORT, "--sandbox", "--sample", "7", "--progress-log", log).returncode == 0
    told = run(None, "results", batch, *IMPORT, "--format", "jsonl", "--progress-log", log)
    sent = [json.loads(line) for line in told.stdout.splitlines()]
    numbers = {number for number in range(60) if sent[2 * number]["outcome"] == "created"}
    assert shown == {f"old-{number}" for number in numbers}
    assert len(shown) == 7


def test_all_tickets_go_at_full_speed(tmp_path: Path) -> None:
    """At the documented limit 200 tickets would take 80 seconds and more."""
    batch = write(tmp_path / "batch.jsonl", many(200))
    began = time.monotonic()
    with preview(batch, *IMPORT, "--all") as (url, process):
        assert asked(url, "/_sandbox/state")["counts"]["tickets"] == 200
        assert time.monotonic() - began < 60
        assert "in 200 tickets (all)" in ended(process)[1]


def test_the_log_of_the_real_account_is_neither_read_nor_written(tmp_path: Path) -> None:
    batch = write(tmp_path / "batch.jsonl", many(3))
    log = tmp_path / "batch.jsonl.acme.progress.jsonl"
    log.write_text("no log at all\n")
    with preview(batch, *IMPORT) as (url, process):
        assert asked(url, "/_sandbox/state")["counts"]["tickets"] == 3
        assert ended(process)[0] == 0
    assert log.read_text() == "no log at all\n"


def test_a_wrong_batch_has_findings_and_no_page(tmp_path: Path) -> None:
    tickets = many(2)
    del tickets[1]["messages"][0]["sent_datetime"]
    wrong = run(None, "preview", write(tmp_path / "batch.jsonl", tickets), *IMPORT)
    assert wrong.returncode == 3
    assert wrong.stdout == ""
    assert "batch.jsonl:2" in wrong.stderr
    assert wrong.stderr.splitlines()[-1].startswith("next: bulkmsg validate")


def test_what_the_sandbox_refuses_is_told_and_stands_on_the_page(tmp_path: Path) -> None:
    tickets = many(3)
    tickets[2] |= {"subject": "Written by a customer"}
    tickets[2]["messages"][1] |= {"type": "outgoing", "sender": {"email": "jane1@example.com"}}
    with preview(write(tmp_path / "batch.jsonl", tickets), *IMPORT) as (url, process):
        shown = page(url)
        assert "1 request was refused" in shown
        assert "Written by a customer" in shown
        assert "Must be a user" in shown
        code, told = ended(process)
    assert code == 0
    assert "2 rejected" in told
    assert "rejected: " in told


def test_who_would_be_mailed_is_marked_and_no_consent_is_needed(tmp_path: Path) -> None:
    mail = {
        "type": "outgoing",
        "channel": "email",
        "sender": {"email": "anna@acme.example"},
        "source": {"from": {"address": "support@acme.example"}, "to": [{"address": "jane@example.com"}]},
        "body_html": "<p>Hi</p><script>alert(1)</script>",
        "attachments": [{"url": "https://cdn.example/a.pdf", "name": "a.pdf", "content_type": "application/pdf"}],
    }
    batch = write(tmp_path / "recall.jsonl", [{"external_id": "r-1", "subject": "Recall", "messages": [mail]}])
    with preview(batch, "--mode", "send", "--name", "recall") as (url, _):
        shown = " ".join(page(url).split())
    assert "1 message would have been e-mailed" in shown
    assert '<span class="alarm">would have been sent</span>' in shown
    assert "a.pdf (application/pdf)" in shown
    assert '<iframe sandbox=""' in shown
    assert "<script" not in shown


def test_tickets_that_are_only_named_stand_ready(tmp_path: Path) -> None:
    entry = ticket(1, 1)["messages"][0] | {"ticket_external_id": "old-77"}
    with preview(write(tmp_path / "batch.jsonl", [entry]), *IMPORT) as (url, _):
        (there,) = asked(url, "/_sandbox/state")["tickets"]
    assert there["external_id"] == "old-77"
    assert len(there["messages"]) == 1


def test_a_port_that_is_taken_is_named(tmp_path: Path) -> None:
    batch = write(tmp_path / "batch.jsonl", many(1))
    with socket.socket() as taken:
        taken.bind(("127.0.0.1", 0))
        taken.listen()
        port = taken.getsockname()[1]
        refused = run(None, "preview", batch, *IMPORT, "--port", str(port))
    assert refused.returncode == 2
    assert f"port {port} cannot be had" in refused.stderr


def test_a_browser_is_opened_only_for_a_person_who_has_one(tmp_path: Path) -> None:
    """BROWSER names a program that notes what it is told to open."""
    batch = write(tmp_path / "batch.jsonl", many(1))
    noted, browser = tmp_path / "opened", tmp_path / "browser"
    browser.write_text(f'#!/bin/sh\necho "$1" >> {noted}\n')
    browser.chmod(0o755)
    for terminal, more, opened in ((False, (), False), (True, ("--no-browser",), False), (True, (), True)):
        mine, its = os.openpty()
        process = subprocess.Popen(
            bulkmsg("preview", batch, *IMPORT, *more),
            env=BARE | {"BROWSER": str(browser), "DISPLAY": ":99"},
            stdout=its if terminal else subprocess.PIPE,
            stderr=subprocess.PIPE,
            text=True,
        )
        os.close(its)
        if terminal:
            assert os.read(mine, 1000).startswith(b"http://127.0.0.1:")
            deadline = time.monotonic() + 10
            while opened and not noted.exists() and time.monotonic() < deadline:
                time.sleep(0.02)
        else:
            assert process.stdout is not None
            assert process.stdout.readline().startswith("http://127.0.0.1:")
        assert ended(process)[0] == 0
        os.close(mine)
        assert noted.exists() == opened
