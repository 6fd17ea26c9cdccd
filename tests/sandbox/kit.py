"""Bodies of the three types of message, a helpdesk on fake time, and a client for a running sandbox."""

import asyncio
import base64
import json
from collections.abc import Awaitable, Callable
from datetime import UTC, datetime, timedelta
from typing import Any

import aiohttp

from bulkmsg.sandbox.api import Api
from bulkmsg.sandbox.clock import Moment
from bulkmsg.sandbox.model import Helpdesk
from bulkmsg.sandbox.server import Sandbox
from bulkmsg.sandbox.settings import SandboxSettings
from bulkmsg.sandbox.wire import Call

NOON = datetime(2026, 6, 1, 12, 0, 0, tzinfo=UTC)
SENT = "2021-03-01T10:00:00Z"
KEY = "Basic " + base64.b64encode(b"anna@acme.com:key").decode()
FAST = {"limit": 1000, "window": 1.0}


def incoming(**more: Any) -> dict[str, Any]:
    ends = {"from": {"address": "jane@example.com"}, "to": [{"address": "support@acme.com"}]}
    base = {"channel": "email", "via": "api", "from_agent": False, "sender": {"email": "jane@example.com"}}
    return {**base, "source": ends, "body_text": "Where is my order?", **more}


def outgoing(**more: Any) -> dict[str, Any]:
    ends = {"from": {"address": "support@acme.com"}, "to": [{"address": "jane@example.com"}]}
    base = {"channel": "email", "via": "api", "from_agent": True, "sender": {"email": "anna@acme.com"}}
    return {**base, "source": ends, "body_text": "On its way.", **more}


def note(**more: Any) -> dict[str, Any]:
    base = {
        "channel": "internal-note",
        "via": "api",
        "from_agent": True,
        "sender": {"email": "anna@acme.com"},
    }
    return {**base, "body_text": "She is angry.", **more}


class Desk:
    """A helpdesk without a server, on a clock that the test moves."""

    def __init__(self, **settings: Any) -> None:
        self.settings = SandboxSettings(**settings)
        self.now = 0.0
        self.helpdesk = Helpdesk(self.settings, self.moment())
        self.api = Api(self.helpdesk)

    def moment(self) -> Moment:
        return Moment(self.now, NOON + timedelta(seconds=self.now))

    def call(self, method: str, path: str, body: Any = None, **query: Any) -> tuple[int, Any]:
        """Status and JSON of an answer. The clock moves by a millisecond, as no two calls are at once."""
        self.now += 0.001
        asked = {k: v if isinstance(v, list) else [str(v)] for k, v in query.items()}
        content = b"" if body is None else json.dumps(body).encode()
        done = self.api.answer(Call(method, path, asked, body=content, authorization=KEY), self.moment())
        return done.status, json.loads(done.body) if done.body else None

    def post(self, body: Any, ticket: int = 5) -> Any:
        """Create a message that must be taken."""
        status, data = self.call("POST", f"/api/tickets/{ticket}/messages", body)
        assert status == 201, data
        return data

    def refused(self, body: Any, ticket: int = 5) -> Any:
        """Create a message that must be refused; the details of the refusal."""
        status, data = self.call("POST", f"/api/tickets/{ticket}/messages", body)
        assert status == 400, data
        assert not self.helpdesk.messages
        return data["error"]["data"]


class Client:
    """Talks to a running sandbox."""

    def __init__(self, sandbox: Sandbox, session: aiohttp.ClientSession) -> None:
        self.sandbox, self.session = sandbox, session

    async def call(
        self, method: str, path: str, body: Any = None, *, auth: str = KEY, **more: Any
    ) -> tuple[int, Any, Any]:
        """Status, headers and JSON (or text) of an answer; redirects are not followed."""
        headers = {"Authorization": auth} if auth else {}
        url = self.sandbox.url + path
        async with self.session.request(
            method, url, json=body, headers=headers, allow_redirects=False, **more
        ) as reply:
            text = await reply.text()
            kind = reply.content_type
            return reply.status, reply.headers, json.loads(text) if "json" in kind and text else text

    async def post(self, body: Any, ticket: int = 5) -> tuple[int, Any, Any]:
        return await self.call("POST", f"/api/tickets/{ticket}/messages", body)

    async def state(self) -> Any:
        return (await self.call("GET", "/_sandbox/state", auth=""))[2]


def with_sandbox(test: Callable[[Client], Awaitable[None]], **settings: Any) -> None:
    """Run a test against a fresh sandbox; a client that keeps no connections, so that drops are its own."""

    async def run() -> None:
        connector = aiohttp.TCPConnector(force_close=True)
        async with (
            Sandbox(SandboxSettings(**{**FAST, **settings})) as sandbox,
            aiohttp.ClientSession(connector=connector) as session,
        ):
            await test(Client(sandbox, session))

    asyncio.run(run())
