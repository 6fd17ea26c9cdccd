"""Reading a progress log: which of its bytes are sound, and what to do with a tail that is not.

Only reads. Cutting the tail and appending belong to `log`, locks and files to `files`.

Why a torn tail may be cut. A request leaves only after fsync of its intents came back, so an intent that may
have left was once whole on the disk, newline included, and so was every record before it. The next record is
written only after that. So a crash tears nothing but the one write whose fsync had not come back: a torn
intent never left, and a torn outcome or retry leaves its intent, which is looked up. That holds for each record
of a write of many, as those of one thread are. What is cut therefore has to be such a write and nothing else:

  - bytes without a newline at the very end that do not begin with a whole record: a write that was cut short;
  - the same with zeroes in it, also before a surviving newline: blocks that were allocated and never filled.
    Such zeroes come in runs, up to the end of a sector. One zero alone is no such thing, it may be a flipped
    bit;
  - of a write of many, whatever stands behind such zeroes, if all of it is of that write: its records say which
    part they are of how many (`part`, `of`), so one that is of another write, or a first part where something
    stands before it, tells that the zeroes are damage.

A whole record at the very end is never cut, unless such zeroes stand before it in its own write. Where just its
newline is missing, or one other byte or zeroes stand in its place, it is kept and its newline is written again: it
may be an intent that has left. A whole record with anything more behind it, bytes in which a second record begins,
and an unsound line with its newline and without such zeroes cannot come from a torn write. That is damage, as is
anything unsound before the end, and then nothing is cut, because nothing says what is missing.

After a failed fsync several outcomes may stand there unsafe. If they are then lost, more than a tail is torn,
and the log is refused: late, but nothing is sent twice.

So of one flipped bit in a log that was whole, either the log is refused, or it was the last newline and all
is there. What no check of the file alone can see is a log that ends early at the end of a line.
"""

from __future__ import annotations

from dataclasses import dataclass
from typing import BinaryIO, NoReturn

from bulkmsg import json_text
from bulkmsg.errors import LogDamaged, LogUnusable
from bulkmsg.journal.fold import Fold
from bulkmsg.journal.ledger import LineAt
from bulkmsg.journal.records import CHAIN_START, FORMAT, MAX_LINE, decode, find_record, sum_of
from bulkmsg.source import Json

_SECTOR = 512
_LONGEST_WRITE = 2_000_000  # bytes; 500 records of a thread, each below 4 kB
_ZEROES = b"\0" * 8
_BEGINNING = b'{"record":'
_DAMAGE_HINT = (
    "nothing was sent now; put a sound copy back if you have one that is as new as the last run, or let what was sent"
    " be read from the helpdesk: `bulkmsg run BATCH --rebuild-log`, which keeps the damaged file beside the new log"
)
_OURS = (b'"record":"', b'"format":', b'"run":"', b',"sum":"')


@dataclass(frozen=True, slots=True)
class Scan:
    """What was found.

    Args:
        end: where the last sound record ends.
        last_sum: its checksum.
        ended: its newline is there; else `end` is where it has to be written.
    """

    fold: Fold
    end: int
    last_sum: bytes
    ended: bool = True


def scan(stream: BinaryIO, line_at: LineAt, name: str) -> Scan:
    """Fold all sound records of a log.

    Raises:
        LogUnusable: no log, damaged before its tail, or of a newer format.
    """
    first = stream.readline(MAX_LINE)
    line = find_record(first, CHAIN_START) or first
    fold = Fold(_header(line, name), line_at)
    if first != line:
        return _tail(first, stream, Scan(fold, 0, CHAIN_START), 1, name)
    return _records(stream, Scan(fold, len(first), sum_of(line)), name)


def salvage(stream: BinaryIO, line_at: LineAt) -> Fold | None:
    """Fold the sound records before the first that is not; None where even the first line is unsound.

    What they say was so when they were written; what came after is not known, so nothing may be sent on their word.
    """
    line = stream.readline(MAX_LINE)
    first = decode(line, CHAIN_START)
    if first is None or first.get("record") != "log":
        return None
    fold, last_sum, end = Fold(first, line_at), sum_of(line), len(line)
    while line := stream.readline(MAX_LINE):
        record = decode(line, last_sum)
        if record is None:
            break
        try:
            fold.add(record, end)
        except (ValueError, KeyError, TypeError):
            break
        last_sum, end = sum_of(line), end + len(line)
    return fold


def _records(stream: BinaryIO, begun: Scan, name: str) -> Scan:
    fold, end, last_sum = begun.fold, begun.end, begun.last_sum
    number = 1
    while line := stream.readline(MAX_LINE):
        number += 1
        record = decode(line, last_sum)
        if record is None:
            return _tail(line, stream, Scan(fold, end, last_sum), number, name)
        _add(fold, record, end, number, name)
        last_sum = sum_of(line)
        end += len(line)
    return Scan(fold, end, last_sum)


def _tail(line: bytes, stream: BinaryIO, sound: Scan, number: int, name: str) -> Scan:
    """Judge the first line that is not whole."""
    whole = find_record(line, sound.last_sum)
    behind = _Behind(stream)
    if whole is None and _holed(line, sound.end) and _is_torn_write(line, behind, sound):
        return sound
    if _BEGINNING in line[1:] or not behind.only_zeroes:
        _damaged(name, number)
    if whole is not None:
        return _unended(whole, line[len(whole) - 1 :], sound, number, name)
    if line.endswith(b"\n") and not _has_unfilled_block(line, sound.end):
        _damaged(name, number)
    return sound


def _unended(whole: bytes, rest: bytes, sound: Scan, number: int, name: str) -> Scan:
    """Keep a last record whose newline is missing or hit."""
    if len(rest) > 1 and rest.strip(b"\0"):
        _damaged(name, number)
    record = json_text.loads(whole)
    if record["record"] != "log":
        _add(sound.fold, record, sound.end, number, name)
    return Scan(sound.fold, sound.end + len(whole) - 1, sum_of(whole), ended=False)


def _has_unfilled_block(line: bytes, start: int) -> bool:
    leading = len(line) - len(line.lstrip(b"\0"))
    return _ZEROES in line or (leading > 0 and (start + leading) % _SECTOR == 0)


class _Behind:
    """What stands behind a line, read once, and kept only as far as a torn write can reach."""

    def __init__(self, stream: BinaryIO) -> None:
        self.lines: list[bytes] = []
        self.only_zeroes, self.too_much = True, False
        size = 0
        while line := stream.readline(MAX_LINE):
            self.only_zeroes = self.only_zeroes and not line.strip(b"\0")
            size += len(line)
            self.too_much = size > _LONGEST_WRITE
            if self.too_much and not self.only_zeroes:
                return
            if not self.too_much:
                self.lines.append(line)


def _is_torn_write(line: bytes, behind: _Behind, sound: Scan) -> bool:
    """Whether the first line that is not whole, in which blocks were never filled, and all behind it can be what is
    left of one write of many records."""
    pieces = [piece for each in (line, *behind.lines) for piece in _split_at_zeroes(each)]
    if behind.too_much or len(pieces) == 1:
        return False
    low, of = sound.fold.last_part
    if low == of:
        low, of = 0, 0  # that write is whole: this is another
    before = b""
    for number, piece in enumerate(pieces):
        last = number == len(pieces) - 1
        if b"\0" in piece or (last and not piece.endswith(b"\n")):
            low, before = low + 1, b""  # it hides that part at least
            continue
        here = _part(piece, before)
        if here is None or here[0] <= low or (before and here[0] != low + 1) or (of and here[1] != of):
            return False
        (low, of), before = here, piece
        if low == of and not last:
            return False
    return True


def _split_at_zeroes(line: bytes) -> tuple[bytes, ...]:
    """A line in pieces: a record that begins right behind zeroes, where a sector began with it, is one by itself."""
    at = line.rfind(b"\0") + 1
    return (line[:at], line[at:]) if at and line.startswith(_BEGINNING, at) else (line,)


def _part(line: bytes, before: bytes) -> tuple[int, int] | None:
    """Which part of a write a whole line is, and of how many; None if it is no such line, or does not follow."""
    record = (decode(line, sum_of(before)) if before else _any_object(line)) or {}
    part, of = record.get("part"), record.get("of")
    return (part, of) if type(part) is int and type(of) is int else None


def _holed(line: bytes, start: int) -> bool:
    """Whether zeroes stand in it as blocks leave them that were never filled."""
    return b"\0" in line and _has_unfilled_block(line, start)


def _header(line: bytes, name: str) -> dict[str, Json]:
    record = decode(line, CHAIN_START)
    claimed = record or _any_object(line)
    if claimed.get("record") != "log":
        _no_log(line, name)
    if type(claimed.get("format")) is int and claimed["format"] > FORMAT:
        raise LogUnusable(
            f"the progress log {name} is of format {claimed['format']}; this version knows {FORMAT} at most",
            "use the version of bulkmsg that wrote it, or a newer one",
        )
    if record is None:
        _damaged(name, 1)
    return record


def _no_log(line: bytes, name: str) -> NoReturn:
    if line.startswith(b'{"record":"log"') or sum(part in line for part in _OURS) > 1:
        _damaged(name, 1)
    if not line.strip(b"\0"):
        raise LogDamaged(f"{name} is empty, so it is no progress log", _DAMAGE_HINT)
    raise LogUnusable(
        f"{name} holds no record, so it is no progress log",
        "name another file with --progress-log; delete this one only if nothing was ever sent with it",
    )


def _any_object(line: bytes) -> dict[str, Json]:
    try:
        value = json_text.loads(line)
    except json_text.JSONDecodeError:
        return {}
    return value if isinstance(value, dict) else {}


def _add(fold: Fold, record: dict[str, Json], offset: int, number: int, name: str) -> None:
    try:
        fold.add(record, offset)
    except (ValueError, KeyError, TypeError):
        _damaged(name, number)


def _damaged(name: str, number: int) -> NoReturn:
    raise LogDamaged(f"the progress log {name} is damaged at line {number}", _DAMAGE_HINT)
