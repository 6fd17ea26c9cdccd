"""The log as a file: who may open it, how it comes to be, and one run at a time."""

from __future__ import annotations

import os
import stat
import subprocess
import sys
from collections.abc import Callable
from dataclasses import replace
from pathlib import Path

import pytest

from bulkmsg.errors import LogInUse, LogUnusable
from bulkmsg.journal import LogIdentity, ProgressLog, files, log_exists, read_fold
from bulkmsg.journal.records import CHAIN_START, encode, header
from bulkmsg.message import Mode

from .kit import IDENTITY, Clock, FailingDisk, QuietDisk, begin, history, info, intent_for


def reopened(path: Path) -> ProgressLog:
    return ProgressLog.open(path, IDENTITY, Clock(), QuietDisk())


def made(path: Path) -> ProgressLog:
    return ProgressLog.create(path, IDENTITY, Clock(), QuietDisk())


def names(folder: Path) -> list[str]:
    return sorted(entry.name for entry in folder.iterdir())


@pytest.mark.parametrize("mask", [0, 0o022, 0o777])
def test_a_new_log_is_private_whatever_the_umask(tmp_path: Path, mask: int) -> None:
    before = os.umask(mask)
    try:
        log = made(tmp_path / "log")
    finally:
        os.umask(before)
    assert {stat.S_IMODE(file.stat().st_mode) for file in tmp_path.iterdir()} == {0o600}
    assert names(tmp_path) == ["log", "log.reserve"]
    assert (tmp_path / "log.reserve").stat().st_size == files.RESERVE_BYTES
    log.close()
    log.close()
    assert names(tmp_path) == ["log"]


def test_looser_modes_are_mended(tmp_path: Path) -> None:
    made(tmp_path / "log").close()
    (tmp_path / "log").chmod(0o664)
    reopened(tmp_path / "log").close()
    assert stat.S_IMODE((tmp_path / "log").stat().st_mode) == 0o600


def test_a_new_log_is_flushed_before_it_has_its_name_and_its_folder_after(tmp_path: Path) -> None:
    disk = FailingDisk()
    log = ProgressLog.create(tmp_path / "log", IDENTITY, Clock(), disk)
    assert len(disk.synced) == 2
    log.close()


@pytest.mark.parametrize("sync_errors", [1])
def test_a_log_that_cannot_be_flushed_does_not_appear(tmp_path: Path, sync_errors: int) -> None:
    with pytest.raises(LogUnusable, match="Input/output error"):
        ProgressLog.create(tmp_path / "log", IDENTITY, Clock(), FailingDisk(sync_errors=sync_errors))
    assert names(tmp_path) == []


@pytest.mark.parametrize("room", [0, files.RESERVE_BYTES - 1, files.RESERVE_BYTES + 10])
@pytest.mark.parametrize("short", [True, False])
def test_a_full_disk_is_told_before_anything_is_sent(tmp_path: Path, room: int, short: bool) -> None:
    with pytest.raises(LogUnusable, match="No space left"):
        ProgressLog.create(tmp_path / "log", IDENTITY, Clock(), FailingDisk(room=room, short=short))
    assert names(tmp_path) == []


def test_what_a_run_left_that_died_while_creating_is_no_hindrance(tmp_path: Path) -> None:
    (tmp_path / "log.new").write_bytes(b"half")
    (tmp_path / "log.reserve").write_bytes(b"old")
    made(tmp_path / "log").close()
    assert names(tmp_path) == ["log"]


def test_nothing_that_stands_there_is_overwritten(tmp_path: Path) -> None:
    (tmp_path / "log").write_bytes(b"mine")
    with pytest.raises(LogUnusable):
        made(tmp_path / "log")
    assert (tmp_path / "log").read_bytes() == b"mine"
    assert names(tmp_path) == ["log"]


def by_name(path: Path) -> Path:
    return path


def through_a_linked_folder(path: Path) -> Path:
    (path.parent.parent / "way").symlink_to(path.parent)
    return path.parent.parent / "way" / path.name


def by_a_second_name(path: Path) -> Path:
    os.link(path, path.with_name("other"))
    return path.with_name("other")


def by_a_symbolic_link(path: Path) -> Path:
    path.with_name("other").symlink_to(path)
    return path.with_name("other")


def without_its_reserve(path: Path) -> Path:
    files.reserve_of(path).unlink()
    return path


WAYS = [by_name, through_a_linked_folder, by_a_second_name, by_a_symbolic_link, without_its_reserve]


@pytest.mark.parametrize("way", WAYS)
def test_a_second_run_is_refused_on_whatever_way_it_comes(tmp_path: Path, way: Callable[[Path], Path]) -> None:
    path = tmp_path / "folder" / "log"
    path.parent.mkdir()
    first = begin(path)
    with pytest.raises(LogUnusable, match=r"another run is using it|hard link|symbolic link"):
        reopened(way(path))
    first.intent(intent_for("a"))
    first.close()


def test_a_deleted_log_stops_its_run_and_lets_no_other_begin_beside_it(tmp_path: Path) -> None:
    path = tmp_path / "log"
    first = begin(path)
    path.unlink()
    with pytest.raises(LogUnusable, match="another run is using it"):
        made(path)
    with pytest.raises(LogUnusable, match="deleted"):
        first.intent(intent_for("a"))
    first.close()
    made(path).close()


def test_the_lock_ends_with_the_run_even_while_its_fold_is_still_read(tmp_path: Path) -> None:
    history(tmp_path / "log")
    first = reopened(tmp_path / "log")
    first.close()
    second = reopened(tmp_path / "log")
    assert first.fold.standing("row-1").message_id == 2
    second.close()


def test_another_process_is_refused_within_a_second_and_a_dead_one_holds_nothing(tmp_path: Path) -> None:
    path = tmp_path / "log"
    made(path).close()
    code = (
        "import sys; from pathlib import Path; from bulkmsg.journal import *; from bulkmsg.message import Mode\n"
        "identity = LogIdentity('acme', Mode.IMPORT, 'spring', 'x')\n"
        "log = ProgressLog.open(Path(sys.argv[1]), identity, None)\nprint('open', flush=True)\nsys.stdin.read()"
    )
    other = subprocess.Popen(
        [sys.executable, "-c", code, str(path)], stdin=subprocess.PIPE, stdout=subprocess.PIPE, text=True
    )
    with other:
        assert other.stdout is not None
        assert other.stdout.readline() == "open\n"
        with pytest.raises(LogUnusable, match="another run is using it"):
            reopened(path)
        assert read_fold(path).size == 0
        other.kill()
    assert names(tmp_path) == ["log", "log.reserve"]
    reopened(path).close()


def opened_on(host: str | None, path: Path) -> ProgressLog:
    return ProgressLog.open(path, IDENTITY, Clock(), QuietDisk(), host=host)


def test_a_log_left_open_on_another_machine_is_refused_untouched_until_it_is_taken_over(tmp_path: Path) -> None:
    path = tmp_path / "log"
    history(path)
    path.write_bytes(path.read_bytes() + b'{"record":"in')  # as if the run there were just writing
    before = path.read_bytes()
    with pytest.raises(LogInUse, match="left open by a run on another machine, host-3; this one is host-4") as refused:
        opened_on("host-4", path)
    assert "--takeover" in refused.value.hint
    assert path.read_bytes() == before
    assert names(tmp_path) == ["log"]
    taken = opened_on(None, path)
    assert {key for key, _ in taken.fold.doubtful()} == {"later", "Äußerstes"}
    taken.close()


def test_a_log_left_open_on_this_machine_and_one_with_an_end_need_no_takeover(tmp_path: Path) -> None:
    path = tmp_path / "log"
    made(path).close()
    opened_on("host-4", path).close()  # no run has begun
    history(tmp_path / "killed")
    opened_on("host-3", tmp_path / "killed").close()
    log = begin(tmp_path / "ended")
    log.end_run(0, {}, 0, 0, 0.0)
    log.close()
    opened_on("host-4", tmp_path / "ended").close()


def test_a_name_that_logs_hold_in_another_form_is_still_this_machine_s(tmp_path: Path) -> None:
    log = made(tmp_path / "log")
    odd = "root@box\x1b"
    log.begin_run(replace(info(), host=odd))
    log.close()
    opened_on(odd, tmp_path / "log").close()


def test_a_log_with_a_second_name_is_refused_by_both(tmp_path: Path) -> None:
    made(tmp_path / "log").close()
    other = by_a_second_name(tmp_path / "log")
    for path in (tmp_path / "log", other):
        with pytest.raises(LogUnusable, match="hard link"):
            reopened(path)


def a_folder(path: Path) -> None:
    path.mkdir()


def a_pipe(path: Path) -> None:
    os.mkfifo(path)


def a_dangling_link(path: Path) -> None:
    path.symlink_to(path.with_name("nowhere"))


def an_empty_file(path: Path) -> None:
    path.touch()


def zeroes(path: Path) -> None:
    path.write_bytes(b"\0" * 5000)


def someone_s_notes(path: Path) -> None:
    path.write_bytes(b"dear diary\n")


def other_json(path: Path) -> None:
    path.write_bytes(b'[{"record":"log"}]\n')


def a_torn_header(path: Path) -> None:
    path.write_bytes(encode(header(IDENTITY, "now"), CHAIN_START)[:-20])


@pytest.mark.parametrize(
    ("put", "said"),
    [
        (a_folder, "is a directory|no regular file"),
        (a_pipe, "no regular file"),
        (a_dangling_link, "symbolic link"),
        (an_empty_file, "is empty"),
        (zeroes, "is empty"),
        (someone_s_notes, "no progress log"),
        (other_json, "no progress log"),
        (a_torn_header, "damaged at line 1"),
    ],
)
def test_what_is_no_log_is_refused(tmp_path: Path, put: Callable[[Path], None], said: str) -> None:
    path = tmp_path / "log"
    put(path)
    assert log_exists(path)
    with pytest.raises(LogUnusable, match=said):
        reopened(path)
    with pytest.raises(LogUnusable, match=said):
        read_fold(path)
    with pytest.raises(LogUnusable):
        made(path)


def test_a_missing_log_or_folder_is_said(tmp_path: Path) -> None:
    for path in (tmp_path / "log", tmp_path / "no" / "log", tmp_path / "file" / "log"):
        (tmp_path / "file").touch()
        assert not log_exists(path)
        for use in (reopened, read_fold):
            with pytest.raises(LogUnusable, match="cannot be used"):
                use(path)


def test_another_user_s_log_is_refused(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    made(tmp_path / "log").close()
    monkeypatch.setattr(os, "geteuid", lambda: os.getuid() + 1)
    with pytest.raises(LogUnusable, match="another user"):
        reopened(tmp_path / "log")


@pytest.mark.parametrize(
    ("other", "named"),
    [
        (LogIdentity("beta", Mode.IMPORT, "spring", "x"), "'beta'"),
        (LogIdentity("acme", Mode.SEND, "spring", "x"), "mode send"),
        (LogIdentity("acme", Mode.IMPORT, "autumn", "x"), "'autumn'"),
    ],
)
def test_a_log_of_something_else_is_refused_naming_both(tmp_path: Path, other: LogIdentity, named: str) -> None:
    history(tmp_path / "log")
    before = (tmp_path / "log").read_bytes()
    with pytest.raises(LogUnusable) as refusal:
        ProgressLog.open(tmp_path / "log", other, Clock(), QuietDisk())
    assert named in refusal.value.message
    assert "account 'acme', mode import, batch 'spring'" in refusal.value.message
    assert "--progress-log" in refusal.value.hint
    assert (tmp_path / "log").read_bytes() == before
    assert names(tmp_path) == ["log"]


def test_another_version_of_the_tool_may_go_on(tmp_path: Path) -> None:
    history(tmp_path / "log")
    newer = LogIdentity("acme", Mode.IMPORT, "spring", "bulkmsg 9.9")
    ProgressLog.open(tmp_path / "log", newer, Clock(), QuietDisk()).close()


@pytest.mark.parametrize(
    "line", [encode({**header(IDENTITY, "x"), "format": 2}, CHAIN_START), b'{"record":"log","format":3}\n']
)
def test_a_newer_format_is_refused(tmp_path: Path, line: bytes) -> None:
    (tmp_path / "log").write_bytes(line)
    with pytest.raises(LogUnusable, match=r"of format [23]"):
        reopened(tmp_path / "log")


def test_a_name_that_would_upset_a_terminal_is_shown_safely(tmp_path: Path) -> None:
    with pytest.raises(LogUnusable) as refusal:
        read_fold(tmp_path / "a\x1b[2J\nb")
    assert refusal.value.message.isprintable()
