"""A source as another package brings it: one class."""

from __future__ import annotations

from collections.abc import Iterable, Iterator

from bulkmsg.converters.words import About, Note, People, Piece, Reading, Sorted, Sureness, Talk, Thread
from bulkmsg.readers.records import Record


class MyDesk:
    ABOUT = About("My desk", ("its dump",), ((Sureness.TOOLS, "everything"),))

    def __init__(self, reading: Reading) -> None:
        self.reading = reading

    def sort(self, record: Record) -> Iterable[Sorted]:
        return [Piece("1", "1", record.value)]

    def talk(self, thread: Thread, people: People) -> Talk:
        return Talk(thread.ticket, [])

    def close(self) -> Iterator[Note]:
        yield from ()
