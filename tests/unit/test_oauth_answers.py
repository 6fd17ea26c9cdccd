"""The token endpoint's answers: what gives tokens, what is final, what may be asked again, and what is never told."""

from __future__ import annotations

from typing import Any
from urllib.parse import parse_qs, urlsplit

import pytest

from bulkmsg.gorgias import oauth
from bulkmsg.gorgias.oauth import Granted, NotGranted, read_tokens
from bulkmsg.ports import Contact, Reply


def reply(status: int, body: Any = None) -> Reply:
    return Reply(Contact.ANSWERED, status, body, body is not None)


def test_an_answer_with_a_new_refresh_token_brings_both() -> None:
    body = {"access_token": "a", "refresh_token": "r", "expires_in": 86400, "token_type": "Bearer", "id_token": "x"}
    assert read_tokens(reply(200, body)) == Granted("a", "r", 86400.0)


def test_an_answer_without_one_leaves_the_old_one_in_use() -> None:
    assert read_tokens(reply(200, {"access_token": "a", "expires_in": 60})) == Granted("a", "", 60.0)


@pytest.mark.parametrize("told", [0, -5, None, "3600", True, 1e12, float("nan"), float("inf")])
def test_a_life_that_says_nothing_of_use_is_the_documented_day(told: object) -> None:
    granted = read_tokens(reply(200, {"access_token": "a", "expires_in": told}))
    assert isinstance(granted, Granted)
    assert granted.life == 86_400.0


@pytest.mark.parametrize("token", [None, "", 5, "with blank", "line\nbreak", "ünsendable", "x" * 20_000])
def test_a_success_without_a_token_that_can_be_sent_is_no_success_and_no_refusal(token: object) -> None:
    told = read_tokens(reply(200, {"access_token": token}))
    assert isinstance(told, NotGranted)
    assert not told.final


@pytest.mark.parametrize(
    ("answer", "final"),
    [
        (reply(400, {"error": "invalid_grant"}), True),
        (reply(401, {"error": "invalid_client"}), True),
        (reply(403), True),
        (reply(404), True),
        (reply(302), True),
        (reply(408), False),
        (reply(429), False),
        (reply(500), False),
        (reply(503, {"error": "temporarily_unavailable"}), False),
        (reply(200), False),
        (Reply(Contact.LOST, reason="no answer in time"), False),
        (Reply(Contact.NEVER_LEFT, reason="the connection was refused"), False),
    ],
)
def test_a_refusal_is_final_and_trouble_is_not(answer: Reply, final: bool) -> None:
    told = read_tokens(answer)
    assert isinstance(told, NotGranted)
    assert told.final is final
    assert told.reason


def test_nothing_but_known_words_of_an_error_is_repeated() -> None:
    body = {"error": "secret-1", "error_description": "refresh_token secret-2 is unknown", "error_uri": "secret-3"}
    told = read_tokens(reply(400, body))
    assert isinstance(told, NotGranted)
    assert told.reason == "the request for a token was refused (HTTP 400)"


def test_the_page_to_open_holds_the_state_and_no_secret() -> None:
    url = oauth.authorize_url("https://acme.gorgias.com", "app", "http://127.0.0.1:8976/", "st&te", oauth.SCOPES)
    parts = urlsplit(url)
    assert f"{parts.scheme}://{parts.netloc}{parts.path}" == "https://acme.gorgias.com/oauth/authorize"
    asked = {name: values[0] for name, values in parse_qs(parts.query).items()}
    assert asked == {
        "response_type": "code",
        "client_id": "app",
        "redirect_uri": "http://127.0.0.1:8976/",
        "scope": oauth.SCOPES,
        "state": "st&te",
    }
    assert asked["scope"].split()[0] == "offline"


def test_tokens_are_not_shown() -> None:
    assert "secret" not in repr(Granted("secret-a", "secret-r", 1.0))
