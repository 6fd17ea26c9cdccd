"""Many records in one write: how they stand in the log, what a crash leaves of them, and which tickets are known."""

from __future__ import annotations

import json
from io import BytesIO
from itertools import pairwise
from pathlib import Path
from random import Random

import pytest

from bulkmsg import schema
from bulkmsg.errors import LogUnusable
from bulkmsg.journal import ProgressLog, read_fold
from bulkmsg.journal.records import MAX_LINE
from bulkmsg.journal.scan import Scan, scan
from bulkmsg.journal.tickets import Tickets
from bulkmsg.message import log_name
from bulkmsg.outcome import Outcome, State
from bulkmsg.ports import Fate, KnownTicket, Learned, RetryVerdict, TicketNote
from tests.unit.journal.kit import IDENTITY, Clock, FailingDisk, QuietDisk, begin, intent_for

_SECTOR = 512
NOTE = TicketNote("zendesk-1", KnownTicket(77, "ab" * 8), Learned.CREATED)


def keys(count: int, name: str = "row") -> list[str]:
    return [f"{name}-{number}" for number in range(count)]


def created(key: str, number: int) -> Fate:
    return Fate(key, 1, "c0" * 8, Outcome(State.CREATED, number, 77, 201))


def with_thread(path: Path, count: int = 12, *, answered: bool = False) -> bytes:
    """A log whose last write holds the intents of a thread, or, if it was answered, its outcomes."""
    log = begin(path)
    log.intents([intent_for(key, ticket=None) for key in keys(3, "before")])
    log.outcomes([created(key, number + 1) for number, key in enumerate(keys(3, "before"))])
    log.intents([intent_for(key, ticket=None) for key in keys(count)])
    if answered:
        log.outcomes([created(key, number + 10) for number, key in enumerate(keys(count))], NOTE)
    log.close()
    return path.read_bytes()


def scanned(data: bytes) -> Scan:
    return scan(BytesIO(data), lambda offset: data[offset:].split(b"\n", 1)[0], "log")


def start_of_last_write(data: bytes) -> int:
    """Where the last write of many records begins."""
    at = 0
    lines = data.splitlines(keepends=True)
    for index, line in enumerate(lines):
        if json.loads(line).get("part") == 1:
            at = sum(map(len, lines[:index]))
    return at


def test_a_thread_is_one_write_and_one_fsync(tmp_path: Path) -> None:
    class Counting(FailingDisk):
        writes = 0

        def write(self, fd: int, data: bytes) -> int:
            self.writes += 1
            return super().write(fd, data)

    disk = Counting()
    log = begin(tmp_path / "log", disk)
    writes, syncs = disk.writes, len(disk.synced)
    log.intents([intent_for(key, ticket=None) for key in keys(500)])
    log.outcomes([created(key, 1) for key in keys(500)], NOTE)
    assert (disk.writes - writes, len(disk.synced) - syncs) == (2, 2)
    log.close()


def test_each_record_of_a_thread_is_as_the_schema_says(tmp_path: Path) -> None:
    check = schema.checker("progress-log")
    lines = [json.loads(line) for line in with_thread(tmp_path / "log", answered=True).splitlines()]
    assert [problem for line in lines for problem in check.violations(line)] == []
    assert [(line["record"], line["part"], line["of"]) for line in lines[-13:]] == [
        (record, part, 13) for part, record in enumerate(["ticket", *["outcome"] * 12], 1)
    ]


@pytest.mark.parametrize("answered", [False, True], ids=["intents", "outcomes"])
def test_cut_at_every_byte_of_a_thread_the_whole_records_before_stand(tmp_path: Path, answered: bool) -> None:
    data = with_thread(tmp_path / "log", 5, answered=answered)
    stops = [at + 1 for at, byte in enumerate(data) if byte == 0x0A]
    for begin_at, end in pairwise(stop for stop in stops if stop >= start_of_last_write(data)):
        for size in range(begin_at, end - 1):
            assert scanned(data[:size]).end == begin_at


def test_after_a_power_cut_a_thread_with_holes_is_cut_and_none_of_it_was_sent(tmp_path: Path) -> None:
    """Blocks of one write reach the disk in any order: some hold zeroes, others behind them are whole."""
    data = with_thread(tmp_path / "log")
    start, random, holed = start_of_last_write(data), Random(1), 0
    for _ in range(2000):
        left = bytearray(data[: random.choice((len(data), random.randint(start + 1, len(data))))])
        for sector in range(start // _SECTOR, len(left) // _SECTOR + 1):
            if random.random() < 0.4:
                begin_at, end = max(start, sector * _SECTOR), min((sector + 1) * _SECTOR, len(left))
                left[begin_at:end] = b"\0" * (end - begin_at)
        holed += b"\0" in left
        found = scanned(bytes(left))
        assert start <= found.end <= len(left)
        assert bytes(left[: found.end]) == data[: found.end], "what stands is what was written"
        assert found.fold.standing("before-2").state is State.CREATED
    assert holed > 1500


@pytest.mark.parametrize("record", range(3))
def test_zeroes_before_another_write_are_damage_and_nothing_is_cut(tmp_path: Path, record: int) -> None:
    """The thread of three was flushed before the next was written: its requests left."""
    data = with_thread(tmp_path / "log")
    lines = data.splitlines(keepends=True)
    first = next(index for index, line in enumerate(lines) if json.loads(line).get("of") == 3) + record
    start = sum(map(len, lines[:first]))
    hurt = data[:start] + b"\0" * 100 + data[start + 100 :]
    with pytest.raises(LogUnusable, match="damaged"):
        scanned(hurt)


@pytest.mark.parametrize("harm", ["deleted", "swapped", "repeated", "flipped"])
def test_a_line_of_a_thread_that_was_changed_is_damage(tmp_path: Path, harm: str) -> None:
    lines = with_thread(tmp_path / "log").splitlines(keepends=True)
    at = len(lines) - 6
    if harm == "deleted":
        del lines[at]
    elif harm == "swapped":
        lines[at], lines[at + 1] = lines[at + 1], lines[at]
    elif harm == "repeated":
        lines.insert(at, lines[at])
    else:
        lines[at] = lines[at].replace(b'"attempt":1', b'"attempt":3')
    with pytest.raises(LogUnusable, match="damaged"):
        scanned(b"".join(lines))


def test_a_thread_that_does_not_fit_on_the_disk_is_taken_back_whole(tmp_path: Path) -> None:
    disk = FailingDisk()
    log = begin(tmp_path / "log", disk)
    before = (tmp_path / "log").read_bytes()
    disk.room, disk.short = 900, True
    with pytest.raises(LogUnusable):
        log.intents([intent_for(key, ticket=None) for key in keys(9)])
    assert (tmp_path / "log").read_bytes() == before
    log.close()


def test_intents_whose_fsync_failed_are_all_taken_back(tmp_path: Path) -> None:
    disk = FailingDisk()
    log = begin(tmp_path / "log", disk)
    disk.sync_errors = 1
    with pytest.raises(LogUnusable):
        log.intents([intent_for(key, ticket=None) for key in keys(3)])
    log.close()
    fold = read_fold(tmp_path / "log")
    assert [fold.standing(key).state for key in keys(3)] == [State.PENDING] * 3


def test_the_longest_records_of_a_thread_are_read_back(tmp_path: Path) -> None:
    log = begin(tmp_path / "log")
    long = [f"{number:03}" + "z" * 252 for number in range(500)]
    log.intents([intent_for(key, ticket=None) for key in long])
    log.retries([(key, 1) for key in long], RetryVerdict.NOT_PROCESSED, 429, "throttled")
    log.close()
    fold = read_fold(tmp_path / "log")
    assert fold.size == 500
    assert max(map(len, (tmp_path / "log").read_bytes().splitlines())) < MAX_LINE


# -- tickets -------------------------------------------------------------------------------------------------------


def test_a_ticket_that_was_noted_is_known_to_this_run_and_the_next(tmp_path: Path) -> None:
    log = begin(tmp_path / "log")
    assert log.ticket("zendesk-1") is None
    log.intents([intent_for("a", ticket=None)])
    log.outcomes([created("a", 1)], NOTE)
    log.note_ticket(TicketNote("jane@example.com", KnownTicket(78), Learned.FOUND))
    log.note_ticket(TicketNote("zendesk-1", KnownTicket(77, "cd" * 8), Learned.UPDATED))
    assert (log.ticket("zendesk-1"), log.ticket("jane@example.com")) == (KnownTicket(77, "cd" * 8), KnownTicket(78))
    log.end_run(0, {}, 1, 0, 0.5)
    log.close()
    assert b"jane" not in (tmp_path / "log").read_bytes()
    again = ProgressLog.open(tmp_path / "log", IDENTITY, Clock(), QuietDisk())
    for known in (again.ticket, again.fold.ticket):
        assert (known("zendesk-1"), known("jane@example.com")) == (KnownTicket(77, "cd" * 8), KnownTicket(78))
        assert known("zendesk-2") is None
    again.close()


def test_two_hundred_thousand_tickets_take_little_memory_and_are_all_found() -> None:
    """Each is known by its place alone; its line is read back when it is asked for."""
    lines = {
        100 + number: f'{{"ticket_external_id":"t-{number}","ticket_id":{number + 1}}}' for number in range(200_000)
    }
    known = Tickets(lambda offset: lines[offset].encode())
    for number in range(200_000):
        known.note(log_name(f"t-{number}"), 100 + number)
    assert all(known.find(f"t-{number}") == KnownTicket(number + 1) for number in range(0, 200_000, 997))
    assert known.find("t-200000") is None
    assert len(known._hashes) * 16 < 200_000 * 50
