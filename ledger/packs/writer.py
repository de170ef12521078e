"""Write packs: copies of a store's entries, hundreds to an object.

A packer may be stopped at any moment and run beside others: a pack holds only entries that were
checked, and packs are deleted only when what they held is in others, durably.
"""

from __future__ import annotations

import itertools
from contextlib import contextmanager
from functools import partial
from typing import TYPE_CHECKING, NamedTuple, TypeAlias, TypeGuard, get_args

from ledger.errors import (
    IntegrityError,
    MalformedError,
    PreconditionFailed,
    StoreDenied,
    TrustError,
    UnsupportedFormatError,
)
from ledger.format import layout
from ledger.format.chain import check_link
from ledger.format.entry import Entry, is_settled_by
from ledger.format.report import Finding, Severity, finding_of
from ledger.local.parallel import Shared, cores, in_chunks, refuse, twice
from ledger.packs.format import Packable, make_pack, open_pack
from ledger.packs.reader import PackCache, PackReader, findings_once, pack_names
from ledger.packs.slices import Slice, cut
from ledger.titles.history import History, missing_text

if TYPE_CHECKING:
    from collections.abc import Callable, Collection, Generator, Iterable, Iterator, Mapping
    from concurrent.futures import Executor

    from ledger.format.layout import PackName
    from ledger.stores.base import Store

PACK_BYTES = 2 << 20
"""Bytes of entries in a pack: a reader holds a few, and one takes longer to check than to read."""

FULL_BYTES = PACK_BYTES * 15 // 16
"""Bytes from which on a pack is not begun upon another title."""

SLICE = 2_000
"""Entries in the titles that are handed to an executor at once: some packs."""

SENT_BYTES = 64 << 20
"""Bytes of entries that are sent by whoever walked them; of more, the titles are walked here."""

LAYERS = 7
"""Packs that may overlap at one title before the widest are dissolved into new ones."""

LONG = 2_000
"""Entries from which on a title is read while it is packed; shorter titles are read ahead."""

PREFETCH = 20_000
"""Entries of a title asked for at once, at most: they are held in memory."""

TYPICAL = 2_048
"""Bytes of a typical entry. The largest have five hundred times as many."""

AHEAD_BYTES = 8 << 20
"""Bytes read ahead for the titles of a task, and again for one title before it is walked. The rest
is read while it is packed."""


class Packed(NamedTuple):
    """What a packer did."""

    titles: int
    """Titles that have entries in these packs."""
    entries: int
    """Entries packed."""
    packs: int
    """Packs written."""
    size: int
    """Bytes of these packs together."""
    deleted: int
    """Packs that they replace."""
    findings: tuple[Finding, ...]
    """Why the rest of a title was left out, and which packs were unusable."""


def pack(
    history: History,
    *,
    rebuild: bool = False,
    dissolve: Iterable[PackName] = (),
    each: Callable[[str], None] | None = None,
    jobs: int | None = None,
    executor: Executor | None = None,
) -> Packed:
    """Pack what is in no pack yet; ``each`` gets every title number that was looked at.

    An entry is packed if the store lists it and the walk down from its title's head leads to it,
    with address, signature and links that hold. An entry that does not hold is left out with all
    below it, and reported. A text that the chain orders erased is never packed. ``rebuild`` packs
    everything anew and then deletes the old packs; ``dissolve`` are packs with which it does so.
    Raises StoreError if the store can't be read or written; what was packed by then stays.
    """
    # List all names before writing: of two packers that rebuild at once, only one can then see
    # the other's packs, so they can't delete each other's.
    names = list(pack_names(history.store))
    dissolved = names
    if not rebuild:
        dissolved = sorted({*_to_dissolve(names), *dissolve}, key=layout.pack_key)
    kept = sorted(set(names) - set(dissolved), key=layout.pack_key)
    writer = _PackWriter(history.store, history.origin)
    old = _Old(dissolved, kept, [], [])
    titles = _listed(history.store, each)
    findings: list[Finding] = []
    if executor is None:
        walks: Iterator[_Walk] = _walks_here(history, titles, old)
    else:
        walks = _walks_spread(history, titles, old, jobs or cores(), executor)
    for entries in walks:
        for entry in entries:
            if isinstance(entry, Finding):
                findings.append(entry)
            else:
                writer.add(entry)
    writer.flush()
    damaged = set(old.damaged)
    superseded = {*dissolved, *damaged} - writer.written.keys()
    for name in superseded:
        history.store.delete(layout.pack_key(name))
    # A pack that came out the same is not new.
    new = writer.written.keys() - (set(names) - damaged)
    return Packed(
        titles=sum(writer.written[name].titles for name in new),
        entries=sum(writer.written[name].entries for name in new),
        packs=len(new),
        size=sum(name.size for name in new),
        deleted=len(superseded),
        findings=(*findings_once(old.findings), *findings),
    )


def expel(history: History, title_number: str, entries: Iterable[Entry]) -> tuple[str, ...]:
    """Pack anew what is in packs with a text of these entries, which are in their short form.

    The older versions of such packs are deleted, too. Return what could not be done, and why, in
    words.
    """
    erased = {entry.address: entry.data for entry in entries}

    def covers(name: PackName | None) -> TypeGuard[PackName]:
        place = layout.head_key(title_number)
        return name is not None and layout.head_key(name.first) <= place <= _last(name)

    def holds(found: Mapping[str, dict[str, bytes]]) -> bool:
        packed = found.get(title_number, {})
        return any(packed.get(address, data) != data for address, data in erased.items())

    def is_unwanted(key: str, read: Callable[[], bytes]) -> bool:
        name = layout.parse_pack_key(key)
        if not covers(name):
            return False
        try:
            return holds(open_pack(name, read(), history.origin))
        except (MalformedError, UnsupportedFormatError):
            return True  # who knows what is in it; and it is a cache

    store = history.store
    left: tuple[str, ...] = ()
    try:
        names = [
            name
            for name in filter(covers, pack_names(store))
            if is_unwanted(layout.pack_key(name), partial(_read, store, name))
        ]
        if names:
            pack(history, dissolve=names)
    except StoreDenied as error:
        left = (f"the packs that hold it: {error}",)
    return (*left, *store.purge(layout.PACKS, is_unwanted))


def _read(store: Store, name: PackName) -> bytes:
    blob = store.get(layout.pack_key(name))
    return blob.data if blob else b""


def _to_dissolve(names: Iterable[PackName]) -> list[PackName]:
    """Choose the packs to merge with what is new: small ones, and wide ones that overlap.

    A day's changes are spread over all titles, so every day's packs would cover every title. If too
    many overlap, the one that reaches furthest goes: it has the least in it for its width, and
    costs the least to write again.
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


class _Old(NamedTuple):
    """The packs that are there already, and what was found out about them."""

    dissolved: list[PackName]
    kept: list[PackName]
    damaged: list[PackName]
    findings: list[Finding]


class _Listed(NamedTuple):
    """A title, and the addresses of its entries that the store lists."""

    title_number: str
    addresses: set[str]


class _Unpacked(NamedTuple):
    """A title, its entries that are in no pack that is kept, and those of them in memory."""

    title_number: str
    missing: set[str]
    near: dict[str, bytes]


_Walk: TypeAlias = "Iterable[Packable | Finding]"
"""The entries of a title to be packed, newest first; a finding ends it."""


def _listed(store: Store, each: Callable[[str], None] | None) -> Iterator[_Listed]:
    """Yield the titles that the store lists.

    Only what is listed is packed, whatever an older pack has: what was taken out of the store must
    not live on in new packs.
    """
    for title_number, keys in itertools.groupby(store.list(), lambda key: key.partition("/")[0]):
        if title_number >= "_":  # everything else sorts after the titles
            return
        if not layout.is_title_number(title_number):
            continue
        if each is not None:
            each(title_number)
        yield _Listed(
            title_number, {parsed[1] for parsed in map(layout.parse_entry_key, keys) if parsed}
        )


@contextmanager
def _unpacked(
    history: History, titles: Iterable[_Listed], old: _Old, cache: PackCache | None
) -> Iterator[Iterator[_Unpacked]]:
    """Give the titles that have something to be packed."""
    until = titles[-1].title_number if isinstance(titles, list) else None
    read = partial(PackReader, history.store, history.origin, cache=cache, until=until)
    near, held = read(old.dissolved), read(old.kept, addresses_only=True)

    def choose() -> Iterator[_Unpacked]:
        for title_number, listed in titles:
            missing = listed - held.entries_of(title_number).keys()
            found = near.entries_of(title_number)
            if missing:
                useful = {address: found[address] for address in missing & found.keys()}
                yield _Unpacked(title_number, missing, useful)

    with near, held:
        yield choose()
        for reader in (near, held):
            old.findings.extend(reader.findings)
            old.damaged.extend(reader.damaged)


def _walks_here(
    history: History, titles: Iterable[_Listed], old: _Old, cache: PackCache | None = None
) -> Generator[_Walk]:
    """Yield a walk for each title; several short titles are read at once."""

    def read(taken: list[_Unpacked]) -> list[_Walk]:
        room = AHEAD_BYTES
        walks: list[_Walk] = []
        for title in taken:
            ahead: list[Packable | Finding] = []
            walk = _walk(history, title)
            while room > 0 and len(title.missing) <= LONG and (step := next(walk, None)):
                ahead.append(step)
                room -= len(step.data) if isinstance(step, Packable) else 0
            walks.append(itertools.chain(ahead, walk))
        return walks

    waits = history.store.concurrency > 1
    with _unpacked(history, titles, old, cache) as unpacked:
        yield from in_chunks(
            unpacked,
            read,
            max(cores(), history.store.concurrency // 2),
            chunk=1 if waits else None,
            weigh=lambda title: len(title.missing) * TYPICAL,
        )


# -- In slices, on an executor -------------------------------------------------------------------


def _walks_spread(
    history: History, titles: Iterable[_Listed], old: _Old, jobs: int, executor: Executor
) -> Iterator[_Walk]:
    """Yield a walk for each slice of titles; whoever has it reads the packs that it needs."""
    names = sorted({*old.dissolved, *old.kept}, key=layout.pack_key)
    run = _Run(history, frozenset(old.kept), PackCache())
    slices, asked = twice(
        cut(titles, names, lambda each: each.title_number, lambda each: len(each.addresses), SLICE)
    )
    work = partial(_walk_slices, Shared(run))
    answers = in_chunks(slices, work, jobs, executor=executor, chunk=1)
    for answer, (listed, packs) in zip(answers, asked, strict=True):
        _check_answer(answer, listed, packs)
        mine = _old_of(run, packs)
        if answer.steps is None:
            yield from _walks_here(history, listed, mine)
        else:
            yield answer.steps
        old.damaged.extend((*answer.damaged, *mine.damaged))
        old.findings.extend((*answer.findings, *mine.findings))


class _Run(NamedTuple):
    """What all tasks of a packer need."""

    history: History
    kept: frozenset[PackName]
    packs: PackCache


class Answer(NamedTuple):
    """What a slice has to be packed, and which of its packs are damaged."""

    steps: list[Packable | Finding] | None
    """None if there is too much of it to be sent."""
    damaged: list[PackName]
    findings: list[Finding]


def _walk_slices(shared: Shared[_Run], slices: list[Slice[_Listed]]) -> list[Answer]:
    """Walk slices of titles, wherever this runs."""
    run = shared.value
    answers = []
    for titles, names in slices:
        old = _old_of(run, names)
        steps: list[Packable | Finding] = []
        room = SENT_BYTES
        walks = _walks_here(run.history, titles, old, run.packs)
        for step in itertools.chain.from_iterable(walks):
            steps.append(step)
            room -= len(step.data) if isinstance(step, Packable) else 0
            if room < 0:
                break
        walks.close()
        answers.append(Answer(steps if room >= 0 else None, old.damaged, old.findings))
    return answers


def _old_of(run: _Run, names: Iterable[PackName]) -> _Old:
    old = _Old([], [], [], [])
    for name in names:
        (old.kept if name in run.kept else old.dissolved).append(name)
    return old


def _check_answer(answer: object, listed: list[_Listed], packs: Collection[PackName]) -> None:
    """Refuse what is no answer: other entries than were listed, or other packs."""
    if type(answer) is not Answer:
        raise refuse(f"it is a {type(answer).__name__}")
    if not set(answer.damaged) <= set(packs):
        raise refuse("it calls packs damaged that it was not asked about")
    places = {each.title_number: place for place, each in enumerate(listed)}
    before = 0
    for step in answer.steps or ():
        if type(step) is Finding and step.severity in get_args(Severity):
            continue
        if type(step) is not Packable or step.address not in _addresses(listed, places, step):
            raise refuse("it packs what the store does not list")
        if not is_settled_by(step.address, step.data) or places[step.title_number] < before:
            raise refuse(f"its entries of {step.title_number} are not what their addresses say")
        before = places[step.title_number]
    if any(type(each) is not Finding or each.severity != "warning" for each in answer.findings):
        raise refuse("it blames a pack for more than a warning")


def _addresses(listed: list[_Listed], places: dict[str, int], step: Packable) -> set[str]:
    place = places.get(step.title_number)
    return set() if place is None else listed[place].addresses


# -- One title -----------------------------------------------------------------------------------


def _walk(history: History, title: _Unpacked) -> Iterator[Packable | Finding]:
    """Walk down from the head until nothing is missing."""
    try:
        for entry in _entries(history, title):
            yield Packable(title.title_number, entry.address, entry.data)
    except (IntegrityError, TrustError, UnsupportedFormatError) as error:
        yield finding_of(error, layout.head_key(title.title_number))


def _entries(history: History, title: _Unpacked) -> Iterator[Entry]:
    head = history.find_head(title.title_number)
    if head is None:  # an unfinished first append, or something that fsck reports
        return
    missing = set(title.missing)
    near = _Near(history, title.near, _prefetch(history.store, title))
    entry: Entry | None = head.entry
    if head.entry.address in missing:  # the head is a copy, and its own object may be damaged
        entry = near.entry(head.entry.title_number, head.entry.address)
    standing = history.standing(title.title_number)
    while entry is not None:
        if entry.version in standing.erased:
            entry = entry.without_text()
        elif entry.is_withheld:
            entry = near.with_text(entry)
        if entry.address in missing:
            missing.remove(entry.address)
            yield entry
        standing.take(entry)
        entry = near.parent(entry) if missing else None


class _Near(NamedTuple):
    """The entries of a title: from older packs, from what was read ahead, or from the store."""

    history: History
    packed: dict[str, bytes]
    read: dict[str, bytes]

    def entry(self, title_number: str, address: str) -> Entry:
        data = self.read.pop(address, None) or self.packed.pop(address, None)
        if data is None:
            return self.history.entry(title_number, address)
        key = layout.entry_key(title_number, address)
        return self.history.open(data, title_number, key, address)

    def parent(self, child: Entry) -> Entry | None:
        if child.parent not in self.read and child.parent not in self.packed:
            return self.history.parent(child)
        parent = self.entry(child.title_number, child.parent)
        check_link(child, parent)
        return parent

    def with_text(self, short: Entry) -> Entry:
        """Read an entry's own object: an older pack may lack a text that is there again."""
        entry = self.history.entry(short.title_number, short.address)
        if entry.is_withheld:
            raise missing_text(entry)
        return entry


def _prefetch(store: Store, title: _Unpacked) -> dict[str, bytes]:
    """Read the entries that no pack has, if the store is remote."""
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
            break  # the walk reads the others itself
    return found


# -- Writing -------------------------------------------------------------------------------------


class _Count(NamedTuple):
    """The entries in a pack, and its titles that are not in the one before it."""

    titles: int
    entries: int


class _PackWriter:
    """Collects entries in order, and writes a pack whenever there are enough."""

    def __init__(self, store: Store, origin: str) -> None:
        self.written: dict[PackName, _Count] = {}
        self._store = store
        self._origin = origin
        self._waiting: list[Packable] = []
        self._bytes = 0
        self._title_number = ""

    def add(self, entry: Packable) -> None:
        # Packs end between two titles, mostly: each is then read for one slice of them only.
        continues = self._waiting and entry.title_number == self._waiting[-1].title_number
        if self._bytes + len(entry.data) > (PACK_BYTES if continues else FULL_BYTES):
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
        except PreconditionFailed:  # a damaged pack has its name
            self._store.delete(key)
            self._store.create(key, data)
        titles = {entry.title_number for entry in self._waiting} - {self._title_number}
        self.written[name] = _Count(len(titles), len(self._waiting))
        self._title_number = name.last
        self._waiting, self._bytes = [], 0
