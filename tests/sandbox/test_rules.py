"""The strict body check: what is refused, with which field named, and that nothing is stored then."""

from typing import Any

import pytest

from bulkmsg.sandbox.checks import moment
from bulkmsg.sandbox.rules import SOURCE_TYPES, VIA, message_problems, ticket_problems

from .kit import SENT, Desk, incoming, note, outgoing


@pytest.mark.parametrize("body", [incoming(), outgoing(), note(), incoming(sent_datetime=SENT), outgoing(via="rule")])
def test_the_documented_minimal_bodies_are_taken(body: dict[str, Any]) -> None:
    assert message_problems(body) == {}


@pytest.mark.parametrize(
    ("change", "field"),
    [
        ({"colour": "red"}, "colour"),
        ({"rule_id": 7}, "rule_id"),
        ({"id": 7}, "id"),
        ({"via": "gorgias_chat"}, "via"),
        ({"via": None}, "via"),
        ({"channel": ""}, "channel"),
        ({"channel": None}, "channel"),
        ({"from_agent": "false"}, "from_agent"),
        ({"from_agent": None}, "from_agent"),
        ({"public": 1}, "public"),
        ({"body_text": 7}, "body_text"),
        ({"external_id": "x" * 256}, "external_id"),
        ({"external_id": 1042}, "external_id"),
        ({"body_text": "é" * 500_001}, "body_text"),
        ({"body_html": "x" * 1_000_001}, "body_html"),
        ({"sent_datetime": "yesterday"}, "sent_datetime"),
        ({"sent_datetime": 1614592800}, "sent_datetime"),
        ({"integration_id": 0}, "integration_id"),
        ({"integration_id": True}, "integration_id"),
        ({"mention_ids": ["7"]}, "mention_ids"),
        ({"sender": {"email": "a@b.c", "nick": "x"}}, "sender"),
        ({"sender": "a@b.c"}, "sender"),
        ({"sender": {"email": "x" * 321}}, "sender"),
        ({"source": {"type": "e-mail"}}, "source"),
        ({"source": {"from": "a@b.c"}}, "source"),
        ({"source": {"to": {"address": "a@b.c"}}}, "source"),
        ({"source": {"to": [{"email": "a@b.c"}]}}, "source"),
        ({"attachments": [{"url": "https://x/y"}]}, "attachments"),
        ({"last_sending_error": {"msg": "x"}}, "last_sending_error"),
    ],
)
def test_unknown_keys_wrong_types_and_limits_are_named(change: dict[str, Any], field: str) -> None:
    assert field in Desk().refused(incoming(**change))


@pytest.mark.parametrize("field", ["channel", "from_agent"])
def test_the_two_required_fields_are_missed(field: str) -> None:
    body = {key: value for key, value in incoming().items() if key != field}
    assert Desk().refused(body) == {field: ["Missing data for required field."]}


def test_the_limits_themselves_are_allowed() -> None:
    assert message_problems(incoming(external_id="x" * 255, body_text="é" * 500_000, subject="s" * 998)) == {}


@pytest.mark.parametrize("end", ["from", "to"])
def test_an_email_needs_both_ends_with_the_reported_texts(end: str) -> None:
    ends = {name: value for name, value in outgoing()["source"].items() if name != end}
    said = {"from": '"From" field is missing or empty', "to": '"To" field is missing'}[end]
    assert Desk().refused(outgoing(source=ends)) == {"source": {end: [said]}}
    assert Desk().refused(incoming(source=ends)) == {"source": {end: [said]}}


def test_a_phone_message_needs_no_source() -> None:
    posted = Desk().post({"channel": "phone", "from_agent": False, "sender": {"email": "jane@example.com"}})
    assert posted["source"] == {"type": "phone"}
    assert posted["via"] == "api"


@pytest.mark.parametrize("body", [incoming, note])
def test_a_receiver_is_refused_on_incoming_messages_and_notes(body: Any) -> None:
    assert "receiver" in Desk().refused(body(receiver={"email": "jane@example.com"}))


def test_a_note_comes_from_an_agent() -> None:
    assert "from_agent" in Desk().refused(note(from_agent=False))


def test_a_note_without_sender_and_source_is_refused_and_a_source_cures_it() -> None:
    bare = {key: value for key, value in note().items() if key != "sender"}
    assert Desk().refused(bare) == {"sender": ["Missing data for required field."]}
    cured = Desk().post({**bare, "source": {"type": "internal-note", "from": {"address": "anna@acme.com"}}})
    assert cured["sender"]["email"] == "anna@acme.com"


@pytest.mark.parametrize("body", ["text", [], 7, None])
def test_a_body_that_is_no_object_is_refused(body: Any) -> None:
    assert Desk().call("POST", "/api/tickets/5/messages", body)[0] == 400


def test_a_wrapped_message_is_refused() -> None:
    assert "message" in Desk().refused({"message": incoming()})


def test_a_ticket_needs_one_to_five_hundred_messages() -> None:
    assert ticket_problems({}) == {"messages": ["Missing data for required field."]}
    assert "messages" in ticket_problems({"messages": []})
    assert "messages" in ticket_problems({"messages": [note()] * 501})
    assert ticket_problems({"messages": [note()] * 500}) == {}


@pytest.mark.parametrize(
    ("change", "field"),
    [
        ({"subject": "s" * 999}, "subject"),
        ({"external_id": "x" * 256}, "external_id"),
        ({"status": "pending"}, "status"),
        ({"priority": "urgent"}, "priority"),
        ({"tags": ["vip"]}, "tags"),
        ({"tags": [{"name": ""}]}, "tags"),
        ({"customer": {"email": "x" * 321}}, "customer"),
        ({"is_unread": True}, "is_unread"),
        ({"created_datetime": "soon"}, "created_datetime"),
        ({"assignee_user": 7}, "assignee_user"),
    ],
)
def test_a_ticket_is_checked_as_strictly(change: dict[str, Any], field: str) -> None:
    assert field in ticket_problems({"messages": [incoming()], **change})


def test_problems_of_a_tickets_message_nest_along_the_body() -> None:
    problems = ticket_problems({"messages": [incoming(), incoming(via="pigeon")]})
    assert problems == {"messages": {"1": {"via": ["Not a valid choice."]}}}


def test_imported_belongs_on_the_ticket_not_on_its_messages() -> None:
    assert ticket_problems({"messages": [incoming()], "imported": True}) == {}
    assert ticket_problems({"messages": [incoming(imported=True)]}) == {
        "messages": {"0": {"imported": ["No such field."]}}
    }


def test_created_datetime_and_imported_of_a_ticket_cannot_be_changed() -> None:
    changes: list[dict[str, Any]] = [{"created_datetime": SENT}, {"imported": True}, {"messages": []}]
    for change in changes:
        assert Desk().call("PUT", "/api/tickets/5", change)[0] == 400


def test_the_enumerations_are_complete() -> None:
    assert (len(VIA), len(SOURCE_TYPES)) == (29, 49)


def test_times_without_zone_are_utc_and_others_are_turned_to_utc() -> None:
    noon = moment("2021-03-01T12:00:00Z")
    assert noon == moment("2021-03-01T12:00:00") == moment("2021-03-01T14:00:00+02:00")
    assert moment("2021-02-30T12:00:00Z") is None
