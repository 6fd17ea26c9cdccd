"""Which tickets are known by their external ids, in little memory: only the place in the log of what is noted of each.

Pure: lines are read back through a function that is handed in. A ticket costs 16 bytes in a table at most three in five
full, whatever the length of its external id: only its 64-bit hash is kept. Where two have equal hashes, the record
itself says whose it is.
"""

from __future__ import annotations

from array import array
from collections.abc import Callable

from bulkmsg import json_text
from bulkmsg.message import hash64
from bulkmsg.ports import KnownTicket
from bulkmsg.source import Json

LineAt = Callable[[int], bytes]


class Tickets:
    """Tickets by external id, given as logs show it. With `before`, only what was noted since that one."""

    def __init__(self, line_at: LineAt, before: Tickets | None = None) -> None:
        self._line_at = line_at
        self._before = before
        self._hashes = array("Q", bytes(8 * 64))
        self._offsets = array("Q", bytes(8 * 64))  # 0, where the log's header stands, means: free
        self._taken = 0

    def find(self, external_id: str) -> KnownTicket | None:
        offset = self._offsets[self._slot(external_id, hash64(external_id))]
        if offset:
            record = self._record(offset)
            return KnownTicket(record["ticket_id"], record.get("ticket_content", ""))
        return None if self._before is None else self._before.find(external_id)

    def note(self, external_id: str, offset: int) -> None:
        """What the record at `offset` says of it stands from here on."""
        digest = hash64(external_id)
        slot = self._slot(external_id, digest)
        self._taken += not self._offsets[slot]
        self._hashes[slot], self._offsets[slot] = digest, offset
        if self._taken * 5 > len(self._offsets) * 3:
            self._grow()

    def _record(self, offset: int) -> dict[str, Json]:
        record: dict[str, Json] = json_text.loads(self._line_at(offset))
        return record

    def _slot(self, external_id: str, digest: int) -> int:
        """Where it stands, or the free slot where it would."""
        mask = len(self._offsets) - 1
        slot = digest & mask
        while offset := self._offsets[slot]:
            if self._hashes[slot] == digest and self._record(offset)["ticket_external_id"] == external_id:
                break
            slot = (slot + 1) & mask
        return slot

    def _grow(self) -> None:
        old = zip(self._hashes, self._offsets, strict=True)
        mask = 2 * len(self._offsets) - 1
        self._hashes, self._offsets = array("Q", bytes(8 * (mask + 1))), array("Q", bytes(8 * (mask + 1)))
        for digest, offset in old:
            if not offset:
                continue
            slot = digest & mask
            while self._offsets[slot]:
                slot = (slot + 1) & mask
            self._hashes[slot], self._offsets[slot] = digest, offset
