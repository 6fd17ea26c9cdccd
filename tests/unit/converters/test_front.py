"""Front: a test for every rule and trap of its lists. All names, ids and texts are made up."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import pytest

from bulkmsg.converters.words import Reading
from bulkmsg.errors import InvalidBatch
from tests.unit.converters.kit import Result, convert

Json = Any
API = "https://acme.api.frontapp.com"
TIME = 1709287200.0  # 2024-03-01T10:00:00Z
JANE = {"handle": "jane@example.com", "name": "Jane Doe", "role": "from"}
SHOP = {"handle": "support@acme.example", "name": None, "role": "to"}
ANNA = {"id": "tea_2", "email": "anna@acme.example", "first_name": "Anna", "last_name": "Agent", "username": "anna"}


def links(conversation: str) -> Json:
    return {"related": {"conversation": f"{API}/conversations/{conversation}"}}


def message(number: int, inbound: bool = True, conversation: str = "cnv_7", **more: Json) -> Json:
    ends = [JANE, SHOP] if inbound else [{**SHOP, "role": "from"}, {**JANE, "role": "to"}]
    return {
        "id": f"msg_{number}",
        "type": "email",
        "is_inbound": inbound,
        "draft_mode": None,
        "error_type": None,
        "created_at": TIME + number * 60,
        "subject": "The kettle",
        "author": None if inbound else ANNA,
        "recipients": ends,
        "body": f"<p>text {number}</p>",
        "text": f"text {number}",
        "attachments": [],
        "_links": links(conversation),
        **more,
    }


def comment(number: int, **more: Json) -> Json:
    return {
        "id": f"com_{number}",
        "author": ANNA,
        "body": f"look **here** {number}",
        "posted_at": TIME + number * 60 + 0.5,
        "attachments": [],
        "_links": links("cnv_7"),
        **more,
    }


def conversation(id: str = "cnv_7", **more: Json) -> Json:
    return {
        "id": id,
        "subject": "Kettle",
        "status": "archived",
        "type": "conversation",
        "recipient": JANE,
        "tags": [{"id": "tag_1", "name": "vip"}],
        "assignee": ANNA,
        "created_at": TIME,
        **more,
    }


def page(*records: Json, following: str | None = None) -> Json:
    return {"_pagination": {"next": following}, "_links": {"self": f"{API}/x"}, "_results": list(records)}


def run(folder: Path, *pieces: Json, about: Json = None, reading: Reading | None = None, **options: Any) -> Result:
    files: dict[str, Json] = {"messages.json": page(*reversed(pieces))}
    if about is not None:
        files["conversations.json"] = page(about)
    return convert("front", files, folder, reading=reading, **options)


def one(folder: Path, inbound: bool = True, **more: Json) -> Json:
    return run(folder, message(1, inbound, **more)).message()


# -- which type --------------------------------------------------------------------------------------------------------


def test_is_inbound_says_which_way_a_message_went(tmp_path: Path) -> None:
    found = run(tmp_path, message(1), message(2, inbound=False))
    assert found.types == ["incoming", "outgoing"]
    assert [each["sender"] for each in found.messages] == [
        {"email": "jane@example.com"},
        {"email": "anna@acme.example"},
    ]


def test_an_author_of_an_inbound_message_is_not_its_sender(tmp_path: Path) -> None:
    found = one(tmp_path, author=ANNA)
    assert (found["type"], found["sender"]["email"]) == ("incoming", "jane@example.com")


def test_a_message_that_does_not_say_which_way_it_went_is_a_finding(tmp_path: Path) -> None:
    assert run(tmp_path, message(1), message(2, is_inbound=None)).findings == {"direction-unknown": 1}


@pytest.mark.parametrize("mode", ["private", "shared"])
def test_drafts_are_skipped_even_if_they_say_inbound(mode: str, tmp_path: Path) -> None:
    assert run(tmp_path, message(1), message(2, draft_mode=mode)).skips == {"a draft": 1}


def test_a_comment_is_a_note_of_its_text(tmp_path: Path) -> None:
    found = run(tmp_path, message(1), comment(2)).message(1)
    assert (found["type"], found["external_id"]) == ("internal-note", "front-com_2")
    assert found["body_text"] == "look **here** 2" and "body_html" not in found
    assert found["sent_datetime"] == "2024-03-01T10:02:00.500Z"
    assert "source" not in found and "receiver" not in found


def test_internal_messages_are_notes_whatever_direction_they_say(tmp_path: Path) -> None:
    assert one(tmp_path, inbound=False, type="internal")["type"] == "internal-note"


def test_all_of_a_discussion_is_a_note(tmp_path: Path) -> None:
    found = run(tmp_path, message(1, inbound=False), comment(2), about=conversation(type="discussion"))
    assert found.types == ["internal-note", "internal-note"]


@pytest.mark.parametrize("kind", ["rule", "macro", "api", "integration", "csat", "ai", "bulk_reply"])
@pytest.mark.parametrize(("bots", "type"), [("outgoing", "outgoing"), ("note", "internal-note"), ("skip", "skipped")])
def test_an_author_who_is_no_user_is_an_automation(kind: str, bots: str, type: str, tmp_path: Path) -> None:
    robot = message(2, inbound=False, author={"id": "tea_9", "type": kind, "first_name": "Robot"})
    found = run(tmp_path, message(1), robot, reading=Reading(bots=bots), default_agent="desk@acme.example")
    if type == "skipped":
        assert found.skips == {"written by an automation": 1}
        return
    assert found.types[1] == type
    assert found.message(1)["meta"] == {
        "imported_from": "front",
        "original_author": "Robot",
        "flags": ["automation"],
    }


def test_a_user_by_word_is_no_automation(tmp_path: Path) -> None:
    assert "flags" not in one(tmp_path, inbound=False, author={**ANNA, "type": "user"})["meta"]


@pytest.mark.parametrize("status", ["deleted", "spam"])
def test_deleted_and_spam_conversations_are_skipped_with_all_they_hold(status: str, tmp_path: Path) -> None:
    other = message(3, conversation="cnv_8")
    found = run(tmp_path, message(1), comment(2), other, about=conversation(status=status))
    assert found.skips == {f"its conversation is {status}": 2} and len(found.messages) == 1


def test_what_was_said_on_twitter_is_redacted_and_skipped(tmp_path: Path) -> None:
    tweet = message(2, type="tweet", body="[REDACTED]", text="[REDACTED]")
    assert run(tmp_path, message(1), tweet).skips == {"redacted: Front does not give away what was said on Twitter": 1}


def test_a_message_that_failed_is_kept_and_told(tmp_path: Path) -> None:
    found = run(tmp_path, message(1, inbound=False, error_type="mailbox_full"))
    assert found.types == ["outgoing"] and found.notes["failed-to-send"] == 1


# -- people ------------------------------------------------------------------------------------------------------------


def test_without_an_author_the_from_handle_sent_it(tmp_path: Path) -> None:
    found = run(tmp_path, message(1, inbound=False, author=None))
    assert found.message()["sender"] == {"email": "support@acme.example"}
    assert found.report["agents"][0]["id"] == "support@acme.example"


def test_an_author_with_an_id_only_is_found_among_the_teammates(tmp_path: Path) -> None:
    files = {"m.json": page(message(1, inbound=False, author={"id": "tea_2"})), "teammates.json": page(ANNA)}
    assert convert("front", files, tmp_path).message()["sender"] == {"email": "anna@acme.example"}


def test_an_author_who_is_nowhere_is_listed_and_needs_somebody_to_stand_in(tmp_path: Path) -> None:
    found = run(tmp_path, message(1), message(2, inbound=False, author={"id": "tea_404"}))
    assert found.findings == {"agent-missing": 1}


def test_handles_that_are_no_addresses_follow_missing_email(tmp_path: Path) -> None:
    phone = message(2, type="sms", recipients=[{**JANE, "handle": "+15550100"}, {**SHOP, "handle": "+15550199"}])
    mail = message(1, conversation="cnv_8")
    assert run(tmp_path / "a", mail, phone).findings == {"no-email": 1}
    assert run(tmp_path / "b", mail, phone, missing_email="skip").skips == {
        "the person has no e-mail address (--missing-email skip)": 1
    }
    found = run(tmp_path / "c", mail, phone, missing_email="placeholder").messages
    assert [each["channel"] for each in found if each["sender"]["email"].endswith("@missing.invalid")] == ["sms"]


def test_contacts_give_the_address_behind_a_phone_number(tmp_path: Path) -> None:
    contact = {
        "id": "crd_1",
        "name": "Jane Doe",
        "handles": [{"handle": "+15550100", "source": "phone"}, {"handle": "jane@example.com", "source": "email"}],
    }
    phone = message(1, type="sms", recipients=[{**JANE, "handle": "+15550100"}])
    found = convert("front", {"m.json": page(phone), "contacts.json": page(contact)}, tmp_path)
    assert found.message()["sender"] == {"email": "jane@example.com"}


def test_the_customer_is_the_conversations_recipient_else_who_wrote_first_else_who_was_written_to(
    tmp_path: Path,
) -> None:
    kim = {"handle": "kim@example.com", "role": "from"}
    own = run(tmp_path / "a", message(1, inbound=False), about=conversation(recipient=kim))
    assert own.message()["receiver"] == {"email": "kim@example.com"}
    wrote = run(tmp_path / "b", message(1, inbound=False), message(2, recipients=[kim, SHOP]))
    assert wrote.tickets[0]["customer"] == {"email": "kim@example.com"}
    told = run(tmp_path / "c", message(1, inbound=False))
    assert told.message()["receiver"] == {"email": "jane@example.com"}


# -- routing, bodies, times --------------------------------------------------------------------------------------------


def test_roles_say_who_stood_where_on_the_wire(tmp_path: Path) -> None:
    more = [{"handle": "bo@example.com", "role": "cc"}, {"handle": "al@example.com", "role": "bcc", "name": "Al"}]
    reply_to = {"handle": "other@example.com", "role": "reply-to"}
    ends = [{**SHOP, "role": "from", "name": "Acme"}, {**JANE, "role": "to"}, *more, reply_to]
    assert one(tmp_path, inbound=False, recipients=ends)["source"] == {
        "from": {"address": "support@acme.example", "name": "Acme"},
        "to": [{"address": "jane@example.com", "name": "Jane Doe"}],
        "cc": [{"address": "bo@example.com"}],
        "bcc": [{"address": "al@example.com", "name": "Al"}],
    }


def test_html_and_text_and_the_subject_are_kept(tmp_path: Path) -> None:
    found = one(tmp_path)
    assert (found["body_html"], found["body_text"], found["subject"]) == ("<p>text 1</p>", "text 1", "The kettle")


def test_times_are_seconds_with_a_fraction(tmp_path: Path) -> None:
    assert one(tmp_path, created_at=1453770984.123)["sent_datetime"] == "2016-01-26T01:16:24.123Z"


@pytest.mark.parametrize(
    ("type", "channel"),
    [
        ("email", "email"),
        ("call", "phone"),
        ("phone-call", "phone"),
        ("sms", "sms"),
        ("whatsapp", "whatsapp"),
        ("facebook", "facebook-messenger"),
        ("front_chat", "chat"),
        ("intercom", "chat"),
        ("googleplay", "api"),
        ("custom", "api"),
    ],
)
def test_the_type_of_a_message_is_a_channel_of_ours(type: str, channel: str, tmp_path: Path) -> None:
    assert one(tmp_path, type=type)["channel"] == channel


def test_attachments_are_kept_and_links_into_the_api_told(tmp_path: Path) -> None:
    file = {"id": "fil_1", "filename": "a.png", "content_type": "image/png", "size": 9, "url": f"{API}/download/fil_1"}
    found = run(tmp_path, message(1, attachments=[file]))
    assert found.message()["attachments"] == [
        {"url": f"{API}/download/fil_1", "name": "a.png", "content_type": "image/png", "size": 9}
    ]
    assert found.notes["link-needs-login"] == 1


# -- conversations -----------------------------------------------------------------------------------------------------


def test_a_conversation_gives_subject_status_tags_and_assignee(tmp_path: Path) -> None:
    (made,) = run(tmp_path, message(1), about=conversation(), agent_map={"tea_2": "41"}).tickets
    assert (made["external_id"], made["subject"], made["status"]) == ("front-cnv_7", "Kettle", "closed")
    assert (made["tags"], made["assignee_user"]) == (["vip"], {"id": 41})


@pytest.mark.parametrize(("word", "status"), [("assigned", "open"), ("unassigned", "open"), ("archived", "closed")])
def test_statuses_are_open_or_closed(word: str, status: str, tmp_path: Path) -> None:
    assert run(tmp_path, message(1), about=conversation(status=word)).tickets[0]["status"] == status


def test_without_a_conversation_the_first_subject_is_the_tickets(tmp_path: Path) -> None:
    assert run(tmp_path, message(1), message(2, subject="Re: The kettle")).tickets[0]["subject"] == "The kettle"


def bare(number: int) -> Json:
    return {name: each for name, each in message(number).items() if name != "_links"}


@pytest.mark.parametrize(
    "files",
    [
        {"m.json": {"_links": {"self": f"{API}/conversations/cnv_7/messages"}, "_results": [bare(1)]}},
        {"m.json": {"conversation": conversation(), "messages": [bare(1)]}},
        {"m.json": {**conversation(), "messages": [bare(1)]}},
        {"cnv_7.json": page(bare(1))},
        {"m.json": [{**bare(1), "conversation_id": "cnv_7"}]},
        {"m.json": [message(1)]},
        {"m.json": message(1)},
    ],
    ids=["page", "wrapper", "inside", "file", "connector", "link", "bare"],
)
def test_the_conversation_is_found_wherever_it_is_said(files: Json, tmp_path: Path) -> None:
    found = convert("front", files, tmp_path)
    assert found.tickets[0]["external_id"] == "front-cnv_7" and len(found.messages) == 1


def test_a_message_without_any_word_of_its_conversation_is_a_finding(tmp_path: Path) -> None:
    assert run(tmp_path / "a", message(2), bare(1)).findings == {"ticket-unknown": 1}
    assert len(run(tmp_path / "b", message(2), bare(1), reading=Reading(ticket="cnv_7")).messages) == 2


def test_conversations_without_messages_are_skips_and_alone_they_are_refused(tmp_path: Path) -> None:
    found = run(tmp_path / "a", message(1, conversation="cnv_8"), about=conversation())
    assert found.skips == {"a conversation whose messages are not in the export": 1}
    with pytest.raises(InvalidBatch, match="whose messages are not in the export"):
        convert("front", {"c.json": page(conversation())}, tmp_path / "b")


def test_records_of_other_kinds_are_skipped(tmp_path: Path) -> None:
    assert run(tmp_path, message(1), {"id": "inb_1", "name": "Support"}).skips == {
        "a record of another kind (unknown)": 1
    }


def test_records_without_an_id_are_findings(tmp_path: Path) -> None:
    assert run(tmp_path, message(1), message(2, id=None)).findings == {"no-id": 1}


@pytest.mark.parametrize(
    "files",
    [{"export.csv": "Message ID,Extract\nx,y\n"}, {"export.json": [{"Message ID": "x", "Extract": "y"}]}],
    ids=["csv", "json"],
)
def test_the_analytics_export_is_refused(files: Json, tmp_path: Path) -> None:
    with pytest.raises(InvalidBatch) as stop:
        convert("front", files, tmp_path)
    assert "extract of each message" in (stop.value.hint or "")


# -- lists -------------------------------------------------------------------------------------------------------------


def test_a_list_with_the_newest_first_is_put_the_right_way_round_before_equal_times_are_settled(tmp_path: Path) -> None:
    same = [message(number, created_at=TIME) for number in (1, 2, 3)]
    later = message(4)
    listed = convert("front", {"m.json": page(later, *reversed(same))}, tmp_path / "a")
    stored = convert("front", {"m.json": [*same, later]}, tmp_path / "b")
    assert [each["external_id"][-1] for each in listed.messages] == ["1", "2", "3", "4"]
    assert stored.messages == listed.messages


def test_where_the_times_do_not_tell_the_list_is_taken_to_be_newest_first(tmp_path: Path) -> None:
    same = [message(number, created_at=TIME) for number in (3, 2, 1)]
    found = convert("front", {"m.json": page(*same)}, tmp_path)
    assert [each["external_id"] for each in found.messages] == ["front-msg_1", "front-msg_2", "front-msg_3"]


def test_shuffled_messages_come_out_in_the_order_of_their_times(tmp_path: Path) -> None:
    orders = [(1, 2, 3, 4), (4, 3, 2, 1), (3, 1, 4, 2)]
    made = [run(tmp_path / str(n), *map(message, order)).messages for n, order in enumerate(orders)]
    assert made[0] == made[1] == made[2]


def test_a_page_whose_next_one_is_missing_is_told(tmp_path: Path) -> None:
    first, last = page(message(2), following=f"{API}/next"), page(message(1))
    whole = convert("front", {"1.json": first, "2.json": last}, tmp_path / "a")
    assert "page-missing" not in whole.notes
    assert convert("front", {"1.json": first}, tmp_path / "b").notes["page-missing"] == 1


def test_the_same_page_twice_gives_no_doubles_and_the_later_version_counts(tmp_path: Path) -> None:
    files = {"1.json": page(message(1)), "2.json": page(message(1, body="<p>mended</p>"))}
    found = convert("front", files, tmp_path)
    assert found.skips == {"a repeated record: another version of it counts": 1}
    assert found.message()["body_html"] == "<p>mended</p>"
