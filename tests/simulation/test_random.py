"""Random histories, and what makes them worth anything: the same seed is the same history to the last byte."""

from __future__ import annotations

import os
import subprocess
import sys
import time
from pathlib import Path

from tests.simulation.many import Sums, play_many, processors, repeat_command
from tests.simulation.play import play

HISTORIES = 20_000
ROOT = Path(__file__).parents[2]


def test_twenty_thousand_histories_send_nothing_twice_and_lose_nothing() -> None:
    sums, began = Sums(), time.monotonic()
    for so_far in play_many(0, HISTORIES, max(2, processors())):
        sums = so_far
    print(f"{sums}; {sums.histories / (time.monotonic() - began):,.0f} histories a second")
    wrong = [f"seed {seed}: {what}; repeat it with: {repeat_command(seed)}" for seed, what in sums.failed]
    assert not wrong, "\n".join(wrong)
    assert sums.histories == HISTORIES
    assert (sums.duplicates, sums.losses) == (0, 0)
    assert sums.crashes > 2 * HISTORIES / 10, "the storms are too mild to prove anything"
    assert sums.faults > HISTORIES


def test_the_same_seed_is_the_same_history_to_the_last_byte() -> None:
    """The log after each run and the helpdesk's history, also in another process with other hashes."""
    seeds = range(5000, 5040)
    here = [play(seed).digest for seed in seeds]
    assert here == [play(seed).digest for seed in seeds]
    assert len(set(here)) == len(here)
    code = f"from tests.simulation.play import play\nfor s in range({seeds.start}, {seeds.stop}): print(play(s).digest)"
    env = {**os.environ, "PYTHONHASHSEED": "12345"}
    there = subprocess.run([sys.executable, "-c", code], cwd=ROOT, env=env, capture_output=True, text=True, check=True)
    assert there.stdout.split() == here


def test_a_history_can_be_told_and_telling_changes_nothing() -> None:
    told: list[str] = []
    history = play(17, told)
    assert any("run 1 begins" in line for line in told)
    assert any("POST /api/tickets" in line for line in told)
    assert [line for line in told if "tool:" in line]
    assert history.wrong == play(17).wrong == []
