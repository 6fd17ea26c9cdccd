"""Runs of one account that share its budget, on helpdesks that forgive nothing: each keeps going, none is refused.

Real desks on a clock that jumps; only the file between them and the helpdesk behind them are played.
"""

from __future__ import annotations

import asyncio
from collections.abc import Callable
from dataclasses import dataclass, field
from random import Random

import pytest

from bulkmsg.desk import Desk, Halt, Stopped
from bulkmsg.errors import ExitCode
from bulkmsg.pacing import Pacer
from bulkmsg.ports import Contact, Reply, Request, Silence
from bulkmsg.retry import Breaker
from bulkmsg.settings import Rate
from tests.accounts import Drip, Fixed, Leaky, Server, Sliding
from tests.fakes import FakeBudget
from tests.virtual_clock import run_virtual

RATE = Rate(40, 20.0)
GET = Request("GET", "/api/account")


@dataclass
class Account:
    """A helpdesk behind a network that takes its time, and the place where the runs of the account meet."""

    server: Server
    seed: int
    budget: FakeBudget = field(default_factory=FakeBudget)
    throttled: int = 0

    def __post_init__(self) -> None:
        self.random = Random(self.seed)

    async def call(self, request: Request) -> Reply:
        loop = asyncio.get_running_loop()
        sent = loop.time()
        await asyncio.sleep(self.random.uniform(0.01, 0.25))
        taken, used, pause = self.server.hit(loop.time())
        self.throttled += not taken
        await asyncio.sleep(self.random.uniform(0.01, 0.25))
        return Reply(
            Contact.ANSWERED,
            200 if taken else 429,
            used=used,
            limit=RATE.limit,
            retry_after=None if taken else f"{pause:g}",
            sent=sent,
            received=loop.time(),
        )


@dataclass
class Run:
    """One run with always something to send."""

    account: Account
    name: str
    ceiling: Rate | None = None
    share: float = 1.0
    accepted: int = 0

    def __post_init__(self) -> None:
        pacer = Pacer(RATE, self.ceiling, self.share)
        self.desk = Desk(self.account, pacer, Breaker(), Silence())
        self.desk.meet(self.account.budget, self.name, print)

    async def go_on(self, seconds: float, begin: float = 0.0) -> None:
        await asyncio.sleep(begin)
        asyncio.get_running_loop().call_later(seconds - begin, self.end)
        await asyncio.gather(*(self._lane() for _ in range(8)))

    def end(self) -> None:
        self.desk.stop(Halt(ExitCode.STOPPED, "the time is up"))

    async def _lane(self) -> None:
        try:
            while True:
                reply = await self.desk.call(GET)
                self.accepted += reply.status == 200
        except Stopped:
            return


async def side_by_side(runs: list[Run], seconds: float, begins: list[float] | None = None) -> None:
    begins = begins or [0.0] * len(runs)
    await asyncio.gather(*(run.go_on(seconds, begin) for run, begin in zip(runs, begins, strict=True)))


def leaky() -> Server:
    return Leaky(RATE)


def drip() -> Server:
    return Drip(RATE)


def sliding() -> Server:
    return Sliding(RATE)


def fixed() -> Server:
    return Fixed(RATE)


@pytest.mark.parametrize("seed", range(1, 4))
@pytest.mark.parametrize("server", [leaky, drip])
@pytest.mark.parametrize("number", [2, 5])
def test_runs_that_share_use_all_of_it_in_turn_and_are_never_refused(
    server: Callable[[], Server], number: int, seed: int
) -> None:
    account = Account(server(), seed)
    runs = [Run(account, f"run{n}") for n in range(number)]
    run_virtual(side_by_side(runs, 600.0))
    accepted = [run.accepted for run in runs]
    assert account.throttled == 0
    assert sum(accepted) >= 0.98 * (RATE.limit + RATE.per_second * 600)
    assert min(accepted) >= 0.8 * max(accepted)  # in the first window whoever comes first takes more


@pytest.mark.parametrize("server", [sliding, fixed])
def test_runs_learn_together_that_windows_are_counted(server: Callable[[], Server]) -> None:
    account = Account(server(), 1)
    runs = [Run(account, "one"), Run(account, "two")]
    run_virtual(side_by_side(runs, 1800.0))
    assert account.throttled <= 5
    assert sum(run.accepted for run in runs) >= 0.9 * RATE.per_second * 1800  # two slots of 40 stay free for strangers


def test_without_the_file_between_them_they_fight() -> None:
    """The control: the same two runs that cannot hear each other."""
    account = Account(leaky(), 1)
    runs = [Run(account, "one"), Run(account, "two")]
    for run in runs:
        run.desk.meet(FakeBudget(), run.name, print)
    run_virtual(side_by_side(runs, 600.0))
    assert account.throttled > 0


def test_a_run_that_begins_later_gets_its_part_and_one_that_ends_leaves_it() -> None:
    account = Account(leaky(), 1)
    first, second = Run(account, "first"), Run(account, "second")

    async def play() -> tuple[int, int]:
        early = asyncio.create_task(first.go_on(1e6))
        late = asyncio.create_task(second.go_on(1e6, begin=100.0))
        await asyncio.sleep(300.0)
        first.end()
        while_two = second.accepted
        await early
        await asyncio.sleep(200.0)
        second.end()
        await late
        return while_two, second.accepted

    while_two, in_all = run_virtual(play())
    assert account.throttled == 0
    assert while_two == pytest.approx(200, abs=8)  # of the 400 that the account takes in 200 s
    assert in_all - while_two == pytest.approx(400, abs=8)


def test_a_lower_ceiling_is_kept_and_not_starved_by_a_run_without_one() -> None:
    account = Account(leaky(), 1)
    modest, other = Run(account, "modest", ceiling=Rate(10, 20.0)), Run(account, "other")
    run_virtual(side_by_side([modest, other], 600.0))
    assert account.throttled == 0
    assert modest.accepted == pytest.approx(0.5 * 600, rel=0.05)
    assert other.accepted == pytest.approx(1.5 * 600, rel=0.05)


def test_runs_with_the_same_share_keep_it_together() -> None:
    account = Account(leaky(), 1)
    runs = [Run(account, "one", share=0.6), Run(account, "two", share=0.6)]
    run_virtual(side_by_side(runs, 600.0))
    assert account.throttled == 0
    assert sum(run.accepted for run in runs) == pytest.approx(0.6 * (40 + 2 * 600), rel=0.02)


@pytest.mark.parametrize("server, refused", [(leaky, 0), (drip, 0), (sliding, 3)])
def test_a_run_that_is_killed_every_half_minute_and_started_again_knows_the_level(
    server: Callable[[], Server], refused: int
) -> None:
    """Without what the runs before it told, each start on a helpdesk that counts windows is refused once."""
    account = Account(server(), 1)

    async def lives() -> int:
        accepted = 0
        for number in range(20):
            run = Run(account, f"run{number}")
            task = asyncio.create_task(run.go_on(1e6))
            await asyncio.sleep(30.0)
            task.cancel()
            accepted += run.accepted
        return accepted

    accepted = run_virtual(lives())
    assert account.throttled <= refused
    assert accepted >= 0.97 * RATE.per_second * 600


def test_a_pause_that_one_run_is_told_holds_for_all() -> None:
    """One run is refused by a helpdesk that refuses everybody for a while; the other does not have to learn it."""
    account = Account(leaky(), 1)
    one, two = Run(account, "one"), Run(account, "two")

    async def play() -> int:
        await asyncio.gather(one.desk.call(GET), two.desk.call(GET))
        assert isinstance(account.server, Leaky)
        account.server.level = 40.0  # strangers took it all at once
        assert (await one.desk.call(GET)).status == 429
        asyncio.get_running_loop().call_later(20.0, one.end)
        again = asyncio.create_task(one.desk.call(GET))
        other = asyncio.create_task(two.desk.call(GET))
        await asyncio.gather(again, other)
        return account.throttled

    assert run_virtual(play()) == 1
