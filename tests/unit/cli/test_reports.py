"""Reports: results in, text out."""

from __future__ import annotations

import csv
import io
import json
from collections.abc import Mapping, Sequence
from typing import Any

import pytest

from bulkmsg.diagnostic import Diagnostic, Severity, file_finding
from bulkmsg.outcome import State
from bulkmsg.plan import Costs, Left, Plan
from bulkmsg.reports import findings, results, text
from bulkmsg.reports import json as json_report
from bulkmsg.reports.words import count, listing, rate_words, standing, visible
from bulkmsg.settings import Rate

ROW: dict[str, Any] = {
    "key": "row-17",
    "external_id": "bulkmsg-recall-1",
    "file": "customers.csv",
    "line": 17,
    "ticket_id": 12,
    "message_id": None,
    "outcome": "held_back",
    "attempts": 0,
    "status": None,
    "error": None,
}


def found(
    severity: str = "error", line: int = 3, column: int = 5, file: str = "a.yaml", rule: str = "BM301"
) -> Diagnostic:
    return Diagnostic(rule, Severity(severity), "what is wrong", "what to do", file, line, column)


def planned(**more: Any) -> Plan:
    kinds = {"incoming": 0, "outgoing": 2, "internal-note": 0}
    usual = {"batch": "recall", "mode": "send", "messages": 2, "by_type": kinds, "tickets": 2, "new_tickets": 1}
    return Plan(**{**usual, "recipients": 2, "sends": 2, "rate": Rate(40, 20.0), "posts": 2, "lost_log": 4, **more})


def plan_text(plan: Plan, senders: Sequence[str] = (), before: Mapping[State, int] | None = None) -> str:
    return text.plan(plan, lambda seconds: f"{seconds:.0f} s", "18:42", senders, before or {})


# -- words -----------------------------------------------------------------------------------------------------------


@pytest.mark.parametrize(
    ("raw", "shown"),
    [
        ("Grüße, 日本語 😀", "Grüße, 日本語 😀"),
        ("red \x1b[31m", "red \\x1b[31m"),
        ("bidi \u202e override", "bidi \\u202e override"),
        ("c1 \x9b31m", "c1 \\x9b31m"),
        ("a\r\nb", "a\\r\\nb"),
        ("lone \ud800", "lone \\ud800"),
        ("no\xa0break", "no\xa0break"),
    ],
)
def test_what_would_not_show_is_written_out(raw: str, shown: str) -> None:
    assert visible(raw) == shown


def test_counts_speak_of_one_and_of_many() -> None:
    assert count(1, "error") == "1 error"
    assert count(0, "entry", "entries") == "0 entries"
    assert count(1200, "message") == "1,200 messages"
    assert listing(["a", "b", "c"]) == "a, b and c"
    assert rate_words(Rate(40, 20.0)) == "40 requests per 20 s"


def test_a_standing_names_only_what_there_is() -> None:
    assert (
        standing({"created": 118, "rejected": 2, "held_back": 1, "pending": 0})
        == "118 created, 2 rejected, 1 held back"
    )
    assert standing({}) == "nothing to do"


# -- findings --------------------------------------------------------------------------------------------------------


def test_a_finding_shows_its_line_with_a_caret_and_what_to_do() -> None:
    (block,) = findings.blocks([found()], lambda each: "    type: outgoing")
    assert block.splitlines() == [
        "a.yaml:3:5: error: what is wrong [BM301]",
        "     3 |     type: outgoing",
        "       |     ^",
        "  hint: what to do",
    ]


def test_a_finding_about_a_whole_file_has_no_line() -> None:
    lost = file_finding("BM101", "it does not exist", "", "a.yaml")
    assert list(findings.blocks([lost], lambda each: "never")) == ["a.yaml: error: it does not exist [BM101]"]


def test_the_line_of_a_finding_about_a_secret_is_never_shown() -> None:
    (block,) = findings.blocks([found(rule="BM409")], lambda each: "api_key: 0123456789abcdef")
    assert "0123456789abcdef" not in block


def test_the_caret_stands_right_behind_wide_tabbed_and_hidden_characters() -> None:
    for line, column in (("日本: @", 5), ("\tab @", 5), ("\x1b[0m @", 6)):
        shown, caret = findings.excerpt(line, 1, column)
        before = shown[: shown.index("@")]
        assert findings._columns(before) == caret.index("^")


def test_a_long_line_is_cut_on_both_sides() -> None:
    shown, caret = findings.excerpt("a" * 500 + "X" + "b" * 500, 1, 501)
    assert len(shown) < 120
    assert shown[caret.index("^")] == "X"
    assert shown.count("…") == 2


def test_errors_come_first_and_then_places_in_the_order_of_the_files() -> None:
    listed = [
        found("warning", 1),
        found("error", 9),
        found("error", 2, file="b.csv"),
        found("note", 1),
        found("error", 3),
    ]
    ordered = [(each.severity, each.file, each.line) for each in findings.in_order(listed)]
    assert ordered == [
        ("error", "a.yaml", 3),
        ("error", "a.yaml", 9),
        ("error", "b.csv", 2),
        ("warning", "a.yaml", 1),
        ("note", "a.yaml", 1),
    ]


def test_the_verdict_counts() -> None:
    both = {Severity.ERROR: 2, Severity.WARNING: 1}
    assert findings.verdict(both, ["batch.yaml"], 120) == "2 errors, 1 warning in batch.yaml: 120 messages"
    assert findings.verdict({}, ["batch.yaml"], 1) == "no errors in batch.yaml: 1 message"
    assert findings.verdict({}, ["a", "b"], 3) == "no errors in 2 files: 3 messages"


# -- json ------------------------------------------------------------------------------------------------------------


@pytest.mark.parametrize("value", ["a\x1b[31mb", "\u202ex", "\x7f\x9b", "😀\U000e0001", "\ud800", "Grüße"])
def test_json_shows_every_character_and_reads_back_the_same(value: str) -> None:
    written = json_report.dump({"key": value}, indent=2)
    assert json.loads(written) == {"key": value}
    assert all(char.isprintable() or char == "\n" for char in written)


def test_a_finding_without_a_line_has_null_in_json() -> None:
    written = json_report.diagnostic(file_finding("BM101", "it does not exist", "look", "a.yaml"))
    assert (written["line"], written["column"]) == (None, None)


# -- plan ------------------------------------------------------------------------------------------------------------


def test_a_plan_says_whom_it_mails() -> None:
    said = plan_text(planned(), ["support@acme.com"])
    assert "2 people will get 2 messages through support@acme.com" in said
    assert "1 new ticket and 1 existing ticket" in said


def test_a_plan_says_what_each_part_costs_how_long_it_takes_and_until_when() -> None:
    said = plan_text(
        planned(messages=2000, posts=1800, tickets=500, new_tickets=300, named_tickets=20, uploads=7)
    ).splitlines()
    assert (
        "  requests  1,833: 2 for the account and its user, 4 to see whether it ran before, "
        "20 to find tickets by their external_id, 7 to upload files, 300 for new tickets with their messages, "
        "1,500 for single messages"
    ) in said
    assert "  time      about 898 s at 40 requests per 20 s; begun now, it ends 18:42" in said
    assert (
        "  faster    440 s with OAuth; 449 s on an Enterprise account with an API key; "
        "220 s on an Enterprise account with OAuth"
    ) in said


def test_a_plan_of_a_batch_that_ran_before_says_what_is_left() -> None:
    said = plan_text(
        planned(messages=100, posts=100, left=Left(60, 3, 0, Costs(in_doubt=3, messages=60)), settle=60.0),
        before={State.CREATED: 35, State.IN_DOUBT: 3, State.REJECTED: 2, State.PENDING: 60},
    )
    assert "  before    35 created, 2 rejected, 3 in doubt; 63 messages to do" in said
    assert "  requests  65: 2 for the account and its user, 3 to look for what is in doubt, 60 for single" in said
    assert "about 60 s at" in said  # until the helpdesk surely lists what it accepted


def test_a_plan_where_nothing_is_left_costs_nothing() -> None:
    said = plan_text(planned(left=Left()), before={State.CREATED: 2})
    assert "  before    2 created; 0 messages to do" in said
    assert "  requests  0\n" in said
    assert "less than a second" in said


def test_a_plan_of_history_mails_nobody() -> None:
    said = plan_text(planned(mode="import", sends=0, recipients=0))
    assert "0 messages will be sent by this batch: every public message carries sent_datetime" in said
    assert "less than a second" in said


def test_many_mailboxes_are_not_all_named() -> None:
    assert text.through(["a@x", "b@x", "c@x", "d@x", "e@x"]) == "a@x, b@x, c@x and 2 more"


def test_hostile_names_are_shown_harmless() -> None:
    trouble = text.Trouble("k\x1b]0;owned\x07", "a\nb.csv:1", "rejected", "bad \u202e")
    shown = "\n".join([plan_text(planned(batch="b\x1b[2J"), ["x\x1b"]), *text.troubles([trouble], 5)])
    assert all(char.isprintable() or char == "\n" for char in shown)
    assert shown.endswith("and 4 more")


# -- results ---------------------------------------------------------------------------------------------------------


@pytest.mark.parametrize("key", ["=1+1", "+49", "-x", "@sum", "\tx", "\rx"])
def test_a_cell_that_a_spreadsheet_would_run_begins_with_an_apostrophe(key: str) -> None:
    written = "".join(results.csv_lines([{**ROW, "key": key}]))
    rows = list(csv.DictReader(io.StringIO(written, newline="")))
    assert rows[0]["key"] == "'" + key


def test_csv_quotes_what_needs_it_and_keeps_numbers() -> None:
    written = "".join(results.csv_lines([{**ROW, "key": 'a,"b"\nc', "error": "x, y"}]))
    (row,) = csv.DictReader(io.StringIO(written, newline=""))
    assert (row["key"], row["error"], row["line"], row["message_id"]) == ('a,"b"\nc', "x, y", "17", "")


def test_jsonl_has_the_fields_of_the_contract_in_their_order() -> None:
    (line,) = results.jsonl_lines([ROW])
    assert list(json.loads(line)) == list(ROW)


def test_a_table_lines_up_and_hides_nothing() -> None:
    lines = list(results.table_lines([ROW, {**ROW, "key": "x" * 80, "error": "e\x1b"}]))
    assert lines[0].startswith("outcome    key")
    assert lines[1].startswith("held back  row-17")
    assert "e\\x1b" in lines[2]
    assert "x" * 41 not in lines[2]


@pytest.mark.parametrize("name", sorted(results.FORMATS))
def test_results_stream(name: str) -> None:
    """A million entries must not be held: the first line comes before the last entry is asked for."""
    asked = 0

    def rows() -> Any:
        nonlocal asked
        for _ in range(10_000):
            asked += 1
            yield ROW

    lines = results.FORMATS[name](rows())
    next(lines), next(lines)
    assert asked < 1000
