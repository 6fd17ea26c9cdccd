"""The door to the files that messages carry: whether they may be sent from here, how large they are, what they hold.

Only regular files inside the batch's folder are ever opened, wherever a path or a link leads.
"""

from __future__ import annotations

import hashlib
import io
import os
import stat
from collections import OrderedDict
from dataclasses import dataclass
from functools import cached_property
from pathlib import Path
from typing import Generic, TypeVar

from bulkmsg.readers.files import KINDS
from bulkmsg.readers.near_names import nearest
from bulkmsg.readers.text import shown

# The helpdesk documents no limit, only that there is one: 413 (Gorgias reference, "Errors"). A file over half a
# gigabyte is a mistake, such as an archive of all files, and is found before anybody has waited for its upload.
MOST_BYTES = 500_000_000
CHUNK = 1 << 18

_LOOKS_KEPT = 20_000  # names whose file was looked at in one reading
_MARKS_KEPT = 50_000  # files whose content is known as long as the file system says that they are the same
_MOST_GUESSES = 20  # names that are not there for which a near one is looked for: it means reading a folder

K = TypeVar("K")
V = TypeVar("V")
Mark = tuple[int, ...]


class Kept(Generic[K, V]):
    """The newest things known, so many at most."""

    def __init__(self, most: int) -> None:
        self._most = most
        self._known: OrderedDict[K, V] = OrderedDict()

    def get(self, key: K) -> V | None:
        found = self._known.get(key)
        if found is not None:
            self._known.move_to_end(key)
        return found

    def put(self, key: K, value: V) -> V:
        self._known[key] = value
        if len(self._known) > self._most:
            self._known.popitem(last=False)
        return value


@dataclass(frozen=True, slots=True)
class Attached:
    """A file that can be attached; fields as in `Upload`."""

    path: str
    digest: str
    size: int
    mark: Mark


@dataclass(frozen=True, slots=True)
class Unfit:
    """Why a file cannot be attached: the rule that it breaks, what is wrong, what to do."""

    rule: str
    message: str
    hint: str


class Digests:
    """What files hold, read once as long as they are the same, however often the batch is read."""

    def __init__(self) -> None:
        self._known: Kept[Mark, str] = Kept(_MARKS_KEPT)

    def of(self, file: io.FileIO) -> tuple[Mark, str]:
        """The mark and the sha256 in hex of an open file."""
        mark = mark_of(file)
        return mark, self._known.get(mark) or self._known.put(mark, sha256_of(file))


class Folder:
    """The batch's folder, in one reading of the batch: each name in it is looked at once.

    Args:
        base: the folder; names are relative to it, and nothing outside of it is opened.
        digests: shared by the readings of a batch.
    """

    def __init__(self, base: Path, digests: Digests) -> None:
        self._base = base
        self._digests = digests
        self._looks: Kept[str, Attached | Unfit] = Kept(_LOOKS_KEPT)
        self._guesses = 0

    def look(self, name: str) -> Attached | Unfit:
        """The file of that name, or why it cannot be attached (BM420 to BM422). Never waits for a pipe or a device."""
        known = self._looks.get(name)
        return known or self._looks.put(name, self._look(name))

    def _look(self, name: str) -> Attached | Unfit:
        if name.startswith(("/", "\\")) or ".." in name.replace("\\", "/").split("/") or name[1:3] in (":\\", ":/"):
            return _outside(name, "")
        try:
            path = self._resolved(name)
            below = self._below(path)
            if below is None:
                return _outside(name, ", through a link")
            if any(part.startswith(".") for part in below.split("/")):
                return _hidden(name)
            with open_regular(path) as file:
                return self._measure(name, path, file)
        except (OSError, ValueError) as error:
            return self._unusable(name, error)

    @cached_property
    def _real(self) -> str:
        return os.path.realpath(self._base)

    def _resolved(self, name: str) -> str:
        """Where a name leads, every link resolved. Mostly there is none, which a look at each part below the folder
        tells sooner than resolving the folder's own path again for each file."""
        path = self._real
        for part in name.split("/"):
            if part in ("", "."):
                continue
            path = f"{path}/{part}"
            if stat.S_ISLNK(os.lstat(path).st_mode):
                return os.path.realpath(self._base / name)
        return path

    def _below(self, path: str) -> str | None:
        """The way from the folder to a resolved path; None where it does not lie inside. The folder itself is ""."""
        inside = os.path.commonpath([self._real, path]) == self._real
        return path[len(self._real) :].lstrip("/") if inside else None

    def _measure(self, name: str, path: str, file: io.FileIO) -> Attached | Unfit:
        size = os.fstat(file.fileno()).st_size
        if size > MOST_BYTES:
            said = f"`{shown(name)}` has {size:,} bytes; a file to be attached may have {MOST_BYTES:,}"
            hint = "put it on the web and write its address in the text, or make it smaller"
            return Unfit("BM422", said, hint)
        mark, digest = self._digests.of(file)
        if mark != mark_of(file):
            hint = "wait until whatever writes it has ended, then run the same command again"
            return Unfit("BM420", f"`{shown(name)}` is being written", hint)
        return Attached(path, digest, size, mark)

    def _unusable(self, name: str, error: Exception) -> Unfit:
        label = shown(name)
        if isinstance(error, NotRegular):
            return Unfit("BM420", f"`{label}` is {error.kind}, not a file", "name a regular file")
        if isinstance(error, FileNotFoundError | NotADirectoryError):
            self._guesses += 1
            near = nearest(self._base, name) if self._guesses <= _MOST_GUESSES else ""
            hint = near or "check the name: it is relative to the folder of the batch, whichever file names it"
            return Unfit("BM420", f"the file `{label}` does not exist", hint)
        if isinstance(error, PermissionError):
            hint = "give yourself the right to read it: `chmod u+r`"
            return Unfit("BM420", f"the file `{label}` may not be read", hint)
        reason = error.strerror if isinstance(error, OSError) and error.strerror else "its name is no file name"
        return Unfit("BM420", f"the file `{label}` cannot be read: {reason}", "check the name and the disk")


class NotRegular(OSError):
    """What stands there is no regular file; `kind` says what it is."""

    def __init__(self, kind: str) -> None:
        super().__init__(kind)
        self.kind = kind


def open_regular(path: str) -> io.FileIO:
    """A regular file, open for reading; the last part of `path` may be no link.

    Raises:
        OSError: it cannot be opened; `NotRegular` where it is something else.
    """
    _require_regular(os.lstat(path).st_mode)
    handle = os.open(path, os.O_RDONLY | os.O_NONBLOCK | os.O_CLOEXEC | os.O_NOCTTY | os.O_NOFOLLOW)
    try:
        _require_regular(os.fstat(handle).st_mode)  # it may have been replaced between the look and the opening
        return io.FileIO(handle)
    except BaseException:
        os.close(handle)
        raise


def _require_regular(mode: int) -> None:
    if not stat.S_ISREG(mode):
        raise NotRegular(next((kind for test, kind, _ in KINDS if test(mode)), "a link"))


def mark_of(file: io.FileIO) -> Mark:
    """What the file system says of an open file: device, number, size, and when it last changed."""
    told = os.fstat(file.fileno())
    return told.st_dev, told.st_ino, told.st_size, told.st_mtime_ns, told.st_ctime_ns


def sha256_of(file: io.FileIO) -> str:
    file.seek(0)
    found = hashlib.sha256()
    while data := file.read(CHUNK):
        found.update(data)
    return found.hexdigest()


def _outside(name: str, how: str) -> Unfit:
    hint = "copy the file into the batch's folder, and give its path from there, like invoices/12.pdf"
    return Unfit("BM421", f"`{shown(name)}` leads out of the batch's folder{how}", hint)


def _hidden(name: str) -> Unfit:
    # They hold keys and settings more often than anything that is meant for somebody else: .env, .ssh/, .git/.
    hint = "copy it to a name without a dot at its beginning, if it is really meant"
    return Unfit("BM420", f"`{shown(name)}` is a hidden file, and those are not attached", hint)
