"""The engine against a fake helpdesk on a clock that jumps: no network, no waiting."""

from __future__ import annotations

import asyncio
from collections.abc import Callable, Coroutine
from random import Random
from typing import Any

import pytest

from bulkmsg import schema
from bulkmsg.deadline import Deadline
from bulkmsg.delivery import Policy
from bulkmsg.desk import Desk, Halt
from bulkmsg.engine import Engine
from bulkmsg.errors import ExitCode, LogUnusable
from bulkmsg.events import Name
from bulkmsg.message import Kind, Message, Mode
from bulkmsg.outcome import Standing, State, Tally
from bulkmsg.pacing import Pacer
from bulkmsg.ports import Contact, Reply, RetryVerdict, Silence
from bulkmsg.retry import Breaker
from bulkmsg.settings import InDoubt, Rate
from bulkmsg.share import Share
from bulkmsg.stopping import ErrorLimit, ErrorTally, OnRejection
from tests.fakes import (
    FakeHelpdesk,
    FakeJournal,
    Landed,
    answers,
    drop_after,
    drop_before,
    garbage_after,
    message,
    new_ticket,
    random_tricks,
    refuse_connection,
)
from tests.virtual_clock import run_virtual

FAST = Rate(1000, 1.0)


class Case:
    """One run's parts, and what came of it."""

    def __init__(self, helpdesk: FakeHelpdesk, messages: list[Message], **options: Any) -> None:
        self.helpdesk = helpdesk
        self.messages = messages
        self.journal: FakeJournal = options.pop("journal", None) or FakeJournal()
        self.mode: Mode = options.pop("mode", Mode.IMPORT)
        self.policy = Policy(self.mode, options.pop("settle", 5.0), options.pop("in_doubt", None))
        self.rate: Rate = options.pop("rate", FAST)
        self.last: Standing | None = options.pop("last", None)
        self.seed: int = options.pop("seed", 1)
        self.errors: ErrorLimit = options.pop("errors", ErrorLimit())
        self.on_rejection: OnRejection = options.pop("on_rejection", OnRejection.HOLD_TICKET)
        self.retry_rejected: bool = options.pop("retry_rejected", False)
        self.concurrency: int = options.pop("concurrency", 8)
        self.ends: Callable[[float], tuple[Deadline, ...]] = options.pop("ends", lambda now: ())
        self.looked: bool = options.pop("looked", False)
        self.update_tickets: bool = options.pop("update_tickets", False)
        self.share: Share | None = options.pop("share", None)
        self.sink = Silence()
        self.halt: Halt | None = None
        self.seconds = 0.0
        assert not options

    async def run(self) -> Case:
        before = dict(self.journal.states)
        tally = Tally(len(self.messages))
        for item in self.messages:
            state = self.journal.standing(item.key).state
            tally.counts[State.IN_DOUBT if state is State.INTENDED else state] += 1
        self.desk = Desk(self.helpdesk, Pacer(self.rate), Breaker(), self.sink, self.concurrency, share=self.share)
        self.desk.keep(self.ends(asyncio.get_running_loop().time()))
        self.engine = Engine(
            self.desk,
            self.journal,
            self.sink,
            self.policy,
            lambda key: before.get(key, Standing()),
            tally,
            self.last,
            self.retry_rejected,
            Random(self.seed),
            ErrorTally(self.errors, len(self.messages)),
            self.on_rejection,
            self.looked,
            update_tickets=self.update_tickets,
        )
        started = asyncio.get_running_loop().time()
        self.halt = await self.engine.run(iter(self.messages))
        self.seconds = asyncio.get_running_loop().time() - started
        return self

    def states(self) -> dict[State, int]:
        return {state: count for state, count in self.engine.tally.counts.items() if count}

    def assert_exactly_once(self) -> None:
        assert self.helpdesk.nothing_twice()
        assert self.helpdesk.nothing_lost(self.messages)
        assert self.helpdesk.order_kept(self.messages)
        assert self.helpdesk.most_per_ticket <= 1
        assert self.states() == {State.CREATED: len(self.messages)}


def play(coroutine: Coroutine[Any, Any, Case]) -> Case:
    result: Case = run_virtual(coroutine)
    return result


def batch(count: int, tickets: int = 3) -> list[Message]:
    return [message(number, 1 + number % tickets) for number in range(count)]


def test_all_messages_arrive_once_and_in_order() -> None:
    case = play(Case(FakeHelpdesk(), batch(60)).run())
    case.assert_exactly_once()
    assert case.halt is None


def test_lanes_work_side_by_side_and_one_ticket_never_has_two_in_flight() -> None:
    case = play(Case(FakeHelpdesk(latency=1.0), batch(40, tickets=4)).run())
    case.assert_exactly_once()
    assert case.seconds < 0.5 * 40


@pytest.mark.parametrize(
    "trick",
    [
        drop_before,
        drop_after,
        garbage_after,
        refuse_connection,
        answers(500),
        answers(502, apply=True),
        answers(503),
        answers(408),
        answers(409),
        answers(429, retry_after="2"),
        answers(307, {}),
        answers(200, {"data": []}),
        answers(201, {}),
        answers(201, [], apply=True),
        answers(201, {"id": "17"}, apply=True),
    ],
)
@pytest.mark.parametrize("lag", [0.0, 4.0])
def test_no_single_trouble_loses_or_doubles_a_message(trick: Any, lag: float) -> None:
    case = play(Case(FakeHelpdesk(lag=lag, tricks=[None, trick, trick]), batch(9)).run())
    case.assert_exactly_once()


@pytest.mark.parametrize("seed", range(12))
def test_heavy_trouble_of_every_kind_loses_and_doubles_nothing(seed: int) -> None:
    helpdesk = FakeHelpdesk(lag=3.0, random_trick=random_tricks(seed), page=7)
    case = play(Case(helpdesk, batch(80, tickets=5), seed=seed).run())
    case.assert_exactly_once()


def test_new_tickets_in_doubt_are_found_by_their_external_id() -> None:
    messages = [new_ticket(number) for number in range(6)]
    case = play(Case(FakeHelpdesk(lag=2.0, tricks=[drop_after, None, drop_before]), messages).run())
    case.assert_exactly_once()


def test_the_intent_is_written_before_its_post_leaves() -> None:
    helpdesk, journal = FakeHelpdesk(), FakeJournal()
    seen: list[bool] = []
    original = helpdesk.call

    async def call(request: Any) -> Any:
        if request.method == "POST":
            seen.append(any(f'"x-{key[2:]}"'.encode() in request.body for kind, key, _ in journal.records))
        return await original(request)

    helpdesk.call = call  # type: ignore[method-assign]
    play(Case(helpdesk, batch(5), journal=journal).run())
    assert seen == [True] * 5


def test_a_rejected_message_holds_back_the_rest_of_its_ticket_only() -> None:
    case = play(Case(FakeHelpdesk(tricks=[answers(400)]), batch(6, tickets=2)).run())
    assert case.states() == {State.REJECTED: 1, State.HELD_BACK: 2, State.CREATED: 3}


def test_a_rejected_message_that_was_not_changed_is_left_and_holds_back_again() -> None:
    first = play(Case(FakeHelpdesk(tricks=[answers(400)]), batch(4, tickets=2)).run())
    again = play(Case(FakeHelpdesk(), first.messages, journal=first.journal).run())
    assert again.helpdesk.landed == []
    assert again.states() == {State.REJECTED: 1, State.HELD_BACK: 1, State.CREATED: 2}


def test_a_mended_rejection_is_sent_and_frees_what_it_held_back() -> None:
    first = play(Case(FakeHelpdesk(tricks=[answers(400)]), batch(4, tickets=2)).run())
    mended = [message(0, 1, body_text="mended"), *first.messages[1:]]
    again = play(Case(first.helpdesk, mended, journal=first.journal).run())
    again.assert_exactly_once()


def test_in_send_mode_a_public_message_in_doubt_that_is_not_found_stays_in_doubt() -> None:
    item = message(1, kind=Kind.OUTGOING, sent_datetime=None)
    case = play(Case(FakeHelpdesk(tricks=[drop_before]), [item], mode=Mode.SEND).run())
    assert case.states() == {State.IN_DOUBT: 1}
    assert case.helpdesk.landed == []


def test_in_send_mode_a_message_that_is_found_counts_as_created() -> None:
    item = message(1, kind=Kind.OUTGOING, sent_datetime=None)
    case = play(Case(FakeHelpdesk(tricks=[drop_after], lag=3.0), [item], mode=Mode.SEND).run())
    case.assert_exactly_once()


def test_the_user_may_say_that_absent_messages_are_sent_again() -> None:
    item = message(1, kind=Kind.OUTGOING, sent_datetime=None)
    options: dict[str, Any] = {"mode": Mode.SEND, "in_doubt": InDoubt.RESEND}
    play(Case(FakeHelpdesk(tricks=[drop_before]), [item], **options).run()).assert_exactly_once()


def test_an_intent_left_by_a_killed_run_is_looked_up_before_anything_is_sent() -> None:
    journal = FakeJournal()
    item = message(1)
    journal.states[item.key] = Standing(State.INTENDED, item.content, 1, external_id="x-1")
    helpdesk = FakeHelpdesk()
    helpdesk.landed.append(_landed(item))
    case = play(Case(helpdesk, [item], journal=journal).run())
    case.assert_exactly_once()
    assert all(call.method == "GET" for call in helpdesk.calls)


def test_a_message_in_doubt_that_is_absent_does_not_overtake_one_that_did_not_arrive() -> None:
    messages = [message(1), message(2)]
    journal = FakeJournal(states={"k-2": Standing(State.INTENDED, messages[1].content, 1)})
    case = play(Case(FakeHelpdesk(tricks=[answers(400)]), messages, journal=journal).run())
    assert case.states() == {State.REJECTED: 1, State.HELD_BACK: 1}
    assert not case.helpdesk.landed
    assert journal.records[-2:] == [("retry", "k-2", RetryVerdict.ABSENT), ("outcome", "k-2", State.HELD_BACK)]


def test_an_edited_message_that_is_found_is_recorded_with_the_content_that_was_sent() -> None:
    sent, edited = message(1), message(1, body_text="another")
    journal = FakeJournal(states={"k-1": Standing(State.INTENDED, sent.content, 1)})
    helpdesk = FakeHelpdesk(landed=[Landed(900, 1, "x-1", 0.0)])
    play(Case(helpdesk, [edited], journal=journal).run())
    assert journal.standing("k-1") == Standing(State.CREATED, sent.content, 1, 900, 1)


def test_an_edited_message_that_is_absent_is_recorded_with_the_content_that_is_sent_now() -> None:
    sent, edited = message(1), message(1, body_text="another")
    journal = FakeJournal(states={"k-1": Standing(State.INTENDED, sent.content, 1)})
    play(Case(FakeHelpdesk(), [edited], journal=journal).run())
    assert journal.standing("k-1").content == edited.content
    assert journal.standing("k-1").attempt == 2


def test_an_unreadable_listing_leaves_the_message_in_doubt() -> None:
    trouble = [answers(500)] * 40
    case = play(Case(FakeHelpdesk(tricks=[drop_after], list_tricks=[*trouble]), batch(1)).run())
    assert case.states() == {State.IN_DOUBT: 1}
    assert case.helpdesk.nothing_twice()


def test_a_listing_that_loops_is_not_read_as_absence() -> None:
    loop = answers(200, {"data": [{"id": 1, "external_id": "other"}], "meta": {"next_cursor": "same"}})
    case = play(Case(FakeHelpdesk(tricks=[drop_after], list_tricks=[loop] * 9), batch(1)).run())
    assert case.states() == {State.IN_DOUBT: 1}


def test_a_ticket_that_answers_under_another_id_proves_no_absence() -> None:
    empty, merged = answers(200, {"data": [], "meta": {}}), answers(301, {}, location="/api/tickets/9")
    case = play(Case(FakeHelpdesk(tricks=[drop_after], list_tricks=[empty, merged] * 4), batch(1)).run())
    assert case.states() == {State.IN_DOUBT: 1}


def test_when_external_ids_are_stripped_nothing_in_doubt_is_sent_again() -> None:
    helpdesk = FakeHelpdesk(strip=True, tricks=[None, drop_after])
    case = play(Case(helpdesk, batch(2, tickets=1)).run())
    assert case.states() == {State.CREATED: 1, State.IN_DOUBT: 1}
    assert len(helpdesk.landed) == 2


def test_absence_is_believed_only_if_an_earlier_success_can_still_be_found() -> None:
    vanished = Standing(State.CREATED, "c", 1, 77, 1, external_id="x-gone")
    case = play(Case(FakeHelpdesk(tricks=[drop_before]), batch(1), last=vanished).run())
    assert case.states() == {State.IN_DOUBT: 1}


@pytest.mark.parametrize("status", [401, 403])
def test_refused_credentials_stop_the_run_and_reject_nothing(status: int) -> None:
    case = play(Case(FakeHelpdesk(tricks=[None, answers(status)] + [answers(status)] * 20), batch(30)).run())
    assert case.halt is not None
    assert case.halt.code is ExitCode.REFUSED
    assert set(case.states()) <= {State.CREATED, State.PENDING}
    again = play(Case(case.helpdesk, case.messages, journal=case.journal).run())
    again.helpdesk.tricks.clear()
    final = play(Case(case.helpdesk, case.messages, journal=again.journal).run())
    assert final.helpdesk.nothing_twice()
    assert final.helpdesk.nothing_lost(case.messages)


def test_a_log_that_cannot_be_written_stops_before_the_request() -> None:
    journal = FakeJournal(broken=LogUnusable("no space left", "make room"))
    case = play(Case(FakeHelpdesk(), batch(5), journal=journal).run())
    assert case.halt is not None
    assert case.halt.code is ExitCode.LOG
    assert case.helpdesk.landed == []


def test_a_public_message_without_sent_datetime_never_leaves_in_import_mode() -> None:
    helpdesk = FakeHelpdesk()
    with pytest.raises(AssertionError, match="not allowed in import mode"):
        play(Case(helpdesk, [message(1, sent_datetime=None)]).run())
    assert helpdesk.calls == []


def test_an_outgoing_message_with_sent_datetime_never_leaves_in_send_mode() -> None:
    helpdesk = FakeHelpdesk()
    with pytest.raises(AssertionError, match="not allowed in send mode"):
        play(Case(helpdesk, [message(1, kind=Kind.OUTGOING)], mode=Mode.SEND).run())
    assert helpdesk.calls == []


def test_stopping_lets_nothing_new_start_and_records_what_is_in_flight() -> None:
    helpdesk = FakeHelpdesk(latency=2.0)

    async def interrupted() -> Case:
        case = Case(helpdesk, batch(50, tickets=5))
        running = asyncio.create_task(case.run())
        await asyncio.sleep(5.0)
        case.desk.stop(Halt(ExitCode.SIGINT, "stopped"))
        return await running

    case = play(interrupted())
    assert case.halt is not None
    created = len(helpdesk.landed)
    assert 0 < created < 50
    assert case.states() == {State.CREATED: created, State.PENDING: 50 - created}


def test_giving_up_records_what_is_in_flight_as_in_doubt() -> None:
    helpdesk = FakeHelpdesk(latency=100.0)

    async def aborted() -> Case:
        case = Case(helpdesk, batch(3))
        running = asyncio.create_task(case.run())
        await asyncio.sleep(150.0)
        case.desk.stop(Halt(ExitCode.SIGINT, "stopped"))
        case.engine.abandon()
        return await running

    case = play(aborted())
    assert case.states()[State.IN_DOUBT] >= 1
    assert case.seconds < 152.0


def test_a_silent_helpdesk_ends_the_run_after_half_an_hour_and_fails_nothing() -> None:
    helpdesk = FakeHelpdesk(random_trick=lambda: refuse_connection)
    case = play(Case(helpdesk, batch(20)).run())
    assert case.halt is not None
    assert case.halt.code is ExitCode.STOPPED
    assert case.states() == {State.PENDING: 20}
    assert 1800 < case.seconds < 2400
    assert len(helpdesk.calls) < 100


def test_ten_minutes_without_a_network_are_sat_out() -> None:
    helpdesk = FakeHelpdesk()

    async def outage() -> Case:
        loop = asyncio.get_running_loop()
        back = loop.time() + 600
        helpdesk.random_trick = lambda: refuse_connection if loop.time() < back else None
        return await Case(helpdesk, batch(20)).run()

    play(outage()).assert_exactly_once()


def test_the_pace_is_kept() -> None:
    case = play(Case(FakeHelpdesk(latency=0.2), batch(100, tickets=20), rate=Rate(40, 20.0)).run())
    case.assert_exactly_once()
    assert 30.0 <= case.seconds <= 34.0
    assert str(case.desk.pacer.rate) == "40/20s"


def test_a_429_pauses_every_lane() -> None:
    helpdesk = FakeHelpdesk(tricks=[None, answers(429, retry_after="50")])
    case = play(Case(helpdesk, batch(8)).run())
    case.assert_exactly_once()
    assert case.seconds > 50.0
    assert case.desk.throttled == 1


def test_a_long_batch_is_read_ahead_only_as_far_as_needed() -> None:
    pulled = 0

    def source() -> Any:
        nonlocal pulled
        for number in range(5000):
            pulled += 1
            yield message(number, 1 + number)

    async def peek() -> int:
        case = Case(FakeHelpdesk(latency=1.0), [])
        await case.run()
        running = asyncio.create_task(case.engine.run(source()))
        await asyncio.sleep(3.0)
        seen = pulled
        case.desk.stop(Halt(ExitCode.SIGINT, "enough"))
        await running
        return seen

    seen: int = run_virtual(peek())
    assert seen < 200


def test_events_tell_of_each_message_without_bodies() -> None:
    case = play(Case(FakeHelpdesk(), batch(3)).run())
    settled = [event for event in case.sink.events if event.name is Name.MESSAGE_SETTLED]
    assert len(settled) == 3
    assert "text" not in repr(case.sink.events)


def test_every_event_keeps_to_its_schema() -> None:
    helpdesk = FakeHelpdesk(random_trick=random_tricks(3))
    case = play(Case(helpdesk, batch(30)).run())
    assert {event.name for event in case.sink.events} >= {Name.LOOKUP_FINISHED, Name.THROTTLED, Name.WAITING}
    checker = schema.checker("event")
    for event in case.sink.events:
        line = event.as_json("0123456789abcdef", "2026-11-22T10:00:00.000Z")
        assert checker.violations(line) == []


def _landed(item: Message) -> Any:
    from tests.fakes import Landed

    return Landed(1, 1, item.external_id, 0.0)


def test_stopping_while_a_message_in_doubt_waits_records_it_as_in_doubt() -> None:
    helpdesk = FakeHelpdesk(tricks=[drop_after])

    async def interrupted() -> Case:
        case = Case(helpdesk, batch(1), settle=60.0)
        running = asyncio.create_task(case.run())
        await asyncio.sleep(5.0)
        case.desk.stop(Halt(ExitCode.SIGINT, "stopped"))
        return await running

    case = play(interrupted())
    assert case.states() == {State.IN_DOUBT: 1}
    assert case.journal.standing("k-0").state is State.IN_DOUBT


def test_an_outcome_that_cannot_be_recorded_counts_as_in_doubt() -> None:
    class Full(FakeJournal):
        def outcomes(self, *args: Any) -> None:
            raise LogUnusable("no space left", "make room")

    case = play(Case(FakeHelpdesk(), batch(4, tickets=1), journal=Full()).run())
    assert case.halt is not None
    assert case.halt.code is ExitCode.LOG
    assert case.states() == {State.IN_DOUBT: 1, State.PENDING: 3}


@pytest.mark.parametrize("before", [State.IN_DOUBT, State.HELD_BACK, State.REJECTED])
def test_a_message_that_was_tried_again_and_did_not_leave_is_counted_as_pending(before: State) -> None:
    """As the log has it, whatever it was when the run began."""
    item = message(1)
    journal = FakeJournal()
    journal.states[item.key] = Standing(before, "0" * 16 if before is State.REJECTED else item.content, 1)
    refusing = FakeHelpdesk(tricks=[answers(403)] * 9)
    case = play(Case(refusing, [item], journal=journal).run())
    assert case.states() == {State.PENDING: 1}
    assert journal.standing(item.key).state is State.PENDING


def test_a_retry_that_cannot_be_recorded_counts_as_in_doubt() -> None:
    class Full(FakeJournal):
        def retries(self, *args: Any) -> None:
            raise LogUnusable("no space left", "make room")

    helpdesk = FakeHelpdesk(tricks=[answers(429, retry_after="1")])
    case = play(Case(helpdesk, batch(1), journal=Full()).run())
    assert case.states() == {State.IN_DOUBT: 1}


def test_the_limit_is_read_from_an_answer_that_was_cut_as_well() -> None:
    def cut(*args: Any) -> Reply:
        return Reply(Contact.LOST, 201, used=3, limit=10, reason="the answer was cut off")

    case = play(Case(FakeHelpdesk(tricks=[cut]), batch(1), rate=Rate(40, 20.0)).run())
    assert case.desk.pacer.rate.limit == 10


# -- what was looked for before, and what looking cannot settle ------------------------------------------------------


def doubtful(hold: bool = False) -> FakeJournal:
    """A journal in which the first message is in doubt."""
    first = message(0)
    standing = Standing(State.IN_DOUBT, first.content, 1, error="lost", external_id=first.external_id, hold=hold)
    return FakeJournal(states={first.key: standing})


def test_what_was_looked_for_right_before_is_left_and_holds_its_ticket_back() -> None:
    case = Case(FakeHelpdesk(), batch(4, tickets=2), journal=doubtful(), looked=True)
    play(case.run())
    assert case.states() == {State.IN_DOUBT: 1, State.HELD_BACK: 1, State.CREATED: 2}
    assert not [call for call in case.helpdesk.calls if call.method == "GET"]


def test_a_message_of_which_looking_proves_nothing_is_not_sent_again_in_any_mode() -> None:
    case = play(Case(FakeHelpdesk(), batch(1), journal=doubtful(hold=True), in_doubt=InDoubt.RESEND).run())
    assert case.states() == {State.IN_DOUBT: 1}
    assert case.helpdesk.landed == []
    assert case.journal.held == {"k-0"}


def test_a_message_of_which_looking_proves_nothing_is_created_once_it_is_found() -> None:
    helpdesk = FakeHelpdesk()
    helpdesk.landed.append(Landed(900, 1, "x-0", 0.0))
    case = play(Case(helpdesk, batch(1), journal=doubtful(hold=True)).run())
    assert case.states() == {State.CREATED: 1}


def test_each_look_says_why_it_is_in_doubt_once() -> None:
    journal = doubtful()
    for _ in range(2):
        play(Case(FakeHelpdesk(), batch(1), journal=journal, in_doubt=InDoubt.HOLD).run())
    assert journal.standing("k-0").error == "lost; not found in the helpdesk"
