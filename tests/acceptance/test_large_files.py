"""One mistake near the end of 50 MB: its place is found, in memory that has nothing to do with the file's size."""

from __future__ import annotations

import json
import subprocess
import sys
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest

from tests.acceptance.servers import environment

SIZE = 50_000_000
BODY = "Where is my order? I have been waiting. " * 50  # 2,000 characters
MOST_MORE = 10_000  # kB above what the same command takes for a single message


def csv_rows(size: int) -> Iterator[str]:
    """A table with line breaks in its cells; its last row but one has a wrong channel."""
    yield "type,ticket_id,channel,sender.email,body_text,external_id,sent_datetime\n"
    written = number = 0
    while written < size:
        number += 1
        row = f'incoming,{number},chat,jane@example.com,"Hi,\n\n{BODY}",x-{number},2024-03-01T10:00:00Z\n'
        written += len(row)
        yield row
    yield f'incoming,1,chat,"jane\ndoe@example.com",Hi,x-{number + 1},2024-03-01T10:00:00Z\n'
    yield f"incoming,1,chat,jane@example.com,Hi,x-{number + 2},2024-03-01T10:00:00Z\n"


def yaml_entries(size: int) -> Iterator[str]:
    yield "version: 1\ndefaults: {type: incoming, channel: chat, sender: {email: jane@example.com}}\nmessages:\n"
    written = number = 0
    while written < size:
        number += 1
        entry = (
            f"  - ticket_id: {number}\n    external_id: x-{number}\n    sent_datetime: 2024-03-01T10:00:00Z\n"
            f"    body_text: |\n      Hi,\n\n      {BODY}\n"
        )
        written += len(entry)
        yield entry
    yield f"  - {{ticket_id: 1, external_id: x-{number + 1}, sent_datetime: 2024-03-01T10:00:00Z, body_txt: Hi}}\n"
    yield f"  - {{ticket_id: 1, external_id: x-{number + 2}, sent_datetime: 2024-03-01T10:00:00Z, body_text: Hi}}\n"


KINDS = {"csv": csv_rows, "yaml": yaml_entries}

# The kernel's own mark: getrusage would count what the tests' process had when it made this one.
RUN = """
import re, sys
from pathlib import Path
from bulkmsg.cli.shell import call
code = call(sys.argv[1:])
peak = re.search(r"VmHWM:\\s+(\\d+)", Path("/proc/self/status").read_text()).group(1)
print(peak, file=sys.stderr)
sys.exit(code)
"""


def validated(path: Path) -> tuple[dict[str, Any], int]:
    """The answer, and the most memory that the process took, in kB."""
    command = [sys.executable, "-c", RUN, "validate", path.name, "--format", "json"]
    done = subprocess.run(command, capture_output=True, text=True, env=environment(), cwd=path.parent, timeout=240)
    assert done.returncode == 1, done.stderr
    return json.loads(done.stdout), int(done.stderr.split()[-1])


@pytest.mark.skipif(not Path("/proc/self/status").exists(), reason="needs Linux's account of a process's memory")
@pytest.mark.parametrize("kind", KINDS)
def test_a_mistake_near_the_end_of_a_large_file(kind: str, tmp_path: Path) -> None:
    small, large = tmp_path / f"small.{kind}", tmp_path / f"large.{kind}"
    small.write_text("".join(KINDS[kind](1)))
    with large.open("w") as file:
        file.writelines(KINDS[kind](SIZE))
    assert large.stat().st_size > SIZE

    little, least = validated(small)
    told, peak = validated(large)
    assert [each["rule"] for each in told["diagnostics"]] == [each["rule"] for each in little["diagnostics"]]
    with large.open() as file:
        line, text = next((number, text) for number, text in enumerate(file, 1) if WRONG[kind] in text)
    place = {(each["rule"], each["line"], each["column"], each["row"]) for each in told["diagnostics"]}
    row = told["messages"] - 1 if kind == "csv" else None
    assert (RULE[kind], line, text.index(WRONG[kind]) + 1, row) in place
    assert peak - least < MOST_MORE, f"{peak - least:,} kB more for {SIZE:,} bytes"


WRONG = {"csv": '"jane\n', "yaml": "body_txt"}
RULE = {"csv": "BM405", "yaml": "BM201"}
