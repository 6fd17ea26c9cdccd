"""Who writes for the customer's side and who for the company's: an address on both is worth a look. Pure.

Agents are few and are remembered; customers may be as many as messages, so only a filter of fixed size remembers them,
and whom it suspects is looked for once more in a second reading.
"""

from __future__ import annotations

from dataclasses import dataclass, field

from bulkmsg.message import Kind
from bulkmsg.source import Json

_MOST_AGENTS = 10_000
_BITS = 1 << 22  # half a megabyte: a million customers make one agent in seven be looked at in vain
_LAST = _BITS - 1


def sender_address(fields: dict[str, Json]) -> str | None:
    """The address of a message's sender, in lower case."""
    sender = fields.get("sender")
    email = sender.get("email") if isinstance(sender, dict) else None
    return email.lower() if isinstance(email, str) and email else None


@dataclass
class Sides:
    """The senders of a batch, seen once.

    The filter knows addresses by Python's own hash, which differs from process to process: it decides only who is
    looked at again.
    """

    _agents: set[str] = field(default_factory=set)
    # Written out, so that its pages are taken now and not as customers come.
    _customers: bytearray = field(default_factory=lambda: bytearray(b"\0" * (_BITS >> 3)))

    def add(self, kind: Kind, fields: dict[str, Json]) -> None:
        address = sender_address(fields)
        if address is None:
            return
        if kind is not Kind.INCOMING:
            if len(self._agents) < _MOST_AGENTS:
                self._agents.add(address)
            return
        # Written out, since it is done for every message.
        number, customers = hash(address), self._customers
        place = number & _LAST
        customers[place >> 3] |= 1 << (place & 7)
        place = (number >> 32) & _LAST
        customers[place >> 3] |= 1 << (place & 7)

    def suspects(self) -> set[str]:
        """Addresses that write as an agent, and perhaps as a customer as well."""
        return {address for address in self._agents if self._has(hash(address)) and self._has(hash(address) >> 32)}

    def _has(self, number: int) -> bool:
        place = number & _LAST
        return bool(self._customers[place >> 3] & 1 << (place & 7))
