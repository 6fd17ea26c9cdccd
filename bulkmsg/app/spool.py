"""Puts a conversion's records aside on disk, so that people, tickets and comments of any size can be joined.

One SQLite file with a cache of fixed size: memory does not grow with what is put aside. The file holds everything that
was read and is about as large; it stands in the output's folder and goes with the conversion.
"""

from __future__ import annotations

import sqlite3
from collections.abc import Iterator
from contextlib import contextmanager, suppress
from functools import lru_cache
from itertools import groupby
from operator import itemgetter
from pathlib import Path
from typing import Any

from bulkmsg import json_text
from bulkmsg.app.kinship import Kinship
from bulkmsg.converters.words import Facts, Finding, Kin, Person, Piece, Side, Stored, Thread
from bulkmsg.errors import InvalidBatch

_CACHE = 4 << 10  # kB
_REMEMBERED = 4096  # people that are looked up again and again
_TABLES = """
    CREATE TABLE people (id TEXT PRIMARY KEY, side TEXT, email TEXT, name TEXT) WITHOUT ROWID;
    CREATE TABLE files (id INTEGER PRIMARY KEY, name TEXT);
    CREATE TABLE facts (seq INTEGER PRIMARY KEY, ticket TEXT, version TEXT, file INTEGER, line INTEGER, value BLOB);
    CREATE TABLE pieces
        (seq INTEGER PRIMARY KEY, ticket TEXT, id TEXT, version TEXT, file INTEGER, line INTEGER, value BLOB);
    CREATE TABLE findings (seq INTEGER PRIMARY KEY, code TEXT, message TEXT, hint TEXT, file TEXT, line INTEGER);
    CREATE INDEX facts_by_ticket ON facts (length(ticket), ticket, seq);
    CREATE INDEX pieces_by_ticket ON pieces (length(ticket), ticket, seq);
"""
_PERSON = """
    INSERT INTO people VALUES (?, ?, ?, ?) ON CONFLICT (id) DO UPDATE
    SET side = excluded.side, email = excluded.email, name = excluded.name
    WHERE excluded.side <> 'customer' OR side = 'customer'
"""
# Numbers come in their order, and so does the output, however the input was shuffled.
_IN_ORDER = "ORDER BY length(ticket), ticket, seq"
_PIECES_OF_KIN = """
    SELECT homes.ticket, id, version, file, line, value FROM homes CROSS JOIN pieces USING (seq)
    ORDER BY homes.length, homes.ticket, homes.seq
"""

Row = tuple[Any, ...]


class Spool:
    """A context that holds the file at `path`, which must not be there yet, and removes it."""

    def __init__(self, path: Path) -> None:
        self._path = path
        self._base = sqlite3.connect(path, isolation_level=None)
        for pragma in (
            "journal_mode = OFF",
            "synchronous = OFF",
            f"cache_size = -{_CACHE}",
            "locking_mode = EXCLUSIVE",
        ):
            self._base.execute(f"PRAGMA {pragma}")
        self._base.executescript(_TABLES)
        self._base.execute("BEGIN")
        self._files: dict[str, int] = {}
        self._names: list[str] = []
        self._kinship = Kinship(self._base)
        self.given = False
        self.get = lru_cache(maxsize=_REMEMBERED)(self._person)

    def __enter__(self) -> Spool:
        return self

    def __exit__(self, *_: object) -> None:
        self._base.close()
        with suppress(OSError):
            self._path.unlink()

    # In.

    def add_person(self, person: Person) -> None:
        """A person whom another file names again is the later one; but who was an agent once wrote as one."""
        self.given = True
        self._put(_PERSON, (person.id, person.side, person.email, person.name))

    def add_facts(self, facts: Facts, file: str, line: int) -> None:
        row = (facts.ticket, facts.version, self._file(file), line, json_text.dumps(facts.value))
        self._put("INSERT INTO facts (ticket, version, file, line, value) VALUES (?, ?, ?, ?, ?)", row)

    def add_piece(self, piece: Piece, file: str, line: int) -> None:
        row = (piece.ticket, piece.id, piece.version, self._file(file), line, json_text.dumps(piece.value))
        self._put("INSERT INTO pieces (ticket, id, version, file, line, value) VALUES (?, ?, ?, ?, ?, ?)", row)

    def add_kin(self, kin: Kin) -> None:
        with self._room():
            self._kinship.add(kin.names, kin.since)

    def add_finding(self, found: Finding, file: str, line: int) -> None:
        row = (found.code, found.message, found.hint, file, line)
        self._put("INSERT INTO findings (code, message, hint, file, line) VALUES (?, ?, ?, ?, ?)", row)

    # Out.

    def _person(self, id: str) -> Person | None:
        row = self._base.execute("SELECT side, email, name FROM people WHERE id = ?", (id,)).fetchone()
        return Person(id, Side(row[0]), row[1], row[2]) if row else None

    def threads(self) -> Iterator[tuple[Thread, list[Stored], int]]:
        """Each ticket with what belongs to it, the records that only repeat others, and how often its own repeats."""
        pieces = groupby(self._pieces(), itemgetter(0))
        facts = groupby(self._rows("SELECT ticket, '', version, file, line, value FROM facts"), itemgetter(0))
        for ticket, own, others in _joined(facts, pieces):
            latest, again = self._latest(others)
            known = self._stored(max(own, key=itemgetter(2))) if own else None
            yield Thread(ticket, known, latest), again, max(0, len(own) - 1)

    def findings(self) -> Iterator[tuple[Finding, str, int]]:
        for code, message, hint, file, line in self._base.execute(
            "SELECT code, message, hint, file, line FROM findings ORDER BY seq"
        ):
            yield Finding(code, message, hint), file, line

    def _pieces(self) -> Iterator[Row]:
        if not self._kinship.given:
            return self._rows("SELECT ticket, id, version, file, line, value FROM pieces")
        with self._room():
            self._kinship.settle()
        return iter(self._base.execute(_PIECES_OF_KIN))

    def _rows(self, select: str) -> Iterator[Row]:
        return iter(self._base.execute(f"{select} {_IN_ORDER}"))

    def _latest(self, rows: list[Row]) -> tuple[list[Stored], list[Stored]]:
        """Of records with the same id the last one of the highest version, where the first of them stood."""
        chosen: dict[str, Row] = {}
        again: list[Stored] = []
        for number, row in enumerate(rows):
            id = row[1] or f"\0{number}"
            before = chosen.get(id)
            if before is not None:
                again.append(self._stored(min((before, row), key=itemgetter(2))))
            chosen[id] = row if before is None or row[2] >= before[2] else before
        return [self._stored(row) for row in chosen.values()], again

    def _stored(self, row: Row) -> Stored:
        return Stored(row[1], json_text.loads(row[5]), self._names[row[3]], row[4])

    # Small things.

    def _put(self, statement: str, row: Row) -> None:
        with self._room():
            self._base.execute(statement, row)

    @contextmanager
    def _room(self) -> Iterator[None]:
        try:
            yield
        except sqlite3.OperationalError as error:
            hint = "make room where the output is written; about as much as the export takes, unpacked"
            raise InvalidBatch(f"the records cannot be put aside: {error}", hint) from None

    def _file(self, name: str) -> int:
        number = self._files.get(name)
        if number is None:
            number = self._files[name] = len(self._names)
            self._names.append(name)
        return number


Groups = Iterator[tuple[str, Iterator[Row]]]


def _joined(facts: Groups, pieces: Groups) -> Iterator[tuple[str, list[Row], list[Row]]]:
    """Two streams in the same order of tickets as one: a ticket's own rows, and those of its pieces."""
    left, right = _next(facts), _next(pieces)
    while left or right:
        order = min(_order(each) for each in (left, right) if each)
        own = left[1] if left and _order(left) == order else []
        others = right[1] if right and _order(right) == order else []
        yield order[1], own, others
        left = _next(facts) if own else left
        right = _next(pieces) if others else right


def _next(groups: Groups) -> tuple[str, list[Row]] | None:
    found = next(groups, None)
    return (found[0], list(found[1])) if found else None


def _order(group: tuple[str, list[Row]]) -> tuple[int, str]:
    return len(group[0]), group[0]
