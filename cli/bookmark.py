"""Keep how far a subscriber has come in the feed: ``ledger changes --state FILE``."""

from __future__ import annotations

from contextlib import contextmanager
from pathlib import Path
from typing import IO, TYPE_CHECKING

import msgspec

from ledger import ConflictError, Ledger, MalformedError, StoreError, TrustError
from ledger.errors import StoreUnavailable
from ledger.local.files import lock_file, read_own, write_file

if TYPE_CHECKING:
    from collections.abc import Iterator

FORMAT = 1
MOST = 1 << 20
"""Bytes; a checkpoint with the lines of many witnesses is a few thousand."""
DECIDE = "bring back a copy of it; or move it away, and name the leaf to begin after with --after"


class Bookmark(msgspec.Struct, frozen=True, forbid_unknown_fields=True):
    """How far a subscriber has come, and the log that it saw."""

    checkpoint: str
    """The note of the newest checkpoint that was seen; it is for the reader to check."""
    leaf: int | None
    """The last leaf that is done; None: none is."""
    origin: str
    format: int = FORMAT


class BookmarkFile:
    """The file with a bookmark, which one process uses at a time."""

    def __init__(self, path: Path, origin: str, lock: IO[bytes]) -> None:
        self.path = path
        self._origin = origin
        self._lock = lock

    @property
    def descriptor(self) -> int:
        """What holds the lock; a process that inherits it holds the lock as well."""
        return self._lock.fileno()

    @classmethod
    @contextmanager
    def open(cls, path: Path, ledger: Ledger) -> Iterator[BookmarkFile]:
        """Lock the file; raises ConflictError if another process uses it, and StoreUnavailable."""
        ledger.store.check_outside(path)
        try:
            lock = lock_file(path.with_name(f"{path.name}.lock"), wait=False)
        except BlockingIOError:
            raise ConflictError(
                f"{path} is in use by another process",
                hint="each subscriber needs a file of its own; after a crash, a command that"
                " --exec began may still be running",
            ) from None
        except OSError as error:
            raise StoreUnavailable(f"cannot lock {path}: {error.strerror}") from error
        with lock:
            yield cls(path, ledger.origin, lock)

    def read(self) -> Bookmark | None:
        """Return the bookmark, or None if there is none yet.

        Raises MalformedError, StoreUnavailable, or TrustError if it is of another ledger, or if
        others can write to the file.
        """
        try:
            found = msgspec.json.decode(read_own(self.path, MOST), type=Bookmark)
        except FileNotFoundError:
            return None
        except OSError as error:
            raise StoreUnavailable(f"cannot read {self.path}: {error.strerror}") from error
        except msgspec.DecodeError as error:
            raise self._malformed(str(error)) from error
        if found.format != FORMAT:
            raise self._malformed(f"its format is {found.format}, and this knows {FORMAT}")
        if found.leaf is not None and found.leaf < 0:
            raise self._malformed(f"{found.leaf} is not a leaf")
        if found.origin != self._origin:
            raise TrustError(
                f"{self.path} is about {found.origin}, and this ledger is {self._origin}",
                hint="name the store that it is about, or another file",
                reason="wrong-ledger",
            )
        return found

    def write(self, leaf: int | None, checkpoint: bytes) -> None:
        """Replace the bookmark, durably; raises StoreError."""
        bookmark = Bookmark(checkpoint.decode(), leaf, self._origin)
        data = msgspec.json.encode(bookmark) + b"\n"
        try:
            write_file(self.path, data, replace=True, mode=0o600)
        except StoreError as error:
            # No StoreUnavailable: whoever tries again would give it out again and again.
            raise StoreError(f"how far this is can't be recorded: {error}") from error

    def _malformed(self, why: str) -> MalformedError:
        return MalformedError(f"not the state of a subscriber: {self.path}: {why}", hint=DECIDE)
