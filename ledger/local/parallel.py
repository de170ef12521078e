"""Work in chunks on an executor, with the results in order and few chunks in memory.

Threads are the default: checking a signature, the bulk of the work, releases the interpreter's
lock. ``ledger.local.processes`` is for work that does not, and so is a cluster of machines.
"""

from __future__ import annotations

import os
import sys
from collections import deque
from functools import cache, lru_cache
from itertools import chain, islice
from threading import Lock
from typing import TYPE_CHECKING, Any, Generic, TypeVar

from ledger.errors import UnsupportedFormatError

if TYPE_CHECKING:
    from collections.abc import Callable, Generator, Iterable, Iterator
    from concurrent.futures import Executor, Future

CHUNK = 250
"""Items in a task. With so many, the cost of handing a task over does not show."""

CHUNK_BYTES = 4 << 20
"""The weight at which a chunk ends, so that large items do not pile up in memory."""

SHARED = 4
"""Values of ``Shared`` that a process keeps."""

ENGINE = "distributed"
"""The package of an executor that has errors of its own for a worker that was lost: Dask's."""

T = TypeVar("T")
R = TypeVar("R")


class Shared(Generic[T]):
    """What every task needs: pickled once, and unpickled once in each process that has a task.

    So a store is opened, and a log searched, once in a process and not in every task. Other
    software refuses it: it may check less.
    """

    def __init__(self, value: T) -> None:
        self._name = os.urandom(16)  # nothing is kept from one verification for the next
        self._software = ""
        self._pickled = b""
        self._value: T | None = value
        self._lock = Lock()

    def __reduce__(self) -> tuple[Any, ...]:
        import pickle

        with self._lock:
            self._software = self._software or software()
            self._pickled = self._pickled or pickle.dumps(self._value)
        return _arrived, (self._name, self._software, self._pickled)

    @property
    def value(self) -> T:
        """The value. In another process it is unpickled here, where an error is the task's."""
        import pickle

        with self._lock:
            if self._value is None:
                if self._software != software():
                    raise other_software("a worker", software(), self._software)
                # Whoever can change these bytes can change the task, which is code, too.
                self._value = pickle.loads(self._pickled)  # noqa: S301
            return self._value


@lru_cache(maxsize=SHARED)
def _arrived(name: bytes, software: str, pickled: bytes) -> Shared[Any]:
    shared = Shared(None)
    shared._name, shared._software, shared._pickled = name, software, pickled  # noqa: SLF001
    return shared


def software() -> str:
    """Name this software as it is where this runs: its version, and a digest of its sources."""
    # Whoever imports this has imported the package, which in turn knows all rooms.
    package = sys.modules["ledger"]
    return f"{vars(package)['__version__']} (sources {_digest_sources(package.__path__[0])})"


@cache
def _digest_sources(folder: str) -> str:
    import hashlib
    from pathlib import Path

    files = {each.relative_to(folder).as_posix(): each for each in Path(folder).rglob("[!.]*.py")}
    digest = hashlib.sha256()
    for name in sorted(files):
        digest.update(f"{name} {hashlib.sha256(files[name].read_bytes()).hexdigest()}\n".encode())
    return digest.hexdigest()[:16]


def other_software(worker: str, there: str, here: str) -> UnsupportedFormatError:
    """Return the error for a worker that may check less than this software does."""
    return UnsupportedFormatError(
        f"{worker} has title-ledger {there}, and this is {here}",
        hint="install the same version on every worker, from the same commit, and start it again",
    )


def refuse(what: str) -> UnsupportedFormatError:
    """Return the error for an answer that is none to the task that was handed over."""
    return UnsupportedFormatError(
        f"a worker's answer is refused: {what}",
        hint="nothing that it says counts: see what runs there in the place of this software",
    )


def cores() -> int:
    """Return how many processors this process may use."""
    if hasattr(os, "sched_getaffinity"):
        return len(os.sched_getaffinity(0))
    return os.cpu_count() or 1


def twice(items: Iterable[T]) -> tuple[Iterator[T], Iterator[T]]:
    """Give each item to two readers, and hold only what one of them has and the other has not.

    ``itertools.tee`` holds 57 items more, and these may be slices of thousands of titles.
    """
    source = iter(items)

    def read(mine: deque[T], others: deque[T]) -> Iterator[T]:
        while True:
            if not mine:
                try:
                    item = next(source)
                except StopIteration:
                    return
                others.append(item)
                mine.append(item)
                del item
            yield mine.popleft()

    ahead, behind = deque[T](), deque[T]()
    return read(ahead, behind), read(behind, ahead)


def in_chunks(
    items: Iterable[T],
    work: Callable[[list[T]], list[R]],
    jobs: int,
    *,
    executor: Executor | None = None,
    chunk: int | None = None,
    weigh: Callable[[T], int] = lambda _: 0,
    writes: bool = False,
) -> Generator[R, None, None]:
    """Yield the results of ``work`` on chunks of the items, in the order of the items.

    The calling thread takes the items, and stays at most ``2 * jobs`` chunks ahead of the results.
    A chunk ends at ``chunk`` items (default: CHUNK) or when its items ``weigh`` CHUNK_BYTES.

    The work runs on ``executor``, or without one on ``jobs`` threads. A single chunk, and a single
    job without an executor, run in the calling thread. So does what an executor lost, for example
    because one of its processes was killed. If the executor has processes, ``work``, the items and
    the results must pickle. An answer that is no list is refused; what else is wrong with one is
    for the caller to see. Closing the generator, or a failure, cancels the work that has not begun.
    It waits for the rest only if the work ``writes`` what must not come late: after a failure,
    nothing is written any more, however long that takes. Omit it if a late write does no harm.
    """
    chunks = _cut(items, chunk or CHUNK, weigh)
    first = list(islice(chunks, 2)) if jobs > 1 or executor else []
    chunks = chain(first, chunks)
    if len(first) < 2:
        for taken in chunks:
            yield from work(taken)
        return
    from concurrent.futures import ThreadPoolExecutor

    under_way: deque[tuple[list[T], Future[list[R]]]] = deque()
    pool = executor or ThreadPoolExecutor(jobs, thread_name_prefix="ledger-check")
    try:
        for taken in chunks:
            under_way.append((taken, _submit(pool, work, taken)))
            if len(under_way) > 2 * jobs:
                yield from _result(work, *under_way.popleft())
        while under_way:
            yield from _result(work, *under_way.popleft())
    finally:
        for _, future in under_way:
            future.cancel()
        if executor is None:
            pool.shutdown(wait=writes or not under_way)


def _submit(pool: Executor, work: Callable[[list[T]], list[R]], taken: list[T]) -> Future[list[R]]:
    from concurrent.futures import Future

    try:
        return pool.submit(work, taken)
    except Exception as error:
        if not _is_loss(error):
            raise
        broken: Future[list[R]] = Future()
        broken.set_exception(error)
        return broken


def _result(work: Callable[[list[T]], list[R]], taken: list[T], future: Future[list[R]]) -> list[R]:
    try:
        answer = future.result()
    except Exception as error:
        if not _is_loss(error):
            raise
        return work(taken)
    if type(answer) is not list:
        raise refuse(f"it is a {type(answer).__name__}")
    return answer


def _is_loss(error: BaseException) -> bool:
    """Whether the executor failed, and not the work."""
    from concurrent.futures import BrokenExecutor, CancelledError

    engine = type(error).__module__.partition(".")[0] == ENGINE
    return engine or isinstance(error, BrokenExecutor | CancelledError)


def _cut(items: Iterable[T], chunk: int, weigh: Callable[[T], int]) -> Iterator[list[T]]:
    taken: list[T] = []
    weight = 0
    for item in items:
        taken.append(item)
        weight += weigh(item)
        if len(taken) >= chunk or weight >= CHUNK_BYTES:
            yield taken
            taken, weight = [], 0
    if taken:
        yield taken
