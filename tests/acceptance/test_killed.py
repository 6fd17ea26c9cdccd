"""The promise of the tool, with real processes: killed at random under heavy faults, each message arrives once."""

from __future__ import annotations

import csv
import json
import subprocess
from collections import Counter
from pathlib import Path
from random import Random
from typing import Any

from tests.acceptance.servers import asked, bulkmsg, environment, sandbox

TICKETS = 6
MESSAGES = 900  # 150 on each ticket: more than one page of a listing
KILLS = 15
FAULTS = (
    "drop-before=0.04,drop-after=0.04,500-before=0.02,500-after=0.02,503=0.03,429=0.02:0.2,"
    "garbage=0.02,garbage-after=0.02,cut=0.01,html=0.01,list-500=0.05,list-garbage=0.03,list-drop=0.02"
)


def _write_batch(path: Path) -> None:
    with path.open("w", newline="") as file:
        rows = csv.writer(file)
        rows.writerow(
            ["type", "ticket_id", "channel", "sender.email", "source.from", "source.to", "body_text", "sent_datetime"]
        )
        for number in range(MESSAGES):
            sent = f"2024-01-01T{number // 3600:02d}:{number // 60 % 60:02d}:{number % 60:02d}Z"
            people = ["jane@example.com", "jane@example.com", "support@acme.example"]
            rows.writerow(["incoming", 100 + number % TICKETS, "email", *people, f"message {number}", sent])


def _run_and_kill(command: list[str], env: dict[str, str], random: Random) -> tuple[dict[str, Any], int]:
    """Start the run again and again, kill it at random until it was killed often enough, then let it end."""
    kills = 0
    while True:
        process = subprocess.Popen(command, env=env, stdout=subprocess.PIPE, stderr=subprocess.PIPE, text=True)
        patience = random.uniform(0.8, 2.2) if kills < KILLS else 240.0
        try:
            out, err = process.communicate(timeout=patience)
        except subprocess.TimeoutExpired:
            process.kill()
            process.communicate()
            kills += 1
            continue
        assert process.returncode == 0, err
        return json.loads(out), kills


def test_killed_fifteen_times_under_faults_each_message_arrives_once_and_in_order(tmp_path: Path) -> None:
    batch = tmp_path / "history.csv"
    _write_batch(batch)
    flags = ["--limit", "400", "--window", "2", "--faults", FAULTS, "--seed", "7", "--list-lag", "0.4"]
    with sandbox(*flags, "--latency", "0.005:0.03") as url:
        options = ["--mode", "import", "--rate", "400/2s", "--settle", "0.6s", "--progress", "none", "--format", "json"]
        answer, kills = _run_and_kill(bulkmsg("run", batch, *options), environment(url), Random(7))
        landed = asked(url, "/_sandbox/state")["tickets"]
    assert kills == KILLS, "the run ended before it was killed often enough to prove anything"
    assert answer["created"] == answer["total"] == MESSAGES
    arrived = Counter(item["external_id"] for ticket in landed for item in ticket["messages"])
    assert len(arrived) == MESSAGES
    assert set(arrived.values()) == {1}
    for ticket in landed:
        texts = [item["body_text"] for item in sorted(ticket["messages"], key=lambda item: item["id"])]
        expected = [f"message {n}" for n in range(MESSAGES) if 100 + n % TICKETS == ticket["id"]]
        assert texts == expected
