"""What a run asks before it sends: who we are, whether this batch ran before and lost its progress log, and whether the
account knows whom and what the batch refers to."""

from __future__ import annotations

from collections.abc import Iterable
from dataclasses import dataclass, field
from random import Random
from typing import Protocol

from bulkmsg.app.prepare import Errand, Prepared
from bulkmsg.desk import Desk, Halt, Stopped, explore
from bulkmsg.diagnostic import Diagnostic
from bulkmsg.errors import ExitCode, InvalidBatch, LogUnusable, Refused
from bulkmsg.gorgias import wire
from bulkmsg.gorgias.wire import Listing
from bulkmsg.looking import Sight, look_for
from bulkmsg.message import NewTicket
from bulkmsg.preflight import findings as told
from bulkmsg.preflight.questions import Agents, ask, find_agents, read_list
from bulkmsg.preflight.things import Account, Mailbox, Rule, User
from bulkmsg.validation.roster import ASKED_ONE_BY_ONE, Reference, What, Wrong
from bulkmsg.validation.survey import BatchFile, Survey, locate

REFUSING = frozenset({"BM806", "BM808"})  # findings about the account, not about what stands in the batch


@dataclass(frozen=True, slots=True)
class Who:
    """Whose helpdesk it is and who we are there, as far as it is told; and how much of its limit is `used`.

    Args:
        status: of the answer about the account, 0 where none was had.
    """

    status: int = 0
    account: Account | None = None
    user: User | None = None
    used: int | None = None
    limit: int | None = None

    @property
    def user_id(self) -> int | None:
        return self.user.id if self.user else None


async def meet(desk: Desk, errand: Errand, random: Random) -> Who:
    """The account and the user behind the credentials; the account's limit comes with the header.

    The first request goes alone. What must end the run halts the desk.
    """
    try:
        reply = await explore(ask(wire.get_account(), random), desk)
        real = errand.options.base_url is None and not errand.options.sandbox
        if real and reply.status == 404 and not reply.is_json:  # a wrong host answers with a page of HTML
            hint = f"check the name: it is the first part of https://{errand.account}.gorgias.com"
            desk.stop(Halt(ExitCode.REFUSED, f"there is no account {errand.account}", hint))
        if reply.status == 0:
            hint = "check the connection and the account's name, then run the same command again"
            desk.stop(Halt(ExitCode.STOPPED, f"the helpdesk cannot be reached: {reply.reason}", hint))
        if desk.halt is not None:
            return Who()
        me = await explore(ask(wire.get_me(), random), desk)
    except Stopped:
        return Who()
    account = Account.read(reply.json) if 200 <= reply.status < 300 else None
    return Who(reply.status, account, User.read(me.json) if 200 <= me.status < 300 else None, me.used, me.limit)


async def look_for_lost_log(desk: Desk, prepared: Prepared, random: Random) -> None:
    """A run that finds no log looks for its first and last entry: they must not stand there already.

    Raises:
        LogUnusable: one does.
    """
    found = prepared.review
    ends = [found.first] if found.first is found.last else [found.first, found.last]
    for message in ends if not prepared.options.sandbox else []:
        if message is None:
            continue
        try:
            (seen,) = await explore(look_for([message], None, random), desk)
        except Stopped:
            return
        # A new ticket that stands there is ours, or else would be there twice.
        if seen.sight is Sight.FOUND or (seen.tickets and isinstance(message.ticket, NewTicket)):
            raise LogUnusable(
                f"messages of this batch stand in the helpdesk already, and its progress log {prepared.path} "
                "is missing; nothing was sent",
                "put the log back beside the batch, or name it with --progress-log; if it is lost, "
                "`bulkmsg run BATCH --rebuild-log` reads from the helpdesk what was sent",
            )
        if seen.sight is Sight.UNREADABLE and seen.status not in (301, 403, 404):
            hint = "run the same command again when the helpdesk answers"
            reason = f"could not look whether this batch ran before: {seen.reason}"
            desk.stop(Halt(ExitCode.STOPPED, reason, hint))


# -- whom and what the batch refers to -----------------------------------------------------------------------------


class Subject(Protocol):
    """A batch that was surveyed."""

    @property
    def batch(self) -> BatchFile: ...
    @property
    def survey(self) -> Survey: ...


@dataclass
class Examined:
    """What a look at the account found: findings, and how much was looked at."""

    findings: list[Diagnostic] = field(default_factory=list)
    wrong: dict[Reference, Wrong] = field(default_factory=dict)

    def close(self, subject: Subject) -> None:
        """Find the places of what is wrong; the batch is read once more, and only then."""
        if self.wrong:
            self.findings = [*locate(subject.batch, subject.survey, self.wrong), *self.findings]
            self.wrong = {}


async def examine(desk: Desk, subject: Subject, who: Who, random: Random, *, ignore_rules: bool) -> Examined:
    """Hold the batch's agents and mailboxes, and the account's rules, against each other; never a request per ticket.

    Raises:
        Stopped: the command is stopping.
    """
    seen, name = subject.survey, subject.batch.name
    assert seen.header is not None
    roster, mode, found = seen.roster, seen.header.mode, Examined()
    found.findings += told.account_findings(who.account, who.user, roster, name)
    wanted = roster.names(What.AGENT)
    agents = Agents()
    if wanted:
        agents = await explore(find_agents(wanted, ASKED_ONE_BY_ONE, who.user, random), desk)
    boxes = None
    if roster.needs_integrations:
        boxes = await explore(read_list(Listing.INTEGRATIONS, Mailbox.read, random), desk)
    rules = await explore(read_list(Listing.RULES, Rule.read, random), desk)
    if desk.halt is not None:  # the credentials were refused meanwhile: what was read in that state says nothing
        raise Stopped
    found.wrong |= told.wrong_agents(agents)
    if boxes is not None and not boxes.why:
        found.wrong |= told.wrong_mailboxes(boxes, roster, mode)
    found.findings += told.rule_findings(rules, mode, ignore_rules, name)
    found.findings += told.left_unchecked(agents, boxes, roster, name)
    return found


class NotAsTheAccount(InvalidBatch):
    """The batch refers to somebody or something that the account does not have."""


class AgainstIt(Refused):
    """The account itself stands against the run; `look` is the list that shows more, empty for its own record."""

    def __init__(self, message: str, hint: str, look: str = "") -> None:
        super().__init__(message, hint)
        self.look = look


def refuse(findings: Iterable[Diagnostic], name: str) -> None:
    """Stop before anything is sent if a finding is an error.

    Raises:
        AgainstIt, NotAsTheAccount: one is.
    """
    wrong = [found for found in findings if found.is_error]
    against = [found for found in wrong if found.rule in REFUSING]
    if against:
        first = against[0]
        if first.rule == "BM806":
            raise AgainstIt("rules of the account may react to this import; nothing was sent", first.hint, "rules")
        raise AgainstIt(f"{first.message}; nothing was sent", first.hint)
    if wrong:
        count = len(wrong)
        many = f"{count} things that the account does not have" if count > 1 else "something the account does not have"
        raise NotAsTheAccount(f"{name} refers to {many}; nothing was sent", "mend what is listed above, then run again")
