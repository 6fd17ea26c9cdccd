"""The door to attached files: what may be attached, what is refused and how it is told, and what is read how often."""

from __future__ import annotations

import hashlib
import io
import os
import socket
from pathlib import Path

import pytest

from bulkmsg.message import Upload
from bulkmsg.readers import attached
from bulkmsg.readers.attached import Attached, Digests, Folder, Unfit
from bulkmsg.readers.sent import Sent, holds_the_same, is_untouched


def look(folder: Path, name: str) -> Attached | Unfit:
    return Folder(folder, Digests()).look(name)


def found(folder: Path, name: str) -> Attached:
    told = look(folder, name)
    assert isinstance(told, Attached), told
    return told


def refused(folder: Path, name: str) -> tuple[str, str, str]:
    told = look(folder, name)
    assert isinstance(told, Unfit), told
    assert str(folder) not in told.message + told.hint, "no path of this machine in what is told"
    return told.rule, told.message, told.hint


def upload_of(path: Path, name: str = "a.pdf") -> Upload:
    told = found(path.parent, path.name)
    return Upload(0, path.name, told.path, told.digest, told.size, told.mark, name, "application/pdf")


def test_a_file_in_the_folder_or_below_it_is_measured_and_hashed(tmp_path: Path) -> None:
    (tmp_path / "invoices").mkdir()
    (tmp_path / "invoices" / "12.pdf").write_bytes(b"an invoice")
    told = found(tmp_path, "invoices/12.pdf")
    assert (told.size, told.digest) == (10, hashlib.sha256(b"an invoice").hexdigest())
    assert found(tmp_path, "./invoices//12.pdf").path == told.path == str(tmp_path.resolve() / "invoices" / "12.pdf")


def test_a_link_inside_the_folder_is_followed(tmp_path: Path) -> None:
    (tmp_path / "a.pdf").write_bytes(b"a")
    (tmp_path / "link.pdf").symlink_to("a.pdf")
    assert found(tmp_path, "link.pdf").path.endswith("/a.pdf")


def test_the_folder_itself_may_be_reached_through_a_link(tmp_path: Path) -> None:
    (tmp_path / "real").mkdir()
    (tmp_path / "real" / "a.pdf").write_bytes(b"a")
    (tmp_path / "batch").symlink_to("real")
    assert found(tmp_path / "batch", "a.pdf").size == 1


@pytest.mark.parametrize(
    "name", ["/etc/passwd", "../a.pdf", "x/../a.pdf", "..", "C:\\a.pdf", "c:/a.pdf", "\\\\host\\a", "x\\..\\a"]
)
def test_a_path_that_could_lead_out_is_refused_whatever_stands_there(name: str, tmp_path: Path) -> None:
    (tmp_path / "a.pdf").write_bytes(b"a")
    assert refused(tmp_path, name)[0] == "BM421"


def test_a_link_that_leads_out_is_refused_be_it_the_file_or_a_folder_above_it(tmp_path: Path) -> None:
    outside, batch = tmp_path / "outside", tmp_path / "batch"
    outside.mkdir()
    batch.mkdir()
    (outside / "key.pem").write_text("secret")
    (batch / "file").symlink_to(outside / "key.pem")
    (batch / "folder").symlink_to(outside)
    (batch / "chain").symlink_to("folder")
    for name in ("file", "folder/key.pem", "chain/key.pem", "folder/nothing"):
        assert refused(batch, name)[:2] == ("BM421", f"`{name}` leads out of the batch's folder, through a link")


def test_a_folder_whose_name_only_begins_alike_is_outside(tmp_path: Path) -> None:
    (tmp_path / "batch").mkdir()
    (tmp_path / "batch-2").mkdir()
    (tmp_path / "batch-2" / "a.pdf").write_bytes(b"a")
    (tmp_path / "batch" / "a.pdf").symlink_to("../batch-2/a.pdf")
    assert refused(tmp_path / "batch", "a.pdf")[0] == "BM421"


def test_what_is_no_regular_file_is_named_and_never_waited_for(tmp_path: Path) -> None:
    os.mkfifo(tmp_path / "pipe")
    (tmp_path / "folder").mkdir()
    with socket.socket(socket.AF_UNIX) as listening:
        listening.bind(str(tmp_path / "socket"))
        (tmp_path / "loop").symlink_to("loop")
        told = {name: refused(tmp_path, name) for name in ("pipe", "folder", "socket", "loop")}
    assert {rule for rule, _, _ in told.values()} == {"BM420"}
    assert told["pipe"][1] == "`pipe` is a FIFO (a named pipe), not a file"
    assert told["folder"][1] == "`folder` is a directory, not a file"
    assert told["socket"][1] == "`socket` is a socket, not a file"


@pytest.mark.skipif(os.geteuid() == 0, reason="root may read everything")
def test_a_file_that_may_not_be_read_says_so(tmp_path: Path) -> None:
    (tmp_path / "a.pdf").write_bytes(b"a")
    (tmp_path / "a.pdf").chmod(0)
    assert refused(tmp_path, "a.pdf")[1] == "the file `a.pdf` may not be read"


@pytest.mark.parametrize(
    ("name", "hint"),
    [
        ("invoices/13.pdf", "did you mean `invoices/12.pdf`?"),
        ("Invoices/12.pdf", "did you mean `invoices/12.pdf`?"),
        ("invoces/12.pdf", "did you mean `invoices/12.pdf`?"),
        ("invoces/99.png", "did you mean the folder `invoices`?"),
        ("invoices\\12.pdf", "did you mean `invoices/12.pdf`?"),
        ("invoices/zzzzzzzzz.png", "the folder `invoices/` holds no `zzzzzzzzz.png` nor anything like it"),
        ("invoices/12.pdf/x", "the folder `invoices/12.pdf/` holds no `x` nor anything like it"),
        (
            "invoices/Cafe\u0301.pdf",
            "the folder has a name that looks the same and is made of other characters: copy it from there",
        ),
    ],
)
def test_a_name_that_is_not_there_says_what_was_meant(name: str, hint: str, tmp_path: Path) -> None:
    (tmp_path / "invoices").mkdir()
    (tmp_path / "invoices" / "12.pdf").write_bytes(b"a")
    (tmp_path / "invoices" / "Caf\u00e9.pdf").write_bytes(b"a")
    assert refused(tmp_path, name)[::2] == ("BM420", hint)


def test_hidden_files_are_not_attached_since_keys_stand_in_them(tmp_path: Path) -> None:
    (tmp_path / ".ssh").mkdir()
    (tmp_path / ".ssh" / "id.pdf").write_text("a key")
    (tmp_path / ".env").write_text("a key")
    (tmp_path / "link.pdf").symlink_to(".env")
    for name in (".env", ".ssh/id.pdf", "link.pdf"):
        assert refused(tmp_path, name)[:2] == ("BM420", f"`{name}` is a hidden file, and those are not attached")


def test_a_hidden_folder_above_the_batch_does_not_matter(tmp_path: Path) -> None:
    (tmp_path / ".cache").mkdir()
    (tmp_path / ".cache" / "a.pdf").write_bytes(b"a")
    assert found(tmp_path / ".cache", "./a.pdf").size == 1


def test_near_names_are_looked_for_so_often_only(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    asked: list[str] = []

    def guess(base: Path, name: str) -> str:
        asked.append(name)
        return ""

    monkeypatch.setattr(attached, "nearest", guess)
    folder = Folder(tmp_path, Digests())
    told = [folder.look(f"{number}.pdf") for number in range(200)]
    assert len(asked) == 20
    assert {each.hint for each in told if isinstance(each, Unfit)} == {
        "check the name: it is relative to the folder of the batch, whichever file names it"
    }


def test_a_file_under_many_names_is_read_once(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    read: list[int] = []
    real = attached.sha256_of

    def counted(file: io.FileIO) -> str:
        read.append(1)
        return real(file)

    (tmp_path / "a.pdf").write_bytes(b"a")
    for number in range(10):
        (tmp_path / f"{number}.pdf").hardlink_to(tmp_path / "a.pdf")
        (tmp_path / f"link-{number}.pdf").symlink_to("a.pdf")
    monkeypatch.setattr(attached, "sha256_of", counted)
    folder = Folder(tmp_path, Digests())
    for name in sorted(path.name for path in tmp_path.iterdir()):
        assert isinstance(folder.look(name), Attached)
    assert len(read) == 1


@pytest.mark.parametrize("name", ["a\0b", "x" * 300, "a\nb\x1b[2J"])
def test_odd_names_are_shown_safely(name: str, tmp_path: Path) -> None:
    rule, message, _ = refused(tmp_path, name)
    assert rule == "BM420"
    assert message.isprintable()
    assert len(message) < 120


def test_a_file_over_the_limit_is_refused_and_not_read(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    with (tmp_path / "all.zip").open("wb") as file:
        file.truncate(attached.MOST_BYTES + 1)
    monkeypatch.setattr(attached, "sha256_of", lambda file: pytest.fail("it was read"))
    rule, message, _ = refused(tmp_path, "all.zip")
    assert (rule, message) == ("BM422", "`all.zip` has 500,000,001 bytes; a file to be attached may have 500,000,000")


def test_a_file_is_read_once_as_long_as_it_is_the_same(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    read: list[int] = []
    real = attached.sha256_of

    def counted(file: io.FileIO) -> str:
        read.append(1)
        return real(file)

    monkeypatch.setattr(attached, "sha256_of", counted)
    path = tmp_path / "a.pdf"
    path.write_bytes(b"one")
    digests = Digests()
    first = [Folder(tmp_path, digests).look(name) for name in ("a.pdf", "a.pdf", "./a.pdf")]
    assert len(read) == 1
    path.write_bytes(b"two")
    os.utime(path, ns=(1, 1))
    second = Folder(tmp_path, digests).look("a.pdf")
    assert len(read) == 2
    assert isinstance(second, Attached)
    assert isinstance(first[0], Attached)
    assert second.digest != first[0].digest


def test_a_file_that_is_being_written_is_refused(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    path = tmp_path / "a.pdf"
    path.write_bytes(b"one")
    real = attached.sha256_of

    def slow(file: io.FileIO) -> str:
        told = real(file)
        with path.open("ab") as more:
            more.write(b"more")
        return told

    monkeypatch.setattr(attached, "sha256_of", slow)
    assert refused(tmp_path, "a.pdf")[1] == "`a.pdf` is being written"


def test_what_is_known_stays_bounded() -> None:
    kept: attached.Kept[int, str] = attached.Kept(2)
    for number in range(3):
        kept.put(number, str(number))
        kept.get(0)
    assert [kept.get(number) for number in range(3)] == ["0", None, "2"], "what is asked for stays"


# -- on its way out ---------------------------------------------------------------------------------------------------


def test_a_touched_file_that_holds_the_same_may_still_be_sent(tmp_path: Path) -> None:
    path = tmp_path / "a.pdf"
    path.write_bytes(b"one")
    upload = upload_of(path)
    assert is_untouched(upload)
    os.utime(path, ns=(1, 1))
    assert not is_untouched(upload)
    assert holds_the_same(upload)
    path.write_bytes(b"two")
    assert not holds_the_same(upload)
    path.unlink()
    assert not is_untouched(upload)
    assert not holds_the_same(upload)


def test_a_file_is_sent_in_pieces_and_only_once(tmp_path: Path) -> None:
    path = tmp_path / "a.pdf"
    path.write_bytes(bytes(range(256)) * 4000)
    with Sent(upload_of(path)) as sent:
        assert sent.seek(0) == 0
        pieces = []
        while piece := sent.read():
            pieces.append(piece)
        assert b"".join(pieces) == path.read_bytes()
        assert max(map(len, pieces)) == attached.CHUNK
        with pytest.raises(OSError, match="once"):
            sent.seek(0)
        assert not sent.changed


@pytest.mark.parametrize(
    "after", [b"x" * 1000, b"ab" * 500, b"b"], ids=["same size", "same size, at its end", "shorter"]
)
def test_the_last_bytes_of_a_file_that_changed_on_its_way_are_never_handed_over(after: bytes, tmp_path: Path) -> None:
    path = tmp_path / "a.pdf"
    path.write_bytes(b"ab" * 499 + b"cd")
    with Sent(upload_of(path)) as sent:
        assert sent.read(10) == b"ab" * 5
        path.write_bytes(after)
        with pytest.raises(OSError, match="changed"):
            while sent.read(300):
                pass
        assert sent.changed


def test_a_file_that_has_another_size_is_not_even_begun(tmp_path: Path) -> None:
    path = tmp_path / "a.pdf"
    path.write_bytes(b"one")
    upload = upload_of(path)
    path.write_bytes(b"three")
    with pytest.raises(OSError, match="changed"):
        Sent(upload)
