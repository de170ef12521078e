"""Reading one title: every entry that is handed out has been checked.

``History`` has a store, and what counts in it: the ledger's origin and a keyring. ``Entry.open``
checks the stored bytes, ``check_link`` an entry and its parent. Both raise what does not hold.
"""

from __future__ import annotations

from contextlib import suppress
from typing import TYPE_CHECKING, NamedTuple

from ledger.errors import IntegrityError, InvalidError, NotFoundError
from ledger.format import layout, times
from ledger.format.chain import check_link
from ledger.format.entry import Entry
from ledger.format.revision import Revision, parse_revision
from ledger.titles.identity import check_there

if TYPE_CHECKING:
    from collections.abc import Iterator
    from datetime import datetime

    from ledger.format.keyring import Keyring
    from ledger.stores.base import Blob, Store

__all__ = ["Head", "History", "Tip"]

HEADS = 256
"""How many checked heads are remembered."""

LARGE = 1 << 16
"""Bytes: a larger head is not remembered."""


class Head(NamedTuple):
    """A title's newest entry, and the version of ``head.json`` to replace it by."""

    entry: Entry
    version: str


class History:
    """The checked reading of titles: head, walk, one entry, a revision, a moment."""

    def __init__(self, store: Store, origin: str, keyring: Keyring) -> None:
        self.store = store
        self.origin = origin
        self.keyring = keyring
        self._heads: dict[str, Entry] = {}

    def use_keyring(self, keyring: Keyring) -> None:
        """Check by this keyring from now on. What the old one has let pass is forgotten."""
        self.keyring = keyring
        self._heads = {}

    def open(
        self, data: bytes, title_number: str, object_key: str, address: str | None = None
    ) -> Entry:
        """Check stored bytes as an entry of this ledger."""
        return Entry.open(
            data,
            keyring=self.keyring,
            ledger=self.origin,
            title_number=title_number,
            address=address,
            object_key=object_key,
        )

    def find_head(self, title_number: str) -> Head | None:
        """The head, or None if the title has none."""
        key = layout.head_key(layout.check_title_number(title_number))
        blob = self.store.get(key)
        if blob is None:
            return None
        checked = self._heads.get(title_number)
        # The same bytes again, by the same keys for the same title: nothing else could come of it.
        if checked is None or checked.data != blob.data:
            checked = self.open(blob.data, title_number, key)
            self.remember(checked)
        return Head(checked, blob.version)

    def check_there(self) -> None:
        """Check that the ledger is still in its store; raises StoreUnavailable."""
        check_there(self.store, self.origin)

    def remember(self, head: Entry) -> None:
        """Keep a head that was checked, or made, so that its bytes need no second check."""
        if len(head.data) <= LARGE:
            while len(self._heads) >= HEADS:
                with suppress(KeyError, StopIteration, RuntimeError):  # another thread was first
                    del self._heads[next(iter(self._heads))]
            self._heads[head.title_number] = head

    def head(self, title_number: str) -> Entry:
        """The newest entry; raises NotFoundError if there is no such title."""
        head = self.find_head(title_number)
        if head is None:
            self.check_there()
            raise NotFoundError(
                f"no such title: {title_number}",
                hint="'ledger titles' lists them; 'ledger recover' mends a head that was lost",
            )
        return head.entry

    def entry(self, title_number: str, address: str) -> Entry:
        """The entry of this address. Only a walk tells whether it is in the chain."""
        key = layout.entry_key(layout.check_title_number(title_number), address)
        blob = self.store.get(key)
        if blob is None:
            self.check_there()
            raise NotFoundError(f"no such entry: {key}")
        return self.open(blob.data, title_number, key, address)

    def parent(self, child: Entry) -> Entry | None:
        """The entry before this one, or None before version 1."""
        if child.parent is None:
            return None
        try:
            parent = self.entry(child.title_number, child.parent)
        except NotFoundError:
            raise _missing_entry(child.title_number, child.parent) from None
        check_link(child, parent)
        return parent

    def walk(self, start: Entry) -> Iterator[Entry]:
        """The entry and all before it, newest first, one read each."""
        entry: Entry | None = start
        while entry is not None:
            yield entry
            entry = self.parent(entry)

    def descends(self, head: Entry, address: str, version: int) -> bool:
        """Whether the head's chain contains this address as this version."""
        for entry in self.walk(head):
            if entry.version <= version:
                return entry.address == address
        return False

    def markers(self, title_number: str) -> Iterator[tuple[int, str]]:
        """The version and address of every move of the title's head that was ever prepared.

        That it happened is not said: an append may have crashed, or lost a race.
        """
        for key in self.store.list(f"{layout.PENDING}{title_number}."):
            parsed = layout.parse_pending_key(key)
            if parsed:
                yield parsed[1:]

    def at(
        self,
        title_number: str,
        moment: datetime,
        *,
        effective: bool = False,
        head: Entry | None = None,
    ) -> Entry:
        """The newest entry recorded (or, in law, effective) at that moment or before."""
        asked = times.format_time(moment)  # refuses one without an offset
        for entry in self.walk(head or self.head(title_number)):
            text = entry.effective_at if effective and entry.effective_at else entry.recorded_at
            if times.parse_time(text) <= moment:
                return entry
        what = "in effect" if effective else "recorded"
        raise NotFoundError(
            f"no entry of {title_number} was {what} at {asked}",
        )

    def resolve(
        self, title_number: str, revision: str | Revision, head: Entry | None = None
    ) -> Entry:
        """The entry that a revision names (see ``ledger.format.revision``), seen from the head.

        Reads n + 1 objects for ``HEAD~n``, down to the entry for ``v3`` and ``@{date}``, and lists
        the title for a prefix.
        """
        layout.check_title_number(title_number)
        if not isinstance(revision, Revision):
            revision = parse_revision(revision)
        entry = self._base(title_number, revision, head)
        if revision.back >= entry.version:
            raise NotFoundError(
                f"{title_number} has no entry {revision.back} before version {entry.version}"
            )
        target = entry.version - revision.back
        return next(found for found in self.walk(entry) if found.version == target)

    def _base(self, title_number: str, revision: Revision, head: Entry | None) -> Entry:
        if revision.prefix is not None:
            return self.entry(title_number, self._complete(title_number, revision.prefix))
        if revision.time is not None:
            return self.at(title_number, revision.time, head=head)
        head = head or self.head(title_number)
        if revision.version is None:
            return head
        if revision.version > head.version:
            raise NotFoundError(
                f"{title_number} has no version {revision.version}; its head is {head.version}"
            )
        return next(entry for entry in self.walk(head) if entry.version == revision.version)

    def _complete(self, title_number: str, prefix: str) -> str:
        if layout.is_address(prefix):
            return prefix
        found = [
            parsed[1]
            for key in self.store.list(f"{title_number}/{prefix}")
            if (parsed := layout.parse_entry_key(key))
        ]
        if not found:
            self.check_there()
            raise NotFoundError(f"no entry of {title_number} begins with {prefix}")
        if len(found) > 1:
            raise InvalidError(
                f"{prefix} is ambiguous in {title_number}: " + ", ".join(found[:10]),
                hint="write more of its digits",
            )
        return found[0]


class Tip:
    """The head of one title and what is below it, read when asked for, no further than needed.

    Keep it from one append to the next: without it, each append to a long title would read the
    whole chain again, only to see that its reference is new. If somebody else has appended in
    between, the swap of the head fails. Throw it away after any error.
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
        """The head, or None if the title has none."""
        if not self._is_read:
            self._head = self._history.find_head(self._title_number)
            self._below = self._history.walk(self._head.entry) if self._head else iter(())
            self._is_read = True
        return self._head

    def find(self, reference: str, above: str | None = None) -> Entry | None:
        """The newest entry with this reference, above an address if one is given.

        A search that stopped at an address has used up the chain: forget the tip after it.
        """
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
            raise _missing_entry(self._title_number, address) from None

    def grow(self, entry: Entry, head: Blob) -> None:
        """Put the entry on top; ``head`` is what the store has for a head since it moved."""
        if head.data != entry.data:  # others have gone on
            self.forget()
            return
        self._head = Head(entry, head.version)
        if entry.reference:
            self._addresses[entry.reference] = entry.address


def _missing_entry(title_number: str, address: str) -> IntegrityError:
    """The error of an entry that a chain leads through, and that is not there."""
    key = layout.entry_key(title_number, address)
    return IntegrityError(
        f"{key}: missing, and the chain leads through it",
        hint=f"'ledger verify {title_number}' tells more; a bundle can bring it back",
        reason="entry-missing",
        object_key=key,
    )
