"""Read the entries of a long chain before a walk asks for them, from a bucket.

What is read ahead is a guess: that the keys of a title which were written last are those of its
newest entries. The walk checks every entry, whatever brought it, and reads for itself what did not
come. So a bad guess costs requests; it decides nothing.

A bucket tells times in whole seconds. Entries of one second, such as a title's that was loaded or
copied, come in any order: they are read all together, or not ahead at all. A part of them would
hardly hold the one that is next.
"""

from __future__ import annotations

from collections import deque
from typing import TYPE_CHECKING

from ledger.errors import LedgerError
from ledger.format import layout

if TYPE_CHECKING:
    from collections.abc import Iterator, Sequence

    from ledger.format.entry import Entry
    from ledger.stores.base import Blob, Store

SOON = 3
"""Parents that are read one by one: most walks end there, or the title does."""

LEAST = 8
"""Entries from which on reading ahead is worth a listing."""

MANY = 16
"""Entries from which on, if they are sure to be asked for, reading ahead begins at once."""

PAGE = 1000
"""Keys in a page of a listing: as many entries are read one by one as it would take pages."""

FACTOR = 4
"""How many entries are read for each that was walked."""

MOST = 8
"""How many may be, if all of a second are read: at most so many were read in vain."""

MOST_BYTES = 8 << 20
"""Bytes held. With more, the guess is bad, and the walk goes on alone."""


class Ahead:
    """Reads ahead for one walk of a title, which asks for at least ``many`` entries."""

    def __init__(self, store: Store, start: Entry, many: int = 1) -> None:
        self._store = store
        self._many = min(many, start.version) if many >= MANY else 0
        self._title_number = start.title_number
        self._about = start.version + 1  # keys, with that of the head
        self._passed = {start.address}
        """Entries that need not be read any more, and whose keys may still be listed."""
        self._walked = 0
        self._groups: deque[Sequence[str]] | None = None
        """Keys that were not asked for, those first that were written last."""
        self._reading: Iterator[tuple[str, Blob | None]] = iter(())
        self._held: dict[str, bytes] = {}
        self._bytes = 0
        self._unused = 0
        """How many were asked for, and not walked yet."""

    def take(self, address: str, version: int) -> bytes | None:
        """The bytes of the entry that is next; None: the walk reads it for itself."""
        self._walked += 1
        sure = max(self._walked, self._many)
        if self._groups is None and sure > max(SOON, version // PAGE) and version >= LEAST:
            self._groups = self._list()
        while self._groups is not None and address not in self._held:
            if not self._read_one() and not self._begin():
                break
        data = self._held.pop(address, None)
        if data is None:
            self._passed.add(address)
        else:
            self._bytes -= len(data)
            self._unused -= 1
        return data

    def _list(self) -> deque[Sequence[str]]:
        try:
            return deque(self._store.list_newest(f"{self._title_number}/", self._about))
        except LedgerError:  # the walk goes on without
            return deque()

    def _is_new(self, key: str) -> bool:
        parsed = layout.parse_entry_key(key)
        return parsed is not None and parsed[1] not in self._passed

    def _begin(self) -> bool:
        """Begin to read some more side by side; False if there is nothing to be read."""
        many = max(FACTOR * self._walked, self._many - self._walked) - self._unused
        most = MOST * max(self._walked, self._many) - self._unused
        groups = self._groups or deque()
        keys: list[str] = []
        while groups and LEAST <= many > len(keys) and len(keys) + len(groups[0]) <= most:
            keys += filter(self._is_new, groups.popleft())
        self._unused += len(keys)
        self._reading = self._store.get_many(keys) if keys else iter(())
        return bool(keys)

    def _read_one(self) -> bool:
        """Take the next of what is being read; False if nothing is."""
        try:
            key, blob = next(self._reading, ("", None))
        except LedgerError:  # the walk meets it again
            key, blob = "", None
            self._stop()
        parsed = layout.parse_entry_key(key)
        if parsed is not None and blob is not None:
            self._held[parsed[1]] = blob.data
            self._bytes += len(blob.data)
            if self._bytes > MOST_BYTES:
                self._stop()
        return bool(key)

    def _stop(self) -> None:
        self._groups, self._reading = deque(), iter(())
