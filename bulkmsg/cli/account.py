"""`bulkmsg account`: who we are in an account, and its lists for people who fill in a batch. Only reads."""

from __future__ import annotations

import csv
import io
import os
from collections.abc import Iterator
from dataclasses import dataclass, field
from typing import TYPE_CHECKING, Any

import click

from bulkmsg.cli.options import ENVIRONMENT, format_option, option, rate_option, timeout_option
from bulkmsg.cli.terminal import Terminal
from bulkmsg.errors import ExitCode
from bulkmsg.settings import Rate, check_base_url

if TYPE_CHECKING:
    from bulkmsg.app.account import Seen, Thing

_WHAT = ("agents", "mailboxes", "teams", "tags", "rules")
_UNKNOWN_FORM = frozenset({"teams", "tags", "rules"})  # no page of the reference is known to this project
_COLUMNS = {
    "agents": ("id", "email", "role", "name"),
    "mailboxes": ("id", "address", "type", "state", "name"),
    "teams": ("id", "name"),
    "tags": ("id", "name"),
    "rules": ("id", "state", "events", "reacts", "name"),
}
_WIDTHS = {"id": 11, "email": 32, "address": 32, "role": 14, "type": 8, "state": 11, "events": 40, "reacts": 7}


@dataclass(frozen=True)
class AccountArgs:
    what: str | None
    account: str | None
    rate: Rate | None
    timeout: float
    format: str


@click.command("account", epilog=ENVIRONMENT)
@click.argument("what", metavar="[agents|mailboxes|teams|tags|rules]", type=click.Choice(_WHAT), required=False)
@option("--account", metavar="NAME", help="The account: acme for https://acme.gorgias.com.")
@rate_option
@timeout_option
@format_option("text", "json", "csv")
@click.pass_context
def command(ctx: click.Context, /, **given: Any) -> int:
    """Show who we are in an account, or list what a batch may refer to.

    Without a word: the account, the user of the credentials, the limit, and settings that matter to an import. With
    one: that list, a line each, with what a batch needs of it. Nothing is changed.
    """
    return account(AccountArgs(**given), ctx.obj)


def account(args: AccountArgs, terminal: Terminal) -> ExitCode:
    """Answer with the account, or with one of its lists.

    Raises:
        Refused: there are no credentials, or no account is named.
        UsageError: the account's name is none.
    """
    from bulkmsg.app.account import look
    from bulkmsg.app.prepare import RunOptions, account_for
    from bulkmsg.cli.asking import credentials_of

    name = args.account or os.environ.get("GORGIAS_ACCOUNT") or None
    base = check_base_url(os.environ["GORGIAS_BASE_URL"]) if os.environ.get("GORGIAS_BASE_URL") else None
    name = account_for(None, name, base, sandbox=False)
    options = RunOptions(
        account=name,
        base_url=base,
        credentials=credentials_of(terminal, name),
        rate=args.rate,
        timeout=args.timeout,
    )
    rows = _Rows(args, terminal)
    seen = look(name, options, args.what, rows.take, terminal.say)
    rows.close()
    if args.what is None and seen.halt is None:
        _overview(args, seen, terminal)
    return _ended(args, seen, rows.count, terminal)


def _ended(args: AccountArgs, seen: Seen, count: int, terminal: Terminal) -> ExitCode:
    from bulkmsg.reports.words import count as counted
    from bulkmsg.reports.words import visible

    if seen.halt is not None:
        terminal.say(f"stopped: {visible(seen.halt.reason)}", f"hint: {visible(seen.halt.hint)}")
        return seen.halt.code
    if seen.listed is None:
        return ExitCode.OK
    if seen.listed.why:
        after = f" after {count:,} of them" if count else ""
        terminal.say(f"error: {args.what} could not be read{after}: {visible(seen.listed.why)}")
        terminal.say(
            "hint: the key's user, or the token's scopes, may lack the right; the helpdesk's settings show them"
        )
        return ExitCode.REFUSED if 0 < seen.listed.status < 500 else ExitCode.STOPPED
    odd = " (the form of this list is not documented: it is read as it comes)" if args.what in _UNKNOWN_FORM else ""
    one = {"mailboxes": "mailbox"}.get(str(args.what), str(args.what).removesuffix("s"))
    terminal.say(f"{counted(count, one, str(args.what))} in the account {seen.account}{odd}")
    return ExitCode.OK


# -- lists ---------------------------------------------------------------------------------------------------------


@dataclass
class _Rows:
    """Writes a list as it comes; JSON is one object and comes when the list has."""

    args: AccountArgs
    terminal: Terminal
    count: int = 0
    _kept: list[dict[str, Any]] = field(default_factory=list)

    def take(self, thing: Thing) -> None:
        row = dict(zip(self._columns, _values(thing), strict=True))
        self.count += 1
        if self.args.format == "json":
            self._kept.append(row)
            return
        if self.count == 1:
            self._write({name: name for name in self._columns})
        self._write(row)

    def close(self) -> None:
        if self.args.format == "json" and self.args.what is not None:
            from bulkmsg.reports.json import dump

            self.terminal.data([dump({self.args.what: self._kept}) + "\n"])

    @property
    def _columns(self) -> tuple[str, ...]:
        return _COLUMNS[self.args.what or "tags"]

    def _write(self, row: dict[str, Any]) -> None:
        texts = {name: _text(value) for name, value in row.items()}
        if self.args.format == "csv":
            line = io.StringIO()
            csv.writer(line, lineterminator="\n").writerow(texts.values())
            self.terminal.data([line.getvalue()])
        else:
            self.terminal.answer("  ".join(text.ljust(_WIDTHS.get(name, 0)) for name, text in texts.items()).rstrip())


def _values(thing: Thing) -> tuple[Any, ...]:
    from bulkmsg.preflight.things import Mailbox, Rule, User

    if isinstance(thing, User):
        return thing.id, thing.email, thing.role, thing.name
    if isinstance(thing, Mailbox):
        return thing.id, thing.address, thing.type, thing.off or "live", thing.name
    if isinstance(thing, Rule):
        reacts = thing.fires or thing.follows
        return thing.id, "active" if thing.active else "deactivated", sorted(thing.events), reacts, thing.name
    return thing.id, thing.name


def _text(value: Any) -> str:
    if isinstance(value, list):
        return ",".join(value)
    return {None: "", True: "yes", False: "no"}.get(value, str(value)) if isinstance(value, bool | None) else str(value)


# -- the account ---------------------------------------------------------------------------------------------------


def _overview(args: AccountArgs, seen: Seen, terminal: Terminal) -> None:
    from bulkmsg.reports.json import dump
    from bulkmsg.reports.words import visible

    facts = dict(_facts(seen))
    if args.format == "json":
        terminal.data([dump(facts) + "\n"])
    elif args.format == "csv":
        line = io.StringIO()
        writer = csv.writer(line, lineterminator="\n")
        writer.writerows([facts.keys(), [_text(value) for value in facts.values()]])
        terminal.data([line.getvalue()])
    else:
        shown = {name: _text(value) or "not told" for name, value in facts.items()}
        terminal.answer(*(f"{name.replace('_', ' '):<21} {visible(value)}" for name, value in shown.items()))


def _facts(seen: Seen) -> Iterator[tuple[str, Any]]:
    """What is known, in words that stay; None where the helpdesk does not tell."""
    record, user = seen.who.account, seen.who.user
    deactivated = record is not None and record.deactivated
    yield "account", seen.account
    yield "status", "deactivated" if deactivated else record.status if record else None
    yield "user", user.email if user else None
    yield "user_id", user.id if user else None
    yield "role", user.role if user else None
    yield "requests_used", seen.who.used
    yield "requests_limit", seen.who.limit
    for setting in ("auto-merge", "satisfaction-surveys"):
        on = record.is_on(setting) if record else None
        yield setting.replace("-", "_"), None if on is None else "on" if on else "off"
