"""What the command line says of a conversion, for all sources alike."""

from __future__ import annotations

import csv
import io
import re
from collections.abc import Iterable, Mapping
from dataclasses import dataclass, field
from datetime import UTC, date, datetime
from types import MappingProxyType

from bulkmsg.errors import UsageError
from bulkmsg.message import Kind
from bulkmsg.validation.values import is_address

STATUSES: Mapping[str, str] = MappingProxyType(
    {
        **dict.fromkeys(("new", "open", "pending", "hold", "active", "assigned", "unassigned", "snoozed"), "open"),
        **dict.fromkeys(("solved", "closed", "archived", "done", "resolved"), "closed"),
    }
)


@dataclass(frozen=True, slots=True)
class Options:
    """How neutral turns become messages.

    Args:
        agents: a source's agent (id, address in lower case, or name) to a user of the helpdesk (address or number).
        default_agent: who stands in for everybody who is not mapped.
        since, until: times in UTC as text; a message at `until` is left out.
        statuses: words of sources in lower case to open or closed.
        fields: a source's custom field (id or name) to the number of a field of the helpdesk.
        now: the current time in UTC, after which nothing can have been sent.
    """

    source: str
    agents: Mapping[str, str] = field(default_factory=dict)
    default_agent: str = ""
    mailbox: str = ""
    missing_email: str = "error"
    since: str = ""
    until: str = ""
    only_tickets: frozenset[str] = frozenset()
    attachments: str = "link"
    statuses: Mapping[str, str] = field(default_factory=lambda: STATUSES)
    fields: Mapping[str, int] = field(default_factory=dict)
    person_names: bool = False
    author_line: bool = False
    anonymise: bool = False
    now: str = "9999"


def pairs(words: tuple[str, ...], flag: str) -> dict[str, str]:
    """`old=new` words, and the rows of CSV texts, as a map.

    Raises:
        UsageError: a word that is neither.
    """
    found: dict[str, str] = {}
    for word in words:
        old, equals, new = (part.strip() for part in word.rpartition("="))
        if not equals or not old or not new:
            raise UsageError(f"{flag} {word} is no pair", f"write it like: {flag} old=new, or name a CSV file")
        found[old] = new
    return found


def rows(text: str, flag: str, name: str) -> dict[str, str]:
    """The first two columns of a CSV as a map; a header row `old,new` and rows without a second cell are left out.

    Raises:
        UsageError: a row with one cell only.
    """
    found: dict[str, str] = {}
    for number, cells in enumerate(csv.reader(io.StringIO(text.removeprefix("\ufeff"))), 1):
        if not any(cell.strip() for cell in cells) or (number == 1 and cells[0].strip().lower() == "old"):
            continue
        if len(cells) < 2:
            raise UsageError(
                f"{flag}: row {number} of {name} has one cell", "give two columns, old and new, with commas"
            )
        if cells[1].strip():
            found[cells[0].strip()] = cells[1].strip()
    return found


def agents(given: Mapping[str, str]) -> dict[str, str]:
    """The map of agents, to be looked up by id, by address or by name.

    Raises:
        UsageError: somebody is mapped to what is neither an address nor a number.
    """
    for old, new in given.items():
        check_agent(new, f"--agent-map {old}=")
    return {old.lower(): new for old, new in given.items()}


def check_agent(agent: str, flag: str) -> None:
    """
    Raises:
        UsageError: it is neither an address nor the number of a user.
    """
    if not (is_address(agent) or (agent.isascii() and agent.isdigit())):
        raise UsageError(
            f"{flag}{agent} names no agent", "give the e-mail address or the number of a user of the helpdesk"
        )


def check_mailbox(address: str) -> None:
    """
    Raises:
        UsageError: it is no address.
    """
    if not is_address(address):
        raise UsageError(f"--mailbox {address} is no address", "write it like --mailbox support@yourshop.com")


def own(given: Iterable[str]) -> tuple[str, ...]:
    """Addresses, and domains (with or without an @ before them), in lower case.

    Raises:
        UsageError: it is neither.
    """
    found = tuple(word.strip().lower().removeprefix("@") for each in given for word in each.split(",") if word.strip())
    for word in found:
        if not is_address(word if "@" in word else f"x@{word}"):
            raise UsageError(f"--own {word} is no address and no domain", "write --own acme.com, or an address")
    return found


def statuses(given: Mapping[str, str]) -> dict[str, str]:
    """The map of statuses with what is known anyhow below it.

    Raises:
        UsageError: a status is mapped to what the helpdesk does not have.
    """
    for old, new in given.items():
        if new not in ("open", "closed"):
            raise UsageError(f"--status-map {old}={new}: the helpdesk has open and closed", f"write {old}=open")
    return {**STATUSES, **{old.lower(): new for old, new in given.items()}}


def types(given: Mapping[str, str], allowed: tuple[str, ...]) -> dict[str, Kind]:
    """What becomes of records of some types.

    Raises:
        UsageError: the source leaves no choice for a type, or the helpdesk does not have the other.
    """
    for old, new in given.items():
        if old not in allowed:
            hint = f"there is a choice for {', '.join(allowed)}" if allowed else "leave the flag out for this source"
            raise UsageError(f"--type-map {old}={new}: the source leaves no choice for {old}", hint)
        if new not in tuple(Kind):
            hint = f"write {old}={Kind.OUTGOING}, {old}={Kind.INCOMING} or {old}={Kind.INTERNAL_NOTE}"
            raise UsageError(f"--type-map {old}={new}: {new} is no type of message", hint)
    return {old: Kind(new) for old, new in given.items()}


def fields(given: Mapping[str, str]) -> dict[str, int]:
    """
    Raises:
        UsageError: a field is mapped to something that is no number.
    """
    for old, new in given.items():
        if not (new.isascii() and new.isdigit()):
            hint = "custom fields of the helpdesk are known by their numbers, as in --field-map 360001=41"
            raise UsageError(f"--field-map {old}={new}: {new} is no number", hint)
    return {old: int(new) for old, new in given.items()}


_DAY = re.compile(r"\d{4}-\d{2}-\d{2}")


def moment(text: str) -> str:
    """A day (its beginning in UTC) or a time with a zone, as UTC text.

    Raises:
        UsageError: it is neither.
    """
    try:
        if _DAY.fullmatch(text):
            return f"{date.fromisoformat(text)}T00:00:00Z"
        read = datetime.fromisoformat(text)
        if read.tzinfo is None:
            raise ValueError
    except ValueError:
        raise UsageError(f"{text} is no date", "write 2023-01-31, or 2023-01-31T10:00:00Z") from None
    return f"{read.astimezone(UTC):%Y-%m-%dT%H:%M:%S}Z"


def ids(text: str) -> frozenset[str]:
    """Ids of tickets, separated by commas, blanks or lines; a leading # is dropped."""
    return frozenset(each.removeprefix("#") for each in re.split(r"[,\s]+", text.strip()) if each)
