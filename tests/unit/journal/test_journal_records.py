"""One line of the log: strict bytes, the chain, and what may not be seen in it."""

from __future__ import annotations

from datetime import datetime, timedelta, timezone
from pathlib import Path

import orjson
import pytest
from jsonschema import Draft202012Validator

from bulkmsg.journal.records import (
    CHAIN_START,
    MAX_LINE,
    MAX_TEXT,
    checksum,
    decode,
    discreet,
    encode,
    find_record,
    sum_of,
    timestamp,
)
from bulkmsg.outcome import Outcome
from bulkmsg.ports import RetryVerdict

from .kit import REJECTED, begin, history, intent_for

SCHEMA = Path(__file__).parents[3] / "schemas" / "progress-log.schema.json"


def test_a_line_decodes_only_behind_the_line_it_was_written_behind() -> None:
    first = encode({"record": "a"}, CHAIN_START)
    second = encode({"record": "b"}, sum_of(first))
    assert decode(first, CHAIN_START) == {"record": "a", "sum": sum_of(first).decode()}
    assert decode(second, sum_of(first)) is not None
    assert decode(second, CHAIN_START) is None
    assert decode(first, sum_of(first)) is None


@pytest.mark.parametrize(
    "body", [b'{"record": "a"}', b'{"record":"a","record":"a"}', b'{"record":"\\u0061"}', b'{"n":1e0}', b"{oops}"]
)
def test_a_line_in_other_words_is_no_record_even_with_the_right_sum(body: bytes) -> None:
    line = body[:-1] + b',"sum":"' + checksum(CHAIN_START, body) + b'"}\n'
    assert decode(line, CHAIN_START) is None


def test_a_whole_record_is_found_in_front_of_other_bytes() -> None:
    line = encode({"record": "a", "sum_like": ',"sum":"'}, CHAIN_START)
    for behind in (b"", b"\n", b"\0", b"X", b'{"record":"b","sum":"' + b"0" * 32 + b'"}\n'):
        assert find_record(line[:-1] + behind, CHAIN_START) == line
    assert find_record(line[:-2], CHAIN_START) is None


def test_a_record_too_long_for_any_reader_is_not_written() -> None:
    with pytest.raises(ValueError, match="does not belong"):
        encode({"record": "x" * MAX_LINE}, CHAIN_START)


def test_times_are_utc_whatever_the_clock_s_zone() -> None:
    moment = datetime(2026, 3, 1, 12, 0, 0, 250_900, tzinfo=timezone(timedelta(hours=2)))
    assert timestamp(moment) == "2026-03-01T10:00:00.250Z"


@pytest.mark.parametrize(
    ("text", "shown"),
    [
        ("sender: anna.b+c@example.co.uk is unknown", "sender: [address] is unknown"),
        ("<anna@example.com>, 'bob@x'; x%40y.de", "<[address]>, '[address]'; [address]"),
        ("line\nbreak\x1b[2J\u202etxt \ud800", "line\\nbreak\\x1b[2J\\u202etxt \\ud800"),
        ("Müller fehlt", "Müller fehlt"),
    ],
)
def test_error_texts_show_no_address_and_nothing_invisible(text: str, shown: str) -> None:
    assert discreet(text) == shown


def test_error_texts_are_cut_after_the_addresses_are_gone() -> None:
    text = discreet("x " * 149 + "anna.longname@example.com" + " y" * 50_000)
    assert len(text) == MAX_TEXT
    assert "anna" not in text


def test_no_address_stands_in_the_file(tmp_path: Path) -> None:
    path = tmp_path / "log"
    log = begin(path)
    mail = "canary@example.com"
    log.intent(intent_for(mail))
    log.retry(mail, 1, RetryVerdict.NOT_PROCESSED, 429, f"for {mail}")
    log.intent(intent_for(mail, 2))
    log.outcome(mail, 2, "c0" * 8, Outcome(REJECTED, status=400, error=f"{mail}: no. <{mail}>"))
    log.close()
    data = path.read_bytes()
    assert b"@" not in data
    assert b"canary" not in data


def test_every_record_is_of_the_published_shape(tmp_path: Path) -> None:
    path = tmp_path / "log"
    history(path)
    validator = Draft202012Validator(orjson.loads(SCHEMA.read_bytes()))
    records = [orjson.loads(line) for line in path.read_bytes().splitlines()]
    assert {record["record"] for record in records} == {"log", "run", "intent", "outcome", "retry", "end"}
    for record in records:
        assert [error.message for error in validator.iter_errors(record)] == [], record


def test_same_input_and_clock_give_the_same_bytes(tmp_path: Path) -> None:
    history(tmp_path / "one")
    history(tmp_path / "two")
    assert (tmp_path / "one").read_bytes() == (tmp_path / "two").read_bytes()
