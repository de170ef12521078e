"""Public keys of any algorithm, by their SubjectPublicKeyInfo (RFC 5280, section 4.1.2.7)."""

from __future__ import annotations

import hashlib
from dataclasses import dataclass
from functools import cached_property
from typing import TypeAlias

from ledger.errors import MalformedError
from ledger.format.keys import SPKI_PREFIX, PublicKey
from ledger.format.mldsa import MLDSAPublicKey, ParameterSet

ED25519 = "Ed25519"
MLDSA44: ParameterSet = "ML-DSA-44"
MLDSA65: ParameterSet = "ML-DSA-65"

OID_ED25519 = bytes.fromhex("2b6570")
OIDS: dict[bytes, ParameterSet] = {
    bytes.fromhex("608648016503040311"): MLDSA44,
    bytes.fromhex("608648016503040312"): MLDSA65,
}
"""The object identifiers of RFC 8410, section 3, and RFC 9881, section 2."""

SEQUENCE, BIT_STRING, OBJECT_IDENTIFIER = 0x30, 0x03, 0x06


@dataclass(frozen=True)
class OtherKey:
    """A public key of an algorithm that this version does not know: it can be named, not used."""

    spki: bytes
    """The SubjectPublicKeyInfo DER."""

    @cached_property
    def key_id(self) -> str:
        """Hex sha256 of the SubjectPublicKeyInfo DER."""
        return hashlib.sha256(self.spki).hexdigest()


AnyKey: TypeAlias = PublicKey | MLDSAPublicKey | OtherKey


def algorithm_of(key: AnyKey) -> str:
    """Name the algorithm of a key; empty if this version does not know it."""
    match key:
        case PublicKey():
            return ED25519
        case MLDSAPublicKey():
            return key.algorithm
        case OtherKey():
            return ""


def read_spki(der: bytes) -> AnyKey:
    """Read a public key; raise MalformedError for other bytes, and for a known key spelled oddly.

    One key has one spelling here, so that it has one id.
    """
    info, rest = _element(der, SEQUENCE)
    algorithm, bits = _element(info, SEQUENCE)
    oid, _ = _element(algorithm, OBJECT_IDENTIFIER)
    value, behind = _element(bits, BIT_STRING)
    if rest or behind or len(value) < 2:
        raise MalformedError("not a public key (SubjectPublicKeyInfo)")
    key: AnyKey
    if oid == OID_ED25519:
        key = PublicKey(der.removeprefix(SPKI_PREFIX))
    elif oid in OIDS:
        key = MLDSAPublicKey(OIDS[oid], value[1:])
    else:
        key = OtherKey(der)
    if key.spki != der:
        raise MalformedError("not a public key as its algorithm spells it (SubjectPublicKeyInfo)")
    return key


def _element(data: bytes, tag: int) -> tuple[bytes, bytes]:
    """Cut the first element, which must have this tag, from DER: its content, and what follows."""
    if len(data) < 2 or data[0] != tag:
        raise MalformedError("not a public key (SubjectPublicKeyInfo)")
    length, start = data[1], 2
    if length >= 0x80:
        start += length & 0x7F
        length = int.from_bytes(data[2:start], "big")
        # DER has one spelling of a length: the shortest.
        if length < 0x80 or data[2] == 0:
            raise MalformedError("not a public key (SubjectPublicKeyInfo)")
    if len(data) < start + length:
        raise MalformedError("not a public key (SubjectPublicKeyInfo)")
    return data[start : start + length], data[start + length :]
