"""`bulkmsg resolve`: settle messages in doubt, by looking again or by a person's word."""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import dataclass, field
from typing import TYPE_CHECKING, Any

import click

from bulkmsg.cli.options import (
    ENVIRONMENT,
    BatchArgs,
    batch_options,
    format_option,
    given_flags,
    option,
    rate_option,
    settle_option,
    share_option,
    take_batch,
    takeover_option,
    timeout_option,
)
from bulkmsg.cli.terminal import Terminal
from bulkmsg.errors import BulkmsgError, ExitCode, LogDamaged, LogInUse, LogUnusable, UsageError
from bulkmsg.settings import Rate
from bulkmsg.share import Share

if TYPE_CHECKING:
    from bulkmsg.app.doubts import Case, Resolved
    from bulkmsg.app.resolve import Resolving

_ADVISED = 20  # messages for which the two commands are written out


@dataclass(frozen=True)
class ResolveArgs:
    """What is to be settled how; `mark_created` and `resend` are keys."""

    batch: BatchArgs
    mark_created: tuple[str, ...]
    resend: tuple[str, ...]
    rate: Rate | None
    share: Share
    settle: float
    timeout: float
    takeover: bool
    format: str
    flags: dict[str, str] = field(default_factory=dict)


@click.command("resolve", epilog=ENVIRONMENT)
@click.argument("batch", metavar="BATCH")
@option("--mark-created", metavar="KEY", multiple=True, help="You saw it in the helpdesk: it is never sent again.")
@option("--resend", metavar="KEY", multiple=True, help="You saw that it is not there: the next run sends it.")
@rate_option
@share_option
@settle_option
@timeout_option
@takeover_option
@format_option("text", "json")
@batch_options(log=True)
@click.pass_context
def command(ctx: click.Context, /, batch: str, **given: Any) -> int:
    """Settle messages in doubt: look again, or take your word.

    Without --mark-created and --resend each message that may or may not have arrived is looked for once more. With
    them nothing is looked for: your word is recorded, which needs neither a connection nor credentials. Nothing is
    sent by this command. A KEY is that of the batch, or as status, results and this command show it.
    """
    flags = given_flags(ctx, but=frozenset({"mark_created", "resend"}))
    return resolve(ResolveArgs(take_batch(ctx, batch, given), flags=flags, **given), ctx.obj)


def resolve(args: ResolveArgs, terminal: Terminal) -> ExitCode:
    """Carry out the command; errors are told here, so that the last line can name the next command."""
    from bulkmsg.cli.ending import carried_out

    again = args.batch.command("resolve")
    return carried_out(lambda: _resolve(args, terminal), terminal, "nothing was sent", again, lambda e: _after(e, args))


def _after(error: BulkmsgError, args: ResolveArgs) -> str:
    if isinstance(error, UsageError):
        return ""
    if isinstance(error, LogDamaged) or "--rebuild-log" in error.hint:
        return args.batch.command("run", "--rebuild-log")
    if isinstance(error, LogInUse):
        return args.batch.command("status")
    if isinstance(error, LogUnusable):
        return args.batch.command("resolve")
    return args.batch.command("validate" if error.exit_code is ExitCode.INVALID else "resolve")


def _resolve(args: ResolveArgs, terminal: Terminal) -> ExitCode:
    from bulkmsg.app.doubts import Words
    from bulkmsg.app.resolve import NothingKnown, Resolving
    from bulkmsg.app.run import utc_now

    words = Words(args.mark_created, args.resend)
    try:
        resolving = Resolving(args.batch.file(), _options(args), utc_now)
    except NothingKnown as nothing:
        if words:
            raise
        return _nothing(args, nothing, terminal)
    try:
        if words:
            done = resolving.say(words)
        elif resolving.cases:
            done = _look(args, resolving, terminal)
        else:
            done = resolving.nothing()
    finally:
        resolving.close()
    _answer(args, done, terminal)
    return done.exit_code


def _options(args: ResolveArgs) -> Any:
    from bulkmsg.app.prepare import RunOptions
    from bulkmsg.settings import check_base_url

    base_url = check_base_url(args.batch.base_url) if args.batch.base_url else None
    return RunOptions(
        account=args.batch.said_account,
        base_url=base_url,
        progress_log=args.batch.log,
        rate=args.rate,
        share=args.share,
        settle=args.settle,
        timeout=args.timeout,
        takeover=args.takeover,
        flags=args.flags,
    )


def _look(args: ResolveArgs, resolving: Resolving, terminal: Terminal) -> Resolved:
    from bulkmsg.cli.asking import credentials_of

    count = len(resolving.cases)
    terminal.say(f"{resolving.name}: {count:,} in doubt for the account {resolving.account}; nothing is sent by this")
    resolving.demand_somewhere_to_look()
    return resolving.look(credentials_of(terminal, resolving.account), terminal.say)


def _nothing(args: ResolveArgs, why: BulkmsgError, terminal: Terminal) -> ExitCode:
    from bulkmsg.app.doubts import Resolved

    _tell(args, Resolved(args.batch.path, (), {}), [f"nothing is in doubt: {why.message}"], terminal)
    terminal.say(f"next: {args.batch.command('run')}")
    return ExitCode.OK


# -- the answer ----------------------------------------------------------------------------------------------------


def _answer(args: ResolveArgs, done: Resolved, terminal: Terminal) -> None:
    _tell(args, done, [*_lines(args, done), _summary(done)], terminal)
    if done.halt is not None:
        terminal.say(f"stopped: {done.halt.reason}", f"hint: {done.halt.hint}")
    terminal.say(f"next: {_next(args, done)}")


def _tell(args: ResolveArgs, done: Resolved, lines: list[str], terminal: Terminal) -> None:
    from bulkmsg.reports import json

    if args.format == "json":
        terminal.data([json.dump(done.as_json()) + "\n"])
    else:
        terminal.answer(*lines)


def _lines(args: ResolveArgs, done: Resolved) -> Iterator[str]:
    advised = 0
    for case in done.cases:
        yield _known(case)
        yield f"  {_became(case)}"
        if case.absent and advised < _ADVISED:
            advised += 1
            yield from _advice(args, case)
    if sum(case.absent for case in done.cases) > advised:
        yield "For the others the same two commands hold, with their keys; each takes several keys at once."


def _known(case: Case) -> str:
    """`k-17 (batch.yaml:12): ticket 5, 2 attempts, the last 2026-03-01T10:00:00.250Z: the helpdesk answered 500`."""
    from bulkmsg.delivery import first_cause
    from bulkmsg.reports.words import count, visible

    where = f"{case.file}:{case.line}" if case.file else "no longer in the batch"
    standing = case.doubt.standing
    why = first_cause(standing.error)
    ticket = f"ticket {standing.ticket_id}" if standing.ticket_id else "a new ticket"
    tried = f"{count(standing.attempt, 'attempt')}, the last" if standing.attempt else "noted"
    status = f"HTTP {standing.status}: " if standing.status and str(standing.status) not in why else ""
    return visible(f"{case.doubt.key} ({where}): {ticket}, {tried} {case.doubt.at}: {status}{why}")


def _became(case: Case) -> str:
    from bulkmsg.outcome import State
    from bulkmsg.reports.words import listing, visible

    gone = "" if case.file else "; the batch no longer holds it, so no run will send it"
    if case.outcome is State.CREATED:
        number = f" as message {case.message_id}" if case.message_id else ""
        more = f"; it stands there {len(case.duplicates)} times: {listing(map(str, case.duplicates))}"
        return f"{case.reason}: created{number}{more if case.duplicates else ''}" if case.by == "look" else case.reason
    if case.outcome is State.PENDING:
        return f"{case.reason}: the next run sends it{gone}"
    return visible(f"still in doubt: {case.reason or 'it was not looked for'}")


def _advice(args: ResolveArgs, case: Case) -> Iterator[str]:
    key = case.doubt.key
    yield "  Look in the helpdesk yourself, then type one of:"
    yield f"    {args.batch.command('resolve', '--mark-created', key)}  # it is there"
    yield f"    {args.batch.command('resolve', '--resend', key)}  # it is not there; the next run sends it"


def _summary(done: Resolved) -> str:
    from bulkmsg.reports.words import count, visible

    if not done.cases:
        return f"{visible(done.batch)}: nothing is in doubt"
    left = len(done.remaining)
    settled = count(len(done.cases) - left, "message")
    return f"{visible(done.batch)}: {settled} settled, {left:,} still in doubt"


def _next(args: ResolveArgs, done: Resolved) -> str:
    from bulkmsg.cli.following import next_command

    left = done.remaining
    if not left:
        return next_command(args.batch, done.counts)
    absent = next((case for case in left if case.absent), None)
    if absent is None or done.halt is not None:
        return args.batch.command("resolve")
    command = args.batch.command("resolve", "--mark-created", absent.doubt.key)
    return f"{command}  # if it is there; if it is not: --resend"
