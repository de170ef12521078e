"""Which entries of a chain stand, judged from its head down, in one pass.

A key that was dropped or revoked has an end: a position in the log. An entry counts if its own
position is before that. An entry that does not count may be named by one above it: confirmed, it
stands; voided, it never was. No clock decides anything. ``docs/spec.md``, "When an entry counts".
"""

from __future__ import annotations

from typing import TYPE_CHECKING, NamedTuple, Protocol

from ledger.format.standing import STANDS, FindPositions, Positions, Stand

if TYPE_CHECKING:
    from ledger.format.entry import Entry


class Terms(Protocol):
    """What trust files say of a registrar's key."""

    def end_of(self, key_id: str) -> int | None:
        """The position from which on it counts no more; None: it has no end."""
        ...

    def may_erase(self, key_id: str) -> bool:
        """Whether its entries may order texts erased."""
        ...


class _Naming(NamedTuple):
    """The newest entry that names a version and is not known to mean nothing."""

    version: int
    stand: Stand
    confirms: bool


class _Lookup:
    """The position of the newest entries of a chain, as far as some leaves tell."""

    def __init__(self, positions: Positions) -> None:
        self.positions = positions
        self.position: int | None = None
        """The lowest leaf of the entries so far: the chain below each was there by then, too."""
        self._seen = 0

    def follow(self, chain: list[str]) -> None:
        """Look up the addresses that are new."""
        for address in chain[self._seen :]:
            at = self.positions.leaves.get(address)
            if at is not None and (self.position is None or at < self.position):
                self.position = at
        self._seen = len(chain)


class ChainJudge:
    """Judges the entries of one title; call it with each, from the head down."""

    def __init__(self, terms: Terms, find_positions: FindPositions) -> None:
        self._terms = terms
        self._find_positions = find_positions
        self._chain: list[str] = []
        """The addresses so far, the head's first."""
        self._lookups: dict[tuple[int, bool], _Lookup] = {}
        self._whole: _Lookup | None = None
        """One of all leaves below some index."""
        self._before_end: set[str] = set()
        """Keys whose end lies behind the position of an entry above, and so of all below it."""
        self._naming: dict[int, _Naming] = {}

    def __call__(self, entry: Entry) -> Stand:
        """Say how the next entry stands."""
        self._chain.append(entry.address)
        stand = self._judge(entry)
        if stand.stands is not False:
            for version in entry.confirms:
                self._naming.setdefault(version, _Naming(entry.version, stand, confirms=True))
            for version in entry.voids:
                self._naming.setdefault(version, _Naming(entry.version, stand, confirms=False))
        return stand

    def _judge(self, entry: Entry) -> Stand:
        is_eraser = self._terms.may_erase(entry.key)
        is_before = self._is_before_end(entry.key)
        counts = is_before if is_eraser or not entry.erases else False
        naming = self._naming.get(entry.version)
        if counts:
            if naming is not None and naming.stand.stands:
                return Stand(True, is_eraser, "named-needlessly", naming.version)
            return STANDS if is_eraser else MAY_NOT_ERASE
        if naming is not None and naming.stand.stands:
            if naming.confirms:
                may_erase = _may_erase(counts, naming, is_eraser=is_eraser)
                return Stand(stands=True, may_erase=may_erase, by=naming.version)
            if counts is False:
                return Stand(stands=False, may_erase=False, by=naming.version)
        elif naming is None and counts is False:
            reason = "key-ended" if is_before is False else "may-not-erase"
            return Stand(stands=False, may_erase=False, reason=reason)
        return Stand(None, None if is_eraser else False, "position-unknown")

    def _is_before_end(self, key_id: str) -> bool | None:
        """Whether the entry's position is before the end of its key; None: that is not known."""
        if key_id in self._before_end:
            return True
        end = self._terms.end_of(key_id)
        if end is None:
            self._before_end.add(key_id)
            return True
        for search in (False, True):
            lookup = self._look_up(end, search=search)
            lookup.follow(self._chain)
            if lookup.position is not None and lookup.position < end:
                self._before_end.add(key_id)
                return True
            if lookup.positions.searched >= end:
                return False
        return None

    def _look_up(self, end: int, *, search: bool) -> _Lookup:
        if self._whole is not None and self._whole.positions.searched >= end:
            return self._whole
        lookup = self._lookups.get((end, search))
        if lookup is None:
            lookup = _Lookup(self._find_positions(end, search))
            self._lookups[end, search] = lookup
            if lookup.positions.searched:
                self._whole = lookup
        return lookup


MAY_NOT_ERASE = STANDS._replace(may_erase=False)


def _may_erase(counts: bool | None, naming: _Naming, *, is_eraser: bool) -> bool | None:
    """Whether an entry that is confirmed may erase: as its own key and the naming entry may."""
    if not is_eraser:
        return False
    # If it does count, it may erase whatever the other may.
    return naming.stand.may_erase if counts is False else naming.stand.may_erase or None
