"""Sealing: the moves of heads become leaves of the log, each once, under a signed checkpoint.

The order keeps it safe. Settle the state that the log is committed to, and bring this sealer's
index of the log to it. List the markers. Read the heads of their titles. Swap the state, if it is
still the one that was read. The swap shows that the index was of that state: no leaf is logged
twice, and none is left out.
"""

from __future__ import annotations

import random
import time
from collections.abc import Sequence
from contextlib import closing
from dataclasses import dataclass, field
from typing import TYPE_CHECKING

from ledger.errors import ConflictError
from ledger.format.report import Finding, Report
from ledger.sealing.commit import Committed, Declared, LostRaceError
from ledger.sealing.memory import MemoryFile
from ledger.sealing.pending import Due, Moved, all_titles, find_due, pending_titles
from ledger.sealing.publish import delete_all

if TYPE_CHECKING:
    import os
    from collections.abc import Iterable, Iterator
    from datetime import datetime

    from ledger.format.keys import AnySigner
    from ledger.titles.history import History
    from ledger.tlog.checkpoint import SignedCheckpoint
    from ledger.tlog.objects import Leaf

BATCH = 1 << 14
"""Leaves in one commit: that many are in memory and in a staging object."""

RACES = 20
"""How often a seal starts again after another sealer was first."""


@dataclass(frozen=True, slots=True)
class Sealed:
    """What a seal did."""

    signed: SignedCheckpoint
    """What the log is committed to now."""
    leaves: int
    """How many leaves this seal logged."""
    markers: int
    """How many markers it settled."""
    signatures: int
    """How many lines it added under the checkpoint that was there, by keys that had not signed."""
    report: Report
    """The titles that it verified; those with a finding were left as they are."""
    trust: int = 0
    """How many of the leaves name a trust file; the others name an entry."""


def seal(
    history: History,
    signers: AnySigner | Sequence[AnySigner],
    memory: str | os.PathLike[str],
    now: datetime,
    *,
    genesis: bool = False,
    adopt: bool = False,
    restored: str = "",
    every_title: bool = False,
    jobs: int = 1,
) -> Sealed:
    """Log every entry that a head has moved to, and publish the log.

    ``signers``: the log's keys, which the keyring has in the role ``log``; one of each algorithm
    that the keyring has for the log. Those that have not signed the published checkpoint sign it,
    even if nothing is new. ``memory``: the file of this sealer, on a disk that the writers of the
    store can't reach. ``genesis`` begins the log; ``adopt`` goes on with one that this sealer has
    no memory of; ``restored`` says, in words that are kept, why the log was set back, and accepts
    that. ``every_title``: not only those that markers speak of.

    Raises TrustError for a key that may not sign for the log, KeyUnavailable if one of an algorithm
    is missing, NotFoundError if there is no log yet, ConflictError if another declaration is
    needed, IntegrityError if the log is not what its key signed, or not what this sealer remembers,
    StoreError or OutcomeUnknown if the store failed: what was sealed before stays so, seal again.
    """
    remembered = MemoryFile(memory)
    declared = Declared(genesis, adopt, restored)
    each = signers if isinstance(signers, Sequence) else [signers]
    committed = Committed(history, each, remembered, declared, now)
    sealer = _Sealer(history, committed, now, jobs)
    with remembered.locked(), closing(committed.index):
        return sealer.run(every_title=every_title)


@dataclass(slots=True)
class _ToCommit:
    """What goes into one commit."""

    leaves: list[Leaf] = field(default_factory=list)
    settled: list[str] = field(default_factory=list)
    logged: list[str] = field(default_factory=list)
    """Titles of which nothing is due."""


class _Sealer:
    """One seal, from the state to the markers."""

    def __init__(self, history: History, committed: Committed, now: datetime, jobs: int) -> None:
        self.history = history
        self.committed = committed
        self.now = now
        self.jobs = jobs
        self.markers = 0

    def run(self, *, every_title: bool) -> Sealed:
        for attempt in range(RACES):
            try:
                return self._run_once(every_title=every_title)
            except LostRaceError:
                time.sleep(random.uniform(0, 0.01 * min(2**attempt, 64)))  # noqa: S311 -- no secret
        raise ConflictError(
            f"cannot seal: other sealers were first, {RACES} times",
            hint="one sealer is enough: it logs what all writers append",
        )

    def _run_once(self, *, every_title: bool) -> Sealed:
        self.history.follow_trust()
        self.committed.settle()
        self.committed.log_trust()
        store = self.history.store
        titles = entries = 0
        findings: dict[Finding, None] = {}
        passes = [pending_titles(store)]
        if every_title:  # after what is pending is logged: a batch has a title once
            passes.append(all_titles(store))
        for moved in passes:
            for due in self._seal_moved(moved):
                titles += due.titles
                entries += due.entries
                findings.update(dict.fromkeys(due.findings))
        findings.update(dict.fromkeys(self.committed.findings))
        report = Report(self.history.origin, titles, entries, tuple(findings))
        committed = self.committed
        return Sealed(
            committed.state.signed,
            committed.appended,
            self.markers,
            committed.signatures,
            report,
            committed.trust,
        )

    def _seal_moved(self, moved: Iterable[Moved]) -> Iterator[Due]:
        """Commit what is due for these titles, in batches, and settle their markers.

        Titles with parts of registrations have a batch of their own, so that parts that are found
        together are committed together, unless there are more of them than fit.
        """
        others, parts = _ToCommit(), _ToCommit()
        for due in find_due(self.history, self.committed.index, moved, self.now, self.jobs):
            yield due
            if due.has_parts:
                parts = self._fill(parts, due)
            else:
                others = self._fill(others, due)
        if len(others.leaves) + len(parts.leaves) > BATCH:
            self._seal_batch(others)
            others = _ToCommit()
        others.leaves += parts.leaves
        others.settled += parts.settled
        others.logged += parts.logged
        self._seal_batch(others)

    def _fill(self, batch: _ToCommit, due: Due) -> _ToCommit:
        """Put what is due into a batch; seal those that are full, and return the last."""
        rest = due.leaves
        while len(batch.leaves) + len(rest) > BATCH:
            fitting = BATCH - len(batch.leaves)
            batch.leaves += rest[:fitting]
            self._seal_batch(batch)
            batch, rest = _ToCommit(), rest[fitting:]
        batch.leaves += rest
        batch.settled += due.settled
        if not due.leaves:
            batch.logged.append(due.title_number)
        if len(batch.settled) + len(batch.logged) > BATCH:
            self._seal_batch(batch)
            batch = _ToCommit()
        return batch

    def _seal_batch(self, batch: _ToCommit) -> None:
        if batch.leaves:
            self.committed.append(batch.leaves)
        self.committed.mend(batch.logged)
        self.markers += delete_all(self.history.store, batch.settled)
