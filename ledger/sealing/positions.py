"""Where the log has the entries of a title, proved: it decides whether a key that ended counts."""

from __future__ import annotations

from contextlib import suppress
from threading import Lock
from typing import TYPE_CHECKING

from ledger.errors import IntegrityError, LedgerError, NotFoundError
from ledger.format.standing import Positions

if TYPE_CHECKING:
    from ledger.sealing.index import SealedIndex
    from ledger.sealing.reader import LogReader
    from ledger.titles.history import History
    from ledger.tlog.checkpoint import Checkpoint

__all__ = ["LogPositions"]


class LogPositions:
    """Finds positions in the log of a store; for ``History``.

    The quick way proves one leaf that the title's record hints at. A search reads all leaves below
    an end, once, into a temporary index, and is remembered.
    """

    def __init__(self) -> None:
        self._lock = Lock()
        self._index: SealedIndex | None = None
        self._searched: Checkpoint | None = None

    def __reduce__(self) -> tuple[type[LogPositions], tuple[()]]:
        return LogPositions, ()  # another process searches for itself

    def __call__(self, history: History, title_number: str, end: int, *, search: bool) -> Positions:
        """Tell what is known of the leaves below ``end``; nothing, if the log can't be checked."""
        from ledger.sealing.reader import LogReader  # noqa: PLC0415 -- slow to load

        with suppress(LedgerError):
            log = LogReader(history.store, history.origin, history.keyring)
            signed = log.checkpoint()
            if signed is None:
                return Positions()
            if search:
                return self._search(log, title_number, end, signed.checkpoint)
            return _hinted(log, title_number, end, signed.checkpoint)
        return Positions()

    def _search(
        self, log: LogReader, title_number: str, end: int, checkpoint: Checkpoint
    ) -> Positions:
        from ledger.sealing.index import SealedIndex  # noqa: PLC0415 -- slow to load

        with self._lock:
            self._index = self._index or SealedIndex()
            searched = self._searched
            if searched is None or searched.size < end:
                searched = _begin_of(log, checkpoint, end)
                self._index.follow(log, searched)
                self._searched = searched
            return self._index.positions(title_number)


def _begin_of(log: LogReader, checkpoint: Checkpoint, end: int) -> Checkpoint:
    """The log as it was at a smaller size, proved to be the beginning of a checkpoint."""
    from ledger.tlog.checkpoint import Checkpoint  # noqa: PLC0415 -- slow to load

    if end >= checkpoint.size:
        return checkpoint
    root = log.builder(end, within=checkpoint.size).root()
    begin = Checkpoint(log.origin, end, root)
    log.check_continues(checkpoint, begin)
    return begin


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
