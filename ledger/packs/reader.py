"""Read packs: hundreds of entries at a time, to read all of a ledger.

A pack is a cache. Entries that are missing or damaged in a pack are read from their own objects,
which is slower and never wrong. ``docs/decisions/0013-packs.md`` explains the design.
"""

from __future__ import annotations

from collections import deque
from collections.abc import Mapping
from concurrent.futures import Future, ThreadPoolExecutor
from itertools import islice
from threading import Lock
from typing import TYPE_CHECKING, Self, TypeAlias

from ledger.errors import IntegrityError, LedgerError, MalformedError
from ledger.format import layout
from ledger.format.report import Finding, Report
from ledger.local.parallel import in_chunks
from ledger.packs.format import MAX_PACK, open_pack

if TYPE_CHECKING:
    from collections.abc import Iterable, Iterator

    from ledger.format.layout import PackName
    from ledger.stores.base import Store
    from ledger.titles.history import History

AHEAD = 1
"""Packs read ahead of the one that is needed: to check its entries takes longer than to read it."""

SIDE_BY_SIDE = 2
"""Packs read at once if nothing else is done with them."""

USELESS_BYTES = 64 << 20
"""Bytes of packs that nobody asked for, beyond as many as were handed out, that end all reading."""

HELD_BYTES = 32 << 20
"""Bytes of packs held at once. Packers keep the packs that overlap below it."""

FROM_PACKS = (
    "whether every entry's own object is there: those in packs were read from the packs"
    " (fsck reads them all)"
)

Entries: TypeAlias = Mapping[str, dict[str, bytes]]
"""Bytes by address, by title."""


class _Held:
    """A pack in memory."""

    def __init__(self, name: PackName, entries: Entries) -> None:
        self.name = name
        self.left = name.size
        """Bytes that were not handed out, with those of the index."""
        self._entries = entries

    def hand_out(self, title_number: str) -> dict[str, bytes]:
        """Return what it has of a title."""
        found = self._entries.get(title_number, {})
        self.left -= sum(map(len, found.values()))
        return found


class PackCache:
    """The packs that reach further than what was read so far, for the next reader in this process.

    Few packs do, and each lies over many titles: else it would be read for each part of them.
    """

    def __init__(self) -> None:
        self._entries: dict[PackName, Entries] = {}
        self._lock = Lock()

    def __reduce__(self) -> tuple[type[PackCache], tuple[()]]:
        return PackCache, ()

    def get(self, name: PackName) -> Entries | None:
        """Return what a pack holds, if it is here."""
        with self._lock:
            return self._entries.get(name)

    def keep(self, name: PackName, entries: Entries, until: str) -> None:
        """Keep a pack, and let go of those that end by ``until``, a key, and of the first kept."""
        with self._lock:
            for each in [each for each in self._entries if layout.head_key(each.last) <= until]:
                del self._entries[each]
            self._entries.pop(name, None)
            self._entries[name] = entries
            while sum(each.size for each in self._entries) > HELD_BYTES:
                del self._entries[next(iter(self._entries))]


class PackReader:
    """Hands out the entries in packs, title after title, in the order of the titles' keys.

    It reads each pack once, a little ahead of its first title, and forgets it after its last, so
    memory stays flat. Asked in another order, it hands out less. An error of the store or of a pack
    is not raised: it becomes one of the ``findings``, and the pack is skipped. Use it from one
    thread; ``close`` ends its own threads.
    """

    def __init__(
        self,
        store: Store,
        origin: str,
        names: Iterable[PackName],
        *,
        addresses_only: bool = False,
        cache: PackCache | None = None,
        until: str | None = None,
    ) -> None:
        """Read the packs of these names, in the order of ``pack_names``.

        ``addresses_only``: hand out b"" for each entry, and hold no bytes. ``cache`` keeps those
        that go on after ``until``, the last title that is asked for.
        """
        self.findings: list[Finding] = []
        """Warnings about packs that could not be used."""
        self.damaged: list[PackName] = []
        """Packs that nobody will ever be able to use."""
        self._store = store
        self._origin = origin
        self._addresses_only = addresses_only
        self._cache = cache if until else None
        self._until = layout.head_key(until or "")
        self._names = iter(names)
        self._place = ""
        self._useful = 0
        self._useless = 0
        self._held: list[_Held] = []
        self._pool = ThreadPoolExecutor(AHEAD, thread_name_prefix="ledger-packs")
        self._ahead: deque[tuple[PackName, Future[Entries | LedgerError]]] = deque()

    def __enter__(self) -> Self:
        return self

    def __exit__(self, *_: object) -> None:
        self.close()

    def close(self) -> None:
        """Stop reading ahead, and forget the packs that are held."""
        self._pool.shutdown(wait=False, cancel_futures=True)
        self._held.clear()
        self._ahead.clear()
        self._names = iter(())

    def entries_of(self, title_number: str) -> dict[str, bytes]:
        """Return the entries of a title in packs, by address; each is what its address names.

        Whether they are signed entries of this title is for the walk to check.
        """
        self._place = layout.head_key(title_number)
        for held in self._held:
            if not self._goes_on(held.name):
                self._waste(held.left)
        self._held = [held for held in self._held if self._goes_on(held.name)]
        self._read_ahead()
        while self._ahead and layout.head_key(self._ahead[0][0].first) <= self._place:
            name, loading = self._ahead.popleft()
            self._read_ahead()
            if self._goes_on(name):
                self._take(name, loading.result())
            else:
                self._waste(name.size)
        found: dict[str, bytes] = {}
        for held in self._held:
            found.update(held.hand_out(title_number))
        self._useful += sum(map(len, found.values()))
        return found

    def _waste(self, size: int) -> None:
        """Note bytes that no title asked for; with too many, read no more packs."""
        self._useless += size
        if self._useless <= USELESS_BYTES + self._useful or self._addresses_only:
            return
        message = f"{layout.PACKS}: too much in packs is not asked for: no more of them are read"
        self.findings.append(Finding("warning", "unread-pack", layout.PACKS, message))
        self._useless = 0
        self._names = iter(())
        self._ahead.clear()

    def _goes_on(self, name: PackName) -> bool:
        return layout.head_key(name.last) >= self._place

    def _read_ahead(self) -> None:
        wanted = filter(self._goes_on, self._names)
        for name in islice(wanted, AHEAD - len(self._ahead)):
            self._ahead.append((name, self._pool.submit(self._load, name)))

    def _take(self, name: PackName, loaded: Entries | LedgerError) -> None:
        if isinstance(loaded, LedgerError):
            finding = _finding(layout.pack_key(name), loaded)
            self.findings.append(finding)
            if finding.slug == "damaged-pack":
                self.damaged.append(name)
                self._waste(name.size if name.size <= MAX_PACK else 0)
            return
        self._held.append(_Held(name, loaded))
        while not self._addresses_only and sum(h.name.size for h in self._held) > HELD_BYTES:
            # Give up the pack that reaches furthest: it has the fewest entries here.
            self._held.remove(max(self._held, key=lambda held: layout.head_key(held.name.last)))

    def _load(self, name: PackName) -> Entries | LedgerError:
        if self._cache and (kept := self._cache.get(name)):
            return kept
        try:
            entries = _read_pack(self._store, name, self._origin)
        except LedgerError as error:
            return error
        if self._addresses_only:
            entries = {title: dict.fromkeys(found, b"") for title, found in entries.items()}
        if self._cache and layout.head_key(name.last) > self._until:
            self._cache.keep(name, entries, self._until)
        return entries


def entries_in_packs(store: Store, origin: str, title_number: str) -> dict[str, bytes]:
    """Return what the packs have of one title, by address: unchecked, but for the addresses."""
    key = layout.head_key(title_number)
    names = [
        name
        for name in pack_names(store)
        if layout.head_key(name.first) <= key <= layout.head_key(name.last)
    ]
    with PackReader(store, origin, names) as reader:
        return reader.entries_of(title_number)


def pack_names(store: Store) -> Iterator[PackName]:
    """Yield the packs that the store lists, in the order of their first titles' keys."""
    if not store.is_listable:
        return iter(())
    return filter(None, map(layout.parse_pack_key, store.list(layout.PACKS)))


def findings_once(findings: Iterable[Finding]) -> tuple[Finding, ...]:
    """Return what several readers found in one order, each once."""
    once = {(finding.object_key, finding.slug): finding for finding in findings}
    return tuple(once[place] for place in sorted(once))


def listed_packs(store: Store, findings: list[Finding]) -> list[PackName]:
    """Return what ``pack_names`` yields; if it breaks off, that is one more of the findings."""
    names: list[PackName] = []
    try:
        names.extend(pack_names(store))
    except LedgerError as error:
        findings.append(_finding(layout.PACKS, error))
    return names


def _read_pack(store: Store, name: PackName, origin: str) -> Entries:
    """Return the entries of a pack, or none if another packer has just replaced it."""
    if name.size > MAX_PACK:
        raise MalformedError(f"not a pack: {name.size:,} bytes, of {MAX_PACK:,} at most")
    blob = store.get(layout.pack_key(name))
    return {} if blob is None else open_pack(name, blob.data, origin)


def _finding(key: str, error: LedgerError) -> Finding:
    useless = isinstance(error, MalformedError | IntegrityError)
    message = str(error) if key in str(error) else f"{key}: {error}"
    return Finding("warning", "damaged-pack" if useless else "unread-pack", key, message)


def check_packs(history: History) -> Iterator[Report]:
    """Yield a report for each object under ``_packs/``, with warnings only: packs are a cache.

    A pack must be what its name says, of this ledger, and each entry in it what its address says.
    Signatures are not checked, nor whether the entries have objects of their own.
    """

    def check(keys: list[str]) -> list[Report]:
        return [Report(history.origin, findings=_check_key(history, key)) for key in keys]

    try:
        yield from in_chunks(history.store.list(layout.PACKS), check, SIDE_BY_SIDE, chunk=1)
    except LedgerError as error:
        yield Report(history.origin, findings=(_finding(layout.PACKS, error),))


def _check_key(history: History, key: str) -> tuple[Finding, ...]:
    name = layout.parse_pack_key(key)
    if name is None:
        return (Finding("warning", "stray-object", key, f"{key}: no object of a ledger"),)
    try:
        _read_pack(history.store, name, history.origin)
    except LedgerError as error:
        return (_finding(key, error),)
    return ()
