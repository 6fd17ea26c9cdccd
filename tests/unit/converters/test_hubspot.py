"""HubSpot: a test for every rule and trap of its lists. All names, ids and texts are made up."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import pytest

from bulkmsg.converters.words import Reading
from bulkmsg.errors import InvalidBatch
from tests.unit.converters.kit import Result, convert

Json = Any
ACTORS: Json = {
    "results": [
        {"id": "A-2", "type": "AGENT", "name": "Anna Agent", "email": "Anna@acme.example"},
        {"id": "V-1", "type": "VISITOR", "name": "Jane Doe", "email": "jane@example.com"},
    ]
}


def party(actor: str | None, mail: str | None, role: str | None = None, name: str | None = None) -> Json:
    made: Json = {"actorId": actor, "name": name, "recipientField": role}
    if mail:
        made["deliveryIdentifier"] = {"type": "HS_EMAIL_ADDRESS", "value": mail}
    return {key: each for key, each in made.items() if each is not None}


def message(number: int, direction: Json = "INCOMING", **more: Json) -> Json:
    jane, shop = ("V-1", "jane@example.com"), ("A-2", "support@acme.example")
    sender, recipient = (jane, (None, shop[1])) if direction == "INCOMING" else (shop, jane)
    ends = party(recipient[0], recipient[1], "TO")
    return {
        "id": f"m{number}",
        "conversationsThreadId": "8243595013",
        "type": "MESSAGE",
        "createdAt": f"2024-03-01T10:{number:02}:00.250Z",
        "createdBy": sender[0],
        "direction": direction,
        "senders": [party(*sender)],
        "recipients": [ends],
        "text": f"text {number}",
        "richText": f"<p>text {number}</p>",
        "subject": "The kettle",
        "attachments": [],
        "truncationStatus": "NOT_TRUNCATED",
        "status": {"statusType": "SENT"},
        "archived": False,
        **more,
    }


def comment(number: int, actor: str = "A-2") -> Json:
    made = message(number, None, type="COMMENT", createdBy=actor, senders=[party(actor, None)], recipients=[])
    return {name: each for name, each in made.items() if name not in ("direction", "subject", "truncationStatus")}


def thread(**more: Json) -> Json:
    return {
        "id": "8243595013",
        "inboxId": "5",
        "status": "CLOSED",
        "spam": False,
        "archived": False,
        "associatedContactId": "1",
        "assignedTo": "A-2",
        "createdAt": "2024-03-01T09:00:00Z",
        "closedAt": "2024-03-08T09:00:00Z",
        **more,
    }


def page(*records: Json, following: Json = None) -> Json:
    return {"results": list(records), **({"paging": {"next": following}} if following else {})}


def run(
    folder: Path,
    *pieces: Json,
    about: Json = None,
    reading: Reading | None = None,
    people: Json = ACTORS,
    **options: Any,
) -> Result:
    files: dict[str, Json] = {"messages.json": page(*pieces)}
    if about is not None:
        files["threads.json"] = page(about)
    if people is not None:
        files["people.json"] = people
    return convert("hubspot", files, folder, reading=reading, **options)


def one(folder: Path, direction: str = "INCOMING", **more: Json) -> Json:
    return run(folder, message(1, direction, **more)).message()


# -- which type --------------------------------------------------------------------------------------------------------


def test_direction_says_which_way_a_message_went(tmp_path: Path) -> None:
    found = run(tmp_path, message(1), message(2, "OUTGOING"))
    assert found.types == ["incoming", "outgoing"]
    assert [each["sender"]["email"] for each in found.messages] == ["jane@example.com", "Anna@acme.example"]


def test_a_message_without_a_direction_is_a_finding(tmp_path: Path) -> None:
    lost = message(2, senders=[party("V-1", None)], direction=None)
    assert run(tmp_path, message(1), lost).findings == {"direction-unknown": 1}


def test_a_reply_from_an_agents_own_mailbox_goes_out_although_it_came_in_by_its_direction(tmp_path: Path) -> None:
    by_actor = message(
        1, senders=[party("A-2", "anna@acme.example")], recipients=[party("V-1", "jane@example.com", "TO")]
    )
    by_address = {**by_actor, "id": "m2", "senders": [party(None, "anna@acme.example")]}
    found = run(tmp_path, by_actor, by_address)
    assert found.types == ["outgoing", "outgoing"] and found.notes["sent-by-staff"] == 2
    assert found.message(1)["sender"]["email"].lower() == "anna@acme.example"


def test_staff_who_asked_for_help_come_in_if_the_requester_wins(tmp_path: Path) -> None:
    contact = {"id": "1", "properties": {"email": "anna@acme.example"}}
    people = {"results": [*ACTORS["results"][:1], contact]}
    asked = message(1, senders=[party("V-1", "anna@acme.example")])
    replied = message(2, senders=[party("A-2", "bo@acme.example")])
    for wins, types in ((True, ["incoming", "outgoing"]), (False, ["outgoing", "outgoing"])):
        reading = Reading(requester_wins=wins)
        found = run(tmp_path / str(wins), asked, replied, about=thread(), people=people, reading=reading)
        assert found.types == types


def test_a_comment_is_a_note_by_who_made_it(tmp_path: Path) -> None:
    found = run(tmp_path, message(1), comment(2)).message(1)
    assert (found["type"], found["sender"]["email"]) == ("internal-note", "Anna@acme.example")
    assert "source" not in found and "receiver" not in found


@pytest.mark.parametrize("kind", ["ASSIGNMENT", "THREAD_STATUS_CHANGE", "THREAD_INBOX_CHANGE", "BRAND_NEW"])
def test_events_are_skipped_each_by_its_name(kind: str, tmp_path: Path) -> None:
    assert run(tmp_path, message(1), message(2, type=kind)).skips == {f"event {kind}": 1}


@pytest.mark.parametrize(
    "more",
    [
        {"type": "WELCOME_MESSAGE", "senders": [], "createdBy": "S-hubspot", "direction": None},
        {"senders": [party("B-3", None, name="Robot")]},
        {"senders": [party("I-3", None)]},
        {"senders": [party("S-hubspot", None)]},
        {"senders": [party("L-3", None)]},
    ],
    ids=["welcome", "bot", "integration", "system", "artificial"],
)
@pytest.mark.parametrize("bots", ["outgoing", "note", "skip"])
def test_what_no_person_wrote_goes_as_bots_says(more: Json, bots: str, tmp_path: Path) -> None:
    auto = message(2, **{"direction": "OUTGOING", **more})
    found = run(tmp_path, message(1), auto, reading=Reading(bots=bots), default_agent="desk@acme.example")
    if bots == "skip":
        assert found.skips == {"written by an automation": 1}
        return
    assert found.types[1] == {"outgoing": "outgoing", "note": "internal-note"}[bots]
    assert found.message(1)["meta"]["flags"] == ["automation"]
    assert found.message(1)["sender"] == {"email": "desk@acme.example"}


@pytest.mark.parametrize(
    ("more", "reason"),
    [
        ({"spam": True}, "its thread is spam"),
        ({"archived": True}, "its thread is archived, which is HubSpot's word for deleted"),
    ],
)
def test_spam_and_archived_threads_are_skipped_with_all_they_hold(more: Json, reason: str, tmp_path: Path) -> None:
    other = message(3, conversationsThreadId="9")
    found = run(tmp_path, message(1), comment(2), other, about=thread(**more))
    assert found.skips == {reason: 2} and len(found.messages) == 1


def test_an_archived_message_is_skipped(tmp_path: Path) -> None:
    found = run(tmp_path, message(1), message(2, archived=True))
    assert found.skips == {"archived, which is HubSpot's word for deleted": 1}


@pytest.mark.parametrize("word", ["TRUNCATED", "TRUNCATED_TO_MOST_RECENT_REPLY"])
def test_a_body_that_was_cut_is_kept_flagged_and_told(word: str, tmp_path: Path) -> None:
    found = run(tmp_path, message(1, truncationStatus=word))
    assert found.message()["meta"]["flags"] == ["body-cut"] and found.notes["body-cut"] == 1


def test_a_message_that_failed_is_kept_and_told(tmp_path: Path) -> None:
    found = run(tmp_path, message(1, "OUTGOING", status={"statusType": "FAILED"}))
    assert found.types == ["outgoing"] and found.notes["failed-to-send"] == 1


# -- people ------------------------------------------------------------------------------------------------------------


def test_the_address_beside_a_visitor_is_his_without_any_people_file(tmp_path: Path) -> None:
    found = run(tmp_path, message(1), message(2, "OUTGOING"), people=None, default_agent="desk@acme.example")
    assert found.message()["sender"] == {"email": "jane@example.com"}
    assert found.message(1)["receiver"] == {"email": "jane@example.com"}


def test_an_actor_of_older_dumps_is_the_address_itself(tmp_path: Path) -> None:
    old = message(1, senders=[{"actorId": "E-jane@example.com"}])
    ends = {"type": "HS_EMAIL_ADDRESS", "value": "support@acme.example"}
    old["recipients"] = [{"actorId": "A-2", "recipientField": "TO", "deliveryIdentifiers": [ends]}]
    found = run(tmp_path, old, people=None).message()
    assert found["source"] == {
        "from": {"address": "jane@example.com"},
        "to": [{"address": "support@acme.example"}],
    }


def test_a_visitor_who_is_a_contact_is_numbered_like_him(tmp_path: Path) -> None:
    contact = {"id": "1", "properties": {"email": "jane@example.com", "firstname": "Jane", "lastname": "Doe"}}
    chat = message(1, senders=[party("V-1", None)], recipients=[])
    found = run(tmp_path, chat, people=page(contact), person_names=True).message()
    assert (found["sender"], found["channel"]) == ({"email": "jane@example.com", "name": "Jane Doe"}, "chat")


def test_visitors_without_an_address_follow_missing_email(tmp_path: Path) -> None:
    chat = message(2, senders=[party("V-404", None)], recipients=[], conversationsThreadId="9")
    assert run(tmp_path / "a", message(1), chat).findings == {"no-email": 1}
    found = run(tmp_path / "b", message(1), chat, missing_email="placeholder")
    assert "hubspot-V-404@missing.invalid" in {each["sender"]["email"] for each in found.messages}


def test_an_agent_who_is_no_actor_given_needs_somebody_to_stand_in(tmp_path: Path) -> None:
    lost = message(2, "OUTGOING", senders=[party("A-404", "support@acme.example")])
    assert run(tmp_path, message(1), lost).findings == {"agent-missing": 1}


def test_the_threads_contact_is_its_customer(tmp_path: Path) -> None:
    found = run(tmp_path, message(1, "OUTGOING", recipients=[]), about=thread())
    assert found.message()["receiver"] == {"email": "jane@example.com"}


# -- routing, bodies, times --------------------------------------------------------------------------------------------


def test_recipients_say_in_which_field_they_stood(tmp_path: Path) -> None:
    ends = [
        party("V-1", "jane@example.com", "TO", "Jane"),
        party(None, "bo@example.com", "CC"),
        party(None, "al@example.com", "BCC"),
    ]
    assert one(tmp_path, "OUTGOING", recipients=ends)["source"] == {
        "from": {"address": "support@acme.example"},
        "to": [{"address": "jane@example.com", "name": "Jane"}],
        "cc": [{"address": "bo@example.com"}],
        "bcc": [{"address": "al@example.com"}],
    }


def test_html_text_subject_and_time_are_kept(tmp_path: Path) -> None:
    found = one(tmp_path)
    assert (found["body_html"], found["body_text"], found["subject"]) == ("<p>text 1</p>", "text 1", "The kettle")
    assert found["sent_datetime"] == "2024-03-01T10:01:00.250Z"


def test_attachments_are_kept(tmp_path: Path) -> None:
    file = {"type": "FILE", "fileId": "9", "name": "a.png", "url": "https://x.example/a"}
    (made,) = one(tmp_path, attachments=[file])["attachments"]
    assert (made["url"], made["name"]) == ("https://x.example/a", "a.png")


# -- threads -----------------------------------------------------------------------------------------------------------


def test_a_thread_gives_status_assignee_and_times(tmp_path: Path) -> None:
    (made,) = run(tmp_path, message(1), about=thread(), agent_map={"A-2": "41"}).tickets
    assert (made["external_id"], made["subject"], made["status"]) == ("hubspot-8243595013", "The kettle", "closed")
    assert (made["assignee_user"], made["closed_datetime"]) == ({"id": 41}, "2024-03-08T09:00:00Z")


def test_an_open_thread_is_open(tmp_path: Path) -> None:
    assert run(tmp_path, message(1), about=thread(status="OPEN")).tickets[0]["status"] == "open"


def test_thread_ids_join_as_numbers_and_as_text(tmp_path: Path) -> None:
    found = run(tmp_path, message(1, conversationsThreadId=9007199254740993), about=thread(id="9007199254740993"))
    assert found.tickets[0]["external_id"] == "hubspot-9007199254740993" and found.tickets[0]["status"] == "closed"


def test_a_message_that_names_no_thread_is_a_finding(tmp_path: Path) -> None:
    lost = message(2, conversationsThreadId=None)
    assert run(tmp_path / "a", message(1), lost).findings == {"ticket-unknown": 1}
    assert len(run(tmp_path / "b", message(1), lost, reading=Reading(ticket="9")).messages) == 2


def test_threads_without_messages_are_skips_and_alone_they_are_refused(tmp_path: Path) -> None:
    found = run(tmp_path / "a", message(1), about=thread(id="9"))
    assert found.skips == {"a thread whose messages are not in the export": 1}
    with pytest.raises(InvalidBatch, match="whose messages are not in the export"):
        convert("hubspot", {"t.json": page(thread())}, tmp_path / "b")


def test_tickets_of_the_crm_are_refused_with_a_word_of_what_to_export(tmp_path: Path) -> None:
    with pytest.raises(InvalidBatch) as stop:
        convert("hubspot", {"t.json": page({"id": "1", "properties": {"subject": "x"}})}, tmp_path)
    assert "tickets of the CRM hold no messages" in (stop.value.hint or "")


def test_records_without_an_id_are_findings(tmp_path: Path) -> None:
    assert run(tmp_path, message(1), message(2, id=None)).findings == {"no-id": 1}


# -- lists -------------------------------------------------------------------------------------------------------------


@pytest.mark.parametrize("file", [page(message(1)), [message(1)], message(1)], ids=["page", "list", "bare"])
def test_a_message_is_found_in_every_frame(file: Json, tmp_path: Path) -> None:
    assert convert("hubspot", {"m.json": file}, tmp_path).message()["external_id"] == "hubspot-message-m1"


def test_shuffled_and_reversed_messages_come_out_in_the_order_of_their_times(tmp_path: Path) -> None:
    orders = [(1, 2, 3, 4), (4, 3, 2, 1), (3, 1, 4, 2)]
    made = [run(tmp_path / str(n), *map(message, order)).messages for n, order in enumerate(orders)]
    assert made[0] == made[1] == made[2]


def test_a_page_whose_next_one_is_missing_is_told(tmp_path: Path) -> None:
    first = page(message(1), following={"after": "x"})
    whole = convert("hubspot", {"1.json": first, "2.json": page(message(2))}, tmp_path / "a")
    assert "page-missing" not in whole.notes
    assert convert("hubspot", {"1.json": first}, tmp_path / "b").notes["page-missing"] == 1


def test_of_a_repeated_message_the_version_that_was_changed_last_counts(tmp_path: Path) -> None:
    new = message(1, text="mended", updatedAt="2024-04-01T00:00:00Z")
    found = run(tmp_path, new, message(1, updatedAt="2024-03-02T00:00:00Z"))
    assert found.message()["body_text"] == "mended"
    assert found.skips == {"a repeated record: another version of it counts": 1}
