"""``ledger changes``: print the changes in the order of the log, and follow it."""

from __future__ import annotations

import os
import signal
import subprocess
import sys
from contextlib import ExitStack
from itertools import islice
from pathlib import Path
from typing import TYPE_CHECKING, Annotated

import typer

from cli import options
from cli.bookmark import BookmarkFile
from cli.session import open_ledger
from cli.terminal.output import note, print_json, stand_mark, style
from cli.terminal.progress import HEED, stopped_by
from cli.terminal.text import json_text, printable
from ledger import Entry, Ledger, LedgerError, Log, LoggedChange
from ledger.errors import StoreUnavailable
from ledger.format import layout
from ledger.format.entry import KINDS, OPEN
from ledger.sealing.feed import logged_change_json
from ledger.tlog.objects import Leaf, OtherLeaf

if TYPE_CHECKING:
    from collections.abc import Callable, Iterator
    from threading import Event

EVERY = "5s"


class CommandFailedError(LedgerError):
    """The command of ``--exec`` failed, so nothing after that change is given out."""

    slug = "command-failed"
    exit_code = 1


def changes(
    *,
    after: Annotated[
        int | None,
        typer.Option("--after", metavar="LEAF", min=0, help="Begin after this leaf of the log."),
    ] = None,
    limit: Annotated[
        int | None,
        typer.Option("--limit", "-n", metavar="COUNT", min=0, help="Stop after COUNT changes."),
    ] = None,
    follow: Annotated[
        bool, typer.Option("--follow", "-f", help="Go on with what is sealed from now on.")
    ] = False,
    every: Annotated[
        str | None,
        typer.Option("--every", metavar="TIME", help="With --follow: how often to look; 5s."),
    ] = None,
    command: Annotated[
        str | None,
        typer.Option("--exec", metavar="CMD", help="Run CMD for each, with its JSON on stdin."),
    ] = None,
    state: Annotated[
        Path | None,
        typer.Option("--state", metavar="FILE", help="Keep in FILE which leaf is done, and resume"),
    ] = None,
    store: options.StoreOption = None,
    connections: options.ConnectionsOption = None,
    as_json: options.JsonOption = False,
    quiet: options.QuietOption = False,
) -> None:
    """Print the changes of all titles, in the order of the log.

    Each is a leaf of the log, and has been checked. The numbers have no gap. What is not sealed yet
    is not there.

    Stops at the first leaf that does not hold, and where CMD fails, with 1.
    """
    if every is not None and not follow:
        raise typer.BadParameter("--every needs --follow")
    if command is not None and as_json:
        raise typer.BadParameter("--exec gives the JSON to the command: leave --json out")
    pause = options.parse_duration(every or EVERY)
    with ExitStack() as stack:
        stopped = stack.enter_context(stopped_by(signal.SIGINT, signal.SIGTERM))
        ledger = stack.enter_context(open_ledger(store, connections=connections))
        file = stack.enter_context(BookmarkFile.open(state, ledger)) if state else None
        subscriber = Subscriber(ledger, file, after)
        take = _give_out(command, file, as_json=as_json, quiet=quiet, flush=follow)
        while subscriber.read(take, limit, stopped, retrying=follow) and follow:
            if not _wait(stopped, pause):
                break
    if stopped.is_set() and not follow:
        raise KeyboardInterrupt


def _give_out(
    command: str | None, file: BookmarkFile | None, *, as_json: bool, quiet: bool, flush: bool
) -> Callable[[LoggedChange], None]:
    def take(change: LoggedChange) -> None:
        if command is not None:
            _run(command, change, file)
        elif as_json:
            print_json(logged_change_json(change))
        elif not quiet:
            sys.stdout.write(_line(change) + "\n")
        if flush or file:
            sys.stdout.flush()

    return take


def _wait(stopped: Event, seconds: float) -> bool:
    """Wait, and tell whether to go on; a signal that another thread received wakes nobody here."""
    while seconds > 0 and not stopped.wait(min(HEED, seconds)):
        seconds -= HEED
    return not stopped.is_set()


class Subscriber:
    """Reads what is new in the feed, and remembers how far it is and what log it saw."""

    def __init__(self, ledger: Ledger, file: BookmarkFile | None, after: int | None) -> None:
        self._ledger = ledger
        self._file = file
        self._leaf = after
        self._note: bytes | None = None
        self._read_up: bytes | None = None
        """The checkpoint of which everything was read."""
        self._taken = 0
        self._is_reading = False
        self._is_failing = False
        bookmark = file.read() if file else None
        if bookmark is not None:
            self._leaf = bookmark.leaf
            self._note = bookmark.checkpoint.encode()
            if after not in {None, bookmark.leaf}:
                done = "no leaf" if bookmark.leaf is None else f"leaf {bookmark.leaf}"
                note(f"the state goes on after {done}: --after is for a new file")

    def read(
        self,
        take: Callable[[LoggedChange], None],
        limit: int | None,
        stopped: Event,
        *,
        retrying: bool,
    ) -> bool:
        """Give out what is new, and tell whether more may come.

        A change is done when ``take`` returns. ``retrying``: that the store can't be reached is
        said, once, and the next call tries again.
        """
        self._is_reading = False
        try:
            for change in islice(self._new(), None if limit is None else limit - self._taken):
                take(change)
                self._keep(change.index, self._note)
                self._taken += 1
                if stopped.is_set():
                    return False
            self._is_failing = False
        except StoreUnavailable as error:
            if not retrying:
                raise
            if not self._is_failing:
                note(f"{error}; trying again")
            self._is_failing = True
        except LedgerError as error:
            if isinstance(error, CommandFailedError) and stopped.is_set():
                raise KeyboardInterrupt from None  # Ctrl-C went to the command as well
            if self._is_reading:
                error.hint = "; ".join(filter(None, [error.hint, self._resume()]))
            raise
        return self._taken != limit

    def _new(self) -> Iterator[LoggedChange]:
        ledger = self._ledger
        blob = ledger.store.get(layout.LOG_CHECKPOINT)
        if blob is not None and blob.data == self._read_up:
            return
        ledger.history.follow_trust()
        log = Log(ledger)
        signed = log.checkpoint(since=self._note)
        # What it has may be by keys that were listed since, and files are there before their use.
        ledger.history.follow_trust()
        new = log.changes(after=self._leaf, signed=signed)
        if signed.note != self._note:
            self._keep(self._leaf, signed.note)
        self._is_reading = True
        yield from new
        self._read_up = signed.note

    def _keep(self, leaf: int | None, checkpoint: bytes | None) -> None:
        if self._file and checkpoint is not None:
            self._file.write(leaf, checkpoint)
        self._leaf, self._note = leaf, checkpoint

    def _resume(self) -> str:
        if self._file:
            return "the same command again resumes there"
        after = "" if self._leaf is None else f" --after {self._leaf}"
        return f"'ledger changes{after}' resumes there"


def _run(command: str, change: LoggedChange, file: BookmarkFile | None) -> None:
    """Run the command for a change; raises CommandFailedError.

    It holds the lock of the file, so that nobody begins the same change while it is running, even
    if this process is killed.
    """
    shown = logged_change_json(change)
    named = change.leaf if isinstance(change.leaf, Leaf) else Leaf("", 0, "")
    about = {"leaf": change.index, **(named._asdict())}
    done = subprocess.run(  # noqa: S602 -- the user's own command; what is signed goes to stdin
        command,
        shell=True,
        input=f"{json_text(shown)}\n".encode(),
        env=os.environ | {f"LEDGER_CHANGE_{name.upper()}": f"{about[name]}" for name in about},
        pass_fds=[file.descriptor] if file else [],
        check=False,
    )
    if done.returncode:
        how = (
            f"signal {-done.returncode}" if done.returncode < 0 else f"exit code {done.returncode}"
        )
        what = f" ({named.title_number} version {named.version})" if named.title_number else ""
        raise CommandFailedError(f"leaf {change.index}{what}: {command} ended with {how}")


def _line(change: LoggedChange) -> str:
    leaf, entry = change.leaf, change.entry
    words = [style(f"{change.index}", typer.colors.YELLOW)]
    if isinstance(leaf, Leaf):
        words += [entry.recorded_at[:19] + "Z"] if entry else []
        words += [leaf.title_number, f"v{leaf.version}", leaf.address[:8]]
    elif isinstance(leaf, OtherLeaf):
        words.append(f"(of type {printable(leaf.type)})")
    else:
        words += ["trust file", f"{leaf.version}", leaf.digest[:8]]
    words += _facts(entry, change) if entry else []
    if change.is_disowned:
        words.append(style("(disowned)", typer.colors.RED))
    return " ".join(words) + stand_mark(change.stand)


def _facts(entry: Entry, change: LoggedChange) -> Iterator[str]:
    if entry.kind != KINDS[0]:
        yield entry.kind
    if entry.reference:
        yield printable(entry.reference)
    if entry.part != (1, 1):
        yield "part {} of {}".format(*entry.part)
    for verb, versions in (
        ("confirms", entry.confirms),
        ("voids", entry.voids),
        ("erases", entry.erases),
    ):
        if versions:
            yield f"{verb} {', '.join(f'v{version}' for version in versions)}"
    if entry.status != OPEN:
        yield entry.status
    if change.order is not None:
        yield f"(erased by version {change.order.version})"
