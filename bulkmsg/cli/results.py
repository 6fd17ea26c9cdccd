"""`bulkmsg results`: what became of every message, in the order of the batch."""

from __future__ import annotations

from collections import Counter
from collections.abc import Iterator
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any

import click

from bulkmsg.cli.options import ENVIRONMENT, BatchArgs, batch_options, option, take_batch
from bulkmsg.cli.terminal import Terminal
from bulkmsg.errors import ExitCode, UsageError

if TYPE_CHECKING:
    from bulkmsg.app.history import History
    from bulkmsg.source import Json


class _Format(click.Choice[str]):
    """The formats, and what BULKMSG_FORMAT, which all commands share, means here."""

    def __init__(self) -> None:
        super().__init__(["csv", "jsonl", "table"])

    def convert(self, value: Any, param: click.Parameter | None, ctx: click.Context | None) -> str:
        return super().convert({"json": "jsonl", "text": "table"}.get(value, value), param, ctx)


@dataclass(frozen=True)
class ResultsArgs:
    batch: BatchArgs
    format: str | None
    only: frozenset[str]


@click.command("results", epilog=ENVIRONMENT)
@click.argument("batch", metavar="BATCH")
@option("--format", type=_Format(), help="How the answer is written; by itself a table on a terminal, csv elsewhere.")
@option("--only", metavar="OUTCOMES", multiple=True, help="Only these, such as rejected,failed.")
@batch_options(log=True)
@click.pass_context
def command(ctx: click.Context, /, batch: str, only: tuple[str, ...], **given: Any) -> int:
    """List what became of every message of a batch.

    One line for each entry, in the order of the batch, with its key, the helpdesk's ids and what the helpdesk said.
    Outcomes are created, rejected, failed, held_back, in_doubt, undone and pending.
    """
    output = given.pop("format")
    return results(ResultsArgs(take_batch(ctx, batch, given), output, outcomes(only)), ctx.obj)


def outcomes(said: tuple[str, ...]) -> frozenset[str]:
    """The outcomes that are wanted; none said means all.

    Raises:
        UsageError: there is no such outcome.
    """
    from bulkmsg.outcome import COUNTED

    known = [state.value for state in COUNTED]
    wanted = frozenset(part.strip().replace("-", "_") for text in said for part in text.split(",") if part.strip())
    for name in sorted(wanted.difference(known)):
        raise UsageError(f"--only: there is no outcome {name!r}", f"there are: {', '.join(known)}")
    return wanted or frozenset(known)


def results(args: ResultsArgs, terminal: Terminal) -> ExitCode:
    """Answer with a line for each entry.

    Raises:
        UsageError, LogUnusable, InvalidBatch: as `History`.
    """
    from bulkmsg.app.history import History
    from bulkmsg.reports.results import FORMATS
    from bulkmsg.reports.words import count

    batch = args.batch
    history = History(batch.file(), batch.said_account, batch.base_url, batch.log)
    output = args.format or ("table" if terminal.answers_to_person else "csv")
    doubt = Counter[str]()
    terminal.data(FORMATS[output](_rows(history, args.only, doubt)))
    if history.fold is None:
        terminal.say(f"it never ran: there is no progress log{f' {history.path}' if history.path else ''}")
    if history.removed:
        gone = count(history.removed, "entry", "entries")
        terminal.say(f"not listed: {gone} of the progress log that the batch no longer holds")
    if doubt:
        terminal.say(f"next: {batch.command('resolve')}")
    return ExitCode.OK


def _rows(history: History, only: frozenset[str], doubt: Counter[str]) -> Iterator[dict[str, Json]]:
    """The lines that are wanted; counts on the way what is in doubt, wanted or not."""
    for result in history.results():
        if result.outcome.value == "in_doubt":
            doubt["in_doubt"] += 1
        if result.outcome.value in only:
            yield result.as_json()
