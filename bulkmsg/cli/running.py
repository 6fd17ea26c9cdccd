"""`bulkmsg run` as it goes: refuse what must be refused, say what will happen, ask, send, tell how it ended."""

from __future__ import annotations

import asyncio
import os
from collections.abc import Callable, Iterator, Mapping
from contextlib import ExitStack, suppress
from dataclasses import replace
from getpass import getpass
from itertools import islice
from pathlib import Path

from bulkmsg.app import inspect
from bulkmsg.app.history import History
from bulkmsg.app.prepare import Prepared, RunOptions, account_named, prepare
from bulkmsg.app.result import RunResult
from bulkmsg.app.run import Sending, idle, send, utc_now
from bulkmsg.app.signals import Interrupted, interruptible
from bulkmsg.cli.event_lines import EventLines
from bulkmsg.cli.following import next_command
from bulkmsg.cli.plan import answer_plan, tell_warnings, usual_rate
from bulkmsg.cli.run import RunArgs
from bulkmsg.cli.shell import tell
from bulkmsg.cli.terminal import Terminal
from bulkmsg.credentials import from_environment
from bulkmsg.errors import BulkmsgError, ExitCode, InvalidBatch, LogInUse, Refused, UsageError
from bulkmsg.events import Event, RunView
from bulkmsg.message import Mode
from bulkmsg.outcome import State
from bulkmsg.plan import seconds_for
from bulkmsg.ports import Sink
from bulkmsg.progress import Display, Style, spoken_duration
from bulkmsg.reports import json, text
from bulkmsg.reports.text import Trouble
from bulkmsg.reports.words import count, people, rate_words, standing, visible
from bulkmsg.settings import SANDBOX_ACCOUNT, Credentials, InDoubt, check_base_url
from bulkmsg.stopping import USUAL_ERRORS, OnRejection

_TROUBLES_SHOWN = 10


def run(args: RunArgs, terminal: Terminal) -> ExitCode:
    """Carry out the command; errors are told here, so that the last line can name the next command."""
    try:
        with interruptible():
            return _dry_run(args, terminal) if args.dry_run else _run(args, terminal)
    except Interrupted as error:
        terminal.say(f"{error}; nothing is in flight", f"next: {args.batch.command('run')}")
        return error.exit_code
    except BulkmsgError as error:
        tell(error, terminal)
        following = _after(error, args)
        if following:
            terminal.say(f"next: {following}")
        return error.exit_code


def _after(error: BulkmsgError, args: RunArgs) -> str:
    """The command to type next, once what the hint says is done; never one that consents to anything unasked."""
    if isinstance(error, ConsentMissing):
        declined = args.batch.command("plan", "--show", "10")
        return declined if error.asked else args.batch.command("run", "--allow-send", str(error.people))
    if isinstance(error, UsageError):
        return ""
    if isinstance(error, InvalidBatch) and error.diagnostics:
        unread = any(found.rule == "BM101" and found.file == args.batch.path for found in error.diagnostics)
        return "" if unread else args.batch.command("validate")
    if isinstance(error, LogInUse):
        return args.batch.command("status")
    return args.batch.command("run")


# -- before anything leaves ----------------------------------------------------------------------------------------


def _dry_run(args: RunArgs, terminal: Terminal) -> ExitCode:
    batch = args.batch.file()
    planned, seen = inspect.plan(batch, args.rate or usual_rate())
    answer_plan(planned, seen, args.format, terminal)
    tell_warnings(args.batch, batch, seen, terminal)
    with suppress(BulkmsgError):
        history = History(batch, args.batch.said_account, args.batch.base_url, args.batch.log)
        if history.fold is not None and history.account != SANDBOX_ACCOUNT:
            now = history.status()
            terminal.say(f"it ran before: {standing(now.counts)}; only what is not there yet would be sent")
    terminal.say("dry run: nothing was sent", f"next: {args.batch.command('run')}")
    return ExitCode.OK


def _run(args: RunArgs, terminal: Terminal) -> ExitCode:
    if args.format == "json" and args.events == "-":
        raise UsageError("--format json and --events - would both write to stdout", "give --events a file")
    with ExitStack() as stack:
        prepared = _prepare(args, terminal)
        stack.callback(prepared.close)
        sink = _sink(args, prepared, terminal, stack)
        _announce(args, prepared, terminal)
        result = idle(prepared)
        if result is None:
            consent = _consent(args, prepared, terminal)
            sending = Sending(prepared, sink, Watching(args.progress, prepared.name, terminal), utc_now, consent)
            if isinstance(sink, EventLines):
                sink.run = sending.run
            result = send(sending)
    _conclude(args, prepared, result, terminal)
    return result.exit_code


def _prepare(args: RunArgs, terminal: Terminal) -> Prepared:
    """Everything that can be refused without asking anybody, in the order: usage, credentials, log, validity."""
    base_url = check_base_url(args.batch.base_url) if args.batch.base_url else None
    if not Path(args.batch.path).exists():  # a misspelt name is told as what it is, whatever else is missing
        return prepare(args.batch.file(), _options(args, base_url, Credentials()), utc_now)
    options = _options(args, base_url, None)
    account_named(args.batch.file(), options)
    credentials = None if args.sandbox else _credentials(terminal)
    secrets = credentials.secrets if credentials else None
    return prepare(args.batch.file(secrets), _options(args, base_url, credentials), utc_now)


def _options(args: RunArgs, base_url: str | None, credentials: Credentials | None) -> RunOptions:
    return RunOptions(
        account=args.batch.said_account,
        base_url=base_url,
        credentials=credentials,
        sandbox=args.sandbox,
        progress_log=args.batch.log,
        rate=args.rate,
        limit=args.limit,
        concurrency=args.concurrency,
        settle=args.settle,
        timeout=args.timeout,
        in_doubt=InDoubt(args.in_doubt) if args.in_doubt else None,
        retry_rejected=args.retry_rejected,
        allow_changed=args.allow_changed,
        allow_removed=args.allow_removed,
        max_errors=args.max_errors or USUAL_ERRORS,
        max_duration=args.max_duration,
        stop_at=args.stop_at,
        on_rejection=OnRejection(args.on_rejection),
        takeover=args.takeover,
        flags=args.flags,
    )


def _credentials(terminal: Terminal) -> Credentials:
    found, warnings = from_environment(_with_typed_key(os.environ, terminal))
    terminal.say(*(f"warning: {warning}" for warning in warnings))
    return found


def _with_typed_key(env: Mapping[str, str], terminal: Terminal) -> Mapping[str, str]:
    """The environment, with the API key a person types where only that is missing."""
    given = {name.removesuffix("_FILE") for name, value in env.items() if value}
    missing = "GORGIAS_EMAIL" in given and not given & {"GORGIAS_API_KEY", "GORGIAS_ACCESS_TOKEN"}
    if not (missing and terminal.asks):
        return env
    return {**env, "GORGIAS_API_KEY": getpass(f"API key of {env.get('GORGIAS_EMAIL', 'this account')} (not shown): ")}


def _sink(args: RunArgs, prepared: Prepared, terminal: Terminal, stack: ExitStack) -> Sink:
    if args.events is None:
        return Nobody()
    _refuse_own_files(Path(args.events), prepared)
    return stack.enter_context(EventLines(args.events, terminal))


def _refuse_own_files(events: Path, prepared: Prepared) -> None:
    for taken in (prepared.batch.path, prepared.path):
        if events.resolve() == taken.resolve():
            raise UsageError(f"--events names {taken}, which is not its to write", "give it a file of its own")


class Nobody:
    """Listens to events and keeps none."""

    def tell(self, event: Event) -> None:
        return


# -- what will happen, and whether it may --------------------------------------------------------------------------


class ConsentMissing(Refused):
    """People would be mailed and nobody agreed to it."""

    def __init__(self, message: str, people: int, *, asked: bool = False) -> None:
        hint = "look at what would be sent, then run it again" if asked else f"add --allow-send {people} to consent"
        super().__init__(message, f"nothing was sent; {hint}")
        self.people = people
        self.asked = asked


def _announce(args: RunArgs, prepared: Prepared, terminal: Terminal) -> None:
    found = prepared.review
    tell_warnings(args.batch, prepared.batch, prepared.survey, terminal)
    where = "a sandbox on this machine" if args.sandbox else f"the account {prepared.account}"
    terminal.say(f"{visible(prepared.name)}: {count(found.tally.total, 'message')} for {where}")
    before = {state.value: number for state, number in found.tally.counts.items() if state is not State.PENDING}
    if any(before.values()):
        terminal.say(f"it ran before: {standing(before)}")
    if found.to_send or found.to_settle:
        looks = f", {found.to_settle:,} of them in doubt and looked for first" if found.to_settle else ""
        rate = prepared.plan.rate
        number = found.to_send + found.to_settle
        time = text.about(spoken_duration(seconds_for(number, rate)))
        terminal.say(f"to do: {count(number, 'message')}{looks}; {time} at {rate_words(rate)}")
    terminal.say(*_latest_end(args), *_who_is_mailed(args, prepared))
    terminal.say(f"progress log: {prepared.path}")


def _latest_end(args: RunArgs) -> Iterator[str]:
    ends = [f"after {args.max_duration}"] if args.max_duration else []
    if args.stop_at:
        left = spoken_duration((args.stop_at.at - utc_now()).total_seconds())
        ends.append(f"at {args.stop_at} (in {left})")
    if ends:
        whichever = ", whichever comes first" if len(ends) > 1 else " at the latest"
        yield f"it stops {' or '.join(ends)}{whichever}; running it again goes on"


def _who_is_mailed(args: RunArgs, prepared: Prepared) -> Iterator[str]:
    found = prepared.review
    if prepared.mode is Mode.IMPORT:
        yield text.NOBODY_IS_MAILED
        if not args.sandbox:
            yield text.MAY_REACT
    elif not found.mails:
        yield "nobody is left to be mailed"
    else:
        senders = [sender for sender, _ in prepared.survey.senders.most_common()]
        told = text.mailing(found.mails, found.people, senders)
        yield f"{told}: in the sandbox nobody is really mailed" if args.sandbox else told


def _consent(args: RunArgs, prepared: Prepared, terminal: Terminal) -> int | None:
    """How many people may be mailed, None where nobody would be.

    Raises:
        ConsentMissing: nobody agreed.
    """
    found = prepared.review
    if args.sandbox or prepared.mode is not Mode.SEND or not found.mails:
        return None
    who = people(found.people)
    if args.allow_send is not None:
        if args.allow_send >= found.people:
            return found.people
        raise ConsentMissing(f"{who} would be mailed, and --allow-send {args.allow_send} allows fewer", found.people)
    if not terminal.asks:
        raise ConsentMissing(f"{who} would be mailed, and nobody consented", found.people)
    if terminal.ask(f"Really mail {who}? Type yes to send, anything else stops: ").lower() == "yes":
        return found.people
    raise ConsentMissing(f"{who} would have been mailed; you did not say yes", found.people, asked=True)


# -- while it goes on ----------------------------------------------------------------------------------------------


class Watching:
    """Shows the run on stderr while it goes on."""

    def __init__(self, style: str, title: str, terminal: Terminal) -> None:
        self._style, self._title, self._terminal = Style(style), title, terminal
        self._display: Display | None = None

    async def watch(self, view: Callable[[], RunView]) -> None:
        self._display = Display(self._style, view, title=self._title)
        try:
            await self._display.run()
        except asyncio.CancelledError:
            self._display = None
            raise

    def note(self, text: str) -> None:
        if self._display is None or self._style is Style.NONE:
            self._terminal.say(text)
        else:
            self._display.note(text)


# -- afterwards ----------------------------------------------------------------------------------------------------


def _conclude(args: RunArgs, prepared: Prepared, result: RunResult, terminal: Terminal) -> None:
    """The answer on stdout, and a summary on stderr whose last line is the next command."""
    line = text.counts_line(result.batch, result.total, result.counts)
    terminal.say(*_ending(result))
    if args.format == "json":
        terminal.data([json.dump(result.as_json()) + "\n"])
    elif args.events != "-":
        terminal.answer(line)
    if args.format == "json" or args.events == "-" or not terminal.answers_to_person:
        terminal.say(line)
    terminal.say(*_details(args, prepared, result))
    if result.sandbox is not None:
        terminal.say(*text.sandbox(result.sandbox))
    terminal.say(f"next: {_next(args, result)}")


def _ending(result: RunResult) -> Iterator[str]:
    spent = f"{spoken_duration(result.seconds)}, {count(result.requests, 'request')}"
    throttled = f", {result.throttled:,} of them told to wait" if result.throttled else ""
    if result.reason:
        yield f"stopped after {spent}{throttled}: {visible(result.reason)}"
        if result.hint:
            yield f"hint: {visible(result.hint)}"
    elif result.requests:
        yield f"finished in {spent}{throttled}"
    else:
        yield "nothing to do"


def _details(args: RunArgs, prepared: Prepared, result: RunResult) -> Iterator[str]:
    bad = result.counts[State.REJECTED] + result.counts[State.FAILED]
    if bad:
        yield from text.troubles(_first_troubles(prepared, min(bad, _TROUBLES_SHOWN)), bad)
    if result.counts[State.HELD_BACK]:
        held = count(result.counts[State.HELD_BACK], "message waits", "messages wait")
        yield f"held back: {held} because an earlier message of the same ticket did not arrive"
    if result.counts[State.IN_DOUBT]:
        doubt = count(result.counts[State.IN_DOUBT], "message")
        yield (
            f"in doubt: {doubt} may or may not have arrived; running it again looks for them once more, "
            "and with --in-doubt resend sends again what it cannot find"
        )
    yield from text.duplicates(result.duplicates)
    if result.more_possible is not None and not args.sandbox:
        yield f"the account allows more: {rate_words(result.more_possible)}; --rate held this run back"


def _first_troubles(prepared: Prepared, most: int) -> list[Trouble]:
    """The first messages that did not arrive, in the order of the batch, from its progress log."""
    found: list[Trouble] = []
    with suppress(BulkmsgError):  # the batch may have been edited meanwhile; results tells more then
        history = History(prepared.batch, prepared.account, None, prepared.path)
        bad = (each for each in history.results() if each.outcome in (State.REJECTED, State.FAILED))
        for each in islice(bad, most):
            found.append(Trouble(each.key, f"{each.file}:{each.line}", each.outcome.value, each.error or ""))
    return found


def _next(args: RunArgs, result: RunResult) -> str:
    if args.sandbox:
        batch = replace(args.batch, typed=tuple(pair for pair in args.batch.typed if pair[0] != "--progress-log"))
        if result.exit_code is ExitCode.OK:
            return batch.command("run")
        following = next_command(batch, result.counts, "--progress-log", str(result.log), mend=result.mend)
        return batch.command("run", "--sandbox") if following.startswith("bulkmsg run") else following
    if result.reason and not result.mend:
        return args.batch.command("run")
    return next_command(args.batch, result.counts, mend=result.mend)
