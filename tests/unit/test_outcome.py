"""The states and their legal moves: one table, and the schema of the progress log says the same."""

from __future__ import annotations

import pytest

from bulkmsg import schema
from bulkmsg.errors import ExitCode, worst
from bulkmsg.outcome import COUNTED, MOVES, State, Tally


def _record(state: State) -> str:
    return {State.INTENDED: "intent", State.PENDING: "retry"}.get(state, f"outcome:{state.value}")


def test_the_schema_of_the_progress_log_tells_the_same_moves() -> None:
    told = schema.load("progress-log")["x-order"]
    expected = {}
    for state, moves in MOVES.items():
        names = {State.PENDING: ["none", "retry"], State.INTENDED: ["intent"]}.get(state, [state.value])
        expected.update({name: {_record(move) for move in moves} for name in names})
    assert {name: set(following) for name, following in told.items()} == expected


def test_the_counts_always_add_up() -> None:
    tally = Tally(2)
    tally.counts[State.PENDING] = 2
    tally.move(State.PENDING, State.CREATED)
    tally.move(State.PENDING, State.INTENDED)
    assert sum(tally.counts[state] for state in COUNTED) == 2
    assert tally[State.IN_DOUBT] == 1


@pytest.mark.parametrize(
    ("codes", "winner"),
    [
        ([], 0),
        ([1, 5], 5),
        ([5, 6], 6),
        ([6, 3], 3),
        ([3, 4], 4),
        ([4, 7], 7),
        ([7, 130], 130),
        ([143, 70], 70),
        ([0, 1], 1),
    ],
)
def test_of_several_exit_codes_the_one_that_most_needs_a_person_wins(codes: list[int], winner: int) -> None:
    assert worst(ExitCode(code) for code in codes) == winner
