"""The two models of the request budget, on fake time."""

import pytest

from bulkmsg.sandbox.limiter import Leaky, Window, bucket, retry_after
from bulkmsg.sandbox.settings import SandboxSettings


def test_leaky_takes_a_burst_up_to_the_limit_and_then_refuses() -> None:
    leaky = Leaky(40, 20)
    assert [leaky.take(0.0).header for _ in range(40)] == [f"{n}/40" for n in range(1, 41)]
    grant = leaky.take(0.0)
    assert (grant.allowed, grant.header, grant.wait) == (False, "40/40", 0.5)


def test_leaky_leaks_steadily_and_a_refusal_costs_nothing() -> None:
    leaky = Leaky(40, 20)
    for _ in range(40):
        leaky.take(0.0)
    assert not leaky.take(0.499).allowed
    assert leaky.take(0.5).allowed
    assert not leaky.take(0.5).allowed
    assert leaky.take(20.5).header == "1/40"


def test_leaky_never_lets_more_through_than_burst_plus_leak() -> None:
    leaky = Leaky(40, 20)
    taken = sum(leaky.take(tick / 100).allowed for tick in range(6001))
    assert taken == 40 + 120


def test_window_counts_up_and_begins_anew_with_each_window() -> None:
    window = Window(3, 10)
    assert [window.take(t).header for t in (5.0, 6.0, 14.9)] == ["1/3", "2/3", "3/3"]
    refused = window.take(14.9)
    assert not refused.allowed
    assert refused.wait == pytest.approx(0.1)
    assert window.take(15.0).header == "1/3"
    assert window.take(99.0).header == "1/3"


def test_window_does_not_drain_in_between() -> None:
    window = Window(80, 20)
    assert [window.take(t).used for t in (0.0, 0.7, 1.5)] == [1, 2, 3]


@pytest.mark.parametrize("kind", [Leaky, Window])
def test_a_neighbour_takes_its_share_of_the_budget(kind: type[Leaky] | type[Window]) -> None:
    alone, shared = kind(40, 20), kind(40, 20, neighbour=1.0)
    ticks = [tick / 2 for tick in range(400)]
    assert all(alone.take(t).allowed for t in ticks)
    assert 200 <= sum(shared.take(t).allowed for t in ticks) <= 300


def test_a_neighbour_shows_in_the_header() -> None:
    leaky = Leaky(40, 20, neighbour=3.0)
    leaky.take(0.0)
    assert leaky.take(10.0).used == 12


def test_a_clock_that_stands_or_goes_back_does_not_refill() -> None:
    leaky = Leaky(1, 20)
    assert leaky.take(100.0).allowed
    assert not leaky.take(50.0).allowed
    assert not leaky.take(100.0).allowed


@pytest.mark.parametrize(
    ("wait", "fractional", "text"),
    [
        (0.5, False, "1"),
        (1.0, False, "1"),
        (1.01, False, "2"),
        (0.0, False, "1"),
        (19.5, False, "20"),
        (0.25, True, "0.25"),
        (0.001, True, "0.05"),
        (1.5, True, "1.5"),
        (2.0, True, "2"),
    ],
)
def test_retry_after_is_a_whole_second_at_least_unless_fractions_are_allowed(
    wait: float, fractional: bool, text: str
) -> None:
    assert retry_after(wait, fractional) == text


def test_fractions_are_allowed_by_default_only_below_five_seconds() -> None:
    assert not SandboxSettings().fractional
    assert SandboxSettings(window=2).fractional
    assert not SandboxSettings(window=2, fractional_retry_after=False).fractional
    assert SandboxSettings(fractional_retry_after=True).fractional


def test_the_settings_choose_the_model() -> None:
    assert isinstance(bucket(SandboxSettings()), Leaky)
    assert isinstance(bucket(SandboxSettings(limiter="window")), Window)
