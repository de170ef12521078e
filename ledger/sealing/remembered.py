"""Whether the log that is published continues a checkpoint that somebody kept."""

from __future__ import annotations

from typing import TYPE_CHECKING

from ledger.errors import IntegrityError, LedgerError, TrustError
from ledger.format import layout
from ledger.format.report import Finding, finding_of

if TYPE_CHECKING:
    from ledger.sealing.reader import LogReader
    from ledger.tlog.checkpoint import Checkpoint, SignedCheckpoint

__all__ = ["check_remembered", "judge_remembered", "open_remembered"]


def open_remembered(log: LogReader, note: str) -> Checkpoint | Finding:
    """A checkpoint out of a file of the auditor's own; a finding where no key vouches for it."""
    try:
        return log.open(note.encode()).checkpoint
    except (IntegrityError, TrustError) as error:
        message = f"the remembered checkpoint can't be compared with the log: {error}"
        return Finding("unchecked", "unknown-key", layout.LOG_CHECKPOINT, message)


def check_remembered(log: LogReader, published: SignedCheckpoint | None, old: Checkpoint) -> None:
    """Check that what is published has all that the old checkpoint had, and in its order.

    Raises IntegrityError: ``log-set-back`` where it is gone or smaller, ``not-consistent`` where
    it is another log, or what is wrong with the tiles that should tell.
    """
    key = layout.LOG_CHECKPOINT
    new = published.checkpoint if published else None
    if new is None or new.size < old.size:
        what = f"the log has {new.size:,} leaves" if new else "missing: the log is gone"
        raise IntegrityError(
            f"{key}: {what}, and had {old.size:,} by a checkpoint from before: an older state is"
            " served, or it was set back",
            hint="keep the checkpoint: the log's key signed it; ask the registry",
            reason="log-set-back",
            object_key=key,
        )
    try:
        log.check_continues(new, old)
    except IntegrityError as error:
        if error.reason != "not-consistent":
            raise
        raise IntegrityError(
            f"{key}: {error} from before: the log was rewritten, or forked, and the log's key"
            " signed both",
            hint="keep both: they are the evidence",
            reason="not-consistent",
            object_key=key,
        ) from error


def judge_remembered(log: LogReader, note: str) -> tuple[Finding, ...]:
    """``check_remembered`` of what is published now, as findings."""
    old = open_remembered(log, note)
    if isinstance(old, Finding):
        return (old,)
    try:
        check_remembered(log, log.checkpoint(), old)
    except LedgerError as error:
        return (finding_of(error, layout.LOG_CHECKPOINT),)
    return ()
