"""Intercom: a test for every rule and trap of its conversations. All names, ids and texts are made up."""

from __future__ import annotations

import json
from pathlib import Path
from typing import Any

import pytest

from bulkmsg.converters.words import Reading
from bulkmsg.errors import InvalidBatch
from tests.unit.converters.kit import Result, convert

Json = Any
START = 1709287200  # 2024-03-01T10:00:00Z
JANE: Json = {"type": "user", "id": "65a1", "name": "Jane &amp; Co", "email": "jane@example.com"}
KIM: Json = {"type": "lead", "id": "65a2", "name": "Kim", "email": None}
ANNA: Json = {"type": "admin", "id": "21", "name": "Anna Agent", "email": "anna@acme.example"}
TOM: Json = {"type": "admin", "id": "22", "name": "Tom", "email": "tom@acme.example"}
BOT: Json = {"type": "bot", "id": "33", "name": "Fin", "email": "operator+x@intercom.example"}


def part(id: int, author: Json = ANNA, kind: str = "comment", **more: Json) -> Json:
    return {
        "type": "conversation_part",
        "id": str(id),
        "part_type": kind,
        "body": f"<p>text {id}</p>",
        "author": author,
        "assigned_to": None,
        "attachments": [],
        "created_at": START + id * 60,
        "updated_at": START + id * 60,
        "redacted": False,
        **more,
    }


def conversation(*parts: Json, **more: Json) -> Json:
    return {
        "type": "conversation",
        "id": "700",
        "created_at": START,
        "updated_at": START + 90_000,
        "title": None,
        "state": "closed",
        "priority": "priority",
        "admin_assignee_id": None,
        "tags": {"type": "tag.list", "tags": [{"id": "1", "name": "vip &amp; old"}]},
        "custom_attributes": {"Reason": "Damaged"},
        "contacts": {"type": "contact.list", "contacts": [{"type": "contact", "id": "65a1"}]},
        "source": source(),
        "conversation_parts": {
            "type": "conversation_part.list",
            "conversation_parts": list(parts),
            "total_count": len(parts),
        },
        **more,
    }


def source(**more: Json) -> Json:
    return {
        "type": "conversation",
        "id": "9001",
        "delivered_as": "customer_initiated",
        "subject": "",
        "body": "<p>opening</p>",
        "author": JANE,
        "attachments": [],
        "redacted": False,
        **more,
    }


def run(folder: Path, *parts: Json, whole: Json = None, people: Json = (), **options: Any) -> Result:
    files = {"conversation.json": whole or conversation(*parts), "people.json": {"data": list(people)}}
    return convert("intercom", files, folder, **options)


def one(folder: Path, **more: Json) -> Json:
    return run(folder, part(1, **more)).messages[-1]


def without(record: Json, *names: str) -> Json:
    return {name: each for name, each in record.items() if name not in names}


# -- files -------------------------------------------------------------------------------------------------------------


def test_every_framing_of_the_same_conversations_gives_the_same_messages(tmp_path: Path) -> None:
    both = [conversation(part(1)), conversation(part(2), id="701")]
    lines = "".join(json.dumps(each) + "\n" for each in both)
    framings: list[dict[str, Json]] = [
        {"700.json": both[0], "701.json": both[1]},
        {"all.ndjson": lines},
        {"all.json": both},
        {"all.json": {"type": "conversation.list", "conversations": both, "pages": {"next": None}}},
        {"all.json": json.dumps(both[0], indent=2) + json.dumps(both[1], indent=2)},
        {"all.ndjson": "".join(json.dumps({"stream": "conversations", "data": each}) + "\n" for each in both)},
        {
            "all.ndjson": '{"type": "STATE", "value": {}}\n'
            + "".join(json.dumps({"type": "RECORD", "stream": "conversations", "record": x}) + "\n" for x in both)
        },
    ]
    found = [convert("intercom", files, tmp_path / str(n)).tickets for n, files in enumerate(framings)]
    assert len(found[0]) == 2 and all(each == found[0] for each in found)


def test_parts_in_a_stream_of_their_own_are_joined_by_ids_of_either_kind(tmp_path: Path) -> None:
    bare = [without(conversation(id=id), "conversation_parts") for id in ("700", "701")]
    parts = [part(1, conversation_id=700), part(2, conversation_id="700")]
    found = convert("intercom", {"conversations.json": bare, "conversation_parts.json": parts}, tmp_path)
    assert [len(each["messages"]) for each in found.tickets] == [3, 1]
    assert found.findings == {}, "a conversation without any part is whole"


@pytest.mark.parametrize("wrapper", ["conversations", "data"])
def test_a_list_or_a_search_which_has_no_parts_is_refused_by_name(wrapper: str, tmp_path: Path) -> None:
    answer = {"type": "conversation.list", wrapper: [without(conversation(), "conversation_parts")], "total_count": 1}
    with pytest.raises(InvalidBatch, match="`conversation_parts` is missing") as stop:
        convert("intercom", {"search.json": answer}, tmp_path)
    assert "GET /conversations/{id}" in (stop.value.hint or "")


def test_a_conversation_of_a_list_beside_whole_ones_is_a_finding(tmp_path: Path) -> None:
    bare = without(conversation(id="701"), "conversation_parts")
    found = convert("intercom", {"a.json": conversation(part(1)), "b.json": [bare]}, tmp_path)
    assert (found.findings, len(found.messages)) == ({"no-parts": 1}, 2)


def test_a_whole_conversation_counts_beside_a_newer_one_of_a_list(tmp_path: Path) -> None:
    bare = without(conversation(updated_at=START + 99_999), "conversation_parts")
    for number, order in enumerate(([conversation(), bare], [bare, conversation()])):
        assert convert("intercom", {"all.json": order}, tmp_path / str(number)).findings == {}


def test_the_content_data_export_is_refused(tmp_path: Path) -> None:
    with pytest.raises(InvalidBatch, match="CSV") as stop:
        convert("intercom", {"receipts.csv": "user_id,content_id\n"}, tmp_path)
    assert "content data export" in (stop.value.hint or "")


def test_more_parts_than_the_api_gives_are_told(tmp_path: Path) -> None:
    cut = conversation(part(1))
    cut["conversation_parts"]["total_count"] = 501
    assert run(tmp_path / "a", whole=cut).notes["parts-cut"] == 1
    assert "parts-cut" not in run(tmp_path / "b", part(1)).notes


def test_parts_without_their_conversation_are_kept_and_the_missing_opening_is_told(tmp_path: Path) -> None:
    found = convert("intercom", {"conversation_parts.json": [part(1, JANE, conversation_id=7)]}, tmp_path)
    assert (found.types, found.notes["opening-missing"]) == (["incoming"], 1)


def test_parts_that_name_no_conversation_are_findings_unless_ticket_says_it(tmp_path: Path) -> None:
    files = {"a.json": conversation(), "conversation_parts.json": [part(1)]}
    assert convert("intercom", files, tmp_path / "a").findings == {"ticket-unknown": 1}
    found = convert("intercom", files, tmp_path / "b", reading=Reading(ticket="700"))
    assert len(found.tickets[0]["messages"]) == 2


def test_the_same_page_twice_gives_no_doubles_and_the_newer_part_wins(tmp_path: Path) -> None:
    new = conversation(part(1, body="<p>edited</p>", updated_at=START + 9000), updated_at=START + 99_000)
    for number, order in enumerate(([conversation(part(1)), new], [new, conversation(part(1))])):
        found = convert("intercom", {"all.json": order}, tmp_path / str(number))
        assert [each["body_html"] for each in found.messages] == ["<p>opening</p>", "<p>edited</p>"]


@pytest.mark.parametrize("turn", [1, -1])
def test_order_is_by_time_and_ties_stay_in_order_either_way_round(turn: int, tmp_path: Path) -> None:
    parts = [part(1), part(2, created_at=START + 60), part(3), part(4, created_at=START + 180)]
    found = run(tmp_path, *parts[::turn])
    assert [each["external_id"][-1] for each in found.messages[1:]] == ["1", "2", "3", "4"]


def test_a_webhooks_conversation_is_read(tmp_path: Path) -> None:
    event = {"type": "notification_event", "id": "n1", "data": {"item": conversation(part(1))}}
    assert run(tmp_path, whole=event).types == ["incoming", "outgoing"]


def test_other_records_are_skips(tmp_path: Path) -> None:
    files = {"a.json": conversation(), "b.json": [{"type": "company", "id": "1"}, {"id": 5}]}
    skips = convert("intercom", files, tmp_path).skips
    assert skips == {"a record of another kind (company)": 1, "a record of another kind (unknown)": 1}


# -- the opening message -----------------------------------------------------------------------------------------------


def test_the_opening_message_stands_in_source_alone_and_is_sent_when_the_conversation_began(tmp_path: Path) -> None:
    message = run(tmp_path).message()
    assert message["external_id"] == "intercom-conversation-700-source"
    assert (message["type"], message["sent_datetime"]) == ("incoming", "2024-03-01T10:00:00Z")
    assert message["body_html"] == "<p>opening</p>"


@pytest.mark.parametrize("type", ["user", "lead", "contact"])
def test_the_opening_by_a_customer_of_any_kind_came_in(type: str, tmp_path: Path) -> None:
    found = run(tmp_path, whole=conversation(source=source(author={**JANE, "type": type})))
    assert found.types == ["incoming"]


def test_the_opening_by_an_admin_went_out(tmp_path: Path) -> None:
    opened = source(author=ANNA, delivered_as="admin_initiated")
    message = run(tmp_path, whole=conversation(source=opened), people=[{**JANE, "type": "contact"}]).message()
    assert (message["type"], message["receiver"]) == ("outgoing", {"email": "jane@example.com"})


@pytest.mark.parametrize("empty", [{"body": None}, {"body": "<p> </p>"}, {"type": None, "body": ""}])
def test_an_opening_without_text_is_a_skip(empty: Json, tmp_path: Path) -> None:
    found = run(tmp_path, part(1, JANE), whole=conversation(part(1, JANE), source=source(**empty)))
    assert found.skips == {"empty: the conversation was opened without a message": 1}
    assert len(found.messages) == 1


def test_an_opening_of_files_alone_is_a_message(tmp_path: Path) -> None:
    opened = source(body="", attachments=[{"type": "upload", "name": "a.pdf", "url": "https://x.example/a"}])
    assert run(tmp_path, whole=conversation(source=opened)).message()["attachments"][0]["name"] == "a.pdf"


def test_a_redacted_opening_is_a_skip(tmp_path: Path) -> None:
    redacted = conversation(part(1), source=source(redacted=True, body="<p>Diese Nachricht wurde entfernt</p>"))
    assert run(tmp_path, whole=redacted).skips == {"redacted": 1}


@pytest.mark.parametrize("delivered", ["automated", "operator_initiated", "campaigns_initiated"])
@pytest.mark.parametrize(("bots", "types"), [("outgoing", ["outgoing"]), ("note", ["internal-note"]), ("skip", [])])
def test_campaigns_of_an_admin_are_automations(delivered: str, bots: str, types: Json, tmp_path: Path) -> None:
    whole = conversation(part(1, JANE), source=source(author=ANNA, delivered_as=delivered))
    found = run(tmp_path, whole=whole, reading=Reading(bots=bots))
    assert found.types == [*types, "incoming"]
    assert [each["meta"].get("flags") for each in found.messages[:-1]] == [["automation"]] * len(types)


def test_what_a_customer_wrote_is_no_automation(tmp_path: Path) -> None:
    found = run(tmp_path, whole=conversation(source=source(delivered_as="automated")))
    assert found.types == ["incoming"] and "flags" not in found.message()["meta"]


# -- which type: what was written decides, not the part's name ---------------------------------------------------------


def test_a_redacted_part_is_a_skip_though_a_sentence_stands_there(tmp_path: Path) -> None:
    found = run(tmp_path, part(1, redacted=True, body="<p>Deze tekst is verwijderd</p>"))
    assert (found.skips, len(found.messages)) == ({"redacted": 1}, 1)


@pytest.mark.parametrize("kind", ["close", "open", "assignment", "snoozed", "comment", "conversation_tags_updated"])
@pytest.mark.parametrize("body", [None, "", " \n", "<p></p>", "<p>&nbsp;<br></p>"])
def test_a_part_without_text_is_an_event_whatever_its_name(kind: str, body: Json, tmp_path: Path) -> None:
    assert run(tmp_path, part(1, kind=kind, body=body)).skips == {f"event {kind}": 1}


@pytest.mark.parametrize("kind", ["assignment", "assign_and_reopen", "open", "close", "close_without_reply", "snoozed"])
@pytest.mark.parametrize(("author", "type"), [(ANNA, "outgoing"), (JANE, "incoming")])
def test_a_part_with_text_is_a_message_whatever_its_name(kind: str, author: Json, type: str, tmp_path: Path) -> None:
    found = run(tmp_path, part(1, author, kind))
    assert found.types[1:] == [type] and "part-type-unknown" not in found.notes


def test_a_body_of_a_picture_alone_is_a_message(tmp_path: Path) -> None:
    body = '<div><img src="https://pictures.example/1.png"></div>'
    assert one(tmp_path, body=body)["body_html"] == body


def test_a_part_of_files_alone_is_a_message(tmp_path: Path) -> None:
    file = {"type": "upload", "name": "a.png", "url": "https://x.example/a", "content_type": "image/png", "filesize": 3}
    assert one(tmp_path, body=None, attachments=[file])["attachments"] == [
        {"url": "https://x.example/a", "name": "a.png", "content_type": "image/png", "size": 3}
    ]


def test_the_boilerplate_of_a_bot_is_never_a_message_though_it_has_a_body(tmp_path: Path) -> None:
    found = run(tmp_path, part(1, BOT, "channel_and_reply_time_expectation"))
    assert found.skips == {"event channel_and_reply_time_expectation": 1}


def test_a_quick_reply_without_text_is_an_event_and_one_with_text_a_message(tmp_path: Path) -> None:
    found = run(tmp_path, part(1, BOT, "quick_reply", body=None), part(2, JANE, "quick_reply"))
    assert (found.skips, found.types) == ({"event quick_reply": 1}, ["incoming", "incoming"])


@pytest.mark.parametrize("kind", ["note", "note_and_reopen"])
def test_notes_are_notes(kind: str, tmp_path: Path) -> None:
    message = one(tmp_path, kind=kind)
    assert message["type"] == "internal-note" and "receiver" not in message and "source" not in message


def test_a_note_by_a_bot_is_a_note_whatever_bots_says(tmp_path: Path) -> None:
    found = run(tmp_path, part(1, BOT, "note"), reading=Reading(bots="skip"), default_agent="desk@acme.example")
    assert found.types[1:] == ["internal-note"]


def test_a_note_by_a_customer_is_written_by_the_default_agent_and_told(tmp_path: Path) -> None:
    found = run(tmp_path, part(1, JANE, "note"), default_agent="desk@acme.example")
    assert found.messages[-1]["sender"] == {"email": "desk@acme.example"}
    assert (found.messages[-1]["meta"]["original_author"], found.notes["note-by-customer"]) == ("Jane & Co", 1)


@pytest.mark.parametrize(
    ("type", "kind"),
    [("user", "incoming"), ("lead", "incoming"), ("contact", "incoming"), ("admin", "outgoing"), ("team", "outgoing")],
)
def test_the_authors_type_decides(type: str, kind: str, tmp_path: Path) -> None:
    found = run(tmp_path, part(1, {**JANE, "type": type}))
    assert found.types[1:] == [kind]


@pytest.mark.parametrize(("bots", "types"), [("outgoing", ["outgoing"]), ("note", ["internal-note"]), ("skip", [])])
def test_bots_follow_their_policy_and_are_flagged(bots: str, types: Json, tmp_path: Path) -> None:
    found = run(tmp_path, part(1, BOT), reading=Reading(bots=bots), default_agent="desk@acme.example")
    assert found.types[1:] == types
    for message in found.messages[1:]:
        assert (message["meta"]["flags"], message["meta"]["original_author"]) == (["automation"], "Fin")
        assert message["sender"] == {"email": "desk@acme.example"}
    assert ("written by a bot or an automation (--bots skip)" in found.skips) is (bots == "skip")


def test_an_answer_of_an_ai_in_an_admins_name_is_flagged(tmp_path: Path) -> None:
    assert one(tmp_path, author={**ANNA, "from_ai_agent": True})["meta"]["flags"] == ["automation"]


@pytest.mark.parametrize("to", [{"type": "admin", "id": "21"}, "21", 21, None])
def test_an_assignment_by_who_takes_it_over_is_a_plain_reply(to: Json, tmp_path: Path) -> None:
    found = run(tmp_path, part(1, kind="assignment", assigned_to=to))
    assert found.types[1:] == ["outgoing"] and "assignment-to-another" not in found.notes


@pytest.mark.parametrize("to", [{"type": "admin", "id": "22"}, {"type": "team", "id": "5"}, "22"])
def test_an_assignment_to_somebody_else_with_text_is_kept_and_told(to: Json, tmp_path: Path) -> None:
    found = run(tmp_path, part(1, kind="assignment", assigned_to=to))
    assert (found.types[1:], found.notes["assignment-to-another"]) == (["outgoing"], 1)


def test_parts_of_types_that_are_not_known_follow_the_same_rule_and_are_counted(tmp_path: Path) -> None:
    found = run(tmp_path, part(1, kind="teleported"), part(2, kind="teleported", body=None))
    assert (found.types[1:], found.notes["part-type-unknown"]) == (["outgoing"], 1)
    assert found.skips == {"event teleported": 1}


@pytest.mark.parametrize("author", [None, {}, {"type": None, "id": "404"}])
def test_an_author_who_is_nobody_is_a_finding(author: Json, tmp_path: Path) -> None:
    assert run(tmp_path, part(1, author)).findings == {"author-unknown": 1}


def test_an_author_without_a_type_is_looked_up_among_people_and_contacts(tmp_path: Path) -> None:
    bare = [part(1, {"id": 21}), part(2, {"id": "65a3"}), part(3, {"id": "65a1"})]
    people = [ANNA, {"type": "contact", "id": "65a3", "role": "user", "email": "bo@example.com"}]
    assert run(tmp_path, *bare, people=people).types[1:] == ["outgoing", "incoming", "incoming"]


# -- people ------------------------------------------------------------------------------------------------------------


def test_a_person_without_an_address_is_joined_with_the_file_of_contacts(tmp_path: Path) -> None:
    contact = {"type": "contact", "id": "65a2", "role": "lead", "name": "Kim", "email": "kim@example.com"}
    found = run(tmp_path, part(1, KIM), people=[contact])
    assert found.messages[-1]["sender"] == {"email": "kim@example.com"}


@pytest.mark.parametrize("email", [None, ""])
def test_who_has_no_address_anywhere_follows_missing_email(email: Json, tmp_path: Path) -> None:
    nameless = part(1, {**KIM, "email": email})
    assert run(tmp_path / "a", nameless).findings == {"no-email": 1}
    found = run(tmp_path / "b", nameless, missing_email="placeholder")
    assert found.messages[-1]["sender"] == {"email": "intercom-65a2@missing.invalid"}
    assert list(run(tmp_path / "c", nameless, missing_email="skip").skips.values()) == [1]


def test_a_lead_of_the_opening_who_is_a_user_later_is_one_person(tmp_path: Path) -> None:
    opened = source(author={**JANE, "type": "lead", "email": ""})
    found = run(tmp_path, whole=conversation(part(1, JANE), source=opened))
    assert [each["sender"] for each in found.messages] == [{"email": "jane@example.com"}] * 2


def test_entity_encoded_names_and_titles_are_undone(tmp_path: Path) -> None:
    found = run(tmp_path, whole=conversation(title="Cups &amp; kettles &lt;3"), person_names=True)
    assert found.message()["sender"]["name"] == "Jane & Co"
    assert (found.tickets[0]["subject"], found.tickets[0]["tags"]) == ("Cups & kettles <3", ["vip & old"])


def test_an_admin_without_an_address_is_joined_with_the_file_of_admins(tmp_path: Path) -> None:
    found = run(tmp_path, part(1, {**ANNA, "email": None}), people=[{**ANNA, "away_mode_enabled": False}])
    assert found.messages[-1]["sender"] == {"email": "anna@acme.example"}


def test_teams_and_bots_are_not_the_admin_of_the_same_number(tmp_path: Path) -> None:
    found = run(tmp_path, part(1, {"type": "team", "id": "21", "name": "Sales", "email": None}), people=[ANNA])
    assert found.findings == {"agent-missing": 1}


def test_the_receiver_is_the_contact_of_the_conversation(tmp_path: Path) -> None:
    opened = source(author=ANNA, delivered_as="admin_initiated")
    whole = conversation(part(1, TOM), source=opened)
    contact = {"type": "contact", "id": "65a1", "role": "user", "email": "jane@example.com"}
    found = run(tmp_path, whole=whole, people=[contact])
    assert [each["receiver"] for each in found.messages] == [{"email": "jane@example.com"}] * 2
    assert found.tickets[0]["customer"] == {"email": "jane@example.com"}


# -- texts, times, routing ---------------------------------------------------------------------------------------------


def test_the_subject_of_a_mail_is_unwrapped(tmp_path: Path) -> None:
    opened = source(type="email", subject="<p>Where is <b>my</b> order?</p>")
    assert run(tmp_path, whole=conversation(source=opened)).tickets[0]["subject"] == "Where is my order?"


def test_a_body_without_any_tag_is_plain(tmp_path: Path) -> None:
    message = one(tmp_path, body="a < b & c\nnext line")
    assert message["body_text"] == "a < b & c\nnext line" and "body_html" not in message


@pytest.mark.parametrize("time", [START + 60, (START + 60) * 1000, str(START + 60), "2024-03-01T10:01:00Z"])
def test_times_are_seconds_or_milliseconds_and_numbers_may_be_texts(time: Json, tmp_path: Path) -> None:
    assert one(tmp_path, created_at=time)["sent_datetime"] == "2024-03-01T10:01:00Z"


def test_a_part_without_a_time_is_a_finding_and_never_sent_now(tmp_path: Path) -> None:
    assert run(tmp_path, part(1, created_at=None)).findings == {"no-time": 1}


def test_links_and_pictures_that_expire_are_told(tmp_path: Path) -> None:
    file = {"name": "a.png", "url": "https://files.example/a?expires=1709290000&signature=x"}
    picture = '<p><img src="https://files.example/b.png?expires=1709290000&amp;signature=x"></p>'
    notes = run(tmp_path, part(1, body=picture, attachments=[file])).notes
    assert (notes["expiring-link"], notes["inline-image"]) == (1, 1)


def headers(*each: tuple[str, str]) -> Json:
    made = [{"type": type, "email_address": address, "name": None} for type, address in each]
    return {"subject": "x", "email_address_headers": made}


def test_the_headers_of_a_mail_are_its_ends(tmp_path: Path) -> None:
    came = headers(("from", "jane@private.example"), ("to", "help@acme.example"), ("cc", "bo@example.com"))
    went = headers(("from", "help@acme.example"), ("to", "jane@example.com"), ("bcc", "al@example.com"))
    incoming, outgoing = run(
        tmp_path, part(1, JANE, email_message_metadata=came), part(2, email_message_metadata=went)
    ).messages[1:]
    assert incoming["source"] == {
        "from": {"address": "jane@private.example"},
        "to": [{"address": "help@acme.example"}],
        "cc": [{"address": "bo@example.com"}],
    }
    assert outgoing["source"] == {
        "from": {"address": "help@acme.example"},
        "to": [{"address": "jane@example.com"}],
        "bcc": [{"address": "al@example.com"}],
    }
    assert (incoming["sender"], outgoing["sender"]) == ({"email": "jane@example.com"}, {"email": "anna@acme.example"})


def test_a_mail_without_headers_takes_the_mailbox_of_the_others_else_the_option(tmp_path: Path) -> None:
    mails = source(type="email")
    went = part(1, email_message_metadata=headers(("from", "shop@acme.example"), ("to", "jane@example.com")))
    found = run(tmp_path / "a", whole=conversation(went, part(2), source=mails))
    assert found.messages[0]["source"]["to"] == [{"address": "shop@acme.example"}]
    assert found.messages[2]["source"]["from"] == {"address": "shop@acme.example"}
    alone = run(tmp_path / "b", whole=conversation(source=mails))
    assert alone.message()["source"]["to"] == [{"address": "support@acme.example"}]


@pytest.mark.parametrize(
    ("type", "channel"),
    [
        ("conversation", "chat"),
        ("email", "email"),
        ("facebook", "facebook-messenger"),
        ("instagram", "instagram-direct-message"),
        ("whatsapp", "whatsapp"),
        ("sms", "sms"),
        ("phone_call", "phone"),
        ("push", "chat"),
        (None, "chat"),
    ],
)
def test_where_it_began_is_a_channel_of_ours(type: Json, channel: str, tmp_path: Path) -> None:
    assert run(tmp_path, whole=conversation(source=source(type=type))).message()["channel"] == channel


def test_texts_from_twitter_are_flagged_since_intercom_replaces_them(tmp_path: Path) -> None:
    found = run(tmp_path, whole=conversation(part(1), source=source(type="twitter")))
    assert [each["meta"].get("flags") for each in found.messages] == [["text-withheld"], None]
    assert found.notes["text-withheld"] == 1


# -- tickets -----------------------------------------------------------------------------------------------------------


@pytest.mark.parametrize(
    ("more", "status"),
    [
        ({"state": "open"}, "open"),
        ({"state": "snoozed"}, "open"),
        ({"state": "closed"}, "closed"),
        ({"state": None, "open": True}, "open"),
        ({"state": None, "open": False}, "closed"),
        ({"ticket_state": "resolved"}, "closed"),
        ({"ticket_state": {"type": "ticket_state", "category": "in_progress"}}, "open"),
    ],
)
def test_states(more: Json, status: str, tmp_path: Path) -> None:
    assert run(tmp_path, whole=conversation(**more)).tickets[0]["status"] == status


def test_snoozed_ones_can_be_closed_by_the_status_map(tmp_path: Path) -> None:
    found = run(tmp_path, whole=conversation(state="snoozed"), statuses={"snoozed": "closed"})
    assert found.tickets[0]["status"] == "closed"


def test_priority_fields_assignee_and_times_of_the_ticket(tmp_path: Path) -> None:
    more = {"admin_assignee_id": 21, "statistics": {"last_close_at": START + 3600}}
    made = run(tmp_path, whole=conversation(**more), fields={"Reason": 41}, agent_map={"21": "301"}).tickets[0]
    assert (made["priority"], made["custom_fields"]) == ("high", [{"id": 41, "value": "Damaged"}])
    assert made["assignee_user"] == {"id": 301}
    assert (made["created_datetime"], made["closed_datetime"]) == ("2024-03-01T10:00:00Z", "2024-03-01T11:00:00Z")
    assert (made["external_id"], made["meta"]["original_id"]) == ("intercom-700", "700")


@pytest.mark.parametrize("wrap", [lambda value: value, lambda value: {"type": "string", "value": value}])
def test_a_ticket_is_read_by_the_same_rule_with_its_description_as_the_opening(wrap: Any, tmp_path: Path) -> None:
    attributes = {"_default_title_": wrap("Kettle &amp; cup"), "_default_description_": wrap("It is blue.")}
    parts = [part(1, type="ticket_part"), part(2, type="ticket_part", kind="ticket_state_updated_by_admin", body=None)]
    base = without(conversation(), "source", "conversation_parts", "title")
    ticket = {**base, "type": "ticket", "ticket_attributes": attributes, "ticket_parts": {"ticket_parts": parts}}
    found = run(tmp_path, whole=ticket, people=[{**JANE, "type": "contact"}])
    assert found.types == ["incoming", "outgoing"]
    assert (found.tickets[0]["subject"], found.message()["body_text"]) == ("Kettle & cup", "It is blue.")
    assert found.message()["external_id"] == "intercom-ticket-700-description"
    assert (found.skips, found.notes["ticket-description"]) == ({"event ticket_state_updated_by_admin": 1}, 1)


@pytest.mark.parametrize("category", ["Back-office", "Tracker"])
def test_the_description_of_a_ticket_that_customers_never_see_is_a_note(category: str, tmp_path: Path) -> None:
    attributes = {"_default_title_": "x", "_default_description_": "It is blue."}
    base = without(conversation(), "source", "conversation_parts")
    ticket = {**base, "type": "ticket", "category": category, "ticket_attributes": attributes, "ticket_parts": []}
    found = run(tmp_path, whole=ticket, default_agent="desk@acme.example")
    assert found.types == ["internal-note"]


def test_a_conversation_that_became_a_ticket_keeps_its_opening(tmp_path: Path) -> None:
    attributes = {"_default_title_": "Kettle", "_default_description_": "opening"}
    found = run(tmp_path, whole=conversation(custom_attributes=attributes))
    assert (len(found.messages), found.tickets[0]["subject"]) == (1, "Kettle")


@pytest.mark.parametrize("junk", [[], {}, 5, True])
def test_a_value_of_a_kind_that_does_not_belong_there_ends_no_conversion(junk: Json, tmp_path: Path) -> None:
    nobody = {"id": "404", "type": junk}
    odd = conversation(part(1, nobody), part(2, JANE), source=source(author=nobody), tags=junk, contacts=junk)
    found = run(tmp_path, whole=odd)
    assert (found.findings, found.types) == ({"author-unknown": 2}, ["incoming"])
