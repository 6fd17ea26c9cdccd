"""Mistakes about looking and sending again."""

from __future__ import annotations

from collections.abc import Callable, Generator
from contextlib import ExitStack
from dataclasses import replace
from random import Random
from typing import Any

from bulkmsg import courier, delivery, looking
from bulkmsg.courier import Courier
from bulkmsg.delivery import Policy
from bulkmsg.desk import Desk
from bulkmsg.gorgias import wire
from bulkmsg.looking import Look, Pause, Sight, Sighting
from bulkmsg.outcome import Outcome, Standing, State
from bulkmsg.ports import Contact, Reply, Request
from tests.simulation.mistakes.register import mistake, swap


def _no_look(*args: Any, **named: Any) -> Generator[Any, Any, None]:
    return
    yield


@mistake("blind retry: what is in doubt is sent again without looking")
def _blind_retry(stack: ExitStack) -> None:
    swap(stack, delivery, "_settle", _no_look)


@mistake("look at once: absence is believed before the helpdesk had time to show it")
def _look_at_once(stack: ExitStack) -> None:
    _settle_with(stack, lambda policy: replace(policy, settle=0.0))


def _settle_with(stack: ExitStack, change: Callable[[Policy], Policy]) -> None:
    def settle(case: Any, *rest: Any, **named: Any) -> Any:
        return (yield from real(replace(case, policy=change(case.policy)), *rest, **named))

    real = swap(stack, delivery, "_settle", settle)


@mistake("one look: the second look is left out")
def _one_look(stack: ExitStack) -> None:
    def settle(case: Any, *rest: Any, **named: Any) -> Any:
        looks = 0
        talk = real(case, *rest, **named)
        answer = None
        while True:
            try:
                step = talk.send(answer)
            except StopIteration as end:
                return end.value
            looks += isinstance(step, Pause) and step.seconds == case.policy.settle
            if looks > 1:
                resends = all(case.policy.resends(message.kind) for message in case.messages)
                return None if resends else case.all(Outcome(State.IN_DOUBT))
            answer = yield step

    real = swap(stack, delivery, "_settle", settle)


@mistake("first page only: what stands on later pages of a listing is absent")
def _first_page(stack: ExitStack) -> None:
    def read_page(reply: Reply) -> Any:
        page = real(reply)
        return page if isinstance(page, str) else replace(page, next=None)

    real = swap(stack, wire, "read_page", read_page)


def _seen(stack: ExitStack, change: Callable[[Sighting], Sighting]) -> None:
    def look_for(*what: Any) -> Any:
        return [change(each) for each in (yield from real(*what))]

    real = swap(stack, delivery, "look_for", look_for)


@mistake("a failed listing is an empty one")
def _failed_listing(stack: ExitStack) -> None:
    _seen(stack, lambda seen: Sighting(Sight.ABSENT) if seen.sight is Sight.UNREADABLE else seen)


@mistake("a listing that repeats itself was read to its end")
def _repeated_listing(stack: ExitStack) -> None:
    def all_pages(request: Any, random: Random) -> Any:
        items = yield from real(request, random)
        return [] if items == "the listing repeats itself" else items

    real = swap(stack, looking, "_all_pages", all_pages)


@mistake("a full page without a word of the next is the last")
def _full_page(stack: ExitStack) -> None:
    def following(meta: dict[str, Any]) -> Any:
        told = real(meta)
        return None if isinstance(told, str) else told

    real = swap(stack, wire, "_next", following)


@mistake("absent without the ticket's own answer: nobody asks whether it was merged or deleted")
def _no_own_answer(stack: ExitStack) -> None:
    def find_messages(ticket: int, *what: Any) -> Any:
        talk = real(ticket, *what)
        answer = None
        while True:
            try:
                step = talk.send(answer)
            except StopIteration as end:
                return end.value
            if isinstance(step, Look) and step.request.path.startswith("/api/tickets/"):
                answer = Reply(Contact.ANSWERED, 200, {"id": ticket}, True)
            else:
                answer = yield step

    real = swap(stack, looking, "find_messages", find_messages)


@mistake("looking in another ticket")
def _other_ticket(stack: ExitStack) -> None:
    def list_messages(ticket: int, page: tuple[str, str] | None = None) -> Any:
        return real(ticket + 1, page)

    real = swap(stack, wire, "list_messages", list_messages)


@mistake("resend in send mode: what is not found is mailed again without being told to")
def _resend(stack: ExitStack) -> None:
    def resends(policy: Policy, kind: Any) -> bool:
        return policy.in_doubt is None or bool(real(policy, kind))

    real = swap(stack, Policy, "resends", resends)


@mistake("hold is not heard: --in-doubt hold sends again what is not found")
def _hold_unheard(stack: ExitStack) -> None:
    swap(stack, Policy, "resends", lambda policy, kind: True)


@mistake("another external id for each attempt")
def _new_ids(stack: ExitStack) -> None:
    def create(ticket: int | None, payload: bytes) -> Request:
        request: Request = real(ticket, payload)
        number = next(numbers)
        body = (request.body or b"").replace(b'"bulkmsg-', f'"bulkmsg-{number}-'.encode())
        return replace(request, body=body)

    numbers = iter(range(10**9))
    real = swap(stack, wire, "create", create)


@mistake("stripped external ids are not noticed: looking is believed all the same")
def _strip_unnoticed(stack: ExitStack) -> None:
    async def trusts(self: Courier) -> bool:
        return True

    swap(stack, Courier, "_trusts", trusts)


@mistake("no look one success back: a run that goes on believes the first absence")
def _no_look_back(stack: ExitStack) -> None:
    async def proves(created: Standing | None, desk: Desk, random: Random) -> bool:
        return True

    swap(stack, courier, "proves", proves)
