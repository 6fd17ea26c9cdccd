"""The routes of the helpdesk, and how a call is answered: a call and a moment in, an answer out."""

import re
from collections.abc import Callable
from dataclasses import dataclass
from typing import Any

from bulkmsg.sandbox import catalog, resources
from bulkmsg.sandbox.clock import Moment
from bulkmsg.sandbox.model import Helpdesk
from bulkmsg.sandbox.wire import Answer, Call, forbidden, not_allowed, not_found

Handler = Callable[..., Answer]

ROUTES: dict[str, dict[str, Handler]] = {
    "/api/account": {"GET": catalog.account},
    "/api/account/settings": {"GET": catalog.settings_list},
    "/api/users": {"GET": catalog.users},
    "/api/users/0": {"GET": catalog.current_user},
    "/api/users/{id}": {"GET": catalog.user},
    "/api/customers": {"GET": catalog.customers, "POST": catalog.create_customer},
    "/api/customers/{id}": {"GET": catalog.customer},
    "/api/integrations": {"GET": catalog.integrations},
    "/api/rules": {"GET": catalog.rules},
    "/api/teams": {"GET": catalog.teams},
    "/api/tags": {"GET": catalog.tags},
    "/api/upload": {"POST": catalog.upload},
    "/api/messages": {"GET": resources.all_messages},
    "/api/tickets": {"GET": resources.list_tickets, "POST": resources.create_ticket},
    "/api/tickets/{id}": {
        "GET": resources.get_ticket,
        "PUT": resources.put_ticket,
        "DELETE": resources.delete_ticket,
    },
    "/api/tickets/{id}/tags": {
        "POST": resources.change_tags,
        "PUT": resources.change_tags,
        "DELETE": resources.change_tags,
    },
    "/api/tickets/{id}/messages": {"GET": resources.ticket_messages, "POST": resources.create_message},
    "/api/tickets/{id}/messages/{id}": {
        "GET": resources.get_message,
        "PUT": resources.put_message,
        "DELETE": resources.delete_message,
    },
}
CREATES = ("POST /api/tickets", "POST /api/tickets/{id}/messages")
UNKNOWN = "unknown"
REFUSALS_KEPT = 100
_MERGED = re.compile(r"/api/tickets/(\d{1,18})(/.*)?$")


@dataclass(frozen=True, slots=True)
class Route:
    """Where a path leads."""

    pattern: str
    numbers: tuple[int, ...]


_COMPILED: list[tuple[re.Pattern[str], str]] = [
    (re.compile(pattern.replace("{id}", r"(\d{1,18})") + "/?$"), pattern) for pattern in ROUTES
]


def route(path: str) -> Route | None:
    """The route of a path, with or without a slash at its end."""
    for regex, pattern in _COMPILED:
        found = regex.match(path)
        if found:
            return Route(pattern, tuple(int(number) for number in found.groups()))
    return None


def name_of(call: Call) -> str:
    """How a call is counted: `POST /api/tickets/{id}/messages`."""
    where = route(call.path)
    return f"{call.method} {where.pattern if where else UNKNOWN}"


@dataclass(slots=True)
class Late:
    """A write that will be applied although nobody waits for its answer any more."""

    due: Moment
    call: Call


class Api:
    """Answers calls on a helpdesk."""

    def __init__(self, desk: Helpdesk) -> None:
        self.desk = desk
        self.late: list[Late] = []
        self.writes = self.creates = 0

    def answer(self, call: Call, when: Moment) -> Answer:
        """The helpdesk's own answer, applied."""
        self.settle(when)
        return self._answer(call, when)

    def later(self, call: Call, due: Moment) -> None:
        """Apply a call at a later moment."""
        self.late.append(Late(due, call))

    def settle(self, when: Moment) -> None:
        """Apply what is due, each at its own moment, then let deliveries come to their outcome."""
        due = sorted((each for each in self.late if each.due.mono <= when.mono), key=lambda e: e.due.mono)
        self.late = [each for each in self.late if each.due.mono > when.mono]
        for each in due:
            self._answer(each.call, each.due)
        self.desk.post.settle(when)

    def _answer(self, call: Call, when: Moment) -> Answer:
        moved = self._moved(call)
        if moved:
            return moved
        where = route(call.path)
        if where is None:
            return not_found()
        handler = ROUTES[where.pattern].get(call.method)
        if handler is None:
            return not_allowed()
        if call.method == "GET" and where.pattern.removeprefix("/api/") in self.desk.settings.closed:
            return forbidden()
        done = handler(self.desk, call, when, *where.numbers)
        self._count(call, where, done)
        return done

    def _moved(self, call: Call) -> Answer | None:
        """Gorgias changelog, "301 redirect when fetching merged ticket": on every sub-path and method."""
        found = _MERGED.match(call.path)
        survivor = self.desk.survivor(int(found[1])) if found else None
        if found is None or survivor is None:
            return None
        return Answer(301, headers={"Location": f"/api/tickets/{survivor}{found[2] or ''}"})

    def _count(self, call: Call, where: Route, done: Answer) -> None:
        if call.method != "GET" and done.ok:
            self.writes += 1
            self.creates += f"{call.method} {where.pattern}" in CREATES
        elif f"{call.method} {where.pattern}" in CREATES:
            self.desk.refusals.append({"to": call.path, "status": done.status, "said": done.body, "sent": call.body})
            del self.desk.refusals[:-REFUSALS_KEPT]

    def state(self, when: Moment) -> dict[str, Any]:
        """Everything, for tests and checkers: tickets with their messages in id order."""
        self.settle(when)
        desk = self.desk
        tickets = [desk.complete(ticket) for _, ticket in sorted(desk.tickets.items())]
        counts = {
            "tickets": len(tickets),
            "messages": len(desk.messages),
            "customers": sum(1 for _ in desk.people.all("customer")),
            "users": sum(1 for _ in desk.people.all("user")),
            "outbox": len(desk.post.outbox),
            "late": len(self.late),
        }
        numbers = {"writes": self.writes, "creates": self.creates}
        more = {"merged": {str(k): v for k, v in desk.merged.items()}, "deleted": sorted(desk.deleted)}
        return {
            "account": desk.settings.account,
            "tickets": tickets,
            "counts": counts,
            **numbers,
            **more,
            "overwrites": desk.people.overwrites,
        }
