"""The sandbox's OAuth on fake time: RFC 6749's two grants, tokens that end, refresh tokens that count once."""

import base64
import json
from datetime import timedelta
from typing import Any
from urllib.parse import parse_qs, urlencode, urlsplit

import pytest

from bulkmsg.sandbox.clock import Moment
from bulkmsg.sandbox.oauth import Credentials
from bulkmsg.sandbox.settings import SandboxSettings
from bulkmsg.sandbox.wire import Call

from .kit import NOON

APP = "Basic " + base64.b64encode(b"app:secret").decode()
BACK = "http://127.0.0.1:5000/"
ASKED = {"response_type": "code", "client_id": "app", "redirect_uri": BACK, "state": "s", "scope": "offline"}


def at(seconds: float = 0.0) -> Moment:
    return Moment(seconds, NOON + timedelta(seconds=seconds))


def made(**settings: Any) -> Credentials:
    return Credentials(SandboxSettings(oauth=True, client_id="app", client_secret="secret", **settings), at())


def asked_for_token(credentials: Credentials, form: dict[str, str], when: Moment, app: str = APP) -> tuple[int, Any]:
    call = Call("POST", "/oauth/token", body=urlencode(form).encode(), authorization=app)
    done = credentials.answer(call, when)
    assert done is not None
    assert done.headers["Cache-Control"] == "no-store"
    return done.status, json.loads(done.body)


def refreshed(credentials: Credentials, token: str, when: Moment, app: str = APP) -> tuple[int, Any]:
    return asked_for_token(credentials, {"grant_type": "refresh_token", "refresh_token": token}, when, app)


def sent_back(credentials: Credentials, when: Moment, **changes: str) -> dict[str, str]:
    """What the browser brings back from the page at which the owner is asked."""
    query = {name: [value] for name, value in {**ASKED, **changes}.items()}
    done = credentials.answer(Call("GET", "/oauth/authorize", query), when)
    assert done is not None
    assert done.status == 302
    where = urlsplit(done.headers["Location"])
    assert f"{where.scheme}://{where.netloc}{where.path}" == changes.get("redirect_uri", BACK).partition("?")[0]
    return {name: values[0] for name, values in parse_qs(where.query).items()}


def exchanged(credentials: Credentials, code: str, when: Moment, redirect: str = BACK) -> tuple[int, Any]:
    form = {"grant_type": "authorization_code", "code": code, "redirect_uri": redirect}
    return asked_for_token(credentials, form, when)


def test_a_code_is_exchanged_once_for_tokens_that_are_let_in() -> None:
    desk = made()
    told = sent_back(desk, at())
    assert told["state"] == "s"
    status, tokens = exchanged(desk, told["code"], at(1))
    assert (status, tokens["expires_in"]) == (200, 86_400)
    assert desk.accept(f"Bearer {tokens['access_token']}", at(2))
    assert exchanged(desk, told["code"], at(3)) == (400, {"error": "invalid_grant"})
    assert refreshed(desk, tokens["refresh_token"], at(4))[0] == 200


@pytest.mark.parametrize(
    ("redirect", "late"), [("http://127.0.0.1:5001/", 1.0), (BACK, 61.0)], ids=["another address", "too late"]
)
def test_a_code_counts_for_its_own_address_and_for_a_minute(redirect: str, late: float) -> None:
    desk = made()
    assert exchanged(desk, sent_back(desk, at())["code"], at(late), redirect) == (400, {"error": "invalid_grant"})


def test_an_owner_who_does_not_agree_sends_back_an_error() -> None:
    assert sent_back(made(consent=False), at()) == {"error": "access_denied", "state": "s"}
    assert sent_back(made(), at(), response_type="token") == {"error": "unsupported_response_type", "state": "s"}


@pytest.mark.parametrize("changes", [{"redirect_uri": "https://elsewhere.example/"}, {"client_id": "other"}])
def test_nobody_is_sent_to_another_machine_or_for_an_unknown_app(changes: dict[str, str]) -> None:
    query = {name: [value] for name, value in {**ASKED, **changes}.items()}
    done = made().answer(Call("GET", "/oauth/authorize", query), at())
    assert done is not None
    assert (done.status, "Location" in done.headers) == (400, False)


def test_with_rotation_each_refresh_token_counts_once() -> None:
    desk = made(refresh_token="first", rotate_refresh_tokens=True)
    status, told = refreshed(desk, "first", at())
    assert status == 200
    assert refreshed(desk, "first", at(1)) == (400, {"error": "invalid_grant"})
    assert refreshed(desk, told["refresh_token"], at(2))[0] == 200


def test_without_rotation_the_refresh_token_stays() -> None:
    desk = made(refresh_token="first")
    assert [refreshed(desk, "first", at(second))[0] for second in (0, 1)] == [200, 200]
    assert "refresh_token" not in refreshed(desk, "first", at(2))[1]


@pytest.mark.parametrize("app", ["", "Bearer x", "Basic " + base64.b64encode(b"app:wrong").decode()])
def test_an_app_that_is_not_known_gets_no_token(app: str) -> None:
    assert refreshed(made(), "any", at(), app) == (401, {"error": "invalid_client"})


def test_only_tokens_that_were_given_out_are_let_in() -> None:
    desk = made(token_life=5)
    assert not desk.accept("Bearer made-up", at())
    assert not desk.accept("Basic " + base64.b64encode(b"a@b.c:key").decode(), at())
    token = refreshed(desk, "any", at())[1]["access_token"]
    assert [desk.accept(f"Bearer {token}", at(second)) for second in (4.9, 5.0)] == [True, False]


def test_an_untold_life_is_answered_as_zero_and_kept_all_the_same() -> None:
    desk = made(token_life=5, life_untold=True)
    told = refreshed(desk, "any", at())[1]
    assert told["expires_in"] == 0
    assert not desk.accept(f"Bearer {told['access_token']}", at(5))


def test_a_revocation_ends_all_tokens_but_the_new_one() -> None:
    desk = made()
    token = refreshed(desk, "any", at())[1]["access_token"]
    desk.renew("new")
    assert not desk.accept(f"Bearer {token}", at(1))
    assert [refreshed(desk, each, at(2))[0] for each in ("any", "new")] == [400, 200]
    desk.renew(None)
    assert refreshed(desk, "new", at(3))[0] == 400


def test_other_doors_and_methods_are_not_there() -> None:
    desk = made()
    assert desk.answer(Call("GET", "/oauth/nowhere"), at()) is None
    done = desk.answer(Call("GET", "/oauth/token"), at())
    assert done is not None
    assert done.status == 405
