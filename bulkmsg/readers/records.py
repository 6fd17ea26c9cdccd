"""Records out of whatever frames JSON dumps come in: lines, lists, wrapped lists, pages, connectors' envelopes.

A broken record is a finding and costs only itself. Memory is bounded by the largest record, not by the file.
"""

from __future__ import annotations

import json
from collections.abc import Generator, Iterator
from dataclasses import dataclass, field
from typing import Any

from bulkmsg import json_text
from bulkmsg.diagnostic import Diagnostic, file_finding
from bulkmsg.readers.json_window import BLANKS, END, Endless, Window
from bulkmsg.readers.text import ByteSource, Unreadable, shown
from bulkmsg.source import Json

WHOLE = 4 << 20  # bytes of an object that is looked at as a whole, to tell a record from a wrapped list
MAX_RECORD = 64 << 20  # bytes of one record
_SHORT = 1 << 16

# The names under which dumps wrap lists of records.
LISTS = frozenset(
    """
    tickets comments audits ticket_events ticket_audits users organizations conversations conversation_parts threads
    messages notes results _results data items item parts posts agents contacts customers teammates admins inboxes
    mailboxes groups records
    """.split()  # noqa: SIM905
)
# The names of single records in an object that holds no list of its own kind, such as {"ticket": {..}}.
_SINGLES = frozenset(
    ("ticket", "user", "comment", "audit", "conversation", "item", "organization", "agent", "contact", "customer")
)
_OPEN, _LIST, _CLOSE_LIST, _CLOSE, _COMMA, _COLON, _QUOTE = b'{[]},:"'


@dataclass(frozen=True, slots=True)
class Record:
    """One record, and where it stands.

    Args:
        value: the record itself.
        file, line: where it begins.
        stream: the name of the list, or the connector's stream, that it stands in; "" if nothing names it.
        page: what else the object around its list says; one and the same object for all records of a page.
    """

    value: dict[str, Json]
    file: str
    line: int
    stream: str = ""
    page: dict[str, Json] = field(default_factory=dict)


@dataclass(frozen=True, slots=True)
class Passed:
    """A connector's line that holds no record, such as Singer's SCHEMA and STATE."""

    what: str
    file: str
    line: int


@dataclass(frozen=True, slots=True)
class Mended:
    """A record was changed so that it can be sent: `what` was done."""

    what: str
    file: str
    line: int


Item = Record | Passed | Mended | Diagnostic


def records(file: ByteSource, *, encoding: str = "utf-8") -> Iterator[Item]:
    """The records of a JSON file in any frame. Never raises for the content."""
    try:
        yield from _Reader(Window(file, encoding)).read()
    except Unreadable as stop:
        yield stop.diagnostic


class _Lost(Exception):
    """It cannot be told where the next record of a list or an object begins; the finding was yielded."""


class _Reader:
    def __init__(self, window: Window) -> None:
        self.window = window
        self.name = window.name

    def read(self) -> Iterator[Item]:
        while (first := self.window.peek()) != END:
            try:
                yield from self._next(first)
            except _Lost:
                # Lines of their own may follow; what is indented belongs to what is broken.
                if not self.window.seek_line((b"{", b"[")):
                    return

    def _next(self, first: int) -> Iterator[Item]:
        if first == _OPEN:
            yield from self._object()
        elif first == _LIST:
            yield from self._list("", {})
        else:
            yield self._broken_line("the line is not a JSON object or list")

    # Objects at the top: one record, or a page of them.

    def _object(self) -> Iterator[Item]:
        window = self.window
        line = window.rest_of_line(WHOLE)
        if line is not None:
            try:
                value, mended = parsed(line)
            except ValueError as error:
                yield from self._several_or_broken(line, str(error))
                return
            yield from self._exploded(value, line, window.line, mended)
            window.take(len(line))
            return
        yield from self._large()

    def _several_or_broken(self, line: bytes, reason: str) -> Iterator[Item]:
        """A line that is no JSON value: several ones, the beginning of one, or a broken one."""
        window = self.window
        last, following = line.rstrip(BLANKS)[-1:], window.next_line_begins(len(line))
        goes_on = last in (b"{", b"[", b",", b":") or following in (_COMMA, _COLON, _CLOSE, _CLOSE_LIST)
        try:
            text = window.value(WHOLE if goes_on else len(line))
        except Endless as endless:
            # A line that ends early, and behind it another record, is no beginning of anything.
            if goes_on and (endless.too_large or last == b"[" or following != _OPEN):
                yield from self._large()
            else:
                yield self._broken_line(reason)
            return
        if len(text) > len(line) and not goes_on:
            yield self._broken_line(reason)
            return
        try:
            value, mended = parsed(text)
        except ValueError as error:
            yield self._broken_line(reason if len(text) <= len(line) else str(error))
            return
        yield from self._exploded(value, text, window.line, mended)
        window.take(len(text))

    def _large(self) -> Iterator[Item]:
        """An object that is not looked at as a whole: a record if it has an id before any list, else a wrapped list."""
        window = self.window
        start = window.line
        page: dict[str, Json] = {}
        window.take(1)
        while (first := window.peek()) == _QUOTE or first == _COMMA:
            if first == _COMMA:
                window.take(1)
                continue
            name = self._name()
            if name is None or window.peek() != _COLON:
                break
            window.take(1)
            yield from self._member(name, page)
        if first == _CLOSE:
            window.take(1)
            if "id" in page:
                yield from self._one(page, start, "", {}, [])
            return
        if first == END:
            yield self._cut(start)
        else:
            yield self._finding(window.line, "a name in double quotes, or the end of the object, must stand here")
        raise _Lost

    def _member(self, name: str, page: dict[str, Json]) -> Iterator[Item]:
        """One member of a large object."""
        window = self.window
        first = window.peek()
        if first == _LIST and name in LISTS and "id" not in page:
            yield from self._list(name, page)
            return
        if first == _OPEN and name == "_embedded" and "id" not in page:
            yield from self._large()
            return
        at = window.line
        try:
            text = window.value(MAX_RECORD)
            page[name] = parsed(text)[0]
        except (Endless, ValueError):
            yield self._finding(at, f"the value of `{shown(name)}` is broken or never ends")
            raise _Lost from None
        window.take(len(text))

    def _name(self) -> str | None:
        try:
            text = self.window.value(_SHORT)
            name = json_text.loads(text)
        except (Endless, ValueError):
            return None
        self.window.take(len(text))
        return name if isinstance(name, str) else None

    # Lists, one element at a time.

    def _list(self, stream: str, page: dict[str, Json]) -> Iterator[Item]:
        window = self.window
        start = window.line
        window.take(1)
        while (first := window.peek()) != _CLOSE_LIST:
            if first == END:
                yield self._cut(start)
                raise _Lost
            if first == _COMMA:
                window.take(1)
            elif not (yield from self._element(stream, page)):
                raise _Lost
        window.take(1)

    def _element(self, stream: str, page: dict[str, Json]) -> Generator[Item, None, bool]:
        """One element; returns whether the next one can be found."""
        window = self.window
        at, indentation = window.line, window.indentation()
        try:
            text = window.value(MAX_RECORD)
            value, mended = parsed(text)
        except Endless as endless:
            what = f"is larger than {MAX_RECORD >> 20} MB" if endless.too_large else "is never closed: the file is cut"
            yield self._finding(at, f"the record that begins here {what}")
            return indentation is not None and window.seek_line((indentation + b"{",))
        except ValueError as error:
            yield self._finding(at, f"the record is not JSON: {error}")
            window.take(len(text))
        else:
            yield from self._one(value, at, stream, page, mended)
            window.take(len(text))
        if window.peek() in (_COMMA, _CLOSE_LIST, END):
            return True
        yield self._finding(window.line, "a comma or the end of the list must stand here")
        return indentation is not None and window.seek_line((indentation + b"{",))

    # What an object is.

    def _exploded(self, value: Json, text: bytes, line: int, mended: list[str]) -> Iterator[Item]:
        inner = value.get("_embedded") if isinstance(value, dict) and "id" not in value else None
        around: Any = {**value, **inner} if isinstance(inner, dict) else value
        names = list(wrapped(around)) if isinstance(value, dict) else []
        if not names:
            yield from self._one(value, line, "", {}, mended)
            return
        yield from (Mended(what, self.name, line) for what in mended)
        page = {name: each for name, each in around.items() if name not in names or isinstance(each, dict)}
        lines = _lines_of(text, line, names)
        for name in names:
            elements = around[name] if isinstance(around[name], list) else [around[name]]
            places = lines.get(name, [])
            for number, each in enumerate(elements):
                yield from self._one(each, places[number] if number < len(places) else line, name, page, [])

    def _one(self, value: Json, line: int, stream: str, page: dict[str, Json], mended: list[str]) -> Iterator[Item]:
        if not isinstance(value, dict):
            yield self._finding(line, "a record must be an object, in braces")
            return
        yield from (Mended(what, self.name, line) for what in mended)
        name, inner = unwrapped(value)
        if inner is None:
            yield Passed(f"connector line {shown(name)}", self.name, line)
        elif inner is value:
            yield Record(value, self.name, line, stream, page)
        else:
            yield Record(inner, self.name, line, name or stream, page)

    # Troubles.

    def _broken_line(self, reason: str) -> Diagnostic:
        window = self.window
        line = window.line
        text = window.rest_of_line(MAX_RECORD)
        if text is None:
            raise Unreadable(self._finding(line, f"{reason}; nothing behind it can be read"))
        window.take(len(text))
        return self._finding(line, reason if reason.startswith("the") else f"the line is not JSON: {reason}")

    def _cut(self, line: int) -> Diagnostic:
        return self._finding(
            self.window.line, f"the list or object begun on line {line:,} is never closed: the file is cut"
        )

    def _finding(self, line: int, message: str) -> Diagnostic:
        hint = "the records around it were read; get the file again, or mend this place"
        if "UTF-8" in message or "utf-8" in message:
            hint = "say what the file is, such as --encoding windows-1252, or mend this place"
        return file_finding("BM115", message, hint, self.name, line, 1)


def wrapped(value: dict[str, Json]) -> Iterator[str]:
    """The names of the lists, or single records, that an object wraps; none if it is a record itself."""
    if "id" in value or value.get("type") == "RECORD" or "record" in value or "_airbyte_data" in value:
        return
    if ("stream" in value and "data" in value) or isinstance(value.get("body"), str):
        return
    for name, each in value.items():
        is_list = name in LISTS and isinstance(each, list) and (not each or isinstance(each[0], dict))
        if is_list or (name in _SINGLES and isinstance(each, dict)):
            yield name


def unwrapped(value: dict[str, Json]) -> tuple[str, dict[str, Json] | None]:
    """The stream and the record inside a connector's line.

    Singer: {"type": "RECORD", "stream": .., "record": {..}}; Airbyte: {"stream": .., "data": {..}, "emitted_at": ..},
    alone or as the record of a line, and {"_airbyte_data": {..}} in what it writes. Other lines of Singer's give None.
    """
    kind = value.get("type")
    inner = value.get("record")
    if kind == "RECORD" and isinstance(inner, dict):
        if isinstance(inner.get("data"), dict) and isinstance(inner.get("stream"), str):
            return inner["stream"], inner["data"]
        return str(value.get("stream") or ""), inner
    if kind in ("SCHEMA", "STATE", "ACTIVATE_VERSION", "LOG", "TRACE", "CATALOG", "SPEC") and "id" not in value:
        return str(kind), None
    if isinstance(value.get("data"), dict) and isinstance(value.get("stream"), str) and "id" not in value:
        return value["stream"], value["data"]
    if isinstance(value.get("_airbyte_data"), dict):
        return "", value["_airbyte_data"]
    return "", value


def parsed(text: bytes) -> tuple[Json, list[str]]:
    """One JSON value and what had to be mended in it.

    Raises:
        ValueError: it is no JSON, or no UTF-8; says why and where.
    """
    mended = []
    try:
        value = json_text.loads(text)
    except json_text.JSONDecodeError as error:
        value = _with_surrogates(text, error)
        mended.append("half of a surrogate pair was replaced by U+FFFD")
    if b"\\u0000" in text:
        cleaned = _each_text(value, lambda each: each.replace("\0", ""))
        if cleaned != value:
            value = cleaned
            mended.append("a NUL character was dropped")
    return value, mended


def _with_surrogates(text: bytes, error: json_text.JSONDecodeError) -> Json:
    """The value with what stands for no character replaced, if that is all that is wrong."""
    try:
        decoded = text.decode()
    except UnicodeDecodeError as wrong:
        where = f"byte 0x{text[wrong.start]:02x} at byte {wrong.start:,} of the record"
        raise ValueError(f"{where} is no UTF-8") from None
    if "\\ud" not in decoded.lower():
        raise ValueError(f"{error.msg} (character {error.pos + 1:,})")
    try:
        value = json.loads(decoded, parse_constant=_refuse)
    except (ValueError, RecursionError):
        raise ValueError(f"{error.msg} (character {error.pos + 1:,})") from None
    return _each_text(value, lambda each: each.encode("utf-16", "surrogatepass").decode("utf-16", "replace"))


def _refuse(word: str) -> None:
    raise ValueError(f"{word} is no JSON")


def _each_text(value: Json, change: Any) -> Json:
    if isinstance(value, str):
        return change(value)
    if isinstance(value, dict):
        return {change(name): _each_text(each, change) for name, each in value.items()}
    if isinstance(value, list):
        return [_each_text(each, change) for each in value]
    return value


def _lines_of(text: bytes, line: int, names: list[str]) -> dict[str, list[int]]:
    """On which line each element of the wrapped lists begins; nothing to do where all stands on one line."""
    if b"\n" not in text.strip(BLANKS):
        return {}
    window = Window(_Bytes(text), "utf-8")
    window.line = line
    found: dict[str, list[int]] = {}
    _walk(window, names, found)
    return found


def _walk(window: Window, names: list[str], found: dict[str, list[int]]) -> None:
    """Steps through one object, which is known to be JSON."""
    window.peek()
    window.take(1)
    while (first := window.peek()) != _CLOSE:
        if first == _COMMA:
            window.take(1)
            continue
        name = json_text.loads(window.take(len(window.value(WHOLE))))
        window.peek()
        window.take(1)
        first = window.peek()
        if name in names and first == _LIST:
            found[name] = list(_elements(window))
        elif name == "_embedded" and first == _OPEN:
            _walk(window, names, found)
        else:
            found.setdefault(name, [window.line])
            window.take(len(window.value(WHOLE)))
    window.take(1)


def _elements(window: Window) -> Iterator[int]:
    window.take(1)
    while (first := window.peek()) != _CLOSE_LIST:
        if first != _COMMA:
            yield window.line
            window.take(len(window.value(WHOLE)))
        else:
            window.take(1)
    window.take(1)


class _Bytes:
    """Bytes at hand, as a file."""

    name = ""

    def __init__(self, data: bytes) -> None:
        self._data = data

    def read(self, size: int = -1) -> bytes:
        data, self._data = self._data, b""
        return data
