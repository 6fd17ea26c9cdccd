"""New tickets with many messages, and tickets known by their external ids: the engine against a fake helpdesk."""

from __future__ import annotations

from dataclasses import replace
from typing import Any

import orjson
import pytest

import bulkmsg.threads
from bulkmsg import engine, parcel
from bulkmsg.message import ExistingTicket, Kind, Message, Mode, NewTicket
from bulkmsg.outcome import Outcome, Standing, State
from bulkmsg.ports import Contact, Fate, Intent, KnownTicket, Learned, Reply, Request
from bulkmsg.stopping import USUAL_ERRORS, OnRejection
from tests.fakes import (
    FakeHelpdesk,
    FakeJournal,
    Landed,
    Trick,
    answers,
    drop_after,
    drop_before,
    garbage_after,
    message,
    named,
    random_tricks,
    refuse_connection,
    thread,
)
from tests.unit.test_engine import Case, play


def posts(helpdesk: FakeHelpdesk) -> list[str]:
    return [call.path for call in helpdesk.calls if call.method == "POST"]


def reads(helpdesk: FakeHelpdesk) -> int:
    return sum(call.method == "GET" for call in helpdesk.calls)


def threads(count: int, each: int, **more: Any) -> list[Message]:
    return [item for number in range(count) for item in thread(number + 1, each, **more)]


def of_ticket(helpdesk: FakeHelpdesk, external_id: str) -> list[str]:
    return [item.external_id for item in helpdesk.landed if item.ticket_external_id == external_id]


def partly(count: int) -> Trick:
    """The helpdesk stores only the first messages of a new ticket, and the answer is lost."""

    def trick(desk: FakeHelpdesk, request: Request, answer: Any) -> Reply:
        body = orjson.loads(request.body or b"{}")
        desk._create(replace(request, body=orjson.dumps({**body, "messages": body["messages"][:count]})), 0.0)
        return Reply(Contact.LOST, reason="the connection was lost")

    return trick


# -- one request ---------------------------------------------------------------------------------------------------


def test_a_thread_leaves_in_one_request_with_one_write_before_and_one_after() -> None:
    case = play(Case(FakeHelpdesk(), threads(4, 15)).run())
    case.assert_exactly_once()
    assert posts(case.helpdesk) == ["/api/tickets"] * 4
    assert sorted(case.journal.writes) == [15] * 8
    ids = [case.journal.standing(item.key).message_id for item in case.messages]
    assert ids == [
        next(each.id for each in case.helpdesk.landed if each.external_id == m.external_id) for m in case.messages
    ]


def test_all_intents_of_a_thread_are_written_before_its_request_leaves() -> None:
    helpdesk, journal = FakeHelpdesk(), FakeJournal()
    before: list[int] = []
    original = helpdesk.call

    async def call(request: Any) -> Any:
        if request.method == "POST":
            before.append(sum(kind == "intent" for kind, _, _ in journal.records))
        return await original(request)

    helpdesk.call = call  # type: ignore[method-assign]
    play(Case(helpdesk, threads(1, 7), journal=journal).run())
    assert before == [7]


def test_beyond_what_one_request_holds_a_thread_goes_on_message_by_message_in_the_new_ticket() -> None:
    case = play(Case(FakeHelpdesk(), threads(1, 503)).run())
    case.assert_exactly_once()
    (home,) = {item.ticket for item in case.helpdesk.landed}
    assert posts(case.helpdesk) == ["/api/tickets"] + [f"/api/tickets/{home}/messages"] * 3


def test_a_thread_of_many_bytes_is_split_as_one_of_many_messages(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(bulkmsg.threads, "MOST_BYTES", 2_000)
    case = play(Case(FakeHelpdesk(), thread(1, 4, body_text="x" * 800)).run())
    case.assert_exactly_once()
    assert [path.count("/messages") for path in posts(case.helpdesk)] == [0, 1, 1]


def test_large_threads_are_not_all_in_memory_at_once(monkeypatch: pytest.MonkeyPatch) -> None:
    """Bytes count until their request is done, not only until it is begun."""
    monkeypatch.setattr(engine, "LOOK_AHEAD_BYTES", 10_000)
    helpdesk, read, most = FakeHelpdesk(latency=1.0), [0], [0]

    class Counted(list[Message]):
        def __iter__(self) -> Any:
            read[0] = most[0] = 0
            for item in super().__iter__():
                read[0] += 1
                most[0] = max(most[0], read[0] - len(helpdesk.landed))
                yield item

    items = Counted(threads(40, 2, body_text="x" * 2_000))
    case = Case(helpdesk, items)
    play(case.run())
    assert helpdesk.nothing_lost(list(items))
    assert most[0] < 12, "five messages of 2 kB fit, and the thread that is being read"


def test_the_modes_rule_is_checked_for_each_message_of_a_thread() -> None:
    """One message without `sent_datetime` among many would be mailed."""
    items = thread(1, 3)
    items[1] = replace(items[1], body={**items[1].body, "sent_datetime": None})
    case = Case(FakeHelpdesk(), items)
    with pytest.raises(AssertionError, match="not allowed in import"):
        play(case.run())
    assert case.helpdesk.landed == []


# -- trouble -------------------------------------------------------------------------------------------------------


@pytest.mark.parametrize(
    "trick",
    [
        drop_before,
        drop_after,
        garbage_after,
        refuse_connection,
        answers(500),
        answers(502, apply=True),
        answers(429, retry_after="2"),
        answers(201, {}),
        answers(201, {"id": "17"}, apply=True),
        partly(1),
        partly(4),
    ],
)
@pytest.mark.parametrize("lag", [0.0, 4.0])
def test_no_single_trouble_loses_or_doubles_a_message_of_a_thread(trick: Any, lag: float) -> None:
    case = play(Case(FakeHelpdesk(lag=lag, tricks=[None, trick, trick]), threads(4, 5)).run())
    case.assert_exactly_once()
    assert len({item.ticket for item in case.helpdesk.landed}) == 4


@pytest.mark.parametrize("seed", range(10))
def test_heavy_trouble_loses_and_doubles_nothing_and_keeps_to_one_ticket_each(seed: int) -> None:
    helpdesk = FakeHelpdesk(lag=3.0, random_trick=random_tricks(seed), page=7)
    case = play(Case(helpdesk, threads(25, 6), seed=seed).run())
    case.assert_exactly_once()
    assert len({item.ticket for item in helpdesk.landed}) == 25


def test_a_lost_answer_costs_two_looks_and_no_second_post() -> None:
    case = play(Case(FakeHelpdesk(tricks=[drop_after]), threads(1, 9)).run())
    case.assert_exactly_once()
    assert (len(posts(case.helpdesk)), reads(case.helpdesk)) == (1, 2)


def test_what_is_missing_of_a_thread_that_is_there_is_added_to_it_in_order() -> None:
    case = play(Case(FakeHelpdesk(tricks=[partly(2)]), threads(1, 5)).run())
    case.assert_exactly_once()
    (home,) = {item.ticket for item in case.helpdesk.landed}
    assert posts(case.helpdesk) == ["/api/tickets"] + [f"/api/tickets/{home}/messages"] * 3


def test_in_send_mode_what_is_missing_of_a_thread_stays_in_doubt_and_holds_the_rest_back() -> None:
    items = thread(1, 3, kind=Kind.OUTGOING, sent_datetime=None)
    case = play(Case(FakeHelpdesk(tricks=[partly(1)]), items, mode=Mode.SEND).run())
    assert case.states() == {State.CREATED: 1, State.IN_DOUBT: 2}
    assert len(posts(case.helpdesk)) == 1
    again = play(Case(case.helpdesk, items, mode=Mode.SEND, journal=case.journal).run())
    assert again.states() == {State.CREATED: 1, State.IN_DOUBT: 2}
    assert len(posts(again.helpdesk)) == 1


def test_in_send_mode_a_thread_that_is_not_found_is_not_mailed_again() -> None:
    items = thread(1, 2, kind=Kind.OUTGOING, sent_datetime=None)
    case = play(Case(FakeHelpdesk(tricks=[drop_before]), items, mode=Mode.SEND).run())
    assert case.states() == {State.IN_DOUBT: 2}
    assert case.helpdesk.landed == []


def test_a_note_is_not_sent_without_the_public_messages_of_its_new_ticket() -> None:
    """Alone it may be sent again; its ticket would begin without the message that may yet be there."""
    items = thread(1, 2, kind=Kind.OUTGOING, sent_datetime=None)
    items[1] = replace(message(101, kind=Kind.INTERNAL_NOTE), ticket=items[0].ticket)
    case = play(Case(FakeHelpdesk(tricks=[drop_before]), items, mode=Mode.SEND).run())
    assert case.states() == {State.IN_DOUBT: 2}
    assert case.helpdesk.landed == []


def test_a_ticket_with_our_external_id_and_strange_messages_proves_nothing() -> None:
    helpdesk = FakeHelpdesk(tricks=[drop_before])
    helpdesk.landed.append(Landed(900, 77, "somebody's", 0.0, "t-1"))
    case = play(Case(helpdesk, threads(1, 2)).run())
    assert case.states() == {State.IN_DOUBT: 2}
    assert "no message in it carries one of ours" in (case.journal.standing("k-100").error or "")
    assert len(posts(helpdesk)) == 1


def test_a_thread_that_stands_there_twice_is_reported_and_not_sent() -> None:
    def twice(desk: FakeHelpdesk, request: Request, answer: Any) -> Reply:
        answer()
        answer()
        return Reply(Contact.LOST, reason="the connection was lost")

    case = play(Case(FakeHelpdesk(tricks=[twice]), threads(1, 2)).run())
    assert case.states() == {State.CREATED: 2}
    assert [len(tickets) for _, tickets in case.engine.duplicates] == [2, 2]


def test_where_the_answer_shows_other_external_ids_no_absence_is_believed() -> None:
    def renamed(desk: FakeHelpdesk, request: Request, answer: Any) -> Reply:
        reply: Reply = answer()
        assert isinstance(reply.json, dict)
        shown = [{**each, "external_id": "cut"} for each in reply.json["messages"]]
        return replace(reply, json={**reply.json, "messages": shown})

    case = play(Case(FakeHelpdesk(tricks=[renamed, drop_before]), threads(2, 2), concurrency=1).run())
    assert case.states() == {State.CREATED: 2, State.IN_DOUBT: 2}


# -- refused -------------------------------------------------------------------------------------------------------


@pytest.mark.parametrize(
    "told",
    [{"1": {"sender": ["Unknown user."]}}, [{}, {"sender": ["Unknown user."]}, {}]],
    ids=["by place", "as a list"],
)
def test_of_a_refused_thread_the_named_message_carries_the_error_and_the_others_name_it(told: Any) -> None:
    body = {"error": {"msg": "Failed to create ticket.", "data": {"messages": told}}}
    case = play(Case(FakeHelpdesk(tricks=[answers(400, body)]), threads(1, 3)).run())
    assert case.states() == {State.REJECTED: 3}
    errors = [case.journal.standing(item.key).error or "" for item in case.messages]
    assert errors[1] == "Failed to create ticket. sender: Unknown user."
    assert errors[0] == errors[2] == "its ticket was refused because of the message k-101"


def test_a_refused_thread_is_one_error_and_its_rest_is_held_back() -> None:
    items = [*threads(1, 501), message(7, 7)]
    case = play(Case(FakeHelpdesk(tricks=[answers(400)]), items, errors=USUAL_ERRORS, concurrency=1).run())
    assert case.halt is None, "25 errors in a row end a run, and this is one"
    assert case.states() == {State.REJECTED: 500, State.HELD_BACK: 1, State.CREATED: 1}


@pytest.mark.parametrize("mended", ["message", "ticket", "removed"])
def test_a_refused_thread_is_sent_again_whole_once_anything_in_it_was_mended(mended: str) -> None:
    first = play(Case(FakeHelpdesk(tricks=[answers(400)]), threads(1, 4, content="a" * 16)).run())
    left = play(Case(first.helpdesk, first.messages, journal=first.journal).run())
    assert (left.states(), left.helpdesk.landed) == ({State.REJECTED: 4}, [])
    items = list(first.messages)
    if mended == "message":
        items[2] = replace(items[2], content="b" * 16)
    elif mended == "ticket":
        items = threads(1, 4, content="b" * 16)
    else:
        items = items[:3]
    again = play(Case(first.helpdesk, items, journal=first.journal).run())
    again.assert_exactly_once()
    assert posts(again.helpdesk) == ["/api/tickets"] * 2


def test_where_rejections_are_passed_over_what_follows_a_refused_thread_has_no_ticket_to_go_to() -> None:
    items = threads(1, 502)
    case = play(Case(FakeHelpdesk(tricks=[answers(400)]), items, on_rejection=OnRejection.CONTINUE).run())
    assert case.states() == {State.REJECTED: 500, State.FAILED: 1, State.HELD_BACK: 1}
    assert case.helpdesk.landed == []


@pytest.mark.parametrize("choice", OnRejection)
def test_a_new_ticket_is_not_created_without_one_of_its_messages_whatever_a_rejection_means(
    choice: OnRejection,
) -> None:
    """An earlier run could not upload the file of the second one."""
    items, journal = thread(1, 3), FakeJournal()
    journal.states[items[1].key] = Standing(State.REJECTED, items[1].content, status=413)
    case = play(Case(FakeHelpdesk(), items, journal=journal, on_rejection=choice).run())
    assert case.states() == {State.HELD_BACK: 2, State.REJECTED: 1}
    assert case.helpdesk.calls == []


# -- running again -------------------------------------------------------------------------------------------------


def test_a_newer_export_adds_only_what_is_missing() -> None:
    first = play(Case(FakeHelpdesk(), threads(3, 4)).run())
    grown = [*thread(1, 5), *thread(2, 4), *thread(3, 4), *thread(4, 3)]
    before = len(posts(first.helpdesk))
    again = play(Case(first.helpdesk, grown, journal=first.journal).run())
    again.assert_exactly_once()
    home = next(item.ticket for item in again.helpdesk.landed if item.ticket_external_id == "t-1")
    assert sorted(posts(again.helpdesk)[before:]) == ["/api/tickets", f"/api/tickets/{home}/messages"]
    assert reads(again.helpdesk) == 0


def test_one_message_that_is_there_says_where_its_ticket_is_also_in_a_log_that_noted_no_tickets() -> None:
    items = thread(1, 3)
    journal = FakeJournal()
    journal.states[items[2].key] = Standing(State.CREATED, items[2].content, 1, 70, 5070, external_id="x-102")
    helpdesk = FakeHelpdesk()
    play(Case(helpdesk, items, journal=journal).run())
    assert posts(helpdesk) == ["/api/tickets/5070/messages"] * 2


def test_where_a_person_says_that_one_message_is_there_its_ticket_is_looked_up() -> None:
    items = thread(1, 3)
    helpdesk, journal = FakeHelpdesk(), FakeJournal()
    helpdesk.landed.append(Landed(70, 5070, "x-100", 0.0, "t-1"))
    journal.states[items[0].key] = Standing(State.CREATED, items[0].content, 1, external_id="x-100")
    case = play(Case(helpdesk, items, journal=journal).run())
    assert case.states() == {State.CREATED: 3}
    assert posts(helpdesk) == ["/api/tickets/5070/messages"] * 2


class Dies(Exception):
    """The process ends here."""


@pytest.mark.parametrize("lost", [False, True])
@pytest.mark.parametrize("step", range(8))
def test_a_crash_at_any_step_of_threads_loses_and_doubles_nothing(step: int, lost: bool) -> None:
    """Before and after each write of the log; what was under way has arrived, or has not."""

    class Dying(FakeJournal):
        def _write(self, real: Any, *what: Any) -> None:
            left[0] -= 1
            if left[0] == 0:
                raise Dies
            real(*what)
            left[0] -= 1
            if left[0] == 0:
                raise Dies

        def intents(self, *what: Any) -> None:
            self._write(super().intents, *what)

        def outcomes(self, *what: Any) -> None:
            self._write(super().outcomes, *what)

    left = [step + 1]
    journal, items = Dying(), [*thread(1, 3), *thread(2, 3)]
    helpdesk = FakeHelpdesk(tricks=[drop_before if lost else None])
    with pytest.raises(Dies):
        play(Case(helpdesk, items, journal=journal, concurrency=1, settle=1.0).run())
    left[0] = 10**6
    case = play(Case(helpdesk, items, journal=journal).run())
    case.assert_exactly_once()
    assert len({item.ticket for item in helpdesk.landed}) == 2


@pytest.mark.parametrize("there", range(5))
def test_whatever_part_of_the_outcomes_a_crash_tore_off_the_thread_is_found_and_not_sent_again(there: int) -> None:
    items = thread(1, 4)
    first = play(Case(FakeHelpdesk(), items).run())
    journal = FakeJournal()
    journal.intents([_intent(item) for item in items])
    created = [Outcome(State.CREATED, 1000 + place, 6000, 201) for place in range(there)]
    journal.outcomes([Fate(item.key, 1, item.content, told) for item, told in zip(items, created, strict=False)])
    again = play(Case(first.helpdesk, items, journal=journal).run())
    again.assert_exactly_once()
    assert len(posts(again.helpdesk)) == 1


@pytest.mark.parametrize("written", range(5))
def test_whatever_part_of_the_intents_a_crash_left_the_thread_leaves_once(written: int) -> None:
    items = thread(1, 4)
    journal = FakeJournal()
    journal.intents([_intent(item) for item in items[:written]])
    case = play(Case(FakeHelpdesk(), items, journal=journal).run())
    case.assert_exactly_once()
    assert posts(case.helpdesk) == ["/api/tickets"]


def _intent(item: Message) -> Intent:
    ticket = item.ticket
    assert isinstance(ticket, NewTicket)
    return Intent(item.key, 1, item.kind, item.content, "ab" * 16, None, item.external_id, ticket.external_id)


# -- the tickets' own fields ---------------------------------------------------------------------------------------


def closed_since(**options: Any) -> Case:
    """Three tickets; the first was closed since and has a reply more, the second was re-tagged."""
    first = play(Case(FakeHelpdesk(), [m for n in (1, 2, 3) for m in thread(n, 2, content="a" * 16)]).run())
    items = [*thread(1, 3, content="b" * 16), *thread(2, 2, content="c" * 16), *thread(3, 2, content="a" * 16)]
    return Case(first.helpdesk, items, journal=first.journal, **options)


def test_changed_fields_of_a_ticket_that_is_there_are_left_by_themselves() -> None:
    case = play(closed_since().run())
    case.assert_exactly_once()
    assert case.helpdesk.updates == []


def test_changed_fields_are_sent_once_and_after_the_messages_where_that_is_asked_for() -> None:
    case = play(closed_since(update_tickets=True).run())
    case.assert_exactly_once()
    homes = {item.ticket_external_id: item.ticket for item in case.helpdesk.landed if item.ticket_external_id}
    assert sorted(case.helpdesk.updates) == [
        (homes["t-1"], {"subject": f"subject {'b' * 16}"}),
        (homes["t-2"], {"subject": f"subject {'c' * 16}"}),
    ]
    writes = [(call.method, call.path) for call in case.helpdesk.calls if f"/{homes['t-1']}" in call.path]
    assert [method for method, _ in writes] == ["POST", "PUT"], "a message may reopen what the batch has as closed"
    assert case.engine.updated == 2
    again = play(Case(case.helpdesk, case.messages, journal=case.journal, update_tickets=True).run())
    assert len(again.helpdesk.updates) == 2


@pytest.mark.parametrize("trick", [drop_after, drop_before, answers(500), answers(429, retry_after="1")])
def test_an_update_in_doubt_is_simply_repeated(trick: Any) -> None:
    case = closed_since(update_tickets=True, concurrency=1)
    case.helpdesk.tricks = [None, trick]
    play(case.run())
    case.assert_exactly_once()
    assert {ticket for ticket, _ in case.helpdesk.updates} == {6000, 6002}
    assert case.engine.updated == 2


def test_an_update_that_is_refused_is_told_and_tried_again_by_the_next_run() -> None:
    case = closed_since(update_tickets=True, concurrency=1)
    case.helpdesk.tricks = [None, answers(400, {"error": {"msg": "No for jane@example.com."}})]
    play(case.run())
    assert case.engine.not_updated == [("t-2", 6002, "HTTP 400: No for [address]")]
    again = play(Case(case.helpdesk, case.messages, journal=case.journal, update_tickets=True).run())
    assert {ticket for ticket, _ in again.helpdesk.updates} == {6000, 6002}


def test_fields_that_say_whose_a_ticket_is_and_how_it_came_are_not_sent_again() -> None:
    fields = {
        "customer": {"email": "jane@example.com"},
        "channel": "email",
        "via": "api",
        "from_agent": False,
        "imported": True,
        "created_datetime": "2021-03-01T10:00:00Z",
        "status": "closed",
        "tags": [{"name": "vip"}],
    }
    told = orjson.loads(parcel.update_bytes(NewTicket("t-1", fields, given=True)))
    assert told == {"status": "closed", "tags": [{"name": "vip"}]}


# -- tickets known by their external ids ---------------------------------------------------------------------------


def standing_there(*tickets: int, external_id: str = "old-1") -> FakeHelpdesk:
    helpdesk = FakeHelpdesk()
    helpdesk.landed += [Landed(number, number, f"other-{number}", 0.0, external_id) for number in tickets]
    return helpdesk


def test_a_ticket_known_by_its_external_id_is_looked_up_once_and_never_again() -> None:
    items = [named(number, "old-1") for number in range(3)]
    case = play(Case(standing_there(77), items[:2]).run())
    assert case.states() == {State.CREATED: 2}
    assert posts(case.helpdesk) == ["/api/tickets/77/messages"] * 2
    assert (reads(case.helpdesk), case.journal.tickets) == (1, {"old-1": KnownTicket(77)})
    again = play(Case(case.helpdesk, items, journal=case.journal).run())
    assert again.states() == {State.CREATED: 3}
    assert reads(again.helpdesk) == 1
    (look,) = (call for call in again.helpdesk.calls if call.method == "GET")
    assert dict(look.query)["trashed"] == "false"


@pytest.mark.parametrize(("there", "said"), [((), "no ticket has"), ((77, 78), "77, 78")])
def test_where_there_is_not_just_one_such_ticket_nothing_is_sent(there: tuple[int, ...], said: str) -> None:
    items = [*(named(number, "old-1") for number in range(3)), message(9, 9)]
    case = play(Case(standing_there(*there), items).run())
    assert case.states() == {State.FAILED: 1, State.HELD_BACK: 2, State.CREATED: 1}
    assert said in (case.journal.standing("k-0").error or "")
    records = len(case.journal.records)
    again = play(Case(case.helpdesk, items, journal=case.journal).run())
    assert again.states() == case.states()
    assert len(again.journal.records) == records, "run after run may find the same"


def test_once_the_ticket_is_made_its_messages_go_there() -> None:
    items = [named(number, "old-1") for number in range(2)]
    case = play(Case(FakeHelpdesk(), items).run())
    case.helpdesk.landed.append(Landed(77, 77, "other", 0.0, "old-1"))
    again = play(Case(case.helpdesk, items, journal=case.journal).run())
    assert again.states() == {State.CREATED: 2}


def test_a_message_in_doubt_is_looked_for_in_the_ticket_that_was_looked_up() -> None:
    helpdesk = standing_there(77)
    helpdesk.tricks = [drop_after]
    case = play(Case(helpdesk, [named(number, "old-1") for number in range(2)]).run())
    assert case.states() == {State.CREATED: 2}
    assert case.helpdesk.nothing_twice()


def test_a_lookup_that_fails_sends_nothing() -> None:
    helpdesk = standing_there(77)
    helpdesk.list_tricks = [answers(404)]
    case = play(Case(helpdesk, [named(1, "old-1")]).run())
    assert case.states() == {State.FAILED: 1}
    assert posts(helpdesk) == []


def test_a_merged_ticket_is_told_with_the_id_of_the_one_that_stays() -> None:
    moved = Reply(Contact.ANSWERED, 301, None, False, location="/api/tickets/99/messages")
    helpdesk = standing_there(77)
    helpdesk.tricks = [lambda *args: moved]
    case = play(Case(helpdesk, [named(1, "old-1")]).run())
    assert "99" in (case.journal.standing("k-1").error or "")


def test_how_a_ticket_came_to_be_known_is_noted() -> None:
    case = play(Case(FakeHelpdesk(tricks=[None, drop_after]), threads(2, 2), concurrency=1).run())
    notes = {key: how for kind, key, how in case.journal.records if kind == "ticket"}
    assert notes == {"t-1": Learned.CREATED, "t-2": Learned.FOUND}


def test_only_a_new_ticket_opens_with_many_messages() -> None:
    items = [message(number, 7) for number in range(3)]
    assert [len(each.messages) for each in parcel.parcels(items)] == [1, 1, 1]
    assert all(isinstance(each.ticket, ExistingTicket) and not each.thread for each in parcel.parcels(items))
