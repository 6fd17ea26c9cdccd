"""Mistakes to plant: each is a policy that somebody might well think right, put in place of the tool's own for a while.

A folder is a family: `register` knows how to plant, each other file holds mistakes of one kind. `docs/exactly-once.md`
lists them with the number of seeds that each survives.
"""

from tests.simulation.mistakes import log, again, answers, order, pace, telling, threads  # isort: skip  # in the order of the list
from tests.simulation.mistakes.register import MISTAKES, planted

__all__ = ["MISTAKES", "again", "answers", "log", "order", "pace", "planted", "telling", "threads"]
