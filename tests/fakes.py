"""Honest fakes of the engine's ports: a helpdesk in memory that knows what really landed, and a journal."""

from __future__ import annotations

import asyncio
from collections.abc import Callable, Sequence
from dataclasses import dataclass, field, replace
from random import Random
from typing import Any

import orjson

from bulkmsg.message import ExistingTicket, Kind, Message, NamedTicket, NewTicket, canonical, short_hash
from bulkmsg.outcome import MOVES, UNTOUCHED, Standing, State
from bulkmsg.ports import Contact, Fate, Intent, KnownTicket, Reply, Request, RetryVerdict, TicketNote


def message(number: int, ticket: int = 1, kind: Kind = Kind.INCOMING, **body: Any) -> Message:
    """A small valid message."""
    fields: dict[str, Any] = {
        "channel": "internal-note" if kind is Kind.INTERNAL_NOTE else "email",
        "from_agent": kind is not Kind.INCOMING,
        "via": "api",
        "body_text": f"text {number}",
        "sent_datetime": "2024-01-01T00:00:00Z",
        "external_id": f"x-{number}",
        **body,
    }
    fields = {name: value for name, value in fields.items() if value is not None}
    return Message(
        kind, f"k-{number}", ExistingTicket(ticket), fields, short_hash(canonical(fields)), "batch.yaml", number
    )


def new_ticket(number: int, **body: Any) -> Message:
    """A small message in a ticket of its own."""
    inner = message(number, **body)
    ticket = NewTicket(f"t-{number}", {"channel": "email", "via": "api", "from_agent": False}, given=False)
    return Message(inner.kind, inner.key, ticket, inner.body, inner.content, inner.file, inner.line)


def thread(number: int, count: int, *, content: str = "", **body: Any) -> list[Message]:
    """The messages of one new ticket."""
    fields = {"channel": "email", "via": "api", "from_agent": False, "subject": f"subject {content}"}
    ticket = NewTicket(f"t-{number}", fields, given=True, content=content)
    return [replace(message(100 * number + each, **body), ticket=ticket) for each in range(count)]


def named(number: int, external_id: str, **body: Any) -> Message:
    """A small message for a ticket that is known by its external id."""
    return replace(message(number, **body), ticket=NamedTicket(external_id))


def home_of(item: Message) -> int | None:
    """The id of the ticket where a message goes, None for a new one."""
    return item.ticket.id if isinstance(item.ticket, ExistingTicket) else None


@dataclass
class Landed:
    """A message that the fake helpdesk has."""

    id: int
    ticket: int
    external_id: str
    at: float
    ticket_external_id: str = ""


# What a fake does with a post: apply it or not, and how to answer.
Trick = Callable[["FakeHelpdesk", Request, Callable[[], Reply]], Reply]


@dataclass
class FakeHelpdesk:
    """Keeps every message that arrives, without de-duplication, and shows them after `lag` seconds."""

    lag: float = 0.0
    latency: float = 0.1
    strip: bool = False
    tricks: list[Trick | None] = field(default_factory=list)
    list_tricks: list[Trick | None] = field(default_factory=list)
    random_trick: Callable[[], Trick | None] = lambda: None
    landed: list[Landed] = field(default_factory=list)
    calls: list[Request] = field(default_factory=list)
    flying: dict[str, int] = field(default_factory=dict)
    most_per_ticket: int = 0
    page: int = 100
    updates: list[tuple[int, Any]] = field(default_factory=list)

    async def call(self, request: Request) -> Reply:
        self.calls.append(request)
        loop = asyncio.get_running_loop()
        on_ticket = request.method == "POST" and request.path != "/api/tickets"
        if on_ticket:
            self.flying[request.path] = self.flying.get(request.path, 0) + 1
            self.most_per_ticket = max(self.most_per_ticket, self.flying[request.path])
        try:
            await asyncio.sleep(self.latency)
        finally:
            if on_ticket:
                self.flying[request.path] -= 1
        writes = request.method in ("POST", "PUT")
        queue = self.tricks if writes else self.list_tricks
        trick = queue.pop(0) if queue else self.random_trick() if writes else None

        def answer() -> Reply:
            return self._answer(request, loop.time())

        return trick(self, request, answer) if trick else answer()

    def _answer(self, request: Request, now: float) -> Reply:
        if request.method == "POST":
            return self._create(request, now)
        if request.method == "PUT":
            ticket = int(request.path.split("/")[3])
            self.updates.append((ticket, orjson.loads(request.body or b"{}")))
            return _json(200, {"id": ticket})
        if request.path == "/api/messages":
            return self._list(dict(request.query), now)
        if request.path == "/api/tickets":
            wanted = dict(request.query)["external_id"]
            shown = {item.ticket: None for item in self.landed if item.ticket_external_id == wanted}
            found = [{"id": each, "external_id": wanted} for each in shown if self._is_shown(each, now)]
            return _json(200, {"data": found, "meta": {}})
        if request.path == "/api/account":
            return _json(200, {"domain": "acme", "status": {"status": "active"}})
        return _json(200, {"id": int(request.path.rsplit("/", 1)[1]), "messages": []})

    def _is_shown(self, ticket: int, now: float) -> bool:
        return any(self._shows(item, now) for item in self.landed if item.ticket == ticket)

    def _shows(self, item: Landed, now: float) -> bool:
        return item.at + self.lag <= now

    def _create(self, request: Request, now: float) -> Reply:
        body = orjson.loads(request.body or b"{}")
        number = 1000 + len(self.landed)
        if request.path == "/api/tickets":
            echo = None if self.strip else body["external_id"]
            shown = []
            for place, inner in enumerate(body["messages"]):
                kept = "" if self.strip else inner["external_id"]
                self.landed.append(Landed(number + place, 5000 + number, kept, now, echo or ""))
                shown.append({"id": number + place, "external_id": kept or None})
            return _json(201, {"id": 5000 + number, "external_id": echo, "messages": shown})
        ticket = int(request.path.split("/")[3])
        self.landed.append(Landed(number, ticket, "" if self.strip else body["external_id"], now))
        return _json(
            201, {"id": number, "ticket_id": ticket, "external_id": None if self.strip else body["external_id"]}
        )

    def _list(self, query: dict[str, str], now: float) -> Reply:
        items = [i for i in self.landed if i.ticket == int(query["ticket_id"]) and self._shows(i, now)]
        start = int(query.get("cursor", "0"))
        chunk = items[start : start + self.page]
        rest = str(start + self.page) if start + self.page < len(items) else None
        data = [{"id": item.id, "external_id": item.external_id, "ticket_id": item.ticket} for item in chunk]
        return _json(200, {"data": data, "meta": {"next_cursor": rest}})

    # The three questions that every test of the engine ends with.

    def nothing_twice(self) -> bool:
        known = [item.external_id for item in self.landed]
        return len(known) == len(set(known))

    def nothing_lost(self, messages: list[Message]) -> bool:
        return {item.external_id for item in self.landed} == {item.external_id for item in messages}

    def order_kept(self, messages: list[Message]) -> bool:
        place = {item.external_id: index for index, item in enumerate(messages)}
        for ticket in {item.ticket for item in self.landed}:
            order = [place[item.external_id] for item in self.landed if item.ticket == ticket]
            if order != sorted(order):
                return False
        return True


def _json(status: int, body: Any, **fields: Any) -> Reply:
    return Reply(Contact.ANSWERED, status, body, True, **fields)


def drop_before(desk: FakeHelpdesk, request: Request, answer: Callable[[], Reply]) -> Reply:
    return Reply(Contact.LOST, reason="the connection was lost")


def drop_after(desk: FakeHelpdesk, request: Request, answer: Callable[[], Reply]) -> Reply:
    answer()
    return Reply(Contact.LOST, reason="the connection was lost")


def refuse_connection(desk: FakeHelpdesk, request: Request, answer: Callable[[], Reply]) -> Reply:
    return Reply(Contact.NEVER_LEFT, reason="the connection was refused")


def garbage_after(desk: FakeHelpdesk, request: Request, answer: Callable[[], Reply]) -> Reply:
    answer()
    return Reply(Contact.ANSWERED, 200, None, False)


def answers(status: int, body: Any = None, *, apply: bool = False, **fields: Any) -> Trick:
    """A trick that answers with a status, before or after applying the request."""

    def trick(desk: FakeHelpdesk, request: Request, answer: Callable[[], Reply]) -> Reply:
        if apply:
            answer()
        return _json(status, {"error": {"msg": "said so"}} if body is None else body, **fields)

    return trick


def random_tricks(seed: int, share: float = 0.3) -> Callable[[], Trick | None]:
    """Every kind of trouble, at random: the given share of posts meets one."""
    random = Random(seed)
    kinds = [
        drop_before,
        drop_after,
        refuse_connection,
        garbage_after,
        answers(500),
        answers(502, apply=True),
        answers(503),
        answers(429, retry_after="1"),
        answers(201, [], apply=True),
        answers(201, {"id": "17"}, apply=True),
    ]
    return lambda: random.choice(kinds) if random.random() < share else None


@dataclass
class FakeJournal:
    """Keeps records in memory and refuses illegal moves."""

    records: list[tuple[str, str, Any]] = field(default_factory=list)
    states: dict[str, Standing] = field(default_factory=dict)
    tickets: dict[str, KnownTicket] = field(default_factory=dict)
    writes: list[int] = field(default_factory=list)
    broken: Exception | None = None

    def standing(self, key: str) -> Standing:
        return self.states.get(key, UNTOUCHED)

    def _move(self, key: str, standing: Standing) -> None:
        before = self.standing(key).state
        assert standing.state in MOVES[before], f"{before} -> {standing.state}"
        self.states[key] = standing

    def intents(self, intents: Sequence[Intent]) -> None:
        if self.broken:
            raise self.broken
        self.writes.append(len(intents))
        for intent in intents:
            self.records.append(("intent", intent.key, intent.attempt))
            standing = Standing(
                State.INTENDED,
                intent.content,
                intent.attempt,
                ticket_id=intent.ticket,
                external_id=intent.external_id,
                thread=intent.thread,
                ticket_content=intent.ticket_content,
            )
            self._move(intent.key, standing)

    def outcomes(self, fates: Sequence[Fate], note: TicketNote | None = None) -> None:
        self.writes.append(len(fates))
        if note is not None:
            self.note_ticket(note)
        for fate in fates:
            outcome = fate.outcome
            self.records.append(("outcome", fate.key, outcome.state))
            before = self.standing(fate.key)
            standing = Standing(
                outcome.state,
                fate.content,
                fate.attempt,
                outcome.message_id,
                before.ticket_id if outcome.ticket_id is None else outcome.ticket_id,
                error=outcome.error,
                hold=outcome.hold,
                thread=before.thread,
                ticket_content=before.ticket_content,
            )
            self._move(fate.key, standing)

    def note_ticket(self, note: TicketNote) -> None:
        self.records.append(("ticket", note.external_id, note.how))
        self.tickets[note.external_id] = note.known

    def ticket(self, external_id: str) -> KnownTicket | None:
        return self.tickets.get(external_id)

    @property
    def held(self) -> set[str]:
        """Keys that only a person's word can take out of doubt."""
        return {key for key, standing in self.states.items() if standing.hold}

    def retries(self, tried: Sequence[tuple[str, int]], verdict: RetryVerdict, status: int, reason: str) -> None:
        for key, attempt in tried:
            self.records.append(("retry", key, verdict))
            self._move(key, replace(self.standing(key), state=State.PENDING, attempt=attempt, hold=False))


@dataclass
class FakeBudget:
    """What the runs of one account keep together, in memory: one at a time by nature, since nothing here waits."""

    kept: bytes = b""
    trouble: str = ""

    def peek(self) -> bytes:
        return self.kept

    async def exchange(self, act: Callable[[bytes], bytes | None]) -> None:
        told = act(self.kept)
        if told is not None:
            self.kept = told
