"""Input made to hurt: each ends in 2 seconds of the processor and 200 MB, with one clear finding or none.

Each runs in its own process under the kernel's limits, since a crash of the parser would take the tests with it.
"""

from __future__ import annotations

import gzip
import json
import subprocess
import sys
from collections.abc import Callable
from pathlib import Path

import pytest

SECONDS = 2
MEGABYTES = 200

# Memory is what the reader adds to an interpreter that has imported everything; the limit itself guards the machine.
RUN = """
import json, re, resource, sys, time
from pathlib import Path
from bulkmsg.diagnostic import Diagnostic
from bulkmsg.readers import csv_file, jsonl_file, yaml_file
from bulkmsg.readers.files import open_input
resource.setrlimit(resource.RLIMIT_AS, (1 << 30, 1 << 30))
path = Path(sys.argv[1])
read = {"yaml": yaml_file.nodes, "csv": csv_file.rows, "jsonl": jsonl_file.lines}[path.name.split(".")[1]]
start = time.process_time()
found, good = [], 0
with open_input(path, "x") as file:
    for item in read(file):
        if isinstance(item, Diagnostic):
            found.append(item.rule)
        else:
            good += 1
            getattr(item, "place").at(("a", "b"), name=True) if good < 5 else None
used = time.process_time() - start
# The kernel's own mark: getrusage would count what the tests' process had when it made this one.
peak = int(re.search(r"VmHWM:\\s+(\\d+)", Path("/proc/self/status").read_text()).group(1)) // 1024
print(json.dumps([found[:200], good, used, peak]))
"""


def _billion_laughs(merge: bool) -> str:
    lines = ["a0: &a0 {k0: v}" if merge else "a0: &a0 [x, x, x, x, x, x, x, x, x]"]
    for level in range(1, 40):
        before = ", ".join([f"*a{level - 1}"] * 9)
        lines.append(
            f"a{level}: &a{level} {{<<: [{before}], k{level}: v}}" if merge else f"a{level}: &a{level} [{before}]"
        )
    return "\n".join(lines)


YAML: dict[str, tuple[Callable[[], str], str]] = {
    "alias bomb": (lambda: _billion_laughs(False), "BM107"),
    "merge bomb": (lambda: _billion_laughs(True), "BM107"),
    "long text repeated": (lambda: f"a: &a {'x' * 1_000_000}\nb: [{'*a, ' * 1000}]", "BM107"),
    "nested [": (lambda: "a: " + "[" * 200_000, "BM107"),
    "nested {a: ": (lambda: "{a: " * 100_000, "BM107"),
    "nested dashes": (lambda: "- " * 100_000, "BM107"),
    "nested questions": (lambda: "? " * 100_000, "BM107"),
    "nested by lines": (lambda: "".join(" " * i + "a:\n" for i in range(1000)), "BM107"),
    "nested by aliases": (
        lambda: "a0: &a0 [1]\n" + "".join(f"a{i}: &a{i} [*a{i - 1}]\n" for i in range(1, 90)),
        "BM107",
    ),
    "directives": (lambda: "".join(f"%TAG !t{i}! x:\n" for i in range(200_000)) + "--- a\n", "BM107"),
    "directives after the end": (
        lambda: "a: 1\n...\n" + "".join(f"%TAG !t{i}! x:\n" for i in range(200_000)) + "--- a\n",
        "BM107",
    ),
    "anchors without end": (
        lambda: "messages:\n" + "".join(f"- &a{i} [x, x, x, x, x, x, x, x]\n" for i in range(100_000)),
        "BM107",
    ),
    "fields without end": (lambda: "".join(f"a{i}: 1\n" for i in range(200_000)), "BM107"),
    "list without end": (lambda: "messages:\n- [" + "ab, " * 3_000_000, "BM107"),
    "text without end": (lambda: "messages:\n- '" + "é\n" * 10_000_000, "BM107"),
    "doubled keys": (lambda: "m:\n" + "  a: 1\n" * 40_000, "BM104"),
    "long plain key": (lambda: "x" * 5_000_000 + ": 1\n", "BM103"),
    "spaces": (lambda: " " * 10_000_000, "BM109"),
    "5,000,000 digits": (lambda: "a: " + "9" * 5_000_000, "BM106"),
    "exponent": (lambda: "a: 1e" + "9" * 5_000_000, "BM106"),
    "placeholders": (lambda: "a: " + "{{" * 100_000, "BM107"),
    "errors far down": (lambda: "messages:\n" + "- x\n" * 50_000 + "@", "BM103"),
}  # fmt: skip

TABLES: dict[str, tuple[Callable[[], str], str]] = {
    "unclosed quote": (lambda: 'a,b\n1,"' + "2,3\n" * 5_000_000, "BM117"),
    "unclosed quote before one line": (lambda: 'a,b\n1,"' + "x" * 20_000_000, "BM107"),
    "row without end": (lambda: "a,b\n" + '"\n",' * 5_000_000, "BM117"),
    "line without end": (lambda: "a,b\n" + "x" * 20_000_000, "BM107"),
    "columns without end": (lambda: ",".join(f"c{i}" for i in range(600_000)) + "\n1,2\n", "BM107"),
    "cells without end": (lambda: "a,b\n" + "," * 3_900_000 + "\n", "BM119"),
    "quotes": (lambda: "a,b\n" + '"' * 3_900_000 + "\n", "BM112"),
    "doubled header": (lambda: "a," * 1_000_000 + "a\n", "BM111"),
}

LINES: dict[str, tuple[Callable[[], str], str]] = {
    "nested": (lambda: "[" * 1_000_000, "BM107"),
    "nested objects": (lambda: '{"a":' * 100_000 + "1" + "}" * 100_000, "BM107"),
    "line without end": (lambda: '"' + "x" * 70_000_000, "BM107"),
    "lists without end": (lambda: "[" + "[]," * 5_000_000 + "1]", "BM107"),
    "long line": (lambda: '{"a": "' + "é😀" * 2_500_000 + '", "a": 1}', "BM104"),
    "digits": (lambda: "9" * 1_000_000, "BM106"),
    "many doubled keys": (lambda: '{"a":{' + '"a":1,' * 300_000 + '"a":2}}', "BM104"),
}


def _run(path: Path, content: bytes) -> tuple[list[str], int]:
    path.write_bytes(content)
    done = subprocess.run([sys.executable, "-c", RUN, str(path)], capture_output=True, text=True, timeout=60)
    assert done.returncode == 0, done.stderr[-2000:]
    found, good, used, peak = json.loads(done.stdout)
    assert used < SECONDS, f"{used:.2f} s"
    assert peak < MEGABYTES, f"{peak} MB"
    return found, good


@pytest.mark.parametrize("name", YAML)
def test_yaml(name: str, tmp_path: Path) -> None:
    make, rule = YAML[name]
    found, _ = _run(tmp_path / "x.yaml", make().encode())
    assert rule in found


@pytest.mark.parametrize("name", TABLES)
def test_csv(name: str, tmp_path: Path) -> None:
    make, rule = TABLES[name]
    found, _ = _run(tmp_path / "x.csv", make().encode())
    assert found == [rule]


@pytest.mark.parametrize("name", LINES)
def test_jsonl(name: str, tmp_path: Path) -> None:
    make, rule = LINES[name]
    found, _ = _run(tmp_path / "x.jsonl", make().encode())
    assert found == [rule]


@pytest.mark.parametrize(("kind", "start"), [("yaml", b"a: b\n"), ("csv", b"a,b\n"), ("jsonl", b"1\n")])
def test_archive_bombs(kind: str, start: bytes, tmp_path: Path) -> None:
    found, _ = _run(tmp_path / f"x.{kind}.gz", gzip.compress(bytes(1) * (1 << 24), 9))
    assert found == ["BM102"]
    found, _ = _run(tmp_path / f"x.{kind}.gz", gzip.compress(start + b"\n" * (1 << 24), 9))
    assert found == ["BM107"]
