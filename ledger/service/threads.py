"""Run blocking work in threads, as many as the store can serve."""

from __future__ import annotations

import math
from threading import Condition
from time import perf_counter
from typing import TYPE_CHECKING, TypeVar

import anyio
from anyio import CapacityLimiter, to_thread

from ledger.service.http.errors import Busy

if TYPE_CHECKING:
    from collections.abc import Callable

    from ledger.service.metrics import Metrics

T = TypeVar("T")


class Threads:
    """Runs calls of the ledger in threads, ``places`` at once.

    A call beyond those waits up to ``patience`` seconds, and is then refused. A call that has begun
    is never abandoned: an append finishes even if its client has left or the server is stopping.
    """

    def __init__(self, places: int, patience: float, metrics: Metrics) -> None:
        self._places = CapacityLimiter(places)
        self._threads = CapacityLimiter(math.inf)  # the places are what limits them
        self._patience = patience
        self._metrics = metrics
        self._running = 0
        self._idle = Condition()
        metrics.watch_work(lambda: self._places.borrowed_tokens)

    async def run(self, name: str, call: Callable[[], T]) -> T:
        """Make the call in a thread and return its result; raises Busy if its turn doesn't come."""
        place = object()
        try:
            self._places.acquire_on_behalf_of_nowait(place)
        except anyio.WouldBlock:
            await self._wait_for(place)
        started = perf_counter()
        try:
            return await to_thread.run_sync(self._counted, call, limiter=self._threads)
        finally:
            self._places.release_on_behalf_of(place)
            self._metrics.worked(name, perf_counter() - started)

    def wait_until_idle(self) -> None:
        """Block until no thread is in a call, even one whose event loop has ended."""
        with self._idle:
            self._idle.wait_for(lambda: not self._running)

    def _counted(self, call: Callable[[], T]) -> T:
        with self._idle:
            self._running += 1
        try:
            return call()
        finally:
            with self._idle:
                self._running -= 1
                self._idle.notify_all()

    async def _wait_for(self, place: object) -> None:
        try:
            with anyio.fail_after(self._patience):
                await self._places.acquire_on_behalf_of(place)
        except TimeoutError:
            raise Busy(
                f"the store has been busy for {self._patience:g} seconds; nothing was done",
                hint="try again later",
            ) from None
