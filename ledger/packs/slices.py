"""Cut a row of titles into slices for tasks, each with the packs that have entries of its titles.

A slice ends where a pack does, so that hardly any pack is read for two of them.
"""

from __future__ import annotations

from bisect import bisect_left
from collections import deque
from itertools import islice
from typing import TYPE_CHECKING, Generic, NamedTuple, TypeVar

from ledger.format import layout

if TYPE_CHECKING:
    from collections.abc import Callable, Iterable, Iterator

    from ledger.format.layout import PackName

MAX_PACKS = 1000
"""Packs of a slice, at most. The entries in others are read from their own objects."""

T = TypeVar("T")


class Slice(NamedTuple, Generic[T]):
    """Some items, in the order of their titles' keys, and the packs that may hold their entries."""

    items: list[T]
    packs: tuple[PackName, ...]


def cut(
    items: Iterable[T],
    names: Iterable[PackName],
    title_of: Callable[[T], str],
    weigh: Callable[[T], int],
    most: int,
) -> Iterator[Slice[T]]:
    """Yield the items in slices that weigh ``most``, or at least half of it if a pack ends.

    ``items`` and ``names`` come in the order of the (first) titles' keys; of items in another
    order, a slice may lack packs.
    """
    waiting = deque(names)
    ends = sorted(layout.head_key(name.last) for name in waiting)
    begun: list[PackName] = []
    taken: list[T] = []
    weight, ended, place = 0, 0, ""

    def finish() -> Slice[T]:
        nonlocal begun
        first = layout.head_key(title_of(taken[0]))
        while waiting and layout.head_key(waiting[0].first) <= place:
            begun.append(waiting.popleft())
        begun = [name for name in begun if layout.head_key(name.last) >= first]
        return Slice(taken, tuple(islice(begun, MAX_PACKS)))

    for item in items:
        here = layout.head_key(title_of(item))
        passed = bisect_left(ends, here)
        if weight >= most or (passed != ended and 2 * weight >= most):
            yield finish()
            taken, weight = [], 0
        place, ended = here, passed
        taken.append(item)
        weight += weigh(item)
    if taken:
        yield finish()
