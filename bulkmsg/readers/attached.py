"""The door to the files that messages carry: whether they may be sent from here, how large they are, what they hold.

Only regular files inside the batch's folder are ever opened, wherever a path or a link leads.
"""

from __future__ import annotations

import hashlib
import io
import os
import stat
import unicodedata
from collections import OrderedDict
from collections.abc import Iterator
from dataclasses import dataclass
from difflib import get_close_matches
from itertools import islice
from pathlib import Path
from typing import Generic, TypeVar

from bulkmsg.message import Upload
from bulkmsg.readers.files import KINDS
from bulkmsg.readers.text import shown

# The helpdesk documents no limit, only that there is one: 413 (Gorgias reference, "Errors"). A file over half a
# gigabyte is a mistake, such as an archive of all files, and is found before anybody has waited for its upload.
MOST_BYTES = 500_000_000
CHUNK = 1 << 18

_LOOKS_KEPT = 4096  # names whose file was looked at in one reading
_MARKS_KEPT = 50_000  # files whose content is known as long as the file system says that they are the same
_MOST_NAMES = 5_000  # of a folder, among which a misspelt name is looked for

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
        self._known: Kept[tuple[str, Mark], str] = Kept(_MARKS_KEPT)

    def of(self, path: str, file: io.FileIO) -> tuple[Mark, str]:
        """The mark and the sha256 in hex of an open file."""
        mark = mark_of(file)
        known = self._known.get((path, mark))
        return mark, known or self._known.put((path, mark), _sha256(file))


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
        self._real: str | None = None

    def look(self, name: str) -> Attached | Unfit:
        """The file of that name, or why it cannot be attached (BM420 to BM422). Never waits for a pipe or a device."""
        known = self._looks.get(name)
        return known or self._looks.put(name, self._look(name))

    def _look(self, name: str) -> Attached | Unfit:
        if name.startswith(("/", "\\")) or ".." in name.replace("\\", "/").split("/") or name[1:3] in (":\\", ":/"):
            return _outside(name, "")
        try:
            path = os.path.realpath(self._base / name)
            if not self._holds(path):
                return _outside(name, ", through a link")
            with open_regular(path) as file:
                return self._measure(name, path, file)
        except (OSError, ValueError) as error:
            return self._unusable(name, error)

    def _holds(self, path: str) -> bool:
        if self._real is None:
            self._real = os.path.realpath(self._base)
        return os.path.commonpath([self._real, path]) == self._real

    def _measure(self, name: str, path: str, file: io.FileIO) -> Attached | Unfit:
        size = os.fstat(file.fileno()).st_size
        if size > MOST_BYTES:
            said = f"`{shown(name)}` has {size:,} bytes; a file to be attached may have {MOST_BYTES:,}"
            hint = "put it on the web and write its address in the text, or make it smaller"
            return Unfit("BM422", said, hint)
        mark, digest = self._digests.of(path, file)
        if mark != mark_of(file):
            hint = "wait until whatever writes it has ended, then run the same command again"
            return Unfit("BM420", f"`{shown(name)}` is being written", hint)
        return Attached(path, digest, size, mark)

    def _unusable(self, name: str, error: Exception) -> Unfit:
        label = shown(name)
        if isinstance(error, NotRegular):
            return Unfit("BM420", f"`{label}` is {error.kind}, not a file", "name a regular file")
        if isinstance(error, FileNotFoundError | NotADirectoryError):
            near = nearest(self._base, name)
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


def is_untouched(upload: Upload) -> bool:
    """Whether the file system says that a file is the same as when the batch was read."""
    try:
        with open_regular(upload.path) as file:
            return mark_of(file) == upload.mark
    except OSError:
        return False


def holds_the_same(upload: Upload) -> bool:
    """Whether a file still holds what it held when the batch was read; reads all of it."""
    try:
        with open_regular(upload.path) as file:
            return _sha256(file) == upload.digest
    except OSError:
        return False


def _sha256(file: io.FileIO) -> str:
    file.seek(0)
    found = hashlib.sha256()
    while data := file.read(CHUNK):
        found.update(data)
    return found.hexdigest()


class Sent(io.RawIOBase):
    """A file on its way out: its last bytes are handed over only if all of it is what was read with the batch.

    Attributes:
        changed: it was not, so whoever was to get it got a part that it cannot take for a whole.

    Raises (when it is made and when it is read):
        OSError: it cannot be read, or was changed.
    """

    def __init__(self, upload: Upload) -> None:
        super().__init__()
        self._upload = upload
        self._hash = hashlib.sha256()
        self._left = upload.size
        self.changed = False
        self._file = open_regular(upload.path)
        if os.fstat(self._file.fileno()).st_size != upload.size:
            self._file.close()
            raise self._stale()

    def readable(self) -> bool:
        return True

    def fileno(self) -> int:
        return self._file.fileno()

    def tell(self) -> int:
        return self._file.tell()

    def seek(self, offset: int, whence: int = os.SEEK_SET) -> int:
        """To the beginning only, where sending begins."""
        if (offset, whence) != (0, os.SEEK_SET) or self._left != self._upload.size:
            raise OSError("sent once, from its beginning")
        return self._file.seek(0)

    def read(self, size: int = -1) -> bytes:
        """The next bytes, never all of a large file."""
        data = self._file.read(min(CHUNK if size < 0 else size, CHUNK, self._left))
        self._hash.update(data)
        self._left -= len(data)
        if (not data or not self._left) and (self._left or self._hash.hexdigest() != self._upload.digest):
            raise self._stale()
        return data

    def close(self) -> None:
        self._file.close()
        super().close()

    def _stale(self) -> OSError:
        self.changed = True
        return OSError("changed since it was read")


# -- what was meant -----------------------------------------------------------------------------------------------


def nearest(base: Path, name: str) -> str:
    """A hint that names the file or folder that was probably meant; empty where nothing comes near."""
    parts = name.replace("\\", "/").split("/")
    for depth, part in enumerate(parts):
        here = base.joinpath(*parts[:depth])
        if part in ("", ".") or os.path.lexists(here / part):
            continue
        names = list(islice(_names(here), _MOST_NAMES))
        return _meant(base, parts, depth, names)
    return "" if "\\" not in name else f"did you mean `{shown('/'.join(parts))}`?"


def _meant(base: Path, parts: list[str], depth: int, names: list[str]) -> str:
    part, above = parts[depth], "".join(f"{each}/" for each in parts[:depth])
    same = next((each for each in names if _composed(each) == _composed(part)), None)
    if same is not None:
        return "the folder has a name that looks the same and is made of other characters: copy it from there"
    near = next((each for each in names if each.casefold() == part.casefold()), None)
    near = near or next(iter(get_close_matches(part, names, 1, 0.6)), None)
    if near is None:
        return f"the folder `{shown(above or './')}` holds no `{shown(part)}` nor anything like it"
    whole = "/".join([*parts[:depth], near, *parts[depth + 1 :]])
    if os.path.lexists(base / whole):
        return f"did you mean `{shown(whole)}`?"
    return f"did you mean the folder `{shown(above + near)}`?"


def _composed(name: str) -> str:
    return unicodedata.normalize("NFC", name)


def _names(folder: Path) -> Iterator[str]:
    try:
        with os.scandir(folder) as entries:
            yield from (entry.name for entry in entries)
    except OSError:
        return


def _outside(name: str, how: str) -> Unfit:
    hint = "copy the file into the batch's folder, and give its path from there, like invoices/12.pdf"
    return Unfit("BM421", f"`{shown(name)}` leads out of the batch's folder{how}", hint)
