"""Credentials from the environment, each also from a file that `..._FILE` names. Values in, a value out."""

from __future__ import annotations

import os
import stat
from collections.abc import Mapping
from dataclasses import dataclass, field
from pathlib import Path

from bulkmsg.errors import Refused
from bulkmsg.settings import App, Credentials
from bulkmsg.tokens import TokenFile, helpdesk_folder

EMAIL, KEY, TOKEN = "GORGIAS_EMAIL", "GORGIAS_API_KEY", "GORGIAS_ACCESS_TOKEN"
CLIENT, SECRET, REFRESH = "GORGIAS_CLIENT_ID", "GORGIAS_CLIENT_SECRET", "GORGIAS_REFRESH_TOKEN"
NAMES = (EMAIL, KEY, TOKEN, CLIENT, SECRET, REFRESH)
_SECRETS = (KEY, TOKEN, SECRET, REFRESH)

_LONGEST = 16_384
_TO_TRY = "to try without an account: add --sandbox"


@dataclass
class _Given:
    """What the environment gives, and where each was read."""

    env: Mapping[str, str]
    warnings: list[str] = field(default_factory=list)
    sources: list[tuple[str, str]] = field(default_factory=list)

    def value(self, name: str) -> str:
        if self.env.get(name):
            self.sources.append((name, "the environment"))
            return self.env[name]
        path = self.file(name)
        if path is None:
            return ""
        found = _from_file(path, f"{name}_FILE", self.warnings)
        if found:
            self.sources.append((name, f"the file {path}"))
        return found

    def file(self, name: str) -> Path | None:
        """The file that is read for it, if one is."""
        named = self.env.get(f"{name}_FILE")
        return Path(named) if named and not self.env.get(name) else None


def from_environment(
    env: Mapping[str, str], account: str | None = None, key: tuple[str, str] = ("", "")
) -> tuple[Credentials, list[str]]:
    """The credentials, and warnings about files that others can read.

    `GORGIAS_CLIENT_ID`, `GORGIAS_CLIENT_SECRET` and `GORGIAS_REFRESH_TOKEN` (or a login kept for the account), or
    `GORGIAS_ACCESS_TOKEN`, or `GORGIAS_EMAIL` with `GORGIAS_API_KEY`; each also as `..._FILE`. The first wins.

    Args:
        account: for a login that is kept for it.
        key: an API key from elsewhere, and from where, which counts if the environment has none.

    Raises:
        Refused: none are given, a part is missing, or a file cannot be read.
    """
    given = _Given(env)
    values = {name: given.value(name) for name in NAMES}
    if key[0] and not values[KEY]:
        values[KEY] = key[0]
        given.sources.append((KEY, key[1]))
    sources = tuple(given.sources)
    app = _app(values, given, account)
    if app is not None:
        if not app.refresh_token and account:
            sources = (*sources, ("the login", f"the file {login_path(env, account)}"))
        return Credentials(token=values[TOKEN], app=app, sources=_named(sources, TOKEN, CLIENT, SECRET, REFRESH)), (
            given.warnings
        )
    if values[TOKEN]:
        return Credentials(token=values[TOKEN], sources=_named(sources, TOKEN)), given.warnings
    if values[EMAIL] and values[KEY]:
        return (
            Credentials(values[EMAIL], values[KEY], sources=_named(sources, EMAIL, KEY)),
            given.warnings,
        )
    raise _missing(values)


def app_from_environment(env: Mapping[str, str]) -> tuple[App, list[str]]:
    """The app alone, without tokens, and warnings about files.

    Raises:
        Refused: its id or its secret is missing, or a file cannot be read.
    """
    given = _Given(env)
    values = {name: given.value(name) for name in (CLIENT, SECRET)}
    missing = [name for name, value in values.items() if not value]
    if missing:
        hint = "they stand on the page on which the app was made; without an app, use GORGIAS_EMAIL and GORGIAS_API_KEY"
        raise Refused(f"no app: {_list(missing)} not set", hint)
    return App(values[CLIENT], values[SECRET]), given.warnings


def only_key_missing(env: Mapping[str, str]) -> bool:
    """Whether all that a person or a keyring could still give is the API key."""
    given = {name.removesuffix("_FILE") for name, value in env.items() if value}
    return EMAIL in given and not given & {KEY, TOKEN, REFRESH, CLIENT}


def _app(values: Mapping[str, str], given: _Given, account: str | None) -> App | None:
    """The app, if one is given whole: with a refresh token, or with a login that is kept for the account."""
    if not (values[CLIENT] and values[SECRET]):
        return None
    kept = account is not None and TokenFile(login_path(given.env, account)).read() is not None
    if not values[REFRESH] and not kept:
        return None
    return App(values[CLIENT], values[SECRET], values[REFRESH], given.file(REFRESH))


def _named(sources: tuple[tuple[str, str], ...], *names: str) -> tuple[tuple[str, str], ...]:
    return tuple((name, where) for name, where in sources if name in names or not name.startswith("GORGIAS_"))


def _missing(values: Mapping[str, str]) -> Refused:
    if any(values[name] for name in (CLIENT, SECRET, REFRESH)) and not (values[EMAIL] or values[KEY]):
        names = [name for name in (CLIENT, SECRET, REFRESH) if not values[name]]
        login = "; `bulkmsg auth login` makes a refresh token" if names == [REFRESH] else ""
        return Refused(
            f"no credentials: {_list(names)} not set",
            f"an app has all three, from the page on which it was made{login}",
        )
    names = [name for name in (EMAIL, KEY) if not values[name]]
    return Refused(
        f"no credentials: {_list(names)} not set",
        "make a key in the helpdesk under Settings > REST API, then: "
        f"export GORGIAS_EMAIL=... GORGIAS_API_KEY_FILE=...; {_TO_TRY}",
    )


def _list(names: list[str]) -> str:
    return f"{' and '.join(names)} {'are' if len(names) > 1 else 'is'}"


def known_secrets(env: Mapping[str, str]) -> tuple[str, ...]:
    """The secrets in use, as far as they can be read without complaint: what must not stand in a batch."""
    found = []
    for name in _SECRETS:
        try:
            found.append(_Given(env).value(name))
        except Refused:
            continue
    return tuple(value for value in found if len(value) >= 8)


def login_path(env: Mapping[str, str], account: str) -> Path:
    """Where the tokens of `bulkmsg auth login` are kept."""
    return _folder(env, account) / "login.json"


def token_file(env: Mapping[str, str], account: str, app: App) -> TokenFile:
    """Where the tokens of an app are kept between commands."""
    if not app.refresh_token:
        return TokenFile(login_path(env, account))
    return TokenFile(_folder(env, account) / "given.json", app.refresh_token, app.refresh_file)


def _folder(env: Mapping[str, str], account: str) -> Path:
    """Of an account; a helpdesk on this machine has one of its own: its tokens never reach the account's host."""
    try:
        return helpdesk_folder(env, account, env.get("GORGIAS_BASE_URL", ""))
    except RuntimeError:  # a user without a home: nothing is found and nothing can be kept there
        return Path(os.devnull) / account


def _from_file(path: Path, name: str, warnings: list[str]) -> str:
    try:
        descriptor = os.open(path, os.O_RDONLY | os.O_NONBLOCK | os.O_CLOEXEC)
        try:
            mode = os.fstat(descriptor).st_mode
            if not stat.S_ISREG(mode):
                raise Refused(
                    f"{name} does not name a regular file", "give the path of a file that holds the value alone"
                )
            text = os.read(descriptor, _LONGEST + 1).decode().removesuffix("\n").removesuffix("\r")
        finally:
            os.close(descriptor)
    except (OSError, UnicodeDecodeError) as error:
        reason = error.strerror if isinstance(error, OSError) else "it is no text"
        raise Refused(f"{name} cannot be read: {reason}", "check the path and its permissions") from None
    if mode & stat.S_IROTH:
        warnings.append(f"the file that {name} names can be read by everybody on this machine; chmod 600 mends that")
    return text
