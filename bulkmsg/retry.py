"""What an answer means, and when to try again: judging replies, backing off, sitting out an outage. Pure."""

from __future__ import annotations

import re
from collections.abc import Sequence
from dataclasses import dataclass
from enum import Enum
from random import Random

from bulkmsg.gorgias import wire
from bulkmsg.message import Message, NewTicket, Upload, log_name
from bulkmsg.ports import Contact, Reply
from bulkmsg.source import Json

# Refusals that say the request was understood and nothing was created (Gorgias reference, "Errors").
REJECTING = frozenset({400, 404, 405, 413, 415, 422})


# Refusals in a row of one request, each for an access token that had run out, before they count as one of the account.
MOST_RENEWALS = 3


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
    """A verdict with what the answer told.

    Args:
        ids: of each message its id, None where the answer does not tell it.
        echoed: our external ids came back as they were sent, so that looking for them proves something.
        named: what the helpdesk says of single messages of a refused new ticket, by their place.
    """

    verdict: Verdict
    status: int = 0
    ids: tuple[int | None, ...] = ()
    ticket_id: int | None = None
    echoed: bool = True
    error: str = ""
    named: tuple[tuple[int, str], ...] = ()


def judge(reply: Reply, messages: Sequence[Message], ticket: int | None) -> Judgement:
    """What the answer to a creating request means. Whatever proves nothing leaves its messages in doubt.

    Args:
        ticket: the id of the ticket that it went to; None for a new one with all the messages.
    """
    if reply.contact is Contact.NEVER_LEFT:
        return Judgement(Verdict.NOT_PROCESSED, error=reply.reason)
    if reply.contact is Contact.LOST:
        return Judgement(Verdict.IN_DOUBT, reply.status, error=reply.reason)
    if 200 <= reply.status < 300:
        return _created(reply, messages, ticket)
    if reply.status == 429:
        return Judgement(Verdict.THROTTLED, 429, error="the helpdesk's limit was reached")
    if reply.status in (401, 403):
        return Judgement(Verdict.REFUSED, reply.status, error=wire.error_text(reply))
    if reply.status in REJECTING and reply.is_json:
        told = wire.named_messages(reply).items() if ticket is None else ()
        named = tuple((place, said) for place, said in told if place < len(messages))
        return Judgement(Verdict.REJECTED, reply.status, error=wire.error_text(reply), named=named)
    if reply.status == 301 and (other := merged_into(reply, ticket)) is not None:
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
    if reply.status in REJECTING and (reply.is_json or reply.status == 413):
        return Judgement(Verdict.REJECTED, reply.status, error=wire.error_text(reply))
    return Judgement(Verdict.IN_DOUBT, reply.status, error=f"the helpdesk answered {reply.status}")


def _created(reply: Reply, messages: Sequence[Message], ticket: int | None) -> Judgement:
    body = reply.json if reply.is_json and isinstance(reply.json, dict) else {}
    own_id = wire.integer_id(body.get("id"))
    if own_id is None:
        return Judgement(Verdict.IN_DOUBT, reply.status, error=f"the helpdesk answered {reply.status} without an id")
    echo = body.get("external_id")
    if ticket is not None:
        return Judgement(Verdict.CREATED, reply.status, (own_id,), ticket, echo == messages[0].external_id)
    own = messages[0].ticket
    assert isinstance(own, NewTicket)
    inner = body.get("messages")
    items = [item for item in inner if isinstance(item, dict)] if isinstance(inner, list) else []
    listed = [(wire.integer_id(item.get("id")) or 0, external_id_of(item)) for item in items]
    wanted = [log_name(message.external_id) for message in messages]
    ids = tuple(each[0] or None if each else None for each in match(listed, wanted))
    # Messages inside of a ticket were recorded with fewer fields than alone, so only one that is shown says something.
    kept = {external_id_of(item) for item in items if "external_id" in item} <= set(wanted)
    return Judgement(Verdict.CREATED, reply.status, ids, own_id, echo == own.external_id and kept)


def external_id_of(item: dict[str, Json]) -> str:
    """An item's external id as logs hold it, empty where it has none."""
    return log_name(str(item.get("external_id") or ""))


def match(listed: Sequence[tuple[int, str]], wanted: Sequence[str]) -> list[tuple[int, ...]]:
    """The ids of each wanted message among a new ticket's: by external id, as logs hold it.

    Where the ticket's messages carry no external id at all and are as many as are wanted, by the order of their ids,
    which is the order in which they were stored.
    """
    if len(listed) == len(wanted) and not any(external for _, external in listed):
        return [(number,) for number, _ in sorted(listed)]
    by_name: dict[str, list[int]] = {}
    for number, external in listed:
        by_name.setdefault(external, []).append(number)
    return [tuple(by_name.get(each, ())) for each in wanted]


def merged_into(reply: Reply, ticket: int | None) -> int | None:
    """The surviving ticket's id, when a 301 names another ticket."""
    named = re.search(r"/tickets/([1-9][0-9]{0,17})(?:/|$|\?)", reply.location or "")
    if named is None or ticket is None:
        return None
    other = int(named.group(1))
    return None if other == ticket else other


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

    def reached(self) -> None:
        """A question that creates nothing was answered sensibly: the next request is the probe of the rest."""
        self._probing = False

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
