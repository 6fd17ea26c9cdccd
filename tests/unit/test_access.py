"""Access that runs out, on a clock that jumps: days of sending, refusals, outages, and other commands beside it."""

from __future__ import annotations

import asyncio
from collections.abc import Callable
from dataclasses import dataclass, field
from pathlib import Path
from random import Random
from typing import Any

import pytest

from bulkmsg.app.access import Access
from bulkmsg.delivery import Policy
from bulkmsg.desk import Desk, Halt
from bulkmsg.engine import Engine
from bulkmsg.errors import ExitCode
from bulkmsg.message import Mode
from bulkmsg.outcome import UNTOUCHED, State, Tally
from bulkmsg.pacing import Pacer
from bulkmsg.ports import Contact, Reply, Request, RetryVerdict, Silence
from bulkmsg.retry import Breaker
from bulkmsg.settings import App, Rate
from bulkmsg.tokens import TokenFile, Tokens
from tests.fakes import FakeHelpdesk, FakeJournal, message
from tests.virtual_clock import run_virtual

HOUR = 3600.0
DAY = 24 * HOUR
UNAUTHORIZED = Reply(Contact.ANSWERED, 401, {"error": {"msg": "Unauthorized."}}, True)
SILENT = Reply(Contact.LOST, reason="no answer in time")
REVOKED = Reply(Contact.ANSWERED, 400, {"error": "invalid_grant"}, True)


@dataclass
class Guarded:
    """A helpdesk that lets in the tokens that it gave out, each for as long as it lives."""

    inside: FakeHelpdesk = field(default_factory=FakeHelpdesk)
    life: float = DAY
    told: bool = True
    given: list[str] = field(default_factory=list)
    ends: dict[str, float] = field(default_factory=dict)
    in_use: str = ""
    refused: int = 0
    asked: list[float] = field(default_factory=list)
    endpoint: Callable[[float], Reply | None] = lambda now: None
    lets_in: Callable[[Request], bool] = lambda request: True

    def use(self, token: str) -> None:
        self.in_use = token

    def give(self, now: float) -> str:
        token = f"access-{len(self.given) + 1}"
        self.given.append(token)
        self.ends[token] = now + self.life
        return token

    async def grant(self, path: str, form: Any, client_id: str, client_secret: str) -> Reply:
        await asyncio.sleep(0.2)
        now = asyncio.get_running_loop().time()
        self.asked.append(now)
        wrong = self.endpoint(now)
        if wrong is not None:
            return wrong
        assert (path, client_id, client_secret) == ("/oauth/token", "app", "secret")
        assert dict(form) == {"grant_type": "refresh_token", "refresh_token": "refresh"}
        answer = {"access_token": self.give(now), "expires_in": self.life if self.told else 0}
        return Reply(Contact.ANSWERED, 200, answer, True)

    async def call(self, request: Request) -> Reply:
        token = self.in_use
        await asyncio.sleep(0)
        now = asyncio.get_running_loop().time()
        if now >= self.ends.get(token, 0.0) or not self.lets_in(request):
            self.refused += 1
            return UNAUTHORIZED
        return await self.inside.call(request)


@dataclass
class Run:
    """One run on guarded ground, and what came of it."""

    desk: Desk
    journal: FakeJournal
    tally: Tally
    halt: Halt | None
    notes: list[str]


def play(
    guarded: Guarded, kept: TokenFile, count: int, rate: Rate, *, first: str = "", begin: Callable[..., None] = print
) -> Run:
    """Send so many messages, in a ticket each."""

    async def go() -> Run:
        loop, notes = asyncio.get_running_loop(), list[str]()
        access = Access(guarded, App("app", "secret", "refresh"), kept, first, loop.time, notes.append)
        desk = Desk(guarded, Pacer(rate), Breaker(), Silence(), 4, renewal=access)
        journal, tally = FakeJournal(), Tally(count)
        tally.counts[State.PENDING] = count
        begin(loop, desk)
        engine = Engine(
            desk, journal, Silence(), Policy(Mode.IMPORT, 5.0), lambda key: UNTOUCHED, tally, random=Random(1)
        )
        halt = await engine.run(iter([message(number, ticket=number) for number in range(1, count + 1)]))
        return Run(desk, journal, tally, halt, notes)

    def nothing(*_: object) -> None:
        return None

    begin = nothing if begin is print else begin
    return run_virtual(go(), limit_seconds=30 * DAY)


@pytest.fixture
def kept(tmp_path: Path) -> TokenFile:
    return TokenFile(tmp_path / "acme" / "given.json", "refresh")


def once(guarded: Guarded, count: int) -> bool:
    return guarded.inside.nothing_twice() and len(guarded.inside.landed) == count


def test_a_run_of_three_days_renews_its_token_before_it_ends_and_is_never_refused(kept: TokenFile) -> None:
    guarded = Guarded()
    run = play(guarded, kept, 1080, Rate(1, 240.0))
    assert run.halt is None
    assert once(guarded, 1080)
    assert (len(guarded.given), guarded.refused) == (4, 0)
    gaps = [later - sooner for sooner, later in zip(guarded.asked, guarded.asked[1:], strict=False)]
    assert all(DAY - HOUR < gap < DAY for gap in gaps)


def test_a_life_that_is_not_told_is_learned_from_refusals_each_with_an_attempt_of_its_own(kept: TokenFile) -> None:
    guarded = Guarded(life=HOUR, told=False)
    run = play(guarded, kept, 100, Rate(1, 300.0))
    assert run.halt is None
    assert once(guarded, 100)
    assert len(guarded.given) > 5
    retries = [record for record in run.journal.records if record[0] == "retry"]
    assert len(retries) == guarded.refused
    assert {record[2] for record in retries} == {RetryVerdict.NOT_PROCESSED}
    intents = [record for record in run.journal.records if record[0] == "intent"]
    assert len(intents) == 100 + guarded.refused


def test_lanes_that_are_refused_together_have_one_new_token(kept: TokenFile) -> None:
    guarded = Guarded(inside=FakeHelpdesk(latency=2.0))

    def begin(loop: asyncio.AbstractEventLoop, desk: Desk) -> None:
        loop.call_later(5.0, guarded.ends.clear)

    run = play(guarded, kept, 40, Rate(100, 1.0), begin=begin)
    assert run.halt is None
    assert once(guarded, 40)
    assert len(guarded.given) == 2
    assert 1 <= guarded.refused <= 4


def test_a_new_token_that_is_not_let_in_either_stops_the_run_and_leaves_messages_pending(kept: TokenFile) -> None:
    guarded = Guarded(lets_in=lambda request: False)
    run = play(guarded, kept, 20, Rate(100, 1.0))
    assert run.halt is not None
    assert run.halt.code is ExitCode.REFUSED
    assert run.tally.counts[State.PENDING] == 20
    assert not guarded.inside.landed
    assert len(guarded.given) == 1
    assert guarded.refused <= 4


@pytest.mark.parametrize("asleep", [False, True], ids=["waiting long for its turn", "a machine that slept"])
def test_a_new_token_whose_time_passed_before_it_was_used_is_replaced(kept: TokenFile, asleep: bool) -> None:
    guarded = Guarded(life=HOUR)

    async def go() -> bool:
        loop, slept = asyncio.get_running_loop(), 0.0
        access = Access(guarded, App("app", "secret", "refresh"), kept, "", lambda: loop.time() + slept)
        assert await access.renew() is None
        if asleep:
            slept = HOUR
        else:
            await asyncio.sleep(HOUR)
        return access.was_refused(access.number) and access.is_due(loop.time())

    assert run_virtual(go(), limit_seconds=DAY)


def test_writes_that_are_refused_while_readings_are_let_in_stop_the_run_as_well(kept: TokenFile) -> None:
    guarded = Guarded(lets_in=lambda request: request.method != "POST")

    def begin(loop: asyncio.AbstractEventLoop, desk: Desk) -> None:
        async def reading() -> None:
            while desk.halt is None:
                await desk.call(Request("GET", "/api/tickets/1"))

        tasks.append(loop.create_task(reading()))

    tasks: list[asyncio.Task[None]] = []
    run = play(guarded, kept, 5, Rate(100, 1.0), begin=begin)
    assert run.halt is not None
    assert run.halt.code is ExitCode.REFUSED
    assert len(guarded.given) <= 20


def test_a_token_endpoint_that_is_down_is_waited_for_without_losing_time_before_it_is_needed(kept: TokenFile) -> None:
    guarded = Guarded(life=HOUR)
    guarded.endpoint = lambda now: SILENT if 1500 < now < 1000 + HOUR + 120 else None
    run = play(guarded, kept, 20, Rate(1, 300.0))
    assert run.halt is None
    assert once(guarded, 20)
    assert guarded.refused == 0
    down = [when for when in guarded.asked if 1500 < when < 1000 + HOUR + 120]
    assert 2 <= len(down) <= 30


def test_a_token_endpoint_that_stays_down_ends_the_run_as_any_outage_does(kept: TokenFile) -> None:
    guarded = Guarded(endpoint=lambda now: SILENT)
    run = play(guarded, kept, 3, Rate(1, 1.0))
    assert run.halt is not None
    assert (run.halt.code, guarded.inside.calls) == (ExitCode.STOPPED, [])
    assert "no answer in time" in run.halt.reason
    assert not run.journal.records


def test_a_revoked_refresh_token_lets_the_token_in_use_serve_to_its_end(kept: TokenFile) -> None:
    guarded = Guarded(life=HOUR)
    guarded.endpoint = lambda now: REVOKED if guarded.given else None
    run = play(guarded, kept, 100, Rate(1, 60.0))
    assert run.halt is not None
    assert run.halt.code is ExitCode.REFUSED
    assert "is not accepted any more (HTTP 400)" in run.halt.reason
    assert 55 <= run.tally.counts[State.CREATED] <= 61
    assert run.tally.counts[State.CREATED] + run.tally.counts[State.PENDING] == 100


def test_an_access_token_that_was_given_serves_until_it_is_refused(kept: TokenFile) -> None:
    guarded = Guarded()
    guarded.ends["mine"] = 1000 + 10.0
    run = play(guarded, kept, 40, Rate(2, 1.0), first="mine")
    assert run.halt is None
    assert once(guarded, 40)
    assert len(guarded.given) == 1
    assert guarded.refused >= 1


def test_another_commands_new_token_is_used_instead_of_making_a_second_one(kept: TokenFile) -> None:
    guarded = Guarded()
    theirs = guarded.give(1000.0)
    kept.keep(Tokens("refresh", theirs, 1000.0 + DAY))
    run = play(guarded, kept, 5, Rate(10, 1.0))
    assert run.halt is None
    assert once(guarded, 5)
    assert (guarded.given, guarded.asked) == ([theirs], [])


def test_a_kept_token_that_is_dead_already_costs_one_refusal_and_is_replaced(kept: TokenFile) -> None:
    guarded = Guarded()
    kept.keep(Tokens("refresh", "long-dead", 1000.0 + DAY))
    run = play(guarded, kept, 5, Rate(2, 1.0))
    assert run.halt is None
    assert once(guarded, 5)
    assert len(guarded.given) == 1


def test_an_abort_waits_for_the_answer_that_may_bring_the_only_token_that_counts(kept: TokenFile) -> None:
    guarded = Guarded()

    async def go() -> None:
        access = Access(guarded, App("app", "secret", "refresh"), kept)
        task = asyncio.create_task(access.renew())
        await asyncio.sleep(0.1)
        task.cancel()
        with pytest.raises(asyncio.CancelledError):
            await task

    run_virtual(go())
    found = kept.read()
    assert found is not None
    assert found.access == "access-1"


def test_nothing_of_access_shows_a_secret(kept: TokenFile) -> None:
    shown = repr(Access(Guarded(), App("app-id", "app-secret", "a-refresh-token"), kept, "an-access-token"))
    shown += repr(Tokens("a-refresh-token", "an-access-token"))
    assert not [secret for secret in ("app-secret", "a-refresh-token", "an-access-token") if secret in shown]
