"""Checkpoints: what the log was at some size, signed, and cosigned by witnesses.

A checkpoint is a signed note (c2sp.org/tlog-checkpoint) of three lines: the origin, how many leaves
the log has, and the base64 of its root. Lines after these are refused: nobody could audit them.

A cosignature (c2sp.org/tlog-cosignature, ``cosignature/v1``) is a witness's statement that at some
time this was the largest checkpoint of the log that it had seen, and that it continued all that
it had seen before.
"""

from __future__ import annotations

import re
from dataclasses import dataclass
from typing import TYPE_CHECKING, ClassVar, NamedTuple

from ledger.errors import IntegrityError, InvalidError, MalformedError, TrustError
from ledger.format.keyring import check_origin
from ledger.format.keys import sign_with
from ledger.tlog.merkle import EMPTY_ROOT, HASH_BYTES, MAX_SIZE
from ledger.tlog.note import (
    NoteKey,
    Signature,
    decode_base64,
    encode_base64,
    open_note,
    sign_note,
)

if TYPE_CHECKING:
    from collections.abc import Iterable

    from ledger.format.keys import PublicKey, Signer

__all__ = [
    "Checkpoint",
    "Cosignature",
    "SignedCheckpoint",
    "WitnessKey",
    "cosign",
    "open_checkpoint",
    "sign_checkpoint",
]

DECIMAL = re.compile(r"0|[1-9][0-9]{0,18}")
MAX_TIMESTAMP = 2**63 - 1
TIMESTAMP_BYTES = 8


@dataclass(frozen=True, slots=True)
class Checkpoint:
    """The size and the root of a log; signed by nobody yet."""

    origin: str
    size: int
    """How many leaves."""
    root: bytes
    """32 bytes; for no leaves, the sha256 of nothing."""

    def __post_init__(self) -> None:
        check_origin(self.origin)
        if not 0 <= self.size <= MAX_SIZE:
            raise InvalidError(f"not the size of a log: {self.size}")
        if len(self.root) != HASH_BYTES or (self.size == 0) != (self.root == EMPTY_ROOT):
            raise InvalidError(f"not the root of a log of {self.size} leaves: {self.root.hex()}")

    @property
    def text(self) -> str:
        """The text that is signed: three lines."""
        return f"{self.origin}\n{self.size}\n{encode_base64(self.root)}\n"

    @classmethod
    def parse(cls, text: str) -> Checkpoint:
        """Read the text of a checkpoint; raises MalformedError for every other text."""
        lines = text.split("\n")
        if len(lines) != 4 or lines[3]:
            raise MalformedError("not a checkpoint: expected an origin, a size and a root")
        origin, size, root, _ = lines
        if not DECIMAL.fullmatch(size):
            raise MalformedError(f"not the size of a log: {size!a:.40}")
        return cls(origin, int(size), decode_base64(root))


class WitnessKey(NoteKey):
    """A witness's key, under the witness's name. Its signatures bear the time of signing."""

    algorithm: ClassVar[int] = 0x04

    def verify(self, text: str, body: bytes) -> bool:
        """Whether the body of a signature is a cosignature of this checkpoint's text."""
        timestamp = _timestamp(body)
        signed = _cosigned(text, timestamp)
        return timestamp <= MAX_TIMESTAMP and self.key.verify(body[TIMESTAMP_BYTES:], signed)


class Cosignature(NamedTuple):
    """A cosignature that verified."""

    witness: WitnessKey
    timestamp: int
    """When the witness signed, in seconds since 1970, by its own clock."""


@dataclass(frozen=True, slots=True)
class SignedCheckpoint:
    """A checkpoint that the log's key signed."""

    checkpoint: Checkpoint
    cosignatures: tuple[Cosignature, ...]
    """Those of witnesses that were known, in the order of the lines; a witness may sign twice."""
    note: bytes
    """All of it, the lines of unknown keys too."""


def open_checkpoint(
    note: bytes,
    *,
    origin: str,
    log_keys: Iterable[PublicKey],
    witnesses: Iterable[WitnessKey] = (),
) -> SignedCheckpoint:
    """The checkpoint, if one of the log's keys signed it and it is of this origin.

    How many cosignatures are enough is the caller's policy. Raises MalformedError if it is no
    checkpoint, TrustError (reason ``unknown-key``) if no key of the log signed it,
    IntegrityError if a known key's signature is wrong (reason ``bad-signature``) or the
    checkpoint is another log's (reason ``wrong-ledger``). A witness that has a key of the log is
    none.
    """
    logs = [NoteKey(origin, key) for key in log_keys]
    own = {log.key for log in logs}
    # Who signs the log vouches for nothing more by signing it again.
    others = [witness for witness in witnesses if witness.key not in own]
    opened = open_note(note, [*logs, *others])
    cosignatures = tuple(
        Cosignature(key, _timestamp(signature.body))
        for key, signature in opened.verified
        if isinstance(key, WitnessKey)
    )
    if len(cosignatures) == len(opened.verified):
        raise TrustError(
            f"the checkpoint is cosigned by witnesses, but signed by no key of {origin}",
            reason="unknown-key",
        )
    checkpoint = Checkpoint.parse(opened.text)
    if checkpoint.origin != origin:
        raise IntegrityError(
            f"a checkpoint of {checkpoint.origin}, expected {origin}", reason="wrong-ledger"
        )
    return SignedCheckpoint(checkpoint, cosignatures, note)


def sign_checkpoint(checkpoint: Checkpoint, signer: Signer) -> bytes:
    """The signed checkpoint, by the log's key, under the name of the origin."""
    return sign_note(checkpoint.text, [(NoteKey(checkpoint.origin, signer.public_key), signer)])


def cosign(checkpoint: Checkpoint, witness: WitnessKey, signer: Signer, timestamp: int) -> bytes:
    """The line of a witness's cosignature, for ``add_signatures``; the time is in seconds.

    The witness first opens the signed checkpoint, and checks that it continues the last one it saw.
    """
    if not 0 <= timestamp <= MAX_TIMESTAMP:
        raise InvalidError(f"not a time to cosign at: {timestamp}")
    witness.check_signer(signer)
    body = timestamp.to_bytes(TIMESTAMP_BYTES, "big")
    body += sign_with(signer, _cosigned(checkpoint.text, timestamp))
    return Signature(witness.name, witness.key_hash, body).encode()


def _timestamp(body: bytes) -> int:
    return int.from_bytes(body[:TIMESTAMP_BYTES], "big")


def _cosigned(text: str, timestamp: int) -> bytes:
    """What a witness signs."""
    return f"cosignature/v1\ntime {timestamp}\n{text}".encode()
