"""The door to the network, where a file goes through it: what is on the wire, and what is said when it goes wrong."""

from __future__ import annotations

import asyncio
import hashlib
from collections.abc import Awaitable, Callable
from pathlib import Path

import pytest

from bulkmsg.gorgias import client as door
from bulkmsg.gorgias import wire
from bulkmsg.gorgias.client import GorgiasClient
from bulkmsg.message import Upload
from bulkmsg.ports import Contact, Reply
from bulkmsg.readers.attached import Attached, Digests, Folder
from bulkmsg.settings import Credentials

CREDENTIALS = Credentials(email="anna@acme.example", api_key="secret-key-1234")
ANSWER = b"HTTP/1.1 201 Created\r\nContent-Type: application/json\r\nContent-Length: 2\r\n\r\n[]"
TOO_LARGE = (
    b"HTTP/1.1 413 Too Large\r\nContent-Type: text/html\r\nContent-Length: 9\r\nConnection: close\r\n\r\n<h1>no</h"
)

Serve = Callable[[asyncio.StreamReader, asyncio.StreamWriter], Awaitable[None]]


def upload_of(path: Path, name: str | None = None, kind: str = "application/pdf") -> Upload:
    found = Folder(path.parent, Digests()).look(path.name)
    assert isinstance(found, Attached)
    return Upload(0, path.name, found.path, found.digest, found.size, found.mark, name or path.name, kind)


def send(upload: Upload, serve: Serve, timeout: float = 10.0) -> Reply:
    async def go() -> Reply:
        listening = await asyncio.start_server(serve, "127.0.0.1", 0)
        port = listening.sockets[0].getsockname()[1]
        async with listening, GorgiasClient(f"http://127.0.0.1:{port}", CREDENTIALS, timeout) as client:
            return await client.call(wire.upload(upload))

    return asyncio.run(go())


class Listener:
    """A server that keeps what it is sent and answers when it has all of it."""

    def __init__(self, answer: bytes = ANSWER) -> None:
        self.answer = answer
        self.head = b""
        self.body = b""
        self.whole = False

    async def __call__(self, reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        self.head = await reader.readuntil(b"\r\n\r\n")
        length = next(int(line[15:]) for line in self.head.split(b"\r\n") if line.startswith(b"Content-Length:"))
        while len(self.body) < length and (piece := await reader.read(65_536)):
            self.body += piece
        self.whole = len(self.body) == length
        if self.whole:
            writer.write(self.answer)
            await writer.drain()
        writer.close()


def test_a_file_leaves_as_a_form_whose_length_is_known(tmp_path: Path) -> None:
    (tmp_path / "12.pdf").write_bytes(b"an \0 invoice\r\n--x")
    listener = Listener()
    reply = send(upload_of(tmp_path / "12.pdf"), listener)
    assert (reply.contact, reply.status, reply.json) == (Contact.ANSWERED, 201, [])
    head = listener.head.decode()
    assert head.startswith("POST /api/upload?type=attachment HTTP/1.1\r\n")
    assert head.count("Content-Type: ") == 1
    assert "Content-Type: multipart/form-data; boundary=" in head
    assert "Authorization: Basic " in head
    assert "Transfer-Encoding" not in head
    part, _, rest = listener.body.partition(b"\r\n\r\n")
    assert b'Content-Disposition: form-data; name="12.pdf"; filename="12.pdf"' in part
    assert b"Content-Type: application/pdf" in part
    assert rest.startswith(b"an \0 invoice\r\n--x\r\n--")


@pytest.mark.parametrize(
    ("name", "sent"), [("Rechnung ä 12.pdf", "Rechnung ä 12.pdf"), ('a "b" \\c.pdf', 'a \\"b\\" \\\\c.pdf')]
)
def test_a_name_leaves_as_it_is(name: str, sent: str, tmp_path: Path) -> None:
    (tmp_path / "12.pdf").write_bytes(b"x")
    listener = Listener()
    send(upload_of(tmp_path / "12.pdf", name), listener)
    assert f'name="{sent}"; filename="{sent}"'.encode() in listener.body


@pytest.mark.parametrize("content", [b"", b"x" * 3_000_001])
def test_an_empty_and_a_longer_file_arrive_whole(content: bytes, tmp_path: Path) -> None:
    (tmp_path / "a.bin").write_bytes(content)
    listener = Listener()
    assert send(upload_of(tmp_path / "a.bin"), listener).status == 201
    inner = listener.body.partition(b"\r\n\r\n")[2].rpartition(b"\r\n--")[0].removesuffix(b"\r\n--")
    inner = inner if inner == content else inner[: len(content)]
    assert hashlib.sha256(inner).digest() == hashlib.sha256(content).digest()


@pytest.mark.parametrize(("name", "kind"), [("a\r\nX-Evil: 1.pdf", "application/pdf"), ("a.pdf", "a/b\r\nX-Evil: 1")])
def test_a_line_break_never_reaches_a_header(name: str, kind: str, tmp_path: Path) -> None:
    (tmp_path / "12.pdf").write_bytes(b"x")
    listener = Listener()
    reply = send(upload_of(tmp_path / "12.pdf", name, kind), listener)
    assert reply.contact is Contact.NEVER_LEFT
    assert listener.head == b""


def test_a_refusal_that_comes_before_all_was_sent_is_read(tmp_path: Path) -> None:
    async def refuse(reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        await reader.readuntil(b"\r\n\r\n")
        writer.write(TOO_LARGE)
        await writer.drain()
        while await reader.read(65_536):  # as a proxy does that lets the refusal through
            pass
        writer.close()

    with (tmp_path / "a.bin").open("wb") as file:
        file.truncate(30_000_000)
    reply = send(upload_of(tmp_path / "a.bin"), refuse)
    assert (reply.contact, reply.status, reply.is_json) == (Contact.ANSWERED, 413, False)


def test_a_connection_that_breaks_midway_is_lost(tmp_path: Path) -> None:
    async def reset(reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        await reader.readuntil(b"\r\n\r\n")
        writer.transport.abort()

    with (tmp_path / "a.bin").open("wb") as file:
        file.truncate(30_000_000)
    assert send(upload_of(tmp_path / "a.bin"), reset).contact is Contact.LOST


def test_a_file_that_changes_on_its_way_never_arrives_whole(tmp_path: Path) -> None:
    path = tmp_path / "a.bin"
    path.write_bytes(b"a" * 8_000_000)
    listener = Listener()

    async def change(reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        path.write_bytes(b"b" * 8_000_000)
        await listener(reader, writer)

    reply = send(upload_of(path), change)
    assert (reply.contact, reply.reason) == (Contact.LOST, "the file could not be read")
    assert not listener.whole


def test_a_file_that_is_gone_never_leaves(tmp_path: Path) -> None:
    path = tmp_path / "a.bin"
    path.write_bytes(b"a")
    upload = upload_of(path)
    path.unlink()
    listener = Listener()
    reply = send(upload, listener)
    assert (reply.contact, reply.reason) == (Contact.NEVER_LEFT, "the file could not be read")
    assert listener.head == b""


def test_a_redirect_is_not_followed_with_a_file(tmp_path: Path) -> None:
    (tmp_path / "a.bin").write_bytes(b"a")
    away = b"HTTP/1.1 307 Away\r\nLocation: http://127.0.0.1:9/x\r\nContent-Length: 0\r\n\r\n"
    assert send(upload_of(tmp_path / "a.bin"), Listener(away)).status == 307


def test_a_large_file_has_more_time_than_a_message(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    (tmp_path / "a.bin").write_bytes(b"a" * 1000)

    async def late(reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        await reader.readuntil(b"\r\n\r\n")
        await asyncio.sleep(0.4)
        writer.write(ANSWER)
        writer.close()

    upload = upload_of(tmp_path / "a.bin")
    assert send(upload, late, timeout=0.2).contact is Contact.LOST
    monkeypatch.setattr(door, "UPLOAD_BYTES_PER_SECOND", 1000)
    assert send(upload, late, timeout=0.2).status == 201
