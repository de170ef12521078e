"""Keys in PEM form (RFC 7468), several in one text: an Ed25519 key and the ML-DSA key beside it.

Private keys are PKCS#8, ML-DSA as the seed (RFC 9881, section 6). Public ones are
SubjectPublicKeyInfo.
"""

from __future__ import annotations

import re
from typing import TYPE_CHECKING, TypeAlias, TypeVar

from ledger.errors import MalformedError
from ledger.format.keys import PublicKey, load_public, read_ed25519

if TYPE_CHECKING:
    from collections.abc import Callable, Iterable

    from ledger.format.mldsa import MLDSAPrivateKey, MLDSAPublicKey
    from ledger.format.signing import PrivateKey

VerifyingKey: TypeAlias = "PublicKey | MLDSAPublicKey"
"""A public key of an algorithm that this version can verify with."""

OwnKey: TypeAlias = "PrivateKey | MLDSAPrivateKey"
"""A private key that this process holds."""

Each = TypeVar("Each", "VerifyingKey", "OwnKey")

BLOCK = re.compile(rb"-----BEGIN ([A-Z0-9 ]{1,40})-----.*?-----END \1-----", re.DOTALL)


def read_public_key(pem: bytes) -> VerifyingKey:
    """Read the one public key of a text; raise MalformedError for anything else."""
    found = read_public_keys(pem)
    if len(found) > 1:
        raise MalformedError(f"{len(found)} public keys, expected one")
    return found[0]


def read_public_keys(pem: bytes) -> tuple[VerifyingKey, ...]:
    """Read the public keys of a text, each once; raise MalformedError."""

    def read(block: bytes) -> VerifyingKey:
        own = read_ed25519(block)
        if own is not None:
            return own
        from cryptography.hazmat.primitives.asymmetric.mldsa import (
            MLDSA44PublicKey,
            MLDSA65PublicKey,
        )

        from ledger.format.mldsa import MLDSAPublicKey

        match key := load_public(block):
            case MLDSA44PublicKey():
                return MLDSAPublicKey("ML-DSA-44", key.public_bytes_raw())
            case MLDSA65PublicKey():
                return MLDSAPublicKey("ML-DSA-65", key.public_bytes_raw())
        return PublicKey.from_pem(block)

    found = _read_blocks(pem, read)
    _check_distinct(found)
    return found


def read_private_keys(pem: bytes, passphrase: bytes | str | None = None) -> tuple[OwnKey, ...]:
    """Read the private keys of a text, each once.

    Raises what ``PrivateKey.from_pem`` does.
    """
    from cryptography.hazmat.primitives.asymmetric.mldsa import MLDSA44PrivateKey, MLDSA65PrivateKey

    from ledger.format.mldsa import MLDSAPrivateKey
    from ledger.format.signing import PrivateKey, load_private

    def read(block: bytes) -> OwnKey:
        match key := load_private(block, passphrase):
            case MLDSA44PrivateKey():
                return MLDSAPrivateKey("ML-DSA-44", key.private_bytes_raw())
            case MLDSA65PrivateKey():
                return MLDSAPrivateKey("ML-DSA-65", key.private_bytes_raw())
        return PrivateKey.from_key(key)

    found = _read_blocks(pem, read)
    _check_distinct([key.public_key for key in found])
    return found


def encode_private_keys(keys: Iterable[OwnKey], passphrase: bytes | str | None = None) -> bytes:
    """Write private keys as one text, each of them encrypted if there is a passphrase."""
    return b"".join(key.pem(passphrase) for key in keys)


def _read_blocks(pem: bytes, read: Callable[[bytes], Each]) -> tuple[Each, ...]:
    blocks = [match[0] for match in BLOCK.finditer(pem)]
    if not blocks:
        return (read(pem),)  # which says what it is instead
    if pem.count(b"-----BEGIN ") > len(blocks):
        raise MalformedError("not keys in PEM form: one of them was cut off")
    return tuple(map(read, blocks))


def _check_distinct(keys: Iterable[VerifyingKey]) -> None:
    ids = [key.key_id for key in keys]
    if len(set(ids)) < len(ids):
        raise MalformedError("one key is in the file twice")
