"""`bulkmsg init`: a small commented batch of each mode, to begin with."""

from __future__ import annotations

import shlex
from pathlib import Path

import click

from bulkmsg.cli.terminal import Terminal
from bulkmsg.errors import ExitCode


@click.command("init")
@click.argument("folder", metavar="[DIR]", default=".")
@click.pass_context
def command(ctx: click.Context, /, folder: str) -> int:
    """Write a small commented batch to begin with.

    Into DIR, or the folder you are in: batch.yaml brings history in and mails nobody; send.yaml writes to each
    customer in customers.csv; schemas/ lets editors complete and check while you type. Nothing is ever overwritten.
    """
    return init(Path(folder), ctx.obj)


def init(folder: Path, terminal: Terminal) -> ExitCode:
    """Write the starter and name the next commands.

    Raises:
        UsageError: something of the same name stands there.
    """
    from bulkmsg.app.start import IGNORED, start

    started = start(folder)
    terminal.answer(*(f"wrote {folder / name}" for name in started.written if not name.startswith("schemas/")))
    terminal.answer(f"wrote {folder / 'schemas'}{'/'} ({sum(n.startswith('schemas/') for n in started.written)} files)")
    if started.kept:
        terminal.say(f"{folder / '.gitignore'} was there and is as it was; these lines belong into it:", *IGNORED)
    batch = shlex.quote(str(folder / "batch.yaml"))
    terminal.say(f"try it on this machine: bulkmsg run {batch} --sandbox", f"next: bulkmsg validate {batch}")
    return ExitCode.OK
