"""`run --sample N` with the real command: the same few tickets each time, then the rest, and nothing twice."""

from __future__ import annotations

import json
import signal
import subprocess
from collections import Counter
from pathlib import Path
from typing import Any

from tests.acceptance.batches import until_some_arrived
from tests.acceptance.servers import asked, bulkmsg, environment, run, sandbox
from tests.acceptance.test_threads import texts, ticket, wanted, write

FAST = ["--settle", "0.3s", "--progress", "none", "--rate", "400/2s"]
QUICK = ["--limit", "400", "--window", "2"]


def varied() -> list[dict[str, Any]]:
    """Sixty tickets, each like the other, but for a few."""
    tickets = [ticket(number, 2) for number in range(60)]
    tickets[17]["messages"][0]["body_text"] = "\u05e9\u05dc\u05d5\u05dd"
    tickets[31] = ticket(31, 9)
    note = {"type": "internal-note", "sender": {"email": "anna@acme.example"}, "body_text": "she was told"}
    tickets[44]["messages"].append(note | {"sent_datetime": "2024-03-01T11:00:00Z"})
    link = {"url": "https://cdn.example/a.pdf", "name": "a.pdf", "content_type": "application/pdf"}
    tickets[52]["messages"][1]["attachments"] = [link]
    return tickets


def test_a_sample_shows_the_oddities_and_then_the_rest_follows_once(tmp_path: Path) -> None:
    tickets = varied()
    batch = write(tmp_path / "batch.jsonl", tickets)
    with sandbox(*QUICK) as url:
        first = run(url, "run", batch, "--mode", "import", "--sample", "8", *FAST)
        assert first.returncode == 0, first.stderr
        assert "in 8 of the batch's 60 tickets (a sample)" in first.stderr
        assert "without --sample 8 the next run sends the rest" in first.stderr
        there = texts(url)
        assert len(there) == 8
        assert {"old-0", "old-17", "old-31", "old-44", "old-52"} <= set(there)
        assert there == {name: wanted(tickets)[name] for name in there}

        again = run(url, "run", batch, "--mode", "import", "--sample", "8", "--format", "json", *FAST)
        assert again.returncode == 0
        assert json.loads(again.stdout)["requests"] == 0
        assert texts(url) == there

        whole = run(url, "run", batch, "--mode", "import", *FAST)
        assert whole.returncode == 0, whole.stderr
        assert texts(url) == wanted(tickets)
        sent = Counter(item["external_id"] for item in asked(url, "/_sandbox/history")["created"])
        assert set(sent.values()) == {1}


def test_a_sample_that_was_killed_goes_on_with_the_same_tickets(tmp_path: Path) -> None:
    batch = write(tmp_path / "batch.jsonl", varied())
    sample = ["--mode", "import", "--sample", "12", *FAST]
    with sandbox("--latency", "0.2:0.2", *QUICK) as url:
        process = subprocess.Popen(
            bulkmsg("run", batch, *sample, "-j", "2"), env=environment(url), stderr=subprocess.PIPE, text=True
        )
        until_some_arrived(url)
        process.send_signal(signal.SIGTERM)
        told = process.communicate(timeout=60)[1]
        assert process.returncode == 143
        assert told.splitlines()[-1].endswith("--mode import --sample 12"), "never the whole batch unasked"
        some = set(texts(url))
        assert 0 < len(some) < 12
        assert run(url, "run", batch, *sample).returncode == 0
        after = set(texts(url))
    with sandbox(*QUICK) as url:
        assert run(url, "run", batch, *sample, "--progress-log", tmp_path / "other.log").returncode == 0
        assert after == set(texts(url))
    assert some < after


def test_a_run_after_a_sample_whose_log_was_lost_sends_nothing(tmp_path: Path) -> None:
    """The sample holds the batch's first message, for which a run without a log looks."""
    batch = write(tmp_path / "batch.jsonl", varied())
    with sandbox(*QUICK) as url:
        assert run(url, "run", batch, "--mode", "import", "--sample", "3", *FAST).returncode == 0
        before = texts(url)
        (tmp_path / "batch.jsonl.acme.progress.jsonl").unlink()
        lost = run(url, "run", batch, "--mode", "import", *FAST)
        assert lost.returncode == 7
        assert "--rebuild-log" in lost.stderr
        assert texts(url) == before


def test_consent_counts_the_people_of_the_sample_alone(tmp_path: Path) -> None:
    rows = [f"person{number}@example.com" for number in range(40)]
    (tmp_path / "people.csv").write_text("\n".join(["email", *rows]))
    batch = tmp_path / "send.yaml"
    batch.write_text(
        "version: 1\nname: recall\nmode: send\ntickets:\n  from: people.csv\n  key: email\n  template:\n"
        "    subject: Recall\n    messages:\n      - type: outgoing\n        channel: email\n"
        "        sender: {email: anna@acme.example}\n        body_text: Hi\n"
        '        source: {from: {address: support@acme.example}, to: [{address: "{{ email }}"}]}\n'
    )
    with sandbox(*QUICK) as url:
        unasked = run(url, "run", batch, "--sample", "5", *FAST)
        assert unasked.returncode == 4
        assert "5 people" in unasked.stderr
        assert unasked.stderr.splitlines()[-1].endswith("--sample 5 --allow-send 5")
        assert run(url, "run", batch, "--sample", "5", "--allow-send", "4", *FAST).returncode == 4
        assert asked(url, "/_sandbox/outbox") == []
        assert run(url, "run", batch, "--sample", "5", "--allow-send", "5", *FAST).returncode == 0
        assert len(asked(url, "/_sandbox/outbox")) == 5


def test_a_limit_and_a_sample_exclude_each_other(tmp_path: Path) -> None:
    batch = write(tmp_path / "batch.jsonl", varied())
    for more in ([], ["--dry-run"], ["--sandbox"]):
        both = run(None, "run", batch, "--mode", "import", "--sample", "3", "--limit", "3", *more)
        assert both.returncode == 2
        assert "--limit" in both.stderr
        assert "--sample" in both.stderr


def test_a_sample_as_large_as_the_batch_is_all_of_it(tmp_path: Path) -> None:
    tickets = varied()
    batch = write(tmp_path / "batch.jsonl", tickets)
    with sandbox(*QUICK) as url:
        done = run(url, "run", batch, "--mode", "import", "--sample", "1000", *FAST)
        assert done.returncode == 0
        assert "a sample" not in done.stderr
        assert texts(url) == wanted(tickets)
