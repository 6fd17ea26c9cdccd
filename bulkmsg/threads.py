"""How much of a new ticket's thread goes into the one request that creates it; the rest follows message by message."""

from __future__ import annotations

from dataclasses import dataclass

MOST_MESSAGES = 500  # of one request (Gorgias reference, "Create a ticket")
# Of all message bodies of one request. No limit is documented. A message alone may have two bodies of 1 MB, and a
# request much above that is slow, so that its answer is lost more often; front ends of web servers refuse at 10 MB.
MOST_BYTES = 4_000_000


@dataclass(slots=True)
class FirstRequest:
    """The request that creates a ticket, being filled with the messages of its thread in their order."""

    count: int = 0
    size: int = 0
    full: bool = False

    def takes(self, size: int) -> bool:
        """Whether the thread's next message still goes into it; the first one always does.

        Args:
            size: bytes of the message's body, as it leaves.
        """
        fits = self.count < MOST_MESSAGES and self.size + size <= MOST_BYTES
        if self.full or not (fits or self.count == 0):
            self.full = True
            return False
        self.count += 1
        self.size += size
        return True
