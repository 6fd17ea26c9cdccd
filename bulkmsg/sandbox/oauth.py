"""The sandbox's OAuth: `/oauth/authorize`, `/oauth/token`, and which credentials count. Pure.

Both addresses and HTTP Basic for the app stand in Gorgias's guides ("OAuth2 Bearer Token") and in its sample app
(github.com/gorgias/appstore-demo-app); parameters, answers and error codes are RFC 6749's, sections 4.1, 5 and 6.
"""

import hmac
import secrets
from collections.abc import Callable
from dataclasses import dataclass
from urllib.parse import parse_qs, urlencode, urlsplit

from bulkmsg.sandbox.clock import Moment
from bulkmsg.sandbox.settings import SandboxSettings
from bulkmsg.sandbox.wire import Answer, Call, Json, answer, basic, not_allowed

DAY = 86_400
CODE_SECONDS = 60.0
SEALED = {"Cache-Control": "no-store"}
_LOOPBACK = frozenset({"127.0.0.1", "localhost", "::1"})


@dataclass(frozen=True, slots=True)
class Code:
    """An authorization code: for which app and address it was made, and when."""

    client: str
    redirect: str
    born: float


class Credentials:
    """Which credentials count, and the tokens that were given out since."""

    def __init__(self, settings: SandboxSettings, start: Moment) -> None:
        self.settings = settings
        self.tokens: dict[str, float] = {settings.token: start.mono} if settings.token else {}
        self.refresh: set[str] = {settings.refresh_token} if settings.refresh_token else set()
        self.any_refresh = settings.refresh_token is None
        self.spent: set[str] = set()
        self.codes: dict[str, Code] = {}
        self.given_out = self.refused = 0

    # -- requests of the API ------------------------------------------------------------------------------

    def accept(self, authorization: str, when: Moment) -> bool:
        pair = basic(authorization)
        if pair:
            return self._accept_pair(pair)
        scheme, _, token = authorization.partition(" ")
        return scheme.lower() == "bearer" and self._accept_token(token.strip(), when)

    def _accept_pair(self, pair: tuple[str, str]) -> bool:
        s = self.settings
        if s.email is None or s.api_key is None:
            return s.token is None and not s.oauth
        return pair[0].lower() == s.email.lower() and hmac.compare_digest(pair[1].encode(), s.api_key.encode())

    def _accept_token(self, token: str, when: Moment) -> bool:
        born = self.tokens.get(token)
        if born is None:
            s = self.settings
            return bool(token) and s.token is None and s.api_key is None and not s.oauth
        life = self.settings.token_life
        return life is None or when.mono - born < life

    # -- the doors ----------------------------------------------------------------------------------------

    def answer(self, call: Call, when: Moment) -> Answer | None:
        """The answer of a door below `/oauth/`; None where there is none."""
        method, door = _DOORS.get(call.path, ("", None))
        if door is None:
            return None
        return door(self, call, when) if call.method == method else not_allowed()

    def authorize(self, call: Call, when: Moment) -> Answer:
        """`GET /oauth/authorize`: the owner of the account is taken to agree at once, unless told otherwise.

        A sandbox sends nobody away from this machine: the address to come back to is a loopback one.
        """
        asked = {name: values[-1] for name, values in call.query.items()}
        back = asked.get("redirect_uri", "")
        if urlsplit(back).hostname not in _LOOPBACK or not self._is_client(asked.get("client_id", "")):
            return answer({"error": "invalid_request"}, 400)
        told = {"state": asked["state"]} if asked.get("state") else {}
        if asked.get("response_type") != "code":
            return _back(back, {"error": "unsupported_response_type", **told})
        if not self.settings.consent:
            return _back(back, {"error": "access_denied", **told})
        code = f"sandbox-code-{secrets.token_hex(8)}"
        self.codes[code] = Code(asked["client_id"], back, when.mono)
        return _back(back, {"code": code, **told})

    def token(self, call: Call, when: Moment) -> Answer:
        """`POST /oauth/token`."""
        app = basic(call.authorization)
        if app is None or not self._is_client(*app):
            return self._refuse("invalid_client", 401)
        form = {name: values[-1] for name, values in parse_qs(call.body.decode("utf-8", "replace")).items()}
        match form.get("grant_type"):
            case "refresh_token":
                return self._refreshed(form.get("refresh_token", ""), when)
            case "authorization_code":
                return self._exchanged(app[0], form, when)
        return self._refuse("unsupported_grant_type")

    def _is_client(self, client: str, secret: str | None = None) -> bool:
        s = self.settings
        known = s.client_id in (None, client) and bool(client)
        return known and (secret is None or s.client_secret is None or hmac.compare_digest(secret, s.client_secret))

    def _refreshed(self, given: str, when: Moment) -> Answer:
        known = given in self.refresh or (self.any_refresh and bool(given) and given not in self.spent)
        if not known:
            return self._refuse("invalid_grant")
        if not self.settings.rotate_refresh_tokens:
            return self._give(when)
        self.refresh.discard(given)
        self.spent.add(given)
        return self._give(when, self._new_refresh())

    def _exchanged(self, client: str, form: dict[str, str], when: Moment) -> Answer:
        code = self.codes.pop(form.get("code", ""), None)
        fits = code is not None and (code.client, code.redirect) == (client, form.get("redirect_uri"))
        if code is None or not fits or when.mono - code.born > CODE_SECONDS:
            return self._refuse("invalid_grant")
        return self._give(when, self._new_refresh())

    def _new_refresh(self) -> str:
        made = f"sandbox-refresh-{secrets.token_hex(8)}"
        self.refresh.add(made)
        return made

    def _give(self, when: Moment, refresh: str | None = None) -> Answer:
        self.given_out += 1
        token = f"sandbox-access-{self.given_out}-{secrets.token_hex(8)}"
        self.tokens[token] = when.mono
        life = 0 if self.settings.life_untold else self.settings.token_life or DAY
        told: Json = {"access_token": token, "token_type": "Bearer", "expires_in": life}
        return _sealed(answer({**told, "refresh_token": refresh} if refresh else told))

    def _refuse(self, error: str, status: int = 400) -> Answer:
        self.refused += 1
        return _sealed(answer({"error": error}, status))

    # -- what the account's owner does --------------------------------------------------------------------

    def renew(self, refresh_token: str | None) -> None:
        """From now on this refresh token counts alone, or none; all access tokens end."""
        self.tokens.clear()
        self.any_refresh = False
        self.refresh = {refresh_token} if refresh_token else set()


def _back(address: str, told: dict[str, str]) -> Answer:
    joint = "&" if urlsplit(address).query else "?"
    return Answer(302, headers={"Location": f"{address}{joint}{urlencode(told)}"})


def _sealed(done: Answer) -> Answer:
    """RFC 6749, section 5.1: nothing on the way may keep it."""
    return Answer(done.status, done.body, done.content_type, SEALED)


_DOORS: dict[str, tuple[str, Callable[[Credentials, Call, Moment], Answer]]] = {
    "/oauth/authorize": ("GET", Credentials.authorize),
    "/oauth/token": ("POST", Credentials.token),
}
