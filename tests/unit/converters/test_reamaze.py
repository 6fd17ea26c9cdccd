"""Re:amaze: a test for every rule and trap of its lists. All names and texts are made up."""

from __future__ import annotations

import json
from pathlib import Path
from typing import Any

import pytest

from bulkmsg.converters.words import Reading
from bulkmsg.errors import InvalidBatch
from tests.unit.converters.kit import Result, convert

Json = Any
JANE = {"name": "Jane Doe", "email": "jane@example.com", "staff?": False}
ANNA = {"name": "Anna Agent", "email": "anna@acme.example", "staff?": True}
CATEGORY = {"name": "Support", "slug": "support", "email": "support@acme.example", "channel": 1}
KETTLE = {
    "subject": "The kettle",
    "slug": "the-kettle",
    "created_at": "2024-03-01T02:00:00-08:00",
    "category": CATEGORY,
}


def message(number: int, user: Json = JANE, **more: Json) -> Json:
    return {
        "body": f"text {number}",
        "visibility": 0,
        "origin": 1,
        "created_at": f"2024-03-01T02:{number:02}:00.250-08:00",
        "user": user,
        "recipients": [JANE] if user is ANNA else [],
        "attachments": [],
        "conversation": KETTLE,
        **more,
    }


def conversation(**more: Json) -> Json:
    return {
        **KETTLE,
        "status": 0,
        "tag_list": ["vip"],
        "author": JANE,
        "assignee": ANNA,
        "message": {"body": "x"},
        **more,
    }


def page(*records: Json, pages: int = 1, total: int = 9) -> Json:
    return {"page_size": 30, "page_count": pages, "total_count": total, "messages": list(records)}


def run(folder: Path, *pieces: Json, about: Json = None, reading: Reading | None = None, **options: Any) -> Result:
    files: dict[str, Json] = {"messages.json": page(*pieces)}
    if about is not None:
        files["conversations.json"] = {"conversations": [about]}
    return convert("reamaze", files, folder, reading=reading, **options)


def one(folder: Path, user: Json = JANE, **more: Json) -> Json:
    return run(folder, message(1, user, **more)).message()


# -- which type --------------------------------------------------------------------------------------------------------


def test_the_key_with_the_question_mark_says_who_is_staff(tmp_path: Path) -> None:
    found = run(tmp_path, message(1), message(2, ANNA))
    assert found.types == ["incoming", "outgoing"]
    assert [each["sender"]["email"] for each in found.messages] == ["jane@example.com", "anna@acme.example"]


def test_visibility_1_is_a_note_whoever_wrote_it(tmp_path: Path) -> None:
    found = run(tmp_path, message(1, ANNA, visibility=1), message(2, visibility=1), default_agent="desk@acme.example")
    assert found.types == ["internal-note", "internal-note"] and found.notes["note-by-customer"] == 1
    assert "receiver" not in found.message() and "source" not in found.message()


def test_a_note_by_a_customer_is_never_sent_in_his_name(tmp_path: Path) -> None:
    assert run(tmp_path, message(1), message(2, visibility=1)).findings == {"agent-missing": 1}


def test_a_message_held_back_by_a_collision_is_a_flagged_note(tmp_path: Path) -> None:
    found = one(tmp_path, ANNA, visibility=2)
    assert (found["type"], found["meta"]["flags"]) == ("internal-note", ["collision"])


def test_a_visibility_that_is_not_documented_is_a_finding(tmp_path: Path) -> None:
    assert run(tmp_path, message(1), message(2, ANNA, visibility=7)).findings == {"visibility-unknown": 1}


def bare(user: Json) -> Json:
    return {name: each for name, each in user.items() if name != "staff?"}


def test_without_the_key_the_lists_of_people_say_it(tmp_path: Path) -> None:
    files = {
        "m.json": page(message(1, bare(JANE)), message(2, bare(ANNA))),
        "staff.json": {"page_count": 1, "staff": [{"name": "Anna Agent", "email": "Anna@acme.example"}]},
        "contacts.json": {"contacts": [{"name": "Jane", "email": "jane@example.com"}]},
    }
    found = convert("reamaze", files, tmp_path)
    assert found.types == ["incoming", "outgoing"] and found.report["people"] == 2


def test_without_the_key_who_opened_the_conversation_is_the_customer(tmp_path: Path) -> None:
    about = conversation(author=bare(JANE))
    assert run(tmp_path, message(1, bare(JANE)), about=about).types == ["incoming"]


@pytest.mark.parametrize("user", [bare(ANNA), None])
def test_somebody_of_whom_nothing_is_known_is_a_finding(user: Json, tmp_path: Path) -> None:
    assert run(tmp_path, message(1), message(2, user)).findings == {"author-unknown": 1}


# -- keys --------------------------------------------------------------------------------------------------------------


def test_keys_are_made_of_conversation_time_and_text(tmp_path: Path) -> None:
    def key(folder: str, **more: Json) -> str:
        return str(one(tmp_path / folder, **more)["external_id"])

    first = key("a")
    assert first.startswith("reamaze-message-")
    assert key("b") == first
    assert len({first, key("c", body="other"), key("d", created_at="2024-03-01T02:01:00.251-08:00")}) == 3
    assert key("e", conversation={**KETTLE, "slug": "other"}) != first


def test_the_same_moment_in_another_zone_keeps_its_key(tmp_path: Path) -> None:
    here = one(tmp_path / "a")
    there = one(tmp_path / "b", created_at="2024-03-01T11:01:00.250+01:00")
    assert here["external_id"] == there["external_id"]
    assert here["sent_datetime"] == there["sent_datetime"] == "2024-03-01T10:01:00.250Z"


def test_the_same_page_twice_gives_no_doubles(tmp_path: Path) -> None:
    found = convert("reamaze", {"1.json": page(message(1)), "2.json": page(message(1))}, tmp_path)
    assert len(found.messages) == 1 and found.skips == {"a repeated record: another version of it counts": 1}


# -- routing, bodies, people -------------------------------------------------------------------------------------------


def test_the_mailbox_is_the_categorys_and_recipients_are_without_it(tmp_path: Path) -> None:
    sent = run(tmp_path, message(1), message(2, ANNA, recipients=[JANE, {"email": "Support@acme.example"}]))
    assert sent.message(0)["source"] == {
        "from": {"address": "jane@example.com"},
        "to": [{"address": "support@acme.example"}],
    }
    assert sent.message(1)["source"] == {
        "from": {"address": "support@acme.example"},
        "to": [{"address": "jane@example.com", "name": "Jane Doe"}],
    }


def test_the_customer_is_who_opened_it_else_who_wrote_first_else_who_was_written_to(tmp_path: Path) -> None:
    kim = {"name": "Kim", "email": "kim@example.com", "staff?": False}
    opened = run(tmp_path / "a", message(1, ANNA), about=conversation(author=kim))
    assert opened.message()["receiver"] == {"email": "kim@example.com"}
    wrote = run(tmp_path / "b", message(1, ANNA), message(2, kim))
    assert wrote.message()["receiver"] == {"email": "kim@example.com"}
    told = run(tmp_path / "c", message(1, ANNA), about=conversation(author=ANNA))
    assert told.message()["receiver"] == {"email": "jane@example.com"}


def test_people_without_an_address_stay_apart_by_conversation_and_name(tmp_path: Path) -> None:
    users = [{"name": name, "email": None, "staff?": False} for name in ("Al", "Bo")]
    assert run(tmp_path / "a", message(1), message(2, users[0])).findings == {"no-email": 1}
    found = run(tmp_path / "b", message(1, users[0]), message(2, users[1]), missing_email="placeholder")
    assert [each["sender"]["email"] for each in found.messages] == [
        "reamaze-the-kettle-Al@missing.invalid",
        "reamaze-the-kettle-Bo@missing.invalid",
    ]


def test_attachments_are_kept(tmp_path: Path) -> None:
    file = {
        "file_file_name": "a.png",
        "file_content_type": "image/png",
        "file_file_size": 9,
        "url": "https://x.example/a",
    }
    assert one(tmp_path, attachments=[file])["attachments"] == [
        {"url": "https://x.example/a", "name": "a.png", "content_type": "image/png", "size": 9}
    ]


# -- conversations -----------------------------------------------------------------------------------------------------


def test_a_conversation_gives_subject_tags_assignee_and_fields(tmp_path: Path) -> None:
    about = conversation(data={"reason": "Damaged"})
    options: dict[str, Any] = {"agent_map": {"anna@acme.example": "41"}, "fields": {"reason": 9}}
    (made,) = run(tmp_path, message(1), about=about, **options).tickets
    assert (made["external_id"], made["subject"], made["tags"]) == ("reamaze-the-kettle", "The kettle", ["vip"])
    assert (made["assignee_user"], made["custom_fields"]) == ({"id": 41}, [{"id": 9, "value": "Damaged"}])


def test_a_messages_own_words_of_its_conversation_do_without_the_list(tmp_path: Path) -> None:
    (made,) = run(tmp_path, message(1)).tickets
    assert (made["subject"], made["created_datetime"]) == ("The kettle", "2024-03-01T10:00:00Z")


@pytest.mark.parametrize(("number", "status"), [(0, "open"), (5, "open"), (2, None)])
def test_statuses_that_are_sure(number: int, status: str | None, tmp_path: Path) -> None:
    found = run(tmp_path, message(1), about=conversation(status=number))
    assert found.tickets[0].get("status") == status
    assert ("status-unknown" in found.notes) == (status is None)


def test_other_statuses_can_be_mapped(tmp_path: Path) -> None:
    found = run(tmp_path, message(1), about=conversation(status=2), statuses={"2": "closed"})
    assert found.tickets[0]["status"] == "closed"


LOST = {name: each for name, each in message(1).items() if name != "conversation"}


@pytest.mark.parametrize(
    "file",
    [
        page(message(1)),
        [message(1)],
        message(1),
        json.dumps(message(1)) + "\n",
        {"conversation": conversation(), "messages": [LOST]},
        {**conversation(), "messages": [LOST]},
        [{**conversation(), "messages": [LOST]}],
    ],
    ids=["page", "list", "bare", "line", "beside", "inside", "inside-list"],
)
def test_a_message_is_found_in_every_frame(file: Json, tmp_path: Path) -> None:
    found = convert("reamaze", {"m.json": file}, tmp_path)
    assert [each["external_id"] for each in found.tickets] == ["reamaze-the-kettle"]
    assert found.message()["body_text"] == "text 1" and found.tally.records == 1


def test_a_message_without_any_word_of_its_conversation_is_a_finding(tmp_path: Path) -> None:
    assert run(tmp_path / "a", message(2), LOST).findings == {"ticket-unknown": 1}
    assert len(run(tmp_path / "b", message(2), LOST, reading=Reading(ticket="the-kettle")).messages) == 2


def test_conversations_without_messages_are_skips_and_alone_they_are_refused(tmp_path: Path) -> None:
    found = run(tmp_path / "a", message(1), about=conversation(slug="other"))
    assert found.skips == {"a conversation whose messages are not in the export": 1}
    with pytest.raises(InvalidBatch, match="whose messages are not in the export"):
        convert("reamaze", {"c.json": {"conversations": [conversation()]}}, tmp_path / "b")


def test_what_cannot_be_used_is_told(tmp_path: Path) -> None:
    files = {
        "m.json": page(message(1), {"name": "x"}),
        "c.json": {"conversations": [conversation(slug=None)], "contacts": [{"name": "Al", "email": None}]},
    }
    found = convert("reamaze", files, tmp_path)
    assert found.skips == {"a record of another kind (unknown)": 1} and found.findings == {"no-id": 1}
    assert found.notes["person-without-address"] == 1


# -- lists -------------------------------------------------------------------------------------------------------------


def test_shuffled_and_reversed_messages_come_out_in_the_order_of_their_times(tmp_path: Path) -> None:
    orders = [(1, 2, 3, 4), (4, 3, 2, 1), (3, 1, 4, 2)]
    made = [run(tmp_path / str(n), *map(message, order)).messages for n, order in enumerate(orders)]
    assert made[0] == made[1] == made[2]


def test_a_page_that_is_missing_is_told(tmp_path: Path) -> None:
    first, second = page(message(1), pages=2), page(message(2), pages=2)
    whole = convert("reamaze", {"1.json": first, "2.json": second}, tmp_path / "a")
    assert "page-missing" not in whole.notes
    assert convert("reamaze", {"1.json": first}, tmp_path / "b").notes["page-missing"] == 1
