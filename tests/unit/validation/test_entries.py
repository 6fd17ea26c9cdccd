"""Entries become messages or findings: where a finding points, what is said once, and what several errors cost."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import pytest

from bulkmsg.message import NewTicket
from bulkmsg.validation.survey import survey
from bulkmsg.validation.told import MOST_PER_ENTRY
from tests.unit.validation.kit import CHAT, NOW, SEND, Folder

ONE = CHAT + "messages:\n  - {ticket_id: 1, body_text: x, "


def one(folder: Folder, fields: str) -> dict[str, Any]:
    [message] = folder.messages(ONE + fields + "}\n")
    return message.body


# -- what an entry becomes ------------------------------------------------------------------------------------------


def test_only_what_the_type_implies_is_added(folder: Folder) -> None:
    body = one(folder, "key: k, external_id: e")
    assert body == {
        "channel": "chat",
        "sender": {"email": "jane@example.com"},
        "sent_datetime": "2021-03-01T10:00:00Z",
        "body_text": "x",
        "external_id": "e",
        "from_agent": False,
        "via": "api",
        "created_datetime": "2021-03-01T10:00:00Z",
    }


def test_what_agrees_with_the_type_may_be_written(folder: Folder) -> None:
    assert one(folder, "from_agent: false, public: true")["public"] is True
    note = one(folder, "type: internal-note, from_agent: true, public: false, channel: internal-note")
    assert (note["public"], note["channel"]) == (False, "internal-note")


def test_via_may_be_another_and_null_brings_the_default_back(folder: Folder) -> None:
    assert one(folder, "via: zendesk")["via"] == "zendesk"
    assert one(folder, "via: null")["via"] == "api"


def test_created_datetime_is_taken_over_in_import_mode_only(folder: Folder) -> None:
    assert one(folder, "created_datetime: 2020-01-01T00:00:00Z")["created_datetime"] == "2020-01-01T00:00:00Z"
    [message] = folder.messages(SEND + "messages:\n  - {ticket_id: 1, body_text: x, receiver: {id: 4}}\n")
    assert message.body.keys() & {"created_datetime", "sent_datetime"} == set()


def ticket(folder: Folder, text: str, head: str = CHAT) -> NewTicket:
    [message] = folder.messages(head + "tickets:\n" + text)
    assert isinstance(message.ticket, NewTicket)
    return message.ticket


def test_a_tickets_customer_is_the_first_sender_or_the_first_recipient(folder: Folder) -> None:
    head = CHAT.replace("sender", "incoming: {sender: {id: 7, email: jane@example.com}}, outgoing")
    head = head.replace("outgoing: {email: jane@example.com}", "outgoing: {sender: {id: 3}}")
    for text, customer in (
        ("  - messages: [{body_text: x}]\n", {"id": 7, "email": "jane@example.com"}),
        ("  - messages: [{type: outgoing, body_text: x, receiver: {id: 9}}]\n", {"id": 9}),
        (
            "  - messages: [{type: outgoing, body_text: x, source: {to: [{address: a@example.com}]}}]\n",
            {"email": "a@example.com"},
        ),
        ("  - messages: [{type: outgoing, body_text: x, source: {to: [{address: '+14155550100'}]}}]\n", None),
        ("  - messages: [{type: internal-note, sender: {id: 3}, body_text: x}]\n", None),
        ("  - customer: {id: 1}\n    messages: [{body_text: x}]\n", {"id": 1}),
    ):
        assert ticket(folder, text, head).fields.get("customer") == customer


def test_imported_is_set_in_import_mode_alone(folder: Folder) -> None:
    assert ticket(folder, "  - messages: [{body_text: x}]\n").fields["imported"] is True
    assert "imported" not in ticket(folder, "  - messages: [{body_text: x, receiver: {id: 4}}]\n", SEND).fields


def test_a_message_takes_its_tickets_subject_when_it_has_none(folder: Folder) -> None:
    for subject, expected in (("", "of the ticket"), (", subject: its own", "its own"), (', subject: ""', "")):
        [message] = folder.messages(
            f"{CHAT}tickets:\n  - {{subject: of the ticket, messages: [{{body_text: x{subject}}}]}}\n"
        )
        assert message.body["subject"] == expected


def test_an_inherited_subject_is_no_part_of_the_content(folder: Folder) -> None:
    text = CHAT + "tickets:\n  - {external_id: t, subject: one, messages: [{body_text: x}]}\n"
    [one], [two] = folder.messages(text), folder.messages(text.replace("one", "two"))
    assert (one.content, one.key, one.external_id) == (two.content, two.key, two.external_id)
    assert one.body["subject"] != two.body["subject"]


# -- where findings point -------------------------------------------------------------------------------------------


def test_a_value_from_the_defaults_is_told_there_and_once(folder: Folder) -> None:
    text = CHAT.replace("chat", "emial") + "messages:\n" + "  - {ticket_id: 1, body_text: x}\n" * 3
    assert folder.told(text)[:1] == [("BM406", 2, 37)]
    assert folder.rules(text).count("BM406") == 1


def test_the_topmost_layer_that_has_the_value_is_where_to_mend_it(folder: Folder) -> None:
    text = (
        "defaults:\n"
        "  channel: email\n"
        "  source: {from: {address: no}}\n"
        "  incoming:\n"
        "    source: {to: [{address: no}]}\n"
        "    sender: {id: 1}\n"
        "    sent_datetime: 2021-03-01T10:00:00Z\n"
        "messages:\n"
        "  - {type: incoming, ticket_id: 1, body_text: x, source: {cc: [{address: no}]}}\n"
    )
    assert folder.told(text) == [("BM405", 4, 28), ("BM405", 6, 29), ("BM405", 10, 74)]


def test_a_missing_field_is_told_at_the_entry_whatever_the_defaults_hold(folder: Folder) -> None:
    text = CHAT.replace("chat", "email").replace("sender", "source: {from: {address: a@b}}, sender")
    assert folder.told(text + "messages:\n  - {ticket_id: 1, body_text: x}\n") == [("BM202", 4, 5)]


def test_rows_have_the_place_of_their_cell_even_over_several_lines(folder: Folder) -> None:
    rows = (
        "type,ticket_id,channel,sender.email,body_text,sent_datetime\n"
        'incoming,1,chat,jane@example.com,"two\nlines",never\n'
        'incoming,1,chat,jane,"two\nlines",2021-03-01T10:00:00Z\n'
    )
    assert folder.told(rows, "rows.csv") == [("BM401", 3, 8), ("BM405", 4, 17)]


def test_values_of_rows_that_come_from_defaults_point_to_the_defaults(folder: Folder) -> None:
    folder.write("rows.csv", "ticket_id,body_text,ticket.external_id\n1,x,\n2,y,\n,z,t\n")
    text = CHAT.replace("chat", "emial").replace("Z}", "Z, ticket: {channel: emial}}")
    found = folder.told(text + "messages: {from: rows.csv}\n")
    assert found == [("BM406", 2, 37), ("BM406", 2, 134)]


TEMPLATE = (
    "mode: send\nname: x\n"
    "defaults: {outgoing: {channel: emial, sender: {id: 1}}}\n"
    "messages:\n"
    "  - from: rows.csv\n"
    "    template:\n"
    "      type: outgoing\n"
    "      ticket_id: '{{ ticket }}'\n"
    "      receiver: {email: '{{ email }}'}\n"
    "      body_text: Hi {{ name }}\n"
    "      public: false\n"
    "      bodytext: x\n"
)


def test_a_templates_own_mistakes_are_told_once_and_a_rows_at_the_row(folder: Folder) -> None:
    folder.write("rows.csv", "ticket,email,name\n1,a@example.com,Ann\nx,b@example.com,Bo\n3,c,Cy\n4,d@example.com,\n")
    seen = folder.survey(TEMPLATE)
    told = [(Path(found.file).name, found.line, found.rule, found.path) for found in seen.findings.kept]
    assert told == [
        ("batch.yaml", 4, "BM406", "defaults.outgoing.channel"),
        ("batch.yaml", 13, "BM201", "messages[0].template.bodytext"),
        ("batch.yaml", 12, "BM304", "messages[0].template.public"),
        ("rows.csv", 3, "BM113", "ticket_id"),
        ("rows.csv", 4, "BM405", "receiver.email"),
        ("rows.csv", 5, "BM601", "body_text"),
    ]


def test_a_finding_knows_its_entrys_key_and_shows_no_address_in_it(folder: Folder) -> None:
    text = (
        CHAT + "messages:\n  - {ticket_id: 0, body_text: x, key: row-1}\n  - {ticket_id: 0, body_text: x, key: a@b.c}\n"
    )
    first, second = folder.survey(text).findings.kept
    assert first.key == "row-1"
    assert second.key is not None and second.key.startswith("#") and "@" not in second.key


def test_an_entry_tells_all_its_errors_at_once(folder: Folder) -> None:
    text = (
        CHAT
        + "messages:\n  - {ticket_id: 0, channel: emial, bodytext: x, key: 5, sent_datetime: never, public: false}\n"
    )
    assert sorted(folder.rules(text)) == ["BM201", "BM202", "BM203", "BM205", "BM304", "BM401", "BM406"]


def test_one_entry_tells_no_more_than_people_can_use(folder: Folder) -> None:
    strangers = ", ".join(f"stranger_{number}: x" for number in range(400))
    assert len(folder.told(f"{CHAT}messages:\n  - {{ticket_id: 1, body_text: x, {strangers}}}\n")) == MOST_PER_ENTRY


def test_a_field_whose_cell_cannot_be_read_is_not_missing_as_well(folder: Folder) -> None:
    folder.write("rows.csv", "Number,body_text\nx,y\n")
    assert folder.told(CHAT + "messages: {from: rows.csv, columns: {Number: ticket_id}}\n") == [("BM113", 2, 1)]


# -- defaults -------------------------------------------------------------------------------------------------------


def test_a_general_default_that_a_type_forbids_is_told_once_and_for_types_that_occur(folder: Folder) -> None:
    head = CHAT.replace("type: incoming", "type: incoming, receiver: {id: 1}")
    text = head + "messages:\n" + "".join(f"  - {{ticket_id: {number}, body_text: x}}\n" for number in range(1, 4))
    [found] = folder.survey(text).findings.kept
    assert (found.rule, found.line, found.column) == ("BM305", 2, 28)
    assert "incoming entries" in found.message and "note" not in found.message
    [both] = [
        found
        for found in folder.survey(text + "  - {type: internal-note, ticket_id: 1, body_text: x}\n").findings.kept
        if "receiver" in found.message
    ]
    assert "incoming and internal-note entries" in both.message


def test_the_default_type_is_no_default_of_entries(folder: Folder) -> None:
    assert folder.told(CHAT + "messages:\n  - {ticket_id: 1, body_text: x}\n") == []


def test_a_type_of_null_is_none(folder: Folder) -> None:
    assert folder.rules(CHAT + "messages:\n  - {type: null, ticket_id: 1, body_text: x}\n") == ["BM208"]


@pytest.mark.parametrize("value", ["5", "[incoming]", "{a: b}", "true", "1.5", "Incoming", "jane@example.com"])
def test_an_odd_type_is_a_finding(folder: Folder, value: str) -> None:
    [found] = folder.survey(f"{CHAT}messages:\n  - {{type: {value}, ticket_id: 1}}\n").findings.kept
    assert found.rule == "BM208"
    assert "@" not in found.message


# -- blocks ---------------------------------------------------------------------------------------------------------


def test_a_key_column_gives_text_whatever_it_holds(folder: Folder) -> None:
    folder.write(
        "rows.jsonl", '{"id": 0, "ticket_id": 1, "body_text": "x"}\n{"id": true, "ticket_id": 2, "body_text": "x"}\n'
    )
    found = folder.messages(CHAT + "messages: {from: rows.jsonl, key: id}\n")
    assert [message.key for message in found] == ["0", "true"]


def test_a_key_column_that_is_a_field_stays_one(folder: Folder) -> None:
    folder.write("rows.jsonl", '{"subject": "one", "ticket_id": 1, "body_text": "x"}\n')
    folder.write("rows.csv", "subject,ticket_id,body_text\ntwo,1,x\n")
    found = folder.messages(
        CHAT + "messages:\n  - {from: rows.jsonl, key: subject}\n  - {from: rows.csv, key: subject}\n"
    )
    assert [(message.key, message.body["subject"]) for message in found] == [("one", "one"), ("two", "two")]


@pytest.mark.parametrize("row", ['{"ticket_id": 1}', '{"id": null}', '{"id": ""}', '{"id": []}', '{"id": {}}'])
def test_a_row_without_its_key_is_an_error(folder: Folder, row: str) -> None:
    folder.write("rows.jsonl", row + "\n")
    assert "BM116" in folder.rules(CHAT + "messages: {from: rows.jsonl, key: id}\n")


def test_the_header_may_be_named_as_the_file_or_the_block_has_it(folder: Folder) -> None:
    folder.write("rows.csv", "E-mail,ticket_id,body_text\na@example.com,1,x\n")
    for key in ("E-mail", "sender.email"):
        text = f"messages: {{from: rows.csv, columns: {{E-mail: sender.email}}, key: {key}}}\n"
        [message] = folder.messages(CHAT + text)
        assert message.key == "a@example.com"
        assert message.body["sender"] == {"email": "a@example.com"}


def test_a_template_may_read_columns_that_mean_something_elsewhere(folder: Folder) -> None:
    folder.write("rows.jsonl", '{"from": "Ann", "messages": 3, "to": "a@example.com"}\n')
    filled = "receiver: {email: '{{ to }}'}, body_text: '{{ from }} {{ messages }}'"
    template = f"template: {{type: outgoing, ticket_id: 1, {filled}}}"
    [message] = folder.messages(SEND + f"messages: {{from: rows.jsonl, {template}}}\n")
    assert message.body["body_text"] == "Ann 3"


def test_the_zone_of_a_block_outranks_the_batchs(folder: Folder) -> None:
    folder.write("rows.csv", "ticket_id,body_text,sent_datetime\n1,x,2021-03-01T10:00:00\n")
    head = "timezone: Europe/Paris\n" + CHAT
    text = head + "messages:\n  - {from: rows.csv, timezone: America/New_York}\n  - {from: rows.csv}\n"
    assert [message.body["sent_datetime"] for message in folder.messages(text)] == [
        "2021-03-01T15:00:00Z",
        "2021-03-01T09:00:00Z",
    ]


def test_a_json_line_that_is_a_ticket_may_stand_among_messages(folder: Folder) -> None:
    folder.write(
        "rows.jsonl", '{"ticket_id": 1, "body_text": "x"}\n{"subject": "s", "messages": [{"body_text": "y"}]}\n'
    )
    found = folder.messages(CHAT + "messages: {from: rows.jsonl}\n")
    assert [message.ticket.lane[0] for message in found] == ["#", "+"]


# -- odd values -----------------------------------------------------------------------------------------------------


@pytest.mark.parametrize("value", ["\\ud800", "\\0", "\\x00"])
def test_what_is_no_text_cannot_come_out_of_a_template(folder: Folder, value: str) -> None:
    folder.write("rows.csv", "a\nx\n")
    template = f"template: {{type: outgoing, ticket_id: 1, receiver: {{id: 4}}, body_text: \"{{{{ '\\{value}' }}}}\"}}"
    seen = folder.survey(SEND + f"messages: {{from: rows.csv, {template}}}\n")
    assert [found.rule for found in seen.findings.kept] == ["BM602"]


@pytest.mark.parametrize(
    "meta",
    ['{"a": 18446744073709551616}', '{"a": NaN}', '{"a": -9007199254740993}', '{"a": "\\u0000"}', '{"a": "\\ud800"}'],
)
def test_what_json_cannot_carry_is_a_finding_in_every_format(folder: Folder, meta: str) -> None:
    cell = meta.replace('"', '""')
    head = "type,ticket_id,channel,sender.id,body_text,sent_datetime,meta\n"
    rows = f'{head}incoming,1,chat,1,x,2021-03-01T10:00:00Z,"{cell}"\n'
    assert folder.rules(rows, "rows.csv") == ["BM113"]
    assert len(folder.rules(f'{{"type": "incoming", "meta": {meta}}}\n', "rows.jsonl")) == 1
    if "NaN" not in meta:
        assert len(folder.rules(ONE + f"meta: {meta}}}\n")) == 1
    assert len(folder.rules(ONE + f"meta: {meta.replace('NaN', '.nan')}}}\n")) == 1


def test_a_credential_is_found_wherever_it_stands(folder: Folder) -> None:
    folder.write("rows.csv", "ticket_id,body_text,meta.x\n1,a,s3cr3t-key\n")
    text = (
        CHAT
        + "messages:\n  - {ticket_id: 1, body_text: with s3cr3t-key}\n  - {from: rows.csv}\n"
        + "tickets:\n  - {tags: [s3cr3t-key], messages: [{body_text: x}]}\n"
    )
    found = survey(folder.batch(text, secrets=("s3cr3t-key",)), now=NOW).findings.kept
    assert [(one.rule, Path(one.file).name, one.line) for one in found] == [
        ("BM409", "batch.yaml", 4),
        ("BM409", "rows.csv", 2),
        ("BM409", "batch.yaml", 7),
    ]
    assert not any("s3cr3t" in one.message + one.hint for one in found)
