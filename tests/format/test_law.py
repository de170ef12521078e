"""Time in law: which version holds on a day, as it was known on another."""

from __future__ import annotations

from datetime import date, datetime, timedelta, timezone
from typing import TYPE_CHECKING, Any

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from ledger.errors import NotInLaw
from ledger.format.entry import Entry
from ledger.format.law import (
    corrections,
    covers,
    find_in_law,
    in_law,
    is_future,
    is_known,
    restated,
    turns,
)
from ledger.format.times import parse_bound
from ledger.testing import ORIGIN
from tests.format.by_hand import ALICE, SALT, TITLE
from tests.laws import examples

if TYPE_CHECKING:
    from ledger.format.times import Bound

law = settings(deadline=None, max_examples=examples(200))

SPRING = "2026-04-01T10:00:00.000000Z"


def history(*versions: dict[str, Any]) -> list[Entry]:
    """A chain, the newest entry first; each recorded a day after its parent unless it says when."""
    entries: list[Entry] = []
    for number, version in enumerate(versions, 1):
        entries.append(
            Entry.sign(
                ALICE,
                ledger=ORIGIN,
                title_number=TITLE,
                document={},
                salt=SALT,
                parent=entries[-1] if entries else None,
                **({"recorded_at": f"2026-04-{number:02}T10:00:00.000000Z"} | version),
            )
        )
    return entries[::-1]


def at(text: str) -> Bound:
    return parse_bound(text, partial=False)


def version(entries: list[Entry], day: str, recorded: str | None = None) -> int | None:
    try:
        return in_law(entries, at(day), at(recorded) if recorded else None).version
    except NotInLaw:
        return None


def test_an_entry_holds_from_when_it_was_recorded_if_it_says_nothing():
    (entry,) = history({"recorded_at": SPRING})
    assert covers(entry, at("2026-04-01"))  # a date: that of recorded_at in UTC
    assert covers(entry, at("2026-04-01T10:00:00Z"))
    assert not covers(entry, at("2026-04-01T09:59:59.999999Z"))
    assert not covers(entry, at("2026-03-31"))
    assert not covers(entry, at("2026-04-01T10:30:00+01:00"))


@pytest.mark.parametrize(
    ("day", "expected"),
    [
        ("2025-12-31", None),
        ("2026-01-01", 1),
        ("2026-02-28", 1),
        ("2026-03-01", None),
        ("2025-12-31T23:59:59-10:00", None),
        ("2026-01-01T00:00:00+14:00", 1),
        ("2026-02-28T23:59:59-12:00", 1),
        ("2026-03-01T00:00:00+14:00", None),
    ],
)
def test_a_date_is_compared_with_the_date_that_an_instant_is_written_with(day, expected):
    entries = history({"effective_at": "2026", "effective_until": "2026-03"})
    assert version(entries, day) == expected


def test_instants_are_compared_as_instants():
    entries = history(
        {
            "effective_at": "2026-01-01T00:00:00+01:00",
            "effective_until": "2026-02-01T00:00:00+01:00",
        }
    )
    assert version(entries, "2025-12-31T23:00:00Z") == 1
    assert version(entries, "2025-12-31T22:59:59Z") is None
    assert version(entries, "2026-01-31T22:59:59Z") == 1
    assert version(entries, "2026-01-31T23:00:00Z") is None
    assert version(entries, "2026-01-31") == 1
    assert version(entries, "2026-02-01") is None


def test_the_newest_version_that_covers_the_day_is_in_law():
    entries = history(
        {"effective_at": "2020"},
        {"effective_at": "2024"},
        {"effective_at": "2021", "effective_until": "2023"},  # a correction of a closed past
        {"effective_at": "2099"},
    )
    found = {
        year: version(entries, f"{year}-06-01") for year in (2019, 2020, 2022, 2023, 2026, 2100)
    }
    assert found == {2019: None, 2020: 1, 2022: 3, 2023: 1, 2026: 2, 2100: 4}


def test_as_known_on_a_day_only_what_was_recorded_by_then_counts():
    entries = history({"effective_at": "2020"}, {"effective_at": "2020"})
    assert version(entries, "2026-06-01", "2026-03-31") is None
    assert version(entries, "2026-06-01", "2026-04-01") == 1  # recorded on that day
    assert version(entries, "2026-06-01", "2026-04-02T09:59:59.999999Z") == 1
    assert version(entries, "2026-06-01", "2026-04-02T10:00:00Z") == 2
    assert version(entries, "2026-06-01", "2026-04-02T11:59:59+02:00") == 1
    assert version(entries, "2026-06-01", "2026-04-02") == 2
    assert not is_known(entries[0], at("2026-04-01"))


def test_a_question_is_about_the_future_from_tomorrow_on_or_from_an_instant_after_now():
    now = datetime(2026, 11, 30, 23, 30, tzinfo=timezone(timedelta(hours=-5)))  # 1 December in UTC
    for day in ("2026-11-30", "2026-12-01T04:30:00Z", now, date(2026, 11, 30), None):
        assert not is_future(now, day)
    for day in ("2026-12-01", "2026-12-01T04:30:01Z", date(2027, 1, 1)):
        assert is_future(now, None, day)


def test_what_changes_after_today_is_told_in_order():
    entries = history(
        {"effective_at": "2020"},
        {"effective_at": "2028", "effective_until": "2029-06"},
        {"effective_at": "2027-03-01"},
        {"effective_at": "2029", "effective_until": "2030"},
        {"effective_at": "2026", "effective_until": "2027"},
    )
    told = [(day, entry and entry.version) for day, entry in turns(entries, at("2026-06-01"))]
    # Version 2 never comes: version 3 takes its place.
    assert told == [("2027", 1), ("2027-03-01", 3), ("2029", 4), ("2030", 3)]
    (alone,) = history({"effective_at": "2030", "effective_until": "2031"})
    assert list(turns([alone], at("2026-06-01"))) == [("2030", alone), ("2031", None)]
    assert list(turns([alone], at("2031-01-01"))) == []


def test_a_correction_names_what_was_in_law_where_it_begins():
    entries = history(
        {"effective_at": "2020"},
        {"effective_at": "2024"},
        {"effective_at": "2021", "effective_until": "2024", "kind": "rectification"},
        {"effective_at": "2010", "effective_until": "2011", "kind": "rectification"},
        {"effective_at": "2022", "effective_until": "2023", "kind": "rectification"},
    )
    told = [(new.version, old and old.version) for new, old in corrections(entries)]
    assert told == [(5, 3), (4, None), (3, 1)]


def test_an_entry_is_restated_so_that_it_holds_as_it_did():
    (entry,) = history({"recorded_at": SPRING})
    assert restated(entry) == (None, None)
    (entry,) = history({"recorded_at": SPRING, "effective_until": "2026-05"})
    assert restated(entry) == (SPRING, "2026-05")
    (entry,) = history({"effective_at": "2020", "effective_until": "2026-05"})
    assert restated(entry) == ("2020", "2026-05")


def test_two_spellings_of_one_instant_can_leave_a_date_without_law():
    entries = history(
        {"effective_at": "2020", "effective_until": "2026-03-31T22:00:00Z"},
        {"effective_at": "2026-04-01T00:00:00+02:00"},
    )
    assert version(entries, "2026-03-31") is None
    assert version(entries, "2026-03-31T21:59:59Z") == 1
    assert version(entries, "2026-03-31T22:00:00Z") == 2


def test_a_day_without_law_names_what_is_nearest():
    entries = history(
        {"effective_at": "2020", "effective_until": "2021"},
        {"effective_at": "2022", "effective_until": "2023-05-31T10:00:00+02:00"},
        {"effective_at": "2022", "effective_until": "2023-05-31T12:00:00+02:00"},
        {"effective_at": "2030"},
        {"effective_at": "2028-02"},
    )
    with pytest.raises(NotInLaw) as caught:
        in_law(entries, at("2025-01-01"))
    assert str(caught.value) == (
        "nothing was in law then: version 3 held until 2023-05-31T12:00:00+02:00,"
        " version 5 holds from 2028-02"
    )
    with pytest.raises(NotInLaw, match=r"^nothing was in law then: version 1 holds from 2020$"):
        in_law(entries, at("2019-01-01"))
    with pytest.raises(NotInLaw, match=r"^nothing was in law then$"):
        in_law(entries, at("2025-01-01"), at("2020-01-01"))
    with pytest.raises(NotInLaw, match=f"version 1 holds from {SPRING}"):
        in_law(history({"recorded_at": SPRING}), at("2025-01-01"))


years = st.integers(2015, 2035)
dates = st.dates(date(2015, 1, 1), date(2035, 1, 1)).map(str)
instants = st.builds(
    "{}-06-{:02}T{:02}:00:00{}".format,
    *(years, st.integers(1, 30), st.integers(0, 23)),
    st.sampled_from(["Z", "+14:00", "-12:00", "+01:00"]),
)
bounds = st.one_of(years.map(str), dates, instants)


@law
@given(st.lists(st.tuples(bounds, bounds), min_size=1, max_size=5), st.one_of(dates, instants))
def test_in_law_is_the_newest_that_begins_not_after_the_day_and_ends_after_it(pairs, day):
    pairs = [pair for pair in pairs if parse_bound(pair[0]).is_before(parse_bound(pair[1]))]
    entries = history(*({"effective_at": one, "effective_until": other} for one, other in pairs))
    covering = [
        number
        for number, (one, other) in enumerate(pairs, 1)
        if not at(day).is_before(parse_bound(one)) and at(day).is_before(parse_bound(other))
    ]
    assert version(entries, day) == (max(covering) if covering else None)


@law
@given(st.lists(st.tuples(dates, st.none() | dates), min_size=1, max_size=6), dates, dates)
def test_the_turns_tell_what_is_in_law_on_every_later_day(pairs, today, day):
    pairs = [(one, other) for one, other in pairs if other is None or one < other]
    entries = history(*({"effective_at": one, "effective_until": other} for one, other in pairs))
    found = [turn for turn in turns(entries, at(today)) if turn.day <= day]
    last = found[-1].entry if found else find_in_law(entries, at(today))
    assert day < today or find_in_law(entries, at(day)) == last
