"""Records out of XML exports: the elements below the root, one at a time, as the values that JSON would hold.

What the dumps of Rails write is understood: dashed names, `type`, `nil` and `type="array"`. DTDs and entities of one's
own are refused, since no export needs them and they can expand without end. An XML file that breaks cannot be read on.
"""

from __future__ import annotations

import re
from collections.abc import Iterator
from dataclasses import dataclass, field
from xml.parsers import expat

from bulkmsg.diagnostic import Diagnostic, file_finding
from bulkmsg.readers.records import MAX_RECORD, Item, Mended, Record
from bulkmsg.readers.text import CHUNK, ByteSource, Unreadable
from bulkmsg.source import Json

# What XML 1.0 has no place for, and what exports hold nevertheless; in UTF-8 and all encodings that extend ASCII.
_ILLEGAL = re.compile(rb"[\x00-\x08\x0b\x0c\x0e-\x1f]")
_ILLEGAL_REFERENCE = re.compile(rb"&#(?:x0*(?:[0-8bcBC]|0?[eEfF]|1[0-9a-fA-F])|0*(?:[0-8]|1[124-9]|2\d|3[01]));")
_MAX_DEPTH = 64


class _Refused(Exception):
    """Something that no export needs."""


@dataclass(slots=True)
class _Element:
    name: str
    attributes: dict[str, str]
    line: int
    text: list[str] = field(default_factory=list)
    children: list[tuple[str, Json]] = field(default_factory=list)

    def value(self) -> Json:
        kind = self.attributes.get("type", "")
        if kind == "array":
            return [value for _, value in self.children]
        if self.children:
            return dict(self.children)
        text = "".join(self.text)
        if self.attributes.get("nil") == "true" or (not text and kind in ("integer", "boolean", "datetime")):
            return None
        if kind == "boolean":
            return text.strip() == "true"
        if kind == "integer" and text.strip().lstrip("-").isdigit():
            return int(text)
        return text


class _Builder:
    def __init__(self, name: str) -> None:
        self.name = name
        self.ready: list[Item] = []
        self._open: list[_Element] = []
        self._size = 0
        self.parser = parser = expat.ParserCreate()
        parser.buffer_text = True
        parser.StartElementHandler = self._start
        parser.EndElementHandler = self._end
        parser.CharacterDataHandler = self._characters
        parser.StartDoctypeDeclHandler = self._refuse
        parser.EntityDeclHandler = self._refuse

    def _start(self, name: str, attributes: dict[str, str]) -> None:
        if len(self._open) >= _MAX_DEPTH:
            raise _Refused(f"elements stand more than {_MAX_DEPTH} deep in each other")
        self._open.append(_Element(name.replace("-", "_"), attributes, self.parser.CurrentLineNumber))

    def _end(self, _: str) -> None:
        done = self._open.pop()
        if len(self._open) > 1:
            self._open[-1].children.append((done.name, done.value()))
        elif self._open:
            self._size = 0
            value = done.value()
            record = value if isinstance(value, dict) else {done.name: value}
            self.ready.append(Record(record, self.name, done.line, done.name))

    def _characters(self, data: str) -> None:
        self._size += len(data)
        if self._size > MAX_RECORD:
            raise _Refused(f"a record is larger than {MAX_RECORD >> 20} MB")
        if len(self._open) > 1:
            self._open[-1].text.append(data)

    def _refuse(self, *_: object) -> None:
        raise _Refused("it declares a document type or entities, which no export needs")


def xml_records(file: ByteSource) -> Iterator[Item]:
    """A record for each element below the root; its stream is the element's name. Never raises for the content."""
    builder = _Builder(file.name)
    mended = 0
    try:
        for data in _chunks(file):
            clean, count = _cleaned(data)
            mended += count
            builder.parser.Parse(clean, not data)
            yield from builder.ready
            builder.ready.clear()
    except Unreadable as stop:
        yield stop.diagnostic
    except (_Refused, expat.ExpatError) as error:
        yield from builder.ready
        yield _broken(error, builder)
    if mended:
        yield Mended("characters that XML does not allow were dropped", file.name, 1)


def _chunks(file: ByteSource) -> Iterator[bytes]:
    """The file in pieces that cut no reference in two, and b"" at the end."""
    rest = b""
    while data := file.read(CHUNK):
        data = rest + data
        cut = data.rfind(b"&", len(data) - 12)
        cut = len(data) if cut < 0 or b";" in data[cut:] else cut
        rest = data[cut:]
        if data[:cut]:
            yield data[:cut]
    if rest:
        yield rest
    yield b""


def _cleaned(data: bytes) -> tuple[bytes, int]:
    if data[:2] in (b"\xff\xfe", b"\xfe\xff"):  # UTF-16, whose bytes are no characters
        return data, 0
    data, first = _ILLEGAL.subn(b"", data)
    data, second = _ILLEGAL_REFERENCE.subn(b"", data)
    return data, first + second


def _broken(error: Exception, builder: _Builder) -> Diagnostic:
    line = builder.parser.CurrentLineNumber
    if isinstance(error, expat.ExpatError):
        reason = f"the XML is broken: {expat.ErrorString(error.code)}"
        hint = "what stands before this place was read; get the file again"
        return file_finding("BM115", reason, hint, builder.name, line, builder.parser.CurrentColumnNumber + 1)
    return file_finding("BM107", f"the XML cannot be read: {error}", "export it once more", builder.name, line, 1)
