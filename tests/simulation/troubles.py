"""The troubles that a request may meet: for each what the helpdesk does with it, and what the tool hears.

`told` says what the answer means to somebody who knows the API: created, rejected, refused (surely not processed),
or doubt.
"""

from __future__ import annotations

import json
from collections.abc import Callable
from datetime import timedelta
from email.utils import format_datetime
from typing import TYPE_CHECKING, Any

from bulkmsg.ports import Contact, Reply, Request
from tests.simulation.clock import moment
from tests.simulation.fates import Fate, json_reply

if TYPE_CHECKING:
    from tests.simulation.helpdesk import SimHelpdesk

Trouble = Callable[["SimHelpdesk", Request, float], Fate]

_LOST = Reply(Contact.LOST, reason="the connection was lost")
_TIMEOUT = Reply(Contact.LOST, reason="no answer in time")
_CUT = Reply(Contact.LOST, 201, reason="the answer was cut off")
_HOUR = 3600.0


def refused_connection(post: bool) -> Fate:
    reason = "the connection was refused"
    return Fate("refused" if post else "unread", Reply(Contact.NEVER_LEFT, reason=reason), 0.01)


def _exists(desk: SimHelpdesk, request: Request) -> bool:
    return request.path == "/api/tickets" or int(request.path.split("/")[3]) not in desk.gone


def _doubt(reply: Reply, *, stored: bool, after: float = 0.1) -> Trouble:
    def trouble(desk: SimHelpdesk, request: Request, now: float) -> Fate:
        return Fate("doubt", reply, after, 0.0 if stored and _exists(desk, request) else None)

    return trouble


def _one_of(replies: tuple[Reply, ...], *, stored: bool) -> Trouble:
    def trouble(desk: SimHelpdesk, request: Request, now: float) -> Fate:
        kept = 0.0 if stored and _exists(desk, request) else None
        return Fate("doubt", desk.random.choice(replies), 0.1, kept)

    return trouble


def _late_commit(desk: SimHelpdesk, request: Request, now: float) -> Fate:
    """The tool gives up, and the helpdesk stores the message afterwards: within `settle`, or long after it."""
    gives_up = desk.random.choice((0.1, desk.world.timeout))
    settle = desk.world.settle
    late = settle * desk.random.choice((desk.random.random(), 0.999))
    if desk.world.beyond:
        late = settle * desk.random.uniform(1.0, 30.0)
    reply = _TIMEOUT if gives_up == desk.world.timeout else _LOST
    return Fate("doubt", reply, gives_up, gives_up + late if _exists(desk, request) else None)


def _part_stored(desk: SimHelpdesk, request: Request, now: float) -> Fate:
    """A new ticket is there with some of its messages, and the answer is lost."""
    stored = 0.0 if _exists(desk, request) else None
    many = len(json.loads(request.body or b"{}").get("messages", [1]))
    return Fate("doubt", _LOST, 0.1, stored, desk.random.randint(1, many))


def _slow(desk: SimHelpdesk, request: Request, now: float) -> Fate:
    fate = desk.fair(request, now)
    return Fate(fate.told, fate.reply, desk.world.timeout * 0.9, fate.stored)


def _throttled(desk: SimHelpdesk, request: Request, now: float) -> Fate:
    date = format_datetime(moment(now) + timedelta(seconds=desk.random.choice((-50, 4, 40))), usegmt=True)
    flavour = desk.random.choice((None, "0", "-5", "99999", "soon", "", "1.5", "3", "20", date))
    return Fate("refused", json_reply(429, {"error": {"msg": "Slow down."}}, retry_after=flavour))


def _rejected(desk: SimHelpdesk, request: Request, now: float) -> Fate:
    status = desk.random.choice((400, 404, 405, 413, 415, 422))
    error: Any = desk.random.choice(({"msg": "No.", "data": {"sender": ["Missing."]}}, "No.", {"message": "No."}))
    return Fate("rejected", json_reply(status, {"error": error}))


def _refused_rights(desk: SimHelpdesk, request: Request, now: float) -> Fate:
    return Fate("refused", json_reply(desk.random.choice((401, 403)), {"error": {"msg": "Unauthorized."}}))


def _other_echo(desk: SimHelpdesk, request: Request, now: float) -> Fate:
    """It is stored as it was sent, and the answer shows another external id."""
    fate = desk.fair(request, now)
    if fate.told == "created":
        body: Any = fate.reply.json
        fate.reply = json_reply(201, {**body, "external_id": "something else"})
    return fate


_HTML_5XX = tuple(Reply(Contact.ANSWERED, status, None, False) for status in (500, 502, 503, 504))
_JSON_5XX = tuple(json_reply(status, {"error": {"msg": "An external service had an issue."}}) for status in (500, 503))
_SERVER = _HTML_5XX + _JSON_5XX
_CONFLICT = (json_reply(408, {"error": {}}), json_reply(409, {"error": {"msg": "The resource already exists."}}))
_ELSEWHERE = ("/api/tickets/900", "https://login.example.com/", None)
_REDIRECT = (
    *(
        Reply(Contact.ANSWERED, status, None, False, location=at)
        for status in (302, 303, 307, 308)
        for at in _ELSEWHERE
    ),
    Reply(Contact.ANSWERED, 301, None, False),
    Reply(Contact.ANSWERED, 301, None, False, location="https://x.example/"),
)
_HTML_4XX = tuple(Reply(Contact.ANSWERED, status, None, False) for status in (400, 404, 405, 413, 422))
_ODD = (
    json_reply(200, []),
    json_reply(200, {}),
    json_reply(200, None),
    json_reply(201, {"id": "17"}),
    json_reply(201, {"id": True}),
    json_reply(201, {"id": 0}),
    json_reply(201, {"id": -4}),
    json_reply(201, {"id": 1.5}),
    json_reply(202, {"data": {"id": 12}}),
    Reply(Contact.ANSWERED, 204, None, False),
)
_PORTAL = (Reply(Contact.ANSWERED, 200, None, False), Reply(Contact.ANSWERED, 201, None, False))

POSTS: dict[str, Trouble] = {
    "lost request": _doubt(_LOST, stored=False),
    "lost answer": _doubt(_LOST, stored=True),
    "part stored": _part_stored,
    "late commit": _late_commit,
    "hang": _doubt(_TIMEOUT, stored=False, after=_HOUR),
    "hang after": _doubt(_TIMEOUT, stored=True, after=_HOUR),
    "5xx before": _one_of(_SERVER, stored=False),
    "5xx after": _one_of(_SERVER, stored=True),
    "cut answer": _doubt(_CUT, stored=True),
    "cut answer before": _doubt(_CUT, stored=False),
    "html 200 before": _one_of(_PORTAL, stored=False),
    "odd 2xx before": _one_of(_ODD, stored=False),
    "odd 2xx after": _one_of(_ODD + _PORTAL, stored=True),
    "408 409 before": _one_of(_CONFLICT, stored=False),
    "408 409 after": _one_of(_CONFLICT, stored=True),
    "redirect before": _one_of(_REDIRECT, stored=False),
    "redirect after": _one_of(_REDIRECT, stored=True),
    "html 4xx before": _one_of(_HTML_4XX, stored=False),
    "html 4xx after": _one_of(_HTML_4XX, stored=True),
    "cut 4xx": _one_of(_HTML_4XX, stored=False),
    "429": _throttled,
    "slow": _slow,
    "rejected": _rejected,
    "refused rights": _refused_rights,
    "other echo": _other_echo,
}


# -- reading ----------------------------------------------------------------------------------------------------------


def _unread(*replies: Reply) -> Trouble:
    def trouble(desk: SimHelpdesk, request: Request, now: float) -> Fate:
        return Fate("unread", desk.random.choice(replies))

    return trouble


def _of_listing(change: Callable[[SimHelpdesk, Request, Any], Any]) -> Trouble:
    """A listing that is there and wrong; other answers are only garbage."""

    def trouble(desk: SimHelpdesk, request: Request, now: float) -> Fate:
        fate = desk.fair(request, now)
        body = fate.reply.json
        if isinstance(body, dict) and isinstance(body.get("data"), list):
            return Fate("wrong", json_reply(200, change(desk, request, body)))
        return Fate("unread", Reply(Contact.ANSWERED, 502, None, False))

    return trouble


def _repeated(desk: SimHelpdesk, request: Request, body: Any) -> Any:
    """The first page for ever, each time with another name for the next."""
    first = desk.fair(Request("GET", request.path, request.query[:3]), 0.0).reply.json
    data = first["data"] if isinstance(first, dict) else []
    return {"data": data or [{"id": 1, "external_id": "x"}], "meta": {"next_cursor": str(desk.random.random())}}


def _loop(desk: SimHelpdesk, request: Request, body: Any) -> Any:
    return {"data": [], "meta": {"next_cursor": "again"}}


def _no_ids(desk: SimHelpdesk, request: Request, body: Any) -> Any:
    return {"data": [{"external_id": "x"}], "meta": {"next_cursor": None}}


def _capped(desk: SimHelpdesk, request: Request, body: Any) -> Any:
    """As many items as were asked for, and no word of those that follow."""
    return {"data": body["data"]}


READS: dict[str, Trouble] = {
    "lost": _unread(_LOST),
    "5xx": _unread(*_SERVER),
    "html": _unread(Reply(Contact.ANSWERED, 200, None, False)),
    "cut": _unread(_CUT),
    "429": _throttled,
    "404": _unread(json_reply(404, {"error": {"msg": "Resource not found."}}), *_HTML_4XX),
    "wrong form": _unread(json_reply(200, {"data": {}}), json_reply(200, "x"), json_reply(200, {"data": [1]})),
    "no ids": _of_listing(_no_ids),
    "repeated page": _of_listing(_repeated),
    "cursor loop": _of_listing(_loop),
    "capped": _of_listing(_capped),
    "slow": _slow,
}
