"""Credentials as a command gets them: from the environment, and the one thing that a person may type."""

from __future__ import annotations

import os
from collections.abc import Mapping
from getpass import getpass

from bulkmsg.cli.terminal import Terminal
from bulkmsg.credentials import from_environment
from bulkmsg.settings import Credentials


def credentials_of(terminal: Terminal) -> Credentials:
    """The credentials in use; warnings about them are told.

    Raises:
        Refused: there are none, or they cannot be used.
    """
    found, warnings = from_environment(_with_typed_key(os.environ, terminal))
    terminal.say(*(f"warning: {warning}" for warning in warnings))
    return found


def _with_typed_key(env: Mapping[str, str], terminal: Terminal) -> Mapping[str, str]:
    """The environment, with the API key a person types where only that is missing."""
    given = {name.removesuffix("_FILE") for name, value in env.items() if value}
    missing = "GORGIAS_EMAIL" in given and not given & {"GORGIAS_API_KEY", "GORGIAS_ACCESS_TOKEN"}
    if not (missing and terminal.asks):
        return env
    return {**env, "GORGIAS_API_KEY": getpass(f"API key of {env.get('GORGIAS_EMAIL', 'this account')} (not shown): ")}
