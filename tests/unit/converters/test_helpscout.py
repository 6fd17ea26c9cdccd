"""Help Scout: a test for every rule and trap of its conversations. All names, ids and texts are made up."""

from __future__ import annotations

import json
from pathlib import Path
from typing import Any

import pytest

from bulkmsg.converters.words import Reading
from bulkmsg.errors import InvalidBatch
from bulkmsg.message import Kind
from tests.unit.converters.kit import Result, convert

Json = Any
JANE: Json = {"id": 11, "type": "customer", "first": "Jane", "last": "Doe", "email": "jane@example.com"}
KIM: Json = {"id": 12, "type": "customer", "first": "Kim", "last": "", "email": "kim@example.com"}
ANNA: Json = {"id": 21, "type": "user", "first": "Anna", "last": "Agent", "email": "anna@acme.example"}
MAILBOXES: Json = {
    "_embedded": {"mailboxes": [{"id": 5, "name": "Help", "slug": "x", "email": "help@acme.example"}]},
    "page": {"number": 1, "totalPages": 1},
}


def thread(id: int, kind: str = "message", by: Json = ANNA, **more: Json) -> Json:
    return {
        "id": id,
        "type": kind,
        "status": "active",
        "state": "published",
        "action": {"type": "default", "associatedEntities": {}},
        "body": f"<p>text {id}</p>",
        "source": {"type": "web", "via": "user"},
        "customer": JANE,
        "createdBy": by,
        "to": [],
        "cc": [],
        "bcc": [],
        "createdAt": f"2024-03-01T10:{id % 60:02}:00Z",
        **more,
    }


def conversation(*threads: Json, **more: Json) -> Json:
    """Of the API's second version, the newest thread first, as it lists them."""
    return {
        "id": 7,
        "number": 107,
        "threads": len(threads),
        "type": "email",
        "status": "closed",
        "state": "published",
        "subject": "The kettle",
        "mailboxId": 5,
        "primaryCustomer": JANE,
        "createdBy": JANE,
        "tags": [{"id": 1, "tag": "vip"}],
        "customFields": [{"id": 8, "name": "Reason", "value": "3", "text": "Damaged"}],
        "createdAt": "2024-03-01T10:00:00Z",
        "closedAt": "2024-03-02T10:00:00Z",
        "userUpdatedAt": "2024-03-02T10:00:00Z",
        "_embedded": {"threads": list(reversed(threads))},
        **more,
    }


def page(*conversations: Json) -> Json:
    return {"_embedded": {"conversations": list(conversations)}, "_links": {}, "page": {"number": 1, "totalPages": 1}}


def run(folder: Path, *threads: Json, whole: Json = None, **options: Any) -> Result:
    files = {"conversations.json": page(whole or conversation(*threads)), "mailboxes.json": MAILBOXES}
    return convert("helpscout", files, folder, **options)


def one(folder: Path, *given: Json, **more: Json) -> Json:
    return run(folder, thread(1, *given, **more)).messages[-1]


OLD_JANE = {"id": 11, "firstName": "Jane", "lastName": "Doe", "email": "jane@example.com", "type": "customer"}
OLD_ANNA = {"id": 21, "firstName": "Anna", "lastName": "Agent", "email": "anna@acme.example", "type": "user"}


def old(*threads: Json, **more: Json) -> Json:
    """Of the API's first version, whose `threads` is the list itself."""
    return {
        "id": 7,
        "number": 107,
        "type": "email",
        "status": "active",
        "subject": "The kettle",
        "mailbox": {"id": 5, "name": "Help"},
        "customer": OLD_JANE,
        "owner": None,
        "tags": ["vip"],
        "createdAt": "2024-03-01T10:00:00Z",
        "modifiedAt": "2024-03-02T10:00:00Z",
        "threads": list(reversed(threads)),
        **more,
    }


def old_thread(id: int, kind: str, by: Json, **more: Json) -> Json:
    return {
        "id": id,
        "type": kind,
        "state": "published",
        "body": f"text {id}",
        "createdBy": by,
        "createdByCustomer": by is OLD_JANE,
        "customer": OLD_JANE,
        "actionType": None,
        "to": None,
        "cc": None,
        "bcc": None,
        "createdAt": f"2024-03-01T10:{id % 60:02}:00Z",
        **more,
    }


# -- files -------------------------------------------------------------------------------------------------------------


def test_every_framing_of_the_same_conversations_gives_the_same_messages(tmp_path: Path) -> None:
    both = [conversation(thread(1, "customer", JANE), thread(2)), conversation(thread(3), id=8)]
    framings: list[Json] = [
        page(*both),
        both,
        "".join(json.dumps(each) + "\n" for each in both),
        json.dumps(page(both[0]), indent=2) + json.dumps(page(both[1]), indent=2),
        "".join(json.dumps({"stream": "conversations", "data": each}) + "\n" for each in both),
        "".join(json.dumps({"type": "RECORD", "stream": "conversations", "record": each}) + "\n" for each in both),
        {"page": 1, "pages": 1, "count": 2, "items": both},
    ]
    found = [convert("helpscout", {"a.json": each}, tmp_path / str(n)).tickets for n, each in enumerate(framings)]
    assert len(found[0]) == 2 and all(each == found[0] for each in found)


def test_the_first_version_and_the_second_convert_alike(tmp_path: Path) -> None:
    new = run(tmp_path / "new", thread(1, "customer", JANE), thread(2), thread(3, "note"))
    first = old(
        old_thread(1, "customer", OLD_JANE), old_thread(2, "message", OLD_ANNA), old_thread(3, "note", OLD_ANNA)
    )
    was = convert("helpscout", {"c.json": {"item": first}, "mailboxes.json": MAILBOXES}, tmp_path / "old")
    for before, after in zip(was.messages, new.messages, strict=True):
        assert {**before, "body_html": ""} == {**after, "body_html": ""}


def test_threads_may_be_a_number_or_a_list(tmp_path: Path) -> None:
    assert len(run(tmp_path / "a", whole=conversation(thread(1), threads=9)).messages) == 1
    assert len(convert("helpscout", {"c.json": old(old_thread(1, "note", OLD_ANNA))}, tmp_path / "b").messages) == 1


def test_pages_without_anything_have_no_embedded_list(tmp_path: Path) -> None:
    empty = {"_links": {"self": {"href": "x"}}, "page": {"size": 25, "totalElements": 0, "totalPages": 0, "number": 1}}
    files = {"a.json": page(conversation(thread(1))), "b.json": empty}
    assert convert("helpscout", files, tmp_path).skips == {"an empty page": 1}


BARE = {name: each for name, each in conversation().items() if name != "_embedded"}


@pytest.mark.parametrize("where", ["links", "own", "own links", "file", "option"])
def test_threads_of_their_own_page_find_their_conversation(where: str, tmp_path: Path) -> None:
    row, name = thread(1), "threads.json"
    answer: dict[str, Json] = {"page": {"number": 1, "totalPages": 1}}
    if where == "links":
        answer |= {"_links": {"self": {"href": "https://api.example/v2/conversations/7/threads?page=1"}}}
    elif where == "own":
        row["conversationId"] = "7"
    elif where == "own links":
        row["_links"] = {"conversation": {"href": "https://api.example/v2/conversations/7"}}
    elif where == "file":
        name = "threads-7.json"
    files = {"c.json": page({**BARE, "threads": 1}), name: {"_embedded": {"threads": [row]}, **answer}}
    reading = Reading(ticket="7" if where == "option" else "")
    found = convert("helpscout", files, tmp_path, reading=reading)
    assert [each["external_id"] for each in found.tickets] == ["helpscout-7"]
    assert (found.tickets[0]["subject"], len(found.messages), found.findings) == ("The kettle", 1, {})


def test_threads_that_name_no_conversation_are_findings(tmp_path: Path) -> None:
    files = {"c.json": page(conversation(thread(2))), "threads.json": {"_embedded": {"threads": [thread(1)]}}}
    assert convert("helpscout", files, tmp_path).findings == {"ticket-unknown": 1}


def test_a_list_without_threads_is_refused_and_says_what_to_fetch(tmp_path: Path) -> None:
    with pytest.raises(InvalidBatch, match="holds no threads") as stop:
        convert("helpscout", {"c.json": page({**BARE, "threads": 3})}, tmp_path)
    assert "embed=threads" in (stop.value.hint or "")


def test_a_conversation_that_has_no_thread_is_a_skip(tmp_path: Path) -> None:
    files = {"c.json": page(conversation(thread(1)), {**BARE, "id": 8, "threads": 0})}
    assert convert("helpscout", files, tmp_path).skips == {"a conversation without any thread": 1}


def test_the_conversation_with_its_threads_counts_beside_a_newer_one_without(tmp_path: Path) -> None:
    newer = {**BARE, "threads": 1, "subject": "other", "userUpdatedAt": "2024-04-01T10:00:00Z"}
    for number, order in enumerate(([conversation(thread(1)), newer], [newer, conversation(thread(1))])):
        found = convert("helpscout", {"c.json": page(*order)}, tmp_path / str(number))
        assert (found.tickets[0]["subject"], len(found.messages)) == ("The kettle", 1)


def test_a_page_that_is_missing_is_told(tmp_path: Path) -> None:
    def part(number: int) -> Json:
        return {**page(conversation(thread(number), id=number)), "page": {"number": number, "totalPages": 2}}

    assert convert("helpscout", {"1.json": part(1)}, tmp_path / "a").notes["page-missing"] == 1
    both = convert("helpscout", {"1.json": part(1), "2.json": part(2)}, tmp_path / "b")
    assert "page-missing" not in both.notes
    first = {"page": 1, "pages": 2, "count": 60, "items": [old(old_thread(1, "note", OLD_ANNA))]}
    assert convert("helpscout", {"1.json": first}, tmp_path / "c").notes["page-missing"] == 1


def test_the_same_page_twice_gives_no_doubles(tmp_path: Path) -> None:
    found = convert("helpscout", {"a.json": [conversation(thread(1))], "b.json": [conversation(thread(1))]}, tmp_path)
    assert len(found.messages) == 1


@pytest.mark.parametrize("turn", [1, -1])
def test_order_is_by_time_and_ties_stay_in_order_either_way_round(turn: int, tmp_path: Path) -> None:
    same = "2024-03-01T10:01:00Z"
    threads = [thread(1), thread(2, createdAt=same), thread(3), thread(4, "note", createdAt=thread(3)["createdAt"])]
    found = run(tmp_path, *threads[::turn])
    assert [each["external_id"][-1] for each in found.messages] == ["1", "2", "3", "4"]


def test_threads_of_one_second_alone_are_taken_for_newest_first(tmp_path: Path) -> None:
    same = "2024-03-01T10:01:00Z"
    found = run(tmp_path, thread(1, createdAt=same), thread(2, "note", createdAt=same))
    assert [each["external_id"][-1] for each in found.messages] == ["1", "2"]


def test_csv_is_refused(tmp_path: Path) -> None:
    with pytest.raises(InvalidBatch, match="CSV"):
        convert("helpscout", {"conversations.csv": "Number,Subject\n"}, tmp_path)


def test_other_records_are_skips(tmp_path: Path) -> None:
    files = {"a.json": page(conversation(thread(1))), "b.json": [{"id": 5, "color": "red"}]}
    assert convert("helpscout", files, tmp_path).skips == {"a record of another kind (unknown)": 1}


# -- which type --------------------------------------------------------------------------------------------------------


@pytest.mark.parametrize(
    ("kind", "by", "type"),
    [
        ("customer", JANE, "incoming"),
        ("message", ANNA, "outgoing"),
        ("reply", ANNA, "outgoing"),
        ("note", ANNA, "internal-note"),
        ("chat", JANE, "incoming"),
        ("chat", ANNA, "outgoing"),
        ("beaconchat", JANE, "incoming"),
        ("beaconchat", ANNA, "outgoing"),
        ("phone", JANE, "incoming"),
        ("phone", ANNA, "internal-note"),
        ("forwardparent", ANNA, "internal-note"),
        ("forwardchild", ANNA, "internal-note"),
    ],
)
def test_the_threads_type_and_where_it_does_not_tell_the_writer(kind: str, by: Json, type: str, tmp_path: Path) -> None:
    found = run(tmp_path, thread(1, kind, by))
    assert found.types == [type] and found.notes == {}


@pytest.mark.parametrize("kind", ["forwardparent", "forwardchild", "phone"])
def test_what_leaves_a_choice_can_be_made_something_else(kind: str, tmp_path: Path) -> None:
    reading = Reading(types={kind: Kind.OUTGOING})
    found = run(tmp_path, thread(1, kind), thread(2, "note"), thread(3, "customer", JANE), reading=reading)
    assert found.types == ["outgoing", "internal-note", "incoming"]


@pytest.mark.parametrize(("by", "type"), [(JANE, "incoming"), (ANNA, "outgoing")])
def test_a_type_that_is_not_known_goes_by_its_writer_and_is_told(by: Json, type: str, tmp_path: Path) -> None:
    found = run(tmp_path, thread(1, "telegram", by))
    assert (found.types, found.notes["thread-type-unknown"]) == ([type], 1)


def test_a_type_that_is_not_known_without_a_writer_is_a_finding(tmp_path: Path) -> None:
    assert run(tmp_path, thread(1, "telegram", None), thread(2)).findings == {"author-unknown": 1}


def test_line_items_are_skips_with_their_action(tmp_path: Path) -> None:
    line = thread(1, "lineitem", body=None, state=None, action={"type": "deletedTicket"})
    bare = thread(2, "lineitem", body=None, state=None, action=None)
    assert run(tmp_path, line, bare, thread(3)).skips == {
        "line item deletedTicket": 1,
        "line item": 1,
        "a mailbox, which was read for its address": 1,
    }


@pytest.mark.parametrize(
    ("state", "reason"),
    [("draft", "a draft"), ("hidden", "a hidden thread"), ("underreview", "a thread that is under review")],
)
def test_what_was_never_published_is_a_skip_even_as_a_note(state: str, reason: str, tmp_path: Path) -> None:
    found = run(tmp_path, thread(1, state=state), thread(2, "note", state=state), thread(3))
    assert found.skips[reason] == 2 and len(found.messages) == 1


@pytest.mark.parametrize(
    ("more", "reason"),
    [
        ({"status": "spam"}, "its conversation is spam"),
        ({"state": "deleted"}, "its conversation is deleted"),
        ({"state": "draft"}, "its conversation is a draft"),
    ],
)
def test_spam_deleted_and_draft_conversations_are_skipped_with_all_threads(
    more: Json, reason: str, tmp_path: Path
) -> None:
    left = conversation(thread(1), thread(2), **more)
    files = {"c.json": page(left, conversation(thread(3), id=8))}
    found = convert("helpscout", files, tmp_path)
    assert (found.skips, len(found.messages)) == ({reason: 2}, 1)


@pytest.mark.parametrize(
    ("more", "flags"),
    [
        ({"action": {"type": "workflow"}}, ["automation"]),
        ({"actionType": "manual-workflow"}, ["automation"]),
        ({"source": {"type": "workflows"}}, ["automation"]),
        ({"action": {"type": "merged"}}, ["merged"]),
        ({"action": {"type": "movedFromMailbox"}}, ["moved-from-mailbox"]),
        ({"action": {"type": "importedExternal"}}, ["imported"]),
        ({"action": {"type": "changedTicketCustomer"}}, ["changed-customer"]),
        ({"action": {"type": "originalCreator"}}, ["original-creator"]),
        ({"action": {"type": "default"}}, None),
        ({"type": "forwardchild"}, ["forward"]),
    ],
)
def test_actions_are_flags(more: Json, flags: Json, tmp_path: Path) -> None:
    assert one(tmp_path, **{"kind": more.get("type", "message"), **more})["meta"].get("flags") == flags


# -- people and routing ------------------------------------------------------------------------------------------------


def test_a_reply_is_by_its_creator_and_goes_from_the_mailbox_to_the_customer(tmp_path: Path) -> None:
    message = one(tmp_path)
    assert (message["sender"], message["receiver"]) == ({"email": "anna@acme.example"}, {"email": "jane@example.com"})
    assert message["source"] == {
        "from": {"address": "help@acme.example", "name": "Help"},
        "to": [{"address": "jane@example.com"}],
    }


def test_without_the_list_of_mailboxes_the_option_says_the_mailbox_or_it_is_a_finding(tmp_path: Path) -> None:
    files = {"c.json": page(conversation(thread(1), thread(2, "note")))}
    found = convert("helpscout", files, tmp_path / "a", mailbox="shop@acme.example")
    assert found.message()["source"]["from"] == {"address": "shop@acme.example"}
    assert convert("helpscout", files, tmp_path / "b", mailbox="").findings == {"no-mailbox": 1}


def test_addresses_are_lists_texts_or_null(tmp_path: Path) -> None:
    message = one(tmp_path, to=["Jane <jane@private.example>"], cc="bo@example.com, al@example.com", bcc=None)
    assert message["source"]["to"] == [{"address": "jane@private.example", "name": "Jane"}]
    assert [each["address"] for each in message["source"]["cc"]] == ["bo@example.com", "al@example.com"]
    assert "bcc" not in message["source"]


def test_an_incoming_message_goes_from_its_writer_to_the_mailbox(tmp_path: Path) -> None:
    message = one(tmp_path, "customer", KIM)
    assert message["sender"] == {"email": "kim@example.com"}
    assert message["source"] == {
        "from": {"address": "kim@example.com"},
        "to": [{"address": "help@acme.example", "name": "Help"}],
    }


def test_what_a_user_entered_for_a_customer_is_the_customers(tmp_path: Path) -> None:
    message = one(tmp_path, "customer", ANNA, customer=KIM)
    assert (message["type"], message["sender"]) == ("incoming", {"email": "kim@example.com"})


def test_customers_and_users_are_numbered_apart(tmp_path: Path) -> None:
    people = {
        "users.json": {"_embedded": {"users": [{"id": 9, "firstName": "Tom", "email": "tom@acme.example"}]}},
        "customers.json": {
            "_embedded": {"customers": [{"id": 9, "_embedded": {"emails": [{"id": 1, "value": "bo@example.com"}]}}]}
        },
    }
    threads = [thread(1, "customer", {"id": 9, "type": "customer"}), thread(2, by={"id": "9", "type": "user"})]
    found = convert("helpscout", {"c.json": page(conversation(*threads)), **people}, tmp_path)
    assert [each["sender"]["email"] for each in found.messages] == ["bo@example.com", "tom@acme.example"]


def test_a_customer_of_the_first_version_may_have_a_list_of_addresses(tmp_path: Path) -> None:
    customer = {"id": 11, "type": "customer", "firstName": "Jane", "emails": ["jane@example.com", "j@example.com"]}
    row = old_thread(1, "customer", customer, createdByCustomer=True)
    found = convert("helpscout", {"c.json": old(row, customer=customer)}, tmp_path)
    assert found.message()["sender"] == {"email": "jane@example.com"}


def test_a_customer_with_a_phone_number_alone_follows_missing_email(tmp_path: Path) -> None:
    phone = {**JANE, "email": None, "phone": "+1 555 0100"}
    whole = conversation(thread(1, "customer", phone, customer=phone), thread(2, "note"), primaryCustomer=phone)
    assert run(tmp_path / "a", whole=whole).findings == {"no-email": 1}
    found = run(tmp_path / "b", whole=whole, missing_email="placeholder")
    assert found.message()["sender"] == {"email": "helpscout-customer-11@missing.invalid"}


def test_a_reply_that_a_customer_created_is_by_the_default_agent_and_told(tmp_path: Path) -> None:
    found = run(tmp_path, thread(1, "message", KIM), default_agent="desk@acme.example")
    assert found.message()["sender"] == {"email": "desk@acme.example"}
    assert (found.message()["meta"]["original_author"], found.notes["reply-by-customer"]) == ("Kim", 1)


def test_a_reply_without_a_creator_is_by_the_default_agent(tmp_path: Path) -> None:
    assert run(tmp_path / "a", thread(1, by=None), thread(2)).findings == {"agent-missing": 1}
    found = run(tmp_path / "b", thread(1, by=None), default_agent="desk@acme.example")
    assert found.message()["sender"] == {"email": "desk@acme.example"}


# -- texts, files, tickets ---------------------------------------------------------------------------------------------


def test_the_body_is_html_and_no_text_is_invented(tmp_path: Path) -> None:
    message = one(tmp_path, body="it&#39;s<br>here")
    assert message["body_html"] == "it&#39;s<br>here" and "body_text" not in message


@pytest.mark.parametrize("body", [None, "", "<br>"])
def test_a_thread_without_text_is_a_skip(body: Json, tmp_path: Path) -> None:
    found = run(tmp_path, thread(1, body=body), thread(2))
    assert found.skips["empty: no text and no attachment"] == 1


def test_files_of_the_second_version_have_a_link_for_people_or_one_that_needs_a_login(tmp_path: Path) -> None:
    def file(**links: str) -> Json:
        href = {name: {"href": each} for name, each in links.items()}
        return {"id": 1, "filename": "a.pdf", "mimeType": "application/pdf", "size": 3, "_links": href}

    data = "https://api.example/v2/conversations/7/attachments/1/data"
    both = run(tmp_path / "a", thread(1, _embedded={"attachments": [file(web="https://x.example/1", data=data)]}))
    assert both.message()["attachments"] == [
        {"url": "https://x.example/1", "name": "a.pdf", "content_type": "application/pdf", "size": 3}
    ]
    assert "attachment-needs-login" not in both.notes
    only = run(tmp_path / "b", thread(1, _embedded={"attachments": [file(data=data)]}))
    assert only.message()["attachments"][0]["url"] == data and only.notes["attachment-needs-login"] == 1


def test_files_of_the_first_version_are_named_otherwise(tmp_path: Path) -> None:
    file = {"fileName": "b.png", "mimeType": "image/png", "size": 4, "url": "https://x.example/b.png"}
    found = convert("helpscout", {"c.json": old(old_thread(1, "note", OLD_ANNA, attachments=[file]))}, tmp_path)
    assert found.message()["attachments"] == [
        {"url": "https://x.example/b.png", "name": "b.png", "content_type": "image/png", "size": 4}
    ]


@pytest.mark.parametrize(
    ("kind", "whole", "channel"),
    [
        ("message", "email", "email"),
        ("message", "chat", "chat"),
        ("beaconchat", "email", "chat"),
        ("customer", "phone", "phone"),
    ],
)
def test_channels(kind: str, whole: str, channel: str, tmp_path: Path) -> None:
    assert run(tmp_path, whole=conversation(thread(1, kind), type=whole)).message()["channel"] == channel


@pytest.mark.parametrize(
    ("status", "made"), [("active", "open"), ("open", "open"), ("pending", "open"), ("closed", "closed")]
)
def test_statuses(status: str, made: str, tmp_path: Path) -> None:
    assert run(tmp_path, whole=conversation(thread(1), status=status)).tickets[0]["status"] == made


def test_the_ticket_keeps_the_id_of_the_api_and_its_number_can_be_a_field(tmp_path: Path) -> None:
    whole = conversation(thread(1), assignee={**ANNA})
    made = run(tmp_path, whole=whole, fields={"Reason": 41, "number": 42}, agent_map={"21": "301"}).tickets[0]
    assert (made["external_id"], made["meta"]["original_id"], made["tags"]) == ("helpscout-7", "7", ["vip"])
    assert made["custom_fields"] == [{"id": 41, "value": "Damaged"}, {"id": 42, "value": 107}]
    assert made["assignee_user"] == {"id": 301}
    assert (made["created_datetime"], made["closed_datetime"]) == ("2024-03-01T10:00:00Z", "2024-03-02T10:00:00Z")


@pytest.mark.parametrize("junk", [{}, 5, 1.5, True])
def test_a_value_of_a_kind_that_does_not_belong_there_ends_no_conversion(junk: Json, tmp_path: Path) -> None:
    found = run(tmp_path, whole=conversation(thread(1, to=junk, cc=junk, action=junk), tags=junk, customFields=junk))
    assert found.message()["source"]["to"] == [{"address": "jane@example.com"}]
