"""Where each key stands, in little memory: its state, and the places in the log of its last record and last
intent.

Pure: lines are read back through a function that is handed in. Knows keys, states and legal moves, nothing
else of what a record holds.

A key costs 25 bytes and its share of a table of slots (4 bytes each, at most three in five taken), whatever
the length of its text: only its 64-bit hash is kept. Where two keys have equal hashes, the record itself says
whose it is. Keys in flight are kept by name as well, so that the outcome that follows an intent finds it
without reading back.
"""

from __future__ import annotations

from array import array
from collections.abc import Callable, Iterator

from bulkmsg import json_text
from bulkmsg.message import hash64
from bulkmsg.outcome import MOVES, State
from bulkmsg.source import Json

LineAt = Callable[[int], bytes]

STATES = tuple(State)
CODES: dict[str, int] = {state.value: code for code, state in enumerate(STATES)}
_PENDING = CODES[State.PENDING]
_INTENDED = CODES[State.INTENDED]
_AFTER = tuple(frozenset(CODES[after] for after in MOVES[state]) for state in STATES)
_MARK = 0x80
_STATE = 0x7F


class IllegalMove(ValueError):
    """A record that may not follow what the log says of its key: a bug when written, damage when read."""

    def __init__(self, key: str, before: int, after: int) -> None:
        super().__init__(f"{key!r} cannot go from {STATES[before].value} to {STATES[after].value}")


class Ledger:
    """The standing of keys. With `before`, a younger ledger that knows only what changed since that one."""

    def __init__(self, line_at: LineAt, before: Ledger | None = None) -> None:
        self._line_at = line_at
        self._before = before
        self._hashes = array("Q")
        self._states = bytearray()
        self._last = array("Q")
        self._intents = array("Q")  # 0, where the log's header stands, means: never
        self._slots = array("I", bytes(4 * 64))  # index + 1, or 0 for a free slot
        self._room = 64 * 3 // 5
        self._busy: dict[str, int] = {}
        self._read: tuple[int, dict[str, Json]] = (0, {})

    def __len__(self) -> int:
        return len(self._states)

    def find(self, key: str) -> int | None:
        """The key's index, in the order of first appearance."""
        index = self._busy.get(key)
        return index if index is not None else self._look(key, hash64(key))[0]

    def state(self, index: int) -> State:
        return STATES[self._states[index] & _STATE]

    def offsets(self, index: int) -> tuple[int, int]:
        """Where the key's last record stands, and the last that says who it is; 0 where there is none such."""
        return self._last[index], self._intents[index]

    def record(self, offset: int) -> dict[str, Json]:
        """The record that stands there; reading the same one again is free."""
        if self._read[0] != offset:
            self._read = (offset, json_text.loads(self._line_at(offset)))
        return self._read[1]

    def check(self, key: str, state: State) -> None:
        """Raises IllegalMove unless the key may go there."""
        before = self._code(key)
        if CODES[state] not in _AFTER[before]:
            raise IllegalMove(key, before, CODES[state])

    def move(self, key: str, code: int, offset: int, *, names: bool = False) -> None:
        """Note the record at `offset`, which takes the key to the state of that code.

        `names`: it says who the message is, as an intent does.
        """
        index = self._busy.get(key)
        if index is None:
            index = self._place(key, offset)
        before = self._states[index]
        if code not in _AFTER[before & _STATE]:
            raise IllegalMove(key, before & _STATE, code)
        self._states[index] = before & _MARK | code
        self._last[index] = offset
        if names or code == _INTENDED:
            self._intents[index] = offset
        if code == _INTENDED:
            self._busy[key] = index
        elif code != _PENDING:
            self._busy.pop(key, None)

    def mark(self, index: int) -> None:
        self._states[index] |= _MARK

    def unmarked(self) -> Iterator[int]:
        return (index for index, state in enumerate(self._states) if not state & _MARK)

    def having(self, *states: State) -> Iterator[int]:
        wanted = {CODES[state] for state in states}
        return (index for index, state in enumerate(self._states) if state & _STATE in wanted)

    def count(self, state: State) -> int:
        return self._states.count(CODES[state]) + self._states.count(CODES[state] | _MARK)

    def _code(self, key: str) -> int:
        index = self.find(key)
        if index is not None:
            return self._states[index] & _STATE
        return _PENDING if self._before is None else self._before._code(key)

    def _place(self, key: str, offset: int) -> int:
        digest = hash64(key)
        index, slot = self._look(key, digest)
        if index is not None:
            return index
        index = len(self._states)
        self._hashes.append(digest)
        self._states.append(_PENDING if self._before is None else self._before._code(key))
        self._last.append(offset)
        self._intents.append(0)
        self._slots[slot] = index + 1
        if index == self._room:
            self._grow()
        return index

    def _look(self, key: str, digest: int) -> tuple[int | None, int]:
        """The key's index if it is known, and the slot where the search ended."""
        slots, mask = self._slots, len(self._slots) - 1
        slot = digest & mask
        while entry := slots[slot]:
            if self._hashes[entry - 1] == digest and self.record(self._last[entry - 1])["key"] == key:
                return entry - 1, slot
            slot = (slot + 1) & mask
        return None, slot

    def _grow(self) -> None:
        mask = 2 * len(self._slots) - 1
        slots = array("I", bytes(4 * (mask + 1)))
        for index, digest in enumerate(self._hashes, 1):
            slot = digest & mask
            while slots[slot]:
                slot = (slot + 1) & mask
            slots[slot] = index
        self._slots, self._room = slots, (mask + 1) * 3 // 5
