"""Stores that fail: in every way that a disk, a network or a server does, at any operation."""

from __future__ import annotations

import os
from dataclasses import dataclass, replace
from threading import Lock
from typing import TYPE_CHECKING, Any, Literal

from ledger.errors import (
    NotDurable,
    OutcomeUnknown,
    PreconditionFailed,
    StoreDenied,
    StoreUnavailable,
)
from ledger.stores.base import Blob
from tests.wrappers import CrashError, Wrapper

if TYPE_CHECKING:
    from collections.abc import Callable, Iterator

    from ledger.stores.base import IsUnwanted, Store
    from tests.wrappers import Operation

FAST = "/dev/shm" if os.path.isdir("/dev/shm") else None  # noqa: PTH112 -- as tempfile wants it
"""A folder without a disk: what is forced to a disk here is not what is tried out."""

ALL: tuple[Operation, ...] = ("get", "create", "replace", "list", "delete", "purge")
WRITES: tuple[Operation, ...] = ("create", "replace", "delete", "purge")


@dataclass(frozen=True)
class Fault:
    """A way in which an operation fails.

    before: it does not happen, and raises. after: it happens, and raises all the same. answer: it
    happens, and its answer is another one. meanwhile: it is late, and somebody else is first.
    """

    name: str
    how: Literal["before", "after", "answer", "meanwhile"]
    error: type[BaseException] | None = None
    operations: tuple[Operation, ...] = ALL
    change: Callable[[Any], Any] | None = None
    for_good: bool = False
    """All later operations fail, too, till somebody mends the store."""

    def __repr__(self) -> str:
        return self.name

    def lasting(self) -> Fault:
        return replace(self, name=f"{self.name}-for-good", for_good=True)

    def at(
        self, number: int, store: Store, meanwhile: Callable[[], object] = lambda: None
    ) -> FaultyStore:
        """A store whose n-th operation (0 is the first) of those that can, fails so."""
        return FaultyStore(store, self, number, meanwhile)


class FaultyStore(Wrapper):
    """Passes every call on, and fails at one of them; ``failed`` says whether it came to it."""

    def __init__(
        self, inner: Store, fault: Fault, number: int, meanwhile: Callable[[], object]
    ) -> None:
        super().__init__(inner)
        self.failed = False
        self.struck: list[tuple[Operation, str]] = []
        """The operations that failed, and on which keys."""
        self._fault = fault
        self._number = number
        self._meanwhile = meanwhile
        self._count = 0
        self._lock = Lock()

    def get(self, key: str) -> Blob | None:
        return self._do("get", key, lambda: self.inner.get(key))

    def create(self, key: str, data: bytes) -> str:
        return self._do("create", key, lambda: self.inner.create(key, data))

    def replace(self, key: str, data: bytes, expected: str) -> str:
        return self._do("replace", key, lambda: self.inner.replace(key, data, expected))

    def list(self, prefix: str = "", *, after: str = "", delimiter: str = "") -> Iterator[str]:
        def listed() -> list[str]:
            return list(self.inner.list(prefix, after=after, delimiter=delimiter))

        return iter(self._do("list", prefix, listed))

    def delete(self, key: str) -> None:
        self._do("delete", key, lambda: self.inner.delete(key))

    def purge(self, prefix: str, is_unwanted: IsUnwanted) -> tuple[str, ...]:
        """Fail as a whole, or half done: at one of the older versions."""

        def asked(key: str, read: Callable[[], bytes]) -> bool:
            return bool(self._do("purge", key, lambda: is_unwanted(key, read)))

        left: tuple[str, ...] = self._do("purge", prefix, lambda: self.inner.purge(prefix, asked))
        return left

    def _do(self, operation: Operation, key: str, act: Callable[[], Any]) -> Any:
        fault, hit = self._fault, self._is_hit(operation, key)
        if hit and fault.how == "before":
            self._raise(operation, key)
        if hit and fault.how == "meanwhile":
            self._meanwhile()
        answer = act()
        if hit and fault.how == "after":
            self._raise(operation, key)
        if hit and fault.change is not None and answer is not None:
            return fault.change(answer)
        return answer

    def _is_hit(self, operation: Operation, key: str) -> bool:
        if operation not in self._fault.operations:
            return False
        with self._lock:
            past = self._count - self._number
            self._count += 1
            hit = past == 0 or (past > 0 and self._fault.for_good)
            self.failed = self.failed or hit
            if hit:
                self.struck.append((operation, key))
        return hit

    def _raise(self, operation: str, key: str) -> None:
        assert self._fault.error is not None
        raise self._fault.error(f"{operation} {key}: {self._fault.name}")


def _answered(change: Callable[[bytes], bytes]) -> Callable[[Blob], Blob]:
    return lambda blob: Blob(change(blob.data), blob.version)


CRASH_BEFORE = Fault("crash-before", "before", CrashError)
CRASH_AFTER = Fault("crash-after", "after", CrashError, WRITES)
REFUSED = Fault("refused", "before", StoreUnavailable)
DENIED = Fault("denied", "before", StoreDenied)
UNKNOWN_AND_NOT_DONE = Fault("unknown-and-not-done", "before", OutcomeUnknown)
UNKNOWN_AND_DONE = Fault("unknown-and-done", "after", OutcomeUnknown, WRITES)
NOT_DURABLE = Fault("not-durable", "after", NotDurable, WRITES)
# Ceph answers so to whoever comes at the same moment, and any server whose first answer was lost.
CONFLICT = Fault("conflict", "before", PreconditionFailed, ("create", "replace"))
CONFLICT_AND_DONE = Fault("conflict-and-done", "after", PreconditionFailed, ("replace",))
DELAYED = Fault("delayed", "meanwhile")
CUT = Fault("cut-answer", "answer", operations=("get",), change=_answered(lambda d: d[:-1]))
EMPTY = Fault("empty-answer", "answer", operations=("get",), change=_answered(lambda d: b""))
OTHER = Fault("other-answer", "answer", operations=("get",), change=_answered(lambda d: b"<html>"))
FLIPPED = Fault(
    "flipped-bit",
    "answer",
    operations=("get",),
    change=_answered(lambda d: d[:-9] + bytes([d[-9] ^ 1]) + d[-8:] if len(d) > 9 else b"?"),
)
STALE_LISTING = Fault(
    "stale-listing", "answer", operations=("list",), change=lambda keys: keys[:-1]
)

FAULTS = [
    CRASH_BEFORE,
    CRASH_AFTER,
    REFUSED,
    UNKNOWN_AND_NOT_DONE,
    UNKNOWN_AND_DONE,
    NOT_DURABLE,
    DENIED,
    CONFLICT,
    CONFLICT_AND_DONE,
    DELAYED,
    CUT,
    EMPTY,
    OTHER,
    FLIPPED,
    STALE_LISTING,
]
LASTING = [fault.lasting() for fault in FAULTS if fault.how != "meanwhile"]
