"""`bulkmsg auth`, with the real command: what credentials are worth, signing in, the keyring, and typed keys."""

from __future__ import annotations

import json
import os
import pty
import select
import socket
import subprocess
import threading
import urllib.error
import urllib.request
from collections.abc import Iterator
from contextlib import contextmanager
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from pathlib import Path
from typing import Any
from urllib.parse import parse_qs, urlsplit

import pytest

from bulkmsg import schema
from bulkmsg.tokens import TokenFile, Tokens
from tests.acceptance.batches import OPTIONS, QUICK, history_batch, landed_once
from tests.acceptance.servers import ACCOUNT, asked, bulkmsg, environment, run, sandbox

APP = {
    "GORGIAS_EMAIL": "",
    "GORGIAS_API_KEY": "",
    "GORGIAS_CLIENT_ID": "app-of-acme",
    "GORGIAS_CLIENT_SECRET": "app-secret-0123456789",
}
DOOR = ("--oauth", "--client-id", APP["GORGIAS_CLIENT_ID"], "--client-secret", APP["GORGIAS_CLIENT_SECRET"])
KEYED = ("--email", ACCOUNT["GORGIAS_EMAIL"], "--api-key", ACCOUNT["GORGIAS_API_KEY"])


# -- check ---------------------------------------------------------------------------------------------------------


def test_check_tells_who_we_are_with_which_rights_and_where_each_part_was_read(tmp_path: Path) -> None:
    key = tmp_path / "key"
    key.write_text(ACCOUNT["GORGIAS_API_KEY"])
    key.chmod(0o600)
    with sandbox(*QUICK, *KEYED, "--account", "acme") as url:
        done = run(url, "auth", "check", GORGIAS_API_KEY="", GORGIAS_API_KEY_FILE=str(key))
        told = json.loads(run(url, "auth", "check", "--format", "json").stdout)
    assert done.returncode == 0, done.stderr
    for part in (
        "acme, active",
        "anna@acme.example",
        "role agent",
        "customers, users, integrations and rules",
        "400 requests",
    ):
        assert part in done.stdout
    assert "an API key" in done.stdout
    assert f"GORGIAS_API_KEY from the file {key}" in done.stdout
    assert "GORGIAS_EMAIL from the environment" in done.stdout
    assert done.stderr.splitlines()[-1] == "next: bulkmsg run BATCH"
    assert schema.checker("report#auth").violations(told) == []
    assert told["accepted"]
    assert set(told["reads"].values()) == {True}
    assert (told["credentials"]["kind"], told["credentials"]["expires"]) == ("api key", None)


def test_credentials_that_are_refused_end_with_4_and_a_command_to_type() -> None:
    with sandbox(*QUICK, *KEYED) as url:
        done = run(url, "auth", "check", "--account", "acme", "--format", "json", GORGIAS_API_KEY="wrong-key-98765")
    told = json.loads(done.stdout)
    assert done.returncode == told["exit_code"] == 4
    assert not told["accepted"]
    assert schema.checker("report#auth").violations(told) == []
    assert "does not accept the credentials (HTTP 401: Unauthorized.)" in done.stderr
    assert done.stderr.splitlines()[-1] == "next: bulkmsg auth check --account acme"


def test_no_credentials_and_no_helpdesk_are_told_apart(tmp_path: Path) -> None:
    assert run("http://127.0.0.1:9", "auth", "check", GORGIAS_API_KEY="").returncode == 4
    done = run("http://127.0.0.1:9", "auth", "check", "--timeout", "1s")
    assert done.returncode == 5
    assert "the helpdesk cannot be reached: the connection was refused" in done.stderr


def test_a_server_that_knows_no_account_accepts_nobody() -> None:
    with page_of_nothing() as url:
        done = run(url, "auth", "check", "--format", "json")
    told = json.loads(done.stdout)
    assert done.returncode == told["exit_code"] == 5
    assert not told["accepted"]
    assert "the helpdesk cannot be asked: it answered 404" in done.stderr


@contextmanager
def page_of_nothing() -> Iterator[str]:
    """A server that is no helpdesk: it answers everything with a page."""

    class Nothing(BaseHTTPRequestHandler):
        def do_GET(self) -> None:
            self.send_error(404)

        def log_message(self, *args: object) -> None:
            pass

    server = ThreadingHTTPServer(("127.0.0.1", 0), Nothing)
    thread = threading.Thread(target=server.serve_forever, daemon=True)
    thread.start()
    try:
        yield f"http://127.0.0.1:{server.server_address[1]}"
    finally:
        server.shutdown()
        server.server_close()
        thread.join()


def test_an_access_token_and_an_app_are_told_as_what_they_are(tmp_path: Path) -> None:
    state = {"XDG_STATE_HOME": str(tmp_path)}
    with sandbox(*QUICK, *DOOR, "--token-life", "3600") as url:
        done = run(url, "auth", "check", **APP, **state, GORGIAS_REFRESH_TOKEN="refresh-0123456789")
        kept = json.loads(next(tmp_path.glob("bulkmsg/*/given.json")).read_text())
        bare = {**APP, "GORGIAS_CLIENT_ID": "", "GORGIAS_CLIENT_SECRET": ""}
        token = run(url, "auth", "check", **bare, GORGIAS_ACCESS_TOKEN=kept["access_token"])
    assert done.returncode == 0, done.stderr
    assert "access tokens are renewed; the token in use lasts until" in done.stdout
    assert "1 h 00 min left" in done.stdout or "59 min" in done.stdout
    assert "GORGIAS_REFRESH_TOKEN from the environment" in done.stdout
    assert token.returncode == 0, token.stderr
    assert "an access token: lasts about a day" in token.stdout
    assert kept["access_token"] not in done.stdout + done.stderr


# -- login ---------------------------------------------------------------------------------------------------------


@contextmanager
def signing_in(url: str, state: Path, *flags: str) -> Iterator[tuple[subprocess.Popen[str], str]]:
    """A sign-in that waits for the browser, and the page that it says to open."""
    env = environment(url, **APP, XDG_STATE_HOME=str(state))
    words = bulkmsg("auth", "login", "--port", "0", *flags)
    process = subprocess.Popen(
        words, env=env, stdout=subprocess.PIPE, stderr=subprocess.PIPE, stdin=subprocess.DEVNULL, text=True
    )
    try:
        assert process.stderr is not None
        assert "open this page" in process.stderr.readline()
        yield process, process.stderr.readline().strip()
    finally:
        process.kill()
        process.communicate()


def opened(page: str) -> str:
    """What the browser shows in the end."""
    try:
        with urllib.request.urlopen(page, timeout=10) as answer:
            return str(answer.read().decode())
    except urllib.error.HTTPError as error:
        return str(error.read().decode())


def ended(process: subprocess.Popen[str]) -> tuple[int, str, str]:
    out, err = process.communicate(timeout=20)
    return process.returncode, out, err


def back(page: str, **changes: str) -> str:
    """The address to which a page leads back, with an answer that somebody made up."""
    asked = {name: values[0] for name, values in parse_qs(urlsplit(page).query).items()}
    told = {"code": "made-up", "state": asked["state"], **changes}
    return asked["redirect_uri"] + "?" + "&".join(f"{name}={value}" for name, value in told.items())


def test_a_sign_in_keeps_tokens_that_the_next_run_uses(tmp_path: Path) -> None:
    state, batch = tmp_path / "state", history_batch(tmp_path, messages=6)
    with sandbox(*QUICK, *DOOR, "--rotate-refresh-tokens", "--token-life", "0.5") as url:
        with signing_in(url, state) as (process, page):
            assert "Thank you" in opened(page)
            code, out, err = ended(process)
        assert code == 0, err
        assert "signed in to acme" in out
        assert err.splitlines()[-1] == "next: bulkmsg auth check --account acme"
        [kept] = state.glob("bulkmsg/*/login.json")
        assert kept.stat().st_mode & 0o777 == 0o600
        tokens = json.loads(kept.read_text())
        assert not [part for part in (out, err) if tokens["refresh_token"] in part or tokens["access_token"] in part]
        done = run(url, "run", batch, *OPTIONS, **APP, XDG_STATE_HOME=str(state))
        assert done.returncode == 0, done.stderr
        assert landed_once(url, 6)
        assert asked(url, "/_sandbox/state")["tokens"]["refused"] == 0


def test_a_plan_reckons_with_the_limit_of_a_kept_sign_in(tmp_path: Path) -> None:
    batch = history_batch(tmp_path, messages=6)
    login = tmp_path / "bulkmsg" / "acme" / "login.json"
    TokenFile(login).keep(Tokens("refresh-0123456789"))
    for words in (("plan", batch), ("run", batch, "--dry-run")):
        by_app = run(None, *words, "--format", "json", **APP, XDG_STATE_HOME=str(tmp_path))
        elsewhere = run(None, *words, "--format", "json", "--account", "other", **APP, XDG_STATE_HOME=str(tmp_path))
        assert json.loads(by_app.stdout)["rate"] == "80/20s", by_app.stderr
        assert json.loads(elsewhere.stdout)["rate"] == "40/20s"


def test_an_answer_with_another_state_ends_the_sign_in_and_keeps_nothing(tmp_path: Path) -> None:
    with sandbox(*QUICK, *DOOR) as url, signing_in(url, tmp_path) as (process, page):
        assert "another sign-in" in opened(back(page, state="somebody-elses"))
        code, _, err = ended(process)
        assert code == 4
        assert "its state is wrong" in err
        assert err.splitlines()[-1] == "next: bulkmsg auth login"
        assert not list(tmp_path.glob("bulkmsg/*/login.json"))


def test_an_owner_who_does_not_agree_and_a_code_that_does_not_count_are_told(tmp_path: Path) -> None:
    with sandbox(*QUICK, *DOOR, "--no-consent") as url:
        with signing_in(url, tmp_path) as (process, page):
            assert "without tokens" in opened(page)
            code, _, err = ended(process)
        assert code == 4
        assert "whoever was asked did not agree" in err
        with signing_in(url, tmp_path) as (process, page):
            opened(back(page))
            code, _, err = ended(process)
        assert code == 4
        assert "no tokens were given out: the code from the browser is not accepted any more (HTTP 400)" in err
        assert not list(tmp_path.glob("bulkmsg/*/login.json"))


def test_other_requests_leave_the_sign_in_waiting_and_nobody_at_all_ends_it(tmp_path: Path) -> None:
    with sandbox(*QUICK, *DOOR) as url, signing_in(url, tmp_path, "--wait", "3s") as (process, page):
        address = urlsplit(parse_qs(urlsplit(page).query)["redirect_uri"][0])
        assert "nothing here" in opened(f"http://{address.netloc}/favicon.ico")
        assert "nothing here" in opened(f"http://{address.netloc}/")
        with socket.create_connection((address.hostname or "", address.port or 0)) as silent:
            silent.sendall(b"\x00\xff no HTTP\r\n\r\n")
        code, _, err = ended(process)
        assert code == 4
        assert "nobody came back from the browser within 3 s" in err


def test_a_port_that_is_taken_is_told() -> None:
    with socket.create_server(("127.0.0.1", 0)) as taken:
        done = run("http://127.0.0.1:9", "auth", "login", "--port", str(taken.getsockname()[1]), **APP)
    assert done.returncode == 2
    assert "cannot be had" in done.stderr


def test_a_sign_in_needs_the_app(tmp_path: Path) -> None:
    done = run("http://127.0.0.1:9", "auth", "login", GORGIAS_CLIENT_ID="x")
    assert done.returncode == 4
    assert "GORGIAS_CLIENT_SECRET is not set" in done.stderr


# -- keys that are typed, and the keyring --------------------------------------------------------------------------

BACKEND = """\
import json, os
from keyring.backend import KeyringBackend
class Kept(KeyringBackend):
    priority = 1
    name = "a keyring for tests"
    def _all(self):
        try:
            return json.load(open(os.environ["KEPT"]))
        except FileNotFoundError:
            return {}
    def get_password(self, service, username):
        if os.environ.get("LOCKED"):
            from keyring.errors import KeyringLocked
            raise KeyringLocked("secret-of-the-keyring")
        return self._all().get(f"{service}/{username}")
    def set_password(self, service, username, password):
        json.dump({**self._all(), f"{service}/{username}": password}, open(os.environ["KEPT"], "w"))
    def delete_password(self, service, username):
        raise NotImplementedError
"""


@pytest.fixture
def keyring(tmp_path: Path) -> dict[str, str]:
    (tmp_path / "kept_for_tests.py").write_text(BACKEND)
    return {
        "PYTHONPATH": str(tmp_path),
        "PYTHON_KEYRING_BACKEND": "kept_for_tests.Kept",
        "KEPT": str(tmp_path / "keyring.json"),
        "GORGIAS_API_KEY": "",
    }


def typed(words: list[str], answer: str, env: dict[str, str]) -> tuple[int, str]:
    """Run a command on a terminal of its own, and type an answer once it asks; all that the terminal showed."""
    pid, terminal = pty.fork()
    if pid == 0:
        os.execve(words[0], words, env)
    shown = b""
    while select.select([terminal], [], [], 20)[0]:
        try:
            part = os.read(terminal, 4096)
        except OSError:
            break
        shown += part
        if b"(not shown)" in shown and answer:
            os.write(terminal, answer.encode() + b"\n")
            answer = ""
    _, status = os.waitpid(pid, 0)
    os.close(terminal)
    return os.waitstatus_to_exitcode(status), shown.decode()


def test_a_missing_key_is_asked_for_hidden_on_a_terminal(tmp_path: Path) -> None:
    key = ACCOUNT["GORGIAS_API_KEY"]
    with sandbox(*QUICK, *KEYED) as url:
        env = environment(url, GORGIAS_API_KEY="", PYTHON_KEYRING_BACKEND="keyring.backends.null.Keyring")
        code, shown = typed(bulkmsg("auth", "check"), key, env)
        assert code == 0, shown
        assert key not in shown
        assert "GORGIAS_API_KEY from the keyboard" in shown


def test_nobody_is_asked_where_nobody_can_answer(keyring: dict[str, str]) -> None:
    with sandbox(*QUICK, *KEYED) as url:
        done = run(url, "auth", "check", **keyring)
        assert done.returncode == 4
        assert "GORGIAS_API_KEY is not set" in done.stderr
        done = run(url, "auth", "login", "--api-key", **keyring)
        assert done.returncode == 2
        assert "nobody to ask" in done.stderr


def test_a_key_that_was_typed_once_comes_from_the_keyring_afterwards(keyring: dict[str, str], tmp_path: Path) -> None:
    key = ACCOUNT["GORGIAS_API_KEY"]
    with sandbox(*QUICK, *KEYED) as url:
        code, shown = typed(bulkmsg("auth", "login", "--api-key"), key, environment(url, **keyring))
        assert code == 0, shown
        assert key not in shown
        assert "is kept in a keyring for tests" in shown
        assert json.loads(Path(keyring["KEPT"]).read_text()) == {"bulkmsg/acme": key}
        done = run(url, "run", history_batch(tmp_path, messages=3), *OPTIONS, **keyring)
        assert done.returncode == 0, done.stderr
        assert landed_once(url, 3)
        done = run(url, "auth", "check", "--account", "other", **keyring)
        assert done.returncode == 4


def test_a_keyring_that_does_not_open_is_told_without_what_it_says(keyring: dict[str, str]) -> None:
    done = run("http://127.0.0.1:9", "auth", "check", **keyring, LOCKED="1")
    assert done.returncode == 4
    assert "the keyring does not open (KeyringLocked)" in done.stderr
    assert "secret-of-the-keyring" not in done.stderr


def test_without_the_extra_a_key_cannot_be_kept_and_the_way_out_is_told(
    monkeypatch: pytest.MonkeyPatch, tmp_path: Path
) -> None:
    import sys

    from bulkmsg import keys
    from bulkmsg.errors import Refused

    absent: Any = None
    monkeypatch.setitem(sys.modules, "keyring", absent)
    assert keys.kept_key("acme") == ""
    with pytest.raises(Refused, match="not installed") as told:
        keys.keep_key("acme", "key-0123456789")
    assert "pip install 'bulkmsg[keyring]'" in told.value.hint
