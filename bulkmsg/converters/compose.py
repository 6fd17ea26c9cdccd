"""Neutral talks to tickets of a batch, by the options: who sends, when, through which address, and what is left out.

Pure. What becomes of every turn is told: a message, a skip, or a finding.
"""

from __future__ import annotations

import html
from collections.abc import Iterator, Sequence
from dataclasses import dataclass, field

from bulkmsg import json_text
from bulkmsg.converters.options import Options
from bulkmsg.converters.texts import is_empty, is_short_lived, one_line, unique
from bulkmsg.converters.times import Times, utc
from bulkmsg.converters.words import Address, File, Finding, Note, Person, Placed, Side, Skip, Talk, Turn
from bulkmsg.message import Kind, short_hash
from bulkmsg.readers.jsonl_file import MAX_LINE
from bulkmsg.source import Json
from bulkmsg.validation.values import is_address, too_many_bytes

_SUBJECT = 998  # characters (Gorgias changelog, "Limit ticket subject length")
_TAG = 256
_EXTERNAL_ID = 255
_ATTACHMENTS = 500
_LOCAL = 40  # of an id in a stand-in's address
_LINE = MAX_LINE - (1 << 20)  # bytes; the rest is for the ticket itself
_PLACEHOLDER_DOMAIN = "missing.invalid"  # a name that never resolves (RFC 2606)


@dataclass(frozen=True, slots=True)
class Agent:
    """An agent of the source who wrote something or owns a ticket, and in whose name it is written now.

    Args:
        user: address or number of the user who stands for him; "" if nobody does.
        how: mapped, own (his own address), default, or missing.
    """

    person: Person
    user: str
    how: str


@dataclass(slots=True)
class Composed:
    """A ticket for the batch (None if it holds no message), and what became of each turn."""

    ticket: dict[str, Json] | None
    messages: list[tuple[Kind, str, int]] = field(default_factory=list)  # kind, file and line of each
    left: list[Placed] = field(default_factory=list)
    notes: list[tuple[Note, str, int]] = field(default_factory=list)
    flags: list[str] = field(default_factory=list)
    agents: list[tuple[Agent, int]] = field(default_factory=list)  # with 1 for a message, 0 for a ticket


class _Out(Exception):
    """The turn becomes no message."""

    def __init__(self, what: Skip | Finding) -> None:
        super().__init__()
        self.what = what


def compose(talk: Talk, options: Options) -> Composed:
    """The ticket as an entry of a batch."""
    return _Composer(talk, options).compose()


class _Composer:
    def __init__(self, talk: Talk, options: Options) -> None:
        self.talk = talk
        self.options = options
        self.result = Composed(None)

    def compose(self) -> Composed:
        kept: list[tuple[Turn, dict[str, Json]]] = []
        if self.options.only_tickets and self.talk.id not in self.options.only_tickets:
            return self._unwanted()
        for turn in self.talk.turns:
            if isinstance(turn, Placed):
                self.result.left.append(turn)
                continue
            try:
                kept.append((turn, self._message(turn)))
            except _Out as out:
                self.result.left.append(Placed(out.what, turn.file, turn.line))
        kept.sort(key=lambda each: each[1]["sent_datetime"][:-1])
        self._settle_times([message for _, message in kept])
        self._fit(kept)
        if kept:
            self.result.ticket = self._ticket([message for _, message in kept])
            for note in self.talk.notes:
                self._tell_ticket(note)
        self.result.messages = [(turn.kind, turn.file, turn.line) for turn, _ in kept]
        return self.result

    def _unwanted(self) -> Composed:
        """Nothing is told of a ticket that nobody asked for, not even what is wrong with it."""
        skip = Skip("its ticket is not among --only-tickets")
        return Composed(None, left=[Placed(skip, turn.file, turn.line) for turn in self.talk.turns])

    # A message.

    def _message(self, turn: Turn) -> dict[str, Json]:
        sent = self._sent(turn)
        bodies = self._bodies(turn)
        attachments = self._attachments(turn)
        if not bodies and not attachments:
            raise _Out(Skip("empty: no text and no attachment"))
        meta: dict[str, Json] = {"imported_from": self.options.source}
        message: dict[str, Json] = {"type": turn.kind.value, "external_id": self._external_id(turn.id)}
        if turn.kind is not Kind.INTERNAL_NOTE:
            message["channel"] = turn.channel
        message["sender"] = self._sender(turn, meta)
        if self.options.author_line and "original_author" in meta:
            _put_author(bodies, str(meta["original_author"]))
        message |= self._routing(turn)
        if subject := one_line(turn.subject)[:_SUBJECT]:
            message["subject"] = subject
        message |= bodies
        if attachments:
            message["attachments"] = attachments
        message["sent_datetime"] = sent
        if turn.message_id:
            message["message_id"] = turn.message_id
        if turn.flags:
            meta["flags"] = list(turn.flags)
        message["meta"] = meta
        self._tell(turn)
        return message

    def _sent(self, turn: Turn) -> str:
        sent = utc(turn.sent)
        if sent is None:
            hint = "the record's time is missing or no date; mend it in the file"
            raise _Out(Finding("no-time", "the record does not say when it was sent", hint))
        if sent[:19] > self.options.now[:19]:
            hint = "check the record's time; nothing can have been sent tomorrow"
            raise _Out(Finding("future", "the record claims to have been sent in the future", hint))
        if self.options.since and sent[:19] < self.options.since[:19]:
            raise _Out(Skip("sent before --since"))
        if self.options.until and sent[:19] >= self.options.until[:19]:
            raise _Out(Skip("sent at or after --until"))
        return sent

    def _bodies(self, turn: Turn) -> dict[str, Json]:
        found: dict[str, Json] = {}
        for name, body in (("body_text", turn.text), ("body_html", turn.html)):
            if body.strip() and not (name == "body_html" and is_empty(body)):
                found[name] = body
        for name in [name for name, body in found.items() if too_many_bytes(body)]:
            del found[name]
            if not found:
                hint = "the helpdesk takes at most 1 MB; shorten it in the file, or enter it by hand"
                raise _Out(Finding("too-large", "the body is larger than 1 MB", hint))
            self._note(
                turn, Note("body-dropped", f"`{name}` is larger than 1 MB and was left out; the other body is there")
            )
        return found

    def _attachments(self, turn: Turn) -> list[Json]:
        if not turn.attachments:
            return []
        if self.options.attachments == "drop":
            self._note(turn, Note("attachment-dropped", "an attachment was left out, as --attachments drop says"))
            return []
        files = _each_once(turn.attachments)
        if len(files) > _ATTACHMENTS:
            self._note(turn, Note("attachment-dropped", f"attachments beyond the first {_ATTACHMENTS} were left out"))
        return [made for each in files[:_ATTACHMENTS] if (made := self._attachment(turn, each))]

    def _attachment(self, turn: Turn, file: File) -> dict[str, Json]:
        if file.path and self.options.anonymise:
            self._note(turn, Note("attachment-dropped", "an attachment was left out: nothing can stand in for a file"))
            return {}
        if file.path:
            return {"file": file.path, **_described(file)}
        if not file.url.startswith(("https://", "http://")) or any(char.isspace() for char in file.url):
            self._note(
                turn, Note("attachment-without-link", "an attachment has no link that can be used and was left out")
            )
            return {}
        if is_short_lived(file.url):
            self._note(turn, Note("expiring-link", "the link to an attachment expires, or has expired"))
        return {"url": file.url, **_described(file)}

    # People.

    def _sender(self, turn: Turn, meta: dict[str, Json]) -> dict[str, Json]:
        if turn.kind is Kind.INCOMING:
            author = turn.author or self.talk.customer
            if author is None:
                hint = "give the file of people (users, contacts) as well"
                raise _Out(Finding("author-unknown", "nobody is known who could have written it", hint))
            return self._customer(author)
        return self._agent(turn, meta)

    def _agent(self, turn: Turn, meta: dict[str, Json]) -> dict[str, Json]:
        author = turn.author or Person("", Side.BOT, "", "automation")
        found = agent_of(author, self.options)
        self.result.agents.append((found, 1))
        if found.how == "missing":
            known = f"agent {author.id}" if author.id else "an automation"
            hint = f"map the agent, --agent-map {author.id or 'ID'}=ADDRESS, or give a --default-agent"
            raise _Out(Finding("agent-missing", f"{known} has no address, and a user must stand as sender", hint))
        if found.how == "default":
            meta["original_author"] = one_line(author.name) or author.email or author.id or "automation"
        return user(found.user)

    def _customer(self, person: Person) -> dict[str, Json]:
        made: dict[str, Json] = {"email": self._address_of(person)}
        if self.options.person_names and person.name:
            made["name"] = one_line(person.name)[:1000]
        return made

    def _address_of(self, person: Person) -> str:
        """A customer's address, or what stands for it."""
        email = person.email.strip()
        if is_address(email):
            return email
        policy = self.options.missing_email
        if policy == "placeholder":
            self.result.notes.append((Note("placeholder", "a person without an address got a stand-in"), "", 0))
            return f"{self.options.source}-{_local(person.id or 'unknown')}@{_PLACEHOLDER_DOMAIN}"
        if policy == "skip":
            raise _Out(Skip("the person has no e-mail address (--missing-email skip)"))
        hint = "say what to do: --missing-email skip leaves such messages out, placeholder writes a stand-in address"
        raise _Out(Finding("no-email", f"person {person.id or '(unnamed)'} has no e-mail address", hint))

    # Routing.

    def _routing(self, turn: Turn) -> dict[str, Json]:
        if turn.kind is Kind.INTERNAL_NOTE:
            return {}
        made: dict[str, Json] = {}
        customer = self.talk.customer
        if turn.kind is Kind.OUTGOING and customer is not None:
            made["receiver"] = {"email": self._address_of(customer)}
        if turn.channel == "email":
            made["source"] = self._source(turn)
        return made

    def _source(self, turn: Turn) -> dict[str, Json]:
        if turn.kind is Kind.INCOMING:
            author = turn.author or self.talk.customer
            assert author is not None  # _sender looked
            sender = turn.sender_address or Address(self._address_of(author))
            to = turn.to or (self._mailbox(),)
        else:
            sender = turn.sender_address or self._mailbox()
            to = turn.to or (self._recipient(turn),)
        made: dict[str, Json] = {"from": _address(sender), "to": [_address(each) for each in unique(to)]}
        for name, copies in (("cc", turn.cc), ("bcc", turn.bcc)):
            if copies:
                made[name] = [_address(each) for each in unique(copies)]
        return made

    def _mailbox(self) -> Address:
        if self.talk.mailbox is not None:
            return self.talk.mailbox
        if self.options.mailbox:
            return Address(self.options.mailbox)
        hint = "name your support address for all that lack one: --mailbox support@yourshop.com"
        raise _Out(Finding("no-mailbox", "the export does not say through which support address it went", hint))

    def _recipient(self, turn: Turn) -> Address:
        if self.talk.customer is None:
            hint = "give the file of tickets, and that of people, as well"
            raise _Out(Finding("customer-unknown", "the export does not say to whom it went", hint))
        return Address(self._address_of(self.talk.customer))

    # The ticket.

    def _ticket(self, messages: list[dict[str, Json]]) -> dict[str, Json]:
        talk, options = self.talk, self.options
        made: dict[str, Json] = {"external_id": self._external_id(talk.id)}
        if subject := self._subject():
            made["subject"] = subject
        if customer := self._ticket_customer(messages):
            made["customer"] = customer
        if status := self._status():
            made["status"] = status
        if talk.priority:
            made["priority"] = talk.priority
        if tags := _tags(talk.tags):
            made["tags"] = tags
        if values := list(self._fields()):
            made["custom_fields"] = values
        made |= self._assignee()
        made |= self._ticket_times(messages, status)
        made["meta"] = {"imported_from": options.source, "original_id": talk.id}
        made["messages"] = messages
        return made

    def _subject(self) -> str:
        subject = one_line(self.talk.subject)
        if len(subject) > _SUBJECT:
            self._tell_ticket(Note("subject-cut", f"the subject was cut to {_SUBJECT} characters"))
        return subject[:_SUBJECT]

    def _ticket_customer(self, messages: Sequence[dict[str, Json]]) -> dict[str, Json]:
        if self.talk.customer is not None:
            try:
                return {"email": self._customer(self.talk.customer)["email"]}
            except _Out:
                pass
        first = next((each for each in messages if each["type"] == Kind.INCOMING), None)
        return {"email": first["sender"]["email"]} if first else {}

    def _status(self) -> str:
        word = self.talk.status.lower()
        found = self.options.statuses.get(word, "")
        if word and not found:
            self._tell_ticket(Note("status-unknown", "the ticket's status is none that is known; it stays open"))
        return found

    def _fields(self) -> Iterator[dict[str, Json]]:
        for name, number in self.options.fields.items():
            value = self.talk.fields.get(name)
            if isinstance(value, list):
                value = ", ".join(str(each) for each in value)
            if isinstance(value, str | int | float | bool) and value != "":
                yield {"id": number, "value": value}

    def _assignee(self) -> dict[str, Json]:
        """The helpdesk takes an assignee by number only (Gorgias reference, "Create a ticket")."""
        if self.talk.assignee is None:
            return {}
        found = agent_of(self.talk.assignee, self.options)
        self.result.agents.append((found, 0))
        if found.how == "mapped" and found.user.isdigit():
            return {"assignee_user": {"id": int(found.user)}}
        self._tell_ticket(Note("assignee-dropped", "the assignee was left out: map him to the number of a user"))
        return {}

    def _ticket_times(self, messages: Sequence[dict[str, Json]], status: str) -> dict[str, Json]:
        first, last = messages[0]["sent_datetime"], messages[-1]["sent_datetime"]
        created = utc(self.talk.created)
        made = {"created_datetime": min(created, first) if created else first}
        if status == "closed":
            closed = utc(self.talk.closed) or utc(self.talk.updated)
            made["closed_datetime"] = max(closed, last) if closed and closed[:19] <= self.options.now[:19] else last
        return made

    # Small things.

    def _fit(self, kept: list[tuple[Turn, dict[str, Json]]]) -> None:
        """A ticket is one line of the batch, and lines have a limit: what would go beyond is told, the last first."""
        if sum(len(turn.text) + len(turn.html) for turn, _ in kept) < _LINE // 8:
            return  # no character takes more than six bytes
        room = _LINE - sum(len(json_text.dumps(message)) + 1 for _, message in kept)
        while room < 0:
            turn, message = kept.pop()
            room += len(json_text.dumps(message)) + 1
            found = Finding(
                "ticket-too-large", f"the ticket is larger than {_LINE >> 20} MB", "enter this part by hand"
            )
            self.result.left.append(Placed(found, turn.file, turn.line))

    def _settle_times(self, messages: list[dict[str, Json]]) -> None:
        times = Times()
        for message in messages:
            message["sent_datetime"] = times.after(message["sent_datetime"])

    def _external_id(self, id: str) -> str:
        return f"{self.options.source}-{id}"[:_EXTERNAL_ID]

    def _note(self, turn: Turn, note: Note) -> None:
        self.result.notes.append((note, turn.file, turn.line))

    def _tell_ticket(self, note: Note) -> None:
        turn = next((each for each in self.talk.turns), None)
        self.result.notes.append((note, turn.file if turn else "", turn.line if turn else 0))

    def _tell(self, turn: Turn) -> None:
        self.result.flags.extend(turn.flags)
        for note in turn.notes:
            self._note(turn, note)


def agent_of(person: Person, options: Options) -> Agent:
    """In whose name an agent's messages are written: whom he is mapped to, else the default agent, else himself."""
    for name in (person.id, person.email, person.name):
        if name and (user := options.agents.get(name.lower())):
            return Agent(person, user, "mapped")
    if options.default_agent:
        same = person.email.lower() == options.default_agent.lower()
        return Agent(person, options.default_agent, "own" if same else "default")
    if person.side is Side.STAFF and is_address(person.email):
        return Agent(person, person.email, "own")
    return Agent(person, "", "missing")


def user(name: str) -> dict[str, Json]:
    """A reference to a user of the helpdesk."""
    return {"id": int(name)} if name.isdigit() else {"email": name}


def _address(end: Address) -> dict[str, Json]:
    return {"address": end.address, "name": end.name[:1000]} if end.name else {"address": end.address}


def _each_once(files: Sequence[File]) -> list[File]:
    return list({(each.url, each.path, each.path and each.name): each for each in files}.values())


def _described(file: File) -> dict[str, Json]:
    made: dict[str, Json] = {
        "name": one_line(file.name)[:1000] or "attachment",
        "content_type": one_line(file.content_type) or "application/octet-stream",
    }
    return made if file.size is None else {**made, "size": file.size}


def _tags(names: Sequence[str]) -> list[str]:
    cleaned = (one_line(name)[:_TAG] for name in names)
    return list(dict.fromkeys(name for name in cleaned if name))[:1000]


def _local(id: str) -> str:
    """An id as the first half of an address; one that cannot stand there whole ends in its hash, and stays unique."""
    cleaned = "".join(char if char.isascii() and (char.isalnum() or char in "._-") else "-" for char in id)
    return cleaned if cleaned == id and len(id) <= _LOCAL else f"{cleaned[:_LOCAL]}-{short_hash(id.encode())}"


def _put_author(bodies: dict[str, Json], author: str) -> None:
    """The line stays out where the body would grow too large for it; `meta` names the author all the same."""
    line = f"Originally written by {author}"
    for name, first in (("body_text", f"{line}\n\n"), ("body_html", f"<p>{html.escape(line)}</p>")):
        if name in bodies and not too_many_bytes(lined := f"{first}{bodies[name]}"):
            bodies[name] = lined
