"""A store in memory: for tests, for embedding, and to show what a store is."""

from __future__ import annotations

from bisect import bisect_left, insort
from itertools import count
from threading import Lock
from typing import TYPE_CHECKING

from ledger.errors import PreconditionFailed
from ledger.format.layout import check_deletable, check_key
from ledger.stores.base import Blob, Store, check_listing, fold

if TYPE_CHECKING:
    from collections.abc import Iterator

PAST_EVERY_KEY = "\x7f"  # sorts after every character a key may have


class MemoryStore(Store):
    """Objects of this process, gone when it ends; every MemoryStore is another one."""

    url = "memory:"

    def __init__(self) -> None:
        self._objects: dict[str, Blob] = {}
        self._keys: list[str] = []  # those of _objects, sorted
        self._lock = Lock()
        self._versions = map(str, count(1))

    def __repr__(self) -> str:
        return f"<MemoryStore of {len(self._keys)} objects>"

    def get(self, key: str) -> Blob | None:
        """The object, or None if there is none."""
        return self._objects.get(key) or self._objects.get(check_key(key))

    def create(self, key: str, data: bytes) -> str:
        """Create the object and return its version; PreconditionFailed if other bytes are there."""
        check_key(key)
        new = self._blob(data)
        with self._lock:
            there = self._objects.setdefault(key, new)
            if there is new:
                insort(self._keys, key)
        if there.data != data:
            raise PreconditionFailed(f"{key} exists already, with other bytes")
        return there.version

    def replace(self, key: str, data: bytes, expected: str) -> str:
        """Replace the object if its version is ``expected``, else raise PreconditionFailed."""
        new = self._blob(data)
        with self._lock:
            there = self._objects.get(key) or self._objects.get(check_key(key))
            if there is None or there.version != expected:
                raise PreconditionFailed(f"{key} is not the version that was to be replaced")
            self._objects[key] = new
        return new.version

    def list(self, prefix: str = "", *, after: str = "", delimiter: str = "") -> Iterator[str]:
        """The keys, as they are now, in order."""
        check_listing(prefix, after, delimiter)
        with self._lock:
            start = bisect_left(self._keys, max(prefix, after))
            keys = self._keys[start : bisect_left(self._keys, prefix + PAST_EVERY_KEY)]
        return (item for item in fold(keys, prefix, delimiter) if item > after)

    def delete(self, key: str) -> None:
        """Delete an object that ``check_deletable`` lets go; others are an InvalidError."""
        check_deletable(key)
        with self._lock:
            if self._objects.pop(key, None):
                del self._keys[bisect_left(self._keys, key)]

    def _blob(self, data: bytes) -> Blob:
        """The object, with a copy of the bytes: a bytearray must not change under the store."""
        return Blob(bytes(data), next(self._versions))
