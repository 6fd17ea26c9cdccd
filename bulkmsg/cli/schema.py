"""`bulkmsg schema`: the JSON Schemas, as they ship."""

from __future__ import annotations

from difflib import get_close_matches

import click

from bulkmsg.cli.terminal import Terminal
from bulkmsg.errors import ExitCode, UsageError


@click.command("schema")
@click.argument("name", required=False)
@click.pass_context
def command(ctx: click.Context, /, name: str | None) -> int:
    """Print a JSON Schema, for editors and other programs.

    Without a NAME: list them. `bulkmsg init` puts them beside a batch, where editors find them.
    """
    return print_schema(name, ctx.obj)


def print_schema(name: str | None, terminal: Terminal) -> ExitCode:
    """Print one schema as its file is, or a list of all.

    Raises:
        UsageError: there is none of that name.
    """
    from bulkmsg import schema

    if name is None:
        width = max(map(len, schema.NAMES))
        terminal.answer(*(f"{each:<{width}}  {_about(schema.load(each))}" for each in schema.NAMES))
        return ExitCode.OK
    wanted = name.removesuffix(".json").removesuffix(".schema")
    if wanted not in schema.NAMES:
        close = get_close_matches(wanted, schema.NAMES, 1)
        hint = f"did you mean {close[0]}?" if close else f"there are: {', '.join(schema.NAMES)}"
        raise UsageError(f"there is no schema {name!r}", hint)
    terminal.data([schema.text(wanted)])
    return ExitCode.OK


def _about(loaded: dict[str, object]) -> str:
    """The first sentence of a schema's description."""
    first = str(loaded.get("description", "")).partition(". ")[0].removesuffix(".")
    return first or str(loaded.get("title", ""))
