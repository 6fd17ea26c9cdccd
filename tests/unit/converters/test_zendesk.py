"""Zendesk: a test for every rule and trap of its exports. All names, ids and texts are made up."""

from __future__ import annotations

import json
from itertools import permutations
from pathlib import Path
from typing import Any

import pytest

from bulkmsg.converters.words import Reading
from bulkmsg.errors import InvalidBatch
from tests.unit.converters.kit import Result, convert

Json = Any
JANE, ANNA, TOM, LIGHT = 1, 2, 3, 4
USERS: list[Json] = [
    {"id": JANE, "name": "Jane Doe", "email": "jane@example.com", "role": "end-user"},
    {"id": ANNA, "name": "Anna Agent", "email": "anna@acme.example", "role": "agent", "custom_role_id": 99},
    {"id": TOM, "name": "Tom Boss", "email": "tom@acme.example", "role": "admin"},
    {"id": LIGHT, "name": "Lea Light", "email": "lea@acme.example", "role": "agent", "role_type": 1},
]


def comment(id: int, author: int | None = JANE, **more: Json) -> Json:
    return {
        "id": id,
        "type": "Comment",
        "author_id": author,
        "body": f"text {id}",
        "html_body": f'<div class="zd-comment" dir="auto"><p>text {id}</p></div>',
        "plain_body": f"text&amp;amp;nbsp; {id}",
        "public": True,
        "attachments": [],
        "created_at": f"2024-03-01T10:{id % 60:02}:00Z",
        "via": {"channel": "email", "source": {"from": {}, "to": {}}},
        **more,
    }


def ticket(id: int = 7, **more: Json) -> Json:
    return {
        "id": id,
        "subject": "The kettle",
        "raw_subject": "{{dc.kettle}}",
        "description": "text 1",
        "status": "solved",
        "priority": "urgent",
        "requester_id": JANE,
        "submitter_id": JANE,
        "assignee_id": None,
        "recipient": "help@acme.example",
        "tags": ["vip"],
        "custom_fields": [{"id": 360001, "value": "Damaged"}, {"id": 360002, "value": None}],
        "created_at": "2024-03-01T10:00:00Z",
        "updated_at": "2024-03-05T10:00:00Z",
        "via": {"channel": "email", "source": {"from": {}, "to": {}}},
        **more,
    }


def whole(*comments: Json, users: list[Json] | None = None, **more: Json) -> dict[str, Json]:
    """An export with one ticket whose comments stand in it."""
    people = USERS if users is None else users
    return {"tickets.json": [ticket(comments=list(comments), **more)], "users.json": people}


def run(
    tmp_path: Path, *comments: Json, reading: Reading | None = None, users: list[Json] | None = None, **more: Json
) -> Result:
    return convert("zendesk", whole(*comments, users=users), tmp_path, reading=reading, **more)


# -- files -----------------------------------------------------------------------------------------------------------


def test_the_account_export_is_read_one_ticket_a_line_with_its_comments(tmp_path: Path) -> None:
    lines = "\n".join(json.dumps(ticket(number, comments=[comment(number * 10)])) for number in (7, 8))
    found = convert("zendesk", {"tickets.ndjson": lines, "users.json": {"users": USERS}}, tmp_path)
    assert [each["external_id"] for each in found.tickets] == ["zendesk-7", "zendesk-8"]
    assert [each["external_id"] for each in found.messages] == ["zendesk-comment-70", "zendesk-comment-80"]


def test_a_ticket_wrapped_with_its_users_and_organizations_is_read(tmp_path: Path) -> None:
    page = {"ticket": ticket(comments=[comment(1)]), "users": USERS, "organizations": [{"id": 5, "domain_names": []}]}
    found = convert("zendesk", {"page.json": page}, tmp_path)
    assert found.types == ["incoming"]
    assert found.skips == {"a record of another kind (organization)": 1}


@pytest.mark.parametrize(
    ("name", "page"),
    [
        ("next_page", {"next_page": "https://acme.zendesk.com/api/v2/tickets/7/comments.json?page=2", "count": 1}),
        (
            "previous_page",
            {"previous_page": "https://acme.zendesk.com/api/v2/tickets/7/comments.json", "next_page": None},
        ),
        ("url", {"url": "https://acme.zendesk.com/api/v2/tickets/7/comments"}),
        ("links", {"links": {"next": "https://acme.zendesk.com/api/v2/tickets/7/comments?page[after]=x"}, "meta": {}}),
        ("embedding ticket", {"ticket": {"id": 7, "subject": "s", "status": "open", "requester_id": JANE}}),
    ],
)
def test_a_page_of_comments_says_by_a_link_or_its_ticket_which_ticket_it_belongs_to(
    name: str, page: Json, tmp_path: Path
) -> None:
    files = {"c.json": {"comments": [comment(1)], **page}, "t.json": [ticket()], "u.json": USERS}
    assert [each["external_id"] for each in convert("zendesk", files, tmp_path).tickets] == ["zendesk-7"]


def test_a_connector_adds_the_ticket_id(tmp_path: Path) -> None:
    lines = json.dumps({"type": "RECORD", "stream": "ticket_comments", "record": comment(1, ticket_id="7")})
    found = convert("zendesk", {"s.jsonl": lines, "t.json": [ticket()], "u.json": USERS}, tmp_path)
    assert found.tickets[0]["external_id"] == "zendesk-7"


def test_the_file_is_named_after_the_ticket(tmp_path: Path) -> None:
    files = {"comments/7.json": {"comments": [comment(1)]}, "comments/ticket-8.json": [comment(2)], "u.json": USERS}
    assert [each["external_id"] for each in convert("zendesk", files, tmp_path).tickets] == ["zendesk-7", "zendesk-8"]


def test_comments_without_any_word_of_their_ticket_are_refused_unless_one_is_given(tmp_path: Path) -> None:
    files = {"comments.json": [comment(1)], "u.json": USERS}
    with pytest.raises(InvalidBatch, match="which ticket it belongs to") as stop:
        convert("zendesk", files, tmp_path)
    assert "--ticket" in stop.value.hint
    given = convert("zendesk", files, tmp_path, reading=Reading(ticket="7"))
    assert given.tickets[0]["external_id"] == "zendesk-7"


def test_csv_is_refused_with_what_to_export_instead(tmp_path: Path) -> None:
    with pytest.raises(InvalidBatch, match="holds no messages") as stop:
        convert("zendesk", {"tickets.csv": "Id,Subject\n7,x\n"}, tmp_path)
    assert "comments" in stop.value.hint


def test_tickets_alone_say_which_export_is_missing(tmp_path: Path) -> None:
    with pytest.raises(InvalidBatch, match="comments are not in the export") as stop:
        convert("zendesk", {"t.json": {"tickets": [ticket()], "end_of_stream": True}}, tmp_path)
    assert "comments" in stop.value.hint
    assert not (tmp_path / "out" / "tickets.jsonl").exists()


def test_ticket_events_without_comments_are_refused_naming_the_parameter(tmp_path: Path) -> None:
    events = [{"id": 1, "ticket_id": 7, "child_events": [{"id": 2, "event_type": "Comment", "comment_present": True}]}]
    with pytest.raises(InvalidBatch) as stop:
        convert("zendesk", {"e.json": {"ticket_events": events}}, tmp_path)
    assert "include=comment_events" in stop.value.hint


def test_ticket_events_with_comments_become_messages_with_numbered_channels(tmp_path: Path) -> None:
    event = {
        "id": 1,
        "ticket_id": 7,
        "timestamp": 1709287200,
        "updater_id": ANNA,
        "via_id": 29,
        "via": {"channel": 29},
        "child_events": [
            {"id": 11, "event_type": "Comment", "type": "Comment", "author_id": JANE, "body": "hi", "public": True},
            {"id": 12, "event_type": "Change", "status": "open"},
        ],
    }
    found = convert("zendesk", {"e.json": {"ticket_events": [event]}, "t.json": [ticket()], "u.json": USERS}, tmp_path)
    assert found.message()["sent_datetime"] == "2024-03-01T10:00:00Z"
    assert found.message()["channel"] == "chat"
    assert found.skips == {"event Change": 1}


def test_a_page_that_names_a_next_one_which_is_not_there_is_told(tmp_path: Path) -> None:
    link = "https://acme.zendesk.com/api/v2/tickets/7/comments.json?page="
    first = {"comments": [comment(1)], "next_page": f"{link}2", "previous_page": None}
    second = {"comments": [comment(2)], "next_page": None, "previous_page": f"{link}1"}
    base = {"t.json": [ticket()], "u.json": USERS}
    assert convert("zendesk", {**base, "1.json": first}, tmp_path / "a").notes["page-missing"] == 1
    for number, order in enumerate(permutations((first, second))):
        files = {**base, "p1.json": order[0], "p2.json": order[1]}
        assert "page-missing" not in convert("zendesk", files, tmp_path / str(number)).notes


def test_a_cursor_page_with_has_more_and_no_sequel_is_told(tmp_path: Path) -> None:
    page = {"comments": [comment(1)], "meta": {"has_more": True, "after_cursor": "x"}, "links": {}}
    found = convert("zendesk", {"7.json": page, "t.json": [ticket()], "u.json": USERS}, tmp_path)
    assert found.notes["page-missing"] == 1


# -- audits ----------------------------------------------------------------------------------------------------------


def audit(id: int, *events: Json, author: int = ANNA, **more: Json) -> Json:
    return {
        "id": id,
        "ticket_id": 7,
        "created_at": f"2024-03-01T10:{id % 60:02}:00Z",
        "author_id": author,
        "via": {"channel": "email", "source": {"from": {}, "to": {}}},
        "events": list(events),
        **more,
    }


def event(id: int, **more: Json) -> Json:
    made = comment(id, **more)
    return {name: each for name, each in made.items() if name not in ("created_at", "via")}


def test_audits_and_comments_of_one_ticket_convert_alike(tmp_path: Path) -> None:
    authors = {1: JANE, 2: ANNA, 3: LIGHT}
    comments = [comment(id, author, public=id != 3) for id, author in authors.items()]
    audits = [audit(id, event(id, author=author, public=id != 3)) for id, author in authors.items()]
    base = {"t.json": [ticket()], "u.json": USERS}
    by_comments = convert("zendesk", {**base, "7.json": comments}, tmp_path / "a")
    by_audits = convert("zendesk", {**base, "a.json": {"audits": audits}}, tmp_path / "b")
    assert by_comments.tickets == by_audits.tickets
    both = convert("zendesk", {**base, "7.json": comments, "a.json": {"audits": audits}}, tmp_path / "c")
    assert both.tickets == by_comments.tickets
    assert both.skips == {"a repeated record: another version of it counts": 3}


def test_the_author_is_the_events_own_and_time_and_channel_are_the_audits(tmp_path: Path) -> None:
    submitted = audit(1, event(1, author=JANE), author=ANNA, via={"channel": "chat"})
    found = convert("zendesk", {"a.json": [submitted], "t.json": [ticket()], "u.json": USERS}, tmp_path)
    message = found.message()
    assert (message["type"], message["sender"]["email"]) == ("incoming", "jane@example.com")
    assert (message["channel"], message["sent_datetime"]) == ("chat", "2024-03-01T10:01:00Z")


def test_an_events_own_via_comes_before_the_audits(tmp_path: Path) -> None:
    own = audit(1, {**event(1), "via": {"channel": "sms"}})
    found = convert("zendesk", {"a.json": [own], "t.json": [ticket()], "u.json": USERS}, tmp_path)
    assert found.message()["channel"] == "sms"


def test_other_events_are_skipped_and_counted_unknown_ones_too(tmp_path: Path) -> None:
    mixed = audit(
        1, event(1), {"id": 2, "type": "Change"}, {"id": 3, "type": "Notification"}, {"id": 4, "type": "Brandnew"}
    )
    found = convert("zendesk", {"a.json": [mixed], "t.json": [ticket()], "u.json": USERS}, tmp_path)
    assert found.skips == {"event Change": 1, "event Notification": 1, "event Brandnew": 1}
    assert found.tally.records == 4


def test_the_last_change_of_privacy_counts(tmp_path: Path) -> None:
    changes = [
        audit(1, event(1)),
        audit(5, {"id": 52, "type": "CommentPrivacyChange", "comment_id": 1, "public": True}),
        audit(3, {"id": 51, "type": "CommentPrivacyChange", "comment_id": 1, "public": False}),
        audit(2, event(2)),
        audit(4, {"id": 53, "type": "CommentPrivacyChange", "comment_id": 2, "public": False}),
    ]
    options: Json = {"default_agent": "anna@acme.example"}
    found = convert("zendesk", {"a.json": changes, "t.json": [ticket()], "u.json": USERS}, tmp_path, **options)
    assert found.types == ["incoming", "internal-note"]
    assert found.skips == {"event CommentPrivacyChange": 3}


def test_events_of_redaction_only_report_and_redacted_words_stay(tmp_path: Path) -> None:
    redacted = audit(1, event(1, body="my card is ▇▇▇▇"), {"id": 2, "type": "CommentRedactionEvent"})
    found = convert("zendesk", {"a.json": [redacted], "t.json": [ticket()], "u.json": USERS}, tmp_path)
    assert found.message()["body_text"] == "my card is ▇▇▇▇"
    assert found.skips == {"event CommentRedactionEvent": 1}


def test_a_chats_transcript_is_left_out_and_its_lines_are_told(tmp_path: Path) -> None:
    history = [{"type": "ChatMessage", "message": "hi"}, {"type": "ChatJoin"}]
    chat = audit(1, event(1), {"id": 2, "type": "ChatStartedEvent", "value": {"history": history}})
    found = convert("zendesk", {"a.json": [chat], "t.json": [ticket()], "u.json": USERS}, tmp_path)
    assert "2 lines" in found.report["notes"]["chat-history"]["message"]
    assert found.skips == {"event ChatStartedEvent": 1}


def test_calls_are_messages_on_the_phone_and_their_recordings_are_told(tmp_path: Path) -> None:
    call = comment(1, type="VoiceComment", data={"recording_url": "https://acme.zendesk.com/r/1", "call_duration": 9})
    found = run(tmp_path, call, comment(2, type="TpeVoiceComment"))
    assert [each["channel"] for each in found.messages] == ["phone", "phone"]
    assert found.notes["recording-left-out"] == 1


# -- which type ------------------------------------------------------------------------------------------------------


@pytest.mark.parametrize("author", [JANE, ANNA, TOM])
def test_a_private_comment_is_a_note_whoever_wrote_it(author: int, tmp_path: Path) -> None:
    assert run(tmp_path, comment(1, author, public=False), default_agent="a@acme.example").types == ["internal-note"]


def test_a_private_comment_by_a_customer_is_written_by_the_default_agent_and_told(tmp_path: Path) -> None:
    found = run(tmp_path, comment(1, JANE, public=False), default_agent="anna@acme.example")
    assert found.message()["sender"] == {"email": "anna@acme.example"}
    assert found.message()["meta"]["original_author"] == "Jane Doe"
    assert found.notes["note-by-customer"] == 1


def test_a_private_comment_by_a_customer_without_a_default_agent_is_a_finding(tmp_path: Path) -> None:
    found = run(tmp_path, comment(1), comment(2, JANE, public=False))
    assert found.findings == {"agent-missing": 1}


@pytest.mark.parametrize(
    ("author", "type"), [(JANE, "incoming"), (ANNA, "outgoing"), (TOM, "outgoing"), (LIGHT, "outgoing")]
)
def test_a_public_comment_has_the_type_of_its_authors_role(author: int, type: str, tmp_path: Path) -> None:
    assert run(tmp_path, comment(1, author)).types == [type]


def test_an_agent_who_is_the_requester_writes_out_unless_the_requester_wins(tmp_path: Path) -> None:
    files = {"t.json": [ticket(requester_id=ANNA, comments=[comment(1, ANNA)])], "u.json": USERS}
    assert convert("zendesk", files, tmp_path / "a").types == ["outgoing"]
    assert convert("zendesk", files, tmp_path / "b", reading=Reading(requester_wins=True)).types == ["incoming"]


def test_an_unknown_author_who_is_the_requester_is_a_customer(tmp_path: Path) -> None:
    unknown = comment(1, 55, via={"channel": "email", "source": {"from": {"address": "kim@example.com"}}})
    found = convert("zendesk", {"t.json": [ticket(requester_id=55, comments=[unknown])], "u.json": USERS}, tmp_path)
    assert found.types == ["incoming"]
    assert found.message()["sender"]["email"] == "kim@example.com"


def test_the_system_is_written_as_bots_are(tmp_path: Path) -> None:
    two = (comment(1), comment(2, -1))
    assert run(tmp_path / "a", *two, default_agent="a@acme.example").types == ["incoming", "outgoing"]
    note = run(tmp_path / "b", *two, reading=Reading(bots="note"), default_agent="a@acme.example")
    assert note.types == ["incoming", "internal-note"]
    skip = run(tmp_path / "c", *two, reading=Reading(bots="skip"))
    assert skip.skips == {"written by the system": 1}


def test_an_unknown_author_is_a_finding_where_users_were_given(tmp_path: Path) -> None:
    found = run(tmp_path, comment(1), comment(2, 99))
    assert found.findings == {"author-unknown": 1}
    assert "author 99" in found.report["list"][0]["message"]


def test_without_any_users_file_an_unknown_author_is_an_agent_and_that_is_told(tmp_path: Path) -> None:
    mail = {"channel": "email", "source": {"from": {"address": "jane@example.com"}}}
    found = run(
        tmp_path,
        comment(1, via=mail),
        comment(2, 99),
        users=[],
        agent_map={"99": "anna@acme.example"},
        missing_email="placeholder",
    )
    assert found.types == ["incoming", "outgoing"]
    assert found.notes["no-users-file"] == 1


def test_deleted_people_still_join_by_role_and_their_name_is_kept(tmp_path: Path) -> None:
    gone = {"id": 60, "name": "Permanently deleted user", "email": None, "role": "agent", "active": False}
    found = run(tmp_path, comment(1), comment(2, 60), users=[*USERS, gone], default_agent="anna@acme.example")
    assert found.types == ["incoming", "outgoing"]
    assert found.message(1)["meta"]["original_author"] == "Permanently deleted user"


def test_suspended_and_inactive_authors_are_kept(tmp_path: Path) -> None:
    bad = {"id": 61, "name": "Sam", "email": "sam@example.com", "role": "end-user", "suspended": True, "active": False}
    assert run(tmp_path, comment(1, 61), users=[*USERS, bad]).message()["sender"] == {"email": "sam@example.com"}


@pytest.mark.parametrize("email", [None, ""])
def test_people_without_an_address_follow_the_policy_and_are_counted(email: str | None, tmp_path: Path) -> None:
    users = [*USERS, {"id": 62, "name": "@kim", "email": email, "role": "end-user"}]
    files = {
        "t.json": [ticket(requester_id=62, comments=[comment(1, 62), comment(2, ANNA, public=False)])],
        "u.json": users,
    }
    assert convert("zendesk", files, tmp_path / "a").findings == {"no-email": 1}
    skipped = convert("zendesk", files, tmp_path / "b", missing_email="skip")
    assert skipped.skips == {"the person has no e-mail address (--missing-email skip)": 1}
    stand_in = convert("zendesk", files, tmp_path / "c", missing_email="placeholder")
    assert stand_in.message()["sender"] == {"email": "zendesk-62@missing.invalid"}
    assert stand_in.notes["placeholder"] >= 1


def test_ids_join_as_text_and_large_ones_exactly(tmp_path: Path) -> None:
    large = 9007199254740993
    users = [{**USERS[0], "id": str(large)}, {**USERS[1], "id": "2"}]
    files = {"t.json": [ticket(requester_id=large, comments=[comment(1, large), comment(2, ANNA)])], "u.json": users}
    assert convert("zendesk", files, tmp_path).types == ["incoming", "outgoing"]
    off_by_one = {**files, "u.json": [{**USERS[0], "id": large - 1}, users[1]]}
    with pytest.raises(InvalidBatch, match=f"person {large} has no e-mail address"):
        convert("zendesk", off_by_one, tmp_path / "b")


def test_a_user_whose_role_is_not_known_is_a_finding(tmp_path: Path) -> None:
    assert run(tmp_path, comment(1), users=[*USERS, {"id": 5, "name": "x", "role": None}]).findings == {"no-role": 1}


# -- times, bodies, routing ------------------------------------------------------------------------------------------


def test_very_old_times_are_understood(tmp_path: Path) -> None:
    found = run(tmp_path, comment(1, created_at="2011/09/25 22:35:44 -0700"))
    assert found.message()["sent_datetime"] == "2011-09-26T05:35:44Z"


def test_the_time_is_created_at_and_not_that_of_a_social_network(tmp_path: Path) -> None:
    found = run(tmp_path, comment(1, metadata={"decoration": {"created_at": "2024-02-29T01:00:00Z"}}))
    assert found.message()["sent_datetime"] == "2024-03-01T10:01:00Z"


def test_html_and_body_are_taken_and_never_plain_body(tmp_path: Path) -> None:
    message = run(tmp_path, comment(1)).message()
    assert message["body_html"] == '<div class="zd-comment" dir="auto"><p>text 1</p></div>'
    assert message["body_text"] == "text 1"
    assert "amp;" not in str(message)


def test_the_description_is_not_emitted_beside_comments(tmp_path: Path) -> None:
    assert len(run(tmp_path, comment(1), reading=Reading(descriptions=True)).messages) == 1


def test_a_ticket_without_a_comment_list_becomes_its_description_only_when_asked(tmp_path: Path) -> None:
    files = {
        "t.json": [ticket(7, description="Line one\\nline two"), ticket(8, comments=[comment(1)])],
        "u.json": USERS,
    }
    without = convert("zendesk", files, tmp_path / "a")
    assert without.skips == {"a ticket whose comments are not in the export (--descriptions)": 1}
    with_them = convert("zendesk", files, tmp_path / "b", reading=Reading(descriptions=True))
    message = with_them.message()
    assert message["external_id"] == "zendesk-ticket-7-description"
    assert (message["type"], message["body_text"]) == ("incoming", "Line one\nline two")
    assert message["sent_datetime"] == "2024-03-01T10:00:00Z"


def test_a_description_by_an_agent_goes_out_and_that_of_a_private_ticket_is_a_note(tmp_path: Path) -> None:
    files = {"t.json": [ticket(7, submitter_id=ANNA), ticket(8, submitter_id=ANNA, is_public=False)], "u.json": USERS}
    assert convert("zendesk", files, tmp_path, reading=Reading(descriptions=True)).types == [
        "outgoing",
        "internal-note",
    ]


def test_a_ticket_with_an_empty_comment_list_is_skipped_and_counted(tmp_path: Path) -> None:
    files = {"t.json": [ticket(7, comments=[]), ticket(8, comments=[comment(1)])], "u.json": USERS}
    found = convert("zendesk", files, tmp_path, reading=Reading(descriptions=True))
    assert found.skips == {"a ticket without any comment": 1}


def test_the_subject_is_subject_and_without_one_the_description_is_cut(tmp_path: Path) -> None:
    assert run(tmp_path / "a", comment(1)).tickets[0]["subject"] == "The kettle"
    long = ticket(subject=None, description="Voice\\nmail " + "x" * 200, comments=[comment(1)])
    found = convert("zendesk", {"t.json": [long], "u.json": USERS}, tmp_path / "b")
    assert found.tickets[0]["subject"].startswith("Voice mail xxx")
    assert len(found.tickets[0]["subject"]) == 100


@pytest.mark.parametrize(
    ("word", "channel"),
    [
        ("web", "email"),
        ("email", "email"),
        ("api", "email"),
        ("chat", "chat"),
        ("native_messaging", "chat"),
        ("voice", "phone"),
        ("twitter", "twitter"),
        ("facebook", "facebook"),
        ("sms", "sms"),
        ("whatsapp", "whatsapp"),
        ("any_channel", "email"),
        (4, "email"),
    ],
)
def test_the_channel_is_one_of_ours(word: str | int, channel: str, tmp_path: Path) -> None:
    assert run(tmp_path, comment(1, via={"channel": word})).message()["channel"] == channel


def test_the_person_is_the_sender_and_the_address_of_the_mail_stands_in_source(tmp_path: Path) -> None:
    via = {
        "channel": "email",
        "source": {"from": {"address": "jane.alias@example.com"}, "to": {"address": "shop@acme.example"}},
    }
    message = run(tmp_path, comment(1, via=via)).message()
    assert message["sender"] == {"email": "jane@example.com"}
    assert message["source"] == {
        "from": {"address": "jane.alias@example.com"},
        "to": [{"address": "shop@acme.example"}],
    }
    assert "receiver" not in message


def test_outgoing_goes_from_the_tickets_support_address_to_the_requester(tmp_path: Path) -> None:
    message = run(tmp_path, comment(1, ANNA)).message()
    assert message["source"] == {"from": {"address": "help@acme.example"}, "to": [{"address": "jane@example.com"}]}
    assert message["receiver"] == {"email": "jane@example.com"}


def test_the_customer_of_a_ticket_that_an_agent_opened_is_never_the_mailbox(tmp_path: Path) -> None:
    via = {"channel": "web", "source": {"from": {}, "to": {"address": "Jane@Example.com", "name": "Jane"}}}
    found = convert("zendesk", whole(comment(1, ANNA), recipient=None, via=via), tmp_path, mailbox="own@acme.example")
    ends = found.message()["source"]
    assert (ends["from"], ends["to"]) == ({"address": "own@acme.example"}, [{"address": "jane@example.com"}])


def test_without_a_recipient_the_mailbox_stands_in_and_without_that_it_is_a_finding(tmp_path: Path) -> None:
    files = {
        "t.json": [ticket(recipient=None, comments=[comment(1, ANNA), comment(2, ANNA, public=False)])],
        "u.json": USERS,
    }
    found = convert("zendesk", files, tmp_path / "a", mailbox="box@acme.example")
    assert found.message()["source"]["from"] == {"address": "box@acme.example"}
    assert convert("zendesk", files, tmp_path / "b", mailbox="").findings == {"no-mailbox": 1}


def test_copies_come_from_via_and_from_ids(tmp_path: Path) -> None:
    via = {"channel": "email", "source": {"to": {"email_ccs": ["bo@example.com"]}}}
    made = ticket(email_cc_ids=[TOM, 404], comments=[comment(1, ANNA, via=via)])
    message = convert("zendesk", {"t.json": [made], "u.json": USERS}, tmp_path).message()
    assert message["source"]["cc"] == [{"address": "bo@example.com"}, {"address": "tom@acme.example"}]


def test_attachments_keep_url_name_type_and_size(tmp_path: Path) -> None:
    file = {
        "id": 1,
        "file_name": "a.pdf",
        "content_url": "https://acme.zendesk.com/attachments/token/x/?name=a.pdf",
        "content_type": "application/pdf",
        "size": 12,
    }
    message = run(tmp_path, comment(1, attachments=[file], html_body="", body="")).message()
    assert message["attachments"] == [
        {"url": file["content_url"], "name": "a.pdf", "content_type": "application/pdf", "size": 12}
    ]


def test_a_link_that_expires_is_told(tmp_path: Path) -> None:
    file = {
        "file_name": "a.png",
        "mapped_content_url": "https://s3.example/a?X-Amz-Expires=300",
        "content_type": "image/png",
    }
    assert run(tmp_path, comment(1, attachments=[file])).notes["expiring-link"] == 1


def test_status_priority_tags_fields_and_assignee_are_carried_over(tmp_path: Path) -> None:
    made = ticket(assignee_id=ANNA, comments=[comment(1)])
    files = {"t.json": [made], "u.json": USERS}
    first = convert("zendesk", files, tmp_path, agent_map={"2": "8842"}, fields={"360001": 41, "360002": 42}).tickets[0]
    assert (first["status"], first["priority"], first["tags"]) == ("closed", "critical", ["vip"])
    assert first["custom_fields"] == [{"id": 41, "value": "Damaged"}]
    assert first["assignee_user"] == {"id": 8842}


# -- what is skipped or flagged --------------------------------------------------------------------------------------


@pytest.mark.parametrize(
    ("more", "reason"),
    [
        ({"status": "deleted"}, "its ticket is deleted"),
        ({"subject": "SCRUBBED", "description": "X", "recipient": "X"}, "its ticket is scrubbed"),
    ],
)
def test_deleted_and_scrubbed_tickets_are_skipped_with_their_comments(more: Json, reason: str, tmp_path: Path) -> None:
    tickets = [
        ticket(7, comments=[comment(1), comment(2)], **more),
        ticket(8, comments=[comment(3)]),
        ticket(9, **more),
    ]
    found = convert("zendesk", {"t.json": tickets, "u.json": USERS}, tmp_path)
    assert found.skips == {reason: 3}
    assert [each["external_id"] for each in found.tickets] == ["zendesk-8"]


@pytest.mark.parametrize(
    "body",
    [
        'Request #12 "Kettle" was closed and merged into this request. Last comment',
        "Requests #12, #13 were closed and merged into this request.",
        'This request was closed and merged into request #12 "Kettle".',
    ],
)
def test_merge_notices_are_flagged_and_kept_as_they_are(body: str, tmp_path: Path) -> None:
    found = run(tmp_path, comment(1, ANNA, public=False, body=body))
    assert found.types == ["internal-note"]
    assert found.message()["meta"]["flags"] == ["merge-notice"]
    assert found.report["flags"] == {"merge-notice": 1}


@pytest.mark.parametrize("via", [{"channel": 19}, {"channel": "web", "source": {"rel": "merge"}}])
def test_a_merge_is_known_by_its_channel_too(via: Json, tmp_path: Path) -> None:
    assert run(tmp_path, comment(1, ANNA, via=via)).message()["meta"]["flags"] == ["merge-notice"]


@pytest.mark.parametrize(
    "more", [{"body": "Requests #12, #13 were closed and merged into this request."}, {"via": {"channel": 19}}]
)
def test_a_public_merge_notice_is_kept_as_a_note(more: Json, tmp_path: Path) -> None:
    found = run(tmp_path, comment(1, ANNA, **more))
    assert (found.types, found.message()["meta"]["flags"]) == (["internal-note"], ["merge-notice"])


@pytest.mark.parametrize("via", [{"channel": "rule"}, {"channel": 8}])
def test_comments_by_triggers_are_flagged(via: Json, tmp_path: Path) -> None:
    assert run(tmp_path, comment(1, ANNA, via=via)).message()["meta"]["flags"] == ["automation"]


def test_a_customer_who_quotes_a_merge_notice_in_the_middle_is_not_flagged(tmp_path: Path) -> None:
    text = "You wrote: This request was closed and merged into request #12"
    assert "flags" not in run(tmp_path, comment(1, body=text)).message()["meta"]


# -- order and repeats -----------------------------------------------------------------------------------------------


def test_shuffled_input_gives_the_same_output(tmp_path: Path) -> None:
    comments = [comment(1), comment(2, ANNA), comment(3, TOM, public=False)]
    results = [run(tmp_path / str(number), *order).tickets for number, order in enumerate(permutations(comments))]
    assert all(each == results[0] for each in results)


@pytest.mark.parametrize("turn", [1, -1])
def test_equal_times_stay_in_their_order_where_the_newest_is_listed_first(turn: int, tmp_path: Path) -> None:
    times = ["2024-03-01T10:00:00Z", "2024-03-01T11:00:00Z", "2024-03-01T11:00:00Z"]
    audits: list[Json] = [
        {
            "id": 50 + id,
            "ticket_id": 7,
            "author_id": ANNA,
            "created_at": time,
            "events": [{"type": "Comment", "id": id, "body": f"text {id}", "public": True, "author_id": ANNA}],
        }
        for id, time in enumerate(times)
    ]
    files = {"t.json": [ticket()], "a.json": {"audits": audits[::turn]}, "u.json": USERS}
    assert [each["body_text"] for each in convert("zendesk", files, tmp_path).messages] == [
        "text 0",
        "text 1",
        "text 2",
    ]


def test_a_newer_version_of_a_ticket_wins_wherever_it_stands(tmp_path: Path) -> None:
    old = ticket(updated_at="2024-03-01T10:00:00Z", subject="old")
    new = ticket(updated_at="2024-03-09T10:00:00Z", subject="new")
    for number, order in enumerate(([old, new], [new, old])):
        files = {"t.json": order, "7.json": [comment(1)], "u.json": USERS}
        found = convert("zendesk", files, tmp_path / str(number))
        assert [each["subject"] for each in found.tickets] == ["new"]
        assert found.report["tickets"]["repeated"] == 1


def test_the_same_page_twice_gives_no_doubles(tmp_path: Path) -> None:
    page = {"comments": [comment(1), comment(2, ANNA)], "next_page": None}
    found = convert("zendesk", {"a/7.json": page, "b/7.json": page, "t.json": [ticket()], "u.json": USERS}, tmp_path)
    assert len(found.messages) == 2
    assert found.skips == {"a repeated record: another version of it counts": 2}


def test_comments_without_their_ticket_are_still_converted(tmp_path: Path) -> None:
    found = convert("zendesk", {"7.json": [comment(1), comment(2, ANNA)], "u.json": USERS}, tmp_path)
    assert found.types == ["incoming", "outgoing"]
    assert found.message(1)["receiver"] == {"email": "jane@example.com"}


@pytest.mark.parametrize("private", [False, "false", "False", 0, "0"])
def test_private_is_private_however_a_dump_writes_it(private: Json, tmp_path: Path) -> None:
    assert run(tmp_path, comment(1, ANNA, public=private)).types == ["internal-note"]


def test_a_change_of_privacy_that_does_not_say_which_changes_nothing(tmp_path: Path) -> None:
    event = {"id": 9, "type": "CommentPrivacyChange", "comment_id": 1}
    audit = {"id": 5, "ticket_id": 7, "author_id": ANNA, "created_at": "2024-03-02T10:00:00Z", "events": [event]}
    files = {**whole(comment(1, ANNA, public=False)), "audits.json": {"audits": [audit]}}
    assert convert("zendesk", files, tmp_path).types == ["internal-note"]


@pytest.mark.parametrize("junk", [[], {}, 5, True, "x", [None], [[]], [5]])
@pytest.mark.parametrize("name", ["tags", "via", "recipient", "custom_fields", "email_cc_ids", "assignee_id", "status"])
def test_a_value_of_a_kind_that_does_not_belong_there_ends_no_conversion(name: str, junk: Json, tmp_path: Path) -> None:
    found = convert("zendesk", whole(comment(1), **{name: junk}), tmp_path)
    assert (found.types, found.findings) == (["incoming"], {})
