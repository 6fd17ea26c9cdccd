"""Batches and runs that the acceptance tests share."""

from __future__ import annotations

import subprocess
import time
from collections.abc import Callable
from pathlib import Path

from tests.acceptance.servers import asked, bulkmsg, environment

# A batch's beginning, an entry that is right, and the same without the date that import mode asks for.
HEAD = "version: 1\nname: history\nmode: import\nmessages:\n"
GOOD = """\
  - type: incoming
    ticket_id: 12
    channel: email
    sender: {email: jane@example.com}
    source: {from: {address: jane@example.com}, to: [{address: support@acme.example}]}
    body_text: Hello
    sent_datetime: 2024-01-01T00:00:00Z
"""
BAD = GOOD.replace("    sent_datetime: 2024-01-01T00:00:00Z\n", "")

OPTIONS = ["--settle", "0.3s", "--progress", "none", "--format", "json", "--rate", "400/2s"]
QUICK = ("--limit", "400", "--window", "2")


def history_batch(folder: Path, messages: int = 60, tickets: int = 4) -> Path:
    """An import batch of incoming messages, in turn for each of its tickets."""
    lines = [
        "version: 1",
        "name: stopping",
        "defaults: {channel: email, sender: {email: jane@example.com}}",
        "messages:",
    ]
    for number in range(messages):
        lines += [
            "- type: incoming",
            f"  ticket_id: {1 + number % tickets}",
            "  source: {from: {address: jane@example.com}, to: [{address: support@acme.example}]}",
            f"  body_text: message {number}",
            "  sent_datetime: 2024-03-01T10:00:00Z",
        ]
    path = folder / "batch.yaml"
    path.write_text("\n".join(lines))
    return path


def log_of(batch: Path) -> Path:
    """Its progress log for the account of the tests."""
    return batch.with_name(f"{batch.name}.acme.progress.jsonl")


def start(url: str, batch: Path, *more: str | Path) -> subprocess.Popen[str]:
    """A run that goes on beside the test."""
    command = bulkmsg("run", batch, *OPTIONS, *more)
    return subprocess.Popen(command, env=environment(url), stdout=subprocess.PIPE, stderr=subprocess.PIPE, text=True)


def until(true: Callable[[], object], seconds: float = 20.0) -> None:
    """Wait for something that another process does.

    Raises:
        AssertionError: it did not come in time.
    """
    deadline = time.monotonic() + seconds
    while not true():
        assert time.monotonic() < deadline, "it did not come"
        time.sleep(0.02)


def created(url: str) -> list[str]:
    """The external ids of what stands in the sandbox, in the order in which it came."""
    return [item["external_id"] for item in asked(url, "/_sandbox/history")["created"]]


def until_some_arrived(url: str, number: int = 1) -> None:
    until(lambda: len(created(url)) >= number)


def requests(url: str) -> dict[str, int]:
    """How many requests of each kind came."""
    counted: dict[str, int] = asked(url, "/_sandbox/state")["requests"]
    return counted


def landed_once(url: str, messages: int) -> bool:
    """Whether exactly so many messages stand there, none twice."""
    ids = created(url)
    return len(ids) == len(set(ids)) == messages
