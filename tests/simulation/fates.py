"""What becomes of one request."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Any

from bulkmsg.ports import Contact, Reply


@dataclass(slots=True)
class Fate:
    """What becomes of a request: stored after so many seconds or never, and what the tool hears of it, when.

    `keep`: of a new ticket only so many of its first messages are stored.
    """

    told: str
    reply: Reply
    after: float = 0.1
    stored: float | None = None
    keep: int | None = None


def json_reply(status: int, body: Any, **fields: Any) -> Reply:
    return Reply(Contact.ANSWERED, status, body, True, **fields)
