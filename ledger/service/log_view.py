"""What the transparency log has of a title: for its page, and for receipts."""

from __future__ import annotations

from dataclasses import dataclass, field
from datetime import UTC, datetime
from threading import BoundedSemaphore
from typing import TYPE_CHECKING, Literal, NamedTuple, TypeAlias

from ledger.errors import IntegrityError, InvalidError, LedgerError, NotFoundError, TrustError
from ledger.format.layout import head_key
from ledger.format.times import parse_time
from ledger.log import Log
from ledger.sealing.reader import LogReader
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

__all__ = ["InLog", "Logged", "Place"]

TILES_OF_A_PAGE = 16
"""How many tiles of 256 leaves are searched for the versions on a page."""
TILES_OF_A_RECEIPT = 4096
"""And for one receipt: a million leaves."""
SEARCHES = 2
"""How many receipts of earlier versions are searched for at once: each may read all those tiles."""
COUNTED = 10_000
"""How many pending moves are counted for the metrics: a thousand are one request."""
NO_KEY = "This service has no public key of the log, so it can say nothing of it."

State: TypeAlias = Literal["logged", "earlier", "waiting", "contradicted", "unknown"]


class Place(NamedTuple):
    """Where a version is in the log.

    ``logged``: it is this leaf. ``earlier``: it was logged before this leaf, farther back than is
    looked. ``waiting``: it is not in there yet. ``contradicted``: another entry is. ``unknown``:
    nothing is sure, as the title's record does not tell, or what it comes before is contradicted.
    """

    state: State
    leaf: int | None = None


@dataclass(frozen=True)
class InLog:
    """What the log has of the versions on a page; ``size`` is None where there is no log."""

    size: int | None = None
    places: dict[str, Place] = field(default_factory=dict)
    """By address."""
    problem: str = ""
    """Why nothing more can be said."""


class Logged:
    """Looks titles up in the log of a ledger."""

    def __init__(self, ledger: Ledger) -> None:
        self._log = Log(ledger)
        self._reader = LogReader(ledger.store, ledger.origin, ledger.keyring)
        self._searching = BoundedSemaphore(SEARCHES)

    def checkpoint(self) -> SignedCheckpoint:
        """The published checkpoint; raises NotSealed where there is no log, IntegrityError."""
        try:
            return self._log.checkpoint()
        except NotFoundError as error:
            raise NotSealed(
                "this ledger has no transparency log",
                hint="'ledger seal --genesis' begins it, once",
            ) from error

    def receipt(self, entry: Entry) -> Receipt:
        """The receipt of an entry.

        Raises NotSealed where it is not in the log yet, InvalidError where it was logged too long
        ago for a service to look for it.
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
                hint="'ledger prove' finds it: it takes the time that this service does not",
            )
        if place.state == "contradicted":
            raise IntegrityError(
                f"{entry.title_number}: the log has another entry as version {entry.version}",
                hint="keep this, and its receipt if there is one: run 'ledger audit'",
                reason="not-as-logged",
                object_key=head_key(entry.title_number),
            )
        if place.state == "unknown":
            raise InvalidError(
                f"where version {entry.version} of {entry.title_number} is in the log is not known:"
                " the title's record does not tell",
                hint="'ledger prove' reads the whole log; 'ledger seal --all' mends the record",
            )
        raise NotSealed(
            f"version {entry.version} of {entry.title_number} is not in the log yet",
            hint="it will be there after the next seal; try again later",
        )

    def _find(self, leaf: Leaf, signed: SignedCheckpoint) -> Place:
        place = self._places([leaf], signed, 0)[leaf.address]
        if place.state not in {"earlier", "unknown"}:
            return place
        if not self._searching.acquire(blocking=False):
            raise Busy("receipts of other versions are being searched for", hint="try again later")
        try:
            return self._places([leaf], signed, TILES_OF_A_RECEIPT)[leaf.address]
        finally:
            self._searching.release()

    def figures(self) -> LogFigures | None:
        """How the log is doing; None: there is none. Lists what waits, and reads some heads."""
        size = None
        try:
            size = self._log.checkpoint().checkpoint.size
        except NotFoundError:
            return None
        except (IntegrityError, TrustError):
            pass  # what waits can be counted all the same
        moves, oldest = self._log.pending(COUNTED)
        age = (datetime.now(UTC) - parse_time(oldest)).total_seconds() if oldest else 0.0
        return LogFigures(size, moves, max(0.0, age))

    def of(self, entries: Sequence[Entry], shown: Entry | None = None) -> InLog:
        """What the log has of entries of one title, that hold together.

        That it has the one ``shown`` is proved, where that one is found; of the others it is what
        the store says, as the receipt of each proves it.
        """
        try:
            signed = self._log.checkpoint()
        except NotFoundError:
            return InLog()
        except LedgerError as error:  # the title's page has more to say than this
            return InLog(problem=str(error) if self._reader.log_keys else NO_KEY)
        size = signed.checkpoint.size
        leaves = list(dict.fromkeys(leaf_of(e) for e in (*entries, *([shown] if shown else ()))))
        try:
            places = self._places(leaves, signed, TILES_OF_A_PAGE)
            place = places[shown.address] if shown else None
            if shown and place and place.state == "logged" and place.leaf is not None:
                self._reader.prove(leaf_of(shown), place.leaf, signed)
        except LedgerError as error:
            return InLog(size, problem=str(error))
        return InLog(size, places)

    def _places(
        self, leaves: Sequence[Leaf], signed: SignedCheckpoint, most: int
    ) -> dict[str, Place]:
        """Where the leaves of one title are, by their addresses.

        The title's record is a hint: its newest leaf is proved, and without one that holds nothing
        is called not logged, unless its marker is still there.
        """
        if not leaves:
            return {}
        size = signed.checkpoint.size
        found = self._proved(leaves[0].title_number, signed)
        places: dict[str, Place] = {}
        for leaf in leaves:
            index = found[1].leaf_of(leaf.version) if found else None
            if found and leaf.version == found[0].version and leaf != found[0]:
                places[leaf.address] = Place("contradicted")
            elif index is not None and index < size:
                places[leaf.address] = Place("logged", index)
        rest = [leaf for leaf in leaves if leaf.address not in places]
        below = size
        if found and all(leaf.version < found[0].version for leaf in rest):
            below = found[1].leaf
        indexes = self._reader.search(rest, size, below, most=most) if rest and most else {}
        marked = set(self._log.markers(leaves[0].title_number)) if rest else set()
        sure = found if Place("contradicted") not in places.values() else None
        for leaf in rest:
            if (at := indexes.get(leaf)) is not None:
                places[leaf.address] = Place("logged", at)
            else:
                places[leaf.address] = _unfound(leaf, sure, marked)
        return places

    def _proved(
        self, title_number: str, signed: SignedCheckpoint
    ) -> tuple[Leaf, SealedRecord] | None:
        """The newest leaf that the title's record proves, and the record, or None."""
        try:
            return self._reader.proved_record(title_number, signed.checkpoint)
        except IntegrityError as error:
            if error.reason != "bad-record":
                raise
            return None


def _unfound(
    leaf: Leaf, found: tuple[Leaf, SealedRecord] | None, marked: set[tuple[int, str]]
) -> Place:
    """Where a leaf is that neither the record nor a search names."""
    if (leaf.version, leaf.address) in marked:
        return Place("waiting")
    if found and leaf.version < found[0].version:
        return Place("earlier", found[1].leaves[0])
    return Place("unknown")
