"""Which checkpoints count by trust files: those that are pinned, and those that are signed so.

``docs/spec.md``, "When a checkpoint counts". That a checkpoint agrees with the pins below it takes
the log's tiles, which are for the caller to read.
"""

from __future__ import annotations

from typing import TYPE_CHECKING

from ledger.errors import IntegrityError, NotProven
from ledger.format import layout
from ledger.tlog.receipt import Receipt, check_receipt
from ledger.trust.keys import algorithm_of

if TYPE_CHECKING:
    from collections.abc import Iterable

    from ledger.format.pem import VerifyingKey
    from ledger.tlog.checkpoint import Checkpoint, SignedCheckpoint, WitnessKey
    from ledger.trust.chain import Trust


def is_signed(accepted: Trust, signed: SignedCheckpoint) -> bool:
    """Whether keys without an end signed it, one of each algorithm that the log had by its size."""
    keys = accepted.log_keys_for(signed.checkpoint.size)
    made = {
        key.algorithm
        for key in signed.signed_by
        if accepted.end_of(key.key_id) is None and any(key.key_id == each.key_id for each in keys)
    }
    return all(algorithm_of(each.key) in made for each in keys)


def check_signatures(accepted: Trust, signed: SignedCheckpoint, object_key: str = "") -> None:
    """Check that a checkpoint counts by itself; raises NotProven.

    It does if it is a pin, or if it is signed so that nobody who stole a key can have made it.
    """
    checkpoint = signed.checkpoint
    if checkpoint in accepted.pins or is_signed(accepted, signed):
        return
    where = f"{object_key}: " if object_key else ""
    raise NotProven(
        f"{where}the checkpoint of {checkpoint.size:,} leaves is not signed with every algorithm by"
        " a key of the log that has no end, and nothing proves that the log continues it",
        hint="get it anew: 'ledger prove' or 'ledger export' from the ledger itself",
        reason="checkpoint-unproven",
        object_key=object_key,
    )


def shows_positions(accepted: Trust, checkpoint: Checkpoint) -> bool:
    """Whether a checkpoint that counts shows where entries are: no newer pin lies above it."""
    return checkpoint in accepted.pins or checkpoint.size >= accepted.newest.log.size


def check_receipt_alone(
    accepted: Trust,
    receipt: Receipt,
    leaf: bytes,
    log_keys: Iterable[VerifyingKey],
    witnesses: Iterable[WitnessKey] = (),
) -> SignedCheckpoint:
    """Check that the log has this leaf, by a checkpoint that counts, with no log at hand.

    Nothing shows then that the checkpoint continues the pins below it: those who have a key of the
    log without an end are believed. Raises what ``check_receipt`` does, and NotProven, or
    IntegrityError (``wrong-root``) if a pin of its size has another root.
    """
    signed = check_receipt(
        receipt,
        leaf,
        origin=accepted.origin,
        log_keys=log_keys,
        witnesses=witnesses,
        any_algorithm=True,
    )
    for pin in accepted.pins:
        if pin.size == signed.checkpoint.size and pin != signed.checkpoint:
            raise not_as_pinned(pin)
    check_signatures(accepted, signed)
    return signed


def not_as_pinned(pin: Checkpoint) -> IntegrityError:
    """The error of a log that does not continue what a trust file pins."""
    return IntegrityError(
        f"{layout.LOG_CHECKPOINT}: it does not continue the log of {pin.size:,} leaves that a trust"
        " file pins: it is another history",
        hint="keep it: if the log's key signed it, it is evidence of a fork",
        reason="wrong-root",
        object_key=layout.LOG_CHECKPOINT,
    )


def check_not_behind(accepted: Trust, checkpoint: Checkpoint) -> None:
    """Check that the log is not below the newest pin; raises NotProven (``log-behind-pin``)."""
    size = accepted.newest.log.size
    if checkpoint.size < size:
        raise NotProven(
            f"{layout.LOG_CHECKPOINT}: the log has {checkpoint.size:,} leaves, and trust file"
            f" {accepted.newest.version} knows {size:,}: it was set back, or is a copy that lags",
            hint="ask for a newer copy: until then nobody can tell where entries are in the log",
            reason="log-behind-pin",
            object_key=layout.LOG_CHECKPOINT,
        )
