"""A checker that finds nothing proves something only if it finds what is wrong: each planted mistake must be caught."""

from __future__ import annotations

import re
from pathlib import Path

import pytest

from tests.simulation.mistakes import MISTAKES, planted
from tests.simulation.play import play

SEEDS = 3000  # the rarest needs a run that ends between two requests of one thread
CLEAN = 500  # test_random.py plays many more
PAGE = Path(__file__).parents[2] / "docs" / "exactly-once.md"


def survived(name: str) -> int | None:
    """How many seeds the mistake survives; None if it survives all."""
    with planted(name):
        return next((seed for seed in range(SEEDS) if play(seed).wrong), None)


@pytest.mark.parametrize("name", MISTAKES)
def test_the_checker_catches(name: str) -> None:
    assert survived(name) is not None, f"this mistake survives {SEEDS} seeds: {name}"


def test_without_a_mistake_the_first_seeds_are_clean() -> None:
    assert [seed for seed in range(CLEAN) if play(seed).wrong] == []


def test_the_documentation_lists_the_planted_mistakes() -> None:
    rows = re.findall(r"^\| (.+?) \| \d+ \|$", PAGE.read_text(), re.MULTILINE)
    assert rows == list(MISTAKES)
