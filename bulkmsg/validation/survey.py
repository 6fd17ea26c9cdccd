"""Whole batches: the validating pass that looks at everything, and the later passes that must meet the same content.

A batch is streamed each time; what is kept between passes is counts, hashes and checkpoints, never entries.
"""

from __future__ import annotations

import hashlib
from array import array
from collections import Counter
from collections.abc import Callable, Iterator, Mapping
from dataclasses import dataclass, field, replace
from datetime import UTC, datetime
from functools import cached_property
from itertools import islice
from pathlib import Path as FilePath

from bulkmsg import json_text
from bulkmsg.batch import BatchOptions, Entry, Header
from bulkmsg.diagnostic import Diagnostic, finding
from bulkmsg.errors import InvalidBatch
from bulkmsg.message import (
    ExistingTicket,
    Kind,
    Message,
    Mode,
    NamedTicket,
    NewTicket,
    Ticket,
    derive_external_id,
    hash64,
)
from bulkmsg.readers.attached import Digests, Folder
from bulkmsg.readers.batch_file import Reading
from bulkmsg.settings import Attachments
from bulkmsg.threads import FirstRequest
from bulkmsg.validation.clashes import SECOND_RULES, SecondLook, Suspicion, identities, tell_repeats, ticket_number
from bulkmsg.validation.drafts import Draft, TicketDraft
from bulkmsg.validation.entries import Assembly
from bulkmsg.validation.findings import Findings
from bulkmsg.validation.hashes import HashBag, SizedBag
from bulkmsg.validation.header import account_names, read_header
from bulkmsg.validation.identity import KeyOrigin, recipients
from bulkmsg.validation.roster import Reference, Roster, Whereabouts, Wrong
from bulkmsg.validation.sides import Sides
from bulkmsg.validation.told import Enough, never_enough

# A window of entries is released to be sent only after its content met the validating pass.
WINDOW = 256


@dataclass(frozen=True)
class BatchFile:
    """Which batch, and what the command line says about it; `folder` as for a `Reading`.

    `digests` is what its readings know together of the files that it attaches.
    """

    path: FilePath
    name: str
    options: BatchOptions = field(default_factory=BatchOptions)
    secrets: tuple[str, ...] = ()
    folder: FilePath | None = None
    digests: Digests = field(default_factory=Digests, repr=False, compare=False)

    def reading(self, *, hashed: bool = False) -> Reading:
        return Reading(self.path, self.name, self.options.delimiter, self.options.encoding, hashed, folder=self.folder)


@dataclass
class Survey:
    """What one full reading of a batch found.

    Args:
        repeats: how often each key occurs that is made from content and shared by identical entries.
        people: how many differ among those whom outgoing messages of a `send` batch go to; `sends` such messages.
        senders: through which addresses they go.
        tickets: how many tickets differ; `new_tickets` of them are created, `named_tickets` are known by their external
            id and must be looked up.
        threaded: how many messages stand in new tickets; `continued` of them follow the request that creates the
            ticket, each in one of its own.
        checkpoints: 8 bytes per window of entries, chained, for the later passes.
        uploads: how many files will be uploaded, those of the same content, name and type counted once; `upload_bytes`
            together; `shared` the hashes of those that several attachments have.
        left_out: attachments that will not leave, by the user's choice.
        ends: of what kind the tickets of the first and the last message are; one of them where there is one message.
        roster: whom and what of the account the batch refers to.
    """

    header: Header | None
    findings: Findings
    messages: int = 0
    by_type: Counter[Kind] = field(default_factory=Counter)
    tickets: int = 0
    new_tickets: int = 0
    named_tickets: int = 0
    threaded: int = 0
    continued: int = 0
    sends: int = 0
    people: int = 0
    senders: Counter[str] = field(default_factory=Counter)
    repeats: dict[str, int] = field(default_factory=dict)
    checkpoints: array[int] = field(default_factory=lambda: array("Q"))
    digest: str = ""
    uploads: int = 0
    upload_bytes: int = 0
    shared: frozenset[int] = frozenset()
    left_out: int = 0
    ends: tuple[type[Ticket], ...] = ()
    roster: Roster = field(default_factory=Roster)

    @property
    def valid(self) -> bool:
        return self.findings.errors == 0

    @property
    def posts(self) -> int:
        """How many requests create all messages: one for each, but one for what goes with a new ticket."""
        return self.messages - self.threaded + self.new_tickets + self.continued


class _Checkpoints:
    """A running hash over entries that is noted once per window."""

    def __init__(self) -> None:
        self._hash = hashlib.sha256()
        self._count = 0
        self.noted: array[int] = array("Q")

    def add(self, draft: Draft) -> int:
        """Take in the next message; returns the bytes of its body."""
        ticket = draft.ticket
        place: object = ticket
        if isinstance(ticket, TicketDraft):
            place = [ticket.external_id, ticket.key, ticket.fields] if draft.first else None
        body = json_text.dumps(draft.body)
        self._hash.update(json_text.dumps([draft.given_key, place, *(upload.digest for upload in draft.uploads)]))
        self._hash.update(body)
        self._count += 1
        if self._count % WINDOW == 0:
            self._note()
        return len(body)

    def close(self) -> None:
        if self._count % WINDOW:
            self._note()

    def _note(self) -> None:
        self.noted.append(int.from_bytes(self._hash.copy().digest()[:8], "big"))


_KINDS: dict[type, type[Ticket]] = {TicketDraft: NewTicket, str: NamedTicket, int: ExistingTicket}


@dataclass
class _Census:
    """The counting side of the validating pass."""

    survey: Survey
    deep: bool
    attachments: Attachments = Attachments.UPLOAD
    keys: HashBag = field(default_factory=HashBag)
    tickets: HashBag = field(default_factory=HashBag)
    named: HashBag = field(default_factory=HashBag)
    people: HashBag = field(default_factory=HashBag)
    sides: Sides = field(default_factory=Sides)
    uploads: SizedBag = field(default_factory=SizedBag)
    checkpoints: _Checkpoints = field(default_factory=_Checkpoints)
    request: FirstRequest = field(default_factory=FirstRequest)

    def add(self, draft: Draft) -> None:
        survey = self.survey
        survey.by_type[draft.kind] += 1
        for text in identities(draft):
            self.keys.add(hash64(text))
        self.sides.add(draft.kind, draft.fields)
        survey.roster.add(draft.kind, draft.fields)
        size = self.checkpoints.add(draft) if self.deep else 0
        ticket = draft.ticket
        survey.ends = (*survey.ends[:1], _KINDS[type(ticket)])
        if isinstance(ticket, TicketDraft):
            self._add_to_thread(draft, size)
        elif isinstance(ticket, str):
            self.named.add(ticket_number(ticket))
        elif self.deep:
            self.tickets.add(hash64(str(ticket)))
        if draft.mode is Mode.SEND and draft.kind is Kind.OUTGOING:
            survey.sends += 1
            for person in recipients(draft.body) or [draft.identity()[0]]:
                self.people.add(hash64(person))
            sender = ((draft.body.get("source") or {}).get("from") or {}).get("address")
            survey.senders[str(sender or draft.body["channel"])] += 1
        if "attachments" in draft.fields:
            self._attached(draft)

    def _attached(self, draft: Draft) -> None:
        if self.attachments is Attachments.UPLOAD:
            for upload in draft.uploads:
                self.uploads.add(upload.hash64, upload.size)
        elif self.attachments is Attachments.SKIP:
            self.survey.left_out += len(draft.fields["attachments"] or ())

    def _add_to_thread(self, draft: Draft, size: int) -> None:
        if draft.first:
            self.survey.new_tickets += 1
            self.request = FirstRequest()
        self.survey.threaded += 1
        if size and "attachments" in draft.fields:
            size = len(json_text.dumps(draft.sent(self.attachments)))
        self.survey.continued += not self.request.takes(size + (0 if draft.external_id else self.external_id_size))

    @cached_property
    def external_id_size(self) -> int:
        """Bytes that a generated external id adds to a message's body; they depend on the batch's name alone."""
        assert self.survey.header is not None
        return len(',"external_id":""' + derive_external_id("", self.survey.header.name, ""))

    def close(self) -> None:
        self.checkpoints.close()
        self.survey.checkpoints = self.checkpoints.noted
        self.survey.people = self.people.distinct()
        self.survey.named_tickets = self.named.distinct()
        self.survey.tickets = self.tickets.distinct() + self.survey.named_tickets + self.survey.new_tickets
        self.survey.uploads, self.survey.upload_bytes = self.uploads.distinct()
        self.survey.shared = frozenset(self.uploads.repeated())

    def suspicion(self) -> Suspicion:
        """What a second reading has to settle."""
        clashing = frozenset(islice(self.named.shared(self.keys), Findings.most))
        return Suspicion(self.keys.repeated(), self.sides.suspects(), clashing)


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
    assembly = _assembly(batch, header, now, collected.add, collected.only_counts)
    _check_name(header, batch.secrets, collected.add)
    census = _Census(result, deep, batch.options.attachments)
    for item in reading.entries(frozenset(header.places)):
        if isinstance(item, Diagnostic):
            collected.add(item)
            continue
        for draft in assembly.drafts(item):
            census.add(draft)
    for draft in assembly.rest():
        census.add(draft)
    assembly.close()
    result.messages = assembly.messages
    _close(result, census, batch, reading)
    return result


def _assembly(
    batch: BatchFile,
    header: Header,
    now: datetime | None,
    report: Callable[[Diagnostic], None],
    enough: Enough = never_enough,
    second: SecondLook | None = None,
) -> Assembly:
    """What makes drafts in one reading of the batch."""
    look = Folder(header.folder, batch.digests).look
    return Assembly(
        header,
        now or datetime.now(UTC),
        report,
        batch.secrets,
        enough,
        second or SecondLook(),
        look,
        batch.options.attachments,
    )


def for_each_account(batch: BatchFile, findings: Findings, now: datetime | None = None) -> Survey:
    """Read the batch once for each account that it brings defaults for, or for the one that the command line names;
    what several readings find is told once.

    Raises:
        UsageError: as `survey`.
    """
    names = [] if batch.options.account else account_names(batch.reading())
    if not names:
        return survey(batch, now=now, deep=False, findings=findings)
    for number, name in enumerate(names):
        if number:
            findings.read_again()
        options = replace(batch.options, picked=name)
        result = survey(replace(batch, options=options), now=now, deep=False, findings=findings)
        if result.header is None:  # it is wrong for all of them, and how many they are has no bound then
            break
    return result


def _close(result: Survey, census: _Census, batch: BatchFile, reading: Reading) -> None:
    census.close()
    result.digest = reading.digest() if census.deep else ""
    if suspicion := census.suspicion():
        _look_again(result, batch, suspicion)
    if result.messages == 0 and result.valid:
        assert result.header is not None
        place = result.header.place("version")
        hint = "add entries below `messages:` or `tickets:`, or rows below the header row"
        result.findings.add(finding("BM109", "the batch holds no message", hint, place))


def _look_again(result: Survey, batch: BatchFile, suspicion: Suspicion) -> None:
    """A second reading; what the first one told is not told again."""

    def report(found: Diagnostic) -> None:
        if found.rule in SECOND_RULES:
            result.findings.add(found)

    drafts = _drafts(batch, result.header, report=report, second=SecondLook(suspicion))
    result.repeats = tell_repeats(drafts, suspicion, result.findings.add, Findings.most)


def _check_name(header: Header, secrets: tuple[str, ...], report: Callable[[Diagnostic], None]) -> None:
    if any(secret in header.name for secret in secrets):
        hint = "take it out, and replace the key in the helpdesk's settings: it has been in a file"
        report(finding("BM409", "one of the credentials in use stands in the batch's name", hint, header.place("name")))
    if header.mode is Mode.SEND and not header.name_given:
        hint = "write `name: spring-recall` in the header, or give --name: it is part of every message's identity"
        report(finding("BM110", "in send mode the batch needs a name", hint, header.place("mode")))


# -- later passes --------------------------------------------------------------------------------------------------


def _drafts(
    batch: BatchFile,
    header: Header | None,
    now: datetime | None = None,
    *,
    report: Callable[[Diagnostic], None] = lambda found: None,
    second: SecondLook | None = None,
) -> Iterator[Draft]:
    """The valid messages of one more reading."""
    assert header is not None
    assembly = _assembly(batch, header, now, report, second=second)
    for item in batch.reading().entries(frozenset(header.places)):
        if isinstance(item, Entry):
            yield from assembly.drafts(item)
    yield from assembly.rest()


@dataclass
class _Naming:
    """Gives drafts their final names: identical entries count up, and the messages of a new ticket share the ticket."""

    seen: Survey
    account: str
    batch: str
    attachments: Attachments
    _counted: Counter[str] = field(default_factory=Counter)
    _ticket: tuple[TicketDraft, NewTicket] | None = None

    def message(self, draft: Draft) -> Message:
        ticket = self._final(draft.ticket)
        key, origin = draft.identity()
        key = self._numbered(key, origin)
        if origin is KeyOrigin.CONTENT and draft.identity()[0] in self.seen.repeats:
            self._counted[draft.identity()[0]] += 1
        return draft.message(self.account, self.batch, key, ticket, self.attachments)

    def _numbered(self, key: str, origin: KeyOrigin) -> str:
        """The key that the next message with this one gets."""
        before = self._counted[key] if origin is KeyOrigin.CONTENT and key in self.seen.repeats else 0
        return f"{key}-{before + 1}" if before else key

    def _final(self, ticket: int | str | TicketDraft) -> Ticket:
        if isinstance(ticket, int):
            return ExistingTicket(ticket)
        if isinstance(ticket, str):
            return NamedTicket(ticket)
        if self._ticket is None or self._ticket[0] is not ticket:
            leader = self._numbered(*ticket.leader) if ticket.leader else ""
            self._ticket = ticket, ticket.ticket(self.account, self.batch, leader)
        return self._ticket[1]


def locate(batch: BatchFile, seen: Survey, wrong: Mapping[Reference, Wrong]) -> list[Diagnostic]:
    """Where references that the helpdesk does not know stand in a valid batch: a finding for each, at its first use."""
    look = Whereabouts(wrong)
    found: dict[Reference, Diagnostic] = {}

    def report(diagnostic: Diagnostic) -> None:
        last = look.told[-1] if look.told else None
        if last is not None and last not in found and diagnostic.rule == wrong[last].rule:
            found[last] = diagnostic

    for _ in _drafts(batch, seen.header, report=report, second=look):
        pass
    placeless = [
        Diagnostic(each.rule, each.level, each.message, each.hint, batch.name, 0, 0)
        for name, each in wrong.items()
        if name not in found  # the batch was changed meanwhile, or one entry has too many to tell
    ]
    return [*(look.finish(name, each) for name, each in found.items()), *placeless]


def messages(batch: BatchFile, seen: Survey, account: str, now: datetime | None = None) -> Iterator[Message]:
    """The messages of a valid batch, in order, as they will be sent. Each window is compared with the survey's first.

    Raises:
        InvalidBatch: the batch is no longer what the survey saw; what was yielded before is still right.
    """
    assert seen.header is not None
    checkpoints = _Checkpoints()
    naming = _Naming(seen, account, seen.header.name, batch.options.attachments)
    window: list[Message] = []
    verified = 0
    for draft in _drafts(batch, seen.header, now):
        checkpoints.add(draft)
        window.append(naming.message(draft))
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
