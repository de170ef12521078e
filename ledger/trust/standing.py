"""Which entries of a chain stand, judged from its head down, in one pass.

A key that was dropped or revoked has an end: a position in the log. An entry counts if its own
position is before that. An entry that does not count may be named by one above it: confirmed, it
stands; voided, it never was. No clock decides anything. ``docs/spec.md``, "When an entry counts".
"""

from __future__ import annotations

from typing import TYPE_CHECKING, NamedTuple, Protocol

from ledger.format.standing import STANDS, Positions, Stand

if TYPE_CHECKING:
    from ledger.format.entry import Entry
    from ledger.format.standing import FindPositions

__all__ = ["ChainJudge", "Terms"]


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


class ChainJudge:
    """Judges the entries of one title; call it with each, from the head down."""

    def __init__(self, terms: Terms, find_positions: FindPositions) -> None:
        self._terms = terms
        self._find_positions = find_positions
        self._positions: Positions | None = None
        self._is_searched = False
        self._chain: list[str] = []
        """The addresses so far, the head's first."""
        self._looked_up = 0
        """How many of them were looked up in the positions."""
        self._position: int | None = None
        """The lowest known leaf of those: the position of the newest of them, as far as known."""
        self._naming: dict[int, _Naming] = {}

    def __call__(self, entry: Entry) -> Stand:
        """Say how the next entry stands."""
        self._chain.append(entry.address)
        stand = self._judge(entry)
        if stand.stands is not False and (entry.confirms or entry.voids):
            for version in entry.confirms:
                self._naming.setdefault(version, _Naming(entry.version, stand, confirms=True))
            for version in entry.voids:
                self._naming.setdefault(version, _Naming(entry.version, stand, confirms=False))
        return stand

    def _judge(self, entry: Entry) -> Stand:
        is_eraser = self._terms.may_erase(entry.key)
        is_before = self._is_before_end(entry.key)
        naming = self._naming.get(entry.version)
        counts = is_before if is_eraser or not entry.erases else False
        if counts:
            if naming and naming.stand.stands:
                return Stand(True, is_eraser, "named-needlessly", naming.version)  # noqa: FBT003
            return STANDS if is_eraser else MAY_NOT_ERASE
        if naming is None:
            if counts is None:
                return Stand(None, None if is_eraser else False, "position-unknown")
            lacks_right = entry.erases and not is_eraser and is_before is not False
            return Stand(False, False, "may-not-erase" if lacks_right else "key-ended")  # noqa: FBT003
        if naming.stand.stands and naming.confirms:
            may_erase = is_eraser and naming.stand.may_erase
            if counts is None and is_eraser and not may_erase:
                may_erase = None  # if it counts, it may
            return Stand(True, may_erase, by=naming.version)  # noqa: FBT003
        if naming.stand.stands and counts is False:
            return Stand(False, False, by=naming.version)  # noqa: FBT003
        return Stand(None, None if is_eraser else False, "position-unknown")

    def _is_before_end(self, key_id: str) -> bool | None:
        """Whether the entry's position is before the end of its key; None: that is not known."""
        end = self._terms.end_of(key_id)
        if end is None:
            return True
        for search in (False, True):
            searched = self._look_up(search=search)
            if self._position is not None and self._position < end:
                return True
            if searched >= end:
                return False
        return None

    def _look_up(self, *, search: bool) -> int:
        """Look up the entries so far; return below which index all leaves are known."""
        if self._positions is None or (search and not self._is_searched):
            self._positions = self._find_positions(search)
            self._is_searched = search
            self._looked_up = 0
        for address in self._chain[self._looked_up :]:
            at = self._positions.leaves.get(address)
            if at is not None and (self._position is None or at < self._position):
                self._position = at
        self._looked_up = len(self._chain)
        return self._positions.searched


MAY_NOT_ERASE = STANDS._replace(may_erase=False)
