"""`bulkmsg auth check` and `bulkmsg auth login`: what the credentials are worth, and how to come by some."""

from __future__ import annotations

import os
import shlex
import sys
from collections.abc import Iterator
from dataclasses import dataclass
from datetime import UTC, datetime
from typing import TYPE_CHECKING, Any

import click

from bulkmsg import settings
from bulkmsg.cli.ending import carried_out
from bulkmsg.cli.options import ENVIRONMENT, TIMEOUT, format_option, option, timeout_option
from bulkmsg.cli.terminal import Terminal
from bulkmsg.errors import ExitCode, Refused, UsageError

if TYPE_CHECKING:
    from bulkmsg.app.auth import Checked
    from bulkmsg.settings import App

_account_option = option("--account", metavar="NAME", help="The account: acme for https://acme.gorgias.com.")


@click.group("auth", epilog=ENVIRONMENT)
def command() -> None:
    """Look at the credentials, or sign in with OAuth.

    Credentials come from the environment: GORGIAS_EMAIL and GORGIAS_API_KEY, or GORGIAS_ACCESS_TOKEN, or
    GORGIAS_CLIENT_ID, GORGIAS_CLIENT_SECRET and GORGIAS_REFRESH_TOKEN; each also as ..._FILE.
    """


@dataclass(frozen=True)
class LoginArgs:
    account: str
    base_url: str | None
    port: int
    scope: str | None
    wait: float
    browser: bool
    api_key: bool
    timeout: float


@command.command("check", epilog=ENVIRONMENT)
@_account_option
@timeout_option
@format_option("text", "json")
@click.pass_context
def check_command(ctx: click.Context, /, account: str | None, timeout: float, format: str) -> int:
    """Say who the credentials make us: account, user, rights, limit, and how long they last.

    Seven small requests that only read. Exit code 0: they are accepted; 4: they are not; 5: the helpdesk cannot be
    asked.
    """
    again = _again("check", account)

    def act() -> ExitCode:
        return check(*_where(account), timeout, format, ctx.obj)

    return carried_out(act, ctx.obj, "nothing was changed", again, lambda error: again)


@command.command("login", epilog=ENVIRONMENT)
@_account_option
@option(
    "--port",
    prefix="auth-",
    type=click.IntRange(0, 65535),
    default=8976,
    show_default=True,
    help="Where the browser comes back to on this machine; 0 chooses a free one.",
)
@option("--scope", prefix="auth-", metavar="TEXT", help="The rights to ask for, instead of those that a run needs.")
@option(
    "--wait",
    prefix="auth-",
    type=TIMEOUT,
    metavar="5m",
    default="5m",
    show_default=True,
    help="How long to wait for the browser.",
)
@option("--browser/--no-browser", prefix="auth-", default=True, help="Open the page, or only print its address.")
@option("--api-key", is_flag=True, prefix="auth-", help="Instead: ask for an API key and put it into the keyring.")
@timeout_option
@click.pass_context
def login_command(ctx: click.Context, /, account: str | None, **given: Any) -> int:
    """Sign in to an account as an OAuth app of yours, and keep the tokens on this machine.

    Needs GORGIAS_CLIENT_ID and GORGIAS_CLIENT_SECRET, from the page on which the app was made; there, enter
    http://127.0.0.1:8976/ as a redirect URL. Afterwards run needs no GORGIAS_REFRESH_TOKEN.
    """
    again = _again("login", account, *(["--api-key"] if given["api_key"] else []))

    def act() -> ExitCode:
        return login(LoginArgs(*_where(account), **given), ctx.obj)

    return carried_out(act, ctx.obj, "nothing was kept", again, lambda error: again)


def _again(verb: str, account: str | None, *more: str) -> str:
    return shlex.join(["bulkmsg", "auth", verb, *(["--account", account] if account else []), *more])


def _where(account: str | None) -> tuple[str, str | None]:
    """The account that is meant, and the loopback helpdesk that stands for it.

    Raises:
        UsageError, Refused: there is none, or a name that is none.
    """
    from bulkmsg.app.prepare import account_for

    base_url = os.environ.get("GORGIAS_BASE_URL") or None
    said = account or os.environ.get("GORGIAS_ACCOUNT") or None
    checked = settings.check_base_url(base_url) if base_url else None
    return account_for(None, said, checked, sandbox=False), checked


# -- check ---------------------------------------------------------------------------------------------------------


def check(account: str, base_url: str | None, timeout: float, output: str, terminal: Terminal) -> ExitCode:
    """Ask the helpdesk and answer.

    Raises:
        Refused: there are no credentials.
    """
    from bulkmsg.app.auth import run_check
    from bulkmsg.app.prepare import RunOptions, Visit
    from bulkmsg.cli.asking import credentials_of
    from bulkmsg.reports.json import dump

    options = RunOptions(
        account=account, base_url=base_url, credentials=credentials_of(terminal, account), timeout=timeout
    )
    found = run_check(Visit(account, options), terminal.say)
    if output == "json":
        terminal.data([dump(found.as_json(), indent=2) + "\n"])
    else:
        terminal.answer(*_lines(found, base_url))
    if found.halt is not None:
        terminal.say(f"error: {found.halt.reason}")
        if found.halt.hint:
            terminal.say(f"hint: {found.halt.hint}")
    terminal.say("next: bulkmsg run BATCH" if found.halt is None else f"next: {_again('check', account)}")
    return found.exit_code


def _lines(found: Checked, base_url: str | None) -> Iterator[str]:
    where = base_url or f"https://{found.account}.gorgias.com"
    status = f", {found.status}" if found.status else ""
    yield f"account      {found.domain or found.account}{status} ({where})"
    if found.halt is None:
        yield f"user         {_user(found)}"
        yield f"may read     {_rights(found)}"
        yield f"limit        {_limit(found)}"
    yield f"credentials  {_credentials(found)}"
    for name, place in found.credentials.sources:
        yield f"             {name} from {place}"


def _user(found: Checked) -> str:
    who = found.user
    if who.id is None and who.email is None:
        return "not told"
    named = " ".join(part for part in (who.name, f"<{who.email}>" if who.email else "") if part) or "no name"
    number = f", id {who.id}" if who.id is not None else ""
    role = f", role {who.role}" if who.role else ", role not told"
    # Gorgias help, "User roles": an observer may leave internal notes only.
    notes = " (may leave internal notes, and write no messages)" if who.role == "observer-agent" else ""
    return f"{named}{number}{role}{notes}"


def _rights(found: Checked) -> str:
    from bulkmsg.reports.words import listing

    by: dict[bool | None, list[str]] = {True: [], False: [], None: []}
    for name, may in found.reads.items():
        by[may].append(name)
    parts = [listing(by[True]) or "nothing"]
    parts += [f"not {listing(by[False])}"] if by[False] else []
    parts += [f"{listing(by[None])}: not told"] if by[None] else []
    return "; ".join(parts)


def _limit(found: Checked) -> str:
    from bulkmsg.reports.words import rate_words

    if found.limit is None:
        return f"not told; {rate_words(found.credentials.default_rate)} is documented for these credentials"
    window = found.credentials.default_rate.window
    documented = f"{found.limit:,} requests; the documented window is {window:g} s, for Enterprise plans half of it"
    return f"{documented}; {found.used or 0:,} used just now"


def _credentials(found: Checked) -> str:
    if found.kind == "api key":
        return "an API key: lasts until it is replaced in the helpdesk"
    if found.kind == "access token":
        return "an access token: lasts about a day from when it was made, and is not renewed"
    end = f"; the token in use lasts until {found.ends:%Y-%m-%d %H:%M} UTC ({_left(found.ends)})" if found.ends else ""
    return f"an OAuth app: access tokens are renewed{end}"


def _left(ends: datetime) -> str:
    from bulkmsg.progress import spoken_duration

    return f"{spoken_duration((ends - datetime.now(UTC)).total_seconds())} left"


# -- login ---------------------------------------------------------------------------------------------------------


def login(args: LoginArgs, terminal: Terminal) -> ExitCode:
    """Sign in, or keep a key that is typed.

    Raises:
        UsageError, Refused: why it came to nothing.
    """
    if args.api_key:
        return _keep_key(args, terminal)
    import asyncio

    from bulkmsg.app.login import SignIn, sign_in
    from bulkmsg.credentials import login_path
    from bulkmsg.gorgias.oauth import SCOPES
    from bulkmsg.tokens import TokenFile

    base = args.base_url or f"https://{args.account}.gorgias.com"
    kept = TokenFile(login_path(os.environ, args.account))
    asked = SignIn(base, _app(terminal), kept, args.port, args.scope or SCOPES, args.wait, args.timeout)
    asyncio.run(sign_in(asked, lambda url: _show(url, args, terminal)))
    terminal.answer(f"signed in to {args.account}; the tokens are kept in {kept.path}, for you alone")
    if os.environ.get("GORGIAS_REFRESH_TOKEN") or os.environ.get("GORGIAS_REFRESH_TOKEN_FILE"):
        terminal.say("warning: GORGIAS_REFRESH_TOKEN is set and wins over this sign-in; unset it")
    terminal.say(f"next: bulkmsg auth check --account {args.account}")
    return ExitCode.OK


def _app(terminal: Terminal) -> App:
    from bulkmsg.credentials import app_from_environment

    app, warnings = app_from_environment(os.environ)
    terminal.say(*(f"warning: {warning}" for warning in warnings))
    return app


def _show(url: str, args: LoginArgs, terminal: Terminal) -> None:
    terminal.say(f"open this page in a browser and agree (within {args.wait:g} s):", url)
    if args.browser and terminal.asks and _has_screen():
        import webbrowser

        webbrowser.open(url)


def _has_screen() -> bool:
    return sys.platform == "darwin" or bool(os.environ.get("DISPLAY") or os.environ.get("WAYLAND_DISPLAY"))


def _keep_key(args: LoginArgs, terminal: Terminal) -> ExitCode:
    from getpass import getpass

    from bulkmsg.keys import keep_key

    if not terminal.asks:
        hint = "run it where you can type; in a job, name a file that holds the key in GORGIAS_API_KEY_FILE"
        raise UsageError("--api-key asks for the key, and there is nobody to ask", hint)
    key = getpass(f"API key for the account {args.account} (not shown): ").strip()
    if not key:
        raise Refused("no key was typed", "make one in the helpdesk under Settings > REST API")
    where = keep_key(args.account, settings.Credentials(api_key=key).api_key)
    terminal.answer(f"the key for {args.account} is kept in {where}; a run uses it when only GORGIAS_EMAIL is set")
    terminal.say(f"next: bulkmsg auth check --account {args.account}")
    return ExitCode.OK
