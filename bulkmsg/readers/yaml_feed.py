"""Text for the YAML parser, piece by piece, and the guards that must act before the parser does.

The parser asks for text in the middle of its work, so this is where an entry that grows without end is stopped, and
where the last lines are kept for messages.
"""

from __future__ import annotations

import re
from collections.abc import Sized
from typing import Any

from bulkmsg.diagnostic import Diagnostic, file_finding
from bulkmsg.readers.text import LineCounter, TextStream, Unreadable
from bulkmsg.readers.yaml_place import LINE_CHARACTERS, STAND_INS, position
from bulkmsg.source import Position

MAX_ENTRY = 16 << 20  # characters of one entry
MAX_VALUES = 200_000  # values of one entry, give or take what one piece of text holds
_MAX_DIRECTIVES = 100  # libyaml compares each %TAG with all before it

_LINE_ENDS = re.compile(r"\r\n|\r|\n")
# JSON writes characters beyond U+FFFF as two escapes, which YAML has no word for.
_PAIR = re.compile(r"(?<!\\)((?:\\\\)*)\\u([dD][89abAB][0-9a-fA-F]{2})\\u([dD][c-fC-F][0-9a-fA-F]{2})")


class YamlFeed:
    """A stream for the parser: `read` gives text, and `texts` holds that of the current entry.

    Raises out of `read`, through the parser: `Unreadable`, for what is no text and for entries beyond the limits.
    """

    def __init__(self, stream: TextStream) -> None:
        self.swapped = False  # whether line characters travel as stand-ins
        self.prolog = True  # whether directives may follow
        self.begun = 0  # characters before the current entry
        self.origin: Any = None  # the mark where the current entry begins
        self.open: list[Sized] = []  # the current entry's lists and mappings that are being filled
        self.closed = 0  # values in those that are finished, of the whole document
        self.closed_before = 0  # the same, when the current entry began
        self._stream = stream
        self._json = stream.name.lower().endswith((".json", ".json.gz"))
        self._carry = ""
        self._directives = 0
        self.texts: tuple[str, ...] = ()  # the pieces that hold the current entry, at least the last two
        self.base = 0  # characters before them
        self._bytes = 0  # the same in bytes of UTF-8
        self._starts: list[LineCounter] = []  # what was counted before each
        self._given = 0

    def read(self, size: int = -1) -> str:
        """Some text; "" at the end. `size` is only the parser's wish."""
        self._guard()
        line, column = self._stream.lines.position()
        start = LineCounter(line - 1, column - 1 - len(self._carry))
        text = self._stream.read()
        if self._json:
            text = self._without_pairs(text)
        if not text.isascii():
            text = self._without_line_characters(text)
        if self.prolog:
            self._directives += ("\n" + text).count("\n%")
        self._keep(text, start)
        return text

    def _guard(self) -> None:
        if self._given - max(self.begun, self.base) > MAX_ENTRY:
            raise Unreadable(self._too_large(f"more than {MAX_ENTRY:,} characters"))
        if self.closed - self.closed_before + sum(map(len, self.open)) > MAX_VALUES:
            raise Unreadable(self._too_large(f"more than {MAX_VALUES:,} values"))
        if self._directives > _MAX_DIRECTIVES:
            raise Unreadable(self._too_large(f"more than {_MAX_DIRECTIVES} directives (lines that begin with %)"))

    def _too_large(self, what: str) -> Diagnostic:
        hint = "split it; if it should be smaller, look for a quote or a bracket that is never closed"
        message = f"one value or entry that begins here holds {what}"
        at = position(self.origin) if self.origin else Position(1, 1)
        return file_finding("BM107", message, hint, self._stream.name, at.line, at.column)

    def _keep(self, text: str, start: LineCounter) -> None:
        self._given += len(text)
        while len(self.texts) > 1 and self.base + len(self.texts[0]) <= self.begun:
            old, self.texts = self.texts[0], self.texts[1:]
            self.base += len(old)
            self._bytes += len(old) if old.isascii() else len(old.encode())
            del self._starts[0]
        self.texts = (*self.texts, text)
        self._starts.append(start)

    def _without_pairs(self, text: str) -> str:
        """Pairs of surrogate escapes joined to one; text is cut where no escape can be in the middle."""
        whole = self._carry + text
        cut = max(whole.rfind('"'), whole.rfind(" "), whole.rfind("\n")) + 1 if text else len(whole)
        self._carry, whole = (whole[cut:], whole[:cut]) if cut else ("", whole)
        return _PAIR.sub(_joined, whole) if "\\u" in whole else whole

    def _without_line_characters(self, text: str) -> str:
        # `in` for one character is many times faster here than a pattern for several.
        for stand_in in STAND_INS:
            if stand_in in text:
                self._refuse(stand_in, text)
        if "\u2028" in text or "\u2029" in text or "\x85" in text:
            self.swapped = True
            return text.translate(LINE_CHARACTERS)
        return text

    def _refuse(self, character: str, text: str) -> None:
        line, column = self._stream.lines.position()
        before = text[: text.index(character)]
        line -= text.count("\n", len(before))
        column = len(before) - before.rfind("\n")
        message = f"the noncharacter U+{ord(character):X} stands here; it is no text"
        raise Unreadable(file_finding("BM102", message, "remove it", self._stream.name, line, column))

    def between(self, start: int, end: int) -> str:
        """The text between two of the parser's indexes in the current entry."""
        before = self.base
        pieces: list[str] = []
        for text in self.texts:
            if before < end and before + len(text) > start:
                pieces.append(text[max(0, start - before) : end - before])
            before += len(text)
        return "".join(pieces)

    def line_text(self, line: int) -> str:
        """The text of a 0-based line near the place of reading; "" for one that is gone."""
        first, column = self._starts[0].position() if self._starts else (1, 1)
        lines = _LINE_ENDS.split("".join(self.texts))
        index = line - (first - 1)
        if not 0 <= index < len(lines) or (index == 0 and column > 1):
            return ""
        return lines[index]

    def position(self, offset: int, *, in_bytes: bool) -> tuple[int, int]:
        """The 1-based line and column of the character at `offset` of what was given to the parser."""
        recent = "".join(self.texts)
        if in_bytes:
            ahead = recent.encode()[: max(0, offset - self._bytes)].decode("utf-8", "ignore")
        else:
            ahead = recent[: max(0, offset - self.base)]
        return self._starts[0].position(ahead) if self._starts else (1, 1)


def _joined(pair: re.Match[str]) -> str:
    high, low = int(pair.group(2), 16), int(pair.group(3), 16)
    return f"{pair.group(1)}\\U{0x10000 + ((high - 0xD800) << 10) + (low - 0xDC00):08X}"
