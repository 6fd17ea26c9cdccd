"""OAuth tokens as they are kept between commands: in files that only their owner can read, for one command at a time.

A refresh token may be replaced each time it is used; the new one is kept here, bound by a hash to the one that the user
gave, so that another one given later counts. Nothing here talks to the helpdesk.
"""

from __future__ import annotations

import asyncio
import fcntl
import os
import stat
from collections.abc import AsyncIterator, Mapping
from contextlib import asynccontextmanager, suppress
from dataclasses import dataclass, field
from hashlib import sha256
from pathlib import Path

from bulkmsg import json_text
from bulkmsg.source import Json

_LONGEST = 65_536
_LOOK_AGAIN = 0.05


@dataclass(frozen=True, slots=True)
class Tokens:
    """What is kept. `expires` is the access token's end in seconds since 1970. Never shown."""

    refresh: str = field(repr=False)
    access: str = field(default="", repr=False)
    expires: float = 0.0


def state_folder(env: Mapping[str, str]) -> Path:
    """The user's folder for state (XDG Base Directory Specification), ours in it."""
    named = env.get("XDG_STATE_HOME", "")
    base = Path(named) if named and Path(named).is_absolute() else Path.home() / ".local" / "state"
    return base / "bulkmsg"


def helpdesk_folder(env: Mapping[str, str], account: str, base_url: str) -> Path:
    """The folder for state of one helpdesk: the account's, or one on this machine that a base URL names by its port.

    Raises:
        RuntimeError: the user has no home folder.
    """
    port = base_url.rstrip("/").rpartition(":")[2]
    return state_folder(env) / (f"loopback-{port}" if port.isdecimal() else account)


def hash_of(secret: str) -> str:
    return sha256(secret.encode()).hexdigest()


@dataclass(frozen=True, slots=True)
class TokenFile:
    """The file of one account's tokens.

    Args:
        given: the refresh token that the user gave; empty for a login, which stands for itself.
        source: the user's own file from which it was read; a new refresh token is written there as well.
    """

    path: Path
    given: str = field(default="", repr=False)
    source: Path | None = None

    def read(self) -> Tokens | None:
        """What is kept of the given refresh token; None if nothing is, or what is there is not the owner's alone."""
        kept = _object(_bytes_of(self.path))
        refresh = kept.get("refresh_token")
        if not isinstance(refresh, str) or not refresh:
            return None
        if self.given and hash_of(self.given) not in (kept.get("given"), hash_of(refresh)):
            return None
        access, expires = kept.get("access_token"), kept.get("expires")
        known = isinstance(access, str) and isinstance(expires, int | float)
        return Tokens(refresh, str(access), float(expires)) if known else Tokens(refresh)  # type: ignore[arg-type]

    def keep(self, tokens: Tokens) -> None:
        """Keep them, and the refresh token in the user's own file as well if it came from there and changed.

        Raises:
            OSError: they could not be kept; what was kept before still is.
        """
        record: Json = {
            "v": 1,
            "given": hash_of(self.given) if self.given else None,
            "refresh_token": tokens.refresh,
            "access_token": tokens.access,
            "expires": tokens.expires,
        }
        old = self.read()
        make_private(self.path.parent)
        replace_file(self.path, json_text.dumps(record) + b"\n")
        if self.source is not None and tokens.refresh != self.given:
            self._update(self.source, {self.given, old.refresh if old else ""}, tokens.refresh)

    def _update(self, source: Path, known: set[str], refresh: str) -> None:
        """Write the new refresh token where the old one came from, unless somebody put another one there meanwhile.
        A file that cannot be written stays as it is: it is bound to what is kept here."""
        with suppress(OSError, UnicodeDecodeError):
            path = source.resolve()
            if path.read_bytes()[:_LONGEST].decode().rstrip("\r\n") in known:
                replace_file(path, refresh.encode() + b"\n")

    @asynccontextmanager
    async def alone(self, seconds: float) -> AsyncIterator[bool]:
        """Keep other commands out meanwhile; says whether they are.

        Raises:
            TimeoutError: another one has been at it for so long.
        """
        descriptor = self._open_lock()
        try:
            if descriptor is not None:
                await _locked(descriptor, seconds)
            yield descriptor is not None
        finally:
            if descriptor is not None:
                os.close(descriptor)

    def _open_lock(self) -> int | None:
        """None where nothing can be kept: no other command finds anything there either."""
        with suppress(OSError):
            make_private(self.path.parent)
            return os.open(self.path.with_suffix(".lock"), os.O_RDWR | os.O_CREAT | os.O_CLOEXEC, 0o600)
        return None


async def _locked(descriptor: int, seconds: float) -> None:
    async with asyncio.timeout(seconds):
        while True:
            try:
                fcntl.flock(descriptor, fcntl.LOCK_EX | fcntl.LOCK_NB)
            except BlockingIOError:
                await asyncio.sleep(_LOOK_AGAIN)
            else:
                return


def make_private(folder: Path) -> None:
    """The folder, for its owner alone."""
    folder.mkdir(mode=0o700, parents=True, exist_ok=True)


def replace_file(path: Path, content: bytes) -> None:
    """Put a file that only its owner can read in the place of another: the old or the new one stands there, whole.

    Raises:
        OSError: it could not be written; the old one stands there.
    """
    aside = path.with_name(f".{path.name}.{os.getpid()}.new")
    with suppress(FileNotFoundError):
        aside.unlink()
    try:
        _write_new(aside, content)
        aside.replace(path)
    except BaseException:
        with suppress(OSError):
            aside.unlink()
        raise
    folder = os.open(path.parent, os.O_RDONLY | os.O_DIRECTORY | os.O_CLOEXEC)
    try:
        os.fsync(folder)
    finally:
        os.close(folder)


def _write_new(path: Path, content: bytes) -> None:
    descriptor = os.open(path, os.O_WRONLY | os.O_CREAT | os.O_EXCL | os.O_NOFOLLOW | os.O_CLOEXEC, 0o600)
    try:
        if os.write(descriptor, content) != len(content):
            raise OSError("the file could be written in part only")
        os.fsync(descriptor)
    finally:
        os.close(descriptor)


def _bytes_of(path: Path) -> bytes:
    """The content of a regular file of our own that nobody else can read or write; else nothing."""
    with suppress(OSError):
        descriptor = os.open(path, os.O_RDONLY | os.O_NONBLOCK | os.O_NOFOLLOW | os.O_CLOEXEC)
        try:
            found = os.fstat(descriptor)
            if stat.S_ISREG(found.st_mode) and found.st_uid == os.geteuid() and not found.st_mode & 0o077:
                return os.read(descriptor, _LONGEST)
        finally:
            os.close(descriptor)
    return b""


def _object(content: bytes) -> dict[str, Json]:
    try:
        value = json_text.loads(content)
    except json_text.JSONDecodeError:
        return {}
    return value if isinstance(value, dict) else {}
