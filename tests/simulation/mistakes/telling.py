"""Mistakes about what is told."""

from __future__ import annotations

from contextlib import ExitStack

from bulkmsg.app import history, result
from bulkmsg.courier import Courier, Load
from bulkmsg.errors import ExitCode
from bulkmsg.outcome import Outcome, State
from tests.simulation.mistakes.register import mistake, swap


@mistake("giving up says failed: what was in flight at the second signal counts as not created")
def _give_up_failed(stack: ExitStack) -> None:
    def give_up(self: Courier, load: Load) -> None:
        flew = [message.key in self._flying for message in load.messages]
        self.settle(load, [Outcome(State.FAILED if each else State.PENDING) for each in flew])

    swap(stack, Courier, "_give_up", give_up)


@mistake("intended is told as pending: a message that may have left counts as not sent")
def _intended_pending(stack: ExitStack) -> None:
    swap(stack, history, "_counted", lambda state: State.PENDING if state is State.INTENDED else state)


@mistake("exit code 0 although something is missing")
def _always_ok(stack: ExitStack) -> None:
    swap(stack, result, "worst", lambda codes: ExitCode.OK)
