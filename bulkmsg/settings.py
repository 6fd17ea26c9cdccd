"""What the user sets: rates, durations, account names, credentials. Values and their parsing, no input or output."""

from __future__ import annotations

import re
from dataclasses import dataclass, field
from enum import StrEnum
from pathlib import Path
from urllib.parse import urlsplit

from bulkmsg.errors import Refused, UsageError

_DURATION = re.compile(r"(\d+(?:\.\d+)?)(ms|s|m|h|d)?")
_UNITS = {"ms": 0.001, "s": 1.0, "m": 60.0, "h": 3600.0, "d": 86400.0, None: 1.0}
_RATE = re.compile(r"(\d+)/(\d*(?:\.\d+)?(?:ms|s|m|h)?)")
_ACCOUNT = re.compile(r"[a-z0-9](?:[a-z0-9-]{0,61}[a-z0-9])?")
LOOPBACK = frozenset({"127.0.0.1", "localhost", "::1"})

SANDBOX_ACCOUNT = "sandbox"


def parse_duration(text: str) -> float:
    """Seconds from `90s`, `2h`, `0.3s`, `500ms`, or a bare number of seconds; `1h30m` adds up.

    Raises:
        UsageError: the text is none of these.
    """
    parts = list(_DURATION.finditer(text))
    if not parts or "".join(part.group() for part in parts) != text:
        raise UsageError(f"{text!r} is no duration", "write it like 90s, 2h, 0.3s or 1h30m; a bare number is seconds")
    if len(parts) > 1 and any(part.group(2) is None for part in parts):
        raise UsageError(f"{text!r} is no duration", "give each part a unit, as in 1h30m")
    return sum(float(part.group(1)) * _UNITS[part.group(2)] for part in parts)


@dataclass(frozen=True, slots=True)
class Rate:
    """`limit` requests in any `window` seconds."""

    limit: int
    window: float

    @property
    def per_second(self) -> float:
        return self.limit / self.window

    def __str__(self) -> str:
        return f"{self.limit}/{self.window:g}s"


# Gorgias reference, "Rate Limits": an API key has 40 requests in 20 s, an OAuth2 app 80 in 20 s.
API_KEY_RATE = Rate(40, 20.0)
OAUTH_RATE = Rate(80, 20.0)


def parse_rate(text: str) -> Rate:
    """A rate from `40/20s`, `40/2s`, `2/s` (a missing number of the unit is one).

    Raises:
        UsageError: the text is no rate, or one of its numbers is zero.
    """
    match = _RATE.fullmatch(text)
    if not match or not match.group(2):
        raise UsageError(f"{text!r} is no rate", "write it as requests per time, like 40/20s or 2/s")
    amount = match.group(2)
    window = parse_duration(amount if amount[0].isdigit() or amount[0] == "." else f"1{amount}")
    rate = Rate(int(match.group(1)), window)
    if rate.limit < 1 or window <= 0:
        raise UsageError(f"the rate {text!r} would never send anything", "both numbers must be above zero")
    return rate


def check_account(name: str) -> str:
    """The account's slug, checked: the host is built from it, never parsed from text.

    Raises:
        UsageError: the name is no slug (a URL, an address, capital letters).
    """
    if not _ACCOUNT.fullmatch(name):
        raise UsageError(
            f"{name[:80]!r} is no account name",
            "give the first part of the helpdesk's address alone: for https://acme.gorgias.com it is acme",
        )
    return name


def check_base_url(url: str) -> str:
    """The base URL override, checked: plain http to a loopback address and nothing else.

    Raises:
        UsageError: another host, a path, a user part, or no port.
    """
    refused = UsageError(
        "GORGIAS_BASE_URL may only name a loopback address",
        "set it like http://127.0.0.1:8089, or unset it to use the account's own host",
    )
    try:
        parts = urlsplit(url)
        port = parts.port
    except ValueError:
        raise refused from None
    plain = not (parts.username or parts.password or parts.query or parts.fragment or parts.path.strip("/"))
    if parts.scheme != "http" or parts.hostname not in LOOPBACK or not plain or port is None:
        raise refused
    host = f"[{parts.hostname}]" if ":" in (parts.hostname or "") else parts.hostname
    return f"http://{host}:{port}"


class InDoubt(StrEnum):
    """What to do with a message that complete look-ups show absent."""

    RESEND = "resend"
    HOLD = "hold"


class Attachments(StrEnum):
    """What leaves of a batch's attachments. It never changes which entry is which, nor whether it was edited."""

    UPLOAD = "upload"  # files are uploaded, web addresses passed on
    LINK = "link"  # web addresses are passed on; nothing is uploaded
    SKIP = "skip"  # messages leave without


@dataclass(frozen=True, slots=True)
class App:
    """An OAuth app of the account's, which can have access tokens made. Never shown.

    Args:
        refresh_token: as it was given; empty where a login is kept on this machine instead.
        refresh_file: the file that it was read from, if it was one.
    """

    client_id: str = field(repr=False)
    client_secret: str = field(repr=False)
    refresh_token: str = field(default="", repr=False)
    refresh_file: Path | None = None

    def __post_init__(self) -> None:
        _refuse_unsendable(self.client_id, self.client_secret, self.refresh_token)


@dataclass(frozen=True, slots=True)
class Credentials:
    """Who we are to the helpdesk: an e-mail and API key (Basic), an access token (Bearer), or an app that has such
    tokens made. Never shown.

    Args:
        token: with an app, the access token to begin with.
        sources: what was given, and where it was read; no values.
    """

    email: str = field(default="", repr=False)
    api_key: str = field(default="", repr=False)
    token: str = field(default="", repr=False)
    app: App | None = None
    sources: tuple[tuple[str, str], ...] = field(default=(), compare=False)

    def __post_init__(self) -> None:
        _refuse_unsendable(self.email, self.api_key, self.token)

    @property
    def secrets(self) -> tuple[str, ...]:
        """What must never appear anywhere, long enough to be looked for."""
        own = (self.api_key, self.token)
        of_app = (self.app.client_secret, self.app.refresh_token) if self.app else ()
        return tuple(value for value in (*own, *of_app) if len(value) >= 8)

    @property
    def default_rate(self) -> Rate:
        """The documented limit for this kind of credential; the server's header outranks it."""
        return OAUTH_RATE if self.token or self.app else API_KEY_RATE


def _refuse_unsendable(*values: str) -> None:
    if any(char.isspace() or not char.isprintable() for value in values for char in value):
        raise Refused(
            "a credential holds a blank, a line break or a control character",
            "check the variables that begin with GORGIAS_, and the files they name",
        )
