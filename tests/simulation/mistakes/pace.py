"""Mistakes about pace."""

from __future__ import annotations

from contextlib import ExitStack

from bulkmsg import desk
from bulkmsg.pacing import Pacer
from tests.simulation.mistakes.register import mistake, swap


@mistake("an empty bucket at the start: the header's word on what is used is not read")
def _empty_bucket(stack: ExitStack) -> None:
    swap(stack, Pacer, "_correct", lambda self, start, now, used: None)


@mistake("Retry-After stops nobody")
def _no_pause(stack: ExitStack) -> None:
    swap(stack, desk, "retry_after_seconds", lambda text, now: 0.0)
