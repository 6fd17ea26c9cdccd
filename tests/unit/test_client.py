"""The door to the network: what it says of each way in which a request can go."""

from __future__ import annotations

import asyncio
from collections.abc import Awaitable, Callable
from typing import Any

import pytest
from aioresponses import aioresponses

from bulkmsg.gorgias.client import GorgiasClient
from bulkmsg.ports import Contact, Reply, Request
from bulkmsg.settings import Credentials

CREDENTIALS = Credentials(email="anna@acme.example", api_key="secret-key-1234")
POST = Request("POST", "/api/tickets/1/messages", body=b'{"channel":"email"}')
GET = Request("GET", "/api/messages", (("ticket_id", "1"), ("cursor", "a/b+c=")))
URL = "http://127.0.0.1:9/api/tickets/1/messages"

Server = Callable[[asyncio.StreamReader, asyncio.StreamWriter], Awaitable[None]]


def call(base: str, request: Request = POST, timeout: float = 5.0) -> Reply:
    async def go() -> Reply:
        async with GorgiasClient(base, CREDENTIALS, timeout) as client:
            return await client.call(request)

    return asyncio.run(go())


def talk(server: Server, request: Request = POST, timeout: float = 5.0) -> Reply:
    """One request to a server made of raw bytes."""

    async def go() -> Reply:
        listening = await asyncio.start_server(server, "127.0.0.1", 0)
        port = listening.sockets[0].getsockname()[1]
        async with listening, GorgiasClient(f"http://127.0.0.1:{port}", CREDENTIALS, timeout) as client:
            return await client.call(request)

    return asyncio.run(go())


def answering(data: bytes, *, read: bool = True, reset: bool = False) -> Server:
    async def serve(reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        if read:
            await reader.readuntil(b"}")
        writer.write(data)
        await writer.drain()
        if reset:
            writer.transport.abort()
        writer.close()

    return serve


@pytest.mark.parametrize(("status", "body"), [(201, {"id": 5}), (400, {"error": {"msg": "no"}}), (500, {})])
def test_a_json_answer_is_read_with_its_status_and_limit(status: int, body: dict[str, Any]) -> None:
    with aioresponses() as server:
        headers = {"X-Gorgias-Account-Api-Call-Limit": "10/80", "Retry-After": "5"}
        server.post(URL, status=status, payload=body, headers=headers)
        reply = call("http://127.0.0.1:9")
    assert (reply.contact, reply.status, reply.json, reply.is_json) == (Contact.ANSWERED, status, body, True)
    assert (reply.used, reply.limit, reply.retry_after) == (10, 80, "5")


@pytest.mark.parametrize("header", ["", "10", "a/b", "-1/40", "10/0x28", "1e3/40", "9" * 30 + "/1"])
def test_a_limit_header_in_another_form_is_not_believed(header: str) -> None:
    with aioresponses() as server:
        server.post(URL, status=201, payload={}, headers={"X-Gorgias-Account-Api-Call-Limit": header})
        assert call("http://127.0.0.1:9").used is None


@pytest.mark.parametrize("status", [301, 302, 303, 307, 308])
def test_a_redirect_is_never_followed(status: int) -> None:
    with aioresponses() as server:
        server.post(URL, status=status, headers={"Location": "http://127.0.0.1:9/api/tickets/2/messages"})
        server.get("http://127.0.0.1:9/api/tickets/2/messages", status=200, payload={"data": []})
        reply = call("http://127.0.0.1:9")
    assert reply.status == status
    assert reply.location == "http://127.0.0.1:9/api/tickets/2/messages"


def test_html_with_a_good_status_is_no_json() -> None:
    with aioresponses() as server:
        server.post(URL, status=200, body="<html>log in</html>")
        reply = call("http://127.0.0.1:9")
    assert (reply.contact, reply.is_json) == (Contact.ANSWERED, False)


def test_a_refused_connection_never_left() -> None:
    assert call("http://127.0.0.1:1").contact is Contact.NEVER_LEFT


def test_a_reset_after_the_request_was_read_is_lost() -> None:
    reply = talk(answering(b"", reset=True))
    assert (reply.contact, reply.status) == (Contact.LOST, 0)


def test_garbage_instead_of_http_is_lost_and_not_a_400_of_the_helpdesk() -> None:
    reply = talk(answering(b"\x00\x01garbage garbage\r\n\r\n"))
    assert (reply.contact, reply.status) == (Contact.LOST, 0)


def test_a_success_that_is_cut_off_is_lost() -> None:
    reply = talk(answering(b'HTTP/1.1 201 Created\r\nContent-Length: 100\r\n\r\n{"id": 5'))
    assert reply.contact is Contact.LOST


def test_a_server_that_never_answers_is_lost_in_time() -> None:
    async def silent(reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        await asyncio.sleep(2)
        writer.close()

    assert talk(silent, timeout=0.2).contact is Contact.LOST


def test_of_a_huge_error_only_a_little_is_read() -> None:
    head = b"HTTP/1.1 500 Oops\r\nContent-Length: 30000000\r\n\r\n"
    reply = talk(answering(head + b"x" * 200_000))
    assert (reply.contact, reply.status, reply.is_json) == (Contact.ANSWERED, 500, False)


def test_a_cursor_travels_encoded() -> None:
    seen: list[bytes] = []

    async def serve(reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        seen.append(await reader.readline())
        writer.write(b"HTTP/1.1 200 OK\r\nContent-Length: 2\r\n\r\n{}")
        await writer.drain()
        writer.close()

    talk(serve, GET)
    assert b"cursor=a/b%2Bc%3D" in seen[0]


def test_credentials_travel_in_the_header_only_and_show_nowhere() -> None:
    reply = call("http://127.0.0.1:1")
    assert "secret" not in repr(reply)
    assert "secret" not in repr(CREDENTIALS)
