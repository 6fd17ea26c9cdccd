"""The only door to `email`: a mail as a record of JSON, with its headers decoded, its bodies chosen, its files put by.

Never raises for what a mail holds: what cannot be understood is said in `notes`, by the codes of `NOTES`.
"""

from __future__ import annotations

import email
import inspect
import re
from collections.abc import Callable, Iterator
from datetime import UTC, datetime, timedelta
from email import policy
from email.header import decode_header
from email.message import EmailMessage
from email.utils import getaddresses, parsedate_to_datetime
from typing import Any

from bulkmsg.diagnostic import Diagnostic, file_finding
from bulkmsg.readers.charsets import decoded, plain
from bulkmsg.readers.mail_parts import contents
from bulkmsg.readers.mbox import RawMail, mails
from bulkmsg.readers.records import MAX_RECORD, Passed, Record
from bulkmsg.readers.text import ByteSource
from bulkmsg.source import Json

# Takes the bytes of an attached file and their kind (the ending of its name), and says where it is kept.
Keep = Callable[[bytes, str], str]

_AS_THEY_ARE = (
    "auto-submitted",
    "precedence",
    "x-autoreply",
    "x-autorespond",
    "x-mozilla-status",
    "x-status",
    "x-gm-thrid",
)
_ADDRESSES = (
    "from",
    "sender",
    "reply-to",
    "x-original-from",
    "to",
    "cc",
    "bcc",
    "delivered-to",
    "x-original-to",
)
_MOST_ADDRESSES = 1000
_FOLD = re.compile(r"\r?\n(?=[ \t])|[\r\n]+")
_ID = re.compile(r"<([^<>]+)>")
_BARE_ID = re.compile(r"[^\s<>]+@[^\s<>]+")
_IN_BRACKETS = re.compile(r"<\s*([^<>\s@]+@[^<>\s@]+)\s*>|([^<>\s@,;:\"']+@[^<>\s@,;:\"']+)")
_ZONE_BEFORE_YEAR = re.compile(r"([+-]\d{4}) (\d{4})$")
_OLDEST = datetime(1980, 1, 1, tzinfo=UTC)  # e-mail as we know it is younger (RFC 822); a clock that was reset is not
_AHEAD = timedelta(days=2)
# Newer Pythons refuse a whole header for one odd address, unless told otherwise.
_LENIENT: dict[str, Any] = {"strict": False} if "strict" in inspect.signature(getaddresses).parameters else {}


def mail_records(
    file: ByteSource, keep: Keep, *, encoding: str = "utf-8", most: int = MAX_RECORD
) -> Iterator[Record | Passed | Diagnostic]:
    """The mails of a file as records; `encoding` is tried for text that does not say what it is."""
    for raw in mails(file, most):
        if not isinstance(raw, RawMail):
            yield raw
            continue
        try:
            value = described(raw, keep, encoding)
        except (ValueError, LookupError, TypeError, AttributeError, RecursionError) as error:
            # The library is not meant to raise, and does for some mails that no mailer should have made.
            message = f"the mail that begins here cannot be taken apart ({type(error).__name__})"
            hint = "save it anew from a mail program, or enter it by hand; the mails around it were read"
            yield file_finding("BM115", message, hint, raw.file, raw.line, 1)
        else:
            yield Record(value, raw.file, raw.line)


def described(raw: RawMail, keep: Keep, encoding: str = "utf-8") -> dict[str, Json]:
    """A mail as a record: addresses are pairs of address and name, times are in UTC, ids have no brackets."""
    message = email.message_from_bytes(raw.data, _class=EmailMessage, policy=policy.default)
    headers = _Headers(message, encoding)
    found = contents(message, keep, encoding)
    sent, how = _sent(headers, raw.envelope)
    value: dict[str, Json] = {
        "message_id": _first_id(headers.raw("message-id")),
        "references": _ids(headers.raw("references")),
        "in_reply_to": _ids(headers.raw("in-reply-to")),
        "labels": headers.text("x-gmail-labels"),
        "subject": headers.text("subject"),
        "sent": sent,
        "sent_by": how,
        "report": headers.raw("content-type").lower().startswith("multipart/report"),
        "text": found.text,
        "html": found.html,
        "files": found.files,
        "notes": found.notes,
    }
    value |= {name: headers.text(name) for name in _AS_THEY_ARE}
    value |= {name: headers.addresses(name) for name in _ADDRESSES}
    return value


class _Headers:
    """Headers as they stand in the mail: the library's own decoding gives up on what is common in old mails."""

    def __init__(self, message: EmailMessage, encoding: str) -> None:
        self._encoding = encoding
        self._known: dict[str, list[str]] = {}
        for name, value in message.raw_items():
            self._known.setdefault(name.lower(), []).append(_FOLD.sub("", str(value)).strip())

    def raw(self, name: str) -> str:
        """The first header of the name, unfolded; encoded words stay as they are."""
        return self._eight_bit(self._known.get(name, [""])[0])

    def text(self, name: str) -> str:
        return self._decoded(self.raw(name)) or self.raw(name)

    def addresses(self, name: str) -> list[list[str]]:
        """Addresses are told apart before names are decoded: a name may hold what looks like an address."""
        lines = [self._eight_bit(line) for line in self._known.get(name, [])]
        pairs = [(word.strip(), real) for real, word in getaddresses(lines, **_LENIENT) if "@" in word]
        if not pairs:
            pairs = [(a or b, "") for line in lines for a, b in _IN_BRACKETS.findall(line)]
        return [[address, self._decoded(real)] for address, real in pairs[:_MOST_ADDRESSES]]

    def _eight_bit(self, line: str) -> str:
        """Bytes beyond ASCII, which the parser passes on as surrogates, as text."""
        return decoded(line.encode("utf-8", "surrogateescape"), "", self._encoding)[0]

    def _decoded(self, line: str) -> str:
        """Encoded words (RFC 2047) as text; a character may be parted between two of them."""
        line = self._eight_bit(line)
        if "=?" not in line:
            return line
        try:
            parts = decode_header(line)
        except (ValueError, LookupError, TypeError):  # such as base64 that is none
            return line
        return "".join(
            part if isinstance(part, str) else _words(part, charset or "", self._encoding) for part, charset in parts
        )


def _words(part: bytes, charset: str, encoding: str) -> str:
    if not charset:  # what stands between encoded words, in an escaped form of its own
        return plain(part.decode("raw_unicode_escape", "replace"))
    return decoded(part, charset.partition("*")[0], encoding)[0]


# Ids and times.


def _ids(line: str) -> list[str]:
    """Message-IDs; blanks inside are from folding."""
    return [made for each in _ID.findall(line) if (made := "".join(each.split()))]


def _first_id(line: str) -> str:
    found = _ids(line) or _BARE_ID.findall(line)
    return found[0] if found else ""


def _sent(headers: _Headers, envelope: str) -> tuple[str, str]:
    """When the mail was sent, and by which of its dates: its own one, unless it cannot be true."""
    own, received = _moment(headers.raw("date")), _moment(headers.raw("received").rpartition(";")[2])
    if own and own >= _OLDEST and not (received and own > received + _AHEAD):
        return _text(own), "date"
    if received:
        return _text(received), "received"
    words = envelope.split(maxsplit=2)
    outside = _moment(_ZONE_BEFORE_YEAR.sub(r"\2 \1", words[2])) if len(words) == 3 else None
    return (_text(outside), "envelope") if outside else ("", "")


def _moment(text: str) -> datetime | None:
    """A date of a mail in UTC; one without a zone, or with -0000, is taken for UTC."""
    try:
        read = parsedate_to_datetime(text.strip())
        return read.replace(tzinfo=UTC) if read.tzinfo is None else read.astimezone(UTC)
    except (ValueError, TypeError, IndexError, OverflowError):
        return None


def _text(moment: datetime) -> str:
    return f"{moment:%Y-%m-%dT%H:%M:%S}Z"
