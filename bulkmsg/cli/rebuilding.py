"""`bulkmsg run --rebuild-log` before it sends: what is read back from the helpdesk, and what it showed."""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import replace

from bulkmsg.app.prepare import RunOptions
from bulkmsg.app.rebuild import AlreadyRebuilt, Rebuilding, begin_rebuild, rebuild
from bulkmsg.app.rebuilder import Rebuilt
from bulkmsg.app.result import RunResult
from bulkmsg.app.run import utc_now
from bulkmsg.cli.run import RunArgs
from bulkmsg.cli.terminal import Terminal
from bulkmsg.cli.watching import Nobody, Watching
from bulkmsg.deadline import Stretch
from bulkmsg.errors import ExitCode, worst
from bulkmsg.outcome import State
from bulkmsg.plan import seconds_for
from bulkmsg.progress import spoken_duration
from bulkmsg.reports import text
from bulkmsg.reports.words import count, rate_words, standing, visible
from bulkmsg.settings import Credentials
from bulkmsg.validation.survey import BatchFile


def rebuild_log(args: RunArgs, batch: BatchFile, options: RunOptions, terminal: Terminal) -> Rebuilt | None:
    """Rebuild the log and tell about it. None if an earlier try has done so.

    Raises:
        UsageError, Refused, InvalidBatch, LogUnusable: why that cannot be; nothing was sent.
    """
    try:
        plan = begin_rebuild(batch, options, utc_now)
    except AlreadyRebuilt:
        terminal.say("the progress log is rebuilt already; the run goes on with it")
        return None
    terminal.say(*_before(plan))
    assert plan.survey.header is not None
    done = rebuild(plan, Nobody(), Watching(args.progress, plan.survey.header.name, terminal))
    if done.halt is None:
        terminal.say(*_after(done))
    return done


def _before(plan: Rebuilding) -> Iterator[str]:
    seen, options = plan.survey, plan.options
    rate = options.rate or (options.credentials or Credentials()).default_rate
    if plan.kept is not None:
        yield f"the damaged progress log is kept as {plan.kept}"
    if plan.witness is not None:
        counts = {state.value: number for state, number in plan.witness.counts.items()}
        yield f"what stands before the damage says {standing(counts)}; what counts is what stands in the helpdesk"
    more = " goes on being" if plan.resumed else " is"
    # A ticket on which something is missing is asked for itself as well.
    time = text.about(spoken_duration(seconds_for(2 * seen.tickets, rate) + 2 * options.settle))
    yield (
        f"the progress log{more} rebuilt from the helpdesk: {count(seen.tickets, 'ticket')} read once each, {time} at "
        f"most at {rate_words(rate)}; nothing is sent meanwhile"
    )


def _after(done: Rebuilt) -> Iterator[str]:
    spent = f"{spoken_duration(done.seconds)}, {count(done.requests, 'request')}"
    absent, doubt = done.counts[State.PENDING], done.counts[State.IN_DOUBT]
    yield f"the progress log is rebuilt: {done.counts[State.CREATED]:,} found, {absent:,} surely not there ({spent})"
    if doubt:
        verb = "is" if doubt == 1 else "are"
        yield (
            f"in doubt: {count(doubt, 'message')} {verb} not sent by this run, as not finding them does not show that "
            "they never arrived, or could not be looked for"
        )
    if done.nothing_of_ours:
        yield (
            "the helpdesk seems not to keep external ids: none of this batch was met, but its texts were. "
            "Nothing of this batch is sent before a person says so"
        )
    elif done.held:
        held = count(done.held, "message")
        yield f"of them {held} will be sent again only if a person says so: what was seen speaks against it"


def going_on(options: RunOptions, rebuilt: Rebuilt | None) -> RunOptions:
    """How the run goes on after its log was rebuilt, in the time that is left of `--max-duration`."""
    if rebuilt is None:
        return options
    longest = options.max_duration
    left = Stretch(max(0.0, longest.seconds - rebuilt.seconds), longest.text) if longest else None
    return replace(options, looked=True, max_duration=left)


def stopped(rebuilt: Rebuilt) -> RunResult:
    """The answer of a run that ended while its log was being rebuilt."""
    assert rebuilt.halt is not None
    return RunResult(
        batch=rebuilt.batch,
        total=rebuilt.total,
        counts=rebuilt.counts,
        requests=rebuilt.requests,
        throttled=rebuilt.throttled,
        seconds=rebuilt.seconds,
        exit_code=rebuilt.halt.code,
        log=rebuilt.log,
        reason=f"{rebuilt.halt.reason}; the log is not rebuilt yet, and nothing was sent",
        hint=visible(rebuilt.halt.hint),
        duplicates=rebuilt.duplicates,
    )


def with_rebuilt(result: RunResult, rebuilt: Rebuilt | None) -> RunResult:
    """The run's answer, with what rebuilding its log took and found."""
    if rebuilt is None:
        return result
    found = ExitCode.FINDINGS if rebuilt.duplicates else ExitCode.OK
    return replace(
        result,
        requests=result.requests + rebuilt.requests,
        throttled=result.throttled + rebuilt.throttled,
        seconds=result.seconds + rebuilt.seconds,
        duplicates=rebuilt.duplicates + result.duplicates,
        exit_code=worst([result.exit_code, found]),
    )
