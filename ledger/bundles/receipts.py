"""Receipts for bundles of single titles: what keys that have an end signed in time."""

from __future__ import annotations

from typing import TYPE_CHECKING

from ledger.format import layout
from ledger.sealing.reader import LogReader
from ledger.titles.trust_files import accepted_by
from ledger.tlog.objects import Leaf, leaf_of

if TYPE_CHECKING:
    from collections.abc import Iterable, Iterator

    from ledger.format.entry import Entry
    from ledger.titles.history import History
    from ledger.tlog.checkpoint import SignedCheckpoint


class Receipts:
    """Makes the receipts that show which entries of a title count, without the log.

    For each key with an end that signed in the chain, that is one of the newest entry of which a
    leaf lies below the end: the chain below it was logged by then as well.
    """

    def __init__(self, history: History) -> None:
        self._history = history
        self._accepted = accepted_by(history.keyring, history.origin)
        self._log = LogReader(history)
        self._signed: SignedCheckpoint | None = None

    def behind(
        self, entries: Iterable[tuple[str, bytes]], head: Entry
    ) -> Iterator[tuple[str, bytes]]:
        """Yield the entries of a title, with the receipts behind them, as members of a bundle."""
        receipts = self._of(head)
        for key, data in entries:
            yield key, data
            if key in receipts:
                yield receipts[key]

    def _of(self, head: Entry) -> dict[str, tuple[str, bytes]]:
        """The receipts of a title, by the key of their entry."""
        history, accepted = self._history, self._accepted
        if accepted is None or not history.keyring.has_ends(history.origin):
            return {}
        chain = [(entry.key, leaf_of(entry)) for entry in history.walk(head)]
        find = history.find_positions(head.title_number)
        found: dict[str, tuple[str, bytes]] = {}
        for key in sorted({key for key, _ in chain}):
            end = accepted.end_of(key)
            leaves = {} if end is None else find(end, True).leaves
            for _, leaf in chain:
                at = leaves.get(leaf.address)
                if at is not None and end is not None and at < end:
                    found[layout.entry_key(leaf.title_number, leaf.address)] = self._prove(leaf, at)
                    break
        return found

    def _prove(self, leaf: Leaf, at: int) -> tuple[str, bytes]:
        self._signed = self._signed or self._log.checkpoint()
        if self._signed is None:
            raise AssertionError("the leaf was proved by a log that is there")
        receipt = self._log.prove(leaf, at, self._signed)
        return layout.receipt_key(leaf.title_number, leaf.address), receipt.encode()
