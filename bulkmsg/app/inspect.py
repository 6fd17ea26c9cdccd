"""Looking without a network: validating a batch, planning a run, showing the very messages."""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import dataclass

from bulkmsg.errors import InvalidBatch, UsageError
from bulkmsg.message import ExistingTicket, Kind, Message, NewTicket
from bulkmsg.plan import Plan
from bulkmsg.settings import API_KEY_RATE, SANDBOX_ACCOUNT, Rate, check_account
from bulkmsg.source import Json
from bulkmsg.validation.survey import BatchFile, Survey, messages, survey


def validate(batch: BatchFile) -> Survey:
    """Read everything, report every finding; opens no socket.

    Raises:
        UsageError: the command line contradicts the batch.
    """
    return survey(batch, deep=False)


def require_valid(seen: Survey, name: str) -> None:
    """Raises:
    InvalidBatch: the survey found errors.
    """
    if not seen.valid:
        count = seen.findings.errors
        raise InvalidBatch(
            f"{name} has {count} error{'s' if count > 1 else ''}; nothing was sent",
            "mend what is listed above, then run the same command again",
            seen.findings.kept,
        )


def plan(batch: BatchFile, rate: Rate | None = None) -> tuple[Plan, Survey]:
    """What a first run of the batch would do.

    Raises:
        InvalidBatch: the batch has errors.
    """
    seen = survey(batch)
    require_valid(seen, batch.name)
    return plan_of(seen, rate or API_KEY_RATE), seen


def plan_of(seen: Survey, rate: Rate) -> Plan:
    """The plan of a surveyed batch at a rate."""
    assert seen.header is not None
    return Plan(
        batch=seen.header.name,
        mode=seen.header.mode.value,
        messages=seen.messages,
        by_type={kind.value: seen.by_type[kind] for kind in Kind},
        tickets=seen.tickets,
        new_tickets=seen.new_tickets,
        recipients=seen.people,
        sends=seen.sends,
        rate=rate,
    )


@dataclass(frozen=True, slots=True)
class Shown:
    """A message as it would leave: where it is written, to which path it is posted, and the request's body."""

    key: str
    file: str
    line: int
    path: str
    body: Json


def show(batch: BatchFile, seen: Survey, wanted: str, account: str | None) -> Iterator[Shown]:
    """The very messages: the one whose key is `wanted`, or the first N of the batch when it is a number.

    Without an account the generated `external_id`s, which depend on it, are left out.

    Raises:
        UsageError: no message has that key.
    """
    name = check_account(account) if account else SANDBOX_ACCOUNT
    number = int(wanted) if wanted.isascii() and wanted.isdigit() else None
    found = 0
    for message in messages(batch, seen, name):
        if (number is not None and found < number) or message.key == wanted:
            found += 1
            yield _shown(message, account is not None)
        if number is not None and found >= number:
            return
    if not found:
        raise UsageError(f"no message has the key {wanted!r}", "bulkmsg plan BATCH --show 10 prints the first ten")


def _shown(message: Message, account_known: bool) -> Shown:
    body: dict[str, Json] = dict(message.body)
    generated = str(body.get("external_id", "")).startswith("bulkmsg-")
    if generated and not account_known:
        del body["external_id"]
    if not isinstance(message.ticket, NewTicket):
        ticket = message.ticket
        place = ticket.id if isinstance(ticket, ExistingTicket) else f"{{id of {ticket.external_id}}}"
        return Shown(message.key, message.file, message.line, f"/api/tickets/{place}/messages", body)
    whole = {**message.ticket.fields, "messages": [body]}
    if message.ticket.given or account_known:
        whole["external_id"] = message.ticket.external_id
    return Shown(message.key, message.file, message.line, "/api/tickets", whole)
