"""Any file by a mapping: kinds of records, people, tables; and mappings that are wrong."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import pytest

from bulkmsg.app.mapping import read_mapping
from bulkmsg.converters.generic import at, looked
from bulkmsg.converters.words import Reading
from bulkmsg.errors import InvalidBatch
from tests.unit.converters.kit import convert

MAPPING: dict[str, Any] = {
    "version": 1,
    "kind": {"path": "type", "values": {"reply": "message", "case": "ticket", "contact": "person", "event": "skip"}},
    "skip": [{"path": "deleted", "equals": True, "reason": "deleted"}],
    "message": {
        "ticket": "case",
        "id": "id",
        "sent": "at",
        "type": {"path": "internal", "values": {"true": "internal-note", "false": "incoming"}},
        "author": {"id": "by"},
        "html": "body.html",
        "attachments": {"path": "files", "url": "link", "name": "title"},
    },
    "ticket": {
        "id": "id",
        "subject": "title",
        "status": {"path": "state", "values": {"done": "closed"}, "default": "open"},
        "tags": "labels",
        "customer": {"id": "contact"},
        "mailbox": "box",
    },
    "person": {
        "id": "id",
        "email": "mail",
        "side": {"path": "team", "values": {"null": "customer"}, "default": "staff"},
    },
}
RECORDS: list[Any] = [
    {"type": "reply", "id": 1, "case": 7, "at": 1709287200, "internal": False, "by": 1, "body": {"html": "<p>hi</p>"}},
    {
        "type": "reply",
        "id": 2,
        "case": 7,
        "at": 1709287200000,
        "internal": True,
        "by": "2",
        "body": {"html": "<p>x</p>"},
    },
    {"type": "reply", "id": 3, "case": 7, "at": 1709287200, "internal": False, "by": 1, "deleted": True},
    {"type": "event", "id": 4},
    {
        "type": "case",
        "id": 7,
        "title": "Kettle",
        "state": "done",
        "labels": "a, b",
        "contact": 1,
        "box": "help@acme.example",
    },
    {"type": "contact", "id": 1, "mail": "jane@example.com", "team": None},
    {"type": "contact", "id": 2, "mail": "anna@acme.example", "team": "Support"},
]


def run(tmp_path: Path, *records: Any, mapping: dict[str, Any] = MAPPING) -> Any:
    return convert("generic", {"x.json": list(records)}, tmp_path, reading=Reading(mapping=mapping))


def test_kinds_of_records_are_told_apart_and_joined(tmp_path: Path) -> None:
    found = run(tmp_path, *RECORDS)
    (ticket,) = found.tickets
    assert (ticket["subject"], ticket["status"], ticket["tags"]) == ("Kettle", "closed", ["a", "b"])
    assert [(each["type"], each["sender"]["email"]) for each in found.messages] == [
        ("incoming", "jane@example.com"),
        ("internal-note", "anna@acme.example"),
    ]
    assert found.message()["source"]["to"] == [{"address": "help@acme.example"}]
    assert found.skips == {"deleted": 1, "a kind of record that the mapping skips": 1}


def test_what_the_mapping_does_not_say_is_a_finding(tmp_path: Path) -> None:
    odd = [
        {"type": "poll", "id": 9},
        {"type": "reply", "case": 7, "at": 1709287200},
        {"type": "reply", "id": 5, "case": 7, "at": 1709287200, "internal": "maybe", "by": 1, "body": {"html": "x"}},
    ]
    assert run(tmp_path, *RECORDS, *odd).findings == {"kind-unknown": 1, "no-id": 1, "type-unknown": 1}


def test_tables_are_read_with_seconds_as_digits(tmp_path: Path) -> None:
    mapping = {
        "version": 1,
        "message": {
            "ticket": "conv",
            "id": "no",
            "sent": "when",
            "type": {"path": "dir", "values": {"in": "incoming"}},
            "author": {"email": "e.mail"},
            "text": "body",
        },
    }
    table = 'conv,no,when,dir,e.mail,body\n7,1,1709287200,in,jane@example.com,"two\nlines"\n'
    found = convert("generic", {"x.csv": table}, tmp_path, reading=Reading(mapping=mapping))
    assert found.message()["sent_datetime"] == "2024-03-01T10:00:00Z"
    assert found.message()["body_text"] == "two\nlines"


def test_paths_lead_into_objects_and_lists_and_a_whole_name_comes_first() -> None:
    assert at({"a": {"b": [{"c": 1}]}}, "a.b.0.c") == 1
    assert at({"a.b": 2, "a": {"b": 1}}, "a.b") == 2
    assert at({"a": [1]}, "a.7") is None
    assert looked({"path": "x", "values": {"null": "none"}}, {}) == "none"
    assert looked({"path": "x", "default": "d"}, {}) == "d"


@pytest.mark.parametrize(
    ("text", "said"),
    [
        ("version: 1\n", "message is missing"),
        ("version: 1\nmessage: {ticket: a, id: b, sent: c}\n", "message.type is missing"),
        ("version: 1\nmessage: {ticket: a, id: b, sent: c, type: d, colour: e}\n", "colour"),
        ("version: 2\nmessage: {ticket: a, id: b, sent: c, type: d}\n", "version"),
        ("version: [\n", "YAML"),
    ],
)
def test_a_wrong_mapping_is_refused_with_its_place(text: str, said: str, tmp_path: Path) -> None:
    path = tmp_path / "map.yaml"
    path.write_text(text)
    with pytest.raises(InvalidBatch, match="is no mapping") as stop:
        read_mapping(str(path))
    told = " ".join(f"{each.message} {each.line}" for each in stop.value.diagnostics)
    assert said.lower() in told.lower() or any(each.rule == "BM103" for each in stop.value.diagnostics)
