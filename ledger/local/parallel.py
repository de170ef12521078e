"""Work in chunks on an executor, with the results in order and few chunks in memory.

Threads are the default: checking a signature, the bulk of the work, releases the interpreter's
lock. ``ledger.local.processes`` is for work that does not.
"""

from __future__ import annotations

import os
from collections import deque
from itertools import chain, islice
from typing import TYPE_CHECKING, TypeVar

if TYPE_CHECKING:
    from collections.abc import Callable, Iterable, Iterator
    from concurrent.futures import Executor, Future

CHUNK = 250
"""Items in a task. With so many, the cost of handing a task over does not show."""

CHUNK_BYTES = 4 << 20
"""The weight at which a chunk ends, so that large items do not pile up in memory."""

T = TypeVar("T")
R = TypeVar("R")


def cores() -> int:
    """Return how many processors this process may use."""
    if hasattr(os, "sched_getaffinity"):
        return len(os.sched_getaffinity(0))
    return os.cpu_count() or 1


def in_chunks(
    items: Iterable[T],
    work: Callable[[list[T]], list[R]],
    jobs: int,
    *,
    executor: Executor | None = None,
    chunk: int | None = None,
    weigh: Callable[[T], int] = lambda _: 0,
) -> Iterator[R]:
    """Yield the results of ``work`` on chunks of the items, in the order of the items.

    The calling thread takes the items, and stays at most ``2 * jobs`` chunks ahead of the results.
    A chunk ends at ``chunk`` items (default: CHUNK) or when its items ``weigh`` CHUNK_BYTES.

    The work runs on ``executor``, or without one on ``jobs`` threads. A single chunk, and a single
    job without an executor, run in the calling thread. So does the work of an executor that breaks,
    for example because one of its processes was killed. If the executor has processes, ``work``,
    the items and the results must pickle. Closing the generator cancels the work that has not
    begun, and does not wait for the rest.
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
            pool.shutdown(wait=not under_way)


def _submit(pool: Executor, work: Callable[[list[T]], list[R]], taken: list[T]) -> Future[list[R]]:
    from concurrent.futures import BrokenExecutor, Future

    try:
        return pool.submit(work, taken)
    except BrokenExecutor as error:
        broken: Future[list[R]] = Future()
        broken.set_exception(error)
        return broken


def _result(work: Callable[[list[T]], list[R]], taken: list[T], future: Future[list[R]]) -> list[R]:
    from concurrent.futures import BrokenExecutor

    try:
        return future.result()
    except BrokenExecutor:
        return work(taken)


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
