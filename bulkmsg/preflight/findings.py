"""What the answers mean for a batch: findings, each with its rule and a way out. Pure."""

from __future__ import annotations

from collections.abc import Iterator
from difflib import get_close_matches

from bulkmsg.diagnostic import RULES, Diagnostic, Severity
from bulkmsg.message import Mode
from bulkmsg.preflight.questions import Agents, Listed, TicketSeen
from bulkmsg.preflight.things import Account, Mailbox, Rule, User
from bulkmsg.validation.roster import Reference, Roster, What, Wrong

_SETTINGS = {
    "auto-merge": "auto-merge is on: the helpdesk may join open tickets of one customer, new ones too",
    "satisfaction-surveys": "satisfaction surveys are on: a customer may be asked about a ticket that is closed",
}
_MAILBOX_HINT = "the helpdesk sends only through its own e-mail integrations; `bulkmsg account mailboxes` lists them"
_RULES_SHOWN = 10
OBSERVER = "observer-agent"


def about(rule: str, message: str, hint: str, file: str, severity: Severity | None = None) -> Diagnostic:
    """A finding about the account, for the batch as a whole."""
    return Diagnostic(rule, severity or RULES[rule].severity, message, hint, file, 0, 0)


def unread(what: str, why: str, so: str, file: str) -> Diagnostic:
    """Something that the helpdesk did not tell, and what was therefore not checked."""
    hint = "nothing is wrong with the batch because of this; look it up in the helpdesk yourself if it matters"
    return about("BM810", f"{what} could not be read ({why}): {so}", hint, file)


# -- the account and who we are ------------------------------------------------------------------------------------


def account_findings(account: Account | None, me: User | None, roster: Roster, file: str) -> Iterator[Diagnostic]:
    """What the account's own record says; `account` is None where it could not be read."""
    if account is None:
        yield unread("the account", "no such answer", "neither its status nor its settings were checked", file)
        return
    if account.deactivated:
        hint = "have it activated in the helpdesk, or check GORGIAS_ACCOUNT"
        yield about("BM808", "the account is deactivated", hint, file)
    elif account.status not in (None, "active"):
        hint = "look at the account's subscription in the helpdesk; what this status forbids is not documented"
        yield about("BM808", f"the account's status is {account.status!r}, not active", hint, file, Severity.WARNING)
    for setting, words in _SETTINGS.items():
        if account.is_on(setting):
            hint = "switch it off in the helpdesk's settings while the batch runs; what it does then is not documented"
            yield about("BM807", words, hint, file)
    if me is not None and me.role == OBSERVER and roster.replies:
        hint = "use the key of a user whose role is Lite or above; an Observer may only leave internal notes"
        replies = f"{roster.replies:,} messages of the batch are more than internal notes"
        yield about("BM809", f"the credentials belong to an Observer, and {replies}", hint, file)


# -- rules ---------------------------------------------------------------------------------------------------------


def rule_findings(rules: Listed[Rule], mode: Mode, ignored: bool, file: str) -> Iterator[Diagnostic]:
    """Active rules that a new message or ticket sets off: in import mode they stop a run unless they are ignored."""
    if rules.why:
        so = "whether rules react to new messages is not known; look under Settings > Rules in the helpdesk"
        yield unread("the list of rules", rules.why, so, file)
    firing = [rule for rule in rules.items if rule.fires]
    following = [rule for rule in rules.items if rule.follows]
    if firing:
        stops = mode is Mode.IMPORT and not ignored
        words = "an active rule fires" if len(firing) == 1 else f"{len(firing)} active rules fire"
        message = f"{words} on new messages or tickets, and may write to customers: {_named(firing)}"
        hint = "switch off in the helpdesk, under Settings > Rules, until the batch is through"
        hint += ", or add --ignore-rules" if stops else ""
        yield about("BM806", message, hint, file, Severity.ERROR if stops else Severity.WARNING)
    if following:
        one = len(following) == 1
        message = f"{'an active rule fires' if one else f'{len(following)} active rules fire'} when a ticket changes, "
        message += f"as new messages may make it: {_named(following)}"
        hint = "switch off in the helpdesk, under Settings > Rules, what must not happen because of this batch"
        yield about("BM806", message, hint, file, Severity.WARNING)


def _named(rules: list[Rule]) -> str:
    shown = "; ".join(
        f"{rule.name!r} ({', '.join(sorted(rule.events)) or 'says not when'})" for rule in rules[:_RULES_SHOWN]
    )
    return shown + (f"; and {len(rules) - _RULES_SHOWN} more" if len(rules) > _RULES_SHOWN else "")


# -- references ----------------------------------------------------------------------------------------------------


def wrong_agents(found: Agents) -> dict[Reference, Wrong]:
    """The agents that are no users, each with who may have been meant."""
    wrong = {}
    for name in found.missing:
        who = f"user {name}" if isinstance(name, int) else name
        close = get_close_matches(name, found.seen - {name}, 1, 0.75) if isinstance(name, str) else []
        hint = f"did you mean {close[0]}? " if close else ""
        hint += "who writes for the company must be a user of the account; `bulkmsg account agents` lists them"
        wrong[Reference(What.AGENT, name)] = Wrong("BM801", f"{who} is no user of the account", hint)
    return wrong


def wrong_mailboxes(boxes: Listed[Mailbox], roster: Roster, mode: Mode) -> dict[Reference, Wrong]:
    """The addresses and integrations through which nothing goes out.

    Documented is that a message from another address is not sent (guide "Create a new message in ticket via API"). An
    import sends none, and an old address may well be gone: there it is a warning.
    """
    severity = None if mode is Mode.SEND else Severity.WARNING
    live = {box.address.lower() for box in boxes.items if box.address and not box.off}
    off = {box.address.lower(): box.off for box in boxes.items if box.address and box.off}
    numbers = {box.id: box.off for box in boxes.items}
    wrong = {}
    for name in roster.names(What.MAILBOX) if live or off else ():
        if name not in live:
            close = get_close_matches(str(name), live, 1, 0.75)
            meant = f"did you mean {close[0]}? " if close else ""
            said = f"{name} is {_why_not(off.get(str(name), ''))}"
            wrong[Reference(What.MAILBOX, name)] = Wrong("BM802", said, meant + _MAILBOX_HINT, severity)
    for name in roster.names(What.INTEGRATION) if boxes.items else ():
        if numbers.get(int(name), "unknown"):
            said = f"integration {name} is {_why_not(numbers.get(int(name), ''))}"
            wrong[Reference(What.INTEGRATION, name)] = Wrong("BM802", said, _MAILBOX_HINT, severity)
    return wrong


def _why_not(off: str) -> str:
    return f"a mailbox of the account that is {off}" if off else "no mailbox of the account"


def wrong_ticket(name: int | str, seen: TicketSeen) -> Wrong | None:
    """What a look at a ticket has against it; None where it is there, or could not be looked at."""
    if seen.exists or seen.unsure:
        return None
    if seen.survivor is not None:
        hint = f"write ticket_id: {seen.survivor} if the message belongs there; nothing is sent to a merged ticket"
        return Wrong("BM804", f"ticket {name} was merged into ticket {seen.survivor}", hint)
    if seen.ids:
        hint = "write the one you mean as `ticket_id`"
        ids = ", ".join(map(str, seen.ids[:5]))
        return Wrong("BM805", f"several tickets have the external id {name!r}: {ids}", hint)
    hint = "check the number, or put the message inside a new ticket, under `tickets:`"
    said = f"ticket {name} does not exist" if isinstance(name, int) else f"no ticket has the external id {name!r}"
    return Wrong("BM803", said, hint)


def many_wrong(wrong: int, left: int, file: str) -> Diagnostic:
    """So many tickets are wrong that the rest were not looked at: it may be the wrong account."""
    hint = "check GORGIAS_ACCOUNT first: tickets have other numbers in every account"
    return about("BM810", f"{wrong} tickets are wrong, so {left:,} more were not looked at", hint, file)


def left_unchecked(found: Agents, boxes: Listed[Mailbox] | None, roster: Roster, file: str) -> Iterator[Diagnostic]:
    """Notes on what of the references could not be checked."""
    if found.unsure:
        some = f"{len(found.unsure):,} of the batch's agents were not checked"
        yield unread("users", found.why, some, file)
    if boxes is not None and boxes.why:
        yield unread("the list of integrations", boxes.why, "the addresses that are sent from were not checked", file)
    elif boxes is not None and roster.names(What.MAILBOX) and not any(box.address for box in boxes.items):
        so = "the addresses that are sent from were not checked"
        yield unread("mailboxes", "the helpdesk lists none", so, file)
    if roster.left_out:
        so = f"{roster.left_out:,} uses of further names were not checked"
        yield about("BM810", f"the batch names more agents and mailboxes than are looked up: {so}", "", file)
