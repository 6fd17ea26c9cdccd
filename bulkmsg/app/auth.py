"""What the credentials are worth: who they make us, on which account, with which rights and limit, for how long."""

from __future__ import annotations

import asyncio
from collections.abc import Callable, Generator
from contextlib import suppress
from dataclasses import dataclass, field
from datetime import UTC, datetime
from random import Random
from secrets import token_hex
from typing import Any

from bulkmsg.app.access import Access
from bulkmsg.app.prepare import Visit
from bulkmsg.app.signals import SIGNALS, Listening
from bulkmsg.app.target import over_http
from bulkmsg.desk import Desk, Halt, Stopped, explore, refusal
from bulkmsg.errors import ExitCode
from bulkmsg.gorgias import wire
from bulkmsg.looking import Look, Pause, ReadingStep
from bulkmsg.pacing import Pacer
from bulkmsg.ports import Contact, Reply, Request, Silence
from bulkmsg.retry import Breaker, backoff
from bulkmsg.settings import Credentials
from bulkmsg.source import Json

_TRIES = 4
# What a run reads, each asked for once with as little as can be answered.
_READINGS = (
    ("tickets", Request("GET", "/api/tickets", (("limit", "1"),))),
    ("customers", Request("GET", "/api/customers", (("limit", "1"),))),
    ("users", Request("GET", "/api/users", (("limit", "1"),))),
    ("integrations", Request("GET", "/api/integrations", (("limit", "1"),))),
)


@dataclass(frozen=True, slots=True)
class Who:
    """Whom the credentials belong to, as far as it is told. The address is for the answer alone."""

    id: int | None = None
    name: str | None = None
    email: str | None = field(default=None, repr=False)
    role: str | None = None


@dataclass
class Checked:
    """What a check found.

    Args:
        account: the account's name; `domain` and `status` as it tells them itself.
        reads: for each thing a run reads whether it may, None where the answer does not say.
        used, limit: the two sides of the last answer's header.
        ends: the end of the access token in use, where it is known.
        halt: why the credentials are not accepted, or the helpdesk could not be asked.
    """

    account: str
    credentials: Credentials
    domain: str | None = None
    status: str | None = None
    who: Who = Who()
    reads: dict[str, bool | None] = field(default_factory=dict)
    used: int | None = None
    limit: int | None = None
    ends: datetime | None = None
    halt: Halt | None = None

    @property
    def kind(self) -> str:
        """What they are: `oauth app`, `access token` or `api key`."""
        mine = self.credentials
        return "oauth app" if mine.app else "access token" if mine.token else "api key"

    @property
    def exit_code(self) -> ExitCode:
        return self.halt.code if self.halt else ExitCode.OK

    def as_json(self) -> dict[str, Json]:
        """The stable answer of `auth check --format json`."""
        who = self.who
        return {
            "accepted": self.halt is None,
            "account": {"name": self.account, "domain": self.domain, "status": self.status},
            "user": {"id": who.id, "name": who.name, "email": who.email, "role": who.role},
            "credentials": {
                "kind": self.kind,
                "expires": self.ends.strftime("%Y-%m-%dT%H:%M:%SZ") if self.ends else None,
                "renewed": self.credentials.app is not None,
                "sources": [{"name": name, "from": where} for name, where in self.credentials.sources],
            },
            "reads": dict(self.reads),
            "limit": {"requests": self.limit, "used": self.used},
            "reason": self.halt.reason if self.halt else None,
            "exit_code": int(self.exit_code),
        }


async def check(visit: Visit, note: Callable[[str], None]) -> Checked:
    """Ask the helpdesk who we are and what we may read: six small requests, and one for a token where that is due.

    Args:
        note: says something to a person meanwhile.
    """
    credentials = visit.options.credentials or Credentials()
    found = Checked(visit.account, credentials)
    async with over_http(visit) as reached:
        pacer = Pacer(reached.assumed, visit.options.rate)
        desk = Desk(reached.helpdesk, pacer, Breaker(), Silence(), 1, renewal=reached.renewal)
        desk.meet(reached.budget, token_hex(8), note)
        if reached.renewal is not None:
            reached.renewal.note = note
        stop = Listening(lambda number: desk.stop(Halt(SIGNALS[number], f"stopped by {number.name}")))
        with stop, suppress(Stopped):
            await _ask_all(desk, visit, found)
        found.halt = desk.halt
        if reached.renewal is not None:
            found.ends = _end(reached.renewal)
    return found


async def _ask_all(desk: Desk, visit: Visit, found: Checked) -> None:
    account = await _ask(desk, found, wire.get_account())
    if account.status == 401:
        desk.stop(refusal(401, wire.error_text(account)))
    elif account.status == 0 or account.status >= 500:
        hint = "check the connection and the account's name, then run the same command again"
        said = account.reason or f"it answered {account.status}"
        desk.stop(Halt(ExitCode.STOPPED, f"the helpdesk cannot be asked: {said}", hint))
    elif account.status == 404 and not account.is_json:  # a wrong host answers with a page of HTML
        hint = f"check the name: it is the first part of https://{visit.account}.gorgias.com"
        desk.stop(Halt(ExitCode.REFUSED, f"there is no account {visit.account}", hint))
    found.domain, found.status = _text(account, "domain"), _text(account, "status", "status")
    me = await _ask(desk, found, wire.get_me())
    if 200 <= me.status < 300:
        number = wire.integer_id(me.json.get("id")) if isinstance(me.json, dict) else None
        found.who = Who(number, _text(me, "name"), _text(me, "email"), _text(me, "role", "name"))
    found.reads["account"] = _may(account)
    for name, request in _READINGS:
        found.reads[name] = _may(await _ask(desk, found, request))


async def _ask(desk: Desk, found: Checked, request: Request) -> Reply:
    """One question; whatever is answered is an answer, and trouble is asked again a few times.

    Raises:
        Stopped: there is no more to ask.
    """

    def asking() -> Generator[ReadingStep, Any, Reply]:
        reply: Reply = Reply(Contact.NEVER_LEFT)
        for tries in range(_TRIES):
            reply = yield Look(request)
            if reply.again:
                continue
            if reply.status and reply.status < 500 and reply.status != 429:
                return reply
            yield Pause(backoff(tries, Random(), 5.0), reply.reason)  # noqa: S311 -- a pause, no secret
        return reply

    reply: Reply = await explore(asking(), desk)
    if reply.limit is not None:
        found.used, found.limit = reply.used, reply.limit
    return reply


def _may(reply: Reply) -> bool | None:
    if 200 <= reply.status < 300:
        return True
    return False if reply.status in (401, 403) else None


def _text(reply: Reply, *path: str) -> str | None:
    """A short text from an answer, None where it has none."""
    value = reply.json
    for name in path:
        value = value.get(name) if isinstance(value, dict) else None
    return value[:320] if isinstance(value, str) and value else None


def _end(access: Access) -> datetime | None:
    ends = access.ends_at
    return None if ends is None else datetime.fromtimestamp(ends, UTC)


def run_check(visit: Visit, note: Callable[[str], None]) -> Checked:
    """Carry out a check."""
    return asyncio.run(check(visit, note))
