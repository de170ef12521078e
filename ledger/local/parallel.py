"""Work in chunks, on several threads, with the results in order and few chunks in memory.

Threads do: checking a signature, the bulk of the work, lets go of the interpreter's lock.
"""

from __future__ import annotations

import os
from collections import deque
from concurrent.futures import ThreadPoolExecutor
from itertools import chain, islice
from typing import TYPE_CHECKING, TypeVar

if TYPE_CHECKING:
    from collections.abc import Callable, Iterable, Iterator
    from concurrent.futures import Future

__all__ = ["CHUNK", "cores", "in_chunks"]

CHUNK = 250
"""How many items make a task: large enough that handing it over costs nothing."""

CHUNK_BYTES = 4 << 20
"""How many bytes are in a chunk at most, but for the last item: large ones must not pile up."""

T = TypeVar("T")
R = TypeVar("R")


def cores() -> int:
    """How many processors this process may use."""
    if hasattr(os, "sched_getaffinity"):
        return len(os.sched_getaffinity(0))
    return os.cpu_count() or 1


def in_chunks(
    items: Iterable[T],
    work: Callable[[list[T]], list[R]],
    jobs: int,
    *,
    chunk: int | None = None,
    weigh: Callable[[T], int] = lambda _: 0,
) -> Iterator[R]:
    """The results of ``work`` on chunks of the items, in order, with ``jobs`` chunks under way.

    The items are taken from this thread, a few chunks ahead of the results and no further. A chunk
    ends at ``chunk`` items (CHUNK), or when they ``weigh`` CHUNK_BYTES together. One chunk, or one
    job, takes no other thread.
    """
    chunks = _cut(items, chunk or CHUNK, weigh)
    first = list(islice(chunks, 2)) if jobs > 1 else []
    chunks = chain(first, chunks)
    if len(first) < 2:
        for taken in chunks:
            yield from work(taken)
        return
    under_way: deque[Future[list[R]]] = deque()
    pool = ThreadPoolExecutor(jobs, thread_name_prefix="ledger-check")
    try:
        for taken in chunks:
            under_way.append(pool.submit(work, taken))
            if len(under_way) > 2 * jobs:
                yield from under_way.popleft().result()
        while under_way:
            yield from under_way.popleft().result()
    finally:
        # Who wants no more results (Ctrl-C) does not wait for those under way.
        pool.shutdown(wait=not under_way, cancel_futures=True)


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
