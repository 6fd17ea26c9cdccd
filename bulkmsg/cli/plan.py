"""`bulkmsg plan`: what a run would do, and the very messages. Opens no socket unless it is asked to look online."""

from __future__ import annotations

import os
from collections.abc import Iterable
from contextlib import suppress
from dataclasses import dataclass
from datetime import datetime
from typing import TYPE_CHECKING, Any

import click

from bulkmsg.cli.options import (
    ENVIRONMENT,
    RATE,
    BatchArgs,
    attachments_option,
    batch_options,
    format_option,
    option,
    share_option,
    take_batch,
    timeout_option,
    update_tickets_option,
)
from bulkmsg.cli.terminal import Terminal
from bulkmsg.errors import ExitCode, Refused, UsageError
from bulkmsg.settings import API_KEY_RATE, Rate
from bulkmsg.share import Share

if TYPE_CHECKING:
    from bulkmsg.app.inspect import Shown
    from bulkmsg.app.planning import Planned, Whose
    from bulkmsg.validation.survey import BatchFile, Survey


@dataclass(frozen=True)
class PlanArgs:
    batch: BatchArgs
    format: str
    rate: Rate | None
    share: Share
    show: str | None = None
    online: bool = False
    timeout: float = 60.0
    update_tickets: bool = False

    @property
    def more(self) -> list[str]:
        """What the run that was planned needs beside the batch's own flags."""
        return ["--update-tickets"] if self.update_tickets else []


@click.command("plan", epilog=ENVIRONMENT)
@click.argument("batch", metavar="BATCH")
@format_option("text", "json")
@option("--show", metavar="KEY|N", help="Print the message with this key, or the first N, as they would be sent.")
@option("--rate", type=RATE, metavar="40/20s", help="Reckon the time with this many requests per time.")
@share_option
@attachments_option
@update_tickets_option
@option(
    "--online",
    is_flag=True,
    help="Also ask the helpdesk: credentials, agents, mailboxes, rules, and each existing ticket. Only reads.",
)
@timeout_option
@batch_options(log=True)
@click.pass_context
def command(ctx: click.Context, /, batch: str, **given: Any) -> int:
    """Show what a run would do: messages, people, requests, time.

    Where the batch ran before, its progress log says what is left to do. Nothing is sent, and no connection is opened
    without --online.
    """
    return plan(PlanArgs(take_batch(ctx, batch, given), **given), ctx.obj)


def plan(args: PlanArgs, terminal: Terminal) -> ExitCode:
    """Answer with the plan, or with the messages that were asked for.

    Raises:
        InvalidBatch: the batch has errors.
        UsageError: no message has the key, or two answers are asked for.
        Refused: it is to look online, and there are no credentials.
    """
    from bulkmsg.app import inspect, planning

    if args.online and args.show is not None:
        raise UsageError("--show and --online are two answers", "ask for one of them at a time")
    credentials = None
    if args.online:
        from bulkmsg.cli.planning_online import credentials_for

        credentials = credentials_for(args, terminal)
    batch = args.batch.file(credentials.secrets if credentials else None)
    if args.show is not None:
        seen = planning.plan(batch).survey
        _show(inspect.show(batch, seen, args.show, _account(args, seen)), args.format, terminal)
        return ExitCode.OK
    asked = planning.Asked(update_tickets=args.update_tickets)
    reckoned = planning.plan(batch, args.rate, whose(args.batch), asked, usual_rate)
    planned = reckoned.under(args.share, datetime.now().astimezone())
    if credentials is not None:
        from bulkmsg.cli.planning_online import plan_online

        return plan_online(args, batch, planned, credentials, terminal)
    answer_plan(planned, args.format, terminal)
    if args.format == "text":
        tell_warnings(args.batch, batch, planned.survey, terminal)
        terminal.say(f"next: {args.batch.command('run', *args.more)}")
    return ExitCode.OK


def usual_rate(account: str | None) -> Rate:
    """The limit of the credentials in use for an account, that of an API key where there are none."""
    from bulkmsg.credentials import from_environment
    from bulkmsg.settings import check_account

    with suppress(Refused, UsageError):
        return from_environment(os.environ, check_account(account) if account else None)[0].default_rate
    return API_KEY_RATE


def whose(args: BatchArgs) -> Whose:
    """What says which progress log is the batch's."""
    from bulkmsg.app.planning import Whose

    return Whose(args.said_account, args.base_url, args.log)


def answer_plan(planned: Planned, output: str, terminal: Terminal) -> None:
    """The plan on stdout, and what earlier runs did on stderr."""
    from bulkmsg.progress import ends_at, spoken_duration
    from bulkmsg.reports import json, text
    from bulkmsg.reports.words import visible

    if planned.trouble:
        terminal.say(f"reckoned as a first run: {visible(planned.trouble)}")
    if output == "json":
        terminal.data([json.dump(json.plan(planned.plan)) + "\n"])
        return
    senders = [sender for sender, _ in planned.survey.senders.most_common()]
    before = planned.before.tally.counts if planned.before else {}
    until = ends_at(datetime.now().astimezone(), planned.plan.seconds)
    terminal.answer(text.plan(planned.plan, spoken_duration, until, senders, before))


def tell_warnings(args: BatchArgs, batch: BatchFile, seen: Survey, terminal: Terminal) -> None:
    """That there are warnings, and where they can be read."""
    from bulkmsg.diagnostic import Severity
    from bulkmsg.reports.words import count

    if warnings := seen.findings.counts[Severity.WARNING]:
        terminal.say(f"{count(warnings, 'warning')} in {batch.name}: {args.command('validate')} shows what")


def _account(args: PlanArgs, seen: Survey) -> str | None:
    written = seen.header.account if seen.header else None
    return written or args.batch.said_account


def _show(messages: Iterable[Shown], output: str, terminal: Terminal) -> None:
    for shown in messages:
        if not terminal.data([_message(shown, output)]):
            return


def _message(shown: Shown, output: str) -> str:
    from bulkmsg.reports.json import dump
    from bulkmsg.reports.words import visible

    if output == "json":
        named = {"key": shown.key, "file": shown.file, "line": shown.line, "path": shown.path, "body": shown.body}
        return dump(named | ({"keys": list(shown.keys)} if len(shown.keys) > 1 else {})) + "\n"
    more = f" and {len(shown.keys) - 1:,} more of its ticket" if len(shown.keys) > 1 else ""
    place = visible(f"# {shown.key} ({shown.file}:{shown.line}){more}")
    return f"{place}\nPOST {shown.path}\n{dump(shown.body, indent=2)}\n\n"
