"""What a run would do and how long it would take, beside what earlier runs did by the progress log. Opens no socket."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass, replace
from datetime import datetime
from pathlib import Path

from bulkmsg.app.history import History
from bulkmsg.app.inspect import plan_of, require_valid
from bulkmsg.app.prepare import account_meant
from bulkmsg.errors import BulkmsgError
from bulkmsg.plan import Left, Plan
from bulkmsg.review import Review, review
from bulkmsg.settings import API_KEY_RATE, SANDBOX_ACCOUNT, Rate
from bulkmsg.share import Share
from bulkmsg.stopping import OnRejection
from bulkmsg.validation.survey import BatchFile, Survey, messages, survey

USUAL_SETTLE = 60.0


@dataclass(frozen=True, slots=True)
class Whose:
    """What says which progress log belongs to a batch, beside its header: the account and the loopback helpdesk that
    the environment names, and the log that the command line names."""

    account: str | None = None
    base_url: str | None = None
    log: Path | None = None

    def account_of(self, seen: Survey) -> str | None:
        """The account that a batch is for, None where nothing names one."""
        written = seen.header.account if seen.header else None
        return account_meant(written, self.account, self.base_url)


@dataclass(frozen=True, slots=True)
class Asked:
    """What a run is asked to do beside what it does anyway, as `RunOptions` has it."""

    update_tickets: bool = False
    retry_rejected: bool = False
    on_rejection: OnRejection = OnRejection.HOLD_TICKET


@dataclass(frozen=True, slots=True)
class Planned:
    """A plan and what it was made from.

    Args:
        before: the batch held against its progress log; None where there is none.
        trouble: why the progress log tells nothing although there is one, in words.
    """

    plan: Plan
    survey: Survey
    before: Review | None = None
    trouble: str = ""

    def under(self, share: Share, begun: datetime) -> Planned:
        """The same where a part of the limit is ours, for a run that begins at a moment."""
        return replace(self, plan=replace(self.plan, share=share, begun=begun))


def plan(
    batch: BatchFile,
    rate: Rate | None = None,
    whose: Whose | None = None,
    asked: Asked | None = None,
    usual: Callable[[str | None], Rate] = lambda account: API_KEY_RATE,
) -> Planned:
    """What a run of the batch would do now.

    Args:
        usual: the rate without a given one, by the credentials for the account of the batch, as far as it is named.

    Raises:
        InvalidBatch: the batch has errors.
    """
    whose = whose or Whose()
    seen = survey(batch)
    require_valid(seen, batch.name)
    first = plan_of(seen, rate or usual(whose.account_of(seen)))
    try:
        before = _held_against_log(batch, seen, whose, asked or Asked())
    except BulkmsgError as error:
        return Planned(first, seen, trouble=error.message)
    if before is None:
        return Planned(first, seen)
    left = Left(before.to_send, before.to_settle, before.to_hold, before.costs)
    return Planned(replace(first, left=left, settle=USUAL_SETTLE), seen, before)


def _held_against_log(batch: BatchFile, seen: Survey, whose: Whose, asked: Asked) -> Review | None:
    history = History(batch, whose.account, whose.base_url, whose.log)
    fold = history.fold
    if fold is None or seen.header is None or (fold.header.account == SANDBOX_ACCOUNT and whose.log is None):
        return None  # a sandbox begins empty, and a run that is no sandbox's has no part in its log
    found = messages(history.batch, seen, fold.header.account)
    return review(
        found,
        seen.header.mode,
        fold.standing,
        fold.mark,
        fold.unmarked,
        ticket=fold.ticket,
        retry_rejected=asked.retry_rejected,
        rejections_hold=asked.on_rejection is not OnRejection.CONTINUE,
        update_tickets=asked.update_tickets,
    )
