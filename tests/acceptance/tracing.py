"""The real command under strace: which calls it makes on its progress log, and a fault planted into one of them."""

from __future__ import annotations

import re
import shutil
import subprocess
from collections import Counter
from collections.abc import Iterable, Sequence
from dataclasses import dataclass
from functools import cache
from pathlib import Path

INSTALL = "no strace that may trace: `apt-get install strace` as root, in a container with the capability SYS_PTRACE"
KILL, EIO, ENOSPC = "signal=SIGKILL", "error=EIO", "error=ENOSPC"
ON_FILES = ("openat", "flock", "fchmod", "ftruncate", "write", "fsync", "rename", "unlink")
ON_SOCKETS = ("sendto", "recvfrom")
_LINE = re.compile(r"^(?:\d+ +)?(?P<name>[a-z0-9_]+)\((?P<given>.*)\) += (?P<result>-?\d+|\?)(?P<rest>.*)$")
_ID = re.compile(r'\\"external_id\\":\\"([^"\\]+)\\"')


@cache
def is_there() -> bool:
    """Whether strace is installed and may trace here, which not every container allows."""
    if shutil.which("strace") is None:
        return False
    tried = subprocess.run(["strace", "-f", "-qq", "-o", "/dev/null", "true"], capture_output=True)
    return tried.returncode == 0


@dataclass(frozen=True)
class Fault:
    """What befalls the n-th call of a name: it kills the process before it is done, or fails."""

    what: str
    name: str
    nth: int
    for_good: bool = False  # so do all later ones of that name

    def __str__(self) -> str:
        return f"{self.what} at {self.name} {self.nth}{' and after' if self.for_good else ''}"

    @property
    def planted(self) -> str:
        return f"inject={self.name}:{self.what}:when={self.nth}{'+' if self.for_good else ''}"


@dataclass(frozen=True)
class Called:
    """One call as strace saw it."""

    name: str
    given: str
    failed: bool
    injected: bool

    @property
    def record(self) -> str:
        """The kind of the record that it writes to a progress log, if it does."""
        found = re.search(r'"\{\\"record\\":\\"([a-z]+)\\"', self.given)
        return found[1] if self.name == "write" and found else ""

    @property
    def external_id(self) -> str:
        found = _ID.search(self.given)
        return found[1] if found else ""


@dataclass(frozen=True)
class Traced:
    """How a traced command ended, and its calls in order."""

    code: int
    out: str
    err: str
    calls: tuple[Called, ...]

    def points(self) -> list[tuple[str, int]]:
        """Each call as a place for a fault: its name, and the how many-th of its name it is."""
        seen: Counter[str] = Counter()
        places = []
        for call in self.calls:
            seen[call.name] += 1
            places.append((call.name, seen[call.name]))
        return places

    def safe_intents(self) -> set[str]:
        """External ids whose intent was flushed before the next record was written."""
        safe: set[str] = set()
        written = ""
        for call in self.calls:
            if call.record == "intent" and not call.failed:
                written = call.external_id
            elif call.name == "fsync" and not call.failed and written:
                safe.add(written)
                written = ""
        return safe

    def fault_counts(self) -> bool:
        """Whether the fault came before the last record of the run was safe: afterwards nothing can go wrong."""
        names = [call.record or call.name for call in self.calls]
        at = next((n for n, call in enumerate(self.calls) if call.injected), len(self.calls))
        return "end" not in names[:at] or "fsync" not in names[names.index("end") : at]

    def after_the_fault(self) -> list[Called]:
        at = next((n for n, call in enumerate(self.calls) if call.injected), len(self.calls))
        return list(self.calls[at + 1 :])


def traced(
    command: Sequence[str], env: dict[str, str], trace: Path, paths: Iterable[Path], fault: Fault | None = None
) -> Traced:
    """Run a command to its end under strace. Without paths its calls on sockets are watched, else those on paths."""
    ways = [word for path in paths for word in ("-P", str(path))]
    names = ",".join(ON_FILES if ways else ON_SOCKETS)
    strace = ["strace", "-f", "-qq", "-s", "500", "-o", str(trace), "-e", f"trace={names}", *ways]
    plant = ["-e", fault.planted] if fault else []
    done = subprocess.run(
        [*strace, *plant, *command], env=env, capture_output=True, text=True, timeout=120, stdin=subprocess.DEVNULL
    )
    return Traced(done.returncode, done.stdout, done.stderr, tuple(_read(trace)))


def _read(trace: Path) -> Iterable[Called]:
    for line in trace.read_text(errors="replace").splitlines():
        found = _LINE.match(line)
        if found is not None:
            failed = found["result"] in ("-1", "?")
            yield Called(found["name"], found["given"], failed, "INJECTED" in found["rest"])
