"""How long a run takes is known beforehand: the law against the real engine and pacer, on a clock that jumps."""

from __future__ import annotations

import asyncio
from dataclasses import dataclass, replace
from datetime import UTC, datetime
from itertools import pairwise
from random import Random

import pytest

from bulkmsg.events import RunView
from bulkmsg.plan import LIMITS, Costs, Left, Plan, burst, seconds_for, seconds_left
from bulkmsg.ports import Reply, Request
from bulkmsg.settings import API_KEY_RATE, Rate
from bulkmsg.share import parse_share
from tests.accounts import Leaky
from tests.fakes import FakeHelpdesk, message
from tests.unit.test_engine import Case
from tests.virtual_clock import run_virtual

MESSAGES = 2000


@dataclass
class Strict(FakeHelpdesk):
    """A helpdesk with a leaky bucket, behind a network that takes its time."""

    rate: Rate = API_KEY_RATE
    latency: float = 0.3
    throttled: int = 0

    def __post_init__(self) -> None:
        self.bucket, self.chance = Leaky(self.rate), Random(1)

    async def call(self, request: Request) -> Reply:
        loop = asyncio.get_running_loop()
        sent = loop.time()
        await asyncio.sleep(self.chance.uniform(0.0, self.latency))
        taken, used, _ = self.bucket.hit(loop.time())
        self.throttled += not taken
        reply = await super().call(request)
        await asyncio.sleep(self.chance.uniform(0.0, self.latency))
        return replace(reply, used=used, limit=self.rate.limit, sent=sent, received=loop.time())


def history(rate: Rate) -> Plan:
    kinds = {"incoming": MESSAGES, "outgoing": 0, "internal-note": 0}
    return Plan("history", "import", MESSAGES, kinds, 500, 0, 0, 0, rate, MESSAGES, lost_log=4)


@pytest.mark.parametrize("rate", [*LIMITS.values(), Rate(400, 2.0)], ids=str)
def test_a_run_takes_as_long_as_the_law_says(rate: Rate) -> None:
    helpdesk = Strict(rate=rate, latency=min(0.3, rate.window / 100))
    messages = [message(number, ticket=number % 500 + 1) for number in range(MESSAGES)]
    case = run_virtual(Case(helpdesk, messages, rate=rate, concurrency=64).run())
    case.assert_exactly_once()
    assert helpdesk.throttled == 0
    assert case.seconds == pytest.approx(seconds_for(MESSAGES, rate), rel=0.02)


def test_the_display_counts_down_to_the_end_that_was_planned() -> None:
    helpdesk = Strict()
    case = Case(helpdesk, [message(number, ticket=number + 1) for number in range(400)], rate=API_KEY_RATE)
    seen: list[RunView] = []

    async def play() -> None:
        running = asyncio.create_task(case.run())
        while not running.done():
            await asyncio.sleep(1.0)
            if hasattr(case, "engine") and case.engine.desk.requests:
                seen.append(case.engine.view())
        await running

    run_virtual(play())
    ends = [view.elapsed + view.remaining for view in seen if view.remaining]
    assert ends
    assert min(ends) == pytest.approx(case.seconds, rel=0.03)
    assert max(ends) == pytest.approx(case.seconds, rel=0.03)


@pytest.mark.parametrize("rate, at_once", [(Rate(40, 20.0), 36), (Rate(80, 10.0), 72), (Rate(1, 5.0), 1)])
def test_the_burst_is_what_the_pacer_lets_start_at_once(rate: Rate, at_once: int) -> None:
    assert burst(rate) == at_once
    assert seconds_for(at_once, rate) == 0.0
    assert seconds_for(at_once + 1, rate) == pytest.approx(1 / rate.per_second)


def test_a_limit_far_above_any_is_reckoned_as_quickly() -> None:
    assert burst(Rate(5_000_000, 1.0)) == 4_500_000


def test_what_is_left_takes_less_time_while_the_burst_is_not_used_up() -> None:
    assert seconds_left(100, API_KEY_RATE) == 50.0
    assert seconds_left(100, API_KEY_RATE, used=0.0) == seconds_for(100, API_KEY_RATE)
    times = [seconds_left(100, API_KEY_RATE, used) for used in range(0, 60, 4)]
    assert all(one <= next_one for one, next_one in pairwise(times))
    assert times[-1] == 50.0


def test_the_parts_of_a_plan_add_up() -> None:
    plan = history(API_KEY_RATE)
    assert plan.costs == Costs(account=2, lost_log=4, messages=MESSAGES)
    assert plan.requests == sum(plan.costs.parts.values()) == 2006
    assert plan.seconds == 985.0


def test_a_plan_of_what_is_left_has_no_lost_log_to_look_for_and_waits_until_it_may_look() -> None:
    kinds = {"incoming": 10, "outgoing": 0, "internal-note": 0}
    of_it = Costs(in_doubt=1, messages=2)
    plan = Plan("h", "import", 10, kinds, 10, 0, 0, 0, API_KEY_RATE, 10, left=Left(2, 1, 0, of_it), settle=60.0)
    assert (plan.to_do, plan.costs) == (3, Costs(account=2, in_doubt=1, messages=2))
    assert plan.seconds == 60.0


def test_what_would_be_faster_is_faster() -> None:
    plan = history(API_KEY_RATE)
    told = list(plan.faster())
    assert [how for how, _, _ in told] == [how for how in LIMITS if how != "with an API key"]
    assert all(seconds < plan.seconds / 1.9 for _, _, seconds in told)
    assert list(history(Rate(80, 10.0)).faster()) == []


@pytest.mark.parametrize("text", ["60%", "95%", "5%"])
def test_a_run_under_a_share_takes_as_long_as_the_law_says(text: str) -> None:
    rate, share, count = Rate(400, 20.0), parse_share(text), 1200
    helpdesk = Strict(rate=rate)
    messages = [message(number, ticket=number % 500 + 1) for number in range(count)]
    done = run_virtual(Case(helpdesk, messages, rate=rate, concurrency=64, share=share).run())
    done.assert_exactly_once()
    assert helpdesk.throttled == 0
    assert done.seconds == pytest.approx(seconds_for(count, rate, share, datetime.now(UTC)), rel=0.02)


def test_a_plan_under_a_timetable_depends_on_when_it_begins() -> None:
    share = parse_share("08:00-18:00=40%, *=95%, UTC")
    plan = history(API_KEY_RATE)
    noon, night = (replace(plan, share=share, begun=datetime(2026, 3, 2, hour, tzinfo=UTC)) for hour in (12, 22))
    assert noon.seconds == pytest.approx((2006 - 16) / 0.8)
    assert night.seconds == pytest.approx((2006 - 36) / 1.9)
    assert [round(noon.seconds / seconds, 1) for _, _, seconds in noon.faster()] == [2.0, 2.0, 4.0]
