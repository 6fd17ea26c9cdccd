"""Input files of a conversion, one after the other: folders and zip archives are opened, gzip is seen through."""

from __future__ import annotations

import re
import zipfile
import zlib
from collections.abc import Iterator, Sequence
from contextlib import contextmanager
from pathlib import Path
from typing import IO

from bulkmsg.diagnostic import Diagnostic, file_finding
from bulkmsg.readers.files import EXPANSION_FROM, MAX_EXPANSION, open_input
from bulkmsg.readers.text import ByteSource, Unreadable

ZIP_MAGIC = b"PK\x03\x04"
# What unpacking leaves behind on some systems, and what no export is.
_NOT_MEANT = re.compile(r"(^|/)(__MACOSX/|\.[^/]*$)")
_NUMBERS = re.compile(r"(\d+)")


class ZipMember:
    """A file inside a zip archive; `name` shows both."""

    def __init__(self, source: IO[bytes], name: str, packed: int) -> None:
        self.name = name
        self._source = source
        self._most = max(EXPANSION_FROM, MAX_EXPANSION * packed)
        self._read = 0

    def read(self, size: int = -1) -> bytes:
        try:
            data = self._source.read(size)
        except (OSError, EOFError, zlib.error, zipfile.BadZipFile) as error:
            raise Unreadable(_broken(self.name, str(error))) from None
        self._read += len(data)
        if self._read > self._most:
            hint = "if it is really your data, unpack it first and name the result"
            message = f"the archive grows more than {MAX_EXPANSION} times when unpacked"
            raise Unreadable(file_finding("BM107", message, hint, self.name))
        return data


def expanded(paths: Sequence[Path]) -> Iterator[Path]:
    """The files meant by paths: a folder means all files below it, in the order of the numbers in their names."""
    for path in paths:
        if not path.is_dir():
            yield path
            continue
        below = (each for each in path.rglob("*") if each.is_file())
        yield from sorted(
            (each for each in below if not _NOT_MEANT.search(each.relative_to(path).as_posix())),
            key=lambda each: natural(each.relative_to(path).as_posix()),
        )


def natural(name: str) -> list[tuple[int, int, str]]:
    """A key that sorts page-2 before page-10."""
    return [(0, int(part), "") if part.isdigit() else (1, 0, part) for part in _NUMBERS.split(name)]


@contextmanager
def opened(path: Path, name: str) -> Iterator[Iterator[ByteSource | Diagnostic]]:
    """What can be read at `path`: the file itself, or each file inside a zip archive; or why it cannot."""
    file = open_input(path, name, hashed=False)
    if isinstance(file, Diagnostic):
        yield iter([file])
        return
    with file:
        if not _is_zip(path):
            yield iter([file])
            return
    try:
        with zipfile.ZipFile(path) as archive:
            yield _members(archive, name)
    except (zipfile.BadZipFile, NotImplementedError) as error:
        yield iter([_broken(name, str(error))])


def _is_zip(path: Path) -> bool:
    with path.open("rb") as file:
        return file.read(len(ZIP_MAGIC)) == ZIP_MAGIC


def _members(archive: zipfile.ZipFile, name: str) -> Iterator[ByteSource | Diagnostic]:
    files = [each for each in archive.infolist() if not each.is_dir() and not _NOT_MEANT.search(each.filename)]
    for member in sorted(files, key=lambda each: natural(each.filename)):
        label = f"{name}/{member.filename}"
        if member.flag_bits & 1:
            yield file_finding("BM101", f"`{label}` is locked by a password", "unpack the archive first", label)
            continue
        try:
            with archive.open(member) as source:
                yield ZipMember(source, label, member.compress_size)
        except (zipfile.BadZipFile, NotImplementedError, RuntimeError) as error:
            yield _broken(label, str(error))


def _broken(name: str, reason: str) -> Diagnostic:
    hint = "get the file again, and test it with `unzip -t`"
    return file_finding("BM101", f"the zip archive is broken: {reason}", hint, name)
