"""The group of commands. Each is loaded when it is called or asked for its own help, so that `--help` costs nothing."""

from __future__ import annotations

from difflib import get_close_matches
from importlib import import_module

import click

from bulkmsg import __version__

# Each name is also that of the module beside this one that holds it; the text is the first line of its help.
COMMANDS = {
    "init": "Write a small commented batch to begin with.",
    "validate": "Check batches and report everything that is wrong with them.",
    "plan": "Show what a run would do: messages, people, requests, time.",
    "preview": "Show tickets of a batch as an agent would see them.",
    "run": "Send a batch. Running it again goes on where it stopped.",
    "status": "Show where a batch stands, also while it runs.",
    "results": "List what became of every message of a batch.",
    "explain": "Explain a rule or a field: what, why, wrong and right.",
    "resolve": "Settle messages in doubt: look again, or take your word.",
    "auth": "Look at the credentials, or sign in with OAuth.",
    "account": "Show who we are in an account, or list what a batch may refer to.",
    "convert": "Make a batch of another helpdesk's export.",
    "schema": "Print a JSON Schema, for editors and other programs.",
    "sandbox": "Run a helpdesk on this machine, to try things on.",
}


class LazyGroup(click.Group):
    """A group that knows its commands by name and loads each only when it is needed."""

    def list_commands(self, ctx: click.Context) -> list[str]:
        return list(COMMANDS)

    def get_command(self, ctx: click.Context, cmd_name: str) -> click.Command | None:
        if cmd_name not in COMMANDS:
            return None
        command: click.Command = import_module(f"bulkmsg.cli.{cmd_name}").command
        return command

    def resolve_command(
        self, ctx: click.Context, args: list[str]
    ) -> tuple[str | None, click.Command | None, list[str]]:
        if args[0] not in COMMANDS and not args[0].startswith("-"):
            close = get_close_matches(args[0], COMMANDS, 1)
            meant = f"Did you mean {close[0]!r}?" if close else f"There are: {', '.join(COMMANDS)}."
            raise click.UsageError(f"No such command {args[0]!r}. {meant}", ctx)
        return super().resolve_command(ctx, args)

    def format_commands(self, ctx: click.Context, formatter: click.HelpFormatter) -> None:
        with formatter.section("Commands"):
            formatter.write_dl(list(COMMANDS.items()))


@click.group(
    cls=LazyGroup,
    invoke_without_command=True,
    context_settings={"help_option_names": ["-h", "--help"], "max_content_width": 110},
    epilog="Begin with: bulkmsg init",
)
@click.version_option(__version__, prog_name="bulkmsg")
@click.pass_context
def root(ctx: click.Context) -> None:
    """Bring thousands of ticket messages into the Gorgias helpdesk from files.

    A batch is a YAML, CSV or JSON Lines file. It is checked as a whole before anything is sent, nothing is sent
    twice, and a run that was stopped goes on where it was.
    """
    if ctx.invoked_subcommand is None:
        click.echo(ctx.get_help())
