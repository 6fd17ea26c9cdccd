"""`make soak`: plays seeds until it is stopped, and repeats a single one with everything that happened in it.

python -m tests.simulation.soak                  from a random seed on, until Ctrl-C
python -m tests.simulation.soak --runs 1000000   so many
python -m tests.simulation.soak --minutes 480    so long
python -m tests.simulation.soak --seed 17        one, told in order
"""

from __future__ import annotations

import argparse
import sys
import time
from random import SystemRandom

from tests.simulation.many import Sums, play_many, processors, repeat_command
from tests.simulation.play import play
from tests.simulation.world import world

_EVERY = 5.0  # seconds between two lines


def main(arguments: list[str] | None = None) -> int:
    """Exit code 1 if the checker found anything."""
    asked = _parser().parse_args(arguments)
    if asked.seed is not None:
        return tell_one(asked.seed)
    first = asked.first if asked.first is not None else SystemRandom().randrange(10**6, 10**12)
    return soak(first, asked.runs, asked.minutes, asked.jobs)


def _parser() -> argparse.ArgumentParser:
    parser = argparse.ArgumentParser(prog="python -m tests.simulation.soak", description=(__doc__ or "").split("\n")[0])
    parser.add_argument("--runs", type=int, help="how many histories (default: until it is stopped)")
    parser.add_argument("--minutes", type=float, help="for how long")
    parser.add_argument("--first", type=int, help="the first seed (default: a random one)")
    parser.add_argument("--jobs", type=int, default=processors(), help="processes (default: one for each processor)")
    parser.add_argument("--seed", type=int, help="play this one alone, and tell everything that happens in it")
    return parser


def soak(first: int, runs: int | None, minutes: float | None, jobs: int) -> int:
    """Play seeds from `first` on."""
    print(f"from seed {first} on, {jobs} processes; Ctrl-C ends it", flush=True)
    began = told_at = time.monotonic()
    sums, shown = Sums(), 0
    try:
        for sums in play_many(first, runs, jobs, None if minutes is None else began + 60 * minutes):
            for seed, wrong in sums.failed[shown:]:
                print(f"FAILED: seed {seed}: {wrong}\n  repeat it with: {repeat_command(seed)}", flush=True)
            shown = len(sums.failed)
            if time.monotonic() - told_at >= _EVERY:
                told_at = time.monotonic()
                print(f"{sums} ({sums.histories / (told_at - began):,.0f}/s)", flush=True)
    except KeyboardInterrupt:
        print("\nstopped")
    print(f"in all {sums}, in {time.monotonic() - began:,.0f} s")
    return 1 if sums.failed else 0


def tell_one(seed: int) -> int:
    """The history of one seed, for a person."""
    told: list[str] = []
    history = play(seed, told)
    given = world(seed)
    print(f"seed {seed}: {given}\n")
    for entry in given.entries:
        print(f"  {entry.key}: {entry.kind} in ticket {entry.ticket}")
    print()
    print("\n".join(told))
    print(f"\nhelpdesk and log, in short: {history.digest}")
    print("\n".join(f"WRONG {wrong}" for wrong in history.wrong) or "the checker finds nothing wrong")
    return 1 if history.wrong else 0


if __name__ == "__main__":
    sys.exit(main())
