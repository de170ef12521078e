"""The tip of a title's chain as a writer knows it: the head, and the references from there down.

Writing version after version of one title would otherwise read the whole chain again for each of
them, only to see that its reference is new.
"""

from __future__ import annotations

from typing import TYPE_CHECKING

from ledger.errors import NotFoundError
from ledger.titles.history import Head, missing_entry

if TYPE_CHECKING:
    from collections.abc import Iterator

    from ledger.format.entry import Entry
    from ledger.titles.history import History

__all__ = ["Tip"]


class Tip:
    """The head of one title and what is below it, read when asked for, no further than needed.

    It may be kept from one append to the next: should somebody else have appended in between, the
    swap of the head fails. After any error it is to be thrown away.
    """

    def __init__(self, history: History, title_number: str) -> None:
        self._history = history
        self._title_number = title_number
        self.forget()

    def forget(self) -> None:
        """Read everything anew: somebody else moved the head."""
        self._head: Head | None = None
        self._is_read = False
        self._below: Iterator[Entry] = iter(())
        self._addresses: dict[str, str] = {}  # of what was read so far, by reference

    def head(self) -> Head | None:
        """The head, or None where the title has none."""
        if not self._is_read:
            self._head = self._history.find_head(self._title_number)
            self._below = self._history.walk(self._head.entry) if self._head else iter(())
            self._is_read = True
        return self._head

    def find(self, reference: str, above: str | None = None) -> Entry | None:
        """The newest entry with this reference; above an address, the chain is of use once."""
        self.head()
        if reference in self._addresses:
            return self._again(self._addresses[reference])
        for entry in self._below:
            if entry.address == above:
                return None
            if entry.reference:
                self._addresses.setdefault(entry.reference, entry.address)
            if entry.reference == reference:
                return entry
        return None

    def _again(self, address: str) -> Entry:
        """An entry that the chain leads through, read once more."""
        try:
            return self._history.entry(self._title_number, address)
        except NotFoundError:
            raise missing_entry(self._title_number, address) from None

    def grow(self, entry: Entry, version: str | None) -> None:
        """The entry is the head now, to be replaced by this version; None: read it to know."""
        if version is None:
            self.forget()
            return
        self._head = Head(entry, version)
        if entry.reference:
            self._addresses[entry.reference] = entry.address
