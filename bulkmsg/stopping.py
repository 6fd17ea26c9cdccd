"""When errors end a run: how many of them it bears, and what a rejected message means for those behind it. Pure.

An error is a message that this run saw rejected or failed. Neither counts what an earlier run left, nor what is held
back behind an error, nor what stays in doubt.
"""

from __future__ import annotations

import re
from collections import Counter
from dataclasses import dataclass, field
from enum import StrEnum

from bulkmsg.errors import UsageError
from bulkmsg.outcome import Outcome, State, without_addresses

IN_A_ROW = 25
PER_CENT = 5.0
FIRST = 200  # messages settled before a share of them says something

_ERRORS = re.compile(r"(\d{1,9})|(\d{1,3}(?:\.\d{1,3})?)%")
_REASON_LENGTH = 160
_REASONS_KEPT = 200


class OnRejection(StrEnum):
    """What a rejected message means for what comes after it."""

    HOLD_TICKET = "hold-ticket"  # the rest of its ticket waits until it is mended
    CONTINUE = "continue"  # the rest of its ticket goes on without it
    STOP = "stop"  # the run ends


@dataclass(frozen=True, slots=True)
class ErrorLimit:
    """How many errors a run bears; one more ends it.

    Args:
        number: in all. percent: of the messages that the run settled.
        in_a_row: over all tickets, in the order of their answers, with no created message between.
        early: the share is judged from the first error on, as if the first 200 (or all, if they are fewer) were
            settled; otherwise only once 200 are.
    """

    number: int | None = None
    percent: float | None = None
    in_a_row: int | None = None
    early: bool = True

    def __str__(self) -> str:
        if self.number is not None:
            return str(self.number)
        if self.in_a_row is not None:
            return f"{self.in_a_row} in a row, or {self.percent:g}% after the first {FIRST}"
        return f"{self.percent:g}%"


USUAL_ERRORS = ErrorLimit(percent=PER_CENT, in_a_row=IN_A_ROW, early=False)


def parse_error_limit(text: str) -> ErrorLimit:
    """`10`: ten errors in all; `2.5%`: of the messages settled.

    Raises:
        UsageError: the text is neither, or above 100 %.
    """
    match = _ERRORS.fullmatch(text)
    if match is None or (match.group(2) and float(match.group(2)) > 100):
        raise UsageError(
            f"{text!r} is no number of errors", "write it like 10 or 5%; 0 ends at the first error, 100% never"
        )
    return ErrorLimit(int(match.group(1))) if match.group(1) else ErrorLimit(percent=float(match.group(2)))


def reason_of(outcome: Outcome) -> str:
    """Why a message did not arrive, in few words and without an address."""
    said = without_addresses(outcome.error or "no reason was given")[:_REASON_LENGTH]
    return f"HTTP {outcome.status}: {said}" if outcome.status else said


@dataclass
class ErrorTally:
    """Counts a run's outcomes against a limit. Its memory is bounded, however many errors there are.

    Args:
        expected: how many creating requests the run has before it.
        settled: requests whose messages were created, rejected or failed; `errors` the last two. A new ticket that is
            refused with all of its messages is one error, whatever their number.
        threads: some of them carried many messages.
    """

    limit: ErrorLimit
    expected: int
    settled: int = 0
    errors: int = 0
    threads: bool = False
    in_a_row: int = 0
    longest: int = 0
    reasons: Counter[str] = field(default_factory=Counter)

    def count(self, outcome: Outcome, messages: int = 1) -> None:
        """Take in what became of a request's messages; only created, rejected and failed ones count."""
        self.threads = self.threads or messages > 1
        if outcome.state is State.CREATED:
            self.settled += 1
            self.in_a_row = 0
        elif outcome.state in (State.REJECTED, State.FAILED):
            self.settled += 1
            self.errors += 1
            self.in_a_row += 1
            self.longest = max(self.longest, self.in_a_row)
            self._remember(outcome)

    @property
    def is_over(self) -> bool:
        """Whether there were more errors than the limit bears."""
        return any((self._too_many, self._too_many_in_a_row, self._too_large_a_share))

    @property
    def _too_many(self) -> bool:
        return self.limit.number is not None and self.errors > self.limit.number

    @property
    def _too_many_in_a_row(self) -> bool:
        return self.limit.in_a_row is not None and self.longest > self.limit.in_a_row

    @property
    def _too_large_a_share(self) -> bool:
        if self.limit.percent is None or (self.settled < FIRST and not self.limit.early):
            return False
        base = max(self.settled, min(FIRST, self.expected)) if self.limit.early else self.settled
        return 100 * self.errors > self.limit.percent * base

    def _remember(self, outcome: Outcome) -> None:
        reason = reason_of(outcome)
        if reason in self.reasons or len(self.reasons) < _REASONS_KEPT:
            self.reasons[reason] += 1

    @property
    def told(self) -> str:
        """How it stands: `3 of the 9 messages worked on were rejected or failed: more than --max-errors bears ...`"""
        row = f", {self.longest} in a row" if self._too_many_in_a_row else ""
        what = "tickets and messages" if self.threads else "messages"
        said = f"{self.errors:,} of the {self.settled:,} {what} worked on were rejected or failed{row}"
        return f"{said}: more than --max-errors bears ({self.limit}){self.commonest}"

    @property
    def commonest(self) -> str:
        """The reason that was met most, as the end of a sentence; empty where there was no error."""
        if not self.reasons:
            return ""
        reason, times = self.reasons.most_common(1)[0]
        return f"; {times:,} of them: {reason}" if times > 1 else f"; the first: {reason}"

    @property
    def hint(self) -> str:
        """What to look at first."""
        if self.reasons and self.reasons.most_common(1)[0][0].startswith("HTTP 404"):
            return (
                "the tickets do not exist there: are they of another account? If not, mend the batch; "
                "running the same command again goes on"
            )
        return "look at the reasons, mend what they name, and run the same command again: it goes on"
