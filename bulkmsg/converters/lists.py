"""Lists as APIs give them: cut into pages that name the next one."""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import dataclass, field

from bulkmsg.converters.words import Note
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
