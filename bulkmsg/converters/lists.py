"""Lists as APIs give them: cut into pages that name the next one, and often the newest first."""

from __future__ import annotations

from collections.abc import Callable, Iterator, Sequence
from dataclasses import dataclass, field
from itertools import pairwise

from bulkmsg.converters.times import utc
from bulkmsg.converters.words import Note, Stored
from bulkmsg.readers.records import Record
from bulkmsg.source import Json


@dataclass(slots=True)
class Pages:
    """Follows lists through their pages, in the order in which they are read. Keeps only lists that still wait."""

    _last: dict[str, Json] = field(default_factory=dict)
    _waiting: dict[str, tuple[str, int]] = field(default_factory=dict)  # a list, and its page that names a next one

    def see(self, record: Record, name: str, more: bool) -> bool:
        """Take in the record's page, one of the list `name`; whether it is a new one. `more`: it names a next one.

        The last page of some lists says nothing around its records, like records that stand in no page.
        """
        if record.page and record.page is self._last:
            return False
        self._last = record.page
        if more:
            self._waiting[name] = (record.file, record.line)
        else:
            self._waiting.pop(name, None)
        return bool(record.page)

    def close(self) -> Iterator[Note]:
        for name, (file, line) in self._waiting.items():
            yield Note("page-missing", f"{name}: the page at {file}:{line} names a next one, which is not there")


def oldest_first(
    pieces: Sequence[Stored], time: Callable[[dict[str, Json]], str], *, newest_first: bool = False
) -> list[Stored]:
    """The pieces of a ticket the right way round, so that those of one time keep the order in which they were written.

    Args:
        newest_first: how the source lists them, where the times do not tell.
    """
    times = [utc(time(piece.value)) or "" for piece in pieces]
    falls = sum(first > second for first, second in pairwise(times))
    rises = sum(first < second for first, second in pairwise(times))
    backwards = newest_first if falls == rises else falls > rises
    return list(reversed(pieces)) if backwards else list(pieces)
