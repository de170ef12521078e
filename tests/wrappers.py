"""Stores around a store: one that notes what is asked of it, one that fails at the n-th call.

And a store in memory that keeps older versions, so that a purge has something to do.
"""

from __future__ import annotations

from collections import Counter
from functools import partial
from threading import Lock
from typing import TYPE_CHECKING, Literal

from ledger.errors import OutcomeUnknown
from ledger.stores import MemoryStore
from ledger.stores.base import Blob, Store

if TYPE_CHECKING:
    from collections.abc import Callable, Iterator

    from ledger.errors import LedgerError
    from ledger.stores.base import IsUnwanted

Operation = Literal["get", "create", "replace", "list", "delete", "purge"]


class KeepingStore(MemoryStore):
    """Keeps what is replaced or deleted, as a bucket with versioning does, until it is purged."""

    def __init__(self) -> None:
        super().__init__()
        self.older: list[tuple[str, bytes]] = []

    def replace(self, key: str, data: bytes, expected: str) -> str:
        older = self.get(key)
        version = super().replace(key, data, expected)
        self._keep(key, older)
        return version

    def delete(self, key: str) -> None:
        older = self.get(key)
        super().delete(key)
        self._keep(key, older)

    def _keep(self, key: str, older: Blob | None) -> None:
        if older is not None:
            self.older.append((key, older.data))

    def purge(self, prefix: str, is_unwanted: IsUnwanted) -> tuple[str, ...]:
        for found in list(self.older):
            key, data = found
            if key.startswith(prefix) and is_unwanted(key, partial(bytes, data)):
                self.older = [each for each in self.older if each != found]
        return ()


def holding(store: Store, text: bytes) -> list[str]:
    """The keys of all objects in which a text is; a key comes again for each older version."""
    there = [(key, blob.data) for key, blob in store.get_many(list(store.list())) if blob]
    older = store.older if isinstance(store, KeepingStore) else []
    return sorted(key for key, data in [*there, *older] if text in data)


class Wrapper(Store):
    """Passes every call on to another store; ``get_many`` and ``create_many`` one by one."""

    def __init__(self, inner: Store) -> None:
        self.inner = inner
        self.url = inner.url

    def called(self, operation: Operation, key: str) -> None:
        """Hear of a call, before it is passed on."""

    def returned(self, operation: Operation, key: str) -> None:
        """Hear of a call that has succeeded, before its answer is given."""

    def get(self, key: str) -> Blob | None:
        self.called("get", key)
        answer = self.inner.get(key)
        self.returned("get", key)
        return answer

    def create(self, key: str, data: bytes) -> str:
        self.called("create", key)
        answer = self.inner.create(key, data)
        self.returned("create", key)
        return answer

    def replace(self, key: str, data: bytes, expected: str) -> str:
        self.called("replace", key)
        answer = self.inner.replace(key, data, expected)
        self.returned("replace", key)
        return answer

    def list(self, prefix: str = "", *, after: str = "", delimiter: str = "") -> Iterator[str]:
        self.called("list", prefix)
        return self.inner.list(prefix, after=after, delimiter=delimiter)

    def delete(self, key: str) -> None:
        self.called("delete", key)
        self.inner.delete(key)
        self.returned("delete", key)

    def purge(self, prefix: str, is_unwanted: IsUnwanted) -> tuple[str, ...]:
        """Pass it on; every older version is a call of its own."""

        def asked(key: str, read: Callable[[], bytes]) -> bool:
            self.called("purge", key)
            return is_unwanted(key, read)

        left = self.inner.purge(prefix, asked)
        self.returned("purge", prefix)
        return left

    def make_durable(self, *keys: str) -> None:
        self.inner.make_durable(*keys)


class CountingStore(Wrapper):
    """Notes every call."""

    def __init__(self, inner: Store) -> None:
        super().__init__(inner)
        self.calls: list[tuple[str, str]] = []
        self._lock = Lock()

    def called(self, operation: Operation, key: str) -> None:
        with self._lock:
            self.calls.append((operation, key))

    def during(self, work: Callable[[], object]) -> list[tuple[str, str]]:
        """The calls that some work takes."""
        start = len(self.calls)
        work()
        return self.calls[start:]

    def reads(self, work: Callable[[], object]) -> int:
        """How many objects some work reads; it lists and writes nothing."""
        counts = Counter(operation for operation, _ in self.during(work))
        assert counts.keys() <= {"get"}, counts
        return counts["get"]


class FailingStore(Wrapper):
    """Fails at the n-th call (0 is the first), once: before it takes effect, or after.

    ``after`` is the lost answer: the write happened, and the caller hears that nobody can tell.
    """

    def __init__(
        self,
        inner: Store,
        failing: int | None,
        *,
        after: bool = False,
        error: type[LedgerError] = OutcomeUnknown,
        operations: tuple[Operation, ...] = ("create", "replace"),
    ) -> None:
        super().__init__(inner)
        self.failing = failing
        self.after = after
        self.error = error
        self.operations = operations
        self.count = 0
        self.failed = False

    def called(self, operation: Operation, key: str) -> None:
        if not self.after:
            self._count(operation, key)

    def returned(self, operation: Operation, key: str) -> None:
        if self.after:
            self._count(operation, key)

    def _count(self, operation: Operation, key: str) -> None:
        if operation in self.operations:
            self.count += 1
            if self.count - 1 == self.failing:
                self.failed = True
                raise self.error(f"{operation} {key}: the connection was reset")


class CrashError(BaseException):
    """The process ends here: no code of ours sees this."""


class CrashingStore(FailingStore):
    """The process dies at the n-th write, before or after it takes effect."""

    def __init__(self, inner: Store, failing: int | None, *, after: bool = False) -> None:
        super().__init__(inner, failing, after=after)

    def _count(self, operation: Operation, key: str) -> None:
        try:
            super()._count(operation, key)
        except OutcomeUnknown as error:
            raise CrashError(str(error)) from None
