"""Compare two documents: the fields that differ, with their old and new values.

Objects are compared member by member, and lists by their items, wherever in the list these are: an
item that was put in, taken out or moved shows as just that. Two items count as one that changed if
they have the same ``id``, or stand in the same gap between unchanged items and are alike. Anything
else is one item removed and another added: a new charge is no change of the one it replaced.
"""

from __future__ import annotations

import json
from bisect import bisect_left
from collections import Counter, defaultdict, deque
from dataclasses import dataclass
from enum import Enum
from itertools import pairwise
from typing import TYPE_CHECKING, Any, Final, Literal, NamedTuple

from ledger.errors import InvalidError
from ledger.format import canonical

if TYPE_CHECKING:
    from collections.abc import Callable, Hashable, Iterator

    from ledger.format.canonical import JSONValue


class Absent(Enum):
    """The type of ``ABSENT``, which means no value; null is a value."""

    ABSENT = "absent"


ABSENT: Final = Absent.ABSENT
"""The old value of what was added, the new value of what was removed."""

Path = tuple[str | int, ...]

AROUND = 64
"""Bytes that a change takes in JSON besides its path and values, about."""

NEAR = 8
"""How far apart, among items that could be each other, two of them may be to be tried as a pair.

It keeps the time linear. Only in long lists whose items repeat, or of which all changed, does it
make the changes more than they need be.
"""

ALIKE = 0.5
"""The share of its members, items or words that an item has in common with what it was before."""


@dataclass(frozen=True, slots=True)
class Change:
    """One field that differs; ``path`` is a JSON pointer (RFC 6901) into the new document.

    The index that ends the path of a removed item is the one that it had in the old list.
    """

    path: str
    old: JSONValue
    new: JSONValue
    old_path: str | None = None
    """The same place in the old document, if an item on the way has another index there."""

    @property
    def kind(self) -> Literal["added", "removed", "changed", "moved"]:
        """What happened to the field; what has moved is the same as before in another place."""
        if self.old is ABSENT:
            return "added"
        if self.new is ABSENT:
            return "removed"
        return "moved" if same(self.old, self.new) else "changed"

    @property
    def size(self) -> int:
        """Bytes that the change takes in JSON, about."""
        values = [value for value in (self.old, self.new) if value is not ABSENT]
        paths = len(self.path) + len(self.old_path or "")
        return AROUND + paths + sum(len(json.dumps(value)) for value in values)


def changes(old: JSONValue, new: JSONValue, *, limit: int | None = None) -> list[Change]:
    """Return the changes from one document to another; none only if they are the same.

    ``limit`` is the number of bytes that the changes may take, about: each repeats its path, so
    they can take thousands of times as many as the documents. Raises InvalidError beyond it.
    """
    found: list[Change] = []
    size = 0
    for change in _changes(old, new, (), ()):
        if limit is not None:
            size += change.size
            if size > limit:
                raise InvalidError(
                    f"too much changed: the list of changes is larger than {limit:,} bytes",
                    hint="read both entries and compare them yourself",
                )
        found.append(change)
    return found


def _changes(old: JSONValue, new: JSONValue, was: Path, now: Path) -> Iterator[Change]:
    """Yield the changes of a value, from its place in the old document to that in the new."""
    if type(old) is dict and type(new) is dict:
        for name in sorted(old.keys() | new.keys()):
            value = old.get(name, ABSENT), new.get(name, ABSENT)
            yield from _changes(*value, (*was, name), (*now, name))
    elif type(old) is list and type(new) is list:
        if not same(old, new):
            yield from _list_changes(old, new, was, now)
    elif not same(old, new):
        yield _change(old, new, was, now)


def _change(old: JSONValue, new: JSONValue, was: Path, now: Path) -> Change:
    old_path = None if was == now else canonical.pointer(was)
    return Change(canonical.pointer(now), old, new, old_path)


def _list_changes(
    old: list[JSONValue], new: list[JSONValue], was: Path, now: Path
) -> Iterator[Change]:
    matched = match_items(old, new)
    there = set(matched.old_of.values())
    for gone, come in matched.gaps:
        for i in gone:
            if i not in there:
                yield _change(old[i], ABSENT, (*was, i), (*now, i))
        for j in come:
            i = matched.old_of.get(j, j)
            if j not in matched.old_of:
                yield _change(ABSENT, new[j], (*was, j), (*now, j))
            elif same(old[i], new[j]):  # not where the others are, even if the index is the same
                path, old_path = canonical.pointer((*now, j)), canonical.pointer((*was, i))
                yield Change(path, old[i], new[j], old_path)
            else:
                yield from _changes(old[i], new[j], (*was, i), (*now, j))


class Matched(NamedTuple):
    """Which item of a list is which one of an older list."""

    old_of: dict[int, int]
    """Where the items of the new list that were there before were in the old one."""
    gaps: list[tuple[range, range]]
    """The places, in the old list and in the new, between two items that stay in their order."""


def match_items(old: list[JSONValue], new: list[JSONValue]) -> Matched:
    """Find which items of the new list are which ones of the old: see the head of this module."""
    before, after = list(map(canonical.encode, old)), list(map(canonical.encode, new))
    kept = _kept(before, after)
    gaps = [
        (range(i + 1, next_i), range(j + 1, next_j))
        for (i, j), (next_i, next_j) in pairwise([(-1, -1), *kept, (len(old), len(new))])
    ]
    old_of = {j: i for i, j in kept}
    there = set(old_of.values())
    for old_key, new_key in (
        (before.__getitem__, after.__getitem__),
        (lambda i: _id(old[i]), lambda j: _id(new[j])),
    ):
        gone = [i for gap, _ in gaps for i in gap if i not in there]
        come = [j for _, gap in gaps for j in gap if j not in old_of]
        old_of |= _equal(gone, come, old_key, new_key)
        there = set(old_of.values())
    for gap_old, gap_new in gaps:
        gone = [i for i in gap_old if i not in there]
        come = [j for j in gap_new if j not in old_of]
        old_of |= _alike(gone, come, old, new)
    return Matched(old_of, gaps)


class _Run(NamedTuple):
    """A run of items that two lists have in common, from its last one back."""

    old: int
    new: int
    before: _Run | None


def _kept(old: list[bytes], new: list[bytes]) -> list[tuple[int, int]]:
    """Return where the items are that stay in their order, in the old list and in the new.

    They are a longest common subsequence (Hunt and Szymanski, 1977); of items that repeat, only
    those NEAR each other are tried.
    """
    end = min(len(old), len(new))
    head = next((i for i in range(end) if old[i] != new[i]), end)
    tail = next((i for i in range(end - head) if old[-1 - i] != new[-1 - i]), end - head)
    places = defaultdict(list)
    for j in range(head, len(new) - tail):
        places[new[j]].append(j)
    seen: Counter[bytes] = Counter()
    ends: list[int] = []  # ends[n]: the first place in the new list where a run of n + 1 items ends
    runs: list[_Run] = []
    for i in range(head, len(old) - tail):
        rank = seen[old[i]]
        seen[old[i]] += 1
        for j in reversed(places[old[i]][max(rank - NEAR, 0) : rank + NEAR]):
            n = bisect_left(ends, j)
            ends[n : n + 1] = [j]
            runs[n : n + 1] = [_Run(i, j, runs[n - 1] if n else None)]
    middle = []
    run = runs[-1] if runs else None
    while run:
        middle.append((run.old, run.new))
        run = run.before
    return [
        *((i, i) for i in range(head)),
        *reversed(middle),
        *((len(old) - i, len(new) - i) for i in range(tail, 0, -1)),
    ]


def _equal(
    gone: list[int],
    come: list[int],
    old_key: Callable[[int], bytes | None],
    new_key: Callable[[int], bytes | None],
) -> Iterator[tuple[int, int]]:
    """Yield the pairs, new and old, of those with equal keys; None is no key."""
    places: defaultdict[bytes | None, deque[int]] = defaultdict(deque)
    for i in gone:
        places[old_key(i)].append(i)
    for j in come:
        key = new_key(j)
        if key is not None and places[key]:
            yield j, places[key].popleft()


def _id(item: JSONValue) -> bytes | None:
    """Return what an object calls its ``id``; None if it has none, or is no object."""
    return canonical.encode(item["id"]) if type(item) is dict and "id" in item else None


def _alike(
    gone: list[int], come: list[int], old: list[JSONValue], new: list[JSONValue]
) -> Iterator[tuple[int, int]]:
    """Yield the pairs, new and old, of those in one gap that are alike.

    As many numbers as before are the same ones changed: the coordinates of a point, say.
    """
    items = [*(old[i] for i in gone), *(new[j] for j in come)]
    if len(gone) == len(come) and all(map(_is_number, items)):
        yield from zip(come, gone, strict=True)
        return
    parts = {j: _parts(new[j]) for j in come}
    named = {j for j in come if _id(new[j])}
    for n, i in enumerate(gone):
        mine = _parts(old[i])
        other = named if _id(old[i]) else ()
        near = (j for j in come[max(n - NEAR, 0) : n + NEAR] if j in parts and j not in other)
        likeness, _, best = max(
            ((_likeness(mine, parts[j]), -abs(j - i), j) for j in near), default=(0.0, 0, 0)
        )
        if likeness >= ALIKE:
            del parts[best]
            yield best, i


def _is_number(item: JSONValue) -> bool:
    return item is None or isinstance(item, bool | int | float)


class _Parts(NamedTuple):
    """What an item is compared by: its members, items or words."""

    all: frozenset[Hashable]
    telling: frozenset[Hashable]
    """Those but members that are numbers: these tell little of what an object is."""


def _parts(item: JSONValue) -> _Parts:
    if type(item) is dict:
        members = frozenset((name, canonical.encode(value)) for name, value in item.items())
        names = frozenset(name for name, value in item.items() if not _is_number(value))
        return _Parts(members, frozenset(member for member in members if member[0] in names))
    parts: frozenset[Hashable] = frozenset()
    if type(item) is list:
        parts = frozenset(map(canonical.encode, item))
    elif type(item) is str:
        parts = frozenset(item.split())
    return _Parts(parts, parts)


def _likeness(mine: _Parts, theirs: _Parts) -> float:
    """Return the share that two items have in common."""
    if mine.telling.isdisjoint(theirs.telling):
        return 0.0
    return 2 * len(mine.all & theirs.all) / (len(mine.all) + len(theirs.all))


def change_json(change: Change) -> dict[str, Any]:
    """Return a change as a JSON object: ``old`` unless added, ``new`` unless removed.

    What moved has one value, ``new``; ``from`` is the same place in the old document.
    """
    values = {
        "from": ABSENT if change.old_path is None else change.old_path,
        "old": ABSENT if change.kind == "moved" else change.old,
        "new": change.new,
    }
    present = {name: value for name, value in values.items() if value is not ABSENT}
    return {"path": change.path, "kind": change.kind, **present}


def same(old: JSONValue, new: JSONValue) -> bool:
    """Tell whether two values are spelled alike in canonical JSON."""
    return bool(old == new) and _same_kinds(old, new)


def _same_kinds(old: JSONValue, new: JSONValue) -> bool:
    """Tell true from 1 in values that are equal to Python. One pass, however deep they are."""
    if type(old) is dict and type(new) is dict:
        return all(_same_kinds(old[name], new[name]) for name in old)
    if type(old) is list and type(new) is list:
        return all(map(_same_kinds, old, new))
    return (type(old) is bool) is (type(new) is bool)
