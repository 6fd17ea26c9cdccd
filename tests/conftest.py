"""Shared by all tests: the user's own settings are out of reach, and aioresponses fits today's aiohttp."""

from __future__ import annotations

import os
import tempfile
from typing import Any
from unittest.mock import Mock

import aiohttp
import aioresponses.core
import pytest

for _name in [name for name in os.environ if name.startswith(("GORGIAS_", "BULKMSG_", "GITHUB_", "CI_"))]:
    del os.environ[_name]
_STATE = tempfile.TemporaryDirectory(prefix="bulkmsg-state-")  # gone with the tests
os.environ["XDG_STATE_HOME"] = _STATE.name


class _Response(aiohttp.ClientResponse):
    """aiohttp 3.14 asks for `stream_writer`, which aioresponses 0.7.9 does not give."""

    def __init__(self, *args: Any, **kwargs: Any) -> None:
        kwargs.setdefault("stream_writer", Mock())
        super().__init__(*args, **kwargs)


@pytest.fixture(autouse=True, scope="session")
def _fitting_aioresponses() -> None:
    setattr(aioresponses.core, "ClientResponse", _Response)  # noqa: B010 (the module does not export the name)
