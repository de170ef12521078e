"""Where the log has the entries of a title, proved: it decides whether a key that ended counts."""

from __future__ import annotations

from contextlib import suppress
from threading import Lock
from typing import TYPE_CHECKING

from ledger.errors import IntegrityError, LedgerError, NotFoundError
from ledger.format.standing import Positions

if TYPE_CHECKING:
    from ledger.format.keyring import Keyring
    from ledger.sealing.index import SealedIndex
    from ledger.sealing.reader import LogReader
    from ledger.titles.history import History
    from ledger.tlog.checkpoint import Checkpoint
    from ledger.tlog.objects import Leaf

__all__ = ["LogPositions"]


class LogPositions:
    """Finds positions in the log of a store; for ``History``.

    The quick way proves one leaf that the title's record hints at. A search reads all leaves, once,
    into a temporary index. That is asked from then on, until the keyring is another: what it counts
    as a checkpoint may be another log then.
    """

    def __init__(self) -> None:
        self._lock = Lock()
        self._index: SealedIndex | None = None
        self._searched = 0
        self._keyring: Keyring | None = None

    def __reduce__(self) -> tuple[type[LogPositions], tuple[()]]:
        return LogPositions, ()  # another process searches for itself

    def __call__(self, history: History, title_number: str, end: int, *, search: bool) -> Positions:
        """Tell what is known of the leaves below ``end``; nothing, if the log can't be checked."""
        from ledger.sealing.reader import LogReader  # noqa: PLC0415 -- slow to load

        with self._lock:
            if self._index and self._searched >= end and self._keyring is history.keyring:
                return self._index.positions(title_number)
        with suppress(LedgerError):
            log = LogReader(history.store, history.origin, history.keyring)
            signed = log.checkpoint()
            if signed is None:
                return Positions()
            if search:
                with self._lock:
                    return self._follow(log, signed.checkpoint).positions(title_number)
            return _hinted(log, title_number, end, signed.checkpoint)
        return Positions()

    def newest(self, history: History, title_number: str) -> Leaf | None:
        """The newest version of a title that the published log has; None: it has none.

        Reads all leaves once. Raises IntegrityError or TrustError if the log can't be checked.
        """
        from ledger.sealing.reader import LogReader  # noqa: PLC0415 -- slow to load

        log = LogReader(history.store, history.origin, history.keyring)
        checkpoint = log.required_checkpoint(title_number)
        if checkpoint is None:
            return None
        with self._lock:
            return self._follow(log, checkpoint).newest(title_number)

    def _follow(self, log: LogReader, checkpoint: Checkpoint) -> SealedIndex:
        from ledger.sealing.index import SealedIndex  # noqa: PLC0415 -- slow to load

        self._index = self._index or SealedIndex()
        self._searched, self._keyring = 0, log.keyring
        self._index.follow(log, checkpoint)
        self._searched = checkpoint.size
        return self._index


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
