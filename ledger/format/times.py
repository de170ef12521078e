"""Times as text (RFC 3339), and the comparison that decides from when an entry is in law.

``recorded_at`` has one spelling, UTC with microseconds, so that its texts sort as its times do. A
bound (``effective_at``, ``effective_until``) is a year, a month, a date, or a time with its offset.
"""

from __future__ import annotations

import re
from datetime import UTC, date, datetime, timedelta
from typing import TypeAlias

import msgspec

from ledger.errors import InvalidError

CLOCK_SKEW = timedelta(minutes=5)
"""How far honest clocks may differ."""

DATE = r"[0-9]{4}-[0-9]{2}-[0-9]{2}"
# Spelled out, as Pythons differ: some take 24:00:00, or an offset of 99 minutes.
CLOCK = r"(?:[01][0-9]|2[0-3]):[0-5][0-9]"
TIME = rf"{CLOCK}:[0-5][0-9]"
INSTANT = rf"{DATE}T{TIME}(?:\.[0-9]{{1,6}})?(?:Z|(?!-00:00)[+-]{CLOCK})"
MOMENT = re.compile(rf"{DATE}(?:T{TIME}(?:\.[0-9]{{1,6}})?(?:Z|[+-]{CLOCK}))?")
BOUND = re.compile(rf"[0-9]{{4}}(?:-[0-9]{{2}})?|{DATE}|{INSTANT}")
RECORDED = re.compile(rf"{DATE}T{TIME}\.[0-9]{{6}}Z")


class Bound(msgspec.Struct, frozen=True, gc=False):
    """A date, or an instant: where a period of law begins or ends, or what is asked about it.

    Two instants are compared as instants. Otherwise dates are compared: an instant's is the date
    as it is written, in its own offset. No time zone database decides. This is no order (it isn't
    transitive), so there is no ``<``.
    """

    day: date
    instant: datetime | None = None
    """In UTC; None for a date."""

    def is_before(self, other: Bound) -> bool:
        """Whether this comes before the other."""
        if self.instant is not None and other.instant is not None:
            return self.instant < other.instant
        return self.day < other.day


Question: TypeAlias = str | date | datetime
"""What is asked about: a date, or an instant with its offset."""


def as_bound(asked: Question) -> Bound:
    """The bound that a question names; raises InvalidError for a partial date or a naive time."""
    return parse_bound(as_text(asked), partial=False)


def as_text(moment: Question) -> str:
    """The text of a date, or of a time with its offset; a text is returned as it is."""
    if isinstance(moment, str):
        return moment
    if isinstance(moment, datetime) and moment.tzinfo is None:
        raise InvalidError("a time without an offset: pass datetimes with tzinfo=UTC")
    if isinstance(moment, date):
        return moment.isoformat()
    raise InvalidError(
        f"not a date or a time with an offset: {type(moment).__name__}",
        hint="pass a text such as 2026-03-31, a date, or a datetime with its time zone",
    )


def spell(bound: Question | None) -> str | None:
    """The text of a bound as an entry has it; None: there is none."""
    return None if bound is None else as_text(bound)


def parse_bound(text: str, *, partial: bool = True) -> Bound:
    """The bound that a text names; raises InvalidError.

    ``2026`` and ``2026-03`` mean their first day, if ``partial``; a question must name a whole
    date. An instant must lie within the years 1 to 9999, as written and in UTC.
    """
    try:
        if not BOUND.fullmatch(text) or not (partial or len(text) >= len("2026-03-31")):
            raise ValueError
        if len(text) <= len("2026-03-31"):
            return Bound(date.fromisoformat(text + "-01-01"[len(text) - len("2026") :]))
        written = datetime.fromisoformat(text)
        return Bound(written.date(), written.astimezone(UTC))
    except (ValueError, OverflowError):
        expected = "a year, a month, a date" if partial else "a whole date"
        raise InvalidError(
            f"not {expected} or a time with an offset: {text!a:.60}",
            hint="write 2026-03-31, 2026-03-31T10:00:00Z, or 2026-03-31T10:00:00+01:00",
        ) from None


def parse_time(text: str) -> datetime:
    """The moment that a date (00:00 UTC) or an RFC 3339 time names; raises InvalidError."""
    try:
        if not MOMENT.fullmatch(text):
            raise ValueError
        moment = datetime.fromisoformat(text)
        return moment.astimezone(UTC) if moment.tzinfo else moment.replace(tzinfo=UTC)
    except (ValueError, OverflowError):
        raise InvalidError(
            f"not a date or time: {text!a:.60}",
            hint="write 2026-01-31, or 2026-01-31T10:00:00Z, or with an offset (+01:00)",
        ) from None


def format_time(moment: datetime) -> str:
    """The one spelling of a recorded time: ``2026-11-23T10:00:00.000000Z``."""
    if not isinstance(moment, datetime):
        raise InvalidError(f"not a datetime: a {type(moment).__name__}")
    if moment.tzinfo is None:
        raise InvalidError("a time without an offset: pass datetimes with tzinfo=UTC")
    try:
        moment = moment.astimezone(UTC)
    except OverflowError:
        raise InvalidError(f"a time that UTC has no year for: {moment}") from None
    if moment.microsecond and type(moment) is datetime:
        text: str = msgspec.to_builtins(moment)  # the same, in a sixth of the time
        return text
    return moment.isoformat(timespec="microseconds").removesuffix("+00:00") + "Z"


def is_recorded_time(text: object) -> bool:
    """Whether this is a recorded time in its one spelling, and a real one."""
    if not isinstance(text, str) or not RECORDED.fullmatch(text):
        return False
    try:
        datetime.fromisoformat(text)
    except ValueError:
        return False
    return True
