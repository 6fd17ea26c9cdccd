"""`bulkmsg plan --online`: the plan, and what the helpdesk has against it."""

from __future__ import annotations

from bulkmsg.app.online import Looked, Online
from bulkmsg.app.planning import Planned
from bulkmsg.app.prepare import RunOptions, account_named
from bulkmsg.cli.asking import credentials_of
from bulkmsg.cli.findings import lines_of
from bulkmsg.cli.following import account_command
from bulkmsg.cli.plan import PlanArgs, answer_plan, tell_warnings
from bulkmsg.cli.terminal import Terminal
from bulkmsg.errors import ExitCode
from bulkmsg.plan import seconds_for
from bulkmsg.progress import spoken_duration
from bulkmsg.reports import json
from bulkmsg.reports.findings import blocks, in_order
from bulkmsg.reports.text import about
from bulkmsg.reports.words import count, listing, visible
from bulkmsg.settings import Credentials, check_base_url
from bulkmsg.validation.survey import BatchFile


def credentials_for(args: PlanArgs, terminal: Terminal) -> Credentials:
    """The credentials for the account of the batch.

    Raises:
        Refused: there are none, or no account is named, or the batch belongs to another.
    """
    return credentials_of(terminal, account_named(args.batch.file(), _options(args, Credentials())))


def plan_online(
    args: PlanArgs, batch: BatchFile, planned: Planned, credentials: Credentials, terminal: Terminal
) -> ExitCode:
    """Answer with the plan and the preflight's findings; nothing is sent.

    Raises:
        Refused: no account is named, or the batch belongs to another.
    """
    online = Online(batch, planned.survey, _options(args, credentials), terminal.say)
    if args.format == "text":
        answer_plan(planned, args.format, terminal)
        tell_warnings(args.batch, batch, planned.survey, terminal)
    time = about(spoken_duration(seconds_for(online.requests, planned.plan.rate, args.share, planned.plan.begun)))
    terminal.say(f"asking the account {online.account}: {count(online.requests, 'request')}, {time}; nothing is sent")
    looked = online.look()
    if args.format == "json":
        diagnostics = [json.diagnostic(found) for found in in_order(looked.findings)]
        answer = {**json.plan(planned.plan), "preflight": looked.as_json(), "diagnostics": diagnostics}
        terminal.data([json.dump(answer) + "\n"])
    else:
        shown = in_order(looked.findings)
        terminal.answer(*blocks(shown, lines_of(shown, args.batch.encoding)), _verdict(looked, batch.name))
    if looked.halt is not None:
        terminal.say(f"stopped: {visible(looked.halt.reason)}", f"hint: {visible(looked.halt.hint)}")
    terminal.say(f"next: {_next(args, looked)}")
    return looked.code


def _options(args: PlanArgs, credentials: Credentials) -> RunOptions:
    base_url = check_base_url(args.batch.base_url) if args.batch.base_url else None
    return RunOptions(
        account=args.batch.said_account,
        base_url=base_url,
        credentials=credentials,
        rate=args.rate,
        share=args.share,
        timeout=args.timeout,
    )


def _verdict(looked: Looked, name: str) -> str:
    """`preflight of batch.yaml: 1 error, 1 warning; 7 requests, 3 tickets looked at`."""
    severities = [found.severity.value for found in looked.findings]
    told = [count(severities.count(word), word) for word in ("error", "warning", "note") if word in severities]
    found = listing(told) or ("nothing found" if looked.halt is None else "it did not come to its end")
    tickets = f", {count(looked.tickets, 'ticket')} looked at" if looked.tickets else ""
    return f"preflight of {visible(name)}: {found}; {count(looked.requests, 'request')}{tickets}"


def _next(args: PlanArgs, looked: Looked) -> str:
    if any(found.is_error and found.rule == "BM806" for found in looked.findings):
        return account_command(args.batch, "rules")
    return (
        args.batch.command("run", *args.more)
        if looked.code is ExitCode.OK
        else args.batch.command("plan", "--online", *args.more)
    )
