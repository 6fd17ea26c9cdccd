"""The real command at the helpdesk's own pace: a strict limit is never overrun, and a part of it is left to others."""

from __future__ import annotations

import json
from pathlib import Path

from tests.acceptance.batches import history_batch
from tests.acceptance.servers import asked, run, sandbox

STRICT = ("--limit", "40", "--window", "2", "--latency", "0.05:0.05")
FLAGS = ("--rate", "40/2s", "--settle", "0.3s", "--format", "json", "--progress", "none")


def test_a_strict_limit_is_never_overrun(tmp_path: Path) -> None:
    batch = history_batch(tmp_path, 160, tickets=160)
    with sandbox(*STRICT) as url:
        done = run(url, "run", batch, *FLAGS)
        refused = asked(url, "/_sandbox/state")["throttled"]
    told = json.loads(done.stdout)
    assert (told["created"], told["throttled"], refused) == (160, 0, 0)


def test_a_share_keeps_the_rest_for_a_neighbour(tmp_path: Path) -> None:
    batch = history_batch(tmp_path, 60, tickets=60)
    with sandbox(*STRICT, "--neighbour", "9") as url:
        done = run(url, "run", batch, *FLAGS, "--share", "50%")
        refused = asked(url, "/_sandbox/state")["throttled"]
    told = json.loads(done.stdout)
    assert (told["created"], told["throttled"], refused) == (60, 0, 0)
    # 20 at once and 10 a second are ours: what is more takes its time, however quick the machine is
    assert told["seconds"] >= (told["requests"] - 20) / 10 - 0.1


def test_the_share_may_come_from_the_environment_and_be_a_timetable(tmp_path: Path) -> None:
    batch = history_batch(tmp_path, 60, tickets=60)
    with sandbox(*STRICT) as url:
        done = run(url, "run", batch, *FLAGS, BULKMSG_SHARE="00:00-12:00=50%, *=50%, Europe/Berlin")
    told = json.loads(done.stdout)
    assert told["created"] == 60
    assert told["seconds"] >= (told["requests"] - 20) / 10 - 0.1


def test_a_share_that_is_none_says_how_to_write_it(tmp_path: Path) -> None:
    done = run(None, "run", history_batch(tmp_path, 1), "--share", "60")
    assert done.returncode == 2
    assert "08:00-18:00=40%, *=95%" in done.stderr
