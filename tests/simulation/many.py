"""Many seeds on several processes, and the sums over them."""

from __future__ import annotations

import multiprocessing
import os
import signal
import time
from collections.abc import Iterator
from concurrent.futures import FIRST_COMPLETED, Future, ProcessPoolExecutor, wait
from dataclasses import dataclass, field, fields
from itertools import count

from tests.simulation.play import History, play

CHUNK = 50


@dataclass
class Sums:
    """What histories came to. `failed` are the seeds in which the checker found something, with the first of it."""

    histories: int = 0
    runs: int = 0
    crashes: int = 0
    faults: int = 0
    messages: int = 0
    posts: int = 0
    throttled: int = 0
    duplicates: int = 0
    losses: int = 0
    refused_logs: int = 0
    failed: list[tuple[int, str]] = field(default_factory=list)

    def add(self, seed: int, history: History) -> None:
        self.histories += 1
        for each in fields(self):
            if each.name not in ("histories", "failed"):
                setattr(self, each.name, getattr(self, each.name) + getattr(history, each.name))
        if history.wrong:
            self.failed.append((seed, history.wrong[0]))

    def join(self, other: Sums) -> None:
        for each in fields(self):
            setattr(self, each.name, getattr(self, each.name) + getattr(other, each.name))

    def __str__(self) -> str:
        return (
            f"{self.histories:,} histories: {self.runs:,} runs of the tool, {self.crashes:,} crashes, "
            f"{self.faults:,} faults, {self.messages:,} messages in {self.posts:,} requests, "
            f"{self.duplicates:,} duplicates, {self.losses:,} losses, {len(self.failed):,} failed"
        )


def repeat_command(seed: int) -> str:
    return f"python -m tests.simulation.soak --seed {seed}"


def chunk(first: int, size: int) -> Sums:
    """The sums of some seeds, in this process."""
    sums = Sums()
    for seed in range(first, first + size):
        sums.add(seed, play(seed))
    return sums


def processors() -> int:
    return len(os.sched_getaffinity(0)) if hasattr(os, "sched_getaffinity") else os.cpu_count() or 1


def _quiet() -> None:
    signal.signal(signal.SIGINT, signal.SIG_IGN)  # the parent hears it and ends us


def play_many(first: int, runs: int | None, jobs: int, until: float | None = None) -> Iterator[Sums]:
    """Sums so far, again and again, while seeds from `first` on are played.

    Args:
        runs: how many; None for no end.
        until: of the monotonic clock, when no more begin.
    """
    sums, starts = Sums(), count(first, CHUNK)
    end = None if runs is None else first + runs
    with ProcessPoolExecutor(jobs, multiprocessing.get_context("spawn"), _quiet) as pool:
        going: set[Future[Sums]] = set()
        try:
            while True:
                while len(going) < 2 * jobs and (until is None or time.monotonic() < until):
                    start = next(starts)
                    if end is not None and start >= end:
                        break
                    going.add(pool.submit(chunk, start, CHUNK if end is None else min(CHUNK, end - start)))
                if not going:
                    return
                done, going = wait(going, return_when=FIRST_COMPLETED)
                for each in done:
                    sums.join(each.result())
                yield sums
        finally:
            for each in going:
                each.cancel()
