"""Which files `validate` is to look at: names, patterns, and standard input kept in a file for a while."""

from __future__ import annotations

import os
import re
import shutil
import stat
import sys
import tempfile
from collections.abc import Iterable, Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from fnmatch import translate
from functools import partial
from pathlib import Path

from bulkmsg.diagnostic import Diagnostic, file_finding
from bulkmsg.errors import UsageError
from bulkmsg.readers.text import shown

STDIN = "-"
# A pattern with `**` may walk over so many names: enough for any folder of batches, and it ends in a second.
MAX_WALK = 200_000
_MAGIC = frozenset("*?[")
_LOGS = (".progress.jsonl", ".progress.jsonl.reserve")
_AT_ONCE = 1 << 20


@dataclass(frozen=True, slots=True)
class Target:
    """A file to look at, or why there is none; `instead` is what to type then, if it is known."""

    name: str
    wrong: Diagnostic | None = None
    instead: str = ""


def targets(words: Iterable[str]) -> Iterator[Target]:
    """The files that words of a command line mean, in their order, each once however it is called.

    A word with `*`, `?` or `[` that is no file's name is a pattern; its files come in the order of their names.

    Raises:
        UsageError: a word is empty.
    """
    seen: set[str] = set()
    for word in words:
        if not word:
            raise UsageError("a name of a batch is empty", "check the variable or the list that it comes from")
        for target in [_named(word)] if _is_plain(word) else _matching(word):
            whole = target.name if target.wrong or target.name == STDIN else str(Path(target.name).resolve())
            if whole not in seen:
                seen.add(whole)
                yield target


def _is_plain(word: str) -> bool:
    return word == STDIN or not _MAGIC & set(word) or _exists(Path(word))


def _exists(path: Path) -> bool:
    try:
        return path.exists() or path.is_symlink()
    except (OSError, ValueError):
        return False


def _named(name: str) -> Target:
    if name == STDIN or not _is_folder(Path(name)):
        return Target(name)
    pattern = str(Path(name, "**", "*.yaml"))
    hint = f"name its batches, like '{pattern}' in quotes"
    return Target(name, file_finding("BM101", f"`{shown(name)}` is a directory, not a file", hint, name), pattern)


def _is_folder(path: Path) -> bool:
    try:
        return path.is_dir()
    except (OSError, ValueError):
        return False


def _matching(pattern: str) -> Iterator[Target]:
    try:
        found = sorted(str(path) for path in set(_Walk().files(pattern)) if not path.name.endswith(_LOGS))
    except _TooMuchError:
        hint = "begin it with the folder that holds the batches, like 'batches/**/*.yaml'"
        message = f"`{shown(pattern)}` would look at more than {MAX_WALK:,} names"
        yield Target(pattern, file_finding("BM101", message, hint, pattern))
        return
    if not found:
        hint = "check the name: it is relative to the current folder, and `**` stands for any folders"
        yield Target(pattern, file_finding("BM101", f"no file matches `{shown(pattern)}`", hint, pattern))
    yield from map(Target, found)


class _TooMuchError(Exception):
    pass


class _Walk:
    """Goes through folders by the parts of a pattern, over so many names at most.

    As in a shell, hidden names are only found by patterns that begin with a dot. Links to folders are not followed
    for `**`: they may lead in a circle.
    """

    def __init__(self) -> None:
        self._left = MAX_WALK

    def files(self, pattern: str) -> Iterator[Path]:
        """The files that fit.

        Raises:
            _TooMuchError: there are too many names to look at.
        """
        parts = tuple(part for part in pattern.split("/") if part not in ("", "."))
        yield from self._below(Path("/" if pattern.startswith("/") else ""), parts)

    def _below(self, folder: Path, parts: tuple[str, ...]) -> Iterator[Path]:
        head, rest = parts[0], parts[1:]
        if head == "**":
            yield from self._below(folder, rest or ("*",))
            for entry in self._entries(folder):
                if entry.is_dir(follow_symlinks=False) and not entry.name.startswith("."):
                    yield from self._below(folder / entry.name, parts)
        elif not _MAGIC & set(head):
            yield from self._step(folder / head, rest)
        else:
            fits = re.compile(translate(head)).match
            for entry in self._entries(folder):
                if fits(entry.name) and entry.name.startswith(".") == head.startswith("."):
                    yield from self._step(folder / entry.name, rest)

    def _step(self, path: Path, rest: tuple[str, ...]) -> Iterator[Path]:
        folder = _is_folder(path)
        if rest and folder:
            yield from self._below(path, rest)
        elif not rest and not folder and _exists(path):
            yield path

    def _entries(self, folder: Path) -> Iterator[os.DirEntry[str]]:
        try:
            with os.scandir(folder) as entries:
                for entry in entries:
                    self._left -= 1
                    if self._left < 0:
                        raise _TooMuchError
                    yield entry
        except OSError:
            return


# -- standard input --------------------------------------------------------------------------------------------------


@contextmanager
def kept_input(name: str) -> Iterator[Path]:
    """What stands on standard input as a file of this name that only its owner can read, gone afterwards.

    A batch is read more than once, which a pipe cannot be.

    Raises:
        UsageError: there is no standard input, or it cannot be kept.
        Interrupted: a signal came, which otherwise would leave the file behind.
    """
    from bulkmsg.app.signals import interruptible  # here: its event loop costs more than checking a small batch

    with interruptible():
        folder = tempfile.mkdtemp(prefix="bulkmsg-")  # 0700
        try:
            path = Path(folder, name)
            _keep(path)
            yield path
        finally:
            shutil.rmtree(folder, ignore_errors=True)


def _keep(path: Path) -> None:
    source = getattr(sys.stdin, "buffer", None)
    if source is None:
        raise UsageError("there is no standard input", "name a file instead of `-`")
    try:
        handle = os.open(path, os.O_WRONLY | os.O_CREAT | os.O_EXCL | os.O_CLOEXEC, stat.S_IRUSR | stat.S_IWUSR)
        with os.fdopen(handle, "wb") as kept:
            # read1, since `read` would ask a terminal for more after Ctrl-D.
            for piece in iter(partial(source.read1, _AT_ONCE), b""):
                kept.write(piece)
    except OSError as error:
        hint = "save it to a file and name that, or set TMPDIR to a folder with room"
        raise UsageError(f"standard input could not be kept: {error.strerror}", hint) from None
