"""``ledger append --batch``: register many versions, of many titles, from a file."""

from __future__ import annotations

import os
import signal
import stat
import sys
from contextlib import closing, contextmanager
from pathlib import Path
from threading import Event
from typing import TYPE_CHECKING, Any, BinaryIO, cast

import typer

from cli.batch.lines import Lines
from cli.batch.outcomes import Shown, Tally, complain
from cli.inputs import reading, spooled
from cli.terminal.output import print_json
from ledger import InvalidError

if TYPE_CHECKING:
    from collections.abc import Callable, Generator, Iterator

    from ledger import Draft, Ledger
    from ledger.titles.batch import Outcome

__all__ = ["Shown", "append_batch"]

SHOWN = 20
"""How many bad lines are named."""

# -- The file ------------------------------------------------------------------------------------


@contextmanager
def _open_lines(file: str, reference: str, **about: Any) -> Iterator[Lines]:
    """The lines of a batch, every one of them checked."""
    with _open(file) as (source, name):
        lines = Lines(source, reference or name or "-", **about)
        _check(lines, "standard input" if file == "-" else file)
        if lines.nameless and not (reference or name):
            raise typer.BadParameter(
                "lines without a reference are told apart by the file's name, and this one has"
                " none: give --reference"
            )
        yield lines


@contextmanager
def _open(file: str) -> Iterator[tuple[BinaryIO, str]]:
    """A file that can be read twice, and its name; what is no plain file has none."""
    if file == "-":
        with spooled(sys.stdin.buffer) as spool:
            yield spool, ""
        return
    with reading(file) as source:
        if stat.S_ISREG(os.fstat(source.fileno()).st_mode):
            # A name in bytes that are no text is no reference: it is spelled in escapes.
            yield source, os.fsencode(Path(file).name).decode(errors="backslashreplace")
        else:
            with spooled(source) as spool:
                yield spool, ""


def _check(lines: Lines, where: str) -> None:
    """Read all lines, and refuse them all if one is bad."""
    bad = 0
    for number, error in lines.check():
        bad += 1
        if bad <= SHOWN:
            complain(number, str(error))
    if bad:
        more = f"; the first {SHOWN} are named above" if bad > SHOWN else ""
        raise InvalidError(
            f"{where}: {bad:,} of {lines.total:,} lines can't be appended{more}",
            hint="nothing was written; mend the lines, and give the same file again",
        )


# -- The appends ---------------------------------------------------------------------------------


def append_batch(
    file: str,
    open_ledger: Callable[[], Ledger],
    shown: Shown,
    reference: str,
    *,
    clamp_time: bool,
    **about: Any,
) -> int:
    """Append the lines, and return the exit code: that of the first line that failed.

    ``reference`` takes the place of the file's name; ``about`` is the message and the effective
    date of the lines that have none.
    """
    with _open_lines(file, reference, **about) as lines:
        if shown.dry_run:
            return _say_checked(lines, shown)
        with open_ledger() as ledger:
            return _append_lines(ledger, lines, shown, clamp_time=clamp_time)


def _say_checked(lines: Lines, shown: Shown) -> int:
    if shown.as_json:
        print_json({"lines": lines.total, "dry_run": True})
    elif not shown.quiet:
        typer.echo(f"nothing was written, as --dry-run asks; the lines are good: {lines.total:,}")
    return 0


def _append_lines(ledger: Ledger, lines: Lines, shown: Shown, *, clamp_time: bool) -> int:
    taken: dict[int, int] = {}  # the lines that have no outcome yet, by which draft they are

    def drafts() -> Iterator[Draft]:
        for number, (line, draft) in enumerate(lines.drafts(), 1):
            taken[number] = line
            yield draft

    tally = Tally(lines.total, shown)
    with _interruptible() as stopped:
        outcomes = ledger.append_many(
            drafts(), clamp_time=clamp_time, stop=lambda: stopped.is_set() or tally.gave_up
        )
        with closing(cast("Generator[Outcome]", outcomes)):
            # Once stopped, those that were never begun have no outcome.
            try:
                for outcome in outcomes:
                    tally.add(taken.pop(outcome.number), outcome)
            finally:
                tally.close()
    if stopped.is_set() and tally.missing:
        raise KeyboardInterrupt
    return tally.code


@contextmanager
def _interruptible() -> Iterator[Event]:
    """Set by the first Ctrl-C, so that what is being written is waited for; the second is one."""
    stopped = Event()
    before = signal.getsignal(signal.SIGINT)

    def stop(*_: object) -> None:
        stopped.set()
        signal.signal(signal.SIGINT, before)

    if before is not signal.SIG_IGN:  # a job in the background hears none
        signal.signal(signal.SIGINT, stop)
    try:
        yield stopped
    finally:
        signal.signal(signal.SIGINT, before)
