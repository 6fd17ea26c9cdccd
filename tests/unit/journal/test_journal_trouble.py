"""When the disk fails: nothing new begins, what is in flight is recorded, and no fsync is tried twice."""

from __future__ import annotations

import errno
import fcntl
import os
import stat
from collections.abc import Callable
from pathlib import Path

import pytest

from bulkmsg.errors import LogUnusable
from bulkmsg.journal import ProgressLog, read_fold
from bulkmsg.journal.files import reserve_of
from bulkmsg.outcome import Outcome, State
from bulkmsg.ports import RetryVerdict

from .kit import CREATED, IDENTITY, Clock, FailingDisk, begin, created, intent_for


def under_way(path: Path, disk: FailingDisk) -> ProgressLog:
    """A run with requests for a, b and c in flight."""
    log = begin(path, disk)
    for key in "abc":
        log.intent(intent_for(key))
    return log


def refused(log: ProgressLog, said: str) -> None:
    with pytest.raises(LogUnusable, match=said):
        log.intent(intent_for("new"))
    assert not log.sound


@pytest.mark.parametrize("short", [True, False])
def test_no_room_for_an_intent(tmp_path: Path, short: bool) -> None:
    disk = FailingDisk(short=short)
    log = under_way(tmp_path / "log", disk)
    before = (tmp_path / "log").read_bytes()
    disk.room = 50
    refused(log, "No space left|only a part")
    assert (tmp_path / "log").read_bytes() == before
    for key in "abc":
        created(log, key)
    log.end_run(7, {CREATED: 3}, 3, 0, 1.0)
    log.close()
    fold = read_fold(tmp_path / "log")
    assert fold.counts[CREATED] == fold.size == 3
    assert fold.last_end is not None


@pytest.mark.parametrize("short", [True, False])
def test_no_room_for_an_outcome(tmp_path: Path, short: bool) -> None:
    disk = FailingDisk(short=short)
    log = under_way(tmp_path / "log", disk)
    disk.room = 50
    created(log, "a")
    refused(log, "No space left|only a part")
    log.retry("b", 1, RetryVerdict.NOT_PROCESSED, 429, "throttled")
    created(log, "c")
    assert reserve_of(tmp_path / "log").stat().st_size == 0
    with pytest.raises(LogUnusable, match="another run"):
        begin(tmp_path / "log")
    log.close()
    assert read_fold(tmp_path / "log").counts[CREATED] == 2
    assert not reserve_of(tmp_path / "log").exists()


def test_no_room_even_with_the_reserve_leaves_whole_lines_only(tmp_path: Path) -> None:
    disk = FailingDisk()
    log = under_way(tmp_path / "log", disk)
    before = (tmp_path / "log").read_bytes()
    disk.write_errno = errno.EROFS
    for key in "ab":
        with pytest.raises(LogUnusable, match="Read-only"):
            created(log, key)
    disk.write_errno = 0
    created(log, "a")
    refused(log, "Read-only")
    log.close()
    assert (tmp_path / "log").read_bytes().startswith(before)
    assert read_fold(tmp_path / "log").standing("b").state is State.INTENDED


def test_a_torn_line_that_cannot_be_taken_back_ends_all_writing(tmp_path: Path) -> None:
    disk = FailingDisk(short=True)
    log = under_way(tmp_path / "log", disk)
    disk.room, disk.truncate_errno = 50, errno.EIO
    refused(log, "only a part")
    disk.room = None
    with pytest.raises(LogUnusable):
        created(log, "a")
    log.close()
    whole = read_fold(tmp_path / "log")
    assert whole.counts[State.IN_DOUBT] == 3
    log = begin(tmp_path / "log", run="r2")
    created(log, "a")
    log.close()
    assert read_fold(tmp_path / "log").counts[CREATED] == 1


def test_a_failed_fsync_of_an_intent_is_the_end_but_outcomes_are_still_written_once(tmp_path: Path) -> None:
    disk = FailingDisk()
    log = under_way(tmp_path / "log", disk)
    disk.sync_errors = 1
    refused(log, "Input/output error")
    flushed = len(disk.synced)
    for key in "ab":
        with pytest.raises(LogUnusable, match="Input/output error"):
            created(log, key)
    with pytest.raises(LogUnusable):
        log.end_run(7, {}, 0, 0, 0.0)
    assert len(disk.synced) == flushed, "no fsync after a failed one"
    log.close()
    fold = read_fold(tmp_path / "log")
    assert fold.counts[CREATED] == 2
    assert {key for key, _ in fold.doubtful()} == {"c"}
    assert fold.standing("new").state is State.PENDING, "its request never left, and the log says so"


def test_a_failed_fsync_of_an_outcome_is_told_and_lets_nothing_new_begin(tmp_path: Path) -> None:
    disk = FailingDisk()
    log = under_way(tmp_path / "log", disk)
    disk.sync_errors = 1
    with pytest.raises(LogUnusable, match="Input/output error"):
        created(log, "a")
    refused(log, "Input/output error")
    log.close()
    assert read_fold(tmp_path / "log").standing("a").state is CREATED


def test_each_record_is_flushed_once(tmp_path: Path) -> None:
    disk = FailingDisk()
    log = under_way(tmp_path / "log", disk)
    steps: tuple[Callable[[], None], ...] = (
        lambda: log.intent(intent_for("d")),
        lambda: created(log, "a"),
        lambda: log.retry("b", 1, RetryVerdict.ABSENT, 0, "absent"),
        lambda: log.end_run(0, {}, 0, 0, 0.0),
    )
    for step in steps:
        before = len(disk.synced)
        step()
        assert len(disk.synced) == before + 1
    log.close()


def test_foreign_bytes_in_the_file_are_not_written_behind(tmp_path: Path) -> None:
    log = under_way(tmp_path / "log", FailingDisk())
    with (tmp_path / "log").open("ab") as other:
        other.write(b"hello")
    refused(log, "something else has written")
    with pytest.raises(LogUnusable, match="something else has written"):
        created(log, "a")
    log.close()
    assert (tmp_path / "log").read_bytes().endswith(b"hello")


def test_a_closed_log_writes_no_more(tmp_path: Path) -> None:
    log = under_way(tmp_path / "log", FailingDisk())
    log.close()
    with pytest.raises(LogUnusable, match="closed"):
        created(log, "a")
    refused(log, "closed")


def test_a_failure_is_remembered_even_if_all_that_followed_went_well(tmp_path: Path) -> None:
    disk = FailingDisk()
    log = under_way(tmp_path / "log", disk)
    assert log.trouble is None
    disk.room = 50
    created(log, "a")
    assert log.trouble is not None
    assert "No space left" in log.trouble.message
    log.close()


def test_an_unlocking_that_fails_at_the_very_end_is_no_error(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    log = under_way(tmp_path / "log", FailingDisk())

    def fails(fd: int, operation: int) -> None:
        raise OSError(errno.EIO, os.strerror(errno.EIO))

    monkeypatch.setattr(fcntl, "flock", fails)
    log.close()
    assert not reserve_of(tmp_path / "log").exists()


def test_a_run_that_cannot_mend_the_tail_does_not_begin(tmp_path: Path) -> None:
    path = tmp_path / "log"
    under_way(path, FailingDisk()).close()
    os.truncate(path, path.stat().st_size - 1)
    with pytest.raises(LogUnusable, match="Input/output error"):
        begin(path, FailingDisk(sync_errors=1))
    log = begin(path, run="r2")
    assert log.fold.counts[State.IN_DOUBT] == 3
    log.outcome("c", 1, "c0" * 8, Outcome(State.FAILED))
    log.close()
    assert read_fold(path).size == 3


def test_a_run_that_goes_on_first_makes_safe_what_it_goes_by(tmp_path: Path) -> None:
    """A killed run may have left its last records, and the very name of the log it had begun, unflushed: a power cut
    after the next run had sent would take them, and the messages would be sent again."""

    class Watched(FailingDisk):
        def fsync(self, fd: int) -> None:
            kinds.append("folder" if stat.S_ISDIR(os.fstat(fd).st_mode) else "log")
            super().fsync(fd)

    kinds: list[str] = []
    under_way(tmp_path / "log", FailingDisk()).close()
    ProgressLog.open(tmp_path / "log", IDENTITY, Clock(), Watched()).close()
    assert kinds == ["log", "folder"]
