"""Every knob of the sandbox, as one frozen value. Nothing here decides anything; see `cli` for the flags."""

from collections.abc import Mapping
from dataclasses import dataclass, field
from typing import Any, Literal, get_args

Limiter = Literal["leaky", "window"]
ExternalIds = Literal["keep", "strip", "cut"]

CUT_LENGTH = 24
"""How much of an external_id survives under `external_ids="cut"`."""


class SettingsError(ValueError):
    """A setting that makes no sense; the text says which and why."""


@dataclass(frozen=True, slots=True)
class SandboxSettings:
    """How the helpdesk behaves. The defaults are a well-behaved account with the published limit."""

    port: int = 0
    """0 lets the system choose a free one. The host is always 127.0.0.1."""
    account: str = "sandbox"
    """What `GET /api/account` names as the domain."""

    limit: int = 40
    """Requests per window: Gorgias reference, "Rate limits" (API key: 40 in 20 s, OAuth app: 80 in 20 s)."""
    window: float = 20.0
    """Length of the window in seconds; scale it down to test quickly."""
    limiter: Limiter = "leaky"
    """The reference says leaky bucket; recorded headers look like a window counter. Both are here."""
    fractional_retry_after: bool | None = None
    """Allow `Retry-after: 0.25`. None: only when the window is below 5 s. The real header is an integer."""
    neighbour: float = 0.0
    """Requests per second that another application takes from the same budget."""

    email: str | None = None
    """With `api_key`: the only Basic credentials accepted. None: any non-empty pair."""
    api_key: str | None = field(default=None, repr=False)
    token: str | None = field(default=None, repr=False)
    """The only Bearer token accepted. None: any non-empty one, unless an API key is demanded."""
    token_life: float | None = None
    """Seconds until a Bearer token answers 401 and must be refreshed. None: it lives on."""
    refresh_token: str | None = field(default=None, repr=False)
    """The only refresh token that `POST /oauth/token` takes at first. None: any."""
    oauth: bool = False
    """Only access tokens that it gave out itself are accepted, and no API key but the one demanded."""
    client_id: str | None = None
    """The only app that `/oauth/` knows. None: any."""
    client_secret: str | None = field(default=None, repr=False)
    """That app's secret. None: any."""
    rotate_refresh_tokens: bool = False
    """Each refresh token counts once, and brings the next (RFC 6749, section 6, allows it)."""
    life_untold: bool = False
    """Answer `expires_in: 0`, as Gorgias's sample app shows, instead of the token's life."""
    consent: bool = True
    """Whether the owner agrees when asked at `/oauth/authorize`."""
    revoke_after: int | None = None
    """After that many accepted writes every request answers 401."""
    quota: int | None = None
    """After that many creates every further create answers 403 "Messaging quota exceeded"."""

    upload_limit: int | None = None
    """Bytes of the largest file that is taken; a larger one answers 413. None: any is. The real limit is unknown."""

    list_lag: float = 0.0
    """Seconds before something new shows in any listing, or inside its ticket."""
    commit_lag: float = 0.0
    """Seconds by which a write is applied late when a fault loses its answer."""
    success_status: int = 201
    """Status of a create: 201 is documented, 200 was recorded."""
    send_delay: float = 0.0
    """Seconds until a message handed to delivery gets its `sent_datetime` (or its failure)."""
    latency: tuple[float, float] = (0.0, 0.0)
    """Shortest and longest time for an answer; half of it passes before the request is applied."""

    strict_integrations: bool = False
    """Answer 400 when `source.from` is no mailbox. Default: created, then failed."""
    external_ids: ExternalIds = "keep"
    """What becomes of a message's external_id: kept, answered as null, or cut short."""
    reopen: bool = False
    """An incoming message opens its closed ticket. Unknown in the docs for API messages; off by default."""

    auto_tickets: bool = True
    """Any positive ticket or customer id exists, so that any batch runs. False: 404 or 400."""
    named_tickets: bool = False
    """Any external id belongs to a ticket outside the trash, once somebody looks for that ticket there. False: only
    those of tickets that were created."""
    tickets: tuple[int, ...] = ()
    """Tickets that exist from the start."""
    merged: Mapping[int, int] = field(default_factory=dict)
    """Merged tickets: id to surviving id. Each request for the first answers 301."""
    deleted: frozenset[int] = frozenset()
    """Tickets that answer 404."""

    agents: tuple[str, ...] | None = None
    """Addresses of the users. None: who sends an outgoing message or note is a user, unless a customer."""
    customers: tuple[str, ...] = ()
    """Addresses of customers known from the start."""
    mailboxes: tuple[str, ...] | None = None
    """Addresses of the e-mail integrations. None: any address is one, so that none is listed."""
    rules: Mapping[str, str] = field(default_factory=dict)
    """Automation rules listed as active: name to event types, such as `ticket-message-created`."""
    account_settings: Mapping[str, Any] = field(default_factory=dict)
    """More or other account settings: type to data, such as `auto-merge`."""
    switched_off: tuple[str, ...] = ()
    """Names of rules and addresses of mailboxes that are listed as deactivated."""
    locked: tuple[str, ...] = ()
    """Addresses of mailboxes that are listed as locked."""
    teams: tuple[str, ...] = ()
    """Names of the teams."""
    tags: tuple[str, ...] = ()
    """Names of tags that are there from the start."""
    role: str = "agent"
    """The role of whoever is authenticated: `admin agent basic-agent lite-agent observer-agent`."""
    status: str = "active"
    """The account's status. `deactivated` also dates its deactivation."""
    closed: tuple[str, ...] = ()
    """Lists that answer 403, as a credential without their scope meets: `rules`, `users`, `integrations` and so on."""

    seed: int = 0
    """Seeds latency and faults: same seed, same requests, same behaviour."""
    faults: str = ""
    """Planned misbehaviour; see `faults`."""

    def __post_init__(self) -> None:
        for name, broken, why in _complaints(self):
            if broken:
                raise SettingsError(f"{name}: {why}, not {getattr(self, name)!r}")

    @property
    def fractional(self) -> bool:
        """Whether Retry-after may carry a fraction."""
        return self.window < 5 if self.fractional_retry_after is None else self.fractional_retry_after


def _complaints(s: SandboxSettings) -> list[tuple[str, bool, str]]:
    low, high = s.latency
    not_negative = ("neighbour", "list_lag", "commit_lag", "send_delay")
    return [
        ("port", not 0 <= s.port <= 65535, "must be 0 to 65535"),
        ("limit", s.limit < 1, "must be at least 1"),
        ("window", not s.window > 0, "must be more than 0"),
        ("limiter", s.limiter not in get_args(Limiter), "must be leaky or window"),
        ("external_ids", s.external_ids not in get_args(ExternalIds), "must be keep, strip or cut"),
        ("upload_limit", s.upload_limit is not None and s.upload_limit < 0, "must not be negative"),
        ("success_status", not 200 <= s.success_status <= 299, "must be 200 to 299"),
        ("latency", not 0 <= low <= high, "must be two rising times"),
        ("email", (s.email is None) != (s.api_key is None), "goes together with api_key"),
        ("token_life", s.token_life is not None and not s.token_life > 0, "must be more than 0"),
        *((name, getattr(s, name) < 0, "must not be negative") for name in not_negative),
    ]
