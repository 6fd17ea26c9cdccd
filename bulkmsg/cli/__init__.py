"""The command line, the roof of the house. Importing it loads click and the names of the commands, nothing more.

root        the group: its commands are loaded when they are called
shell       runs the group and turns whatever ends it into an exit code
terminal    the one place that writes
options     flags that commands share
others      a command each: flags become one value, a function runs it
"""

from collections.abc import Sequence

from bulkmsg.cli.shell import call


def main(arguments: Sequence[str] | None = None) -> int:
    """Run the command line and return its exit code."""
    return call(arguments)
