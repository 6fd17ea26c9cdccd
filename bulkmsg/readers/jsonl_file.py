"""JSON Lines, line by line: no key twice, no number that loses information; a broken line costs only itself."""

from __future__ import annotations

import json
import re
from collections.abc import Iterator

from bulkmsg import json_text
from bulkmsg.diagnostic import Diagnostic, file_finding
from bulkmsg.readers.files import InputFile
from bulkmsg.readers.text import ByteLines, Unreadable, shown
from bulkmsg.source import Json, Node, Path, Position

MAX_LINE = 16 << 20  # bytes of one line
MAX_VALUES = 500_000  # values of one line, as its commas have it
_LONG = 1 << 20  # bytes from which on they are counted, before a parser makes gigabytes of `[],[],`
MAX_DEPTH = 64  # levels of lists and objects
EXACT = 2**53  # integers up to here survive in every JSON reader

_BEGINNINGS = (b"{", b"[", b"[{")  # of a value spread over lines, which no later line can mend

_BLANKS = re.compile(r"[ \t\r\n]*")
_DECODER = json.JSONDecoder()


class LinePlace:
    """The place of one line's value. Holds the line, which is scanned when a position is asked for."""

    __slots__ = ("_text", "file", "line")

    def __init__(self, file: str, line: int, text: bytes) -> None:
        self.file = file
        self.line = line
        self._text = text

    def at(self, path: Path, *, name: bool = False) -> Position:
        if len(self._text) > _LONG:
            return Position(self.line, 1)  # looking would take longer than reading did
        text = self._text.decode()
        start, key = _blanks(text, 0), -1
        for part in path:
            found = _child(text, start, part)
            if found is None:
                break
            start, key = found
        return Position(self.line, (key if name and key >= 0 else start) + 1)

    def anchored(self, path: Path, *, name: bool = False) -> None:
        """JSON has no aliases."""

    def line_of(self, path: Path) -> int:
        return self.line


def _blanks(text: str, at: int) -> int:
    match = _BLANKS.match(text, at)
    return match.end() if match else at


def _child(text: str, start: int, part: str | int) -> tuple[int, int] | None:
    """Where the value `part` of the list or object at `start` begins, and its name (-1 for none), or None."""
    for key, key_at, at in _children(text, start):
        if key == part and type(key) is type(part):
            return at, key_at
    return None


def _children(text: str, start: int) -> Iterator[tuple[str | int, int, int]]:
    """The name or index of each value in the list or object at `start`, where its name begins (-1), where it begins."""
    named = text[start : start + 1] == "{"
    at = _blanks(text, start + 1)
    if text[start : start + 1] not in ("{", "[") or text[at : at + 1] in ("}", "]"):
        return
    index = 0
    while True:
        key: str | int = index
        key_at = -1
        if named:
            key_at = at
            key, at = _DECODER.raw_decode(text, at)
            at = _blanks(text, _blanks(text, at) + 1)
        yield key, key_at, at
        at = _blanks(text, _DECODER.raw_decode(text, at)[1])
        if text[at : at + 1] != ",":
            return
        at = _blanks(text, at + 1)
        index += 1


def lines(file: InputFile, *, encoding: str = "utf-8") -> Iterator[Node | Diagnostic]:
    """`Node((index,), value)` for each line that is not blank, counted from 0, and what is wrong with the others.

    Never raises for the content. A broken line is a finding and reading goes on; bytes that are no text end it, and so
    does a value spread over several lines.
    """
    index = 0
    try:
        source = ByteLines(file, encoding, MAX_LINE)
        for batch in source:
            for number, line in enumerate(batch, source.before + 1):
                if len(line) < 3 and line.isspace():
                    continue
                try:
                    value = _strictly(line)
                except (json_text.JSONDecodeError, _Odd) as error:
                    if not line.strip():
                        continue
                    yield _trouble(line, number, error, source)
                    if line.strip() in _BEGINNINGS:
                        return
                else:
                    yield Node((index,), value, LinePlace(file.name, number, line))
                index += 1
    except Unreadable as stop:
        yield stop.diagnostic


def value_of(text: str) -> Json:
    """One JSON value, read as strictly as a line of a file.

    Raises:
        ValueError: it is not JSON, names something twice, is nested too deeply, or holds a NUL or a number that no
            reader would keep exactly; the words say which but for the first.
    """
    try:
        return _strictly(text.encode())
    except _Odd as odd:
        raise ValueError(odd.message) from None


def _strictly(line: bytes) -> Json:
    if len(line) > _LONG:
        _check_size(line)
    value = json_text.loads(line)
    _check(value, MAX_DEPTH)
    if not _clear(line, value):
        _verify(line)
    return value


class _Odd(Exception):
    """A line that parses but must not pass: its finding's rule, message and hint, and the 0-based column if known."""

    def __init__(self, rule: str, message: str, hint: str, column: int | None = None) -> None:
        super().__init__(rule)
        self.rule, self.message, self.hint, self.column = rule, message, hint, column


def _check_size(line: bytes) -> None:
    if line.count(b",") > MAX_VALUES:
        hint = "split the entry, or take out what does not belong to it"
        raise _Odd("BM107", f"the line holds more than {MAX_VALUES:,} values", hint)


def _clear(line: bytes, value: Json) -> bool:
    """Whether a line surely names nothing twice and holds no NUL.

    Written again, its value has as many colons: one a name, and those in texts. A name that was dropped takes its own
    with it, and nothing adds one but the escape \\u003a, which is looked for.
    """
    if b"\\u00" in line and (b"\\u0000" in line or b"\\u003" in line):
        return False
    return json_text.dumps(value).count(b":") == line.count(b":")


def _check(value: Json, levels: int) -> None:
    """Looks at a value's depth and numbers.

    Raises:
        _Odd: it is nested deeper than `levels`, or holds a number that no reader would keep exactly.
    """
    kind = type(value)
    if kind is dict:
        value = value.values()
    elif kind is not list:
        value = (value,)
        levels += 1
    if levels <= 0:
        raise _Odd(*_TOO_DEEP)
    for item in value:
        kind = type(item)
        if kind is str:
            continue
        if kind is dict or kind is list:
            _check(item, levels - 1)
        elif (kind is int or kind is float) and not -EXACT <= item <= EXACT:
            raise _Odd(*_BIG)


_TOO_DEEP = ("BM107", f"lists and objects stand more than {MAX_DEPTH} deep in each other", "write the entry flatter")
_BIG = (
    "BM106",
    f"a number is beyond what a JSON number holds exactly ({EXACT})",
    "if it is text, such as an order number, quote it",
)


def _verify(line: bytes) -> None:
    """Looks at every name of a line that the quick count could not clear.

    Raises:
        _Odd: a name is given twice in one object, or a text holds a NUL.
    """
    text = line.decode()
    doubled: list[bool] = []

    def notice(pairs: list[tuple[str, Json]]) -> dict[str, Json]:
        made = dict(pairs)
        if len(made) != len(pairs):
            doubled.append(True)
        return made

    value = json.loads(text, object_pairs_hook=notice)
    if doubled:
        _refuse_double(text, _blanks(text, 0))
    for path, item in _walk(value, ()):
        if "\0" in item:
            column = LinePlace("", 1, line).at(path).column - 1
            raise _Odd("BM102", "a text holds a NUL character; no text may hold one", "remove the \\u0000", column)


def _refuse_double(text: str, start: int) -> None:
    """Raises for the first name given twice in the value at `start`."""
    seen: dict[str, int] = {}
    for key, key_at, at in _children(text, start):
        if isinstance(key, str):
            if key in seen:
                where = f"first in column {seen[key] + 1} and again in column {key_at + 1}"
                raise _Odd("BM104", f"the key `{shown(key)}` is given twice: {where}", "keep one of them", key_at)
            seen[key] = key_at
        _refuse_double(text, at)


def _walk(value: Json, path: Path) -> Iterator[tuple[Path, str]]:
    """Every text in a value, names included, with its path."""
    if isinstance(value, str):
        yield path, value
    elif isinstance(value, dict):
        for key, item in value.items():
            yield (*path, key), key
            yield from _walk(item, (*path, key))
    elif isinstance(value, list):
        for index, item in enumerate(value):
            yield from _walk(item, (*path, index))


# Troubles.


def _trouble(line: bytes, number: int, error: json_text.JSONDecodeError | _Odd, source: ByteLines) -> Diagnostic:
    if isinstance(error, _Odd):
        column = _number_at(line) if error.rule == "BM106" else error.column or 0
        return file_finding(error.rule, error.message, error.hint, source.name, number, column + 1)
    try:
        text = line.decode()
    except UnicodeDecodeError:
        source.refuse()
    column = min(error.pos, len(text.rstrip()))
    rule, message, hint = _explained(error.msg, text, column)
    return file_finding(rule, message, hint, source.name, number, column + 1)


def _explained(problem: str, text: str, column: int) -> tuple[str, str, str]:
    here = text[column:]
    if "depth limit" in problem:
        return _TOO_DEEP
    if "infinity" in problem:
        return _BIG
    if text.strip().encode() in _BEGINNINGS:
        return (
            "BM115",
            "this line is only the beginning of a value",
            "write each entry on one line; `jq -c . in > out` does it, `jq -c '.[]'` for a list",
        )
    if here.startswith(("NaN", "Infinity", "-Infinity")):
        return "BM115", "NaN and Infinity are no JSON", "write null, or leave the field out"
    if here.startswith("'"):
        return "BM115", "a single quote is no JSON", 'put names and texts in double quotes: "like this"'
    return (
        "BM115",
        f"the line is not JSON: {shown(problem, 100)}",
        "each line must be one JSON value, in double quotes and without comments",
    )


_NUMBER = re.compile(r'"(?:[^"\\]|\\.)*"|(-?[0-9][0-9.eE+-]*)')


def _number_at(line: bytes) -> int:
    """The 0-based column of the first number that is too big."""
    for match in _NUMBER.finditer(line.decode()):
        if match.group(1) and _too_big(match.group(1)):
            return match.start(1)
    return 0


def _too_big(number: str) -> bool:
    value = int(number) if len(number) < 20 and number.lstrip("-").isdigit() else float(number)
    return not -EXACT <= value <= EXACT
