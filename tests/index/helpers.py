"""What the tests of the index share: opening one, and what is in it."""

from __future__ import annotations

import sqlite3
from contextlib import closing
from typing import TYPE_CHECKING, Any

from ledger.index import Index

if TYPE_CHECKING:
    from pathlib import Path

    from ledger import Ledger, Report

WITHOUT_IDS = """SELECT title_number, version, address, parent, recorded_at, effective_at,
    effective_until, begins_day, begins_instant, ends_day, ends_instant, kind, status, reference,
    part, parts, key, author, message, document, erased_by, stands, standing, words
    FROM entries ORDER BY title_number, version"""


def rows(path: Path, query: str, *values: object) -> list[Any]:
    """What SQLite finds in the file."""
    with closing(sqlite3.connect(path)) as database:
        return database.execute(query, values).fetchall()


def dump(path: Path) -> list[Any]:
    """All that an index holds, but for when it was made; its words are checked on the way."""
    with closing(sqlite3.connect(path)) as database:
        database.execute("INSERT INTO entries_fts(entries_fts, rank) VALUES ('integrity-check', 1)")
        assert database.execute("PRAGMA integrity_check").fetchall() == [("ok",)]
    about = rows(path, "SELECT origin, format, leaf, keys, scrub FROM about")
    left_out = rows(path, "SELECT title_number, outcome, finding FROM left_out")
    waiting = rows(path, "SELECT * FROM waiting")
    return [about, rows(path, WITHOUT_IDS), left_out, waiting]


def update(ledger: Ledger, path: Path) -> Report:
    with Index(ledger, path) as index:
        return index.update(jobs=1)


def found(ledger: Ledger, file: Path, /, *asked: Any, **options: Any) -> list[tuple[str, int]]:
    """The titles and versions that a search finds."""
    return [each[:2] for each in Index(ledger, file).find(*asked, **options)]
