"""Paging: every item once, in order, whatever is inserted meanwhile; and the oddities of the deprecated list."""

import base64
from itertools import chain
from typing import Any

import pytest

from .kit import SENT, Desk, incoming, note, outgoing


def filled(count: int = 7, **settings: Any) -> tuple[Desk, list[int]]:
    """A helpdesk with messages whose times run against their ids."""
    desk = Desk(**settings)
    times = [f"2021-03-{28 - number % 28:02d}T10:00:00Z" for number in range(count)]
    return desk, [desk.post(incoming(created_datetime=time))["id"] for time in times]


def walk(desk: Desk, **query: Any) -> list[list[int]]:
    """The ids on all pages."""
    pages: list[list[int]] = []
    cursor: dict[str, str] = {}
    while True:
        status, data = desk.call("GET", "/api/messages", **query, **cursor)
        assert status == 200
        pages.append([message["id"] for message in data["data"]])
        if data["meta"]["next_cursor"] is None:
            return pages
        cursor = {"cursor": data["meta"]["next_cursor"]}


def test_messages_are_listed_newest_creation_first_by_default_and_not_by_id() -> None:
    desk, ids = filled()
    assert walk(desk) == [ids]
    assert walk(desk, order_by="created_datetime:asc") == [ids[::-1]]


@pytest.mark.parametrize("direction", ["asc", "desc"])
@pytest.mark.parametrize("limit", [1, 2, 3, 7, 8])
def test_cursors_show_every_message_once(direction: str, limit: int) -> None:
    desk, ids = filled()
    pages = walk(desk, limit=limit, order_by=f"created_datetime:{direction}")
    assert list(chain(*pages)) == (ids if direction == "desc" else ids[::-1])
    assert all(len(page) == limit for page in pages[:-1])


def test_equal_times_are_ordered_by_id() -> None:
    desk = Desk()
    ids = [desk.post(incoming(created_datetime=SENT))["id"] for _ in range(5)]
    assert list(chain(*walk(desk, limit=2, order_by="created_datetime:asc"))) == ids


def test_an_insert_between_two_pages_repeats_and_skips_nothing() -> None:
    desk, ids = filled(6)
    first = desk.call("GET", "/api/messages", limit=3)[1]
    desk.post(incoming())
    second = desk.call("GET", "/api/messages", limit=3, cursor=first["meta"]["next_cursor"])[1]
    assert [m["id"] for m in first["data"] + second["data"]] == ids


def test_prev_cursor_leads_back() -> None:
    desk, ids = filled()
    first = desk.call("GET", "/api/messages", limit=3)[1]
    second = desk.call("GET", "/api/messages", limit=3, cursor=first["meta"]["next_cursor"])[1]
    assert first["meta"]["prev_cursor"] is None
    back = desk.call("GET", "/api/messages", limit=3, cursor=second["meta"]["prev_cursor"])[1]
    assert [m["id"] for m in back["data"]] == ids[:3]
    third = desk.call("GET", "/api/messages", limit=3, cursor=second["meta"]["next_cursor"])[1]
    back = desk.call("GET", "/api/messages", limit=3, cursor=third["meta"]["prev_cursor"])[1]
    assert [m["id"] for m in back["data"]] == ids[3:6]


def test_the_default_page_has_thirty_items_and_the_envelope_is_the_documented_one() -> None:
    desk, _ = filled(31)
    data = desk.call("GET", "/api/messages", ticket_id=5)[1]
    assert (data["object"], data["uri"], len(data["data"])) == ("list", "/api/messages?ticket_id=5", 30)
    assert data["meta"]["total_resources"] == 31
    assert set(data["meta"]) == {"prev_cursor", "next_cursor", "total_resources"}


def test_ticket_id_selects_one_ticket() -> None:
    desk, _ = filled(2)
    other = desk.post(note(), ticket=6)["id"]
    assert walk(desk, ticket_id=6) == [[other]]


@pytest.mark.parametrize(
    "query",
    [
        {"external_id": "x"},
        {"page": 2},
        {"limit": 0},
        {"limit": 101},
        {"limit": "all"},
        {"order_by": "id:asc"},
        {"order_by": "created_datetime"},
        {"cursor": "nonsense"},
        {"cursor": base64.b64encode(b"sideways__1__x").decode()},
        {"ticket_id": "abc"},
    ],
)
def test_other_parameters_of_the_message_list_answer_400(query: dict[str, Any]) -> None:
    status, data = Desk().call("GET", "/api/messages", **query)
    assert (status, list(data["error"]["data"])) == (400, list(query))


def test_the_deprecated_list_pages_by_number_oldest_first() -> None:
    desk, ids = filled(28)
    newest = [desk.post(outgoing(sent_datetime=f"2022-01-0{n}T00:00:00Z"))["id"] for n in range(1, 6)]
    first = desk.call("GET", "/api/tickets/5/messages")[1]
    second = desk.call("GET", "/api/tickets/5/messages", page=2)[1]
    assert [m["id"] for m in first["data"] + second["data"]] == ids[::-1] + newest
    assert first["meta"] == {
        "page": 1,
        "per_page": 30,
        "current_page": "/api/tickets/5/messages/?page=1",
        "item_count": 33,
        "nb_pages": 2,
    }


def test_the_deprecated_list_is_ordered_by_sending_not_by_creation() -> None:
    desk = Desk()
    late = desk.post(outgoing(created_datetime=SENT, sent_datetime="2022-01-02T00:00:00Z"))["id"]
    soon = desk.post(outgoing(created_datetime="2022-01-01T00:00:00Z", sent_datetime=SENT))["id"]
    assert [m["id"] for m in desk.call("GET", "/api/tickets/5/messages")[1]["data"]] == [soon, late]


def test_the_deprecated_list_ignores_cursor_and_limit_and_reads_page_one_again() -> None:
    desk, _ = filled(28)
    first = desk.call("GET", "/api/tickets/5/messages")[1]["data"]
    assert desk.call("GET", "/api/tickets/5/messages", cursor="abc", limit=5)[1]["data"] == first


def test_tickets_are_found_by_external_id_and_listed_compactly() -> None:
    desk = Desk()
    for name in ("zd-1", "zd-2"):
        desk.call("POST", "/api/tickets", {"external_id": name, "messages": [incoming(), note()]})
    (item,) = desk.call("GET", "/api/tickets", external_id="zd-2")[1]["data"]
    assert (item["messages_count"], item["excerpt"]) == (2, "She is angry.")
    assert "messages" not in item
    assert item["customer"]["email"] == "jane@example.com"


def test_trashed_tickets_are_listed_unless_refused() -> None:
    desk = Desk()
    desk.call("PUT", "/api/tickets/5", {"trashed_datetime": SENT})
    assert len(desk.call("GET", "/api/tickets")[1]["data"]) == 1
    assert desk.call("GET", "/api/tickets", trashed="false")[1]["data"] == []


def test_tickets_asked_for_by_id_include_those_that_exist_by_policy() -> None:
    numbers = ["5", "6"]
    found = Desk().call("GET", "/api/tickets", ticket_ids=numbers)[1]["data"]
    assert [ticket["id"] for ticket in found] == [6, 5]
    assert Desk(auto_tickets=False).call("GET", "/api/tickets", ticket_ids=numbers)[1]["data"] == []


def test_a_name_looked_for_outside_the_trash_belongs_to_a_ticket_where_any_does() -> None:
    desk = Desk(named_tickets=True)
    assert desk.call("GET", "/api/tickets", external_id="old-7")[1]["data"] == []
    (found,) = desk.call("GET", "/api/tickets", external_id="old-7", trashed="false")[1]["data"]
    assert found["external_id"] == "old-7"
    assert desk.call("GET", "/api/tickets", external_id="old-7")[1]["data"][0]["id"] == found["id"]
    assert Desk().call("GET", "/api/tickets", external_id="old-7", trashed="false")[1]["data"] == []


def test_tickets_have_no_filter_for_status() -> None:
    assert Desk().call("GET", "/api/tickets", status="open")[0] == 400


def test_tickets_page_by_cursor_in_both_orders() -> None:
    desk = Desk()
    for number in range(1, 6):
        desk.post(incoming(), ticket=number)
    data = desk.call("GET", "/api/tickets", limit=2, order_by="updated_datetime:asc")[1]
    assert [ticket["id"] for ticket in data["data"]] == [1, 2]
    data = desk.call("GET", "/api/tickets", order_by="updated_datetime:asc", cursor=data["meta"]["next_cursor"])[1]
    assert [ticket["id"] for ticket in data["data"]] == [3, 4, 5]


# -- the other lists --------------------------------------------------------------------------------------


def test_users_are_listed_with_roles_and_the_bot() -> None:
    desk = Desk(agents=("anna@acme.com",))
    data = desk.call("GET", "/api/users")[1]["data"]
    assert {user["email"] or user["name"]: user["role"]["name"] for user in data} == {
        "bot@sandbox.invalid": "bot",
        "anna@acme.com": "agent",
    }
    assert len(desk.call("GET", "/api/users", email="Anna@acme.com")[1]["data"]) == 1
    assert desk.call("GET", "/api/users", email="bob@acme.com")[1]["data"] == []


def test_when_any_sender_is_an_agent_a_stranger_is_found_and_keeps_the_id() -> None:
    desk = Desk(customers=("jane@example.com",))
    (found,) = desk.call("GET", "/api/users", email="anna@acme.com")[1]["data"]
    assert desk.call("GET", "/api/users", email="jane@example.com")[1]["data"] == []
    assert desk.helpdesk.people.find("anna@acme.com") is None
    assert desk.post(outgoing())["sender"]["id"] == found["id"]


def test_user_zero_is_whoever_is_authenticated() -> None:
    status, user = Desk(agents=("bob@acme.com",)).call("GET", "/api/users/0")
    assert (status, user["email"]) == (200, "anna@acme.com")


def test_customers_are_listed_without_channels_and_with_two_cursors_only() -> None:
    desk = Desk(customers=("jane@example.com", "joe@example.com"))
    data = desk.call("GET", "/api/customers", email="joe@example.com")[1]
    assert [customer["email"] for customer in data["data"]] == ["joe@example.com"]
    assert "channels" not in data["data"][0]
    assert set(data["meta"]) == {"prev_cursor", "next_cursor"}


def test_a_customer_is_created_once_and_then_conflicts() -> None:
    desk = Desk()
    body = {"name": "Joe", "channels": [{"type": "email", "address": "joe@example.com"}]}
    status, customer = desk.call("POST", "/api/customers", body)
    assert (status, customer["email"]) == (201, "joe@example.com")
    assert desk.call("POST", "/api/customers", body)[0] == 409
    assert desk.call("POST", "/api/customers", {"nick": "x"})[0] == 400


def test_mailboxes_are_integrations_with_their_address_in_meta() -> None:
    (item,) = Desk(mailboxes=("support@acme.com",)).call("GET", "/api/integrations")[1]["data"]
    assert (item["type"], item["meta"]["address"], item["deactivated_datetime"]) == (
        "email",
        "support@acme.com",
        None,
    )


def test_the_account_names_its_domain_status_and_settings() -> None:
    data = Desk(account="acme", account_settings={"auto-merge": {"tickets": {"enabled": True}}})
    account = data.call("GET", "/api/account")[1]
    settings = {each["type"]: each["data"] for each in account["settings"]}
    assert (account["domain"], account["status"]) == ("acme", {"status": "active"})
    assert settings["auto-merge"]["tickets"]["enabled"] is True
    assert data.call("GET", "/api/account/settings")[1]["data"] == account["settings"]


def test_rules_are_empty_unless_given() -> None:
    assert Desk().call("GET", "/api/rules")[1]["data"] == []
    (rule,) = Desk(rules={"Auto reply": "ticket-message-created"}).call("GET", "/api/rules")[1]["data"]
    assert (rule["name"], rule["event_types"], rule["deactivated_datetime"]) == (
        "Auto reply",
        "ticket-message-created",
        None,
    )


def test_unknown_paths_answer_404_and_other_methods_405_in_json() -> None:
    desk = Desk()
    for path in ("/api/nothing", "/api/tickets/0x5", "/api/messages/1", "/api/tickets/5/messages/x"):
        assert desk.call("GET", path) == (404, {"error": {"msg": "Resource not found."}})
    expected = {"error": {"msg": "The specified HTTP method is not allowed."}}
    assert desk.call("PATCH", "/api/tickets/5") == (405, expected)
    assert desk.call("POST", "/api/messages", incoming()) == (405, expected)


def test_a_slash_at_the_end_is_tolerated() -> None:
    assert Desk().call("GET", "/api/tickets/5/")[0] == 200


# -- what an administrator arranges -----------------------------------------------------------------------


def test_rules_and_mailboxes_can_be_switched_off_and_locked() -> None:
    desk = Desk(
        rules={"Auto reply": "ticket-created", "Old": "ticket-created"},
        mailboxes=("new@acme.com", "old@acme.com", "lost@acme.com"),
        switched_off=("Old", "old@acme.com"),
        locked=("lost@acme.com",),
    )
    rules = desk.call("GET", "/api/rules")[1]["data"]
    assert {rule["name"]: rule["deactivated_datetime"] is None for rule in rules} == {"Auto reply": True, "Old": False}
    boxes = desk.call("GET", "/api/integrations")[1]["data"]
    live = [box for box in boxes if not box["deactivated_datetime"] and not box["locked_datetime"]]
    assert [box["meta"]["address"] for box in live] == ["new@acme.com"]


def test_a_mailbox_that_is_off_mails_nothing() -> None:
    desk = Desk(mailboxes=("support@acme.com",), switched_off=("support@acme.com",))
    desk.post(outgoing())
    assert desk.helpdesk.outbox == []


def test_where_any_address_is_a_mailbox_none_is_listed() -> None:
    desk = Desk()
    desk.post(outgoing())
    assert len(desk.helpdesk.outbox) == 1
    assert desk.call("GET", "/api/integrations")[1]["data"] == []


def test_an_unknown_id_is_a_user_only_where_any_sender_is() -> None:
    assert Desk().call("GET", "/api/users/77")[1]["role"] == {"name": "agent"}
    assert Desk(agents=("anna@acme.com",)).call("GET", "/api/users/77")[0] == 404


def test_teams_tags_role_status_and_closed_lists_are_as_given() -> None:
    desk = Desk(teams=("Billing",), tags=("vip",), role="observer-agent", status="deactivated", closed=("rules",))
    assert [team["name"] for team in desk.call("GET", "/api/teams")[1]["data"]] == ["Billing"]
    assert [tag["name"] for tag in desk.call("GET", "/api/tags")[1]["data"]] == ["vip"]
    assert desk.call("GET", "/api/users/0")[1]["role"] == {"name": "observer-agent"}
    assert desk.call("GET", "/api/account")[1]["deactivated_datetime"] is not None
    assert desk.call("GET", "/api/rules")[0] == 403
