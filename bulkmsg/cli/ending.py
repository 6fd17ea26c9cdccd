"""Carrying out a command that may be interrupted: whatever ends it, the last line names the command to type next."""

from __future__ import annotations

from collections.abc import Callable

from bulkmsg.app.signals import Interrupted, interruptible
from bulkmsg.cli.shell import tell
from bulkmsg.cli.terminal import Terminal
from bulkmsg.errors import BulkmsgError, ExitCode


def carried_out(
    act: Callable[[], ExitCode],
    terminal: Terminal,
    safe: str,
    again: str,
    after: Callable[[BulkmsgError], str],
) -> ExitCode:
    """Do it; errors and signals are told here.

    Args:
        safe: what a signal did not harm, in words.
        again: the command that goes on after a signal.
        after: the command to type after an error, empty for none.
    """
    try:
        with interruptible():
            return act()
    except Interrupted as error:
        terminal.say(f"{error}; {safe}", f"next: {again}")
        return error.exit_code
    except BulkmsgError as error:
        tell(error, terminal)
        following = after(error)
        if following:
            terminal.say(f"next: {following}")
        return error.exit_code
