"""A sealer's index of the log, on its own disk: which leaf is which version of which title.

What a sealer logs next depends on what it believes to be logged. A record in the store says so, but
anybody who can write to the store can forge it, or take it away. So the sealer asks this index, a
database beside its memory. It is made of leaves that lead to the root of the log's state, and of
nothing else. If it is missing, damaged, or of another history, it is made anew from all leaves.
"""

from __future__ import annotations

import sqlite3
from contextlib import contextmanager, suppress
from pathlib import Path
from typing import TYPE_CHECKING, NamedTuple, TypeAlias

from ledger.errors import IntegrityError, StoreUnavailable
from ledger.format.standing import Positions
from ledger.tlog.merkle import EMPTY_ROOT
from ledger.tlog.objects import RECORDED, Leaf, OtherLeaf, SealedRecord, TrustLeaf, decode_leaf

if TYPE_CHECKING:
    import os
    from collections.abc import Callable, Collection, Iterable, Iterator

    from ledger.sealing.reader import LogReader
    from ledger.tlog.checkpoint import Checkpoint

FORMAT = 3
TABLES = f"""
CREATE TABLE trust (version INTEGER, digest BLOB, at INTEGER);
CREATE TABLE covered (origin TEXT, size INTEGER, root BLOB);
CREATE TABLE leaf (title TEXT, version INTEGER, at INTEGER, address BLOB,
                   PRIMARY KEY (title, version, at)) WITHOUT ROWID;
PRAGMA user_version = {FORMAT};
"""
ADD_TRUST = "INSERT INTO trust VALUES (?, ?, ?)"
ADD = "INSERT INTO leaf VALUES (?, ?, ?, ?)"
NEWEST = """SELECT version, MIN(at), address FROM leaf WHERE title = ? AND at NOT IN ({})
            GROUP BY version ORDER BY version DESC LIMIT ?"""
ALL = "SELECT version, address, at FROM leaf WHERE title = ?"
POSITIONS = "SELECT address, MIN(at) FROM leaf WHERE title = ? GROUP BY address"


FindBogus: TypeAlias = "Callable[[str, Iterable[tuple[int, str, int]]], Collection[int]]"
"""Finds, of the leaves of a title (version, address, index), those that count for nothing."""


def _none(_title_number: str, _leaves: Iterable[tuple[int, str, int]]) -> Collection[int]:
    return ()


class _Covered(NamedTuple):
    """The log that the index is made of."""

    origin: str
    size: int
    root: bytes


class SealedIndex:
    """The index in a file, or a temporary one. One thread at a time uses it."""

    def __init__(
        self,
        path: str | os.PathLike[str] | None = None,
        find_bogus: FindBogus = _none,
    ) -> None:
        """``find_bogus`` tells which leaves of a title count for nothing, as if not logged."""
        self._find_bogus = find_bogus
        self.path: Path | None = None if path is None else Path(path)
        self._database: sqlite3.Connection | None = None
        self._covered: _Covered | None = None

    def close(self) -> None:
        """Close the file."""
        if self._database is not None:
            self._database.close()
            self._database = None

    def follow(self, log: LogReader, checkpoint: Checkpoint, within: int | None = None) -> None:
        """Bring the index to a checkpoint that the log's key signed, and whose tiles are there.

        ``within``: a later size, of which the tiles are there.

        Reads the leaves that it lacks. Raises IntegrityError if they don't lead to its root,
        UnsupportedFormatError for a leaf that must not be passed over, StoreUnavailable.
        """
        wanted = _Covered(log.origin, checkpoint.size, checkpoint.root)
        with self._failing():
            covered = self._open()
        if covered == wanted:
            return
        if covered is not None and covered.origin == wanted.origin and covered.size < wanted.size:
            with suppress(IntegrityError):  # it may be of a history that was given up
                self._read(log, checkpoint, covered, within)
                return
        self._begin()
        self._read(log, checkpoint, _Covered(log.origin, 0, EMPTY_ROOT), within)

    def fill(self, leaves: Iterable[bytes], checkpoint: Checkpoint) -> None:
        """Make the index of these leaves, all that a checkpoint has.

        What taking them raises leaves it empty: they have to lead to the checkpoint's root.
        """
        self._begin()
        self._write(leaves, 0, checkpoint)

    def add(self, leaves: Iterable[bytes], before: Checkpoint, checkpoint: Checkpoint) -> None:
        """Add the leaves that this sealer committed on top of ``before``; nothing is read."""
        if self._covered == (before.origin, before.size, before.root):
            self._write(leaves, before.size, checkpoint)

    def newest(self, title_number: str) -> Leaf | None:
        """The newest logged version of a title, or None."""
        for version, _, address in self._rows(title_number, 1):
            return Leaf(title_number, version, address.hex())
        return None

    def record(self, title_number: str) -> SealedRecord | None:
        """What the store should say of a title; None: nothing of it is logged."""
        rows = self._rows(title_number, RECORDED)
        if not rows:
            return None
        version, _, address = rows[0]
        leaves = [at for back, (below, at, _) in enumerate(rows) if below == version - back]
        return SealedRecord(version, address.hex(), tuple(reversed(leaves)))

    def trust_leaves(self) -> list[tuple[int, TrustLeaf]]:
        """The trust files that the log names, in its order, and where."""
        with self._failing():
            rows = self._connection().execute("SELECT * FROM trust ORDER BY at").fetchall()
        return [(at, TrustLeaf(version, digest.hex())) for version, digest, at in rows]

    def positions(self, title_number: str) -> Positions:
        """Where the log has the entries of a title."""
        with self._failing():
            rows = self._connection().execute(POSITIONS, (title_number,)).fetchall()
        leaves = {address.hex(): at for address, at in rows}
        return Positions(leaves, self._covered.size if self._covered else 0)

    def titles(self, start: int) -> Iterator[str]:
        """The titles that have leaves from ``start`` on."""
        with self._failing():
            query = "SELECT DISTINCT title FROM leaf WHERE at >= ? ORDER BY title"
            for (title_number,) in self._connection().execute(query, (start,)):
                yield str(title_number)

    # -- The file ------------------------------------------------------------------------------

    def _read(
        self, log: LogReader, checkpoint: Checkpoint, covered: _Covered, within: int | None
    ) -> None:
        leaves = log.proved_leaves(checkpoint, covered.size, covered.root, within)
        self._write(leaves, covered.size, checkpoint)

    def _write(self, leaves: Iterable[bytes], start: int, checkpoint: Checkpoint) -> None:
        """Add leaves; if they turn out not to lead to the root, nothing is kept."""
        covered = _Covered(checkpoint.origin, checkpoint.size, checkpoint.root)
        with self._failing(), self._connection() as database:
            trust: list[tuple[int, bytes, int]] = []
            database.executemany(ADD, _leaf_rows(leaves, start, trust))
            database.executemany(ADD_TRUST, trust)
            database.execute("DELETE FROM covered")
            database.execute("INSERT INTO covered VALUES (?, ?, ?)", covered)
        self._covered = covered

    def _rows(self, title_number: str, most: int) -> list[tuple[int, int, bytes]]:
        with self._failing():
            every = self._connection().execute(ALL, (title_number,))
            bogus = self._find_bogus(
                title_number, ((version, address.hex(), at) for version, address, at in every)
            )
            query = NEWEST.format(", ".join(map(str, sorted(bogus))))
            return self._connection().execute(query, (title_number, most)).fetchall()

    def _connection(self) -> sqlite3.Connection:
        if self._database is None:
            # One thread at a time uses it, but not always the same one.
            self._database = sqlite3.connect(self.path or "", check_same_thread=False)
        return self._database

    def _open(self) -> _Covered | None:
        """What the file covers; None: it is new, or can't be used as it is."""
        if self._covered is None:
            with suppress(sqlite3.DatabaseError):
                database = self._connection()
                if database.execute("PRAGMA user_version").fetchone() == (FORMAT,):
                    for row in database.execute("SELECT * FROM covered"):
                        self._covered = _Covered(*row)
        return self._covered

    def _begin(self) -> None:
        """Begin a new file."""
        self.close()
        self._covered = None
        with self._failing():
            if self.path is not None:
                for suffix in ("", "-journal"):
                    self.path.with_name(self.path.name + suffix).unlink(missing_ok=True)
                self.path.touch(0o600)
            self._connection().executescript(TABLES)

    @contextmanager
    def _failing(self) -> Iterator[None]:
        try:
            yield
        except (sqlite3.Error, OSError) as error:
            raise StoreUnavailable(
                f"the index of the log's leaves: {self.path or 'a temporary file'}: {error}",
                hint="delete the file if it is damaged: the next seal makes it again from the log",
            ) from error


def _leaf_rows(
    leaves: Iterable[bytes], start: int, trust: list[tuple[int, bytes, int]]
) -> Iterator[tuple[str, int, int, bytes]]:
    """Yield the rows of entries, and add those of trust files."""
    for at, data in enumerate(leaves, start):
        leaf = decode_leaf(data)
        if isinstance(leaf, OtherLeaf):
            if not leaf.may_be_passed_over:
                raise leaf.unsupported()
        elif isinstance(leaf, TrustLeaf):
            trust.append((leaf.version, bytes.fromhex(leaf.digest), at))
        else:
            yield leaf.title_number, leaf.version, at, bytes.fromhex(leaf.address)
