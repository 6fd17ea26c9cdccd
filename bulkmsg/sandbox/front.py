"""The front desk: budget, credentials, revocation and quota, before a request reaches the helpdesk. Pure.

A request costs budget whatever becomes of it, and every answer carries the budget's header.
"""

import hmac
from collections import Counter
from dataclasses import dataclass, replace
from typing import Any
from urllib.parse import parse_qs

from bulkmsg.sandbox.api import CREATES, Api, name_of
from bulkmsg.sandbox.clock import Moment
from bulkmsg.sandbox.limiter import HEADER, bucket, retry_after
from bulkmsg.sandbox.settings import SandboxSettings
from bulkmsg.sandbox.wire import Answer, Call, answer, basic, out_of_quota, too_many, unauthorized

DAY = 86_400


@dataclass(frozen=True, slots=True)
class Admission:
    """What the front desk says: go on, or take this answer; and the header for either."""

    header: str
    answer: Answer | None = None


class Credentials:
    """Which credentials count, and the access tokens that were given out since."""

    def __init__(self, settings: SandboxSettings, start: Moment) -> None:
        self.settings = settings
        self.tokens: dict[str, float] = {settings.token: start.mono} if settings.token else {}
        self.given_out = 0

    def accept(self, authorization: str, when: Moment) -> bool:
        pair = basic(authorization)
        if pair:
            return self._accept_pair(pair)
        scheme, _, token = authorization.partition(" ")
        return scheme.lower() == "bearer" and self._accept_token(token.strip(), when)

    def _accept_pair(self, pair: tuple[str, str]) -> bool:
        s = self.settings
        if s.email is None or s.api_key is None:
            return s.token is None
        return pair[0].lower() == s.email.lower() and hmac.compare_digest(pair[1].encode(), s.api_key.encode())

    def _accept_token(self, token: str, when: Moment) -> bool:
        born = self.tokens.get(token)
        if born is None:
            return bool(token) and self.settings.token is None and self.settings.api_key is None
        life = self.settings.token_life
        return life is None or when.mono - born < life

    def refresh(self, call: Call, when: Moment) -> Answer:
        """`POST /oauth/token`: Gorgias guide, "OAuth2 Bearer Token"; the answer's shape is RFC 6749's."""
        form = parse_qs(call.body.decode("utf-8", "replace"))
        if form.get("grant_type") != ["refresh_token"] or not form.get("refresh_token"):
            return answer({"error": "unsupported_grant_type"}, 400)
        if self.settings.refresh_token not in (None, form["refresh_token"][0]):
            return answer({"error": "invalid_grant"}, 400)
        self.given_out += 1
        token = f"sandbox-access-{self.given_out}"
        self.tokens[token] = when.mono
        life = self.settings.token_life or DAY
        return answer({"access_token": token, "token_type": "Bearer", "expires_in": life})


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
        if "api_key" in changes:
            changes = {**changes, "revoke_after": None, "token": None}
            self.credentials.tokens.clear()
        self.settings = self.credentials.settings = replace(self.settings, **changes)

    def stamped(self, done: Answer, header: str) -> Answer:
        """The answer with the budget's header."""
        self.answers[str(done.status)] += 1
        return replace(done, headers={**done.headers, HEADER: header})
