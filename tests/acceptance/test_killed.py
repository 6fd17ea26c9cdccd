"""The promise of the tool, with real processes: killed at random under heavy faults, each message arrives once."""

from __future__ import annotations

import csv
import json
import subprocess
import time
from collections import Counter
from pathlib import Path
from random import Random
from typing import Any

from tests.acceptance.servers import asked, bulkmsg, environment, run, sandbox

TICKETS = 6
MESSAGES = 900  # 150 on each ticket: more than one page of a listing
PEOPLE = 150
FAULTS = (
    "drop-before=0.04,drop-after=0.04,500-before=0.02,500-after=0.02,503=0.03,429=0.02:0.2,"
    "garbage=0.02,garbage-after=0.02,cut=0.01,html=0.01,list-500=0.05,list-garbage=0.03,list-drop=0.02"
)
SANDBOX = ["--limit", "400", "--window", "2", "--list-lag", "0.1", "--latency", "0.005:0.03"]
# Far above the lag of the listings, so that a busy machine does not break what the promise assumes.
OPTIONS = ["--rate", "400/2s", "--settle", "0.8s", "--progress", "none", "--format", "json"]


def _write_history(path: Path) -> None:
    with path.open("w", newline="") as file:
        rows = csv.writer(file)
        rows.writerow(
            ["type", "ticket_id", "channel", "sender.email", "source.from", "source.to", "body_text", "sent_datetime"]
        )
        for number in range(MESSAGES):
            sent = f"2024-01-01T{number // 3600:02d}:{number // 60 % 60:02d}:{number % 60:02d}Z"
            people = ["jane@example.com", "jane@example.com", "support@acme.example"]
            rows.writerow(["incoming", 100 + number % TICKETS, "email", *people, f"message {number}", sent])


def _write_mailing(folder: Path) -> Path:
    """A mail to each customer, each in a new ticket."""
    (folder / "customers.csv").write_text("email\n" + "".join(f"p{n}@example.com\n" for n in range(PEOPLE)))
    path = folder / "mailing.yaml"
    path.write_text(
        """\
version: 1
name: mailing
mode: send
tickets:
  from: customers.csv
  key: email
  template:
    subject: a word to you
    messages:
      - type: outgoing
        channel: email
        sender: {email: anna@acme.example}
        source: {from: {address: support@acme.example}, to: [{address: "{{ email }}"}]}
        body_text: Please do not use your blue kettle any more.
"""
    )
    return path


def _run_and_kill(
    command: list[str], env: dict[str, str], log: Path, random: Random, kills: int
) -> tuple[subprocess.CompletedProcess[str], int]:
    """Start the run again and again, kill it at random until it was killed often enough, then let it end.

    The time to a kill begins with the run's first record, so that each hits a run that looks, sends or waits.
    """
    killed = 0
    while True:
        before = _runs(log)
        process = subprocess.Popen(command, env=env, stdout=subprocess.PIPE, stderr=subprocess.PIPE, text=True)
        while killed < kills and process.poll() is None and _runs(log) == before:
            time.sleep(0.01)
        try:
            out, err = process.communicate(timeout=random.uniform(0.0, 0.8) if killed < kills else 240.0)
        except subprocess.TimeoutExpired:
            process.kill()
            process.communicate()
            killed += 1
            continue
        return subprocess.CompletedProcess(command, process.returncode, out, err), killed


def _log(batch: Path) -> Path:
    return batch.with_name(f"{batch.name}.acme.progress.jsonl")


def _runs(log: Path) -> int:
    return log.read_bytes().count(b'{"record":"run"') if log.exists() else 0


def test_killed_fifteen_times_under_faults_each_message_arrives_once_and_in_order(tmp_path: Path) -> None:
    batch = tmp_path / "history.csv"
    _write_history(batch)
    with sandbox(*SANDBOX, "--faults", FAULTS, "--seed", "7") as url:
        command = bulkmsg("run", batch, *OPTIONS, "--mode", "import")
        done, killed = _run_and_kill(command, environment(url), _log(batch), Random(7), 15)
        landed = asked(url, "/_sandbox/state")["tickets"]
    assert killed == 15, "the run ended before it was killed often enough to prove anything"
    assert done.returncode == 0, done.stderr
    answer = json.loads(done.stdout)
    assert answer["created"] == answer["total"] == MESSAGES
    arrived = Counter(item["external_id"] for ticket in landed for item in ticket["messages"])
    assert len(arrived) == MESSAGES
    assert set(arrived.values()) == {1}
    for ticket in landed:
        texts = [item["body_text"] for item in sorted(ticket["messages"], key=lambda item: item["id"])]
        expected = [f"message {n}" for n in range(MESSAGES) if 100 + n % TICKETS == ticket["id"]]
        assert texts == expected


def test_a_mailing_that_is_killed_mails_nobody_twice_and_says_whom_it_is_not_sure_of(tmp_path: Path) -> None:
    batch = _write_mailing(tmp_path)
    with sandbox(*SANDBOX, "--faults", FAULTS, "--seed", "11", "--commit-lag", "3") as url:
        command = bulkmsg("run", batch, *OPTIONS, "--allow-send", str(PEOPLE))
        done, killed = _run_and_kill(command, environment(url), _log(batch), Random(11), 6)
        results = run(url, "results", batch, "--format", "jsonl").stdout.splitlines()
        _until_nothing_is_late(url)
        outbox = asked(url, "/_sandbox/outbox")
    assert killed >= 4, "the run ended before it was killed often enough to prove anything"
    mailed = Counter(address for mail in outbox for address in mail["to"])
    assert set(mailed.values()) == {1}
    told: dict[str, str] = {item["key"]: item["outcome"] for item in map(json.loads, results)}
    assert len(told) == PEOPLE
    assert set(told.values()) <= {"created", "in_doubt"}
    assert {person for person, outcome in told.items() if outcome == "created"} <= set(mailed)
    assert done.returncode == (6 if "in_doubt" in told.values() else 0), done.stderr
    assert _counts(done) == Counter(told.values())


def _counts(done: subprocess.CompletedProcess[str]) -> dict[str, Any]:
    answer = json.loads(done.stdout)
    return {state: answer[state] for state in ("created", "in_doubt") if answer[state]}


def _until_nothing_is_late(url: str) -> None:
    """Writes that the helpdesk applies long after the connection was lost."""
    while asked(url, "/_sandbox/state")["counts"]["late"]:
        time.sleep(0.05)
