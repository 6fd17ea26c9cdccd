"""Mistakes about what an answer means."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from contextlib import ExitStack
from dataclasses import replace
from typing import Any

from bulkmsg import courier, delivery, retry
from bulkmsg.message import Message
from bulkmsg.ports import Contact, Reply, Request
from bulkmsg.retry import Judgement, Verdict
from tests.simulation.helpdesk import SimHelpdesk
from tests.simulation.mistakes.register import mistake, swap


def _judged(stack: ExitStack, change: Callable[[Reply, Judgement], Judgement]) -> None:
    def judge(reply: Reply, messages: Sequence[Message], ticket: int | None) -> Judgement:
        told = change(reply, real(reply, messages, ticket))
        return replace(told, ids=told.ids or (None,) * len(messages))

    real = retry.judge
    for module in (retry, delivery, courier):
        swap(stack, module, "judge", judge)


def _as(verdict: Verdict, when: Callable[[Reply], bool]) -> Callable[[Reply, Judgement], Judgement]:
    return lambda reply, told: replace(told, verdict=verdict) if when(reply) else told


@mistake("5xx is a rejection")
def _5xx(stack: ExitStack) -> None:
    _judged(stack, _as(Verdict.REJECTED, lambda reply: reply.status >= 500))


@mistake("5xx was not processed")
def _5xx_not_processed(stack: ExitStack) -> None:
    _judged(stack, _as(Verdict.NOT_PROCESSED, lambda reply: reply.status >= 500))


@mistake("429 is a rejection")
def _429(stack: ExitStack) -> None:
    _judged(stack, _as(Verdict.REJECTED, lambda reply: reply.status == 429))


@mistake("401 and 403 are rejections")
def _401(stack: ExitStack) -> None:
    _judged(stack, _as(Verdict.REJECTED, lambda reply: reply.status in (401, 403)))


@mistake("408 and 409 were not processed")
def _408(stack: ExitStack) -> None:
    _judged(stack, _as(Verdict.NOT_PROCESSED, lambda reply: reply.status in (408, 409)))


@mistake("a page of HTML with 4xx is a rejection")
def _html_4xx(stack: ExitStack) -> None:
    _judged(stack, _as(Verdict.REJECTED, lambda reply: 400 <= reply.status < 429 and not reply.is_json))


@mistake("a lost connection is a rejection: 400, as the library makes it up")
def _lost_rejected(stack: ExitStack) -> None:
    _judged(stack, _as(Verdict.REJECTED, lambda reply: reply.contact is Contact.LOST))


@mistake("a lost connection never reached the helpdesk")
def _lost_never_left(stack: ExitStack) -> None:
    _judged(stack, _as(Verdict.NOT_PROCESSED, lambda reply: reply.contact is Contact.LOST))


@mistake("a cut answer is a success")
def _cut_created(stack: ExitStack) -> None:
    _judged(stack, _as(Verdict.CREATED, lambda reply: reply.contact is Contact.LOST and reply.status == 201))


@mistake("2xx without an id is a success")
def _odd_created(stack: ExitStack) -> None:
    _judged(stack, _as(Verdict.CREATED, lambda reply: 200 <= reply.status < 300))


@mistake("301 is a success")
def _301(stack: ExitStack) -> None:
    _judged(stack, _as(Verdict.CREATED, lambda reply: reply.status == 301))


@mistake("redirects are followed: the POST becomes a GET that answers 200")
def _followed(stack: ExitStack) -> None:
    async def call(self: SimHelpdesk, request: Request) -> Reply:
        reply: Reply = await real(self, request)
        if reply.status in (301, 302, 303) and (reply.location or "").startswith("/api/tickets/900"):
            shown: dict[str, Any] = {"id": 900, "external_id": None, "messages": []}
            return replace(reply, status=200, json=shown, is_json=True)
        return reply

    real = swap(stack, SimHelpdesk, "call", call)
