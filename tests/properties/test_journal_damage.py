"""The progress log cut at every byte, flipped at every bit, its lines deleted, repeated, swapped and zeroed.

The guarantee, for a log that was whole: whatever one bit or line before the end suffers, the log is refused, or (a
hit last newline) everything is there. A cut loses the record it goes through and nothing else.
"""

from __future__ import annotations

from collections.abc import Iterator
from datetime import UTC, datetime
from io import BytesIO
from itertools import pairwise
from pathlib import Path
from typing import Any

import pytest

from bulkmsg.errors import LogUnusable
from bulkmsg.journal import LogIdentity, ProgressLog, RunInfo
from bulkmsg.journal.scan import Scan, scan
from bulkmsg.message import Kind, Mode
from bulkmsg.outcome import Outcome, State
from bulkmsg.ports import Intent, RetryVerdict
from tests.unit.journal.kit import QuietDisk

IDENTITY = LogIdentity("acme", Mode.IMPORT, "spring", "bulkmsg 0.1.0")
MOMENT = datetime(2026, 3, 1, 10, tzinfo=UTC)


def opened(path: Path) -> ProgressLog:
    way = ProgressLog.open if path.exists() else ProgressLog.create
    return way(path, IDENTITY, lambda: MOMENT, QuietDisk())


def begun(path: Path, run: str) -> ProgressLog:
    log = opened(path)
    log.begin_run(RunInfo(run, "h", None, {"limit": "3"}, "9f" * 32, None, False))
    return log


def settle(log: ProgressLog, number: int) -> None:
    key = f"J* À {number}"  # characters that one bit turns into a newline or a zero
    log.intent(Intent(key, 1, Kind.OUTGOING, "c0" * 8, "ab" * 16, 5, f"x-{number}"))
    if number % 5 == 4:
        log.retry(key, 1, RetryVerdict.NOT_PROCESSED, 429, "throttled")
    elif number % 5 == 3:
        log.outcome(key, 1, "c0" * 8, Outcome(State.REJECTED, status=400, error="sender: À is unknown"))
    else:
        log.outcome(key, 1, "c0" * 8, Outcome(State.CREATED, message_id=number + 1, ticket_id=5, status=201))


def whole_log(folder: Path, messages: int) -> bytes:
    """Two runs; the last record is an intent that may have left."""
    log = begun(folder / "log", "r1")
    for number in range(messages // 2):
        settle(log, number)
    log.end_run(0, {}, messages, 0, 1.5)
    log.close()
    log = begun(folder / "log", "r2")
    for number in range(messages // 2, messages):
        settle(log, number)
    log.intent(Intent("J* À last", 1, Kind.OUTGOING, "c0" * 8, "ab" * 16, 5, "x-last"))
    log.close()
    return (folder / "log").read_bytes()


def scanned(data: bytes) -> Scan:
    return scan(BytesIO(data), lambda offset: data[offset:].split(b"\n", 1)[0], "log")


def gist(found: Scan) -> tuple[Any, ...]:
    """The last sum stands for all bytes before it."""
    return found.last_sum, found.fold.runs, found.fold.last_end, found.fold.counts


def story(found: Scan, data: bytes) -> tuple[Any, ...]:
    """Everything a log says. `data` is the undamaged log, from which details are read back."""
    fold = found.fold
    fold.ledger._line_at = lambda offset: data[offset:].split(b"\n", 1)[0]
    return *gist(found), fold.last_run, list(fold.unmarked())


def refused(data: bytes) -> bool:
    try:
        scanned(data)
    except LogUnusable:
        return True
    return False


def ends(data: bytes) -> list[int]:
    """Where each line ends, its newline included."""
    return [at + 1 for at, byte in enumerate(data) if byte == 0x0A]


@pytest.fixture(scope="module")
def long_log(tmp_path_factory: pytest.TempPathFactory) -> bytes:
    return whole_log(tmp_path_factory.mktemp("long"), 18)


@pytest.fixture(scope="module")
def short_log(tmp_path_factory: pytest.TempPathFactory) -> bytes:
    return whole_log(tmp_path_factory.mktemp("short"), 4)


def test_cut_at_every_byte_it_recovers_exactly_its_whole_records(long_log: bytes) -> None:
    stops = ends(long_log)
    assert len(stops) >= 40
    stories = {end: gist(scanned(long_log[:end])) for end in stops}
    assert all(refused(long_log[:size]) for size in range(stops[0] - 1))
    for begin, end in pairwise(stops):
        # A record that lacks nothing but its newline is whole.
        for size in (begin - 1, *range(begin, end - 1)):
            found = scanned(long_log[:size])
            assert found.end + (not found.ended) == begin
            assert gist(found) == stories[begin]


def cuts(data: bytes) -> Iterator[int]:
    """Each byte of the last line, and some before."""
    stops = ends(data)
    yield from range(stops[-2] - 1, len(data) + 1)
    yield from range(stops[0], stops[-2], 31)


def test_what_is_appended_after_a_cut_never_merges_with_it(short_log: bytes, tmp_path: Path) -> None:
    path = tmp_path / "log"
    for size in cuts(short_log):
        path.write_bytes(short_log[:size])
        kept = max(end for end in ends(short_log) if end - 1 <= size)
        log = begun(path, "r3")
        log.intent(Intent("after", 1, Kind.OUTGOING, "c0" * 8, "ab" * 16, 5, "x"))
        log.close()
        data = path.read_bytes()
        assert data[:kept] == short_log[:kept]
        assert data[kept:].count(b"\n") == 2
        assert scanned(data).end == len(data)


def test_every_flipped_bit_is_detected_or_does_no_harm(short_log: bytes) -> None:
    expected = story(scanned(short_log), short_log)
    harmless = set()
    for at in range(len(short_log)):
        for bit in range(8):
            data = bytearray(short_log)
            data[at] ^= 1 << bit
            if not refused(bytes(data)):
                assert story(scanned(bytes(data)), short_log) == expected
                harmless.add(at)
    assert harmless == {len(short_log) - 1}, "only the last newline may be hit and mended"


def test_every_byte_of_the_last_line_zeroed_is_detected_or_mended(short_log: bytes) -> None:
    begin = ends(short_log)[-2]
    assert (begin + 1) % 512, "where a sector ends one byte further, that byte alone might never have been written"
    for at in range(begin, len(short_log) - 1):
        assert refused(short_log[:at] + b"\0" + short_log[at + 1 :])
    assert not refused(short_log[:-1] + b"\0")


def test_deleted_lines_are_detected(short_log: bytes) -> None:
    lines = short_log.splitlines(keepends=True)
    assert all(refused(b"".join(lines[:at] + lines[at + 1 :])) for at in range(len(lines) - 1))


def test_repeated_lines_are_detected(short_log: bytes) -> None:
    lines = short_log.splitlines(keepends=True)
    assert all(refused(b"".join(lines[: at + 1] + lines[at:])) for at in range(len(lines)))


def test_swapped_lines_are_detected(short_log: bytes) -> None:
    lines = short_log.splitlines(keepends=True)
    for one in range(len(lines)):
        for other in range(one + 1, len(lines)):
            swapped = list(lines)
            swapped[one], swapped[other] = lines[other], lines[one]
            assert refused(b"".join(swapped))


def test_lines_of_another_log_are_detected(short_log: bytes, long_log: bytes) -> None:
    assert refused(short_log + long_log.splitlines(keepends=True)[-1])


@pytest.mark.parametrize("room", [1, 7, 100, 4096, 200_000])
def test_zeroes_behind_the_last_record_are_cut(short_log: bytes, room: int) -> None:
    found = scanned(short_log + b"\0" * room)
    assert (found.end, found.ended) == (len(short_log), True)
    found = scanned(short_log[:-1] + b"\0" * room)
    assert (found.end, found.ended) == (len(short_log) - 1, False)


def test_a_record_of_which_whole_sectors_were_never_written_is_cut(long_log: bytes) -> None:
    tried = 0
    for begin, end in pairwise(ends(long_log)):
        edge = -(-begin // 512) * 512
        if edge >= end:
            continue
        tried += 1
        first_lost = long_log[:begin] + b"\0" * (edge - begin) + long_log[edge:end]
        last_lost = long_log[:edge] + b"\0" * (end - edge)
        all_lost = long_log[:begin] + b"\0" * (end - begin)
        for data in (last_lost, all_lost, *([first_lost] if edge > begin else [])):
            assert scanned(data).end == begin
    assert tried > 10


def test_zeroes_before_the_end_are_detected(short_log: bytes) -> None:
    for begin, end in pairwise(ends(short_log)[:-1]):
        assert refused(short_log[:begin] + b"\0" * (end - begin - 1) + short_log[end - 1 :])
        assert refused(short_log[:begin] + b"\0" * (end - begin) + short_log[end:])


def test_a_hit_newline_with_a_torn_record_behind_it_loses_no_intent(short_log: bytes) -> None:
    begin = ends(short_log)[-2]
    for size in range(begin + 1, len(short_log) + 1):
        assert refused(short_log[: begin - 1] + b"\x0b" + short_log[begin:size])


def test_a_damaged_log_is_left_alone_and_the_line_is_named(short_log: bytes, tmp_path: Path) -> None:
    path = tmp_path / "log"
    damaged = short_log.replace(b'"attempt":1', b'"attempt":2', 1)
    path.write_bytes(damaged)
    with pytest.raises(LogUnusable, match="damaged at line 3") as refusal:
        opened(path)
    assert "nothing was sent" in refusal.value.hint
    assert path.read_bytes() == damaged
    assert [file.name for file in tmp_path.iterdir()] == ["log"]
