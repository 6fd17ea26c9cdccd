"""Every crash point of a small batch, not a sample: each byte of the progress log and each step, under each fault."""

from __future__ import annotations

from tests.simulation.crash_points import FAULTS, MODES, everywhere


def test_wherever_a_run_dies_the_next_ones_bring_each_message_there_once() -> None:
    found = list(everywhere())
    assert len(found) == len(FAULTS) * len(MODES)
    assert [wrong for points in found for wrong in points.wrong] == []
    assert all(points.bytes > 500 and points.steps > 20 for points in found), (
        "the runs were too short to prove anything"
    )
    bytes_in_all, steps = sum(points.bytes for points in found), sum(points.steps for points in found)
    print(f"{bytes_in_all:,} bytes and {steps:,} steps at which the process died")
