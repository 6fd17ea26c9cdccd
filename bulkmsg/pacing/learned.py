"""What one run of ours knows of the account, for another that knows less."""

from __future__ import annotations

import math
from dataclasses import dataclass
from enum import Enum

from bulkmsg.pacing.judge import Counting


class Corrected(Enum):
    """Which way an answer corrected the mirror since other runs were told of it."""

    NOT = "not"
    DOWN = "down"  # what is used is surely no more than this
    UP = "up"  # strangers use some of it

    def both(self, ours: float, theirs: float) -> float:
        """One level out of ours and that of the others, who do not know of the correction."""
        if self is Corrected.DOWN:
            return min(ours, theirs)
        return max(ours, theirs) if self is Corrected.UP else theirs


@dataclass(frozen=True, slots=True)
class Learned:
    """What one run of ours knows of the account at a moment, for another that knows less.

    Args:
        level: how full the helpdesk's bucket was at `at`.
        heard: when the last answer said so; minus infinity while none has.
        until: the end of the pause that a Retry-After asks for.
        limit: the header's right side, None while it was not seen.
        gust: how many requests of strangers came at once.
        quickest, slowest: seconds that answers took; infinity and zero while none has come.
    """

    at: float
    level: float
    heard: float = -math.inf
    until: float = -math.inf
    limit: int | None = None
    counting: Counting = Counting.UNKNOWN
    gust: float = 0.0
    quickest: float = math.inf
    slowest: float = 0.0
