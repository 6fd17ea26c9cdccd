"""One suite for every helpdesk that the engine may meet: the fake of the tests, and the real client on the sandbox."""

from __future__ import annotations

import asyncio
from collections.abc import AsyncIterator, Awaitable, Callable
from contextlib import asynccontextmanager
from random import Random
from typing import Any

import pytest

from bulkmsg.gorgias import wire
from bulkmsg.gorgias.client import GorgiasClient
from bulkmsg.looking import Look, Sight, Sighting, find_messages, look_for
from bulkmsg.message import Message, log_name
from bulkmsg.parcel import final_bytes
from bulkmsg.ports import Contact, Helpdesk, Reply
from bulkmsg.retry import Judgement, Verdict, judge
from bulkmsg.sandbox.server import Sandbox
from bulkmsg.sandbox.settings import SandboxSettings
from bulkmsg.settings import Credentials
from tests.fakes import FakeHelpdesk, home_of, message, new_ticket, thread

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


async def post(helpdesk: Helpdesk, *items: Message) -> tuple[Reply, Judgement]:
    """Create a message in its ticket, or a new ticket with its messages."""
    ticket = home_of(items[0])
    reply = await helpdesk.call(wire.create(ticket, final_bytes(items, ticket)))
    return reply, judge(reply, items, ticket)


async def see(helpdesk: Helpdesk, search: Any) -> list[Sighting]:
    answer: object = None
    try:
        while True:
            step = search.send(answer)
            assert isinstance(step, Look)
            answer = await helpdesk.call(step.request)
    except StopIteration as end:
        found: list[Sighting] = end.value
        return found


@pytest.mark.parametrize("member", MEMBERS)
def test_a_created_message_is_answered_with_its_ids_and_can_be_found(member: str) -> None:
    async def test(helpdesk: Helpdesk) -> None:
        item = message(1, ticket=7, **PERSON)
        reply, told = await post(helpdesk, item)
        assert (reply.contact, told.verdict, told.ticket_id) == (Contact.ANSWERED, Verdict.CREATED, 7)
        assert told.echoed
        (seen,) = await see(helpdesk, look_for([item], None, Random(1)))
        assert (seen.sight, seen.ids) == (Sight.FOUND, told.ids)

    play(member, test)


@pytest.mark.parametrize("member", MEMBERS)
@pytest.mark.parametrize("count", [1, 3, 120])
def test_a_new_ticket_is_answered_with_the_ids_of_all_its_messages_and_can_be_found(member: str, count: int) -> None:
    async def test(helpdesk: Helpdesk) -> None:
        items = thread(3, count, **PERSON)
        _, told = await post(helpdesk, *items)
        assert (told.verdict, told.echoed, len(told.ids)) == (Verdict.CREATED, True, count)
        seen = await see(helpdesk, look_for(items, None, Random(1)))
        assert [(each.sight, each.ids, each.tickets) for each in seen] == [
            (Sight.FOUND, (number,), (told.ticket_id,)) for number in told.ids
        ]

    play(member, test)


@pytest.mark.parametrize("member", MEMBERS)
def test_of_a_new_ticket_the_messages_that_are_missing_are_told_from_those_that_are_there(member: str) -> None:
    async def test(helpdesk: Helpdesk) -> None:
        items = thread(3, 4, **PERSON)
        _, told = await post(helpdesk, *items[:2])
        seen = await see(helpdesk, look_for(items, None, Random(1)))
        assert [each.sight for each in seen] == [Sight.FOUND] * 2 + [Sight.ABSENT] * 2
        assert {each.tickets for each in seen} == {(told.ticket_id,)}

    play(member, test)


@pytest.mark.parametrize("member", MEMBERS)
def test_what_was_never_sent_is_absent(member: str) -> None:
    async def test(helpdesk: Helpdesk) -> None:
        await post(helpdesk, message(1, ticket=7, **PERSON))
        for item in (message(2, ticket=7, **PERSON), new_ticket(9, **PERSON)):
            (seen,) = await see(helpdesk, look_for([item], None, Random(1)))
            assert seen.sight is Sight.ABSENT

    play(member, test)


@pytest.mark.parametrize("member", MEMBERS)
def test_nothing_is_deduplicated_and_both_are_found(member: str) -> None:
    async def test(helpdesk: Helpdesk) -> None:
        item = message(1, ticket=7, **PERSON)
        ids = [(await post(helpdesk, item))[1].ids[0] for _ in range(2)]
        (seen,) = await see(helpdesk, look_for([item], None, Random(1)))
        assert sorted(seen.ids) == sorted(number for number in ids if number)

    play(member, test)


@pytest.mark.parametrize("member", MEMBERS)
def test_a_long_thread_is_read_to_its_end(member: str) -> None:
    async def test(helpdesk: Helpdesk) -> None:
        for number in range(205):
            await post(helpdesk, message(number, ticket=7, **PERSON))
        (seen,) = await see(helpdesk, find_messages(7, [log_name("x-204")], Random(1)))
        assert seen.sight is Sight.FOUND

    play(member, test)
