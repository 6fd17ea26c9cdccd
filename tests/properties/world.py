"""The world a batch lives in, for tests that live a whole life in it: a helpdesk, a disk, time, and how all may fail.

The helpdesk is the sandbox's own, without sockets: it knows what landed, and every way to misbehave. The disk writes
real files and knows which bytes are safe. Both count their steps, so that a process can die at any of them. Time is
one line through all runs, though each run has its own virtual loop.
"""

from __future__ import annotations

import asyncio
import errno
import os
import signal
import stat
from collections.abc import AsyncIterator, Callable
from contextlib import asynccontextmanager, suppress
from dataclasses import dataclass, field, replace
from datetime import UTC, datetime
from pathlib import Path
from typing import Any

import orjson

from bulkmsg.app.prepare import Errand
from bulkmsg.app.target import Reached
from bulkmsg.ports import Contact, Reply, Request
from bulkmsg.sandbox.api import Api
from bulkmsg.sandbox.clock import Moment
from bulkmsg.sandbox.faults import Fault, Faults
from bulkmsg.sandbox.mischief import Act, act
from bulkmsg.sandbox.model import Helpdesk
from bulkmsg.sandbox.settings import SandboxSettings
from bulkmsg.sandbox.wire import Answer, Call, refusal, unauthorized
from bulkmsg.settings import Rate

BEGAN = datetime(2026, 6, 1, 12, tzinfo=UTC)
LATENCY = 0.02
_LOOP_BEGINS = 1000.0  # where virtual loops begin
_LISTINGS = ("/api/messages", "/api/tickets")
_NO_JSON: tuple[Any, bool] = (None, False)


class Death(SystemExit):
    """The process is gone: kill -9, out of memory, or the power went."""


@dataclass
class Fate:
    """What befalls a run at its n-th step; a step is a call of the disk or the helpdesk, or the way back from it.

    Args:
        power: the power goes, so that what was not flushed is at the mercy of `kept` and `zeroes`.
        kept: the part of the unsafe tail that survives; `zeroes` stand for the rest of it.
        arrives: requests that were on their way arrive all the same.
        signals: instead of dying, the process is told to stop so many times.
    """

    step: int
    power: bool = False
    kept: float = 0.0
    zeroes: bool = False
    arrives: bool = False
    signals: int = 0


@dataclass
class World:
    """Everything outside of the program. `at` is the time in seconds, across all runs."""

    folder: Path
    log: Path
    at: float = 0.0
    fate: Fate | None = None
    wreck: dict[str, bytes] | None = None
    _steps: int = 0

    def __post_init__(self) -> None:
        self.disk = MortalDisk(self)
        self.desk = Desk(self)

    def moment(self) -> Moment:
        try:
            passed = asyncio.get_running_loop().time() - _LOOP_BEGINS
        except RuntimeError:
            passed = 0.0
        return Moment(self.at, BEGAN).later(passed)

    def now(self) -> datetime:
        return self.moment().wall

    @asynccontextmanager
    async def reach(self, prepared: Errand) -> AsyncIterator[Reached]:
        """The way of a run to this helpdesk."""
        asyncio.get_running_loop().set_exception_handler(_unless_dead)
        try:
            yield Reached(self.desk, Rate(1000, 1.0))
        finally:
            self.at = self.moment().mono

    def begin(self, fate: Fate | None) -> None:
        """A process starts."""
        self.fate, self.wreck, self._steps = fate, None, 0
        self.disk.failed = False

    def end(self) -> None:
        """The process is over; if it died, its files are as the death left them."""
        if self.wreck is not None:
            for path in self._files():
                path.unlink()
            for name, data in self.wreck.items():
                (self.folder / name).write_bytes(data)
                (self.folder / name).chmod(0o600)
            self.desk.orphaned(arrive=self.fate is not None and self.fate.arrives)
        self.fate = self.wreck = None
        self.disk.rebooted()

    def step(self, *, listening: bool = False) -> None:
        """Something is about to happen, or has just happened.

        Raises:
            Death: it was the last.
        """
        fate = self.fate
        if fate is None or self.wreck is not None:
            return
        self._steps += 1
        if self._steps < fate.step:
            return
        if not fate.signals:
            self.wreck = self.disk.left_behind(fate)
            raise Death
        if listening:  # before that, a signal simply ends a process that has sent nothing
            fate.signals -= 1
            signal.raise_signal(signal.SIGTERM)

    @property
    def dead(self) -> bool:
        return self.wreck is not None

    def _files(self) -> list[Path]:
        """The log and what stands beside it."""
        return [path for path in self.folder.iterdir() if path.name.startswith(self.log.name)]


class MortalDisk:
    """The disk of the progress log.

    Attributes:
        room: bytes that the log and its reserve may take; None for no end of them.
        bad_fsyncs: how many of the next fsyncs fail.
        failed: whether anything failed since the process began.
    """

    def __init__(self, world: World) -> None:
        self._world = world
        self.room: int | None = None
        self.bad_fsyncs = 0
        self.failed = False
        self._safe: dict[int, bytes] = {}  # by inode: what was flushed
        self._names: dict[str, int] = {}  # what the folder surely lists

    def write(self, fd: int, data: bytes) -> int:
        self._step()
        if self.room is not None:
            fits = data[: max(0, self.room - sum(path.stat().st_size for path in self._world._files()))]
            self.failed = self.failed or fits != data
            data = fits
            if not data:
                raise OSError(errno.ENOSPC, os.strerror(errno.ENOSPC))
        written = os.write(fd, data)
        self._step()
        return written

    def fsync(self, fd: int) -> None:
        self._step()
        if self.bad_fsyncs:
            self.bad_fsyncs -= 1
            self.failed = True
            raise OSError(errno.EIO, os.strerror(errno.EIO))
        self._flush(fd)
        self._step()

    def truncate(self, fd: int, size: int) -> None:
        self._step()
        os.ftruncate(fd, size)
        self._step()

    def rebooted(self) -> None:
        """What stands there now has been read from the disk, so it is safe."""
        self._names = {path.name: path.stat().st_ino for path in self._world._files()}
        self._safe = {path.stat().st_ino: path.read_bytes() for path in self._world._files()}

    def left_behind(self, fate: Fate) -> dict[str, bytes]:
        """The files as they will be found."""
        files = {path.stat().st_ino: path for path in self._world._files()}
        if not fate.power:
            return {path.name: path.read_bytes() for path in files.values()}
        return {name: self._torn(files[ino], fate) for name, ino in self._names.items() if ino in files}

    def _torn(self, path: Path, fate: Fate) -> bytes:
        safe, data = self._safe.get(path.stat().st_ino, b""), path.read_bytes()
        if not data.startswith(safe):  # it was cut, which may not have reached the disk
            return safe if fate.zeroes else data
        tail = data[len(safe) :]
        kept = tail[: int(len(tail) * fate.kept)]
        return safe + kept + (bytes(len(tail) - len(kept)) if fate.zeroes else b"")

    def _flush(self, fd: int) -> None:
        info = os.fstat(fd)
        if stat.S_ISDIR(info.st_mode):
            self._names = {path.name: path.stat().st_ino for path in self._world._files()}
        else:
            self._safe[info.st_ino] = os.pread(fd, info.st_size, 0)

    def _step(self) -> None:
        if self._world.dead:  # what unwinds after a death reaches no disk any more
            raise OSError(errno.EIO, "the process is dead")
        self._world.step()


@dataclass(frozen=True)
class Arrival:
    """A message that came in and was not told to come again: it may be there, whatever the answer said."""

    run: int
    message: dict[str, Any]


@dataclass
class Desk:
    """The helpdesk behind its port.

    Attributes:
        faults: what the next requests meet, in the sandbox's words.
        list_lag, commit_lag: seconds until listings show what is new, and by which a write without answer is late.
        refuses: whether a message is answered with 400.
        revoke_in: creating requests until the credentials count no more; None while they do.
    """

    world: World
    run: int = 0
    refuses: Callable[[dict[str, Any]], bool] = lambda message: False
    revoke_in: int | None = None
    commit_lag: float = 0.0
    arrivals: list[Arrival] = field(default_factory=list)
    _under_way: list[Request] = field(default_factory=list)

    def __post_init__(self) -> None:
        self.model = Helpdesk(SandboxSettings(), Moment(0.0, BEGAN))
        self.api = Api(self.model)
        self.faults = Faults()

    def lag_listings(self, seconds: float) -> None:
        self.model.settings = replace(self.model.settings, list_lag=seconds)

    def landed(self) -> list[dict[str, Any]]:
        """All messages that exist, or will once late writes are done, in the order in which they came to be."""
        self.api.settle(self.world.moment().later(1e6))
        found = sorted(self.model.messages.values(), key=lambda each: (each.born, each.data["id"]))
        return [each.data for each in found]

    async def call(self, request: Request) -> Reply:
        if self.world.dead:
            return Reply(Contact.NEVER_LEFT)
        self.world.step(listening=True)
        self._under_way.append(request)
        await asyncio.sleep(LATENCY / 2)
        self._under_way.remove(request)
        deed = self._take(request)
        self.world.step(listening=True)
        await asyncio.sleep(LATENCY / 2)
        return await _reply(deed)

    def orphaned(self, *, arrive: bool) -> None:
        """Whoever sent the requests under way is gone."""
        for request in self._under_way if arrive else ():
            self._take(request)
        self._under_way.clear()

    def _take(self, request: Request) -> Act:
        writes = request.method == "POST"
        if writes and self.revoke_in is not None:
            self.revoke_in -= 1
        if self.revoke_in is not None and self.revoke_in < 0:
            return Act("send", unauthorized())
        if writes:
            body = orjson.loads(request.body or b"")
            message = body.get("messages", [body])[0]
            if self.refuses(message):
                said = f"{message['sender']['email']} may not say this."
                return Act("send", refusal(400, "Failed to create message", {"sender": [said]}))
        query: dict[str, list[str]] = {}
        for name, value in request.query:
            query.setdefault(name, []).append(value)
        call = Call(request.method, request.path, query, body=request.body or b"", authorization="Bearer t")
        fault = self._fault(request)
        if writes and not (fault and fault.kind.name == "429"):
            self.arrivals.append(Arrival(self.run, message))
        return act(fault, self._apply(call, fault), call)

    def _fault(self, request: Request) -> Fault | None:
        """Listings go wrong only once there is something to look for: before that a run just stops."""
        if request.method == "POST":
            return self.faults.next("write")
        return self.faults.next("list") if request.path in _LISTINGS and self.arrivals else None

    def _apply(self, call: Call, fault: Fault | None) -> Answer | None:
        """As the sandbox's server does: what a fault loses may be applied late, or never."""
        when = self.world.moment()
        if fault is None or fault.kind.side == "list":
            return self.api.answer(call, when)
        if not fault.kind.applied:
            return None
        if fault.kind.loses_answer and self.commit_lag:
            self.api.later(call, when.later(self.commit_lag))
            return None
        return self.api.answer(call, when)


def _unless_dead(loop: asyncio.AbstractEventLoop, context: dict[str, Any]) -> None:
    """Nobody is left to ask what became of the tasks of a dead process."""
    if not isinstance(context.get("exception"), Death):
        loop.default_exception_handler(context)


async def _reply(deed: Act) -> Reply:
    """What the real client makes of an answer (tests/sandbox and tests/contracts hold the two together)."""
    if deed.how in ("drop", "garbage", "hang", "half"):
        await asyncio.sleep(min(deed.wait, 60.0))
        return Reply(Contact.LOST, reason="the connection was lost")
    await asyncio.sleep(deed.wait)
    assert deed.answer is not None
    parsed, is_json = _NO_JSON
    with suppress(orjson.JSONDecodeError):
        parsed, is_json = orjson.loads(deed.answer.body), True
    headers = {name.lower(): value for name, value in deed.answer.headers.items()}
    return Reply(
        Contact.ANSWERED,
        deed.answer.status,
        parsed,
        is_json,
        retry_after=headers.get("retry-after"),
        location=headers.get("location"),
    )
