"""New tickets with their threads, with the real command: killed midway, and run again with a newer export."""

from __future__ import annotations

import json
import subprocess
from collections import Counter
from pathlib import Path
from random import Random
from typing import Any

from tests.acceptance.servers import asked, bulkmsg, environment, run, sandbox

FAST = ["--mode", "import", "--settle", "1s", "--progress", "none", "--rate", "400/2s"]
QUICK = ["--limit", "400", "--window", "2"]


def ticket(number: int, messages: int, **fields: Any) -> dict[str, Any]:
    """An old ticket with its thread."""
    jane = f"jane{number}@example.com"
    thread = [
        {
            "type": "incoming",
            "channel": "email",
            "sender": {"email": jane},
            "source": {"from": {"address": jane}, "to": [{"address": "support@acme.example"}]},
            "body_text": f"ticket {number} message {place}",
            "sent_datetime": f"2024-03-01T10:{place:02}:00Z",
        }
        for place in range(messages)
    ]
    return {"external_id": f"old-{number}", "subject": f"Case {number}", **fields, "messages": thread}


def write(path: Path, tickets: list[dict[str, Any]]) -> Path:
    path.write_text("\n".join(map(json.dumps, tickets)))
    return path


def texts(url: str) -> dict[str, list[str]]:
    """The messages of each ticket in the order of their arrival, by the ticket's external id."""
    there: dict[str, list[str]] = {}
    for each in asked(url, "/_sandbox/state")["tickets"]:
        assert each["external_id"] not in there, "a ticket stands there twice"
        there[each["external_id"]] = [
            item["body_text"] for item in sorted(each["messages"], key=lambda item: item["id"])
        ]
    return there


def wanted(tickets: list[dict[str, Any]]) -> dict[str, list[str]]:
    return {each["external_id"]: [item["body_text"] for item in each["messages"]] for each in tickets}


def requests(url: str) -> Counter[str]:
    """How many of each kind reached the helpdesk."""
    return Counter(asked(url, "/_sandbox/state")["requests"])


def test_120_threads_of_15_messages_killed_and_gone_on_with_arrive_once_in_one_request_each(tmp_path: Path) -> None:
    """One in twenty answers is lost after the thread was stored."""
    tickets = [ticket(number, 15) for number in range(120)]
    batch = write(tmp_path / "batch.jsonl", tickets)
    random, kills = Random(5), 0
    with sandbox("--faults", "drop-after=0.05", "--latency", "0.02:0.05", *QUICK) as url:
        command = bulkmsg("run", batch, *FAST)
        for attempt in range(12):
            process = subprocess.Popen(command, env=environment(url), stdout=subprocess.PIPE, stderr=subprocess.PIPE)
            try:
                process.communicate(timeout=random.uniform(0.7, 1.2) if attempt < 4 else 120)
                break
            except subprocess.TimeoutExpired:
                process.kill()
                process.communicate()
                kills += 1
        assert process.returncode == 0
        assert kills >= 2
        assert texts(url) == wanted(tickets)
        posts = requests(url)["POST /api/tickets"]
        assert 120 <= posts <= 125, "only what died before it was stored is sent again"


def test_a_newer_export_adds_a_reply_and_leaves_or_sends_what_was_changed(tmp_path: Path) -> None:
    """A ticket with a new reply, one closed since, one re-tagged and one absent."""
    old = [ticket(number, 3, status="open") for number in range(4)]
    new = [
        ticket(0, 4, status="open"),
        ticket(1, 3, status="closed"),
        ticket(2, 3, status="open", tags=["vip"]),
    ]
    batch = write(tmp_path / "batch.jsonl", old)
    with sandbox(*QUICK) as url:
        assert run(url, "run", batch, *FAST).returncode == 0
        before = requests(url)
        write(batch, new)
        left = run(url, "run", batch, *FAST, "--format", "json")
        assert left.returncode == 0, left.stderr
        answer = json.loads(left.stdout)
        assert (answer["created"], answer["tickets_updated"], answer["tickets_left"]) == (10, 0, 2)
        assert "2 tickets differ in status, tags or other fields" in left.stderr
        changed = requests(url) - before
        assert changed["POST /api/tickets/{id}/messages"] == 1
        assert (changed["POST /api/tickets"], changed["PUT /api/tickets/{id}"]) == (0, 0)
        assert texts(url) == {**wanted(old), **wanted(new)}

        sent = run(url, "run", batch, *FAST, "--update-tickets")
        assert sent.returncode == 0, sent.stderr
        assert "updated: 2 tickets" in sent.stderr
        changed = requests(url) - before
        assert (changed["POST /api/tickets/{id}/messages"], changed["PUT /api/tickets/{id}"]) == (1, 2)
        states = {each["external_id"]: each for each in asked(url, "/_sandbox/state")["tickets"]}
        assert states["old-1"]["status"] == "closed"

        again = run(url, "run", batch, *FAST, "--update-tickets")
        assert again.returncode == 0
        assert (requests(url) - before)["PUT /api/tickets/{id}"] == 2


def test_messages_for_a_ticket_known_by_its_external_id_find_it_once(tmp_path: Path) -> None:
    batch = write(tmp_path / "old.jsonl", [ticket(1, 2)])
    more = [{**message, "ticket_external_id": "old-1"} for message in ticket(1, 5)["messages"][2:]]
    follow = tmp_path / "more.jsonl"
    follow.write_text("\n".join(map(json.dumps, more)))
    with sandbox(*QUICK) as url:
        assert run(url, "run", batch, *FAST).returncode == 0
        before = requests(url)
        done = run(url, "run", follow, *FAST)
        assert done.returncode == 0, done.stderr
        assert texts(url) == wanted([ticket(1, 5)])
        assert (requests(url) - before)["POST /api/tickets/{id}/messages"] == 3


def test_a_lost_log_of_threads_is_noticed_and_read_back_with_one_reading_of_each_ticket(tmp_path: Path) -> None:
    tickets = [ticket(number, 4) for number in range(3)]
    batch = write(tmp_path / "batch.jsonl", tickets)
    log = tmp_path / "batch.jsonl.acme.progress.jsonl"
    with sandbox(*QUICK) as url:
        assert run(url, "run", batch, *FAST).returncode == 0
        log.unlink()
        grown = [*tickets[:2], ticket(2, 6), ticket(3, 2)]
        write(batch, grown)
        lost = run(url, "run", batch, *FAST)
        assert (lost.returncode, "--rebuild-log" in lost.stderr) == (7, True)
        before = requests(url)
        rebuilt = run(url, "run", batch, *FAST, "--rebuild-log")
        assert rebuilt.returncode == 0, rebuilt.stderr
        assert texts(url) == wanted(grown)
        made = requests(url) - before
        assert (made["POST /api/tickets"], made["POST /api/tickets/{id}/messages"]) == (1, 2)
        assert (made["GET /api/tickets"], made["GET /api/messages"]) == (4, 3)


def test_a_thread_in_doubt_is_settled_by_resolve_message_by_message(tmp_path: Path) -> None:
    tickets = [ticket(number, 3) for number in range(2)]
    batch = write(tmp_path / "batch.jsonl", tickets)
    with sandbox("--faults", "drop-after=1", *QUICK) as url:
        cut = run(url, "run", batch, *FAST, "--max-duration", "0.6s")
        assert cut.returncode == 6, cut.stderr
        done = run(url, "resolve", batch, "--mode", "import", "--settle", "0.5s", "--format", "json")
        answer = json.loads(done.stdout)
        assert (done.returncode, answer["settled"], answer["in_doubt"]) == (0, 6, 0), done.stderr
        assert len({each["message_id"] for each in answer["messages"]}) == 6
        before = requests(url)
        assert run(url, "run", batch, *FAST).returncode == 0
        assert (requests(url) - before)["POST /api/tickets"] == 0
        assert texts(url) == wanted(tickets)
