"""The header: the file's word and the command line's, agreed or refused."""

from __future__ import annotations

import os
from pathlib import Path
from typing import Any

import pytest

from bulkmsg.batch import Header
from bulkmsg.diagnostic import Diagnostic
from bulkmsg.errors import UsageError
from bulkmsg.message import Mode
from bulkmsg.validation.header import read_header
from bulkmsg.validation.survey import BatchFile, messages, survey
from tests.unit.validation.kit import CHAT, NOW, SEND, Folder

ENTRY = "messages:\n  - {type: incoming, ticket_id: 1}\n"


def header(folder: Folder, text: str, file: str = "batch.yaml", **said: Any) -> tuple[Header | None, list[Diagnostic]]:
    batch = folder.batch(text, file, **said)
    found: list[Diagnostic] = []
    return read_header(batch.reading(), batch.options, found.append), found


def read(folder: Folder, text: str, file: str = "batch.yaml", **said: Any) -> Header:
    got, found = header(folder, text, file, **said)
    assert got is not None and found == []
    return got


def test_what_a_header_says(folder: Folder) -> None:
    got = read(folder, "name: x\naccount: acme\nmode: send\ntimezone: Europe/Paris\ndefaults: {via: api}\n" + ENTRY)
    assert (got.name, got.name_given, got.account, got.mode) == ("x", True, "acme", Mode.SEND)
    assert (got.timezone, got.defaults) == ("Europe/Paris", {"via": "api"})
    assert got.place("mode").line == 4


def test_what_it_is_when_it_says_nothing(folder: Folder) -> None:
    got = read(folder, ENTRY, "spring.recall.yaml")
    assert (got.name, got.name_given, got.account, got.mode) == ("spring.recall", False, None, Mode.IMPORT)
    assert read(folder, "a,b\n", "rows.csv").name == "rows"
    assert read(folder, "{}\n", "lines.jsonl").name == "lines"


def test_null_is_nothing(folder: Folder) -> None:
    assert read(folder, "defaults:\n" + ENTRY).defaults == {}


def test_the_command_line_fills_in(folder: Folder) -> None:
    got = read(folder, ENTRY, mode=Mode.SEND, name="x", account="acme", timezone="Europe/Paris")
    assert (got.name, got.name_given, got.account, got.mode) == ("x", True, "acme", Mode.SEND)
    assert got.timezone == "Europe/Paris"
    assert read(folder, "name: y\n" + ENTRY, name="x").name == "x"


def test_the_command_line_may_not_contradict_the_mode_or_the_account(folder: Folder) -> None:
    contradictions: list[tuple[str, dict[str, Any]]] = [
        ("mode: import\n", {"mode": Mode.SEND}),
        ("account: acme\n", {"account": "other"}),
    ]
    for text, said in contradictions:
        with pytest.raises(UsageError, match="contradicts"):
            header(folder, text + ENTRY, **said)
    assert read(folder, "mode: send\naccount: acme\n" + ENTRY, mode=Mode.SEND, account="acme").mode is Mode.SEND


@pytest.mark.parametrize("name", ["", "x" * 101, "a\nb", "a\x1b[2J", "\udcff"])
def test_a_name_from_the_command_line_must_be_one(folder: Folder, name: str) -> None:
    with pytest.raises(UsageError, match="name"):
        header(folder, ENTRY, name=name)


def test_a_file_whose_name_is_no_text_still_has_a_name(folder: Folder) -> None:
    path = Path(os.fsdecode(os.fsencode(folder.path) + b"/b\xff.yaml"))
    path.write_text("version: 1\n" + CHAT + "messages:\n  - {ticket_id: 1, body_text: x}\n")
    batch = BatchFile(path, path.name)
    seen = survey(batch, now=NOW)
    assert seen.valid
    [message] = messages(batch, seen, "acme", NOW)
    assert message.body["body_text"] == "x"


@pytest.mark.parametrize(
    ("text", "rule", "line", "field"),
    [
        ("nme: x\n", "BM110", 2, "nme"),
        ("name: 5\n", "BM110", 2, "name"),
        ("name: ''\n", "BM110", 2, "name"),
        ("account: https://acme.gorgias.com\n", "BM110", 2, "account"),
        ("continues: x.yaml\n", "BM110", 2, "continues"),
        ("timezone: 5\n", "BM110", 2, "timezone"),
    ],
)
def test_a_wrong_field_is_told_and_the_entries_are_read_all_the_same(
    folder: Folder, text: str, rule: str, line: int, field: str
) -> None:
    got, [found] = header(folder, text + ENTRY)
    assert got is not None
    assert (found.rule, found.line, found.path) == (rule, line, field)
    assert found.hint
    assert "BM202" in folder.rules(text + ENTRY)


@pytest.mark.parametrize(
    ("text", "rule", "path"),
    [
        ("mode: sned\n", "BM110", "mode"),
        ("defaults: text\n", "BM110", "defaults"),
        ("defaults: {bodytext: x}\n", "BM201", "defaults.bodytext"),
        ("defaults: {key: x}\n", "BM201", "defaults.key"),
        ("defaults: {outgoing: {from_agent: false}}\n", "BM304", "defaults.outgoing.from_agent"),
        ("defaults: {internal-note: {public: true}}\n", "BM304", "defaults.internal-note.public"),
        ("defaults: {outgoing: {sender: {id: x}}}\n", "BM203", "defaults.outgoing.sender.id"),
        ("defaults: {ticket: {messages: []}}\n", "BM201", "defaults.ticket.messages"),
    ],
)
def test_without_mode_and_defaults_the_entries_mean_nothing(folder: Folder, text: str, rule: str, path: str) -> None:
    got, [found] = header(folder, text + ENTRY)
    assert got is None
    assert (found.rule, found.path) == (rule, path)


def test_the_version_is_needed_and_another_one_is_another_format(folder: Folder) -> None:
    folder.write("none.yaml", ENTRY)
    batch = BatchFile(folder.path / "none.yaml", "none.yaml")
    assert "BM110" in [found.rule for found in survey(batch, now=NOW).findings.kept]
    assert folder.told("version: 2\n" + ENTRY) == [("BM110", 1, 10)]


def test_send_mode_needs_a_name(folder: Folder) -> None:
    text = SEND.replace("name: x\n", "") + "messages:\n  - {ticket_id: 1, body_text: x, receiver: {id: 4}}\n"
    assert folder.told(text) == [("BM110", 2, 7)]
    assert folder.told("name: x\n" + text) == []
    assert folder.told(text, name="x") == []


def test_a_header_below_the_entries_counts(folder: Folder) -> None:
    text = "messages:\n  - {ticket_id: 1, body_text: x, sent_datetime: 2021-03-01T11:00:00}\n"
    below = "timezone: Europe/Paris\ndefaults: {type: incoming, channel: chat, sender: {id: 1}}\nversion: 1\n"
    [message] = folder.messages(text + below)
    assert message.body["sent_datetime"] == "2021-03-01T10:00:00Z"


def test_a_flow_mapping_may_stand_below_comments(folder: Folder) -> None:
    text = '# a comment\n---\n{"messages": [], "version": 1, "tickets": []}\n'
    assert folder.rules(text) == ["BM109"]


def test_a_zone_that_is_none_is_told_where_it_is_named(folder: Folder) -> None:
    text = "timezone: Mars/Olympus\n" + CHAT + "messages:\n  - {ticket_id: 1, body_text: x}\n"
    assert folder.told(text) == [("BM110", 2, 11)]
    for name in ("../../etc/passwd", "/etc/passwd", "Europe", "a\0b", "\udcff"):
        assert folder.rules(text.replace("timezone: Mars/Olympus\n", ""), timezone=name) == ["BM110"]


def test_a_credential_in_the_name_is_found(folder: Folder) -> None:
    text = "name: my-s3cr3t-key\n" + CHAT + "messages:\n  - {ticket_id: 1, body_text: x}\n"
    [found] = survey(folder.batch(text, secrets=("s3cr3t-key",)), now=NOW).findings.kept
    assert (found.rule, found.line) == ("BM409", 2)
    assert "s3cr3t" not in found.message + found.hint
