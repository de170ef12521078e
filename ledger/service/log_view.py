"""Look titles up in the transparency log, for their pages and receipts."""

from __future__ import annotations

from dataclasses import dataclass, field
from datetime import UTC, datetime
from threading import BoundedSemaphore
from types import MappingProxyType
from typing import TYPE_CHECKING, Literal, NamedTuple, TypeAlias

from ledger.errors import (
    HeadMissing,
    IntegrityError,
    InvalidError,
    LedgerError,
    NotFoundError,
    OriginNotPinned,
    TrustError,
)
from ledger.format.layout import head_key, sealed_key
from ledger.format.report import Finding, finding_of
from ledger.format.times import format_time, parse_time
from ledger.log import Log
from ledger.service.http.errors import Busy, NotSealed
from ledger.service.metrics import LogFigures
from ledger.tlog.note import parse_unverified
from ledger.tlog.objects import Leaf, SealedRecord, leaf_of
from ledger.tlog.tiles import WIDTH, Tile

if TYPE_CHECKING:
    from collections.abc import Callable, Iterable, Mapping, Sequence

    from ledger.format.entry import Entry
    from ledger.ledger import Ledger
    from ledger.log import Pending
    from ledger.sealing.feed import LoggedChange
    from ledger.titles.history import Head
    from ledger.tlog.checkpoint import SignedCheckpoint
    from ledger.tlog.policy import WitnessPolicy
    from ledger.tlog.receipt import Receipt

TILES_OF_A_PAGE = 16
"""How many tiles of 256 leaves are searched for the versions on a page."""
TILES_OF_A_RECEIPT = 4096
"""How many tiles are searched for one receipt: a million leaves."""
SEARCHES = 2
"""How many searches for receipts of earlier versions run at once. Each may read all those tiles."""
COUNTED = 10_000
"""How many pending moves the metrics count. A listing returns a thousand at a time."""
NEWEST = 10
"""How many of the last leaves the log's page shows."""
REMEMBERED = 1000
"""How many titles that are not as logged are remembered, for the metrics and the readiness."""
NO_KEY = "This service does not have the log's public key, so it cannot check the log."

State: TypeAlias = Literal["logged", "earlier", "waiting", "contradicted", "unknown"]


class LogPlace(NamedTuple):
    """Where a version is in the log.

    - ``logged``: it is this leaf.
    - ``earlier``: it was logged before this leaf, farther back than the search goes.
    - ``waiting``: it is not in the log yet.
    - ``contradicted``: the log has another entry as this version.
    - ``unknown``: the title's record does not tell, or a later version is contradicted.
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


class LogOverview(NamedTuple):
    """The log as a whole, for its page."""

    signed: SignedCheckpoint | None = None
    """The published checkpoint; None: there is no log, or it could not be opened."""
    problem: str = ""
    """Why something of this could not be read; "": all was."""
    newest: Sequence[LoggedChange] = ()
    """The last leaves, the newest first."""
    pending: Pending | None = None
    """What waits for the next seal; None: not known."""
    witnesses: Mapping[str, str] = MappingProxyType({})
    """Those of the policy whose cosignatures count, and when they signed (RFC 3339)."""
    lacking: Finding | None = None
    """What the checkpoint lacks by the policy."""
    unknown: Sequence[str] = ()
    """The names on lines that nobody here has checked."""


class LogView:
    """The log of a ledger, as the service shows it."""

    def __init__(self, ledger: Ledger, forget: Callable[[], None] = lambda: None) -> None:
        """``forget`` makes the history's store read anew what this thread has read."""
        self._forget = forget
        self._history = ledger.history
        self._log = Log(ledger)
        self._reader = self._log.reader
        self._searching = BoundedSemaphore(SEARCHES)
        self.contradicted: dict[str, None] = {}
        """The titles that were not as logged when this service last compared them."""

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

    def changes(
        self, after: int | None, limit: int, *, whole: bool = False
    ) -> tuple[list[LoggedChange], int]:
        """Read changes after a leaf, and how many leaves the published log has.

        What holds before the first leaf that does not is returned, unless all is asked for as a
        ``whole``; if that leaf is the first one, this raises what ``Log.changes`` does.
        """
        signed = self.checkpoint()
        found: list[LoggedChange] = []
        try:
            for change in self._log.changes(after=after, limit=limit, signed=signed):
                found.append(change)  # noqa: PERF402 -- what came before an error counts
        except LedgerError:
            if whole or not found:
                raise
        return found, signed.checkpoint.size

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
        if place.state == "unknown":
            raise InvalidError(
                f"where version {entry.version} of {entry.title_number} is in the log is not known:"
                " the title's record does not tell",
                hint="'ledger prove' reads the whole log; 'ledger seal --all' mends the record",
            )
        raise NotSealed(
            f"version {entry.version} of {entry.title_number} is not in the log yet",
            hint="try again after the next seal",
        )

    def lacks(self, entries: Iterable[Entry]) -> tuple[Entry, ...] | None:
        """Return which entries nothing shows to be in the log; None: there is none to go by.

        ``Log.lacks`` searches all leaves. This looks where the titles' records say, and at the
        newest leaves, and proves what it finds.
        """
        try:
            signed = self._log.checkpoint()
        except (NotFoundError, OriginNotPinned):
            return None
        leaves = {leaf_of(entry): entry for entry in entries}
        rest = [leaf for leaf in leaves if not self._reader.recorded_receipt(leaf, signed)]
        size = signed.checkpoint.size
        found = self._reader.search(rest, size, size, most=TILES_OF_A_PAGE) if rest else {}
        for leaf, index in found.items():
            self._reader.prove(leaf, index, signed)
        return tuple(leaves[leaf] for leaf in rest if leaf not in found)

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

    def compare(self, title_number: str) -> tuple[Finding, ...]:
        """Compare a title's chain with the newest version that its record proves to be logged.

        Nothing is found if they agree, or if there is no log whose key is known.
        """
        try:
            self._check(title_number)
        except HeadMissing as error:
            key = head_key(title_number)
            return (Finding("tampering", "head-missing", key, f"{key}: {error}"),)
        except IntegrityError as error:
            if error.reason == "not-as-logged":
                return (finding_of(error, head_key(title_number)),)
            # Whatever else is wrong, the log does not show that the title is.
            return (Finding("unchecked", error.reason, error.object_key, str(error)),)
        except LedgerError as error:
            return (finding_of(error, sealed_key(title_number)),)
        return ()

    def check_head(self, title_number: str, head: Entry | None = None) -> None:
        """Refuse a title whose head is behind the log, or is not what was logged.

        ``head``: the one that the caller read already. Most titles then cost one more read.
        Raises IntegrityError (reason ``not-as-logged``), or HeadMissing if the head is gone. A
        record that the log does not confirm refuses nothing.
        """
        try:
            found = self._reader.record(title_number) if self._reader.log_keys else None
            if found is None:
                return
            if head is None:
                there = self._history.find_head(title_number)
                head = there.entry if there else None
            # Only what would refuse the title has to be proved, so most calls need no proof.
            if head is None or (
                head.version <= found[0].version and head.address != found[0].address
            ):
                self._check(title_number)
        except IntegrityError as error:
            if error.reason == "not-as-logged":
                raise
        except (NotFoundError, TrustError):
            pass  # there is no log to compare with

    def _check(self, title_number: str) -> None:
        # The record is read first: a head that is read later is behind it only if it was set back.
        found = self._newest(title_number)
        if found is None:
            return
        logged, record = found
        head = self._history.find_head(title_number)
        if not self._continues(head, logged):
            self._forget()  # it was read before the record, perhaps
            head = self._history.find_head(title_number)
        if self._continues(head, logged):
            self.contradicted.pop(title_number, None)
            return
        if len(self.contradicted) < REMEMBERED:
            self.contradicted[title_number] = None
        lacking = (
            f"version {logged.version} ({logged.address}), which the log has as leaf"
            f" {record.leaf_of(logged.version)}"
        )
        if head is None:
            raise HeadMissing(
                f"{title_number} has no head, and so lacks {lacking}",
                hint="see the title's verification; a bundle of the title can bring it back",
            )
        raise IntegrityError(
            f"{head_key(title_number)}: its chain lacks {lacking}: the head was set back, or"
            " another history was put in its place",
            hint="see the title's verification; 'ledger audit' compares all titles with the log",
            reason="not-as-logged",
            object_key=head_key(title_number),
        )

    def _continues(self, head: Head | None, logged: Leaf) -> bool:
        if head is None or head.entry.version < logged.version:
            return False
        chain = self._history.walk(head.entry)
        there = next(each for each in chain if each.version == logged.version)
        return there.address == logged.address

    @property
    def has_keys(self) -> bool:
        """Whether the keyring has a key of the log."""
        return bool(self._reader.log_keys)

    def _newest(self, title_number: str) -> tuple[Leaf, SealedRecord] | None:
        """The newest leaf that a title's record proves, and the record; None: nothing is known.

        Raises what ``LogReader.proved_record`` does, or NotFoundError if there is a record but no
        log to prove it.
        """
        if not self._reader.log_keys or self._reader.record(title_number) is None:
            return None
        return self._reader.proved_record(title_number, self._log.checkpoint().checkpoint)

    def last_logged(self, title_number: str) -> str:
        """Say which version of a title the log had last; "" if nobody can tell."""
        try:
            found = self._newest(title_number)
        except LedgerError:
            return ""
        return f"the log has version {found[0].version} of it ({found[0].address})" if found else ""

    def overview(self, policy: WitnessPolicy | None, now: datetime) -> LogOverview:
        """Look at the log as a whole. What can't be read is said, and does not hide the rest."""
        try:
            signed = self._log.checkpoint(witnesses=policy.witnesses if policy else ())
        except NotFoundError:
            return LogOverview()
        except LedgerError as error:
            return LogOverview(problem=str(error) if self._reader.log_keys else NO_KEY)
        known = {signed.checkpoint.origin, *(each.witness.name for each in signed.cosignatures)}
        counted = policy.counted(signed, now).items() if policy else ()
        found = LogOverview(
            signed,
            witnesses={name: format_time(moment) for name, moment in counted},
            lacking=policy.judge(signed, now) if policy else None,
            unknown=[
                line.name for line in parse_unverified(signed.note)[1] if line.name not in known
            ],
        )
        try:
            changes = self._log.changes(limit=NEWEST, signed=signed, reverse=True)
            found = found._replace(newest=list(changes))
            listable = self._history.store.is_listable
            return found._replace(pending=self._log.pending(COUNTED) if listable else None)
        except LedgerError as error:
            return found._replace(problem=str(error))

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
        """Where the leaves of one title are, by their addresses.

        The title's record is a hint: its newest leaf is proved, and without one that holds nothing
        is called not logged, unless its marker is still there.
        """
        if not leaves:
            return {}
        size = signed.checkpoint.size
        found = self._proved(leaves[0].title_number, signed)
        places: dict[str, LogPlace] = {}
        for leaf in leaves:
            index = found[1].leaf_of(leaf.version) if found else None
            if found and leaf.version == found[0].version and leaf != found[0]:
                places[leaf.address] = LogPlace("contradicted")
            elif index is not None and index < size:
                places[leaf.address] = LogPlace("logged", index)
        rest = [leaf for leaf in leaves if leaf.address not in places]
        below = size
        if found and all(leaf.version < found[0].version for leaf in rest):
            below = found[1].leaf_of(found[0].version) or 0
        indexes = self._reader.search(rest, size, below, most=most) if rest and most else {}
        marked = set(self._log.markers(leaves[0].title_number)) if rest else set()
        sure = found if LogPlace("contradicted") not in places.values() else None
        for leaf in rest:
            if (at := indexes.get(leaf)) is not None:
                places[leaf.address] = LogPlace("logged", at)
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
) -> LogPlace:
    """Where a leaf is that neither the record nor a search names."""
    if (leaf.version, leaf.address) in marked:
        return LogPlace("waiting")
    if found and leaf.version < found[0].version:
        return LogPlace("earlier", found[1].leaves[0])
    return LogPlace("unknown")
