"""Random legal histories: the compact fold says the same as a plain dictionary, over any number of runs and deaths."""

from __future__ import annotations

import tempfile
from dataclasses import dataclass, field, replace
from datetime import UTC, datetime
from pathlib import Path
from typing import Any

from hypothesis import given, settings
from hypothesis import strategies as st

from bulkmsg.journal import Fold, LogIdentity, ProgressLog, RunInfo, read_fold
from bulkmsg.message import Kind, Mode, log_name
from bulkmsg.outcome import COUNTED, MOVES, UNTOUCHED, Outcome, Standing, State
from bulkmsg.ports import Intent, RetryVerdict
from tests.unit.journal.kit import QuietDisk

IDENTITY = LogIdentity("acme", Mode.IMPORT, "spring", "bulkmsg 0.1.0")
KEYS = ("a", "b", "row 3", "Äß", "anna@example.com", "#4", '"quoted"\\', "z" * 255)
MOMENT = datetime(2026, 3, 1, 10, tzinfo=UTC)


@dataclass
class Model:
    """What a plain dictionary would remember: of each key the standing, and its last intent."""

    standings: dict[str, Standing] = field(default_factory=dict)
    intents: dict[str, Intent] = field(default_factory=dict)
    runs: int = 0

    def of(self, key: str) -> Standing:
        return self.standings.get(key, UNTOUCHED)

    def note(self, key: str, state: State, **details: Any) -> None:
        """What the record says, and for what it does not say, the last intent."""
        intent = self.intents.get(key)
        told = {"attempt": self.of(key).attempt, "run": f"r{self.runs}"}
        if intent is not None:
            external_id = log_name(intent.external_id)
            told |= {"content": intent.content, "ticket_id": intent.ticket, "external_id": external_id}
        said = {name: value for name, value in details.items() if value is not None}
        self.standings[key] = Standing(state, **{**told, **said})

    def counts(self) -> dict[State, int]:
        states: list[State] = [
            State.IN_DOUBT if s.state is State.INTENDED else s.state for s in self.standings.values()
        ]
        return {state: states.count(state) for state in COUNTED}


def next_run(path: Path, log: ProgressLog | None, model: Model, ended: bool) -> ProgressLog:
    if log is not None:
        if ended:
            log.end_run(0, {}, 1, 0, 0.5)
        log.close()
    way = ProgressLog.open if log else ProgressLog.create
    log = way(path, IDENTITY, lambda: MOMENT, QuietDisk())
    model.runs += 1
    log.begin_run(RunInfo(f"r{model.runs}", "h", None, {}, "9f" * 32, None, False))
    return log


def step(log: ProgressLog, model: Model, key: str, to: State, content: str, number: int | None) -> None:
    """Write the record that takes the key there, and let the model remember it."""
    attempt = model.of(key).attempt
    if to is State.INTENDED:
        attempt += 1
        intent = Intent(key, attempt, Kind.INCOMING, content, "ab" * 16, number, f"x-{key}-{attempt}")
        log.intent(intent)
        model.intents[key] = intent
        model.note(key, to, attempt=attempt)
    elif to is State.PENDING:
        log.retry(key, attempt, RetryVerdict.ABSENT, 0, "absent")
        model.note(key, to, error="absent")
    else:
        log.outcome(key, attempt, content, Outcome(to, message_id=number, ticket_id=number, status=200))
        model.note(key, to, content=content, message_id=number, ticket_id=number, status=200)


def agrees(fold: Fold, model: Model) -> None:
    assert fold.runs == model.runs
    assert fold.size == len(model.standings)
    assert fold.counts == model.counts()
    for key in KEYS:
        assert fold.standing(key) == model.of(key)
    kept = KEYS[::2]
    for key in kept:
        fold.mark(key)
    assert dict(fold.unmarked()) == {log_name(k): s for k, s in model.standings.items() if k not in kept}
    doubtful = {log_name(k): s for k, s in model.standings.items() if s.state in (State.INTENDED, State.IN_DOUBT)}
    assert dict(fold.doubtful()) == doubtful


@settings(max_examples=60, deadline=None)
@given(data=st.data())
def test_random_legal_histories_fold_to_what_a_dictionary_remembers(data: st.DataObject) -> None:
    with tempfile.TemporaryDirectory() as folder:
        path, model = Path(folder) / "log", Model()
        log = next_run(path, None, model, ended=False)
        for _ in range(data.draw(st.integers(0, 40))):
            if data.draw(st.integers(0, 9)) == 0:
                log = next_run(path, log, model, data.draw(st.booleans()))
                agrees(log.fold, replace(model, runs=model.runs - 1))
                continue
            step(log, model, *draw_step(data, model))
        agrees(read_fold(path), model)
        log.close()


def draw_step(data: st.DataObject, model: Model) -> tuple[Any, ...]:
    key = data.draw(st.sampled_from(KEYS))
    to = data.draw(st.sampled_from(sorted(MOVES[model.of(key).state])))
    content = data.draw(st.sampled_from(("c0" * 8, "c1" * 8)))
    return key, to, content, data.draw(st.none() | st.integers(1, 2**53))
