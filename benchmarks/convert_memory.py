"""Whether converting needs more memory for a larger export: peak memory for few comments next to that for many.

Zendesk exports are generated in two frames, comments one a line and as one single list, with tickets and users in files
of their own, so that everything must be joined. Each conversion runs in a process of its own, as a user starts it.
"""

from __future__ import annotations

import argparse
import json
import os
import subprocess
import sys
import tempfile
import time
from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path
from typing import Any, TextIO

FRAMES = ("NDJSON", "one list")
PER_TICKET = 5
PER_USER = 10
ALLOWED = 1.2
_TEXT = "My order has not arrived; the café says it was never delivered. Could you look? 🙂 " * 3


@dataclass(frozen=True)
class Measure:
    """One conversion: seconds on the clock, peak memory of the process, and the sums that its report gives."""

    comments: int
    frame: str
    seconds: float
    peak: int  # bytes
    report: dict[str, Any]

    @property
    def agrees(self) -> bool:
        """Whether every comment became a message, a skip or a finding."""
        parts = self.report["messages"] + self.report["skips"] + self.report["findings"]
        return bool(self.report["records"] == parts == self.comments)

    def line(self) -> str:
        sums = "sums agree" if self.agrees else "SUMS DIFFER"
        return f"{self.frame:9} {self.comments:>10,} comments {self.peak / 2**20:7.1f} MB {self.seconds:7.1f} s  {sums}"


def comments(count: int) -> Iterator[dict[str, Any]]:
    """By turns the customer, an agent, and a note; tickets follow each other as an export has them."""
    for number in range(1, count + 1):
        ticket = number // PER_TICKET + 1
        author = 10 + ticket // PER_USER if number % 3 else 1
        yield {
            "id": number,
            "ticket_id": ticket,
            "type": "Comment",
            "author_id": author,
            "body": f"{number} {_TEXT}",
            "html_body": f'<div class="zd-comment" dir="auto">{number} {_TEXT}</div>',
            "public": number % 7 != 0 or author != 1,
            "attachments": [],
            "created_at": f"2021-{number % 12 + 1:02}-01T10:00:00Z",
            "via": {"channel": "email", "source": {"from": {}, "to": {}}},
        }


def tickets(count: int) -> Iterator[dict[str, Any]]:
    for ticket in range(1, count // PER_TICKET + 2):
        yield {
            "id": ticket,
            "subject": f"Order {ticket}",
            "status": "closed",
            "requester_id": 10 + ticket // PER_USER,
            "recipient": "support@acme.example",
            "created_at": "2021-01-01T00:00:00Z",
            "updated_at": "2021-01-01T00:00:00Z",
        }


def users(count: int) -> Iterator[dict[str, Any]]:
    yield {"id": 1, "name": "Anna Agent", "email": "anna@acme.example", "role": "agent"}
    for user in range(10, 10 + count // PER_TICKET // PER_USER + 2):
        yield {"id": user, "name": f"Customer {user}", "email": f"customer.{user}@example.com", "role": "end-user"}


def write(folder: Path, count: int, frame: str) -> list[Path]:
    """An export of so many comments."""
    made = {"tickets.json": tickets(count), "comments.json": comments(count), "users.json": users(count)}
    for name, records in made.items():
        with (folder / name).open("w", encoding="utf-8") as file:
            _put(file, records, frame)
    return [folder / name for name in made]


def _put(file: TextIO, records: Iterator[dict[str, Any]], frame: str) -> None:
    between, end = ("\n", "\n") if frame == "NDJSON" else (",", "]")
    if frame != "NDJSON":
        file.write("[")
    for number, record in enumerate(records):
        if number:
            file.write(between)
        file.write(json.dumps(record))
    file.write(end)


def measure(count: int, frame: str) -> Measure:
    """One conversion in a process of its own, whose peak the system counts (`ru_maxrss`)."""
    with tempfile.TemporaryDirectory() as name:
        folder = Path(name)
        files = write(folder, count, frame)
        command = [sys.executable, "-m", "bulkmsg", "convert", "zendesk", *map(str, files), "-o", str(folder / "out")]
        begun = time.monotonic()
        process = subprocess.Popen(command, stdout=subprocess.DEVNULL, stderr=subprocess.DEVNULL)
        _, status, usage = os.wait4(process.pid, 0)
        seconds = time.monotonic() - begun
        process.returncode = os.waitstatus_to_exitcode(status)
        if process.returncode:
            raise SystemExit(f"convert ended with {process.returncode}")
        report = json.loads((folder / "out" / "report.json").read_text())
        return Measure(count, frame, seconds, usage.ru_maxrss * (1 if sys.platform == "darwin" else 1024), report)


def main() -> int:
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--few", type=int, default=10_000, metavar="N", help="comments of the small export")
    parser.add_argument("--many", type=int, default=1_000_000, metavar="N", help="comments of the large one")
    given = parser.parse_args()
    good = True
    for frame in FRAMES:
        small, large = measure(given.few, frame), measure(given.many, frame)
        ratio = large.peak / small.peak
        print(small.line(), large.line(), f"{frame:9} peak memory: {ratio:.2f} times, {ALLOWED} allowed", sep="\n")
        good = good and small.agrees and large.agrees and ratio <= ALLOWED
    return 0 if good else 1


if __name__ == "__main__":
    raise SystemExit(main())
