"""The errors that end a command, and the exit codes they end it with.

A finding about the batch is never an exception: it is a `Diagnostic`, a value with a place. What stands here is what
stops a whole command. The tree, with the exit code that the roof gives each one:

    BulkmsgError                70 unless a child says otherwise
      UsageError                 2 the command line contradicts itself or names what does not exist
      InvalidBatch               3 the batch is invalid, unreadable or changed; carries its diagnostics
      Refused                    4 credentials, rights, wrong account, sending without consent
      LogUnusable                7 the progress log is missing, damaged, or cannot be written
        LogInUse                 7 another run uses it, or may still use it
        LogDamaged               7 it is ours and not as it was written: it can be rebuilt
"""

from __future__ import annotations

from collections.abc import Iterable
from enum import IntEnum
from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from bulkmsg.diagnostic import Diagnostic


class ExitCode(IntEnum):
    """How a command ended; docs/exit-codes.md is the page of this enum."""

    OK = 0
    FINDINGS = 1
    USAGE = 2
    INVALID = 3
    REFUSED = 4
    STOPPED = 5
    IN_DOUBT = 6
    LOG = 7
    BUG = 70
    SIGHUP = 129
    SIGINT = 130
    SIGTERM = 143


# When several apply, the one that most needs a person wins.
_PRECEDENCE = (
    ExitCode.BUG,
    ExitCode.SIGHUP,
    ExitCode.SIGINT,
    ExitCode.SIGTERM,
    ExitCode.LOG,
    ExitCode.REFUSED,
    ExitCode.INVALID,
    ExitCode.IN_DOUBT,
    ExitCode.STOPPED,
    ExitCode.FINDINGS,
    ExitCode.USAGE,
    ExitCode.OK,
)


def worst(codes: Iterable[ExitCode]) -> ExitCode:
    """The code that wins when several apply; OK when none does."""
    found = set(codes)
    return next((code for code in _PRECEDENCE if code in found), ExitCode.OK)


class BulkmsgError(Exception):
    """What stops a command: what happened, and the way out in `hint`."""

    exit_code = ExitCode.BUG

    def __init__(self, message: str, hint: str = "") -> None:
        super().__init__(message)
        self.message = message
        self.hint = hint


class UsageError(BulkmsgError):
    exit_code = ExitCode.USAGE


class InvalidBatch(BulkmsgError):
    """The batch cannot be run as it stands; nothing was sent because of it."""

    exit_code = ExitCode.INVALID

    def __init__(self, message: str, hint: str = "", diagnostics: Iterable[Diagnostic] = ()) -> None:
        super().__init__(message, hint)
        self.diagnostics = tuple(diagnostics)


class Refused(BulkmsgError):
    exit_code = ExitCode.REFUSED


class LogUnusable(BulkmsgError):
    exit_code = ExitCode.LOG


class LogInUse(LogUnusable):
    """Another run uses the log, or was left open on another machine and may."""


class LogDamaged(LogUnusable):
    """What stands there was once a progress log of ours, or is empty; what was sent can be read in the helpdesk."""
