"""A request and an answer as plain values, and the error texts of the helpdesk.

Texts known from recordings or Gorgias's pages are used as they are; the rest is made up in the same shape.
"""

import base64
import binascii
import json
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from typing import Any

JSON_TYPE = "application/json"
HTML_TYPE = "text/html; charset=utf-8"

Json = dict[str, Any]
Problems = dict[str, Any]
"""Field to list of texts, nested along the body."""


@dataclass(frozen=True, slots=True)
class Upload:
    """One file of a multipart body."""

    name: str
    content_type: str
    size: int
    digest: str


@dataclass(frozen=True, slots=True)
class Call:
    """One request, as far as the helpdesk looks at it."""

    method: str
    path: str
    query: Mapping[str, Sequence[str]] = field(default_factory=dict)
    content_type: str = JSON_TYPE
    body: bytes = b""
    authorization: str = ""
    uploads: tuple[Upload, ...] = ()

    @property
    def uri(self) -> str:
        """Path and query as list envelopes repeat them."""
        return f"{self.path}?" + "&".join(f"{k}={v}" for k, vs in self.query.items() for v in vs)


@dataclass(frozen=True, slots=True)
class Answer:
    """One response."""

    status: int
    body: bytes = b""
    content_type: str = JSON_TYPE
    headers: Mapping[str, str] = field(default_factory=dict)

    @property
    def ok(self) -> bool:
        return 200 <= self.status < 300


def basic(authorization: str) -> tuple[str, str] | None:
    """Name and password of Basic credentials; None for anything else."""
    scheme, _, rest = authorization.partition(" ")
    if scheme.lower() != "basic":
        return None
    try:
        name, colon, password = base64.b64decode(rest.strip(), validate=True).decode().partition(":")
    except (binascii.Error, ValueError):
        return None
    return (name, password) if colon and name and password else None


def answer(data: Any, status: int = 200) -> Answer:
    """An answer in JSON."""
    return Answer(status, json.dumps(data, ensure_ascii=False).encode("utf-8", "surrogatepass"))


def refusal(status: int, msg: str, data: Problems | None = None) -> Answer:
    """The error envelope: `{"error": {"msg": ..., "data": {field: [text]}}}`."""
    error: Json = {"msg": msg} if data is None else {"msg": msg, "data": data}
    return answer({"error": error}, status)


def unauthorized() -> Answer:
    return refusal(401, "Unauthorized.")


def out_of_quota() -> Answer:
    """The text recorded on a trial account."""
    return refusal(403, "You do not have enough permissions to perform this action. Messaging quota exceeded.")


def forbidden() -> Answer:
    return refusal(403, "You do not have enough permissions to perform this action.")


def not_found() -> Answer:
    return refusal(404, "Resource not found.")


def not_allowed() -> Answer:
    return refusal(405, "The specified HTTP method is not allowed.")


def duplicate() -> Answer:
    return refusal(409, "The resource already exists.")


def too_large() -> Answer:
    """The body of a 413 is unknown; simulated in the common shape."""
    return refusal(413, "The payload is too large.")


def too_many() -> Answer:
    """The body of a 429 is unknown; simulated in the common shape."""
    return refusal(429, "Too many requests.")


def html_not_found() -> Answer:
    """What a wrong host answers: a page, not JSON."""
    return Answer(404, b"<!doctype html><title>404</title><h1>Not found</h1>", HTML_TYPE)
