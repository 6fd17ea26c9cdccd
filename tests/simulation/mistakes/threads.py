"""Mistakes about new tickets with many messages."""

from __future__ import annotations

from collections.abc import Generator
from contextlib import ExitStack
from dataclasses import replace
from typing import Any

from bulkmsg import delivery, engine
from bulkmsg.courier import Load
from bulkmsg.engine import Engine
from bulkmsg.journal.log import ProgressLog
from bulkmsg.looking import Sight
from bulkmsg.message import ExistingTicket
from bulkmsg.parcel import Parcel
from tests.simulation.mistakes.register import mistake, swap


@mistake("a thread in doubt is sent again without looking")
def _thread_blindly(stack: ExitStack) -> None:
    def settle(case: Any, *rest: Any, **named: Any) -> Generator[Any, Any, Any]:
        if case.ticket is None:
            return None
        return (yield from real(case, *rest, **named))

    real = swap(stack, delivery, "_settle", settle)


@mistake("a thread is there, so all of its messages are: those that are missing are passed over")
def _missing_ignored(stack: ExitStack) -> None:
    def look_for(*what: Any) -> Generator[Any, Any, Any]:
        seen = yield from real(*what)
        return [replace(each, sight=Sight.FOUND) if each.tickets else each for each in seen]

    real = swap(stack, delivery, "look_for", look_for)


@mistake("what is missing of a thread opens a second ticket")
def _second_ticket(stack: ExitStack) -> None:
    def load(messages: Any, standings: Any, ticket: int | None, thread: str = "") -> Load:
        new = not isinstance(messages[0].ticket, ExistingTicket)
        return Load(messages, standings, None if new else ticket, thread)

    swap(stack, engine, "Load", load)


@mistake("a known ticket is forgotten: what a run before left of a thread opens its ticket again")
def _home_forgotten(stack: ExitStack) -> None:
    def home(self: Engine, parcel: Parcel) -> int | None:
        return parcel.ticket.id if isinstance(parcel.ticket, ExistingTicket) else None

    swap(stack, Engine, "_home", home)
    swap(stack, engine, "_any_created", lambda of: False)


@mistake("one intent for a whole thread: after a crash its other messages count as never sent")
def _one_intent(stack: ExitStack) -> None:
    def intents(log: ProgressLog, given: Any) -> None:
        real(log, given[:1])

    real = swap(stack, ProgressLog, "intents", intents)
