"""New tickets: what of an entry is the ticket's and what its messages', and what each takes from the other. Pure."""

from __future__ import annotations

from collections.abc import Iterator

from bulkmsg.diagnostic import Related
from bulkmsg.message import Mode
from bulkmsg.source import Json, Path, Place
from bulkmsg.validation import values
from bulkmsg.validation.checks import Trouble
from bulkmsg.validation.order import time_of

NAME = "external_id"


def split(fields: dict[str, Json]) -> tuple[dict[str, Json], list[Json], Trouble | None]:
    """The ticket's own fields, its messages as written, and what is wrong with these as a whole."""
    ticket = {name: value for name, value in fields.items() if name != "messages"}
    messages = fields.get("messages")
    if messages is None or messages == []:
        hint = "write `messages:` with at least one message below it: a ticket cannot exist without one"
        return ticket, [], Trouble("BM202", ("messages",), "the new ticket has no message", hint)
    if not isinstance(messages, list):
        hint = "write a dash before it: `messages:`, and below it `- type: incoming`"
        return ticket, [], Trouble("BM203", ("messages",), "`messages` of a ticket must be a list", hint)
    return ticket, messages, None


def no_message(path: Path) -> Trouble:
    """A message that is none."""
    return Trouble("BM203", path, "a message must be a mapping of fields", "begin it with `type:`")


def nameless_row() -> Trouble:
    """A row of a table of tickets that gives nothing of a ticket, not even which one."""
    hint = "repeat the ticket's `ticket.external_id` in each of its rows; cells of a row above are not taken over"
    return Trouble("BM202", ("ticket", NAME), "the row does not say which ticket it belongs to", hint)


def contradictions(
    own: dict[str, Json], first: dict[str, Json], finished: dict[str, Json], place: Place
) -> Iterator[Trouble]:
    """What a later row of a ticket says of it that its first row, and what lies below that, says otherwise.

    Args:
        own: the row's cells below `ticket.`; `first` those of the ticket's first row, which stands at `place`.
        finished: the ticket's own fields as they will leave.
    """
    if own.items() <= first.items():  # as most rows have it; the leaves are looked at where they differ
        return
    for path, value in _leaves(own):
        before = _at(first, path)
        if value != before and not (before is None and value == _at(finished, path)):
            name = ".".join(("ticket", *path))
            said = (
                f"the ticket's first row has no `{name}`" if before is None else f"`{name}` is another in the first row"
            )
            hint = "a ticket has its fields from its first row: mend that; below it leave the cell empty, or repeat it"
            there = Related("the ticket's first row", place.file, place.line, 1)
            yield Trouble("BM705", path, said, hint, related=(there,))


def _leaves(value: dict[str, Json], path: tuple[str, ...] = ()) -> Iterator[tuple[tuple[str, ...], Json]]:
    for name, item in value.items():
        if isinstance(item, dict) and item:
            yield from _leaves(item, (*path, name))
        else:
            yield (*path, name), item


def _at(value: Json, path: tuple[str, ...]) -> Json:
    for part in path:
        value = value.get(part) if isinstance(value, dict) else None
    return value


def open_though_closed(ticket: dict[str, Json]) -> Trouble | None:
    """A ticket that says when it was closed, and not that it is."""
    if not ticket.get("closed_datetime") or "status" in ticket:
        return None
    hint = "add `status: closed`; if it was opened again, say `status: open`"
    message = "the ticket says when it was closed, and would arrive open: it has no `status`"
    return Trouble("BM706", ("closed_datetime",), message, hint)


def begun_too_late(ticket: dict[str, Json], first: dict[str, Json]) -> Trouble | None:
    """A ticket that is younger than its first message."""
    began, written = ticket.get("created_datetime"), time_of(first)
    if written is None or not isinstance(began, str) or began[-1:] != "Z" or began[:-1] <= written[0]:
        return None
    hint = (
        "give the ticket the time of its first message, or an earlier one; the helpdesk never lets it be changed later"
    )
    return Trouble("BM706", ("created_datetime",), "the ticket is younger than its first message", hint)


def inherit(ticket: dict[str, Json], message: dict[str, Json]) -> tuple[str, ...]:
    """Put into a message what it takes from its ticket; returns the fields' names."""
    if "subject" in message or not isinstance(ticket.get("subject"), str):
        return ()
    message["subject"] = ticket["subject"]
    return ("subject",)


def own_fields(ticket: dict[str, Json]) -> dict[str, Json]:
    """What the user says of the ticket, in the request's shape (Gorgias reference, "Create a ticket").

    Args:
        ticket: the ticket's own fields, finished.
    """
    fields = {name: value for name, value in ticket.items() if name not in ("key", NAME)}
    if "tags" in fields:
        fields["tags"] = [{"name": name} for name in fields["tags"]]
    return fields


def request_fields(
    own: dict[str, Json], first: dict[str, Json], customer: dict[str, Json] | None, mode: Mode
) -> dict[str, Json]:
    """The request's body without `messages` and `external_id`: what the user says, and what the messages add to it.

    Args:
        own: as `own_fields` gives it.
        first: the body of its first message, from which it takes what it lacks.
        customer: who is its customer as far as its messages tell.
    """
    fields = dict(own)
    for name in ("channel", "via", "from_agent"):
        fields.setdefault(name, first[name])
    if customer is not None:
        fields.setdefault("customer", customer)
    if mode is Mode.IMPORT:
        fields["imported"] = True
    return fields


def customer_of(body: dict[str, Json]) -> dict[str, Json] | None:
    """Who is the customer in a message: the sender of an incoming one, the first recipient of an outgoing one."""
    if body["channel"] == "internal-note":
        return None
    person = body.get("receiver" if body["from_agent"] else "sender")
    if isinstance(person, dict):
        return {name: person[name] for name in ("id", "email") if name in person} or None
    listed = (body.get("source") or {}).get("to") or []
    address = listed[0].get("address") if listed else None
    return {"email": address} if address and values.is_address(address) else None
