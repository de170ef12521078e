"""Show how far a verification or a batch is, and keep Ctrl-C working while something waits."""

from __future__ import annotations

import os
import signal
import sys
import time
from contextlib import contextmanager, suppress
from queue import Empty, SimpleQueue
from threading import Event, Thread
from typing import TYPE_CHECKING, TypeVar

from ledger.errors import LedgerError

if TYPE_CHECKING:
    from collections.abc import Callable, Iterator

    from ledger import Report

EVERY = 0.1
"""Seconds between two updates; drawing one for each title would take longer than verifying it."""

FIRST = 10.0
"""Seconds after which a log first hears how far a batch is; then after twice as many, and so on."""

HEED = 0.2
"""Seconds after which a Ctrl-C is heard at the latest."""

T = TypeVar("T")


class Meter:
    """Counts what was checked, and estimates how long the rest will take."""

    def __init__(self, total: int | None = None) -> None:
        self.total = total
        """How many titles there are; None until that is known."""
        self.titles = 0
        self.entries = 0
        self.handled = 0
        """How many titles were looked at, including those that could not be walked."""

    def add(self, report: Report) -> None:
        """Count the report of one title."""
        self.handled += 1
        self.titles += report.titles
        self.entries += report.entries

    def text(self, seconds: float) -> str:
        """Return the progress after so many seconds, in one line of fewer than 80 characters."""
        total = f" of {self.total:,}" if self.total is not None else ""
        parts = [f"verified: {self.titles:,}{total} titles", f"{self.entries:,} entries"]
        if seconds >= 1:
            parts.append(f"{self.entries / seconds:,.0f}/s")
        if self.total is not None and self.handled and seconds >= 1:
            left = max(self.total - self.handled, 0) * seconds / self.handled
            parts.append(f"{_clock(left)} left")
        return ", ".join(parts)


def _clock(seconds: float) -> str:
    minutes, rest = divmod(round(seconds), 60)
    hours, minutes = divmod(minutes, 60)
    return f"{hours}:{minutes:02}:{rest:02}"


class Countdown:
    """Says how much is done, how fast, and how long the rest will take, on stderr.

    On a terminal that is one line, drawn again and again; in a log, a few lines, which grow rare.
    """

    def __init__(self, total: int, unit: str, *, quiet: bool, scale: int = 1) -> None:
        """Begin; ``unit`` names ``scale`` of what is counted."""
        self._total = total / scale
        self._unit = unit
        self._scale = scale
        self._quiet = quiet
        self._draws = not quiet and sys.stderr.isatty() and os.environ.get("TERM", "dumb") != "dumb"
        self._start = time.monotonic()
        self._drawn = self._start
        self._due = self._start + FIRST

    def draw(self, done: int) -> None:
        """Say that so many are done, unless something was said just now."""
        now = time.monotonic()
        if self._draws and now - self._drawn >= EVERY:
            self._drawn = now
            self._write(f"\r{self._text(done, now)}\x1b[K")
        elif not self._draws and not self._quiet and now >= self._due and done:
            self._due = now + (now - self._start)
            self._write(f"ledger: {self._text(done, now)}\n")

    def clear(self) -> None:
        """Make room for other output; the next ``draw`` goes below it."""
        if self._draws:
            self._write("\r\x1b[K")
            self._drawn = min(self._drawn, time.monotonic() - EVERY)

    def _text(self, done: int, now: float) -> str:
        some = done / self._scale
        rate = some / (now - self._start)
        left = _clock(max(self._total - some, 0) / rate) if rate else "?"
        digits = ",.0f" if self._scale == 1 else ",.1f"
        done_of = f"{some:{digits}} of {self._total:{digits}} {self._unit}"
        return f"{done_of}, {rate:{digits}}/s, {left} left"

    def _write(self, text: str) -> None:
        with suppress(OSError):  # nobody reads on
            sys.stderr.write(text)
            sys.stderr.flush()


@contextmanager
def verifying(
    *, quiet: bool, total: int | None = None, count: Callable[[], int] | None = None
) -> Iterator[Callable[[Report], None]]:
    """Show on stderr what was verified, how fast, and what is left, if it is a terminal.

    ``count`` finds the total if that takes time; it runs beside the verification.
    """
    if quiet or not sys.stderr.isatty():
        yield lambda _: None
        return
    from rich.console import Console  # noqa: PLC0415 -- slow to import, and seldom needed
    from rich.progress import Progress, SpinnerColumn, TextColumn  # noqa: PLC0415

    meter = Meter(total)
    if count is not None:
        Thread(target=_count, args=(meter, count), daemon=True).start()
    start = time.monotonic()
    drawn = start
    columns = (SpinnerColumn(), TextColumn("{task.description}", markup=False))
    console = Console(stderr=True)
    with Progress(*columns, console=console, transient=True, redirect_stdout=False) as progress:
        task = progress.add_task(meter.text(0))

        def each(report: Report) -> None:
            nonlocal drawn
            meter.add(report)
            now = time.monotonic()
            if now - drawn >= EVERY or meter.handled == 1:
                drawn = now
                progress.update(task, description=meter.text(now - start))

        yield each


def _count(meter: Meter, count: Callable[[], int]) -> None:
    with suppress(LedgerError):  # the verification reports the same error
        meter.total = count()


def heeding(work: Callable[[], T]) -> T:
    """Do the work in another thread, so that Ctrl-C works while it waits for a store.

    KeyboardInterrupt leaves the work running, so end the process soon.
    """
    answers: SimpleQueue[tuple[T, None] | tuple[None, BaseException]] = SimpleQueue()

    def answer() -> None:
        try:
            answers.put((work(), None))
        except BaseException as error:  # noqa: BLE001 -- it is raised where somebody waits for it
            answers.put((None, error))

    Thread(target=answer, daemon=True).start()
    while True:
        # A signal that another thread received, or that came just before, wakes nobody here.
        with suppress(Empty):
            result, error = answers.get(timeout=HEED)
            break
    if error is not None:
        raise error
    return result  # type: ignore[return-value]  # without an error there is a result


@contextmanager
def stopped_by(*signals: signal.Signals) -> Iterator[Event]:
    """Give an event that the first of these signals sets, to finish what is under way.

    The next one does what it did before. One that is ignored, as Ctrl-C is in a background job,
    stays so.
    """
    stopped = Event()
    before = {number: signal.getsignal(number) for number in signals}

    def restore() -> None:
        for number, handler in before.items():
            signal.signal(number, handler)

    def stop(*_: object) -> None:
        stopped.set()
        restore()

    for number, handler in before.items():
        if handler is not signal.SIG_IGN:
            signal.signal(number, stop)
    try:
        yield stopped
    finally:
        restore()
