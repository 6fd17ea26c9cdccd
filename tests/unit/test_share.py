"""The part of the limit that is ours: how it is written, when it holds, and how long requests take under it."""

from __future__ import annotations

from datetime import UTC, datetime, timedelta
from zoneinfo import ZoneInfo

import pytest
from hypothesis import given
from hypothesis import strategies as st

from bulkmsg.errors import UsageError
from bulkmsg.settings import Rate
from bulkmsg.share import ALL, Share, Span, parse_share, seconds_under

BERLIN = ZoneInfo("Europe/Berlin")
RATE = Rate(40, 20.0)


def berlin(day: int, hour: int, minute: int = 0, month: int = 6) -> datetime:
    return datetime(2025, month, day, hour, minute, tzinfo=BERLIN)


@pytest.mark.parametrize(
    ("text", "share"),
    [
        ("60%", Share(0.6)),
        ("100 %", ALL),
        ("12.5%", Share(0.125)),
        ("08:00-18:00=40%, *=95%", Share(0.95, (Span(480, 1080, 0.4),))),
        ("8:00 - 18:00 = 40 %", Share(1.0, (Span(480, 1080, 0.4),))),
        ("*=50%, 22:00-06:00=100%, Europe/Berlin", Share(0.5, (Span(1320, 360, 1.0),), BERLIN)),
        ("18:00-24:00=90%,0:00-6:00=80%", Share(1.0, (Span(1080, 1440, 0.9), Span(0, 360, 0.8)))),
        ("*=30%", Share(0.3)),
    ],
)
def test_a_share_is_a_part_or_a_timetable(text: str, share: Share) -> None:
    assert parse_share(text) == share
    assert parse_share(str(share)) == share


@pytest.mark.parametrize(
    ("text", "said"),
    [
        ("", "no share"),
        ("60", "no share"),
        ("0.6", "no share"),
        ("-5%", "no share"),
        ("0%", "send nothing"),
        ("08:00-18:00=0%", "send nothing"),
        ("101%", "more than there is"),
        ("08:00-18:00", "no share"),
        ("08:00-18:00=", "no share"),
        ("08:00-18:00=40%, *=95%, ", "neither a part of a day nor a time zone"),
        ("08:00-18:00=40%, Berlin", "neither a part of a day nor a time zone"),
        ("08:00-18:00=40%, ../etc/passwd", "neither a part of a day nor a time zone"),
        ("Europe/Berlin, *=40%", "no share"),
        ("8-18=40%", "no part of a day"),
        ("08:00-25:00=40%", "no part of a day"),
        ("08:00-08:00=40%", "does not say how long"),
        ("00:00-24:00=40%", "does not say how long"),
        ("*=40%, *=50%", "gives * twice"),
        ("08:00-18:00=40%, 17:59-20:00=50%", "overlap"),
        ("22:00-06:00=40%, 05:00-07:00=50%", "overlap"),
        ("01:00-02:00=50%, 22:00-06:00=40%", "overlap"),
        ("22:00-06:00=40%, 23:00-01:00=50%", "overlap"),
    ],
)
def test_what_is_no_share_is_told(text: str, said: str) -> None:
    with pytest.raises(UsageError) as refused:
        parse_share(text)
    assert said in refused.value.message
    assert refused.value.hint


def test_spans_that_touch_do_not_overlap() -> None:
    share = parse_share("06:00-08:00=40%, 08:00-22:00=20%, 22:00-06:00=90%")
    assert [share.at(berlin(3, hour).replace(tzinfo=None).astimezone()) for hour in (5, 6, 8, 22)] == [
        0.9,
        0.4,
        0.2,
        0.9,
    ]


def test_the_time_of_day_is_that_of_the_zone() -> None:
    share = parse_share("08:00-18:00=40%, *=95%, Europe/Berlin")
    assert share.at(datetime(2025, 6, 3, 5, 59, tzinfo=UTC)) == 0.95
    assert share.at(datetime(2025, 6, 3, 6, 0, tzinfo=UTC)) == 0.4
    assert share.at(datetime(2025, 12, 3, 6, 59, tzinfo=UTC)) == 0.95
    assert share.at(datetime(2025, 12, 3, 7, 0, tzinfo=UTC)) == 0.4


def test_a_span_over_midnight_holds_on_both_days() -> None:
    share = parse_share("22:00-06:00=90%, *=30%, Europe/Berlin")
    wanted = {21: 0.3, 22: 0.9, 23: 0.9, 0: 0.9, 5: 0.9, 6: 0.3}
    assert {hour: share.at(berlin(3, hour)) for hour in wanted} == wanted


def test_the_next_change_is_the_next_edge_that_changes_anything() -> None:
    share = parse_share("08:00-12:00=40%, 12:00-18:00=40%, *=95%, Europe/Berlin")
    assert share.next_change(berlin(3, 7)) == berlin(3, 8)
    assert share.next_change(berlin(3, 8)) == berlin(3, 18)
    assert share.next_change(berlin(3, 18)) == berlin(4, 8)
    assert ALL.next_change(berlin(3, 7)) is None
    assert parse_share("08:00-12:00=95%, *=95%").next_change(berlin(3, 7)) is None


def test_a_day_with_a_clock_change_has_its_own_length() -> None:
    share = parse_share("22:00-06:00=50%, *=100%, Europe/Berlin")
    spring, autumn = berlin(29, 22, month=3), berlin(25, 22, month=10)
    for start, hours in ((spring, 7), (autumn, 9)):
        change = share.next_change(start)
        assert change is not None
        assert change - start.astimezone(UTC) == timedelta(hours=hours)


def test_a_doubled_hour_has_its_share_twice() -> None:
    share = parse_share("02:00-02:30=50%, *=100%, Europe/Berlin")
    moment, changes = datetime(2025, 10, 25, 23, 0, tzinfo=UTC), []
    for _ in range(4):
        found = share.next_change(moment)
        assert found is not None
        changes.append(found.strftime("%H:%M"))
        moment = found
    assert changes == ["00:00", "00:30", "01:00", "01:30"]


def test_an_edge_in_a_skipped_hour_holds_from_the_hour_after() -> None:
    share = parse_share("02:30-06:00=50%, *=100%, Europe/Berlin")
    assert share.at(datetime(2025, 3, 30, 0, 59, tzinfo=UTC)) == 1.0  # 01:59
    assert share.at(datetime(2025, 3, 30, 1, 0, tzinfo=UTC)) == 0.5  # 03:00


def test_without_a_timetable_the_law_is_that_of_the_part() -> None:
    assert seconds_under(10_000, RATE, ALL, berlin(3, 8)) == pytest.approx((10_000 - 40) / 2)
    assert seconds_under(10_000, RATE, Share(0.5), berlin(3, 8)) == pytest.approx((10_000 - 20) / 1)
    assert seconds_under(7, RATE, Share(0.5), berlin(3, 8)) == 0.0


def test_a_timetable_adds_up() -> None:
    share = parse_share("08:00-18:00=50%, *=100%, Europe/Berlin")
    # from 17:00 on: 20 at once, 3,600 in the hour; at 18:00 20 more fit in, then 2 a second
    assert seconds_under(20 + 3_600, RATE, share, berlin(3, 17)) == pytest.approx(3_600)
    assert seconds_under(40 + 3_600, RATE, share, berlin(3, 17)) == pytest.approx(3_600)
    assert seconds_under(40 + 3_600 + 200, RATE, share, berlin(3, 17)) == pytest.approx(3_700)


def test_what_is_above_a_smaller_part_leaks_first() -> None:
    share = parse_share("08:00-18:00=50%, *=100%, Europe/Berlin")
    # at 08:00 40 stand in a part that is 20 now: nothing starts for 20 seconds
    assert seconds_under(40 + 7_200, RATE, share, berlin(3, 7)) == pytest.approx(3_600)
    assert seconds_under(40 + 7_200 + 1, RATE, share, berlin(3, 7)) == pytest.approx(3_621)


@given(
    st.integers(0, 300_000),
    st.integers(0, 1439),
    st.integers(0, 1439),
    st.floats(0.01, 1),
    st.floats(0.01, 1),
    st.integers(0, 364 * 24 * 60),
)
def test_a_timetable_lies_between_its_parts(
    requests: int, start: int, end: int, part: float, rest: float, minute: int
) -> None:
    if start == end:
        return
    share = Share(rest, (Span(start, end, part),), BERLIN)
    now = datetime(2025, 1, 1, tzinfo=UTC) + timedelta(minutes=minute)
    seconds = seconds_under(requests, RATE, share, now)
    quick, slow = (seconds_under(requests, RATE, Share(each), now) for each in (max(part, rest), min(part, rest)))
    assert quick - 1e-3 <= seconds <= slow + 1e-3
