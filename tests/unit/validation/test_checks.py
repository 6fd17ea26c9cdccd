"""Checks beyond the schemas: what each tells, where, and what it must not show."""

from __future__ import annotations

from typing import Any
from zoneinfo import ZoneInfo

import pytest

from bulkmsg.diagnostic import RULES, Severity
from bulkmsg.message import Kind, Mode
from bulkmsg.source import Path
from bulkmsg.validation import checks
from bulkmsg.validation.checks import Trouble

TOMORROW = "2026-01-02T00:00:00Z"
PRIVATE = "jane.doe@example.com"


def told(fields: dict[str, Any], kind: Kind = Kind.INCOMING, mode: Mode = Mode.IMPORT) -> list[tuple[str, Path]]:
    found = checks.message_troubles(kind, mode, {"channel": "chat", **fields}, TOMORROW)
    assert all(trouble.hint and PRIVATE not in trouble.message + trouble.hint for trouble in found)
    return [(trouble.rule, trouble.path) for trouble in found]


def test_dates_are_put_into_their_form_in_place() -> None:
    fields = {"sent_datetime": "2021-03-01T11:00:00+01:00", "created_datetime": "2021-07-01T11:00:00", "other": "x"}
    names = ("sent_datetime", "created_datetime", "opened_datetime")
    assert checks.normalise_dates(fields, names, ZoneInfo("Europe/Paris")) == []
    assert fields == {
        "sent_datetime": "2021-03-01T10:00:00Z",
        "created_datetime": "2021-07-01T09:00:00Z",
        "other": "x",
    }


@pytest.mark.parametrize(
    ("date", "rule"),
    [
        ("", "BM401"),
        ("  ", "BM401"),
        ("2021-03-01T10:00:00", "BM403"),
        ("1899-12-30T00:00:00Z", "BM401"),
        (PRIVATE, "BM401"),
    ],
)
def test_each_wrong_date_has_its_rule_and_a_way_out(date: str, rule: str) -> None:
    [trouble] = checks.normalise_dates({"sent_datetime": date}, ("sent_datetime",), None)
    assert (trouble.rule, trouble.path) == (rule, ("sent_datetime",))
    assert trouble.hint and PRIVATE not in trouble.message


def test_a_doubled_time_is_a_warning() -> None:
    fields = {"sent_datetime": "2021-10-31T02:30:00"}
    [trouble] = checks.normalise_dates(fields, ("sent_datetime",), ZoneInfo("Europe/Paris"))
    assert trouble.rule == "BM404"
    assert RULES[trouble.rule].severity is Severity.WARNING
    assert fields["sent_datetime"] == "2021-10-31T00:30:00Z"


def test_values_that_are_no_text_are_left_to_the_schema() -> None:
    assert checks.normalise_dates({"sent_datetime": 5, "created_datetime": None}, ("sent_datetime",), None) == []
    odd: dict[str, Any] = {"channel": 5, "sender": [], "receiver": "x", "source": 7, "subject": {}, "body_text": 1}
    assert told({**odd, "sent_datetime": []}) == []
    assert told({"channel": "email", "source": {"from": [], "to": "x", "cc": [5], "bcc": None}}) == []
    assert checks.ticket_troubles({"customer": 1, "subject": [], "channel": {}}, Mode.IMPORT) == []


def test_more_than_a_day_in_the_future_is_an_error() -> None:
    assert told({"sent_datetime": "2026-01-02T00:00:00Z"}) == []
    assert told({"sent_datetime": "2026-01-02T00:00:01Z"}) == [("BM402", ("sent_datetime",))]


def test_addresses_are_looked_at_on_the_email_channel_and_people_on_all() -> None:
    source = {"from": {"address": "a b"}, "to": [{"address": "a@b"}, {"address": "c"}], "cc": [{"name": "x"}]}
    assert told({"source": source}) == []
    assert told({"channel": "email", "source": source}) == [
        ("BM405", ("source", "from", "address")),
        ("BM405", ("source", "to", 1, "address")),
        ("BM202", ("source", "cc", 0, "address")),
    ]
    assert told({"sender": {"email": "jane"}, "receiver": {"email": "john"}}) == [
        ("BM405", ("sender", "email")),
        ("BM405", ("receiver", "email")),
    ]


def test_a_persons_other_fields_draw_a_warning() -> None:
    assert told({"sender": {"email": PRIVATE, "id": 5}}) == []
    assert told({"sender": {"email": PRIVATE, "name": "Jane", "meta": {}}}) == [("BM412", ("sender",))]
    [trouble] = checks.ticket_troubles({"customer": {"id": 1, "name": "Jane"}}, Mode.IMPORT)
    assert (trouble.rule, trouble.path) == ("BM412", ("customer",))


def test_channels() -> None:
    assert told({"channel": "emial"}) == [("BM406", ("channel",))]
    assert told({"channel": "our-own"}) == [("BM407", ("channel",))]
    assert told({"channel": PRIVATE}) == [("BM407", ("channel",))]
    assert [trouble.rule for trouble in checks.ticket_troubles({"channel": "emial"}, Mode.IMPORT)] == ["BM406"]


def test_texts() -> None:
    assert told({"subject": "a\r\nb"}) == [("BM410", ("subject",))]
    assert told({"subject": "مرحبا \u202eabc", "body_text": "a\r\nb\tc"}) == []
    assert told({"body_text": "é" * 500_001}) == [("BM411", ("body_text",))]


@pytest.mark.parametrize(("mode", "severity"), [(Mode.SEND, Severity.ERROR), (Mode.IMPORT, Severity.WARNING)])
def test_a_placeholder_stops_what_would_be_mailed_and_warns_about_history(mode: Mode, severity: Severity) -> None:
    fields = {"channel": "chat", "subject": "{{a}}", "body_text": "{{ " + PRIVATE + " }}", "body_html": "%NAME%"}
    found = checks.message_troubles(Kind.OUTGOING, mode, fields, TOMORROW)
    assert [(trouble.rule, trouble.severity) for trouble in found] == [("BM408", severity)] * 3
    assert not any(PRIVATE in trouble.message for trouble in found)
    assert [trouble.severity for trouble in checks.ticket_troubles({"subject": "{{a}}"}, mode)] == [severity]


def secrets(fields: dict[str, Any], *known: str) -> list[Trouble]:
    return checks.secret_troubles(fields, known)


def test_the_tools_own_credentials_are_found_anywhere_and_never_shown() -> None:
    fields = {"body_text": "my key is s3cr3t-key!", "meta": {"s3cr3t-key": 1}, "tags": ["s3cr3t-key"]}
    found = secrets(fields, "s3cr3t-key")
    assert [trouble.path for trouble in found] == [("body_text",), ("meta", "s3cr3t-key"), ("tags", 0)]
    assert not any("s3cr3t" in trouble.message + trouble.hint for trouble in found)
    assert secrets(fields) == []


def test_something_like_a_key_is_an_error_in_free_data_and_not_in_texts() -> None:
    key = "sk_live_0123456789abcdefABCD"
    assert [trouble.path for trouble in secrets({"meta": {"a": [key]}, "headers": {"X": key}})] == [
        ("meta", "a", 0),
        ("headers", "X"),
    ]
    assert secrets({"body_text": key, "subject": key, "body_html": key}) == []


def test_keys_and_external_ids_are_printable() -> None:
    assert [trouble.path for trouble in checks.identity_troubles({"key": "a\nb", "external_id": "c\x7f"})] == [
        ("key",),
        ("external_id",),
    ]
    assert checks.identity_troubles({"key": "a b ü", "external_id": 5}) == []


@pytest.mark.parametrize(
    ("fields", "path", "hint"),
    [
        ({"ticket_id": 5.0}, ("ticket_id",), "write 5"),
        ({"integration_id": 7.5}, ("integration_id",), "write it without a decimal point"),
        ({"sender": {"id": 3.0}}, ("sender", "id"), "write 3"),
        ({"receiver": {"id": 3.0}}, ("receiver", "id"), "write 3"),
        ({"mention_ids": [1, 2.0]}, ("mention_ids", 1), "write 2"),
        ({"macros": [{"id": 1}, {"id": 2.0}]}, ("macros", 1, "id"), "write 2"),
        ({"attachments": [{"size": 9.0}]}, ("attachments", 0, "size"), "write 9"),
    ],
)
def test_whole_numbers_with_a_decimal_point(fields: dict[str, Any], path: Path, hint: str) -> None:
    [trouble] = checks.number_troubles(fields, checks.MESSAGE_NUMBERS)
    assert (trouble.rule, trouble.path, trouble.hint) == ("BM203", path, hint)


def test_numbers_elsewhere_may_have_one() -> None:
    fields = {"ticket_id": 5, "meta": {"price": 1.0}, "sender": None, "mention_ids": "x", "macros": [5]}
    assert checks.number_troubles(fields, checks.MESSAGE_NUMBERS) == []
    ticket = {"custom_fields": [{"id": 1, "value": 1.0}, {"id": 2.0}], "customer": {"id": 4.0}}
    assert [trouble.path for trouble in checks.number_troubles(ticket, checks.TICKET_NUMBERS)] == [
        ("customer", "id"),
        ("custom_fields", 1, "id"),
    ]
