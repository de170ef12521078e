"""ML-DSA keys (FIPS 204), which hold when Ed25519 has fallen: of a log, and of holders.

The pure form with an empty context. Private keys are kept as their seed (RFC 9881, section 6).
"""

from __future__ import annotations

import hashlib
from functools import cached_property
from typing import Literal, TypeAlias

from cryptography.exceptions import InternalError, InvalidSignature, UnsupportedAlgorithm
from cryptography.hazmat.primitives.asymmetric.mldsa import (
    MLDSA44PrivateKey,
    MLDSA44PublicKey,
    MLDSA65PrivateKey,
    MLDSA65PublicKey,
)
from cryptography.hazmat.primitives.serialization import Encoding, PrivateFormat, PublicFormat

from ledger.errors import MalformedError
from ledger.format.signing import encryption

ParameterSet: TypeAlias = Literal["ML-DSA-44", "ML-DSA-65"]
"""Which of the parameter sets of FIPS 204, section 4."""

SIGNATURE_BYTES: dict[ParameterSet, int] = {"ML-DSA-44": 2420, "ML-DSA-65": 3309}
PUBLIC: dict[ParameterSet, type[MLDSA44PublicKey | MLDSA65PublicKey]] = {
    "ML-DSA-44": MLDSA44PublicKey,
    "ML-DSA-65": MLDSA65PublicKey,
}
PRIVATE: dict[ParameterSet, type[MLDSA44PrivateKey | MLDSA65PrivateKey]] = {
    "ML-DSA-44": MLDSA44PrivateKey,
    "ML-DSA-65": MLDSA65PrivateKey,
}


class MLDSAPublicKey:
    """A public key of one parameter set; compares by value."""

    def __init__(self, algorithm: ParameterSet, raw: bytes) -> None:
        """Take the 1,312 or 1,952 bytes of FIPS 204; raise MalformedError for any other number."""
        try:
            self._key = PUBLIC[algorithm].from_public_bytes(raw)
        except (ValueError, UnsupportedAlgorithm, InternalError):
            raise MalformedError(f"not an {algorithm} public key: {len(raw)} bytes") from None
        self.algorithm = algorithm
        self.raw = raw
        self.key_id: str = hashlib.sha256(self.spki).hexdigest()
        """Hex sha256 of the SubjectPublicKeyInfo DER."""

    @cached_property
    def spki(self) -> bytes:
        """The SubjectPublicKeyInfo DER (RFC 9881, section 4)."""
        return self._key.public_bytes(Encoding.DER, PublicFormat.SubjectPublicKeyInfo)

    def pem(self) -> bytes:
        """The SubjectPublicKeyInfo PEM."""
        return self._key.public_bytes(Encoding.PEM, PublicFormat.SubjectPublicKeyInfo)

    def verify(self, signature: bytes, data: bytes) -> bool:
        """Tell whether this is the key's signature over the data (FIPS 204, algorithm 3)."""
        try:
            self._key.verify(signature, data)
        except (InvalidSignature, ValueError):
            return False
        return True

    def __eq__(self, other: object) -> bool:
        return isinstance(other, MLDSAPublicKey) and self.spki == other.spki

    def __hash__(self) -> int:
        return hash(self.raw)

    def __repr__(self) -> str:
        return f"MLDSAPublicKey({self.algorithm}, {self.key_id[:16]}…)"

    def __reduce__(self) -> tuple[type[MLDSAPublicKey], tuple[ParameterSet, bytes]]:
        # The library's object can't be sent to another process.
        return MLDSAPublicKey, (self.algorithm, self.raw)


class MLDSAPrivateKey:
    """A private key of one parameter set; an AnySigner. Never printed, never logged."""

    limit: None = None

    def __init__(self, algorithm: ParameterSet, seed: bytes) -> None:
        """Take the 32 secret bytes of FIPS 204, algorithm 6; else raise MalformedError."""
        if len(seed) != 32:
            raise MalformedError(f"not an {algorithm} private key: {len(seed)} bytes, expected 32")
        self.key: MLDSA44PrivateKey | MLDSA65PrivateKey = PRIVATE[algorithm].from_seed_bytes(seed)
        self.public_key: MLDSAPublicKey = MLDSAPublicKey(
            algorithm, self.key.public_key().public_bytes_raw()
        )

    def sign(self, data: bytes) -> bytes:
        """The signature over the data (FIPS 204, algorithm 2, hedged)."""
        return self.key.sign(data)

    def pem(self, passphrase: bytes | str | None = None) -> bytes:
        """The PKCS#8 PEM, encrypted if there is a passphrase."""
        return self.key.private_bytes(Encoding.PEM, PrivateFormat.PKCS8, encryption(passphrase))

    def __repr__(self) -> str:
        return f"MLDSAPrivateKey({self.public_key.algorithm}, {self.public_key.key_id[:16]}…)"
