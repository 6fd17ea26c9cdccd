"""Latency costs no rate: more requests are under way where answers are slow, and only there."""

from __future__ import annotations

import asyncio
import math
from dataclasses import dataclass
from random import Random

import pytest

from bulkmsg.desk import Desk
from bulkmsg.pacing import Pacer
from bulkmsg.places import MOST, USUAL, Places
from bulkmsg.ports import Contact, Reply, Request, Silence
from bulkmsg.retry import Breaker
from bulkmsg.settings import Rate
from tests.accounts import Leaky
from tests.virtual_clock import run_virtual

ENTERPRISE = Rate(80, 10.0)
GET = Request("GET", "/api/account")
REQUESTS = 2000


@dataclass
class Slow:
    """A strict helpdesk whose answers take their time."""

    latency: float
    spread: float = 0.25
    in_flight: int = 0
    most: int = 0
    throttled: int = 0

    def __post_init__(self) -> None:
        self.random, self.server = Random(1), Leaky(ENTERPRISE)

    async def call(self, request: Request) -> Reply:
        loop = asyncio.get_running_loop()
        sent = loop.time()
        self.in_flight += 1
        self.most = max(self.most, self.in_flight)
        half = self.latency * self.random.uniform(1 - self.spread, 1 + self.spread) / 2
        await asyncio.sleep(half)
        taken, used, _ = self.server.hit(loop.time())
        self.throttled += not taken
        await asyncio.sleep(half)
        self.in_flight -= 1
        status = 200 if taken else 429
        return Reply(
            Contact.ANSWERED,
            status,
            used=used,
            limit=ENTERPRISE.limit,
            sent=sent,
            received=loop.time(),
            retry_after="1",
        )


def seconds_of(helpdesk: Slow, most: int = MOST) -> float:
    """How long many requests take."""

    async def play() -> float:
        desk = Desk(helpdesk, Pacer(ENTERPRISE), Breaker(), Silence(), most)
        await asyncio.gather(*(desk.call(GET) for _ in range(REQUESTS)))
        return asyncio.get_running_loop().time() - 1000.0

    return run_virtual(play())


AT_BEST = (REQUESTS - ENTERPRISE.limit) / ENTERPRISE.per_second


@pytest.mark.parametrize("latency", [0.02, 0.3, 1.0, 2.0, 5.0])
def test_slow_answers_cost_no_rate(latency: float) -> None:
    helpdesk = Slow(latency)
    assert seconds_of(helpdesk) <= AT_BEST * 1.03 + 2 * latency
    assert helpdesk.throttled == 0


def test_a_ceiling_on_what_is_under_way_is_kept_whatever_it_costs() -> None:
    helpdesk = Slow(2.0)
    assert seconds_of(helpdesk, most=8) > AT_BEST * 1.8
    assert helpdesk.most == 8


def test_few_are_under_way_where_answers_are_quick() -> None:
    helpdesk = Slow(0.3)
    seconds_of(helpdesk)
    assert helpdesk.most == USUAL


@pytest.mark.parametrize("per_second", [2.0, 4.0, 8.0, 200.0])
@pytest.mark.parametrize("latency", [0.02, 0.5, 2.0, 30.0])
def test_there_is_room_for_the_average_and_some_and_never_more_than_the_most(per_second: float, latency: float) -> None:
    places = Places(MOST)
    places.took(latency)
    busy = per_second * latency
    assert places.at_once(per_second) == min(MOST, max(USUAL, math.ceil(busy + 3 * math.sqrt(busy))))


def test_one_slow_answer_among_many_changes_little_and_slowness_is_forgotten() -> None:
    places = Places()
    for seconds in [0.2] * 20 + [30.0]:
        places.took(seconds)
    assert places.latency < 4.0
    for _ in range(50):
        places.took(0.2)
    assert places.latency == pytest.approx(0.2, abs=0.05)
    assert places.at_once(8.0) == USUAL
