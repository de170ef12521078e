"""Look titles up in the transparency log, for their pages and receipts."""

from __future__ import annotations

from dataclasses import dataclass, field
from datetime import UTC, datetime
from threading import BoundedSemaphore
from typing import TYPE_CHECKING, Literal, NamedTuple, TypeAlias

from ledger.errors import IntegrityError, InvalidError, LedgerError, NotFoundError, TrustError
from ledger.format.layout import head_key
from ledger.format.times import parse_time
from ledger.log import Log
from ledger.service.http.errors import Busy, NotSealed
from ledger.service.metrics import LogFigures
from ledger.tlog.objects import leaf_of
from ledger.tlog.tiles import WIDTH

if TYPE_CHECKING:
    from collections.abc import Sequence

    from ledger.format.entry import Entry
    from ledger.ledger import Ledger
    from ledger.tlog.checkpoint import SignedCheckpoint
    from ledger.tlog.objects import Leaf, SealedRecord
    from ledger.tlog.receipt import Receipt
    from ledger.tlog.tiles import Tile

__all__ = ["LogPlace", "LogSummary", "LogView"]

TILES_OF_A_PAGE = 16
"""How many tiles of 256 leaves are searched for the versions on a page."""
TILES_OF_A_RECEIPT = 4096
"""How many tiles are searched for one receipt: a million leaves."""
SEARCHES = 2
"""How many searches for receipts of earlier versions run at once. Each may read all those tiles."""
COUNTED = 10_000
"""How many pending moves the metrics count. A listing returns a thousand at a time."""
NO_KEY = "This service does not have the log's public key, so it cannot check the log."

State: TypeAlias = Literal["logged", "earlier", "waiting", "contradicted", "unknown"]


class LogPlace(NamedTuple):
    """Where a version is in the log.

    - ``logged``: it is this leaf.
    - ``earlier``: it was logged before this leaf, farther back than the search goes.
    - ``waiting``: it is not in the log yet.
    - ``contradicted``: the log has another entry as this version.
    - ``unknown``: nobody can tell, because a seal is running or a later version is contradicted.
    """

    state: State
    leaf: int | None = None


@dataclass(frozen=True)
class LogSummary:
    """What the log has of the versions on a page. ``size`` is None if there is no log."""

    size: int | None = None
    places: dict[str, LogPlace] = field(default_factory=dict)
    """By address."""
    problem: str = ""
    """Why the log could not be used; "": it could."""


class LogView:
    """The log of a ledger, as the service shows it."""

    def __init__(self, ledger: Ledger) -> None:
        self._log = Log(ledger)
        self._reader = self._log.reader
        self._searching = BoundedSemaphore(SEARCHES)

    def checkpoint(self) -> SignedCheckpoint:
        """Read the published checkpoint; raises NotSealed if there is no log, or IntegrityError."""
        try:
            return self._log.checkpoint()
        except NotFoundError as error:
            raise NotSealed(
                "this ledger has no transparency log",
                hint="'ledger seal --genesis' starts it",
            ) from error

    def read_tile(self, tile: Tile) -> bytes:
        """Read a tile; raises IntegrityError (reason ``tile-missing``)."""
        (data,) = self._reader.read_tiles([tile])
        return data

    def receipt(self, entry: Entry) -> Receipt:
        """Make the receipt of an entry.

        Raises NotSealed if it is not in the log yet, InvalidError if it was logged too long ago for
        the service to search.
        """
        signed = self.checkpoint()
        leaf = leaf_of(entry)
        place = self._find(leaf, signed)
        if place.state == "logged" and place.leaf is not None:
            return self._reader.prove(leaf, place.leaf, signed)
        if place.state == "earlier":
            raise InvalidError(
                f"version {entry.version} of {entry.title_number} was logged more than"
                f" {TILES_OF_A_RECEIPT * WIDTH:,} leaves before its last one",
                hint="run 'ledger prove', which searches the whole log",
            )
        if place.state == "contradicted":
            raise IntegrityError(
                f"{entry.title_number}: the log has another entry as version {entry.version}",
                hint="keep this entry and its receipt, if you have one, and run 'ledger audit'",
                reason="not-as-logged",
                object_key=head_key(entry.title_number),
            )
        raise NotSealed(
            f"version {entry.version} of {entry.title_number} is not in the log yet",
            hint="try again after the next seal",
        )

    def _find(self, leaf: Leaf, signed: SignedCheckpoint) -> LogPlace:
        place = self._places([leaf], signed, 0)[leaf.address]
        if place.state not in {"earlier", "unknown"}:
            return place
        if not self._searching.acquire(blocking=False):
            raise Busy("the log is being searched for other receipts", hint="try again later")
        try:
            return self._places([leaf], signed, TILES_OF_A_RECEIPT)[leaf.address]
        finally:
            self._searching.release()

    def figures(self) -> LogFigures | None:
        """Measure the log; None: there is none. Lists what waits, and reads some heads."""
        size = None
        try:
            size = self._log.checkpoint().checkpoint.size
        except NotFoundError:
            return None
        except (IntegrityError, TrustError):
            pass  # the checkpoint is wrong, but what waits can still be counted
        moves, oldest = self._log.pending(COUNTED)
        age = (datetime.now(UTC) - parse_time(oldest)).total_seconds() if oldest else 0.0
        return LogFigures(size, moves, max(0.0, age))

    def of(self, entries: Sequence[Entry], shown: Entry | None = None) -> LogSummary:
        """Look up entries that form one title's chain.

        If the log has the one ``shown``, this proves it. The places of the others are what the
        store says; their receipts prove them.
        """
        try:
            signed = self._log.checkpoint()
        except NotFoundError:
            return LogSummary()
        except LedgerError as error:  # the page shows the title even so
            return LogSummary(problem=str(error) if self._reader.log_keys else NO_KEY)
        size = signed.checkpoint.size
        leaves = list(dict.fromkeys(leaf_of(e) for e in (*entries, *([shown] if shown else ()))))
        try:
            places = self._places(leaves, signed, TILES_OF_A_PAGE)
            place = places[shown.address] if shown else None
            if shown and place and place.state == "logged" and place.leaf is not None:
                self._reader.prove(leaf_of(shown), place.leaf, signed)
        except LedgerError as error:
            return LogSummary(size, problem=str(error))
        return LogSummary(size, places)

    def _places(
        self, leaves: Sequence[Leaf], signed: SignedCheckpoint, most: int
    ) -> dict[str, LogPlace]:
        """Find the leaves of one title, by their addresses."""
        size = signed.checkpoint.size
        found = self._reader.record(leaves[0].title_number) if leaves else None
        if found is None:
            return {leaf.address: LogPlace("waiting") for leaf in leaves}
        record = found[0]
        places = {
            leaf.address: _newest(leaf, record, size)
            for leaf in leaves
            if leaf.version >= record.version
        }
        older = [leaf for leaf in leaves if leaf.address not in places]
        below = min(size, record.leaf)
        indexes = self._reader.search(older, size, below, most=most) if older else {}
        missing = LogPlace("contradicted" if below <= most * WIDTH else "earlier", below)
        if record.leaf >= size or LogPlace("contradicted") in places.values():
            missing = LogPlace("unknown")
        for leaf in older:
            index = indexes.get(leaf)
            places[leaf.address] = missing if index is None else LogPlace("logged", index)
        return places


def _newest(leaf: Leaf, record: SealedRecord, size: int) -> LogPlace:
    """Place the last logged version of a title, or a later one."""
    if leaf.version > record.version:
        return LogPlace("waiting")
    if leaf.address != record.address:
        return LogPlace("contradicted")
    # Records are published before the checkpoint that covers them.
    return LogPlace("logged", record.leaf) if record.leaf < size else LogPlace("waiting")
