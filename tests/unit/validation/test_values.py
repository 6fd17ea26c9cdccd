"""Single values: dates as they leave, addresses, channels, texts."""

from __future__ import annotations

from datetime import UTC, datetime
from zoneinfo import ZoneInfo

import pytest

from bulkmsg.validation import values
from bulkmsg.validation.values import DateTrouble

PARIS = ZoneInfo("Europe/Paris")


@pytest.mark.parametrize(
    ("text", "leaves"),
    [
        ("2021-03-01T10:00:00Z", "2021-03-01T10:00:00Z"),
        ("2021-03-01t10:00:00z", "2021-03-01T10:00:00Z"),
        ("2021-03-01 10:00:00.123456789Z", "2021-03-01T10:00:00.123456789Z"),
        ("2021-03-01T11:00:00+01:00", "2021-03-01T10:00:00Z"),
        ("2021-03-01T00:30:00.25+05:30", "2021-02-28T19:00:00.25Z"),
        ("2021-12-31T23:30:00-01:00", "2022-01-01T00:30:00Z"),
        ("2021-03-01T10:00:00-00:00", "2021-03-01T10:00:00Z"),
    ],
)
def test_dates_leave_as_utc(text: str, leaves: str) -> None:
    assert values.utc(text, None) == (leaves, None, False)


@pytest.mark.parametrize(
    ("text", "trouble"),
    [
        ("", DateTrouble.FORM),
        ("2021-03-01", DateTrouble.FORM),
        ("2021-03-01T10:00Z", DateTrouble.FORM),
        ("2021-03-01T10:00:00+0100", DateTrouble.FORM),
        ("2021-03-01T10:00:00Z\n", DateTrouble.FORM),
        ("٢٠٢١-03-01T10:00:00Z", DateTrouble.FORM),
        ("01/03/2021 10:00:00", DateTrouble.FORM),
        ("2021-03-01T10:00:00", DateTrouble.ZONE),
        ("2021-02-29T10:00:00Z", DateTrouble.CALENDAR),
        ("2021-13-01T10:00:00Z", DateTrouble.CALENDAR),
        ("2021-03-01T24:00:00Z", DateTrouble.CALENDAR),
        ("2021-03-01T23:59:60Z", DateTrouble.CALENDAR),
        ("2021-03-01T10:00:00+25:00", DateTrouble.CALENDAR),
        ("9999-12-31T23:59:59-23:59", DateTrouble.CALENDAR),
        ("0000-01-01T00:00:00Z", DateTrouble.CALENDAR),
        ("0001-01-01T00:00:00+23:59", DateTrouble.ANCIENT),
        ("1899-12-30T00:00:00Z", DateTrouble.ANCIENT),
        ("1970-01-01T00:00:00Z", DateTrouble.ANCIENT),
    ],
)
def test_what_is_no_date_stays_as_it_is_and_says_why(text: str, trouble: DateTrouble) -> None:
    assert values.utc(text, None) == (text, trouble, False)


def test_a_zone_serves_dates_that_have_none() -> None:
    assert values.utc("2021-03-01T11:00:00", PARIS) == ("2021-03-01T10:00:00Z", None, False)
    assert values.utc("2021-07-01T11:00:00.5", PARIS) == ("2021-07-01T09:00:00.5Z", None, False)
    assert values.utc("2021-07-01T11:00:00+00:00", PARIS) == ("2021-07-01T11:00:00Z", None, False)


def test_a_doubled_time_is_the_first_and_a_skipped_one_is_none() -> None:
    assert values.utc("2021-10-31T02:30:00", PARIS) == ("2021-10-31T00:30:00Z", None, True)
    assert values.utc("2021-03-28T02:30:00", PARIS)[1] is DateTrouble.SKIPPED
    assert values.utc("2021-03-28T03:00:00", PARIS) == ("2021-03-28T01:00:00Z", None, False)


def test_tomorrow_is_a_day_from_now() -> None:
    assert values.tomorrow(datetime(2026, 1, 1, 12, tzinfo=UTC)) == "2026-01-02T12:00:00Z"


@pytest.mark.parametrize(
    "text", ["jane@example.com", "jane+tag@sub.example.co.uk", "ünï@exämple.com", "a@b", "o'x@b.c"]
)
def test_addresses(text: str) -> None:
    assert values.is_address(text)


@pytest.mark.parametrize(
    "text",
    [
        "",
        "jane",
        "@b",
        "a@",
        "a@b@c",
        "a b@c",
        " a@b",
        "a@b\n",
        "a@b\r\nBcc: c@d",
        "a\x00@b",
        "a\u202e@b",
        "a\xa0@b",
        "a" * 320 + "@b",
    ],
)
def test_what_is_no_address(text: str) -> None:
    assert not values.is_address(text)


@pytest.mark.parametrize(
    ("written", "meant"),
    [
        ("email", None),
        ("Email", "email"),
        ("EMAIL ", "email"),
        ("emial", "email"),
        ("contact-form", "contact_form"),
        ("Internal Note", "internal-note"),
        ("help_center", "help-center"),
        ("our-shop", None),
        ("x", None),
    ],
)
def test_a_channel_that_is_nearly_a_known_one_is_a_misspelling(written: str, meant: str | None) -> None:
    assert values.channel_trouble(written) == meant


def test_there_are_21_known_channels() -> None:
    assert len(values.CHANNELS) == 21


@pytest.mark.parametrize(
    ("text", "left"),
    [
        ("Hi {{first_name}}", "{{first_name}}"),
        ("Hi {{ customer.first-name }}!", "{{ customer.first-name }}"),
        ("Dear %FIRST_NAME%", "%FIRST_NAME%"),
        ("{{ jane@example.com said }}", ""),
        ("{{ a b }}", ""),
        ("100% of 20%", None),
        ("%20%7B", None),
        ("{ {x} }", None),
        ("{{}}", None),
        ("", None),
    ],
)
def test_placeholders_that_were_left(text: str, left: str | None) -> None:
    assert values.placeholder_in(text) == left


def test_a_body_is_measured_in_bytes() -> None:
    assert not values.too_many_bytes("x" * 1_000_000)
    assert values.too_many_bytes("x" * 1_000_001)
    assert not values.too_many_bytes("é" * 500_000)
    assert values.too_many_bytes("é" * 500_001)


def test_texts_have_their_paths_and_names_count_as_texts() -> None:
    found = list(values.texts({"a": "x", "b": [1, {"c": "y"}]}))
    assert found == [(("a",), "a"), (("a",), "x"), (("b",), "b"), (("b", 1, "c"), "c"), (("b", 1, "c"), "y")]


@pytest.mark.parametrize(
    "text",
    [
        "sk_live_0123456789abcdefABCD",
        "key=AKIAIOSFODNN7EXAMPLE",
        "ghp_" + "a" * 36,
        "xoxb-1234567890-abc",
        "Bearer " + "a" * 30,
        "-----BEGIN RSA PRIVATE KEY-----",
    ],
)
def test_what_looks_like_a_key(text: str) -> None:
    assert values.like_a_key(text)


@pytest.mark.parametrize(
    "text",
    ["zendesk-comment-99", "<CAF1w+xyz=abc@mail.example.com>", "Bearer of news", "basic training for all", "x" * 500],
)
def test_what_does_not_look_like_a_key(text: str) -> None:
    assert not values.like_a_key(text)


def test_only_short_words_without_an_address_are_quoted_in_messages() -> None:
    assert values.quotable("emial") == "'emial'"
    assert values.quotable("01/03/2021 10:00") == "'01/03/2021 10:00'"
    assert values.quotable("jane@example.com") == ""
    assert values.quotable("she called about her illness") == ""
    assert values.quotable("x" * 41) == ""
