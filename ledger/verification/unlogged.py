"""Judge heads beyond the log: each needs a recent marker, or a newer checkpoint that has it.

A marker promises that the next seal will log a head. It is not signed: whoever can write to the
store can make one, so it excuses a head for a limited time.
"""

from __future__ import annotations

from typing import TYPE_CHECKING

from ledger.errors import LedgerError
from ledger.format import canonical, layout, times
from ledger.format.entry import Entry
from ledger.format.ordered import join
from ledger.format.report import Finding, finding_of
from ledger.local.parallel import in_chunks, twice
from ledger.sealing.pending import pending_titles
from ledger.sealing.reader import LogReader, check_remembered
from ledger.verification.compare import Expected, OtherLeaves, compare, gather
from ledger.verification.many import verify_titles
from ledger.verification.replay import rehash
from ledger.verification.walk import Known, Subject

if TYPE_CHECKING:
    from collections.abc import Callable, Iterator
    from datetime import datetime, timedelta

    from ledger.titles.history import History
    from ledger.tlog.checkpoint import SignedCheckpoint
    from ledger.verification.leaf_index import Beyond, LeafIndex

BATCH = 256


class Waiting:
    """Judges what an audit found beyond its checkpoint."""

    def __init__(
        self,
        history: History,
        log: LogReader,
        index: LeafIndex,
        *,
        signed: SignedCheckpoint,
        read_checkpoint: Callable[[], SignedCheckpoint],
        now: datetime,
        max_delay: timedelta,
    ) -> None:
        self.newest: SignedCheckpoint = signed
        """The newest checkpoint that the audit relied on."""
        self._history = history
        self._log = log
        self._index = index
        self._read_checkpoint = read_checkpoint
        self._now = now
        self._max_delay = max_delay
        self._unexplained: list[Beyond] = []
        self._ahead: dict[str, int] = {}

    def judge(self) -> Iterator[Finding]:
        """Yield what is wrong, and what could not be read."""
        try:
            delays = in_chunks(
                self._with_markers(),
                lambda taken: [self._judge_delay(each) for each in taken],
                self._history.store.concurrency,
                chunk=1,
            )
            yield from (finding for finding in delays if finding)
            if self._unexplained:
                yield from self._judge_unexplained()
            yield from self._judge_ahead()
        except LedgerError as error:
            yield finding_of(error, layout.PENDING)

    # -- With a marker -------------------------------------------------------------------------

    def _with_markers(self) -> Iterator[Beyond]:
        """Yield the heads that have markers, and note those without, and markers without a head."""
        if not self._history.store.is_listable:
            yield from self._with_own_markers()
            return
        # Markers come in the order of hashes, and the database sorts them.
        self._index.add_markers(
            (title_number, *marker[1:])
            for title_number, markers in pending_titles(self._history.store)
            for marker in markers
        )
        beyond = ((found.title_number, found) for found in self._index.beyond())
        for title_number, found, group in join(beyond, self._index.markers()):
            markers = None if group is None else tuple(group)
            if markers is not None:
                self._note_ahead(title_number, markers, found.version if found else 0)
            if found is None:
                continue
            if markers is not None and _has_marker(markers, found):
                yield found
            else:
                self._unexplained.append(found)

    def _with_own_markers(self) -> Iterator[Beyond]:
        """Yield the heads that have markers, of a store that can't list any others."""
        beyond, named = twice(self._index.beyond())
        keys = (layout.pending_key(each.title_number, *each[1:3]) for each in named)
        for found, (_, blob) in zip(beyond, self._history.store.get_many(keys), strict=True):
            if blob is not None:
                yield found
            else:
                self._unexplained.append(found)

    def _note_ahead(self, title_number: str, markers: tuple[Known, ...], version: int) -> None:
        """Note a marker that is ahead of its title's head by more than one version.

        ``version``: the head's, or 0 if it is not known yet.
        """
        furthest = max(version for version, _ in markers)
        if furthest > version + 1:
            self._ahead[title_number] = furthest

    def _judge_delay(self, found: Beyond) -> Finding | None:
        """Report a head whose first unlogged entry has been waiting for too long."""
        key = layout.head_key(found.title_number)
        try:
            entry = self._history.entry(found.title_number, found.address)
            while entry.version > found.logged + 1 and (parent := self._history.parent(entry)):
                entry = parent
        except LedgerError as error:
            return finding_of(error, key)
        recorded = times.parse_time(entry.recorded_at)
        if recorded - self._now > times.CLOCK_SKEW and not found.since:
            message = (
                f"{key}: version {entry.version} says that it was recorded at {entry.recorded_at},"
                " which is in the future by this clock, and is not in the log yet: nobody can tell"
                " how long it has been waiting (an audit with --state can, from its second run on)"
            )
            return Finding("unchecked", "delay-unknown", key, message)
        since = min(entry.recorded_at, found.since) if found.since else entry.recorded_at
        if self._now - times.parse_time(since) <= self._max_delay:
            return None
        seen = f", and was seen to wait at {found.since}" if found.since else ""
        message = (
            f"{key}: version {entry.version} was recorded at {entry.recorded_at}{seen}, and is not"
            " in the log yet (if it was imported just now: seal, and audit again)"
        )
        return Finding("tampering", "overdue", key, message)

    # -- Without one ---------------------------------------------------------------------------

    def _judge_unexplained(self) -> Iterator[Finding]:
        """Report heads without a marker, unless a seal came in between and logged them."""
        try:
            old, newer = self.newest.checkpoint, self._read_checkpoint()
            check_remembered(self._log, newer, old)
            others = OtherLeaves()
            leaves = others.passing(rehash(self._log, newer.checkpoint, old), old.size)
            self._index.add_later(leaves, old.size)
        except LedgerError as error:
            finding = finding_of(error, layout.LOG_CHECKPOINT)
            yield finding
            if finding.severity == "unchecked":
                return  # a newer checkpoint may have the heads
        else:
            self.newest = newer
            yield from others.findings()
            yield from self._judge_later()
        for found in self._unexplained:
            if not self._index.has_later(found):
                key = layout.head_key(found.title_number)
                what = f"ends at version {found.logged}" if found.logged else "has nothing of it"
                message = (
                    f"{key}: it is at version {found.version} ({found.address}), but the log {what}"
                    " and no marker says that it moved: nobody prepared this move, or its marker"
                    " was taken away to keep it out of the log (in a copy: a pull was cut off, or"
                    " refused titles: pull again)"
                )
                yield Finding("tampering", "unlogged", key, message)

    def _judge_later(self) -> Iterator[Finding]:
        """Check that the chains have what was sealed meanwhile.

        Otherwise a store could show an old checkpoint for ever, and the true one only to explain
        heads.
        """
        logged = {}
        for title_number, rows in self._index.later_titles():
            logged[title_number] = gather(title_number, rows)
        subjects = (
            Subject(title_number, logged=new.address(new.last))
            for title_number, new in logged.items()
        )
        for verified in verify_titles(self._history, subjects, self._now):
            new = logged[verified.title_number]
            yield from (*verified.report.findings, *new.findings)
            if verified.head is not None:
                expected = Expected(None, new.last, "", new)
                yield from compare(verified.title_number, verified.head, verified.trace, expected)

    # -- Markers without heads -----------------------------------------------------------------

    def _judge_ahead(self) -> Iterator[Finding]:
        """Report moves that were prepared on top of a head that is not there."""
        titles = list(self._ahead)
        for at in range(0, len(titles), BATCH):
            taken = titles[at : at + BATCH]
            heads = self._history.store.get_many([layout.head_key(title) for title in taken])
            for title, (_, blob) in zip(taken, heads, strict=True):
                if blob is None:
                    yield from self._judge_headless(title)
                elif _version(blob.data) < self._ahead[title] - 1:
                    yield _set_back(title, self._ahead[title], _version(blob.data))

    def _judge_headless(self, title_number: str) -> Iterator[Finding]:
        subjects = [Subject(title_number, listed=True)]
        for verified in verify_titles(self._history, subjects, self._now):
            yield from verified.report.findings


def _has_marker(markers: tuple[Known, ...], found: Beyond) -> bool:
    """Tell whether one of the markers is the head's own."""
    return (found.version, found.address) in markers


def _version(data: bytes) -> int:
    try:
        return Entry.unverified(data).version
    except LedgerError:
        return canonical.MAX_INTEGER  # verifying the title says what is wrong


def _set_back(title_number: str, prepared: int, version: int) -> Finding:
    key = layout.head_key(title_number)
    message = (
        f"{key}: it is at version {version}, though version {prepared} was prepared on top of"
        f" version {prepared - 1}: it was set back (or an import is under way, or was cut off:"
        " import again)"
    )
    return Finding("unchecked", "set-back", key, message)
