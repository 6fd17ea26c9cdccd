"""`bulkmsg validate`: every finding, and whether there are errors. Opens no socket."""

from __future__ import annotations

from dataclasses import dataclass
from typing import TYPE_CHECKING, Any

import click

from bulkmsg.cli.options import ENVIRONMENT, BatchArgs, batch_options, format_option, option, take_batch
from bulkmsg.cli.terminal import Terminal
from bulkmsg.errors import ExitCode

if TYPE_CHECKING:
    from bulkmsg.validation.survey import Survey

_EVERYTHING = 10**9


@dataclass(frozen=True)
class ValidateArgs:
    batches: tuple[BatchArgs, ...]
    format: str
    strict: bool
    most: int


@click.command("validate", epilog=ENVIRONMENT)
@click.argument("batches", metavar="BATCH...", nargs=-1, required=True)
@format_option("text", "json")
@option("--strict", is_flag=True, help="Warnings count as well: exit 1 if there is one.")
@option(
    "--max-findings",
    type=click.IntRange(min=0),
    metavar="N",
    default=100,
    show_default=True,
    help="Show at most so many for each file; 0 shows all.",
)
@batch_options(log=False)
@click.pass_context
def command(ctx: click.Context, /, batches: tuple[str, ...], strict: bool, max_findings: int, **given: Any) -> int:
    """Check batches and report everything that is wrong with them.

    Reads every file to its end, the files named by `from:` too, and sends nothing. Exit code 0: no errors; 1: errors
    were found; 3: a file could not be read at all.
    """
    output = given.pop("format")
    listed = tuple(take_batch(ctx, path, dict(given)) for path in batches)
    return validate(ValidateArgs(listed, output, strict, max_findings or _EVERYTHING), ctx.obj)


def validate(args: ValidateArgs, terminal: Terminal) -> ExitCode:
    """Check the batches, answer, and say whether they are valid."""
    from bulkmsg.validation.findings import Findings
    from bulkmsg.validation.survey import survey

    alike = args.most if args.most == _EVERYTHING else Findings.alike
    # More are collected than shown: the first by place are not the first that are found, and small counts stay exact.
    most = max(args.most, Findings.most)
    seen = [survey(batch.file(), deep=False, findings=Findings(most, alike)) for batch in args.batches]
    if args.format == "json":
        _answer_json(args, seen, terminal)
    else:
        _answer_text(args, seen, terminal)
    code = exit_code(args, seen)
    if code is ExitCode.OK and len(seen) == 1 and args.format == "text":
        terminal.say(f"next: {args.batches[0].command('plan')}")
    return code


def exit_code(args: ValidateArgs, seen: list[Survey]) -> ExitCode:
    """3 when a batch could not be looked at, 1 when the look found errors."""
    from bulkmsg.diagnostic import Severity

    unread = any(
        found.rule == "BM101" and found.file == batch.path
        for batch, each in zip(args.batches, seen, strict=True)
        for found in each.findings.kept
    )
    if unread:
        return ExitCode.INVALID
    bad = any(each.findings.errors or (args.strict and each.findings.counts[Severity.WARNING]) for each in seen)
    return ExitCode.FINDINGS if bad else ExitCode.OK


def _answer_json(args: ValidateArgs, seen: list[Survey], terminal: Terminal) -> None:
    from bulkmsg.diagnostic import Severity
    from bulkmsg.reports import json
    from bulkmsg.reports.findings import in_order

    counts = {severity: sum(each.findings.counts[severity] for each in seen) for severity in Severity}
    shown = [found for each in seen for found in in_order(each.findings.kept)[: args.most]]
    answer = json.validation(sum(each.messages for each in seen), counts, shown, valid=all(each.valid for each in seen))
    terminal.data([json.dump(answer, indent=2) + "\n"])


def _answer_text(args: ValidateArgs, seen: list[Survey], terminal: Terminal) -> None:
    from bulkmsg.cli.findings import lines_of
    from bulkmsg.diagnostic import Severity
    from bulkmsg.reports.findings import blocks, in_order, left_out, verdict

    for batch, each in zip(args.batches, seen, strict=True):
        shown = in_order(each.findings.kept)[: args.most]
        for block in blocks(shown, lines_of(shown, batch.encoding)):
            if not terminal.answer(block):
                return
        if (total := each.findings.counts.total()) > len(shown):
            terminal.answer(left_out(len(shown), total, at_least=each.findings.full))
        terminal.answer(verdict(each.findings.counts, [batch.path], each.messages, at_least=each.findings.full))
    if len(seen) > 1:
        counts = {severity: sum(each.findings.counts[severity] for each in seen) for severity in Severity}
        names, messages = [batch.path for batch in args.batches], sum(each.messages for each in seen)
        terminal.answer(verdict(counts, names, messages, at_least=any(each.findings.full for each in seen)))
