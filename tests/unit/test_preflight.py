"""The preflight's questions and what the answers mean, tested by hand-fed answers."""

from __future__ import annotations

from collections.abc import Generator
from random import Random
from typing import Any

import pytest

from bulkmsg.diagnostic import Severity
from bulkmsg.gorgias.wire import Listing
from bulkmsg.looking import Look, Pause, Refusal
from bulkmsg.message import Kind, Mode
from bulkmsg.ports import Contact, Reply
from bulkmsg.preflight import findings
from bulkmsg.preflight.questions import (
    MOST_PAGES,
    MOST_WRONG,
    Agents,
    Listed,
    TicketSeen,
    ask,
    find_agents,
    look_at_ticket,
    look_for_ticket,
    read_list,
)
from bulkmsg.preflight.things import Account, Mailbox, Named, Rule, User
from bulkmsg.validation.roster import Roster

ANNA = {"id": 7, "email": "anna@acme.example", "name": "Anna", "role": {"name": "agent"}}
BOB = {"id": 8, "email": "Bob@acme.example", "name": "Bob", "role": {"name": "lite-agent"}}
ME = User(7, "anna@acme.example", "Anna", "agent")
FORBIDDEN = Reply(Contact.ANSWERED, 403, {"error": {"msg": "No."}}, True)


def reply(body: Any, status: int = 200, **more: Any) -> Reply:
    return Reply(Contact.ANSWERED, status, body, True, **more)


def page(*items: Any, cursor: str | None = None) -> Reply:
    return reply({"data": list(items), "meta": {"next_cursor": cursor}})


def answered(question: Generator[Any, Any, Any], *replies: Reply) -> tuple[Any, list[str]]:
    """What the question comes to with these answers, and what it asked, each answer for one."""
    left, asked = list(replies), []
    step_answer: Reply | None = None
    try:
        while True:
            step = question.send(step_answer)
            step_answer = None
            if isinstance(step, Look):
                query = "&".join(f"{name}={value}" for name, value in step.request.query)
                asked.append(f"{step.request.path}?{query}".removesuffix("?"))
                step_answer = left.pop(0)
            else:
                assert isinstance(step, Pause | Refusal)
                asked += ["refused"] if isinstance(step, Refusal) else []
    except StopIteration as end:
        assert left == [], "an answer was not asked for"
        return end.value, asked


# -- reading -------------------------------------------------------------------------------------------------------


def test_an_account_is_read_as_recorded() -> None:
    settings = [
        {"id": 1, "type": "auto-merge", "data": {"tickets": {"enabled": True, "merging_window_days": 5}}},
        {
            "id": 2,
            "type": "satisfaction-surveys",
            "data": {"send_survey_for_chat": False, "send_survey_for_email": True},
        },
    ]
    account = Account.read({"domain": "acme", "status": {"status": "active"}, "settings": settings})
    assert account is not None
    assert (account.domain, account.status, account.deactivated) == ("acme", "active", False)
    assert (account.is_on("auto-merge"), account.is_on("satisfaction-surveys")) == (True, True)


@pytest.mark.parametrize("body", [None, [], "text", 3])
def test_an_answer_that_is_no_account_is_none(body: Any) -> None:
    assert Account.read(body) is None


@pytest.mark.parametrize("data", [None, {}, [], {"enabled": "yes"}, {"enabled": 1}])
def test_a_setting_in_another_form_says_nothing(data: Any) -> None:
    account = Account.read({"settings": [{"type": "auto-merge", "data": data}, "odd", {"type": 3}]})
    assert account is not None
    assert account.is_on("auto-merge") is None


def test_a_user_is_read_whatever_form_the_role_has() -> None:
    roles: list[Any] = [{"name": "admin"}, "admin", None, [], {"name": 3}]
    users = [User.read({"id": 1, "email": "a@b.example", "role": role}) for role in roles]
    assert [user.role if user else "nobody" for user in users] == ["admin", "admin", None, None, None]
    odds: list[Any] = [None, [], {}, {"id": True}, {"id": "7"}]
    assert [User.read(odd) for odd in odds] == [None] * 5


@pytest.mark.parametrize(
    ("item", "address", "off"),
    [
        ({"type": "email", "meta": {"address": "a@b.example"}}, "a@b.example", ""),
        (
            {"type": "gmail", "meta": {"address": "a@b.example"}, "locked_datetime": "2024-01-01"},
            "a@b.example",
            "locked",
        ),
        ({"type": "outlook", "meta": None, "deactivated_datetime": "2024-01-01"}, None, "deactivated"),
        ({"type": "shopify", "meta": {"address": "a@b.example"}}, None, ""),
    ],
)
def test_only_mail_integrations_have_an_address(item: dict[str, Any], address: str | None, off: str) -> None:
    box = Mailbox.read(item)
    assert box is not None
    assert (box.address, box.off) == (address, off)


@pytest.mark.parametrize(
    ("rule", "fires", "follows"),
    [
        ({"event_types": "ticket-message-created"}, True, False),
        ({"event_types": "ticket-updated, ticket-created"}, True, False),
        ({"event_types": ["ticket-created"]}, True, False),
        ({"event_types": "ticket-updated"}, False, True),
        ({"event_types": "satisfaction-survey-responded"}, False, False),
        ({"event_types": "ticket-created", "deactivated_datetime": "2024-01-01T00:00:00"}, False, False),
        ({"event_types": None, "code": "if (eq(event.type, 'ticket-message-created')) {}"}, True, False),
        ({"event_types": "", "code": 'if (eq(event.type, "ticket-updated")) {}'}, False, True),
        ({}, True, False),
    ],
)
def test_a_rule_fires_where_it_is_active_and_set_off_by_what_is_new(rule: Any, fires: bool, follows: bool) -> None:
    read = Rule.read({"id": 1, "name": "Auto reply", **rule})
    assert read is not None
    assert (read.fires, read.follows) == (fires, follows)


# -- asking --------------------------------------------------------------------------------------------------------


def test_a_question_is_asked_again_only_where_the_answer_is_none() -> None:
    done, asked = answered(ask(look_request(), Random(1)), reply({}, 500), reply({}, 429), reply({}, 404))
    assert (done.status, len(asked)) == (404, 3)


def test_a_403_concerns_the_one_question_and_a_401_everything() -> None:
    assert answered(ask(look_request(), Random(1)), FORBIDDEN)[1] == ["/api/rules?limit=100"]
    assert answered(ask(look_request(), Random(1)), reply({}, 401))[1] == ["/api/rules?limit=100", "refused"]


def look_request() -> Any:
    from bulkmsg.gorgias import wire

    return wire.list_of(Listing.RULES)


def names(*replies: Reply) -> tuple[Listed[Named], list[str]]:
    found, asked = answered(read_list(Listing.TAGS, Named.read, Random(1)), *replies)
    return found, asked


def test_a_list_is_read_to_its_last_page_and_odd_items_are_passed_over() -> None:
    found, asked = names(page({"id": 1, "name": "a"}, {"id": 2}, cursor="x"), page({"id": 3, "name": "c"}))
    assert ([each.name for each in found.items], found.why) == (["a", "c"], "")
    assert asked == ["/api/tags?limit=100", "/api/tags?limit=100&cursor=x"]


def test_a_list_may_be_a_bare_array() -> None:
    found, _ = names(reply([{"id": 1, "name": "a"}]))
    assert ([each.name for each in found.items], found.why) == (["a"], "")


@pytest.mark.parametrize("odd", [FORBIDDEN, reply({}, 404), reply("text"), reply({"data": 3}), reply({"data": [1]})])
def test_a_list_that_cannot_be_read_says_why(odd: Reply) -> None:
    found, _ = names(odd)
    assert found.items == []
    assert found.why


def test_a_list_that_leads_back_to_itself_or_never_ends_is_left() -> None:
    assert "leads back" in names(page(cursor="x"), page(cursor="x"))[0].why
    many = [page(cursor=str(number)) for number in range(MOST_PAGES)]
    assert "longer" in names(*many)[0].why


# -- agents --------------------------------------------------------------------------------------------------------


def agents(wanted: list[str | int], *replies: Reply, one_by_one: int = 20, me: User | None = ME) -> tuple[Agents, int]:
    found, asked = answered(find_agents(wanted, one_by_one, me, Random(1)), *replies)
    return found, len(asked)


def test_few_agents_are_asked_for_one_by_one() -> None:
    found, requests = agents(["anna@acme.example", 8], page(ANNA), reply(BOB))
    assert (found.missing, found.unsure, requests) == ([], [], 2)


def test_many_agents_are_looked_for_in_the_list_which_is_left_once_all_are_found() -> None:
    wanted: list[str | int] = ["anna@acme.example", "bob@acme.example"]
    found, requests = agents(wanted, page(ANNA, BOB, cursor="more"), one_by_one=1)
    assert (found.missing, requests) == ([], 1)


def test_who_is_missing_is_looked_for_in_the_list_as_well_and_capitals_do_not_matter() -> None:
    found, _ = agents(["bob@acme.example", "ana@acme.example"], page(), page(), page(ANNA, BOB))
    assert found.missing == ["ana@acme.example"]
    (told,) = findings.wrong_agents(found).values()
    assert told.hint.startswith("did you mean anna@acme.example?")
    assert told.message == "ana@acme.example is no user of the account"


def test_who_is_missing_in_the_list_is_asked_for_as_well() -> None:
    found, requests = agents(
        ["eve@acme.example"], page(ANNA), page({"id": 9, "email": "eve@acme.example"}), one_by_one=0
    )
    assert (found.missing, requests) == ([], 2)


def test_a_filter_that_was_passed_over_proves_nothing() -> None:
    found, _ = agents(
        ["eve@acme.example"], page(ANNA), page(ANNA, cursor="x"), page({"id": 9, "email": "eve@acme.example"})
    )
    assert found.missing == []


def test_a_list_that_lacks_ourselves_does_not_show_everybody() -> None:
    found, _ = agents(["eve@acme.example"], page(), page(BOB))
    assert (found.missing, found.unsure) == ([], ["eve@acme.example"])
    assert "lacks the user of the credentials" in found.why


def test_users_that_cannot_be_read_leave_agents_unchecked() -> None:
    found, _ = agents(["eve@acme.example", 9], FORBIDDEN, FORBIDDEN)
    assert (found.missing, found.unsure, found.why) == ([], ["eve@acme.example", 9], "HTTP 403: No.")
    found, _ = agents(["eve@acme.example"], FORBIDDEN, FORBIDDEN, one_by_one=0)
    assert (found.missing, found.unsure) == ([], ["eve@acme.example"])


def test_an_empty_list_of_users_proves_nothing_since_there_is_at_least_one() -> None:
    found, _ = agents(["eve@acme.example"], page(), page(), me=None)
    assert (found.missing, found.unsure) == ([], ["eve@acme.example"])


def test_an_answer_about_somebody_else_proves_nothing() -> None:
    found, _ = agents([9], reply(ANNA))
    assert (found.missing, found.unsure) == ([], [9])


def test_an_answer_that_is_no_list_proves_nothing() -> None:
    found, _ = agents(["eve@acme.example"], reply({"id": 7, "domain": "acme"}), me=None)
    assert (found.missing, found.unsure) == ([], ["eve@acme.example"])


def test_an_unreadable_list_leaves_the_word_to_the_single_question() -> None:
    found, _ = agents(["eve@acme.example"], page(), FORBIDDEN)
    assert found.missing == ["eve@acme.example"]


def test_an_unknown_id_answers_404() -> None:
    found, _ = agents([9], reply({"error": {"msg": "Resource not found."}}, 404), page(ANNA))
    assert found.missing == [9]


def test_after_many_that_are_wrong_no_more_are_looked_for() -> None:
    wanted: list[str | int] = [f"nobody-{number}@acme.example" for number in range(MOST_WRONG + 30)]
    found, requests = agents(wanted, page(ANNA), *[page()] * MOST_WRONG)
    assert (len(found.missing), requests) == (MOST_WRONG, MOST_WRONG + 1)


# -- tickets -------------------------------------------------------------------------------------------------------


@pytest.mark.parametrize(
    ("answer", "seen"),
    [
        (reply({"id": 5}), TicketSeen(exists=True)),
        (reply({"error": {}}, 404), TicketSeen()),
        (Reply(Contact.ANSWERED, 301, location="/api/tickets/9"), TicketSeen(survivor=9)),
        (Reply(Contact.ANSWERED, 301, location="https://acme.gorgias.com/api/tickets/9/"), TicketSeen(survivor=9)),
        (Reply(Contact.ANSWERED, 301, location="/api/tickets/5/"), TicketSeen(unsure="HTTP 301")),
        (Reply(Contact.ANSWERED, 404), TicketSeen(unsure="HTTP 404")),
        (reply({"id": 6}), TicketSeen(unsure="HTTP 200")),
        (FORBIDDEN, TicketSeen(unsure="HTTP 403")),
    ],
)
def test_a_look_at_a_ticket_tells_what_is_sure(answer: Reply, seen: TicketSeen) -> None:
    assert answered(look_at_ticket(5, Random(1)), answer) == (seen, ["/api/tickets/5"])


@pytest.mark.parametrize(
    ("answer", "seen"),
    [
        (page({"id": 5, "external_id": "z-1"}), TicketSeen(exists=True)),
        (page(), TicketSeen()),
        (page({"id": 5, "external_id": "z-1"}, {"id": 6, "external_id": "z-1"}), TicketSeen(ids=(5, 6))),
        (page({"id": 5, "external_id": "other"}), TicketSeen(unsure="the list holds other tickets as well")),
    ],
)
def test_a_ticket_is_found_by_its_external_id_once_never_or_twice(answer: Reply, seen: TicketSeen) -> None:
    assert answered(look_for_ticket("z-1", Random(1)), answer) == (seen, ["/api/tickets?external_id=z-1&limit=100"])


@pytest.mark.parametrize(
    ("name", "seen", "rule"),
    [
        (5, TicketSeen(exists=True), None),
        (5, TicketSeen(unsure="HTTP 500"), None),
        (5, TicketSeen(), "BM803"),
        ("z-1", TicketSeen(), "BM803"),
        (5, TicketSeen(survivor=9), "BM804"),
        ("z-1", TicketSeen(ids=(5, 6)), "BM805"),
    ],
)
def test_each_trouble_with_a_ticket_has_its_rule(name: int | str, seen: TicketSeen, rule: str | None) -> None:
    wrong = findings.wrong_ticket(name, seen)
    assert (wrong.rule if wrong else None) == rule


# -- what it means -------------------------------------------------------------------------------------------------


def outgoing(address: str, **more: Any) -> dict[str, Any]:
    return {
        "channel": "email",
        "sender": {"email": "anna@acme.example"},
        "source": {"from": {"address": address}},
        **more,
    }


def boxes(*items: tuple[str, str, str]) -> Listed[Mailbox]:
    return Listed([Mailbox(1, kind, None, address, off) for kind, address, off in items])


def roster_of(*messages: tuple[Kind, dict[str, Any]]) -> Roster:
    roster = Roster()
    for kind, fields in messages:
        roster.add(kind, fields)
    return roster


def test_an_address_is_a_mailbox_whatever_its_capitals_and_only_while_it_is_live() -> None:
    live = boxes(("email", "Help@acme.example", ""), ("gmail", "old@acme.example", "deactivated"))
    roster = roster_of(
        *((Kind.OUTGOING, outgoing(a)) for a in ("help@Acme.example", "old@acme.example", "hlep@acme.example"))
    )
    wrong = findings.wrong_mailboxes(live, roster, Mode.SEND)
    told = [each.message for each in wrong.values()]
    assert told == [
        "old@acme.example is a mailbox of the account that is deactivated",
        "hlep@acme.example is no mailbox of the account",
    ]
    assert list(wrong.values())[1].hint.startswith("did you mean help@acme.example?")


def test_a_wrong_mailbox_is_an_error_where_it_would_send_and_a_warning_in_an_import() -> None:
    roster = roster_of((Kind.OUTGOING, outgoing("x@old.example", integration_id=77)))
    live = boxes(("email", "help@acme.example", ""))
    send, imported = (list(findings.wrong_mailboxes(live, roster, mode).values()) for mode in (Mode.SEND, Mode.IMPORT))
    assert [each.severity for each in send] == [None, None]
    assert [each.severity for each in imported] == [Severity.WARNING] * 2


def test_where_no_mailbox_is_listed_nothing_is_wrong_and_that_is_said() -> None:
    roster = roster_of((Kind.OUTGOING, outgoing("help@acme.example")))
    assert findings.wrong_mailboxes(boxes(), roster, Mode.SEND) == {}
    (note,) = findings.left_unchecked(Agents(), boxes(), roster, "b.yaml")
    assert (note.rule, note.severity) == ("BM810", Severity.NOTE)


def rule_severities(mode: Mode, *, ignored: bool = False, event: str = "ticket-created") -> list[Severity]:
    rules = Listed([Rule(1, "Auto reply", True, frozenset({event}))])
    return [found.severity for found in findings.rule_findings(rules, mode, ignored, "b.yaml")]


def test_rules_stop_an_import_unless_they_are_ignored_and_warn_in_send_mode() -> None:
    assert rule_severities(Mode.IMPORT) == [Severity.ERROR]
    assert rule_severities(Mode.IMPORT, ignored=True) == [Severity.WARNING]
    assert rule_severities(Mode.SEND) == [Severity.WARNING]
    assert rule_severities(Mode.IMPORT, event="ticket-updated") == [Severity.WARNING]
    assert rule_severities(Mode.IMPORT, event="satisfaction-survey-responded") == []


def test_rules_that_cannot_be_read_are_a_note() -> None:
    (note,) = findings.rule_findings(Listed([], "HTTP 403"), Mode.IMPORT, False, "b.yaml")
    assert (note.rule, note.severity) == ("BM810", Severity.NOTE)
    assert "Settings > Rules" in note.message


def account_rules(account: Account | None, role: str = "agent", kind: Kind = Kind.INCOMING) -> list[tuple[str, str]]:
    found = findings.account_findings(account, User(1, "a@b.example", None, role), roster_of((kind, {})), "b.yaml")
    return [(each.rule, each.severity.value) for each in found]


def test_the_account_itself_may_stand_against_a_batch() -> None:
    fine = Account("acme", "active", False)
    assert account_rules(fine) == []
    assert account_rules(None) == [("BM810", "note")]
    assert account_rules(Account("acme", "active", True)) == [("BM808", "error")]
    assert account_rules(Account("acme", "past-due", False)) == [("BM808", "warning")]
    assert account_rules(Account("acme", None, False, {"auto-merge": {"enabled": True}})) == [("BM807", "warning")]
    assert account_rules(fine, "observer-agent") == [("BM809", "warning")]
    assert account_rules(fine, "observer-agent", Kind.INTERNAL_NOTE) == []
