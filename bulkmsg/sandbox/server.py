"""The shell: an aiohttp server on 127.0.0.1 around the pure helpdesk. Sockets, waits and clocks are here.

It listens on the loopback address alone and opens no connection itself.
"""

import asyncio
import hashlib
import random
import socket
import struct
import time
from collections.abc import Awaitable, Callable
from contextlib import suppress
from datetime import UTC, datetime
from types import TracebackType
from typing import Self

from aiohttp import BodyPartReader, web

from bulkmsg.sandbox.api import Api
from bulkmsg.sandbox.clock import Moment
from bulkmsg.sandbox.control import House, answer_control
from bulkmsg.sandbox.faults import Fault, Faults, Side
from bulkmsg.sandbox.front import Front
from bulkmsg.sandbox.mischief import GARBAGE, Act, act
from bulkmsg.sandbox.model import Helpdesk
from bulkmsg.sandbox.page import render
from bulkmsg.sandbox.settings import SandboxSettings
from bulkmsg.sandbox.wire import HTML_TYPE, Answer, Call, Upload, html_not_found, too_large

HOST = "127.0.0.1"
LOOPBACK_NAMES = frozenset({"127.0.0.1", "localhost", "[::1]", "::1"})
LARGEST_REQUEST = 64 * 1024 * 1024  # of JSON; files are only measured
PIECE = 64 * 1024
DRIP_PIECES = 10
FAULT_SIDES: dict[str, Side] = {"POST": "write", "GET": "list"}
PAGE_HEADERS = {
    "Content-Security-Policy": "default-src 'none'; style-src 'unsafe-inline'",
    "X-Content-Type-Options": "nosniff",
    "Referrer-Policy": "no-referrer",
}


def now_utc() -> datetime:
    return datetime.now(UTC)


class Sandbox:
    """A running loopback helpdesk. `async with Sandbox(settings) as sandbox: ... sandbox.url ...`."""

    def __init__(
        self,
        settings: SandboxSettings | None = None,
        *,
        clock: Callable[[], float] = time.monotonic,
        wall: Callable[[], datetime] = now_utc,
        sleep: Callable[[float], Awaitable[None]] = asyncio.sleep,
    ) -> None:
        self.settings = settings or SandboxSettings()
        self._clock, self._wall, self._sleep = clock, wall, sleep
        start = self.moment()
        self.helpdesk = Helpdesk(self.settings, start)
        api = Api(self.helpdesk)
        faults = Faults(self.settings.faults, self.settings.seed)
        self.house = House(api, Front(self.settings, api, start), faults)
        self._latency = random.Random(f"{self.settings.seed}:latency")  # noqa: S311 -- no secret
        self._runner: web.AppRunner | None = None
        self._closing = asyncio.Event()
        self.port = self.settings.port

    # -- life ---------------------------------------------------------------------------------------------

    @property
    def url(self) -> str:
        return f"http://{HOST}:{self.port}"

    def moment(self) -> Moment:
        return Moment(self._clock(), self._wall())

    async def start(self) -> Self:
        app = web.Application(client_max_size=LARGEST_REQUEST)
        app.router.add_route("*", "/{tail:.*}", self._handle)
        self._runner = web.AppRunner(app, access_log=None, shutdown_timeout=0.5)
        await self._runner.setup()
        site = web.TCPSite(self._runner, HOST, self.settings.port)
        await site.start()
        self.port = self._runner.addresses[0][1]
        return self

    async def stop(self) -> None:
        self._closing.set()
        if self._runner is not None:
            await self._runner.cleanup()
            self._runner = None

    async def __aenter__(self) -> Self:
        return await self.start()

    async def __aexit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        await self.stop()

    # -- requests -----------------------------------------------------------------------------------------

    async def _handle(self, request: web.Request) -> web.StreamResponse:
        try:
            call = await read_call(request)
        except web.HTTPRequestEntityTooLarge:
            return response(too_large())
        if call.path.startswith("/api/") or call.path == "/api":
            return await self._api(request, call)
        if request.url.host not in LOOPBACK_NAMES:
            return response(html_not_found())
        return response(self._beside(call))

    def _beside(self, call: Call) -> Answer:
        """The doors beside the API."""
        if call.path.startswith("/_sandbox/"):
            return answer_control(self.house, call, self.moment())
        if call.path.startswith("/oauth/"):
            return self.house.front.credentials.answer(call, self.moment()) or html_not_found()
        if call.path == "/" and call.method == "GET":
            self.house.api.settle(self.moment())
            page = call.query.get("page", ["1"])[-1]
            html = render(self.helpdesk, int(page) if page.isdigit() else 1)
            return Answer(200, html.encode("utf-8", "replace"), HTML_TYPE, PAGE_HEADERS)
        return html_not_found()

    async def _api(self, request: web.Request, call: Call) -> web.StreamResponse:
        """Admit, maybe misbehave, answer. Half of the latency passes before the request is applied."""
        admission = self.house.front.admit(call, self.moment())
        fault = self._fault(call) if admission.answer is None else None
        wait = self._latency.uniform(*self.settings.latency) / 2
        if wait:
            await self._sleep(wait)
        deed = Act("send", admission.answer) if admission.answer else act(fault, self._apply(call, fault), call)
        if wait:
            await self._sleep(wait)
        return await self._perform(request, deed, admission.header)

    def _fault(self, call: Call) -> Fault | None:
        side = FAULT_SIDES.get(call.method)
        return self.house.faults.next(side) if side else None

    def _apply(self, call: Call, fault: Fault | None) -> Answer | None:
        """The helpdesk's own answer; None when the fault keeps the write from it, now or altogether."""
        when = self.moment()
        if fault is None or (call.method == "GET" and fault.kind.side == "list"):
            return self.house.api.answer(call, when)
        if not fault.kind.applied:
            return None
        if fault.kind.loses_answer and self.settings.commit_lag:
            self.house.api.later(call, when.later(self.settings.commit_lag))
            return None
        return self.house.api.answer(call, when)

    # -- answers ------------------------------------------------------------------------------------------

    async def _perform(self, request: web.Request, deed: Act, header: str) -> web.StreamResponse:
        match deed.how:
            case "drop":
                return reset(request)
            case "garbage":
                return garbage(request)
            case "hang":
                await self._hang(deed.wait)
                return reset(request)
        if deed.wait and deed.how == "send":
            await self._sleep(deed.wait)
        done = self.house.front.stamped(deed.answer or Answer(200), header)
        if deed.how == "half":
            return await half(request, done)
        return await self._drip(request, done, deed.wait) if deed.how == "drip" else response(done)

    async def _hang(self, seconds: float) -> None:
        """Keep silent until the time is over or the sandbox stops."""
        with suppress(TimeoutError):
            await asyncio.wait_for(self._closing.wait(), seconds)

    async def _drip(self, request: web.Request, done: Answer, seconds: float) -> web.StreamResponse:
        """Send the body in small pieces over some time."""
        stream = await begin(request, done)
        size = max(1, len(done.body) // DRIP_PIECES)
        with suppress(ConnectionError):
            for at in range(0, len(done.body), size):
                await self._sleep(seconds / DRIP_PIECES)
                await stream.write(done.body[at : at + size])
        return stream


async def read_call(request: web.Request) -> Call:
    """A request as a plain value; files are read and measured, not kept."""
    query = {name: request.query.getall(name) for name in request.query}
    multipart = request.content_type.startswith("multipart/")
    uploads = await read_uploads(request) if multipart else ()
    return Call(
        method=request.method,
        path=request.path,
        query=query,
        content_type=request.content_type,
        body=b"" if multipart else await request.read(),
        authorization=request.headers.get("Authorization", ""),
        uploads=uploads,
    )


async def read_uploads(request: web.Request) -> tuple[Upload, ...]:
    files: list[Upload] = []
    with suppress(ValueError, AssertionError):
        async for part in await request.multipart():
            if isinstance(part, BodyPartReader) and part.name:
                kind = part.headers.get("Content-Type", "application/octet-stream")
                size, digest = await measured(part)
                files.append(Upload(part.name, kind, size, digest))
    return tuple(files)


async def measured(part: BodyPartReader) -> tuple[int, str]:
    """Size and sha256 of a file that comes in, of which never more than a piece is held."""
    size, digest = 0, hashlib.sha256()
    while piece := await part.read_chunk(PIECE):
        size += len(piece)
        digest.update(piece)
    return size, digest.hexdigest()


def response(done: Answer) -> web.Response:
    """The answer as aiohttp sends it. An empty body has no content type."""
    headers = dict(done.headers)
    if done.body:
        headers["Content-Type"] = done.content_type
    return web.Response(status=done.status, body=done.body or None, headers=headers)


async def begin(request: web.Request, done: Answer) -> web.StreamResponse:
    """The head of an answer, with the length of its whole body."""
    stream = web.StreamResponse(status=done.status, headers=done.headers)
    stream.content_type = done.content_type.partition(";")[0]
    stream.content_length = len(done.body)
    await stream.prepare(request)
    return stream


async def half(request: web.Request, done: Answer) -> web.StreamResponse:
    """Half of the body that was announced, then the end of the connection."""
    stream = await begin(request, done)
    with suppress(ConnectionError):
        await stream.write(done.body[: len(done.body) // 2])
    if request.transport is not None:
        request.transport.close()
    return stream


def reset(request: web.Request) -> web.Response:
    """Close the connection without an answer, as hard as a crashed peer would: with a reset."""
    if request.transport is not None:
        raw = request.transport.get_extra_info("socket")
        if raw is not None:
            raw.setsockopt(socket.SOL_SOCKET, socket.SO_LINGER, struct.pack("ii", 1, 0))
        request.transport.abort()
    return web.Response()


def garbage(request: web.Request) -> web.Response:
    """Bytes that are no HTTP, then the end of the connection."""
    if request.transport is not None:
        request.transport.write(GARBAGE)
        request.transport.close()
    return web.Response()


async def serve(settings: SandboxSettings, ready: Callable[[str], None], stop: asyncio.Event) -> None:
    """Run a sandbox until told to stop; `ready` is told its URL once it listens."""
    async with Sandbox(settings) as sandbox:
        ready(sandbox.url)
        await stop.wait()
