"""The moment at which the process dies: counted in steps that touch the disk or the network, or in bytes of the log."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass


class Crash(KeyboardInterrupt):
    """The process dies here. Of this kind, since the event loop lets it out of any task at once."""


# Names of places, as the disk and the helpdesk call them.
INSIDE = "inside a write"
PLACES = (
    "before a write",
    INSIDE,
    "after a write",
    "before fsync",
    "after fsync",
    "before POST",
    "while POST",
    "answer to POST",
    "while GET",
    "answer to GET",
)
FOLDER = "before the folder is flushed"


@dataclass
class Doom:
    """Args:
    steps: the process dies at the step of this number, counted from 0; None: it lives.
    place: it dies when it comes to a place of this name for the `steps`-th time.
    byte: it dies when the progress log would grow beyond so many bytes, having written those.
    died: where it did; `on_death` is called at that very moment.
    """

    steps: int | None = None
    place: str | None = None
    byte: int | None = None
    tear: float = 0.5  # the part of a record that is written, where it dies inside a write
    count: int = 0
    died: str | None = None
    on_death: Callable[[], None] = lambda: None

    def step(self, where: str) -> None:
        """Raises Crash if this is the moment."""
        if self.died is not None:
            raise Crash(self.died)
        if self.place is not None and self.place not in where:
            return
        self.count += 1
        if self.steps is not None and self.count > self.steps:
            self.die(where)

    def torn(self, size: int, offset: int | None) -> int | None:
        """How many bytes of a write are still written, if it dies inside this one. `offset` is the log's end."""
        if self.died is not None:
            raise Crash(self.died)
        if self.byte is not None and offset is not None and offset <= self.byte < offset + size:
            return self.byte - offset
        if self.place is None or self.place in INSIDE:
            self.count += 1
            if self.steps is not None and self.count > self.steps:
                return int(size * self.tear)
        return None

    def die(self, where: str) -> None:
        self.died = where
        self.on_death()
        raise Crash(where)

    @property
    def dead(self) -> bool:
        return self.died is not None
