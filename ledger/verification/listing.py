"""A listing that breaks off: what was listed is looked at all the same, and the rest is named.

What was found by then (tampering, above all) is not lost with an error of the store.
"""

from __future__ import annotations

from dataclasses import replace
from itertools import groupby, islice
from typing import TYPE_CHECKING, Generic, TypeVar

from ledger.errors import LedgerError, MalformedError
from ledger.format import layout
from ledger.format.report import finding_of

if TYPE_CHECKING:
    from collections.abc import Iterable, Iterator

    from ledger.format.report import Finding

__all__ = ["TolerantListing", "by_folder"]

PIECE = 250
"""How many keys of a folder that is no title's are taken at once: there may be millions."""

T = TypeVar("T")


class TolerantListing(Generic[T]):
    """The items of a listing; where it breaks off after some, they are all there are.

    Where it yields nothing at all its error is raised: then there is nothing that could be lost.
    """

    def __init__(self, items: Iterable[T]) -> None:
        self._items = items
        self._error: LedgerError | None = None

    def __iter__(self) -> Iterator[T]:
        """Raises MalformedError wherever it comes: that is no error of a store."""
        begun = False
        try:
            for item in self._items:
                begun = True
                yield item
        except LedgerError as error:
            if not begun or isinstance(error, MalformedError):
                raise
            self._error = error

    @property
    def findings(self) -> tuple[Finding, ...]:
        """That it broke off, where it did."""
        if self._error is None:
            return ()
        message = (
            f"the store's listing broke off: {self._error}; nothing is known of what it would have"
            " named next"
        )
        return (replace(finding_of(self._error, ""), message=message),)


def by_folder(keys: Iterable[str]) -> Iterator[tuple[str, list[str]]]:
    """The keys of each folder: of a title all at once, of any other in pieces.

    Of packs none: who checks packs lists them.
    """
    for folder, found in groupby(keys, lambda key: key.partition("/")[0]):
        if layout.is_title_number(folder):
            yield folder, list(found)
        elif f"{folder}/" == layout.PACKS:
            yield folder, []
        else:
            while piece := list(islice(found, PIECE)):
                yield folder, piece
