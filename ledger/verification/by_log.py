"""Audit: compare what the log says of every title with the title's chain.

The order of reading makes it sound:

1. the checkpoint: every head must have reached what it has;
2. the heads;
3. the markers: a head that moved meanwhile left one;
4. if a marker is missing, a newer checkpoint, as a seal may have settled the move in between.

The newest checkpoint is remembered, and an older one is never believed again.
"""

from __future__ import annotations

import secrets
from dataclasses import replace
from typing import TYPE_CHECKING, Any

from ledger.errors import IntegrityError, LedgerError, NotFoundError, OriginNotPinned, TrustError
from ledger.format import layout, times
from ledger.format.chain import NO_PIN
from ledger.format.ordered import join
from ledger.format.report import Finding, Report, finding_of
from ledger.format.standing import Positions
from ledger.packs.reader import FROM_PACKS
from ledger.sealing.reader import LogReader, compare_remembered, open_remembered
from ledger.titles.trust_files import accepted_by
from ledger.tlog.checkpoint import Checkpoint, SignedCheckpoint
from ledger.verification.compare import (
    Expected,
    LoggedVersions,
    OtherLeaves,
    compare,
    gather,
    with_log,
)
from ledger.verification.leaf_index import Beyond, LeafIndex, Row
from ledger.verification.many import verify_titles
from ledger.verification.records import judge_records
from ledger.verification.replay import rehash
from ledger.verification.state import LogProgress, VerificationState
from ledger.verification.trust import MAX_DELAY, drop_disowned, judge_trust, not_logged
from ledger.verification.unlogged import Waiting
from ledger.verification.walk import Subject, Verified

if TYPE_CHECKING:
    from collections.abc import Callable, Iterable, Iterator
    from datetime import datetime, timedelta

    from ledger.titles.history import History
    from ledger.tlog.policy import WitnessPolicy


class LogAudit:
    """What an audit does besides verifying chains; ``Verification`` calls it.

    ``begin`` comes before any head is read. Then ``subjects`` names the titles, and ``take`` gets
    the result of each, in the same order. ``end`` follows the last title, and ``logged`` is called
    if everything held.

    With a state, only leaves and tiles are read that the last audit did not have. What it had is in
    the chains for good, as long as they go on from where it left them.
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
        loose: int = 0,
    ) -> None:
        """``checkpoint`` reads what is published, with the cosignatures that count.

        ``loose``: of how many titles the entries are read once more, not from packs.
        """
        self.signed: SignedCheckpoint | None = None
        """The published checkpoint, once the audit has begun."""
        self.remembered: str | None = None
        """The signed checkpoint of the state."""
        self._history = history
        self._log = log
        self._read_checkpoint = checkpoint
        self._now = now
        self.max_delay = max_delay
        self._policy = policy
        self._loose = loose
        self._packed = 0
        """Titles whose entries were read from packs."""
        self._drawn: list[str] = []
        """Some of them, at random."""
        self._index = LeafIndex()
        self._others = OtherLeaves()
        self._state: VerificationState | None = None
        self._readable = False
        self._trust_logged = 1
        """The last trust file that the log names."""
        self._audited = 0  # leaves
        self._seen_size: int | None = None
        self._under_way: dict[str, Expected] = {}
        self._newest: SignedCheckpoint | None = None

    def close(self) -> None:
        """Let go of the temporary file."""
        self._index.close()

    # -- The log itself ------------------------------------------------------------------------

    def begin(self, state: VerificationState | None) -> Report:
        """Check that the log continues what is remembered, and read what is new in it.

        Raises NotFoundError if there is no log and none is remembered, OriginNotPinned if the
        keyring has no key of the log.
        """
        self._state = state
        header = state.header if state else None
        self.remembered = header.seen if header else None
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
            findings = self._judge_remembered()
            yield from findings
            base = None if findings else self._base()
        if self.signed is None:
            return
        if self._policy is not None and (lacks := self._policy.judge(self.signed, self._now)):
            yield lacks
        self._audited = base.size if base else 0
        self._seen_size = self._find_seen_size()
        try:
            leaves = rehash(self._log, self.signed.checkpoint, base)
            self._index.add_leaves(self._others.passing(leaves, self._audited), self._audited)
        except LedgerError as error:
            yield finding_of(error, layout.LOG)
        else:
            self._readable = True
            yield from self._others.findings()
            yield from self._judge_trust()
            yield from self._drop_disowned()

    def _judge_trust(self) -> Iterator[Finding]:
        """Compare the leaves that name trust files with the files."""
        remembered = self._state.trust if self._state else None
        logged = remembered.logged if remembered and self._audited else 1
        self._trust_logged, findings = judge_trust(
            self._history.keyring, self._others.trust, logged
        )
        yield from findings
        accepted = accepted_by(self._history.keyring)
        if accepted and accepted.newest.version > self._trust_logged:
            since = (
                remembered.since if remembered and remembered.logged == self._trust_logged else ""
            )
            yield not_logged(self._trust_logged, since, self._now, self.max_delay)

    def _find_seen_size(self) -> int | None:
        """How many leaves the log had when the state saw it last; None: that is not known."""
        header = self._state.header if self._state else None
        if header is None or header.checkpoint is None:
            return None
        old = open_remembered(self._log, header.checkpoint)
        return old.size if isinstance(old, Checkpoint) else None

    def _drop_disowned(self) -> Iterator[Finding]:
        remembered = self._state.remembered() if self._state and self._audited else ()
        before = ((each.title_number, each.logged) for each in remembered)
        try:
            yield from drop_disowned(self._log, self._index, before)
        except LedgerError as error:
            yield finding_of(error, layout.LOG)

    def _base(self) -> Checkpoint | None:
        """Return the checkpoint of the last clean audit, if the state still vouches for it."""
        header = self._state.header if self._state and not self._state.lost_keys else None
        if header is None or header.checkpoint is None:
            return None
        if accepted_by(self._history.keyring) and header.trust is None:
            return None  # the leaves that name trust files were not judged yet
        old = open_remembered(self._log, header.checkpoint)
        return old if isinstance(old, Checkpoint) else None

    def _judge_remembered(self) -> tuple[Finding, ...]:
        old = open_remembered(self._log, self.remembered or "")
        if isinstance(old, Finding):
            return (old,)
        return compare_remembered(self._log, lambda: self.signed, self.remembered or "", old)

    # -- Title by title ------------------------------------------------------------------------

    def subjects(self, subjects: Iterable[Subject]) -> Iterator[Subject]:
        """Yield the titles to verify and those that only the log knows, in order."""
        remembered = self._state.remembered() if self._state else ()
        whole = self._size_if_whole()
        wanted = ((subject.title_number, subject) for subject in subjects)
        leaves = self._index.titles() if self._readable else ()
        both = ((title, (subject, rows)) for title, subject, rows in join(wanted, leaves))
        for title_number, found, line in join(
            both, ((each.title_number, each) for each in remembered)
        ):
            if found is None:
                continue
            subject, rows = found
            # What an earlier audit compared counts only if its leaves are not read again.
            logged = line.logged if line and self._audited else 0
            taken = list(rows or ())
            new = gather(title_number, taken, logged, self._seen_size) if taken else None
            subject = with_log(subject or Subject(title_number), new)
            if whole and title_number not in self._index.dropped:
                subject = subject._replace(positions=_positions(taken, whole))
            if new is not None:
                logged = max(logged, new.last)
            since = line.since if line and line.logged == logged else ""
            self._under_way[title_number] = Expected(subject.known, logged, since, new)
            yield subject

    def _size_if_whole(self) -> int:
        """How many leaves the index has, if positions matter and it has all of them; else 0."""
        if self.signed is None or not self._readable or self._audited:
            return 0
        history = self._history
        return self.signed.checkpoint.size if history.keyring.has_ends(history.origin) else 0

    def take(self, verified: Verified) -> Verified:
        """Add to the result for a title what the log says of its chain."""
        title_number, head, report, trace, *_ = verified
        expected = self._under_way.pop(title_number)
        findings = list(expected.new.findings) if expected.new else []
        if head is not None:
            findings += compare(title_number, head, trace, expected)
        if expected.new and (finding := self._judge_date(expected.new, verified)):
            findings.append(finding)
        if any(finding.severity == "tampering" for finding in findings):
            head = None  # the state must not vouch for it
        if head is not None and self._readable and head.version > expected.logged:
            self._index.add_beyond(Beyond(title_number, *head, expected.logged, expected.since))
        if FROM_PACKS in report.not_shown:
            self._draw(title_number)
        report = replace(
            report,
            findings=(*report.findings, *findings),
            # The log shows what is newest, so a pin is not needed. Packs are a finding.
            not_shown=tuple(each for each in report.not_shown if each not in {NO_PIN, FROM_PACKS}),
        )
        return verified._replace(head=head, report=report)

    def _judge_date(self, new: LoggedVersions, verified: Verified) -> Finding | None:
        """Report an entry that says it is older than a log that did not have it yet.

        Times never go back along a chain, so the oldest of the new entries is the lowest.
        """
        remembered = self._state.trust if self._state else None
        if not (verified.noted_at and remembered and remembered.seen_at):
            return None
        seen = times.parse_time(remembered.seen_at)
        if seen - times.parse_time(verified.noted_at) <= self.max_delay:
            return None
        key = layout.entry_key(verified.title_number, new.address(new.recent))
        message = (
            f"{key}: version {new.recent} says that it was recorded at {verified.noted_at}, and the"
            f" log did not have it yet at {remembered.seen_at}, when its {self._seen_size:,} leaves"
            " were audited: it may be back-dated (or it was imported)"
        )
        return Finding("warning", "back-dated", key, message)

    def _draw(self, title_number: str) -> None:
        """Put a title into the sample, with the same chance as all others so far."""
        self._packed += 1
        if len(self._drawn) < self._loose:
            self._drawn.append(title_number)
        elif (place := secrets.randbelow(self._packed)) < self._loose:
            self._drawn[place] = title_number

    def _judge_loose(self) -> Iterator[Finding]:
        """Verify the drawn titles by their entries' own objects, and say that others were not."""
        subjects = (Subject(title_number, listed=True) for title_number in sorted(self._drawn))
        for verified in verify_titles(self._history, subjects, self._now):
            yield from verified.report.findings
        if self._packed > len(self._drawn):
            message = (
                f"the entries of {self._packed - len(self._drawn):,} titles were read from packs:"
                " nothing shows that their own objects are there (--loose N reads those of N"
                " titles, 'ledger fsck' reads all)"
            )
            yield Finding("warning", "from-packs", layout.PACKS, message)

    # -- Heads beyond the log ------------------------------------------------------------------

    def end(self) -> Report:
        """Judge heads beyond the log, and markers of heads that are missing."""
        findings: tuple[Finding, ...] = ()
        if self.signed is not None:
            waiting = Waiting(
                self._history,
                self._log,
                self._index,
                signed=self.signed,
                read_checkpoint=self._read_checkpoint,
                now=self._now,
                max_delay=self.max_delay,
            )
            findings = (
                *waiting.judge(),
                *self._judge_records(self.signed.checkpoint.size),
                *self._judge_loose(),
            )
            self._newest = waiting.newest
        return Report(self._history.origin, findings=findings, not_shown=self._not_shown())

    def _judge_records(self, size: int) -> Iterator[Finding]:
        if not self._readable:
            return
        try:
            yield from judge_records(
                self._log, self._index.titles(), self._audited, size, self._index.dropped
            )
        except LedgerError as error:
            yield finding_of(error, layout.LOG)

    # -- What is left --------------------------------------------------------------------------

    def logged(self) -> LogProgress:
        """Return what the state is to remember after a clean audit."""
        if self.signed is None or self._newest is None:
            raise AssertionError("an audit that did not end is never clean")
        seen = self._newest.note.decode()
        return LogProgress(self.signed.note.decode(), seen, self._index.newest, self._trust_logged)

    def facts(self) -> dict[str, Any]:
        """Return the signed checkpoints as evidence: two that contradict each other are proof."""
        published, newest = (
            each.note.decode() if each else None for each in (self.signed, self._newest)
        )
        return {"checkpoint": published, "newest": newest, "remembered": self.remembered}

    def _not_shown(self) -> tuple[str, ...]:
        notes = [
            "entries taken away before they were logged: those that no audit saw leave no trace"
        ]
        notes += self._others.not_shown()
        if not self._history.store.is_listable:
            notes.append("moves that were prepared and never happened: the store can't be listed")
        if self._audited:
            notes.append(
                f"the first {self._audited:,} leaves of the log, and their tiles: taken on trust"
                " (--state)"
            )
        if self._policy is not None:
            return tuple(notes)
        if self.remembered is None:
            notes.append(
                "whether others were shown the same log, and whether it was ever set back: this"
                " audit remembered no checkpoint (--state), and asked no witness (--witness)"
            )
        else:
            notes.append(
                "whether others were shown the same log: only witnesses show it (--witness)"
            )
        return tuple(notes)


def _positions(rows: list[Row], size: int) -> Positions:
    """Where the log has the entries of a title, by all its leaves."""
    leaves: dict[str, int] = {}
    for row in rows:
        leaves[row.address] = min(row.at, leaves.get(row.address, row.at))
    return Positions(leaves, size)
