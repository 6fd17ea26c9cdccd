"""One reading of a ticket: what it says of each message, and when it proves nothing."""

from __future__ import annotations

from collections.abc import Sequence
from random import Random
from typing import Any

import pytest

from bulkmsg.looking import Look, Pause, Refusal, Sight
from bulkmsg.message import Kind, Message, derive_external_id
from bulkmsg.ports import Contact, KnownTicket, Reply
from bulkmsg.reconcile import Reading, Wanted, generated_ids, read_lane, wanted
from tests.fakes import message, named, new_ticket, thread

GENERATED = generated_ids("acme", "spring recall")


def answer(status: int, body: Any) -> Reply:
    return Reply(Contact.ANSWERED, status, body, True)


def page(*items: dict[str, Any], cursor: str | None = None) -> Reply:
    return answer(200, {"data": list(items), "meta": {"next_cursor": cursor}})


def item(number: int, external_id: str | None, text: str = "other", from_agent: bool = False) -> dict[str, Any]:
    return {"id": number, "external_id": external_id, "body_text": text, "from_agent": from_agent}


def ticket(number: int = 1) -> Reply:
    return answer(200, {"id": number, "messages": []})


def read(lane: Sequence[Wanted], *replies: Reply) -> tuple[Reading, list[str]]:
    """The reading that these answers make, and which paths were asked for."""
    search, left, asked = read_lane(lane, Random(1), GENERATED), list(replies), []
    answered: Reply | None = None
    try:
        while True:
            step = search.send(answered)
            answered = None
            if isinstance(step, Look):
                asked.append(step.request.path)
                answered = left.pop(0)
            else:
                assert isinstance(step, Pause | Refusal)
    except StopIteration as end:
        assert left == [], "an answer was not asked for"
        reading: Reading = end.value
        return reading, asked


def own(number: int, **body: Any) -> Wanted:
    return wanted(message(number, **body))


def test_one_reading_of_all_pages_tells_of_all_messages_of_the_ticket() -> None:
    lane = [own(1), own(2), own(3)]
    seen, asked = read(lane, page(item(10, "x-1"), item(11, "x-9"), cursor="c"), page(item(12, "x-3")), ticket())
    assert [seen.sighting(each).sight for each in lane] == [Sight.FOUND, Sight.ABSENT, Sight.FOUND]
    assert [seen.sighting(each).ids for each in lane] == [(10,), (), (12,)]
    assert asked == ["/api/messages", "/api/messages", "/api/tickets/1"]


def test_where_all_are_found_the_ticket_itself_need_not_be_asked_for() -> None:
    seen, asked = read([own(1)], page(item(10, "x-1"), item(11, "x-1")))
    assert (seen.sighting(own(1)).ids, asked) == ((10, 11), ["/api/messages"])


@pytest.mark.parametrize(
    ("replies", "said"),
    [
        ((page(item(10, "x-1"), cursor="c"), answer(404, {})), "404"),
        ((answer(200, {"data": [{"no": "id"}]}),), "without an id"),
        ((page(item(10, "x-1"), cursor="c"), page(item(10, "x-1"), cursor="d")), "repeats itself"),
    ],
)
def test_a_listing_that_was_not_read_to_its_end_proves_nothing_of_any(replies: tuple[Reply, ...], said: str) -> None:
    seen, _ = read([own(1), own(2)], *replies)
    for each in (own(1), own(2)):
        assert seen.sighting(each).sight is Sight.UNREADABLE
        assert said in seen.sighting(each).reason


@pytest.mark.parametrize("alone", [answer(301, None), answer(404, {}), answer(200, {"id": 2})])
def test_absent_needs_the_ticket_to_answer_under_its_own_id_and_found_does_not(alone: Reply) -> None:
    seen, _ = read([own(1), own(2)], page(item(10, "x-1")), alone)
    assert [seen.sighting(each).sight for each in (own(1), own(2))] == [Sight.FOUND, Sight.UNREADABLE]


def test_an_id_with_an_address_is_recognised_though_logs_hold_its_hash() -> None:
    one = own(1, external_id="jane@example.com")
    assert "@" not in one.who.external_id
    seen, _ = read([one], page(item(10, "jane@example.com")))
    assert seen.sighting(one).sight is Sight.FOUND


def test_a_new_ticket_is_searched_for_by_the_id_it_was_sent_with() -> None:
    one = wanted(new_ticket(1))
    seen, asked = read([one], page({"id": 7, "external_id": "t-1"}), page(item(70, "x-1")))
    sighting = seen.sighting(one)
    assert (sighting.sight, sighting.ids, sighting.tickets) == (Sight.FOUND, (70,), (7,))
    assert asked == ["/api/tickets", "/api/messages"]


def test_of_a_ticket_id_that_is_only_known_as_a_hash_nothing_is_asked() -> None:
    one = Wanted(wanted(new_ticket(1)).who)
    seen, asked = read([one])
    assert (seen.sighting(one).sight, asked) == (Sight.UNREADABLE, [])


# -- when an absence proves nothing --------------------------------------------------------------------------------


@pytest.mark.parametrize("external_id", [None, "x", "somebody's"], ids=["stripped", "cut", "another"])
def test_a_message_that_says_the_same_without_our_id_speaks_against_an_absence(external_id: str | None) -> None:
    one = own(1, body_text="Hello  Jane,\nhow are you?")
    seen, _ = read([one], page(item(10, external_id, "Hello Jane, how are you? ")), ticket())
    assert "message 10" in seen.suspicion(one, proven=False)
    assert seen.suspicion(one, proven=True) == "", "the helpdesk keeps our ids, so that one is not ours"


@pytest.mark.parametrize("other", [item(10, None, "text 2"), item(10, None, "text 1", from_agent=True)])
def test_another_text_or_direction_says_nothing(other: dict[str, Any]) -> None:
    seen, _ = read([own(1)], page(other), ticket())
    assert seen.suspicion(own(1), proven=False) == ""


def test_messages_without_a_text_are_not_taken_for_each_other() -> None:
    one = own(1, body_text="  ", body_html=None)
    seen, _ = read([one], page(item(10, None, " ")), ticket())
    assert seen.suspicion(one, proven=False) == ""


def content_keyed(number: int) -> Message:
    base = message(number, kind=Kind.INCOMING)
    return Message(base.kind, f"c-{number}", base.ticket, base.body, base.content, base.file, base.line)


def test_an_entry_that_was_edited_is_suspected_where_keys_come_from_content() -> None:
    """The batch no longer holds the entry that message 10 came from: it may be this one, before it was edited."""
    before = derive_external_id("acme", "spring recall", "c-0")
    by_content, by_name = wanted(content_keyed(1)), own(2)
    seen, _ = read([by_content, by_name], page(item(10, before)), ticket())
    assert "before it was edited" in seen.suspicion(by_content, proven=True)
    assert seen.suspicion(by_name, proven=True) == ""


def test_ids_of_another_batch_are_no_strangers() -> None:
    other = derive_external_id("acme", "autumn", "c-0")
    seen, _ = read([wanted(content_keyed(1))], page(item(10, other)), ticket())
    assert seen.strangers == []


# -- tickets that are searched for -----------------------------------------------------------------------------------


def of_thread(count: int = 3) -> list[Wanted]:
    return [wanted(each) for each in thread(1, count)]


def there(*tickets: int) -> Reply:
    return page(*({"id": number, "external_id": "t-1"} for number in tickets))


def test_one_reading_of_a_new_ticket_tells_which_of_its_messages_are_missing() -> None:
    lane = of_thread()
    seen, asked = read(lane, there(7), page(item(70, "x-100"), item(72, "x-102")), ticket(7))
    assert [seen.sighting(each).sight for each in lane] == [Sight.FOUND, Sight.ABSENT, Sight.FOUND]
    assert {seen.sighting(each).tickets for each in lane} == {(7,)}
    assert asked == ["/api/tickets", "/api/messages", "/api/tickets/7"]


def test_where_no_such_ticket_is_there_all_its_messages_are_absent() -> None:
    lane = of_thread()
    seen, _ = read(lane, page())
    assert [(seen.sighting(each).sight, seen.sighting(each).tickets) for each in lane] == [(Sight.ABSENT, ())] * 3


def test_a_ticket_with_its_external_id_and_none_of_its_messages_proves_nothing() -> None:
    lane = of_thread()
    seen, _ = read(lane, there(7), page(item(70, "strange")), ticket(7))
    assert all(seen.sighting(each).sight is Sight.UNREADABLE for each in lane)


def test_a_new_ticket_that_stands_there_twice_is_told_with_both() -> None:
    lane = of_thread(1)
    seen, _ = read(lane, there(7, 8), page(item(70, "x-100")))
    assert seen.sighting(lane[0]).tickets == (7, 8)


def test_a_ticket_named_by_its_external_id_is_searched_for_outside_of_the_trash() -> None:
    one = wanted(named(1, "old-1"))
    assert (one.search, one.named) == ("old-1", True)
    seen, asked = read([one], page({"id": 7, "external_id": "old-1"}), page(item(70, "x-1")))
    assert (seen.sighting(one).sight, seen.home) == (Sight.FOUND, 7)
    assert asked == ["/api/tickets", "/api/messages"]


def test_a_ticket_that_is_known_by_now_is_read_without_a_search() -> None:
    one = wanted(named(1, "old-1"), KnownTicket(7))
    seen, asked = read([one], page(item(70, "x-1")))
    assert (seen.sighting(one).sight, asked) == (Sight.FOUND, ["/api/messages"])
