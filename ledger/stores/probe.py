"""Whether a store keeps its promises: tried out when a ledger is made in it.

Some servers ignore conditions, so that one of two writers silently loses an entry. Others keep them
until two writers meet (Ceph with a versioned bucket). Only a trial shows it.
"""

from __future__ import annotations

import secrets
from concurrent.futures import ThreadPoolExecutor
from threading import Barrier
from typing import TYPE_CHECKING

from ledger.errors import (
    LedgerError,
    OutcomeUnknown,
    PreconditionFailed,
    StoreError,
    StoreUnavailable,
    StoreUnsafe,
)
from ledger.format.layout import PROBE

if TYPE_CHECKING:
    from collections.abc import Callable

    from ledger.stores.base import Store

THREADS = 16
ROUNDS = 4
OTHER = "use another server or bucket, one that keeps conditions; on Ceph one without versioning"


def probe(store: Store) -> list[str]:
    """Try the store's conditions, also with many writers at once; StoreUnsafe says which failed.

    Other errors are the store's own. What the probe writes begins with ``_probe/``, under a name of
    its own, and is deleted in the end; returned are the keys of what could not be.
    """
    name = PROBE + secrets.token_hex(8)
    keys = [f"{name}.{number}" for number in range(1 + ROUNDS)]
    try:
        _probe_alone(store, keys[0])
        with ThreadPoolExecutor(THREADS, thread_name_prefix="probe") as pool:
            for key in keys[1:]:
                _race_to_create(store, key, pool)
                _race_to_replace(store, key, pool)
    finally:
        left = [key for key in keys if not _deleted(store, key)]
    return left


def _probe_alone(store: Store, key: str) -> None:
    """One writer: what is created is read, and no condition is ignored."""
    store.create(key, b"first")
    _expect(store, key, b"first", "read after create")
    store.create(key, b"first")
    if not _refused(lambda: store.create(key, b"other")):
        raise _unsafe("create twice", "it let an object be overwritten that was to be created")
    _expect(store, key, b"first", "create twice")

    stale = _version(store, key)
    if _refused(lambda: store.replace(key, b"second", stale)):
        raise _unsafe(
            "swap",
            "it refused the version (ETag) that it had just given itself, "
            "as Ceph 16 and 18 do with quoted ones",
        )
    _expect(store, key, b"second", "swap")
    if not _refused(lambda: store.replace(key, b"third", stale)):
        raise _unsafe("stale swap", "it let an object be replaced by one who had not seen it")
    _expect(store, key, b"second", "stale swap")


def _race_to_create(store: Store, key: str, pool: ThreadPoolExecutor) -> None:
    _race(store, key, "create race", pool, lambda data: store.create(key, data))


def _race_to_replace(store: Store, key: str, pool: ThreadPoolExecutor) -> None:
    seen = _version(store, key)
    _race(store, key, "swap race", pool, lambda data: store.replace(key, data, seen))


def _race(
    store: Store, key: str, test: str, pool: ThreadPoolExecutor, write: Callable[[bytes], str]
) -> None:
    """Let all threads write at once; exactly one may win, and what it wrote must be there."""
    start = Barrier(THREADS)

    def run(number: int) -> tuple[bytes, LedgerError | None]:
        data = f"{test} {number}".encode()
        start.wait()
        try:
            write(data)
        except (PreconditionFailed, OutcomeUnknown, StoreUnavailable) as error:
            return data, error
        return data, None

    try:
        results = list(pool.map(run, range(THREADS)))
    except RuntimeError as error:
        start.abort()  # or the threads that there are would wait for ever
        raise StoreUnavailable(
            f"cannot try whether {store.url} keeps its promises: {error}",
            hint=f"this takes {THREADS} threads: allow this program more of them",
        ) from error
    won = [data for data, error in results if error is None]
    # A loser may get a server's error instead of a refusal (Ceph 18); it may as well have won.
    in_doubt = [data for data, error in results if isinstance(error, OutcomeUnknown)]
    if len(won) > 1:
        raise _unsafe(test, f"{len(won)} of {THREADS} writers at once were all told they had won")
    there = store.get(key)
    if there is None or there.data not in (won or in_doubt):
        busy = [error for _, error in results if isinstance(error, StoreUnavailable)]
        if busy and not won:
            raise busy[0]
        raise _unsafe(test, f"of {THREADS} writers at once, who won was not who wrote")


def _deleted(store: Store, key: str) -> bool:
    try:
        store.delete(key)
    except (StoreError, OutcomeUnknown):
        return False
    return True


def _refused(write: Callable[[], str]) -> bool:
    try:
        write()
    except PreconditionFailed:
        return True
    return False


def _version(store: Store, key: str) -> str:
    there = store.get(key)
    if there is None:
        raise _unsafe("read after write", "what was written is not there")
    return there.version


def _expect(store: Store, key: str, data: bytes, test: str) -> None:
    there = store.get(key)
    if there is None or there.data != data:
        raise _unsafe(test, "what is there afterwards is not what was written")


def _unsafe(test: str, meaning: str) -> StoreUnsafe:
    return StoreUnsafe(f"this store is not safe for a ledger: {test}: {meaning}", hint=OTHER)
