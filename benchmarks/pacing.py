"""How much of an account's limit is used, and what is refused to us and to others: bulkmsg's pacer and four others.

Simulated on a clock that jumps. A cell is 20 runs of ours or five of another, of one hour (four with others in bursts);
each seed is the same server, network and neighbours for all limiters. `make pacing` writes the table into docs/pace.md.
"""

from __future__ import annotations

import argparse
import math
import multiprocessing
import time
from collections.abc import Callable
from dataclasses import dataclass, field
from pathlib import Path
from statistics import fmean
from typing import Any

from benchmarks.limiters import WORKERS, Spacing, aiolimiter, no_limiter, pyrate, run_library
from bulkmsg.pacing import Pacer
from tests.accounts import (
    LEAKING,
    RATE,
    Account,
    Drip,
    Figures,
    Fixed,
    Kind,
    Leaky,
    Server,
    Sliding,
    at_random,
    evenly,
    heavy_way,
    in_bursts,
    most,
)
from tests.pacing_run import PacedRun

HOUR = 3600.0
START, END = "<!-- pacing -->\n", "<!-- /pacing -->"
LIMITERS = ("bulkmsg", "aiolimiter", "pyrate-limiter", "spacing", "none")


@dataclass(frozen=True)
class Case:
    """One kind of account; `full` begins with a budget that was used up, `log` lets our pacer know of it."""

    name: str
    network: dict[str, Any] = field(default_factory=dict)
    hours: float = 1.0
    restart_every: float = math.inf
    full: bool = False
    log: bool = False


CASES = (
    Case("alone"),
    Case("alone, heavy tails", {"way": heavy_way}),
    Case("our clock 200 ppm slow", {"fast": 200.0}),
    Case("our clock 200 ppm fast", {"fast": -200.0}),
    Case("full at start", full=True),
    Case("full at start, with a log", full=True, log=True),
    Case("restart every 30 s", restart_every=30.0),
    Case("restart every 30 s, with a log", restart_every=30.0, log=True),
    Case("others evenly", {"neighbours": evenly}),
    Case("others at random", {"neighbours": at_random}),
    Case("others in bursts of 8", {"neighbours": in_bursts}, hours=4.0),
)
KINDS: tuple[Kind, ...] = (Leaky, Drip, Sliding, Fixed)


@dataclass(frozen=True)
class Goal:
    """At least this part of what is there to use; at most so many 429s an hour, ours and the others'."""

    part: float
    ours: float
    others: float | None = None

    def __str__(self) -> str:
        others = "" if self.others is None else f"/{self.others:g}"
        return f"≥ {self.part:.1%}, ≤ {self.ours:g}{others}"


def goal(kind: Kind, case: Case) -> Goal:
    if "neighbours" in case.network:
        return Goal(0.998, 0, 5)
    part = 0.999 if kind in LEAKING else 0.97
    if case.full:
        return Goal(part, 0 if case.log else 1)
    if case.restart_every < math.inf:
        return Goal(part, 0 if case.log else HOUR / case.restart_every)
    return Goal(part, 0 if kind in LEAKING else 5)


def simulate(task: tuple[Case, Kind, str, int]) -> tuple[float, float, float]:
    """Utilisation, our 429s an hour, the others' 429s an hour."""
    case, kind, limiter, seed = task
    seconds = case.hours * HOUR
    server: Server = kind(RATE)
    before = RATE.limit if case.full else 0
    for _ in range(before):
        server.hit(0.0)
    account = Account(server, seed, **case.network)
    if limiter in ("aiolimiter", "pyrate-limiter"):
        library = aiolimiter if limiter == "aiolimiter" else pyrate
        figures = run_library(account, library, seconds, case.restart_every)
    else:
        figures = _told_the_time(case, account, limiter, before)
    there = most(kind, seconds * (1 + case.network.get("fast", 0.0) / 1e6)) - before - figures.others_accepted
    return figures.accepted / there, figures.throttled / case.hours, figures.others_throttled / case.hours


def _told_the_time(case: Case, account: Account, limiter: str, before: int) -> Figures:
    def ours(starts: list[float]) -> Pacer:
        pacer = Pacer(RATE)
        for start in starts[-2 * RATE.limit :] if case.log else ():
            pacer.note(start)
        return pacer

    make: dict[str, Callable[[list[float]], Any]] = {
        "bulkmsg": ours,
        "spacing": lambda starts: Spacing(),
        "none": lambda starts: no_limiter(),
    }
    run = PacedRun(account, make[limiter], workers=WORKERS, alone=limiter != "bulkmsg")
    run.starts += [0.0] * before
    return run.run(case.hours * HOUR, case.restart_every)


def rows(limiters: tuple[str, ...], seeds: int, seeds_of_others: int) -> list[str]:
    keys = [(case, kind, limiter) for case in CASES for kind in KINDS for limiter in limiters]
    tasks = [
        (case, kind, limiter, seed)
        for case, kind, limiter in keys
        for seed in range(1, 1 + (seeds if limiter == "bulkmsg" else seeds_of_others))
    ]
    with multiprocessing.Pool(2) as pool:
        found = dict(zip(tasks_keys(tasks), pool.map(simulate, tasks, chunksize=4), strict=True))
    lines = [
        f"| account | server | goal | {' | '.join(LIMITERS)} |",
        "|---|---|---|" + "---|" * len(LIMITERS),
    ]
    for case in CASES:
        for kind in KINDS:
            wanted = goal(kind, case)
            cells = [
                _cell([value for key, value in found.items() if key[:3] == (case.name, kind.__name__, limiter)], case)
                for limiter in limiters
            ]
            ours = [value for key, value in found.items() if key[:3] == (case.name, kind.__name__, "bulkmsg")]
            cells[0] = f"**{cells[0]}** {_verdict(ours, wanted)}"
            cells += ["-"] * (len(LIMITERS) - len(cells))
            lines.append(f"| {case.name} | {kind.__name__.lower()} | {wanted} | {' | '.join(cells)} |")
    return lines


def tasks_keys(tasks: list[tuple[Case, Kind, str, int]]) -> list[tuple[str, str, str, int]]:
    return [(case.name, kind.__name__, limiter, seed) for case, kind, limiter, seed in tasks]


def _cell(values: list[tuple[float, float, float]], case: Case) -> str:
    used, ours, others = (fmean(each) for each in zip(*values, strict=True))
    refused = f"{ours:.3g}" + (f"/{others:.3g}" if "neighbours" in case.network else "")
    return f"{used * 100:.2f} % {refused}"


def _verdict(values: list[tuple[float, float, float]], wanted: Goal) -> str:
    """Whether the mean use and the worst run's 429s reach the goal."""
    misses = []
    if round(fmean(value[0] for value in values), 4) < wanted.part:
        misses.append("use")
    if max(value[1] for value in values) > wanted.ours:
        misses.append(f"429s (worst {max(value[1] for value in values):.3g})")
    if wanted.others is not None and max(value[2] for value in values) > wanted.others:
        misses.append(f"others (worst {max(value[2] for value in values):.3g})")
    return "met" if not misses else "not met: " + ", ".join(misses)


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--seeds", type=int, default=20)
    parser.add_argument("--seeds-of-others", type=int, default=5, help="the first so many, for the other limiters")
    parser.add_argument("--ours", action="store_true", help="bulkmsg alone")
    parser.add_argument("--page", type=Path, help="write the table between the markers of this page")
    args = parser.parse_args()
    began = time.perf_counter()
    table = "\n".join(rows(LIMITERS[:1] if args.ours else LIMITERS, args.seeds, args.seeds_of_others)) + "\n"
    print(table)
    print(f"{time.perf_counter() - began:.0f} s")
    if args.page:
        text = args.page.read_text()
        before, _, rest = text.partition(START)
        _, _, after = rest.partition(END)
        args.page.write_text(before + START + "\n" + table + "\n" + END + after)


if __name__ == "__main__":
    main()
