"""What runs tell each other, as a value: believed as far as it makes sense."""

from __future__ import annotations

import json
import math
from typing import Any

import pytest

from bulkmsg.pacing import Counting, Learned, Pacer
from bulkmsg.settings import Rate
from bulkmsg.sharing import Common, Company, read, write

RATE = Rate(40, 20.0)
NOW = 1000.0


def company(name: str) -> tuple[Company, Pacer]:
    pacer = Pacer(RATE)
    return Company(pacer, name), pacer


def claimed(of: Company, kept: bytes, now: float) -> bytes:
    of.hear(kept, now)
    wait, told = of.claim(0.0, now)
    assert wait == 0.0
    assert told is not None
    return told


def whole(**change: Any) -> bytes:
    value = json.loads(write(Common(((NOW - 1, "a"),), {"a": 2.0}, {}, Learned(NOW - 1, 5.0, NOW - 2)), 5.0))
    return json.dumps({**value, **change}).encode()


def test_what_is_written_is_read_again() -> None:
    learned = Learned(NOW - 1, 5.25, NOW - 2, NOW + 3, 80, Counting.WINDOWS, 1, 0.1, 0.5)
    common = Common(((NOW - 2, "a"), (NOW - 1, "b")), {"a": 2.0, "b": 1.0}, {"c": NOW - 3}, learned)
    assert read(write(common, learned.level), NOW) == common


@pytest.mark.parametrize(
    "kept",
    [
        b"",
        b"\x00\xff",
        b"[]",
        b"{}",
        whole()[:-5],
        whole(v=2),
        whole(starts=[[NOW + 60, "a"]]),
        whole(starts=[["soon", "a"]]),
        whole(starts=[[True, "a"]]),
        whole(starts=[[NOW, "a" * 1000]]),
        whole(starts={"a": 1}),
        whole(starts=7),
        whole(allowed={"a": "much"}),
        whole(allowed={"a": -1}),
        whole(queued={"a": NOW + 60}),
        whole(queued=["a"]),
        whole(learned={"at": 0}),
        whole(learned=[1]),
        b"[" * 60_000,
    ],
)
def test_what_makes_no_sense_is_as_if_nothing_had_been_kept(kept: bytes) -> None:
    assert read(kept, NOW) == Common()
    one, pacer = company("one")
    one.hear(kept, NOW)
    assert pacer.wait(NOW) == 0.0


def test_a_pause_without_end_is_not_believed() -> None:
    value = json.loads(whole())
    value["learned"]["until"] = 1e9
    assert read(json.dumps(value).encode(), NOW) == Common()


def test_times_of_another_boot_lie_ahead_and_are_dropped() -> None:
    told = claimed(company("one")[0], b"", 500_000.0)
    assert read(told, 100.0) == Common()


def test_each_start_of_another_run_counts_once_however_often_it_is_heard_of() -> None:
    one, _ = company("one")
    two, pacer = company("two")
    kept = b""
    for _ in range(3):  # at the very same time
        kept = claimed(one, kept, NOW)
        two.hear(kept, NOW)
        two.hear(kept, NOW)
    assert pacer.learned(NOW).level == 3.0


def test_a_newcomer_knows_the_level_and_need_not_ask_for_it() -> None:
    one, pacer = company("one")
    kept = claimed(one, b"", NOW)
    token = pacer.start(NOW)
    pacer.answered(token, NOW + 0.1, 31, 40)
    kept = claimed(one, kept, NOW + 0.2)
    newcomer, learner = company("newcomer")
    newcomer.hear(kept, NOW + 0.3)
    assert learner.learned(NOW + 0.3).level == pytest.approx(32, abs=1)
    token = learner.start(NOW + 0.3)
    assert learner.wait(NOW + 0.3) == 0.0  # a probe would let nothing start before its answer


def test_a_pause_is_told_and_heard() -> None:
    one, pacer = company("one")
    pacer.throttled(pacer.start(NOW), NOW + 0.1, 7.0)
    two, other = company("two")
    two.hear(one.told(NOW + 0.2), NOW + 0.2)
    assert other.paused(NOW + 0.2) == pytest.approx(6.9)


def test_who_had_a_turn_leaves_the_next_to_who_waits_longer() -> None:
    one, two = company("one")[0], company("two")[0]
    kept = claimed(one, claimed(two, b"", NOW), NOW + 0.5)
    for each in (one, two):
        each.hear(kept, NOW + 0.5)
        each.expect(0.5, NOW + 0.5)
    wait, told = one.claim(0.0, NOW + 1.0)
    assert wait > 0
    assert told is None
    assert two.claim(0.0, NOW + 1.0)[0] == 0.0
    assert one.claim(0.0, NOW + 1.0 + wait)[0] == 0.0  # it waits no longer for one that does not come


def test_what_is_kept_stays_small_and_recent() -> None:
    one, _ = company("one")
    kept = b""
    for number in range(1100):
        kept = claimed(one, kept, NOW + number / 1000)
    assert len(read(kept, NOW + 2).starts) == 1000
    assert len(kept) < 65_536 / 1.5
    kept = claimed(one, kept, NOW + 100)
    assert len(read(kept, NOW + 100).starts) == 1


def test_who_knows_nothing_yet_does_not_empty_the_bucket_of_who_does() -> None:
    one, pacer = company("one")
    pacer.answered(pacer.start(NOW), NOW + 0.1, 30, 40)
    stranger = Learned(NOW + 0.2, 1.0)
    assert stranger.heard == -math.inf
    one.hear(write(Common((), {}, {}, stranger), 1.0), NOW + 0.2)
    assert pacer.learned(NOW + 0.2).level > 28
