"""Who listens while something goes on: the display on stderr, and nobody."""

from __future__ import annotations

import asyncio
from collections.abc import Callable

from bulkmsg.cli.terminal import Terminal
from bulkmsg.events import Event, RunView
from bulkmsg.progress import Display, Style


class Nobody:
    """Listens to events and keeps none."""

    def tell(self, event: Event) -> None:
        return


class Watching:
    """Shows the run on stderr while it goes on."""

    def __init__(self, style: str, title: str, terminal: Terminal) -> None:
        self._style, self._title, self._terminal = Style(style), title, terminal
        self._display: Display | None = None

    async def watch(self, view: Callable[[], RunView]) -> None:
        self._display = Display(self._style, view, title=self._title)
        try:
            await self._display.run()
        except asyncio.CancelledError:
            self._display = None
            raise

    def note(self, text: str) -> None:
        if self._display is None or self._style is Style.NONE:
            self._terminal.say(text)
        else:
            self._display.note(text)
