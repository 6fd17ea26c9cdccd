"""Which way round a list of records stands: several sources list the newest first."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from itertools import pairwise

from bulkmsg.converters.words import Stored


def oldest_first(
    pieces: Sequence[Stored], time: Callable[[Stored], str], *, newest_is_usual: bool = False
) -> list[Stored]:
    """The records with the list turned round as a whole if it is newest first, so that equal times end in their order.

    Args:
        time: of a record, as text that sorts.
        newest_is_usual: which way the source lists, where the times do not tell.
    """
    times = [time(each) for each in pieces]
    rises = sum(before < after for before, after in pairwise(times))
    falls = sum(before > after for before, after in pairwise(times))
    turned = newest_is_usual if rises == falls else falls > rises
    return list(reversed(pieces)) if turned else list(pieces)
