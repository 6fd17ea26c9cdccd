"""The only door to input files: regular files and gzipped ones, as a stream of bytes in bounded memory."""

from __future__ import annotations

import gzip
import hashlib
import io
import os
import stat
import zlib
from collections.abc import Iterator
from pathlib import Path
from types import TracebackType
from typing import Self

from bulkmsg.diagnostic import Diagnostic, file_finding
from bulkmsg.readers.text import CHUNK, Unreadable, shown

GZIP_MAGIC = b"\x1f\x8b"
# Helpdesk exports shrink 5 to 50 times, one text sent to many 200; gzip's limit is about 1,030.
MAX_EXPANSION = 300
EXPANSION_FROM = 4 << 20  # bytes that any archive may hold, whatever its ratio

# What is no regular file: how it is told, what it is called, and what to do.
KINDS = (
    (stat.S_ISDIR, "a directory", "name a file inside it; a glob such as `exports/*.jsonl` works in `from:`"),
    (stat.S_ISFIFO, "a FIFO (a named pipe)", "write it to a regular file first"),
    (stat.S_ISCHR, "a device", "give a regular file"),
    (stat.S_ISBLK, "a device", "give a regular file"),
    (stat.S_ISSOCK, "a socket", "give a regular file"),
)


class InputFile:
    """An open input file: a context manager that reads bytes, decompressed, in order, once.

    `read` raises `Unreadable` when the disk or the archive fails.
    """

    def __init__(self, raw: io.FileIO, name: str, *, hashed: bool = True) -> None:
        self.name = name
        self._raw = raw
        self._hash = hashlib.sha256() if hashed else None
        self._read = 0
        packed = os.pread(raw.fileno(), 2, 0) == GZIP_MAGIC
        self._gzip = gzip.GzipFile(fileobj=raw, mode="rb") if packed else None
        self._source: io.FileIO | gzip.GzipFile = self._gzip or raw

    def read(self, size: int = -1) -> bytes:
        """Up to `size` bytes, b"" only at the end; with -1 all that is left.

        Raises:
            Unreadable: the disk or the archive fails; carries the finding.
        """
        if size < 0:
            return b"".join(self)
        try:
            data = self._source.read(size) or b""
        except (OSError, EOFError, zlib.error) as error:
            raise Unreadable(self._failed(error)) from None
        self._read += len(data)
        if self._gzip and self._read > max(EXPANSION_FROM, MAX_EXPANSION * self._raw.tell()):
            raise Unreadable(self._bomb())
        if self._hash:
            self._hash.update(data)
        return data

    def __iter__(self) -> Iterator[bytes]:
        """Chunks of the rest of the file."""
        while data := self.read(CHUNK):
            yield data

    def digest(self) -> str:
        """The sha256 in hex of the decompressed bytes read so far.

        Raises:
            ValueError: the file was opened with `hashed=False`.
        """
        if self._hash is None:
            raise ValueError("opened without hashing")
        return self._hash.hexdigest()

    def close(self) -> None:
        if self._gzip:
            self._gzip.close()
        self._raw.close()

    def __enter__(self) -> Self:
        return self

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        self.close()

    def _failed(self, error: Exception) -> Diagnostic:
        if self._gzip and not (isinstance(error, OSError) and error.errno):
            reason = "it ends too early" if isinstance(error, EOFError) else "its data are damaged"
            hint = "get the file again, and test it with `gzip -t`"
            return file_finding("BM101", f"the gzip archive is broken: {reason}", hint, self.name)
        return _unreadable(error, self.name)

    def _bomb(self) -> Diagnostic:
        return file_finding(
            "BM107",
            f"the archive grows more than {MAX_EXPANSION} times when unpacked; reading stopped at {self._read:,} bytes",
            "if it is really your data, unpack it first: `gunzip` the file and name the result",
            self.name,
        )


def open_input(path: Path, name: str, *, hashed: bool = True) -> InputFile | Diagnostic:
    """The file at `path`, open, or the finding (BM101) why it cannot be read. `name` is what users see.

    Never waits: a FIFO or a device is named and not opened. Links are followed. `hashed=False` saves the time of
    the sha256 where nobody asks for `digest`.
    """
    try:
        if wrong := _not_a_file(path.stat().st_mode, name):
            return wrong
        handle = os.open(path, os.O_RDONLY | os.O_NONBLOCK | os.O_CLOEXEC | os.O_NOCTTY)
        # It may have been replaced between the look and the opening.
        if wrong := _not_a_file(os.fstat(handle).st_mode, name):
            os.close(handle)
            return wrong
        return InputFile(io.FileIO(handle), name, hashed=hashed)
    except (OSError, ValueError) as error:
        return _unreadable(error, name)


def _not_a_file(mode: int, name: str) -> Diagnostic | None:
    for test, kind, hint in KINDS:
        if test(mode):
            return file_finding("BM101", f"`{shown(name)}` is {kind}, not a file", hint, name)
    return None


def _unreadable(error: Exception, name: str) -> Diagnostic:
    label = shown(name)
    if isinstance(error, FileNotFoundError):
        return file_finding(
            "BM101", f"`{label}` does not exist", "check the name; names are relative to the file that names them", name
        )
    if isinstance(error, PermissionError):
        return file_finding(
            "BM101", f"`{label}` may not be read", "give yourself the right to read it: `chmod u+r`", name
        )
    reason = error.strerror if isinstance(error, OSError) and error.strerror else "its name is no file name"
    return file_finding("BM101", f"`{label}` cannot be read: {reason}", "check the name and the disk", name)
