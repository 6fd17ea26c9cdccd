"""What clashes between entries: names used twice, tickets both new and existing, people who write for both sides.

The first reading keeps hashes and suspicions only; a second reading, where there are any, settles them by the texts
themselves and finds the places. Pure: takes drafts, reports findings.
"""

from __future__ import annotations

import re
from collections.abc import Callable, Iterable, Iterator, Mapping, Set
from dataclasses import dataclass, field
from shlex import quote

from bulkmsg.batch import Entry
from bulkmsg.diagnostic import RULES, Diagnostic, Related
from bulkmsg.message import Kind, hash64
from bulkmsg.source import Json, Path, Place, Position, path_text
from bulkmsg.validation.checks import Trouble
from bulkmsg.validation.drafts import Draft, TicketDraft
from bulkmsg.validation.identity import KeyOrigin, recipients
from bulkmsg.validation.sides import sender_address

_PLACES_SHOWN = 5
_TICKET = "\0ticket "  # keeps a ticket's external id apart from all keys and ids of messages, which hold no NUL
_ADDRESS_END = re.compile(r"@\S+")

SECOND_RULES = frozenset({"BM413", "BM704"})  # what single entries are told of in a second reading only

Report = Callable[[Diagnostic], None]


@dataclass(frozen=True, slots=True)
class Suspicion:
    """What a first reading leaves to a second.

    Args:
        repeated: hashes of names that occurred twice.
        both_sides: addresses that write as an agent, and perhaps as a customer.
        tickets: hashes of tickets that are referred to as existing, and perhaps created by the batch itself.
    """

    repeated: Set[int] = frozenset()
    both_sides: Set[str] = frozenset()
    tickets: Set[int] = frozenset()

    def __bool__(self) -> bool:
        return bool(self.repeated or self.both_sides or self.tickets)


class SecondLook:
    """What single entries of a second reading are held against; each clash is told where its second half stands."""

    def __init__(self, suspicion: Suspicion = Suspicion()) -> None:  # frozen, and so is all in it
        self._suspicion = suspicion
        self._first: dict[tuple[str, bool], Related] = {}
        self._told: set[str] = set()

    def sender(self, kind: Kind, fields: dict[str, Json], place: Place, path: Path = ()) -> Trouble | None:
        """Whether the sender of a message, at `path` of the entry at `place`, also writes for the other side."""
        address = sender_address(fields) if self._suspicion.both_sides else None
        if address is None or address not in self._suspicion.both_sides:
            return None
        customer = kind is Kind.INCOMING
        role, other = ("a customer", "an agent") if customer else ("an agent", "a customer")
        before = self._meet(address, customer, f"here as {role}", place, path)
        if before is None:
            return None
        name = address.partition("@")[0][:40]
        hint = "incoming messages are sent by customers, outgoing ones and notes by agents: check `type` and `sender`"
        return Trouble(
            "BM413", ("sender",), f"{name}@... writes here as {role}, and elsewhere as {other}", hint, None, before
        )

    def message(self, kind: Kind, fields: Mapping[str, Json], place: Place, path: Path) -> Iterable[Trouble]:
        """What else is to be told of a finished message at `path` of its entry; nothing here, see `roster`."""
        return ()

    def ticket(self, name: str | None, place: Place, *, created: bool) -> Trouble | None:
        """Whether a ticket is both created by the batch and referred to as existing."""
        if name is None or not self._suspicion.tickets or ticket_number(name) not in self._suspicion.tickets:
            return None
        said = "the ticket is created here" if created else "here it is taken for one that exists"
        before = self._meet(_TICKET + name, created, said, place, ())
        if before is None:
            return None
        path = "external_id" if created else "ticket_external_id"
        message = "the batch creates this ticket, and also refers to it as one that exists"
        hint = "put the message inside the new ticket, or take the ticket out of `tickets:` if it exists"
        return Trouble("BM704", (path,), message, hint, None, before)

    def _meet(self, name: str, side: bool, said: str, place: Place, path: Path) -> tuple[Related, ...] | None:
        """The first place on the other side, once; None as long as a name was met on one side only."""
        if (name, side) not in self._first:
            self._first[name, side] = Related(said, place.file, place.line_of(path), 1)
        other = self._first.get((name, not side))
        if other is None or name in self._told:
            return None
        self._told.add(name)
        return (other,)


def ticket_number(external_id: str) -> int:
    """A ticket's external id as a number, for those that a batch creates and for those that it refers to."""
    return hash64(_TICKET + external_id)


def identities(draft: Draft) -> Iterator[str]:
    """All texts that must not occur twice in a batch; two that are equal are looked at again, exactly."""
    key, origin = draft.identity()
    yield key
    if origin is KeyOrigin.GIVEN and draft.external_id is not None:
        yield draft.external_id
    if draft.first and isinstance(draft.ticket, TicketDraft):
        yield from (text for _, text in _ticket_identities(draft, draft.ticket))


def _named_identities(draft: Draft) -> Iterator[tuple[str, str]]:
    """The same, each with what it is: equal texts only clash where they are the same kind of name."""
    yield "key", draft.identity()[0]
    if draft.external_id is not None:
        yield "external_id", draft.external_id
    if draft.first and isinstance(draft.ticket, TicketDraft):
        yield from _ticket_identities(draft, draft.ticket)


def _ticket_identities(draft: Draft, ticket: TicketDraft) -> Iterator[tuple[str, str]]:
    """Those of a new ticket, told with the first of its messages."""
    if ticket.external_id is not None:
        yield "ticket", f"{_TICKET}{ticket.external_id}"
    if ticket.key is not None and ticket.key != draft.identity()[0]:
        yield "ticket key", ticket.key


@dataclass
class _Group:
    """Entries that share a text that must be unique. Holds words and places, never entries: there may be many."""

    origin: KeyOrigin | None
    who: str
    exact: bool  # whether columns are looked for: of the first groups only, since there may be as many as entries
    places: list[Related] = field(default_factory=list)
    count: int = 0
    path: str = ""  # of the second, and its row and column in a table
    row: int | None = None
    column_name: str | None = None
    delimiter: str | None = None

    def add(self, entry: Entry, origin: KeyOrigin | None, path: Path) -> None:
        self.count += 1
        self.origin = self.origin if origin is self.origin else KeyOrigin.GIVEN
        if self.count > _PLACES_SHOWN:
            return
        column = _column(entry, path)
        at = Position(entry.place.line_of(path), 1)
        if self.exact:
            at = entry.place.at(path if entry.cells is None else () if column is None else (column,))
        said = "the first of them" if self.count == 1 else "another of them"
        self.places.append(Related(said, entry.place.file, at.line, at.column))
        if self.count == 2:
            self.path = path_text((*entry.prefix, *path))
            self.row, self.column_name = (None, None) if entry.cells is None else (entry.number, column)
            self.delimiter = entry.sheet.block.delimiter if entry.sheet is not None else None

    @property
    def where(self) -> str:
        more = f" and {self.count - len(self.places)} more" if self.count > len(self.places) else ""
        return " and ".join(f"{place.file}:{place.line}" for place in self.places) + more


def tell_repeats(drafts: Iterable[Draft], suspicion: Suspicion, report: Report, exact: int) -> dict[str, int]:
    """Tell which names occur twice, by the texts themselves.

    Args:
        drafts: a second reading, which goes on to its end.
        exact: how many repeated names get exact columns.

    Returns:
        how often each key occurs that is made from content and shared by identical entries.
    """
    groups: dict[tuple[str, str], _Group] = {}
    tickets: dict[tuple[str, str], _Group] = {}
    for draft in drafts:
        for what, text in _named_identities(draft):
            if hash64(text) not in suspicion.repeated:
                continue
            if what != "ticket":
                _join(groups, draft, what, text, exact)
            elif len(tickets) < exact or (what, text) in tickets:  # in a table that is not sorted it may be all of them
                _join(tickets, draft, what, text, exact)
    repeats = _tell_groups(groups, report)
    _tell_groups(tickets, report)
    return repeats


def _join(groups: dict[tuple[str, str], _Group], draft: Draft, what: str, text: str, exact: int) -> None:
    origin = draft.identity()[1] if what == "key" else None
    group = groups.get((what, text))
    if group is None:
        who = _masked(draft, text.removeprefix(_TICKET))
        group = groups[(what, text)] = _Group(origin, who, len(groups) < exact)
    group.add(draft.entry, origin, _path_of(draft, what, origin))


def _tell_groups(groups: dict[tuple[str, str], _Group], report: Report) -> dict[str, int]:
    repeats: dict[str, int] = {}
    for (what, text), group in groups.items():
        if group.count < 2 or group.origin is KeyOrigin.EXTERNAL_ID:
            continue  # two keys that are both external ids are told as such
        report(_repeat_finding(what, group))
        if what == "key" and group.origin is KeyOrigin.CONTENT:
            repeats[text] = group.count
    return repeats


def _path_of(draft: Draft, what: str, origin: KeyOrigin | None) -> Path:
    """Where in its entry the text stands that occurs twice; that of the message where it was made of all of it."""
    if origin in (KeyOrigin.PEOPLE, KeyOrigin.CONTENT):
        return draft.path
    name = "external_id" if what in ("external_id", "ticket") or origin is KeyOrigin.EXTERNAL_ID else "key"
    of_ticket = what.startswith("ticket") or name not in draft.fields
    if draft.entry.cells is not None:
        return ("ticket", name) if of_ticket and isinstance(draft.ticket, TicketDraft) else (name,)
    return (name,) if of_ticket else (*draft.path, name)


def _column(entry: Entry, path: Path) -> str | None:
    """The column of a table in which the text at `path` stands."""
    if entry.sheet is None or not path:
        return None
    names, columns = entry.sheet.names, entry.sheet.columns
    wanted = (".".join(map(str, path)), entry.sheet.block.key if path == ("key",) else None)
    return next((column for name, column in zip(names, columns, strict=True) if name in wanted), None)


def _repeat_finding(what: str, group: _Group) -> Diagnostic:
    if what == "key" and group.origin is KeyOrigin.PEOPLE:
        rule = "BM504"
        message = f"{group.who} would get {group.count} messages: {group.where}"
        hint = "if that is meant, give each entry its own `key:`; otherwise take one out"
    elif what == "key" and group.origin is KeyOrigin.CONTENT:
        rule = "BM503"
        message = f"{group.count} entries are identical: {group.where}; each of them will be sent"
        hint = "take the copies out, or give each entry its own `key:`"
    elif what == "ticket" and group.row is not None and group.column_name is not None:
        rule = "BM702"
        message = f"the rows of the ticket {group.who} do not follow each other: {group.where}"
        hint = f"sort by this column, in a spreadsheet or with `{_sorting(group)}`"
    elif what == "ticket":
        rule = "BM702"
        message = f"the ticket {group.who} stands in {group.count} places: {group.where}"
        hint = "put all its messages into one ticket, or give each its own external_id"
    else:
        rule = "BM502" if what == "external_id" else "BM501"
        name = {"ticket key": "key of a ticket"}.get(what, what)
        message = f"the {name} {group.who} is used {group.count} times: {group.where}"
        hint = f"each {'ticket' if what == 'ticket key' else 'entry'} needs its own: by it a run knows what it has sent"
    first, second, *others = group.places
    return Diagnostic(
        rule,
        RULES[rule].severity,
        message,
        hint,
        second.file,
        second.line,
        second.column,
        group.path,
        row=group.row,
        column_name=group.column_name,
        related=(first, *others),
    )


def _sorting(group: _Group) -> str:
    """The command that puts a ticket's rows together. It keeps their order (Miller, reference of verbs, "sort")."""
    file = group.places[1].file
    tabs = file.lower().removesuffix(".gz").endswith(".tsv")
    form = "--tsv" if tabs else "--csv" if group.delimiter in (None, ",") else f"--csv --fs {quote(group.delimiter)}"
    named = quote(file) if file.isprintable() else "FILE"
    return f"mlr {form} sort -f {quote(group.column_name or '')} {named} > sorted.{'tsv' if tabs else 'csv'}"


def _masked(draft: Draft, text: str) -> str:
    """Who or what repeats, without a whole address."""
    if draft.identity()[1] is not KeyOrigin.PEOPLE or text != draft.identity()[0]:
        return repr(_ADDRESS_END.sub("@...", text[:60]))
    people = recipients(draft.body)
    first = people[0].partition("@")[0][:20] + "@..." if people and "@" in people[0] else "one person"
    return first if len(people) < 2 else f"{first} (and {len(people) - 1} with them)"
