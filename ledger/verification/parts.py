"""Judge the registrations that a verification met: each part of one asks for the others.

The parts are sorted by registration in a temporary database on the disk, so memory stays flat. Of a
registration that lacks a part, or has one twice, the others are looked for in the store, if there
is one: they may lie below what is taken on trust, or have come to stand since their titles were
read.
"""

from __future__ import annotations

import sqlite3
from itertools import groupby
from threading import Lock
from typing import TYPE_CHECKING, NamedTuple

from ledger.errors import LedgerError
from ledger.format import layout, times
from ledger.format.report import Finding, finding_of
from ledger.registrations.registration import find_registration, spell_parts
from ledger.verification.leaf_index import failing
from ledger.verification.trust import MAX_DELAY

if TYPE_CHECKING:
    from collections.abc import Iterable, Iterator
    from datetime import datetime, timedelta

    from ledger.format.chain import SeenPart
    from ledger.titles.history import History

TABLE = """
CREATE TABLE part (reference TEXT, n INTEGER, i INTEGER, title TEXT, version INTEGER, address TEXT,
recorded_at TEXT)
"""
OPEN = """
SELECT part.* FROM part JOIN (SELECT reference, n FROM part GROUP BY reference, n
HAVING COUNT(DISTINCT i) < n OR COUNT(*) > COUNT(DISTINCT i)) USING (reference, n)
ORDER BY reference, n, i, title, version
"""


class _Row(NamedTuple):
    """A part that stands."""

    reference: str
    n: int
    i: int
    title_number: str
    version: int
    address: str
    recorded_at: str


class PartIndex:
    """The parts that were met, in any order, and what is wrong with their registrations."""

    def __init__(
        self, history: History | None, now: datetime, max_delay: timedelta = MAX_DELAY
    ) -> None:
        """``history``: the store's; None: what is met is a bundle's, and all that there is."""
        self.incomplete: set[str] = set()
        """The references of those that ``judge`` found to lack a part."""
        self._history = history
        self._now = now
        self._max_delay = max_delay
        self._lock = Lock()  # a verification can be stopped from another thread
        self._judged: set[str] | None = None
        with failing():
            self._database = sqlite3.connect("", isolation_level=None, check_same_thread=False)
            self._database.execute(TABLE)
            self._database.execute("BEGIN")

    def close(self) -> None:
        """Delete the database."""
        self._database.close()

    def add(self, parts: Iterable[SeenPart]) -> None:
        """Add the parts of one title that stand."""
        rows = [(each.reference, each.part[1], each.part[0], *each[2:]) for each in parts]
        with self._lock, failing():
            self._database.executemany("INSERT INTO part VALUES (?, ?, ?, ?, ?, ?, ?)", rows)

    def judge(self) -> Iterator[Finding]:
        """Yield what is wrong with the registrations, after the last title."""
        judged: set[str] = set()
        for (reference, n), rows in groupby(self._open(), lambda row: row[:2]):
            yield from self._judge(reference, n, list(rows), judged)
        self._judged = judged

    def open_titles(self) -> set[str]:
        """The titles that have a part of a registration that is not known to be complete.

        They must be walked again: what lies below their heads can't be taken on trust.
        """
        if self._judged is not None:
            return self._judged
        return {row.title_number for row in self._open()}

    def _open(self) -> Iterator[_Row]:
        """The parts of registrations that lack one, or have one twice, among those that were met.

        Few, after all titles: they are held in memory.
        """
        with self._lock, failing():
            return map(_Row._make, self._database.execute(OPEN).fetchall())

    def _judge(
        self, reference: str, n: int, met: list[_Row], judged: set[str]
    ) -> Iterator[Finding]:
        key = layout.entry_key(met[0].title_number, met[0].address)
        titles = {row.title_number for row in met}
        try:
            found = find_registration(self._history, reference).parts if self._history else ()
        except LedgerError as error:
            judged |= titles
            yield finding_of(error, key)
            return
        rows = set(met)
        rows |= {
            _Row(
                reference,
                n,
                entry.part[0],
                entry.title_number,
                entry.version,
                entry.address,
                entry.recorded_at,
            )
            for entry in found
            if entry.part[1] == n
        }
        there = sorted(rows)
        missing = sorted(set(range(1, n + 1)) - {row.i for row in there})
        if missing:
            judged |= titles
            self.incomplete.add(reference)
            yield self._incomplete(key, there, missing)
        for i, same in groupby(there, lambda row: row.i):
            places = [f"{row.title_number} version {row.version}" for row in same]
            if len(places) > 1:
                message = (
                    f"{key}: the registration {reference!a:.80} has part {i} of {n} more than once:"
                    f" {', '.join(places)}"
                )
                yield Finding("warning", "registration-conflict", key, message)

    def _incomplete(self, key: str, there: list[_Row], missing: list[int]) -> Finding:
        """Report missing parts: they may be on their way, for a time."""
        reference, n = there[0][:2]
        oldest = min(row.recorded_at for row in there)
        where = "" if self._history else " in this bundle"
        late = not where and self._now - times.parse_time(oldest) > self._max_delay
        message = (
            f"{key}: the registration {reference!a:.80} is incomplete{where}: missing"
            f" {spell_parts((i, n) for i in missing)}; it was begun at {oldest}"
        )
        return Finding(
            "tampering" if late else "unchecked", "registration-incomplete", key, message
        )
