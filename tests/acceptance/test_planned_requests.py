"""What `plan` says that a run costs is what the helpdesk counts, for all kinds of batches, at first and later on."""

from __future__ import annotations

import json
from collections import Counter
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any

import pytest

from bulkmsg.threads import MOST_MESSAGES
from tests.acceptance.batches import requests
from tests.acceptance.servers import run, sandbox

FAST = ("--mode", "import", "--settle", "0.3s", "--progress", "none", "--rate", "4000/2s")
WIDE = ("--limit", "4000", "--window", "2")
Entries = list[dict[str, Any]]


def messages(number: int, *, start: int = 0, **fields: Any) -> Iterator[dict[str, Any]]:
    """Messages that a customer wrote."""
    for place in range(start, start + number):
        yield {
            "type": "incoming",
            "channel": "email",
            "sender": {"email": "jane@example.com"},
            "source": {"from": {"address": "jane@example.com"}, "to": [{"address": "support@acme.example"}]},
            "body_text": f"message {place}",
            "sent_datetime": f"2024-03-01T{place // 60:02}:{place % 60:02}:00Z",
            **fields,
        }


def thread(name: str, number: int, **fields: Any) -> dict[str, Any]:
    return {"external_id": name, "subject": f"Case {name}", **fields, "messages": list(messages(number))}


def write(folder: Path, entries: Entries) -> Path:
    path = folder / "batch.jsonl"
    path.write_text("".join(json.dumps(entry) + "\n" for entry in entries))
    for name in ("a.txt", "b.txt"):
        (folder / name).write_text(f"the file {name}")
    return path


def singles() -> Entries:
    return [*messages(3, ticket_id=1), *messages(2, ticket_id=2)]


def threads() -> Entries:
    return [thread("one", 3), thread("two", 1)]


def long_thread() -> Entries:
    return [thread("long", MOST_MESSAGES + 3), thread("short", 2)]


def mixed_ends() -> Entries:
    """The first message goes to a ticket that is there, the last one into a new one."""
    return [*messages(2, ticket_id=1), thread("one", 2)]


def named() -> Entries:
    return [*messages(3, ticket_external_id="there"), thread("one", 2), *messages(2, start=3, ticket_external_id="too")]


def files() -> Entries:
    one, two = {"file": "a.txt"}, {"file": "b.txt"}
    in_thread = thread("one", 3)
    in_thread["messages"][1]["attachments"] = [one, two]
    return [*messages(2, ticket_id=1, attachments=[one]), in_thread]


def agents() -> Entries:
    answer = {"type": "outgoing", "sender": {"email": "anna@acme.example"}}
    bob = {"type": "outgoing", "sender": {"email": "bob@acme.example"}}
    to = {"source": {"to": [{"address": "jane@example.com"}], "from": {"address": "support@acme.example"}}}
    return [
        *messages(1, ticket_id=1),
        *messages(1, start=1, ticket_id=1, **answer, **to),
        *messages(1, start=2, ticket_id=2, **bob, **to),
    ]


ALL: list[Callable[[], Entries]] = [singles, threads, long_thread, mixed_ends, named, files, agents]
PEOPLE = ("--agents", "anna@acme.example", "bob@acme.example", "--mailboxes", "support@acme.example")


def planned(batch: Path, *more: str) -> dict[str, Any]:
    answer: dict[str, Any] = json.loads(run(None, "plan", batch, "--mode", "import", "--format", "json", *more).stdout)
    assert sum(answer["costs"].values()) == answer["requests"]
    return answer


def cost_of_run(url: str, batch: Path, *more: str, code: int = 0) -> int:
    before = Counter(requests(url))
    done = run(url, "run", batch, *FAST, *more)
    assert done.returncode == code, done.stderr
    return (Counter(requests(url)) - before).total()


def have_named_tickets(url: str, folder: Path) -> None:
    """Another batch made them."""
    other = folder / "other.jsonl"
    other.write_text("\n".join(json.dumps(thread(name, 1)) for name in ("there", "too")))
    assert run(url, "run", other, *FAST).returncode == 0


@pytest.mark.parametrize("entries", ALL, ids=lambda each: each.__name__)
def test_a_first_run_and_one_that_goes_on_cost_what_was_planned(entries: Callable[[], Entries], tmp_path: Path) -> None:
    batch = write(tmp_path, entries())
    with sandbox(*WIDE, *PEOPLE) as url:
        have_named_tickets(url, tmp_path)
        first = planned(batch)
        assert first["requests"] == cost_of_run(url, batch)
        done = planned(batch)
        assert (done["to_do"], done["requests"], cost_of_run(url, batch)) == (0, 0, 0)


@pytest.mark.parametrize("entries", ALL, ids=lambda each: each.__name__)
def test_a_run_that_goes_on_costs_what_is_planned_for_what_is_left(
    entries: Callable[[], Entries], tmp_path: Path
) -> None:
    batch = write(tmp_path, entries())
    with sandbox(*WIDE, *PEOPLE) as url:
        have_named_tickets(url, tmp_path)
        cost_of_run(url, batch, "--limit", "1")
        left = planned(batch)
        assert 0 < left["to_do"] < left["messages"]
        assert left["requests"] == cost_of_run(url, batch)


def test_tickets_to_update_are_planned_as_one_request_each(tmp_path: Path) -> None:
    """One closed since, one re-tagged, and one with a new reply."""
    old = [thread(name, 2, status="open") for name in ("one", "two", "three", "four")]
    batch = write(tmp_path, old)
    with sandbox(*WIDE) as url:
        cost_of_run(url, batch)
        new = [thread("one", 2, status="closed"), thread("two", 2, status="open", tags=["vip"]), thread("three", 3)]
        write(tmp_path, [*new, old[3]])
        left = planned(batch)
        asked = planned(batch, "--update-tickets")
        assert (left["costs"]["updates"], left["costs"]["messages"]) == (0, 1)
        assert asked["costs"] == {**left["costs"], "updates": 3}
        said = run(None, "plan", batch, "--mode", "import", "--update-tickets")
        assert "3 to update tickets" in said.stdout
        assert said.stderr.splitlines()[-1] == f"next: bulkmsg run {batch} --mode import --update-tickets"
        assert asked["requests"] == cost_of_run(url, batch, "--update-tickets")
        done = planned(batch, "--update-tickets")
        assert (done["requests"], cost_of_run(url, batch, "--update-tickets")) == (0, 0)


def test_only_tickets_to_update_are_something_to_do(tmp_path: Path) -> None:
    batch = write(tmp_path, [thread("one", 2, status="open")])
    with sandbox(*WIDE) as url:
        cost_of_run(url, batch)
        write(tmp_path, [thread("one", 2, status="closed")])
        asked = planned(batch, "--update-tickets")
        assert (asked["to_do"], asked["costs"]["updates"]) == (0, 1)
        assert asked["requests"] == cost_of_run(url, batch, "--update-tickets")


def test_what_only_waits_behind_a_rejection_is_planned(tmp_path: Path) -> None:
    """Two messages are new behind one that was rejected: noting that they are held back costs what every run costs."""
    wrong = list(messages(1, ticket_id=404))
    batch = write(tmp_path, wrong)
    with sandbox(*WIDE, "--deleted", "404") as url:
        cost_of_run(url, batch, code=1)
        write(tmp_path, [*wrong, *messages(2, start=1, ticket_id=404)])
        assert planned(batch)["requests"] == cost_of_run(url, batch, code=1)
