"""One run of the tool as `bulkmsg run` wires it: `prepare`, `idle`, `Sending.send`, and then what `results` tells.

Replaced are the network's client, the disk, the wall clock, the machine's name and the ears for signals, nothing
else. A batch that did not change is not read again: its messages are kept.
"""

from __future__ import annotations

import asyncio
from collections.abc import AsyncIterator, Callable, Iterator
from contextlib import asynccontextmanager, contextmanager, nullcontext, suppress
from dataclasses import dataclass, field
from datetime import datetime
from pathlib import Path
from random import Random
from types import SimpleNamespace
from typing import Any

from bulkmsg.app import history, prepare, run
from bulkmsg.app.result import RunResult
from bulkmsg.app.target import Reached
from bulkmsg.batch import BatchOptions
from bulkmsg.errors import BulkmsgError
from bulkmsg.events import Event, RunView
from bulkmsg.journal import log_exists, read_fold
from bulkmsg.message import Message, Mode
from bulkmsg.outcome import UNTOUCHED
from bulkmsg.settings import Credentials, InDoubt
from bulkmsg.validation.survey import BatchFile, Survey, messages, survey
from tests.simulation.clock import moment
from tests.simulation.disk import SimDisk
from tests.simulation.helpdesk import SimHelpdesk
from tests.simulation.world import World
from tests.virtual_clock import VirtualLoop

ACCOUNT = "acme"


@dataclass(frozen=True, slots=True)
class Report:
    """What the tool says after a run.

    Args:
        exit_code: None where the process died.
        counts: the states of `run --format json`; None where the command ended with an error before sending.
        results: of each key its line of `results --format jsonl`; None where the log is refused.
        said: why it stopped, for a person.
        throttled: how many 429s it saw.
        limit: the flag, as it was given.
    """

    exit_code: int | None
    counts: dict[str, int] | None
    results: dict[str, dict[str, Any]] | None
    said: str = ""
    throttled: int = 0
    limit: int | None = None


@dataclass
class House:
    """Everything around the tool that outlives a run of it."""

    folder: Path
    loop: VirtualLoop
    helpdesk: SimHelpdesk
    disk: SimDisk
    batch: BatchFile
    log: Path
    events: list[str] | None = None
    _survey: Survey | None = None
    _messages: list[Message] = field(default_factory=list)

    def now(self) -> datetime:
        return moment(self.loop.time())

    # What takes the place of names in `app.run`.

    def survey(self, batch: BatchFile, *, now: datetime | None = None) -> Survey:
        if self._survey is None:
            self._survey = survey(batch, now=now)
            if self._survey.valid:
                self._messages = list(messages(batch, self._survey, ACCOUNT))
        return self._survey

    def messages(self, batch: BatchFile, seen: Survey, account: str) -> Iterator[Message]:
        return iter(self._messages)

    @asynccontextmanager
    async def reach(self, errand: prepare.Errand) -> AsyncIterator[Reached]:
        yield Reached(self.helpdesk, (errand.options.credentials or Credentials()).default_rate)

    # Who listens to the run.

    def tell(self, event: Event) -> None:
        if self.events is not None:
            fields = " ".join(f"{name}={value}" for name, value in event.fields.items() if value is not None)
            self.events.append(f"{self.loop.time():.6f} tool: {event.name.value} {event.key or ''} {fields}")

    async def watch(self, view: Callable[[], RunView]) -> None:
        return

    def note(self, text: str) -> None:
        return


@contextmanager
def inside(house: House) -> Iterator[None]:
    """The house stands around the tool."""
    host = SimpleNamespace(gethostname=lambda: "host")
    replaced: list[tuple[Any, str, Any]] = [
        (prepare, "survey", house.survey),
        (prepare, "messages", house.messages),
        (prepare, "socket", host),
        (run, "Listening", lambda tell: nullcontext()),
        (run, "socket", host),
    ]
    before = [getattr(module, name) for module, name, _ in replaced]
    for module, name, value in replaced:
        setattr(module, name, value)
    try:
        yield
    finally:
        for (module, name, _), value in zip(replaced, before, strict=True):
            setattr(module, name, value)


def batch_file(folder: Path, world: World) -> BatchFile:
    """The batch of a world, written down."""
    path = folder / "batch.jsonl"
    path.write_bytes(world.batch())
    return BatchFile(path, path.name, BatchOptions(mode=Mode(world.mode), name="simulated"))


def options(world: World, **more: Any) -> prepare.RunOptions:
    """What is typed."""
    return prepare.RunOptions(
        account=ACCOUNT,
        base_url="http://127.0.0.1:1",
        credentials=Credentials(email="anna@acme.example", api_key="a-key"),
        settle=world.settle,
        timeout=world.timeout,
        concurrency=world.concurrency,
        in_doubt=InDoubt(world.in_doubt) if world.in_doubt else None,
        **more,
    )


def run_tool(
    house: House, asked: prepare.RunOptions, name: str, interrupt: Callable[[run.Sending], Any] | None
) -> Report:
    """One process of `bulkmsg run`, and what `bulkmsg results` tells after it.

    Raises:
        Crash: it died; files and helpdesk stand as they then stood.
    """
    try:
        prepared = prepare.prepare(house.batch, asked, house.now, house.disk)
    except BulkmsgError as error:
        return Report(int(error.exit_code), None, results_of(house), error.message)
    try:
        result = run.idle(prepared)
        if result is None:
            consent = prepared.review.people if prepared.review.mails else None
            random = Random(f"tool {name}")
            sending = run.Sending(prepared, house, house, house.now, consent, name, random, reach=house.reach)
            result = house.loop.run_until_complete(_sent(sending, interrupt))
    except BulkmsgError as error:
        prepared.close()
        return Report(int(error.exit_code), None, results_of(house), error.message)
    finally:
        _end_tasks(house.loop)
        prepared.close()
    counts = {name: result.counts[name] for name in result.counts}
    limit = asked.selection.tickets if asked.selection else None
    return Report(int(result.exit_code), counts, results_of(house), result.reason, result.throttled, limit)


async def _sent(sending: run.Sending, interrupt: Callable[[run.Sending], Any] | None) -> RunResult:
    if interrupt is None:
        return await sending.send()
    nagging = asyncio.ensure_future(interrupt(sending))
    try:
        return await sending.send()
    finally:
        nagging.cancel()


def _end_tasks(loop: VirtualLoop) -> None:
    """After a crash: let go of what was under way. Disk and helpdesk do nothing more for it."""
    left = asyncio.all_tasks(loop)
    for task in sorted(left, key=lambda each: each.get_name()):
        task.cancel()
    if left:
        with suppress(KeyboardInterrupt):
            loop.run_until_complete(asyncio.gather(*left, return_exceptions=True))


def results_of(house: House) -> dict[str, dict[str, Any]] | None:
    """The lines of `bulkmsg results --format jsonl`, by key, as `app.history.History` makes them."""
    try:
        fold = read_fold(house.log) if log_exists(house.log) else None
    except BulkmsgError:
        return None
    lines = {}
    for message in house._messages:
        where = fold.standing(message.key) if fold else UNTOUCHED
        told = history._result(message.key, message.external_id, message.file, message.line, where)
        lines[message.key] = told.as_json()
    return lines
