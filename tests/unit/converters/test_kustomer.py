"""Kustomer: a test for every rule and trap of its resources. All names, ids and texts are made up."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import pytest

from bulkmsg.converters.words import Reading
from bulkmsg.errors import InvalidBatch
from tests.unit.converters.kit import Result, convert

Json = Any
SHOP = "shop@acme.example"
USERS: Json = [{"type": "user", "id": "u2", "attributes": {"email": "anna@acme.example", "displayName": "Anna Agent"}}]
CUSTOMERS: Json = [
    {
        "type": "customer",
        "id": "c1",
        "attributes": {"displayName": "Jane Doe", "emails": [{"email": "jane@example.com", "type": "home"}]},
    }
]


def related(**ids: str) -> Json:
    kinds = {"createdBy": "user"}
    return {name: {"data": {"type": kinds.get(name, name), "id": id}} for name, id in ids.items()}


def message(number: int, direction: Json = "in", ties: Json = None, **more: Json) -> Json:
    ends = [SHOP, "jane@example.com"] if direction == "out" else ["jane@example.com", SHOP]
    author = {"createdBy": "u2"} if direction == "out" else {}
    return {
        "type": "message",
        "id": f"m{number}",
        "attributes": {
            "channel": "email",
            "direction": direction,
            "preview": f"text {number}",
            "subject": "The kettle",
            "sentAt": f"2024-03-01T10:{number:02}:00.000Z",
            "createdAt": "2024-03-09T10:00:00.000Z",
            "auto": False,
            "redacted": False,
            "meta": {"from": ends[0], "to": [{"email": ends[1]}], "cc": []},
            **more,
        },
        "relationships": ties if ties is not None else related(conversation="k7", customer="c1", **author),
    }


def note(number: int, **more: Json) -> Json:
    return {
        "type": "note",
        "id": f"n{number}",
        "attributes": {"body": f"look here {number}", "createdAt": f"2024-03-01T10:{number:02}:00.000Z", **more},
        "relationships": related(conversation="k7", createdBy="u2"),
    }


def conversation(id: str = "k7", **more: Json) -> Json:
    return {
        "type": "conversation",
        "id": id,
        "attributes": {
            "name": "Kettle",
            "status": "done",
            "priority": 5,
            "assignedUsers": ["u2"],
            "createdAt": "2024-03-01T09:00:00.000Z",
            **more,
        },
        "relationships": related(customer="c1"),
    }


def page(*records: Json, following: str | None = None, **more: Json) -> Json:
    return {"meta": {"page": 1}, "links": {"next": following}, "data": list(records), **more}


def run(
    folder: Path, *pieces: Json, about: Json = None, reading: Reading | None = None, people: bool = True, **options: Any
) -> Result:
    files: dict[str, Json] = {"messages.json": page(*pieces)}
    if about is not None:
        files["conversations.json"] = page(about)
    if people:
        files |= {"users.json": page(*USERS), "customers.json": page(*CUSTOMERS)}
    return convert("kustomer", files, folder, reading=reading, **options)


def one(folder: Path, direction: str = "in", **more: Json) -> Json:
    return run(folder, message(1, direction, **more)).message()


# -- which type --------------------------------------------------------------------------------------------------------


def test_direction_says_which_way_a_message_went(tmp_path: Path) -> None:
    found = run(tmp_path, message(1), message(2, "out"))
    assert found.types == ["incoming", "outgoing"]
    assert [each["sender"]["email"] for each in found.messages] == ["jane@example.com", "anna@acme.example"]


def test_a_message_without_a_direction_is_a_finding(tmp_path: Path) -> None:
    assert run(tmp_path, message(1), message(2, direction=None)).findings == {"direction-unknown": 1}


def test_a_note_is_a_resource_of_its_own(tmp_path: Path) -> None:
    found = run(tmp_path, message(1), note(2)).message(1)
    assert (found["type"], found["external_id"], found["body_text"]) == (
        "internal-note",
        "kustomer-note-n2",
        "look here 2",
    )
    assert found["sender"] == {"email": "anna@acme.example"}
    assert "source" not in found and "receiver" not in found


def test_drafts_are_skipped(tmp_path: Path) -> None:
    draft = {**message(2, "out"), "type": "draft"}
    assert run(tmp_path, message(1), draft).skips == {"a draft": 1}


@pytest.mark.parametrize("bots", ["outgoing", "note", "skip"])
def test_automatic_messages_go_as_bots_says(bots: str, tmp_path: Path) -> None:
    auto = message(2, "out", auto=True)
    found = run(tmp_path, message(1), auto, reading=Reading(bots=bots), default_agent="desk@acme.example")
    if bots == "skip":
        assert found.skips == {"written by an automation": 1}
        return
    assert found.types[1] == {"outgoing": "outgoing", "note": "internal-note"}[bots]
    assert found.message(1)["meta"]["flags"] == ["automation"]
    assert found.message(1)["meta"]["original_author"] == "automation"


@pytest.mark.parametrize(
    ("more", "reason"),
    [({"spam": True}, "its conversation is spam"), ({"deleted": True}, "its conversation is deleted")],
)
def test_spam_and_deleted_conversations_are_skipped_with_all_they_hold(more: Json, reason: str, tmp_path: Path) -> None:
    other = message(3, ties=related(conversation="k8", customer="c1"))
    found = run(tmp_path, message(1), note(2), other, about=conversation(**more))
    assert found.skips == {reason: 2} and len(found.messages) == 1


def test_what_is_redacted_wholly_is_skipped_and_what_is_left_of_others_is_kept(tmp_path: Path) -> None:
    found = run(tmp_path, message(1, redacted=True), message(2, redacted=True, preview=""))
    assert found.skips == {"redacted": 1} and found.message()["meta"]["flags"] == ["redacted"]


@pytest.mark.parametrize("more", [{"error": {"code": "invalid-recipient"}}, {"status": "error"}])
def test_a_message_that_failed_is_kept_and_told(more: Json, tmp_path: Path) -> None:
    found = run(tmp_path, message(1, "out", **more))
    assert found.types == ["outgoing"] and found.notes["failed-to-send"] == 1


def test_merged_conversations_are_kept_and_flagged(tmp_path: Path) -> None:
    found = run(tmp_path, message(1), about=conversation(mergedTarget="k9"))
    assert found.message()["meta"]["flags"] == ["merged"]


# -- people ------------------------------------------------------------------------------------------------------------


def test_without_a_customers_file_the_address_on_the_wire_is_the_customers(tmp_path: Path) -> None:
    found = run(tmp_path, message(1), message(2, "out"), people=False, default_agent="desk@acme.example")
    assert found.message()["sender"] == {"email": "jane@example.com"}
    assert found.message(1)["receiver"] == {"email": "jane@example.com"}


def test_a_conversation_of_replies_alone_is_with_whom_they_went_to(tmp_path: Path) -> None:
    found = run(tmp_path, message(1, "out"), people=False, default_agent="desk@acme.example")
    assert found.message()["receiver"] == {"email": "jane@example.com"}


def test_customers_without_an_address_follow_missing_email(tmp_path: Path) -> None:
    phone = message(2, channel="whatsapp", meta={"from": "whatsapp:+15550100", "to": "whatsapp:+15550199"})
    phone["relationships"] = related(conversation="k8", customer="c404")
    assert run(tmp_path / "a", message(1), phone).findings == {"no-email": 1}
    found = run(tmp_path / "b", message(1), phone, missing_email="placeholder").message(1)
    assert (found["sender"]["email"], found["channel"]) == ("kustomer-c404@missing.invalid", "whatsapp")


def test_an_author_who_is_in_no_users_file_needs_somebody_to_stand_in(tmp_path: Path) -> None:
    lost = message(2, "out", ties=related(conversation="k7", customer="c1", createdBy="u404"))
    assert run(tmp_path / "a", message(1), lost).findings == {"agent-missing": 1}
    mapped = run(tmp_path / "b", message(1), lost, agent_map={"u404": "new@acme.example"})
    assert mapped.message(1)["sender"] == {"email": "new@acme.example"}


def test_people_included_in_a_page_are_taken(tmp_path: Path) -> None:
    files = {"m.json": page(message(1), message(2, "out"), included=[*USERS, *CUSTOMERS, conversation()])}
    found = convert("kustomer", files, tmp_path)
    assert found.message(1)["sender"] == {"email": "anna@acme.example"}
    assert found.tickets[0]["subject"] == "Kettle" and found.report["people"] == 2


# -- routing, bodies, times --------------------------------------------------------------------------------------------


def test_the_addresses_on_the_wire_are_in_meta(tmp_path: Path) -> None:
    meta = {
        "from": SHOP,
        "to": [{"email": "jane@example.com"}],
        "cc": ["bo@example.com"],
        "bcc": [{"email": "al@example.com"}],
    }
    assert one(tmp_path, "out", meta=meta)["source"] == {
        "from": {"address": SHOP},
        "to": [{"address": "jane@example.com"}],
        "cc": [{"address": "bo@example.com"}],
        "bcc": [{"address": "al@example.com"}],
    }


def test_the_body_is_called_preview_and_the_subject_may_stand_in_meta(tmp_path: Path) -> None:
    found = one(tmp_path, subject=None, meta={"from": "jane@example.com", "to": SHOP, "subject": "In meta"})
    assert (found["body_text"], found["subject"]) == ("text 1", "In meta")


def test_sent_at_is_the_time_and_created_at_stands_in(tmp_path: Path) -> None:
    assert one(tmp_path / "a")["sent_datetime"] == "2024-03-01T10:01:00Z"
    assert one(tmp_path / "b", sentAt=None)["sent_datetime"] == "2024-03-09T10:00:00Z"


@pytest.mark.parametrize(
    ("word", "channel"),
    [
        ("email", "email"),
        ("sms", "sms"),
        ("chat", "chat"),
        ("voice", "phone"),
        ("whatsapp", "whatsapp"),
        ("facebook", "facebook-messenger"),
        ("twitter-dm", "twitter-direct-message"),
        ("instagram", "instagram-direct-message"),
        ("form", "contact_form"),
        ("acme-own", "api"),
    ],
)
def test_channels(word: str, channel: str, tmp_path: Path) -> None:
    assert one(tmp_path, channel=word)["channel"] == channel


def test_attachments_are_told_and_a_message_of_nothing_else_is_a_finding(tmp_path: Path) -> None:
    files = {"attachments": {"data": [{"type": "attachment", "id": "a1"}]}}
    first, second = message(1), message(2, preview="")
    for each in (first, second):
        each["relationships"] = {**each["relationships"], **files}
    found = run(tmp_path, first, second, {"type": "attachment", "id": "a1"})
    assert found.notes["attachments-left-out"] == 1 and found.findings == {"attachments-only": 1}
    assert found.skips == {"a record of another kind (attachment)": 1}


# -- conversations -----------------------------------------------------------------------------------------------------


def test_a_conversation_gives_subject_status_priority_assignee_and_fields(tmp_path: Path) -> None:
    about = conversation(custom={"reasonStr": "Damaged"})
    (made,) = run(tmp_path, message(1), about=about, agent_map={"u2": "41"}, fields={"reasonStr": 9}).tickets
    assert (made["external_id"], made["subject"], made["status"]) == ("kustomer-k7", "Kettle", "closed")
    assert (made["priority"], made["assignee_user"]) == ("critical", {"id": 41})
    assert made["custom_fields"] == [{"id": 9, "value": "Damaged"}]


@pytest.mark.parametrize(("word", "status"), [("open", "open"), ("snoozed", "open"), ("done", "closed")])
def test_statuses_are_open_or_closed(word: str, status: str, tmp_path: Path) -> None:
    assert run(tmp_path, message(1), about=conversation(status=word)).tickets[0]["status"] == status


def test_tags_are_ids_and_told_to_be_left_out(tmp_path: Path) -> None:
    found = run(tmp_path, message(1), about=conversation(tags=["5fd3b50f7e877e515331daf9"]))
    assert "tags" not in found.tickets[0] and found.notes["tags-left-out"] == 1


@pytest.mark.parametrize(
    "file",
    [
        page(message(1)),
        [message(1)],
        message(1),
        {"data": message(1)},
        {"name": "kustomer.message.create", "id": "e1", "data": message(1)},
    ],
    ids=["page", "list", "bare", "single", "event"],
)
def test_a_message_is_found_in_every_frame(file: Json, tmp_path: Path) -> None:
    assert convert("kustomer", {"m.json": file}, tmp_path).message()["external_id"] == "kustomer-message-m1"


def test_a_single_resource_may_bring_others(tmp_path: Path) -> None:
    found = convert("kustomer", {"m.json": {"data": conversation(), "included": [message(1), *CUSTOMERS]}}, tmp_path)
    assert found.message()["sender"] == {"email": "jane@example.com"}


def test_without_relationships_the_conversation_is_unknown(tmp_path: Path) -> None:
    lost = message(2, ties={})
    assert run(tmp_path / "a", message(1), lost).findings == {"ticket-unknown": 1}
    assert len(run(tmp_path / "b", message(1), lost, reading=Reading(ticket="k7")).messages) == 2


def test_records_without_an_id_are_findings(tmp_path: Path) -> None:
    assert run(tmp_path, message(1), {**message(2), "id": None}).findings == {"no-id": 1}


def test_conversations_without_messages_are_skips_and_alone_they_are_refused(tmp_path: Path) -> None:
    found = run(tmp_path / "a", message(1), about=conversation("k8"))
    assert found.skips == {"a conversation whose messages are not in the export": 1}
    with pytest.raises(InvalidBatch, match="whose messages are not in the export"):
        convert("kustomer", {"c.json": page(conversation())}, tmp_path / "b")


def test_csv_is_refused(tmp_path: Path) -> None:
    with pytest.raises(InvalidBatch, match="CSV"):
        convert("kustomer", {"messages.csv": "id,preview\n"}, tmp_path)


# -- lists -------------------------------------------------------------------------------------------------------------


def test_shuffled_and_reversed_messages_come_out_in_the_order_of_their_times(tmp_path: Path) -> None:
    orders = [(1, 2, 3, 4), (4, 3, 2, 1), (3, 1, 4, 2)]
    made = [run(tmp_path / str(n), *map(message, order)).messages for n, order in enumerate(orders)]
    assert made[0] == made[1] == made[2]


def test_a_list_with_the_newest_first_keeps_equal_times_the_right_way_round(tmp_path: Path) -> None:
    same = [message(number, sentAt="2024-03-01T10:00:00Z") for number in (1, 2)]
    found = run(tmp_path, message(3), *reversed(same))
    assert [each["external_id"] for each in found.messages] == [f"kustomer-message-m{n}" for n in (1, 2, 3)]


def test_a_page_whose_next_one_is_missing_is_told(tmp_path: Path) -> None:
    first = page(message(1), following="/v1/conversations/k7/messages?page=2")
    whole = convert("kustomer", {"1.json": first, "2.json": page(message(2))}, tmp_path / "a")
    assert "page-missing" not in whole.notes
    assert convert("kustomer", {"1.json": first}, tmp_path / "b").notes["page-missing"] == 1


def test_of_a_repeated_message_the_version_that_was_changed_last_counts(tmp_path: Path) -> None:
    new = message(1, preview="mended", updatedAt="2024-04-01T00:00:00Z")
    found = run(tmp_path, new, message(1, updatedAt="2024-03-02T00:00:00Z"))
    assert found.message()["body_text"] == "mended"
    assert found.skips == {"a repeated record: another version of it counts": 1}
