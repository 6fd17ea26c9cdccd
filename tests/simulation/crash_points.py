"""Every crash point of a small batch, under every fault: at each byte of the progress log, and at each step between.

python -m tests.simulation.crash_points
"""

from __future__ import annotations

import multiprocessing
from collections.abc import Iterator
from concurrent.futures import ProcessPoolExecutor
from contextlib import contextmanager
from dataclasses import dataclass, field, replace
from itertools import pairwise, product

from bulkmsg import __version__
from bulkmsg.journal import LogIdentity, ProgressLog
from bulkmsg.message import Mode
from tests.simulation.disk import DiskPlan
from tests.simulation.doom import Doom
from tests.simulation.many import processors
from tests.simulation.play import Player, calm_down, player
from tests.simulation.tool import ACCOUNT
from tests.simulation.world import Entry, World, calm, world
from tests.unit.journal.kit import QuietDisk

MODES = ("import", "send")
# Each is met by the first attempt of each message.
FAULTS = (
    "none",
    "list lag",
    "refused",
    "lost request",
    "lost answer",
    "part stored",
    "late commit",
    "5xx before",
    "5xx after",
    "cut answer",
    "odd 2xx before",
    "odd 2xx after",
    "429",
    "rejected",
)


@dataclass
class Points:
    """What the crash points under one fault came to."""

    fault: str
    mode: str
    bytes: int = 0
    steps: int = 0
    wrong: list[str] = field(default_factory=list)


def small(fault: str, mode: str) -> World:
    """Two messages of a ticket that is there, and two that open their own together."""
    entries = (
        Entry("m0", "outgoing", 101, "text of m0"),
        Entry("m1", "incoming", 101, "text of m1"),
        Entry("m2", "outgoing", "new-0", "text of m2"),
        Entry("m3", "incoming", "new-0", "text of m3"),
    )
    fair = calm(replace(world(0), mode=mode, in_doubt=None, settle=6.0, timeout=2.0, entries=entries, limit=80, page=1))
    fair = replace(fair, strangers=1, style="cursor", newest=False, concurrency=8, runs=1)
    if fault == "none":
        return fair
    if fault == "list lag":
        return replace(fair, lag=6.0, posts=("lost answer",), trouble=1.0, once=True)
    return replace(fair, posts=(fault,), trouble=1.0, once=True)


@contextmanager
def died(given: World, doom: Doom, *, power_cut: bool = False) -> Iterator[Player]:
    """A run that dies there, if it ever comes there."""
    with player(given) as playing:
        playing.run_once(given, doom, DiskPlan(), power_cut=power_cut)
        yield playing
        playing.end()


def all_points(fault: str, mode: str) -> Points:
    """Each byte of the log that an undisturbed run writes, and each step of it."""
    given, found = small(fault, mode), Points(fault, mode)
    with died(given, Doom()) as playing:
        whole = playing.house.log.read_bytes()
    ends = [0, *(at + 1 for at, byte in enumerate(whole) if byte == 0x0A)]
    if fault == "none":  # before the log has its first line nothing leaves that a fault could hit
        for at in range(ends[1]):
            _go_on(given, Doom(byte=at), found, at)
    for begin, end in pairwise(ends[1:]):
        _inside_record(given, found, whole, begin, end)
    for at in range(10**6):
        doom = Doom(at)
        _go_on(given, doom, found, None, power_cut=bool(at % 2))
        if not doom.dead:
            return found
    return found


def _inside_record(given: World, found: Points, whole: bytes, begin: int, end: int) -> None:
    """Dead inside one write. However much of the record stands there, opening the log leaves it whole or takes it
    away; so of the futures there are two, since the same start has the same end, and both are played."""
    firsts: dict[bytes, int] = {}
    with died(given, Doom(byte=begin)) as playing:
        for at in range(begin, end):
            playing.house.log.write_bytes(whole[:at])
            firsts.setdefault(_opened(playing), at)
    if not set(firsts) <= {whole[:begin], whole[:end]}:
        found.wrong.append(f"{found.fault}, {found.mode}: a cut between {begin} and {end} leaves something else")
    for at in firsts.values():
        _go_on(given, Doom(byte=begin), found, at, whole[:at])
    found.bytes += end - begin - len(firsts)


def _opened(playing: Player) -> bytes:
    identity = LogIdentity(ACCOUNT, Mode(playing.world.mode), "simulated", __version__)
    ProgressLog.open(playing.house.log, identity, playing.house.now, QuietDisk()).close()
    return playing.house.log.read_bytes()


def _go_on(
    given: World, doom: Doom, found: Points, at: int | None, left: bytes | None = None, *, power_cut: bool = False
) -> None:
    """Calm runs after the death, to the end. `left` is what stands in the log, if not what the death left there."""
    with died(given, doom, power_cut=power_cut) as playing:
        if left is not None:
            playing.house.log.write_bytes(left)
        calm_down(playing)
    where = f"step {doom.steps}" if at is None else f"byte {at}"
    found.wrong += [f"{found.fault}, {found.mode}, {where}: {wrong}" for wrong in playing.history.wrong]
    found.bytes += at is not None
    found.steps += at is None and doom.dead


def everywhere() -> Iterator[Points]:
    """All faults in all modes, side by side."""
    with ProcessPoolExecutor(max(2, processors()), multiprocessing.get_context("spawn")) as pool:
        yield from pool.map(all_points, *zip(*product(FAULTS, MODES), strict=True))


def main() -> None:
    steps = size = 0
    for points in everywhere():
        print(
            f"{points.fault}, {points.mode}: {points.bytes:,} bytes and {points.steps} steps, {len(points.wrong)} wrong"
        )
        print("\n".join(points.wrong[:5]))
        steps, size = steps + points.steps, size + points.bytes
    print(f"in all {size:,} bytes and {steps:,} steps at which the process died")


if __name__ == "__main__":
    main()
