"""Credentials as a command gets them: from the environment, the keyring, and the one thing that a person may type."""

from __future__ import annotations

import os
from collections.abc import Mapping
from getpass import getpass

from bulkmsg.cli.terminal import Terminal
from bulkmsg.credentials import EMAIL, from_environment, only_key_missing
from bulkmsg.keys import kept_key
from bulkmsg.settings import Credentials


def credentials_of(terminal: Terminal, account: str | None) -> Credentials:
    """The credentials in use for an account; warnings about them are told.

    Raises:
        Refused: there are none, or they cannot be used.
    """
    found, warnings = from_environment(os.environ, account, _missing_key(os.environ, account, terminal))
    terminal.say(*(f"warning: {warning}" for warning in warnings))
    return found


def _missing_key(env: Mapping[str, str], account: str | None, terminal: Terminal) -> tuple[str, str]:
    """The API key, and where it comes from, where only that is missing: from the keyring, or as a person types it."""
    if not only_key_missing(env):
        return "", ""
    kept = kept_key(account) if account else ""
    if kept:
        return kept, "the keyring"
    if not terminal.asks:
        return "", ""
    return getpass(f"API key of {env.get(EMAIL, 'this account')} (not shown): "), "the keyboard"
