"""The front desk: budget, credentials, revocation and quota, before a request reaches the helpdesk. Pure.

A request costs budget whatever becomes of it, and every answer carries the budget's header.
"""

from collections import Counter
from dataclasses import dataclass, replace
from typing import Any

from bulkmsg.sandbox.api import CREATES, Api, name_of
from bulkmsg.sandbox.clock import Moment
from bulkmsg.sandbox.limiter import HEADER, bucket, retry_after
from bulkmsg.sandbox.oauth import Credentials
from bulkmsg.sandbox.settings import SandboxSettings
from bulkmsg.sandbox.wire import Answer, Call, out_of_quota, too_many, unauthorized


@dataclass(frozen=True, slots=True)
class Admission:
    """What the front desk says: go on, or take this answer; and the header for either."""

    header: str
    answer: Answer | None = None


class Front:
    """Admits calls, and counts them."""

    def __init__(self, settings: SandboxSettings, api: Api, start: Moment) -> None:
        self.settings, self.api = settings, api
        self.bucket, self.credentials = bucket(settings), Credentials(settings, start)
        self.requests: Counter[str] = Counter()
        self.answers: Counter[str] = Counter()
        self.throttled = 0

    def admit(self, call: Call, when: Moment) -> Admission:
        """Whether the call may go on to the helpdesk."""
        self.requests[name_of(call)] += 1
        grant = self.bucket.take(when.mono)
        if not grant.allowed:
            self.throttled += 1
            wait = {"Retry-after": retry_after(grant.wait, self.settings.fractional)}
            return Admission(grant.header, replace(too_many(), headers=wait))
        return Admission(grant.header, self._turned_away(call, when))

    def _turned_away(self, call: Call, when: Moment) -> Answer | None:
        revoke, quota = self.settings.revoke_after, self.settings.quota
        if revoke is not None and self.api.writes >= revoke:
            return unauthorized()
        if not self.credentials.accept(call.authorization, when):
            return unauthorized()
        if quota is not None and self.api.creates >= quota and name_of(call) in CREATES:
            return out_of_quota()
        return None

    def renew(self, changes: dict[str, Any]) -> None:
        """Take other credentials or another quota from now on. A new key ends a revocation and all tokens."""
        changes = dict(changes)
        if "refresh_token" in changes:
            self.credentials.renew(changes.pop("refresh_token"))
            changes["revoke_after"] = None
        if "api_key" in changes:
            changes = {**changes, "revoke_after": None, "token": None}
            self.credentials.tokens.clear()
        self.settings = self.credentials.settings = replace(self.settings, **changes)

    def stamped(self, done: Answer, header: str) -> Answer:
        """The answer with the budget's header."""
        self.answers[str(done.status)] += 1
        return replace(done, headers={**done.headers, HEADER: header})
