"""The register of mistakes, and how one is planted: from outside; nothing in the product knows of it."""

from __future__ import annotations

from collections.abc import Callable, Iterator
from contextlib import ExitStack, contextmanager
from typing import Any
from unittest.mock import patch

Planting = Callable[[ExitStack], None]
MISTAKES: dict[str, Planting] = {}


@contextmanager
def planted(name: str) -> Iterator[None]:
    """The mistake is made while this is entered."""
    with ExitStack() as stack:
        MISTAKES[name](stack)
        yield


def mistake(name: str) -> Callable[[Planting], Planting]:
    """Enter a planting under its name, as the documentation has it."""

    def enter(planting: Planting) -> Planting:
        assert name not in MISTAKES
        MISTAKES[name] = planting
        return planting

    return enter


def swap(stack: ExitStack, owner: Any, name: str, value: Any) -> Any:
    """Put a value in the place of a name; the one that stood there."""
    before = getattr(owner, name)
    stack.enter_context(patch.object(owner, name, value))
    return before
