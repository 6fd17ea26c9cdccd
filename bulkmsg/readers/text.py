"""Bytes to text, strictly: what is not text in the promised encoding is a finding with its byte and line.

Also the two small helpers every reader needs: how to show a name from a file safely, and how to stop reading.
"""

from __future__ import annotations

import codecs
from collections.abc import Iterator
from typing import NoReturn, Protocol

from bulkmsg.diagnostic import Diagnostic, file_finding

CHUNK = 1 << 15  # bytes read at once

_UTF8 = frozenset({"utf-8", "utf-8-sig"})
# Text to Python, but not what people write in files: escapes, host names, and encodings that depend on the machine.
_NOT_FOR_FILES = frozenset(
    {"unicode-escape", "raw-unicode-escape", "idna", "punycode", "utf-7", "undefined", "mbcs", "oem"}
)
_SAMPLE = bytes(range(32, 127)) + b"\t\r\n"


class ByteSource(Protocol):
    """Where bytes come from: an input file, or a member of an archive. `read` gives b"" only at the end."""

    name: str

    def read(self, size: int = -1) -> bytes:
        """
        Raises:
            Unreadable: the disk or the archive fails.
        """


class Unreadable(Exception):
    """Reading cannot go on. Raised and caught inside `readers` only; outside, its diagnostic is yielded."""

    def __init__(self, diagnostic: Diagnostic) -> None:
        super().__init__(diagnostic.rule)
        self.diagnostic = diagnostic


def shown(text: str, limit: int = 60) -> str:
    """A name from a file as it may stand in a message: escapes and bidi overrides visible, long ones cut."""
    cut = text if len(text) <= limit else text[:limit] + "…"
    if cut.isprintable():
        return cut
    return "".join(char if char.isprintable() else char.encode("unicode_escape").decode("ascii") for char in cut)


class LineCounter:
    """Lines and columns of text seen so far, as editors count: CR LF, LF and CR end a line."""

    __slots__ = ("_after_cr", "_columns", "_lines")

    def __init__(self, lines: int = 0, columns: int = 0, after_cr: bool = False) -> None:
        self._lines = lines
        self._columns = columns
        self._after_cr = after_cr

    def feed(self, text: str, data: bytes | None = None) -> None:
        """Counts `text`; `data`, the same in bytes of which CR and LF are no part of other characters, is faster."""
        if not text:
            return
        if data is None:
            returns = text.count("\r")
            lines = text.count("\n") + (returns and returns - text.count("\r\n"))
        else:
            returns = data.count(b"\r")
            lines = data.count(b"\n") + (returns and returns - data.count(b"\r\n"))
        if self._after_cr and text[0] == "\n":
            lines -= 1
        self._after_cr = text[-1] == "\r"
        self._lines += lines
        last = max(text.rfind("\n"), text.rfind("\r") if returns else -1)
        self._columns = len(text) - last - 1 if last >= 0 else self._columns + len(text)

    def position(self, text: str = "") -> tuple[int, int]:
        """The 1-based line and column of the character after `text`, which follows what was fed."""
        ahead = LineCounter(self._lines, self._columns, self._after_cr)
        ahead.feed(text)
        return ahead._lines + 1, ahead._columns + 1


def known_encoding(encoding: str, name: str) -> str | Diagnostic:
    """The canonical name of an encoding that can be read, or the finding that it cannot."""
    wrong = file_finding(
        "BM102",
        f"the encoding `{shown(encoding)}` is unknown or cannot be used for files",
        "give a name such as utf-8, windows-1252, iso-8859-15 or utf-16",
        name,
    )
    try:
        info = codecs.lookup(encoding)
        if info.name.replace("_", "-") in _NOT_FOR_FILES:
            return wrong
        if not info.name.startswith("utf-16") and _SAMPLE.decode(info.name) != _SAMPLE.decode("ascii"):
            return wrong
    except (LookupError, ValueError, TypeError):
        return wrong
    return info.name


def other_encoding(head: bytes, name: str) -> Diagnostic | None:
    """The finding that a file beginning with `head` is UTF-16 or UTF-32 and not UTF-8; None if it does not look so."""
    wide = head.startswith((b"\xff\xfe\0\0", b"\0\0\xfe\xff"))
    marked = head.startswith((b"\xff\xfe", b"\xfe\xff"))
    half = max(1, len(head) // 2)
    unmarked = len(head) >= 4 and max(head[0::2].count(0), head[1::2].count(0)) > 0.4 * half
    if not (wide or marked or unmarked):
        return None
    kind = "UTF-32" if wide else "UTF-16"
    way = "" if wide else " or say `encoding: utf-16` (`--encoding utf-16`)"
    if unmarked and not marked and not wide:
        little = head[1::2].count(0) > head[0::2].count(0)
        kind = "UTF-16LE" if little else "UTF-16BE"
        way = f" or say `encoding: {kind.lower()}` (`--encoding {kind.lower()}`)"
    return file_finding(
        "BM102",
        f"the file is {kind}, not UTF-8",
        f"convert it, `iconv -f {kind} -t UTF-8 in > out`,{way}".rstrip(","),
        name,
        1,
        1,
    )


def wrong_byte(error: UnicodeDecodeError, offset: int, line: int, column: int, encoding: str, name: str) -> Diagnostic:
    """The finding for a byte that is no text; `offset` counts bytes of the file from 0."""
    bad = error.object[error.start : error.start + 1]
    what = f"byte 0x{bad[0]:02x}" if bad else "the end of the file"
    if encoding in _UTF8:
        message = f"the file is not UTF-8: {what} at byte offset {offset} is no text ({error.reason})"
        hint = (
            "convert it, `iconv -f WINDOWS-1252 -t UTF-8 in > out`, or say what it is:"
            " `encoding: windows-1252` (`--encoding windows-1252`)"
        )
    else:
        message = f"the file is not {encoding}: {what} at byte offset {offset} is no text in it ({error.reason})"
        hint = "check the encoding given; leave it out if the file is UTF-8"
    return file_finding("BM102", message, hint, name, line, column)


class TextStream:
    """The text of a file, chunk by chunk, in bounded memory.

    `read` gives some text, "" at the end, and raises `Unreadable` for what is no text. A BOM at the start is dropped.
    """

    def __init__(self, file: ByteSource, encoding: str = "utf-8") -> None:
        known = known_encoding(encoding, file.name)
        if isinstance(known, Diagnostic):
            raise Unreadable(known)
        self.name = file.name
        self.lines = LineCounter()
        self._file = file
        self._encoding = known
        self._decoder = codecs.getincrementaldecoder(known)("strict")
        self._wide = known.startswith("utf-16")
        self._bytes = 0
        self._ended = False

    def read(self, size: int = CHUNK) -> str:
        """About `size` bytes of the file as text; never "" before the end."""
        text, data = "", b""
        while not text and not self._ended:
            first = self._bytes == 0
            data = self._file.read(max(size, 4))
            if first and self._encoding in _UTF8 and (other := other_encoding(data[:4096], self.name)):
                raise Unreadable(other)
            text = self._decode(data)
            if first and text[:1] == "\ufeff":
                text = text[1:]
        if "\0" in text:
            self._refuse_nul(text)
        self.lines.feed(text, None if self._wide else data)
        return text

    def _decode(self, data: bytes) -> str:
        self._bytes += len(data)
        self._ended = not data
        try:
            return self._decoder.decode(data, final=self._ended)
        except UnicodeDecodeError as error:
            before = error.object[: error.start].decode(self._encoding, "replace")
            line, column = self.lines.position(before.removeprefix("\ufeff") if self._bytes == len(data) else before)
            offset = self._bytes - len(error.object) + error.start
            raise Unreadable(wrong_byte(error, offset, line, column, self._encoding, self.name)) from None
        except UnicodeError:
            hint = "say `encoding: utf-16-le` or `encoding: utf-16-be`, or leave it out if the file is UTF-8"
            message = f"the file is not {self._encoding}: it does not begin with a byte order mark"
            raise Unreadable(file_finding("BM102", message, hint, self.name, 1, 1)) from None

    def _refuse_nul(self, text: str) -> None:
        line, column = self.lines.position(text[: text.index("\0")])
        raise Unreadable(nul(self.name, line, column))


class ByteLines:
    """The physical lines of a text file as UTF-8 bytes with their ends, many at once; LF, CR LF and CR end a line.

    In batches, because that costs a third of handling each by itself. Whether the bytes are UTF-8 is for the caller to
    see, who decodes them anyway, and to bring to `refuse`.
    """

    def __init__(self, file: ByteSource, encoding: str, longest: int) -> None:
        known = known_encoding(encoding, file.name)
        if isinstance(known, Diagnostic):
            raise Unreadable(known)
        self.name = file.name
        self.longest = longest  # bytes of one line
        self.before = 0  # lines before the latest batch
        self._offset = 0  # bytes before the latest batch
        self._batch: list[bytes] = []
        self._source = _utf8_chunks(file) if known in _UTF8 else _recoded_chunks(TextStream(file, known))

    def __iter__(self) -> Iterator[list[bytes]]:
        pieces: list[bytes] = []  # of a line whose end is not read yet
        size = 0
        for data in self._source:
            if not self._batch and not pieces and data.startswith(codecs.BOM_UTF8):
                data = data.removeprefix(codecs.BOM_UTF8)
                self._offset = len(codecs.BOM_UTF8)
            if b"\0" in data:
                self._refuse_nul(b"".join(pieces) + data)
            # A CR at the very end may be half of a CR LF.
            cut = max(data.rfind(b"\n"), data.rfind(b"\r", 0, len(data) - 1)) + 1
            if cut:
                pieces.append(data[:cut])
                yield self._next(b"".join(pieces))
                data, pieces, size = data[cut:], [], 0
            pieces.append(data)
            size += len(data)
            if size > self.longest:
                self._refuse_length()
        if size:
            yield self._next(b"".join(pieces))

    def _next(self, data: bytes) -> list[bytes]:
        self.before += len(self._batch)
        self._offset += sum(map(len, self._batch))
        self._batch = data.splitlines(keepends=True)
        return self._batch

    def refuse(self) -> NoReturn:
        """Raises `Unreadable` for the first byte of the latest batch that is no UTF-8."""
        offset = self._offset
        for number, line in enumerate(self._batch, self.before + 1):
            try:
                line.decode()
            except UnicodeDecodeError as error:
                column = len(line[: error.start].decode()) + 1
                found = wrong_byte(error, offset + error.start, number, column, "utf-8", self.name)
                raise Unreadable(found) from None
            offset += len(line)
        raise AssertionError("every line is UTF-8")

    def _refuse_nul(self, data: bytes) -> NoReturn:
        before = data[: data.index(b"\0")].decode("utf-8", "replace")
        line, column = LineCounter(self.before + len(self._batch)).position(before)
        raise Unreadable(nul(self.name, line, column))

    def _refuse_length(self) -> NoReturn:
        line = self.before + len(self._batch) + 1
        message = f"line {line} is longer than {self.longest:,} bytes"
        hint = "check that this is the file you mean, and that its lines end"
        raise Unreadable(file_finding("BM107", message, hint, self.name, line, 1))


def _utf8_chunks(file: ByteSource) -> Iterator[bytes]:
    data = file.read(CHUNK)
    if other := other_encoding(data[:4096], file.name):
        raise Unreadable(other)
    # A short first read could part the mark, if at all, in an archive.
    data = data if len(data) >= 3 else data + file.read(CHUNK)
    while data:
        yield data
        data = file.read(CHUNK)


def _recoded_chunks(stream: TextStream) -> Iterator[bytes]:
    while text := stream.read():
        yield text.encode("utf-8", "surrogatepass")


def nul(name: str, line: int, column: int) -> Diagnostic:
    """The finding for a NUL character, raw or escaped."""
    return file_finding(
        "BM102",
        "a NUL character stands here; no text may hold one",
        "remove it; if the whole file looks odd, it is binary or in another encoding (`encoding:`, `--encoding`)",
        name,
        line,
        column,
    )
