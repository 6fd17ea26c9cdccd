"""`bulkmsg explain`: what a rule means and what a field may hold, as plain text or JSON."""

from __future__ import annotations

import shutil
from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from typing import TYPE_CHECKING

import click

from bulkmsg.cli.options import ENVIRONMENT, format_option
from bulkmsg.cli.terminal import Terminal
from bulkmsg.errors import ExitCode

if TYPE_CHECKING:
    from bulkmsg.app.explain import Explained

_NARROW, _WIDE = 80, 100  # columns where there is no terminal; the most that is pleasant to read


@dataclass(frozen=True)
class ExplainArgs:
    names: tuple[str, ...]
    format: str


@click.command("explain", epilog=ENVIRONMENT)
@click.argument("names", metavar="[RULE|FIELD]...", nargs=-1)
@format_option("text", "json")
@click.pass_context
def command(ctx: click.Context, /, names: tuple[str, ...], format: str) -> int:
    """Explain a rule or a field: what, why, wrong and right.

    A RULE is what stands in brackets at the end of a finding, such as BM301. A FIELD is a path, such as
    outgoing.source.from, batch.mode or sent_datetime; a type alone, such as outgoing, lists its fields. Without
    either: list all rules.
    """
    return explain(ExplainArgs(names, format), ctx.obj)


def explain(args: ExplainArgs, terminal: Terminal) -> ExitCode:
    """Answer with all that was asked for.

    Raises:
        UsageError: there is no such rule or field.
    """
    from bulkmsg.app import explain as app

    found: Sequence[Explained] = app.explain(args.names) if args.names else app.all_rules()
    if args.format == "json":
        from bulkmsg.reports import json
        from bulkmsg.reports.explain_json import explanations

        terminal.data([json.dump(explanations(found), indent=2) + "\n"])
        return ExitCode.OK
    terminal.answer(*_text(found, _width(), whole=bool(args.names)))
    if not args.names:
        terminal.say("", "bulkmsg explain BM301 tells of a rule, bulkmsg explain outgoing of a type's fields")
    return ExitCode.OK


def _text(found: Sequence[Explained], width: int, *, whole: bool) -> Iterator[str]:
    from bulkmsg.reports import explain as text
    from bulkmsg.rule_pages import Page

    if not whole:
        yield from text.overview([each for each in found if isinstance(each, Page)], width)
        return
    for number, each in enumerate(found):
        yield from ["", "-" * min(width, 40), ""] if number else []
        if isinstance(each, Page):
            yield from text.rule(each, width)
        else:
            yield from text.field(each, width)


def _width() -> int:
    return min(shutil.get_terminal_size((_NARROW, 24)).columns, _WIDE)
