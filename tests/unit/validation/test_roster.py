"""What a batch refers to in its account, what looking it up costs, and where wrong references stand."""

from __future__ import annotations

from pathlib import Path

import pytest

from bulkmsg.diagnostic import Diagnostic
from bulkmsg.message import Kind
from bulkmsg.validation import roster as rosters
from bulkmsg.validation.roster import Reference, Roster, What, Wrong
from bulkmsg.validation.survey import locate
from tests.unit.validation.kit import Folder

BATCH = """\
mode: import
defaults:
  outgoing:
    channel: email
    sender: {email: Anna@acme.example}
    source: {from: {address: help@acme.example}, to: [{address: jane@example.com}]}
messages:
- {type: incoming, ticket_id: 1, channel: chat, sender: {id: 3}, body_text: a, sent_datetime: 2021-03-01T10:00:00Z}
- {type: outgoing, ticket_id: 1, body_text: b, sent_datetime: 2021-03-01T10:00:01Z}
- {type: outgoing, ticket_id: 2, body_text: c, sent_datetime: 2021-03-01T10:00:02Z}
- type: internal-note
  ticket_id: 2
  sender: {id: 7}
  mention_ids: [8, 7]
  body_text: d
  created_datetime: 2021-03-01T10:00:03Z
- {type: outgoing, ticket_id: 2, integration_id: 5, body_text: e, sent_datetime: 2021-03-01T10:00:04Z}
"""
CSV = """\
type,ticket_id,channel,sender.email,source.from,source.to,body_text,sent_datetime
outgoing,1,email,anna@acme.example,help@acme.example,j@example.com,a,2021-03-01T10:00:00Z
outgoing,1,email,ana@acme.example,help@acme.example,j@example.com,b,2021-03-01T10:00:01Z
outgoing,2,email,ana@acme.example,help@acme.example,j@example.com,c,2021-03-01T10:00:02Z
"""


def places(folder: Folder, text: str, wrong: dict[Reference, str], file: str = "batch.yaml") -> list[Diagnostic]:
    batch = folder.batch(text, file)
    seen = folder.survey(text, file)
    assert seen.valid, seen.findings.kept
    return locate(batch, seen, {name: Wrong(rule, f"{name.name} is wrong", "mend it") for name, rule in wrong.items()})


def test_everything_that_a_batch_refers_to_is_counted_once(tmp_path: Path) -> None:
    roster = Folder(tmp_path).survey(BATCH).roster
    assert roster.uses == {
        Reference(What.AGENT, "anna@acme.example"): 3,
        Reference(What.MAILBOX, "help@acme.example"): 3,
        Reference(What.AGENT, 7): 2,
        Reference(What.AGENT, 8): 1,
        Reference(What.INTEGRATION, 5): 1,
    }
    assert roster.replies == 4
    assert roster.requests == 3 + 1 + 1, "three agents, the integrations, the rules"


def test_customers_are_nobodys_agents() -> None:
    roster = Roster()
    fields = {
        "channel": "email",
        "sender": {"email": "jane@example.com"},
        "source": {"from": {"address": "jane@example.com"}},
    }
    roster.add(Kind.INCOMING, fields)
    assert (roster.uses, roster.requests) == ({}, 1)


def test_many_agents_cost_one_request_for_their_list() -> None:
    roster = Roster()
    for number in range(rosters.ASKED_ONE_BY_ONE + 1):
        roster.add(Kind.INTERNAL_NOTE, {"sender": {"id": number + 1}})
    assert roster.requests == 2


def test_what_is_kept_has_a_bound_and_the_rest_is_counted(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(rosters, "MOST", 2)
    roster = Roster()
    for number in (1, 2, 3, 4, 1):
        roster.add(Kind.INTERNAL_NOTE, {"sender": {"id": number}})
    assert (len(roster.uses), roster.left_out) == (2, 2)


def test_a_wrong_reference_is_told_where_it_is_written(tmp_path: Path) -> None:
    wrong = {
        Reference(What.AGENT, "anna@acme.example"): "BM801",
        Reference(What.MAILBOX, "help@acme.example"): "BM802",
        Reference(What.AGENT, 8): "BM801",
        Reference(What.INTEGRATION, 5): "BM802",
        Reference(What.TICKET, 2): "BM803",
    }
    found = {each.message: each for each in places(Folder(tmp_path), BATCH, wrong)}
    lines = {message.split()[0]: (each.rule, each.line, each.path) for message, each in found.items()}
    assert lines == {
        "anna@acme.example": ("BM801", 6, "defaults.outgoing.sender.email"),
        "help@acme.example": ("BM802", 7, "defaults.outgoing.source.from.address"),
        "8": ("BM801", 15, "messages[3].mention_ids[0]"),
        "5": ("BM802", 18, "messages[4].integration_id"),
        "2": ("BM803", 11, "messages[2].ticket_id"),
    }
    assert [(each.line, each.message) for each in found["2 is wrong; used 3 times"].related] == [
        (12, "here as well"),
        (18, "here as well"),
    ]


def test_all_that_is_wrong_in_one_thread_is_told(tmp_path: Path) -> None:
    text = """\
tickets:
- external_id: z-1
  messages:
  - {type: internal-note, sender: {id: 7}, body_text: a, created_datetime: 2021-03-01T10:00:00Z}
  - {type: internal-note, sender: {id: 8}, body_text: b, created_datetime: 2021-03-01T10:00:01Z}
  - {type: internal-note, sender: {id: 7}, body_text: c, created_datetime: 2021-03-01T10:00:02Z}
"""
    found = places(Folder(tmp_path), text, {Reference(What.AGENT, 7): "BM801", Reference(What.AGENT, 8): "BM801"})
    assert [(each.line, each.severity.value, [other.line for other in each.related]) for each in found] == [
        (5, "error", [7]),
        (6, "error", []),
    ]


def test_what_is_no_longer_in_the_batch_is_told_all_the_same(tmp_path: Path) -> None:
    (found,) = places(Folder(tmp_path), BATCH, {Reference(What.AGENT, 99): "BM801"})
    assert (found.line, found.severity.value, found.message) == (0, "error", "99 is wrong")


def test_in_a_table_it_is_told_with_its_row_and_column(tmp_path: Path) -> None:
    (found,) = places(Folder(tmp_path), CSV, {Reference(What.AGENT, "ana@acme.example"): "BM801"}, "batch.csv")
    assert (found.line, found.row, found.column_name) == (3, 2, "sender.email")


def test_places_beyond_the_first_few_are_counted(tmp_path: Path) -> None:
    text = "type,ticket_id,sender.id,body_text,created_datetime\n"
    text += "".join(f"internal-note,1,7,text {number},2021-03-01T10:00:{number:02}Z\n" for number in range(9))
    (found,) = places(Folder(tmp_path), text, {Reference(What.AGENT, 7): "BM801"}, "batch.csv")
    assert (found.message, len(found.related)) == ("7 is wrong; used 9 times", 3)
