"""What the credentials are worth: who they make us, on which account, with which rights and limit, for how long."""

from __future__ import annotations

import asyncio
from collections.abc import Callable
from dataclasses import dataclass, field
from datetime import UTC, datetime
from random import SystemRandom

from bulkmsg.app.access import Access
from bulkmsg.app.preflight import Who
from bulkmsg.app.prepare import Visit
from bulkmsg.app.sweep import visit
from bulkmsg.desk import Desk, Halt, explore
from bulkmsg.errors import ExitCode
from bulkmsg.ports import Reply, Request, Silence
from bulkmsg.preflight.questions import ask
from bulkmsg.preflight.things import User
from bulkmsg.settings import Credentials
from bulkmsg.source import Json

# What a run reads, each asked for once with as little as can be answered. Rules have no scope that is documented.
_READINGS = (
    ("tickets", Request("GET", "/api/tickets", (("limit", "1"),))),
    ("customers", Request("GET", "/api/customers", (("limit", "1"),))),
    ("users", Request("GET", "/api/users", (("limit", "1"),))),
    ("integrations", Request("GET", "/api/integrations", (("limit", "1"),))),
    ("rules", Request("GET", "/api/rules", (("limit", "1"),))),
)


@dataclass
class Checked:
    """What a check found.

    Args:
        account: the account's name; `who` has what it tells itself.
        reads: for each thing a run reads whether it may, None where the answer does not say.
        used, limit: the two sides of the last answer's header.
        ends: the end of the access token in use, where it is known.
        halt: why the credentials are not accepted, or the helpdesk could not be asked.
    """

    account: str
    credentials: Credentials
    who: Who = field(default_factory=Who)
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
    def domain(self) -> str | None:
        return self.who.account.domain if self.who.account else None

    @property
    def status(self) -> str | None:
        return self.who.account.status if self.who.account else None

    @property
    def user(self) -> User:
        return self.who.user or User(None, None, None, None)

    @property
    def exit_code(self) -> ExitCode:
        return self.halt.code if self.halt else ExitCode.OK

    def as_json(self) -> dict[str, Json]:
        """The stable answer of `auth check --format json`."""
        user = self.user
        return {
            "accepted": self.halt is None,
            "account": {"name": self.account, "domain": self.domain, "status": self.status},
            "user": {"id": user.id, "name": user.name, "email": user.email, "role": user.role},
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


async def check(errand: Visit, note: Callable[[str], None]) -> Checked:
    """Ask the helpdesk who we are and what we may read: seven small requests, and one for a token where that is due.

    Args:
        note: says something to a person meanwhile.
    """
    random = SystemRandom()
    found = Checked(errand.account, errand.options.credentials or Credentials())

    def met(who: Who) -> None:
        found.who, found.used, found.limit = who, who.used, who.limit

    async def look(desk: Desk, user: int | None) -> None:
        _demand_answer(desk, found.who.status)
        found.reads["account"] = _may(found.who.status)
        for name, request in _READINGS:
            reply: Reply = await explore(ask(request, random), desk)
            found.reads[name] = _may(reply.status)
            if reply.limit is not None:
                found.used, found.limit = reply.used, reply.limit

    desk = await visit(errand, Silence(), note, random, look, met)
    found.halt = desk.halt
    if isinstance(desk.renewal, Access):
        found.ends = _end(desk.renewal)
    return found


def _demand_answer(desk: Desk, status: int) -> None:
    """A helpdesk that does not tell its account, and does not say that we may not know, tells nothing of us."""
    if not (200 <= status < 300 or status == 403):
        hint = "check the connection and the account's name, then run the same command again"
        desk.stop(Halt(ExitCode.STOPPED, f"the helpdesk cannot be asked: it answered {status}", hint))


def _may(status: int) -> bool | None:
    if 200 <= status < 300:
        return True
    return False if status in (401, 403) else None


def _end(access: Access) -> datetime | None:
    ends = access.ends_at
    return None if ends is None else datetime.fromtimestamp(ends, UTC)


def run_check(errand: Visit, note: Callable[[str], None]) -> Checked:
    """Carry out a check."""
    return asyncio.run(check(errand, note))
