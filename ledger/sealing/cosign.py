"""Publishing cosignatures: the witnesses' lines under the published checkpoint.

The checkpoint stays as the log signed it. Each line is verified before it is added. Only the newest
line of a witness is kept, as witnesses cosign a log again and again while it rests.
"""

from __future__ import annotations

from typing import TYPE_CHECKING

from ledger.errors import (
    ConflictError,
    IntegrityError,
    LedgerError,
    NotFoundError,
    OutcomeUnknown,
    TrustError,
)
from ledger.format import layout
from ledger.stores.swap import update
from ledger.tlog.note import Signature, parse_unverified

if TYPE_CHECKING:
    from collections.abc import Iterable

    from ledger.sealing.reader import LogReader
    from ledger.tlog.checkpoint import Checkpoint, SignedCheckpoint, WitnessKey


def add_cosignatures(
    log: LogReader, note: bytes, witnesses: tuple[WitnessKey, ...]
) -> SignedCheckpoint:
    """Put the cosignatures of these witnesses under the published checkpoint.

    ``note`` is that checkpoint as a witness returned it. Raises TrustError if none of the
    witnesses signed it, ConflictError if another checkpoint is published by now, and
    IntegrityError (``not-consistent``) if the log's key signed two of one size.
    """
    given = log.open(note, witnesses)
    if not given.cosignatures:
        raise TrustError(
            "the checkpoint is cosigned by none of the witnesses", reason="unknown-key"
        )
    signed = given

    def add(published: bytes | None) -> bytes:
        nonlocal signed
        if published is None:
            raise NotFoundError(f"there is no log in {log.store.url}")
        _check_same(given.checkpoint, log.open(published).checkpoint)
        signed = log.open(_merge(published, note, witnesses), witnesses)
        return signed.note

    update(log.store, layout.LOG_CHECKPOINT, add, unknown=_unknown)
    return signed


def _unknown(why: LedgerError) -> OutcomeUnknown:
    return OutcomeUnknown(
        f"cannot tell whether {layout.LOG_CHECKPOINT} was written: {why}",
        hint="give the cosignatures again",
    )


def _check_same(given: Checkpoint, published: Checkpoint) -> None:
    if given == published:
        return
    if given.size == published.size:
        raise IntegrityError(
            f"{layout.LOG_CHECKPOINT}: another root than the witness saw for {given.size} leaves,"
            " and the log's key signed both",
            hint="keep both: they show that the log was forked",
            reason="not-consistent",
            object_key=layout.LOG_CHECKPOINT,
        )
    raise ConflictError(
        f"the witness signed the checkpoint of {given.size} leaves, and that of {published.size}"
        " is published by now",
        hint="let the witness sign the one that 'ledger checkpoint' prints",
    )


def _merge(published: bytes, note: bytes, witnesses: Iterable[WitnessKey]) -> bytes:
    """The published note, with the newest verified line of each witness, and no other of it."""
    text, lines = parse_unverified(published)
    offered = parse_unverified(note)[1]
    ours: list[Signature] = []
    known = set()
    for key in witnesses:
        known.add((key.name, key.key_hash))
        theirs = [
            line
            for line in (*lines, *offered)
            if (line.name, line.key_hash) == (key.name, key.key_hash)
            and key.verify(text, line.body)
        ]
        if theirs:
            ours.append(max(theirs, key=lambda line: line.body))  # which begins with the time
    others = [line for line in lines if (line.name, line.key_hash) not in known]
    return b"".join([text.encode(), b"\n", *(line.encode() for line in (*others, *ours))])
