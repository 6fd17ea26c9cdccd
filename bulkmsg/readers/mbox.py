"""Mails out of mbox files, one at a time, and out of files that hold a single one (.eml): bytes, and where they begin.

`mailbox.mbox` is not used: it starts a mail at every line that begins with "From ", and reads the whole file first.
"""

from __future__ import annotations

import re
from collections.abc import Iterator
from dataclasses import dataclass

from bulkmsg.diagnostic import Diagnostic, file_finding
from bulkmsg.readers.records import MAX_RECORD, Passed
from bulkmsg.readers.text import ByteSource, Unreadable

_CHUNK = 1 << 18  # bytes read at once
_LOOK = 1 << 12  # bytes that a separator and the line after it may take
_BOM = b"\xef\xbb\xbf"
_DATE = rb"(?:Mon|Tue|Wed|Thu|Fri|Sat|Sun),?[ \t]+(?:[A-Z][a-z]{2}|\d{1,2})[ \t][^\r\n]*"
# `From jane@host`, `From -`, each with or without a date, or any word with one. Seen: Unix, Thunderbird, Gmail.
_SEPARATOR = re.compile(
    rb"From[ \t]+(?:(?:-|[^\s@]*@\S*)(?:[ \t]+" + _DATE + rb")?|\S+[ \t]+" + _DATE + rb")[ \t]*\r?\n"
)
_HEADER = re.compile(rb"[A-Za-z][A-Za-z0-9._-]*[ \t]*:(?!//)|>From ")
_CANDIDATE = re.compile(rb"(?<=\n)From[ \t]")
_QUOTED = re.compile(rb"^>(>*From )", re.MULTILINE)
_OUTLOOK = (b"\xd0\xcf\x11\xe0", b"!BDN")


@dataclass(frozen=True, slots=True)
class RawMail:
    """A mail as it was on the wire; `envelope` is the line before it in an mbox, "" elsewhere."""

    data: bytes
    file: str
    line: int
    envelope: str = ""


def mails(file: ByteSource, most: int = MAX_RECORD) -> Iterator[RawMail | Passed | Diagnostic]:
    """The mails of a file. One of more than `most` bytes is a finding. Never raises for the content."""
    try:
        yield from _Splitter(file, most).read()
    except Unreadable as stop:
        yield stop.diagnostic


class _Splitter:
    def __init__(self, file: ByteSource, most: int) -> None:
        self.file = file
        self.name = file.name
        self.most = most
        self.buffer = bytearray()
        self.ended = False
        self.line = 1

    def read(self) -> Iterator[RawMail | Passed | Diagnostic]:
        self._fill()
        head = bytes(self.buffer[:_LOOK])
        self._drop(len(_BOM) if head.startswith(_BOM) else 0)
        self._drop(len(self.buffer) - len(self.buffer.lstrip(b"\r\n")))
        if not self.buffer:
            yield Passed("an empty file", self.name, 1)
        elif self.name.lower().removesuffix(".gz").endswith(".eml"):
            yield from self._single()
        else:
            yield from self._several()

    # A file with one mail.

    def _single(self) -> Iterator[RawMail | Passed | Diagnostic]:
        envelope = self._separator_at(0)
        found = _SEPARATOR.match(self.buffer) if envelope else None
        at = self.line
        self._drop(found.end() if found else 0)
        if not _HEADER.match(self.buffer):
            yield Passed("a file that holds no mail", self.name, at)
            return
        while not self.ended and len(self.buffer) <= self.most:
            self._fill()
        yield self._mail(len(self.buffer), self.line, envelope, quoted=False)

    # A file with many.

    def _several(self) -> Iterator[RawMail | Passed | Diagnostic]:
        if not self._separator_at(0):
            yield from self._before_the_first()
        while self.buffer:
            envelope = self._separator_at(0)
            at = self.line
            found = _SEPARATOR.match(self.buffer)
            self._drop(found.end() if found else 0)
            yield from self._up_to_the_next(at, envelope)

    def _before_the_first(self) -> Iterator[RawMail | Passed | Diagnostic]:
        """What stands before the first separator: a mail whose own was cut off, or something else."""
        if _HEADER.match(self.buffer):
            yield from self._up_to_the_next(self.line, "")
            return
        what = "a file that holds no mail"
        if self.buffer.startswith(_OUTLOOK):
            what = "a file of Outlook's own format: save the mails as .eml or mbox"
        at, looks_like_one = self.line, self.buffer.startswith(b"From ")
        self._skip_to_separator()
        if not self.buffer and not looks_like_one:
            yield Passed(what, self.name, at)
        else:
            hint = "what follows was read; get the file again, or mend this place"
            yield file_finding("BM115", "the file does not begin with a mail", hint, self.name, at, 1)

    def _up_to_the_next(self, at: int, envelope: str) -> Iterator[RawMail | Diagnostic]:
        end, scanned = None, 0
        while end is None:
            was_ended = self.ended
            end, scanned = self._next_separator(scanned)
            if end is None and was_ended:
                end = len(self.buffer)
            elif end is None and len(self.buffer) > self.most:
                break
            elif end is None:
                self._fill()
        if end is None:
            self._skip_to_separator()
            yield self._too_large(at)
        else:
            yield self._mail(end, at, envelope, quoted=True)

    def _mail(self, end: int, at: int, envelope: str, *, quoted: bool) -> RawMail | Diagnostic:
        if end > self.most:
            self._drop(end)
            return self._too_large(at)
        data = bytes(self.buffer[:end])
        self._drop(end)
        return RawMail(_QUOTED.sub(rb"\1", data) if quoted else data, self.name, at, envelope)

    def _too_large(self, at: int) -> Diagnostic:
        message = f"the mail that begins here is larger than {self.most / (1 << 20):,.4g} MB"
        return file_finding("BM115", message, "enter it by hand; the mails around it were read", self.name, at, 1)

    # Separators.

    def _next_separator(self, scanned: int) -> tuple[int | None, int]:
        """Where the next one begins, and up to where there is none for sure."""
        for found in _CANDIDATE.finditer(self.buffer, scanned):
            if len(self.buffer) - found.start() < _LOOK and not self.ended:
                return None, found.start() - 1 if found.start() else 0
            if self._separator_at(found.start()):
                return found.start(), found.start()
        return None, max(scanned, len(self.buffer) - 8)

    def _separator_at(self, at: int) -> str:
        """The separator that begins there, which is one only before something that looks like a header."""
        while len(self.buffer) - at < _LOOK and self._fill():
            pass
        found = _SEPARATOR.match(self.buffer, at)
        if found is None or not _HEADER.match(self.buffer, found.end()):
            return ""
        return found.group().decode("ascii", "replace").strip()

    def _skip_to_separator(self) -> None:
        """Drops what stands before the next separator, a chunk at a time; all of it if there is none."""
        scanned = 0
        end = None
        while end is None:
            was_ended = self.ended
            end, scanned = self._next_separator(scanned)
            if end is None and was_ended:
                end = len(self.buffer)
            elif end is None:
                self._drop(max(0, scanned - 1))
                scanned = min(scanned, 1)
                self._fill()
        self._drop(end)

    # The buffer.

    def _fill(self) -> bool:
        """Reads on; whether there was anything."""
        data = b"" if self.ended else self.file.read(_CHUNK)
        self.ended = not data
        self.buffer += data
        return bool(data)

    def _drop(self, size: int) -> None:
        self.line += self.buffer.count(b"\n", 0, size)
        del self.buffer[:size]
