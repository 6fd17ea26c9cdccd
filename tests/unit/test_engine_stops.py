"""The engine obeys the rules by which a run stops early, on a clock that jumps."""

from __future__ import annotations

import asyncio
from collections.abc import Iterator
from datetime import UTC, datetime, timedelta
from typing import Any

import pytest

from bulkmsg.deadline import Deadline
from bulkmsg.desk import GO_ON, Desk, Halt, Stopped
from bulkmsg.errors import ExitCode
from bulkmsg.message import Message
from bulkmsg.outcome import Standing, State
from bulkmsg.pacing import Pacer
from bulkmsg.ports import Reply, Request, Silence
from bulkmsg.retry import Breaker
from bulkmsg.settings import Rate
from bulkmsg.stopping import USUAL_ERRORS, ErrorLimit, OnRejection
from tests.fakes import (
    FakeHelpdesk,
    FakeJournal,
    answers,
    drop_after,
    drop_before,
    message,
    refuse_connection,
)
from tests.unit.test_engine import FAST, Case, batch, play
from tests.virtual_clock import run_virtual

MISSING = answers(404, {"error": {"msg": "Resource not found."}})


class Watched(FakeHelpdesk):
    """Also knows when each request started and ended, on the loop's clock."""

    def __init__(self, **options: Any) -> None:
        super().__init__(**options)
        self.starts: list[float] = []
        self.ends: list[float] = []

    async def call(self, request: Request) -> Reply:
        loop = asyncio.get_running_loop()
        self.starts.append(loop.time())
        try:
            return await super().call(request)
        finally:
            self.ends.append(loop.time())


def after(seconds: float) -> Any:
    return lambda began: (Deadline(began + seconds, "time is over"),)


def each_its_ticket(count: int) -> list[Message]:
    return batch(count, tickets=count)


# -- errors ----------------------------------------------------------------------------------------------------------


def test_a_batch_for_another_account_ends_after_a_few_refusals() -> None:
    case = play(Case(FakeHelpdesk(random_trick=lambda: MISSING), each_its_ticket(500), errors=USUAL_ERRORS).run())
    assert case.halt is not None
    assert (case.halt.code, case.halt.mend) == (ExitCode.STOPPED, True)
    rejected = case.states()[State.REJECTED]
    assert 26 <= rejected <= 26 + 7, "the one too many, and what was in flight with it"
    assert case.states() == {State.REJECTED: rejected, State.PENDING: 500 - rejected}
    assert f"{rejected} of the {rejected} messages worked on were rejected or failed" in case.halt.reason
    assert "HTTP 404: Resource not found." in case.halt.reason


@pytest.mark.parametrize("bears", [0, 1, 7])
def test_with_one_request_at_a_time_not_one_more_is_rejected_than_ends_the_run(bears: int) -> None:
    helpdesk = FakeHelpdesk(random_trick=lambda: MISSING)
    case = play(Case(helpdesk, each_its_ticket(50), errors=ErrorLimit(bears), concurrency=1).run())
    assert case.states()[State.REJECTED] == bears + 1
    assert len(helpdesk.calls) == bears + 1


def test_a_run_within_its_limit_goes_to_its_end() -> None:
    helpdesk = FakeHelpdesk(tricks=[MISSING, None, MISSING])
    case = play(Case(helpdesk, each_its_ticket(40), errors=ErrorLimit(2)).run())
    assert case.halt is None
    assert case.states() == {State.REJECTED: 2, State.CREATED: 38}


def test_the_next_run_does_not_count_what_was_rejected_before() -> None:
    messages = each_its_ticket(30)
    first = play(Case(FakeHelpdesk(random_trick=lambda: MISSING), messages, errors=ErrorLimit(5)).run())
    again = play(Case(FakeHelpdesk(), messages, journal=first.journal, errors=ErrorLimit(0)).run())
    assert again.halt is None
    assert again.states() == {
        State.REJECTED: first.states()[State.REJECTED],
        State.CREATED: first.states()[State.PENDING],
    }


def test_what_is_in_flight_when_there_are_too_many_errors_is_recorded() -> None:
    helpdesk = FakeHelpdesk(latency=1.0, tricks=[None, MISSING])
    case = play(Case(helpdesk, each_its_ticket(60), errors=ErrorLimit(0)).run())
    created = case.states()[State.CREATED]
    assert created == len(helpdesk.landed) > 0
    assert case.journal.records.count(("outcome", "k-1", State.REJECTED)) == 1
    assert case.states() == {State.REJECTED: 1, State.CREATED: created, State.PENDING: 59 - created}


# -- rejections ------------------------------------------------------------------------------------------------------


def test_the_rest_of_a_ticket_goes_on_without_the_rejected_message_if_asked_to() -> None:
    case = play(Case(FakeHelpdesk(tricks=[MISSING]), batch(6, 2), on_rejection=OnRejection.CONTINUE).run())
    assert case.halt is None
    assert case.states() == {State.REJECTED: 1, State.CREATED: 5}
    assert case.helpdesk.order_kept(case.messages)


def test_held_back_messages_are_sent_by_a_run_that_goes_on_without_the_rejected_one() -> None:
    messages = batch(6, 2)
    first = play(Case(FakeHelpdesk(tricks=[MISSING]), messages).run())
    assert first.states()[State.HELD_BACK] == 2
    held = play(Case(first.helpdesk, messages, journal=first.journal).run())
    assert held.states()[State.HELD_BACK] == 2
    again = play(Case(first.helpdesk, messages, journal=held.journal, on_rejection=OnRejection.CONTINUE).run())
    assert again.states() == {State.REJECTED: 1, State.CREATED: 5}
    assert again.helpdesk.nothing_twice()
    assert again.helpdesk.order_kept(messages)


def test_a_message_in_doubt_holds_its_ticket_back_under_every_choice() -> None:
    for choice in OnRejection:
        unreadable = [answers(500)] * 40
        helpdesk = FakeHelpdesk(tricks=[drop_after], list_tricks=[*unreadable])
        case = play(Case(helpdesk, batch(3, 1), on_rejection=choice).run())
        assert case.states() == {State.IN_DOUBT: 1, State.HELD_BACK: 2}, choice


def test_the_first_rejection_ends_the_run_if_asked_to() -> None:
    tricks = [None, None, MISSING]
    case = play(Case(FakeHelpdesk(tricks=[*tricks]), batch(20, 4), on_rejection=OnRejection.STOP, concurrency=1).run())
    assert case.halt is not None
    assert (case.halt.code, case.halt.mend) == (ExitCode.STOPPED, True)
    assert "--on-rejection says stop: HTTP 404: Resource not found." in case.halt.reason
    assert case.states() == {State.CREATED: 2, State.REJECTED: 1, State.PENDING: 17}


def test_an_old_rejection_does_not_end_the_next_run_but_holds_its_ticket_back() -> None:
    messages = batch(6, 2)
    first = play(Case(FakeHelpdesk(tricks=[MISSING]), messages, on_rejection=OnRejection.STOP, concurrency=1).run())
    again = play(Case(first.helpdesk, messages, journal=first.journal, on_rejection=OnRejection.STOP).run())
    assert again.halt is None
    assert again.states() == {State.REJECTED: 1, State.HELD_BACK: 2, State.CREATED: 3}


# -- time ------------------------------------------------------------------------------------------------------------


def test_nothing_starts_after_the_deadline_and_what_is_in_flight_is_recorded() -> None:
    helpdesk = Watched(latency=3.0)
    case = play(Case(helpdesk, batch(2000, 50), rate=Rate(5, 1.0), ends=after(60.0)).run())
    assert case.halt is not None
    assert (case.halt.code, case.halt.reason, case.halt.mend) == (ExitCode.STOPPED, "time is over", False)
    assert max(helpdesk.starts) < 1000.0 + 60.0 < max(helpdesk.ends)
    assert 60.0 < case.seconds <= 63.0
    created = len(helpdesk.landed)
    assert case.states() == {State.CREATED: created, State.PENDING: 2000 - created}


def test_no_wait_goes_beyond_the_deadline() -> None:
    helpdesk = Watched(tricks=[None, answers(429, retry_after="290")])
    case = play(Case(helpdesk, batch(50, 5), ends=after(30.0)).run())
    assert case.seconds == pytest.approx(30.0)
    assert case.states()[State.PENDING] > 0


def test_no_look_up_starts_after_the_deadline_and_what_is_in_doubt_stays_so() -> None:
    helpdesk = Watched(tricks=[drop_after])
    case = play(Case(helpdesk, batch(1), settle=60.0, ends=after(20.0)).run())
    assert case.seconds == pytest.approx(20.0)
    assert [request.method for request in helpdesk.calls] == ["POST"]
    assert case.states() == {State.IN_DOUBT: 1}
    again = play(Case(helpdesk, case.messages, journal=case.journal).run())
    again.assert_exactly_once()


def test_an_outage_is_not_waited_out_beyond_the_deadline() -> None:
    helpdesk = Watched(random_trick=lambda: refuse_connection)
    case = play(Case(helpdesk, batch(20), ends=after(600.0)).run())
    assert case.seconds == pytest.approx(600.0)
    assert case.states() == {State.PENDING: 20}


def test_a_run_that_is_done_when_its_time_comes_is_done() -> None:
    helpdesk = Watched(latency=10.0)
    case = play(Case(helpdesk, each_its_ticket(3), ends=after(15.0)).run())
    assert case.seconds == pytest.approx(20.0)
    assert case.halt is None
    case.assert_exactly_once()


def test_a_run_whose_time_is_over_before_it_begins_starts_nothing() -> None:
    helpdesk = Watched()
    case = play(Case(helpdesk, batch(5), ends=after(-1.0)).run())
    assert case.halt is not None
    assert case.halt.code is ExitCode.STOPPED
    assert helpdesk.calls == []
    assert case.states() == {State.PENDING: 5}


def test_the_earlier_of_two_deadlines_ends_the_run() -> None:
    def both(began: float) -> tuple[Deadline, ...]:
        return Deadline(began + 90.0, "the later"), Deadline(began + 30.0, "the earlier")

    case = play(Case(Watched(), batch(500, 50), rate=Rate(2, 1.0), ends=both).run())
    assert case.halt is not None
    assert case.halt.reason == "the earlier"
    assert case.seconds < 31.0


def test_a_late_timer_lets_nothing_start() -> None:
    """The loop was busy, or the machine asleep, when the time came: the next request looks at the clocks itself."""
    wall = datetime(2026, 11, 22, 17, 0, tzinfo=UTC)
    slept = timedelta(0)

    async def asleep() -> tuple[FakeHelpdesk, Desk, float]:
        nonlocal slept
        helpdesk = Watched()
        desk = Desk(helpdesk, Pacer(FAST), Breaker(), Silence(), now_utc=lambda: wall + slept)
        loop = asyncio.get_running_loop()
        desk.keep((Deadline(loop.time() + 3600.0, "--stop-at 18:00 has come", wall + timedelta(hours=1)),))
        await desk.call(Request("GET", "/api/messages", (("ticket_id", "1"),)))
        slept = timedelta(hours=8)
        with pytest.raises(Stopped):
            await desk.call(Request("GET", "/api/messages", (("ticket_id", "1"),)))
        return helpdesk, desk, loop.time()

    helpdesk, desk, now = run_virtual(asleep())
    assert len(helpdesk.calls) == 1
    assert desk.halt == Halt(ExitCode.STOPPED, "--stop-at 18:00 has come", GO_ON, done_is_done=True)
    assert now < 1010.0


def test_whoever_shows_the_run_is_told_that_it_waits_for_the_last_answers_only() -> None:
    async def watched() -> tuple[Any, Any]:
        case = Case(Watched(latency=8.0), batch(500, 50), rate=Rate(2, 1.0), ends=after(60.0))
        running = asyncio.create_task(case.run())
        await asyncio.sleep(55.0)
        before = case.engine.view()
        await asyncio.sleep(7.0)
        stopping = case.engine.view()
        await running
        return before, stopping

    before, stopping = run_virtual(watched())
    assert before.remaining is not None
    assert (stopping.waiting, stopping.remaining) == ("for the requests in flight, then it stops", None)


# -- stopping at once ------------------------------------------------------------------------------------------------


def stopped_after(seconds: float, case: Case) -> Case:
    """The case, with the first signal after so long."""

    async def interrupted() -> Case:
        running = asyncio.create_task(case.run())
        await asyncio.sleep(seconds)
        case.desk.stop(Halt(ExitCode.SIGTERM, "stopped by SIGTERM"))
        return await running

    return play(interrupted())


def test_an_outage_is_left_at_once() -> None:
    case = stopped_after(700.0, Case(FakeHelpdesk(random_trick=lambda: refuse_connection), batch(20)))
    assert 700.0 <= case.seconds < 702.0
    assert case.states() == {State.PENDING: 20}


def test_the_pause_that_the_helpdesk_asked_for_is_left_at_once() -> None:
    case = stopped_after(10.0, Case(FakeHelpdesk(tricks=[answers(429, retry_after="300")]), batch(20)))
    assert 10.0 <= case.seconds < 12.0


def test_a_long_ticket_whose_request_hangs_is_waited_for_no_longer_than_others() -> None:
    """With more messages read ahead than fit, the reading waits for room; a signal must wake it as well."""
    case = stopped_after(5.0, Case(FakeHelpdesk(latency=1000.0), batch(1500, tickets=1)))
    assert case.seconds <= 5.0 + 31.0
    assert case.states() == {State.IN_DOUBT: 1, State.PENDING: 1499}


def test_many_messages_that_are_there_already_do_not_make_a_run_deaf() -> None:
    known = FakeJournal()
    created = [message(number) for number in range(3000)]
    for item in created:
        known.states[item.key] = Standing(State.CREATED, item.content, 1, 1, 1)
    read = 0

    def counted() -> Iterator[Message]:
        nonlocal read
        for item in [*created, *each_its_ticket(5)]:
            read += 1
            yield item

    async def interrupted() -> Halt | None:
        case = Case(FakeHelpdesk(), created, journal=known)
        await case.run()
        asyncio.get_running_loop().call_soon(case.desk.stop, Halt(ExitCode.SIGINT, "stopped by SIGINT"))
        return await case.engine.run(counted())

    halt: Halt | None = run_virtual(interrupted())
    assert halt is not None
    assert halt.code is ExitCode.SIGINT
    assert read < 300


def test_a_lost_request_in_an_outage_that_lasts_stays_in_doubt_and_the_next_run_settles_it() -> None:
    helpdesk = FakeHelpdesk()
    gone = False

    def first_lost_then_gone() -> Any:
        nonlocal gone
        if gone:
            return refuse_connection
        gone = True
        return drop_before

    helpdesk.random_trick = first_lost_then_gone
    helpdesk.list_tricks = [refuse_connection] * 500
    case = play(Case(helpdesk, each_its_ticket(10)).run())
    assert case.halt is not None
    assert case.halt.code is ExitCode.STOPPED
    assert case.states() == {State.IN_DOUBT: 1, State.PENDING: 9}
    assert case.seconds < 2700.0
    helpdesk.random_trick = lambda: None
    helpdesk.list_tricks.clear()
    play(Case(helpdesk, case.messages, journal=case.journal).run()).assert_exactly_once()
