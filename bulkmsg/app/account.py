"""An account as somebody needs it who fills in a batch: who we are there, and its lists, page by page."""

from __future__ import annotations

import asyncio
from collections.abc import Callable
from dataclasses import dataclass
from random import SystemRandom

from bulkmsg.app.preflight import Who
from bulkmsg.app.prepare import RunOptions, Visit
from bulkmsg.app.sweep import visit
from bulkmsg.desk import Desk, Halt, explore
from bulkmsg.gorgias.wire import Listing
from bulkmsg.ports import Silence
from bulkmsg.preflight.questions import Listed, read_list
from bulkmsg.preflight.things import Mailbox, Named, Rule, User

Thing = User | Mailbox | Rule | Named
LISTS: dict[str, tuple[Listing, Callable[[object], Thing | None]]] = {
    "agents": (Listing.USERS, User.read),
    "mailboxes": (Listing.INTEGRATIONS, Mailbox.read),
    "teams": (Listing.TEAMS, Named.read),
    "tags": (Listing.TAGS, Named.read),
    "rules": (Listing.RULES, Rule.read),
}


@dataclass(frozen=True)
class Seen:
    """What was seen of an account: who we are there, and the list that was asked for, if one was."""

    account: str
    who: Who
    listed: Listed[Thing] | None = None
    halt: Halt | None = None


def look(
    account: str, options: RunOptions, what: str | None, take: Callable[[Thing], None], say: Callable[[str], None]
) -> Seen:
    """Read who we are, and one of the `LISTS`.

    Args:
        take: is given each item when its page has come.
    """
    met, listed, random = Who(), None, SystemRandom()

    def meet(who: Who) -> None:
        nonlocal met
        met = who

    def keep(thing: Thing) -> bool:
        if not isinstance(thing, Mailbox) or thing.address:  # other integrations are no mailboxes
            take(thing)
        return False

    async def work(desk: Desk, user: int | None) -> None:
        nonlocal listed
        if what is not None:
            listing, read = LISTS[what]
            listed = await explore(read_list(listing, read, random, keep), desk)

    desk = asyncio.run(visit(Visit(account, options), Silence(), say, random, work, meet))
    return Seen(account, met, listed, desk.halt)
