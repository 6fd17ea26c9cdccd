"""Attached files on their way out: what leaves is what was read with the batch, or it never leaves whole."""

from __future__ import annotations

import hashlib
import io
import os

from bulkmsg.message import Upload
from bulkmsg.readers.attached import CHUNK, mark_of, open_regular, sha256_of


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
            return sha256_of(file) == upload.digest
    except OSError:
        return False


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
