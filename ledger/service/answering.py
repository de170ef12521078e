"""The store, as the thread sees it that answers a request."""

from __future__ import annotations

from collections import deque
from contextlib import contextmanager
from threading import local
from typing import TYPE_CHECKING, Any

if TYPE_CHECKING:
    from collections.abc import Callable, Iterable, Iterator, Mapping, Sequence

    from ledger.stores.base import Blob, Store

MOST_BYTES = 8 << 20
"""Bytes that are kept for one answer. What comes after these is read as often as it is needed."""

WRITES = {"create", "create_many", "replace", "swap_many", "delete", "purge"}


class AnsweringStore:
    """A store that knows, between the ends of ``with answering()``, what the thread is about.

    It reads each object of a remote store once for an answer, however many parts of it need it, so
    that these are about one state of the store. And it says before the first write that there will
    be one; from then on, it remembers nothing. Other threads notice none of this.
    """

    def __init__(self, store: Store) -> None:
        self.store = store
        self._local = local()

    def __getattr__(self, name: str) -> Any:
        if name in WRITES:
            self._begin_writing()
        return getattr(self.store, name)

    def __reduce__(self) -> str | tuple[Any, ...]:
        return self.store.__reduce__()

    @contextmanager
    def answering(self, begin_writing: Callable[[], None]) -> Iterator[None]:
        """Answer a request. ``begin_writing`` is called before each write, and may raise."""
        self._local.begin_writing = begin_writing
        self._local.known = _Known() if self.store.concurrency > 1 else None
        try:
            yield
        finally:
            self._local.begin_writing = self._local.known = None

    @property
    def known(self) -> Mapping[str, Blob | None]:
        """What was read for this answer."""
        return self._known or {}

    def forget(self) -> None:
        """Read anew whatever this thread asks for from now on."""
        if self._known is not None:
            self._local.known = _Known()

    def _begin_writing(self) -> None:
        begin_writing = getattr(self._local, "begin_writing", None)
        if begin_writing is not None:
            begin_writing()
            self._local.known = None

    @property
    def _known(self) -> _Known | None:
        return getattr(self._local, "known", None)

    def get(self, key: str) -> Blob | None:
        """The object, or None, as it was when it was read for this answer first."""
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

    def list_newest(self, prefix: str, about: int) -> Iterable[Sequence[str]]:
        """The keys that the store listed first."""
        known = self._known
        if known is None:
            return self.store.list_newest(prefix, about)
        if prefix not in known.listed:
            known.listed[prefix] = tuple(self.store.list_newest(prefix, about))
        return known.listed[prefix]

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

    def __init__(self) -> None:
        super().__init__()
        self.listed: dict[str, tuple[Sequence[str], ...]] = {}

    def keep(self, key: str, blob: Blob | None) -> None:
        size = len(blob.data) if blob else 0
        if size <= self.room:
            self.room -= size
            self[key] = blob
