"""Times as text: one spelling for what is recorded, and the bounds that people write."""

from __future__ import annotations

from datetime import UTC, date, datetime, timedelta, timezone

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from ledger.errors import InvalidError
from ledger.format.times import Bound, format_time, is_recorded_time, parse_bound, parse_time
from tests.laws import examples

law = settings(deadline=None, max_examples=examples(100))

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


# --- bounds --------------------------------------------------------------------------------------


@pytest.mark.parametrize(
    ("text", "day"),
    [
        ("2026", date(2026, 1, 1)),
        ("0001", date(1, 1, 1)),
        ("9999-12", date(9999, 12, 1)),
        ("2026-03", date(2026, 3, 1)),
        ("1066-10-14", date(1066, 10, 14)),
        ("2024-02-29", date(2024, 2, 29)),
    ],
)
def test_a_year_and_a_month_mean_their_first_day(text, day):
    assert parse_bound(text) == Bound(day)


@pytest.mark.parametrize(
    ("text", "day", "instant"),
    [
        ("2026-01-31T10:00:00Z", date(2026, 1, 31), "2026-01-31T10:00:00+00:00"),
        ("2026-01-31T10:00:00.5Z", date(2026, 1, 31), "2026-01-31T10:00:00.500000+00:00"),
        ("2026-01-31T00:30:00+01:00", date(2026, 1, 31), "2026-01-30T23:30:00+00:00"),
        ("2026-01-31T23:30:00-01:00", date(2026, 1, 31), "2026-02-01T00:30:00+00:00"),
        (
            "2026-01-31T23:59:59.999999+23:59",
            date(2026, 1, 31),
            "2026-01-31T00:00:59.999999+00:00",
        ),
    ],
)
def test_an_instant_has_the_date_that_is_written_and_its_moment_in_utc(text, day, instant):
    assert parse_bound(text) == Bound(day, datetime.fromisoformat(instant))
    assert parse_bound(text, partial=False) == parse_bound(text)


NOT_BOUNDS = [
    "",
    "today",
    "26",
    "02026",
    "2026-",
    "2026-1",
    "2026-00",
    "2026-13",
    "20260131",
    "2026-W05",
    "2026-W05-6",
    "2026-031",
    "2026-1-31",
    "2026-02-30",
    "2023-02-29",
    "0000",
    "0000-01",
    "0000-01-01",
    "10000-01-01",
    "-2026-01-01",
    "+2026",
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
    "2026-01-31T10:00:00-00:00",
    "2026-01-31T10:00:00+1:00",
    "2026-01-31T10:00:00+0100",
    "2026-01-31T10:00:00+24:00",
    "2026-01-31T10:00:00+01:99",
    "2026-01-31T10:00:00+01:00:00",
    "0001-01-01T00:00:00+01:00",
    "9999-12-31T23:59:59-00:01",
    "2026-01-31\n",
    "2026\n",
    " 2026-01-31",
    "202\N{FULLWIDTH DIGIT SIX}-01-31",
    "2026\N{NON-BREAKING HYPHEN}01-31",
    "2026-01-31T10:00:00Z" * 50,
]


@pytest.mark.parametrize("text", NOT_BOUNDS)
def test_what_is_no_bound_is_refused_and_shown(text):
    with pytest.raises(InvalidError, match="not a year, a month, a date or a time") as caught:
        parse_bound(text)
    assert "2026-03-31T10:00:00Z" in caught.value.hint
    assert len(str(caught.value)) < 140


@pytest.mark.parametrize("text", ["2026", "2026-03", *NOT_BOUNDS])
def test_a_question_names_a_whole_date_or_an_instant(text):
    with pytest.raises(InvalidError, match="not a whole date or a time with an offset"):
        parse_bound(text, partial=False)
    assert parse_bound("2026-03-31", partial=False) == parse_bound("2026-03-31")


bounds = st.one_of(
    st.dates(date(2, 1, 1), date(9998, 1, 1)).map(str),
    st.dates(date(2026, 3, 29), date(2026, 4, 2)).map(str),
    moments.map(datetime.isoformat),
    st.datetimes(datetime(2026, 3, 29), datetime(2026, 4, 2), timezones=offsets).map(  # noqa: DTZ001
        datetime.isoformat
    ),
)


@law
@given(bounds, bounds)
def test_two_instants_are_compared_as_instants_and_else_dates_as_they_are_written(one, other):
    before = parse_bound(one).is_before(parse_bound(other))
    if "T" in one and "T" in other:
        assert before == (datetime.fromisoformat(one) < datetime.fromisoformat(other))
    else:
        assert before == (one[:10] < other[:10])


@law
@given(bounds, bounds)
def test_of_two_bounds_at_most_one_is_before_the_other(one, other):
    first, second = parse_bound(one), parse_bound(other)
    assert not (first.is_before(second) and second.is_before(first))
    assert not first.is_before(first)


def test_the_comparison_is_no_order_and_so_there_is_none():
    """The date between two spellings of one instant is before neither, and after neither."""
    late, early = "2026-03-31T22:00:00Z", "2026-04-01T00:00:00+02:00"
    assert not parse_bound(late).is_before(parse_bound(early))
    assert parse_bound("2026-03-31").is_before(parse_bound(early))
    assert not parse_bound("2026-03-31").is_before(parse_bound(late))
    with pytest.raises(TypeError):
        _ = parse_bound(late) < parse_bound(early)


@pytest.mark.parametrize(
    "text", ["", "today", "2026", "2026-01-31T10:00:00", "2026-02-30", "0001-01-01T00:00:00+01:00"]
)
def test_what_is_no_date_or_time_is_refused(text):
    with pytest.raises(InvalidError, match="not a date or time: '"):
        parse_time(text)


# --- recorded times ------------------------------------------------------------------------------


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


@pytest.mark.parametrize("microseconds", [0, 1, 999_999])
def test_a_subclass_of_datetime_is_written_alike(microseconds):
    """Clocks of other libraries return some."""

    class Moment(datetime):
        pass

    parts = 2026, 1, 1, 12, 0, 0, microseconds
    offset = timezone(timedelta(hours=1))
    expected = f"2026-01-01T11:00:00.{microseconds:06}Z"
    for kind in (Moment, datetime):
        assert format_time(kind(*parts, tzinfo=offset)) == expected


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
