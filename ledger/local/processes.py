"""Run work in other processes, for work that threads of one interpreter would do in turns."""

from __future__ import annotations

import multiprocessing
import os
import signal
import sys
from concurrent.futures import Future, ProcessPoolExecutor
from contextlib import contextmanager
from threading import Lock, Thread
from types import ModuleType
from typing import TYPE_CHECKING, ParamSpec, TypeVar

if TYPE_CHECKING:
    from collections.abc import Callable, Iterator

P = ParamSpec("P")
R = TypeVar("R")

_STARTING = Lock()


class Processes(ProcessPoolExecutor):
    """An executor of ``count`` processes that end with this one, even if it is killed.

    They start as tasks come, as new interpreters (``spawn``), and Ctrl-C does not reach them.
    Unlike those of a plain ProcessPoolExecutor, they do not import the script that runs, so it
    needs no ``if __name__ == "__main__":``. In return, a task must be a function of a module, not
    of that script.
    """

    def __init__(self, count: int | None = None) -> None:
        super().__init__(
            count, mp_context=multiprocessing.get_context("spawn"), initializer=_end_with_parent
        )

    def submit(self, fn: Callable[P, R], /, *args: P.args, **kwargs: P.kwargs) -> Future[R]:
        """Hand over a task; see ``concurrent.futures.Executor.submit``."""
        with _starting():  # as each of the first tasks starts a process
            return super().submit(fn, *args, **kwargs)


@contextmanager
def _starting() -> Iterator[None]:
    """Set up what processes inherit as they start."""
    with _STARTING:
        # Their signal mask: Ctrl-C would interrupt even their imports, with a traceback each.
        before = signal.pthread_sigmask(signal.SIG_BLOCK, [signal.SIGINT])
        # Their main module: a script could append again what it has just appended, and one from
        # stdin could not be imported at all.
        main, sys.modules["__main__"] = sys.modules["__main__"], ModuleType("__main__")
        try:
            yield
        finally:
            sys.modules["__main__"] = main
            signal.pthread_sigmask(signal.SIG_SETMASK, before)


def _end_with_parent() -> None:
    """Watch the parent from a thread: a worker waits on a queue that it holds open itself."""
    parent = multiprocessing.parent_process()

    def watch() -> None:
        if parent is not None:
            parent.join()
            os._exit(1)

    Thread(target=watch, daemon=True).start()
