"""The SQLite file of an index: open it, refuse it or begin it anew, write to it, and scrub it."""

from __future__ import annotations

import json
import sqlite3
from contextlib import closing, contextmanager, suppress
from pathlib import Path
from typing import TYPE_CHECKING
from urllib.parse import quote

from ledger.errors import InvalidError, NotFoundError, StoreUnavailable
from ledger.index.schema import APPLICATION, FORMAT, SCHEMA
from ledger.index.search import Coverage, bound_columns, words_of
from ledger.verification.walk import Known, Verified

if TYPE_CHECKING:
    import os
    from collections.abc import Iterable, Iterator, Mapping

    from ledger.format.report import Report
    from ledger.format.standing import Judged

WAIT = 30.0
"""Seconds to wait for another connection that writes."""

ABOUT = "INSERT INTO about VALUES (?, ?, NULL, NULL, NULL, ?, ?)"
ADD = "INSERT INTO entries VALUES (NULL" + ", ?" * 24 + ")"
ERASE = """UPDATE entries SET author = NULL, message = NULL, document = NULL, erased_by = ?1,
    words = casefold(trim(title_number || char(10) || reference, char(10)))
    WHERE title_number = ?2 AND version = ?3 AND erased_by IS NOT ?1"""
HEAD = """SELECT version, address FROM entries WHERE title_number = ?
    ORDER BY version DESC LIMIT 1"""
COVERAGE = """SELECT origin, leaf, updated_at, (SELECT count(*) FROM waiting),
    (SELECT count(*) FROM left_out) FROM about"""
THERE = """SELECT 1 FROM entries WHERE title_number = ? AND version = ? AND address = ?
    AND stands = ? AND standing = ?"""
EXPECT = "INSERT OR IGNORE INTO waiting VALUES (?)"
WAITING = "SELECT folder FROM waiting WHERE folder > ? ORDER BY folder LIMIT ?"


class IndexFile:
    """The file. One connection writes, under its own lock; readers open theirs."""

    def __init__(self, path: str | os.PathLike[str], origin: str) -> None:
        self.path: Path = Path(path)
        self._origin = origin
        self._writer: sqlite3.Connection | None = None

    # -- Open ----------------------------------------------------------------------------------

    @contextmanager
    def reading(self) -> Iterator[sqlite3.Connection]:
        """Open it to read; raises NotFoundError, or InvalidError if it is not of this ledger."""
        if not self.path.exists():
            raise NotFoundError(
                f"there is no index: {self.path}",
                hint="'ledger index' makes it, or --index names it",
            )
        with self.failing():
            uri = f"file:{quote(str(self.path.absolute()))}?mode=ro"
            with closing(sqlite3.connect(uri, uri=True, timeout=WAIT)) as database:
                if not self._is_ours(database):
                    raise NotFoundError(
                        f"there is no index in {self.path} yet, or one that another version made",
                        hint="'ledger index' makes it anew",
                    )
                yield database

    def open(self) -> None:
        """Open it to write, and begin it if it is missing or of another version."""
        if self._writer is not None:
            return
        with self.failing():
            self.path.touch(0o600)
            with closing(sqlite3.connect(self.path, timeout=WAIT)) as database:
                ours = self._is_ours(database)
            if not ours:
                for suffix in ("", "-wal", "-shm", "-journal"):
                    self.path.with_name(self.path.name + suffix).unlink(missing_ok=True)
                self.path.touch(0o600)
            self._writer = self._connect()
            self._writer.execute("PRAGMA journal_mode = WAL")  # writing stops no reader
            if not ours:
                self.reset({})

    def _connect(self) -> sqlite3.Connection:
        database = sqlite3.connect(
            self.path, timeout=WAIT, isolation_level=None, check_same_thread=False
        )
        database.create_function("casefold", 1, str.casefold, deterministic=True)
        database.execute("PRAGMA secure_delete = ON")
        database.execute("PRAGMA synchronous = NORMAL")
        return database

    def _is_ours(self, database: sqlite3.Connection) -> bool:
        """Tell whether it can be used as it is; raises InvalidError for what is not to be lost."""
        try:
            (application,) = database.execute("PRAGMA application_id").fetchone()
            (version,) = database.execute("PRAGMA user_version").fetchone()
            tables = database.execute("SELECT count(*) FROM sqlite_schema").fetchone() != (0,)
        except sqlite3.DatabaseError as error:
            if error.sqlite_errorcode != sqlite3.SQLITE_NOTADB:
                raise
            application, version, tables = 0, 0, True
        if not tables:
            return False  # new, or cut off before its first transaction
        if application != APPLICATION:
            raise InvalidError(
                f"{self.path} is not an index of a ledger, and is left as it is",
                hint="name another file; if this was an index and is damaged, delete it",
            )
        if version != FORMAT:
            return False
        (origin,) = database.execute("SELECT origin FROM about").fetchone()
        if origin != self._origin:
            raise InvalidError(
                f"{self.path} is the index of another ledger: {origin}, not {self._origin}",
                hint="name another file, or delete this one: it can be made again",
            )
        return True

    def close(self) -> None:
        """Close it, as one file that can be copied and read anywhere."""
        if self._writer is not None:
            with suppress(StoreUnavailable):  # it stays owed
                self.scrub()
            with suppress(sqlite3.Error):  # another has it open: so it stays for now
                self._writer.execute("PRAGMA busy_timeout = 0")
                self._writer.execute("PRAGMA journal_mode = DELETE")
            self._writer.close()
            self._writer = None

    @contextmanager
    def failing(self) -> Iterator[None]:
        """Turn SQLite's errors into one of ours."""
        try:
            yield
        except (sqlite3.Error, OSError) as error:
            raise StoreUnavailable(
                f"the index {self.path}: {error}",
                hint="if the file is damaged, delete it: 'ledger index' makes it again",
            ) from error

    @property
    def _database(self) -> sqlite3.Connection:
        assert self._writer is not None  # noqa: S101 -- ``open`` comes first
        return self._writer

    @contextmanager
    def _transaction(self) -> Iterator[sqlite3.Connection]:
        with self.failing():
            self._database.execute("BEGIN IMMEDIATE")
            try:
                yield self._database
            except BaseException:
                self._database.execute("ROLLBACK")
                raise
            self._database.execute("COMMIT")

    # -- What it is of -------------------------------------------------------------------------

    def reset(self, keys: dict[str, int | None]) -> None:
        """Begin anew, in one transaction."""
        with self.failing():
            rows = self._database.execute(
                "SELECT type, name FROM sqlite_schema WHERE type IN ('table', 'view')"
                " AND name NOT LIKE 'sqlite_%' AND name NOT LIKE 'entries_fts_%'"
            ).fetchall()
            drop = "".join(f'DROP {kind} "{name}";\n' for kind, name in rows)
            about = (self._origin, FORMAT, json.dumps(keys), bool(rows))
            try:
                self._database.executescript(f"BEGIN IMMEDIATE;\n{drop}{SCHEMA}")
                self._database.execute(ABOUT, about)
                self._database.execute("COMMIT")
            except BaseException:
                self._database.rollback()
                raise

    def checkpoint(self) -> str | None:
        """The signed checkpoint of the leaves that it has taken up."""
        with self.failing():
            found = self._database.execute("SELECT checkpoint FROM about").fetchone()[0]
        return None if found is None else str(found)

    def keys(self, database: sqlite3.Connection | None = None) -> dict[str, int | None]:
        """The registrars' keys that its entries were verified by, and where each ends."""
        with self.failing():
            row = (database or self._database).execute("SELECT keys FROM about").fetchone()
        keys: dict[str, int | None] = json.loads(row[0])
        return keys

    def is_empty(self) -> bool:
        """Whether it has no entry."""
        with self.failing():
            return self._database.execute("SELECT 1 FROM entries LIMIT 1").fetchone() is None

    def rely_on(self, keys: Mapping[str, int | None]) -> None:
        """Note by which keys its entries are verified."""
        with self._transaction() as database:
            database.execute("UPDATE about SET keys = ?", (json.dumps(keys),))

    def finish(self, updated_at: str) -> None:
        """Note that an update has ended."""
        with self._transaction() as database:
            database.execute("UPDATE about SET updated_at = ?", (updated_at,))

    # -- What is to be looked at ---------------------------------------------------------------

    def expect(
        self, titles: Iterable[str], leaf: int | None = None, checkpoint: str | None = None
    ) -> None:
        """Note titles to be looked at, and how many leaves have named them.

        What taking the titles raises leaves everything as it was.
        """
        with self._transaction() as database:
            folders = ((f"{title_number}/",) for title_number in titles)
            database.executemany(EXPECT, folders)
            if checkpoint is not None:
                database.execute("UPDATE about SET leaf = ?, checkpoint = ?", (leaf, checkpoint))

    def expect_again(self, *, every: bool) -> None:
        """Look again at titles that were left out; ``every``: and at all that are in it."""
        with self._transaction() as database:
            query = "INSERT OR IGNORE INTO waiting SELECT DISTINCT title_number || '/' FROM "
            database.execute(query + "left_out")
            if every:
                database.execute(query + "entries")

    def waiting(self, chunk: int = 1000) -> Iterator[str]:
        """Yield the titles to be looked at, in the order of their folders."""
        last = ""
        while True:
            with self.failing():
                found = self._database.execute(WAITING, (last, chunk)).fetchall()
            for (last,) in found:
                yield last.removesuffix("/")
            if len(found) < chunk:
                return

    def known(self, title_number: str) -> Known | None:
        """The newest version of a title that it has."""
        with self.failing():
            return newest(self._database, title_number)

    def pin(self, title_number: str) -> str | None:
        """The last head of a title that was left out since."""
        query = "SELECT address FROM left_out WHERE title_number = ?"
        with self.failing():
            row = self._database.execute(query, (title_number,)).fetchone()
        return row[0] if row else None

    # -- Entries -------------------------------------------------------------------------------

    def take(self, batch: Iterable[Verified]) -> None:
        """Take up what was verified of some titles, in one transaction."""
        with self._transaction() as database:
            for verified in batch:
                self._take(database, verified)

    def _take(self, database: sqlite3.Connection, verified: Verified) -> None:
        title_number, head, report = verified[:3]
        database.execute("DELETE FROM waiting WHERE folder = ?", (f"{title_number}/",))
        if not report:
            self._leave_out(database, title_number, report)
            return
        database.execute("DELETE FROM left_out WHERE title_number = ?", (title_number,))
        entries, erased = verified.entries, verified.erased
        known = newest(database, title_number)
        if known is not None and (head is None or not _are_there(database, entries, known)):
            self._drop(database, title_number)
            if head is not None and (not entries or entries[-1][0].version > 1):
                database.execute(EXPECT, (f"{title_number}/",))  # all of it is wanted
                return
            known = None
        above = known.version if known else 0
        new = (each for each in entries if each[0].version > above)
        database.executemany(ADD, (_row(each, erased) for each in new))
        below = [(by, title_number, version) for version, by in erased.items() if version <= above]
        if below and database.executemany(ERASE, below).rowcount > 0:
            _owe(database)

    def _leave_out(self, database: sqlite3.Connection, title_number: str, report: Report) -> None:
        head = newest(database, title_number)
        pin = head.address if head else self.pin(title_number)
        failures = [each for each in report.findings if each.severity != "warning"]
        finding = failures[0]
        row = (title_number, pin, report.outcome, finding.slug, finding.message)
        database.execute("INSERT OR REPLACE INTO left_out VALUES (?, ?, ?, ?, ?)", row)
        # If only the store was out of reach, what was verified before is as good as it was.
        if head and any(each.slug != StoreUnavailable.slug for each in failures):
            self._drop(database, title_number)

    def _drop(self, database: sqlite3.Connection, title_number: str) -> None:
        database.execute("DELETE FROM entries WHERE title_number = ?", (title_number,))
        _owe(database)  # what is dropped today may be erased tomorrow

    def scrub(self) -> bool:
        """Rid the file of texts that were taken out; False: a reader still keeps them in the log.

        SQLite overwrites what it deletes, but may have moved a copy before. So the search words are
        merged into one list, and the file is written anew.
        """
        with self.failing():
            if self._database.execute("SELECT scrub FROM about").fetchone() == (0,):
                return True
            self._database.execute("INSERT INTO entries_fts(entries_fts) VALUES ('optimize')")
            self._database.execute("VACUUM")
            self._database.execute("UPDATE about SET scrub = 0")
            self._database.execute("PRAGMA busy_timeout = 1000")
            (busy, *_) = self._database.execute("PRAGMA wal_checkpoint(TRUNCATE)").fetchone()
            self._database.execute(f"PRAGMA busy_timeout = {WAIT * 1000:.0f}")
            if busy:
                _owe(self._database)
            return not busy


def _owe(database: sqlite3.Connection) -> None:
    database.execute("UPDATE about SET scrub = 1")


def _row(judged: Judged, erased: Mapping[int, int]) -> tuple[object, ...]:
    entry, stand = judged
    document = None if entry.is_withheld else entry.document_bytes.decode()
    return (
        entry.title_number,
        entry.version,
        entry.address,
        entry.parent,
        entry.recorded_at,
        entry.effective_at,
        entry.effective_until,
        *bound_columns(entry.begins),
        *bound_columns(entry.ends),
        entry.kind,
        entry.status,
        entry.reference,
        *entry.part,
        entry.key,
        None if entry.is_withheld else entry.author,
        None if entry.is_withheld else entry.message,
        document,
        erased.get(entry.version),
        bool(stand.stands),
        stand.words,
        words_of(entry),
    )


def _are_there(database: sqlite3.Connection, entries: Iterable[Judged], known: Known) -> bool:
    """Tell whether the entries up to the known version are in it, and stand as they did."""
    for entry, stand in entries:
        if entry.version <= known.version:
            row = (entry.title_number, entry.version, entry.address, bool(stand.stands))
            if database.execute(THERE, (*row, stand.words)).fetchone() is None:
                return False
    return True


def newest(database: sqlite3.Connection, title_number: str) -> Known | None:
    """Return the newest version of a title that an index has."""
    row = database.execute(HEAD, (title_number,)).fetchone()
    return Known(*row) if row else None


def coverage(database: sqlite3.Connection) -> Coverage:
    """Say what an index is of."""
    return Coverage(*database.execute(COVERAGE).fetchone())
