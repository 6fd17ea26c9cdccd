"""Running a batch: prepare (nothing leaves), then send, with the progress log beside it.

prepare   survey, credentials, the log opened and held against the batch; refuses what must be refused
Prepared  what the caller shows and asks about
send      the helpdesk's word on who we are, a look for messages of a lost log, then the engine
"""

from __future__ import annotations

import asyncio
import secrets as random_source
import signal
import socket
from collections.abc import AsyncIterator, Callable, Generator, Mapping
from contextlib import AsyncExitStack, asynccontextmanager, suppress
from dataclasses import dataclass, field, replace
from datetime import UTC, datetime
from pathlib import Path
from random import Random
from typing import Any, Protocol

from bulkmsg import __version__, delivery
from bulkmsg.app.inspect import plan_of, require_valid
from bulkmsg.delivery import Look, Policy, Refusal, Sight, Step
from bulkmsg.engine import Desk, Engine, Halt, Stopped, explore
from bulkmsg.errors import ExitCode, InvalidBatch, LogUnusable, Refused, UsageError, worst
from bulkmsg.events import Event, Name, RunView
from bulkmsg.gorgias import wire
from bulkmsg.journal import Fold, LogIdentity, ProgressLog, RunInfo, log_exists
from bulkmsg.message import Mode, log_name
from bulkmsg.outcome import COUNTED, UNTOUCHED, State
from bulkmsg.pacing import Pacer
from bulkmsg.plan import Plan
from bulkmsg.ports import Helpdesk, Sink
from bulkmsg.retry import Breaker, backoff
from bulkmsg.review import Review, review, select
from bulkmsg.settings import API_KEY_RATE, SANDBOX_ACCOUNT, Credentials, InDoubt, Rate, check_account, check_base_url
from bulkmsg.source import Json
from bulkmsg.validation.header import read_header
from bulkmsg.validation.survey import BatchFile, Survey, messages, survey

LOOPBACK_ACCOUNT = "loopback"
_PROBES = 5  # tries of a question about the account, before the run goes on without its answer
SANDBOX_SHOWN = 20  # tickets, messages of a ticket, and mails
_SIGNALS = {
    signal.SIGINT: ExitCode.SIGINT,
    signal.SIGTERM: ExitCode.SIGTERM,
    signal.SIGHUP: ExitCode.SIGHUP,
}


@dataclass(frozen=True)
class RunOptions:
    """What a run is asked to do.

    Args:
        account, base_url: from the environment or the command line; None where they say nothing.
        rate: a ceiling; without it the server's header is the limit.
        limit: only the first so many tickets of the batch.
        settle: seconds after which the helpdesk shows an accepted message in its listings.
        timeout: seconds for one request.
    """

    account: str | None = None
    base_url: str | None = None
    credentials: Credentials | None = None
    sandbox: bool = False
    progress_log: Path | None = None
    rate: Rate | None = None
    limit: int | None = None
    concurrency: int = 8
    settle: float = 60.0
    timeout: float = 60.0
    in_doubt: InDoubt | None = None
    retry_rejected: bool = False
    allow_changed: bool = False
    allow_removed: bool = False
    flags: Mapping[str, str] = field(default_factory=dict)


class Counted(Protocol):
    """Whatever tells where the messages of a batch stand, and what it took."""

    @property
    def batch(self) -> str: ...
    @property
    def total(self) -> int: ...
    @property
    def counts(self) -> dict[str, int]: ...
    @property
    def requests(self) -> int: ...
    @property
    def throttled(self) -> int: ...
    @property
    def seconds(self) -> float: ...


def standing_answer(told: Counted, exit_code: int | None) -> dict[str, Json]:
    """The stable answer of `run` and `status` with `--format json`; the states add up to `total`."""
    return {
        "batch": told.batch,
        "total": told.total,
        **told.counts,
        "requests": told.requests,
        "throttled": told.throttled,
        "seconds": round(told.seconds, 3),
        "exit_code": exit_code,
    }


@dataclass(frozen=True)
class RunResult:
    """How a run ended. `counts` add up to `total`."""

    batch: str
    total: int
    counts: dict[str, int]
    requests: int
    throttled: int
    seconds: float
    exit_code: ExitCode
    log: Path
    reason: str = ""
    hint: str = ""
    duplicates: tuple[tuple[str, tuple[int, ...]], ...] = ()
    more_possible: Rate | None = None
    sandbox: dict[str, Json] | None = None

    def as_json(self) -> dict[str, Json]:
        """The stable answer of `run --format json`."""
        return standing_answer(self, int(self.exit_code))


def account_for(written: str | None, said: str | None, base_url: str | None, *, sandbox: bool) -> str:
    """The account that a command is about.

    Raises:
        Refused: none is named, or the batch belongs to another.
        UsageError: the name is none.
    """
    if sandbox:
        return SANDBOX_ACCOUNT
    if written is not None and said is not None and written != said:
        hint = f"set GORGIAS_ACCOUNT={written}, or change `account:` in the batch"
        raise Refused(f"the batch belongs to the account {written}, not to {said}", hint)
    account = written or said or (LOOPBACK_ACCOUNT if base_url else None)
    if account is None:
        hint = "export GORGIAS_ACCOUNT=acme for https://acme.gorgias.com; to try without an account: add --sandbox"
        raise Refused("no account: GORGIAS_ACCOUNT is not set", hint)
    return check_account(account)


def log_path(batch: Path, account: str, given: Path | None) -> Path:
    """Where the progress log of a batch and an account stands."""
    return given or batch.with_name(f"{batch.name}.{account}.progress.jsonl")


class Prepared:
    """A run that could begin: everything was checked that can be checked without the network.

    Close it, or send it; it holds the log's lock.
    """

    def __init__(
        self, batch: BatchFile, options: RunOptions, seen: Survey, account: str, path: Path, log: ProgressLog | None
    ) -> None:
        assert seen.header is not None
        self.batch, self.options, self.survey = batch, options, seen
        self.account, self.path, self.log = account, path, log
        self.mode = seen.header.mode
        self.name = seen.header.name
        self.review = self._review()

    @property
    def fold(self) -> Fold | None:
        return self.log.fold if self.log else None

    @property
    def plan(self) -> Plan:
        credentials = self.options.credentials or Credentials()
        return plan_of(self.survey, self.options.rate or credentials.default_rate)

    def messages(self) -> Any:
        """All messages of the batch for this account, in order."""
        return messages(self.batch, self.survey, self.account)

    def _review(self) -> Review:
        fold = self.fold
        return review(
            self.messages(),
            self.mode,
            fold.standing if fold else lambda key: UNTOUCHED,
            fold.mark if fold else lambda key: None,
            fold.unmarked if fold else lambda: iter(()),
            limit=self.options.limit,
            retry_rejected=self.options.retry_rejected,
            first_run=fold is None,
        )

    def close(self) -> None:
        if self.log is not None:
            self.log.close()


def account_named(batch: BatchFile, options: RunOptions) -> str | None:
    """The account of a batch by its header alone, before anything else is read; None while the header is wrong.

    Raises:
        UsageError, Refused: as `account_for`, and where the command line contradicts the header.
    """
    header = read_header(batch.reading(), batch.options, lambda found: None)
    if header is None:
        return None
    return account_for(header.account, options.account, options.base_url, sandbox=options.sandbox)


def prepare(batch: BatchFile, options: RunOptions, now: Callable[[], datetime]) -> Prepared:
    """Check all that can be checked before the first request.

    Raises:
        UsageError, Refused, InvalidBatch, LogUnusable: why the run cannot begin; nothing was sent.
    """
    if options.base_url is not None:
        check_base_url(options.base_url)
    header = read_header(batch.reading(), batch.options, lambda found: None)
    if header is None:
        require_valid(survey(batch, now=now()), batch.name)
        raise AssertionError("a header that cannot be read is an error of the batch")
    account = account_for(header.account, options.account, options.base_url, sandbox=options.sandbox)
    if not options.sandbox and options.credentials is None:
        raise Refused("no credentials were given", "set GORGIAS_EMAIL and GORGIAS_API_KEY, or add --sandbox")
    path = log_path(batch.path, account, options.progress_log)
    identity = LogIdentity(account, header.mode, header.name, __version__)
    # The log is locked before the long reading: a second run on it must hear so at once.
    log = ProgressLog.open(path, identity, now) if log_exists(path) and not options.sandbox else None
    try:
        seen = survey(batch, now=now())
        require_valid(seen, batch.name)
        if options.sandbox:
            _forget_sandbox_log(path)
        prepared = Prepared(batch, options, seen, account, path, log)
        _refuse_edits(prepared)
    except BaseException:
        if log is not None:
            log.close()
        raise
    return prepared


def _forget_sandbox_log(path: Path) -> None:
    """A sandbox begins empty, and so does its log. Only a log that a sandbox run wrote is ever removed."""
    if not log_exists(path):
        return
    from bulkmsg.journal import read_fold

    with suppress(LogUnusable):
        if read_fold(path).header.account != SANDBOX_ACCOUNT:
            hint = "give another path with --progress-log, or leave the flag out"
            raise UsageError(f"{path} is the log of a real account", hint)
    path.unlink()


def _refuse_edits(prepared: Prepared) -> None:
    found, options = prepared.review, prepared.options
    if found.edited_count and not options.allow_changed:
        where = ", ".join(f"{log_name(item.key)} ({item.file}:{item.line})" for item in found.edited)
        more = f" and {found.edited_count - len(found.edited)} more" if found.edited_count > len(found.edited) else ""
        hint = "put the old text back, or add --allow-changed: what was sent stays as it is, and is not sent again"
        raise InvalidBatch(f"changed after it was sent or while in doubt: {where}{more}", hint)
    if found.swapped and not options.allow_changed:
        hint = "give entries a `key:` so that edits are recognised; or add --allow-changed to send the new ones as well"
        keys = ", ".join(found.swapped)
        raise InvalidBatch(f"entries that were sent seem to have been edited: {keys} are gone, others are new", hint)
    if found.removed_count and prepared.mode is Mode.SEND and not options.allow_removed:
        keys = ", ".join(found.removed)
        more = (
            f" and {found.removed_count - len(found.removed)} more" if found.removed_count > len(found.removed) else ""
        )
        hint = "put them back, or add --allow-removed if they were taken out on purpose"
        raise InvalidBatch(f"the batch no longer holds messages that were sent or are in doubt: {keys}{more}", hint)


def idle(prepared: Prepared) -> RunResult | None:
    """The result of a run that has nothing to send and nothing to look for; None if there is something."""
    found = prepared.review
    if found.to_send or found.to_settle:
        return None
    return _result_of(prepared, [], requests=0)


def _result_of(prepared: Prepared, codes: list[ExitCode], **more: Any) -> RunResult:
    """How things stand, as a result; what is bad among the messages adds to the codes."""
    tally = prepared.review.tally
    if tally[State.IN_DOUBT]:
        codes.append(ExitCode.IN_DOUBT)
    if tally[State.REJECTED] or tally[State.FAILED] or tally[State.HELD_BACK] or more.get("duplicates"):
        codes.append(ExitCode.FINDINGS)
    standing: dict[str, Any] = {
        "batch": prepared.name,
        "total": tally.total,
        "counts": {state.value: tally[state] for state in COUNTED},
        "requests": 0,
        "throttled": 0,
        "seconds": 0.0,
        "exit_code": worst(codes),
        "log": prepared.path,
    }
    return RunResult(**{**standing, **more})


# -- sending ---------------------------------------------------------------------------------------------------------


class Watcher(Protocol):
    """Who shows the run while it goes on."""

    async def watch(self, view: Callable[[], RunView]) -> None:
        """Shows until it is cancelled."""

    def note(self, text: str) -> None:
        """Something to say in between."""


@dataclass
class Sending:
    """One run on its way. `consent` is the number of people that were agreed to be mailed."""

    prepared: Prepared
    sink: Sink
    watcher: Watcher
    now: Callable[[], datetime]
    consent: int | None = None
    run: str = field(default_factory=lambda: random_source.token_hex(8))
    random: Random = field(default_factory=Random)
    engine: Engine | None = None
    desk: Desk | None = None
    _signals: int = 0
    _task: asyncio.Task[Any] | None = None
    _began: float = 0.0

    async def send(self) -> RunResult:
        """Send what is to be sent.

        Raises:
            LogUnusable: the batch ran before and its log is missing, or the log cannot be written.
            Refused: the credentials are not accepted.
        """
        options = self.prepared.options
        self._began = asyncio.get_running_loop().time()
        async with AsyncExitStack() as stack:
            base, credentials, assumed, sandbox = await stack.enter_async_context(_target(self.prepared))
            helpdesk = await stack.enter_async_context(_client(base, credentials, options.timeout))
            stack.enter_context(_listening(self._on_signal))
            pacer = Pacer(assumed, options.rate)
            self.desk = Desk(helpdesk, pacer, Breaker(), self.sink, options.concurrency)
            try:
                self._task = asyncio.current_task()
                user = await self._preflight()
                if self.prepared.log is None and self.desk.halt is None:
                    await self._look_for_lost_log()
            except asyncio.CancelledError:
                if self.desk.halt is None:
                    raise
            if self.desk.halt is not None:
                return self._result(self.desk.halt)
            result = await self._run(user)
            return _with_sandbox(result, sandbox)

    async def _preflight(self) -> int | None:
        """Who we are, and the account's limit from the header. The first request goes alone."""
        assert self.desk is not None
        try:
            reply = await _probe(self.desk, wire.get_account(), self.random)
            real = self.prepared.options.base_url is None and not self.prepared.options.sandbox
            if real and reply.status == 404 and not reply.is_json:  # a wrong host answers with a page of HTML
                hint = f"check the name: it is the first part of https://{self.prepared.account}.gorgias.com"
                self.desk.stop(Halt(ExitCode.REFUSED, f"there is no account {self.prepared.account}", hint))
            if reply.status == 0:
                hint = "check the connection and the account's name, then run the same command again"
                self.desk.stop(Halt(ExitCode.STOPPED, f"the helpdesk cannot be reached: {reply.reason}", hint))
            if self.desk.halt is not None:
                return None
            me = await _probe(self.desk, wire.get_me(), self.random)
        except Stopped:
            return None
        return wire.integer_id(me.json.get("id")) if isinstance(me.json, dict) else None

    async def _look_for_lost_log(self) -> None:
        """A run that finds no log looks for its first and last entry: they must not stand there already."""
        found = self.prepared.review
        ends = [found.first] if found.first is found.last else [found.first, found.last]
        for message in ends if not self.prepared.options.sandbox else []:
            if message is None or self.desk is None:
                continue
            try:
                seen = await explore(delivery.look_for(message, self.random), self.desk)
            except Stopped:
                return
            if seen.sight is Sight.FOUND:
                raise LogUnusable(
                    f"messages of this batch stand in the helpdesk already, and its progress log {self.prepared.path} "
                    "is missing; nothing was sent",
                    "put the log back beside the batch (or name it with --progress-log): without it bulkmsg cannot "
                    "know what was sent",
                )
            if seen.sight is Sight.UNREADABLE and seen.status not in (301, 403, 404):
                hint = "run the same command again when the helpdesk answers"
                reason = f"could not look whether this batch ran before: {seen.reason}"
                self.desk.stop(Halt(ExitCode.STOPPED, reason, hint))

    async def _run(self, user: int | None) -> RunResult:
        prepared, desk = self.prepared, self.desk
        assert desk is not None
        log = prepared.log = prepared.log or self._begin_log()
        info = RunInfo(
            self.run,
            socket.gethostname(),
            user,
            dict(prepared.options.flags),
            prepared.survey.digest,
            self.consent,
            prepared.options.sandbox,
        )
        log.begin_run(info)
        fold = log.fold
        self.engine = Engine(
            desk,
            log,
            self.sink,
            Policy(prepared.mode, prepared.options.settle, prepared.options.in_doubt),
            fold.standing,
            prepared.review.tally,
            fold.last_created,
            prepared.options.retry_rejected,
            self.random,
        )
        self.sink.tell(Event(Name.RUN_STARTED, fields={"total": prepared.review.tally.total}))
        halt = await self._watched(self.engine)
        result = self._result(halt)
        self._end(log, result)
        return result

    def _begin_log(self) -> ProgressLog:
        prepared = self.prepared
        identity = LogIdentity(prepared.account, prepared.mode, prepared.name, __version__)
        return ProgressLog.create(prepared.path, identity, self.now)

    async def _watched(self, engine: Engine) -> Halt | None:
        show = asyncio.create_task(self.watcher.watch(engine.view))
        try:
            return await engine.run(select(self.prepared.messages(), self.prepared.options.limit))
        finally:
            show.cancel()
            with suppress(asyncio.CancelledError, Exception):
                await show

    def _result(self, halt: Halt | None) -> RunResult:
        desk, engine = self.desk, self.engine
        assert desk is not None
        return _result_of(
            self.prepared,
            [halt.code] if halt else [],
            requests=desk.requests,
            throttled=desk.throttled,
            seconds=asyncio.get_running_loop().time() - self._began,
            reason=halt.reason if halt else "",
            hint=halt.hint if halt else "",
            duplicates=tuple(engine.duplicates) if engine else (),
            more_possible=desk.pacer.more_possible,
        )

    def _end(self, log: ProgressLog, result: RunResult) -> None:
        fields: dict[str, Json] = {
            "total": result.total,
            **result.counts,
            "requests": result.requests,
            "throttled": result.throttled,
            "seconds": round(result.seconds, 3),
            "exit_code": int(result.exit_code),
        }
        self.sink.tell(Event(Name.RUN_FINISHED, fields=fields))
        counts = {state: result.counts[state.value] for state in COUNTED}
        with suppress(LogUnusable):  # a log that cannot be written was the run's end already
            log.end_run(int(result.exit_code), counts, result.requests, result.throttled, round(result.seconds, 3))

    def _on_signal(self, number: signal.Signals) -> None:
        """The first lets nothing new start; the second gives up what is in flight."""
        self._signals += 1
        if self.desk is None:
            return
        if self._signals == 1:
            flying = self.desk.in_flight
            waits = f"; waiting up to 30 s for {flying} request{'s' if flying != 1 else ''} in flight" if flying else ""
            self.watcher.note(f"stopping ({number.name}){waits}. Again to stop at once.")
            hint = "run the same command again to go on"
            self.desk.stop(Halt(_SIGNALS[number], f"stopped by {number.name}", hint))
        elif self.engine is not None:
            self.engine.abandon()
        elif self._task is not None:
            self._task.cancel()


async def _probe(desk: Desk, request: Any, random: Random) -> Any:
    """A question about the account itself: only 401 ends the run, since a token may lack the right to ask."""

    def ask() -> Generator[Step, Any, Any]:
        reply = None
        for tries in range(_PROBES):
            reply = yield Look(request)
            if reply.status == 401:
                yield Refusal(401, wire.error_text(reply))
                return reply
            if reply.status and reply.status < 500 and reply.status != 429:
                return reply
            yield delivery.Pause(backoff(tries, random, 10.0), reply.reason)
        return reply

    return await explore(ask(), desk)


@asynccontextmanager
async def _client(base: str, credentials: Credentials, patience: float) -> AsyncIterator[Helpdesk]:
    from bulkmsg.gorgias.client import GorgiasClient  # here: commands without a network never load it

    async with GorgiasClient(base, credentials, patience) as client:
        yield client


@asynccontextmanager
async def _target(prepared: Prepared) -> AsyncIterator[tuple[str, Credentials, Rate, Any]]:
    """Where requests go, as whom, and at which rate to begin; a sandbox lives as long as the run."""
    options = prepared.options
    if not options.sandbox:
        credentials = options.credentials or Credentials()
        base = check_base_url(options.base_url) if options.base_url else f"https://{prepared.account}.gorgias.com"
        yield base, credentials, credentials.default_rate, None
        return
    from bulkmsg.sandbox.server import Sandbox
    from bulkmsg.sandbox.settings import SandboxSettings

    rate = options.rate or API_KEY_RATE
    sandbox = Sandbox(SandboxSettings(limit=rate.limit, window=rate.window))
    await sandbox.start()
    try:
        yield sandbox.url, Credentials(email="sandbox@example.com", api_key="sandbox"), rate, sandbox
    finally:
        await sandbox.stop()


def _with_sandbox(result: RunResult, sandbox: Any) -> RunResult:
    if sandbox is None:
        return result
    return replace(result, sandbox=_sandbox_view(sandbox))


def _sandbox_view(sandbox: Any) -> dict[str, Json]:
    """What stands in the sandbox, as much of it as a person reads."""
    desk, when = sandbox.helpdesk, sandbox.moment()
    sandbox.house.api.settle(when)
    shown = [desk.complete(ticket) for _, ticket in sorted(desk.tickets.items())[:SANDBOX_SHOWN]]
    outbox = desk.post.outbox
    return {
        "counts": {"tickets": len(desk.tickets), "messages": len(desk.messages), "outbox": len(outbox)},
        "tickets": [_sandbox_ticket(ticket) for ticket in shown],
        "outbox": list(outbox[:SANDBOX_SHOWN]),
    }


def _sandbox_ticket(ticket: dict[str, Json]) -> dict[str, Json]:
    messages = sorted(ticket["messages"], key=lambda each: (each["created_datetime"], each["id"]))
    return {
        "id": ticket["id"],
        "status": ticket["status"],
        "subject": ticket["subject"],
        "messages": [_sandbox_message(message) for message in messages[:SANDBOX_SHOWN]],
        "more": max(0, len(messages) - SANDBOX_SHOWN),
    }


def _sandbox_message(message: dict[str, Json]) -> dict[str, Json]:
    names = ("id", "channel", "from_agent", "created_datetime", "subject")
    who = (message["sender"] or {}).get("email") or "somebody"
    return {**{name: message[name] for name in names}, "who": who, "text": message["body_text"] or "(HTML)"}


class _listening:
    """Signals are heard by the run while it goes on, and by nobody else."""

    def __init__(self, tell: Callable[[signal.Signals], None]) -> None:
        self._tell = tell
        self._heard: list[signal.Signals] = []

    def __enter__(self) -> None:
        loop = asyncio.get_running_loop()
        for number in _SIGNALS:
            with suppress(ValueError, RuntimeError, NotImplementedError):  # not the main thread, or not this system
                if number is signal.SIGHUP and signal.getsignal(number) is signal.SIG_IGN:
                    continue  # started under nohup: a closed terminal must not stop it
                loop.add_signal_handler(number, self._tell, number)
                self._heard.append(number)

    def __exit__(self, *args: object) -> None:
        loop = asyncio.get_running_loop()
        for number in self._heard:
            loop.remove_signal_handler(number)


def send(sending: Sending) -> RunResult:
    """Carry out a prepared run and close its log.

    Raises:
        BulkmsgError: as `Sending.send`.
    """
    try:
        return asyncio.run(sending.send())
    finally:
        sending.prepared.close()


def utc_now() -> datetime:
    return datetime.now(UTC)
