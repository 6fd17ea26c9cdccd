"""The desk in an outage, on a clock that jumps: what goes ahead, what is kept back, and how it is left."""

from __future__ import annotations

import asyncio
from collections.abc import Callable
from dataclasses import dataclass, field
from itertools import pairwise

import pytest

from bulkmsg.desk import Desk, Halt, Stopped
from bulkmsg.errors import ExitCode
from bulkmsg.pacing import Pacer
from bulkmsg.ports import Contact, Reply, Request, Silence
from bulkmsg.retry import Breaker
from bulkmsg.settings import Rate
from tests.virtual_clock import run_virtual

POST = Request("POST", "/api/tickets/1/messages", body=b"{}")
FINE = Reply(Contact.ANSWERED, 200, {}, True)
BUSY = Reply(Contact.ANSWERED, 503)
SILENT = Reply(Contact.LOST, reason="no answer in time")


@dataclass
class Troubled:
    """A helpdesk that answers as it is told, and keeps when it was asked what."""

    answer: Callable[[str, float], Reply]
    asked: list[tuple[float, str]] = field(default_factory=list)
    latency: float = 0.1

    async def call(self, request: Request) -> Reply:
        began = asyncio.get_running_loop().time()
        self.asked.append((began, request.method))
        await asyncio.sleep(self.latency)
        return self.answer(request.method, began)

    def times(self, method: str) -> list[float]:
        return [at for at, how in self.asked if how == method]


def desk_at(helpdesk: Troubled) -> Desk:
    return Desk(helpdesk, Pacer(Rate(1000, 1.0)), Breaker(), Silence())


async def persist(desk: Desk, posts: int, before: Callable[[], None] = lambda: None) -> int:
    """Post again and again until so many were answered well, or the run stops; how many were."""
    done = 0
    try:
        while done < posts:
            reply = await desk.call(POST, before)
            done += reply.status == 200
    except Stopped:
        pass
    return done


def test_in_an_outage_small_questions_go_ahead_and_nothing_that_creates_is_risked() -> None:
    async def go() -> Troubled:
        start = asyncio.get_running_loop().time()
        helpdesk = Troubled(lambda method, at: SILENT if at < start + 300 else FINE)
        assert await persist(desk_at(helpdesk), 20) == 20
        helpdesk.asked = [(at - start, method) for at, method in helpdesk.asked]
        return helpdesk

    helpdesk = run_virtual(go())
    assert len([at for at in helpdesk.times("POST") if at < 300]) == 6, "as many as make an outage"
    questions = helpdesk.times("GET")
    assert 5 <= len(questions) <= 15
    assert [at for at in questions if at >= 300] == questions[-1:], "one answer is enough"


def test_where_questions_are_answered_and_nothing_is_created_each_answer_lets_one_request_through() -> None:
    async def go() -> tuple[Troubled, Desk]:
        helpdesk = Troubled(lambda method, at: FINE if method == "GET" else BUSY)
        desk = desk_at(helpdesk)
        await persist(desk, 1)
        return helpdesk, desk

    helpdesk, desk = run_virtual(go())
    posts, questions = helpdesk.times("POST"), helpdesk.times("GET")
    assert len(posts) == len(questions) + 6
    gaps = [round(later - sooner, 3) for sooner, later in pairwise(posts[5:])]
    assert gaps == sorted(gaps)
    assert max(gaps) > 55, "ever more rarely"
    assert desk.halt is not None
    assert desk.halt.code is ExitCode.STOPPED, "and not for ever"


def test_a_run_that_stops_does_not_wait_for_a_question_nor_record_anything() -> None:
    async def go() -> None:
        loop = asyncio.get_running_loop()
        helpdesk = Troubled(lambda method, at: SILENT)
        desk, recorded = desk_at(helpdesk), list[float]()
        task = asyncio.create_task(persist(desk, 1, lambda: recorded.append(loop.time())))
        while not helpdesk.times("GET"):
            await asyncio.sleep(0.01)
            helpdesk.latency = 0.1 if len(helpdesk.asked) < 6 else 60.0
        began = loop.time()
        desk.stop(Halt(ExitCode.STOPPED, "enough"))
        assert await task == 0
        assert loop.time() - began < 0.01
        assert (len(recorded), desk.in_flight) == (6, 0)

    run_virtual(go())


def test_an_error_inside_of_a_question_is_told_and_not_swallowed() -> None:
    def answer(method: str, at: float) -> Reply:
        if method == "GET":
            raise ZeroDivisionError
        return SILENT

    async def go() -> None:
        await persist(desk_at(Troubled(answer)), 1)

    with pytest.raises(ZeroDivisionError):
        run_virtual(go())
