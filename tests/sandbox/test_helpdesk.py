"""The helpdesk on fake time: people, sending, tickets, and what answers look like."""

from typing import Any

import pytest

from bulkmsg.sandbox.wire import Call

from .kit import SENT, Desk, incoming, note, outgoing

_MESSAGE_KEYS = """
actions attachments auth_customer_identity body_html body_text channel created_datetime deleted_datetime
external_id failed_datetime from_agent headers id imported integration_id intents is_retriable
last_sending_error macros message_id meta opened_datetime processed_datetime public receiver rule_id
sender sent_datetime source stripped_html stripped_signature stripped_text subject ticket_id uri via
"""
MESSAGE_KEYS = set(_MESSAGE_KEYS.split())
_TICKET_KEYS = """
assignee_team assignee_team_id assignee_user assignee_user_id channel closed_datetime created_datetime
customer events external_id from_agent id imported is_unread language last_message_datetime
last_received_message_datetime messages meta opened_datetime priority processed_datetime reply_options
requester satisfaction_survey snooze_datetime spam status subject summary tags trashed_datetime
updated_datetime uri via
"""
TICKET_KEYS = set(_TICKET_KEYS.split())
CLIENT_TIME = "2021-03-01T10:00:00.000000+00:00"

# -- answers ----------------------------------------------------------------------------------------------


def test_a_message_answer_has_exactly_the_documented_keys() -> None:
    assert set(Desk().post(incoming())) == MESSAGE_KEYS


def test_a_ticket_answer_has_exactly_the_documented_keys() -> None:
    status, ticket = Desk().call("POST", "/api/tickets", {"messages": [incoming()]})
    assert (status, set(ticket)) == (201, TICKET_KEYS)
    assert set(ticket["messages"][0]) == MESSAGE_KEYS - {"headers", "deleted_datetime"}


def test_times_have_microseconds_and_an_offset_and_processed_is_the_servers_clock() -> None:
    posted = Desk().post(incoming(created_datetime=SENT, sent_datetime="2021-03-01T11:00:00.5+01:00"))
    assert posted["created_datetime"] == CLIENT_TIME
    assert posted["sent_datetime"] == "2021-03-01T10:00:00.500000+00:00"
    assert posted["processed_datetime"] == "2026-06-01T12:00:00.001000+00:00"


def test_ids_ascend_also_after_a_deletion() -> None:
    desk = Desk()
    first, second = desk.post(incoming())["id"], desk.post(incoming())["id"]
    assert desk.call("DELETE", f"/api/tickets/5/messages/{second}")[0] == 204
    assert first < second < desk.post(incoming())["id"]


def test_bodies_are_echoed_unchanged_and_html_stays_null() -> None:
    text = "  <p>Ünïcode \r\n\t \U0001f600</p> "
    posted = Desk().post(incoming(body_text=text))
    assert (posted["body_text"], posted["body_html"]) == (text, None)


def test_attachments_gain_public_and_an_empty_list_becomes_null() -> None:
    file = {"url": "https://example.com/a.pdf", "name": "a.pdf", "content_type": "application/pdf"}
    assert Desk().post(incoming(attachments=[file]))["attachments"] == [{**file, "public": True}]
    assert Desk().post(incoming(attachments=[]))["attachments"] is None


def test_two_messages_with_one_external_id_are_two_messages() -> None:
    desk = Desk()
    ids = {desk.post(incoming(external_id="same"))["id"] for _ in range(2)}
    assert len(ids) == 2
    assert [row["external_id"] for row in desk.helpdesk.history] == ["same", "same"]


@pytest.mark.parametrize(("policy", "shown"), [("keep", "x" * 40), ("strip", None), ("cut", "x" * 24)])
def test_external_ids_can_be_stripped_or_cut_while_history_keeps_them(policy: str, shown: str | None) -> None:
    desk = Desk(external_ids=policy)
    assert desk.post(incoming(external_id="x" * 40))["external_id"] == shown
    assert desk.helpdesk.history[0]["external_id"] == "x" * 40


def test_the_success_status_can_be_200() -> None:
    assert Desk(success_status=200).call("POST", "/api/tickets/5/messages", incoming())[0] == 200


# -- people -----------------------------------------------------------------------------------------------


def test_an_agent_as_incoming_sender_is_refused() -> None:
    desk = Desk(agents=("anna@acme.com",))
    assert "sender" in desk.refused(incoming(sender={"email": "ANNA@acme.com"}))


def test_a_customer_as_outgoing_or_note_sender_is_refused() -> None:
    desk = Desk(customers=("jane@example.com",))
    assert "sender" in desk.refused(outgoing(sender={"email": "jane@example.com"}))
    assert "sender" in desk.refused(note(sender={"email": "jane@example.com"}))


def test_an_unknown_agent_is_refused_when_the_agents_are_known() -> None:
    desk = Desk(agents=("bob@acme.com",))
    assert "sender" in desk.refused(outgoing())
    assert desk.helpdesk.people.find("anna@acme.com") is None


def test_by_default_any_sender_that_is_no_customer_is_an_agent() -> None:
    desk = Desk()
    desk.post(outgoing())
    found = desk.helpdesk.people.find("anna@acme.com")
    assert found is not None
    assert found.kind == "user"


def test_an_unknown_customer_is_created_by_email_and_found_again() -> None:
    desk = Desk()
    first = desk.post(incoming())["sender"]
    second = desk.post(incoming(sender={"email": "JANE@example.com"}))["sender"]
    assert first["id"] == second["id"]
    assert desk.call("GET", "/api/customers", email="jane@example.com")[1]["data"][0]["id"] == first["id"]


def test_an_unknown_customer_id_is_refused_only_when_ids_are_strict() -> None:
    assert "sender" in Desk(auto_tickets=False, tickets=(5,)).refused(incoming(sender={"id": 77}))
    assert Desk().post(incoming(sender={"id": 77}))["sender"]["id"] == 77


def test_an_agent_as_receiver_is_refused() -> None:
    assert "receiver" in Desk(agents=("anna@acme.com",)).refused(outgoing(receiver={"email": "anna@acme.com"}))


def test_a_missing_sender_of_a_public_message_becomes_the_bot_without_an_error() -> None:
    for body in (incoming(), outgoing()):
        posted = Desk().post({key: value for key, value in body.items() if key != "sender"})
        assert posted["sender"]["name"] == "Gorgias Bot"


def test_a_missing_receiver_is_the_bot_when_outgoing_and_null_otherwise() -> None:
    assert Desk().post(outgoing())["receiver"]["name"] == "Gorgias Bot"
    assert Desk().post(incoming())["receiver"] is None
    assert Desk().post(note())["receiver"] is None


def test_extra_fields_of_a_nested_person_overwrite_the_record() -> None:
    desk = Desk()
    desk.post(incoming())
    posted = desk.post(incoming(sender={"email": "jane@example.com", "name": "Jane Doe"}))
    assert (posted["sender"]["firstname"], posted["sender"]["lastname"]) == ("Jane", "Doe")
    assert desk.helpdesk.people.overwrites == [{"id": posted["sender"]["id"], "fields": ["name"]}]


def test_a_refused_message_leaves_no_person_behind() -> None:
    desk = Desk(agents=("bob@acme.com",))
    desk.refused(outgoing(receiver={"email": "new@example.com"}))
    assert desk.helpdesk.people.find("new@example.com") is None


def test_people_are_judged_across_the_messages_of_one_ticket_and_nothing_is_stored() -> None:
    desk = Desk()
    messages = [incoming(), outgoing(sender={"email": "jane@example.com"})]
    status, data = desk.call("POST", "/api/tickets", {"messages": messages})
    assert (status, list(data["error"]["data"]["messages"])) == (400, ["1"])
    assert (desk.helpdesk.tickets, desk.helpdesk.messages, desk.helpdesk.history) == ({}, {}, [])


# -- sending ----------------------------------------------------------------------------------------------


def test_outgoing_without_sent_datetime_goes_to_the_outbox_and_is_sent_later() -> None:
    desk = Desk(send_delay=2.0)
    posted = desk.post(outgoing(subject="Hello"))
    assert posted["sent_datetime"] is None
    (mail,) = desk.helpdesk.outbox
    assert (mail["to"], mail["from"], mail["subject"]) == (["jane@example.com"], "support@acme.com", "Hello")
    assert mail["message_id"] == posted["id"]
    assert again(desk, posted)["sent_datetime"] is None
    desk.now += 2
    assert again(desk, posted)["sent_datetime"] == "2026-06-01T12:00:02.001000+00:00"


def again(desk: Desk, message: dict[str, Any]) -> Any:
    return desk.call("GET", message["uri"])[1]


@pytest.mark.parametrize("empty", ["", None])
def test_an_empty_sent_datetime_sends(empty: str | None) -> None:
    desk = Desk()
    desk.post(outgoing(sent_datetime=empty))
    assert len(desk.helpdesk.outbox) == 1


def test_with_sent_datetime_an_outgoing_message_is_only_stored() -> None:
    desk = Desk()
    assert desk.post(outgoing(sent_datetime=SENT))["sent_datetime"] == CLIENT_TIME
    assert desk.helpdesk.outbox == []


def test_incoming_messages_and_notes_are_never_sent() -> None:
    desk = Desk()
    came = desk.post(incoming(created_datetime=SENT))
    noted = desk.post(note())
    assert came["sent_datetime"] == came["created_datetime"] == CLIENT_TIME
    assert (noted["public"], desk.helpdesk.outbox) == (False, [])


def test_imported_does_not_stop_the_sending() -> None:
    desk = Desk()
    desk.post(outgoing(imported=True))
    assert len(desk.helpdesk.outbox) == 1


def test_every_channel_sends_and_copies_are_named() -> None:
    desk = Desk()
    ends = {
        **outgoing()["source"],
        "cc": [{"address": "c@example.com"}],
        "bcc": [{"address": "b@example.com"}],
    }
    desk.post(outgoing(source=ends))
    desk.post({"channel": "sms", "from_agent": True, "receiver": {"email": "joe@example.com"}})
    assert [(m["to"], m["cc"], m["bcc"]) for m in desk.helpdesk.outbox] == [
        (["jane@example.com"], ["c@example.com"], ["b@example.com"]),
        (["joe@example.com"], [], []),
    ]


def test_a_from_address_that_is_no_integration_is_created_and_then_fails() -> None:
    desk = Desk(mailboxes=("help@acme.com",))
    failed = again(desk, desk.post(outgoing()))
    assert (failed["sent_datetime"], failed["is_retriable"]) == (None, True)
    assert failed["failed_datetime"]
    assert "integration" in failed["last_sending_error"]["error"]
    assert desk.helpdesk.outbox == []
    listed = desk.call("GET", "/api/tickets")[1]["data"]
    assert listed[0]["last_sent_message_not_delivered"] is True


def test_strict_integrations_refuse_it_but_not_an_import() -> None:
    desk = Desk(mailboxes=("help@acme.com",), strict_integrations=True)
    assert "source" in desk.refused(outgoing())
    assert desk.post(outgoing(sent_datetime=SENT))["id"]


def test_a_mailbox_is_known_in_any_case_of_letters() -> None:
    desk = Desk(mailboxes=("Support@ACME.com",))
    assert again(desk, desk.post(outgoing()))["sent_datetime"]


def test_put_without_sent_datetime_sends_an_imported_message() -> None:
    desk = Desk()
    posted = desk.post(outgoing(sent_datetime=SENT))
    status, changed = desk.call("PUT", posted["uri"], outgoing(body_text="Corrected"))
    assert (status, changed["body_text"], changed["sent_datetime"]) == (202, "Corrected", None)
    assert len(desk.helpdesk.outbox) == 1
    assert desk.call("PUT", posted["uri"], {"body_text": "x"})[0] == 400


# -- tickets ----------------------------------------------------------------------------------------------


def test_a_new_ticket_stores_its_thread_at_one_moment_with_ascending_ids() -> None:
    desk = Desk()
    body = {
        "subject": "Kettle",
        "external_id": "zd-1",
        "status": "closed",
        "imported": True,
        "created_datetime": SENT,
        "tags": [{"name": "vip"}],
        "customer": {"email": "jane@example.com"},
        "messages": [incoming(sent_datetime=SENT), outgoing(sent_datetime=SENT), note()],
    }
    _, ticket = desk.call("POST", "/api/tickets", body)
    ids = [message["id"] for message in ticket["messages"]]
    assert ids == sorted(ids)
    assert len({message["processed_datetime"] for message in ticket["messages"]}) == 1
    assert [message["imported"] for message in ticket["messages"]] == [True] * 3
    assert (ticket["status"], ticket["imported"], ticket["created_datetime"]) == ("closed", True, CLIENT_TIME)
    assert (ticket["tags"][0]["name"], ticket["customer"]["email"]) == ("vip", "jane@example.com")
    assert ticket["requester"] == ticket["customer"]
    assert [row["kind"] for row in desk.helpdesk.history] == ["incoming", "outgoing", "internal-note"]
    assert desk.helpdesk.outbox == []


def test_the_customer_of_a_new_ticket_is_found_in_its_messages() -> None:
    _, ticket = Desk().call("POST", "/api/tickets", {"messages": [outgoing(sent_datetime=SENT)]})
    assert ticket["customer"]["email"] == "jane@example.com"


def test_unknown_tickets_exist_by_default_and_answer_404_when_strict() -> None:
    status, ticket = Desk().call("GET", "/api/tickets/348149927")
    assert (status, ticket["id"], ticket["messages"]) == (200, 348149927, [])
    strict = Desk(auto_tickets=False, tickets=(5,))
    assert strict.call("GET", "/api/tickets/6")[0] == 404
    assert strict.call("POST", "/api/tickets/6/messages", incoming())[0] == 404
    assert strict.call("GET", "/api/tickets/5")[0] == 200


def test_looking_at_a_ticket_does_not_make_it() -> None:
    desk = Desk()
    desk.call("GET", "/api/tickets/9")
    assert desk.helpdesk.tickets == {}


def test_a_deleted_ticket_answers_404_in_every_form() -> None:
    desk = Desk(deleted=frozenset({5}))
    for method, path in (("GET", ""), ("POST", "/messages"), ("GET", "/messages"), ("PUT", "")):
        assert desk.call(method, f"/api/tickets/5{path}", incoming())[0] == 404


def test_deleting_a_ticket_is_permanent() -> None:
    desk = Desk()
    message = desk.post(incoming())
    assert desk.call("DELETE", "/api/tickets/5")[0] == 204
    assert desk.call("GET", message["uri"])[0] == 404
    assert desk.call("GET", "/api/messages")[1]["data"] == []


def test_a_ticket_that_nobody_wrote_to_can_be_deleted() -> None:
    desk = Desk()
    assert [desk.call(method, "/api/tickets/9")[0] for method in ("DELETE", "GET")] == [204, 404]


def test_a_message_is_found_under_its_own_ticket_only() -> None:
    desk = Desk()
    message = desk.post(incoming(), ticket=5)
    for method in ("GET", "PUT", "DELETE"):
        assert desk.call(method, f"/api/tickets/6/messages/{message['id']}", incoming())[0] == 404


def test_a_change_of_a_ticket_replaces_tags_and_trashes_softly() -> None:
    desk = Desk()
    desk.call("PUT", "/api/tickets/5", {"tags": [{"name": "a"}, {"name": "b"}]})
    status, ticket = desk.call("PUT", "/api/tickets/5", {"tags": [{"name": "c"}], "trashed_datetime": SENT})
    assert (status, [tag["name"] for tag in ticket["tags"]]) == (200, ["c"])
    assert ticket["trashed_datetime"] == CLIENT_TIME


def test_tags_are_added_set_and_removed_at_their_own_address() -> None:
    desk = Desk()
    statuses = [
        desk.call(method, "/api/tickets/5/tags", {"names": names})[0]
        for method, names in (("PUT", ["a", "b"]), ("POST", ["c"]), ("DELETE", ["a"]))
    ]
    assert statuses == [202, 201, 204]
    assert [tag["name"] for tag in desk.call("GET", "/api/tickets/5")[1]["tags"]] == ["b", "c"]


@pytest.mark.parametrize(("reopen", "status"), [(False, "closed"), (True, "open")])
def test_an_incoming_message_reopens_only_where_asked(reopen: bool, status: str) -> None:
    desk = Desk(reopen=reopen)
    desk.call("PUT", "/api/tickets/5", {"status": "closed"})
    desk.post(incoming())
    assert desk.call("GET", "/api/tickets/5")[1]["status"] == status


def test_a_merged_ticket_answers_301_on_every_sub_path_and_method() -> None:
    desk = Desk(merged={5: 6, 6: 7})
    for method in ("GET", "POST", "PUT", "DELETE"):
        for rest in ("", "/messages", "/messages/12"):
            assert desk.call(method, f"/api/tickets/5{rest}", incoming()) == (301, None)
    assert desk.helpdesk.messages == {}


def test_a_merge_moves_the_messages_and_the_old_id_lists_nothing() -> None:
    desk = Desk()
    message = desk.post(incoming())
    desk.helpdesk.merge(5, 6, desk.moment())
    assert desk.call("GET", "/api/messages", ticket_id=5)[1]["data"] == []
    assert desk.call("GET", "/api/messages", ticket_id=6)[1]["data"][0]["id"] == message["id"]


# -- lag --------------------------------------------------------------------------------------------------


def test_a_new_message_lags_in_every_listing_and_inside_its_ticket() -> None:
    desk = Desk(list_lag=20.0)
    message = desk.post(incoming())
    ways = [("/api/messages", {}), ("/api/messages", {"ticket_id": 5}), ("/api/tickets/5/messages", {})]

    def seen() -> list[int]:
        lists = [len(desk.call("GET", path, **query)[1]["data"]) for path, query in ways]
        embedded = desk.call("GET", "/api/tickets/5")[1]["messages"]
        return [*lists, len(embedded)]

    assert seen() == [0, 0, 0, 0]
    assert desk.call("GET", message["uri"])[0] == 200
    desk.now += 20
    assert seen() == [1, 1, 1, 1]


def test_a_new_ticket_lags_in_the_listing_of_tickets() -> None:
    desk = Desk(list_lag=20.0)
    desk.call("POST", "/api/tickets", {"external_id": "zd-1", "messages": [incoming()]})
    assert desk.call("GET", "/api/tickets", external_id="zd-1")[1]["data"] == []
    desk.now += 20
    assert len(desk.call("GET", "/api/tickets", external_id="zd-1")[1]["data"]) == 1


def test_a_ticket_that_was_there_all_along_does_not_lag() -> None:
    desk = Desk(list_lag=20.0, tickets=(5,))
    assert [ticket["id"] for ticket in desk.call("GET", "/api/tickets")[1]["data"]] == [5]


def test_a_late_write_is_applied_at_its_own_moment_and_lags_from_then() -> None:
    desk = Desk(list_lag=10.0)
    body = b'{"channel": "phone", "from_agent": false, "external_id": "late"}'
    desk.api.later(Call("POST", "/api/tickets/5/messages", body=body), desk.moment().later(5))
    desk.now = 4.9
    desk.api.settle(desk.moment())
    assert desk.helpdesk.history == []
    desk.now = 14.9
    assert desk.call("GET", "/api/messages")[1]["data"] == []
    assert desk.helpdesk.history[0]["at"] == 5.0
    desk.now = 15.0
    assert len(desk.call("GET", "/api/messages")[1]["data"]) == 1
