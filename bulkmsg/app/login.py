"""Signing in: the account's owner agrees in a browser, which comes back to this machine with a code for tokens.

The flow is RFC 6749's, section 4.1, with the loopback address of RFC 8252, section 7.3; what of it Gorgias documents
stands in `gorgias.oauth`. The code is worth a token: it is never shown, and neither is the page that brought it.
"""

from __future__ import annotations

import asyncio
import hmac
import time
from collections.abc import Callable
from contextlib import suppress
from dataclasses import dataclass
from secrets import token_urlsafe
from urllib.parse import parse_qs, urlsplit

from bulkmsg.errors import Refused, UsageError
from bulkmsg.gorgias import oauth
from bulkmsg.gorgias.oauth import NotGranted
from bulkmsg.settings import App, Credentials
from bulkmsg.tokens import TokenFile, Tokens

HOST = "127.0.0.1"
PORT = 8976
_AGAIN = "start again: bulkmsg auth login"
_LONGEST_HEAD = 16_384
_HEAD_SECONDS = 10.0


@dataclass(frozen=True, slots=True)
class SignIn:
    """A sign-in that is asked for.

    Args:
        base: scheme and host of the helpdesk; the account's own, or a checked loopback one.
        port: to which the browser comes back; 0 chooses a free one.
        patience: seconds for the person in the browser.
        timeout: seconds for the request that exchanges the code.
    """

    base: str
    app: App
    kept: TokenFile
    port: int = PORT
    scope: str = oauth.SCOPES
    patience: float = 300.0
    timeout: float = 60.0


async def sign_in(asked: SignIn, show: Callable[[str], None]) -> None:
    """Have tokens given out, and keep them.

    Args:
        show: is given the address of the page to open; it holds no secret.

    Raises:
        UsageError: the port cannot be had.
        Refused: nobody came back in time, the answer belongs to another sign-in, or the helpdesk gave no tokens.
    """
    state = token_urlsafe(32)
    waiting = _Waiting(state)
    try:
        server = await asyncio.start_server(waiting.serve, HOST, asked.port, limit=_LONGEST_HEAD)
    except OSError as error:
        hint = "another program has it: give --port, and enter that address as the app's redirect URL as well"
        raise UsageError(f"port {asked.port} cannot be had: {error.strerror}", hint) from None
    async with server:
        redirect = f"http://{HOST}:{server.sockets[0].getsockname()[1]}/"
        show(oauth.authorize_url(asked.base, asked.app.client_id, redirect, state, asked.scope))
        code = await waiting.code(asked.patience)
    await _exchange(asked, code, redirect)


async def _exchange(asked: SignIn, code: str, redirect: str) -> None:
    from bulkmsg.gorgias.client import GorgiasClient  # here: commands without a network never load it

    app = asked.app
    async with GorgiasClient(asked.base, Credentials(), asked.timeout) as client:
        form = oauth.code_form(code, redirect)
        granted = oauth.read_tokens(await client.grant(oauth.TOKEN_PATH, form, app.client_id, app.client_secret))
    if isinstance(granted, NotGranted):
        reason = granted.reason.replace("the refresh token is", "the code from the browser is")
        raise Refused(f"no tokens were given out: {reason}", _AGAIN)
    if not granted.refresh:
        hint = "the app needs the scope `offline`; give it where the app was made, then start again"
        raise Refused("the helpdesk gave an access token and no refresh token", hint)
    try:
        async with asked.kept.alone(asked.timeout):
            asked.kept.keep(Tokens(granted.refresh, granted.access, time.time() + granted.life))
    except (OSError, TimeoutError) as error:
        hint = "XDG_STATE_HOME can name a folder that can be written; then start again"
        why = error.strerror if isinstance(error, OSError) and error.strerror else "another command has them"
        raise Refused(f"the tokens cannot be kept in {asked.kept.path}: {why}", hint) from None


class _Waiting:
    """The small server that the browser comes back to."""

    def __init__(self, state: str) -> None:
        self._state = state
        self._came: asyncio.Future[str] = asyncio.get_running_loop().create_future()

    async def code(self, patience: float) -> str:
        try:
            return await asyncio.wait_for(self._came, patience)
        except TimeoutError:
            hint = (
                "was the page opened, and is this address entered as the app's redirect URL? "
                "On a machine without a browser, forward the port: ssh -L 8976:127.0.0.1:8976 HOST"
            )
            raise Refused(f"nobody came back from the browser within {patience:g} s", hint) from None

    async def serve(self, reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        with suppress(OSError, ValueError, TimeoutError, asyncio.IncompleteReadError, asyncio.LimitOverrunError):
            head = await asyncio.wait_for(reader.readuntil(b"\r\n\r\n"), _HEAD_SECONDS)
            status, said = self._answer(head.split(b"\r\n", 1)[0].decode("ascii", "replace"))
            writer.write(_page(status, said))
            await writer.drain()
        writer.close()

    def _answer(self, line: str) -> tuple[str, str]:
        """What a request's first line leads to; other requests, such as for an icon, leave the wait as it is."""
        method, _, rest = line.partition(" ")
        parts = urlsplit(rest.partition(" ")[0])
        told = {name: values[0] for name, values in parse_qs(parts.query).items()}
        if method != "GET" or parts.path != "/" or not ({"code", "error"} & told.keys()) or self._came.done():
            return "404 Not Found", "There is nothing here."
        if not hmac.compare_digest(told.get("state", "").encode(), self._state.encode()):
            said = "the answer that came from the browser belongs to another sign-in (its state is wrong)"
            self._came.set_exception(Refused(said, _AGAIN))
            return "400 Bad Request", "This answer belongs to another sign-in. Nothing was kept."
        if "code" not in told:
            why = oauth.ERRORS.get(told["error"], "the helpdesk refused")
            self._came.set_exception(Refused(f"signing in ended without tokens: {why}", _AGAIN))
            return "200 OK", "Signing in ended without tokens. The terminal tells more."
        self._came.set_result(told["code"])
        return "200 OK", "Thank you. You can close this page and go back to the terminal."


def _page(status: str, said: str) -> bytes:
    body = f"<!doctype html><meta charset=utf-8><title>bulkmsg</title><p>{said}".encode()
    head = (
        f"HTTP/1.1 {status}\r\nContent-Type: text/html; charset=utf-8\r\nContent-Length: {len(body)}\r\n"
        "Cache-Control: no-store\r\nReferrer-Policy: no-referrer\r\nContent-Security-Policy: default-src 'none'\r\n"
        "Connection: close\r\n\r\n"
    )
    return head.encode() + body
