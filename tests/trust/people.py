"""Holders, keys and trust files for tests, the same at every run."""

from __future__ import annotations

import hashlib
from dataclasses import replace
from functools import cache
from typing import TYPE_CHECKING, Any, NamedTuple

from ledger.format.keyring import Root
from ledger.format.mldsa import MLDSAPrivateKey
from ledger.testing import ORIGIN, signer
from ledger.tlog.checkpoint import Checkpoint
from ledger.trust.chain import assemble
from ledger.trust.file import Holder, HolderSignature, Revocation, TrustFile, TrustKey

if TYPE_CHECKING:
    from collections.abc import Iterable, Sequence

    from ledger.format.signing import PrivateKey
    from ledger.trust.chain import Trust

ADA, BEN, CLEO, DAN = "ada", "ben", "cleo", "dan"
ALICE, BOB, LOG, LOG2 = (signer(name).public_key for name in ("alice", "bob", "log", "log 2"))


class Person(NamedTuple):
    """A holder with the private keys."""

    name: str
    ed25519: PrivateKey
    mldsa: MLDSAPrivateKey

    @property
    def holder(self) -> Holder:
        keys = (self.ed25519.public_key, self.mldsa.public_key)
        return Holder(self.name, tuple(sorted(keys, key=lambda key: key.key_id)))

    def sign(self, file: TrustFile) -> list[HolderSignature]:
        return _signatures(self, file.signed_bytes)


@cache
def _signatures(by: Person, data: bytes) -> list[HolderSignature]:
    """Sign once what many tests begin with."""
    keys = (by.ed25519, by.mldsa)
    return [HolderSignature(key.public_key.key_id, key.sign(data)) for key in keys]


@cache
def person(name: str, keys: str = "") -> Person:
    """A holder; ``keys``: another person's, under this name."""
    seed = hashlib.sha256(f"holder {keys or name}".encode()).digest()
    return Person(name, signer(f"holder {keys or name}"), MLDSAPrivateKey("ML-DSA-65", seed))


def people(*names: str) -> tuple[Holder, ...]:
    return tuple(person(name).holder for name in sorted(names))


def registrar(key: Any, name: str = "", *, erase: bool = False) -> TrustKey:
    return TrustKey(key, name, "registrar", erase)


def log_key(key: Any) -> TrustKey:
    return TrustKey(key, "log", "log")


def listed(*keys: TrustKey) -> tuple[TrustKey, ...]:
    return tuple(sorted(keys, key=lambda each: each.key_id))


def pin(size: int, of: str = "") -> Checkpoint:
    """A checkpoint of the log; ``of``: another log."""
    root = hashlib.sha256(f"{of}{size}".encode() if size else b"").digest()
    return Checkpoint(ORIGIN, size, root)


KEYS = listed(registrar(ALICE, "alice"), log_key(LOG))

FIRST = TrustFile(
    version=1, previous=None, holders=people(ADA, BEN, CLEO), threshold=2, keys=KEYS, log=pin(10)
)


def signed(file: TrustFile, *names: str) -> TrustFile:
    """The file, signed by these alone."""
    return replace(file, signatures=()).signed(
        each for name in names for each in person(name).sign(file)
    )


def first(*names: str, **changes: Any) -> TrustFile:
    return signed(replace(FIRST, **changes), *(names or (ADA, BEN)))


def after(file: TrustFile, *names: str, size: int | None = None, **changes: Any) -> TrustFile:
    """The next file, with some changes, signed by ada and ben or by those named."""
    changes = {
        "version": file.version + 1,
        "previous": file.digest,
        "log": pin(file.log.size + 10 if size is None else size),
        **changes,
    }
    return signed(replace(file, **changes), *(names or (ADA, BEN)))


def revoke(key: Any, start: int) -> Revocation:
    return Revocation(key.key_id, start)


def root_of(file: TrustFile) -> Root:
    return Root(file.origin, file.digest, file.version)


def trust_of(files: Sequence[TrustFile], root: TrustFile | None = None) -> Trust:
    """What a reader makes of these files; the first is pinned, or ``root``."""
    return assemble(root_of(root or files[0]), objects(files).get)


def objects(files: Iterable[TrustFile]) -> dict[int, bytes]:
    return {file.version: file.encode() for file in files}
