"""Runs the command line and turns whatever ends it into a text and an exit code. The last handler stands here."""

from __future__ import annotations

import gc
import os
import traceback
from collections.abc import Iterator, Sequence
from pathlib import Path

import click
from click.core import ParameterSource

from bulkmsg import __version__
from bulkmsg.cli.root import root
from bulkmsg.cli.terminal import Terminal
from bulkmsg.errors import BulkmsgError, ExitCode, InvalidBatch
from bulkmsg.reports.words import visible

DEBUG = "BULKMSG_DEBUG"
_PACKAGE = Path(__file__).resolve().parent.parent


def call(arguments: Sequence[str] | None) -> int:
    """Run a command line; never raises."""
    # Batches are many small values that die at once: Python's default of looking for cycles every 700 costs a tenth.
    gc.set_threshold(50_000, 20, 100)
    terminal = Terminal()
    code = _guarded(arguments, terminal)
    terminal.close()
    if terminal.lost:
        terminal.say(f"error: the answer could not be written: {terminal.lost}")
        code = code or ExitCode.FINDINGS
    return int(code)


def _guarded(arguments: Sequence[str] | None, terminal: Terminal) -> int:
    try:
        return _run(arguments, terminal)
    except KeyboardInterrupt:
        terminal.say("interrupted")
        return ExitCode.SIGINT
    except Exception as error:
        _tell_bug(error, terminal)
        return ExitCode.BUG


def _run(arguments: Sequence[str] | None, terminal: Terminal) -> int:
    try:
        ended = root.main(
            None if arguments is None else list(arguments), "bulkmsg", standalone_mode=False, obj=terminal
        )
    except click.ClickException as error:
        _tell_usage(error, terminal)
        return error.exit_code
    except click.Abort:
        terminal.say("interrupted")
        return ExitCode.SIGINT
    except BulkmsgError as error:
        tell(error, terminal)
        return error.exit_code
    except OSError as error:
        if not _while_printing_help(error):
            raise
        terminal.lose(error)
        return ExitCode.OK
    return ended if isinstance(ended, int) else ExitCode.OK


def tell(error: BulkmsgError, terminal: Terminal) -> None:
    """What stopped a command, and what to do."""
    if isinstance(error, InvalidBatch) and error.diagnostics:
        from bulkmsg.cli.findings import tell_findings

        tell_findings(error.diagnostics, terminal)
    terminal.say(f"error: {visible(error.message)}")
    if error.hint:
        terminal.say(f"hint: {visible(error.hint)}")


def _tell_usage(error: click.ClickException, terminal: Terminal) -> None:
    context = getattr(error, "ctx", None)
    terminal.say(f"error: {visible(error.format_message())}{_from_environment(error)}")
    if context is not None:
        terminal.say(context.get_usage(), f"hint: {context.command_path} --help tells more")


def _from_environment(error: click.ClickException) -> str:
    """Where a wrong value comes from, if nobody typed it."""
    param, context = getattr(error, "param", None), getattr(error, "ctx", None)
    if param is None or context is None or param.name is None:
        return ""
    unseen = context.get_parameter_source(param.name) is ParameterSource.ENVIRONMENT
    return f" (from {param.envvar} in the environment)" if unseen else ""


def _while_printing_help(error: OSError) -> bool:
    """Click itself writes help and version; where stdout fails then, it is no bug."""
    return any(
        frame.name == "echo" and "click" in frame.filename for frame in traceback.extract_tb(error.__traceback__)
    )


def _tell_bug(error: Exception, terminal: Terminal) -> None:
    """A bug's report holds no text of the error itself: that may quote the batch."""
    terminal.say(
        f"error: bulkmsg {__version__} met a bug: {type(error).__name__} at {_where(error)}",
        "hint: please report this line, with the command you typed; nothing private stands in it. "
        "What was sent before stands in the progress log, and running again goes on from there",
    )
    if os.environ.get(DEBUG) == "1":
        terminal.say(_masked("".join(traceback.format_exception(error))).rstrip("\n"))
    else:
        terminal.say(f"hint: {DEBUG}=1 shows the whole traceback, which may quote your batch")


def _where(error: Exception) -> str:
    """The last place in our own code."""
    ours = list(_own_frames(error))
    return ours[-1] if ours else "an unknown place"


def _own_frames(error: Exception) -> Iterator[str]:
    for frame in traceback.extract_tb(error.__traceback__):
        path = Path(frame.filename)
        if path.is_relative_to(_PACKAGE):
            yield f"{path.relative_to(_PACKAGE)}:{frame.lineno}"


def _masked(text: str) -> str:
    """A traceback without the credentials in use."""
    from bulkmsg.credentials import NAMES, known_secrets

    named = [os.environ.get(name, "") for name in NAMES]
    for secret in sorted({*known_secrets(os.environ), *named} - {""}, key=len, reverse=True):
        text = text.replace(secret, "[masked]")
    return text
