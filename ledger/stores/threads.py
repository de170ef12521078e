"""Threads for which nobody waits: a reading that is not wanted any more is let go.

The threads of ``concurrent.futures`` are waited for at the end of a program, which after Ctrl-C
would go on for as long as a server hangs. These are not; who writes waits for the results. And what
could not be submitted, for want of threads, is never done: ``concurrent.futures`` may do it later.
"""

from __future__ import annotations

import atexit
import weakref
from collections import deque
from concurrent.futures import Future, wait
from queue import SimpleQueue
from threading import Event, Lock, Semaphore, Thread
from typing import TYPE_CHECKING, Any, TypeAlias, TypeVar

from ledger.errors import StoreUnavailable

if TYPE_CHECKING:
    from collections.abc import Callable, Iterable, Iterator

T = TypeVar("T")
R = TypeVar("R")

GRACE = 0.5
"""Seconds that readings under way are given at the end of a program.

A thread that comes back to an interpreter that is no more is not safe in code of other languages.
One that hangs longer than this is most unlikely to come back just then.
"""

_Task: TypeAlias = "tuple[Future[Any], Callable[[Any], Any], Any]"
_Tasks: TypeAlias = "SimpleQueue[_Task | None]"

_under_way: set[Future[Any]] = set()
_ending = Event()


class DaemonThreads:
    """At most ``most`` threads, each started when it is needed."""

    def __init__(self, most: int) -> None:
        self._most = most
        self._tasks: _Tasks = SimpleQueue()
        self._threads: list[Thread] = []
        self._idle = Semaphore(0)  # as often as there are threads that wait for a task
        self._lock = Lock()
        # The threads know the queue alone: they also end when this is forgotten without a close.
        self._finish = weakref.finalize(self, _finish, self._tasks, self._threads)

    def submit(self, call: Callable[[T], R], item: T) -> Future[R]:
        """Have a thread call it; raises StoreUnavailable, and then none ever does."""
        future: Future[R] = Future()
        with self._lock:
            if not self._finish.alive:
                raise StoreUnavailable("the store was closed", hint="open the store again")
            if not self._idle.acquire(blocking=False) and len(self._threads) < self._most:
                self._start()
            self._tasks.put((future, call, item))
        return future

    def _start(self) -> None:
        given = (self._tasks, self._idle)
        thread = Thread(target=_work, args=given, name="store-reader", daemon=True)
        try:
            thread.start()
        except RuntimeError as error:  # no thread is to be had: those that there are do it
            if not self._threads:
                raise StoreUnavailable(
                    f"no thread can use the store: {error}", hint="allow this program more threads"
                ) from error
        else:
            self._threads.append(thread)

    def close(self) -> None:
        """Let the threads end, each after what it is reading; nobody waits for that."""
        with self._lock:
            self._finish()


def side_by_side(
    submit: Callable[[Callable[[T], R], T], Future[R]],
    call: Callable[[T], R],
    items: Iterable[T],
    most: int,
    *,
    finish: bool = False,
) -> Iterator[R]:
    """Yield the results in order, with at most so many calls under way, and no more items taken.

    At an early end, what is under way is let go; or, to ``finish``, waited for.
    """
    window: deque[Future[R]] = deque()
    try:
        for item in items:
            if len(window) >= most:
                yield _first_result(window)
            window.append(submit(call, item))
        while window:
            yield _first_result(window)
    finally:
        under_way = [future for future in window if not future.cancel()]
        if finish:
            wait(under_way)


def _first_result(window: deque[Future[R]]) -> R:
    result = window[0].result()  # until it is there, it is under way: Ctrl-C may come meanwhile
    window.popleft()
    return result


def _work(tasks: _Tasks, idle: Semaphore) -> None:
    while (task := tasks.get()) is not None and not _ending.is_set():
        future, call, item = task
        if future.set_running_or_notify_cancel():
            _under_way.add(future)
            try:
                future.set_result(call(item))
            except BaseException as error:  # noqa: BLE001 -- whoever asks for the result gets it
                future.set_exception(error)
            finally:
                _under_way.discard(future)
        del task, future, call, item  # what was read is not held until the next reading
        idle.release()


def _finish(tasks: _Tasks, threads: list[Thread]) -> None:
    for _ in threads:
        tasks.put(None)


@atexit.register
def _end() -> None:
    _ending.set()
    wait(_under_way.copy(), GRACE)
