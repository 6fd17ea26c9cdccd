"""OAuth requests as they are written, and the token endpoint's answers as they are read. Pure: nothing is sent here.

Gorgias's guide "OAuth2 Bearer Token" and its sample app (github.com/gorgias/appstore-demo-app) give the two addresses
on the account's own host, HTTP Basic with the app's id and secret, the scope `offline` for a refresh token, 24 hours as
an access token's life, and `expires_in: 0` in answers. The rest is RFC 6749, sections 4.1, 5 and 6. No PKCE: the sample
app's page says that it is not enabled.
"""

from __future__ import annotations

from dataclasses import dataclass, field
from urllib.parse import urlencode

from bulkmsg.ports import Contact, Reply

AUTHORIZE_PATH = "/oauth/authorize"
TOKEN_PATH = "/oauth/token"  # noqa: S105 -- an address
LIFE_SECONDS = 86_400.0  # documented: "valid for 24h"
_LONGEST_LIFE = 366 * LIFE_SECONDS
_LONGEST_TOKEN = 16_384
# What a run asks, reads and writes; `offline` brings the refresh token.
SCOPES = "offline tickets:write tickets:read customers:write customers:read users:read integrations:read account:read"

Form = tuple[tuple[str, str], ...]

# RFC 6749, sections 4.1.2.1 and 5.2, for people. Nothing else of an error answer is repeated: it may hold anything.
ERRORS = {
    "invalid_grant": "the refresh token is not accepted any more",
    "invalid_client": "the app's id or secret is not accepted",
    "unauthorized_client": "the app may not do this",
    "invalid_request": "the request was not understood",
    "invalid_scope": "the app may not ask for these rights",
    "unsupported_grant_type": "this way of signing in is not offered",
    "unsupported_response_type": "this way of signing in is not offered",
    "access_denied": "whoever was asked did not agree",
    "server_error": "the helpdesk met an error",
    "temporarily_unavailable": "the helpdesk is busy",
}


@dataclass(frozen=True, slots=True)
class Granted:
    """Tokens that were given out. `life` in seconds; `refresh` is empty where the old one stays. Never shown."""

    access: str = field(repr=False)
    refresh: str = field(repr=False)
    life: float


@dataclass(frozen=True, slots=True)
class NotGranted:
    """Why no token was given out. `final`: the same request would be refused again."""

    final: bool
    reason: str


def refresh_form(refresh_token: str) -> Form:
    return (("grant_type", "refresh_token"), ("refresh_token", refresh_token))


def code_form(code: str, redirect: str) -> Form:
    return (("grant_type", "authorization_code"), ("code", code), ("redirect_uri", redirect))


def authorize_url(base: str, client_id: str, redirect: str, state: str, scope: str) -> str:
    """The page at which the account's owner agrees. It holds no secret."""
    asked = (
        ("response_type", "code"),
        ("client_id", client_id),
        ("redirect_uri", redirect),
        ("scope", scope),
        ("state", state),
    )
    return f"{base}{AUTHORIZE_PATH}?{urlencode(asked)}"


def read_tokens(reply: Reply) -> Granted | NotGranted:
    """What the token endpoint's answer means. Whatever proves no refusal may be asked again."""
    if reply.contact is not Contact.ANSWERED:
        return NotGranted(False, reply.reason)
    if 200 <= reply.status < 300:
        return _granted(reply)
    final = 300 <= reply.status < 500 and reply.status not in (408, 429)
    error = reply.json.get("error") if isinstance(reply.json, dict) else None
    said = ERRORS.get(error) if isinstance(error, str) else None
    where = "" if said else " (the address for tokens is not there)" if reply.status == 404 else ""
    return NotGranted(final, f"{said or 'the request for a token was refused'} (HTTP {reply.status}){where}")


def _granted(reply: Reply) -> Granted | NotGranted:
    body = reply.json if reply.is_json and isinstance(reply.json, dict) else {}
    access, refresh = body.get("access_token"), body.get("refresh_token")
    if not _is_token(access):
        return NotGranted(False, f"the helpdesk answered {reply.status} without an access token")
    return Granted(str(access), str(refresh) if _is_token(refresh) else "", _life(body.get("expires_in")))


def _is_token(value: object) -> bool:
    return (
        isinstance(value, str)
        and 0 < len(value) <= _LONGEST_TOKEN
        and value.isascii()
        and value.isprintable()
        and (" " not in value)
    )


def _life(told: object) -> float:
    """Seconds; the documented life where the answer says nothing of use."""
    if isinstance(told, bool) or not isinstance(told, int | float) or not 0 < told <= _LONGEST_LIFE:
        return LIFE_SECONDS
    return float(told)
