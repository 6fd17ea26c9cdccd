"""New tickets with many messages: what they share, what they are known by, and where their mistakes are told."""

from __future__ import annotations

import json
from typing import Any

import pytest

from bulkmsg.diagnostic import Severity
from bulkmsg.message import Message, NamedTicket, NewTicket, derive_external_id, thread_payload
from bulkmsg.threads import MOST_BYTES, MOST_MESSAGES, FirstRequest
from bulkmsg.validation import thread as thread_of_rows
from bulkmsg.validation.findings import Findings
from bulkmsg.validation.survey import WINDOW
from bulkmsg.validation.told import MOST_PER_ENTRY
from tests.unit.validation.kit import CHAT, SEND, Folder

HEADER = (
    "ticket.external_id,ticket.subject,ticket.status,type,channel,sender.email,receiver.email,body_text,sent_datetime\n"
)


def row(ticket: str, text: str, time: str = "10:00", subject: str = "", kind: str = "incoming") -> str:
    sender, receiver = ("jane", "") if kind == "incoming" else ("anna", "jane@example.com")
    return f"{ticket},{subject},,{kind},chat,{sender}@example.com,{receiver},{text},2021-03-01T{time}:00Z\n"


OUT = row("a", "out", kind="outgoing").replace("jane@", "jo@")


def threads(found: list[Message]) -> list[list[Message]]:
    """Messages by the ticket that they share, as one value."""
    grouped: list[list[Message]] = []
    for message in found:
        if grouped and grouped[-1][0].ticket is message.ticket:
            grouped[-1].append(message)
        else:
            grouped.append([message])
    return grouped


def requests(found: list[Message]) -> list[bytes]:
    payloads = []
    for thread in threads(found):
        assert isinstance(thread[0].ticket, NewTicket)
        payloads.append(thread_payload(thread[0].ticket, thread))
    return payloads


# -- the same in every format ---------------------------------------------------------------------------------------

MESSAGES: list[dict[str, Any]] = [
    {
        "type": "outgoing",
        "channel": "chat",
        "sender": {"email": "anna@acme.com"},
        "receiver": {"email": "jo@example.com"},
    },
    {"type": "incoming", "channel": "chat", "sender": {"email": "jane@example.com"}},
    {"type": "internal-note", "sender": {"email": "anna@acme.com"}},
]
TICKETS: list[dict[str, Any]] = [
    {
        "external_id": f"old-{number}",
        "subject": f"Kettle {number}",
        "status": "closed",
        "created_datetime": "2021-03-01T09:00:00Z",
        "tags": ["vip"],
        "messages": [
            {**message, "body_text": f"text {at}", "sent_datetime": f"2021-03-01T1{at}:00:00Z"}
            for at, message in enumerate(MESSAGES)
        ],
    }
    for number in range(3)
]
COLUMNS = "type,channel,sender.email,receiver.email,body_text,sent_datetime"


def as_table() -> str:
    own = "ticket.external_id,ticket.subject,ticket.status,ticket.created_datetime,ticket.tags"
    lines = [f"{own},{COLUMNS}"]
    for ticket in TICKETS:
        for at, message in enumerate(ticket["messages"]):
            name, cells = ticket["external_id"], ",,,"
            if at == 0:
                cells = f'{ticket["subject"]},{ticket["status"]},{ticket["created_datetime"]},"[""vip""]"'
            to = message.get("receiver", {}).get("email", "")
            said = f"{message['type']},{message.get('channel', '')},{message['sender']['email']},{to}"
            lines.append(f"{name},{cells},{said},{message['body_text']},{message['sent_datetime']}")
    return "\n".join(lines) + "\n"


def test_yaml_json_lines_and_csv_of_the_same_threads_give_the_same_bytes(folder: Folder) -> None:
    made = {
        kind: folder.messages(text, f"batch.{kind}", name="history")
        for kind, text in (
            ("yaml", f"tickets: {json.dumps(TICKETS)}\n"),
            ("jsonl", "".join(json.dumps(ticket) + "\n" for ticket in TICKETS)),
            ("csv", as_table()),
        )
    }
    assert requests(made["yaml"]) == requests(made["jsonl"]) == requests(made["csv"])
    keys = {kind: [(one.key, one.content, one.external_id) for one in found] for kind, found in made.items()}
    assert keys["yaml"] == keys["jsonl"] == keys["csv"]
    [one, *_] = [json.loads(request) for request in requests(made["csv"])]
    assert (one["external_id"], one["customer"], len(one["messages"])) == ("old-0", {"email": "jane@example.com"}, 3)
    assert {message["subject"] for message in one["messages"]} == {"Kettle 0"}


def test_a_block_of_tickets_reads_a_table_as_the_table_alone_is_read(folder: Folder) -> None:
    alone = requests(folder.messages(as_table(), "rows.csv", name="history"))
    assert requests(folder.messages("name: history\ntickets: {from: rows.csv}\n")) == alone


def test_a_template_makes_a_ticket_with_several_messages_of_each_row(folder: Folder) -> None:
    folder.write("people.csv", "id,email\n7,jane@example.com\n8,john@example.com\n")
    text = (
        CHAT
        + "tickets:\n  from: people.csv\n  template:\n    external_id: 'old-{{ id }}'\n    messages:\n"
        + "      - {body_text: 'one {{ id }}', sender: {email: '{{ email }}'}}\n"
        + "      - {body_text: 'two {{ id }}', sender: {email: '{{ email }}'}}\n"
    )
    found = [json.loads(request) for request in requests(folder.messages(text))]
    assert [(one["external_id"], [each["body_text"] for each in one["messages"]]) for one in found] == [
        ("old-7", ["one 7", "two 7"]),
        ("old-8", ["one 8", "two 8"]),
    ]


# -- rows of a table ------------------------------------------------------------------------------------------------


def test_rows_of_a_ticket_that_stand_apart_are_told_with_the_way_to_sort(folder: Folder) -> None:
    table = HEADER + row("a", "1") + row("a", "2") + row("b", "3") + row("a", "4") + row("c", "5")
    [found] = folder.survey(table, "rows.csv").findings.kept
    assert (found.rule, found.line, found.row, found.column_name) == ("BM702", 5, 4, "ticket.external_id")
    assert "rows.csv:2 and rows.csv:5" in found.message
    assert "`mlr --csv sort -f ticket.external_id rows.csv > sorted.csv`" in found.hint
    [other] = folder.survey(table.replace(",", ";"), "rows 1.csv", delimiter=";").findings.kept
    assert "`mlr --csv --fs ';' sort -f ticket.external_id 'rows 1.csv' > sorted.csv`" in other.hint


def test_a_ticket_that_is_written_twice_is_told_in_lists_too(folder: Folder) -> None:
    [found] = folder.survey(
        CHAT + "tickets:\n" + "  - {external_id: t, messages: [{body_text: %s}]}\n" * 2 % ("x", "y")
    ).findings.kept
    assert (found.rule, found.line) == ("BM702", 5)
    assert "mlr" not in found.hint


def test_empty_cells_below_the_first_row_take_what_that_says(folder: Folder) -> None:
    found = folder.messages(HEADER + row("a", "1", subject="Kettle") + row("a", "2"), "rows.csv")
    assert len(threads(found)) == 1
    assert [message.body["subject"] for message in found] == ["Kettle", "Kettle"]


@pytest.mark.parametrize(("first", "second"), [("Kettle", "Teapot"), ("", "Teapot")])
def test_a_cell_that_contradicts_the_first_row_is_told_there(first: str, second: str, folder: Folder) -> None:
    table = HEADER + row("a", "1", subject=first) + row("a", "2", subject=second)
    [found] = folder.survey(table, "rows.csv").findings.kept
    assert (found.rule, found.line, found.column, found.column_name) == ("BM705", 3, 3, "ticket.subject")
    assert [other.line for other in found.related] == [2]


def test_parts_of_an_object_are_held_against_each_other_one_by_one(folder: Folder) -> None:
    head = (
        "ticket.external_id,ticket.customer.email,ticket.customer.id,type,channel,sender.id,body_text,sent_datetime\n"
    )
    rows = ["a,j@x,7,incoming,chat,1,one,2021-03-01T10:00:00Z", "a,,7,incoming,chat,1,two,2021-03-01T10:00:00Z"]
    assert folder.told(head + "\n".join(rows), "rows.csv") == []
    rows[1] = rows[1].replace(",7,", ",8,")
    assert folder.told(head + "\n".join(rows), "rows.csv") == [("BM705", 3, 4)]


def test_what_the_defaults_give_may_be_repeated_in_a_later_row(folder: Folder) -> None:
    folder.write("rows.csv", HEADER + row("a", "1") + row("a", "2").replace(",,,incoming", ",,closed,incoming"))
    assert folder.told("defaults: {ticket: {status: closed}}\ntickets: {from: rows.csv}\n") == []


def test_a_row_with_fields_of_a_ticket_and_no_external_id_is_a_ticket_of_its_own(folder: Folder) -> None:
    found = folder.messages(HEADER + row("", "1", subject="one") + row("", "2", subject="one"), "rows.csv")
    assert [len(thread) for thread in threads(found)] == [1, 1]
    assert found[0].ticket.lane != found[1].ticket.lane


def test_a_row_of_tickets_that_names_none_is_told(folder: Folder) -> None:
    folder.write("rows.csv", HEADER + row("a", "1") + row("", "2") + row("a", "3"))
    assert folder.told("tickets: {from: rows.csv}\n") == [("BM202", 3, 1)]


def test_rows_that_are_not_sorted_at_all_cost_no_more_than_the_findings_that_are_kept(folder: Folder) -> None:
    rows = [row(f"t-{number}", str(turn)) for turn in range(2) for number in range(3000)]
    seen = folder.survey(HEADER + "".join(rows), "rows.csv")
    assert {found.rule for found in seen.findings.kept} == {"BM702"}
    assert len(seen.findings.kept) == seen.findings.errors == Findings.most


def test_rows_for_an_existing_ticket_may_stand_among_those_of_new_ones(folder: Folder) -> None:
    table = (
        "ticket_id,ticket.external_id,type,channel,sender.id,body_text,sent_datetime\n"
        ",a,incoming,chat,1,one,2021-03-01T10:00:00Z\n"
        "5,,incoming,chat,1,two,2021-03-01T10:00:00Z\n"
        ",b,incoming,chat,1,three,2021-03-01T10:00:00Z\n"
    )
    assert [message.ticket.lane for message in folder.messages(table, "rows.csv")] == ["+a", "#5", "+b"]


def test_a_ticket_may_go_on_in_the_next_file(folder: Folder) -> None:
    folder.write("part-1.csv", HEADER + row("a", "1"))
    folder.write("part-2.csv", HEADER + row("a", "2") + row("b", "3"))
    found = folder.messages("tickets: {from: part-*.csv}\n")
    assert [len(thread) for thread in threads(found)] == [2, 1]


def test_a_wrong_row_leaves_its_whole_ticket_out_of_the_counts(folder: Folder) -> None:
    seen = folder.survey(HEADER + OUT + row("a", "2", time="99:00") + row("a", "3") + row("b", "4"), "rows.csv")
    assert not seen.valid
    assert (seen.messages, seen.findings.kept[0].line) == (4, 3)
    assert (seen.new_tickets, sum(seen.by_type.values())) == (1, 1)


# -- whose ticket it is ---------------------------------------------------------------------------------------------


def customer(found: list[Message]) -> Any:
    assert isinstance(found[0].ticket, NewTicket)
    assert all(message.ticket is found[0].ticket for message in found)
    return found[0].ticket.fields.get("customer")


def test_the_first_sender_outranks_recipients_before_him(folder: Folder) -> None:
    assert customer(folder.messages(HEADER + OUT + row("a", "in"), "rows.csv")) == {"email": "jane@example.com"}
    assert customer(folder.messages(HEADER + OUT, "rows.csv")) == {"email": "jo@example.com"}


def test_a_customer_is_looked_for_in_as_many_rows_as_one_request_holds(folder: Folder) -> None:
    many = HEADER + "".join(OUT.replace("out,", f"out {at},") for at in range(MOST_MESSAGES - 1))
    assert customer(folder.messages(many + row("a", "in"), "rows.csv")) == {"email": "jane@example.com"}
    later = many + OUT + row("a", "in")
    assert customer(folder.messages(later, "rows.csv")) == {"email": "jo@example.com"}
    tickets = [{"body_text": str(at), "type": "outgoing", "receiver": {"id": 5}} for at in range(MOST_MESSAGES)]
    text = f"{CHAT}tickets: [{{external_id: a, messages: {json.dumps([*tickets, {'body_text': 'in'}])}}}]\n"
    assert customer(folder.messages(text)) == {"id": 5}


def test_a_customer_is_looked_for_among_no_more_rows_than_may_wait(
    folder: Folder, monkeypatch: pytest.MonkeyPatch
) -> None:
    table = HEADER + OUT + OUT.replace("out,", "more,") + row("a", "in")
    assert customer(folder.messages(table, "rows.csv")) == {"email": "jane@example.com"}
    monkeypatch.setattr(thread_of_rows, "_MOST_WAITING", len(OUT) + 20)
    assert customer(folder.messages(table, "rows.csv")) == {"email": "jo@example.com"}


# -- what a thread is known by --------------------------------------------------------------------------------------


def thread(folder: Folder, own: str, *bodies: str, head: str = CHAT) -> list[Message]:
    return folder.messages(f"{head}tickets:\n  - {{{own}messages: [{', '.join(f'{{{body}}}' for body in bodies)}]}}\n")


def test_appending_a_message_leaves_the_names_of_the_others_and_of_the_ticket(folder: Folder) -> None:
    for own in ("external_id: t, ", "key: k, ", "", "subject: s, "):
        one = thread(folder, own, "body_text: a")
        more = thread(folder, own, "body_text: a", "body_text: b")
        assert (one[0].key, one[0].external_id, one[0].content) == (more[0].key, more[0].external_id, more[0].content)
        assert one[0].ticket == more[0].ticket
        assert len({message.key for message in more}) == 2


def test_the_key_of_a_ticket_is_that_of_its_first_message_too(folder: Folder) -> None:
    found = thread(folder, "key: k, ", "body_text: a", "body_text: b", "key: own, body_text: c")
    assert [found[0].key, found[2].key] == ["k", "own"]
    assert found[1].key.startswith("c-")
    other = thread(folder, "key: l, ", "body_text: a", "body_text: b", "key: own, body_text: c")
    assert other[1].key != found[1].key


def test_the_same_words_in_two_tickets_are_two_messages(folder: Folder) -> None:
    same = "{{type: outgoing, sender: {{id: 3, email: null}}, receiver: {{id: 5}}, body_text: same}}"
    tickets = "  - {{{own}messages: [{{body_text: {first}}}, " + same + "]}}\n"
    for owns in (("external_id: a, ", "external_id: b, "), ("key: a, ", "key: b, "), ("", "")):
        text = CHAT + "tickets:\n" + "".join(tickets.format(own=own, first=f"hi {at}") for at, own in enumerate(owns))
        assert folder.rules(text) == []
        assert len({message.key for message in folder.messages(text)}) == 4


def test_the_same_words_twice_in_a_ticket_are_counted_up(folder: Folder) -> None:
    text = CHAT + "tickets:\n  - {external_id: a, messages: [{body_text: x}, {body_text: x}]}\n"
    assert folder.rules(text) == ["BM503"]
    first, second = folder.messages(text)
    assert second.key == f"{first.key}-2"


def test_tickets_without_a_name_that_say_the_same_stay_two(folder: Folder) -> None:
    text = CHAT + "tickets:\n" + "  - {messages: [{body_text: x}, {body_text: y}]}\n" * 2
    assert set(folder.rules(text)) == {"BM503"}
    found = folder.messages(text)
    assert [len(one) for one in threads(found)] == [2, 2]
    assert len({message.ticket.lane for message in found}) == 2
    assert len({message.key for message in found}) == 4


def test_in_send_mode_a_nameless_ticket_is_known_by_whom_it_mails(folder: Folder) -> None:
    def sent(note: str, text: str, person: str) -> list[Message]:
        note = f"type: internal-note, body_text: {note}"
        return thread(folder, "", note, f"body_text: {text}, receiver: {{email: {person}}}", head=SEND)

    one, corrected = sent("n", "x", "jane@example.com"), sent("n", "corrected", "jane@example.com")
    assert [message.key for message in one] == [message.key for message in corrected]
    assert one[0].ticket.lane == corrected[0].ticket.lane
    assert one[1].key.startswith("to-")
    other = sent("n", "x", "john@example.com")
    assert {message.key for message in one}.isdisjoint(message.key for message in other)
    assert one[0].ticket.lane != other[0].ticket.lane
    edited = sent("another note", "x", "jane@example.com")
    assert (edited[1].key, edited[1].ticket.lane) == (one[1].key, one[1].ticket.lane)


def test_two_mails_to_one_person_in_a_ticket_need_keys(folder: Folder) -> None:
    text = SEND + "tickets:\n  - messages:\n" + "      - {body_text: x, receiver: {email: a@example.com}}\n" * 2
    assert folder.told(text) == [("BM504", 8, 9)]


def test_one_message_keeps_the_names_that_earlier_versions_gave_it(folder: Folder) -> None:
    [message] = thread(folder, "key: k, ", "body_text: a")
    assert message.ticket.lane == "+" + derive_external_id("acme", "batch", "ticket k")
    assert message.external_id == derive_external_id("acme", "batch", "k")
    [message] = thread(folder, "", "body_text: a")
    assert message.ticket.lane == "+" + derive_external_id("acme", "batch", f"ticket {message.key}")


def content(found: list[Message]) -> str:
    assert isinstance(found[0].ticket, NewTicket)
    return found[0].ticket.content


def test_the_hash_of_a_ticket_is_of_its_own_fields_alone(folder: Folder) -> None:
    one = content(thread(folder, "external_id: t, subject: s, ", "body_text: a"))
    assert len(one) == 16
    assert content(thread(folder, "subject: s, external_id: u, key: k, ", "body_text: b, channel: sms")) == one
    assert (
        content(thread(folder, "external_id: t, subject: s, ", "type: outgoing, receiver: {id: 9}, body_text: a"))
        == one
    )
    for changed in ("subject: r, ", "subject: s, status: closed, ", "subject: s, tags: [vip], ", ""):
        assert content(thread(folder, f"external_id: t, {changed}", "body_text: a")) != one


# -- mistakes -------------------------------------------------------------------------------------------------------


def test_a_mistake_in_the_seventh_message_is_told_at_its_line(folder: Folder) -> None:
    lines = ["      - {body_text: hello}\n"] * 9
    lines[6] = "      - {body_text: hello, sender: {email: jane}}\n"
    seen = folder.survey(CHAT + "tickets:\n  - external_id: t\n    messages:\n" + "".join(lines))
    [found] = seen.findings.kept[:1]
    assert (found.rule, found.line, found.path) == ("BM405", 12, "tickets[0].messages[6].sender.email")
    assert (seen.valid, seen.messages) == (False, 9)


def test_many_warnings_of_a_thread_hide_no_error_in_it(folder: Folder) -> None:
    warned = "      - {body_text: a, sender: {email: jane@example.com, name: Jane}}\n" * 70
    text = CHAT + "tickets:\n  - external_id: t\n    messages:\n" + warned + "      - {body_text: b, public: false}\n"
    seen = folder.survey(text)
    assert [(found.rule, found.line) for found in seen.findings.kept if found.is_error] == [("BM304", 76)]
    assert seen.findings.counts[Severity.WARNING] == 70


def test_many_errors_of_a_thread_leave_the_batch_invalid_and_are_told_up_to_a_limit(folder: Folder) -> None:
    bodies = ", ".join("{body_text: a, public: false}" for _ in range(200))
    seen = folder.survey(f"{CHAT}tickets: [{{external_id: t, messages: [{bodies}]}}]\n")
    assert [found.rule for found in seen.findings.kept] == ["BM304"] * MOST_PER_ENTRY
    assert not seen.valid


def test_a_finding_in_a_thread_bears_the_key_of_its_message_or_else_of_the_ticket(folder: Folder) -> None:
    bodies = "{key: own, body_text: a, public: false}, {body_text: b, public: false}"
    seen = folder.survey(f"{CHAT}tickets: [{{external_id: t, messages: [{bodies}]}}]\n")
    assert [found.key for found in seen.findings.kept] == ["own", "t"]


def test_a_message_of_a_thread_knows_its_own_line_however_long_the_thread_is(folder: Folder) -> None:
    text = CHAT + "tickets:\n  - tags: [a, b]\n    external_id: t\n    messages:\n"
    text += "".join(f"      - body_text: text {number}\n        subject: {'s' * 900}\n" for number in range(400))
    found = folder.messages(text)
    assert [message.line for message in found] == [7 + 2 * number for number in range(400)]
    told = folder.told(text.replace("body_text: text 399", "body_txt: text 399"))
    assert {line for _, line, _ in told} == {7 + 2 * 399}


def test_one_wrong_message_makes_no_message_of_its_ticket(folder: Folder) -> None:
    text = CHAT + "tickets:\n  - {messages: [{body_text: a}, {body_text: b, ticket_id: 3}]}\n"
    seen = folder.survey(text)
    assert (seen.valid, seen.new_tickets, sum(seen.by_type.values()), seen.messages) == (False, 0, 0, 2)


def test_messages_of_a_ticket_have_the_order_of_their_times(folder: Folder) -> None:
    text = CHAT + "tickets:\n  - external_id: t\n    messages:\n"
    for time in ("10:00", "12:00", "11:00", "12:30"):
        text += f"      - {{body_text: a, sent_datetime: 2021-03-01T{time}:00Z}}\n"
    [found] = folder.survey(text).findings.kept
    assert (found.rule, found.line, found.related[0].line) == ("BM703", 8, 7)
    table = HEADER + row("a", "1", "12:00") + row("a", "2", "11:00") + row("b", "3", "10:00")
    [found] = folder.survey(table, "rows.csv").findings.kept
    assert (found.rule, found.line, found.related[0].line) == ("BM703", 3, 2)


def test_a_person_on_both_sides_is_found_inside_threads(folder: Folder) -> None:
    text = CHAT + "tickets:\n  - external_id: t\n    messages:\n      - {body_text: a}\n"
    text += "      - {type: internal-note, sender: {email: jane@example.com}, body_text: b}\n"
    [found] = [one for one in folder.survey(text).findings.kept if one.rule != "BM305"]
    assert (found.rule, found.line, found.related[0].line) == ("BM413", 7, 6)


@pytest.mark.parametrize(
    ("own", "told"),
    [
        ("closed_datetime: 2021-03-02T10:00:00Z, ", [("BM706", 4, 23)]),
        ("closed_datetime: 2021-03-02T10:00:00Z, status: closed, ", []),
        ("closed_datetime: 2021-03-02T10:00:00Z, status: open, ", []),
        ("created_datetime: 2021-03-01T10:00:01Z, ", [("BM706", 4, 24)]),
        ("created_datetime: 2021-03-01T11:00:00+01:00, ", []),
    ],
)
def test_a_tickets_dates_fit_its_status_and_its_messages(own: str, told: Any, folder: Folder) -> None:
    assert folder.told(f"{CHAT}tickets:\n  - {{{own}messages: [{{body_text: x}}]}}\n") == told


# -- tickets by their external id -----------------------------------------------------------------------------------


def test_a_message_may_name_an_existing_ticket_by_its_external_id(folder: Folder) -> None:
    table = (
        "ticket_external_id,ticket_id,type,channel,sender.id,body_text,sent_datetime\n"
        "old-1,,incoming,chat,1,x,2021-03-01T10:00:00Z\n"
        ",9,incoming,chat,1,y,2021-03-01T10:00:00Z\n"
    )
    first, second = folder.messages(table, "rows.csv")
    assert first.ticket == NamedTicket("old-1")
    assert second.ticket.lane == "#9"
    seen = folder.survey(table, "rows.csv")
    assert (seen.tickets, seen.named_tickets, seen.new_tickets, seen.posts) == (2, 1, 0, 2)


def test_a_default_may_name_the_ticket_of_all(folder: Folder) -> None:
    head = CHAT.replace("defaults: {", "defaults: {ticket_external_id: old-1, ")
    [message] = folder.messages(head + "messages:\n  - {body_text: x}\n")
    assert message.ticket == NamedTicket("old-1")
    assert folder.rules(head + "messages:\n  - {body_text: x, ticket_id: 5}\n") == ["BM701"]


def test_a_reply_has_one_key_inside_its_new_ticket_and_beside_it(folder: Folder) -> None:
    inside = thread(folder, "external_id: t, subject: s, ", "body_text: a", "body_text: b")
    [beside] = folder.messages(CHAT + "messages:\n  - {ticket_external_id: t, body_text: b}\n")
    assert beside.key == inside[1].key


def test_order_is_looked_at_on_named_tickets_too(folder: Folder) -> None:
    text = CHAT + "messages:\n"
    for time in ("12:00", "11:00"):
        text += f"  - {{ticket_external_id: t, body_text: x, sent_datetime: 2021-03-01T{time}:00Z}}\n"
    assert folder.rules(text) == ["BM703"]


def test_a_ticket_that_is_new_and_named_is_found_among_very_many(folder: Folder) -> None:
    names = [f"n-{number}" for number in range(3000)]
    folder.write("rows.csv", "ticket_external_id,body_text\n" + "".join(f"{name},x\n" for name in names))
    text = CHAT + "messages: {from: rows.csv}\ntickets:\n  - {external_id: n-2999, messages: [{body_text: y}]}\n"
    assert folder.told(text) == [("BM704", 5, 19)]


# -- size -----------------------------------------------------------------------------------------------------------


def test_the_first_request_ends_at_so_many_messages_or_bytes() -> None:
    request = FirstRequest()
    assert [request.takes(1) for _ in range(MOST_MESSAGES + 2)].count(True) == MOST_MESSAGES
    request = FirstRequest()
    assert [request.takes(size) for size in (MOST_BYTES + 1, 1, 1)] == [True, False, False]
    request = FirstRequest()
    assert [request.takes(size) for size in (MOST_BYTES - 1, 2, 1)] == [True, False, False]


def test_what_follows_the_first_request_is_counted(folder: Folder) -> None:
    table = HEADER + "".join(row("a", str(at)) for at in range(MOST_MESSAGES + 7)) + row("b", "x")
    seen = folder.survey(table, "rows.csv")
    assert seen.valid
    assert (seen.messages, seen.new_tickets, seen.continued, seen.posts) == (MOST_MESSAGES + 8, 2, 7, 9)


def test_bytes_are_counted_as_they_leave_with_generated_external_ids(folder: Folder) -> None:
    def counted(last: int) -> tuple[int, int]:
        """The bytes of five bodies, and how many of them do not go with the ticket."""
        bodies = [{"body_text": text} for text in ["ä" * 400_000] * 4 + ["x" * last]]
        batch = f"{CHAT}tickets: [{{external_id: t, messages: {json.dumps(bodies)}}}]\n"
        leaving = [json.dumps(one.body, ensure_ascii=False, separators=(",", ":")) for one in folder.messages(batch)]
        return sum(len(text.encode()) for text in leaving), folder.survey(batch).continued

    size, later = counted(700_000)
    assert (later, size < MOST_BYTES) == (0, True)
    fits = 700_000 + MOST_BYTES - size
    assert counted(fits) == (MOST_BYTES, 0)
    assert counted(fits + 1) == (MOST_BYTES + 1, 1)


def test_a_thread_goes_on_over_the_windows_of_later_readings(folder: Folder) -> None:
    found = folder.messages(HEADER + "".join(row("a", str(at)) for at in range(3 * WINDOW)), "rows.csv")
    assert [len(one) for one in threads(found)] == [3 * WINDOW]


def test_a_ticket_of_a_hundred_thousand_messages_is_looked_at_in_time(folder: Folder) -> None:
    bodies = [{"body_text": str(at)} for at in range(100_000)]
    defaults = {"type": "incoming", "channel": "chat", "sender": {"id": 1}, "sent_datetime": "2021-03-01T10:00:00Z"}
    text = json.dumps({"external_id": "t", "messages": bodies})
    folder.write("history.jsonl", text + "\n")
    seen = folder.survey(f"defaults: {json.dumps(defaults)}\ntickets: {{from: history.jsonl}}\n")
    assert seen.valid, seen.findings.kept
    assert (seen.messages, seen.new_tickets, seen.posts) == (100_000, 1, 99_501)
