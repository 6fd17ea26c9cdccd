"""The pacer's arithmetic by hand, what Retry-After may say, and the loop whose clock jumps."""

from __future__ import annotations

import asyncio
import math
from datetime import UTC, datetime

import pytest
from hypothesis import given
from hypothesis import strategies as st

from bulkmsg.pacing import Counting, Pacer, retry_after_seconds
from bulkmsg.pacing.counts import Log
from bulkmsg.settings import Rate
from tests.virtual_clock import Deadlock, OutOfTime, run_virtual

RATE = Rate(40, 20.0)
NOW = datetime(2025, 3, 4, 12, 0, 0, tzinfo=UTC)


def burst(pacer: Pacer, now: float) -> list[int]:
    """Start all that may start at once."""
    tokens: list[int] = []
    while pacer.wait(now) == 0.0 and len(tokens) < 1000:
        tokens.append(pacer.start(now))
    return tokens


def probed(pacer: Pacer, used: int | None = 1, limit: int | None = 40) -> Pacer:
    pacer.answered(pacer.start(100.0), 100.0, used, limit)
    return pacer


def full_burst(pacer: Pacer) -> Pacer:
    """A probe and 35 more at 100.0, all counted by 100.1."""
    probed(pacer)
    for place, token in enumerate(burst(pacer, 100.0)):
        pacer.answered(token, 100.1, place + 2, 40)
    return pacer


def known_bucket(pacer: Pacer) -> Pacer:
    """One that has proved to leak, with 33 in it at 102.5."""
    full_burst(pacer)
    pacer.answered(pacer.start(102.0), 102.1, 33, 40)
    pacer.answered(pacer.start(102.5), 102.6, 33, 40)
    return pacer


def test_the_first_request_goes_alone() -> None:
    pacer = Pacer(RATE)
    assert pacer.wait(0.0) == 0.0
    pacer.start(0.0)
    assert pacer.wait(0.0) == pacer.wait(1e6) == math.inf


def test_the_probe_reads_how_much_is_left() -> None:
    pacer = probed(Pacer(RATE), used=30)
    assert len(burst(pacer, 100.0)) == 6  # 36 of 40, of which 30 are gone


def test_a_lost_probe_is_followed_by_another() -> None:
    pacer = Pacer(RATE)
    pacer.lost(pacer.start(0.0), 30.0)
    assert len(burst(pacer, 30.0)) == 1


def test_without_a_header_the_documented_limit_counts() -> None:
    assert len(burst(probed(Pacer(RATE), None, None), 100.0)) == 35


def test_the_wait_is_exactly_as_long_as_it_must_be() -> None:
    pacer = probed(Pacer(RATE))
    burst(pacer, 100.0)
    assert pacer.wait(100.0) == pytest.approx(0.5)
    assert pacer.wait(100.4) == pytest.approx(0.1)
    assert pacer.wait(100.5) == 0.0


def test_the_level_is_unknown_again_after_a_silence() -> None:
    pacer = probed(Pacer(RATE))
    assert len(burst(pacer, 200.0)) == 1


def test_the_header_raises_and_lowers_the_limit() -> None:
    pacer = probed(Pacer(RATE), 1, 80)
    assert pacer.rate == Rate(80, 20.0)
    pacer.answered(pacer.start(100.0), 100.0, 2, 10)
    assert pacer.rate == Rate(10, 20.0)


@pytest.mark.parametrize("limit", [0, -5, None])
def test_a_header_without_sense_changes_nothing(limit: int | None) -> None:
    assert probed(Pacer(RATE), -3, limit).rate == RATE


@pytest.mark.parametrize(
    ("ceiling", "told", "in_force", "more"),
    [
        (Rate(20, 20.0), 40, Rate(20, 20.0), RATE),
        (Rate(100, 20.0), 40, RATE, None),
        (Rate(40, 2.0), 40, Rate(40, 2.0), None),
        (Rate(2, 1.0), 40, Rate(2, 1.0), None),
        (RATE, 80, RATE, Rate(80, 20.0)),
    ],
)
def test_a_ceiling_is_lowered_by_the_header_and_never_raised(
    ceiling: Rate, told: int, in_force: Rate, more: Rate | None
) -> None:
    pacer = Pacer(RATE, ceiling)
    assert pacer.more_possible is None
    probed(pacer, 1, told)
    assert pacer.rate == in_force
    assert pacer.more_possible == more


def test_an_empty_bucket_over_there_does_not_lift_a_ceiling() -> None:
    pacer = probed(Pacer(RATE, Rate(10, 20.0)))
    sent = 1
    for step in range(200):
        now = 100.0 + step / 10
        for token in burst(pacer, now):
            sent += 1
            pacer.answered(token, now, 1, 40)
    assert sent <= 10 + 10


def test_a_header_that_always_says_empty_does_not_lift_the_limit() -> None:
    pacer = probed(Pacer(RATE))
    sent = 1
    for step in range(200):
        now = 100.0 + step / 10
        for token in burst(pacer, now):
            sent += 1
            pacer.answered(token, now, 1, 40)
    assert sent <= 40 + 40


def test_what_is_under_way_is_not_forgotten_when_an_old_answer_comes_last() -> None:
    pacer = probed(Pacer(RATE))
    tokens = burst(pacer, 100.0)
    for place, token in reversed(list(enumerate(tokens))):
        pacer.answered(token, 100.0, place + 2, 40)
    assert pacer.wait(100.0) > 0


def test_the_share_may_change_as_time_passes() -> None:
    pacer = probed(Pacer(RATE, share=0.25))
    assert len(burst(pacer, 100.0)) == 9
    assert pacer.wait(100.0) == pytest.approx(2.0)
    pacer.share = 0.5
    assert len(burst(pacer, 100.0)) == 10
    assert pacer.wait(100.0) == pytest.approx(1.0)


@pytest.mark.parametrize(("ago", "wait"), [(0.0, 0.5), (0.25, 0.25), (10.0, 0.0)])
def test_what_an_earlier_run_started_still_counts(ago: float, wait: float) -> None:
    pacer = Pacer(RATE)
    for _ in range(36):
        pacer.note(100.0 - ago)
    assert pacer.wait(100.0) == pytest.approx(wait)


def test_what_another_process_starts_takes_its_slot_from_us() -> None:
    alone, beside = probed(Pacer(RATE)), probed(Pacer(RATE))
    for _ in range(10):
        beside.note(99.9)
    assert len(burst(alone, 100.0)) - len(burst(beside, 100.0)) == 10


def test_a_count_that_does_not_show_a_noted_start_yet_does_not_free_its_slot() -> None:
    pacer = probed(Pacer(RATE))
    token = pacer.start(100.0)
    for _ in range(10):
        pacer.note(100.05)
    pacer.answered(token, 100.1, 2, 40)
    assert len(burst(pacer, 100.1)) == 36 - 12


def test_what_others_send_leaves_less_for_us() -> None:
    pacer = probed(Pacer(RATE))
    pacer.answered(pacer.start(100.0), 100.0, 12, 40)
    assert len(burst(pacer, 100.0)) == 8  # 12 are gone, and 20 stay free, since others come ten at a time


def test_what_others_sent_is_given_back_to_us_in_time() -> None:
    pacer = probed(Pacer(RATE))
    pacer.answered(pacer.start(100.0), 100.0, 12, 40)
    pacer.answered(pacer.start(7300.0), 7300.0, 1, 40)  # two hours without them
    assert len(burst(pacer, 7300.0)) == 35


def test_a_429_stops_everybody() -> None:
    pacer = probed(Pacer(RATE))
    first, second, *_ = burst(pacer, 100.0)
    pacer.throttled(first, 100.2, 5.0, 40, 40)
    pacer.throttled(second, 100.3, 2.0, 40, 40)
    assert pacer.paused(100.2) == pytest.approx(5.0)
    assert pacer.wait(103.0) >= 2.2
    assert pacer.paused(106.0) == 0.0


def test_the_refusals_of_one_burst_teach_once() -> None:
    once, often = known_bucket(Pacer(RATE)), known_bucket(Pacer(RATE))
    for pacer, refused in ((once, 1), (often, 9)):
        for place, token in enumerate(burst(pacer, 104.0)):
            if place < refused:
                pacer.throttled(token, 104.2, 1.0, 40, 40)
            else:
                pacer.lost(token, 104.2)
    assert once._others.gust(104.2) == often._others.gust(104.2) == 2.0


def test_a_refusal_before_it_is_known_how_is_counted_shows_windows() -> None:
    pacer = probed(Pacer(RATE))
    first, *_ = burst(pacer, 100.0)
    pacer.throttled(first, 100.2, 1.0, 40, 40)
    assert pacer.counting is Counting.WINDOWS


def test_a_refusal_that_comes_windows_later_is_still_heard() -> None:
    pacer = probed(Pacer(RATE))
    late = pacer.start(100.0)
    for step in range(1, 100):
        pacer.answered(pacer.start(100.0 + step), 100.0 + step, 1, 40)
    pacer.throttled(late, 200.0, 5.0, 40, 40)
    assert pacer.paused(200.0) == 5.0


def test_a_refused_probe_teaches_the_level_alone() -> None:
    pacer = Pacer(RATE)
    pacer.throttled(pacer.start(0.0), 0.1, 1.0, 40, 40)
    assert pacer.counting is Counting.UNKNOWN
    assert pacer.wait(1.1) == pytest.approx(1.5)  # from 40 - 2 down to 35: 1.5 seconds more


def test_a_count_that_falls_faster_than_a_bucket_shows_windows() -> None:
    pacer = full_burst(Pacer(RATE))
    pacer.answered(pacer.start(101.0), 101.1, 1, 40)
    assert pacer.counting is Counting.WINDOWS


def test_a_count_below_what_any_window_holds_shows_a_bucket() -> None:
    assert known_bucket(Pacer(RATE)).counting is Counting.LEAKS


def test_one_shrinking_may_be_the_beginning_of_a_window_and_proves_nothing() -> None:
    pacer = full_burst(Pacer(RATE))
    pacer.answered(pacer.start(102.0), 102.1, 33, 40)
    assert pacer.counting is Counting.UNKNOWN


def test_a_counter_that_stays_low_while_requests_come_shrank_twice_and_is_a_bucket() -> None:
    pacer = probed(Pacer(RATE))
    for step in range(30):  # about as fast as it leaks
        now = 100.0 + step / 2
        pacer.answered(pacer.start(now), now + 0.1, 2, 40)
    assert pacer.counting is Counting.LEAKS


def test_counts_that_hold_all_and_lose_nothing_show_windows() -> None:
    pacer = full_burst(Pacer(RATE))
    for step in range(3):
        assert pacer.counting is Counting.UNKNOWN
        now = 102.0 + 2 * step
        pacer.answered(pacer.start(now), now + 0.1, 37 + step, 40)
    assert pacer.counting is Counting.WINDOWS


def test_a_count_that_began_anew_shows_no_bucket() -> None:
    pacer = full_burst(Pacer(RATE))
    pacer.answered(pacer.start(102.0), 102.1, 1, 40)
    for step in range(25):
        now = 103.0 + step / 2
        pacer.answered(pacer.start(now), now + 0.1, 2 + step, 40)
    assert pacer.counting is Counting.WINDOWS


def test_an_answer_from_the_window_before_tells_nothing_of_others() -> None:
    pacer = full_burst(Pacer(RATE))
    late = pacer.start(101.9)
    pacer.answered(pacer.start(102.0), 102.1, 1, 40)
    pacer.answered(late, 102.2, 37, 40)
    assert pacer._others.least == 0


def test_windows_are_filled_evenly_so_that_others_are_heard() -> None:
    pacer = full_burst(Pacer(RATE))
    pacer.answered(pacer.start(102.0), 102.1, 1, 40)
    pacer.answered(pacer.start(130.0), 130.1, 1, 40)
    assert pacer.wait(130.1) == pytest.approx(0.15)  # a fourth of a second after the last


def test_a_place_in_a_window_is_free_one_window_after_its_answer() -> None:
    log = Log()
    for _ in range(3):
        log.start(100.0)
    log.land(100.0, 100.5)
    log.land(100.0, 100.7)
    assert log.wait(101.0, 20.0, 3) == pytest.approx(19.5)
    assert log.wait(101.0, 20.0, 2) == pytest.approx(19.7)
    assert log.wait(101.0, 20.0, 1) == math.inf  # the third is still under way
    assert log.wait(120.6, 20.0, 3) == 0.0


def test_a_limit_of_one_goes_one_by_one() -> None:
    pacer = probed(Pacer(Rate(1, 5.0)), None, None)
    assert pacer.wait(100.0) == pytest.approx(5.0, rel=0.002)
    token = pacer.start(105.0)
    assert pacer.wait(130.0) == math.inf
    pacer.answered(token, 130.0, None, None)
    assert pacer.wait(130.0) == pytest.approx(5.0, rel=0.002)


@given(
    st.lists(
        st.tuples(
            st.floats(0, 30), st.integers(0, 4), st.none() | st.integers(-5, 99), st.none() | st.integers(-1, 99)
        ),
        max_size=60,
    ),
    st.sampled_from([None, Rate(1, 1.0), Rate(7, 3.0), Rate(200, 60.0)]),
    st.sampled_from([0.1, 0.5, 1.0]),
)
def test_whatever_is_answered_a_way_on_remains(
    story: list[tuple[float, int, int | None, int | None]], ceiling: Rate | None, share: float
) -> None:
    pacer, now, tokens = Pacer(RATE, ceiling, share), 0.0, list[int]()
    for step, choice, used, limit in story:
        now += step
        if pacer.wait(now) == 0.0:
            tokens.append(pacer.start(now))
        if tokens and choice < 3:
            token = tokens.pop(len(tokens) // 2)
            if choice == 0:
                pacer.answered(token, now, used, limit)
            elif choice == 1:
                pacer.throttled(token, now, step, used, limit)
            else:
                pacer.lost(token, now)
    for token in tokens:
        pacer.lost(token, now)
    wait = pacer.wait(now)
    assert 0.0 <= wait <= 120 / share
    assert pacer.wait(now + wait + 0.001) == 0.0


@pytest.mark.parametrize(
    ("text", "seconds"),
    [
        ("5", 5.0),
        (" 17 ", 17.0),
        ("2.5", 2.5),
        ("0.25", 0.25),
        ("0.05", 0.05),
        ("0.01", 1.0),
        ("0", 1.0),
        ("0.0", 1.0),
        ("-3", 1.0),
        ("-0.5", 1.0),
        ("86400", 300.0),
        ("9" * 5000, 300.0),
        ("Tue, 04 Mar 2025 12:00:30 GMT", 30.0),
        ("Tuesday, 04-Mar-25 12:00:30 GMT", 30.0),
        ("Tue Mar  4 12:00:30 2025", 30.0),
        ("Tue, 04 Mar 2025 11:00:00 GMT", 1.0),
        ("Wed, 04 Mar 2026 12:00:00 GMT", 300.0),
        ("soon", 5.0),
        ("nan", 5.0),
        ("inf", 5.0),
        ("1e3", 5.0),
        ("٥", 5.0),
        ("", 5.0),
        (None, 5.0),
    ],
)
def test_every_flavour_of_retry_after(text: str | None, seconds: float) -> None:
    assert retry_after_seconds(text, NOW) == seconds


@given(st.text())
def test_no_retry_after_leads_out_of_bounds(text: str) -> None:
    assert 0.05 <= retry_after_seconds(text, NOW) <= 300.0


def test_a_virtual_hour_takes_no_time_and_keeps_its_order() -> None:
    async def sleeper(name: str, seconds: float, woken: list[tuple[str, float]]) -> None:
        await asyncio.sleep(seconds)
        woken.append((name, asyncio.get_running_loop().time()))

    async def all_of_them() -> list[tuple[str, float]]:
        woken: list[tuple[str, float]] = []
        await asyncio.gather(sleeper("late", 3600, woken), sleeper("early", 1, woken))
        return woken

    assert run_virtual(all_of_them()) == [("early", 1001.0), ("late", 4600.0)]


def test_a_deadlock_names_who_waits() -> None:
    async def for_ever() -> None:
        await asyncio.Event().wait()

    with pytest.raises(Deadlock, match="for_ever"):
        run_virtual(for_ever())


def test_the_virtual_time_is_bounded_and_the_end_still_tidy() -> None:
    tidied = []

    async def too_long() -> None:
        try:
            await asyncio.sleep(100)
        finally:
            await asyncio.sleep(100)
            tidied.append(True)

    with pytest.raises(OutOfTime):
        run_virtual(too_long(), limit_seconds=99)
    assert tidied


def test_the_clock_stands_while_a_thread_works() -> None:
    async def threaded() -> float:
        before = asyncio.get_running_loop().time()
        timer = asyncio.create_task(asyncio.sleep(5))
        await asyncio.to_thread(sum, range(1000))
        passed = asyncio.get_running_loop().time() - before
        await timer
        return passed

    assert run_virtual(threaded()) == 0.0
