"""Tokens kept between commands: bound to what was given, whole or not at all, for their owner alone."""

from __future__ import annotations

import asyncio
import stat
from pathlib import Path

import pytest

from bulkmsg.tokens import TokenFile, Tokens, hash_of, state_folder
from tests.virtual_clock import run_virtual

NEW = Tokens("refresh-2", "access-2", 1234.5)


@pytest.fixture
def path(tmp_path: Path) -> Path:
    return tmp_path / "bulkmsg" / "acme" / "given.json"


def mode(path: Path) -> int:
    return stat.S_IMODE(path.stat().st_mode)


def test_what_is_kept_is_read_again_by_whoever_gives_the_same_token(path: Path) -> None:
    TokenFile(path, "refresh-1").keep(NEW)
    assert TokenFile(path, "refresh-1").read() == NEW
    assert (mode(path), mode(path.parent)) == (0o600, 0o700)
    assert [each.name for each in path.parent.iterdir()] == ["given.json"]


def test_whoever_gives_the_new_token_itself_finds_it_too(path: Path) -> None:
    TokenFile(path, "refresh-1").keep(NEW)
    assert TokenFile(path, "refresh-2").read() == NEW


def test_another_token_that_is_given_counts_instead_of_what_is_kept(path: Path) -> None:
    TokenFile(path, "refresh-1").keep(NEW)
    assert TokenFile(path, "from-the-user").read() is None


def test_a_login_stands_for_itself(path: Path) -> None:
    TokenFile(path).keep(NEW)
    assert TokenFile(path).read() == NEW


def test_the_given_token_is_kept_as_a_hash(path: Path) -> None:
    TokenFile(path, "refresh-1").keep(NEW)
    assert "refresh-1" not in path.read_text()
    assert hash_of("refresh-1") in path.read_text()


@pytest.mark.parametrize("content", ["", "{", "[]", '{"v":1}', '{"refresh_token":5}', '{"refresh_token":""}'])
def test_a_file_that_is_damaged_counts_as_none(path: Path, content: str) -> None:
    path.parent.mkdir(parents=True)
    path.write_text(content)
    path.chmod(0o600)
    assert TokenFile(path).read() is None


def test_a_file_that_others_can_read_or_a_link_is_not_believed(path: Path, tmp_path: Path) -> None:
    kept = TokenFile(path)
    kept.keep(NEW)
    path.chmod(0o644)
    assert kept.read() is None
    path.chmod(0o600)
    other = path.rename(tmp_path / "elsewhere.json")
    path.symlink_to(other)
    assert kept.read() is None


def test_a_disk_that_fails_leaves_the_old_tokens_standing(path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    kept = TokenFile(path, "refresh-1")
    kept.keep(NEW)

    def full(descriptor: int) -> None:
        raise OSError(28, "No space left on device")

    monkeypatch.setattr("bulkmsg.tokens.os.fsync", full)
    with pytest.raises(OSError, match="No space left"):
        kept.keep(Tokens("refresh-3"))
    assert kept.read() == NEW
    assert [each.name for each in path.parent.iterdir()] == ["given.json"]


def test_the_users_own_file_gets_the_new_token_unless_somebody_put_another_there(path: Path, tmp_path: Path) -> None:
    own = tmp_path / "token"
    own.write_text("refresh-1\n")
    kept = TokenFile(path, "refresh-1", own)
    kept.keep(NEW)
    assert (own.read_text(), mode(own)) == ("refresh-2\n", 0o600)
    kept.keep(Tokens("refresh-3"))
    assert own.read_text() == "refresh-3\n"
    own.write_text("from-the-user\n")
    kept.keep(Tokens("refresh-4"))
    assert own.read_text() == "from-the-user\n"


def test_a_link_to_the_users_own_file_stays_a_link(path: Path, tmp_path: Path) -> None:
    own, link = tmp_path / "token", tmp_path / "link"
    own.write_text("refresh-1")
    link.symlink_to(own)
    TokenFile(path, "refresh-1", link).keep(NEW)
    assert link.is_symlink()
    assert own.read_text() == "refresh-2\n"


def test_one_command_at_a_time_and_a_patience_that_ends(path: Path) -> None:
    kept = TokenFile(path)

    async def go() -> None:
        order: list[str] = []

        async def work(name: str) -> None:
            async with kept.alone(5.0) as locked:
                assert locked
                order.append(f"{name} in")
                await asyncio.sleep(1.0)
                order.append(f"{name} out")

        await asyncio.gather(work("first"), work("second"))
        assert order == ["first in", "first out", "second in", "second out"]
        async with kept.alone(1.0):
            with pytest.raises(TimeoutError):
                async with kept.alone(1.0):
                    raise AssertionError("it was let in")

    run_virtual(go())


@pytest.mark.parametrize(
    ("env", "expected"),
    [
        ({"XDG_STATE_HOME": "/var/state"}, Path("/var/state/bulkmsg")),
        ({"XDG_STATE_HOME": "not/absolute"}, Path.home() / ".local/state/bulkmsg"),
        ({}, Path.home() / ".local/state/bulkmsg"),
    ],
)
def test_the_folder_is_the_users_own_for_state(env: dict[str, str], expected: Path) -> None:
    assert state_folder(env) == expected
