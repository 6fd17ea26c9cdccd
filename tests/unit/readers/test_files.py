"""The door to input files: what opens, what is refused and how it is told."""

from __future__ import annotations

import gzip
import hashlib
import os
import socket
from pathlib import Path

import pytest

from bulkmsg.diagnostic import Diagnostic
from bulkmsg.readers.files import InputFile, open_input
from bulkmsg.readers.text import Unreadable, shown


def opened(path: Path, name: str = "x") -> InputFile:
    file = open_input(path, name)
    assert isinstance(file, InputFile)
    return file


def refused(path: Path, name: str = "x") -> Diagnostic:
    file = open_input(path, name)
    assert isinstance(file, Diagnostic)
    assert (file.rule, file.line) == ("BM101", 0)
    assert file.hint
    return file


def test_a_file_is_read_in_pieces_and_hashed(tmp_path: Path) -> None:
    path = tmp_path / "a"
    path.write_bytes(b"hello world")
    with opened(path) as file:
        assert file.read(5) == b"hello"
        assert file.digest() == hashlib.sha256(b"hello").hexdigest()
        assert file.read() == b" world"
        assert file.read(5) == b""
        assert file.digest() == hashlib.sha256(b"hello world").hexdigest()


def test_without_hashing_there_is_no_digest(tmp_path: Path) -> None:
    (tmp_path / "a").write_bytes(b"x")
    with open_input(tmp_path / "a", "a", hashed=False) as file:  # type: ignore[union-attr]
        assert list(file) == [b"x"]
        with pytest.raises(ValueError, match="hashing"):
            file.digest()


def test_gzip_is_unpacked_whatever_its_name(tmp_path: Path) -> None:
    path = tmp_path / "a.csv"
    path.write_bytes(gzip.compress(b"one ") + gzip.compress(b"two"))
    with opened(path) as file:
        assert file.read() == b"one two"
        assert file.digest() == hashlib.sha256(b"one two").hexdigest()
    path = tmp_path / "plain.gz"
    path.write_bytes(b"plain")
    with opened(path) as file:
        assert file.read() == b"plain"


@pytest.mark.parametrize("damage", ["cut", "flip", "header"])
def test_a_broken_archive_is_a_finding(damage: str, tmp_path: Path) -> None:
    data = bytearray(gzip.compress(os.urandom(5000)))
    if damage == "cut":
        del data[-100:]
    elif damage == "flip":
        data[-6] ^= 0xFF
    else:
        data[2] = 99
    (tmp_path / "a.gz").write_bytes(data)
    with opened(tmp_path / "a.gz", "a.gz") as file, pytest.raises(Unreadable) as stop:
        file.read()
    assert stop.value.diagnostic.rule == "BM101"
    assert "gzip" in stop.value.diagnostic.message


def test_an_archive_bomb_is_stopped(tmp_path: Path) -> None:
    (tmp_path / "a.gz").write_bytes(gzip.compress(bytes(20 << 20)))
    with opened(tmp_path / "a.gz") as file, pytest.raises(Unreadable) as stop:
        while file.read(1 << 16):
            pass
    assert stop.value.diagnostic.rule == "BM107"


def test_links_are_followed(tmp_path: Path) -> None:
    (tmp_path / "a").write_bytes(b"x")
    (tmp_path / "b").symlink_to("a")
    with opened(tmp_path / "b") as file:
        assert file.read() == b"x"


def test_what_is_no_file_is_named_and_nothing_waits(tmp_path: Path) -> None:
    assert "does not exist" in refused(tmp_path / "missing").message
    assert "directory" in refused(tmp_path).message
    os.mkfifo(tmp_path / "fifo")
    assert "FIFO" in refused(tmp_path / "fifo").message
    assert "device" in refused(Path("/dev/zero")).message
    assert "cannot be read" in refused(tmp_path / "a\0b").message
    assert "cannot be read" in refused(tmp_path / ("x" * 300)).message
    (tmp_path / "file").touch()
    assert "cannot be read" in refused(tmp_path / "file" / "below").message
    (tmp_path / "loop").symlink_to("loop")
    assert "cannot be read" in refused(tmp_path / "loop").message


def test_a_socket_is_named(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.chdir(tmp_path)
    with socket.socket(socket.AF_UNIX) as bound:
        bound.bind("socket")
        assert "socket" in refused(tmp_path / "socket").message


@pytest.mark.skipif(os.geteuid() == 0, reason="root may read everything")
def test_an_unreadable_file_is_named(tmp_path: Path) -> None:
    (tmp_path / "a").touch(mode=0)
    assert "may not be read" in refused(tmp_path / "a").message


def test_a_refusal_by_the_system_is_told(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    (tmp_path / "a").touch()

    def deny(*args: object) -> int:
        raise PermissionError(13, "Permission denied")

    monkeypatch.setattr(os, "open", deny)
    assert "may not be read" in refused(tmp_path / "a").message


def test_names_are_shown_safely(tmp_path: Path) -> None:
    found = refused(tmp_path / "missing", "a\x1b[31m\n\u202egpj.exe")
    assert "`a\\x1b[31m\\n\\u202egpj.exe`" in found.message
    assert shown("x" * 100) == "x" * 60 + "…"
    assert shown("café 日本 😀") == "café 日本 😀"
