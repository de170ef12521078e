"""Which version of a title is in law on a day, as it was known on another.

Every entry holds from its beginning (``effective_at``, or when it was recorded) until its end,
exclusive. In law on a day is the newest entry by version that covers it. ``docs/spec.md``, "Time in
law", is the rule; this is its code.
"""

from __future__ import annotations

from datetime import UTC, datetime, time
from typing import TYPE_CHECKING

from ledger.errors import NotInLaw
from ledger.format import times

if TYPE_CHECKING:
    from collections.abc import Iterable

    from ledger.format.entry import Entry
    from ledger.format.times import Bound

__all__ = ["covers", "in_law", "is_known"]


def covers(entry: Entry, day: Bound) -> bool:
    """Tell whether the entry holds on a day, or at an instant."""
    ends = entry.ends
    return not day.is_before(entry.begins) and (ends is None or day.is_before(ends))


def is_known(entry: Entry, recorded: Bound) -> bool:
    """Tell whether the entry was recorded by a day (its end, in UTC), or by an instant."""
    return not recorded.is_before(times.parse_bound(entry.recorded_at))


def in_law(entries: Iterable[Entry], day: Bound, recorded: Bound | None = None) -> Entry:
    """Find the entry in law on ``day``, as known on ``recorded`` (None: as known now).

    ``entries`` are those that stand, the newest first. Raises NotInLaw, naming the versions with
    the nearest bounds. The entry's text may be erased: that is for the caller to say.
    """
    passed: list[Entry] = []
    for entry in entries:
        if recorded is not None and not is_known(entry, recorded):
            continue
        if covers(entry, day):
            return entry
        passed.append(entry)
    raise NotInLaw(_nearest(passed, day))


def _nearest(entries: list[Entry], day: Bound) -> str:
    """Say what ended last before the day, and what begins first after it."""
    ended = [each for each in entries if each.ends and not day.is_before(each.ends)]
    later = [each for each in entries if day.is_before(each.begins)]
    told = []
    if ended:
        last = max(ended, key=lambda each: _moment(each.ends or each.begins))
        told.append(f"version {last.version} held until {last.effective_until}")
    if later:
        first = min(later, key=lambda each: _moment(each.begins))
        told.append(f"version {first.version} holds from {first.effective_at or first.recorded_at}")
    return "nothing was in law then" + (f": {', '.join(told)}" if told else "")


def _moment(bound: Bound) -> datetime:
    """Place a bound for a message: in an order, which the rule's own comparison is not."""
    return bound.instant or datetime.combine(bound.day, time.min, UTC)
