"""`bulkmsg preview`: a sample of a batch in a sandbox, on a page that shows it as an agent would see it."""

from __future__ import annotations

import os
import sys
from collections.abc import Iterator
from contextlib import suppress
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any

import click

from bulkmsg.cli.options import BatchArgs, attachments_option, batch_options, option, take_batch
from bulkmsg.cli.terminal import Terminal
from bulkmsg.errors import BulkmsgError, ExitCode, InvalidBatch

if TYPE_CHECKING:
    from bulkmsg.app.preview import Preview

USUAL_SAMPLE = 50


@dataclass(frozen=True)
class PreviewArgs:
    """Which batch to show, how many of its tickets (None for all), and where."""

    batch: BatchArgs
    sample: int | None
    port: int
    browser: bool


@click.command("preview")
@click.argument("batch", metavar="BATCH")
@option(
    "--sample",
    type=click.IntRange(min=1),
    metavar="N",
    default=USUAL_SAMPLE,
    show_default=True,
    help="N tickets that show every type, channel and oddity of the batch.",
)
@option("--all", "everything", is_flag=True, help="All tickets of the batch.")
@option(
    "--port",
    type=click.IntRange(0, 65535),
    default=0,
    metavar="N",
    help="Where the page is on this machine. [default: a free port]",
)
@option("--no-browser", is_flag=True, help="Only print the address of the page.")
@attachments_option
@batch_options(log=False)
@click.pass_context
def command(ctx: click.Context, /, batch: str, **given: Any) -> int:
    """Show tickets of a batch as an agent would see them.

    They are sent to a sandbox inside this command, as run would send them, and a page of this machine shows the
    tickets and who would have been mailed. Nothing leaves this machine, no credentials are needed, and the batch's
    progress log is not touched. Ctrl-C ends it, and all is forgotten.
    """
    args = take_batch(ctx, batch, given)
    sample = None if given["everything"] else given["sample"]
    return preview(PreviewArgs(args, sample, given["port"], not given["no_browser"]), ctx.obj)


def preview(args: PreviewArgs, terminal: Terminal) -> ExitCode:
    """Carry out the command; to be told to stop is its usual end."""
    from bulkmsg.app.signals import Interrupted
    from bulkmsg.cli.ending import carried_out

    def act() -> ExitCode:
        with suppress(Interrupted):
            _show(args, terminal)
        terminal.say("stopped; the sandbox and its tickets are gone", f"next: {args.batch.command('run')}")
        return ExitCode.OK

    return carried_out(act, terminal, "nothing was sent", args.batch.command("preview"), lambda e: _after(e, args))


def _after(error: BulkmsgError, args: PreviewArgs) -> str:
    found = isinstance(error, InvalidBatch) and error.diagnostics
    return args.batch.command("validate") if found else ""


def _show(args: PreviewArgs, terminal: Terminal) -> None:
    from bulkmsg.app.preview import Asked
    from bulkmsg.app.preview import preview as rehearse
    from bulkmsg.cli.watching import Nobody, Watching
    from bulkmsg.sample import Sample

    batch = args.batch.file()
    asked = Asked(batch, None if args.sample is None else Sample(args.sample), args.port)

    def ready(seen: Preview) -> None:
        terminal.say(*_told(args, seen))
        terminal.answer(seen.url)
        if args.browser and terminal.answers_to_person and not _open(seen.url):
            terminal.say("no browser was found: open the address above in one")

    rehearse(asked, Nobody(), Watching("auto", args.batch.path, terminal), ready)


def _told(args: PreviewArgs, seen: Preview) -> Iterator[str]:
    from bulkmsg.cli.running import first_troubles
    from bulkmsg.outcome import State
    from bulkmsg.reports import text
    from bulkmsg.reports.words import count

    result = seen.result
    part = "all" if seen.tickets == seen.of else f"a sample of the batch's {seen.of:,}"
    yield f"{text.counts_line(result.batch, result.total, result.counts)}, in {count(seen.tickets, 'ticket')} ({part})"
    bad = result.counts[State.REJECTED] + result.counts[State.FAILED]
    if bad:
        yield from text.troubles(first_troubles(args.batch.file(), result, min(bad, 10)), bad)
    if result.reason:
        yield f"it stopped early: {result.reason}"
    yield "the page is at the address below, on this machine alone; Ctrl-C ends it"


def _open(url: str) -> bool:
    """Open the page in a browser; False where there is none with a window."""
    import webbrowser

    windows = sys.platform in ("darwin", "win32") or any(map(os.environ.get, ("DISPLAY", "WAYLAND_DISPLAY")))
    with suppress(webbrowser.Error, OSError):
        return bool(windows) and webbrowser.open(url)
    return False
