"""A rehearsal: tickets of a batch go to a sandbox that stays, so that a person can look at them; nothing else changes.

The progress log is a throw-away one: the batch's own logs are neither read nor written.
"""

from __future__ import annotations

import asyncio
import tempfile
from collections.abc import AsyncIterator, Callable
from contextlib import AbstractAsyncContextManager, asynccontextmanager
from dataclasses import dataclass
from pathlib import Path

from bulkmsg.app.prepare import Errand, Prepared, RunOptions, prepare
from bulkmsg.app.result import RunResult
from bulkmsg.app.run import Sending, Watcher, utc_now
from bulkmsg.app.signals import Listening
from bulkmsg.app.target import Reach, Reached
from bulkmsg.errors import ExitCode, UsageError
from bulkmsg.message import NamedTicket
from bulkmsg.ports import Sink
from bulkmsg.review import select
from bulkmsg.sample import Selection
from bulkmsg.sandbox.server import Sandbox
from bulkmsg.sandbox.settings import SandboxSettings
from bulkmsg.settings import Credentials, Rate
from bulkmsg.stopping import ErrorLimit
from bulkmsg.validation.survey import BatchFile

_NO_LIMIT = Rate(1_000_000, 20.0)
_NEVER = ErrorLimit(percent=100)
_FIRST_STAND_IN = 800_000_001  # far from the ids that the sandbox gives out itself
_INTERRUPTED = frozenset({ExitCode.SIGINT, ExitCode.SIGTERM, ExitCode.SIGHUP})


@dataclass(frozen=True)
class Preview:
    """What a person is shown: where, how the run went, and of how many tickets of the batch."""

    url: str
    result: RunResult
    tickets: int
    of: int


@dataclass(frozen=True)
class Asked:
    """What to show, and on which port of the loopback address; 0 chooses a free one."""

    batch: BatchFile
    selection: Selection | None
    port: int = 0


def preview(asked: Asked, sink: Sink, watcher: Watcher, ready: Callable[[Preview], None]) -> None:
    """Send to a sandbox of its own, tell that it can be looked at, and stay until SIGINT, SIGTERM or SIGHUP.

    Raises:
        InvalidBatch: the batch has errors; no sandbox was started.
        UsageError: the port cannot be had.
    """
    with tempfile.TemporaryDirectory(prefix="bulkmsg-preview-") as folder:
        options = RunOptions(
            sandbox=True,
            progress_log=Path(folder) / "progress.jsonl",
            rate=_NO_LIMIT,
            selection=asked.selection,
            max_errors=_NEVER,
        )
        prepared = prepare(asked.batch, options, utc_now)
        try:
            asyncio.run(_rehearse(prepared, asked.port, sink, watcher, ready))
        finally:
            prepared.close()


async def _rehearse(
    prepared: Prepared, port: int, sink: Sink, watcher: Watcher, ready: Callable[[Preview], None]
) -> None:
    settings = SandboxSettings(
        port=port, limit=_NO_LIMIT.limit, window=_NO_LIMIT.window, mailboxes=prepared.mailboxes or None
    )
    async with _started(Sandbox(settings)) as sandbox:
        _stand_in_for_named_tickets(prepared, sandbox)
        result = await Sending(prepared, sink, watcher, utc_now, reach=_to(sandbox)).send()
        if result.exit_code in _INTERRUPTED:
            return
        stop = asyncio.Event()
        with Listening(lambda number: stop.set()):
            shown = prepared.survey.tickets if prepared.lanes is None else len(prepared.lanes)
            ready(Preview(sandbox.url, result, shown, prepared.survey.tickets))
            await stop.wait()


@asynccontextmanager
async def _started(sandbox: Sandbox) -> AsyncIterator[Sandbox]:
    try:
        await sandbox.start()
    except OSError as error:
        hint = "is something else running there? Leave --port out, and a free one is chosen"
        raise UsageError(f"port {sandbox.settings.port} cannot be had: {error.strerror}", hint) from None
    try:
        yield sandbox
    finally:
        await sandbox.stop()


def _to(sandbox: Sandbox) -> Reach:
    """The way to a sandbox that outlives the run."""

    @asynccontextmanager
    async def reach(errand: Errand) -> AsyncIterator[Reached]:
        from bulkmsg.gorgias.client import GorgiasClient

        credentials = Credentials(email="preview@example.com", api_key="preview")
        async with GorgiasClient(sandbox.url, credentials, errand.options.timeout) as client:
            yield Reached(client, _NO_LIMIT, sandbox)

    found: Callable[[Errand], AbstractAsyncContextManager[Reached]] = reach
    return found


def _stand_in_for_named_tickets(prepared: Prepared, sandbox: Sandbox) -> None:
    """Tickets that the batch only names by their external id are there, empty, as every ticket by its number is."""
    desk = sandbox.helpdesk
    tickets = (message.ticket for message in select(prepared.messages(), prepared.lanes))
    names = dict.fromkeys(ticket.external_id for ticket in tickets if isinstance(ticket, NamedTicket))
    for number, name in enumerate(names, _FIRST_STAND_IN):
        desk.keep(desk.virtual(number)).data["external_id"] = name
