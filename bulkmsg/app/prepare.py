"""Preparing a run: all that can be checked before the first request, refused if it must be; nothing leaves."""

from __future__ import annotations

import socket
from collections.abc import Callable, Mapping
from contextlib import suppress
from dataclasses import dataclass, field
from datetime import datetime
from pathlib import Path
from typing import Any, Protocol

from bulkmsg import __version__
from bulkmsg.app.inspect import plan_of, require_valid
from bulkmsg.deadline import Moment, Stretch
from bulkmsg.errors import InvalidBatch, LogUnusable, Refused, UsageError
from bulkmsg.journal import Disk, Fold, LogIdentity, ProgressLog, RealDisk, log_exists, read_fold
from bulkmsg.message import Mode, log_name
from bulkmsg.outcome import UNTOUCHED
from bulkmsg.places import MOST
from bulkmsg.plan import Plan
from bulkmsg.review import Review, review
from bulkmsg.sample import Lanes, Selection
from bulkmsg.settings import SANDBOX_ACCOUNT, Credentials, InDoubt, Rate, check_account, check_base_url
from bulkmsg.share import ALL, Share
from bulkmsg.stopping import USUAL_ERRORS, ErrorLimit, OnRejection
from bulkmsg.validation.header import read_header
from bulkmsg.validation.roster import What
from bulkmsg.validation.survey import BatchFile, Survey, messages, survey

LOOPBACK_ACCOUNT = "loopback"


@dataclass(frozen=True)
class RunOptions:
    """What a run is asked to do.

    Args:
        account, base_url: from the environment or the command line; None where they say nothing.
        rate: a ceiling; without it the server's header is the limit.
        share: the part of that limit which is ours.
        selection: which tickets of the batch; None for all.
        concurrency: at most so many tickets at a time.
        settle: seconds after which the helpdesk shows an accepted message in its listings.
        timeout: seconds for one request.
        max_errors, max_duration, stop_at, on_rejection: when the run ends before its end.
        takeover: a log that a run on another machine left open may be gone on with.
        looked: messages in doubt were looked for right before, as a rebuild does.
        update_tickets: tickets of the batch that are there get their own fields again where these were changed.
        ignore_rules: an import goes on although active rules of the account may react.
    """

    account: str | None = None
    base_url: str | None = None
    credentials: Credentials | None = None
    sandbox: bool = False
    progress_log: Path | None = None
    rate: Rate | None = None
    share: Share = ALL
    selection: Selection | None = None
    concurrency: int = MOST
    settle: float = 60.0
    timeout: float = 60.0
    in_doubt: InDoubt | None = None
    retry_rejected: bool = False
    allow_changed: bool = False
    allow_removed: bool = False
    max_errors: ErrorLimit = USUAL_ERRORS
    max_duration: Stretch | None = None
    stop_at: Moment | None = None
    on_rejection: OnRejection = OnRejection.HOLD_TICKET
    takeover: bool = False
    looked: bool = False
    update_tickets: bool = False
    ignore_rules: bool = False
    flags: Mapping[str, str] = field(default_factory=dict)


class Errand(Protocol):
    """Whatever visits the helpdesk: to which account, and how."""

    @property
    def account(self) -> str: ...
    @property
    def options(self) -> RunOptions: ...


@dataclass(frozen=True, slots=True)
class Visit:
    """An errand that only reads."""

    account: str
    options: RunOptions


def account_meant(written: str | None, said: str | None, base_url: str | None) -> str | None:
    """The account as the batch has it, else as the environment does; a loopback helpdesk needs no name."""
    return written or said or (LOOPBACK_ACCOUNT if base_url else None)


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
    account = account_meant(written, said, base_url)
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
        self,
        batch: BatchFile,
        options: RunOptions,
        seen: Survey,
        account: str,
        path: Path,
        log: ProgressLog | None,
        disk: Disk,
    ) -> None:
        assert seen.header is not None
        self.batch, self.options, self.survey = batch, options, seen
        self.account, self.path, self.log, self.disk = account, path, log, disk
        self.mode = seen.header.mode
        self.name = seen.header.name
        self.lanes = self._lanes()
        self.review = self._review()

    @property
    def fold(self) -> Fold | None:
        return self.log.fold if self.log else None

    @property
    def plan(self) -> Plan:
        credentials = self.options.credentials or Credentials()
        return plan_of(self.survey, self.options.rate or credentials.default_rate)

    @property
    def mailboxes(self) -> tuple[str, ...]:
        """The addresses that messages go out from, so that a sandbox of the run's own has them.

        None where the batch names integrations by number: these numbers are another account's.
        """
        roster = self.survey.roster
        return () if roster.names(What.INTEGRATION) else tuple(map(str, roster.names(What.MAILBOX)))

    def messages(self) -> Any:
        """All messages of the batch for this account, in order."""
        return messages(self.batch, self.survey, self.account)

    def _lanes(self) -> Lanes | None:
        """The tickets that the run takes; None for all."""
        asked = self.options.selection
        return None if asked is None or asked.tickets >= self.survey.tickets else asked.lanes(self.messages())

    def _review(self) -> Review:
        fold = self.fold
        return review(
            self.messages(),
            self.mode,
            fold.standing if fold else lambda key: UNTOUCHED,
            fold.mark if fold else lambda key: None,
            fold.unmarked if fold else lambda: iter(()),
            ticket=fold.ticket if fold else lambda external_id: None,
            lanes=self.lanes,
            retry_rejected=self.options.retry_rejected,
            rejections_hold=self.options.on_rejection is not OnRejection.CONTINUE,
            first_run=fold is None,
            looked=self.options.looked,
            update_tickets=self.options.update_tickets,
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


def whose_log(batch: BatchFile, options: RunOptions, now: Callable[[], datetime]) -> tuple[Path, LogIdentity]:
    """Where the log of a batch has to stand, and what it has to say of itself, once the errand may go to the helpdesk.

    Raises:
        UsageError, Refused, InvalidBatch: why it may not.
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
    identity = LogIdentity(account, header.mode, header.name, __version__)
    return log_path(batch.path, account, options.progress_log), identity


def prepare(batch: BatchFile, options: RunOptions, now: Callable[[], datetime], disk: Disk | None = None) -> Prepared:
    """Check all that can be checked before the first request.

    Args:
        disk: what the progress log is written with; the system's own without one.

    Raises:
        UsageError, Refused, InvalidBatch, LogUnusable: why the run cannot begin; nothing was sent.
    """
    path, identity = whose_log(batch, options, now)
    # The log is locked before the long reading: a second run on it must hear so at once.
    host = None if options.takeover else socket.gethostname()
    disk = disk or RealDisk()
    begun = log_exists(path) and not options.sandbox
    log = ProgressLog.open(path, identity, now, disk, host=host) if begun else None
    try:
        seen = survey(batch, now=now())
        require_valid(seen, batch.name)
        if options.sandbox:
            _forget_sandbox_log(path)
        prepared = Prepared(batch, options, seen, identity.account, path, log, disk)
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
