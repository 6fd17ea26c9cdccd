"""Access by OAuth: an access token that is had anew when it is due or was refused, and kept for the next command.

The desk asks for it while no request starts, so one token is had at a time; a lock keeps other commands out meanwhile,
since a refresh token may count only once.
"""

from __future__ import annotations

import asyncio
import math
import time
from collections.abc import Callable
from dataclasses import dataclass, field
from typing import Protocol

from bulkmsg.gorgias import oauth
from bulkmsg.gorgias.oauth import Granted, NotGranted
from bulkmsg.ports import RenewalTrouble, Reply
from bulkmsg.settings import App
from bulkmsg.tokens import TokenFile, Tokens

_EARLY_SECONDS = 300.0  # before the end of a token's life, or a tenth of it if that is less
_LATER_SECONDS = 30.0  # until the next try, while the token in use still counts
_OTHERS_SECONDS = 60.0  # for another command that is at it
_ABORT_SECONDS = 0.8  # after an abort, for an answer that may bring the only refresh token that counts
_HINT = (
    "`bulkmsg auth login` makes new tokens, or give another GORGIAS_REFRESH_TOKEN; "
    "then run the same command again: it goes on"
)


class Door(Protocol):
    """What access needs of the client."""

    def use(self, token: str) -> None: ...

    async def grant(self, path: str, form: oauth.Form, client_id: str, client_secret: str) -> Reply: ...


@dataclass
class Access:
    """A `Renewal` for an app's tokens.

    Args:
        kept: where tokens are kept between commands.
        first: an access token to begin with, where one was given.
        wall: seconds since 1970, for tokens that are kept.
        note: says something to a person.
    """

    door: Door = field(repr=False)
    app: App
    kept: TokenFile
    first: str = field(default="", repr=False)
    wall: Callable[[], float] = time.time
    note: Callable[[str], None] = lambda text: None

    def __post_init__(self) -> None:
        self._number = 0
        self._access = self.first
        self._refresh = self.app.refresh_token
        self._ends = self._due = math.inf if self.first else 0.0
        self._over = math.inf  # its end in seconds since 1970
        self._made = self._accepted = False  # of the token in use: by us, and let in since
        if self.first:
            self.door.use(self.first)

    # -- what the desk asks -----------------------------------------------------------------------------------------

    @property
    def number(self) -> int:
        return self._number

    @property
    def ends_at(self) -> float | None:
        """When the token in use ends, in seconds since 1970; None where that is not known."""
        left = self._ends - asyncio.get_running_loop().time()
        return self.wall() + left if self._access and 0 < left < math.inf else None

    def is_due(self, now: float) -> bool:
        return now >= self._due

    def was_accepted(self, number: int) -> None:
        self._accepted = self._accepted or number == self._number

    def was_refused(self, number: int) -> bool:
        if number != self._number:
            return True  # another has taken its place meanwhile
        if self._made and not self._accepted and not self._ran_out():
            return False  # a new one that was never let in: yet another would not be either
        self._ends = self._due = 0.0
        return True

    def _ran_out(self) -> bool:
        """Whether the token's time is over; the wall clock also counts while a machine sleeps."""
        return asyncio.get_running_loop().time() >= self._due or self.wall() >= self._over

    async def renew(self) -> RenewalTrouble | None:
        task = asyncio.ensure_future(self._renew())
        try:
            return await asyncio.shield(task)
        except asyncio.CancelledError:
            await asyncio.wait({task}, timeout=_ABORT_SECONDS)
            task.cancel()
            raise

    # -- having a new one -------------------------------------------------------------------------------------------

    async def _renew(self) -> RenewalTrouble | None:
        try:
            async with self.kept.alone(_OTHERS_SECONDS):
                return await self._renew_alone()
        except TimeoutError:
            return self._later(NotGranted(False, "another command has been renewing the access token for long"))

    async def _renew_alone(self) -> RenewalTrouble | None:
        kept = self.kept.read()
        if kept is not None:
            self._refresh = kept.refresh
            if kept.access and kept.access != self._access and kept.expires > self.wall():
                self._take(kept.access, kept.expires - self.wall(), made=False)
                return None
        if not self._refresh:
            return RenewalTrouble(True, "there is no refresh token for this account", _HINT)
        form = oauth.refresh_form(self._refresh)
        reply = await self.door.grant(oauth.TOKEN_PATH, form, self.app.client_id, self.app.client_secret)
        granted = oauth.read_tokens(reply)
        if isinstance(granted, NotGranted):
            return self._later(granted)
        self._keep(granted)
        self._take(granted.access, granted.life, made=True)
        return None

    def _take(self, access: str, life: float, *, made: bool) -> None:
        now = asyncio.get_running_loop().time()
        self._access, self._made, self._accepted = access, made, False
        self._number += 1
        self._ends = now + life
        self._over = self.wall() + life
        self._due = self._ends - min(_EARLY_SECONDS, life / 10)
        self.door.use(access)

    def _keep(self, granted: Granted) -> None:
        changed = bool(granted.refresh) and granted.refresh != self._refresh
        self._refresh = granted.refresh or self._refresh
        try:
            self.kept.keep(Tokens(self._refresh, granted.access, self.wall() + granted.life))
        except OSError as error:
            if changed:
                self.note(
                    "the helpdesk replaced the refresh token, and the new one could not be kept "
                    f"({error.strerror}): this run goes on with it, the next needs a new one; "
                    "XDG_STATE_HOME can name a folder that can be written"
                )

    def _later(self, refused: NotGranted) -> RenewalTrouble | None:
        """What stands in the way; nothing yet while the token in use still counts."""
        now = asyncio.get_running_loop().time()
        if now < self._ends:
            self._due = min(self._ends, now + _LATER_SECONDS)
            return None
        if refused.final:
            return RenewalTrouble(True, f"there is no new access token: {refused.reason}", _HINT)
        return RenewalTrouble(False, f"no new access token could be had: {refused.reason}")
