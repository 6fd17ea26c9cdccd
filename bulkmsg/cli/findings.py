"""Shows findings with the lines they are about, which are read from the files again."""

from __future__ import annotations

import codecs
import io
from collections import defaultdict
from collections.abc import Iterator, Mapping, Sequence
from pathlib import Path

from bulkmsg.cli.terminal import Terminal
from bulkmsg.diagnostic import Diagnostic
from bulkmsg.readers.files import InputFile, open_input
from bulkmsg.readers.text import Unreadable
from bulkmsg.reports.findings import LineOf, blocks, in_order

TOLD_AT_MOST = 20
_CHUNK = 1 << 16


def tell_findings(diagnostics: Sequence[Diagnostic], terminal: Terminal, encoding: str | None = None) -> None:
    """The first errors of an invalid batch, as talk."""
    from bulkmsg.reports.explain import tells_more

    errors = in_order(found for found in diagnostics if found.is_error)
    told = errors[:TOLD_AT_MOST]
    for block in blocks(told, lines_of(told, encoding)):
        terminal.say(block)
    if len(errors) > TOLD_AT_MOST:
        terminal.say(f"and {len(errors) - TOLD_AT_MOST:,} more: bulkmsg validate shows them")
    if more := tells_more(told):
        terminal.say(more)


def tell_all(diagnostics: Sequence[Diagnostic], terminal: Terminal, encoding: str | None = None) -> None:
    """Findings of every severity, the gravest first, as talk."""
    listed = in_order(diagnostics)
    for block in blocks(listed[:TOLD_AT_MOST], lines_of(listed[:TOLD_AT_MOST], encoding)):
        terminal.say(block)
    if len(listed) > TOLD_AT_MOST:
        terminal.say(f"and {len(listed) - TOLD_AT_MOST:,} more findings")


def lines_of(findings: Sequence[Diagnostic], encoding: str | None, places: Mapping[str, Path] | None = None) -> LineOf:
    """The lines that findings are about; every file is read once. `places` are those of files not found by name."""
    wanted: defaultdict[str, set[int]] = defaultdict(set)
    for found in findings:
        if found.line:
            wanted[found.file].add(found.line)
    at = places or {}
    lines = {name: read_lines(at.get(name, Path(name)), numbers, encoding) for name, numbers in wanted.items()}
    return lambda found: lines.get(found.file, {}).get(found.line)


def read_lines(path: Path, numbers: set[int], encoding: str | None = None) -> dict[int, str]:
    """Single lines of a file, counted as editors do; those that cannot be read are left out."""
    opened = open_input(path, str(path), hashed=False)
    if isinstance(opened, Diagnostic):
        return {}
    found: dict[int, str] = {}
    try:
        decoder = codecs.getincrementaldecoder(encoding or "utf-8")("replace")
        with opened as file:
            for number, line in _numbered(file, io.IncrementalNewlineDecoder(decoder, translate=True), numbers):
                found[number] = line.removeprefix("\ufeff") if number == 1 else line
    except (Unreadable, LookupError, OSError, ValueError):
        return found
    return {number: line for number, line in found.items() if "\ufffd" not in line}


def _numbered(file: InputFile, decoder: io.IncrementalNewlineDecoder, numbers: set[int]) -> Iterator[tuple[int, str]]:
    number, last = 1, max(numbers)
    parts: list[str] = []
    data = b"-"
    while data and number <= last:
        data = file.read(_CHUNK)
        text = decoder.decode(data, final=not data)
        for piece in text.splitlines(keepends=True) if _plain_breaks(text) else _pieces(text):
            if number in numbers:
                parts.append(piece.removesuffix("\n"))
            if piece.endswith("\n"):
                if number in numbers:
                    yield number, "".join(parts)
                parts.clear()
                number += 1
    if number in numbers and parts:
        yield number, "".join(parts)


def _plain_breaks(text: str) -> bool:
    """Whether splitlines, which also breaks at rarer characters, gives the lines that editors count."""
    return text.isascii() and not any(char in text for char in "\x0b\x0c\x1c\x1d\x1e")


def _pieces(text: str) -> Iterator[str]:
    lines = text.split("\n")
    yield from (line + "\n" for line in lines[:-1])
    if lines[-1]:
        yield lines[-1]
