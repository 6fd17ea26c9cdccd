"""What an answer means, and when to try again: judging replies, backing off, sitting out an outage. Pure."""

from __future__ import annotations

import re
from dataclasses import dataclass
from enum import Enum
from random import Random

from bulkmsg.gorgias import wire
from bulkmsg.message import ExistingTicket, Message, Upload
from bulkmsg.ports import Contact, Reply
from bulkmsg.source import Json

# Refusals that say the request was understood and nothing was created (Gorgias reference, "Errors").
_REJECTING = frozenset({400, 404, 405, 413, 415, 422})


class Verdict(Enum):
    """The meaning of an answer to a request that creates something."""

    CREATED = "created"
    REJECTED = "rejected"
    NOT_PROCESSED = "not processed"
    THROTTLED = "throttled"
    REFUSED = "refused"  # the credentials or their rights: it concerns the whole run
    IN_DOUBT = "in doubt"


@dataclass(frozen=True, slots=True)
class Judgement:
    """A verdict with what the answer told. `echo` is the external id that came back with the created message."""

    verdict: Verdict
    status: int = 0
    message_id: int | None = None
    ticket_id: int | None = None
    echo: str | None = None
    error: str = ""


def judge(reply: Reply, message: Message) -> Judgement:
    """What the answer to a message's creating request means. Whatever proves nothing leaves the message in doubt."""
    if reply.contact is Contact.NEVER_LEFT:
        return Judgement(Verdict.NOT_PROCESSED, error=reply.reason)
    if reply.contact is Contact.LOST:
        return Judgement(Verdict.IN_DOUBT, reply.status, error=reply.reason)
    if 200 <= reply.status < 300:
        return _created(reply, message)
    if reply.status == 429:
        return Judgement(Verdict.THROTTLED, 429, error="the helpdesk's limit was reached")
    if reply.status in (401, 403):
        return Judgement(Verdict.REFUSED, reply.status, error=wire.error_text(reply))
    if reply.status in _REJECTING and reply.is_json:
        return Judgement(Verdict.REJECTED, reply.status, error=wire.error_text(reply))
    if reply.status == 301 and (other := merged_into(reply, message)) is not None:
        # Gorgias changelog, "301 redirect when fetching merged ticket".
        return Judgement(Verdict.REJECTED, 301, error=f"the ticket was merged into ticket {other}")
    return Judgement(Verdict.IN_DOUBT, reply.status, error=f"the helpdesk answered {reply.status}")


def judge_upload(reply: Reply, file: Upload) -> Judgement | dict[str, Json]:
    """What the answer to an upload means; what goes into the message where it stands in the helpdesk now.

    An upload creates no message, so what is in doubt may simply be repeated. A 413 need not be JSON: who refuses a
    large body is often a proxy, and nothing documents its text.
    """
    if reply.contact is Contact.NEVER_LEFT:
        return Judgement(Verdict.NOT_PROCESSED, error=reply.reason)
    if reply.contact is Contact.LOST:
        return Judgement(Verdict.IN_DOUBT, reply.status, error=reply.reason)
    if 200 <= reply.status < 300:
        found = wire.read_upload(reply, file)
        return Judgement(Verdict.IN_DOUBT, reply.status, error=found) if isinstance(found, str) else found
    if reply.status == 429:
        return Judgement(Verdict.THROTTLED, 429, error="the helpdesk's limit was reached")
    if reply.status in (401, 403):
        return Judgement(Verdict.REFUSED, reply.status, error=wire.error_text(reply))
    if reply.status in _REJECTING and (reply.is_json or reply.status == 413):
        return Judgement(Verdict.REJECTED, reply.status, error=wire.error_text(reply))
    return Judgement(Verdict.IN_DOUBT, reply.status, error=f"the helpdesk answered {reply.status}")


def _created(reply: Reply, message: Message) -> Judgement:
    body = reply.json if reply.is_json and isinstance(reply.json, dict) else {}
    own_id = wire.integer_id(body.get("id"))
    if own_id is None:
        return Judgement(Verdict.IN_DOUBT, reply.status, error=f"the helpdesk answered {reply.status} without an id")
    echo = body.get("external_id")
    if isinstance(message.ticket, ExistingTicket):
        return Judgement(Verdict.CREATED, reply.status, own_id, message.ticket.id, _text(echo))
    inner = body.get("messages")
    first = inner[0] if isinstance(inner, list) and inner and isinstance(inner[0], dict) else {}
    return Judgement(Verdict.CREATED, reply.status, wire.integer_id(first.get("id")), own_id, _text(echo))


def _text(value: object) -> str | None:
    return value if isinstance(value, str) else None


def merged_into(reply: Reply, message: Message) -> int | None:
    """The surviving ticket's id, when a 301 names another ticket."""
    match = re.search(r"/tickets/([1-9][0-9]{0,17})(?:/|$|\?)", reply.location or "")
    if match is None or not isinstance(message.ticket, ExistingTicket):
        return None
    other = int(match.group(1))
    return None if other == message.ticket.id else other


def backoff(tries: int, random: Random, longest: float = 30.0) -> float:
    """Seconds before the next try of the same thing: doubling from half a second, with full jitter above a quarter."""
    whole = min(longest, 0.5 * 2.0 ** min(tries, 16))
    return whole * (0.25 + 0.75 * random.random())


@dataclass
class Breaker:
    """Sits out an outage: after some failures in a row only one request at a time is let through, ever more rarely.

    Args:
        after: failures in a row, over all lanes, that make an outage.
        limit: seconds of outage after which the run gives up (it can be taken up again).
    """

    after: int = 6
    longest: float = 60.0
    limit: float = 1800.0
    failures: int = 0
    _since: float | None = None
    _next: float = 0.0
    _probing: bool = False

    @property
    def is_open(self) -> bool:
        return self.failures >= self.after

    def wait(self, now: float) -> float:
        """Seconds until a request may be tried; 0 when none is kept back. While a probe is out, a short while."""
        if not self.is_open:
            return 0.0
        if self._probing:
            return 0.25
        return max(0.0, self._next - now)

    def begin(self) -> None:
        """A request leaves; in an outage it is the one probe."""
        self._probing = self.is_open

    def good(self) -> None:
        """The helpdesk answered sensibly."""
        self.failures, self._since, self._probing = 0, None, False

    def bad(self, now: float) -> None:
        """No sensible answer: refused, lost, garbage or a server error."""
        self.failures += 1
        self._probing = False
        if self._since is None:
            self._since = now
        if self.is_open:
            self._next = now + min(self.longest, 1.0 * 2.0 ** min(self.failures - self.after, 16))

    def is_hopeless(self, now: float) -> bool:
        return self.is_open and self._since is not None and now - self._since > self.limit
