"""What answers mean, how long to back off, and how an outage is sat out."""

from __future__ import annotations

from random import Random
from typing import Any

import pytest

from bulkmsg.gorgias import wire
from bulkmsg.message import Upload
from bulkmsg.ports import Contact, Reply
from bulkmsg.retry import Breaker, Judgement, Verdict, backoff, judge, judge_upload
from tests.fakes import message, new_ticket, thread

FILE = Upload(0, "12.pdf", "/batch/12.pdf", "0" * 64, 5, (1,), "12.pdf", "application/pdf")


def reply(status: int, body: Any = None, *, is_json: bool = True, **fields: Any) -> Reply:
    return Reply(Contact.ANSWERED, status, body, is_json, **fields)


@pytest.mark.parametrize(
    ("answer", "verdict"),
    [
        (Reply(Contact.NEVER_LEFT), Verdict.NOT_PROCESSED),
        (Reply(Contact.LOST), Verdict.IN_DOUBT),
        (Reply(Contact.LOST, 201), Verdict.IN_DOUBT),
        (reply(201, {"id": 5, "external_id": "x-1"}), Verdict.CREATED),
        (reply(200, {"id": 5}), Verdict.CREATED),
        (reply(201, {"id": "5"}), Verdict.IN_DOUBT),
        (reply(201, {"id": True}), Verdict.IN_DOUBT),
        (reply(201, {"id": 0}), Verdict.IN_DOUBT),
        (reply(201, [{"id": 5}]), Verdict.IN_DOUBT),
        (reply(201, None, is_json=False), Verdict.IN_DOUBT),
        (reply(204, None, is_json=False), Verdict.IN_DOUBT),
        (reply(400, {"error": {"msg": "no"}}), Verdict.REJECTED),
        (reply(404, {}), Verdict.REJECTED),
        (reply(413, {}), Verdict.REJECTED),
        (reply(422, {}), Verdict.REJECTED),
        (reply(404, None, is_json=False), Verdict.IN_DOUBT),
        (reply(400, None, is_json=False), Verdict.IN_DOUBT),
        (reply(401, {}), Verdict.REFUSED),
        (reply(403, {}), Verdict.REFUSED),
        (reply(429), Verdict.THROTTLED),
        (reply(408, {}), Verdict.IN_DOUBT),
        (reply(409, {}), Verdict.IN_DOUBT),
        (reply(500, {}), Verdict.IN_DOUBT),
        (reply(503, {}), Verdict.IN_DOUBT),
        (reply(302, {}, location="https://acme.gorgias.com/login"), Verdict.IN_DOUBT),
        (reply(301, {}, location="https://acme.gorgias.com/api/tickets/9/messages"), Verdict.REJECTED),
        (reply(301, {}, location="/api/tickets/1/messages/"), Verdict.IN_DOUBT),
        (reply(301, {}), Verdict.IN_DOUBT),
    ],
)
def test_each_answer_has_one_meaning(answer: Reply, verdict: Verdict) -> None:
    assert judge(answer, [message(1)], 1).verdict is verdict


STORED = [{"url": "https://f.example/12", "name": "12.pdf", "content_type": "application/pdf", "size": 5}]


@pytest.mark.parametrize(
    ("answer", "verdict"),
    [
        (Reply(Contact.NEVER_LEFT), Verdict.NOT_PROCESSED),
        (Reply(Contact.LOST), Verdict.IN_DOUBT),
        (Reply(Contact.LOST, 201), Verdict.IN_DOUBT),
        (reply(201, STORED), None),
        (reply(200, STORED), None),
        (reply(201, []), Verdict.IN_DOUBT),
        (reply(201, None, is_json=False), Verdict.IN_DOUBT),
        (reply(400, {}), Verdict.REJECTED),
        (reply(413, {}), Verdict.REJECTED),
        (reply(413, None, is_json=False), Verdict.REJECTED),
        (reply(404, None, is_json=False), Verdict.IN_DOUBT),
        (reply(401, {}), Verdict.REFUSED),
        (reply(403, {}), Verdict.REFUSED),
        (reply(429), Verdict.THROTTLED),
        (reply(409, {}), Verdict.IN_DOUBT),
        (reply(503, {}), Verdict.IN_DOUBT),
        (reply(301, {}, location="/api/upload/"), Verdict.IN_DOUBT),
    ],
)
def test_each_answer_to_an_upload_has_one_meaning(answer: Reply, verdict: Verdict | None) -> None:
    told = judge_upload(answer, FILE)
    assert told.verdict is verdict if isinstance(told, Judgement) else verdict is None


def test_a_merged_ticket_names_the_surviving_one() -> None:
    told = judge(reply(301, {}, location="/api/tickets/98765"), [message(1)], 1)
    assert "98765" in told.error


def test_a_new_ticket_tells_the_ids_of_the_ticket_and_its_message() -> None:
    told = judge(reply(201, {"id": 9, "external_id": "t-1", "messages": [{"id": 10}]}), [new_ticket(1)], None)
    assert (told.ticket_id, told.ids, told.echoed) == (9, (10,), True)


@pytest.mark.parametrize(
    ("body", "said"),
    [
        ({"error": {"msg": "Failed", "data": {"sender": ["Missing data."]}}}, "Failed sender: Missing data."),
        ({"error": "plain"}, "plain"),
        ({"error": {"data": {"source": {"from": ["bad"]}}}}, "the helpdesk answered 400 source: from: bad"),
        ({}, "the helpdesk answered 400"),
        ([], "the helpdesk answered 400"),
    ],
)
def test_errors_in_every_form_become_a_sentence(body: Any, said: str) -> None:
    assert wire.error_text(reply(400, body)) == said


def test_backing_off_grows_and_stays_bounded() -> None:
    random = Random(1)
    waits = [backoff(tries, random) for tries in range(40)]
    assert all(0.1 <= wait <= 30.0 for wait in waits)
    assert max(waits[:2]) < min(waits[8:])


def test_an_outage_lets_one_probe_through_ever_more_rarely_and_ends_with_a_good_answer() -> None:
    breaker = Breaker(after=2)
    breaker.bad(0.0)
    assert breaker.wait(0.0) == 0.0
    breaker.bad(1.0)
    first = breaker.wait(1.0)
    breaker.begin()
    assert breaker.wait(50.0) > 0.0, "while a probe is out nobody else may try"
    breaker.bad(50.0)
    assert breaker.wait(50.0) > first
    assert not breaker.is_hopeless(100.0)
    assert breaker.is_hopeless(5000.0)
    breaker.good()
    assert breaker.wait(5000.0) == 0.0


def created_thread(shown: Any) -> Judgement:
    body = {"id": 9, "external_id": "t-1", "messages": shown}
    return judge(reply(201, body), thread(1, 3), None)


def test_each_message_of_a_new_ticket_gets_its_own_id_in_whatever_order_they_are_told() -> None:
    told = created_thread([{"id": 12 - place, "external_id": f"x-{102 - place}"} for place in range(3)])
    assert (told.ids, told.echoed) == ((10, 11, 12), True)


@pytest.mark.parametrize(
    ("shown", "ids", "echoed"),
    [
        ([{"id": 12}, {"id": 10}, {"id": 11}], (10, 11, 12), True),
        ([{"id": 10}, {"id": 11}], (None, None, None), True),
        ([{"id": 10, "external_id": "x-100"}], (10, None, None), True),
        ([{"id": 10 + place, "external_id": None} for place in range(3)], (10, 11, 12), False),
        ([{"id": 10, "external_id": "cut"}], (None, None, None), False),
        (None, (None, None, None), True),
        (["odd"], (None, None, None), True),
    ],
)
def test_ids_are_told_by_place_only_where_no_external_id_is_and_the_counts_agree(
    shown: Any, ids: Any, echoed: bool
) -> None:
    told = created_thread(shown)
    assert (told.verdict, told.ids, told.echoed) == (Verdict.CREATED, ids, echoed)


@pytest.mark.parametrize(
    ("data", "named"),
    [
        ({"messages": {"2": {"sender": ["Unknown."]}}}, {2: "No. sender: Unknown."}),
        ({"messages": [{}, None, {"sender": ["Unknown."]}]}, {2: "No. sender: Unknown."}),
        ({"messages": {"2": {"sender": ["Unknown."]}, "7": {"x": ["y"]}}}, {2: "No. sender: Unknown."}),
        ({"messages": ["Not a valid list."]}, {}),
        ({"messages": {"sender": ["Unknown."]}}, {}),
        ({"subject": ["Too long."]}, {}),
        ("odd", {}),
    ],
)
def test_a_refused_new_ticket_names_messages_by_their_place(data: Any, named: Any) -> None:
    told = judge(reply(400, {"error": {"msg": "No.", "data": data}}), thread(1, 3), None)
    assert (told.verdict, dict(told.named)) == (Verdict.REJECTED, named)
