"""The feed: every leaf of the log in its order, with the entry that it names, checked.

Each leaf has its place, whatever it is about, so the numbers have no gap: who has seen leaf 17 and
is given another than 18 has missed something.
"""

from __future__ import annotations

from dataclasses import dataclass
from typing import TYPE_CHECKING, Any

from ledger.errors import IntegrityError, LedgerError
from ledger.format import layout
from ledger.format.standing import STANDS, Positions, Stand, Standing, stand_members
from ledger.sealing.disowned import find_bogus, is_doubtful
from ledger.sealing.reader import LogReader, read_leaf
from ledger.titles.history import History, missing_text, perhaps_erased
from ledger.titles.trust_files import accepted_by
from ledger.tlog.objects import AnyLeaf, Leaf, OtherLeaf, TrustLeaf, leaf_of
from ledger.tlog.tiles import WIDTH

if TYPE_CHECKING:
    from collections.abc import Iterator

    from ledger.format.entry import Entry
    from ledger.tlog.checkpoint import Checkpoint


@dataclass(frozen=True, slots=True)
class LoggedChange:
    """One leaf of the log, and what it names."""

    index: int
    """The number of the leaf, from 0. It never changes."""
    leaf: AnyLeaf
    entry: Entry | None = None
    """The entry, as its object has it: ``order`` may say that its text is erased, and an entry that
    was logged later may order it erased. None if the leaf is about no entry, or is disowned."""
    stand: Stand = STANDS
    """How the entry stands, by what is known now."""
    order: Entry | None = None
    """The entry that orders the text erased, if the text is gone."""
    is_disowned: bool = False
    """Whether a thief of the log's key made it, by the trust files: it counts for nothing."""


def read_changes(
    history: History,
    log: LogReader,
    checkpoint: Checkpoint,
    start: int,
    end: int,
    *,
    reverse: bool = False,
) -> Iterator[LoggedChange]:
    """Yield the leaves from ``start`` to before ``end`` of a checkpoint that counts.

    ``reverse``: from the last one back. Few of them are in memory at a time, either way.

    Every leaf leads to the root of the checkpoint, and every entry has the address in its leaf, and
    is signed. Whether its title's chain has it is for an audit to say. The first leaf that does not
    hold ends it with an error, and nothing is passed over: IntegrityError, TrustError, or
    UnsupportedFormatError for a leaf that must not be passed over.
    """
    tiles = range(start // WIDTH, -(-end // WIDTH))
    for tile in reversed(tiles) if reverse else tiles:
        first, last = max(start, tile * WIDTH), min(end, (tile + 1) * WIDTH)
        leaves = [
            (index, _decode(index, data))
            for index, data in enumerate(log.proved_part(checkpoint, first, last), first)
        ]
        yield from _read_entries(history, leaves[::-1] if reverse else leaves)


def _decode(index: int, data: bytes) -> AnyLeaf | LedgerError:
    """Read a leaf, or return what is wrong with it: those before it are good."""
    try:
        leaf = read_leaf(index, data)
    except IntegrityError as error:
        return error
    if isinstance(leaf, OtherLeaf) and not leaf.may_be_passed_over:
        return leaf.unsupported()
    return leaf


def _read_entries(
    history: History, leaves: list[tuple[int, AnyLeaf | LedgerError]]
) -> Iterator[LoggedChange]:
    keys = [
        layout.entry_key(leaf.title_number, leaf.address)
        for _, leaf in leaves
        if isinstance(leaf, Leaf)
    ]
    found = history.store.get_many(keys)
    entries = _Entries(history)
    for index, leaf in leaves:
        if isinstance(leaf, LedgerError):
            raise leaf
        if isinstance(leaf, Leaf):
            key, blob = next(found)
            yield entries.open(index, leaf, key, blob.data if blob else None)
        else:
            is_disowned = isinstance(leaf, TrustLeaf) and _is_bogus_trust(history, index, leaf)
            yield LoggedChange(index, leaf, is_disowned=is_disowned)


def _is_bogus_trust(history: History, index: int, leaf: TrustLeaf) -> bool:
    accepted = accepted_by(history.keyring)
    if accepted is None or not accepted.is_disowned(index):
        return False
    file = accepted.file(leaf.version)
    return file is None or file.digest != leaf.digest


class _Entries:
    """Opens the entries that some leaves name.

    A chain is walked only if a leaf does not tell by itself how its entry stands; then once, and
    only as far down as needed.
    """

    def __init__(self, history: History) -> None:
        self._history = history
        self._walks: dict[str, tuple[Iterator[tuple[Entry, bytes]], Standing]] = {}
        self._stands: dict[str, Stand] = {}

    def open(self, index: int, leaf: Leaf, key: str, data: bytes | None) -> LoggedChange:
        """Check the object that a leaf names, and say how the entry stands."""
        history = self._history
        row = (leaf.version, leaf.address, index)
        if is_doubtful(history.keyring, index) and find_bogus(
            history.store, history.keyring, leaf.title_number, [row], leaf.version
        ):
            return LoggedChange(index, leaf, is_disowned=True)
        if data is None:
            history.check_there()
            raise IntegrityError(
                f"{key}: missing, and leaf {index} of the log names it",
                hint=f"'ledger verify {leaf.title_number}' tells more; a bundle can bring it back",
                reason="entry-missing",
                object_key=key,
            )
        entry = history.open(data, leaf.title_number, key, leaf.address)
        if leaf_of(entry) != leaf:
            raise _not_as_logged(index, leaf, f"its entry is version {entry.version}")
        # Mostly the leaf itself shows that the entry counts, whatever is above it.
        here = Positions({entry.address: index})
        stand = history.standing(leaf.title_number, lambda *_: here).take(entry)
        if stand.stands and not entry.is_withheld:
            return LoggedChange(index, leaf, entry, stand)
        found = self._find(entry)
        if found is None:
            raise _not_as_logged(index, leaf, "the title's chain does not lead through it")
        stand, standing = found
        order = standing.erased.get(entry.version) if entry.is_withheld else None
        if entry.is_withheld and order is None:
            is_open = entry.version in standing.perhaps_erased
            raise perhaps_erased(entry) if is_open else missing_text(entry)
        return LoggedChange(index, leaf, entry, stand, order)

    def _find(self, entry: Entry) -> tuple[Stand, Standing] | None:
        """Say how an entry stands, and what those above it order; None: no chain has it."""
        history, title_number = self._history, entry.title_number
        if title_number not in self._walks:
            walk = history.walk_short(history.head(title_number))
            self._walks[title_number] = walk, history.standing(title_number)
        walk, standing = self._walks[title_number]
        while entry.address not in self._stands:
            each = next(walk, None)
            if each is None:
                return None
            self._stands[each[0].address] = standing.take(each[0])
        return self._stands[entry.address], standing


def _not_as_logged(index: int, leaf: Leaf, why: str) -> IntegrityError:
    key = layout.entry_key(leaf.title_number, leaf.address)
    return IntegrityError(
        f"{key}: leaf {index} of the log names it as version {leaf.version}, but {why}",
        hint=f"'ledger verify {leaf.title_number}' and 'ledger audit' tell more",
        reason="not-as-logged",
        object_key=key,
    )


def logged_change_json(change: LoggedChange) -> dict[str, Any]:
    """Return a leaf, and the entry that it names, as an object without the text."""
    leaf = change.leaf
    shown: dict[str, Any] = {"leaf": change.index}
    if isinstance(leaf, TrustLeaf):
        shown |= {"type": "trust", "version": leaf.version, "trust": leaf.digest}
    elif isinstance(leaf, OtherLeaf):
        shown |= {"type": leaf.type}
    else:
        shown |= {"type": "entry", **leaf._asdict()}
    if change.is_disowned:
        shown["disowned"] = True
    entry = change.entry
    if entry is not None:
        order = change.order
        shown |= {
            "recorded_at": entry.recorded_at,
            "effective_at": entry.effective_at,
            "effective_until": entry.effective_until,
            "kind": entry.kind,
            "reference": entry.reference,
            "part": list(entry.part),
            "status": entry.status,
            "confirms": list(entry.confirms),
            "erases": list(entry.erases),
            "voids": list(entry.voids),
            "key": entry.key,
            "erased": {"version": order.version, "reference": order.reference} if order else None,
            **stand_members(change.stand),
        }
    return shown
