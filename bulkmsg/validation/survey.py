"""Whole batches: the validating pass that looks at everything, and the later passes that must meet the same content.

A batch is streamed each time; what is kept between passes is counts, hashes and checkpoints, never entries.
"""

from __future__ import annotations

import hashlib
import re
from array import array
from collections import Counter
from collections.abc import Callable, Iterator
from dataclasses import dataclass, field
from datetime import UTC, datetime
from pathlib import Path as FilePath

from bulkmsg import json_text
from bulkmsg.batch import BatchOptions, Entry, Header
from bulkmsg.diagnostic import RULES, Diagnostic, Related, Severity, finding
from bulkmsg.errors import InvalidBatch
from bulkmsg.message import Kind, Message, Mode, hash64
from bulkmsg.readers.batch_file import Reading
from bulkmsg.source import Path, Position, path_text
from bulkmsg.validation.drafts import Draft, TicketDraft
from bulkmsg.validation.entries import Assembly
from bulkmsg.validation.findings import Findings
from bulkmsg.validation.hashes import HashBag
from bulkmsg.validation.header import read_header
from bulkmsg.validation.identity import KeyOrigin, recipients

# A window of entries is released to be sent only after its content met the validating pass.
WINDOW = 256
_PLACES_SHOWN = 5
_TICKET = "ticket "  # keeps a ticket's external id apart from a message's
_ADDRESS_END = re.compile(r"@\S+")


@dataclass(frozen=True)
class BatchFile:
    """Which batch, and what the command line says about it."""

    path: FilePath
    name: str
    options: BatchOptions = field(default_factory=BatchOptions)
    secrets: tuple[str, ...] = ()

    def reading(self, *, hashed: bool = False) -> Reading:
        return Reading(self.path, self.name, self.options.delimiter, self.options.encoding, hashed)


@dataclass
class Survey:
    """What one full reading of a batch found.

    Args:
        repeats: how often each key occurs that is made from content and shared by identical entries.
        people: how many differ among those whom outgoing messages of a `send` batch go to; `sends` such messages.
        senders: through which addresses they go.
        tickets: how many tickets differ; `new_tickets` of them are created.
        checkpoints: 8 bytes per window of entries, chained, for the later passes.
    """

    header: Header | None
    findings: Findings
    messages: int = 0
    by_type: Counter[Kind] = field(default_factory=Counter)
    tickets: int = 0
    new_tickets: int = 0
    sends: int = 0
    people: int = 0
    senders: Counter[str] = field(default_factory=Counter)
    repeats: dict[str, int] = field(default_factory=dict)
    checkpoints: array[int] = field(default_factory=lambda: array("Q"))
    digest: str = ""

    @property
    def valid(self) -> bool:
        return self.findings.errors == 0


class _Checkpoints:
    """A running hash over entries that is noted once per window."""

    def __init__(self) -> None:
        self._hash = hashlib.sha256()
        self._count = 0
        self.noted: array[int] = array("Q")

    def add(self, draft: Draft) -> None:
        ticket = draft.ticket
        place: object = [ticket.external_id, ticket.key, ticket.fields] if isinstance(ticket, TicketDraft) else ticket
        self._hash.update(json_text.dumps([draft.given_key, draft.body, place]))
        self._count += 1
        if self._count % WINDOW == 0:
            self._note()

    def close(self) -> None:
        if self._count % WINDOW:
            self._note()

    def _note(self) -> None:
        self.noted.append(int.from_bytes(self._hash.copy().digest()[:8], "big"))


@dataclass
class _Census:
    """The counting side of the validating pass."""

    survey: Survey
    deep: bool
    keys: HashBag = field(default_factory=HashBag)
    tickets: HashBag = field(default_factory=HashBag)
    people: HashBag = field(default_factory=HashBag)
    checkpoints: _Checkpoints = field(default_factory=_Checkpoints)

    def add(self, draft: Draft) -> None:
        survey = self.survey
        survey.messages += 1
        survey.by_type[draft.kind] += 1
        for text in _identities(draft):
            self.keys.add(hash64(text))
        new = isinstance(draft.ticket, TicketDraft)
        survey.new_tickets += new
        if self.deep:
            self.checkpoints.add(draft)
            if not new:
                self.tickets.add(hash64(str(draft.ticket)))
        if draft.mode is Mode.SEND and draft.kind is Kind.OUTGOING:
            survey.sends += 1
            for person in recipients(draft.body) or [draft.identity()[0]]:
                self.people.add(hash64(person))
            sender = ((draft.body.get("source") or {}).get("from") or {}).get("address")
            survey.senders[str(sender or draft.body["channel"])] += 1

    def close(self) -> None:
        self.checkpoints.close()
        self.survey.checkpoints = self.checkpoints.noted
        self.survey.people = self.people.distinct()
        self.survey.tickets = self.tickets.distinct() + self.survey.new_tickets


def _identities(draft: Draft) -> Iterator[str]:
    """All texts that must not occur twice in a batch; two that are equal are looked at again, exactly."""
    key, origin = draft.identity()
    yield key
    if origin is KeyOrigin.GIVEN and draft.external_id is not None:
        yield draft.external_id
    if isinstance(draft.ticket, TicketDraft):
        if draft.ticket.external_id is not None:
            yield f"{_TICKET}{draft.ticket.external_id}"
        if draft.ticket.key is not None and draft.ticket.key != key:
            yield draft.ticket.key


def _named_identities(draft: Draft) -> Iterator[tuple[str, str]]:
    """The same, each with what it is: equal texts only clash where they are the same kind of name."""
    key = draft.identity()[0]
    yield "key", key
    if draft.external_id is not None:
        yield "external_id", draft.external_id
    if isinstance(draft.ticket, TicketDraft):
        if draft.ticket.external_id is not None:
            yield "ticket", f"{_TICKET}{draft.ticket.external_id}"
        if draft.ticket.key is not None and draft.ticket.key != key:
            yield "ticket key", draft.ticket.key


def survey(
    batch: BatchFile, *, now: datetime | None = None, deep: bool = True, findings: Findings | None = None
) -> Survey:
    """Read the whole batch once (twice where keys repeat) and tell everything about it.

    Args:
        now: for dates in the future; the current time by default.
        deep: also take the digest and the checkpoints and count tickets, as later passes and plans need them.

    Raises:
        UsageError: the command line contradicts the header.
    """
    collected = findings or Findings()
    reading = batch.reading(hashed=deep)
    header = read_header(reading, batch.options, collected.add)
    result = Survey(header, collected)
    if header is None:
        return result
    assembly = Assembly(header, now or datetime.now(UTC), collected.add, batch.secrets, lambda: collected.full)
    _check_name(header, batch.secrets, collected.add)
    census = _Census(result, deep)
    total = 0
    for item in reading.entries(frozenset(header.places)):
        if isinstance(item, Diagnostic):
            collected.add(item)
            continue
        total += 1
        draft = assembly.draft(item)
        if draft is not None:
            census.add(draft)
    assembly.close()
    _close(result, census, batch, reading, total)
    return result


def _close(result: Survey, census: _Census, batch: BatchFile, reading: Reading, total: int) -> None:
    census.close()
    result.messages = total
    result.digest = reading.digest() if census.deep else ""
    repeated = census.keys.repeated()
    if repeated:
        assert result.header is not None
        _tell_repeats(result, batch, repeated)
    if total == 0 and result.valid:
        assert result.header is not None
        place = result.header.place("version")
        hint = "add entries below `messages:` or `tickets:`, or rows below the header row"
        result.findings.add(finding("BM109", "the batch holds no message", hint, place))


def _check_name(header: Header, secrets: tuple[str, ...], report: Callable[[Diagnostic], None]) -> None:
    if any(secret in header.name for secret in secrets):
        hint = "take it out, and replace the key in the helpdesk's settings: it has been in a file"
        report(finding("BM409", "one of the credentials in use stands in the batch's name", hint, header.place("name")))
    if header.mode is Mode.SEND and not header.name_given:
        hint = "write `name: spring-recall` in the header, or give --name: it is part of every message's identity"
        report(finding("BM110", "in send mode the batch needs a name", hint, header.place("mode")))


# -- what occurs twice ---------------------------------------------------------------------------------------------


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

    def add(self, entry: Entry, origin: KeyOrigin | None, path: Path) -> None:
        self.count += 1
        self.origin = self.origin if origin is self.origin else KeyOrigin.GIVEN
        if self.count > _PLACES_SHOWN:
            return
        column = _column(entry, path)
        at = Position(entry.place.line, 1)
        if self.exact:
            at = entry.place.at(path if entry.cells is None else () if column is None else (column,))
        said = "the first of them" if self.count == 1 else "another of them"
        self.places.append(Related(said, entry.place.file, at.line, at.column))
        if self.count == 2:
            self.path = path_text((*entry.prefix, *path))
            self.row, self.column_name = (None, None) if entry.cells is None else (entry.number, column)

    @property
    def where(self) -> str:
        more = f" and {self.count - len(self.places)} more" if self.count > len(self.places) else ""
        return " and ".join(f"{place.file}:{place.line}" for place in self.places) + more


def _tell_repeats(result: Survey, batch: BatchFile, repeated: set[int]) -> None:
    """A second reading that settles, by the texts themselves, what only shared a hash in the first."""
    groups: dict[tuple[str, str], _Group] = {}
    for entry, draft in _drafts(batch, result.header):
        for what, text in _named_identities(draft):
            if hash64(text) in repeated:
                origin = draft.identity()[1] if what == "key" else None
                group = groups.get((what, text))
                if group is None:
                    who = _masked(draft, text.removeprefix(_TICKET))
                    group = groups[(what, text)] = _Group(origin, who, len(groups) < Findings.most)
                group.add(entry, origin, _path_of(entry, what, origin))
    for (what, text), group in groups.items():
        if group.count < 2 or group.origin is KeyOrigin.EXTERNAL_ID:
            continue  # two keys that are both external ids are told as such
        result.findings.add(_repeat_finding(what, group))
        if what == "key" and group.origin is KeyOrigin.CONTENT:
            result.repeats[text] = group.count


def _path_of(entry: Entry, what: str, origin: KeyOrigin | None) -> Path:
    """Where in the entry the text stands that occurs twice; () where it was made of the whole entry."""
    if origin in (KeyOrigin.PEOPLE, KeyOrigin.CONTENT):
        return ()
    name = "external_id" if what in ("external_id", "ticket") or origin is KeyOrigin.EXTERNAL_ID else "key"
    if entry.cells is not None:
        return ("ticket", name) if what.startswith("ticket") else (name,)
    messages = (entry.value or {}).get("messages") if entry.section == "tickets" else None
    in_message = isinstance(messages, list) and messages and isinstance(messages[0], dict) and name in messages[0]
    return ("messages", 0, name) if in_message and not what.startswith("ticket") else (name,)


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
    elif what == "ticket":
        rule = "BM702"
        message = f"the ticket {group.who} is created {group.count} times: {group.where}"
        hint = "a new ticket can hold one message in this version; give each ticket its own external_id"
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


def _masked(draft: Draft, text: str) -> str:
    """Who or what repeats, without a whole address."""
    if draft.identity()[1] is not KeyOrigin.PEOPLE or text != draft.identity()[0]:
        return repr(_ADDRESS_END.sub("@...", text[:60]))
    people = recipients(draft.body)
    first = people[0].partition("@")[0][:20] + "@..." if people and "@" in people[0] else "one person"
    return first if len(people) < 2 else f"{first} (and {len(people) - 1} with them)"


# -- later passes --------------------------------------------------------------------------------------------------


def _drafts(batch: BatchFile, header: Header | None, now: datetime | None = None) -> Iterator[tuple[Entry, Draft]]:
    assert header is not None
    assembly = Assembly(header, now or datetime.now(UTC), lambda found: None, batch.secrets)
    for item in batch.reading().entries(frozenset(header.places)):
        if isinstance(item, Entry) and (draft := assembly.draft(item)) is not None:
            yield item, draft


def messages(batch: BatchFile, seen: Survey, account: str, now: datetime | None = None) -> Iterator[Message]:
    """The messages of a valid batch, in order, as they will be sent. Each window is compared with the survey's first.

    Raises:
        InvalidBatch: the batch is no longer what the survey saw; what was yielded before is still right.
    """
    assert seen.header is not None
    checkpoints = _Checkpoints()
    counted: Counter[str] = Counter()
    window: list[Message] = []
    verified = 0
    for _, draft in _drafts(batch, seen.header, now):
        checkpoints.add(draft)
        key, origin = draft.identity()
        if origin is KeyOrigin.CONTENT and key in seen.repeats:
            counted[key] += 1
            key = f"{key}-{counted[key]}" if counted[key] > 1 else key
        window.append(draft.message(account, seen.header.name, key))
        if len(window) == WINDOW:
            verified = _verify(batch, seen, checkpoints, verified)
            yield from window
            window.clear()
    checkpoints.close()
    if window or len(checkpoints.noted) != len(seen.checkpoints):
        verified = _verify(batch, seen, checkpoints, verified, last=True)
    yield from window


def _verify(batch: BatchFile, seen: Survey, now: _Checkpoints, verified: int, *, last: bool = False) -> int:
    expected = seen.checkpoints
    complete = not last or len(now.noted) == len(expected)
    if not complete or len(now.noted) > len(expected) or now.noted[verified] != expected[verified]:
        raise InvalidBatch(
            f"{batch.name} was changed while the run was going on",
            "nothing was sent from its changed part; run the same command again to go on with the batch as it is now",
        )
    return verified + 1


def severity_counts(findings: Findings) -> dict[str, int]:
    """The counts by severity, all three of them."""
    return {severity.value: findings.counts[severity] for severity in Severity}
