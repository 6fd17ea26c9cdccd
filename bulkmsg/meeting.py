"""Where a run meets the others of its account: it listens before it decides, and takes a slot before their eyes.

Carries words between `sharing` and the place where they are kept; knows the time only through the event loop.
"""

from __future__ import annotations

import asyncio
from collections.abc import Callable

from bulkmsg.ports import Budget
from bulkmsg.sharing import Company


class Meeting:
    """One run's part in sharing the budget of an account.

    Args:
        note: is told, once, why the others cannot be met; the run then keeps its pace alone.
    """

    def __init__(self, budget: Budget, company: Company, note: Callable[[str], None]) -> None:
        self._budget, self._company, self._note = budget, company, note
        self._alone = False

    def hear(self, now: float) -> None:
        """Hear what the others did, so that what a header counts of it is not taken for a stranger's."""
        self._company.hear(self._budget.peek(), now)

    async def claim(self, wait: Callable[[float], float]) -> float:
        """Take a slot and get 0.0, or hear how many seconds it has to be waited for; meanwhile the others are told what
        they have to know, such as a pause.

        Args:
            wait: what the pacer says at a time, once it has heard of the others.
        """
        loop = asyncio.get_running_loop()
        self.hear(loop.time())
        slot = wait(loop.time())
        self._company.expect(slot, loop.time())
        if slot > 0 and not self._company.has_news:
            return slot

        def take(kept: bytes) -> bytes | None:
            nonlocal slot
            now = loop.time()
            self._company.hear(kept, now)
            slot, told = self._company.claim(wait(now), now)
            return told

        await self._budget.exchange(take)
        self._say_alone()
        return slot

    def _say_alone(self) -> None:
        if self._budget.trouble and not self._alone:
            self._alone = True
            self._note(f"other runs on this account cannot be seen, and this one paces itself: {self._budget.trouble}")
