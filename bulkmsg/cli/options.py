"""Flags that commands share, and the values they are read into. Nothing here opens a file or loads a heavy library."""

from __future__ import annotations

import os
import shlex
from collections.abc import Callable
from dataclasses import dataclass
from datetime import UTC, datetime
from pathlib import Path
from typing import TYPE_CHECKING, Any, TypeVar

import click
from click.core import ParameterSource

from bulkmsg import deadline, settings, share, stopping
from bulkmsg.errors import UsageError

if TYPE_CHECKING:
    from bulkmsg.batch import BatchOptions
    from bulkmsg.validation.survey import BatchFile

Decorated = TypeVar("Decorated", bound=Callable[..., Any])
Decorator = Callable[[Decorated], Decorated]

# What decides whom is written to is said with the command itself: a forgotten variable must not say it.
# So is what vouches for something at that moment: that no other machine goes on with the log, that it is lost.
_NEVER_FROM_ENVIRONMENT = frozenset({"mode", "allow-send", "yes", "resend", "rebuild-log", "takeover"})


ENVIRONMENT = (
    "Every flag but --mode, --allow-send, --yes, --resend, --rebuild-log and --takeover can also be set in the "
    "environment: BULKMSG_RATE is --rate, BULKMSG_PROGRESS_LOG is --progress-log."
)


def option(*names: str, prefix: str = "", **more: Any) -> Decorator[Any]:
    """A flag, and the variable `BULKMSG_...` that is named after it."""
    flag = next(name for name in names if name.startswith("--")).partition("/")[0].removeprefix("--")
    if flag not in _NEVER_FROM_ENVIRONMENT:
        more.setdefault("envvar", f"BULKMSG_{prefix}{flag}".replace("-", "_").upper())
    return click.option(*names, **more)


class _Parsed(click.ParamType[Any]):
    """A text that one of our own functions reads."""

    def __init__(self, name: str, read: Callable[[str], Any]) -> None:
        self.name = name
        self._read = read

    def convert(self, value: Any, param: click.Parameter | None, ctx: click.Context | None) -> Any:
        if not isinstance(value, str):
            return value
        try:
            return self._read(value)
        except UsageError as error:
            self.fail(f"{error.message}; {error.hint}", param, ctx)


def _seconds(text: str) -> float:
    seconds = settings.parse_duration(text)
    if not 0 <= seconds <= 7 * 86400:
        raise UsageError(f"{text} is too long", "give a week at most")
    return seconds


def _some_seconds(text: str) -> float:
    seconds = _seconds(text)
    if seconds == 0:
        raise UsageError("it is no time at all", "give something like 60s")
    return seconds


def _moment(text: str) -> deadline.Moment:
    return deadline.parse_stop_at(text, datetime.now(UTC))


def _delimiter(text: str) -> str:
    meant = {"\\t": "\t", "tab": "\t"}.get(text, text)
    if len(meant) != 1:
        raise UsageError(f"{text!r} is not one character", "write it like ';', or tab")
    return meant


RATE = _Parsed("rate", settings.parse_rate)
SHARE = _Parsed("share", share.parse_share)
DURATION = _Parsed("duration", _seconds)
TIMEOUT = _Parsed("duration", _some_seconds)
ERRORS = _Parsed("errors", stopping.parse_error_limit)
STRETCH = _Parsed("duration", deadline.parse_stretch)
MOMENT = _Parsed("time", _moment)
DELIMITER = _Parsed("character", _delimiter)

# Flags of the commands that talk to the helpdesk.
rate_option = option(
    "--rate", type=RATE, metavar="40/20s", help="At most so many requests per time; the helpdesk's limit counts too."
)
share_option = option(
    "--share",
    type=SHARE,
    metavar="60%",
    default="100%",
    help='At most this part of the limit; by a timetable: "08:00-18:00=40%, *=95%".',
)
settle_option = option(
    "--settle",
    type=DURATION,
    metavar="60s",
    default="60s",
    show_default=True,
    help="Until the helpdesk surely lists what it accepted.",
)
timeout_option = option(
    "--timeout", type=TIMEOUT, metavar="60s", default="60s", show_default=True, help="How long to wait for one answer."
)
takeover_option = option(
    "--takeover", is_flag=True, help="Go on with a log that a run on another machine left open. It must have ended."
)

attachments_option = option(
    "--attachments",
    type=click.Choice([each.value for each in settings.Attachments]),
    default=settings.Attachments.UPLOAD.value,
    show_default=True,
    help="What leaves of attachments: files uploaded and links, links alone, or nothing.",
)

# The flags that say which batch is meant and how to read it: they belong to the next command as well.
_BATCH_FLAGS = {
    "mode": "--mode",
    "name": "--name",
    "account": "--account",
    "assume_timezone": "--assume-timezone",
    "delimiter": "--delimiter",
    "encoding": "--encoding",
    "progress_log": "--progress-log",
    "attachments": "--attachments",
}
# The only commands for which it makes a difference what leaves of attachments.
_SENDING = frozenset({"run", "plan", "preview"})


def batch_options(*, log: bool) -> Decorator[Any]:
    """The flags shared by all that read a batch; with `log` also the one for its progress log."""
    flags = [
        option(
            "--mode", type=click.Choice(["import", "send"]), help="import stores history and mails nobody; send mails."
        ),
        option("--name", metavar="NAME", help="The batch's name, instead of the one in its header."),
        option("--account", metavar="NAME", help="The account: acme for https://acme.gorgias.com."),
        option("--assume-timezone", metavar="ZONE", help="For dates without one, such as Europe/Berlin."),
        option(
            "--delimiter",
            type=DELIMITER,
            metavar="CHAR",
            help="What parts the cells of a CSV: ';' or tab; default a comma.",
        ),
        option("--encoding", metavar="NAME", help="For files that are not UTF-8, such as windows-1252."),
    ]
    if log:
        help_text = "The progress log, if it is not beside the batch."
        flags.append(option("--progress-log", metavar="PATH", help=help_text))

    def decorate(function: Decorated) -> Decorated:
        for flag in reversed(flags):
            function = flag(function)
        return function

    return decorate


update_tickets_option = option(
    "--update-tickets", is_flag=True, help="Send changed fields of tickets that are there, such as status and tags."
)


def format_option(
    *choices: str, default: str | None = "text", help: str = "How the answer is written."
) -> Decorator[Any]:
    return option("--format", type=click.Choice(choices), default=default, show_default=default is not None, help=help)


@dataclass(frozen=True)
class BatchArgs:
    """Which batch is meant. `typed` are the flags above as they were typed."""

    path: str
    mode: str | None = None
    name: str | None = None
    account: str | None = None
    assume_timezone: str | None = None
    delimiter: str | None = None
    encoding: str | None = None
    progress_log: str | None = None
    attachments: str = settings.Attachments.UPLOAD.value
    typed: tuple[tuple[str, str], ...] = ()

    @property
    def said_account(self) -> str | None:
        """The account by the command line or the environment."""
        return self.account or os.environ.get("GORGIAS_ACCOUNT") or None

    @property
    def base_url(self) -> str | None:
        return os.environ.get("GORGIAS_BASE_URL") or None

    @property
    def log(self) -> Path | None:
        return Path(self.progress_log) if self.progress_log else None

    def options(self) -> BatchOptions:
        from bulkmsg.batch import BatchOptions
        from bulkmsg.message import Mode

        return BatchOptions(
            mode=Mode(self.mode) if self.mode else None,
            name=self.name,
            account=self.account,
            timezone=self.assume_timezone,
            delimiter=self.delimiter,
            encoding=self.encoding,
            attachments=settings.Attachments(self.attachments),
            picked=self.said_account,
        )

    def file(self, secrets: tuple[str, ...] | None = None) -> BatchFile:
        """The batch file; without `secrets` those of the environment are looked for in it."""
        from bulkmsg.credentials import known_secrets
        from bulkmsg.validation.survey import BatchFile

        found = known_secrets(os.environ) if secrets is None else secrets
        return BatchFile(Path(self.path), self.path, self.options(), found)

    def command(self, verb: str, *more: str) -> str:
        """A command about the same batch, ready to be copied."""
        path = f"./{self.path}" if self.path.startswith("-") else self.path
        left_out = {"--progress-log"} if verb == "validate" or "--progress-log" in more else set()
        left_out |= set() if verb in _SENDING else {"--attachments"}
        flags = [part for name, value in self.typed if name not in left_out for part in (name, value)]
        return shlex.join(["bulkmsg", verb, path, *flags, *more])


# Paths would tell of the machine, and an account stands in the log's first line.
_NOT_LOGGED = frozenset({"batch", "progress_log", "events", "account", "format", "progress"})


def given_flags(ctx: click.Context, but: frozenset[str] = frozenset()) -> dict[str, str]:
    """The flags that were given, by the command line or the environment, as the progress log keeps them."""
    usual = (ParameterSource.DEFAULT, ParameterSource.DEFAULT_MAP)
    return {
        name.replace("_", "-"): str(value).lower() if isinstance(value, bool) else str(value)
        for name, value in ctx.params.items()
        if name not in _NOT_LOGGED | but and value is not None and ctx.get_parameter_source(name) not in usual
    }


def take_batch(ctx: click.Context, path: str, given: dict[str, Any]) -> BatchArgs:
    """Take the shared flags out of what click read.

    Raises:
        UsageError: a name that is none.
    """
    values = {name: given.pop(name) for name in _BATCH_FLAGS if name in given}
    if values.get("account"):
        settings.check_account(values["account"])
    typed = tuple(
        (_BATCH_FLAGS[name], "tab" if value == "\t" else value)
        for name, value in values.items()
        if value is not None and ctx.get_parameter_source(name) is ParameterSource.COMMANDLINE
    )
    return BatchArgs(path, typed=typed, **values)
