"""Ed25519 keys (RFC 8032), their ids and their PEM form; the protocol of what signs.

Signing goes through ``cryptography`` (OpenSSL). Checking goes through libsodium (PyNaCl), which
refuses what OpenSSL lets pass: small-order public keys, for which one signature fits every
message, and small-order R.
"""

from __future__ import annotations

import hashlib
import re
from functools import cached_property
from typing import Protocol

import nacl.bindings
import nacl.exceptions
from cryptography.exceptions import InternalError, UnsupportedAlgorithm
from cryptography.hazmat.primitives.asymmetric.ed25519 import Ed25519PrivateKey, Ed25519PublicKey
from cryptography.hazmat.primitives.serialization import (
    BestAvailableEncryption,
    Encoding,
    NoEncryption,
    PrivateFormat,
    PublicFormat,
    load_pem_private_key,
    load_pem_public_key,
)

from ledger.errors import InvalidError, KeyUnavailable, MalformedError

__all__ = ["PrivateKey", "PublicKey", "Signer"]

SPKI_PREFIX = bytes.fromhex("302a300506032b6570032100")
"""What precedes the 32 bytes of an Ed25519 key in a SubjectPublicKeyInfo (RFC 8410, section 4)."""


PRIVATE_LABELS = ("PRIVATE KEY", "ENCRYPTED PRIVATE KEY")

MAX_PASSPHRASE = 1023
"""The longest passphrase, in bytes, that OpenSSL encrypts a key with."""


class Signer(Protocol):
    """What signs entries: a private key, or an HSM or KMS that holds one."""

    @property
    def key_id(self) -> str:
        """The key's id: hex sha256 of the public key's SubjectPublicKeyInfo DER."""
        ...

    def sign(self, data: bytes) -> bytes:
        """The 64 bytes of the Ed25519 signature over ``data``."""
        ...


class PublicKey:
    """An Ed25519 public key that can be trusted to mean something: never one of small order."""

    def __init__(self, raw: bytes) -> None:
        """Take the 32 bytes of RFC 8032, section 5.1.5; raise MalformedError if they are no key."""
        if len(raw) != nacl.bindings.crypto_sign_PUBLICKEYBYTES:
            raise MalformedError(f"not an Ed25519 public key: {len(raw)} bytes, expected 32")
        if not nacl.bindings.crypto_core_ed25519_is_valid_point(raw):
            raise MalformedError("not an Ed25519 public key: not a point of the main subgroup")
        self.raw = raw

    @classmethod
    def from_pem(cls, pem: bytes) -> PublicKey:
        """Read a SubjectPublicKeyInfo PEM; raise MalformedError for anything but Ed25519."""
        label = _label(pem)
        if label != "PUBLIC KEY":
            hint = ""
            if "PRIVATE" in label:
                hint = "this is a private key; 'ledger key show' prints its public key"
            raise MalformedError(f"not a public key in PEM form but {label}", hint=hint)
        try:
            key = load_pem_public_key(pem)
        except (ValueError, UnsupportedAlgorithm, InternalError):
            raise MalformedError("not a public key in PEM form") from None
        if not isinstance(key, Ed25519PublicKey):
            raise MalformedError(f"not an Ed25519 key but {_kind_of(key)}")
        return cls(key.public_bytes_raw())

    @cached_property
    def key_id(self) -> str:
        """Hex sha256 of the SubjectPublicKeyInfo DER (``openssl pkey -pubin -outform DER``)."""
        return hashlib.sha256(SPKI_PREFIX + self.raw).hexdigest()

    def pem(self) -> bytes:
        """The SubjectPublicKeyInfo PEM."""
        key = Ed25519PublicKey.from_public_bytes(self.raw)
        return key.public_bytes(Encoding.PEM, PublicFormat.SubjectPublicKeyInfo)

    def verify(self, signature: bytes, data: bytes) -> bool:
        """Whether this is the key's signature over the data (RFC 8032, 5.1.7; strict)."""
        if len(signature) != nacl.bindings.crypto_sign_BYTES:
            return False
        try:
            nacl.bindings.crypto_sign_open(signature + data, self.raw)
        except nacl.exceptions.BadSignatureError:
            return False
        return True

    def __eq__(self, other: object) -> bool:
        return isinstance(other, PublicKey) and self.raw == other.raw

    def __hash__(self) -> int:
        return hash(self.raw)

    def __repr__(self) -> str:
        return f"PublicKey({self.key_id[:16]}…)"


class PrivateKey:
    """An Ed25519 private key; a Signer. Never printed, never logged."""

    def __init__(self, seed: bytes) -> None:
        """Take the 32 secret bytes of RFC 8032, section 5.1.5; else raise MalformedError."""
        if len(seed) != 32:
            raise MalformedError(f"not an Ed25519 private key: {len(seed)} bytes, expected 32")
        self._key = Ed25519PrivateKey.from_private_bytes(seed)
        self.public_key = PublicKey(self._key.public_key().public_bytes_raw())

    @classmethod
    def from_pem(cls, pem: bytes, passphrase: bytes | None = None) -> PrivateKey:
        """Read a PKCS#8 PEM.

        Raises KeyUnavailable for a passphrase that is missing or wrong, MalformedError for what is
        no Ed25519 private key.
        """
        _check_passphrase(passphrase)
        label = _label(pem)
        if label not in PRIVATE_LABELS:
            raise MalformedError(
                f"not a private key in PEM form (PKCS#8) but {label}",
                hint="'ledger key generate' or 'openssl genpkey -algorithm ed25519' makes one",
            )
        if label == "PRIVATE KEY":
            passphrase = None  # a passphrase that is not needed does no harm
        elif not passphrase:
            raise KeyUnavailable(
                "the private key is encrypted and no passphrase was given",
                hint="set LEDGER_PASSPHRASE_FILE, or answer the prompt in a terminal",
            )
        try:
            key = load_pem_private_key(pem, passphrase)
        except (ValueError, TypeError, UnsupportedAlgorithm, InternalError):
            if passphrase is not None:
                raise KeyUnavailable(
                    "wrong passphrase for the private key, or it is damaged"
                ) from None
            raise MalformedError("not a private key in PEM form") from None
        if not isinstance(key, Ed25519PrivateKey):
            raise MalformedError(f"not an Ed25519 key but {_kind_of(key)}")
        return cls(key.private_bytes_raw())

    @property
    def key_id(self) -> str:
        """The id of the public key."""
        return self.public_key.key_id

    def sign(self, data: bytes) -> bytes:
        """The 64 bytes of the signature over the data (RFC 8032, section 5.1.6)."""
        return self._key.sign(data)

    def pem(self, passphrase: bytes | None = None) -> bytes:
        """The PKCS#8 PEM, encrypted if there is a passphrase."""
        _check_passphrase(passphrase)
        if passphrase and len(passphrase) > MAX_PASSPHRASE:
            raise InvalidError(f"a passphrase of more than {MAX_PASSPHRASE} bytes")
        encryption = BestAvailableEncryption(passphrase) if passphrase else NoEncryption()
        return self._key.private_bytes(Encoding.PEM, PrivateFormat.PKCS8, encryption)

    def __repr__(self) -> str:
        return f"PrivateKey({self.key_id[:16]}…)"


def _check_passphrase(passphrase: bytes | None) -> None:
    if passphrase is not None and not isinstance(passphrase, bytes):
        raise InvalidError("a passphrase is bytes, not text", hint="pass passphrase.encode()")


def _label(pem: bytes) -> str:
    """What a PEM says it is (RFC 7468): loaders do odd things with labels that are not expected."""
    match = re.search(rb"-----BEGIN ([A-Z0-9 ]{1,40})-----", pem)
    return match[1].decode() if match else "something else"


def _kind_of(key: object) -> str:
    name = type(key).__name__.removesuffix("PublicKey").removesuffix("PrivateKey").lstrip("_")
    return {"EllipticCurve": "EC", "EC": "EC"}.get(name, name)
