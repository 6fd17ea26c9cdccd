"""A log that is begun anew where one was lost or damaged, and what a person's word leaves in a log."""

from __future__ import annotations

from pathlib import Path

import orjson
import pytest
from jsonschema import Draft202012Validator

from bulkmsg.errors import LogDamaged, LogUnusable
from bulkmsg.journal import ProgressLog, RunInfo, kept_damaged, read_fold, read_salvage
from bulkmsg.message import Kind, log_name
from bulkmsg.outcome import Doubt, Outcome, Standing, State
from bulkmsg.ports import Identity, RetryVerdict

from .kit import CREATED, IDENTITY, IN_DOUBT, Clock, FailingDisk, QuietDisk, begin, created, history, info, intent_for
from .test_journal_records import SCHEMA

C0 = "c0" * 8


def who(key: str, ticket: int | None = 5, ticket_external_id: str | None = None) -> Identity:
    return Identity(log_name(key), Kind.OUTGOING, C0, ticket, f"x-{log_name(key)}", ticket_external_id)


def rebuild(path: Path, run: str = "r1") -> tuple[ProgressLog, Path | None]:
    log, aside = ProgressLog.rebuild(path, IDENTITY, Clock(), QuietDisk())
    log.begin_run(RunInfo(run, "host-3", 8842, {}, "9f" * 32, None, False, "rebuild"))
    return log, aside


def half_rebuilt(path: Path) -> None:
    """One message found, one absent, one not to be told; then the process died."""
    log, _ = rebuild(path)
    log.learn(who("a"), Outcome(CREATED, message_id=90, ticket_id=5, found=True, duplicates=(90, 91)))
    log.learn(who("b"), Outcome(IN_DOUBT, error="the progress log was lost"))
    log.retry("b", 0, RetryVerdict.ABSENT, 0, "not there")
    log.learn(who("jane@example.com", None, "t-1"), Outcome(IN_DOUBT, error="who knows", hold=True))
    log.close()


def flip(path: Path, at: int) -> None:
    data = bytearray(path.read_bytes())
    data[at] ^= 1
    path.write_bytes(data)


def damaged(path: Path) -> bytes:
    history(path)
    flip(path, path.stat().st_size // 2)
    return path.read_bytes()


def test_what_was_learned_is_folded_with_all_that_a_look_up_needs(tmp_path: Path) -> None:
    half_rebuilt(tmp_path / "log")
    fold = read_fold(tmp_path / "log")
    assert fold.standing("a") == Standing(CREATED, C0, 0, 90, 5, external_id="x-a", run="r1")
    assert fold.standing("b") == Standing(State.PENDING, C0, 0, None, 5, None, "not there", "x-b", "r1")
    jane = log_name("jane@example.com")
    held = Standing(IN_DOUBT, C0, 0, None, None, None, "who knows", f"x-{jane}", "r1", hold=True)
    assert fold.standing("jane@example.com") == held
    assert list(fold.doubts()) == [Doubt(jane, held, "2026-03-01T10:00:01.500Z", "outgoing", "t-1")]
    assert fold.last_created == fold.standing("a")


def test_until_it_is_rebuilt_no_run_accepts_it(tmp_path: Path) -> None:
    path = tmp_path / "log"
    half_rebuilt(path)
    assert read_fold(path).rebuilding
    with pytest.raises(LogUnusable, match="being rebuilt") as caught:
        ProgressLog.open(path, IDENTITY, Clock(), QuietDisk())
    assert "--rebuild-log" in caught.value.hint
    log = ProgressLog.open(path, IDENTITY, Clock(), QuietDisk(), rebuilding=True)
    assert [key for key in ("a", "b", "jane@example.com", "c") if log.knows(key)] == ["a", "b", "jane@example.com"]
    log.begin_run(info("r2"))
    log.rebuilt()
    log.close()
    fold = ProgressLog.open(path, IDENTITY, Clock(), QuietDisk()).fold
    assert (fold.rebuilding, fold.rebuilt) == (False, True)


def test_cut_anywhere_a_log_that_is_being_rebuilt_stays_one(tmp_path: Path) -> None:
    """Its mark stands in the first line, which appears whole or not at all: a torn `rebuilt` record is none."""
    path, torn = tmp_path / "log", tmp_path / "torn"
    half_rebuilt(path)
    log = ProgressLog.open(path, IDENTITY, Clock(), QuietDisk(), rebuilding=True)
    log.begin_run(info("r2"))
    log.rebuilt()
    log.close()
    data = path.read_bytes()
    first = data.index(b"\n")
    for size in range(first, len(data) - 2):
        torn.write_bytes(data[:size])
        assert read_fold(torn).rebuilding, size


def test_the_damaged_log_is_kept_byte_for_byte_under_a_name_that_says_so(tmp_path: Path) -> None:
    path = tmp_path / "log"
    before = damaged(path)
    log, aside = rebuild(path)
    assert aside is not None
    assert aside.name.startswith("log.damaged-2026")
    assert (aside.read_bytes(), aside.stat().st_mode & 0o777) == (before, 0o600)
    assert kept_damaged(path) == aside
    assert log.fold.rebuilding
    log.close()
    flip(path, 3)
    again, second = ProgressLog.rebuild(path, IDENTITY, Clock(), QuietDisk())
    again.close()
    assert second is not None
    assert (second != aside, aside.exists()) == (True, True)


def test_where_the_copy_cannot_be_kept_the_damaged_log_stays_where_it_is(tmp_path: Path) -> None:
    path = tmp_path / "log"
    before = damaged(path)
    with pytest.raises(LogUnusable, match="cannot be used"):
        ProgressLog.rebuild(path, IDENTITY, Clock(), FailingDisk(room=70_000))
    assert path.read_bytes() == before


def test_a_sound_log_is_not_rebuilt(tmp_path: Path) -> None:
    path = tmp_path / "log"
    history(path)
    before = path.read_bytes()
    with pytest.raises(LogUnusable, match="nothing to rebuild"):
        ProgressLog.rebuild(path, IDENTITY, Clock(), QuietDisk())
    assert (path.read_bytes(), kept_damaged(path)) == (before, None)


def test_a_log_in_use_is_not_rebuilt(tmp_path: Path) -> None:
    path = tmp_path / "log"
    log = begin(path)
    with pytest.raises(LogUnusable, match="another run"):
        ProgressLog.rebuild(path, IDENTITY, Clock(), QuietDisk())
    log.close()


@pytest.mark.parametrize(
    "harm",
    [
        lambda data: data[:5] + b"X" + data[6:],
        lambda data: data[data.index(b"\n") + 1 :],
        lambda data: b"",
        lambda data: b"\0" * len(data),
        lambda data: b"".join(data.splitlines(keepends=True)[::2]),
    ],
    ids=["its first bytes", "no first line", "empty", "zeroes", "every second line"],
)
def test_what_was_once_a_log_can_be_rebuilt(tmp_path: Path, harm: object) -> None:
    path = tmp_path / "log"
    history(path)
    assert callable(harm)
    path.write_bytes(harm(path.read_bytes()))
    with pytest.raises(LogDamaged) as caught:
        read_fold(path)
    assert "--rebuild-log" in caught.value.hint
    log, aside = rebuild(path)
    log.close()
    assert aside is not None


def test_somebody_s_notes_are_never_put_aside(tmp_path: Path) -> None:
    path = tmp_path / "log"
    path.write_text("milk, bread\n")
    with pytest.raises(LogUnusable, match="no progress log"):
        ProgressLog.rebuild(path, IDENTITY, Clock(), QuietDisk())
    assert path.read_text() == "milk, bread\n"


def test_before_its_damage_a_log_can_still_tell(tmp_path: Path) -> None:
    path = tmp_path / "log"
    history(path)
    lines = path.read_bytes().splitlines(keepends=True)
    path.write_bytes(b"".join(lines[:6]) + b"X" + b"".join(lines[7:]))
    fold = read_salvage(path)
    assert fold is not None
    assert fold.counts[CREATED] == 2
    assert (fold.standing("row-1").message_id, fold.standing("row-3").state) == (2, State.PENDING)
    path.write_bytes(b"X" + path.read_bytes())
    assert read_salvage(path) is None


def test_a_person_s_word_stands_in_the_log_as_one(tmp_path: Path) -> None:
    path = tmp_path / "log"
    log = begin(path)
    for key in ("a", "b"):
        log.intent(intent_for(key))
    log.outcome("a", 1, C0, Outcome(CREATED, ticket_id=5), "anna@example.com")
    log.retry("b", 1, RetryVerdict.PERSON, 0, "a person said so", "anna")
    log.intent(intent_for("b", 2))
    created(log, "b")
    log.close()
    records = [orjson.loads(line) for line in path.read_bytes().splitlines()]
    assert [record.get("said_by") for record in records[2:]] == [None, None, "[address]", "anna", None, None]
    assert [record["verdict"] for record in records if record["record"] == "retry"] == ["person"]
    assert read_fold(path).standing("a").state is CREATED


def test_the_new_records_are_of_the_published_shape(tmp_path: Path) -> None:
    path = tmp_path / "log"
    half_rebuilt(path)
    log = ProgressLog.open(path, IDENTITY, Clock(), QuietDisk(), rebuilding=True)
    log.begin_run(RunInfo("r2", "h", None, {}, "9f" * 32, None, False, "resolve"))
    log.outcome("jane@example.com", 0, C0, Outcome(CREATED), "anna")
    log.rebuilt()
    log.end_run(0, {}, 1, 0, 0.5)
    log.close()
    validator = Draft202012Validator(orjson.loads(SCHEMA.read_bytes()))
    for line in path.read_bytes().splitlines():
        assert [error.message for error in validator.iter_errors(orjson.loads(line))] == [], line


def test_rebuilding_and_resolving_are_not_counted_as_runs(tmp_path: Path) -> None:
    half_rebuilt(tmp_path / "log")
    fold = read_fold(tmp_path / "log")
    assert fold.last_run is not None
    assert (fold.runs, fold.last_run.command) == (0, "rebuild")


def test_rebuilt_stands_only_in_a_log_that_was_lost(tmp_path: Path) -> None:
    log = begin(tmp_path / "log")
    log.rebuilt()
    log.close()
    with pytest.raises(LogDamaged):
        read_fold(tmp_path / "log")
