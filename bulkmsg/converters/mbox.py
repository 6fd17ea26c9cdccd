"""Mails: mbox files, such as Gmail's Takeout and archives of mail programs, and folders of .eml files."""

from __future__ import annotations

from collections.abc import Iterable, Iterator, Sequence
from dataclasses import dataclass

from bulkmsg.converters import mail_words as mails
from bulkmsg.converters.mail_words import Own, pairs
from bulkmsg.converters.words import (
    About,
    Address,
    File,
    Finding,
    Input,
    Note,
    People,
    Person,
    Piece,
    Placed,
    Reading,
    Refusal,
    Side,
    Skip,
    Sorted,
    Stored,
    Sureness,
    Talk,
    Thread,
    Turn,
)
from bulkmsg.message import Kind
from bulkmsg.readers.records import Record
from bulkmsg.source import Json

ABOUT = About(
    "Mails",
    (
        "mbox files: Gmail's Takeout, Thunderbird, Unix mailboxes and archives of lists",
        "files and folders of .eml, and mail folders with one mail a file",
        "needs --own: whose mails went out",
    ),
    (
        (Sureness.RECORDED, "lines that part mails in an mbox, X-GM-THRID and X-Gmail-Labels"),
        (Sureness.DOCUMENTED, "mails themselves: RFC 5322, 2045 to 2047, 3676, 3834"),
    ),
    input=Input.MAIL,
    instead="give mbox or .eml files (docs/convert-mbox.md)",
)
_NOTES = {
    "charset": "a text is not in the charset that it claims; another one was found by trying",
    "cut": "a mail ends before its last part does: the file may be cut",
    "empty-file": "an attachment without any content was left out",
    "encrypted": "a mail is encrypted: its text cannot be read, it is kept as a file",
    "inline-image": "a picture inside a text became an attachment",
    "many-files": "a mail has more than 500 attachments; the rest was left out",
    "partial": "a mail was sent in several parts (message/partial); each is kept as a file",
    "winmail": "an attachment is a winmail.dat: Outlook's own package, which only Outlook opens",
}
_DATES = {
    "received": "a mail's date is missing or cannot be true; the time of its arrival counts",
    "envelope": "a mail has no date that can be read; that of the line before it counts",
}
_MANY = 10**12


class Mbox:
    """See `words.Converter`."""

    def __init__(self, reading: Reading) -> None:
        self.reading = reading
        self.own = Own(reading.own)
        self._met = 0

    def sort(self, record: Record) -> Iterable[Sorted]:
        if not self.own:
            hint = "say whose mails went out: --own yourshop.com, --own support@yourshop.com, or --mailbox"
            raise Refusal("a mail does not say whether it came in or went out", hint)
        value = record.value
        reason = mails.unwanted(value, self.reading.skip_labels)
        if reason:
            return [Skip(reason)]
        if self.reading.bots == "skip" and mails.is_automatic(value):
            return [Skip("sent automatically (--bots skip)")]
        self._met += 1
        kin = mails.kin(value, self.own)
        # Of copies of one mail the first counts.
        id = f"{mails.key_of(value)}\0{mails.fingerprint(value)}"
        return [kin, Piece(kin.names[-1], id, value, f"{_MANY - self._met:013}")]

    def talk(self, thread: Thread, people: People) -> Talk:
        return _Conversation(self.reading, self.own, thread).talk()

    def close(self) -> Iterator[Note]:
        yield from ()


@dataclass(frozen=True, slots=True)
class _Mail:
    """A mail whose author is known: `out` where it went out."""

    stored: Stored
    id: str
    author: Address | None
    out: bool

    @property
    def value(self) -> dict[str, Json]:
        found: dict[str, Json] = self.stored.value
        return found

    @property
    def sent(self) -> str:
        return str(self.value.get("sent") or "")


class _Conversation:
    def __init__(self, reading: Reading, own: Own, thread: Thread) -> None:
        self.reading = reading
        self.own = own
        self.thread = thread
        self.reused: set[str] = set()
        self.mails = list(self._mails(thread.pieces))

    def _mails(self, pieces: Sequence[Stored]) -> Iterator[_Mail]:
        known: set[str] = set()
        for each in pieces:
            id, _, mark = each.id.partition("\0")
            if id in known:
                id = f"{id}-{mark}"
                self.reused.add(id)
            known.add(id)
            author = self._author(each.value)
            yield _Mail(each, id, author, self._went_out(each.value, author))

    def talk(self) -> Talk:
        ordered = sorted(self.mails, key=lambda each: each.sent or "9999")
        customer = self._customer(ordered)
        first = ordered[0].value if ordered else {}
        return Talk(
            self.thread.ticket,
            [self._turn(each, customer) for each in self.mails],
            subject=mails.plain_subject(first.get("subject")),
            status="closed",
            customer=customer,
            mailbox=self._mailbox(ordered),
        )

    # Who wrote to whom.

    def _author(self, value: dict[str, Json]) -> Address | None:
        found = mails.author(value)
        if self.reading.reply_to and found is not None and self.own(found.address):
            return next(self._others(value, "x-original-from", "reply-to"), found)
        return found

    def _others(self, value: dict[str, Json], *headers: str) -> Iterator[Address]:
        """Addresses in headers that are not one's own."""
        for name in headers:
            yield from (each for each in pairs(value.get(name)) if not self.own(each.address))

    def _went_out(self, value: dict[str, Json], author: Address | None) -> bool:
        """From one's own to somebody else; what one sent to oneself came in."""
        if author is None or not self.own(author.address):
            return False
        inside = any(pairs(value.get(name)) for name in ("to", "cc", "bcc"))
        return not inside or any(self._others(value, "to", "cc", "bcc"))

    def _customer(self, ordered: Sequence[_Mail]) -> Person | None:
        """Who first wrote from outside; else to whom it first went."""
        people = [each.author for each in ordered if not each.out and each.author]
        found = next((each for each in people if not self.own(each.address)), None)
        if found is None:
            found = next((other for each in ordered for other in self._others(each.value, "to", "cc", "bcc")), None)
        found = found or next(iter(people), None)
        return _person(found, Side.CUSTOMER) if found else None

    def _mailbox(self, ordered: Sequence[_Mail]) -> Address | None:
        """The first address of one's own that something came to, or from which something went."""
        for each in ordered:
            names = ("from", "sender") if each.out else ("to", "cc", "x-original-to", "delivered-to")
            for name in names:
                for found in pairs(each.value.get(name)):
                    if self.own(found.address):
                        return Address(found.address)
        return None

    # A mail.

    def _turn(self, mail: _Mail, customer: Person | None) -> Turn | Placed:
        value, stored = mail.value, mail.stored
        if mail.out and customer is None:
            hint = "the mail names no recipient, as blind copies do; enter it by hand if it matters"
            return Placed(
                Finding("no-recipient", "a mail went out to nobody who is named", hint), stored.file, stored.line
            )
        automatic = mails.is_automatic(value)
        kind = Kind.OUTGOING if mail.out else Kind.INCOMING
        kind = Kind.INTERNAL_NOTE if automatic and self.reading.bots == "note" else kind
        real = mails.author(value)
        return Turn(
            mail.id,
            kind,
            self._writer(mail),
            mail.sent,
            stored.file,
            stored.line,
            html=value.get("html") or "",
            text=value.get("text") or "",
            subject=value.get("subject") or "",
            sender_address=real if mail.out else mail.author,
            to=pairs(value.get("to")),
            cc=pairs(value.get("cc")),
            bcc=pairs(value.get("bcc")),
            attachments=tuple(_files(value)),
            message_id=f"<{value['message_id']}>"[:1000] if value.get("message_id") else "",
            flags=("automation",) if automatic else (),
            notes=tuple(self._notes(mail)),
        )

    def _writer(self, mail: _Mail) -> Person:
        if mail.author is None:
            name = next((each[1] for each in mail.value.get("from") or [] if each[1]), "")
            return Person(f"unknown-{mail.id}", Side.CUSTOMER, "", name)
        return _person(mail.author, Side.STAFF if self.own(mail.author.address) else Side.CUSTOMER)

    def _notes(self, mail: _Mail) -> Iterator[Note]:
        value = mail.value
        yield from (Note(code, _NOTES[code]) for code in value.get("notes") or [])
        how = str(value.get("sent_by") or "")
        if how in _DATES:
            yield Note(f"date-{how}", _DATES[how])
        if mail.id in self.reused:
            yield Note("id-reused", "different mails share a Message-ID; all are kept")
        if not mail.out and mail.author is not None and self.own(mail.author.address):
            yield from self._own_to_own(value)

    def _own_to_own(self, value: dict[str, Json]) -> Iterator[Note]:
        if any(self._others(value, "x-original-from", "reply-to")):
            said = "a mail from yourself to yourself asks for answers elsewhere, as contact forms do: see --reply-to"
            yield Note("reply-to", said)
        else:
            yield Note("own-to-own", "a mail went from yourself to yourself; it counts as incoming")


def _person(end: Address, side: Side) -> Person:
    return Person(end.address.lower(), side, end.address, end.name)


def _files(value: dict[str, Json]) -> Iterator[File]:
    for each in value.get("files") or []:
        yield File("", each["name"], each["type"], each["size"], each["path"])
