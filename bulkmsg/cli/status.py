"""`bulkmsg status`: where a batch stands, from its progress log alone."""

from __future__ import annotations

import time
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any

import click

from bulkmsg.cli.options import ENVIRONMENT, BatchArgs, batch_options, format_option, option, take_batch
from bulkmsg.cli.terminal import Terminal
from bulkmsg.errors import ExitCode

if TYPE_CHECKING:
    from bulkmsg.app.history import History, Status

_EVERY = 2.0


@dataclass(frozen=True)
class StatusArgs:
    batch: BatchArgs
    format: str
    watch: bool


@click.command("status", epilog=ENVIRONMENT)
@click.argument("batch", metavar="BATCH")
@format_option("text", "json")
@option("--watch", is_flag=True, help="Show it again whenever it changes, until the run ends or Ctrl-C.")
@batch_options(log=True)
@click.pass_context
def command(ctx: click.Context, /, batch: str, watch: bool, **given: Any) -> int:
    """Show where a batch stands, also while it runs.

    Read from the progress log; no connection is opened, and a run that is going on is not disturbed. The exit code
    is 0; that of the last run is part of the answer.
    """
    return status(StatusArgs(take_batch(ctx, batch, given), given["format"], watch), ctx.obj)


def status(args: StatusArgs, terminal: Terminal) -> ExitCode:
    """Answer where the batch stands, once or again and again.

    Raises:
        UsageError, LogUnusable, InvalidBatch: as `History`.
    """
    from bulkmsg.app.history import History

    batch = args.batch
    history = History(batch.file(), batch.said_account, batch.base_url, batch.log)
    now = history.status()
    _answer(args, now, history, terminal)
    if args.watch:
        now = _watch(args, now, history, terminal)
    if args.format == "text":
        terminal.say(f"next: {_next(args, now)}")
    return ExitCode.OK


def _watch(args: StatusArgs, now: Status, history: History, terminal: Terminal) -> Status:
    """Look again and again, less often where looking takes long."""
    try:
        while now.going or not now.begun:
            began = time.monotonic()
            history.look_again()
            seen = history.status()
            if seen != now and not _answer(args, seen, history, terminal):
                break
            now = seen
            if now.going or not now.begun:
                time.sleep(max(_EVERY, 10 * (time.monotonic() - began)))
    except KeyboardInterrupt:  # the way to end it
        terminal.say("")
    return now


def _answer(args: StatusArgs, now: Status, history: History, terminal: Terminal) -> bool:
    from bulkmsg.reports import json, text
    from bulkmsg.reports.words import count

    if args.format == "json":
        return terminal.data([json.dump(now.as_json()) + "\n"])
    on = f" on {now.account}" if now.account else ""
    lines = [text.counts_line(f"{now.batch}{on}", now.total, now.counts), f"  {_last_run(now)}"]
    if now.begun:
        lines.append(f"  progress log {now.log}: {_sums(now)}")
    if now.from_log:
        lines.append("  the batch cannot be read, so this counts what the progress log knows")
    if history.removed:
        entries = count(history.removed, "entry", "entries")
        lines.append(f"  not counted: {entries} of the progress log that the batch no longer holds")
    return terminal.answer(*lines)


def _last_run(now: Status) -> str:
    if not now.begun:
        return f"it never ran: there is no progress log{f' {now.log}' if now.log else ''}"
    if now.elsewhere:
        where = f"a run on another machine, {now.elsewhere},"
        return f"{where} is going on, or was killed; once it has ended, run with --takeover"
    if now.rebuilding:
        return "its log was lost and is being rebuilt, or that was stopped; run --rebuild-log goes on with it"
    if now.going:
        return "a run is going on, or was killed; if it was killed, running it again goes on where it was"
    if now.exit_code is None:
        return "no run has begun yet"
    if now.command == "resolve":
        return f"since the last run, resolve was used and ended with exit code {now.exit_code}"
    if now.command == "rebuild":
        return "its log was lost and is rebuilt; no run has begun since"
    return f"the last run ended with exit code {now.exit_code}"


def _sums(now: Status) -> str:
    from bulkmsg.progress import spoken_duration
    from bulkmsg.reports.words import count

    if not now.requests:
        return count(now.runs, "run")
    return f"{count(now.runs, 'run')}, {count(now.requests, 'request')}, {spoken_duration(now.seconds)}"


def _next(args: StatusArgs, now: Status) -> str:
    from bulkmsg.cli.following import next_command

    if now.rebuilding:
        return args.batch.command("run", "--rebuild-log")
    if now.going:
        return args.batch.command("status", "--watch")
    return next_command(args.batch, now.counts)
