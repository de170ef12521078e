"""Read the entries of all titles, the newest first: by the log, by the index, or by the titles.

An entry whose text is ordered erased comes without it, even while the text is still in the store.
"""

from __future__ import annotations

from contextlib import closing, suppress
from itertools import islice, takewhile
from typing import TYPE_CHECKING, NamedTuple

from cli.config import load_config
from cli.terminal.output import counted, counting, note
from ledger import Entry, Ledger, Log
from ledger.errors import IntegrityError, NotFoundError, OriginNotPinned
from ledger.format.standing import STANDS, Judged
from ledger.index import Coverage, Index, Listed
from ledger.local.parallel import in_chunks
from ledger.sealing.pending import pending_titles

if TYPE_CHECKING:
    from collections.abc import Callable, Iterable, Iterator

MOST = 1_000
"""Moves that wait to be sealed, of which more are not looked at."""


CHECKED = 100
"""Titles whose heads are read at once."""


class Asked(NamedTuple):
    """Which entries are wanted."""

    is_wanted: Callable[[Entry], bool]
    since: str = ""
    """A date, or a time as entries have it; "": from the first on."""
    until: str = ""
    """That day or moment included; "": up to the last."""
    reference: str | None = None


class _Row(NamedTuple):
    """Where an entry is, and whether it can be shown as it is: it stands, and has its text."""

    title_number: str
    address: str
    is_plain: bool


def read_all(
    ledger: Ledger, asked: Asked, source: str = "", *, quiet: bool = False
) -> tuple[Iterator[Judged], Callable[[], None]]:
    """Return the entries of all titles, the newest first, and what says what is not among them.

    ``source``: ``log``, ``index`` or ``titles``; by default the log if there is one that the
    keyring has a key of, or else the index, or else the titles. The first entry that does not hold
    raises, after those before it.
    """
    index = Index(ledger, load_config().index(ledger.origin))
    if source in {"", "log"}:
        try:
            return _by_log(ledger, asked)
        except (NotFoundError, OriginNotPinned):
            if source:
                raise
    if source in {"", "index"}:
        try:
            coverage = index.coverage()
        except NotFoundError:
            if source:
                raise
        else:
            listed = index.newest_first(
                since=asked.since, until=asked.until, reference=asked.reference
            )
            found = _read(ledger, _current(index, listed))
            return filter_wanted(found, asked), lambda: note_coverage(coverage)
    if not (source or quiet):
        note(
            "there is no log that your keyring has a key of, and no index, so all titles are read"
            " ('ledger index' makes one)"
        )
    return _by_titles(ledger, asked, quiet=quiet), lambda: None


def filter_wanted(entries: Iterable[Judged], asked: Asked) -> Iterator[Judged]:
    """Yield the entries that are wanted."""
    return (each for each in entries if asked.is_wanted(each[0]))


def _read(ledger: Ledger, rows: Iterable[_Row]) -> Iterator[Judged]:
    history = ledger.history

    def read(taken: list[_Row]) -> list[Judged]:
        return [
            (history.entry(row.title_number, row.address), STANDS)
            if row.is_plain
            else next(history.judged_log(row.title_number, row.address))
            for row in taken
        ]

    return in_chunks(rows, read, max(1, ledger.store.concurrency), chunk=1)


def _current(index: Index, listed: Iterable[Listed]) -> Iterator[_Row]:
    """Yield where the entries are; those of a title that has changed since may be erased by now."""
    rest = iter(listed)
    while some := list(islice(rest, CHECKED)):
        changed = index.changed(dict.fromkeys(each.title_number for each in some))
        yield from (
            _Row(*each[:2], each.is_plain and each.title_number not in changed) for each in some
        )


# -- By the log ------------------------------------------------------------------------------------


def _by_log(ledger: Ledger, asked: Asked) -> tuple[Iterator[Judged], Callable[[], None]]:
    changes = Log(ledger).changes(reverse=True)

    def found() -> Iterator[Judged]:
        # An order is above what it erases, so it comes first, unless it waits to be sealed.
        orders, are_all = _waiting_orders(ledger)
        erased = {(each.title_number, version) for each in orders for version in each.erases}
        for change in changes:
            entry = change.entry
            if entry is None:
                continue
            erased.update((entry.title_number, version) for version in entry.erases)
            if not asked.is_wanted(entry):
                continue
            judged = entry, change.stand
            if not are_all or (entry.title_number, entry.version) in erased:
                judged = next(ledger.history.judged_log(entry.title_number, entry.address))
            yield judged

    return filter_wanted(found(), asked), lambda: _note_waiting(ledger)


def _waiting_orders(ledger: Ledger) -> tuple[list[Entry], bool]:
    """Return the entries that wait to be sealed and erase texts, and whether these are all."""

    def read(taken: list[tuple[str, str]]) -> list[Entry]:
        found = []
        for title_number, address in taken:
            with suppress(IntegrityError):  # a move that never happened: it orders nothing
                found.append(ledger.history.entry(title_number, address))
        return found

    if not ledger.store.is_listable:
        return [], False
    waiting = [
        (title_number, marker.address)
        for title_number, markers in pending_titles(ledger.store, MOST)
        for marker in markers
    ]
    entries = in_chunks(waiting, read, max(1, ledger.store.concurrency), chunk=1)
    return [entry for entry in entries if entry.erases], len(waiting) < MOST


def _note_waiting(ledger: Ledger) -> None:
    if not ledger.store.is_listable:
        note("what is not in the log yet is not shown: the store can't be listed")
        return
    waiting = [(title, len(markers)) for title, markers in pending_titles(ledger.store, MOST)]
    moves = sum(many for _, many in waiting)
    if moves:
        more = " or more" if moves == MOST else ""
        named = ", ".join(title for title, _ in waiting[:3]) + (", …" if waiting[3:] else "")
        are = "is" if moves == 1 else "are"
        note(
            f"{counted(moves, 'version')}{more} {are} not in the log yet, so not shown: {named}"
            " ('ledger log TITLE')"
        )


# -- By the titles ---------------------------------------------------------------------------------


def _by_titles(ledger: Ledger, asked: Asked, *, quiet: bool) -> Iterator[Judged]:
    """Read every title, and sort what is wanted on the disk; then read that again."""
    import sqlite3  # noqa: PLC0415 -- only for this

    with (
        closing(sqlite3.connect("")) as database,  # a file that SQLite makes, and deletes
        counting("reading", quiet=quiet) as count,
    ):
        database.execute("CREATE TABLE entries (moment, title_number, version, address, is_plain)")
        for title_number in ledger.titles():
            count(title_number)
            # Times never go back along a chain.
            recent = takewhile(
                lambda each: each[0].recorded_at >= asked.since,
                ledger.history.judged_log(title_number, "HEAD"),
            )
            rows = (
                (
                    entry.recorded_at,
                    title_number,
                    entry.version,
                    entry.address,
                    stand == STANDS and not entry.is_withheld,
                )
                for entry, stand in filter_wanted(recent, asked)
            )
            database.executemany("INSERT INTO entries VALUES (?, ?, ?, ?, ?)", rows)
        found = database.execute(
            "SELECT title_number, address, is_plain FROM entries"
            " ORDER BY moment DESC, title_number DESC, version DESC"
        )
        yield from _read(ledger, (_Row(*row) for row in found))


def note_coverage(coverage: Coverage) -> None:
    """Say as of when the index is, and what is not in it."""
    leaf = "" if coverage.leaf is None else f"leaf {coverage.leaf:,} of the log, "
    note(f"as of {leaf}{coverage.updated_at or 'an update that has not ended'}")
    if coverage.waiting:
        note(f"{counted(coverage.waiting, 'title')} are not looked at yet: 'ledger index' goes on")
    if coverage.left_out:
        note(f"{counted(coverage.left_out, 'title')} did not verify: 'ledger index' names them")
