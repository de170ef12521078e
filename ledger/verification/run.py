"""Verify many titles, add up the results and remember them, whether it ends or is stopped."""

from __future__ import annotations

from collections import deque
from threading import Lock
from typing import TYPE_CHECKING, Any

from ledger.errors import LedgerError
from ledger.format import layout
from ledger.format.report import Finding, Report, Tally
from ledger.packs.reader import findings_once
from ledger.verification.listing import TolerantListing
from ledger.verification.many import verify_titles
from ledger.verification.state import VerificationState, open_state
from ledger.verification.trust import MAX_DELAY, trust_findings
from ledger.verification.walk import FROM_A_LISTING, FROM_THE_LOG, Known, Subject, Verified

if TYPE_CHECKING:
    import os
    from collections.abc import Callable, Iterable, Iterator
    from concurrent.futures import Executor
    from datetime import datetime

    from ledger.format.chain import SeenPart
    from ledger.titles.history import History
    from ledger.verification.by_log import LogAudit
    from ledger.verification.parts import PartIndex


def _in_order(titles: Iterable[str]) -> list[str]:
    return sorted(map(layout.check_title_number, set(titles)), key=layout.head_key)


class Verification:
    """A verification of many titles: ``run`` it in one thread, ``stop`` it from another.

    Either way the state, if there is one, then holds what was checked. ``log_audit`` compares each
    title with the log as well.
    """

    def __init__(
        self,
        history: History,
        titles: Iterable[str] | None,
        now: datetime,
        *,
        listing: Callable[[], Iterable[str]],
        listed: bool,
        state: str | os.PathLike[str] | None,
        jobs: int,
        executor: Executor | None = None,
        log_audit: LogAudit | None = None,
    ) -> None:
        """Use ``Ledger.verification`` or ``Log.audit``."""
        self._log_audit = log_audit
        self._history = history
        self._now = now
        self._jobs = jobs
        self._executor = executor
        self._every = titles is None
        self._listed = listed or titles is None
        chosen = None if titles is None else _in_order(titles)
        self.state: VerificationState | None = (
            None if state is None else open_state(state, history, now)
        )
        self._titles = listing() if chosen is None else chosen
        self._under_way: deque[Subject] = deque()
        self._lock = Lock()
        self._over: Report | None = None
        self._tally = Tally(history.origin)
        self._max_delay = log_audit.max_delay if log_audit else MAX_DELAY
        self._parts: PartIndex | None = None
        self._packs: list[Finding] = []
        """What is wrong with packs, as it is met: maybe in several slices."""
        self._trusted_titles = self._trusted_entries = 0
        self.state_digest: str | None = None
        """The sha256 of the state, once it was written."""

    def run(self, each: Callable[[Report], None] | None = None) -> Report:
        """Verify the titles in order; ``each`` gets one report at a time.

        If the store's listing breaks off, that is a finding. What ends the verification early (a
        Ctrl-C, a store that lists nothing at all) is raised after the state was written.
        """
        subjects = TolerantListing(self._subjects())
        try:
            self._begin()
            for verified in self._verify(subjects):
                with self._lock:
                    if self._over is not None:
                        return self._over
                    self._take(verified)
                if each is not None:
                    each(verified.report)
            self._add(Report(self._tally.origin, findings=subjects.findings))
            self._judge_emptiness()
            self._finish()
        except BaseException:
            self.stop()
            raise
        else:
            return self._end(interrupted=False)
        finally:
            self._close()

    def _begin(self) -> None:
        self._note_listing()
        found = trust_findings(self._history.keyring, self._now)
        if self.state is not None:
            found += self.state.judge_trust()
        self._add(Report(self._history.origin, findings=found))
        if self._log_audit is not None:
            self._add(self._log_audit.begin(self.state))
            return
        if self._every and not self._vouched:
            self._history.expect_all()
        if self.state is not None and self.state.header and self.state.header.seen:
            self._add(self._compare_log(self.state.header.seen))

    def _compare_log(self, seen: str) -> Report:
        from ledger.sealing.reader import LogReader, judge_remembered  # noqa: PLC0415

        findings = judge_remembered(LogReader(self._history), seen)
        return Report(self._history.origin, findings=findings)

    def _verify(self, subjects: Iterable[Subject]) -> Iterator[Verified]:
        return verify_titles(
            self._history,
            subjects,
            self._now,
            jobs=self._jobs,
            executor=self._executor,
            # If most was vouched for, whole packs hold more than what is left to read.
            packs=self._packs if self._every and not self._vouched else None,
        )

    def _judge_emptiness(self) -> None:
        report = self._tally.report()
        if self._every and report and report.titles == 0:
            from ledger.verification.log_objects import judge_emptiness  # noqa: PLC0415

            finding = judge_emptiness(self._history)
            self._add(Report(report.origin, findings=(finding,) if finding else ()))

    def _finish(self) -> None:
        if self._log_audit is not None:
            self._add(self._log_audit.end())
        if self._parts is not None:
            self._add(Report(self._tally.origin, findings=tuple(self._parts.judge())))

    def _add(self, report: Report) -> None:
        with self._lock:
            self._tally.add(report)

    def stop(self) -> Report:
        """End it from any thread, whatever it waits for; the report says what is missing."""
        return self._end(interrupted=True)

    def facts(self) -> dict[str, Any] | None:
        """Return the state before and after, as evidence, or None if there is no state."""
        if self.state is None:
            return None
        before = self.state.header
        return {
            "file": str(self.state.path),
            "audited_at": before.audited_at if before else None,
            "sha256_before": self.state.digest,
            "sha256_after": self.state_digest,
        }

    def log_facts(self) -> dict[str, Any] | None:
        """Return the checkpoints of an audit, as evidence, or None if this is not an audit."""
        return self._log_audit.facts() if self._log_audit else None

    @property
    def _vouched(self) -> bool:
        return self.state is not None and self.state.header is not None and not self.state.lost_keys

    def _end(self, *, interrupted: bool) -> Report:
        with self._lock:
            if self._over is None:
                self._tally.add(Report(self._tally.origin, findings=findings_once(self._packs)))
                self._note_state()
                self._finish_state(interrupted=interrupted)
                self._over = self._tally.report(interrupted=interrupted)
            return self._over

    def _finish_state(self, *, interrupted: bool) -> None:
        """Write the state; a failure is one more finding, so that the others are not lost."""
        if self.state is None:
            return
        # The log is remembered only if nothing in it must be looked at again.
        clean = self._tally.report(interrupted=interrupted).outcome == "verified"
        logged = self._log_audit.logged() if self._log_audit and clean else None
        try:
            pinned = self._parts.open_titles() if self._parts else ()
            self.state_digest = self.state.finish(logged, pinned)
        except LedgerError as error:
            message = (
                f"{error}: {self.state.path} is as it was, and this verification is not remembered"
            )
            finding = Finding("unchecked", "state-not-written", str(self.state.path), message)
            self._tally.add(Report(self._tally.origin, findings=(finding,)))

    def _close(self) -> None:
        with self._lock:  # another thread may be ending it
            if self.state is not None:
                self.state.close()
            if self._log_audit is not None:
                self._log_audit.close()
            if self._parts is not None:
                self._parts.close()

    def _subjects(self) -> Iterator[Subject]:
        if self.state is None:
            subjects: Iterable[Subject] = (
                Subject(title_number, listed=self._listed) for title_number in self._titles
            )
        else:
            subjects = self.state.subjects(self._titles, listed=self._listed, every=self._every)
        if self._log_audit is not None:
            subjects = self._log_audit.subjects(subjects)
        for subject in subjects:
            self._under_way.append(subject)  # results come back in this order
            yield subject

    def _take(self, verified: Verified) -> None:
        subject = self._under_way.popleft()
        if self._log_audit is not None:
            verified = self._log_audit.take(verified)
        self._tally.add(verified.report)
        if verified.parts:
            self._add_parts(verified.parts)
        if self.state is None:
            return
        tampered = verified.report.outcome in {"tampered", "mismatch"}
        self.state.add(subject.title_number, verified.head, tampered=tampered)
        if verified.head is not None and subject.known is not None:
            self._count_trusted(subject.known, verified.head)

    def _add_parts(self, parts: Iterable[SeenPart]) -> None:
        if self._parts is None:
            from ledger.verification.parts import PartIndex  # noqa: PLC0415 -- SQLite is slow to load

            self._parts = PartIndex(self._history, self._now, self._max_delay)
        self._parts.add(parts)

    def _count_trusted(self, known: Known, head: Known) -> None:
        # If the head is still the same, only it was read.
        entries = known.version if head == known else known.version - 1
        self._trusted_entries += entries
        self._trusted_titles += entries > 0

    def _note_listing(self) -> None:
        if not self._every:
            return
        if not self._history.store.is_listable:
            self._tally.note(FROM_THE_LOG)
            return
        if self._log_audit is not None:
            return
        if self.state is None or self.state.header is None:
            self._tally.note(FROM_A_LISTING)
        else:
            self._tally.note(
                f"whether a title is missing that {self.state.path} does not remember: the others"
                " come from the store's own listing"
            )

    def _note_state(self) -> None:
        state = self.state
        if state is None:
            return
        if state.header is None:
            self._tally.note(
                f"what was there before: {state.path} did not exist, so nothing was remembered"
            )
        elif state.lost_keys:
            keys = ", ".join(key[:16] for key in state.lost_keys)
            self._tally.note(
                f"what {state.path} vouched for: it relied on a key that counts no more ({keys}),"
                " so nothing was taken from it on trust, and all was verified anew"
            )
        elif self._trusted_entries:
            entries = "entry" if self._trusted_entries == 1 else "entries"
            titles = "title" if self._trusted_titles == 1 else "titles"
            self._tally.note(
                f"{self._trusted_entries:,} {entries} of {self._trusted_titles:,} {titles}, up to"
                f" what {state.path} remembers of {state.header.audited_at}: taken on trust"
                " (--state)"
            )
