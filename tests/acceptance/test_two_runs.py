"""Two runs at once on one progress log, whatever way the second comes: real processes, one of them sending."""

from __future__ import annotations

import os
import resource
from collections.abc import Callable, Iterator
from dataclasses import dataclass
from pathlib import Path

import pytest

from tests.acceptance.batches import (
    OPTIONS,
    QUICK,
    created,
    history_batch,
    landed_once,
    log_of,
    requests,
    start,
    until_some_arrived,
)
from tests.acceptance.servers import run, sandbox

MESSAGES = 200


@dataclass(frozen=True)
class Second:
    """How the second run is called."""

    batch: Path
    flags: tuple[str | Path, ...] = ()


def the_same_command(batch: Path) -> Second:
    return Second(batch)


def through_a_linked_folder(batch: Path) -> Second:
    link = batch.parent.with_name("linked")
    link.symlink_to(batch.parent)
    return Second(link / batch.name)


def by_a_path_with_dots(batch: Path) -> Second:
    return Second(batch.parent / ".." / batch.parent.name / batch.name)


def with_the_log_named_through_a_symbolic_link(batch: Path) -> Second:
    link = batch.with_name("linked.jsonl")
    link.symlink_to(log_of(batch))
    return Second(batch, ("--progress-log", link))


def with_the_log_named_through_a_hard_link(batch: Path) -> Second:
    link = batch.with_name("linked.jsonl")
    os.link(log_of(batch), link)
    return Second(batch, ("--progress-log", link))


def with_the_lock_file_deleted(batch: Path) -> Second:
    log_of(batch).with_name(log_of(batch).name + ".reserve").unlink()
    return Second(batch)


def with_another_name_for_the_batch(batch: Path) -> Second:
    link = batch.with_name("other.yaml")
    link.symlink_to(batch)
    return Second(link, ("--progress-log", log_of(batch)))


WAYS = [
    the_same_command,
    through_a_linked_folder,
    by_a_path_with_dots,
    with_the_log_named_through_a_symbolic_link,
    with_the_log_named_through_a_hard_link,
    with_the_lock_file_deleted,
    with_another_name_for_the_batch,
]


@pytest.fixture
def first(tmp_path: Path) -> Iterator[tuple[str, Path]]:
    """A run that has begun to send and has long to go: the sandbox, and its batch."""
    folder = tmp_path / "folder"
    folder.mkdir()
    batch = history_batch(folder, MESSAGES)
    with sandbox("--latency", "0.3:0.4", *QUICK) as url:
        process = start(url, batch)
        until_some_arrived(url)
        try:
            yield url, batch
        finally:
            process.kill()
            process.communicate()


def computing() -> float:
    """Seconds of computing by the processes that have ended."""
    used = resource.getrusage(resource.RUSAGE_CHILDREN)
    return used.ru_utime + used.ru_stime


@pytest.mark.parametrize("way", WAYS)
def test_the_second_sends_nothing_and_says_so_at_once(first: tuple[str, Path], way: Callable[[Path], Second]) -> None:
    url, batch = first
    second = way(batch)
    asked = requests(url)["GET /api/account"]
    spent = computing()
    done = run(url, "run", second.batch, *OPTIONS, *second.flags)
    assert done.returncode == 7, done.stderr
    # Not by the clock on the wall: other tests may keep the machine busy. It waits for nothing, as the next line shows.
    assert computing() - spent < 1.0
    assert requests(url)["GET /api/account"] == asked == 1, "it asked the helpdesk for nothing"


def test_the_first_is_not_disturbed(tmp_path: Path) -> None:
    batch = history_batch(tmp_path, 60)
    with sandbox("--latency", "0.2:0.3", *QUICK) as url:
        process = start(url, batch)
        until_some_arrived(url)
        log_of(batch).with_name(log_of(batch).name + ".reserve").unlink()
        for _ in range(2):
            assert run(url, "run", batch, *OPTIONS).returncode == 7
        _, err = process.communicate(timeout=60)
        assert process.returncode == 0, err
        assert landed_once(url, 60)
        assert sorted(path.name for path in tmp_path.iterdir()) == ["batch.yaml", log_of(batch).name]


def test_a_log_deleted_under_a_run_ends_it_and_lets_no_other_send(tmp_path: Path) -> None:
    batch = history_batch(tmp_path, 60)
    with sandbox("--latency", "0.2:0.3", *QUICK) as url:
        process = start(url, batch)
        until_some_arrived(url)
        log_of(batch).unlink()
        second = run(url, "run", batch, *OPTIONS)
        _, err = process.communicate(timeout=60)
        assert (process.returncode, "it was deleted" in err) == (7, True)
        assert second.returncode == 7, second.stderr
        assert requests(url)["POST /api/tickets/{id}/messages"] == len(created(url)) < 60
        assert landed_once(url, len(created(url)))


@pytest.mark.parametrize("begun", [False, True], ids=["no log yet", "a log"])
def test_two_runs_at_the_same_moment_make_one(tmp_path: Path, begun: bool) -> None:
    """Where no log stands yet, both look for a lost one; whoever begins it first goes on."""
    batch = history_batch(tmp_path, 40)
    with sandbox("--latency", "0.05:0.1", *QUICK) as url:
        if begun:
            assert run(url, "run", batch, *OPTIONS, "--limit", "1").returncode == 0
        both = [start(url, batch), start(url, batch)]
        told = [process.communicate(timeout=60)[1] for process in both]
        codes = sorted(process.returncode for process in both)
        assert codes == [0, 7], told
        assert landed_once(url, 40)
