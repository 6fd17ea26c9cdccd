"""`bulkmsg run` as it goes: refuse what must be refused, say what will happen, ask, send, tell how it ended."""

from __future__ import annotations

from collections.abc import Iterator
from contextlib import ExitStack, suppress
from dataclasses import replace
from itertools import islice
from pathlib import Path

from bulkmsg.app import planning
from bulkmsg.app.history import History
from bulkmsg.app.preflight import AgainstIt, NotAsTheAccount
from bulkmsg.app.prepare import Prepared, RunOptions, account_named, prepare
from bulkmsg.app.result import RunResult
from bulkmsg.app.run import Sending, idle, send, utc_now
from bulkmsg.cli.asking import credentials_of
from bulkmsg.cli.ending import carried_out
from bulkmsg.cli.event_lines import EventLines
from bulkmsg.cli.findings import tell_all
from bulkmsg.cli.following import account_command, next_command
from bulkmsg.cli.plan import answer_plan, tell_warnings, usual_rate, whose
from bulkmsg.cli.rebuilding import going_on, rebuild_log, stopped, with_rebuilt
from bulkmsg.cli.run import RunArgs
from bulkmsg.cli.terminal import Terminal
from bulkmsg.cli.watching import Nobody, Watching
from bulkmsg.errors import BulkmsgError, ExitCode, InvalidBatch, LogInUse, LogUnusable, Refused, UsageError
from bulkmsg.message import Mode
from bulkmsg.outcome import State
from bulkmsg.places import MOST
from bulkmsg.plan import seconds_for
from bulkmsg.ports import Sink
from bulkmsg.progress import spoken_duration
from bulkmsg.reports import json, text
from bulkmsg.reports.text import Trouble
from bulkmsg.reports.words import count, people, rate_words, standing, visible
from bulkmsg.sample import First, Sample, Selection
from bulkmsg.settings import Credentials, InDoubt, check_base_url
from bulkmsg.stopping import USUAL_ERRORS, OnRejection
from bulkmsg.validation.survey import BatchFile, Survey

_TROUBLES_SHOWN = 10


def run(args: RunArgs, terminal: Terminal) -> ExitCode:
    """Carry out the command; errors are told here, so that the last line can name the next command."""
    act = _dry_run if args.dry_run else _run
    return carried_out(
        lambda: act(args, terminal), terminal, "nothing is in flight", _same(args), lambda e: _after(e, args)
    )


def _after(error: BulkmsgError, args: RunArgs) -> str:
    """The command to type next, once what the hint says is done; never one that consents to anything unasked."""
    if isinstance(error, ConsentMissing):
        declined = args.batch.command("plan", "--show", "10")
        return declined if error.asked else _again(args, "--allow-send", str(error.people))
    if isinstance(error, UsageError):
        return ""
    if isinstance(error, NotAsTheAccount):
        return args.batch.command("plan", "--online")
    if isinstance(error, AgainstIt):
        return account_command(args.batch, error.look)
    if isinstance(error, InvalidBatch) and error.diagnostics:
        unread = any(found.rule == "BM101" and found.file == args.batch.path for found in error.diagnostics)
        return "" if unread else args.batch.command("validate")
    if isinstance(error, LogInUse):
        return args.batch.command("status")
    if isinstance(error, LogUnusable):
        return _again(args, *(["--rebuild-log"] if "BATCH --rebuild-log" in error.hint else []))
    return _same(args)


def _same(args: RunArgs) -> str:
    """The same run once more; what was rebuilt meanwhile is not rebuilt again."""
    return _again(args, *(["--rebuild-log"] if args.rebuild_log else []))


def _again(args: RunArgs, *more: str) -> str:
    """A run of the same tickets: what was asked for a part of a batch never ends in sending all of it."""
    return args.batch.command("run", *_picked(args), *more)


def _picked(args: RunArgs) -> list[str]:
    chosen = (("--limit", args.limit), ("--sample", args.sample))
    return [part for flag, value in chosen if value is not None for part in (flag, str(value))]


# -- before anything leaves ----------------------------------------------------------------------------------------


def _refuse_two_selections(args: RunArgs) -> None:
    if args.limit is not None and args.sample is not None:
        hint = "--limit takes the first tickets of the batch, --sample those that show what is in it; give one of them"
        raise UsageError("--limit and --sample exclude each other", hint)


def _selection(args: RunArgs) -> Selection | None:
    if args.sample is not None:
        return Sample(args.sample)
    return None if args.limit is None else First(args.limit)


def _dry_run(args: RunArgs, terminal: Terminal) -> ExitCode:
    _refuse_two_selections(args)
    if args.rebuild_log:
        hint = "leave --rebuild-log out to see what a first run would send; rebuilding itself sends nothing"
        raise UsageError("--dry-run opens no connection, and --rebuild-log needs one", hint)
    batch = args.batch.file()
    asked = planning.Asked(args.update_tickets, args.retry_rejected, OnRejection(args.on_rejection))
    planned = planning.plan(batch, args.rate, whose(args.batch), asked, usual_rate).under(args.share, utc_now())
    answer_plan(planned, args.format, terminal)
    tell_warnings(args.batch, batch, planned.survey, terminal)
    if picked := _picked(args):
        terminal.say(f"this is the whole batch: a run with {' '.join(picked)} takes only some of its tickets")
    more = ["--update-tickets"] if args.update_tickets else []
    terminal.say("dry run: nothing was sent", f"next: {_again(args, *more)}")
    return ExitCode.OK


def _run(args: RunArgs, terminal: Terminal) -> ExitCode:
    _refuse_two_selections(args)
    if args.format == "json" and args.events == "-":
        raise UsageError("--format json and --events - would both write to stdout", "give --events a file")
    with ExitStack() as stack:
        batch, options = _take(args, terminal)
        rebuilt = rebuild_log(args, batch, options, terminal) if args.rebuild_log else None
        if rebuilt is not None and rebuilt.halt is not None:
            return _conclude(args, batch, stopped(rebuilt), terminal, _again(args, "--rebuild-log"))
        prepared = prepare(batch, going_on(options, rebuilt), utc_now)
        stack.callback(prepared.close)
        sink = _sink(args, prepared, terminal, stack)
        _announce(args, prepared, terminal)
        result = idle(prepared)
        if result is None:
            consent = _consent(args, prepared, terminal)
            sending = Sending(prepared, sink, Watching(args.progress, prepared.name, terminal), utc_now, consent)
            sending.found = lambda findings: tell_all(findings, terminal, args.batch.encoding)
            if isinstance(sink, EventLines):
                sink.run = sending.run
            result = send(sending)
    return _conclude(args, batch, with_rebuilt(result, rebuilt), terminal)


def _take(args: RunArgs, terminal: Terminal) -> tuple[BatchFile, RunOptions]:
    """What to run and how. Refuses in the order: usage, credentials; the log and validity come with `prepare`."""
    base_url = check_base_url(args.batch.base_url) if args.batch.base_url else None
    if not Path(args.batch.path).exists():  # a misspelt name is told as what it is, whatever else is missing
        return args.batch.file(), _options(args, base_url, Credentials())
    options = _options(args, base_url, None)
    account = account_named(args.batch.file(), options)
    credentials = None if args.sandbox else credentials_of(terminal, account)
    secrets = credentials.secrets if credentials else None
    return args.batch.file(secrets), _options(args, base_url, credentials)


def _options(args: RunArgs, base_url: str | None, credentials: Credentials | None) -> RunOptions:
    return RunOptions(
        account=args.batch.said_account,
        base_url=base_url,
        credentials=credentials,
        sandbox=args.sandbox,
        progress_log=args.batch.log,
        rate=args.rate,
        share=args.share,
        selection=_selection(args),
        concurrency=args.concurrency or MOST,
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
        update_tickets=args.update_tickets,
        ignore_rules=args.ignore_rules,
        flags=args.flags,
    )


def _sink(args: RunArgs, prepared: Prepared, terminal: Terminal, stack: ExitStack) -> Sink:
    if args.events is None:
        return Nobody()
    _refuse_own_files(Path(args.events), prepared)
    return stack.enter_context(EventLines(args.events, terminal))


def _refuse_own_files(events: Path, prepared: Prepared) -> None:
    for taken in (prepared.batch.path, prepared.path):
        if events.resolve() == taken.resolve():
            raise UsageError(f"--events names {taken}, which is not its to write", "give it a file of its own")


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
    terminal.say(f"{visible(prepared.name)}: {count(found.tally.total, 'message')} for {where}{_part(prepared)}")
    before = {state.value: number for state, number in found.tally.counts.items() if state is not State.PENDING}
    if any(before.values()):
        terminal.say(f"it ran before: {standing(before)}")
    if found.to_send or found.to_settle:
        looks = f", {found.to_settle:,} of them in doubt and looked for first" if found.to_settle else ""
        rate = prepared.plan.rate
        number = found.to_send + found.to_settle
        time = text.about(spoken_duration(seconds_for(found.requests, rate, args.share, utc_now())))
        terminal.say(f"to do: {count(number, 'message')}{looks}; {time} at {rate_words(rate)}{text.part(args.share)}")
        terminal.say(*_attached(prepared.survey))
    if found.changed_tickets:
        differ = count(found.changed_tickets, "ticket differs", "tickets differ")
        then = "these are sent" if args.update_tickets else "these are left; --update-tickets sends them"
        terminal.say(f"{differ} in status, tags or other fields from what was sent: {then}")
    terminal.say(*_latest_end(args), *_who_is_mailed(args, prepared))
    terminal.say(f"progress log: {prepared.path}")


def _part(prepared: Prepared) -> str:
    """That the run takes only some of the batch's tickets."""
    if prepared.lanes is None:
        return ""
    how = "a sample" if isinstance(prepared.options.selection, Sample) else "the first ones"
    return f", in {len(prepared.lanes):,} of the batch's {prepared.survey.tickets:,} tickets ({how})"


def _attached(seen: Survey) -> Iterator[str]:
    """What leaves of attachments, where that is not just what the messages say."""
    if seen.uploads:
        yield f"attachments: {text.uploads(seen.uploads, seen.upload_bytes)}"
    if seen.left_out:
        yield f"attachments: {seen.left_out:,} left out, as --attachments skip says; a later run does not add them"


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


# -- afterwards ----------------------------------------------------------------------------------------------------


def _conclude(args: RunArgs, batch: BatchFile, result: RunResult, terminal: Terminal, following: str = "") -> ExitCode:
    """The answer on stdout, and a summary on stderr whose last line is the next command."""
    line = text.counts_line(result.batch, result.total, result.counts)
    terminal.say(*_ending(result))
    if args.format == "json":
        terminal.data([json.dump(result.as_json()) + "\n"])
    elif args.events != "-":
        terminal.answer(line)
    if args.format == "json" or args.events == "-" or not terminal.answers_to_person:
        terminal.say(line)
    terminal.say(*_details(args, batch, result))
    if result.sandbox is not None:
        terminal.say(*text.sandbox(result.sandbox))
    terminal.say(f"next: {following or _next(args, result)}")
    return result.exit_code


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


def _details(args: RunArgs, batch: BatchFile, result: RunResult) -> Iterator[str]:
    bad = result.counts[State.REJECTED] + result.counts[State.FAILED]
    if bad:
        yield from text.troubles(first_troubles(batch, result, min(bad, _TROUBLES_SHOWN)), bad)
    if result.counts[State.HELD_BACK]:
        held = count(result.counts[State.HELD_BACK], "message waits", "messages wait")
        yield f"held back: {held} because an earlier message of the same ticket did not arrive"
    if result.counts[State.IN_DOUBT]:
        doubt = count(result.counts[State.IN_DOUBT], "message")
        yield (
            f"in doubt: {doubt} may or may not have arrived; `bulkmsg resolve` looks for them once more, "
            "and takes your word for what it cannot find"
        )
    yield from text.duplicates(result.duplicates)
    yield from _tickets(result)
    if result.exit_code is ExitCode.OK and _picked(args) and not args.sandbox:
        yield f"look at these tickets in the helpdesk; without {' '.join(_picked(args))} the next run sends the rest"
    if result.more_possible is not None and not args.sandbox:
        yield f"the account allows more: {rate_words(result.more_possible)}; --rate held this run back"


def _tickets(result: RunResult) -> Iterator[str]:
    if result.tickets_updated:
        yield f"updated: {count(result.tickets_updated, 'ticket')} got the fields that were changed in the batch"
    for external_id, ticket, why in result.tickets_refused[:_TROUBLES_SHOWN]:
        yield f"not updated: ticket {ticket} ({visible(external_id)}): {visible(why)}"
    if len(result.tickets_refused) > _TROUBLES_SHOWN:
        yield f"not updated: {len(result.tickets_refused) - _TROUBLES_SHOWN:,} tickets more"


def first_troubles(batch: BatchFile, result: RunResult, most: int) -> list[Trouble]:
    """The first messages that did not arrive, in the order of the batch, from its progress log."""
    found: list[Trouble] = []
    with suppress(BulkmsgError):  # the batch may have been edited meanwhile; results tells more then
        history = History(batch, None, None, result.log)
        bad = (each for each in history.results() if each.outcome in (State.REJECTED, State.FAILED))
        for each in islice(bad, most):
            found.append(Trouble(each.key, f"{each.file}:{each.line}", each.outcome.value, each.error or ""))
    return found


def _next(args: RunArgs, result: RunResult) -> str:
    if args.sandbox:
        batch = replace(args.batch, typed=tuple(pair for pair in args.batch.typed if pair[0] != "--progress-log"))
        if result.exit_code is ExitCode.OK:
            return batch.command("run", *_picked(args))
        following = next_command(batch, result.counts, "--progress-log", str(result.log), mend=result.mend)
        over = following.startswith(("bulkmsg run", "bulkmsg resolve"))  # what it ran in has ended
        return batch.command("run", *_picked(args), "--sandbox") if over else following
    if result.reason and not result.mend:
        return _again(args)
    following = next_command(args.batch, result.counts, mend=result.mend)
    return _again(args) if following.startswith("bulkmsg run") else following
