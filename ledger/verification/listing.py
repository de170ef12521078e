"""Go through a listing that may break off, so that what was found by then is not lost."""

from __future__ import annotations

from dataclasses import replace
from itertools import groupby, islice
from typing import TYPE_CHECKING, Generic, TypeVar

from ledger.errors import LedgerError, MalformedError
from ledger.format import layout
from ledger.format.report import Finding, finding_of

if TYPE_CHECKING:
    from collections.abc import Iterable, Iterator

PIECE = 250
"""Keys taken at once of a folder that is not a title's: there may be millions."""

T = TypeVar("T")


class TolerantListing(Generic[T]):
    """The items of a listing, up to an error, which becomes a finding.

    If the error comes before the first item, it is raised: nothing could be lost.
    """

    def __init__(self, items: Iterable[T]) -> None:
        self._items = items
        self._error: LedgerError | None = None

    def __iter__(self) -> Iterator[T]:
        """Yield the items; a MalformedError is always raised, as it is not a store's error."""
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
        """The finding that the listing broke off, if it did."""
        if self._error is None:
            return ()
        message = (
            f"the store's listing broke off: {self._error}; nothing is known of what it would have"
            " named next"
        )
        return (replace(finding_of(self._error, ""), message=message),)


def by_folder(keys: Iterable[str]) -> Iterator[tuple[str, list[str]]]:
    """Yield the keys of each folder: a title's all at once, any other's in pieces.

    For packs the list is empty, as ``check_packs`` lists them itself.
    """
    for folder, found in groupby(keys, lambda key: key.partition("/")[0]):
        if layout.is_title_number(folder):
            yield folder, list(found)
        elif f"{folder}/" == layout.PACKS:
            yield folder, []
        else:
            while piece := list(islice(found, PIECE)):
                yield folder, piece
