"""The pacer against helpdesks that count in every way there is, in simulated time; `make pacing` measures more."""

from __future__ import annotations

import pytest

from bulkmsg.pacing import Counting, Pacer
from bulkmsg.settings import Rate
from tests.accounts import (
    COUNTING,
    LEAKING,
    RATE,
    Account,
    Kind,
    Neighbours,
    Server,
    at_random,
    evenly,
    heavy_way,
    in_bursts,
    most,
)
from tests.pacing_run import PacedRun

SEEDS = (1, 2, 3)
SECONDS = 1200.0


def fresh(starts: list[float]) -> Pacer:
    """A process that knows nothing of an earlier one."""
    return Pacer(RATE)


def with_log(starts: list[float]) -> Pacer:
    """A process that reads in a log when the last requests of earlier ones started."""
    pacer = Pacer(RATE)
    for start in starts[-2 * RATE.limit :]:
        pacer.note(start)
    return pacer


def spent(kind: Kind) -> Server:
    """A server whose budget was used up a moment ago."""
    server = kind(RATE)
    for _ in range(RATE.limit):
        server.hit(0.0)
    return server


@pytest.mark.parametrize("seed", SEEDS)
@pytest.mark.parametrize("kind", LEAKING)
def test_a_leaking_bucket_is_used_up_without_one_refusal(kind: Kind, seed: int) -> None:
    run = PacedRun(Account(kind(RATE), seed), fresh)
    figures = run.run(SECONDS)
    assert figures.throttled == 0
    assert figures.accepted >= 0.997 * most(kind, SECONDS)


@pytest.mark.parametrize("seed", SEEDS)
@pytest.mark.parametrize("kind", COUNTING)
def test_windows_are_found_out_without_one_refusal(kind: Kind, seed: int) -> None:
    run = PacedRun(Account(kind(RATE), seed), fresh)
    figures = run.run(SECONDS)
    assert figures.throttled == 0
    assert figures.accepted >= 0.97 * most(kind, SECONDS)
    assert isinstance(run.limiter, Pacer)
    assert run.limiter.counting is Counting.WINDOWS


@pytest.mark.parametrize("kind", LEAKING + COUNTING)
def test_answers_that_come_very_late_cost_nothing(kind: Kind) -> None:
    figures = PacedRun(Account(kind(RATE), 1, heavy_way), fresh).run(SECONDS)
    assert figures.throttled == 0
    assert figures.accepted >= (0.997 if kind in LEAKING else 0.97) * most(kind, SECONDS)


@pytest.mark.parametrize("fast", [-200.0, 200.0])
@pytest.mark.parametrize("kind", LEAKING + COUNTING)
def test_a_clock_that_goes_wrong_costs_nothing(kind: Kind, fast: float) -> None:
    figures = PacedRun(Account(kind(RATE), 1, fast=fast), fresh).run(4 * SECONDS)
    assert figures.throttled == 0


@pytest.mark.parametrize("kind", LEAKING + COUNTING)
def test_without_headers_the_documented_rate_is_kept(kind: Kind) -> None:
    figures = PacedRun(Account(kind(RATE), 1), fresh, headers=False).run(SECONDS)
    assert figures.throttled <= (0 if kind in LEAKING else 1)
    assert figures.accepted >= 0.97 * most(kind, SECONDS)


@pytest.mark.parametrize("seed", SEEDS)
@pytest.mark.parametrize("kind", LEAKING + COUNTING)
def test_a_spent_budget_costs_one_refusal_at_most(kind: Kind, seed: int) -> None:
    figures = PacedRun(Account(spent(kind), seed), fresh).run(SECONDS)
    assert figures.throttled <= 1
    assert figures.accepted >= (0.995 if kind in LEAKING else 0.97) * (most(kind, SECONDS) - RATE.limit)


@pytest.mark.parametrize("seed", SEEDS)
@pytest.mark.parametrize("kind", LEAKING + COUNTING)
def test_a_spent_budget_costs_nothing_if_a_log_tells_of_it(kind: Kind, seed: int) -> None:
    run = PacedRun(Account(spent(kind), seed), with_log)
    run.starts += [0.0] * RATE.limit
    figures = run.run(SECONDS)
    assert figures.throttled == 0
    assert figures.accepted >= (0.995 if kind in LEAKING else 0.97) * (most(kind, SECONDS) - RATE.limit)


@pytest.mark.parametrize("neighbours", [evenly, at_random])
@pytest.mark.parametrize("seed", SEEDS)
@pytest.mark.parametrize("kind", LEAKING)
def test_other_applications_get_what_they_ask_for(kind: Kind, seed: int, neighbours: Neighbours) -> None:
    figures = PacedRun(Account(kind(RATE), seed, neighbours=neighbours), fresh).run(SECONDS)
    assert figures.throttled == 0
    assert figures.others_throttled <= 2
    assert figures.accepted >= 0.99 * (most(kind, SECONDS) - figures.others_accepted)


@pytest.mark.parametrize("neighbours", [evenly, at_random])
@pytest.mark.parametrize("kind", COUNTING)
def test_other_applications_get_nearly_all_where_windows_are_counted(kind: Kind, neighbours: Neighbours) -> None:
    figures = PacedRun(Account(kind(RATE), 1, neighbours=neighbours), fresh).run(SECONDS)
    assert figures.throttled <= 5
    assert figures.others_throttled <= 0.1 * figures.others_accepted
    assert figures.accepted >= 0.75 * (most(kind, SECONDS) - figures.others_accepted)


@pytest.mark.parametrize("kind", LEAKING)
def test_bursts_of_others_cost_few_refusals(kind: Kind) -> None:
    figures = PacedRun(Account(kind(RATE), 1, neighbours=in_bursts), fresh).run(SECONDS)
    assert figures.throttled <= 2
    assert figures.others_throttled <= 0.08 * figures.others_accepted


@pytest.mark.parametrize("kind", LEAKING + COUNTING)
def test_restarts_cost_at_most_one_refusal_each(kind: Kind) -> None:
    figures = PacedRun(Account(kind(RATE), 1), fresh).run(SECONDS, restart_every=30.0)
    assert figures.throttled <= (0 if kind in LEAKING else SECONDS / 30)


@pytest.mark.parametrize("seed", SEEDS)
@pytest.mark.parametrize("kind", LEAKING + COUNTING)
def test_restarts_cost_nothing_if_a_log_tells_of_the_last_requests(kind: Kind, seed: int) -> None:
    figures = PacedRun(Account(kind(RATE), seed), with_log).run(SECONDS, restart_every=30.0)
    assert figures.throttled == 0
    assert figures.accepted >= (0.99 if kind in LEAKING else 0.95) * most(kind, SECONDS)


@pytest.mark.parametrize("rate", [Rate(1, 5.0), Rate(2, 5.0), Rate(3, 10.0), Rate(10, 10.0), Rate(80, 20.0)], ids=str)
@pytest.mark.parametrize("kind", LEAKING)
def test_limits_of_every_size_are_kept(kind: Kind, rate: Rate) -> None:
    figures = PacedRun(Account(kind(rate), 1), lambda starts: Pacer(rate)).run(300.0)
    assert figures.throttled == 0
    assert figures.accepted >= 0.6 * most(kind, 300.0, rate)


@pytest.mark.parametrize("kind", LEAKING + COUNTING)
def test_a_ceiling_below_the_limit_is_kept(kind: Kind) -> None:
    ceiling = Rate(20, 20.0)
    figures = PacedRun(Account(kind(RATE), 1), lambda starts: Pacer(RATE, ceiling)).run(SECONDS)
    assert figures.throttled == 0
    assert 0.97 * ceiling.per_second * SECONDS <= figures.accepted <= ceiling.limit + ceiling.per_second * SECONDS


@pytest.mark.parametrize("share", [0.5, 0.1])
@pytest.mark.parametrize("kind", LEAKING + COUNTING)
def test_a_share_is_kept(kind: Kind, share: float) -> None:
    figures = PacedRun(Account(kind(RATE), 1), lambda starts: Pacer(RATE, share=share)).run(SECONDS)
    ours = share * RATE.per_second * SECONDS
    assert figures.throttled == 0
    assert 0.96 * ours <= figures.accepted <= ours + share * RATE.limit


@pytest.mark.parametrize("kind", LEAKING)
def test_a_bucket_that_leaks_faster_than_documented_does_not_hold_a_ceiling_down(kind: Kind) -> None:
    faster, ceiling = Rate(40, 2.0), Rate(20, 2.0)
    figures = PacedRun(Account(kind(faster), 1), lambda starts: Pacer(RATE, ceiling)).run(120.0)
    assert figures.throttled == 0
    assert figures.accepted >= 0.97 * ceiling.per_second * 120.0
