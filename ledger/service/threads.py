"""Run blocking work in threads, as many as the store can serve, and wait for it only so long."""

from __future__ import annotations

import asyncio
import logging
from contextlib import suppress
from contextvars import copy_context
from functools import partial
from threading import Lock
from time import monotonic, perf_counter, sleep
from typing import TYPE_CHECKING, TypeVar

from ledger.errors import LedgerError, OutcomeUnknown
from ledger.service.http.errors import Busy, TimedOut
from ledger.stores.threads import DaemonThreads

if TYPE_CHECKING:
    from collections.abc import Callable

    from ledger.service.metrics import Metrics

T = TypeVar("T")

logger: logging.Logger = logging.getLogger("ledger.service")


class Turn:
    """A call, from when it is asked for until nobody waits for it any more."""

    def __init__(self, timeout: float) -> None:
        self.is_late: bool = False
        self._timeout = timeout
        self._writes = False
        self._lock = Lock()

    def begin_writing(self) -> None:
        """Note that what follows may write.

        Raises TimedOut if the client was told already that nothing was written: that stays true,
        however late the store comes back.
        """
        with self._lock:
            if self.is_late and not self._writes:
                raise self._timed_out()
            self._writes = True

    def give_up(self) -> LedgerError:
        """Wait no longer; return what to tell the client."""
        with self._lock:
            self.is_late = True
            if not self._writes:
                return self._timed_out()
        return OutcomeUnknown(
            f"the store has not answered for {self._timeout:g} seconds: what was sent may have been"
            " written, or may yet be",
            hint="if it had an Idempotency-Key or a reference, send the same again: it is not"
            " written twice; else read the title first",
        )

    def _timed_out(self) -> TimedOut:
        return TimedOut(
            f"the store has not answered for {self._timeout:g} seconds; nothing was done",
            hint="try again later",
        )


class Threads:
    """Runs calls of the ledger in threads, ``places`` at once.

    A call beyond those waits up to ``patience`` seconds, and is then refused. Nobody waits for a
    call longer than ``timeout`` seconds. One that has begun keeps its thread and its place for as
    long as the store hangs, so there are never more threads than places. It is not abandoned
    before it is late: an append finishes even if its client has left or the server is stopping.
    """

    def __init__(self, places: int, patience: float, timeout: float, metrics: Metrics) -> None:
        self._readers = DaemonThreads(places)  # its threads don't keep the process from ending
        self._patience = min(patience, timeout)
        self._timeout = timeout
        self._metrics = metrics
        self._running: set[Turn] = set()

    async def run(self, name: str, call: Callable[[Turn], T]) -> T:
        """Make the call in a thread and return its result, or raise what it raises.

        Raises Busy if its turn doesn't come; TimedOut if the result doesn't come in time, or
        OutcomeUnknown if it may have written by then.
        """
        loop = asyncio.get_running_loop()
        answer: asyncio.Future[T] = loop.create_future()
        turn = Turn(self._timeout)

        def take() -> None:
            try:
                end = partial(_end, answer, self._take(name, turn, call))
            except BaseException as error:  # noqa: BLE001 -- whoever waits gets it
                end = partial(_fail, answer, error)
            with suppress(RuntimeError):  # the loop has ended
                loop.call_soon_threadsafe(end)

        def lose_patience() -> None:
            if future.cancel():  # it has not begun
                message = f"the store has been busy for {self._patience:g} seconds"
                _fail(answer, Busy(f"{message}; nothing was done", hint="try again later"))

        # In the context of the request, so that traces know what the thread does it for.
        future = self._readers.submit(copy_context().run, take)
        timers = (
            loop.call_later(self._patience, lose_patience),
            loop.call_later(self._timeout, lambda: _fail(answer, turn.give_up())),
        )
        try:
            return await answer
        finally:
            for timer in timers:
                timer.cancel()
            future.cancel()  # what has not begun does not begin if nobody waits any more

    @property
    def in_use(self) -> int:
        """How many calls are running, those for which nobody waits any more as well."""
        return len(self._running)

    def wait_until_idle(self) -> None:
        """Block until each call has ended or is late, even one whose event loop has ended."""
        end = monotonic() + self._timeout
        while monotonic() < end and not all(turn.is_late for turn in self._running.copy()):
            sleep(0.01)

    def _take(self, name: str, turn: Turn, call: Callable[[Turn], T]) -> T:
        self._running.add(turn)
        started, said = perf_counter(), "it is done"
        try:
            return call(turn)
        except BaseException as error:
            said = f"{getattr(error, 'slug', type(error).__name__)}: {error}"
            raise
        finally:
            self._metrics.worked(name, perf_counter() - started)
            if turn.is_late:
                seconds = perf_counter() - started
                logger.warning("%s ended after %.1f seconds: %a", name, seconds, said)
            self._running.discard(turn)


def _end(answer: asyncio.Future[T], result: T) -> None:
    if not answer.done():
        answer.set_result(result)


def _fail(answer: asyncio.Future[T], error: BaseException) -> None:
    if not answer.done():
        answer.set_exception(error)
