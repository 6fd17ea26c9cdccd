"""What no limiter can do better without knowing the future: one that sees the server's own counter without delay.

It keeps a fixed number of slots free and fills all others at once. Printed for each number: the part of what others
leave that it uses, and how many requests of others are refused in an hour.
"""

from __future__ import annotations

import math
from statistics import fmean

from tests.accounts import RATE, Account, Fixed, Kind, Leaky, Neighbours, Sliding, at_random, evenly, in_bursts, most

HOUR = 3600.0
STEP = 0.02
SEEDS = (1, 2)
FREE = (1, 2, 3, 4, 6, 8, 10, 16, 20)


def used(server: Leaky | Sliding | Fixed, now: float) -> float:
    """The server's counter at this moment."""
    if isinstance(server, Leaky):
        return max(0.0, server.level - (now - server.at) * server.rate.per_second)
    if isinstance(server, Sliding):
        return sum(time > now - server.rate.window for time in server.times)
    return server.used if math.floor(now / server.rate.window) == server.window else 0


def bound(kind: Kind, neighbours: Neighbours, free: int, seed: int) -> tuple[float, int]:
    server = kind(RATE)
    assert isinstance(server, Leaky | Sliding | Fixed)
    account, now = Account(server, seed, neighbours=neighbours), 0.0
    while now < HOUR:
        account.others_until(now)
        while used(server, now) + 1 <= RATE.limit - free + 1e-9:
            account.arrive(now)
        now += STEP
    figures = account.figures
    return figures.accepted / (most(kind, HOUR) - figures.others_accepted), figures.others_throttled


def main() -> None:
    print("| server | others | free slots | used of what they leave | of theirs refused |")
    print("|---|---|---|---|---|")
    for kind in (Leaky, Sliding, Fixed):
        for neighbours in (evenly, at_random, in_bursts):
            for free in FREE:
                found = [bound(kind, neighbours, free, seed) for seed in SEEDS]
                part, refused = (fmean(each) for each in zip(*found, strict=True))
                print(f"| {kind.__name__.lower()} | {neighbours.__name__} | {free} | {part:.2%} | {refused:g} |")


if __name__ == "__main__":
    main()
