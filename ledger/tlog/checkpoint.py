"""Checkpoints: what the log was at some size, signed, and cosigned by witnesses.

A checkpoint is a signed note (c2sp.org/tlog-checkpoint) of three lines: the origin, how many leaves
the log has, and the base64 of its root. Lines after these are refused: nobody could audit them.

A cosignature (c2sp.org/tlog-cosignature) is a witness's statement that at some time this was the
largest checkpoint of the log that it had seen, and that it continued all that it had seen before.
One by an Ed25519 key is of type 0x04 and signs the text; one by an ML-DSA-44 key is of type 0x06
and signs the origin, the size and the root.

The log itself signs with Ed25519 over the text (type 0x01), or with ML-DSA-44 as a cosigner whose
name is the origin and whose time is 0, or both. A reader who knows keys of both algorithms asks for
both: whoever can forge one of them would else leave out the other line.
"""

from __future__ import annotations

import re
from dataclasses import dataclass
from typing import TYPE_CHECKING, ClassVar, NamedTuple

from ledger.errors import IntegrityError, InvalidError, MalformedError, NotProven, TrustError
from ledger.format.keyring import check_origin
from ledger.format.keys import AnyPublicKey, AnySigner, PublicKey
from ledger.format.mldsa import MLDSAPublicKey
from ledger.format.signing import sign_with
from ledger.tlog.merkle import EMPTY_ROOT, HASH_BYTES, MAX_SIZE
from ledger.tlog.note import (
    NoteKey,
    Signature,
    decode_base64,
    encode_base64,
    open_note,
    parse_vkey,
    sign_note,
)

if TYPE_CHECKING:
    from collections.abc import Iterable

    from ledger.format.pem import VerifyingKey

DECIMAL = re.compile(r"0|[1-9][0-9]{0,18}")
MAX_TIMESTAMP = 2**63 - 1
TIMESTAMP_BYTES = 8

MAX_NAME = 255
"""The longest name of an ML-DSA-44 cosigner, in bytes: its length is signed in one."""


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
    """A witness's Ed25519 key, under the witness's name; its signatures bear their time."""

    algorithm: ClassVar[int] = 0x04

    def verify(self, text: str, body: bytes) -> bool:
        """Whether the body of a signature is a cosignature of this checkpoint's text."""
        timestamp = _timestamp(body)
        if timestamp > MAX_TIMESTAMP:
            return False
        try:
            signed = self._signed(text, timestamp)
        except MalformedError:
            return False  # no checkpoint
        return self.key.verify(body[TIMESTAMP_BYTES:], signed)

    def sign(self, text: str, signer: AnySigner) -> Signature:  # noqa: ARG002 -- of a NoteKey
        """Refuse to: ``cosign`` makes its lines, which need a time."""
        raise InvalidError(f"the key of {self.name} signs something else than a note's text")

    def cosign(self, text: str, signer: AnySigner, timestamp: int) -> Signature:
        """The line of this key under a checkpoint's text; raises what ``cosign`` does."""
        if not 0 <= timestamp <= MAX_TIMESTAMP:
            raise InvalidError(f"not a time to cosign at: {timestamp}")
        self.check_signer(signer)
        body = timestamp.to_bytes(TIMESTAMP_BYTES, "big")
        body += sign_with(signer, self._signed(text, timestamp))
        return Signature(self.name, self.key_hash, body)

    def _signed(self, text: str, timestamp: int) -> bytes:
        """What is signed; raises MalformedError for a text that can't be."""
        return f"cosignature/v1\ntime {timestamp}\n{text}".encode()


class MLDSAKey(WitnessKey):
    """An ML-DSA-44 key of a witness, under its name; or of a log, under its origin."""

    algorithm: ClassVar[int] = 0x06
    key_algorithm: ClassVar[str] = "ML-DSA-44"

    def __post_init__(self) -> None:
        super().__post_init__()
        if len(self.name.encode()) > MAX_NAME:
            raise InvalidError(f"not a name for an ML-DSA-44 key: more than {MAX_NAME} bytes")

    @classmethod
    def read_key(cls, raw: bytes) -> VerifyingKey:
        """Read the 1,312 bytes of FIPS 204; raises MalformedError."""
        return MLDSAPublicKey("ML-DSA-44", raw)

    def sign(self, text: str, signer: AnySigner) -> Signature:
        """A log's own line, which says nothing of a time."""
        return self.cosign(text, signer, 0)

    def _signed(self, text: str, timestamp: int) -> bytes:
        checkpoint = Checkpoint.parse(text)
        return b"".join(
            [
                b"subtree/v1\n\0",
                _prefixed(self.name),
                timestamp.to_bytes(8, "big"),
                _prefixed(checkpoint.origin),
                bytes(8),  # the tree from its first leaf on
                checkpoint.size.to_bytes(8, "big"),
                checkpoint.root,
            ]
        )


def _prefixed(text: str) -> bytes:
    data = text.encode()
    return bytes([len(data)]) + data


def log_key(origin: str, key: AnyPublicKey) -> NoteKey:
    """The key as a log's, under its origin; raises InvalidError if a log can't sign with it."""
    match key:
        case PublicKey():
            return NoteKey(origin, key)
        case MLDSAPublicKey():
            return MLDSAKey(origin, key)
    raise InvalidError(f"the key {key.key_id[:16]}… is of no algorithm that a log signs with")


def witness_key(name: str, key: AnyPublicKey) -> WitnessKey:
    """The key as a witness's, under its name; raises InvalidError if it can't cosign."""
    match key:
        case PublicKey():
            return WitnessKey(name, key)
        case MLDSAPublicKey():
            return MLDSAKey(name, key)
    raise InvalidError(f"the key {key.key_id[:16]}… is of no algorithm that a witness signs with")


def parse_log_key(vkey: str) -> NoteKey:
    """Read the key of a log, of type 0x01 or 0x06; raises MalformedError."""
    return parse_vkey(vkey, (NoteKey, MLDSAKey))


def parse_witness_key(vkey: str) -> WitnessKey:
    """Read the key of a witness, of type 0x04 or 0x06; raises MalformedError."""
    return parse_vkey(vkey, (WitnessKey, MLDSAKey))


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
    signed_by: tuple[VerifyingKey, ...]
    """The keys of the log that signed it."""
    lines: bytes
    """The lines of these keys, alone."""


def open_checkpoint(
    note: bytes,
    *,
    origin: str,
    log_keys: Iterable[VerifyingKey],
    witnesses: Iterable[WitnessKey] = (),
    any_algorithm: bool = False,
) -> SignedCheckpoint:
    """The checkpoint, if the log signed it, with a key of each algorithm, and it is of this origin.

    ``any_algorithm``: one key is enough. That is for a checkpoint that the caller kept: it was
    opened before, when fewer keys may have been known.

    How many cosignatures are enough is the caller's policy. Raises MalformedError if it is no
    checkpoint, TrustError if no key of the log signed it (reason ``unknown-key``) or none of some
    algorithm did (reason ``half-signed``), IntegrityError if a known key's signature is wrong
    (reason ``bad-signature``) or the checkpoint is another log's (reason ``wrong-ledger``). A
    witness that has a key of the log is none.
    """
    logs = [log_key(origin, key) for key in log_keys]
    own = {log.key for log in logs}
    # Who signs the log vouches for nothing more by signing it again.
    others = [witness for witness in witnesses if witness.key not in own]
    opened = open_note(note, [*logs, *others])
    cosignatures = tuple(
        Cosignature(key, _timestamp(signature.body))
        for key, signature in opened.verified
        if isinstance(key, WitnessKey) and key.key not in own
    )
    ours = [(key.key, line) for key, line in opened.verified if key.key in own]
    if not ours:
        raise TrustError(
            f"the checkpoint is cosigned by witnesses, but signed by no key of {origin}",
            reason="unknown-key",
        )
    checkpoint = Checkpoint.parse(opened.text)
    if checkpoint.origin != origin:
        raise IntegrityError(
            f"a checkpoint of {checkpoint.origin}, expected {origin}", reason="wrong-ledger"
        )
    signed = SignedCheckpoint(
        checkpoint,
        cosignatures,
        note,
        signed_by=tuple(dict.fromkeys(key for key, _ in ours)),
        lines=b"".join(line.encode() for _, line in ours),
    )
    if not any_algorithm:
        check_algorithms(signed, own)
    return signed


def check_algorithms(
    signed: SignedCheckpoint, log_keys: Iterable[VerifyingKey], object_key: str = ""
) -> None:
    """Raise NotProven (``half-signed``) unless a key of each of their algorithms signed it."""
    made = {key.algorithm for key in signed.signed_by}
    lacking = sorted({key.algorithm for key in log_keys} - made)
    if lacking:
        where = f"{object_key}: " if object_key else ""
        raise NotProven(
            f"{where}the checkpoint of {signed.checkpoint.size:,} leaves lacks the"
            f" {' and the '.join(lacking)} signature of the log, of which your keyring has a key:"
            f" it is signed with {' and '.join(sorted(made))} alone",
            hint="somebody may have taken the line away, or it was signed before the log had that"
            " key: get it anew ('ledger prove', 'ledger export'); 'ledger seal' adds what the"
            " published checkpoint lacks",
            reason="half-signed",
            object_key=object_key,
        )


def sign_checkpoint(checkpoint: Checkpoint, *signers: AnySigner) -> bytes:
    """The checkpoint signed by each of the log's signers, under the name of the origin.

    Raises InvalidError for a signer of an algorithm that a log can't sign with.
    """
    keys = [(log_key(checkpoint.origin, signer.public_key), signer) for signer in signers]
    return sign_note(checkpoint.text, keys)


def cosign(checkpoint: Checkpoint, witness: WitnessKey, signer: AnySigner, timestamp: int) -> bytes:
    """The line of a witness's cosignature, for ``add_signatures``; the time is in seconds.

    The witness first opens the signed checkpoint, and checks that it continues the last one it saw.
    """
    return witness.cosign(checkpoint.text, signer, timestamp).encode()


def _timestamp(body: bytes) -> int:
    return int.from_bytes(body[:TIMESTAMP_BYTES], "big")
