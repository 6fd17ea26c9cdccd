"""Until when a run may go on, as arithmetic: times of day found, clocks that jump."""

from __future__ import annotations

import time as system_time
from datetime import UTC, datetime, timedelta
from zoneinfo import ZoneInfo

import pytest

from bulkmsg.deadline import Deadline, Moment, deadlines, parse_stop_at, parse_stretch
from bulkmsg.errors import UsageError

BERLIN = ZoneInfo("Europe/Berlin")


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
