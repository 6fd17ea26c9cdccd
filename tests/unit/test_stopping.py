"""When a run ends early, as arithmetic: errors counted, times of day found."""

from __future__ import annotations

import time as system_time
from datetime import UTC, datetime, timedelta
from zoneinfo import ZoneInfo

import pytest

from bulkmsg.errors import UsageError
from bulkmsg.outcome import Outcome, State
from bulkmsg.stopping import (
    FIRST,
    USUAL_ERRORS,
    Deadline,
    ErrorBudget,
    ErrorLimit,
    Moment,
    deadlines,
    parse_error_limit,
    parse_stop_at,
    parse_stretch,
)

GOOD = Outcome(State.CREATED, 1, 1, 201)
BAD = Outcome(State.REJECTED, status=404, error="Resource not found.")
BERLIN = ZoneInfo("Europe/Berlin")


def spent_at(limit: ErrorLimit, outcomes: list[Outcome], expected: int = 10_000) -> int | None:
    """After how many outcomes the budget is spent."""
    budget = ErrorBudget(limit, expected)
    for number, outcome in enumerate(outcomes, 1):
        budget.count(outcome)
        if budget.is_spent:
            return number
    return None


def every(nth: int, total: int) -> list[Outcome]:
    """Every nth outcome is bad."""
    return [BAD if number % nth == 0 else GOOD for number in range(1, total + 1)]


# -- errors ----------------------------------------------------------------------------------------------------------


@pytest.mark.parametrize(("text", "end"), [("0", 1), ("1", 2), ("10", 11)])
def test_a_number_of_errors_is_borne_and_one_more_ends(text: str, end: int) -> None:
    assert spent_at(parse_error_limit(text), [BAD] * 20) == end


def test_errors_need_not_stand_together_to_be_counted() -> None:
    assert spent_at(ErrorLimit(3), every(10, 100)) == 40


def test_usually_twenty_five_in_a_row_are_borne() -> None:
    assert spent_at(USUAL_ERRORS, [GOOD, *[BAD] * 25, GOOD, *[BAD] * 25, GOOD] * 3) is None
    assert spent_at(USUAL_ERRORS, [GOOD, *[BAD] * 40]) == 27


def test_usually_a_share_says_nothing_before_the_first_two_hundred() -> None:
    early = [*[BAD] * 11, *[GOOD] * 188]
    assert spent_at(USUAL_ERRORS, early) is None
    assert spent_at(USUAL_ERRORS, [*early, GOOD]) == FIRST, "11 of 200 are more than 5 %"
    assert spent_at(USUAL_ERRORS, [*[BAD] * 10, *[GOOD] * 190]) is None, "10 of 200 are 5 %"
    assert spent_at(USUAL_ERRORS, every(20, 5000)) is None
    assert spent_at(USUAL_ERRORS, every(19, 5000)) == 209


def test_a_share_that_was_asked_for_ends_as_soon_as_the_first_two_hundred_must_exceed_it() -> None:
    assert spent_at(parse_error_limit("10%"), [BAD] * 50) == 21
    assert spent_at(parse_error_limit("10%"), [*[BAD] * 20, *[GOOD] * 180, *every(10, 1000)]) is None
    assert spent_at(parse_error_limit("0.5%"), [*[GOOD] * 1000, *[BAD] * 9]) == 1006


def test_in_a_small_batch_a_share_is_one_of_the_batch() -> None:
    assert spent_at(parse_error_limit("10%"), [BAD] * 40, expected=40) == 5
    assert spent_at(parse_error_limit("50%"), [BAD, GOOD] * 2, expected=4) is None


def test_all_errors_are_borne_by_a_hundred_per_cent_and_none_by_zero() -> None:
    assert spent_at(parse_error_limit("100%"), [BAD] * 5000) is None
    assert spent_at(parse_error_limit("0%"), [GOOD, GOOD, BAD]) == 3


@pytest.mark.parametrize("state", [State.HELD_BACK, State.IN_DOUBT])
def test_what_follows_from_an_error_or_is_open_neither_counts_nor_ends_a_row(state: State) -> None:
    assert spent_at(ErrorLimit(in_a_row=2), [BAD, Outcome(state), BAD, Outcome(state), BAD]) == 5
    assert spent_at(ErrorLimit(0), [Outcome(state)] * 9) is None
    budget = ErrorBudget(ErrorLimit(0), 9)
    budget.count(Outcome(state))
    assert (budget.settled, budget.errors) == (0, 0)


def test_failed_messages_count_as_rejected_ones_do() -> None:
    assert spent_at(ErrorLimit(1), [BAD, Outcome(State.FAILED, error="8 attempts, none arrived")]) == 2


def test_why_it_stopped_is_told_with_the_commonest_reason_and_no_address() -> None:
    budget = ErrorBudget(ErrorLimit(2), 9)
    for outcome in (GOOD, BAD, Outcome(State.REJECTED, status=400, error="anna@acme.example is no agent"), BAD):
        budget.count(outcome)
    assert budget.told == (
        "3 of the 4 messages worked on were rejected or failed: more than --max-errors bears (2); "
        "2 of them: HTTP 404: Resource not found."
    )
    assert "another account" in budget.hint
    alone = ErrorBudget(ErrorLimit(0), 9)
    alone.count(Outcome(State.REJECTED, status=400, error="anna@acme.example is no agent"))
    assert alone.told.endswith("; the first: HTTP 400: [address] is no agent")
    assert "another account" not in alone.hint


def test_the_usual_limit_says_itself_in_words() -> None:
    budget = ErrorBudget(USUAL_ERRORS, 900)
    for _ in range(26):
        budget.count(BAD)
    assert "26 in a row: more than --max-errors bears (25 in a row, or 5% after the first 200)" in budget.told


def test_reasons_that_all_differ_take_bounded_memory() -> None:
    budget = ErrorBudget(ErrorLimit(percent=100.0), 9)
    for number in range(5000):
        budget.count(Outcome(State.REJECTED, status=400, error=f"row {number} " + "x" * 5000))
    assert sum(map(len, budget.reasons)) < 60_000
    assert budget.errors == 5000


@pytest.mark.parametrize("text", ["", "x", "-1", "1.5", "101%", "5 %", "%", "nan%", "1e3", "5%%"])
def test_what_is_no_number_of_errors_is_refused(text: str) -> None:
    with pytest.raises(UsageError, match="no number of errors"):
        parse_error_limit(text)


@pytest.mark.parametrize("text", ["0", "7", "5%", "2.5%"])
def test_a_limit_is_written_as_it_was_given(text: str) -> None:
    assert str(parse_error_limit(text)) == text


# -- time ------------------------------------------------------------------------------------------------------------


def berlin(text: str) -> datetime:
    return datetime.fromisoformat(text).replace(tzinfo=BERLIN)


@pytest.mark.parametrize(
    ("now", "text", "at"),
    [
        ("2026-11-22T17:59:59", "18:00", "2026-11-22T17:00Z"),
        ("2026-11-22T18:00:00", "18:00", "2026-11-23T17:00Z"),
        ("2026-11-22T23:30:00", "0:15", "2026-11-22T23:15Z"),
        ("2026-12-31T09:00:00", "08:00", "2027-01-01T07:00Z"),
        ("2026-11-22T09:00:00", "2026-11-24T07:30", "2026-11-24T06:30Z"),
        ("2026-11-22T09:00:00", "2026-11-24 07:30:10", "2026-11-24T06:30:10Z"),
        ("2026-11-22T09:00:00", "2026-11-24T07:30Z", "2026-11-24T07:30Z"),
        ("2026-11-22T09:00:00", "2026-11-24T07:30-05:00", "2026-11-24T12:30Z"),
        # In Berlin the clocks go forward at 02:00 on 29 March, and back at 03:00 on 25 October.
        ("2026-03-28T20:00:00", "06:00", "2026-03-29T04:00Z"),
        ("2026-03-29T01:00:00", "02:30", "2026-03-29T01:30Z"),
        ("2026-10-24T20:00:00", "06:00", "2026-10-25T05:00Z"),
        ("2026-10-25T01:00:00", "02:30", "2026-10-25T00:30Z"),
        ("2026-10-25T02:45:00", "02:30", "2026-10-25T01:30Z"),  # the hour comes twice, and with it half past two
    ],
)
def test_a_time_is_the_next_of_its_kind(now: str, text: str, at: str) -> None:
    found = parse_stop_at(text, berlin(now).astimezone(UTC), BERLIN)
    assert (found.at, str(found)) == (datetime.fromisoformat(at), text)


@pytest.mark.parametrize("text", ["", "24:00", "18", "18:60", "6pm", "18:00:00", "2026-02-30T10:00", "2026-W01-1"])
def test_what_is_no_time_is_refused(text: str) -> None:
    with pytest.raises(UsageError, match="is no time"):
        parse_stop_at(text, berlin("2026-11-22T09:00:00"), BERLIN)


def test_a_date_that_is_over_is_refused() -> None:
    with pytest.raises(UsageError, match="over already"):
        parse_stop_at("2026-11-22T08:59", berlin("2026-11-22T09:00:00"), BERLIN)


def test_a_time_of_day_is_one_of_the_machine_s_clocks(monkeypatch: pytest.MonkeyPatch) -> None:
    with monkeypatch.context() as patch:
        patch.setenv("TZ", "Asia/Tokyo")
        system_time.tzset()
        found = parse_stop_at("18:00", datetime(2026, 11, 22, 8, 0, tzinfo=UTC))
    system_time.tzset()
    assert found.at == datetime(2026, 11, 22, 9, 0, tzinfo=UTC)


@pytest.mark.parametrize(("text", "seconds"), [("2h", 7200.0), ("1h30m", 5400.0), ("0.3s", 0.3), ("45", 45.0)])
def test_a_stretch_of_time_keeps_its_words(text: str, seconds: float) -> None:
    stretch = parse_stretch(text)
    assert (stretch.seconds, str(stretch)) == (seconds, text)


@pytest.mark.parametrize("text", ["0", "0s", "400d", "-1h", "soon"])
def test_what_is_no_stretch_of_time_is_refused(text: str) -> None:
    with pytest.raises(UsageError):
        parse_stretch(text)


NOON = datetime(2026, 11, 22, 12, 0, tzinfo=UTC)


def test_a_run_without_such_flags_has_no_deadline() -> None:
    assert deadlines(500.0, NOON, None, None) == ()


def test_each_flag_is_a_deadline_on_the_loop_s_clock() -> None:
    longest, moment = parse_stretch("2h"), Moment(NOON + timedelta(minutes=30), "12:30")
    first, second = deadlines(500.0, NOON, longest, moment)
    assert (first.at, first.moment) == (500.0 + 7200.0, None)
    assert (second.at, second.moment) == (500.0 + 1800.0, moment.at)
    assert ("--max-duration 2h" in first.reason, "--stop-at 12:30" in second.reason) == (True, True)


def test_a_jump_of_the_wall_clock_does_not_move_a_duration() -> None:
    deadline = Deadline(600.0, "over")
    assert not deadline.is_over(599.9, NOON + timedelta(days=3650))
    assert deadline.is_over(600.0, NOON - timedelta(days=3650))


def test_a_moment_comes_by_whichever_clock_shows_it_first() -> None:
    deadline = Deadline(600.0, "over", NOON)
    assert not deadline.is_over(599.0, NOON - timedelta(seconds=1))
    assert deadline.is_over(300.0, NOON), "the machine slept: its loop's clock stood still meanwhile"
    assert deadline.is_over(600.0, NOON - timedelta(days=1)), "the wall clock was put back"
