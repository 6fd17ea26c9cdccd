"""The file that runs share: one at a time, whole or not at all, and never a reason for a run to fail."""

from __future__ import annotations

import asyncio
import fcntl
import os
import stat
from collections.abc import Callable, Iterator
from pathlib import Path

import pytest

from bulkmsg.budget import SharedBudget
from tests.virtual_clock import run_virtual


@pytest.fixture
def folder(tmp_path: Path) -> Path:
    return tmp_path / "state" / "bulkmsg" / "acme"


@pytest.fixture
def budget(folder: Path) -> Iterator[SharedBudget]:
    made = SharedBudget(folder)
    yield made
    made.close()


def keep(content: bytes, heard: list[bytes] | None = None) -> Callable[[bytes], bytes]:
    def act(kept: bytes) -> bytes:
        if heard is not None:
            heard.append(kept)
        return content

    return act


def exchanged(budget: SharedBudget, content: bytes) -> list[bytes]:
    """What stood there before."""
    heard: list[bytes] = []
    run_virtual(budget.exchange(keep(content, heard)))
    return heard


def test_what_one_keeps_another_hears(folder: Path, budget: SharedBudget) -> None:
    assert exchanged(budget, b"one") == [b""]
    other = SharedBudget(folder)
    assert other.peek() == b"one"
    assert exchanged(other, b"two") == [b"one"]
    assert budget.peek() == b"two"
    other.close()


def test_only_its_user_can_read_it(folder: Path, budget: SharedBudget) -> None:
    exchanged(budget, b"one")
    assert stat.S_IMODE(folder.stat().st_mode) == 0o700
    assert {stat.S_IMODE(file.stat().st_mode) for file in folder.iterdir()} == {0o600}


def test_what_another_boot_kept_is_nothing(folder: Path, budget: SharedBudget) -> None:
    before = SharedBudget(folder, "another boot")
    exchanged(before, b"one")
    assert budget.peek() == b""
    assert exchanged(budget, b"two") == [b""]
    before.close()


def test_only_one_at_a_time(folder: Path, budget: SharedBudget) -> None:
    """Two that count in it, with the loop between their steps, lose no step of the other."""
    other = SharedBudget(folder)

    def count(kept: bytes) -> bytes:
        return str(int(kept or b"0") + 1).encode()

    async def many(of: SharedBudget) -> None:
        for _ in range(50):
            await of.exchange(count)
            await asyncio.sleep(0)

    async def both() -> None:
        await asyncio.gather(many(budget), many(other))

    run_virtual(both())
    assert budget.peek() == b"100"
    other.close()


def test_a_lock_that_is_held_for_long_is_waited_for_a_second_and_then_let_be(
    folder: Path, budget: SharedBudget
) -> None:
    exchanged(budget, b"one")
    fd = os.open(folder / "budget.lock", os.O_RDWR)
    fcntl.flock(fd, fcntl.LOCK_EX)  # as a run does that was stopped right there
    heard: list[bytes] = []

    async def play() -> list[float]:
        loop = asyncio.get_running_loop()
        took = []
        for pause in (0.0, 0.0, 30.0):
            await asyncio.sleep(pause)
            before = loop.time()
            await budget.exchange(keep(b"lost", heard))
            took.append(loop.time() - before)
            if pause == 0.0 and len(took) == 2:
                os.close(fd)
        return took

    took = run_virtual(play())
    assert took[0] == pytest.approx(1.0, abs=0.01)
    assert took[1:] == [0.0, 0.0]  # not a second for each request; and when it is free again, it is used again
    assert heard == [b"", b"", b"one"]
    assert budget.trouble == ""


def test_a_lock_file_that_was_deleted_keeps_nobody_out_and_is_made_again(folder: Path, budget: SharedBudget) -> None:
    exchanged(budget, b"one")
    (folder / "budget.lock").unlink()
    assert exchanged(budget, b"two") == [b"one"]
    assert (folder / "budget.lock").exists()


def _file_in_the_way(folder: Path) -> None:
    folder.parent.parent.mkdir(parents=True)
    folder.parent.write_text("a file")


def _lock_is_a_link(folder: Path) -> None:
    folder.mkdir(parents=True)
    (folder / "budget.lock").symlink_to(folder / "elsewhere")


def _lock_is_a_pipe(folder: Path) -> None:
    folder.mkdir(parents=True)
    os.mkfifo(folder / "budget.lock")


def _name_is_taken_by_a_folder(folder: Path) -> None:
    (folder / "budget.json").mkdir(parents=True)


@pytest.mark.parametrize("spoil", [_file_in_the_way, _lock_is_a_link, _lock_is_a_pipe, _name_is_taken_by_a_folder])
def test_where_it_cannot_be_used_the_run_goes_on_alone_and_can_say_why(
    spoil: Callable[[Path], None], folder: Path, budget: SharedBudget
) -> None:
    spoil(folder)
    assert exchanged(budget, b"one") == [b""]
    assert str(folder) in budget.trouble
    assert exchanged(budget, b"two") == [b""]
    assert budget.peek() == b""


@pytest.mark.parametrize("content", [b"", b"x" * 100_000, b"\x00" * 50])
def test_a_file_that_others_spoiled_is_nothing_and_is_replaced(
    content: bytes, folder: Path, budget: SharedBudget
) -> None:
    folder.mkdir(parents=True)
    (folder / "budget.json").write_bytes(content)
    assert exchanged(budget, b"one") == [b""]
    assert budget.peek() == b"one"


def test_a_link_in_its_place_is_neither_read_nor_written_through(folder: Path, budget: SharedBudget) -> None:
    folder.mkdir(parents=True)
    precious = folder / "precious"
    precious.write_text("precious")
    (folder / "budget.json").symlink_to(precious)
    (folder / "budget.new").symlink_to(precious)
    assert exchanged(budget, b"one") == [b""]
    assert precious.read_text() == "precious"
    assert budget.peek() == b"one"


def test_where_nobody_has_a_home_there_is_no_place_and_no_failure() -> None:
    budget = SharedBudget(None)
    assert exchanged(budget, b"one") == [b""]
    assert budget.trouble
