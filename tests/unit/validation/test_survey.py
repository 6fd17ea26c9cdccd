"""Whole batches: what one reading counts, what repeats, and that later readings meet the same content or stop."""

from __future__ import annotations

import gzip
import json
import subprocess
import sys
from collections.abc import Callable
from functools import partial
from pathlib import Path

import pytest

from bulkmsg.batch import BatchOptions
from bulkmsg.diagnostic import Severity
from bulkmsg.errors import InvalidBatch
from bulkmsg.message import Kind, Message, canonical
from bulkmsg.validation.findings import Findings
from bulkmsg.validation.hashes import HashBag
from bulkmsg.validation.survey import WINDOW, BatchFile, messages, survey
from tests.unit.validation.kit import CHAT, NOW, SEND, Folder

CSV = "type,ticket_id,channel,sender.id,body_text,sent_datetime\n"


def row(number: int, text: str = "text") -> str:
    return f"incoming,{number // 2 + 1},chat,1,{text} {number},2021-03-01T10:00:00Z\n"


def rows(count: int) -> str:
    return CSV + "".join(map(row, range(count)))


# -- what is counted ------------------------------------------------------------------------------------------------


def test_what_a_survey_counts(folder: Folder) -> None:
    seen = folder.survey(
        SEND
        + "messages:\n"
        + "  - {ticket_id: 1, body_text: x, source: {from: {address: s@acme.com},"
        + " to: [{address: a@b}, {address: c@d}]}}\n"
        + "  - {ticket_id: 1, body_text: y, receiver: {email: A@B}}\n"
        + "  - {type: internal-note, ticket_id: 2, body_text: z}\n"
        + "tickets:\n"
        + "  - {messages: [{body_text: x, receiver: {id: 7}}]}\n"
    )
    assert seen.valid
    assert seen.messages == 4
    assert seen.by_type == {Kind.OUTGOING: 3, Kind.INTERNAL_NOTE: 1}
    assert (seen.tickets, seen.new_tickets) == (3, 1)
    assert (seen.sends, seen.people) == (3, 3)
    assert seen.senders == {"s@acme.com": 1, "chat": 2}


def test_entries_with_errors_are_counted_and_the_batch_is_not_valid(folder: Folder) -> None:
    seen = folder.survey(CHAT + "messages:\n  - {ticket_id: 1, body_text: x}\n  - {ticket_id: 0, body_text: x}\n")
    assert (seen.valid, seen.messages) == (False, 2)
    assert dict(seen.findings.counts) == {Severity.ERROR: 1}


def test_a_batch_without_a_message_is_an_error(folder: Folder) -> None:
    for text in ("messages: []\n", "messages:\n", "tickets: []\n", "name: x\n"):
        assert folder.rules(text) == ["BM109"]
    assert folder.rules(CSV, "rows.csv") == ["BM109"]
    assert folder.rules("\n\n", "rows.jsonl") == ["BM109"]


def test_no_more_findings_are_kept_than_asked_for_and_the_rest_is_counted(folder: Folder) -> None:
    batch = folder.batch(CSV + "incoming,x,chat,1,x,never\n" * 100, "rows.csv")
    seen = survey(batch, now=NOW, findings=Findings(most=10))
    assert len(seen.findings.kept) == 10
    assert seen.findings.errors >= 100
    assert not seen.valid


def test_errors_are_never_pushed_out_by_warnings(folder: Folder) -> None:
    warned = "".join(f"incoming,{number},our-own,1,x {number},2021-03-01T10:00:00Z\n" for number in range(1, 200))
    seen = folder.survey(CSV + warned + "incoming,x,chat,1,x,2021-03-01T10:00:00Z\n", "rows.csv")
    kept = [found.severity for found in seen.findings.kept]
    assert kept.count(Severity.WARNING) == 20 and kept.count(Severity.ERROR) == 1
    assert seen.findings.left_out == 179


def test_the_digest_is_of_all_files_that_were_read(folder: Folder) -> None:
    text = CHAT + "messages:\n  - {from: a.csv}\n  - {from: b.csv}\n"
    folder.write("a.csv", "ticket_id,body_text\n1,x\n")
    folder.write("b.csv", "ticket_id,body_text\n2,y\n")
    one = folder.survey(text).digest
    assert folder.survey(text).digest == one
    folder.write("b.csv", "ticket_id,body_text\n2,z\n")
    assert folder.survey(text).digest != one


def test_a_bag_of_hashes_finds_repeats_and_counts_what_differs() -> None:
    bag = HashBag()
    for number in (0, 2**64 - 1, 5 << 56, 0, (5 << 56) + 1, 2**64 - 1, 2**64 - 1):
        bag.add(number)
    assert bag.repeated() == {0, 2**64 - 1}
    assert bag.distinct() == 4


# -- what repeats ---------------------------------------------------------------------------------------------------


def test_identical_entries_count_up_by_their_order(folder: Folder) -> None:
    text = CHAT + "messages:\n" + "  - {ticket_id: 1, body_text: x}\n" * 3
    assert folder.rules(text) == ["BM503"]
    keys = [message.key for message in folder.messages(text)]
    assert keys == [keys[0], f"{keys[0]}-2", f"{keys[0]}-3"]
    assert len({message.external_id for message in folder.messages(text)}) == 3


def test_two_mails_to_one_person_are_an_error_that_names_both_places(folder: Folder) -> None:
    folder.write(
        "rows.csv",
        "ticket_id,receiver.email,body_text\n1,jane@example.com,a\n2,x@example.com,b\n1,Jane@example.com,c\n",
    )
    [found] = folder.survey(SEND + "messages: {from: rows.csv}\n").findings.kept
    assert (found.rule, found.line) == ("BM504", 4)
    assert found.message.startswith("jane@... would get 2 messages: ")
    assert "rows.csv:2 and " in found.message and "rows.csv:4" in found.message


def test_with_keys_of_their_own_they_are_fine(folder: Folder) -> None:
    text = (
        SEND
        + "messages:\n"
        + "".join(f"  - {{ticket_id: 1, key: k{number}, body_text: x, receiver: {{id: 4}}}}\n" for number in range(2))
    )
    assert [message.key for message in folder.messages(text)] == ["k0", "k1"]


def test_many_repeats_show_a_few_places_and_count_the_rest(folder: Folder) -> None:
    [found] = folder.survey(CHAT + "messages:\n" + "  - {ticket_id: 1, body_text: x, key: k}\n" * 9).findings.kept
    assert found.message.count("batch.yaml:") == 5
    assert found.message.endswith("and 4 more")


@pytest.mark.parametrize(
    ("first", "second", "rule"),
    [
        ("key: a", "key: a", "BM501"),
        ("key: a", "external_id: a", "BM501"),
        ("external_id: a", "key: a", "BM501"),
        ("external_id: a", "external_id: a", "BM502"),
        ("external_id: a, key: b", "external_id: a, key: c", "BM502"),
        ("external_id: a, key: b", "external_id: c, key: a", None),
        ("key: 'ticket a'", "external_id: a", None),
    ],
)
def test_names_that_clash(folder: Folder, first: str, second: str, rule: str | None) -> None:
    text = (
        CHAT + f"messages:\n  - {{ticket_id: 1, body_text: x, {first}}}\n  - {{ticket_id: 1, body_text: y, {second}}}\n"
    )
    assert folder.rules(text) == ([rule] if rule else [])


@pytest.mark.parametrize(
    ("tickets", "rules"),
    [
        ("{external_id: a, messages: [{body_text: x}]}\n  - {external_id: a, messages: [{body_text: y}]}", ["BM702"]),
        ("{key: a, messages: [{body_text: x}]}\n  - {key: a, messages: [{body_text: y}]}", ["BM501"]),
        (
            "{key: a, messages: [{body_text: x, key: b}]}\n  - {key: a, messages: [{body_text: y, key: c}]}",
            ["BM501"],
        ),
        ("{messages: [{body_text: x, external_id: m}]}\n  - {external_id: m, messages: [{body_text: y}]}", []),
        ("{messages: [{body_text: x, external_id: in-a-list}]}", ["BM502"]),
    ],
)
def test_names_that_clash_in_new_tickets(folder: Folder, tickets: str, rules: list[str]) -> None:
    head = CHAT + "messages:\n  - {ticket_id: 1, body_text: z, external_id: in-a-list}\n"
    assert folder.rules(f"{head}tickets:\n  - {tickets}\n") == rules


def test_messages_never_show_a_whole_address_even_where_it_is_the_key(folder: Folder) -> None:
    text = CHAT + "messages:\n" + "  - {ticket_id: 1, body_text: x, key: jane@example.com}\n" * 2
    [found] = folder.survey(text).findings.kept
    assert "jane@..." in found.message and "example.com" not in found.message


# -- later readings -------------------------------------------------------------------------------------------------

Change = Callable[[str], str]


def later(batch: BatchFile, change: Callable[[], object]) -> tuple[list[Message], bool]:
    """What a later reading yields when the batch is changed after the survey, and whether it stopped."""
    seen = survey(batch, now=NOW)
    assert seen.valid, seen.findings.kept
    change()
    found: list[Message] = []
    try:
        for message in messages(batch, seen, "acme", NOW):
            found.append(message)
    except InvalidBatch:
        return found, True
    return found, False


CHANGES: dict[str, tuple[Change, int]] = {
    "the first row": (lambda text: text.replace("text 0", "other 0"), 0),
    "a row of the second window": (lambda text: text.replace("text 300,", "other 300,"), 1),
    "the last row": (lambda text: text.replace("text 599,", "other 599,"), 2),
    "a row added at the end": (lambda text: text + row(600), 2),
    "a row added at the beginning": (lambda text: text.replace(CSV, CSV + row(600)), 0),
    "the last row removed": (lambda text: text.removesuffix(row(599)), 2),
    "a row of the middle removed": (lambda text: text.replace(row(300), ""), 1),
    "two rows swapped": (lambda text: text.replace(row(10), "@").replace(row(11), row(10)).replace("@", row(11)), 0),
    "a row made invalid": (lambda text: text.replace("incoming,6,", "incoming,x,", 1), 0),
    "a column renamed": (lambda text: text.replace("body_text", "body_txt"), 0),
    "a delimiter changed": (lambda text: text.replace(",", ";"), 0),
    "all rows removed": (lambda text: CSV, 0),
}


@pytest.mark.parametrize("what", CHANGES)
def test_nothing_of_a_window_that_changed_is_yielded(what: str, folder: Folder) -> None:
    change, windows = CHANGES[what]
    batch = folder.batch(rows(600), "rows.csv")
    found, stopped = later(batch, lambda: batch.path.write_text(change(rows(600))))
    assert stopped
    assert len(found) == windows * WINDOW


@pytest.mark.parametrize("count", [1, WINDOW - 1, WINDOW, WINDOW + 1, 2 * WINDOW])
def test_windows_end_where_they_end(count: int, folder: Folder) -> None:
    batch = folder.batch(rows(count), "rows.csv")
    found, stopped = later(batch, lambda: None)
    assert (len(found), stopped) == (count, False)
    for changed in (rows(count + 1), rows(count - 1), rows(count + WINDOW)):
        batch = folder.batch(rows(count), "rows.csv")
        found, stopped = later(batch, partial(batch.path.write_text, changed))
        assert stopped
        assert len(found) <= count and len(found) % WINDOW == 0


def test_a_change_that_means_nothing_is_none(folder: Folder) -> None:
    batch = folder.batch(rows(300), "rows.csv")
    found, stopped = later(batch, lambda: batch.path.write_text(rows(300).replace("\n", "\r\n")))
    assert (len(found), stopped) == (300, False)


def test_a_file_of_a_block_that_changed_or_is_gone(folder: Folder) -> None:
    text = CHAT + "messages:\n  - {ticket_id: 1, body_text: x}\n  - from: rows.csv\n"
    path = folder.write("rows.csv", "ticket_id,body_text\n1,y\n")
    batch = folder.batch(text)
    assert later(batch, lambda: path.write_text("ticket_id,body_text\n1,z\n")) == ([], True)
    path.write_text("ticket_id,body_text\n1,y\n")
    assert later(batch, path.unlink) == ([], True)


@pytest.mark.parametrize(("old", "new"), [("subject: a", "subject: b"), ("closed", "open"), ("key: k", "key: l")])
def test_what_a_new_ticket_gives_is_looked_at_too(folder: Folder, old: str, new: str) -> None:
    text = CHAT + "tickets:\n  - {subject: a, status: closed, key: k, messages: [{body_text: x}]}\n"
    batch = folder.batch(text)
    assert later(batch, lambda: batch.path.write_text("version: 1\n" + text.replace(old, new))) == ([], True)


def test_the_batch_itself_is_gone(folder: Folder) -> None:
    batch = folder.batch(rows(3), "rows.csv")
    assert later(batch, batch.path.unlink) == ([], True)


def test_time_passing_between_readings_changes_nothing(folder: Folder) -> None:
    batch = folder.batch(rows(3), "rows.csv")
    seen = survey(batch, now=NOW)
    assert [canonical(one.body) for one in messages(batch, seen, "acme", NOW)] == [
        canonical(one.body) for one in messages(batch, seen, "acme")
    ]


def test_a_packed_batch_reads_like_a_plain_one(folder: Folder) -> None:
    plain = [message.body for message in folder.messages(rows(5), "rows.csv")]
    assert [message.body for message in folder.messages(gzip.compress(rows(5).encode()), "rows.csv.gz")] == plain


def test_a_content_key_is_the_same_in_every_format_and_place(folder: Folder) -> None:
    entry = {"type": "incoming", "ticket_id": 1, "channel": "chat", "sender": {"id": 1}, "body_text": "text 0"}
    entry["sent_datetime"] = "2021-03-01T11:00:00+01:00"
    line = json.dumps(entry)
    keys = {
        folder.messages(rows(1), "rows.csv")[0].key,
        folder.messages(line + "\n", "lines.jsonl")[0].key,
        folder.messages('{"version": 1, "messages": [' + line + "]}", "batch.json")[0].key,
        folder.messages("name: other\nmessages:\n  - " + line + "\n")[0].key,
    }
    assert len(keys) == 1


# -- memory ---------------------------------------------------------------------------------------------------------

PEAK = """
import re, sys
from pathlib import Path
from bulkmsg.validation.survey import BatchFile, survey
seen = survey(BatchFile(Path(sys.argv[1]), "rows.csv"), deep=sys.argv[3] == "deep")
assert seen.valid and seen.messages == int(sys.argv[2])
print(re.search(r"VmHWM:\\s+(\\d+) kB", Path("/proc/self/status").read_text()).group(1))
"""


def threads(count: int) -> str:
    """Rows of new tickets, six each, the company's own and the customer's by turns."""
    head = "ticket.external_id,ticket.subject,type,channel,sender.email,receiver.id,body_text,sent_datetime\n"
    kinds = ("outgoing,chat,anna@acme.com,5", "incoming,chat,jane@example.com,")
    return head + "".join(
        f"t-{number // 6},,{kinds[number % 2]},text {number},2021-03-01T10:00:00Z\n" for number in range(count)
    )


def peak(path: Path, text: str, count: int, depth: str) -> int:
    """Bytes that a survey of that many rows needs at its peak."""
    path.write_text(text)
    command = [sys.executable, "-c", PEAK, str(path), str(count), depth]
    done = subprocess.run(command, capture_output=True, text=True, check=True, timeout=120)
    return int(done.stdout) * 1024


@pytest.mark.skipif(not Path("/proc/self/status").exists(), reason="asks Linux for the peak")
@pytest.mark.parametrize(("depth", "each"), [("flat", 16), ("deep", 24)])  # as validate and as run look at it
def test_memory_grows_by_a_few_bytes_a_message(depth: str, each: int, tmp_path: Path) -> None:
    small, large = (peak(tmp_path / "rows.csv", rows(count), count, depth) for count in (20_000, 100_000))
    noise = 512 << 10  # of the allocator, one way or the other
    assert large - small <= each * 80_000 + noise


@pytest.mark.skipif(not Path("/proc/self/status").exists(), reason="asks Linux for the peak")
def test_memory_grows_by_as_little_with_threads(tmp_path: Path) -> None:
    small, large = (peak(tmp_path / "rows.csv", threads(count), count, "deep") for count in (20_000, 100_000))
    assert large - small <= 24 * 80_000 + (512 << 10)


def test_options_are_one_value() -> None:
    assert BatchFile(Path("b"), "b").options == BatchOptions()
