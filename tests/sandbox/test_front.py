"""The front desk: credentials, tokens, revocation, quota and counting, on fake time."""

import base64
from datetime import timedelta
from typing import Any

import pytest

from bulkmsg.sandbox.api import Api
from bulkmsg.sandbox.clock import Moment
from bulkmsg.sandbox.front import Front
from bulkmsg.sandbox.model import Helpdesk
from bulkmsg.sandbox.oauth import Credentials
from bulkmsg.sandbox.settings import SandboxSettings, SettingsError
from bulkmsg.sandbox.wire import Call

from .kit import KEY, NOON
from .test_oauth import refreshed


def at(seconds: float = 0.0) -> Moment:
    return Moment(seconds, NOON + timedelta(seconds=seconds))


def front(**settings: Any) -> Front:
    chosen = SandboxSettings(**settings)
    return Front(chosen, Api(Helpdesk(chosen, at())), at())


def basic(text: str) -> str:
    return "Basic " + base64.b64encode(text.encode()).decode()


@pytest.mark.parametrize("good", [KEY, "Bearer anything", basic("a@b.c:k:with:colons")])
def test_by_default_any_credentials_that_are_not_empty_count(good: str) -> None:
    assert Credentials(SandboxSettings(), at()).accept(good, at())


@pytest.mark.parametrize(
    "bad", ["", "Bearer ", "Basic", "Basic !!!", basic(":key"), basic("a@b.c:"), basic("ab"), "Digest x"]
)
def test_empty_or_broken_credentials_never_count(bad: str) -> None:
    assert not Credentials(SandboxSettings(), at()).accept(bad, at())


def test_a_demanded_key_or_token_excludes_all_others() -> None:
    key = Credentials(SandboxSettings(email="a@b.c", api_key="right"), at())
    token = Credentials(SandboxSettings(token="right"), at())
    assert [key.accept(each, at()) for each in (basic("A@b.c:right"), basic("a@b.c:wrong"), "Bearer right")] == [
        True,
        False,
        False,
    ]
    assert [token.accept(each, at()) for each in ("Bearer right", "Bearer wrong", KEY)] == [True, False, False]


def test_a_token_dies_of_age_and_a_refreshed_one_lives() -> None:
    credentials = Credentials(SandboxSettings(token="old", token_life=10, refresh_token="r"), at())
    assert credentials.accept("Bearer old", at(9.9))
    assert not credentials.accept("Bearer old", at(10))
    assert refreshed(credentials, "x", at(10)) == (400, {"error": "invalid_grant"})
    status, told = refreshed(credentials, "r", at(10))
    assert (status, told["token_type"], told["expires_in"]) == (200, "Bearer", 10)
    assert credentials.accept(f"Bearer {told['access_token']}", at(19))
    assert not credentials.accept(f"Bearer {told['access_token']}", at(20))


def test_settings_do_not_show_their_secrets() -> None:
    shown = repr(SandboxSettings(email="a@b.c", api_key="hush", token="hush", refresh_token="hush"))
    assert "hush" not in shown


def test_a_throttled_call_is_turned_away_first_and_counted() -> None:
    desk = front(limit=1, window=20.0)
    call = Call("POST", "/api/tickets/5/messages", authorization=KEY)
    assert desk.admit(call, at()).answer is None
    second = desk.admit(call, at(0.1))
    assert second.answer is not None
    assert (second.answer.status, second.answer.headers["Retry-after"], second.header) == (429, "20", "1/1")
    assert desk.throttled == 1
    assert desk.requests == {"POST /api/tickets/{id}/messages": 2}


def test_refused_credentials_cost_budget_too() -> None:
    desk = front(limit=2)
    assert [desk.admit(Call("GET", "/api/account"), at()).header for _ in range(2)] == ["1/2", "2/2"]


@pytest.mark.parametrize(
    ("settings", "said"),
    [
        ({"limit": 0}, "limit: must be at least 1"),
        ({"window": 0}, "window: must be more than 0"),
        ({"window": float("nan")}, "window: must be more than 0"),
        ({"port": 70000}, "port"),
        ({"list_lag": -1}, "list_lag: must not be negative"),
        ({"latency": (2.0, 1.0)}, "latency"),
        ({"limiter": "token"}, "limiter: must be leaky or window"),
        ({"external_ids": "lose"}, "external_ids"),
        ({"email": "a@b.c"}, "email: goes together with api_key"),
        ({"success_status": 302}, "success_status"),
        ({"token_life": 0}, "token_life: must be more than 0"),
    ],
)
def test_settings_that_make_no_sense_are_refused_by_name(settings: dict[str, Any], said: str) -> None:
    with pytest.raises(SettingsError, match=said):
        SandboxSettings(**settings)


def test_a_new_key_ends_a_revocation_and_every_other_credential() -> None:
    desk = front(email="a@b.c", api_key="old", token="token", revoke_after=0)
    assert desk.admit(Call("GET", "/api/account", authorization=basic("a@b.c:old")), at()).answer is not None
    desk.renew({"email": "a@b.c", "api_key": "new"})
    told = [
        desk.admit(Call("GET", "/api/account", authorization=each), at()).answer
        for each in (basic("a@b.c:new"), basic("a@b.c:old"), "Bearer token")
    ]
    assert told[0] is None
    assert [each.status for each in told[1:] if each is not None] == [401, 401]
