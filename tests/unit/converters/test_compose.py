"""Neutral talks to tickets: bodies, addresses, agents, times, limits; and the small readers of values."""

from __future__ import annotations

from dataclasses import replace
from typing import Any

import pytest

from bulkmsg.converters import anonymise, compose, texts
from bulkmsg.converters.compose import Composed
from bulkmsg.converters.options import Options, agents, ids, moment, rows
from bulkmsg.converters.times import Times, utc
from bulkmsg.converters.words import File, Finding, Person, Placed, Side, Skip, Talk, Turn
from bulkmsg.errors import UsageError
from bulkmsg.message import Kind
from bulkmsg.validation.values import BODY_BYTES, is_address

JANE = Person("1", Side.CUSTOMER, "jane@example.com", "Jane Doe")
ANNA = Person("2", Side.STAFF, "anna@acme.example", "Anna Agent")
TIME = "2024-03-01T10:00:00Z"
PLAIN = Options("desk", mailbox="support@acme.example")


def turn(id: str = "1", kind: Kind = Kind.INCOMING, author: Person | None = JANE, **more: Any) -> Turn:
    return Turn(id, kind, author, more.pop("sent", TIME), "export.json", int(id), **{"text": f"text {id}", **more})


def composed(*turns: Turn | Placed, options: Options = PLAIN, **more: Any) -> Composed:
    return compose.compose(Talk("7", turns, **{"customer": JANE, "subject": "Kettle", **more}), options)


def messages(found: Composed) -> list[dict[str, Any]]:
    return found.ticket["messages"] if found.ticket else []


def left(found: Composed) -> list[Skip | Finding]:
    return [each.what for each in found.left]


def test_what_has_neither_text_nor_attachment_is_skipped_and_a_picture_alone_is_a_message() -> None:
    empty = turn("1", text=" \n", html="<p>&nbsp;<br></p>")
    found = composed(empty, turn("2", text="", html='<img src="https://x.example/1.png">'))
    assert left(found) == [Skip("empty: no text and no attachment")]
    assert [each["external_id"] for each in messages(found)] == ["desk-2"]


def test_a_body_that_is_too_large_is_left_out_where_the_other_is_there_else_it_is_a_finding() -> None:
    large = "x" * 1_000_001
    found = composed(turn("1", html=large), turn("2", text=large))
    assert "body_html" not in messages(found)[0]
    assert [each.code for each in left(found) if isinstance(each, Finding)] == ["too-large"]
    assert [note.code for note, _, _ in found.notes] == ["body-dropped"]


def test_a_ticket_that_would_be_too_long_a_line_keeps_its_first_messages_and_tells_the_others() -> None:
    found = composed(*(turn(str(number), text="x" * 900_000) for number in range(1, 31)))
    assert 10 < len(messages(found)) < 18
    assert len(messages(found)) + len(found.left) == 30
    assert {each.code for each in left(found) if isinstance(each, Finding)} == {"ticket-too-large"}


@pytest.mark.parametrize(
    "sent", ["", "yesterday", "2024-03-01T10:00:00", "1969-01-01T00:00:00Z", "2024-02-30T10:00:00Z"]
)
def test_a_record_without_a_time_that_can_be_true_is_a_finding(sent: str) -> None:
    (finding,) = left(composed(turn(sent=sent)))
    assert isinstance(finding, Finding) and finding.code == "no-time"


def test_a_record_from_tomorrow_is_a_finding() -> None:
    (finding,) = left(composed(turn(), options=replace(PLAIN, now="2024-02-28T00:00:00Z")))
    assert isinstance(finding, Finding) and finding.code == "future"


def test_messages_are_in_the_order_of_their_times_and_equal_times_in_that_of_the_source() -> None:
    found = composed(turn("3", sent="2024-03-01T10:00:01Z"), turn("1"), turn("2", sent="2024-03-01T11:00:00+01:00"))
    assert [(each["external_id"], each["sent_datetime"]) for each in messages(found)] == [
        ("desk-1", TIME),
        ("desk-2", "2024-03-01T10:00:00.001Z"),
        ("desk-3", "2024-03-01T10:00:01Z"),
    ]


def test_a_thousand_messages_of_one_second_go_on_into_the_next() -> None:
    times = Times()
    made = [times.after(TIME) for _ in range(1001)]
    assert made[-1] == "2024-03-01T10:00:01.000Z" and made == sorted(made, key=lambda each: each[:-1])


@pytest.mark.parametrize(
    ("text", "read"),
    [
        ("2024-03-01T10:00:00.123456Z", "2024-03-01T10:00:00.123Z"),
        ("2024-03-01T10:00:00.000Z", TIME),
        ("2024-03-01T20:00:00+10:00", TIME),
    ],
)
def test_times_leave_in_utc_with_milliseconds_at_most(text: str, read: str) -> None:
    assert utc(text) == read


def test_an_agent_is_found_in_the_map_by_id_address_or_name_in_any_case() -> None:
    for name in ("2", "ANNA@acme.example", "anna agent"):
        options = replace(PLAIN, agents=agents({name: "8842"}))
        assert messages(composed(turn(kind=Kind.OUTGOING, author=ANNA), options=options))[0]["sender"] == {"id": 8842}


def test_the_author_line_stands_in_both_bodies_and_is_escaped() -> None:
    options = replace(PLAIN, default_agent="desk@acme.example", author_line=True)
    anna = replace(ANNA, name="Anna <b>")
    (message,) = messages(composed(turn(kind=Kind.INTERNAL_NOTE, author=anna, html="<i>x</i>"), options=options))
    assert message["body_text"] == "Originally written by Anna <b>\n\ntext 1"
    assert message["body_html"] == "<p>Originally written by Anna &lt;b&gt;</p><i>x</i>"
    assert message["meta"]["original_author"] == "Anna <b>"


def test_a_body_that_has_no_room_for_the_author_line_stays_as_it_is() -> None:
    options = replace(PLAIN, default_agent="desk@acme.example", author_line=True)
    body = "x" * BODY_BYTES
    (message,) = messages(composed(turn(kind=Kind.OUTGOING, author=ANNA, text=body), options=options))
    assert (message["body_text"], message["meta"]["original_author"]) == (body, "Anna Agent")


@pytest.mark.parametrize("ids", [("a b", "a-b"), ("日本", "中国"), ("1" * 300, "1" * 301)])
def test_stand_in_addresses_of_different_people_are_different_and_can_be_addresses(ids: tuple[str, str]) -> None:
    options = replace(PLAIN, missing_email="placeholder")
    turns = (turn(str(number), author=Person(id, Side.CUSTOMER)) for number, id in enumerate(ids))
    first, second = (each["sender"]["email"] for each in messages(composed(*turns, options=options)))
    assert first != second
    assert is_address(first) and is_address(second) and max(map(len, (first, second))) < 100


def test_the_default_agent_herself_is_not_stood_in_for() -> None:
    options = replace(PLAIN, default_agent="Anna@acme.example")
    (message,) = messages(composed(turn(kind=Kind.OUTGOING, author=ANNA), options=options))
    assert "original_author" not in message["meta"]


def test_names_of_customers_are_written_only_when_asked() -> None:
    assert messages(composed(turn()))[0]["sender"] == {"email": "jane@example.com"}
    named = messages(composed(turn(), options=replace(PLAIN, person_names=True)))[0]["sender"]
    assert named == {"email": "jane@example.com", "name": "Jane Doe"}


def test_of_tickets_that_are_not_wanted_nothing_is_found() -> None:
    broken = Placed(Finding("author-unknown", "who", "ask"), "export.json", 2)
    found = composed(turn(), broken, turn("3", sent=""), options=replace(PLAIN, only_tickets=frozenset({"8"})))
    assert left(found) == [Skip("its ticket is not among --only-tickets")] * 3
    assert [each.line for each in found.left] == [1, 2, 3]


def test_attachments_beyond_what_a_message_holds_are_told() -> None:
    found = composed(turn(attachments=tuple(File(f"https://x.example/{n}", "a") for n in range(501))))
    assert len(messages(found)[0]["attachments"]) == 500
    assert [note.code for note, _, _ in found.notes] == ["attachment-dropped"]


def test_attachments_are_kept_once_dropped_or_told() -> None:
    pdf = File("https://x.example/a.pdf", "a.pdf", "application/pdf", 3)
    found = composed(turn(attachments=(pdf, pdf, File("", "b.pdf"))))
    assert [each["name"] for each in messages(found)[0]["attachments"]] == ["a.pdf"]
    assert [note.code for note, _, _ in found.notes] == ["attachment-without-link"]
    dropped = composed(turn(attachments=(pdf,)), options=replace(PLAIN, attachments="drop"))
    assert "attachments" not in messages(dropped)[0]
    assert [note.code for note, _, _ in dropped.notes] == ["attachment-dropped"]


def test_a_ticket_is_never_younger_than_its_first_message_nor_closed_before_its_last() -> None:
    found = composed(
        turn("1"),
        turn("2", sent="2024-03-09T10:00:00Z"),
        status="solved",
        created="2024-03-02T10:00:00Z",
        updated="2024-03-05T10:00:00Z",
    )
    assert found.ticket is not None
    assert (found.ticket["created_datetime"], found.ticket["closed_datetime"]) == (TIME, "2024-03-09T10:00:00Z")


@pytest.mark.parametrize(
    ("word", "status"),
    [
        ("new", "open"),
        ("open", "open"),
        ("pending", "open"),
        ("hold", "open"),
        ("solved", "closed"),
        ("Closed", "closed"),
    ],
)
def test_known_statuses(word: str, status: str) -> None:
    ticket = composed(turn(), status=word).ticket
    assert ticket is not None and ticket["status"] == status


def test_an_unknown_status_stays_out_and_is_told() -> None:
    found = composed(turn(), status="parked")
    assert found.ticket is not None and "status" not in found.ticket
    assert [note.code for note, _, _ in found.notes] == ["status-unknown"]


def test_a_subject_loses_its_control_characters_and_what_is_too_long() -> None:
    found = composed(turn(), subject="a\r\nb\t" + "x" * 2000)
    assert found.ticket is not None
    assert found.ticket["subject"].startswith("a b x") and len(found.ticket["subject"]) == 998


# -- values ----------------------------------------------------------------------------------------------------------


@pytest.mark.parametrize(
    ("value", "read"),
    [
        (1709287200, TIME),
        (1709287200.25, "2024-03-01T10:00:00.250Z"),
        (1709287200000, TIME),
        ("2011/09/25 22:35:44 -0700", "2011-09-25T22:35:44-07:00"),
        (None, ""),
        (True, ""),
        (10**30, ""),
    ],
)
def test_times_of_all_kinds(value: Any, read: str) -> None:
    assert texts.time_text(value) == read


@pytest.mark.parametrize(("value", "read"), [(1, "1"), ("1", "1"), (1.0, "1"), (None, ""), (2**60 + 1, str(2**60 + 1))])
def test_ids_are_text(value: Any, read: str) -> None:
    assert texts.id_text(value) == read


def test_addresses_are_read_with_their_names_each_once_and_nothing_else() -> None:
    found = texts.addresses(['"Doe, Jane" <jane@example.com>', "JANE@example.com", "+4912345", "bo@example.com"])
    assert [(each.address, each.name) for each in found] == [("jane@example.com", "Doe, Jane"), ("bo@example.com", "")]


_TOKEN = "eyJhbGciOiJIUzI1NiJ9.eyJleHAiOjE3MDkyODcyMDB9.sig"  # {"exp": 1709287200}


@pytest.mark.parametrize(
    ("url", "expires"),
    [
        ("https://s3.example/a?X-Amz-Expires=300", True),
        ("https://storage.example/a?X-Goog-Expires=1", True),
        ("https://x.example/a?Expires=17", True),
        ("https://x.example/a?expires=17", True),
        (f"https://x.example/a?token={_TOKEN}", True),
        ("https://x.example/attachments/token/abc/?name=a.pdf", False),
        ("https://x.example/a?token=abc", False),
        ("https://[broken/a", False),
    ],
)
def test_links_that_expire_are_known(url: str, expires: bool) -> None:
    assert texts.is_short_lived(url) is expires


# -- options ---------------------------------------------------------------------------------------------------------


def test_a_day_begins_at_midnight_in_utc_and_a_time_needs_its_zone() -> None:
    assert moment("2024-03-01") == "2024-03-01T00:00:00Z"
    assert moment("2024-03-01T11:00:00+01:00") == TIME
    with pytest.raises(UsageError):
        moment("2024-03-01T11:00:00")


def test_rows_of_a_map_leave_out_the_header_and_what_is_not_filled_in() -> None:
    assert rows("\ufeffold,new,name\n2,anna@acme.example,Anna\n3,,Gone\n\n", "--agent-map", "m.csv") == {
        "2": "anna@acme.example"
    }
    with pytest.raises(UsageError, match="row 1"):
        rows("only\n", "--agent-map", "m.csv")


def test_ids_of_tickets() -> None:
    assert ids("1, #2\n3") == {"1", "2", "3"}


# -- stand-ins -------------------------------------------------------------------------------------------------------


def test_stand_ins_are_stable_have_the_same_shape_and_can_never_be_mailed() -> None:
    text = "Hello Jane, order 1042! Straße 5"
    hidden = anonymise.words(text)
    assert hidden == anonymise.words(text) != text
    assert [(c.isalpha(), c.isdigit(), c.isupper()) for c in hidden] == [
        (c.isalpha(), c.isdigit(), c.isupper()) for c in text
    ]
    stand_in = anonymise.address("Jane.Doe@example.com")
    assert stand_in == anonymise.address("jane.doe@EXAMPLE.com") and stand_in.endswith(".test")
    assert len(stand_in) == len("jane.doe@example.com")


def test_stand_ins_of_html_keep_tags_and_drop_what_attributes_say() -> None:
    ticket = {
        "messages": [{"body_html": '<a href="https://jane.example">Jane</a>&nbsp;<b>x1</b>', "external_id": "desk-1"}]
    }
    (message,) = anonymise.anonymised(ticket)["messages"]
    assert message["external_id"] == "desk-1" and "jane" not in message["body_html"].lower()
    assert message["body_html"].startswith("<a>") and message["body_html"].count("&nbsp;<b>") == 1


@pytest.mark.parametrize(
    ("values", "meant"),
    [
        ((True, 1, "1", "true", "True "), True),
        ((False, 0, "0", "false", "FALSE"), False),
        ((None, "", "no word", 2, 1.0, [], {}), None),
    ],
)
def test_a_flag_is_read_from_whatever_dumps_write(values: tuple[Any, ...], meant: bool | None) -> None:
    assert [texts.flag(each) for each in values] == [meant] * len(values)
