"""Which version of a title is in law on a day, as it was known on another.

Every entry holds from its beginning (``effective_at``, or when it was recorded) until its end,
exclusive. In law on a day is the newest entry by version that covers it. ``docs/spec.md``, "Time in
law", is the rule; this is its code.
"""

from __future__ import annotations

from datetime import UTC, datetime, time
from itertools import islice
from typing import TYPE_CHECKING, NamedTuple, TypeVar

from ledger.errors import NotInLaw
from ledger.format import times

if TYPE_CHECKING:
    from collections.abc import Callable, Iterable, Iterator, Sequence

    from ledger.format.entry import Entry
    from ledger.format.times import Bound, Question

Each = TypeVar("Each")


class Turn(NamedTuple):
    """A change of the law that is to come, as known now."""

    day: str
    """When, as an entry spells it."""
    entry: Entry | None
    """The entry in law from then on; None: nothing is."""


class Correction(NamedTuple):
    """An entry that says that the record was wrong."""

    entry: Entry
    corrected: Entry | None
    """The entry that was in law where this one begins; None: nothing was."""


def covers(entry: Entry, day: Bound) -> bool:
    """Tell whether the entry holds on a day, or at an instant."""
    ends = entry.ends
    return not day.is_before(entry.begins) and (ends is None or day.is_before(ends))


def is_known(entry: Entry, recorded: Bound) -> bool:
    """Tell whether the entry was recorded by a day (its end, in UTC), or by an instant."""
    return not recorded.is_before(times.parse_bound(entry.recorded_at))


def recorded_within(
    entries: Iterable[Each],
    entry_of: Callable[[Each], Entry],
    since: Question | None,
    until: Question | None,
) -> Iterator[Each]:
    """Choose those recorded from one day or instant on, and by another; the newest come first."""
    first = None if since is None else times.as_bound(since)
    last = None if until is None else times.as_bound(until)

    def chosen() -> Iterator[Each]:
        for each in entries:
            entry = entry_of(each)
            if first is not None and times.parse_bound(entry.recorded_at).is_before(first):
                return  # times never go back along a chain
            if last is None or is_known(entry, last):
                yield each

    return chosen()


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


def find_in_law(entries: Iterable[Entry], day: Bound) -> Entry | None:
    """Find what ``in_law`` does; None: nothing is in law then."""
    return next((entry for entry in entries if covers(entry, day)), None)


def is_future(now: datetime, *asked: Question | None) -> bool:
    """Tell whether one of the days asked about is yet to come, so that the answer may change.

    ``now`` has the offset of the place where "today" is told.
    """
    today = times.as_bound(now)
    return any(day is not None and today.is_before(times.as_bound(day)) for day in asked)


def turns(entries: Sequence[Entry], today: Bound) -> Iterator[Turn]:
    """Yield the changes of the law after ``today``, the next one first.

    ``entries`` are those that stand, the newest first.
    """
    coming: dict[str, Bound] = {}
    for entry in entries:
        at, until = entry.effective_at or entry.recorded_at, entry.effective_until
        coming |= {at: entry.begins} | ({until: entry.ends} if until and entry.ends else {})
    later = ((day, bound) for day, bound in coming.items() if today.is_before(bound))
    before = find_in_law(entries, today)
    for day, bound in sorted(later, key=lambda each: place(each[1])):
        after = find_in_law(entries, bound)
        if after is not before:
            yield Turn(day, after)
        before = after


def corrections(entries: Sequence[Entry]) -> Iterator[Correction]:
    """Yield the rectifications among the entries that stand; both have the newest first."""
    for index, entry in enumerate(entries):
        if entry.kind == "rectification":
            older = islice(entries, index + 1, None)
            yield Correction(entry, find_in_law(older, entry.begins))


def restated(entry: Entry) -> tuple[str | None, str | None]:
    """Return the bounds that restate an entry in a later one.

    A beginning that was left to the clock is named if there is an end: by the later clock, that may
    be over.
    """
    at = entry.recorded_at if entry.effective_until else None
    return entry.effective_at or at, entry.effective_until


def _nearest(entries: list[Entry], day: Bound) -> str:
    """Say what ended last before the day, and what begins first after it."""
    ended = [each for each in entries if each.ends and not day.is_before(each.ends)]
    later = [each for each in entries if day.is_before(each.begins)]
    told = []
    if ended:
        last = max(ended, key=lambda each: place(each.ends or each.begins))
        told.append(f"version {last.version} held until {last.effective_until}")
    if later:
        first = min(later, key=lambda each: place(each.begins))
        told.append(f"version {first.version} holds from {first.effective_at or first.recorded_at}")
    return "nothing was in law then" + (f": {', '.join(told)}" if told else "")


def place(bound: Bound) -> datetime:
    """Place a bound in time, to sort by: the rule's own comparison is no order."""
    return bound.instant or datetime.combine(bound.day, time.min, UTC)
