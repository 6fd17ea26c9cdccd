"""Mistakes about order, about what is held back, and about what is done on resuming."""

from __future__ import annotations

from collections.abc import Sequence
from contextlib import ExitStack
from typing import Any

from bulkmsg import delivery, engine, review
from bulkmsg.engine import Engine
from bulkmsg.looking import Pause
from bulkmsg.message import Message
from bulkmsg.outcome import Outcome, Standing, State
from bulkmsg.parcel import Parcel
from bulkmsg.plan import Action
from bulkmsg.plan import decide as real_decide
from tests.simulation.mistakes.register import mistake, swap


@mistake("no lanes: messages of one ticket leave side by side")
def _no_lanes(stack: ExitStack) -> None:
    def enqueue(self: Engine, name: str, parcel: Parcel) -> None:
        real(self, f"{name}/{parcel.messages[0].key}", parcel)

    real = swap(stack, Engine, "_enqueue", enqueue)


@mistake("held back is not honoured: the rest of a ticket goes on without the one that did not arrive")
def _not_held_back(stack: ExitStack) -> None:
    swap(stack, Engine, "_holds_back", lambda self, state: False)


@mistake("in doubt is left alone on resuming: it is passed over and never looked for")
def _doubt_skipped(stack: ExitStack) -> None:
    def decide(message: Message, standing: Standing, **named: Any) -> Action:
        if standing.state in (State.INTENDED, State.IN_DOUBT):
            return Action.KEEP
        return real_decide(message, standing, **named)

    for module in (engine, review):
        swap(stack, module, "decide", decide)


@mistake("failed without a last look: attempts are used up and the last of them stored the message")
def _failed_unseen(stack: ExitStack) -> None:
    def deliver(messages: Sequence[Message], *rest: Any) -> Any:
        talk = real(messages, *rest)
        answer, posts = None, 0
        while True:
            try:
                step = talk.send(answer)
            except StopIteration as end:
                return end.value
            if posts and isinstance(step, Pause) and "looking" in step.reason:
                return (Outcome(State.FAILED, error="no answer"),) * len(messages)
            answer = yield step
            posts += isinstance(step, delivery.Post)

    real = swap(stack, delivery, "deliver", deliver)
