"""Keep the index up to date while the service runs, in a thread of its own."""

from __future__ import annotations

import logging
from threading import Event, Lock, Thread
from time import monotonic
from typing import TYPE_CHECKING

from ledger.errors import LedgerError
from ledger.index import Index

if TYPE_CHECKING:
    import os

    from ledger.format.report import Finding, Report
    from ledger.ledger import Ledger

PATIENCE = 30.0
"""How many seconds ``stop`` waits for a running update. The next one finishes what it leaves."""

SHARE = 20
"""How many times as long as a whole update the pause is that follows it: comparing all heads of a
ledger without a log takes long."""

logger: logging.Logger = logging.getLogger("ledger.service.indexer")


class _StoppingError(Exception):
    """The service is stopping."""


class Indexer:
    """Updates an index between ``start`` and ``stop``: at once with what this service wrote.

    What others wrote is found every few seconds. An update that fails is logged and tried again;
    it never stops the service. Raises InvalidError for a file inside the store.
    """

    def __init__(self, ledger: Ledger, path: str | os.PathLike[str], *, every: float = 5.0) -> None:
        self.index: Index = Index(ledger, path)
        """What is searched."""
        self.problem: str = ""
        """The slug of the error that the last update failed with; "": it succeeded."""
        self._every = every
        self._changed: set[str] = set()
        self._lock = Lock()
        self._wake = Event()
        self._stopping = False
        self._thread: Thread | None = None
        self._reported: set[Finding] = set()

    def note(self, title_number: str) -> None:
        """Look at a title soon: it has changed."""
        with self._lock:
            self._changed.add(title_number)
        self._wake.set()

    def start(self) -> None:
        """Start updating."""
        # A daemon, so that the process can end while an update waits for the store.
        self._thread = Thread(target=self._run, name="indexer", daemon=True)
        self._thread.start()

    def stop(self) -> None:
        """Stop updating; waits for a running update, but at most PATIENCE seconds."""
        self._stopping = True
        self._wake.set()
        if self._thread is not None:
            self._thread.join(PATIENCE)
            if self._thread.is_alive():
                logger.warning("stopped in the middle of an update: the next one will finish it")
                return
        self.index.close()

    def _run(self) -> None:
        due = 0.0
        while not self._stopping:
            started = monotonic()
            if started >= due:
                self._update()
                took = monotonic() - started
                due = monotonic() + max(self._every, SHARE * took)
            self._update_changed()
            self._wake.wait(max(0.0, due - monotonic()))
            self._wake.clear()
        self._update_changed()  # not to keep a text that this service erased

    def _update_changed(self) -> None:
        with self._lock:
            changed, self._changed = self._changed, set()
        if changed:
            self._update(changed)

    def _update(self, titles: set[str] | None = None) -> None:
        heed = self._heed if titles is None else None
        try:
            report = self.index.update(titles, each=heed, jobs=1)
        except _StoppingError:
            return
        except LedgerError as error:
            if self.problem != error.slug:  # once, not every few seconds
                logger.warning("not indexed: %s: %a", error.slug, str(error))
            self.problem = error.slug
        except Exception:
            logger.exception("not indexed: unexpected")  # a defect of ours: indexing goes on
            self.problem = "unexpected"
        else:
            if self.problem:
                logger.warning("indexed again")
            self.problem = ""
            if titles is None:
                self._report(report.findings)

    def _heed(self, _: Report) -> None:
        if self._stopping:
            raise _StoppingError

    def _report(self, findings: tuple[Finding, ...]) -> None:
        for finding in findings:
            if finding.severity != "warning" and finding not in self._reported:
                logger.warning("left out of the index: %s: %a", finding.slug, finding.message)
        self._reported = set(findings)
