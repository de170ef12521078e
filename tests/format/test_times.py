"""Times as text: one spelling for what is recorded, RFC 3339 for what people write."""

from __future__ import annotations

from datetime import UTC, datetime, timedelta, timezone

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from ledger.errors import InvalidError
from ledger.format.times import check_effective, format_time, is_recorded_time, parse_time

law = settings(deadline=None, max_examples=100)

offsets = st.integers(-1439, 1439).map(lambda minutes: timezone(timedelta(minutes=minutes)))
moments = st.datetimes(
    datetime.fromisoformat("0002-01-01"), datetime.fromisoformat("9998-01-01"), timezones=offsets
)


@law
@given(moments)
def test_a_time_is_written_in_one_spelling_and_read_back(moment):
    text = format_time(moment)
    assert len(text) == 27
    assert is_recorded_time(text)
    assert parse_time(text) == moment
    assert format_time(parse_time(text)) == text


@law
@given(moments, moments)
def test_recorded_times_sort_as_the_moments_do(one, other):
    assert (format_time(one) < format_time(other)) == (one < other)


@law
@given(moments)
def test_a_time_with_an_offset_names_the_same_moment(moment):
    assert parse_time(moment.isoformat()) == moment
    assert parse_time(moment.isoformat()).utcoffset() == timedelta(0)


def test_a_date_is_its_first_moment_in_utc():
    assert parse_time("2026-01-31") == datetime(2026, 1, 31, tzinfo=UTC)


@pytest.mark.parametrize(
    "text",
    [
        "2026-01-31",
        "1066-10-14",
        "2026-01-31T10:00:00Z",
        "2026-01-31T10:00:00.5Z",
        "2026-01-31T23:59:59.999999+23:59",
        "2026-01-31T10:00:00-00:00",
        "2024-02-29",
    ],
)
def test_an_effective_date_or_time_is_kept_as_it_was_written(text):
    assert check_effective(text) == text


def test_no_effective_date_is_none():
    assert check_effective(None) is None


@pytest.mark.parametrize(
    "text",
    [
        "",
        "today",
        "2026",
        "2026-01",
        "20260131",
        "2026-W05-6",
        "2026-1-31",
        "2026-02-30",
        "2023-02-29",
        "2026-13-01",
        "0000-01-01",
        "10000-01-01",
        "-2026-01-01",
        "2026-01-31 10:00:00Z",
        "2026-01-31t10:00:00z",
        "2026-01-31T10:00Z",
        "2026-01-31T10:00:00",
        "2026-01-31T10:00:00.Z",
        "2026-01-31T10:00:00.1234567Z",
        "2026-01-31T10:00:00,5Z",
        "2026-01-31T24:00:00Z",
        "2026-01-31T23:60:00Z",
        "2026-01-31T23:59:60Z",
        "2026-01-31T10:00:00+1:00",
        "2026-01-31T10:00:00+0100",
        "2026-01-31T10:00:00+24:00",
        "2026-01-31T10:00:00+01:99",
        "0001-01-01T00:00:00+01:00",
        "2026-01-31\n",
        " 2026-01-31",
        "202\N{FULLWIDTH DIGIT SIX}-01-31",
        "2026\N{NON-BREAKING HYPHEN}01-31",
        "2026-01-31T10:00:00Z" * 50,
    ],
)
def test_what_is_no_date_or_time_is_refused_and_shown(text):
    with pytest.raises(InvalidError, match="not a date or time: '") as caught:
        check_effective(text)
    assert "2026-01-31T10:00:00Z" in caught.value.hint
    assert len(str(caught.value)) < 100


@pytest.mark.parametrize(
    "text",
    [
        None,
        1,
        "",
        "2026-11-23",
        "2026-11-23T10:00:00Z",
        "2026-11-23T10:00:00.000Z",
        "2026-11-23T10:00:00.0000000Z",
        "2026-11-23T10:00:00.000000+00:00",
        "2026-11-23T10:00:00.000000z",
        "2026-11-23 10:00:00.000000Z",
        "2026-11-23T10:00:00.000000Z\n",
        "2026-02-30T10:00:00.000000Z",
        "2026-11-23T24:00:00.000000Z",
        "2026-11-23T10:00:60.000000Z",
        "0000-11-23T10:00:00.000000Z",
    ],
)
def test_a_recorded_time_has_no_other_spelling(text):
    assert not is_recorded_time(text)


def test_a_datetime_without_an_offset_is_refused():
    with pytest.raises(InvalidError, match="without an offset"):
        format_time(datetime(2026, 1, 1))  # noqa: DTZ001


@pytest.mark.parametrize(
    "moment",
    [
        datetime.max.replace(tzinfo=timezone(timedelta(hours=-1))),
        datetime.min.replace(tzinfo=timezone(timedelta(hours=1))),
    ],
)
def test_a_moment_beyond_the_years_that_there_are_is_refused(moment):
    with pytest.raises(InvalidError, match="no year"):
        format_time(moment)
