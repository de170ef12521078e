"""Read each object of a remote store once for an answer, however many parts of it need it."""

from __future__ import annotations

from collections import deque
from contextlib import contextmanager
from threading import local
from typing import TYPE_CHECKING, Any

if TYPE_CHECKING:
    from collections.abc import Iterable, Iterator

    from ledger.stores.base import Blob, Store

MOST_BYTES = 8 << 20
"""Bytes that are kept for one answer. What comes after these is read as often as it is needed."""


class ReadOnce:
    """A store that remembers what one thread has read, between the ends of a ``with once()``.

    An answer is then about one state of the store, and waits for it once. A thread that writes must
    not be in such a block.
    """

    def __init__(self, store: Store) -> None:
        self.store = store
        self._local = local()

    def __getattr__(self, name: str) -> Any:
        return getattr(self.store, name)

    def __reduce__(self) -> str | tuple[Any, ...]:
        return self.store.__reduce__()

    @contextmanager
    def once(self) -> Iterator[None]:
        """Remember from now on what this thread reads, if the store is remote."""
        if self.store.concurrency > 1:
            self._local.known = _Known()
        try:
            yield
        finally:
            self._local.known = None

    def forget(self) -> None:
        """Read anew whatever this thread asks for from now on."""
        if self._known is not None:
            self._local.known = _Known()

    @property
    def _known(self) -> _Known | None:
        return getattr(self._local, "known", None)

    def get(self, key: str) -> Blob | None:
        """The object, or None, as it was when this thread read it first."""
        known = self._known
        if known is None:
            return self.store.get(key)
        if key not in known:
            known.keep(key, blob := self.store.get(key))
            return blob
        return known[key]

    def get_many(self, keys: Iterable[str]) -> Iterator[tuple[str, Blob | None]]:
        """Every key with what ``get`` answers; only what is not known is asked for."""
        known = self._known
        return self.store.get_many(keys) if known is None else self._get_many(keys, known)

    def _get_many(self, keys: Iterable[str], known: _Known) -> Iterator[tuple[str, Blob | None]]:
        waiting: deque[str] = deque()

        def unknown() -> Iterator[str]:
            for key in keys:
                waiting.append(key)
                if key not in known:
                    yield key

        for key, blob in self.store.get_many(unknown()):
            while waiting[0] != key:
                yield (first := waiting.popleft()), known[first]
            known.keep(waiting.popleft(), blob)
            yield key, blob
        for key in waiting:
            yield key, known[key]


class _Known(dict[str, "Blob | None"]):
    room = MOST_BYTES

    def keep(self, key: str, blob: Blob | None) -> None:
        size = len(blob.data) if blob else 0
        if size <= self.room:
            self.room -= size
            self[key] = blob
