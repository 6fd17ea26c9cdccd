"""`bulkmsg validate`: every finding, and whether there are errors. Opens no socket."""

from __future__ import annotations

import shlex
from collections.abc import Iterable, Iterator
from contextlib import ExitStack
from dataclasses import dataclass, field, replace
from pathlib import Path
from typing import TYPE_CHECKING, Any

import click

from bulkmsg.cli.build_server import on_github, paths_from_root, write_summary
from bulkmsg.cli.options import ENVIRONMENT, BatchArgs, batch_options, format_option, option, take_batch
from bulkmsg.cli.terminal import Terminal
from bulkmsg.errors import ExitCode, UsageError, worst

if TYPE_CHECKING:
    from bulkmsg.cli.batch_files import Target
    from bulkmsg.diagnostic import Diagnostic
    from bulkmsg.reports.checks import Checked, Frame
    from bulkmsg.reports.findings import LineOf
    from bulkmsg.reports.formats import Format

_EVERYTHING = 10**9
# Findings shown of all files together, unless all were asked for: what is held in memory has a bound.
_MOST_IN_ALL = 25_000
_NAMED_AGAIN = 3
_STDIN_NAME = "<stdin>"


@dataclass(frozen=True)
class ValidateArgs:
    """`words` are files, patterns and `-` as they were typed; `batch` is what the shared flags say of each."""

    words: tuple[str, ...]
    batch: BatchArgs
    format: str
    strict: bool
    most: int
    stdin_name: str = _STDIN_NAME
    on_github: bool = False

    def shown(self, text: str) -> str:
        """A text for people; a step of GitHub Actions takes some lines for commands, whichever format was chosen."""
        from bulkmsg.reports.github import harmless

        return "\n".join(map(harmless, text.split("\n"))) if self.on_github else text


@click.command("validate", epilog=ENVIRONMENT)
@click.argument("batches", metavar="BATCH...", nargs=-1, required=True)
@format_option(
    "text",
    "json",
    "github",
    "sarif",
    "junit",
    default=None,
    help="How the answer is written.  [default: github under GitHub Actions, else text]",
)
@option("--strict", is_flag=True, help="Warnings count as well: exit 1 if there is one.")
@option(
    "--max-findings",
    type=click.IntRange(min=0),
    metavar="N",
    default=100,
    show_default=True,
    help="Show at most so many for each file; 0 shows all.",
)
@option(
    "--stdin-name",
    metavar="NAME",
    default=_STDIN_NAME,
    help="What findings call a batch read from `-`; its ending tells the format, else it is YAML.",
)
@batch_options(log=False)
@click.pass_context
def command(
    ctx: click.Context,
    /,
    batches: tuple[str, ...],
    strict: bool,
    max_findings: int,
    stdin_name: str,
    **given: Any,
) -> int:
    """Check batches and report everything that is wrong with them.

    BATCH is a file, a pattern in quotes such as 'batches/**/*.yaml', or - for standard input. Reads every file to its
    end, the files named by `from:` too, and sends nothing. Exit code 0: no errors; 1: errors were found; 3: a file
    could not be read at all.
    """
    output = given.pop("format") or ("github" if on_github() else "text")
    shared = take_batch(ctx, "", given)
    most = max_findings or _EVERYTHING
    return validate(ValidateArgs(batches, shared, output, strict, most, stdin_name, on_github()), ctx.obj)


def validate(args: ValidateArgs, terminal: Terminal) -> ExitCode:
    """Check the batches, answer, and say whether they are valid."""
    from bulkmsg.reports.checks import Frame
    from bulkmsg.reports.explain import tells_more
    from bulkmsg.reports.formats import FORMATS
    from bulkmsg.rule_pages import pages

    course, chosen = _Course(args, terminal), FORMATS[args.format]
    frame = Frame(args.strict, paths_from_root(), pages() if args.format == "sarif" else {})
    try:
        with ExitStack() as stack:
            _answer(course.checks(stack), chosen, frame, args, terminal)
    except KeyboardInterrupt as error:
        terminal.say(str(error) or "interrupted")
        code: ExitCode = getattr(error, "exit_code", ExitCode.SIGINT)
        return code
    if chosen.for_people and (more := tells_more(course.rules.values())):
        terminal.say(more)
    terminal.say(args.shown(course.next_step()))
    return course.code


def _answer(checks: Iterator[Checked], chosen: Format, frame: Frame, args: ValidateArgs, terminal: Terminal) -> None:
    if args.format == "github":
        checks = iter(listed := list(checks))
        write_summary(listed, frame, terminal)
    pieces = chosen.render(checks, frame)
    if chosen.for_people:
        answered = all(terminal.answer(args.shown(piece.removesuffix("\n"))) for piece in pieces)
    else:
        answered = terminal.data(pieces)
    if not answered:
        for _ in checks:  # nobody reads any more, and the exit code is still asked for
            pass


@dataclass
class _Course:
    """The batches one after the other, and what is kept of them: never more than findings to show."""

    args: ValidateArgs
    terminal: Terminal
    codes: set[ExitCode] = field(default_factory=set)
    first: str = ""
    pick: tuple[str, ...] = ()  # of the first batch's accounts, where it is for several
    failed: list[str] = field(default_factory=list)
    rules: dict[str, Diagnostic] = field(default_factory=dict)
    left: int = _EVERYTHING

    def __post_init__(self) -> None:
        self.left = _EVERYTHING if self.args.most == _EVERYTHING else _MOST_IN_ALL

    def checks(self, stack: ExitStack) -> Iterator[Checked]:
        from bulkmsg.cli.batch_files import targets

        for target in targets(self.args.words):
            checked = self._check(target, stack)
            self.left -= len(checked.shown)
            self._note(target, checked)
            yield checked

    def _check(self, target: Target, stack: ExitStack) -> Checked:
        from bulkmsg.reports.checks import Checked
        from bulkmsg.reports.findings import in_order
        from bulkmsg.validation.findings import Findings
        from bulkmsg.validation.survey import for_each_account

        args = self.args
        if target.wrong:
            shown = [target.wrong][: self.left]
            return Checked(target.name, 0, {target.wrong.severity: 1}, shown, _no_lines, unread=True)
        batch = replace(args.batch, path=target.name).file()
        places: dict[str, Path] = {}
        if target.name == "-":
            path = self._input(stack)
            batch = replace(batch, path=path, name=args.stdin_name, folder=Path())
            places[args.stdin_name] = path
        # More are collected than shown: the first by place are not the first found, and small counts stay exact.
        alike = args.most if args.most == _EVERYTHING else Findings.alike
        try:
            seen = for_each_account(batch, Findings(max(args.most, Findings.most), alike))
        except UsageError as error:
            raise UsageError(f"{batch.name}: {error.message}", error.hint) from None
        if not self.first and seen.header and "accounts" in seen.header.places and not batch.options.account:
            self.pick = ("--account", str(seen.header.account))
        found = seen.findings
        return Checked(
            batch.name,
            seen.messages,
            dict(found.counts),
            in_order(found.kept)[: min(args.most, self.left)],
            lambda shown: _lines(shown, args.batch.encoding, places),
            at_least=found.full,
            unread=any(each.rule == "BM101" and each.file == batch.name for each in found.kept),
        )

    def _input(self, stack: ExitStack) -> Path:
        from bulkmsg.cli.batch_files import kept_input

        name = Path(self.args.stdin_name).name
        if name in ("", "..") or "\0" in name:
            raise UsageError(f"--stdin-name {self.args.stdin_name} names no file", "write it like batch.yaml")
        if self.terminal.reads_from_person:
            self.terminal.say("reading a batch from the keyboard; Ctrl-D on a line of its own ends it")
        return stack.enter_context(kept_input(name))

    def _note(self, target: Target, checked: Checked) -> None:
        from bulkmsg.diagnostic import Severity

        self.first = self.first or target.name
        self.rules |= {found.rule: found for found in checked.shown}
        bad = checked.counts.get(Severity.ERROR) or (self.args.strict and checked.counts.get(Severity.WARNING))
        code = ExitCode.INVALID if checked.unread else ExitCode.FINDINGS if bad else ExitCode.OK
        self.codes.add(code)
        if code is not ExitCode.OK and len(self.failed) <= _NAMED_AGAIN:
            self.failed.append(target.instead or target.name)

    @property
    def code(self) -> ExitCode:
        """3 when a batch could not be looked at, 1 when the look found errors."""
        return worst(self.codes)

    def next_step(self) -> str:
        """The next command to type."""
        if self.code is ExitCode.OK:
            return f"next: {_command(self.args, 'plan', [self.first], self.pick)}"
        again = self.failed if len(self.failed) <= _NAMED_AGAIN else list(self.args.words)
        return f"next: {_command(self.args, 'validate', again)}"


def _command(args: ValidateArgs, verb: str, names: list[str], more: tuple[str, ...] = ()) -> str:
    """A command about these batches, ready to be copied."""
    if names == ["-"] and verb == "plan":
        return "bulkmsg plan BATCH, once it is in a file"
    words = [f"./{name}" if name.startswith("-") and name != "-" else name for name in names]
    flags = [part for given in args.batch.typed for part in given]
    strict = ["--strict"] if args.strict and verb == "validate" else []
    return shlex.join(["bulkmsg", verb, *words, *flags, *strict, *more])


def _lines(shown: Iterable[Diagnostic], encoding: str | None, places: dict[str, Path]) -> LineOf:
    from bulkmsg.cli.findings import lines_of

    return lines_of(list(shown), encoding, places)


def _no_lines(shown: Iterable[Diagnostic]) -> LineOf:
    return lambda found: None
