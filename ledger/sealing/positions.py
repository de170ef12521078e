"""Where the log has the entries of a title, proved: it decides whether a key that ended counts."""

from __future__ import annotations

from contextlib import suppress
from functools import partial
from threading import Lock
from typing import TYPE_CHECKING

from ledger.errors import IntegrityError, LedgerError, NotFoundError
from ledger.format.standing import Positions
from ledger.titles.trust_files import accepted_by

if TYPE_CHECKING:
    from ledger.format.keyring import Keyring
    from ledger.sealing.index import SealedIndex
    from ledger.sealing.reader import LogReader
    from ledger.titles.history import History
    from ledger.tlog.checkpoint import Checkpoint
    from ledger.tlog.objects import Leaf

HINT_COSTS = 128
"""How many leaves a search reads in the time that proving one of them takes."""


class LogPositions:
    """Finds positions in the log of a store; for ``History``.

    The quick way proves one leaf that the title's record hints at. A search reads all leaves, once,
    into a temporary index, which is asked from then on. So many quick answers cost as much as a
    search that one is made then. When the keyring is another, all of it is found out anew: what
    counts as a checkpoint may be another log.
    """

    def __init__(self) -> None:
        self._lock = Lock()
        self._index: SealedIndex | None = None
        self._log: LogReader | None = None
        self._keyring: Keyring | None = None
        self._checkpoint: Checkpoint | None = None
        """One that counts: whatever a later one has below the ends of keys, it has."""
        self._hinted = 0
        """How many titles were answered the quick way."""

    def __reduce__(self) -> tuple[type[LogPositions], tuple[()]]:
        return LogPositions, ()  # another process searches for itself

    def __call__(self, history: History, title_number: str, end: int, *, search: bool) -> Positions:
        """Tell what is known of the leaves below ``end``; nothing, if the log can't be checked."""
        with suppress(LedgerError):
            with self._lock:
                log, checkpoint = self._look(history)
                if checkpoint is None:
                    return Positions()
                if self._index is None:
                    self._hinted += 1
                    enough = _enough(history, checkpoint)
                    if search or self._hinted * HINT_COSTS > enough.size:
                        self._follow(log, enough, checkpoint.size)
                if self._index is not None:
                    return self._index.positions(title_number)
            # Outside the lock: it waits for the store, and other threads need not.
            return _hinted(log, title_number, end, checkpoint)
        return Positions()

    def _look(self, history: History) -> tuple[LogReader, Checkpoint | None]:
        """The log, and a checkpoint of it that counts."""
        from ledger.sealing.reader import LogReader  # noqa: PLC0415 -- slow to load

        log = self._log
        if log is None or self._keyring is not history.keyring:
            self._log = log = LogReader(history)
            self._keyring = history.keyring
            self._checkpoint = self._index = None
            self._hinted = 0
        if self._checkpoint is None:
            signed = log.checkpoint()
            self._checkpoint = signed.checkpoint if signed else None
        return log, self._checkpoint

    def newest(self, history: History, title_number: str) -> Leaf | None:
        """The newest version of a title that the published log has; None: it has none.

        Reads all leaves once. Raises IntegrityError or TrustError if the log can't be checked.
        """
        with self._lock:
            log, _ = self._look(history)
            checkpoint = log.required_checkpoint(title_number)
            return self._follow(log, checkpoint).newest(title_number) if checkpoint else None

    def _follow(
        self, log: LogReader, checkpoint: Checkpoint, within: int | None = None
    ) -> SealedIndex:
        from ledger.sealing.disowned import find_bogus  # noqa: PLC0415 -- slow to load
        from ledger.sealing.index import SealedIndex  # noqa: PLC0415

        index = self._index or SealedIndex(find_bogus=partial(find_bogus, log.store, log.keyring))
        index.follow(log, checkpoint, within)
        self._index = index
        return index


def _enough(history: History, checkpoint: Checkpoint) -> Checkpoint:
    """The smallest state of the log that shows all leaves below the ends of registrars' keys."""
    accepted = accepted_by(history.keyring, history.origin)
    if accepted is None:
        return checkpoint
    ends = [accepted.end_of(each) or 0 for each in accepted.listed if accepted.registrar(each)]
    return next((pin for pin in accepted.pins if pin.size >= max(ends, default=0)), checkpoint)


def _hinted(log: LogReader, title_number: str, end: int, checkpoint: Checkpoint) -> Positions:
    """The newest leaf of a title below ``end`` that its record hints at, proved."""
    from ledger.tlog.objects import Leaf  # noqa: PLC0415 -- slow to load

    with suppress(IntegrityError, NotFoundError):
        found = log.record(title_number)
        if found is None:
            return Positions()
        at = max((leaf for leaf in found[0].leaves if leaf < min(end, checkpoint.size)), default=-1)
        if at >= 0:
            leaf = log.leaf_at(at, checkpoint)
            if isinstance(leaf, Leaf) and leaf.title_number == title_number:
                return Positions({leaf.address: at})
    return Positions()
