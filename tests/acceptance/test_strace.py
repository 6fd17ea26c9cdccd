"""Every single call that a run makes on its progress log is made to kill it or to fail, and every one on its sockets.

Whatever happens, running the batch again brings each message to the helpdesk once and in order. Each case has its own
folder, tickets and external ids; they share one sandbox. A kill and EIO meet every call; ENOSPC meets every write and a
sample of the rest. What comes before and after the traced process runs in this one, to save the start of a process.
"""

from __future__ import annotations

import json
from collections.abc import Callable, Iterator
from concurrent.futures import ThreadPoolExecutor
from dataclasses import dataclass
from itertools import count
from pathlib import Path
from random import Random

import pytest

from bulkmsg.app.prepare import RunOptions, prepare
from bulkmsg.app.result import RunResult
from bulkmsg.app.run import Sending, idle, send, utc_now
from bulkmsg.errors import ExitCode
from bulkmsg.events import RunView
from bulkmsg.journal import log_exists, read_fold
from bulkmsg.outcome import State
from bulkmsg.ports import Silence
from bulkmsg.sample import First
from bulkmsg.settings import Credentials, Rate
from bulkmsg.validation.survey import BatchFile
from tests.acceptance.servers import ACCOUNT, asked, bulkmsg, environment, sandbox
from tests.acceptance.tracing import EIO, ENOSPC, INSTALL, KILL, Fault, Traced, is_there, traced

pytestmark = pytest.mark.skipif(not is_there(), reason=INSTALL)

OPTIONS = ["--rate", "4000/2s", "--settle", "0.15s", "--progress", "none", "--format", "json"]
SIDE_BY_SIDE = 4
PRIVATE = ("canary", "jane@", "support@", ACCOUNT["GORGIAS_EMAIL"], ACCOUNT["GORGIAS_API_KEY"])
_NUMBERS = count(1)
_BATCH = """\
version: 1
defaults:
  channel: email
  sender: {{email: jane@example.com}}
  source: {{from: {{address: jane@example.com}}, to: [{{address: support@acme.example}}]}}
  sent_datetime: 2024-03-01T10:00:00Z
messages:
- {{type: incoming, external_id: case-{number}-first, ticket_id: {ticket}, body_text: canary one}}
- {{type: incoming, external_id: case-{number}-second, ticket_id: {ticket}, body_text: canary two}}
tickets:
- external_id: ticket-{number}
  messages: [{{type: incoming, external_id: case-{number}-new, body_text: canary three}}]
"""


class Nobody:
    """Watches no run."""

    async def watch(self, view: Callable[[], RunView]) -> None:
        return

    def note(self, text: str) -> None:
        return


@dataclass(frozen=True)
class Case:
    """A batch of three messages, two of them on one ticket and one in a new ticket, and its log."""

    folder: Path
    url: str
    number: int

    @classmethod
    def made(cls, parent: Path, url: str) -> Case:
        number = next(_NUMBERS)
        case = cls(parent / f"case {number}", url, number)
        case.folder.mkdir()
        case.batch.write_text(_BATCH.format(number=number, ticket=1000 + number))
        return case

    @property
    def batch(self) -> Path:
        return self.folder / "batch.yaml"

    @property
    def log(self) -> Path:
        return self.folder / "batch.yaml.acme.progress.jsonl"

    @property
    def ids(self) -> list[str]:
        return [f"case-{self.number}-{name}" for name in ("first", "second", "new")]

    def traced(self, fault: Fault | None = None) -> Traced:
        """The run under strace, which watches the log and what stands beside it."""
        names = [self.log, *(self.log.with_name(self.log.name + end) for end in (".new", ".reserve")), self.folder]
        return self._traced(names, fault)

    def traced_on_sockets(self, fault: Fault | None = None) -> Traced:
        return self._traced([], fault)

    def _traced(self, names: list[Path], fault: Fault | None) -> Traced:
        trace = self.folder.with_name(f"{self.folder.name}.trace")
        return traced(bulkmsg("run", self.batch, *OPTIONS), environment(self.url), trace, names, fault)

    def run_here(self, limit: int | None = None) -> RunResult:
        """The same run without strace, in this process; the helpdesk and the files are the same."""
        who = Credentials(email=ACCOUNT["GORGIAS_EMAIL"], api_key=ACCOUNT["GORGIAS_API_KEY"])
        options = RunOptions(
            "acme", self.url, who, rate=Rate(4000, 2.0), selection=First(limit) if limit else None, settle=0.15
        )
        prepared = prepare(BatchFile(self.batch, self.batch.name), options, utc_now)
        try:
            return idle(prepared) or send(Sending(prepared, Silence(), Nobody(), utc_now))
        finally:
            prepared.close()

    def landed(self) -> list[str]:
        """This case's external ids in the helpdesk, in the order in which they came to be."""
        created = asked(self.url, "/_sandbox/history")["created"]
        return [item["external_id"] for item in created if item["external_id"] in self.ids]

    def logged(self) -> dict[str, State]:
        """Where each message stands by the log alone."""
        if not log_exists(self.log):
            return dict.fromkeys(self.ids, State.PENDING)
        fold = read_fold(self.log)
        return {key: fold.standing(key).state for key in self.ids}


@pytest.fixture(scope="module")
def url() -> Iterator[str]:
    with sandbox("--limit", "4000", "--window", "2", "--list-lag", "0.05") as running:
        yield running


# -- where the traced run begins -------------------------------------------------------------------------------------


def a_first_run(case: Case) -> None:
    """Nothing was ever run."""


def a_run_that_recovers(case: Case) -> None:
    """The power went while the outcome of the ticket's second message was being written: its line is torn."""
    assert case.run_here(limit=1).exit_code is ExitCode.OK
    lines = case.log.read_bytes().splitlines(keepends=True)
    torn = max(n for n, line in enumerate(lines) if b'"record":"outcome"' in line)
    case.log.write_bytes(b"".join(lines[:torn]) + lines[torn][:90])


Beginning = Callable[[Case], None]
BEGINNINGS = pytest.mark.parametrize("beginning", [a_first_run, a_run_that_recovers])


# -- what must hold --------------------------------------------------------------------------------------------------


def hurt(case: Case, before: list[str], fault: Fault, done: Traced) -> Iterator[str]:
    """What is wrong right after the run that met the fault; `before` it these had landed."""
    landed = case.landed()
    if len(landed) != len(set(landed)):
        yield f"twice: {landed}"
    if unknown := set(landed) - set(before) - done.safe_intents():
        yield f"left without an intent that was safe: {unknown}"
    logged = case.log.read_text(errors="replace") if log_exists(case.log) else ""
    if private := [each for each in PRIVATE if each in done.out + done.err + logged]:
        yield f"told {private}"
    if fault.what == KILL:
        if done.code != -9:
            yield f"was not killed: {done.code}"
    else:
        yield from _failed(case, fault, done, landed[len(before) :])


def _failed(case: Case, fault: Fault, done: Traced, landed: list[str]) -> Iterator[str]:
    after = done.after_the_fault()
    if not any(call.injected for call in done.calls):
        yield "did not meet its fault"
    if done.code != (7 if done.fault_counts() else 0):
        yield f"ended with {done.code}: {done.err}"
    if "Traceback" in done.err:
        yield "told a traceback"
    if any(call.record == "intent" and not call.failed for call in after):
        yield "began something new on a log that had failed"
    if fault.name == "fsync" and any(call.name == "fsync" for call in after):
        yield "tried fsync again"
    logged = case.logged()
    if not fault.for_good and (untold := [key for key in landed if logged[key] is not State.CREATED]):
        yield f"in flight and not recorded, although there was room: {untold}"
    if done.out and not _adds_up(json.loads(done.out)):
        yield f"does not add up: {done.out}"


def _adds_up(answer: dict[str, int]) -> bool:
    states = ("created", "rejected", "failed", "held_back", "in_doubt", "undone", "pending")
    return sum(answer[state] for state in states) == answer["total"] == 3


def healed(case: Case) -> Iterator[str]:
    """What is wrong once the batch was run again, undisturbed."""
    done = case.run_here()
    landed = case.landed()
    if done.exit_code is not ExitCode.OK or done.counts["created"] != 3:
        yield f"run again it ended with {done}"
    if sorted(landed) != sorted(case.ids) or landed.index(case.ids[0]) > landed.index(case.ids[1]):
        yield f"run again it left {landed}"
    if extra := {path.name for path in case.folder.iterdir()} - {case.batch.name, case.log.name}:
        yield f"left {extra} behind"


def troubles(parent: Path, url: str, beginning: Beginning, faults: list[Fault], *, sockets: bool = False) -> list[str]:
    """What went wrong in any case, a few of them side by side."""

    def tried(fault: Fault) -> list[str]:
        case = Case.made(parent, url)
        beginning(case)
        before = case.landed()
        if sockets:
            done = case.traced_on_sockets(fault)
            found = [] if done.code == -9 else [f"was not killed: {done.code}"]
        else:
            done = case.traced(fault)
            found = list(hurt(case, before, fault, done))
        return [f"{fault}: {wrong}" for wrong in [*found, *healed(case)]]

    with ThreadPoolExecutor(SIDE_BY_SIDE) as pool:
        return [wrong for found in pool.map(tried, faults) for wrong in found]


def points(parent: Path, url: str, beginning: Beginning, *, sockets: bool = False) -> list[tuple[str, int]]:
    """Each call of an undisturbed run."""
    case = Case.made(parent, url)
    beginning(case)
    done = case.traced_on_sockets() if sockets else case.traced()
    assert done.code == 0, done.err
    return done.points()


# -- the tests -------------------------------------------------------------------------------------------------------


@BEGINNINGS
def test_killed_at_each_call_on_its_log(tmp_path: Path, url: str, beginning: Beginning) -> None:
    places = points(tmp_path, url, beginning)
    assert len(places) > 20, places
    assert troubles(tmp_path, url, beginning, [Fault(KILL, *place) for place in places]) == []


@BEGINNINGS
def test_killed_at_each_request_and_each_answer(tmp_path: Path, url: str, beginning: Beginning) -> None:
    places = points(tmp_path, url, beginning, sockets=True)
    assert len(places) >= 8, places
    assert troubles(tmp_path, url, beginning, [Fault(KILL, *place) for place in places], sockets=True) == []


@BEGINNINGS
def test_each_call_on_its_log_fails_once(tmp_path: Path, url: str, beginning: Beginning) -> None:
    places = points(tmp_path, url, beginning)
    assert troubles(tmp_path, url, beginning, [Fault(EIO, *place) for place in places]) == []


@BEGINNINGS
def test_the_disk_is_full_once_or_for_good(tmp_path: Path, url: str, beginning: Beginning) -> None:
    places = points(tmp_path, url, beginning)
    writes = [place for place in places if place[0] == "write"]
    once = [Fault(ENOSPC, *place) for place in [*writes, *Random(7).sample(places, 3)]]
    for_good = [Fault(ENOSPC, *place, for_good=True) for place in Random(7).sample(writes, 3)]
    assert troubles(tmp_path, url, beginning, [*once, *for_good]) == []
