"""Times as text (RFC 3339), and the little arithmetic that the format needs.

``recorded_at`` has one spelling, UTC with microseconds, so that its texts sort as its times do.
What people type, and ``effective_at``, may be a date, which means 00:00 UTC, or a time with its
offset.
"""

from __future__ import annotations

import re
from datetime import UTC, datetime, timedelta

from ledger.errors import InvalidError

__all__ = ["CLOCK_SKEW", "check_effective", "format_time", "is_recorded_time", "parse_time"]

CLOCK_SKEW = timedelta(minutes=5)
"""How far honest clocks may differ."""

DATE = r"[0-9]{4}-[0-9]{2}-[0-9]{2}"
# Spelled out, as Pythons differ: some take 24:00:00, or an offset of 99 minutes.
CLOCK = r"(?:[01][0-9]|2[0-3]):[0-5][0-9]"
TIME = rf"{CLOCK}:[0-5][0-9]"
MOMENT = re.compile(rf"{DATE}(T{TIME}(\.[0-9]{{1,6}})?(Z|[+-]{CLOCK}))?")
RECORDED = re.compile(rf"{DATE}T{TIME}\.[0-9]{{6}}Z")


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


def check_effective(text: str | None) -> str | None:
    """Return the text of an ``effective_at`` as it stands; raises InvalidError."""
    if text is not None:
        parse_time(text)
    return text


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
