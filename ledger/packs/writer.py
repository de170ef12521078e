"""Packs, written: what lies in a store entry by entry, once more, hundreds to an object.

A packer may be stopped at any moment, and run beside others: a pack only ever holds entries that
have been checked, and packs are deleted only when what they held is in others, durably.
"""

from __future__ import annotations

import itertools
from typing import TYPE_CHECKING, NamedTuple, TypeAlias

from ledger.errors import IntegrityError, PreconditionFailed, TrustError, UnsupportedFormatError
from ledger.format import layout
from ledger.format.chain import check_link
from ledger.format.entry import Entry
from ledger.format.report import Finding, finding_of
from ledger.local.parallel import cores, in_chunks
from ledger.packs.format import Packable, PackName, make_pack
from ledger.packs.reader import PackReader, pack_names

if TYPE_CHECKING:
    from collections.abc import Callable, Iterable, Iterator

    from ledger.stores.base import Store
    from ledger.titles.history import History

__all__ = ["PACK_BYTES", "Packed", "pack"]

PACK_BYTES = 8 << 20
"""How many bytes of entries make a pack: what a bucket gives in a tenth of a second."""

LAYERS = 7
"""How many packs may lie over one title, before the widest are dissolved into the new ones."""

LONG = 2_000
"""From how many entries on a title is read as it is packed: shorter ones are read ahead."""

PREFETCH = 20_000
"""How many entries of a title are asked for at once, at most: they are held in memory."""

TYPICAL = 2_048
"""About what an entry weighs, in bytes. Some weigh five hundred times as much, hence:"""

AHEAD_BYTES = 8 << 20
"""How much of a task's titles is read ahead, and once more of one title before it is walked. What
is more is read as it is packed."""


class Packed(NamedTuple):
    """What a packer did."""

    titles: int
    """Of how many titles entries were packed,"""
    entries: int
    """how many entries,"""
    packs: int
    """into how many packs,"""
    size: int
    """of how many bytes together."""
    deleted: int
    """How many packs these replace."""
    findings: tuple[Finding, ...]
    """Why the rest of a title was left out; and packs that were of no use."""


def pack(
    history: History, *, rebuild: bool = False, each: Callable[[str], None] | None = None
) -> Packed:
    """Pack what lies in no pack yet; ``each`` hears of every title that was looked at.

    An entry is packed if the store lists it, and the walk down from its title's head leads to it:
    address, signature and links hold. What does not hold is left out with all below it, and found.
    ``rebuild`` packs everything anew, and then deletes the packs that were there. Raises StoreError
    where the store can't be read or written: what was packed by then stays.
    """
    # All names before anything is written: of two who rebuild at once, only one can then have
    # seen the other's packs, so they can't delete each other's.
    names = list(pack_names(history.store))
    dissolved = names if rebuild else _to_dissolve(names)
    kept = sorted(set(names) - set(dissolved), key=layout.pack_key)
    writer = _PackWriter(history.store, history.origin)
    findings: list[Finding] = []
    near = PackReader(history.store, history.origin, dissolved)
    held = PackReader(history.store, history.origin, kept, addresses_only=True)
    with near, held:
        for title_number, entries in _walks(history, _titles(history.store, near, held, each)):
            for entry in entries:
                if isinstance(entry, Finding):
                    findings.append(entry)
                else:
                    writer.add(Packable(title_number, entry.address, entry.data))
        writer.flush()
    damaged = {*near.damaged, *held.damaged}
    superseded = {*dissolved, *damaged} - writer.written.keys()
    for name in superseded:
        history.store.delete(layout.pack_key(name))
    # One that came out as it was is not news.
    new = writer.written.keys() - (set(names) - damaged)
    return Packed(
        titles=sum(writer.written[name].titles for name in new),
        entries=sum(writer.written[name].entries for name in new),
        packs=len(new),
        size=sum(name.size for name in new),
        deleted=len(superseded),
        findings=(*near.findings, *held.findings, *findings),
    )


def _to_dissolve(names: Iterable[PackName]) -> list[PackName]:
    """The packs to be put together with what is new: small ones, and those that lie over many.

    A day's changes are spread over all titles, so that every day's packs would lie over every
    title. Of too many in one place the one that goes on furthest is given up: it has the least in
    it for its width, and costs the least to write again.
    """
    dissolved: list[PackName] = []
    layers: list[PackName] = []
    for name in names:
        # One that begins with the title that another ends with continues it.
        layers = [over for over in layers if _last(over) > layout.head_key(name.first)]
        if name.size < PACK_BYTES // 2:
            dissolved.append(name)
        elif name.first != name.last:
            layers.append(name)
            if len(layers) > LAYERS:
                widest = max(layers, key=_last)
                layers.remove(widest)
                dissolved.append(widest)
    return sorted(dissolved, key=layout.pack_key)


def _last(name: PackName) -> str:
    return layout.head_key(name.last)


# -- What is to be packed ------------------------------------------------------------------------


class _Unpacked(NamedTuple):
    """A title, the entries of it that are in no pack that is kept, and those that are near."""

    title_number: str
    missing: set[str]
    near: dict[str, bytes]


_Walk: TypeAlias = "Iterable[Entry | Finding]"
"""The entries of a title that are to be packed, newest first; a finding ends it."""


def _titles(
    store: Store, near: PackReader, held: PackReader, each: Callable[[str], None] | None
) -> Iterator[_Unpacked]:
    """The titles that have something to be packed, as the store lists them.

    Only what is listed is packed, whatever an older pack has: what was taken out of the store does
    not live on in packs that are made after it.
    """
    for title_number, keys in itertools.groupby(store.list(), lambda key: key.partition("/")[0]):
        if title_number >= "_":  # all that is not a title's comes after all that is
            return
        if not layout.is_title_number(title_number):
            continue
        listed = {parsed[1] for parsed in map(layout.parse_entry_key, keys) if parsed}
        missing = listed - held.entries_of(title_number).keys()
        found = near.entries_of(title_number)
        if each is not None:
            each(title_number)
        if missing:
            useful = {address: found[address] for address in missing & found.keys()}
            yield _Unpacked(title_number, missing, useful)


def _walks(history: History, titles: Iterable[_Unpacked]) -> Iterator[tuple[str, _Walk]]:
    """A walk for each title; of short titles, some are under way at once."""

    def read(taken: list[_Unpacked]) -> list[tuple[str, _Walk]]:
        room = AHEAD_BYTES
        walks: list[tuple[str, _Walk]] = []
        for title in taken:
            ahead: list[Entry | Finding] = []
            walk = _walk(history, title)
            while room > 0 and len(title.missing) <= LONG and (step := next(walk, None)):
                ahead.append(step)
                room -= len(step.data) if isinstance(step, Entry) else 0
            walks.append((title.title_number, itertools.chain(ahead, walk)))
        return walks

    waits = history.store.concurrency > 1
    return in_chunks(
        titles,
        read,
        max(cores(), history.store.concurrency // 2),
        chunk=1 if waits else None,
        weigh=lambda title: len(title.missing) * TYPICAL,
    )


def _walk(history: History, title: _Unpacked) -> Iterator[Entry | Finding]:
    """Walk down from the head, until nothing is missing any more."""
    try:
        yield from _entries(history, title)
    except (IntegrityError, TrustError, UnsupportedFormatError) as error:
        yield finding_of(error, layout.head_key(title.title_number))


def _entries(history: History, title: _Unpacked) -> Iterator[Entry]:
    head = history.find_head(title.title_number)
    if head is None:  # a first append that is not finished, or fsck's to find
        return
    missing = set(title.missing)
    near = title.near | _prefetch(history.store, title)
    entry: Entry | None = head.entry
    if head.entry.address in missing:  # the head is a copy of it, and may be all that is sound
        entry = _own(history, head.entry, near)
    while entry is not None:
        if entry.address in missing:
            missing.remove(entry.address)
            yield entry
        entry = _parent(history, entry, near) if missing else None


def _own(history: History, head: Entry, near: dict[str, bytes]) -> Entry:
    if head.address in near:
        return _open(history, head.title_number, head.address, near)
    return history.entry(head.title_number, head.address)


def _parent(history: History, child: Entry, near: dict[str, bytes]) -> Entry | None:
    if child.parent not in near:
        return history.parent(child)
    parent = _open(history, child.title_number, child.parent, near)
    check_link(child, parent)
    return parent


def _open(history: History, title_number: str, address: str, near: dict[str, bytes]) -> Entry:
    key = layout.entry_key(title_number, address)
    return history.open(near.pop(address), title_number, key, address)


def _prefetch(store: Store, title: _Unpacked) -> dict[str, bytes]:
    """The entries that no pack has, where a walk would wait for one after another."""
    if store.concurrency < 2:
        return {}
    wanted = itertools.islice(title.missing - title.near.keys(), PREFETCH)
    keys = (layout.entry_key(title.title_number, address) for address in wanted)
    room = PREFETCH * TYPICAL if len(title.missing) > LONG else AHEAD_BYTES
    found: dict[str, bytes] = {}
    for key, blob in store.get_many(keys):
        if blob is not None:
            found[key.split("/")[1].removesuffix(".json")] = blob.data
            room -= len(blob.data)
        if room <= 0:
            break  # some are near; the walk reads the others for itself
    return found


# -- Writing -------------------------------------------------------------------------------------


class _Count(NamedTuple):
    """What is in a pack: titles that are not in the one before it, and entries."""

    titles: int
    entries: int


class _PackWriter:
    """Collects entries, in order, and writes a pack whenever there are enough."""

    def __init__(self, store: Store, origin: str) -> None:
        self.written: dict[PackName, _Count] = {}
        self._store = store
        self._origin = origin
        self._waiting: list[Packable] = []
        self._bytes = 0
        self._title_number = ""

    def add(self, entry: Packable) -> None:
        if self._bytes + len(entry.data) > PACK_BYTES:
            self.flush()
        self._waiting.append(entry)
        self._bytes += len(entry.data)

    def flush(self) -> None:
        if not self._waiting:
            return
        name, data = make_pack(self._origin, self._waiting)
        key = layout.pack_key(name)
        try:
            self._store.create(key, data)
        except PreconditionFailed:  # what has its name is not what it was: a damaged pack
            self._store.delete(key)
            self._store.create(key, data)
        titles = {entry.title_number for entry in self._waiting} - {self._title_number}
        self.written[name] = _Count(len(titles), len(self._waiting))
        self._title_number = name.last
        self._waiting, self._bytes = [], 0
