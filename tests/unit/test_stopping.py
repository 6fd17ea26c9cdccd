"""When errors end a run, as arithmetic."""

from __future__ import annotations

import pytest

from bulkmsg.errors import UsageError
from bulkmsg.outcome import Outcome, State
from bulkmsg.stopping import FIRST, USUAL_ERRORS, ErrorLimit, ErrorTally, parse_error_limit

GOOD = Outcome(State.CREATED, 1, 1, 201)
BAD = Outcome(State.REJECTED, status=404, error="Resource not found.")


def over_at(limit: ErrorLimit, outcomes: list[Outcome], expected: int = 10_000) -> int | None:
    """After how many outcomes there are too many errors."""
    tally = ErrorTally(limit, expected)
    for number, outcome in enumerate(outcomes, 1):
        tally.count(outcome)
        if tally.is_over:
            return number
    return None


def every(nth: int, total: int) -> list[Outcome]:
    """Every nth outcome is bad."""
    return [BAD if number % nth == 0 else GOOD for number in range(1, total + 1)]


@pytest.mark.parametrize(("text", "end"), [("0", 1), ("1", 2), ("10", 11)])
def test_a_number_of_errors_is_borne_and_one_more_ends(text: str, end: int) -> None:
    assert over_at(parse_error_limit(text), [BAD] * 20) == end


def test_errors_need_not_stand_together_to_be_counted() -> None:
    assert over_at(ErrorLimit(3), every(10, 100)) == 40


def test_usually_twenty_five_in_a_row_are_borne() -> None:
    assert over_at(USUAL_ERRORS, [GOOD, *[BAD] * 25, GOOD, *[BAD] * 25, GOOD] * 3) is None
    assert over_at(USUAL_ERRORS, [GOOD, *[BAD] * 40]) == 27


def test_usually_a_share_says_nothing_before_the_first_two_hundred() -> None:
    early = [*[BAD] * 11, *[GOOD] * 188]
    assert over_at(USUAL_ERRORS, early) is None
    assert over_at(USUAL_ERRORS, [*early, GOOD]) == FIRST, "11 of 200 are more than 5 %"
    assert over_at(USUAL_ERRORS, [*[BAD] * 10, *[GOOD] * 190]) is None, "10 of 200 are 5 %"
    assert over_at(USUAL_ERRORS, every(20, 5000)) is None
    assert over_at(USUAL_ERRORS, every(19, 5000)) == 209


def test_a_share_that_was_asked_for_ends_as_soon_as_the_first_two_hundred_must_exceed_it() -> None:
    assert over_at(parse_error_limit("10%"), [BAD] * 50) == 21
    assert over_at(parse_error_limit("10%"), [*[BAD] * 20, *[GOOD] * 180, *every(10, 1000)]) is None
    assert over_at(parse_error_limit("0.5%"), [*[GOOD] * 1000, *[BAD] * 9]) == 1006


def test_in_a_small_batch_a_share_is_one_of_the_batch() -> None:
    assert over_at(parse_error_limit("10%"), [BAD] * 40, expected=40) == 5
    assert over_at(parse_error_limit("50%"), [BAD, GOOD] * 2, expected=4) is None


def test_all_errors_are_borne_by_a_hundred_per_cent_and_none_by_zero() -> None:
    assert over_at(parse_error_limit("100%"), [BAD] * 5000) is None
    assert over_at(parse_error_limit("0%"), [GOOD, GOOD, BAD]) == 3


@pytest.mark.parametrize("state", [State.HELD_BACK, State.IN_DOUBT])
def test_what_follows_from_an_error_or_is_open_neither_counts_nor_ends_a_row(state: State) -> None:
    assert over_at(ErrorLimit(in_a_row=2), [BAD, Outcome(state), BAD, Outcome(state), BAD]) == 5
    assert over_at(ErrorLimit(0), [Outcome(state)] * 9) is None
    tally = ErrorTally(ErrorLimit(0), 9)
    tally.count(Outcome(state))
    assert (tally.settled, tally.errors) == (0, 0)


def test_failed_messages_count_as_rejected_ones_do() -> None:
    assert over_at(ErrorLimit(1), [BAD, Outcome(State.FAILED, error="8 attempts, none arrived")]) == 2


def test_why_it_stopped_is_told_with_the_commonest_reason_and_no_address() -> None:
    tally = ErrorTally(ErrorLimit(2), 9)
    for outcome in (GOOD, BAD, Outcome(State.REJECTED, status=400, error="anna@acme.example is no agent"), BAD):
        tally.count(outcome)
    assert tally.told == (
        "3 of the 4 messages worked on were rejected or failed: more than --max-errors bears (2); "
        "2 of them: HTTP 404: Resource not found."
    )
    assert "another account" in tally.hint
    alone = ErrorTally(ErrorLimit(0), 9)
    alone.count(Outcome(State.REJECTED, status=400, error="anna@acme.example is no agent"))
    assert alone.told.endswith("; the first: HTTP 400: [address] is no agent")
    assert "another account" not in alone.hint


def test_the_usual_limit_says_itself_in_words() -> None:
    tally = ErrorTally(USUAL_ERRORS, 900)
    for _ in range(26):
        tally.count(BAD)
    assert "26 in a row: more than --max-errors bears (25 in a row, or 5% after the first 200)" in tally.told


def test_reasons_that_all_differ_take_bounded_memory() -> None:
    tally = ErrorTally(ErrorLimit(percent=100.0), 9)
    for number in range(5000):
        tally.count(Outcome(State.REJECTED, status=400, error=f"row {number} " + "x" * 5000))
    assert sum(map(len, tally.reasons)) < 60_000
    assert tally.errors == 5000


@pytest.mark.parametrize("text", ["", "x", "-1", "1.5", "101%", "5 %", "%", "nan%", "1e3", "5%%"])
def test_what_is_no_number_of_errors_is_refused(text: str) -> None:
    with pytest.raises(UsageError, match="no number of errors"):
        parse_error_limit(text)


@pytest.mark.parametrize("text", ["0", "7", "5%", "2.5%"])
def test_a_limit_is_written_as_it_was_given(text: str) -> None:
    assert str(parse_error_limit(text)) == text
