"""The one door to the network: sends a request as it is told and says how far it got. Follows no redirect, repeats
nothing, keeps no cookie, and lets no exception of aiohttp out (their texts can hold credentials)."""

from __future__ import annotations

import asyncio
from base64 import b64encode
from collections.abc import Iterable, Mapping
from types import SimpleNamespace
from typing import Self
from urllib.parse import urlencode

import aiohttp
from yarl import URL

from bulkmsg import __version__, json_text
from bulkmsg.message import Upload
from bulkmsg.ports import Contact, Reply, Request
from bulkmsg.readers.sent import Sent
from bulkmsg.settings import Credentials
from bulkmsg.source import Json

LIMIT_HEADER = "X-Gorgias-Account-Api-Call-Limit"  # Gorgias reference, "Rate Limits"
CONNECT_SECONDS = 10.0
# A kept connection that the server may have closed meanwhile makes doubts; a young one hardly ever does.
KEEP_ALIVE_SECONDS = 8.0
_MOST_BYTES = 16_000_000  # a page of 100 messages with bodies; errors are read up to the smaller bound
_MOST_ERROR_BYTES = 65_536
# A file may take as long as it needs at 2 Mbit/s, on top of the time that any request has.
UPLOAD_BYTES_PER_SECOND = 250_000


class GorgiasClient:
    """Helpdesk port over aiohttp.

    Args:
        base_url: scheme, host and port; built from an account's checked name, or a checked loopback override.
        timeout: seconds for one request from its first byte to the answer's last; for a file, more by its size.
    """

    def __init__(self, base_url: str, credentials: Credentials, timeout: float = 60.0) -> None:
        self._base = URL(base_url)
        self._headers = {
            "Accept": "application/json",
            "Content-Type": "application/json",
            "User-Agent": f"bulkmsg/{__version__}",
            "Authorization": _authorization(credentials),
        }
        self._timeout = _timeout(timeout)
        self._session: aiohttp.ClientSession | None = None

    async def __aenter__(self) -> Self:
        trace = aiohttp.TraceConfig()
        trace.on_request_headers_sent.append(_note_departure)
        self._session = aiohttp.ClientSession(
            connector=aiohttp.TCPConnector(limit=0, keepalive_timeout=KEEP_ALIVE_SECONDS, use_dns_cache=True),
            cookie_jar=aiohttp.DummyCookieJar(),
            trace_configs=[trace],
            timeout=self._timeout,
            trust_env=False,
        )
        return self

    async def __aexit__(self, *args: object) -> None:
        if self._session is not None:
            await self._session.close()

    def use(self, token: str) -> None:
        """Send what is sent from now on with this access token."""
        self._headers = {**self._headers, "Authorization": _authorization(Credentials(token=token))}

    async def call(self, request: Request) -> Reply:
        """Send one request. Never raises but for cancellation."""
        return await self._send(request, self._headers_of(request), _MOST_BYTES)

    async def grant(self, path: str, form: Iterable[tuple[str, str]], client_id: str, client_secret: str) -> Reply:
        """Post a form to the account's own host as an app: HTTP Basic, as Gorgias's guide to OAuth2 has it."""
        headers = {
            **self._headers,
            "Content-Type": "application/x-www-form-urlencoded",
            "Authorization": _basic(client_id, client_secret),
        }
        return await self._send(Request("POST", path, body=urlencode(list(form)).encode()), headers, _MOST_ERROR_BYTES)

    async def _send(self, request: Request, headers: Mapping[str, str], most: int) -> Reply:
        """The sign that a request surely never left is that aiohttp did not announce its headers as sent: a reset right
        on connecting and one after the server accepted look the same otherwise.
        """
        assert self._session is not None, "the client is used inside `async with`"
        loop = asyncio.get_running_loop()
        departure = SimpleNamespace(left=False)
        started = loop.time()
        file: Sent | None = None
        try:
            file = Sent(request.upload) if request.upload else None
            async with self._session.request(
                request.method,
                self._base.with_path(request.path, encoded=True).with_query(list(request.query)),
                data=_form(request.upload, file) if request.upload and file else request.body,
                headers=headers,
                allow_redirects=False,
                trace_request_ctx=departure,
                timeout=self._timeout_of(request),
            ) as response:
                return await _read(response, started, loop, most)
        except (aiohttp.ClientError, OSError, TimeoutError, ValueError) as error:
            contact = Contact.LOST if departure.left else Contact.NEVER_LEFT
            said = "the file could not be read" if _is_unread(request, file) else _say(error, departure.left)
            return Reply(contact, reason=said, sent=started, received=loop.time())
        finally:
            if file is not None:
                file.close()

    def _headers_of(self, request: Request) -> dict[str, str]:
        """Without a type for a form, which says itself what it is: its boundary belongs to it."""
        if request.upload is None:
            return self._headers
        return {name: value for name, value in self._headers.items() if name != "Content-Type"}

    def _timeout_of(self, request: Request) -> aiohttp.ClientTimeout:
        more = request.upload.size / UPLOAD_BYTES_PER_SECOND if request.upload else 0.0
        return _timeout((self._timeout.total or 0.0) + more) if more else self._timeout


def _timeout(total: float) -> aiohttp.ClientTimeout:
    return aiohttp.ClientTimeout(total=total, connect=None, sock_connect=CONNECT_SECONDS)


def _form(upload: Upload, file: Sent) -> aiohttp.FormData:
    """The form that uploads a file: the name of its field becomes the file's name (Gorgias reference, "Upload files").

    Names leave as the UTF-8 that they are (RFC 7578, section 4.2), since what is written in escapes could be kept so.
    """
    form = aiohttp.FormData(quote_fields=False)
    form.add_field(upload.name, file, filename=upload.name, content_type=upload.content_type)
    return form


def _is_unread(request: Request, file: Sent | None) -> bool:
    """Whether it is our own disk that failed, or a file that is not what it was."""
    return request.upload is not None and (file is None or file.changed)


async def _note_departure(
    session: aiohttp.ClientSession, context: SimpleNamespace, params: aiohttp.TraceRequestHeadersSentParams
) -> None:
    context.trace_request_ctx.left = True


async def _read(response: aiohttp.ClientResponse, started: float, loop: asyncio.AbstractEventLoop, most: int) -> Reply:
    most = most if response.status < 300 else _MOST_ERROR_BYTES
    whole = True
    body = b""
    try:
        body = await _up_to(response, most)
    except (aiohttp.ClientError, OSError, TimeoutError, ValueError):
        whole = False
    used, limit = _call_limit(response.headers.get(LIMIT_HEADER))
    parsed, is_json = _parse(body) if whole and len(body) <= most else (None, False)
    # A refusal is a refusal even if its text was cut; of a success only the whole answer counts.
    lost = not whole and response.status < 300
    return Reply(
        Contact.LOST if lost else Contact.ANSWERED,
        status=response.status,
        json=parsed,
        is_json=is_json,
        used=used,
        limit=limit,
        retry_after=response.headers.get("Retry-After"),
        location=response.headers.get("Location"),
        reason="the answer was cut off" if lost else "",
        sent=started,
        received=loop.time(),
    )


async def _up_to(response: aiohttp.ClientResponse, most: int) -> bytes:
    parts: list[bytes] = []
    size = 0
    async for part in response.content.iter_chunked(65_536):
        parts.append(part)
        size += len(part)
        if size > most:
            break
    return b"".join(parts)


def _parse(body: bytes) -> tuple[Json, bool]:
    try:
        return json_text.loads(body), True
    except json_text.JSONDecodeError:
        return None, False


def _call_limit(text: str | None) -> tuple[int | None, int | None]:
    """Both sides of `used/limit`, as documented like 10/80; nothing that only resembles it."""
    used, slash, limit = (text or "").partition("/")
    if not slash or not used.strip().isdecimal() or not limit.strip().isdecimal() or len(text or "") > 20:
        return None, None
    return int(used), int(limit) or None


def _authorization(credentials: Credentials) -> str:
    if credentials.token:
        return f"Bearer {credentials.token}"
    return _basic(credentials.email, credentials.api_key)


def _basic(name: str, password: str) -> str:
    return f"Basic {b64encode(f'{name}:{password}'.encode()).decode()}"


def _say(error: Exception, left: bool) -> str:
    """What went wrong, for a person: by the error's kind, never by its text."""
    if isinstance(error, aiohttp.ClientConnectorDNSError):
        return "the helpdesk's name could not be resolved"
    if isinstance(error, aiohttp.ClientConnectorCertificateError | aiohttp.ClientConnectorSSLError):
        return "no safe connection (TLS) could be made"
    if isinstance(error, TimeoutError):
        return "no answer in time" if left else "no connection in time"
    if isinstance(error, aiohttp.ClientConnectorError):
        return "the connection was refused"
    if isinstance(error, aiohttp.ClientResponseError):
        return "the answer was no HTTP"
    return "the connection was lost" if left else "no connection could be made"
