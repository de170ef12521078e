"""Append many versions of many titles from one file: ``ledger append --batch``."""

from __future__ import annotations

import os
import shlex
import signal
import stat
import sys
from contextlib import closing, contextmanager
from pathlib import Path
from typing import TYPE_CHECKING, Any, BinaryIO, cast

import typer

from cli.batch.lines import Lines
from cli.batch.outcomes import Shown, Tally, complain
from cli.batch.records import FILE, Place
from cli.inputs import spooled
from cli.terminal.output import counted, print_json
from cli.terminal.progress import Countdown, stopped_by
from ledger import Draft, Guards, InvalidError, Ledger, MalformedError
from ledger.local.files import reading

if TYPE_CHECKING:
    from collections.abc import Callable, Generator, Iterator

    from ledger.titles.batch import Outcome

SHOWN = 20
"""How many bad lines to name."""

NOTHING_WRITTEN = "nothing was written; correct the lines, then append the file again"

# -- The file ------------------------------------------------------------------------------------


@contextmanager
def open_lines(file: str, prefix: str, *, quiet: bool = False, **about: Any) -> Iterator[Lines]:
    """Open a batch and check every line; ``about`` is for ``Lines``.

    ``prefix`` begins the references that are made for lines without one; else the file's name does.
    """
    with _open(file) as (source, name):
        lines = Lines(source, prefix or name or "-", **about)
        meter = Countdown(os.fstat(source.fileno()).st_size, "MB", quiet=quiet, scale=10**6)
        try:
            _check(lines, file, meter)
        finally:
            meter.clear()
        if lines.nameless and not (prefix or name):
            raise typer.BadParameter(
                "lines without a reference get one from the file's name, and this input has none:"
                " give --reference"
            )
        yield lines


@contextmanager
def _open(file: str) -> Iterator[tuple[BinaryIO, str]]:
    """Open a file that can be read twice; give its name too, or "" if it is not a plain file."""
    if file == "-":
        with spooled(sys.stdin.buffer) as spool:
            yield spool, ""
        return
    with reading(file) as source:
        if stat.S_ISREG(os.fstat(source.fileno()).st_mode):
            # A reference must be text, so a name that isn't is written with escapes.
            yield source, os.fsencode(Path(file).name).decode(errors="backslashreplace")
        else:
            with spooled(source) as spool:
                yield spool, ""


def _check(lines: Lines, file: str, meter: Countdown) -> None:
    """Read all lines; refuse them all if one is bad."""
    bad = 0
    where = "standard input" if file == "-" else file
    try:
        for place, error in lines.check(meter.draw):
            bad += 1
            if bad <= SHOWN:
                meter.clear()
                complain(place, str(error))
    except MalformedError as error:
        hint = error.hint.replace(FILE, "FILE" if file == "-" else shlex.quote(file))
        raise type(error)(f"{where}: {error}", hint=hint or NOTHING_WRITTEN) from None
    if bad:
        more = f"; the first {SHOWN} are named above" if bad > SHOWN else ""
        raise InvalidError(
            f"{where}: {bad:,} of {lines.total:,} lines can't be appended{more}",
            hint=NOTHING_WRITTEN,
        )


# -- The appends ---------------------------------------------------------------------------------


def append_batch(
    file: str,
    open_ledger: Callable[[], Ledger],
    shown: Shown,
    reference: str,
    *,
    guards: Guards,
    **about: Any,
) -> int:
    """Append the lines and return the exit code of the first line that failed, or 0.

    ``reference`` replaces the file's name in generated references. ``about`` is for ``Lines``.
    """
    with open_lines(file, reference, quiet=shown.quiet, **about) as lines:
        if shown.dry_run:
            return _say_checked(lines, shown)
        with open_ledger() as ledger:
            return _append_lines(ledger, lines, shown, guards=guards)


def _say_checked(lines: Lines, shown: Shown) -> int:
    if shown.as_json:
        print_json({"lines": lines.total, "dry_run": True})
    elif not shown.quiet:
        typer.echo(
            f"dry run: all {counted(lines.total, 'line')} can be appended; nothing was written"
        )
    return 0


def _append_lines(ledger: Ledger, lines: Lines, shown: Shown, *, guards: Guards) -> int:
    taken: dict[int, Place] = {}  # the lines without an outcome yet, by the number of their draft

    def drafts() -> Iterator[Draft]:
        for number, (line, draft) in enumerate(lines.drafts(), 1):
            taken[number] = line
            yield draft

    tally = Tally(lines.total, shown)
    with stopped_by(signal.SIGINT) as stopped:
        outcomes = ledger.append_many(
            drafts(), guards=guards, stop=lambda: stopped.is_set() or tally.gave_up
        )
        with closing(cast("Generator[Outcome]", outcomes)):
            # After a stop, drafts that were never begun have no outcome.
            try:
                for outcome in outcomes:
                    tally.add(taken.pop(outcome.number), outcome)
            finally:
                tally.close()
    if stopped.is_set() and tally.missing:
        raise KeyboardInterrupt
    return tally.code
