"""One suite for every helpdesk that the engine may meet: the fake of the tests, and the real client on the sandbox."""

from __future__ import annotations

import asyncio
from collections.abc import AsyncIterator, Awaitable, Callable
from contextlib import asynccontextmanager
from random import Random
from typing import Any

import pytest

from bulkmsg import delivery
from bulkmsg.delivery import Look, Sight, Sighting
from bulkmsg.gorgias import wire
from bulkmsg.gorgias.client import GorgiasClient
from bulkmsg.message import log_name
from bulkmsg.ports import Contact, Helpdesk
from bulkmsg.retry import Verdict, judge
from bulkmsg.sandbox.server import Sandbox
from bulkmsg.sandbox.settings import SandboxSettings
from bulkmsg.settings import Credentials
from tests.fakes import FakeHelpdesk, message, new_ticket

PERSON: dict[str, Any] = {
    "sender": {"email": "jane@example.com"},
    "source": {"from": {"address": "jane@example.com"}, "to": [{"address": "support@acme.example"}]},
}


@asynccontextmanager
async def _fake() -> AsyncIterator[Helpdesk]:
    yield FakeHelpdesk(latency=0.0)


@asynccontextmanager
async def _real() -> AsyncIterator[Helpdesk]:
    async with (
        Sandbox(SandboxSettings(limit=10_000, window=1.0)) as sandbox,
        GorgiasClient(sandbox.url, Credentials(email="anna@acme.example", api_key="key")) as client,
    ):
        yield client


MEMBERS = {"fake": _fake, "client on the sandbox": _real}


def play(member: str, test: Callable[[Helpdesk], Awaitable[None]]) -> None:
    async def go() -> None:
        async with MEMBERS[member]() as helpdesk:
            await test(helpdesk)

    asyncio.run(go())


async def see(helpdesk: Helpdesk, search: Any) -> Sighting:
    answer: object = None
    try:
        while True:
            step = search.send(answer)
            assert isinstance(step, Look)
            answer = await helpdesk.call(step.request)
    except StopIteration as end:
        found: Sighting = end.value
        return found


@pytest.mark.parametrize("member", MEMBERS)
def test_a_created_message_is_answered_with_its_ids_and_can_be_found(member: str) -> None:
    async def test(helpdesk: Helpdesk) -> None:
        item = message(1, ticket=7, **PERSON)
        reply = await helpdesk.call(wire.create(item))
        told = judge(reply, item)
        assert (reply.contact, told.verdict, told.ticket_id) == (Contact.ANSWERED, Verdict.CREATED, 7)
        assert told.echo == item.external_id
        seen = await see(helpdesk, delivery.look_for(item, Random(1)))
        assert (seen.sight, seen.ids) == (Sight.FOUND, (told.message_id,))

    play(member, test)


@pytest.mark.parametrize("member", MEMBERS)
def test_a_new_ticket_is_answered_with_its_ids_and_can_be_found(member: str) -> None:
    async def test(helpdesk: Helpdesk) -> None:
        item = new_ticket(3, **PERSON)
        told = judge(await helpdesk.call(wire.create(item)), item)
        assert told.verdict is Verdict.CREATED
        assert told.echo == delivery.message_echo(item)
        seen = await see(helpdesk, delivery.look_for(item, Random(1)))
        assert (seen.sight, seen.tickets) == (Sight.FOUND, (told.ticket_id,))

    play(member, test)


@pytest.mark.parametrize("member", MEMBERS)
def test_what_was_never_sent_is_absent(member: str) -> None:
    async def test(helpdesk: Helpdesk) -> None:
        await helpdesk.call(wire.create(message(1, ticket=7, **PERSON)))
        for item in (message(2, ticket=7, **PERSON), new_ticket(9, **PERSON)):
            seen = await see(helpdesk, delivery.look_for(item, Random(1)))
            assert seen.sight is Sight.ABSENT

    play(member, test)


@pytest.mark.parametrize("member", MEMBERS)
def test_nothing_is_deduplicated_and_both_are_found(member: str) -> None:
    async def test(helpdesk: Helpdesk) -> None:
        item = message(1, ticket=7, **PERSON)
        ids = [judge(await helpdesk.call(wire.create(item)), item).message_id for _ in range(2)]
        seen = await see(helpdesk, delivery.look_for(item, Random(1)))
        assert sorted(seen.ids) == sorted(number for number in ids if number)

    play(member, test)


@pytest.mark.parametrize("member", MEMBERS)
def test_a_long_thread_is_read_to_its_end(member: str) -> None:
    async def test(helpdesk: Helpdesk) -> None:
        for number in range(205):
            await helpdesk.call(wire.create(message(number, ticket=7, **PERSON)))
        seen = await see(helpdesk, delivery.find_message(7, log_name("x-204"), Random(1)))
        assert seen.sight is Sight.FOUND

    play(member, test)
