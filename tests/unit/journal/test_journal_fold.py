"""What a log says when it is read again."""

from __future__ import annotations

from collections.abc import Callable
from pathlib import Path

import pytest

from bulkmsg.errors import LogUnusable
from bulkmsg.journal import Fold, IllegalMove, LogIdentity, ledger, read_fold
from bulkmsg.journal.records import CHAIN_START, encode, header, sum_of
from bulkmsg.message import Mode, log_name
from bulkmsg.outcome import UNTOUCHED, Outcome, Standing, State
from bulkmsg.ports import Intent, Journal, RetryVerdict

from .kit import CREATED, IDENTITY, IN_DOUBT, REJECTED, begin, created, history, info, intent_for


def folded(tmp_path: Path) -> Fold:
    history(tmp_path / "log")
    return read_fold(tmp_path / "log")


def test_runs_and_sums(tmp_path: Path) -> None:
    fold = folded(tmp_path)
    assert (fold.header, fold.format, fold.runs) == (IDENTITY, 1, 2)
    assert fold.last_run == info("r2")
    assert fold.last_end is None
    assert (fold.requests, fold.throttled, fold.seconds) == (6, 1, 3.25)


def test_the_end_of_the_newest_run_is_kept(tmp_path: Path) -> None:
    log = begin(tmp_path / "log")
    log.end_run(0, {CREATED: 3}, 4, 0, 2.0)
    log.close()
    end = read_fold(tmp_path / "log").last_end
    assert end is not None
    assert (end["exit_code"], end["counts"]["created"], end["counts"]["pending"]) == (0, 3, 0)


def test_counts_add_up_and_an_open_intent_is_in_doubt(tmp_path: Path) -> None:
    fold = folded(tmp_path)
    assert fold.counts == {
        State.CREATED: 4, State.REJECTED: 1, State.FAILED: 0, State.HELD_BACK: 0,
        State.IN_DOUBT: 2, State.UNDONE: 1, State.PENDING: 0,
    }  # fmt: skip
    assert sum(fold.counts.values()) == fold.size == 8


def test_standings(tmp_path: Path) -> None:
    fold = folded(tmp_path)
    content = "c0" * 8
    assert fold.standing("row-2") == Standing(CREATED, content, 1, 3, 5, 201, None, "x-row-2", "r1")
    assert fold.standing("row-0") == Standing(State.UNDONE, content, 1, None, 5, None, None, "x-row-0", "r2")
    assert fold.standing("later") == Standing(IN_DOUBT, content, 2, None, 5, external_id="x-later", run="r2")
    assert fold.standing("never") == Standing(CREATED, content, 0, 90, 5, run="r2")
    assert fold.standing("Äußerstes").state is State.INTENDED
    assert fold.standing("unheard of") is UNTOUCHED
    assert fold.standing("") is UNTOUCHED


def test_a_key_with_an_address_is_known_by_both_its_names(tmp_path: Path) -> None:
    fold = folded(tmp_path)
    standing = fold.standing("anna@example.com")
    assert standing == fold.standing(log_name("anna@example.com"))
    assert standing.state is REJECTED
    assert (standing.status, standing.error) == (400, "no [address] here")
    assert standing.external_id == log_name("x-anna@example.com")


def test_after_a_retry_the_reason_and_the_last_attempt_are_told(tmp_path: Path) -> None:
    log = begin(tmp_path / "log")
    log.intent(intent_for("a", 3))
    log.retry("a", 3, RetryVerdict.NOT_PROCESSED, 429, "throttled")
    log.close()
    expected = Standing(State.PENDING, "c0" * 8, 3, None, 5, 429, "throttled", "x-a", "r1")
    assert read_fold(tmp_path / "log").standing("a") == expected


def test_unmarked_keys_are_those_the_batch_no_longer_holds(tmp_path: Path) -> None:
    fold = folded(tmp_path)
    for key in ("row-0", "row-1", "row-2", "anna@example.com", "later", "never", "unheard of"):
        fold.standing(key)
        fold.mark(key)
    fold.mark("row-1")
    assert [(key, standing.state) for key, standing in fold.unmarked()] == [
        ("row-3", CREATED),
        ("Äußerstes", State.INTENDED),
    ]
    assert fold.counts[CREATED] == 4


def test_doubtful_keys(tmp_path: Path) -> None:
    assert [key for key, _ in folded(tmp_path).doubtful()] == ["later", "Äußerstes"]


def test_the_newest_created_entry_has_an_external_id_and_still_exists(tmp_path: Path) -> None:
    path = tmp_path / "log"
    log = begin(path)
    assert log.fold.last_created is None
    for key in ("a", "b", "c"):
        log.intent(intent_for(key))
    for key in ("c", "b", "a"):
        created(log, key)
    log.outcome("a", 1, "c0" * 8, Outcome(State.UNDONE))
    log.outcome("d", 0, "c0" * 8, Outcome(CREATED, message_id=8))
    log.close()
    newest = read_fold(path).last_created
    assert newest is not None
    assert newest.external_id == "x-b"


def test_keys_with_equal_hashes_are_told_apart(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(ledger, "hash64", lambda key: len(key) % 2)
    path = tmp_path / "log"
    log = begin(path)
    for number in range(60):
        log.intent(intent_for(f"k{number}"))
        created(log, f"k{number}", number + 1)
    with pytest.raises(IllegalMove):
        log.intent(intent_for("k59"))
    log.close()
    fold = read_fold(path)
    assert fold.size == 60
    assert [fold.standing(f"k{number}").message_id for number in range(60)] == list(range(1, 61))
    assert fold.standing("kx") is UNTOUCHED
    fold.mark("kx")
    assert len(list(fold.unmarked())) == 60


def test_illegal_moves_are_refused_when_written(tmp_path: Path) -> None:
    log = begin(tmp_path / "log")
    log.intent(intent_for("a"))
    created(log, "a")
    wrongs: tuple[Callable[[], None], ...] = (
        lambda: log.intent(intent_for("a", 2)),
        lambda: log.outcome("b", 1, "c0" * 8, Outcome(State.UNDONE)),
        lambda: log.retry("b", 1, RetryVerdict.ABSENT, 0, "absent"),
        lambda: log.outcome("b", 1, "c0" * 8, Outcome(State.PENDING)),
        lambda: log.begin_run(info("r2")),
    )
    for wrong in wrongs:
        before = (tmp_path / "log").read_bytes()
        with pytest.raises(ValueError, match=r"cannot go|no outcome|open already"):
            wrong()
        assert (tmp_path / "log").read_bytes() == before
    log.close()


def test_what_earlier_runs_settled_still_binds_the_next(tmp_path: Path) -> None:
    history(tmp_path / "log")
    log = begin(tmp_path / "log", run="r3")
    with pytest.raises(IllegalMove):
        log.intent(intent_for("row-1"))
    log.outcome("later", 2, "c0" * 8, Outcome(CREATED, message_id=3))
    with pytest.raises(IllegalMove):
        log.retry("later", 2, RetryVerdict.ABSENT, 0, "absent")
    assert log.fold.standing("later").state is IN_DOUBT
    log.close()


def test_records_need_an_open_run(tmp_path: Path) -> None:
    log = begin(tmp_path / "log")
    log.end_run(0, {}, 0, 0, 0.0)
    with pytest.raises(ValueError, match="no run"):
        log.intent(intent_for("a"))
    log.close()


def chained(*bodies: dict[str, object]) -> bytes:
    data, last = b"", CHAIN_START
    for body in (header(IDENTITY, "2026-03-01T10:00:00.000Z"), *bodies):
        line = encode(body, last)
        data, last = data + line, sum_of(line)
    return data


RUN: dict[str, object] = {
    "record": "run", "run": "r", "host": "h", "user": None,
    "flags": {}, "digest": "", "consent": None, "sandbox": False,
}  # fmt: skip
OUTCOME: dict[str, object] = {"record": "outcome", "run": "r", "key": "a", "attempt": 0, "outcome": "created"}


@pytest.mark.parametrize(
    "bodies",
    [
        [OUTCOME],
        [RUN, {**OUTCOME, "run": "other"}],
        [RUN, {**OUTCOME, "outcome": "undone"}],
        [RUN, {**OUTCOME, "outcome": "pending"}],
        [RUN, {**OUTCOME, "outcome": "lost"}],
        [RUN, {"record": "outcome", "run": "r"}],
        [RUN, {**OUTCOME, "record": "poem"}],
        [RUN, {"record": "log"}],
        [{"record": "run", "run": "r"}],
    ],
)
def test_sound_lines_in_an_illegal_order_are_damage(tmp_path: Path, bodies: list[dict[str, object]]) -> None:
    path = tmp_path / "log"
    path.write_bytes(chained(*bodies))
    with pytest.raises(LogUnusable, match=f"damaged at line {len(bodies) + 1}"):
        read_fold(path)


def test_a_batch_name_with_an_address_is_known_by_its_hash(tmp_path: Path) -> None:
    identity = LogIdentity("acme", Mode.SEND, "for anna@example.com", "bulkmsg 0.1.0")
    begin(tmp_path / "log", identity=identity).close()
    begin(tmp_path / "log", identity=identity, run="r2").close()
    assert read_fold(tmp_path / "log").header.batch == log_name(identity.batch)


def test_a_log_is_a_journal(tmp_path: Path) -> None:
    log = begin(tmp_path / "log")
    journal: Journal = log
    journal.intents([Intent("k", 1, intent_for("k").kind, "c0" * 8, "ab" * 16, None, "x", "t@example.com")])
    log.close()
    assert log.fold.size == 0
    assert [key for key, _ in read_fold(tmp_path / "log").doubtful()] == ["k"]
