"""An audit by the log: what it says of every title, compared with the title's chain.

The order is what makes it sound. First the checkpoint: what it has, heads must have reached. Then
the heads. Then the markers: a head that moved meanwhile left one. Then, where one is missing, a
newer checkpoint: a seal settled it in between.
"""

from __future__ import annotations

from dataclasses import replace
from datetime import timedelta
from typing import TYPE_CHECKING, Any

from ledger import layout, times
from ledger.audit import Subject
from ledger.audit_state import Logged
from ledger.errors import (
    IntegrityError,
    LedgerError,
    NotFoundError,
    OriginNotPinned,
    TrustError,
)
from ledger.pool import in_chunks
from ledger.report import Finding, Report
from ledger.tlog.checkpoint import Checkpoint
from ledger.tlog.compare import Expected, compare, gather, merge, with_log
from ledger.tlog.leaf_index import Beyond, LeafIndex
from ledger.tlog.rehash import rehash
from ledger.tlog.remembered import check_remembered, open_remembered
from ledger.verify import NO_PIN, finding_of

if TYPE_CHECKING:
    from collections.abc import Callable, Iterable, Iterator
    from datetime import datetime

    from ledger.audit import Verified
    from ledger.audit_state import AuditState
    from ledger.history import History
    from ledger.tlog.checkpoint import SignedCheckpoint
    from ledger.tlog.read import LogReader
    from ledger.tlog.witness import WitnessPolicy

__all__ = ["MAX_DELAY", "LogAudit"]

MAX_DELAY = timedelta(days=1)
"""How long an entry may wait to be logged."""


class LogAudit:
    """What an audit by the log does besides verifying chains (see ``ledger.audit_run.Beside``).

    With a state, only leaves and tiles are read that the last audit did not have; what it had is in
    the chains for good, as long as these go on from where it left them.
    """

    def __init__(
        self,
        history: History,
        log: LogReader,
        checkpoint: Callable[[], SignedCheckpoint],
        now: datetime,
        *,
        max_delay: timedelta = MAX_DELAY,
        policy: WitnessPolicy | None = None,
    ) -> None:
        """``checkpoint`` reads what is published, with the cosignatures that count."""
        self.signed: SignedCheckpoint | None = None
        """The published checkpoint that the audit goes by, once it has begun."""
        self.remembered: str | None = None
        """The signed checkpoint of the state."""
        self._history = history
        self._log = log
        self._read_checkpoint = checkpoint
        self._now = now
        self._max_delay = max_delay
        self._policy = policy
        self._index = LeafIndex()
        self._state: AuditState | None = None
        self._readable = False
        self._audited = 0  # leaves
        self._under_way: dict[str, Expected] = {}
        self._any_beyond = False

    def close(self) -> None:
        """Let go of the temporary file."""
        self._index.close()

    # -- The log itself ------------------------------------------------------------------------

    def begin(self, state: AuditState | None) -> Report:
        """Check that the log goes on from what is remembered, and read what is new in it.

        Raises NotFoundError where there is no log, and none is remembered; OriginNotPinned where
        the keyring has no key of it.
        """
        self._state = state
        header = state.header if state else None
        self.remembered = header.checkpoint if header else None
        try:
            self.signed = self._read_checkpoint()
        except OriginNotPinned:
            raise
        except NotFoundError:
            if self.remembered is None:
                raise
        except (IntegrityError, TrustError) as error:
            finding = finding_of(error, layout.LOG_CHECKPOINT)
            return Report(self._history.origin, findings=(finding,))
        return Report(self._history.origin, findings=tuple(self._read_log()))

    def _read_log(self) -> Iterator[Finding]:
        base: Checkpoint | None = None
        if self.remembered is not None:
            old = open_remembered(self._log, self.remembered)
            finding = old if isinstance(old, Finding) else self._judge(old)
            if finding is not None:
                yield finding
            elif not (self._state and self._state.lost_keys):  # else nothing vouches for it
                base = old if isinstance(old, Checkpoint) else None
        if self.signed is None:
            return
        if self._policy is not None and (lacks := self._policy.judge(self.signed, self._now)):
            yield lacks
        self._audited = base.size if base else 0
        try:
            leaves = rehash(self._log, self.signed.checkpoint, base)
            self._index.add_leaves(leaves, self._audited)
        except LedgerError as error:
            yield finding_of(error, layout.LOG)
        else:
            self._readable = True

    def _judge(self, old: Checkpoint) -> Finding | None:
        try:
            check_remembered(self._log, self.signed, old)
        except LedgerError as error:
            return finding_of(error, layout.LOG_CHECKPOINT)
        return None

    # -- Title by title ------------------------------------------------------------------------

    def subjects(self, subjects: Iterable[Subject]) -> Iterator[Subject]:
        """The titles to verify, and those that only the log knows; in order, as they come."""
        remembered = self._state.remembered() if self._state else iter(())
        merged = merge(subjects, self._index.titles() if self._readable else iter(()), remembered)
        for title_number, wanted, rows, line in merged:
            # What was audited before is only counted where its leaves are not read again.
            logged = line.logged if line and self._audited else 0
            new = gather(title_number, rows, logged) if rows else None
            subject = with_log(wanted or Subject(title_number), new)
            if new is not None and new.addresses:
                logged = max(logged, new.last)
            since = line.since if line and line.logged == logged else ""
            self._under_way[title_number] = Expected(subject.known, logged, since, new)
            yield subject

    def take(self, verified: Verified) -> Verified:
        """What came of a title, with what the log says of its chain."""
        title_number, head, report, trace = verified
        expected = self._under_way.pop(title_number)
        findings = list(expected.new.findings) if expected.new else []
        if head is not None and self._readable:
            findings += compare(title_number, head, trace, expected)
        if any(finding.severity == "tampering" for finding in findings):
            head = None  # nobody should vouch for it
        if head is not None and self._readable and head.version > expected.logged:
            self._any_beyond = True
            self._index.add_beyond(Beyond(title_number, *head, expected.logged, expected.since))
        report = replace(
            report,
            findings=(*report.findings, *findings),
            # The log shows what is newest; a pin is not needed for it.
            not_shown=tuple(each for each in report.not_shown if each != NO_PIN),
        )
        return verified._replace(head=head, report=report)

    # -- Heads beyond the log ------------------------------------------------------------------

    def end(self) -> Report:
        """Judge the heads that are beyond the log: each needs a marker, and not for ever."""
        findings: list[Finding] = []
        if self._any_beyond:
            unexplained: list[Beyond] = []
            waiting = self._with_markers(unexplained)
            findings += (
                finding
                for finding in in_chunks(
                    waiting,
                    lambda taken: [self._judge_delay(each) for each in taken],
                    self._history.store.concurrency,
                    chunk=1,
                )
                if finding
            )
            if unexplained:
                findings += self._judge_unexplained(unexplained)
        return Report(self._history.origin, findings=tuple(findings), not_shown=self._not_shown())

    def _with_markers(self, unexplained: list[Beyond]) -> Iterator[Beyond]:
        """The titles whose heads have markers; the others go into the list."""
        keys = iter(self._history.store.list(layout.PENDING))
        moves = (named for key in keys if (named := layout.parse_pending_key(key)))
        move = next(moves, None)
        for found in self._index.beyond():
            own = f"{found.title_number}/"
            marked = False
            while move is not None and f"{move[0]}/" <= own:
                marked = marked or move == (found.title_number, found.version, found.address)
                move = next(moves, None)
            if marked:
                yield found
            else:
                unexplained.append(found)

    def _judge_delay(self, found: Beyond) -> Finding | None:
        """How long the first entry that is not logged has been waiting."""
        key = layout.head_key(found.title_number)
        try:
            entry = self._history.entry(found.title_number, found.address)
            while entry.version > found.logged + 1 and (parent := self._history.parent(entry)):
                entry = parent
        except LedgerError as error:
            return finding_of(error, key)
        since = min(entry.recorded_at, found.since) if found.since else entry.recorded_at
        if self._now - times.parse_time(since) <= self._max_delay:
            return None
        seen = f", and was seen to wait at {found.since}" if found.since else ""
        message = (
            f"{key}: version {entry.version} was recorded at {entry.recorded_at}{seen}, and is not"
            " in the log yet (if it was imported just now: seal, and audit again)"
        )
        return Finding("tampering", "overdue", key, message)

    def _judge_unexplained(self, unexplained: list[Beyond]) -> Iterator[Finding]:
        """Whether a seal came in between: then a newer checkpoint has these heads."""
        try:
            old, newer = self._gone_by.checkpoint, self._read_checkpoint()
            check_remembered(self._log, newer, old)
            self._index.add_later(rehash(self._log, newer.checkpoint, old))
        except LedgerError as error:
            yield finding_of(error, layout.LOG_CHECKPOINT)
        for found in unexplained:
            if not self._index.has_later(found):
                key = layout.head_key(found.title_number)
                what = f"ends at version {found.logged}" if found.logged else "has nothing of it"
                message = (
                    f"{key}: it is at version {found.version} ({found.address}), but the log {what}"
                    " and no marker says that it moved: nobody prepared this move, or its marker"
                    " was taken away to keep it out of the log"
                )
                yield Finding("tampering", "unlogged", key, message)

    # -- What is left --------------------------------------------------------------------------

    @property
    def _gone_by(self) -> SignedCheckpoint:
        if self.signed is None:
            raise AssertionError("an audit without a checkpoint is never clean")
        return self.signed

    def logged(self) -> Logged:
        """What a clean audit leaves to be remembered."""
        return Logged(self._gone_by.note.decode(), self._index.newest)

    def facts(self) -> dict[str, Any]:
        """The signed checkpoints, to be kept: two that contradict each other are proof."""
        published = self.signed.note.decode() if self.signed else None
        return {"checkpoint": published, "remembered": self.remembered}

    def _not_shown(self) -> tuple[str, ...]:
        notes = ["entries that were taken away before they were logged, and that no audit saw"]
        if self._audited:
            notes.append(
                f"the first {self._audited:,} leaves of the log, and their tiles: taken on trust"
                " (--state)"
            )
        if self._policy is not None:
            return tuple(notes)
        if self.remembered is None:
            notes.append(
                "a fork: that others were shown the same log, or that it was never set back; this"
                " audit remembered no checkpoint (--state), and asked no witness (--witness)"
            )
        else:
            notes.append("that others were shown the same log: only witnesses show it (--witness)")
        return tuple(notes)
