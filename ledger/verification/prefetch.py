"""Read entries before a walk asks for them, if the store is remote.

Everything here is a guess, from the unchecked bytes of heads and from listings. The walk reads
whatever is missing and ignores extras, so errors are dropped here: the walk will hit them again.
"""

from __future__ import annotations

from contextlib import suppress
from itertools import chain
from typing import IO, TYPE_CHECKING, NamedTuple

from ledger.errors import LedgerError, StoreUnavailable
from ledger.format import layout
from ledger.format.entry import address_of, parent_hint, version_hint
from ledger.local.parallel import in_chunks

if TYPE_CHECKING:
    from collections.abc import Iterable, Iterator, Mapping

    from ledger.stores.base import Blob, Store

LONG = 8
"""Entries from which on a title is listed and read in one go, instead of parent by parent."""

TITLES = 16
"""Titles in a task."""

NEAR_BYTES = 8 << 20
"""Bytes held in memory for one task. The rest goes to the disk, or is not read ahead."""


class Wanted(NamedTuple):
    """A title that is going to be walked, from its head to its root."""

    title_number: str
    packed: Mapping[str, bytes] = {}
    """Its entries in packs, by address."""
    until: str | None = None
    """The address at which the walk ends, if not at the root."""
    version: int = 0
    """The version at that address."""


class Near:
    """Bytes by their address; past NEAR_BYTES they are kept in a temporary file."""

    def __init__(self, packed: Mapping[str, bytes]) -> None:
        self.used_packs: bool = False
        """Whether any bytes came from ``packed``."""
        self._packed = packed
        self._held: dict[str, bytes] = {}
        self._room = NEAR_BYTES
        self._places: dict[str, tuple[int, int]] = {}
        self._file: IO[bytes] | None = None

    def __del__(self) -> None:
        if self._file is not None:
            self._file.close()

    def __contains__(self, address: str) -> bool:
        return address in self._held or address in self._places or address in self._packed

    def add(self, address: str, data: bytes) -> None:
        """Keep the bytes; raise StoreUnavailable if there is no room for them."""
        if len(data) <= self._room:
            self._room -= len(data)
            self._held[address] = data
            return
        try:
            self._places[address] = self._write(data)
        except OSError as error:
            raise StoreUnavailable(
                f"cannot write a temporary file: {error.strerror}",
                hint="make room where temporary files are, or name another folder in TMPDIR",
            ) from error

    def _write(self, data: bytes) -> tuple[int, int]:
        if self._file is None:
            from tempfile import TemporaryFile  # noqa: PLC0415 -- slow to load, and seldom needed

            # Unbuffered, so that a failure to write is raised here and not later.
            self._file = TemporaryFile(buffering=0)  # noqa: SIM115 -- see __del__
        start = self._file.seek(0, 2)
        rest = memoryview(data)
        while rest:
            rest = rest[self._file.write(rest) :]
        return start, len(data)

    def get(self, address: str) -> bytes | None:
        """Return the bytes, or None if they are not near."""
        if address in self._held:
            return self._held[address]
        place = self._places.get(address)
        if place is None or self._file is None:
            return self._from_packs(address)
        try:
            self._file.seek(place[0])
            return self._file.read(place[1])
        except OSError:
            return None  # the walk reads them from the store

    def is_packed(self, address: str) -> bool:
        """Whether ``get`` takes it from a pack."""
        return address not in self._held and address not in self._places

    def _from_packs(self, address: str) -> bytes | None:
        data = self._packed.get(address)
        self.used_packs = self.used_packs or data is not None
        return data


class Fetched(NamedTuple):
    """What was read ahead of a title."""

    head: Blob | None
    """Its head, or None if it could not be read."""
    near: Near


def fetch_each(store: Store, wanted: Iterable[Wanted]) -> Iterator[tuple[Wanted, Fetched]]:
    """Yield the titles in their order, each with what was read ahead, some titles side by side."""

    def bring(taken: list[Wanted]) -> list[tuple[Wanted, Fetched]]:
        return list(zip(taken, fetch(store, taken), strict=True))

    if store.concurrency == 1:
        return ((title, Fetched(None, Near(title.packed))) for title in wanted)
    return in_chunks(wanted, bring, max(2, store.concurrency // 8), chunk=TITLES)


def fetch(store: Store, wanted: list[Wanted]) -> list[Fetched]:
    """Read the titles' chains side by side: one round trip for each generation of parents."""
    heads: dict[str, Blob | None] = {}
    with suppress(LedgerError):
        heads.update(store.get_many(layout.head_key(title.title_number) for title in wanted))
    walks = []
    fetched = []
    for title in wanted:
        head = heads.get(layout.head_key(title.title_number))
        near = Near(title.packed)
        fetched.append(Fetched(head, near))
        if head is not None:
            versions = version_hint(head.data)
            lacking = versions - title.version - len(title.packed)
            if store.is_listable and lacking >= LONG and lacking >= versions / 2:
                _fetch_listed(store, title.title_number, versions, near)
            else:
                walks.append(_Walk(title, near, head.data))
    _fetch_parents(store, walks)
    return fetched


def _fetch_listed(store: Store, title_number: str, versions: int, near: Near) -> None:
    with suppress(LedgerError):
        listed = chain.from_iterable(store.list_newest(f"{title_number}/", versions + 1))
        keys = filter(layout.parse_entry_key, listed)
        for key, blob in store.get_many(keys):
            parsed = layout.parse_entry_key(key)
            if blob is not None and parsed is not None and parsed[1] not in near:
                near.add(parsed[1], blob.data)


class _Walk:
    """A chain, followed down by what its unchecked bytes say."""

    def __init__(self, title: Wanted, near: Near, head: bytes) -> None:
        self._title = title
        self._near = near
        self._own = address_of(head)
        self.asked: list[str] = []
        """The keys to read next: first the head's own entry and its parent."""
        if self._own != title.until:
            self._ask(self._own)
            self._follow(head)

    def take(self, address: str, data: bytes) -> None:
        """Keep an entry, and ask for its parent."""
        self._near.add(address, data)
        if address not in {self._own, self._title.until}:
            self._follow(data)

    def _follow(self, data: bytes) -> None:
        """Ask for the first parent that is not near yet."""
        passed: set[str] = set()  # unchecked bytes may lead round in a circle
        address = parent_hint(data)
        while address is not None and address not in passed:
            near = self._near.get(address)
            if near is None:
                self._ask(address)
                return
            if address == self._title.until:
                return
            passed.add(address)
            address = parent_hint(near)

    def _ask(self, address: str) -> None:
        if layout.is_address(address) and address not in self._near:
            self.asked.append(layout.entry_key(self._title.title_number, address))


def _fetch_parents(store: Store, walks: Iterable[_Walk]) -> None:
    """Follow all walks at once, with one round of reading for each generation."""
    size = 0
    while size < NEAR_BYTES:
        asked = {key: walk for walk in walks for key in walk.asked}
        for walk in walks:
            walk.asked = []
        if not asked:
            return
        try:
            for key, blob in store.get_many(asked):
                parsed = layout.parse_entry_key(key)
                if blob is not None and parsed is not None:
                    size += len(blob.data)
                    asked[key].take(parsed[1], blob.data)
        except LedgerError:
            return
