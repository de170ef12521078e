"""Join sources that are sorted by title, in one pass and flat memory.

Titles are sorted as a store lists their keys: ``A-1/`` before ``A/``. Sorting the bare numbers
would put ``A`` first.
"""

from __future__ import annotations

from typing import TYPE_CHECKING, TypeVar

from ledger.errors import IntegrityError

if TYPE_CHECKING:
    from collections.abc import Iterable, Iterator

A = TypeVar("A")
B = TypeVar("B")


def sort_key(title_number: str) -> str:
    """Return the text that titles are sorted by, which begins each of a title's keys."""
    return f"{title_number}/"


def in_order(pairs: Iterable[tuple[str, A]]) -> Iterator[tuple[str, A]]:
    """Pass on pairs of a title and an item; raise IntegrityError unless the titles rise."""
    last = ""
    for title_number, item in pairs:
        key = sort_key(title_number)
        if key <= last:
            raise IntegrityError(f"titles out of order: {title_number} after {last[:-1]}")
        last = key
        yield title_number, item


def join(
    left: Iterable[tuple[str, A]], right: Iterable[tuple[str, B]]
) -> Iterator[tuple[str, A | None, B | None]]:
    """Yield every title of two sorted sources once, with the item that each of them has for it.

    A source is read one pair ahead, and no further: its item may be a group that must be used
    before the next one is read (``itertools.groupby``). Raises IntegrityError if a source repeats a
    title or has it out of order.
    """
    lefts, rights = in_order(left), in_order(right)
    ours, theirs = next(lefts, None), next(rights, None)
    while ours or theirs:
        if not theirs or (ours and sort_key(ours[0]) < sort_key(theirs[0])):
            assert ours  # noqa: S101 -- for the type checker
            yield *ours, None
            ours = next(lefts, None)
        elif not ours or ours[0] != theirs[0]:
            yield theirs[0], None, theirs[1]
            theirs = next(rights, None)
        else:
            yield *ours, theirs[1]
            ours, theirs = next(lefts, None), next(rights, None)
