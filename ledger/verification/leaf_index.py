"""Sort the leaves of a log by title, in flat memory: in a temporary database on the disk.

The log is in the order of sealing, and an audit goes title by title. SQLite sorts what does not fit
into memory in files of its own, below TMPDIR.
"""

from __future__ import annotations

import sqlite3
from contextlib import closing, contextmanager
from itertools import groupby
from typing import TYPE_CHECKING, Any, NamedTuple

from ledger.errors import OriginNotPinned, StoreUnavailable
from ledger.format.keyring import TRUST_THE_LOG
from ledger.tlog.objects import AnyLeaf, Leaf
from ledger.verification.trust import drop_disowned
from ledger.verification.walk import Known

if TYPE_CHECKING:
    from collections.abc import Iterable, Iterator

    from ledger.sealing.reader import LogReader

TABLES = """
CREATE TABLE leaf (title TEXT, version INTEGER, address TEXT, at INTEGER);
CREATE TABLE later (title TEXT, version INTEGER, address TEXT, at INTEGER);
CREATE TABLE marker (title TEXT, version INTEGER, address TEXT);
CREATE TABLE chain (title TEXT, version INTEGER, trace BLOB);
CREATE TABLE beyond (title TEXT, version INTEGER, address TEXT, logged INTEGER, since TEXT);
"""
MANY = 1024


class Row(NamedTuple):
    """A leaf of a title."""

    version: int
    address: str
    at: int
    """Its index in the log."""


class Beyond(NamedTuple):
    """A title whose head is beyond what the log has of it."""

    title_number: str
    version: int
    address: str
    logged: int
    """The last version in the log, or 0."""
    since: str
    """When an audit first saw that the next version is missing there; "": now."""


class LeafIndex:
    """Leaves and heads, added in any order and read in the order of titles."""

    def __init__(self) -> None:
        self.dropped: set[str] = set()
        """The titles that had leaves which were dropped."""
        with failing():
            # One thread at a time uses it, but not always the same one.
            self._database = sqlite3.connect("", isolation_level=None, check_same_thread=False)
            self._database.executescript(TABLES)
            self._database.execute("BEGIN")

    def close(self) -> None:
        """Delete the database."""
        self._database.close()

    def add_leaves(self, leaves: Iterable[AnyLeaf], start: int) -> None:
        """Add the leaves of the log from an index on."""
        self._add("INSERT INTO leaf VALUES (?, ?, ?, ?)", _rows(leaves, start))

    def add_later(self, leaves: Iterable[AnyLeaf], start: int) -> None:
        """Add leaves of a later checkpoint than the one that is audited."""
        self._add("INSERT INTO later VALUES (?, ?, ?, ?)", _rows(leaves, start))
        with failing():
            self._database.execute("CREATE INDEX IF NOT EXISTS by_title ON later (title, version)")

    def add_beyond(self, found: Beyond) -> None:
        """Add a title whose head is beyond the log; titles come in order."""
        self._add("INSERT INTO beyond VALUES (?, ?, ?, ?, ?)", [(*found,)])

    def add_markers(self, markers: Iterable[tuple[str, int, str]]) -> None:
        """Add the title, version and address of markers, in any order."""
        rows = ((f"{title_number}/", *moved) for title_number, *moved in markers)
        self._add("INSERT INTO marker VALUES (?, ?, ?)", rows)

    def add_chain(self, title_number: str, version: int, trace: bytes) -> None:
        """Add the version of a title's head, and the addresses from there down, 32 bytes each."""
        self._add("INSERT INTO chain VALUES (?, ?, ?)", [(f"{title_number}/", version, trace)])

    def chains(self) -> Iterator[tuple[str, tuple[int, bytes]]]:
        """Yield what ``add_chain`` was given, in the order of the titles."""
        rows = self._read("SELECT * FROM chain ORDER BY title")
        return ((str(key)[:-1], (int(version), bytes(trace))) for key, version, trace in rows)

    def _add(self, statement: str, rows: Iterable[tuple[object, ...]]) -> None:
        # What reading the rows raises goes through: it is not an sqlite3.Error.
        with failing():
            self._database.executemany(statement, rows)

    def titles(self) -> Iterator[tuple[str, Iterator[Row]]]:
        """Yield the titles that have leaves, in order, with their leaves by version and index."""
        return self._titles("SELECT * FROM leaf ORDER BY title, version, at")

    def titles_within(self, start: int, end: int) -> Iterator[tuple[str, Iterator[Row]]]:
        """Yield the titles that have leaves in a range, in order, with all their leaves."""
        within = "SELECT title FROM leaf WHERE at >= ? AND at < ?"
        query = f"SELECT * FROM leaf WHERE title IN ({within}) ORDER BY title, version, at"  # noqa: S608 -- no values
        return self._titles(query, (start, end))

    def drop(self, title_number: str, leaves: Iterable[int]) -> None:
        """Forget the leaves of a title that have these indexes."""
        self.dropped.add(title_number)
        self._add("DELETE FROM leaf WHERE at = ?", ((at,) for at in leaves))

    def later_titles(self) -> Iterator[tuple[str, Iterator[Row]]]:
        """Yield the titles that have later leaves, in the same way."""
        return self._titles("SELECT * FROM later ORDER BY title, version, at")

    def markers(self) -> Iterator[tuple[str, Iterator[Known]]]:
        """Yield the titles that have markers, in order, with what their markers name."""
        rows = self._read("SELECT * FROM marker ORDER BY title, version, address")
        for key, group in groupby(rows, lambda row: str(row[0])):
            yield key[:-1], (Known(*row[1:]) for row in group)

    def _titles(
        self, query: str, values: tuple[int, ...] = ()
    ) -> Iterator[tuple[str, Iterator[Row]]]:
        for key, group in groupby(self._read(query, values), lambda row: str(row[0])):
            yield key[:-1], (Row(*row[1:]) for row in group)

    def newest(self) -> Iterator[tuple[str, int]]:
        """Yield the titles that have leaves, in order, with the last version of each."""
        rows = self._read("SELECT title, MAX(version) FROM leaf GROUP BY title ORDER BY title")
        return ((str(key)[:-1], int(version)) for key, version in rows)

    def beyond(self) -> Iterator[Beyond]:
        """Yield the titles whose heads are beyond the log, in order."""
        return (Beyond(*row) for row in self._read("SELECT * FROM beyond ORDER BY rowid"))

    def has_later(self, found: Beyond) -> bool:
        """Tell whether a later checkpoint has the head."""
        where = (f"{found.title_number}/", found.version, found.address)
        rows = self._read(
            "SELECT 1 FROM later WHERE title = ? AND version = ? AND address = ? LIMIT 1", where
        )
        return any(rows)

    def _read(self, query: str, values: tuple[object, ...] = ()) -> Iterator[Any]:
        with failing():
            cursor = self._database.execute(query, values)
        while True:
            with failing():
                rows = cursor.fetchmany(MANY)
            if not rows:
                return
            yield from rows


def logged_titles(log: LogReader) -> Iterator[str]:
    """Yield the titles that the published log has, in order, once all its leaves are proved.

    Raises StoreUnavailable if there is no log, OriginNotPinned if the keyring has no key of it.
    """
    if not log.log_keys:
        raise OriginNotPinned(
            f"{log.store.url} can't be listed, and your keyring has no key of the log of"
            f" {log.origin}, which names the titles",
            hint=TRUST_THE_LOG.format(log.origin),
        )
    from ledger.verification.replay import rehash  # noqa: PLC0415 -- slow to load

    signed = log.checkpoint()
    if signed is None:
        raise StoreUnavailable(
            f"{log.store.url} can't be listed, and has no log that names the titles",
            hint="name the titles; or ask for a bundle",
        )
    with closing(LeafIndex()) as index:
        index.add_leaves(rehash(log, signed.checkpoint), 0)
        for _ in drop_disowned(log, index):
            pass  # an audit reports them
        for title_number, _ in index.newest():
            yield title_number


def _rows(leaves: Iterable[AnyLeaf], start: int) -> Iterator[tuple[object, ...]]:
    for at, leaf in enumerate(leaves, start):
        if isinstance(leaf, Leaf):
            yield f"{leaf.title_number}/", leaf.version, leaf.address, at


@contextmanager
def failing() -> Iterator[None]:
    """Turn an error of the database into StoreUnavailable: mostly, the disk is full."""
    try:
        yield
    except sqlite3.Error as error:
        raise StoreUnavailable(
            f"cannot sort what was verified in a temporary file: {error}",
            hint="if the disk is full, name another folder in TMPDIR",
        ) from error
