"""Playing a seed: stormy runs with crashes between and inside them, then calm ones to the end, checked after each."""

from __future__ import annotations

import asyncio
import hashlib
import shutil
import signal
import tempfile
from collections.abc import Callable, Coroutine, Iterator
from contextlib import contextmanager
from dataclasses import dataclass, field, replace
from pathlib import Path
from random import Random
from typing import Any

from bulkmsg.app import run
from bulkmsg.sample import First
from tests.simulation import checker
from tests.simulation.disk import DiskPlan, SimDisk
from tests.simulation.doom import FOLDER, PLACES, Crash, Doom
from tests.simulation.helpdesk import SimHelpdesk
from tests.simulation.tool import House, Report, batch_file, inside, options, results_of, run_tool
from tests.simulation.world import World, calm, world
from tests.virtual_clock import Deadlock, OutOfTime, VirtualLoop

_CALM_RUNS = 5
_LONGEST = 40 * 86_400.0  # of virtual time


@dataclass
class History:
    """What came of a seed.

    Args:
        wrong: what the checker found; empty is good.
        posts, messages: creating requests, and messages in the batch; `throttled`: requests refused by the limiter.
        refused_logs: how often the log was refused after an fsync that failed.
        duplicates, losses: messages that are there more than once; told as created and not there.
        digest: over the bytes of the log after each run and over the helpdesk's history.
        told: everything in order, for a person, where it was asked for.
    """

    world: World
    wrong: list[str] = field(default_factory=list)
    told: list[str] = field(default_factory=list)
    runs: int = 0
    crashes: int = 0
    faults: int = 0
    posts: int = 0
    messages: int = 0
    throttled: int = 0
    refused_logs: int = 0
    duplicates: int = 0
    losses: int = 0
    digest: str = ""


class Player:
    """Plays one history, run by run. `told` takes everything that happens, for a person."""

    def __init__(self, given: World, folder: Path, told: list[str] | None = None) -> None:
        self.world = given
        self.random = Random(f"play {given.seed}")
        self.loop = VirtualLoop(_LONGEST)
        self.loop.set_exception_handler(lambda loop, context: None)
        home = folder / "log"
        home.mkdir()
        log = home / "progress.jsonl"
        self.disk = SimDisk(log, Random(f"disk {given.seed}"))
        self.desk = SimHelpdesk(given, Random(f"desk {given.seed}"), disk_is_bad=lambda: self.disk.troubled)
        if told is not None:
            self.desk.history = told
        self.house = House(folder, self.loop, self.desk, self.disk, batch_file(folder, given), log, told)
        self.house.survey(self.house.batch)
        self.history = History(given, told=told or [])
        self.last = Report(None, None, None)
        self._hash = hashlib.sha256()

    def note(self, text: str) -> None:
        self.desk.history.append(f"{self.loop.time():.6f} {text}")

    def run_once(
        self,
        weather: World,
        doom: Doom,
        plan: DiskPlan,
        interrupt: Callable[[run.Sending], Coroutine[Any, Any, None]] | None = None,
        *,
        power_cut: bool = False,
        limit: int | None = None,
        retry_rejected: bool = False,
    ) -> Report:
        """One process, to its end or to its death, and the check after it."""
        history = self.history
        history.runs += 1
        self.disk.begin(doom, plan)
        self.desk.begin(history.runs, weather, doom)
        left: dict[str, bytes] = {}
        doom.on_death = lambda: left.update(self.disk.snapshot(power_cut))
        self.note(f"run {history.runs} begins, limit={limit} retry_rejected={retry_rejected}")
        asked = options(
            weather,
            progress_log=self.house.log,
            selection=First(limit) if limit else None,
            retry_rejected=retry_rejected,
        )
        try:
            report = run_tool(self.house, asked, f"{self.world.seed}-{history.runs}", interrupt)
            if doom.dead:
                raise Crash(str(doom.died))
        except Crash as crash:
            history.crashes += 1
            self.disk.restore(left, power_cut)
            self.note(f"{'the power is cut' if power_cut else 'killed'} {crash}")
            report = Report(None, None, results_of(self.house))
        except (Deadlock, OutOfTime, AssertionError, ValueError, RuntimeError, TypeError) as error:
            history.wrong.append(f"run {history.runs}: {type(error).__name__}: {error}")
            report = Report(70, None, None)
        self._keep(report)
        return report

    def _keep(self, report: Report) -> None:
        self.desk.settle(self.loop.time())
        content = self.house.log.read_bytes() if self.house.log.exists() else b"no log"
        self._hash.update(content)
        said = report.said.replace(str(self.house.folder), "")  # which has another name each time
        self.note(f"it says: exit code {report.exit_code} {_states(report)} {said}")
        if report.results is None:
            self.history.refused_logs += 1
        troubled, lost = self.disk.troubled, self.disk.failed_sync
        for wrong in checker.after_run(self.world, self.desk, report, log_failed=troubled, refused_log_is_fair=lost):
            self.wrong(wrong)
        self.desk.wrongs.clear()
        self.last = report

    def wrong(self, text: str) -> None:
        told = f"after run {self.history.runs}: {text}"
        self.history.wrong.append(told)
        self.note(f"WRONG: {text}")

    def wait(self, seconds: float) -> None:
        self.loop.run_until_complete(asyncio.sleep(seconds))
        self.desk.settle(self.loop.time())

    def end(self) -> History:
        """Close everything and sum up."""
        self.loop.close()
        history = self.history
        history.posts = len(self.desk.posts)
        history.messages = len(self.world.entries)
        history.faults = self.desk.faults
        history.throttled = self.desk.refused_by_limit
        history.duplicates, history.losses = checker.twice_and_lost(self.world, self.desk, self.last)
        self._hash.update("\n".join(self.desk.history).encode())
        history.digest = self._hash.hexdigest()
        return history


def _states(report: Report) -> str:
    if report.results is None:
        return "the log is refused"
    return " ".join(f"{key}={line['outcome']}" for key, line in report.results.items())


@contextmanager
def player(given: World, told: list[str] | None = None) -> Iterator[Player]:
    """A player in a folder of its own, in memory where the system has such a place."""
    place = "/dev/shm" if Path("/dev/shm").is_dir() else None
    folder = Path(tempfile.mkdtemp(prefix="bulkmsg-simulation-", dir=place))
    try:
        playing = Player(given, folder, told)
        with inside(playing.house):
            yield playing
    finally:
        shutil.rmtree(folder, ignore_errors=True)


def play(seed: int, told: list[str] | None = None, given: World | None = None) -> History:
    """The whole history of a seed."""
    with player(given or world(seed), told) as playing:
        _storm(playing)
        if not playing.history.wrong:
            calm_down(playing)
        return playing.end()


def _storm(playing: Player) -> None:
    w, random = playing.world, playing.random
    if w.first_run_is_calm:
        strip_only = calm(w, strip=w.strip)
        playing.run_once(strip_only, Doom(), DiskPlan(), limit=1)
    for number in range(w.runs):
        if playing.history.wrong:
            return
        power_cut = random.random() < w.power
        retry_rejected = w.retry_rejected and random.random() < 0.5
        limit = 1 if random.random() < 0.1 else None
        doom = _doom(replace(w, early=w.early and number == 0), random)
        power_cut = power_cut and doom.place != FOLDER
        playing.run_once(
            w,
            doom,
            _disk_plan(w, random),
            _interrupt(w, random),
            power_cut=power_cut,
            limit=limit,
            retry_rejected=retry_rejected,
        )
        playing.wait(random.choice((0.0, 0.2, w.settle * random.random(), 5 * w.settle)))


def _doom(w: World, random: Random) -> Doom:
    """When the process dies: after so many steps, or when it comes to a certain kind of place once more."""
    tear, place = random.random(), random.choice(PLACES)
    steps, times = random.randint(1, 14 + 16 * len(w.entries)), random.randint(0, 1 + len(w.entries))
    by_place = random.random() < 0.5
    if random.random() >= w.deadly:
        return Doom(tear=tear)
    if w.early:
        return Doom(0, FOLDER)
    return Doom(times, place, tear=tear) if by_place else Doom(steps, tear=tear)


def _disk_plan(w: World, random: Random) -> DiskPlan:
    if random.random() >= w.disk_trouble:
        return DiskPlan()
    at = random.randint(2, 4 + 3 * len(w.entries))
    if random.random() < 0.5:
        return DiskPlan(eio_at=at)
    return DiskPlan(
        full_at=at, full_for=random.choice((1, 2, 100)), short=random.random() < 0.5, hard=random.random() < 0.3
    )


def _interrupt(w: World, random: Random) -> Callable[[run.Sending], Coroutine[Any, Any, None]] | None:
    """Signals at random times: one that stops gently, and now and then a second."""
    first = random.uniform(0, random.choice((2.0, 12 * w.settle)))
    second = random.choice((None, 0.05, 0.05, 3.0, 40.0))
    number = random.choice((signal.SIGINT, signal.SIGTERM, signal.SIGHUP))
    if random.random() >= w.signals:
        return None

    async def interrupt(sending: run.Sending) -> None:
        await asyncio.sleep(first)
        sending._on_signal(number)
        if second is not None:
            await asyncio.sleep(second)
            sending._on_signal(number)

    return interrupt


def calm_down(playing: Player) -> None:
    """Fair weather, as long as runs change anything."""
    fair = calm(playing.world, lag=playing.world.lag, strip=playing.world.strip)
    before = ""
    for _ in range(_CALM_RUNS):
        playing.wait(max(0.0, playing.desk.last_coming - playing.loop.time()) + 2 * playing.world.settle)
        report = playing.run_once(fair, Doom(), DiskPlan(), retry_rejected=playing.world.retry_rejected)
        now = f"{report.exit_code} {_states(report)}"
        if report.exit_code == 0 or now == before or playing.history.wrong:
            break
        before = now
    for wrong in checker.at_the_end(playing.world, playing.desk, playing.last):
        playing.wrong(wrong)
    if playing.world.lost_log and not playing.history.wrong:
        _lose_the_log(playing, fair)


def _lose_the_log(playing: Player, fair: World) -> None:
    """The log disappears. Where the first or last entry can be found in the helpdesk, nothing may be sent."""
    w, there = playing.world, {item.text for item in playing.desk.stored}
    gone = w.merge is not None or w.delete is not None
    if w.strip or gone or not {w.entries[0].text, w.entries[-1].text} & there:
        return
    playing.house.log.unlink(missing_ok=True)
    playing.wait(2 * w.settle)
    posts = len(playing.desk.posts)
    playing.note("the progress log is lost")
    playing.disk.begin(Doom(), DiskPlan())
    playing.desk.begin(playing.history.runs + 1, fair, Doom())
    asked = options(fair, progress_log=playing.house.log)
    report = run_tool(playing.house, asked, f"{w.seed}-lost", None)
    if report.exit_code != 7 or len(playing.desk.posts) != posts:
        playing.wrong(f"the log was lost, and the run sent or ended with {report.exit_code}")
