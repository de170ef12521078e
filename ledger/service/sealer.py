"""Seal the transparency log while the service runs, in a thread of its own."""

from __future__ import annotations

import logging
import time
from collections.abc import Sequence
from dataclasses import dataclass
from threading import Event, Thread
from typing import TYPE_CHECKING

from ledger.errors import ConflictError, LedgerError
from ledger.log import Log
from ledger.sealing.commit import check_signers
from ledger.sealing.memory import MemoryFile

if TYPE_CHECKING:
    import os

    from ledger.format.keys import AnySigner
    from ledger.format.report import Finding
    from ledger.ledger import Ledger
    from ledger.tlog.policy import WitnessPolicy

PATIENCE = 30.0
"""How many seconds ``stop`` waits for a running seal. If it is cut off, the next seal finishes it,
whoever runs that."""

logger: logging.Logger = logging.getLogger("ledger.service.sealer")


@dataclass(slots=True)
class Sealing:
    """How sealing is going."""

    sealed_at: float | None = None
    """When a seal last succeeded, in seconds since 1970; None: none did since the start."""
    failures: int = 0
    """How many seals failed."""
    problem: str = ""
    """The slug of the error that the last seal failed with; "": it succeeded."""
    findings: frozenset[str] = frozenset()
    """The objects whose problems keep titles out of the log, by the last seal."""
    witnessed: bool | None = None
    """Whether the checkpoint is cosigned as the policy asks; None: there is none, or not yet."""

    @property
    def state(self) -> str:
        """The state in a word: ``ok``, ``failing`` or ``starting``."""
        if self.problem:
            return "failing"
        return "starting" if self.sealed_at is None else "ok"


class Sealer:
    """Seals a ledger every few seconds, between ``start`` and ``stop``.

    A seal that fails is logged and tried again at the next turn; it never stops the service. The
    log must exist, and ``memory`` (see ``Log.seal``) must know it: a service can't decide that a
    log begins, or that it was restored. After each seal, the witnesses of the ``policy`` are asked
    for what lacks their cosignatures; one that fails is asked again after a minute.

    Raises TrustError if a signer's key is not a key of the log, KeyUnavailable if one of an
    algorithm is missing, NotFoundError if there is no log yet, ConflictError if the memory does not
    know the log, InvalidError if the memory is inside the store, or what ``Log.witnesses`` does.
    """

    def __init__(
        self,
        ledger: Ledger,
        signers: AnySigner | Sequence[AnySigner],
        memory: str | os.PathLike[str],
        *,
        every: float = 5.0,
        policy: WitnessPolicy | None = None,
    ) -> None:
        self.sealing: Sealing = Sealing()
        self.policy: WitnessPolicy | None = policy
        self._ledger = ledger
        self._log = Log(ledger)
        self._signers = signers if isinstance(signers, Sequence) else [signers]
        self._memory = memory
        self._every = every
        self._stopping = Event()
        self._thread: Thread | None = None
        self._reported: set[Finding] = set()
        self._failing: set[Finding] = set()
        self._check(ledger)
        self._witnesses = self._log.witnesses(policy) if policy else None

    def _check(self, ledger: Ledger) -> None:
        check_signers(ledger.keyring, ledger.origin, self._signers)
        if self._log.reader.checkpoint(any_algorithm=True) is None:  # a seal adds what it lacks
            self._log.checkpoint()  # which says that there is none
        ledger.store.check_outside(self._memory)
        if MemoryFile(self._memory).read() is None:
            raise ConflictError(
                f"this sealer has no memory of the log ({self._memory}),"
                " so it can't tell whether the log was set back",
                hint="restore the file, or name another one; if this is a new sealer, compare the"
                " checkpoint with what others have seen, then run 'ledger seal --adopt'",
            )

    def use_signers(self, signers: Sequence[AnySigner]) -> None:
        """Seal with these from the next seal on, unless readers would not accept it."""
        try:
            check_signers(self._ledger.keyring, self._ledger.origin, signers)
        except LedgerError as error:
            logger.warning("sealing with the old keys: %s: %a", error.slug, str(error))
            return
        self._signers = signers

    def start(self) -> None:
        """Start sealing, now and then after every pause."""
        # A daemon, so that the process can end while a seal waits for the store.
        self._thread = Thread(target=self._run, name="sealer", daemon=True)
        self._thread.start()

    def stop(self) -> None:
        """Stop sealing; waits for a running seal, but at most PATIENCE seconds."""
        self._stopping.set()
        if self._thread is not None:
            self._thread.join(PATIENCE)
            if self._thread.is_alive():
                logger.warning("stopped in the middle of a seal: the next one will finish it")

    def _run(self) -> None:
        while not self._stopping.is_set():
            self._seal()
            self._stopping.wait(self._every)

    def _seal(self) -> None:
        try:
            done = self._log.seal(self._signers, self._memory, jobs=1)
        except LedgerError as error:
            if self.sealing.problem != error.slug:  # once, not every few seconds
                logger.warning("not sealed: %s: %a", error.slug, str(error))
            self._failed(error.slug)
        except Exception:
            logger.exception("not sealed: unexpected")  # a defect of ours: sealing goes on
            self._failed("unexpected")
        else:
            if self.sealing.problem:
                logger.warning("sealed again, after %d failures in all", self.sealing.failures)
            self.sealing.problem = ""
            self.sealing.sealed_at = time.time()
            if done.leaves or done.signatures:
                size = done.signed.checkpoint.size
                logger.info("sealed: %d new, %d leaves in the log", done.leaves, size)
            self._report(done.report.findings)
            self._ask_witnesses()

    def _ask_witnesses(self) -> None:
        # In this thread: a seal meanwhile would replace the checkpoint, and the cosignatures would
        # be lost. A witness that hangs delays sealing by its timeout, and rests for a minute then.
        if self._witnesses is None:
            return
        try:
            found = self._witnesses.ask().findings
        except Exception:
            logger.exception("not cosigned: unexpected")  # a defect of ours: sealing goes on
            self.sealing.witnessed = False
            return
        failing = {finding for finding in found if finding.slug == "witness-failed"}
        lacking = [finding for finding in found if finding.severity != "warning"]
        for finding in failing - self._failing:
            logger.warning("not cosigned: %s: %a", finding.slug, finding.message)
        if lacking and self.sealing.witnessed is not False:  # once, not for every checkpoint
            logger.warning("not cosigned: %s: %a", lacking[0].slug, lacking[0].message)
        if not lacking and self.sealing.witnessed is False:
            logger.warning("cosigned again, as the policy asks")
        self._failing = failing
        self.sealing.witnessed = not lacking

    def _failed(self, slug: str) -> None:
        self.sealing.failures += 1
        self.sealing.problem = slug

    def _report(self, findings: tuple[Finding, ...]) -> None:
        self.sealing.findings = frozenset(finding.object_key for finding in findings)
        for finding in findings:
            if finding not in self._reported:
                logger.warning("left out of the log: %s: %a", finding.slug, finding.message)
        self._reported = set(findings)
