"""Freshdesk: a test for every rule and trap of its dumps and exports. All names, ids and texts are made up."""

from __future__ import annotations

import zipfile
from pathlib import Path
from typing import Any

import pytest

from bulkmsg.errors import InvalidBatch
from tests.unit.converters.kit import Result, convert

Json = Any
JANE, KIM, ANNA = 11, 12, 21
AGENTS: list[Json] = [
    {
        "id": ANNA,
        "contact": {"name": "Anna Agent", "email": "anna@acme.example"},
        "type": "support_agent",
        "occasional": False,
    }
]
CONTACTS: list[Json] = [
    {"id": JANE, "name": "Jane Doe", "email": "jane@example.com", "other_emails": []},
    {"id": KIM, "name": "Kim", "email": "kim@example.com"},
]
TIME = "2024-03-01T10:00:00Z"


def ticket(id: int = 7, **more: Json) -> Json:
    return {
        "id": id,
        "subject": "The kettle",
        "description": f"<p>description {id}</p>",
        "description_text": f"flat {id}",
        "requester_id": JANE,
        "responder_id": None,
        "source": 1,
        "status": 5,
        "priority": 4,
        "spam": False,
        "to_emails": ["Help <help@acme.example>"],
        "cc_emails": [],
        "support_email": "help@acme.example",
        "attachments": [],
        "tags": ["vip"],
        "custom_fields": {"cf_reason": "Damaged"},
        "created_at": TIME,
        "updated_at": "2024-03-05T10:00:00Z",
        **more,
    }


def reply(id: int, user: int = ANNA, **more: Json) -> Json:
    return {
        "id": id,
        "ticket_id": 7,
        "user_id": user,
        "body": f"<div>text {id}</div>",
        "body_text": f"flat {id}",
        "incoming": False,
        "private": False,
        "source": 0,
        "from_email": None,
        "to_emails": [],
        "cc_emails": [],
        "bcc_emails": [],
        "created_at": f"2024-03-02T10:{id % 60:02}:00Z",
        "updated_at": "2024-03-09T10:00:00Z",
        "attachments": [],
        **more,
    }


def run(folder: Path, *rows: Json, first: Json = None, **options: Json) -> Result:
    """The messages behind the description, which is left out by its time."""
    files = {
        "tickets.json": [first or ticket()],
        "conversations.json": list(rows),
        "agents.json": AGENTS,
        "contacts.json": CONTACTS,
    }
    return convert("freshdesk", files, folder, **options)


def one(folder: Path, **more: Json) -> Json:
    return run(folder, reply(1, **more)).messages[-1]


# -- the description ---------------------------------------------------------------------------------------------------


def test_the_description_is_the_first_message_with_the_tickets_attachments(tmp_path: Path) -> None:
    file = {
        "id": 1,
        "name": "a.pdf",
        "content_type": "application/pdf",
        "size": 3,
        "attachment_url": "https://x.example/a",
    }
    found = run(tmp_path, first=ticket(attachments=[file]))
    message = found.message()
    assert (message["type"], message["external_id"]) == ("incoming", "freshdesk-ticket-7-description")
    assert (message["sent_datetime"], message["sender"]) == (TIME, {"email": "jane@example.com"})
    assert message["source"]["to"] == [{"address": "help@acme.example", "name": "Help"}]
    assert message["attachments"][0]["name"] == "a.pdf"


def test_an_outbound_ticket_goes_from_the_responder_to_the_requester(tmp_path: Path) -> None:
    message = run(tmp_path, first=ticket(source=10, responder_id=ANNA)).message()
    assert (message["type"], message["sender"]) == ("outgoing", {"email": "anna@acme.example"})
    assert message["source"] == {"from": {"address": "help@acme.example"}, "to": [{"address": "jane@example.com"}]}


def test_a_requester_who_is_an_agent_came_in_and_is_told(tmp_path: Path) -> None:
    found = run(tmp_path, first=ticket(requester_id=ANNA))
    assert found.types == ["incoming"] and found.notes["requester-is-agent"] == 1


def test_the_plain_list_has_no_description_which_is_said_and_not_invented(tmp_path: Path) -> None:
    plain = {name: each for name, each in ticket().items() if not name.startswith("description")}
    found = run(tmp_path, reply(1), first=plain)
    assert found.findings == {"no-description": 1}
    assert found.types == ["outgoing"]


def test_the_ticket_with_its_description_counts_beside_a_newer_one_without(tmp_path: Path) -> None:
    plain = {name: each for name, each in ticket(updated_at="2024-04-01T00:00:00Z").items() if name[:4] != "desc"}
    for number, order in enumerate(([ticket(), plain], [plain, ticket()])):
        files = {"t.json": order, "a.json": AGENTS, "contacts.json": CONTACTS}
        assert convert("freshdesk", files, tmp_path / str(number)).findings == {}


def test_a_chats_description_is_told_to_repeat_the_transcript(tmp_path: Path) -> None:
    found = run(tmp_path, first=ticket(source=15))
    assert found.notes["chat-transcript"] == 1 and found.message()["channel"] == "chat"


@pytest.mark.parametrize(
    ("source", "channel"),
    [
        (1, "email"),
        (2, "email"),
        (3, "phone"),
        (5, "twitter"),
        (6, "facebook"),
        (7, "chat"),
        (9, "email"),
        (13, "whatsapp"),
    ],
)
def test_the_tickets_source_is_a_channel_of_ours(source: int, channel: str, tmp_path: Path) -> None:
    assert run(tmp_path, first=ticket(source=source)).message()["channel"] == channel


# -- which type --------------------------------------------------------------------------------------------------------


@pytest.mark.parametrize(
    "more", [{}, {"to_emails": ["x@example.com"], "from_email": "help@acme.example"}, {"incoming": True}]
)
def test_private_is_a_note_whatever_else_the_row_says(more: Json, tmp_path: Path) -> None:
    message = one(tmp_path, private=True, source=2, **more)
    assert message["type"] == "internal-note" and "source" not in message and "receiver" not in message


def test_a_private_note_by_a_contact_is_written_by_the_default_agent_and_told(tmp_path: Path) -> None:
    found = run(tmp_path, reply(1, KIM, private=True), default_agent="desk@acme.example")
    assert found.messages[-1]["meta"]["original_author"] == "Kim" and found.notes["note-by-customer"] == 1


def test_a_survey_without_text_is_skipped_and_one_with_text_came_in(tmp_path: Path) -> None:
    empty, full = reply(1, JANE, source=6, body="", body_text=""), reply(2, JANE, source=6, incoming=False)
    found = run(tmp_path, empty, full)
    assert found.skips == {"a survey without text": 1}
    assert (found.messages[-1]["type"], found.messages[-1]["meta"]["flags"]) == ("incoming", ["survey"])


def test_a_mail_forwarded_to_others_is_a_note(tmp_path: Path) -> None:
    message = one(tmp_path, source=8, to_emails=["carrier@example.net"])
    assert (message["type"], message["meta"]["flags"]) == ("internal-note", ["forward"])


@pytest.mark.parametrize("source", [0, 2])
def test_an_agent_writes_out_in_public_notes_too(source: int, tmp_path: Path) -> None:
    assert one(tmp_path, source=source)["type"] == "outgoing"


@pytest.mark.parametrize("user", [JANE, KIM])
def test_a_contact_writes_in_also_where_the_row_says_otherwise(user: int, tmp_path: Path) -> None:
    message = one(tmp_path, user=user, incoming=False)
    assert message["type"] == "incoming"
    assert message["sender"]["email"] == {JANE: "jane@example.com", KIM: "kim@example.com"}[user]


def test_the_requester_writes_in_without_any_file_of_contacts(tmp_path: Path) -> None:
    requester = {"id": JANE, "name": "Jane", "email": "jane@example.com"}
    files = {"t.json": [ticket(requester=requester)], "c.json": [reply(1, JANE)], "agents.json": AGENTS}
    assert convert("freshdesk", files, tmp_path).types == ["incoming", "incoming"]


@pytest.mark.parametrize(("incoming", "type"), [(True, "incoming"), (False, "outgoing")])
def test_others_are_what_the_row_says(incoming: bool, type: str, tmp_path: Path) -> None:
    found = run(tmp_path, reply(1, 404, incoming=incoming), missing_email="placeholder", default_agent="d@acme.example")
    assert found.types[-1] == type


def test_somebody_unknown_whose_row_says_nothing_is_a_finding(tmp_path: Path) -> None:
    assert run(tmp_path, reply(1, 404, incoming=None)).findings == {"author-unknown": 1}


def test_who_is_both_agent_and_contact_is_an_agent_in_any_order(tmp_path: Path) -> None:
    both = [*CONTACTS, {"id": ANNA, "name": "Anna", "email": "anna@acme.example"}]
    base: dict[str, Json] = {"t.json": [ticket()], "c.json": [reply(1)]}
    for number, people in enumerate(
        ({"1/agents.json": AGENTS, "2/contacts.json": both}, {"1/contacts.json": both, "2/agents.json": AGENTS})
    ):
        assert convert("freshdesk", {**base, **people}, tmp_path / str(number)).types == ["incoming", "outgoing"]


# -- routing, bodies, flags --------------------------------------------------------------------------------------------


def test_from_email_is_the_mailbox_and_never_the_person(tmp_path: Path) -> None:
    message = one(tmp_path, from_email='"Acme Shop" <shop@acme.example>', to_emails=['"Jane" <jane@example.com>'])
    assert message["sender"] == {"email": "anna@acme.example"}
    assert message["source"]["from"] == {"address": "shop@acme.example", "name": "Acme Shop"}
    assert message["source"]["to"] == [{"address": "jane@example.com", "name": "Jane"}]


def test_the_mailbox_among_the_recipients_is_no_recipient(tmp_path: Path) -> None:
    message = one(tmp_path, from_email="shop@acme.example", to_emails=["Shop@acme.example"])
    assert message["source"]["to"] == [{"address": "jane@example.com"}]


def test_copies_are_kept(tmp_path: Path) -> None:
    message = one(tmp_path, cc_emails=["bo@example.com"], bcc_emails=["Al <al@example.com>"])
    assert message["source"]["cc"] == [{"address": "bo@example.com"}]
    assert message["source"]["bcc"] == [{"address": "al@example.com", "name": "Al"}]


def test_created_at_is_the_time_and_html_the_body(tmp_path: Path) -> None:
    message = one(tmp_path)
    assert message["sent_datetime"] == "2024-03-02T10:01:00Z"
    assert message["body_html"] == "<div>text 1</div>" and "body_text" not in message


def test_rough_html_stays_as_it_is(tmp_path: Path) -> None:
    rough = "<html><body class=x><img src = 'https://x.example/1.png'></body></html>"
    assert one(tmp_path, body=rough, body_text="")["body_html"] == rough


def test_a_row_without_html_keeps_its_text(tmp_path: Path) -> None:
    assert one(tmp_path, body=None)["body_text"] == "flat 1"


@pytest.mark.parametrize("more", [{"automation_id": 5}, {"auto_response": True}])
def test_automations_are_flagged(more: Json, tmp_path: Path) -> None:
    assert one(tmp_path, **more)["meta"]["flags"] == ["automation"]


def test_a_bounced_reply_is_kept_and_told(tmp_path: Path) -> None:
    found = run(tmp_path, reply(1, email_failure_count=1))
    assert found.types[-1] == "outgoing" and found.notes["bounced"] == 1


def test_links_and_pictures_that_expire_are_told(tmp_path: Path) -> None:
    file = {"name": "a.png", "content_type": "image/png", "attachment_url": "https://s3.example/a?X-Amz-Expires=300"}
    picture = '<img src="https://eu.attachment.freshdesk.com/inline/attachment?token=x" data-id=1>'
    notes = run(tmp_path, reply(1, attachments=[file], body=picture)).notes
    assert (notes["expiring-link"], notes["inline-image"]) == (1, 1)


def test_lists_may_be_null(tmp_path: Path) -> None:
    bare = reply(1, to_emails=None, cc_emails=None, bcc_emails=None, attachments=None)
    assert run(tmp_path, bare, first=ticket(to_emails=None, cc_emails=None, attachments=None, tags=None)).findings == {}


def test_the_sources_of_conversations_are_another_list(tmp_path: Path) -> None:
    assert [one(tmp_path / str(n), source=n)["channel"] for n in (5, 7, 9)] == ["twitter", "facebook", "phone"]


# -- tickets -----------------------------------------------------------------------------------------------------------


def test_exactly_ten_embedded_conversations_are_told(tmp_path: Path) -> None:
    ten = run(tmp_path / "a", first=ticket(conversations=[reply(id) for id in range(1, 11)]))
    assert len(ten.messages) == 11 and ten.notes["embedded-ten"] == 1
    nine = run(tmp_path / "b", first=ticket(conversations=[reply(id) for id in range(1, 10)]))
    assert "embedded-ten" not in nine.notes


def test_embedded_and_separate_conversations_are_the_same(tmp_path: Path) -> None:
    found = run(tmp_path, reply(1), first=ticket(conversations=[reply(1)]))
    assert len(found.messages) == 2
    assert found.skips == {"a repeated record: another version of it counts": 1}


@pytest.mark.parametrize(
    ("more", "reason"), [({"spam": True}, "its ticket is spam"), ({"deleted": True}, "its ticket is deleted")]
)
def test_spam_and_deleted_tickets_are_skipped_with_all_their_rows(more: Json, reason: str, tmp_path: Path) -> None:
    files = {
        "t.json": [ticket(7, **more), ticket(8)],
        "c.json": [reply(1)],
        "agents.json": AGENTS,
        "contacts.json": CONTACTS,
    }
    assert convert("freshdesk", files, tmp_path).skips == {reason: 2}


@pytest.mark.parametrize(("number", "status"), [(2, "open"), (3, "open"), (4, "closed"), (5, "closed"), (6, None)])
def test_status_priority_tags_and_fields(number: int, status: str | None, tmp_path: Path) -> None:
    made = run(tmp_path, first=ticket(status=number), fields={"cf_reason": 41}).tickets[0]
    assert made.get("status") == status
    assert (made["priority"], made["tags"], made["custom_fields"]) == (
        "critical",
        ["vip"],
        [{"id": 41, "value": "Damaged"}],
    )


def test_a_status_of_the_accounts_own_can_be_mapped(tmp_path: Path) -> None:
    assert run(tmp_path, first=ticket(status=6), statuses={"6": "closed"}).tickets[0]["status"] == "closed"


def test_conversations_without_any_word_of_their_ticket_are_findings(tmp_path: Path) -> None:
    lost = {name: each for name, each in reply(1).items() if name != "ticket_id"}
    assert run(tmp_path, lost).findings == {"ticket-unknown": 1}


def test_csv_is_refused(tmp_path: Path) -> None:
    with pytest.raises(InvalidBatch, match="CSV"):
        convert("freshdesk", {"tickets.csv": "Ticket ID,Subject\n"}, tmp_path)


# -- the account's export, and v1 --------------------------------------------------------------------------------------


def note(id: int, body: str, **more: Json) -> Json:
    return {
        "id": id,
        "body": body,
        "body_html": f"<p>{body}</p>",
        "user_id": ANNA,
        "incoming": False,
        "private": False,
        "source": 0,
        "deleted": False,
        "created_at": "2024-03-02T20:00:00+10:00",
        **more,
    }


NOTES: list[Json] = [
    {"note": note(1, "one")},
    note(2, "two", user_id=JANE, deleted=True),
    note(3, "created_by: system", source=4),
]
OLD = {
    "id": 900001,
    "display_id": 7,
    "subject": "Old",
    "description": "plain description",
    "description_html": "<p>html description</p>",
    "requester_id": JANE,
    "status": 5,
    "source": 1,
    "created_at": "2024-03-01T20:00:00+10:00",
    "updated_at": "2024-03-01T20:00:00+10:00",
    "spam": False,
    "deleted": False,
    "to_email": "help@acme.example",
    "cc_email": {"cc_emails": ["bo@example.com"]},
    "notes": NOTES,
    "tags": [{"name": "vip"}],
}
USERS = [
    {"user": {"id": JANE, "name": "Jane", "email": "jane@example.com", "helpdesk_agent": False}},
    {"user": {"id": ANNA, "name": "Anna", "email": "anna@acme.example", "helpdesk_agent": True}},
]


def test_in_the_export_body_is_plain_and_notes_may_be_wrapped(tmp_path: Path) -> None:
    found = convert("freshdesk", {"Tickets0.json": [{"helpdesk_ticket": OLD}], "Users0.json": USERS}, tmp_path)
    (made,) = found.tickets
    assert (made["external_id"], made["tags"]) == ("freshdesk-7", ["vip"])
    first, second = found.messages
    assert (first["body_text"], first["body_html"]) == ("plain description", "<p>html description</p>")
    assert (second["type"], second["body_text"], second["body_html"]) == ("outgoing", "one", "<p>one</p>")
    assert (first["sent_datetime"], second["sent_datetime"]) == (TIME, "2024-03-02T10:00:00Z")
    assert found.skips == {"a deleted note": 1, "a row of the system": 1}


XML = """<?xml version="1.0" encoding="UTF-8"?>
<helpdesk-tickets type="array">
  <helpdesk-ticket>
    <id type="integer">900001</id><display-id type="integer">7</display-id>
    <subject>Old &amp; blue</subject><description>plain\x0b description</description>
    <description-html>&lt;p&gt;html&lt;/p&gt;</description-html>
    <requester-id type="integer">11</requester-id><responder-id type="integer" nil="true"/>
    <status type="integer">5</status><source type="integer">1</source>
    <created-at type="datetime">2024-03-01T20:00:00+10:00</created-at>
    <updated-at type="datetime">2024-03-01T20:00:00+10:00</updated-at>
    <spam type="boolean">false</spam><deleted type="boolean">false</deleted><to-email>help@acme.example</to-email>
    <notes type="array">
      <helpdesk-note>
        <id type="integer">1</id><body>one</body><body-html>&lt;p&gt;one&lt;/p&gt;</body-html>
        <user-id type="integer">21</user-id><incoming type="boolean">false</incoming>
        <private type="boolean">true</private><source type="integer">2</source>
        <deleted type="boolean">false</deleted><created-at type="datetime">2024-03-02T20:00:00+10:00</created-at>
      </helpdesk-note>
    </notes>
  </helpdesk-ticket>
</helpdesk-tickets>
"""
_USER = """<user><id type="integer">{0}</id><name>{1}</name><email>{2}</email>
  <helpdesk-agent type="boolean">{3}</helpdesk-agent></user>"""
XML_USERS = "<users>{}{}</users>".format(
    _USER.format(JANE, "Jane", "jane@example.com", "false"), _USER.format(ANNA, "Anna", "anna@acme.example", "true")
)


def test_the_export_as_a_zip_of_xml_is_read_and_what_xml_forbids_is_dropped_and_told(
    tmp_path: Path,
) -> None:
    with zipfile.ZipFile(tmp_path / "export.zip", "w") as archive:
        archive.writestr("Tickets0.xml", XML)
        archive.writestr("Users0.xml", XML_USERS)
    data = (tmp_path / "export.zip").read_bytes()
    found = convert("freshdesk", {"export.zip": data}, tmp_path)
    assert found.types == ["incoming", "internal-note"]
    assert found.tickets[0]["subject"] == "Old & blue"
    assert found.message()["body_text"] == "plain description"
    assert found.notes["mended"] == 1


def test_xml_that_is_cut_keeps_what_stood_before_and_says_where(tmp_path: Path) -> None:
    second = XML.index("</helpdesk-tickets>")
    cut = XML[:second] + XML[XML.index("  <helpdesk-ticket>") : XML.index("<notes")]
    found = convert("freshdesk", {"Tickets0.xml": cut, "Users0.xml": XML_USERS}, tmp_path)
    assert len(found.messages) == 2 and found.findings == {"broken": 1}
    assert found.report["list"][0]["line"] > 20


def test_document_types_and_entities_are_refused(tmp_path: Path) -> None:
    bomb = '<!DOCTYPE x [<!ENTITY a "aaaa">]>' + XML.partition("?>")[2]
    with pytest.raises(InvalidBatch) as stop:
        convert("freshdesk", {"Tickets0.xml": bomb, "Users0.xml": XML_USERS}, tmp_path)
    assert "document type" in stop.value.diagnostics[0].message


# -- numbers and flags that a dump writes as texts ---------------------------------------------------------------------


@pytest.mark.parametrize("private", ["true", "True", 1, "1"])
def test_private_is_private_however_a_dump_writes_it(private: Json, tmp_path: Path) -> None:
    assert one(tmp_path, private=private)["type"] == "internal-note"


@pytest.mark.parametrize(("incoming", "kind"), [("true", "incoming"), (1, "incoming"), ("false", "outgoing")])
def test_the_direction_of_an_unknown_persons_row_may_be_a_text(incoming: Json, kind: str, tmp_path: Path) -> None:
    found = run(tmp_path, reply(1, 99, incoming=incoming), default_agent="desk@acme.example")
    assert found.types[-1] == kind


def test_sources_may_be_texts(tmp_path: Path) -> None:
    outbound = ticket(source="10", responder_id=ANNA)
    found = run(tmp_path, reply(1, source="8"), reply(2, source="6", body="", body_text=""), first=outbound)
    assert found.types == ["outgoing", "internal-note"]
    assert found.skips == {"a survey without text": 1}


@pytest.mark.parametrize("name", ["spam", "deleted"])
def test_a_ticket_is_left_out_however_a_dump_writes_it(name: str, tmp_path: Path) -> None:
    files = {"tickets.json": [ticket(), ticket(8, **{name: "true"})], "contacts.json": CONTACTS}
    assert [each["meta"]["original_id"] for each in convert("freshdesk", files, tmp_path).tickets] == ["7"]


def test_a_requester_inside_a_ticket_without_an_address_hides_no_contact(tmp_path: Path) -> None:
    inside = ticket(requester={"id": JANE, "name": "Jane Doe", "email": None})
    files = {"contacts.json": CONTACTS, "tickets.json": [inside]}
    assert convert("freshdesk", files, tmp_path).message()["sender"] == {"email": "jane@example.com"}


@pytest.mark.parametrize("turn", [1, -1])
def test_equal_times_stay_in_their_order_where_the_newest_is_listed_first(turn: int, tmp_path: Path) -> None:
    times = ["2024-03-02T10:00:00Z", "2024-03-02T11:00:00Z", "2024-03-02T11:00:00Z"]
    rows = [reply(id, created_at=time) for id, time in enumerate(times, 1)]
    found = run(tmp_path, *rows[::turn])
    assert [each["external_id"][-1] for each in found.messages[1:]] == ["1", "2", "3"]
