"""A helpdesk in memory that misbehaves in every way of the fault list and remembers what really happened.

It knows paths, bodies and statuses of the API, and nothing of the tool but the form of requests and replies.
"""

from __future__ import annotations

import asyncio
import json
from collections.abc import Callable
from dataclasses import dataclass, field, replace
from random import Random
from typing import Any

from bulkmsg.ports import Contact, Reply, Request
from tests.simulation import troubles
from tests.simulation.doom import Doom
from tests.simulation.fates import Fate, json_reply
from tests.simulation.limiter import Leaky
from tests.simulation.world import World

OURS, OTHERS = 1000, 1


@dataclass(slots=True)
class Post:
    """One creating request, as the helpdesk knows it.

    Args:
        texts, external_ids: those of its messages, of which a new ticket may have many.
        told: what the answer that reached the tool said: created, rejected, refused (surely not processed) or doubt;
            "" when none reached it, since it died or gave up.
        run: the number of the run that sent it.
    """

    number: int
    texts: tuple[str, ...]
    ticket: str
    external_ids: tuple[str, ...]
    at: float
    run: int
    told: str = ""


@dataclass(slots=True)
class Stored:
    """A message that the helpdesk has."""

    id: int
    ticket: int
    text: str
    external_id: str | None
    ticket_external_id: str | None
    at: float
    shown_at: float


@dataclass
class SimHelpdesk:
    """The port's other side. `history` is what really happened, in order."""

    world: World
    random: Random
    doom: Doom = field(default_factory=Doom)
    run: int = 0
    posts: list[Post] = field(default_factory=list)
    stored: list[Stored] = field(default_factory=list)
    history: list[str] = field(default_factory=list)
    wrongs: list[str] = field(default_factory=list)
    faults: int = 0
    refused_by_limit: int = 0
    overruns: int = 0
    disk_is_bad: Callable[[], bool] = lambda: False
    _coming: list[tuple[float, int, Callable[[float], None]]] = field(default_factory=list)
    _flying: dict[str, int] = field(default_factory=dict)
    _pause_until: float = 0.0
    _heard: bool = False

    def __post_init__(self) -> None:
        self.limiter = Leaky(self.world.limit, 20.0, self.world.others, self.world.bursts, self.random)
        self.gone: dict[int, str] = {}
        self._next = OURS
        for ticket in sorted({entry.ticket for entry in self.world.entries if isinstance(entry.ticket, int)}):
            for number in range(self.world.strangers):
                self.stored.append(Stored(OTHERS + len(self.stored), ticket, "", f"other-{number}", None, 0.0, 0.0))

    def begin(self, run: int, world: World, doom: Doom) -> None:
        """A new process of the tool, in this weather."""
        self.run, self.world, self.doom = run, world, doom
        self.limiter.others = world.others
        self._flying.clear()
        self._pause_until, self._heard = 0.0, False

    def _happen(self, now: float) -> None:
        """What happens to tickets by itself."""
        existing = sorted({entry.ticket for entry in self.world.entries if isinstance(entry.ticket, int)})
        if existing and self.world.merge is not None and now - 1000.0 >= self.world.merge:
            self._lose(existing[0], "merged", now)
        if existing and self.world.delete is not None and now - 1000.0 >= self.world.delete:
            self._lose(existing[-1], "deleted", now)

    def _lose(self, ticket: int, how: str, now: float) -> None:
        if ticket in self.gone:
            return
        self.gone[ticket] = how
        self._note(now, f"ticket {ticket} is {how}")
        for item in self.stored:
            if item.ticket == ticket:
                item.ticket = 900 if how == "merged" else -1

    def settle(self, now: float) -> None:
        """Let happen what was to happen by now."""
        while self._coming and self._coming[0][0] <= now:
            at, _, act = self._coming.pop(0)
            act(at)
        self._happen(now)

    @property
    def last_coming(self) -> float:
        """When the last of what is still to happen happens."""
        return self._coming[-1][0] if self._coming else 0.0

    # -- the port -----------------------------------------------------------------------------------------------------

    async def call(self, request: Request) -> Reply:
        if self.doom.dead:
            raise asyncio.CancelledError
        self.doom.step(f"before {request.method} {request.path} leaves")
        loop = asyncio.get_running_loop()
        now = loop.time()
        self.settle(now)
        if now < self._pause_until - 1e-6:
            self.wrongs.append(f"a request left {self._pause_until - now:.2f} s before the pause was over")
        post = self._arrive(request, now) if request.method == "POST" else None
        fate = self._fate(request, post, now)
        if self.world.timeout <= fate.after:
            fate = replace(fate, after=self.world.timeout)
        self._note(now, f"{request.method} {_where(request)}: {fate.told}")
        if fate.stored is not None and post is not None:
            self._store_later(post, request, now + fate.stored, now, fate.keep)
        where = post.ticket if post is not None else ""
        try:
            self.doom.step(f"while {request.method} {request.path} is under way")
            await asyncio.sleep(fate.after)
        except BaseException:
            if post is not None and not self.world.beyond:
                self._hasten(post.number, loop.time() + self.world.settle)
            raise
        finally:
            if post is not None:
                self._flying[where] = self._flying.get(where, 1) - 1
        now = loop.time()
        self.settle(now)
        self.doom.step(f"when the answer to {request.method} {request.path} is there")
        if post is not None:
            post.told = fate.told
        self._heard = self._heard or fate.reply.limit is not None
        if fate.reply.status == 429:
            self._pause_until = max(self._pause_until, now + _least_pause(fate.reply.retry_after))
        return replace(fate.reply, received=now)

    def _arrive(self, request: Request, now: float) -> Post:
        body = json.loads(request.body or b"{}")
        new = request.path == "/api/tickets"
        inner = body["messages"] if new else [body]
        ticket = f"+{body['external_id']}" if new else request.path.split("/")[3]
        if self.disk_is_bad():
            self.wrongs.append("a message left after the progress log could not be written")
        texts = tuple(each["body_text"] for each in inner)
        post = Post(len(self.posts), texts, ticket, tuple(each["external_id"] for each in inner), now, self.run)
        self.posts.append(post)
        self._flying[ticket] = self._flying.get(ticket, 0) + 1
        if self._flying[ticket] > 1:
            self.wrongs.append(f"two requests of ticket {ticket} were under way at once")
        return post

    # -- what becomes of a request --------------------------------------------------------------------------------

    def _fate(self, request: Request, post: Post | None, now: float) -> Fate:
        share, kinds = (self.world.trouble, self.world.posts) if post else (self.world.read_trouble, self.world.reads)
        if post is None and self.world.reads_later and not self.posts:
            share = 0.0
        if (
            post is not None
            and self.world.once
            and any(set(each.texts) & set(post.texts) for each in self.posts[: post.number])
        ):
            share = 0.0
        kind = self.random.choice(kinds) if kinds and self.random.random() < share else ""
        if kind == "refused":
            self.faults += 1
            return troubles.refused_connection(post is not None)
        taken, used, retry = self.limiter.take(now)
        if not taken:
            self.refused_by_limit += 1
            self.overruns += self._heard  # the first word of the limit may be a refusal: nothing was known before
            body = {"error": {"msg": "Rate limit reached."}}
            fate = Fate("refused", Reply(Contact.ANSWERED, 429, body, True, retry_after=str(retry)))
        elif kind:
            self.faults += 1
            fate = (troubles.POSTS if post else troubles.READS)[kind](self, request, now)
        else:
            fate = self.fair(request, now)
        if fate.reply.status:
            fate.reply = replace(fate.reply, used=used, limit=self.limiter.limit)
        return fate

    def fair(self, request: Request, now: float) -> Fate:
        """What a helpdesk without trouble does with a request."""
        after = 0.05 + 0.3 * self.random.random()
        if request.method == "POST":
            return self._create(request, after)
        query = dict(request.query)
        if request.path == "/api/messages":
            return Fate("listed", self._list_messages(query, now), after)
        if request.path == "/api/tickets":
            return Fate("listed", self._list_tickets(query, now), after)
        if request.path.startswith("/api/tickets/"):
            return self._ticket(int(request.path.rsplit("/", 1)[1]), now, after)
        return Fate("known", json_reply(200, {"id": 7}), after)

    def _create(self, request: Request, after: float) -> Fate:
        if request.path != "/api/tickets" and (lost := self.gone.get(int(request.path.split("/")[3]))):
            if lost == "merged":
                moved = Reply(Contact.ANSWERED, 301, None, False, location="/api/tickets/900/messages")
                return Fate("rejected", moved, after)
            return Fate("rejected", json_reply(404, {"error": {"msg": "Resource not found."}}), after)
        number = self._next  # which it gets, since it is stored at once
        body = json.loads(request.body or b"{}")
        if request.path == "/api/tickets":
            inner = [
                {"id": number + place, "external_id": self.kept(each["external_id"])}
                for place, each in enumerate(body["messages"])
            ]
            shown = {"id": 5000 + number, "external_id": self.kept(body["external_id"]), "messages": inner}
        else:
            ticket = int(request.path.split("/")[3])
            shown = {"id": number, "ticket_id": ticket, "external_id": self.kept(body["external_id"])}
        return Fate("created", json_reply(201, shown), after, stored=0.0)

    def kept(self, external_id: str) -> str | None:
        """An external id as this helpdesk gives it back."""
        if self.world.strip == "null":
            return None
        return external_id[:5] if self.world.strip == "cut" else external_id

    def _store_later(self, post: Post, request: Request, at: float, now: float, keep: int | None) -> None:
        body = json.loads(request.body or b"{}")
        new = request.path == "/api/tickets"
        shown_after = self.world.lag * self.random.choice((1.0, 1.0, self.random.random()))

        def store(now: float) -> None:
            ticket = 5000 + self._next if new else int(post.ticket)
            if ticket in self.gone:
                ticket = 900 if self.gone[ticket] == "merged" else -1
            own = self.kept(body["external_id"]) if new else None
            for text, external_id in list(zip(post.texts, post.external_ids, strict=True))[:keep]:
                number, self._next = self._next, self._next + 1
                self.stored.append(Stored(number, ticket, text, self.kept(external_id), own, now, now + shown_after))
                self._note(now, f"stored: {text} (request {post.number}) in ticket {ticket}")

        self._coming.append((at, post.number, store))
        self._coming.sort(key=lambda each: each[:2])
        self.settle(now)

    def _hasten(self, number: int, latest: float) -> None:
        """The tool gave up before its time, or died: from then on the helpdesk has `settle` to store the message."""
        self._coming = sorted(
            ((min(at, latest) if post == number else at, post, store) for at, post, store in self._coming),
            key=lambda each: each[:2],
        )

    # -- listings -------------------------------------------------------------------------------------------------

    def _list_messages(self, query: dict[str, str], now: float) -> Reply:
        wanted = int(query["ticket_id"])
        items = [
            {"id": item.id, "ticket_id": item.ticket, "external_id": item.external_id}
            for item in self.stored
            if item.ticket == wanted and item.shown_at <= now
        ]
        return self._page(items, query)

    def _list_tickets(self, query: dict[str, str], now: float) -> Reply:
        wanted = query["external_id"]
        found = [item.ticket for item in self.stored if item.ticket_external_id == wanted and item.shown_at <= now]
        items = [{"id": ticket, "external_id": wanted} for ticket in dict.fromkeys(found)]
        return self._page(items, query)

    def _page(self, items: list[dict[str, Any]], query: dict[str, str]) -> Reply:
        if self.world.newest:
            items = items[::-1]
        size = min(self.world.page, int(query["limit"]))
        cursor = query.get("cursor", "0")
        start = int(cursor) if cursor.isdecimal() else 0
        if "page" in query:
            start = (int(query["page"]) - 1) * size
        chunk, more = items[start : start + size], start + size < len(items)
        if self.world.style == "number":
            pages = max(1, -(-len(items) // size))
            meta: dict[str, Any] = {"page": start // size + 1, "nb_pages": pages}
        else:
            meta = {"prev_cursor": None, "next_cursor": str(start + size) if more else None}
        return json_reply(200, {"data": chunk, "object": "list", "meta": meta})

    def _ticket(self, ticket: int, now: float, after: float) -> Fate:
        if self.gone.get(ticket) == "merged":
            return Fate("moved", Reply(Contact.ANSWERED, 301, None, False, location="/api/tickets/900"), after)
        if self.gone.get(ticket) == "deleted":
            return Fate("missing", json_reply(404, {"error": {"msg": "Resource not found."}}), after)
        inner = [{"id": item.id} for item in self.stored if item.ticket == ticket and item.shown_at <= now]
        return Fate("shown", json_reply(200, {"id": ticket, "messages": inner}), after)

    def _note(self, now: float, text: str) -> None:
        self.history.append(f"{now:.6f} {text}")


def _where(request: Request) -> str:
    if request.body:
        body = json.loads(request.body)
        texts = [each["body_text"] for each in body.get("messages", [body])]
        return f"{request.path} {', '.join(texts)}"
    extra = " ".join(f"{name}={value}" for name, value in request.query if name in ("ticket_id", "cursor", "page"))
    return f"{request.path} {extra}".strip()


def _least_pause(text: str | None) -> float:
    """The shortest pause that is right after this `Retry-After`: its whole seconds within 1 and 300, else 1."""
    if text is not None and text.isdecimal():
        return min(max(float(text), 1.0), 300.0)
    return 1.0
