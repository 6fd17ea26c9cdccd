"""Credentials from the environment, each also from a file that `..._FILE` names. Values in, a value out."""

from __future__ import annotations

import os
import stat
from collections.abc import Mapping
from pathlib import Path

from bulkmsg.errors import Refused
from bulkmsg.settings import Credentials

_LONGEST = 16_384
_TO_TRY = "to try without an account: add --sandbox"


def from_environment(env: Mapping[str, str]) -> tuple[Credentials, list[str]]:
    """The credentials, and warnings about files that others can read.

    `GORGIAS_ACCESS_TOKEN`, or `GORGIAS_EMAIL` with `GORGIAS_API_KEY`; each also as `..._FILE`.

    Raises:
        Refused: none are given, one half is missing, or a file cannot be read.
    """
    warnings: list[str] = []
    token = _value(env, "GORGIAS_ACCESS_TOKEN", warnings)
    email = _value(env, "GORGIAS_EMAIL", warnings)
    key = _value(env, "GORGIAS_API_KEY", warnings)
    if token:
        return Credentials(token=token), warnings
    if email and key:
        return Credentials(email=email, api_key=key), warnings
    missing = "GORGIAS_API_KEY" if email else "GORGIAS_EMAIL" if key else "GORGIAS_EMAIL and GORGIAS_API_KEY"
    raise Refused(
        f"no credentials: {missing} {'are' if ' and ' in missing else 'is'} not set",
        "make a key in the helpdesk under Settings > REST API, then: "
        f"export GORGIAS_EMAIL=... GORGIAS_API_KEY_FILE=...; {_TO_TRY}",
    )


def known_secrets(env: Mapping[str, str]) -> tuple[str, ...]:
    """The secrets in use, as far as they can be read without complaint: what must not stand in a batch."""
    try:
        return from_environment(env)[0].secrets
    except Refused:
        return ()


def _value(env: Mapping[str, str], name: str, warnings: list[str]) -> str:
    if env.get(name):
        return env[name]
    path = env.get(f"{name}_FILE")
    return _from_file(Path(path), f"{name}_FILE", warnings) if path else ""


def _from_file(path: Path, name: str, warnings: list[str]) -> str:
    try:
        descriptor = os.open(path, os.O_RDONLY | os.O_NONBLOCK | os.O_CLOEXEC)
        try:
            mode = os.fstat(descriptor).st_mode
            if not stat.S_ISREG(mode):
                raise Refused(
                    f"{name} does not name a regular file", "give the path of a file that holds the value alone"
                )
            text = os.read(descriptor, _LONGEST + 1).decode().removesuffix("\n").removesuffix("\r")
        finally:
            os.close(descriptor)
    except (OSError, UnicodeDecodeError) as error:
        reason = error.strerror if isinstance(error, OSError) else "it is no text"
        raise Refused(f"{name} cannot be read: {reason}", "check the path and its permissions") from None
    if mode & stat.S_IROTH:
        warnings.append(f"the file that {name} names can be read by everybody on this machine; chmod 600 mends that")
    return text
