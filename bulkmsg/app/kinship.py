"""Which names mean the same ticket: mails name each other, in any order, and the first of all names the ticket.

A forest of names in the spool's file. What it ends with does not depend on the order of the records, and newer records
do not rename a ticket that older ones named.
"""

from __future__ import annotations

from collections.abc import Sequence
from typing import TYPE_CHECKING

if TYPE_CHECKING:
    import sqlite3

# `best` counts at the top of a tree: time, place among the names of a record, and the name that the ticket gets.
# `homes` is the index of pieces by their tickets, once names are settled; the pieces themselves stay where they are.
_TABLES = (
    "CREATE TABLE kin (name TEXT PRIMARY KEY, up TEXT, best TEXT) WITHOUT ROWID",
    "CREATE TABLE homes (length INTEGER, ticket TEXT, seq INTEGER, PRIMARY KEY (length, ticket, seq)) WITHOUT ROWID",
)
_SETTLE = "INSERT INTO homes SELECT length(own), own, seq FROM (SELECT own_name(ticket) AS own, seq FROM pieces)"


class Kinship:
    def __init__(self, base: sqlite3.Connection) -> None:
        self._base = base
        self.given = False
        for each in _TABLES:
            base.execute(each)
        base.create_function("own_name", 1, self._own_name)

    def add(self, names: Sequence[str], since: str) -> None:
        """All of `names` mean one ticket; the first is the oldest."""
        self.given = True
        top = ""
        for place, name in enumerate(names):
            other = self._met(name, f"{since}\0{place:06}\0{name}")
            top = self._joined(top, other) if top else other

    def settle(self) -> None:
        """Writes down to which ticket every piece belongs."""
        self._base.execute(_SETTLE)

    def _met(self, name: str, key: str) -> str:
        """The top of the tree of a name, which is planted if it is new."""
        top, best = self._climb(name)
        if not top:
            self._base.execute("INSERT INTO kin VALUES (?, NULL, ?)", (name, key))
        elif key < best:
            self._base.execute("UPDATE kin SET best = ? WHERE name = ?", (key, top))
        return top or name

    def _joined(self, one: str, other: str) -> str:
        if one != other:
            best = min(self._row(one)[1], self._row(other)[1])
            self._base.execute("UPDATE kin SET up = ? WHERE name = ?", (one, other))
            self._base.execute("UPDATE kin SET best = ? WHERE name = ?", (best, one))
        return one

    def _climb(self, name: str) -> tuple[str, str]:
        """The top of a name's tree and what is best there, ("", "") for a name nobody knows; shortens the way."""
        passed: list[str] = []
        up, best = self._row(name)
        while up:
            passed.append(name)
            name = up
            up, best = self._row(name)
        for each in passed[:-1]:
            self._base.execute("UPDATE kin SET up = ? WHERE name = ?", (name, each))
        return (name, best) if best else ("", "")

    def _row(self, name: str) -> tuple[str, str]:
        row = self._base.execute("SELECT up, best FROM kin WHERE name = ?", (name,)).fetchone()
        return (row[0] or "", row[1]) if row else ("", "")

    def _own_name(self, name: str) -> str:
        """Called from within a statement, so it only looks."""
        up, best = self._row(name)
        while up:
            up, best = self._row(up)
        return best.rpartition("\0")[2] if best else name
