"""Looking without a network: validating a batch, planning a run, showing the very messages."""

from __future__ import annotations

from collections.abc import Iterable, Iterator
from dataclasses import dataclass

from bulkmsg.errors import InvalidBatch, UsageError
from bulkmsg.json_text import dumps
from bulkmsg.message import ExistingTicket, Kind, Message, NewTicket, Ticket
from bulkmsg.plan import ABSENT_REQUESTS, Plan
from bulkmsg.settings import SANDBOX_ACCOUNT, Rate, check_account
from bulkmsg.source import Json
from bulkmsg.threads import FirstRequest
from bulkmsg.validation.survey import BatchFile, Survey, messages


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
        posts=seen.posts,
        named_tickets=seen.named_tickets,
        uploads=seen.uploads,
        preflight=seen.roster.requests,
        lost_log=sum(ABSENT_REQUESTS[kind] for kind in seen.ends),
    )


@dataclass(frozen=True, slots=True)
class Shown:
    """A request as it would leave: to which path it is posted, its body, and of which messages.

    Args:
        keys: of the messages in it: several where a new ticket leaves with its thread.
        file, line: where the first of them is written.
    """

    keys: tuple[str, ...]
    file: str
    line: int
    path: str
    body: Json

    @property
    def key(self) -> str:
        return self.keys[0]


def show(batch: BatchFile, seen: Survey, wanted: str, account: str | None) -> Iterator[Shown]:
    """The very requests: the one with the message whose key is `wanted`, or those with the first N messages.

    Without an account the generated `external_id`s, which depend on it, are left out.

    Raises:
        UsageError: no message has that key.
    """
    name = check_account(account) if account else SANDBOX_ACCOUNT
    number = int(wanted) if wanted.isascii() and wanted.isdigit() else None
    found = 0
    for request, begins in _requests(messages(batch, seen, name)):
        if number is not None and found >= number:
            return
        if number is not None or any(message.key == wanted for message in request):
            found += len(request)
            yield _shown(request, begins, account is not None)
    if not found:
        raise UsageError(f"no message has the key {wanted!r}", "bulkmsg plan BATCH --show 10 prints the first ten")


def _requests(found: Iterable[Message]) -> Iterator[tuple[list[Message], bool]]:
    """Messages that leave together, those that begin a new ticket, else each by itself; and whether they begin one."""
    held: list[Message] = []
    request, ticket, begins = FirstRequest(), None, False
    for message in found:
        new = message.ticket is not ticket
        if new:
            request, ticket = FirstRequest(), message.ticket
        joins = isinstance(ticket, NewTicket) and request.takes(len(dumps(message.body)))
        if held and (new or not joins):
            yield held, begins
            held = []
        held.append(message)
        begins = joins
    if held:
        yield held, begins


def _shown(request: list[Message], begins: bool, account_known: bool) -> Shown:
    first = request[0]
    keys = tuple(message.key for message in request)
    bodies = [_shown_body(message, account_known) for message in request]
    ticket = first.ticket
    if not isinstance(ticket, NewTicket) or not begins:
        return Shown(keys, first.file, first.line, f"/api/tickets/{_number_of(ticket)}/messages", bodies[0])
    whole = {**ticket.fields, "messages": bodies}
    if ticket.given or account_known:
        whole["external_id"] = ticket.external_id
    return Shown(keys, first.file, first.line, "/api/tickets", whole)


def _number_of(ticket: Ticket) -> int | str:
    """A ticket's number as far as it is known before a run."""
    if isinstance(ticket, ExistingTicket):
        return ticket.id
    generated = isinstance(ticket, NewTicket) and not ticket.given
    return "{id of the new ticket}" if generated else f"{{id of {ticket.external_id}}}"


def _with_files(message: Message) -> dict[str, Json]:
    """The body, where a `url` that only the upload gives says which file it will be of."""
    body: dict[str, Json] = dict(message.body)
    if message.uploads:
        body["attachments"] = [dict(item) for item in body["attachments"]]
        for upload in message.uploads:
            body["attachments"][upload.position]["url"] = f"(from uploading {upload.file})"
    return body


def _shown_body(message: Message, account_known: bool) -> dict[str, Json]:
    body = _with_files(message)
    if not account_known and str(body.get("external_id", "")).startswith("bulkmsg-"):
        del body["external_id"]
    return body
