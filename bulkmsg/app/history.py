"""Looking back: where a batch stands and what became of each entry, from its progress log. Opens no socket.

Works beside a run that is writing the log. Where the log knows what the command line and the header leave open
(the account, the mode, the batch's name), its word is taken.
"""

from __future__ import annotations

import socket
from collections import Counter
from collections.abc import Iterator
from dataclasses import dataclass, replace
from pathlib import Path

from bulkmsg.app.inspect import require_valid
from bulkmsg.app.prepare import account_meant, log_path
from bulkmsg.app.result import standing_answer
from bulkmsg.batch import Header
from bulkmsg.errors import InvalidBatch, LogUnusable, UsageError
from bulkmsg.journal import Fold, left_open_elsewhere, log_exists, read_fold
from bulkmsg.message import Message, log_name
from bulkmsg.outcome import COUNTED, UNTOUCHED, Standing, State
from bulkmsg.settings import SANDBOX_ACCOUNT, check_account
from bulkmsg.source import Json
from bulkmsg.validation.header import read_header
from bulkmsg.validation.survey import BatchFile, Survey, messages, survey


@dataclass(frozen=True, slots=True)
class Status:
    """Where a batch stands. `counts` add up to `total`.

    Args:
        account: None while nothing says which.
        log: where the progress log stands or would stand, None while nothing says which; `begun` if it is there.
        runs: how many there were; `going` if the newest has no end: it goes on, or was killed.
        requests, throttled, seconds: sums over the runs that came to their end.
        exit_code: of the newest run, None while it has none.
        elsewhere: the machine on which a run without an end was begun, where it is not this one.
        command: what the newest run was: run, resolve, or rebuild.
        rebuilding: the log was lost and is not rebuilt to its end.
        from_log: the batch could not be read, so `total` counts what the log knows.
    """

    batch: str
    account: str | None
    log: Path | None
    begun: bool
    total: int
    counts: dict[str, int]
    runs: int = 0
    going: bool = False
    requests: int = 0
    throttled: int = 0
    seconds: float = 0.0
    exit_code: int | None = None
    from_log: bool = False
    elsewhere: str = ""
    command: str = "run"
    rebuilding: bool = False

    def as_json(self) -> dict[str, Json]:
        """The stable answer of `status --format json`."""
        return standing_answer(self, self.exit_code)


@dataclass(frozen=True, slots=True)
class Result:
    """What became of one entry. The key is the entry's own, as its file has it."""

    key: str
    external_id: str | None
    file: str
    line: int
    ticket_id: int | None
    message_id: int | None
    outcome: State
    attempts: int
    status: int | None
    error: str | None

    def as_json(self) -> dict[str, Json]:
        """The stable line of `results --format jsonl`."""
        return {
            "key": self.key,
            "external_id": self.external_id,
            "file": self.file,
            "line": self.line,
            "ticket_id": self.ticket_id,
            "message_id": self.message_id,
            "outcome": self.outcome.value,
            "attempts": self.attempts,
            "status": self.status,
            "error": self.error,
        }


class History:
    """A batch together with its progress log.

    Args:
        said: the account that the environment names, `base_url` the loopback helpdesk it names.
        given: the progress log that the command line names.

    Raises:
        UsageError: the command line contradicts the header, or several logs may be meant.
        LogUnusable: the log is damaged or belongs to another batch.
    """

    def __init__(self, batch: BatchFile, said: str | None, base_url: str | None, given: Path | None) -> None:
        self._header = read_header(batch.reading(), batch.options, lambda found: None)
        written = self._header.account if self._header else None
        self._account = account_meant(written, said, base_url)
        self.path = given or self._path(batch.path)
        self.fold: Fold | None = None
        self._gone: Counter[State] = Counter()
        self._survey: Survey | None = None
        self.look_again()
        self.batch = self._as_logged(batch)

    def look_again(self) -> None:
        """Read the log anew."""
        if self.path is not None and log_exists(self.path):
            self.fold = read_fold(self.path)

    def recount(self) -> None:
        """Read the log anew, after what it knows of entries that the batch no longer holds may have changed."""
        self.look_again()
        if self._survey is not None and self._survey.valid and self.fold is not None:
            self._gone = self._removed(self._survey, self.fold)

    @property
    def account(self) -> str | None:
        return self.fold.header.account if self.fold else self._account

    def status(self) -> Status:
        """Where the batch stands now.

        Raises:
            InvalidBatch: there is no log and the batch cannot be read.
        """
        fold = self.fold
        seen = self._surveyed()
        if fold is None:
            require_valid(seen, self.batch.name)
        counts = self._counts(seen)
        return Status(
            batch=self._name(),
            account=self.account,
            log=self.path,
            begun=fold is not None,
            total=sum(counts.values()),
            counts={state.value: counts[state] for state in COUNTED},
            runs=fold.runs if fold else 0,
            going=fold is not None and fold.last_run is not None and fold.last_end is None,
            requests=fold.requests if fold else 0,
            throttled=fold.throttled if fold else 0,
            seconds=fold.seconds if fold else 0.0,
            exit_code=fold.last_end["exit_code"] if fold and fold.last_end else None,
            from_log=not seen.valid,
            elsewhere=left_open_elsewhere(fold, socket.gethostname()) if fold else "",
            command=fold.last_run.command if fold and fold.last_run else "run",
            rebuilding=fold is not None and fold.rebuilding,
        )

    def results(self) -> Iterator[Result]:
        """Every entry's outcome, in the order of the batch.

        Raises:
            InvalidBatch: the batch has errors, so its entries have no keys.
        """
        account = self.account
        for message in self.messages():
            where = self.fold.standing(message.key) if self.fold else UNTOUCHED
            external_id = message.external_id
            if account is None and external_id.startswith("bulkmsg-"):  # it would be made from the account's name
                yield _result(message.key, None, message.file, message.line, where)
            else:
                yield _result(message.key, external_id, message.file, message.line, where)

    def messages(self) -> Iterator[Message]:
        """The messages of the batch, in order; without an account their generated ids are not the final ones.

        Raises:
            InvalidBatch: the batch has errors.
        """
        seen = self._surveyed()
        require_valid(seen, self.batch.name)
        return messages(self.batch, seen, self.account or SANDBOX_ACCOUNT)

    @property
    def name(self) -> str:
        return self._name()

    @property
    def digest(self) -> str:
        return self._surveyed().digest

    @property
    def header_account(self) -> str | None:
        """The account that the batch itself names."""
        return self._header.account if self._header else None

    # -- which log, and which batch ---------------------------------------------------------------------------------

    def _path(self, batch: Path) -> Path | None:
        if self._account is not None:
            return log_path(batch, check_account(self._account), None)
        found = logs_beside(batch)
        if len(found) > 1:
            names = ", ".join(path.name for path in found)
            raise UsageError(
                f"several progress logs stand beside the batch: {names}", "say which with --progress-log or --account"
            )
        return found[0] if found else None

    def _as_logged(self, batch: BatchFile) -> BatchFile:
        """The batch with the mode and name that its log knows and nothing else says."""
        header, fold = self._header, self.fold
        if header is None or fold is None:
            return batch
        options = batch.options
        if options.mode is None and "mode" not in header.places:
            options = replace(options, mode=fold.header.mode)
        if not header.name_given and not fold.header.batch.startswith("#"):
            options = replace(options, name=fold.header.batch)
        self._demand_match(header, (options.mode or header.mode).value, options.name or header.name)
        return replace(batch, options=options)

    def _demand_match(self, header: Header, mode: str, name: str) -> None:
        assert self.fold is not None
        theirs = self.fold.header
        if (theirs.mode.value, theirs.batch) == (mode, log_name(name)):
            return
        raise LogUnusable(
            f"the progress log {self.path} belongs to batch {theirs.batch!r} in mode {theirs.mode.value}; "
            f"this is {log_name(name)!r} in mode {mode}",
            "name its own log with --progress-log, or correct the mode or the name",
        )

    def _name(self) -> str:
        if self.batch.options.name:
            return self.batch.options.name
        if self._header is not None:
            return self._header.name
        return self.fold.header.batch if self.fold else self.batch.name

    # -- counting ---------------------------------------------------------------------------------------------------

    def _surveyed(self) -> Survey:
        if self._survey is None:
            self._survey = survey(self.batch)
            if self._survey.valid and self.fold is not None:
                self._gone = self._removed(self._survey, self.fold)
        return self._survey

    def _removed(self, seen: Survey, fold: Fold) -> Counter[State]:
        """How many keys of the log the batch no longer holds. They stay out of the counts, also later on."""
        for message in messages(self.batch, seen, fold.header.account):
            fold.mark(message.key)
        return Counter(_counted(where.state) for _, where in fold.unmarked())

    @property
    def removed(self) -> int:
        """How many entries of the log are no longer in the batch."""
        return self._gone.total()

    def _counts(self, seen: Survey) -> dict[State, int]:
        known = self.fold.counts if self.fold else dict.fromkeys(COUNTED, 0)
        counts = {state: known[state] - self._gone[state] for state in COUNTED}
        if seen.valid:
            settled = sum(number for state, number in counts.items() if state is not State.PENDING)
            counts[State.PENDING] = max(0, seen.messages - settled)
        return counts


def logs_beside(batch: Path) -> list[Path]:
    """The progress logs that stand beside a batch, whatever their account."""
    start, end = f"{batch.name}.", ".progress.jsonl"
    try:
        names = sorted(path.name for path in batch.parent.iterdir())
    except OSError as error:
        raise InvalidBatch(f"the folder of {batch} cannot be read: {error.strerror}", "check the path") from None
    fitting = (name for name in names if name.startswith(start) and name.endswith(end))
    return [batch.with_name(name) for name in fitting if len(name) > len(start) + len(end) - 1]


def _counted(state: State) -> State:
    return State.IN_DOUBT if state is State.INTENDED else state


def _result(key: str, external_id: str | None, file: str, line: int, where: Standing) -> Result:
    return Result(
        key=key,
        external_id=external_id,
        file=file,
        line=line,
        ticket_id=where.ticket_id,
        message_id=where.message_id,
        outcome=_counted(where.state),
        attempts=where.attempt,
        status=where.status,
        error=where.error,
    )
