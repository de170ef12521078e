"""Work in other processes, for what threads of one interpreter can't do side by side.

A worker is this Python, started anew, that takes its tasks from a pipe and ends when the pipe does:
so none outlives its parent, however that ends. It is in a session of its own, and Ctrl-C is not for
it. What goes through the pipes is pickled: both ends are this program.
"""

from __future__ import annotations

import pickle
import sys
from contextlib import suppress
from queue import SimpleQueue
from typing import TYPE_CHECKING, Any, BinaryIO, Generic, TypeVar

if TYPE_CHECKING:
    from collections.abc import Callable
    from subprocess import Popen
    from types import TracebackType
    from typing import Self

__all__ = ["Workers", "main"]

T = TypeVar("T")
R = TypeVar("R")

START = "import sys; sys.path[:] = {path!r}; from ledger.workers import main; main()"


class Workers(Generic[T, R]):
    """So many processes, each of which has made its own work with ``make``.

    ``make`` is a function of a module, or a partial of one: it is pickled. Call ``work`` from as
    many threads as there are workers. What a worker can't do, as it could not be started or was
    killed, is done here.
    """

    def __init__(self, make: Callable[[], Callable[[T], R]], count: int) -> None:
        self._make = make
        self._workers = [_start(make) for _ in range(count)]
        self._idle: SimpleQueue[Popen[bytes] | None] = SimpleQueue()
        for worker in self._workers:
            self._idle.put(worker)

    def __enter__(self) -> Self:
        return self

    def __exit__(
        self,
        kind: type[BaseException] | None,
        error: BaseException | None,
        traceback: TracebackType | None,
    ) -> None:
        """End the workers, whatever they are at."""
        for worker in filter(None, self._workers):
            worker.kill()
            worker.wait()
            for pipe in (worker.stdin, worker.stdout):
                with suppress(OSError, AttributeError):
                    pipe.close()  # type: ignore[union-attr]

    def work(self, task: T) -> R:
        """The result for a task; what the work raises is raised here."""
        worker = self._idle.get()
        try:
            if worker is not None:
                assert worker.stdin is not None  # noqa: S101 -- for the type checker
                assert worker.stdout is not None  # noqa: S101
                _send(worker.stdin, task)
                result, error = pickle.load(worker.stdout)  # noqa: S301 -- our own child
                if error is not None:
                    raise error
                answer: R = result
                return answer
        except (OSError, EOFError, pickle.UnpicklingError):
            worker = None
        finally:
            self._idle.put(worker)
        return self._make()(task)


def _start(make: Callable[[], Any]) -> Popen[bytes] | None:
    from subprocess import DEVNULL, PIPE, Popen  # noqa: PLC0415 -- seldom needed

    command = [sys.executable, "-c", START.format(path=sys.path)]
    try:
        worker = Popen(  # noqa: S603 -- ourselves
            command, stdin=PIPE, stdout=PIPE, stderr=DEVNULL, start_new_session=True
        )
        assert worker.stdin is not None  # noqa: S101 -- for the type checker
        _send(worker.stdin, make)
    except OSError:
        return None
    return worker


def _send(pipe: Any, value: object) -> None:
    pickle.dump(value, pipe, pickle.HIGHEST_PROTOCOL)
    pipe.flush()


def main() -> None:
    """Be a worker."""
    tasks: BinaryIO = sys.stdin.buffer
    work = pickle.load(tasks)()  # noqa: S301 -- our own parent
    while True:
        try:
            task = pickle.load(tasks)  # noqa: S301
        except EOFError:
            return
        answer: tuple[Any, Exception | None]
        try:
            answer = (work(task), None)
        except Exception as error:  # noqa: BLE001 -- it is raised in the parent
            answer = (None, error)
        _send(sys.stdout.buffer, answer)
