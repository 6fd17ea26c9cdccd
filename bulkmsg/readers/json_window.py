"""JSON of any size through a window of bytes: whole values are cut out with their lines, nothing else is kept.

A library such as ijson builds each value from events, three to eight times slower than cutting it out and reading it at
once, and what it knows of a broken value is no line and no way on.
"""

from __future__ import annotations

import re
from collections.abc import Iterator

from bulkmsg.diagnostic import Diagnostic
from bulkmsg.readers.text import CHUNK, ByteSource, TextStream, Unreadable, known_encoding, other_encoding

END = -1
BLANKS = b" \t\r\n"
_BOM = b"\xef\xbb\xbf"
_BLANK = re.compile(rb"[ \t\r\n]*+")
# Up to the next bracket outside of texts; no match means that a text, or the value, goes on beyond the bytes at hand.
_BRACKET = re.compile(rb'(?:[^"{}\[\]]++|"(?:[^"\\]++|\\.)*+")*+[{}\[\]]', re.DOTALL)
_PLAIN = re.compile(rb'"(?:[^"\\]++|\\.)*+"|[^\s,:{}\[\]"]++', re.DOTALL)


class Endless(Exception):
    """A value that is not closed before the file ends, or before it is larger than values may be."""

    def __init__(self, too_large: bool) -> None:
        super().__init__()
        self.too_large = too_large


class Window:
    """The bytes of a JSON file in UTF-8, from its beginning to its end. `line` is that of the next byte."""

    def __init__(self, file: ByteSource, encoding: str = "utf-8") -> None:
        self.name = file.name
        self.line = 1
        self.offset = 0  # bytes of UTF-8 that were taken
        self._source = _utf8(file, encoding)
        self._data = b""
        self._at = 0
        self._ended = False

    def peek(self) -> int:
        """The next byte that is not blank, `END` at the end; blanks are taken."""
        while True:
            blanks = _BLANK.match(self._data, self._at)
            assert blanks is not None
            self.take(blanks.end() - self._at)
            if self._at < len(self._data):
                return self._data[self._at]
            if not self._more():
                return END

    def take(self, size: int) -> bytes:
        """The next `size` bytes, which are at hand."""
        taken = self._data[self._at : self._at + size]
        self._at += size
        self.offset += size
        self.line += taken.count(b"\n")
        return taken

    def rest_of_line(self, most: int) -> bytes | None:
        """The bytes up to and with the end of the line, not taken; None if that are more than `most`."""
        looked = self._at
        while (end := self._data.find(b"\n", looked)) < 0:
            before = len(self._data) - self._at
            if before > most:
                return None
            if not self._more():
                end = len(self._data) - 1
                break
            looked = self._at + before
        return self._data[self._at : end + 1]

    def next_line_begins(self, size: int) -> int:
        """The first byte that is not blank after the next `size` bytes, `END` at the end; nothing is taken."""
        looked = size
        while True:
            blanks = _BLANK.match(self._data, self._at + looked)
            assert blanks is not None
            if blanks.end() < len(self._data):
                return self._data[blanks.end()]
            looked = blanks.end() - self._at
            if not self._more():
                return END

    def value(self, most: int) -> bytes:
        """The bytes of the value that begins here, not taken and not yet known to be JSON.

        Raises:
            Endless: it has no end within `most` bytes; nothing is taken.
        """
        if self._data[self._at : self._at + 1] not in (b"{", b"["):
            return self._plain(most)
        depth = 0
        looked = 0
        while True:
            found = _BRACKET.match(self._data, self._at + looked)
            if found is None:
                self._want(most)
                continue
            looked = found.end() - self._at
            depth += 1 if self._data[found.end() - 1] in b"{[" else -1
            if depth <= 0:
                return self._data[self._at : self._at + looked]

    def _plain(self, most: int) -> bytes:
        """A text, number or word; at the very edge of the bytes at hand a number may go on."""
        while True:
            found = _PLAIN.match(self._data, self._at)
            if found and (found.end() < len(self._data) or self._ended):
                return found.group()
            if self._ended:
                raise Endless(False)
            self._want(most, strict=False)

    def _want(self, most: int, strict: bool = True) -> None:
        if len(self._data) - self._at > most:
            raise Endless(True)
        if not self._more() and strict:
            raise Endless(False)

    def seek_line(self, beginnings: tuple[bytes, ...]) -> bool:
        """Go on at the next line that begins with one of these; False if none is at hand within a window or two."""
        marks = re.compile(b"|".join(re.escape(b"\n" + each) for each in beginnings))
        found = marks.search(self._data, self._at + 1)
        if found is None and self._more():
            found = marks.search(self._data, self._at + 1)
        if found is None:
            return False
        self.take(found.start() + 1 - self._at)
        return True

    def indentation(self) -> bytes | None:
        """The blanks before the next byte on its line; None if something else stands before it, or if they are gone."""
        start = self._data.rfind(b"\n", 0, self._at) + 1
        before = self._data[start : self._at]
        return before if start and not before.strip(BLANKS) else None

    def _more(self) -> bool:
        """Read on; what was taken is dropped. False at the end."""
        if self._ended:
            return False
        keep = max(0, self._at - 256)  # for `indentation`
        kept = self._data[keep:]
        self._at -= keep
        wanted = max(CHUNK, len(kept))
        pieces = [kept]
        while wanted > 0 and (data := next(self._source, b"")):
            pieces.append(data)
            wanted -= len(data)
        self._data = b"".join(pieces)
        self._ended = len(pieces) == 1
        return not self._ended


def _utf8(file: ByteSource, encoding: str) -> Iterator[bytes]:
    """The file's bytes in UTF-8 without a byte order mark, in pieces."""
    known = known_encoding(encoding, file.name)
    if isinstance(known, Diagnostic):
        raise Unreadable(known)
    if known not in ("utf-8", "utf-8-sig"):
        stream = TextStream(file, known)
        while text := stream.read():
            yield text.encode("utf-8", "surrogatepass")
        return
    first = file.read(CHUNK)
    if other := other_encoding(first[:4096], file.name):
        raise Unreadable(other)
    yield (first if len(first) >= len(_BOM) else first + file.read(CHUNK)).removeprefix(_BOM)
    while data := file.read(CHUNK):
        yield data
