"""The rule of law in time, as SQL has it: what ``Ledger.at`` answers, every view answers."""

from __future__ import annotations

import sqlite3
from contextlib import closing, suppress
from datetime import UTC, date, datetime, timedelta
from typing import TYPE_CHECKING, Any

import pytest
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st

from ledger.errors import NotFoundError
from ledger.format.entry import Entry
from ledger.format.layout import entry_key, head_key
from ledger.format.times import as_bound, format_time, parse_bound
from ledger.index import Index
from ledger.testing import ORIGIN, memory_ledger, signer
from tests.index.helpers import found, rows, update
from tests.laws import examples
from tests.trust.registry import Registry, rob, settle

if TYPE_CHECKING:
    from pathlib import Path

    from ledger import Ledger

years = st.integers(2015, 2035)
dates = st.dates(date(2015, 1, 1), date(2035, 1, 1)).map(str)
offsets = st.sampled_from(["Z", "+14:00", "-12:00", "+01:00", "+05:45"])
instants = st.builds(
    "{}-{:02}-{:02}T{:02}:{:02}:59{}{}".format,
    *(years, st.integers(1, 12), st.integers(1, 28), st.integers(0, 23), st.integers(0, 59)),
    st.sampled_from(["", ".5", ".999999", ".000001"]),
    offsets,
)
near = st.builds(  # about one midnight, where a date and an instant part
    "2026-{}T{:02}:30:00{}".format,
    st.sampled_from(["03-31", "04-01", "04-02"]),
    st.integers(0, 23),
    offsets,
)
days = st.one_of(dates, instants, near, st.sampled_from(["2026-03-31", "2026-04-01"]))
bounds = st.one_of(years.map(str), st.just("2026-04"), days)
versions = st.tuples(st.none() | bounds, st.none() | bounds, st.integers(0, 4000))
histories = st.lists(st.lists(versions, min_size=1, max_size=5), min_size=1, max_size=3)
questions = st.lists(st.tuples(st.none() | days, st.none() | days), min_size=1, max_size=4)


def write(ledger: Ledger, title_number: str, versions: list[Any]) -> None:
    """Put a chain into the store that no writer could: of any times."""
    parent: Entry | None = None
    recorded = datetime(2020, 1, 1, 23, 30, tzinfo=UTC)
    for begins, until, days in versions:
        recorded += timedelta(days=days / 2)
        since = parse_bound(begins or format_time(recorded))
        is_later = until is not None and since.is_before(parse_bound(until))
        parent = Entry.sign(
            signer(),
            ledger=ORIGIN,
            title_number=title_number,
            document={},
            salt=bytes(32),
            recorded_at=format_time(recorded),
            effective_at=begins,
            effective_until=until if is_later else None,
            parent=parent,
        )
        ledger.store.create(entry_key(title_number, parent.address), parent.data)
    assert parent is not None
    ledger.store.create(head_key(title_number), parent.data)


def answered(ledger: Ledger, **asked: Any) -> list[tuple[str, int]]:
    """What the ledger itself answers, title by title."""
    answers = []
    for title_number in ledger.titles():
        with suppress(NotFoundError):
            answers.append((title_number, ledger.at(title_number, **asked).version))
    return answers


def by_view(path: Path, effective: Any, recorded: Any) -> list[tuple[str, int]]:
    """The same question to the view, as somebody asks it who has SQLite alone."""
    columns = [
        column
        for question in (effective, recorded)
        for bound in [None if question is None else as_bound(question)]
        for column in (
            bound and bound.day.isoformat(),
            bound and bound.instant and format_time(bound.instant),
        )
    ]
    with closing(sqlite3.connect(path)) as database:
        database.execute("DELETE FROM as_of")
        database.execute("INSERT INTO as_of VALUES (?, ?, ?, ?)", columns)
        query = "SELECT title_number, version FROM in_force ORDER BY title_number"
        return database.execute(query).fetchall()


BY_DAY = """
SELECT title_number, max(version) FROM entries
WHERE stands AND begins_day <= :day AND (ends_day IS NULL OR :day < ends_day)
AND date(recorded_at) <= :known GROUP BY title_number ORDER BY title_number
"""
"""What the how-to tells to ask where a view can't be set, as in datasette."""


@settings(
    deadline=None,
    max_examples=examples(25),
    suppress_health_check=[HealthCheck.function_scoped_fixture, HealthCheck.too_slow],
)
@given(histories, questions)
def test_sql_answers_as_the_ledger_does(tmp_path: Path, histories: Any, questions: Any) -> None:
    ledger, path = memory_ledger(), tmp_path / "index.sqlite"
    path.unlink(missing_ok=True)
    for number, versions in enumerate(histories):
        write(ledger, f"TN{number}", versions)
    with Index(ledger, path) as index:
        assert index.update(jobs=1).outcome == "verified"
    for effective, recorded in questions:
        asked = {"effective": effective, "recorded": recorded}
        expected = answered(ledger, **asked)
        assert found(ledger, path, "TN", **asked) == expected
        assert by_view(path, effective, recorded) == expected
        if effective and len(effective) == 10 and (not recorded or len(recorded) == 10):
            with closing(sqlite3.connect(path)) as database:
                values = {"day": effective, "known": recorded or "9999-12-31"}
                assert database.execute(BY_DAY, values).fetchall() == expected


def test_today_is_told_by_this_machine(tmp_path: Path) -> None:
    ledger, path = memory_ledger(), tmp_path / "index.sqlite"
    now = datetime.now(UTC)
    soon, before = now + timedelta(hours=1), now - timedelta(hours=1)
    ledger.append("TN1", {}, effective_at="2015")
    ledger.append("TN1", {}, effective_at=before.isoformat(timespec="seconds"))
    ledger.append("TN1", {}, effective_at=soon.isoformat(timespec="seconds"))
    ledger.append("TN2", {}, effective_at="2999")
    update(ledger, path)
    assert rows(path, "SELECT title_number, version FROM in_force_today") == [("TN1", 2)]
    assert rows(path, "SELECT title_number, version FROM newest ORDER BY 1") == [
        ("TN1", 3),
        ("TN2", 1),
    ]


def test_what_is_void_is_marked_and_in_no_view(tmp_path: Path) -> None:
    from ledger.stores import MemoryStore

    registry, path = Registry(MemoryStore(), tmp_path), tmp_path / "index.sqlite"
    rob(registry)
    report = update(registry.ledger(), path)
    assert report.outcome == "tampered"
    assert rows(path, "SELECT title_number, finding FROM left_out") == [
        ("TN1", "key-ended"),
        ("TN2", "key-ended"),
    ]
    settle(registry)
    assert update(registry.ledger(), path).outcome == "verified"
    assert rows(path, "SELECT * FROM left_out") == []
    marked = "SELECT title_number, version, stands, standing FROM entries WHERE standing <> ''"
    assert rows(path, f"{marked} ORDER BY 1, 2") == [
        ("TN1", 2, 0, "void, by version 3"),
        ("TN2", 2, 1, "confirmed by version 3"),
    ]
    ledger = registry.ledger()
    day = registry.clock().date().isoformat()
    for asked in ({}, {"effective": day}, {"recorded": day}, {"recorded": "2026-11-23"}):
        assert found(ledger, path, "TN", **asked) == answered(ledger, **asked), asked
    assert ("TN1", 2) not in found(ledger, path, "TN", every_version=True)


def test_what_is_no_day_is_refused_by_the_table(tmp_path: Path) -> None:
    path = tmp_path / "index.sqlite"
    update(memory_ledger(), path)
    for wrong in ("2026", "2026-3-1", "2026-02-30", "tomorrow"):
        with pytest.raises(sqlite3.IntegrityError, match="CHECK"):
            rows(path, "UPDATE as_of SET effective_day = ?", wrong)
    with pytest.raises(sqlite3.IntegrityError, match="CHECK"):
        rows(path, "UPDATE as_of SET recorded_day = '2026-01-01', recorded_instant = '2026-01-01'")
