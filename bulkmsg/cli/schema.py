"""`bulkmsg schema`: the JSON Schemas, as they ship or each in one file."""

from __future__ import annotations

import json
from difflib import get_close_matches

import click

from bulkmsg.cli.options import option
from bulkmsg.cli.terminal import Terminal
from bulkmsg.errors import ExitCode, UsageError


@click.command("schema")
@click.argument("name", required=False)
@option("--bundle", is_flag=True, help="One self-contained file, with what NAME takes from the other schemas inside.")
@click.pass_context
def command(ctx: click.Context, /, name: str | None, bundle: bool) -> int:
    """Print a JSON Schema, for editors and other programs.

    Without a NAME: list them. `bulkmsg init` puts them beside a batch, where editors find them.
    """
    return print_schema(name, bundle, ctx.obj)


def print_schema(name: str | None, bundle: bool, terminal: Terminal) -> ExitCode:
    """Print one schema, as its file is or in one file that refers to no other; without a name, a list of all.

    Raises:
        UsageError: there is none of that name, or none was named and it shall be bundled.
    """
    from bulkmsg import schema
    from bulkmsg.bundle import bundled

    if name is None and bundle:
        raise UsageError("--bundle needs the name of a schema", "write it like: bulkmsg schema batch --bundle")
    if name is None:
        width = max(map(len, schema.NAMES))
        terminal.answer(*(f"{each:<{width}}  {_about(schema.load(each))}" for each in schema.NAMES))
        return ExitCode.OK
    wanted = _known(name, schema.NAMES)
    terminal.data([json.dumps(bundled(wanted), indent=2) + "\n" if bundle else schema.text(wanted)])
    return ExitCode.OK


def _known(name: str, names: tuple[str, ...]) -> str:
    wanted = name.removesuffix(".json").removesuffix(".schema")
    if wanted in names:
        return wanted
    close = get_close_matches(wanted, names, 1)
    hint = f"did you mean {close[0]}?" if close else f"there are: {', '.join(names)}"
    raise UsageError(f"there is no schema {name!r}", hint)


def _about(loaded: dict[str, object]) -> str:
    """The first sentence of a schema's description."""
    first = str(loaded.get("description", "")).partition(". ")[0].removesuffix(".")
    return first or str(loaded.get("title", ""))
