"""Ed25519 keys (RFC 8032), their ids and their PEM form; the protocol of what signs.

Signing goes through ``cryptography`` (OpenSSL). Checking goes through libsodium (PyNaCl), which
refuses what OpenSSL lets pass: small-order public keys, for which one signature fits every
message, and small-order R. A library of another version might judge otherwise, and two readers
would then disagree about one signature; so it is tested before its first use.
"""

from __future__ import annotations

import binascii
import hashlib
import re
from functools import cache
from typing import TYPE_CHECKING, Final, Protocol

import nacl.bindings
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
    load_ssh_private_key,
)
from nacl._sodium import ffi, lib  # type: ignore[import-not-found]

from ledger.errors import InvalidError, KeyUnavailable, LibraryUnsafe, MalformedError
from ledger.format.given import check_given

if TYPE_CHECKING:
    from cryptography.hazmat.primitives.serialization import KeySerializationEncryption

__all__ = [
    "AnyPublicKey",
    "AnySigner",
    "PrivateKey",
    "PublicKey",
    "Signer",
    "check_library",
    "encryption",
    "is_encrypted",
    "load_private",
    "load_public",
    "sign_with",
]

SPKI_PREFIX = bytes.fromhex("302a300506032b6570032100")
"""What precedes the 32 bytes of an Ed25519 key in a SubjectPublicKeyInfo (RFC 8410, section 4)."""


OPENSSH = "OPENSSH PRIVATE KEY"
PRIVATE_LABELS = ("PRIVATE KEY", "ENCRYPTED PRIVATE KEY", OPENSSH)

MAX_PASSPHRASE = 1023
"""The longest passphrase, in bytes, that OpenSSL encrypts a key with."""

# What the self-test judges: each signature solves an equation that some verifiers use.
TEST_MESSAGE = b"title ledger"
TEST_KEY = bytes.fromhex("18c952e1d635478d8dd016074b1e11e57645ac342e6f98d053ade25eee771e1e")
TEST_SIGNATURE = bytes.fromhex(
    "ebc35449ee1536fdd8c685953d15029851509954e35fa05e7751653e490af3d8"
    "e154bf55aa03d758b81722d0313cb9bdf35fe894f36d7ca65fd0a160e4a13402"
)
"""R = rB, S = r + ka: a signature like any other."""
MIXED_ORDER_R = bytes.fromhex(
    "d4f27487f2b78a366d42f51cbee3360f973c8a1ef757e458d730330ad4dbeafd"
    "0c46879c480b31ea681afa419660584005f87ba1635cf3799d1d7556741de105"
)
"""R = rB + T with T of order 8: it solves the cofactored equation of RFC 8032, 5.1.7, alone."""
SMALL_ORDER_R = bytes.fromhex(
    "0100000000000000000000000000000000000000000000000000000000000000"
    "1d19870cfd414c870f57f60ac2b8de0ee7ef9261804818fc0e6c472fe924890e"
)
"""R = 0: it solves the cofactorless equation, too."""
SMALL_ORDER_KEY = b"\x01" + bytes(31)
"""A = 0."""
FITS_EVERY_MESSAGE = bytes.fromhex(
    "b862409fb5c4c4123df2abf7462b88f041ad36dd6864ce872fd5472be363c5b1"
    "0700000000000000000000000000000000000000000000000000000000000000"
)
"""R = rB, S = r: under SMALL_ORDER_KEY, whatever the message."""
MIXED_ORDER_KEY = bytes.fromhex("c5e44479cdabd48e08d494512dc823580a995cc28b458a754ebf3c1c88c150a3")
"""TEST_KEY + T."""


class AnyPublicKey(Protocol):
    """A public key of any algorithm."""

    @property
    def key_id(self) -> str:
        """The key's id: hex sha256 of its SubjectPublicKeyInfo DER."""
        ...

    def verify(self, signature: bytes, data: bytes, /) -> bool:
        """Tell whether this is the key's signature over the data."""
        ...


class AnySigner(Protocol):
    """What signs, by any algorithm; sign with it through ``sign_with``."""

    @property
    def public_key(self) -> AnyPublicKey:
        """The key that its signatures are checked with."""
        ...

    @property
    def limit(self) -> int | None:
        """How many bytes it can sign in one call; None: any number."""
        ...

    def sign(self, data: bytes) -> bytes:
        """The signature over ``data``; raises KeyUnavailable if there is none to be had."""
        ...


class Signer(AnySigner, Protocol):
    """What signs entries and checkpoints: an Ed25519 private key, or a device that holds one."""

    @property
    def public_key(self) -> PublicKey:
        """The key that its signatures are checked with."""
        ...


def sign_with(signer: AnySigner, data: bytes) -> bytes:
    """Sign the data; raises KeyUnavailable if it is too long, or the signature is not the key's.

    Everything is signed through here. A device may be broken, or hold another key than it says, so
    nothing that it returns is used before it is verified. A ``PrivateKey`` is exempt: it derived
    its public key itself, and checking each signature would double the time of an append in memory.
    """
    limit = signer.limit
    if limit is not None and len(data) > limit:
        raise KeyUnavailable(
            f"cannot sign {len(data):,} bytes: the signer takes at most {limit:,}",
            hint="sign with a key in a file, or on a device that takes more",
        )
    signature = signer.sign(data)
    if type(signer) is PrivateKey:
        return signature
    if not signer.public_key.verify(signature, data):
        raise KeyUnavailable(
            f"cannot sign with the key {signer.public_key.key_id[:16]}…:"
            " the signature that came back does not verify",
            hint="the signature was not used; check the device that signs",
        )
    return signature


class PublicKey:
    """An Ed25519 public key that can be trusted to mean something: never one of small order."""

    algorithm: Final = "Ed25519"

    def __init__(self, raw: bytes) -> None:
        """Take the 32 bytes of RFC 8032, section 5.1.5; raise MalformedError if they are no key."""
        check_given(raw, bytes, "the 32 bytes of a public key")
        if len(raw) != nacl.bindings.crypto_sign_PUBLICKEYBYTES:
            raise MalformedError(f"not an Ed25519 public key: {len(raw)} bytes, expected 32")
        check_library()
        if not _is_key(raw):
            raise MalformedError("not an Ed25519 public key: not a point of the main subgroup")
        self.raw = raw
        self.key_id: str = hashlib.sha256(self.spki).hexdigest()
        """Hex sha256 of the SubjectPublicKeyInfo DER (``openssl pkey -pubin -outform DER``)."""

    @classmethod
    def from_pem(cls, pem: bytes) -> PublicKey:
        """Read a SubjectPublicKeyInfo PEM; raise MalformedError for anything but Ed25519."""
        key = load_public(pem)
        if not isinstance(key, Ed25519PublicKey):
            raise MalformedError(f"not an Ed25519 key but {_kind_of(key)}")
        return cls(key.public_bytes_raw())

    @property
    def spki(self) -> bytes:
        """The SubjectPublicKeyInfo DER (RFC 8410, section 4)."""
        return SPKI_PREFIX + self.raw

    def pem(self) -> bytes:
        """The SubjectPublicKeyInfo PEM."""
        key = Ed25519PublicKey.from_public_bytes(self.raw)
        return key.public_bytes(Encoding.PEM, PublicFormat.SubjectPublicKeyInfo)

    def verify(self, signature: bytes, data: bytes) -> bool:
        """Tell whether this is the key's signature over the data (RFC 8032, section 5.1.7).

        Of the two equations there, the one without the cofactor; R is compared as bytes, and
        refused if its order is small. ``docs/spec.md``, "Signatures", says it in full.
        """
        check_library()
        return len(signature) == nacl.bindings.crypto_sign_BYTES and _is_signature(
            self.raw, signature, data
        )

    def __eq__(self, other: object) -> bool:
        return isinstance(other, PublicKey) and self.raw == other.raw

    def __hash__(self) -> int:
        return hash(self.raw)

    def __repr__(self) -> str:
        return f"PublicKey({self.key_id[:16]}…)"


class PrivateKey:
    """An Ed25519 private key; a Signer. Never printed, never logged."""

    limit: None = None

    def __init__(self, seed: bytes) -> None:
        """Take the 32 secret bytes of RFC 8032, section 5.1.5; else raise MalformedError."""
        check_given(seed, bytes, "the 32 bytes of a private key")
        if len(seed) != 32:
            raise MalformedError(f"not an Ed25519 private key: {len(seed)} bytes, expected 32")
        self._key = Ed25519PrivateKey.from_private_bytes(seed)
        self.public_key: PublicKey = PublicKey(self._key.public_key().public_bytes_raw())

    @classmethod
    def from_pem(cls, pem: bytes, passphrase: bytes | str | None = None) -> PrivateKey:
        """Read a PKCS#8 PEM, or a private key as OpenSSH writes it.

        Raises KeyUnavailable for a passphrase that is missing or wrong, MalformedError for what is
        no Ed25519 private key.
        """
        return cls.from_key(load_private(pem, passphrase))

    @classmethod
    def from_key(cls, key: object) -> PrivateKey:
        """Take what ``load_private`` read; raise MalformedError for anything but Ed25519."""
        if not isinstance(key, Ed25519PrivateKey):
            raise MalformedError(f"not an Ed25519 key but {_kind_of(key)}")
        return cls(key.private_bytes_raw())

    def sign(self, data: bytes) -> bytes:
        """The 64 bytes of the signature over the data (RFC 8032, section 5.1.6)."""
        return self._key.sign(data)

    def pem(self, passphrase: bytes | str | None = None) -> bytes:
        """The PKCS#8 PEM, encrypted if there is a passphrase."""
        return self._key.private_bytes(Encoding.PEM, PrivateFormat.PKCS8, encryption(passphrase))

    def __repr__(self) -> str:
        return f"PrivateKey({self.public_key.key_id[:16]}…)"


@cache
def check_library() -> None:
    """Test what judges keys and signatures, once; raises LibraryUnsafe if it judges otherwise."""
    wrong = [
        what
        for what, judged, expected in (
            ("an ordinary signature", _is_signature(TEST_KEY, TEST_SIGNATURE, TEST_MESSAGE), True),
            ("an R of mixed order", _is_signature(TEST_KEY, MIXED_ORDER_R, TEST_MESSAGE), False),
            ("an R of small order", _is_signature(TEST_KEY, SMALL_ORDER_R, TEST_MESSAGE), False),
            (
                "a signature by a key of small order",
                _is_signature(SMALL_ORDER_KEY, FITS_EVERY_MESSAGE, TEST_MESSAGE),
                False,
            ),
            ("a key of prime order", _is_key(TEST_KEY), True),
            ("a key of small order", _is_key(SMALL_ORDER_KEY), False),
            ("a key of mixed order", _is_key(MIXED_ORDER_KEY), False),
        )
        if judged != expected
    ]
    if wrong:
        raise LibraryUnsafe(
            f"libsodium (PyNaCl) judges otherwise than the format: {', '.join(wrong)}",
            hint="pip install --force-reinstall 'PyNaCl>=1.5,<1.7'",
        )


def load_public(pem: bytes) -> object:
    """Read a SubjectPublicKeyInfo PEM of any algorithm; raise MalformedError for anything else."""
    label = _label(pem)
    if label != "PUBLIC KEY":
        hint = ""
        if "PRIVATE" in label:
            hint = "this is a private key; 'ledger key show' prints its public key"
        raise MalformedError(f"not a public key in PEM form but {label}", hint=hint)
    try:
        return load_pem_public_key(pem)
    except (ValueError, UnsupportedAlgorithm, InternalError):
        raise MalformedError("not a public key in PEM form") from None


def load_private(pem: bytes, passphrase: bytes | str | None) -> object:
    """Read a private key of any algorithm; raise what ``PrivateKey.from_pem`` does."""
    passphrase = _in_bytes(passphrase)
    label = _label(pem)
    if label not in PRIVATE_LABELS:
        raise MalformedError(
            f"not a private key in PEM form (PKCS#8 or OpenSSH) but {label}",
            hint="'ledger key generate' or 'openssl genpkey -algorithm ed25519' makes one",
        )
    if not is_encrypted(pem):
        passphrase = None  # a passphrase that is not needed does no harm
    elif not passphrase:
        raise KeyUnavailable(
            "the private key is encrypted and no passphrase was given",
            hint="set LEDGER_PASSPHRASE_FILE, or answer the prompt in a terminal",
        )
    load = load_ssh_private_key if label == OPENSSH else load_pem_private_key
    try:
        return load(pem, passphrase)
    except (ValueError, TypeError, UnsupportedAlgorithm, InternalError) as error:
        if "bcrypt" in str(error):
            raise KeyUnavailable(
                "an encrypted OpenSSH key needs the package bcrypt",
                hint="pip install bcrypt; or let an ssh-agent hold the key: 'ssh-add FILE'",
            ) from None
        if passphrase is not None:
            raise KeyUnavailable("wrong passphrase for the private key, or it is damaged") from None
        raise MalformedError("not a private key in PEM form") from None


def is_encrypted(pem: bytes) -> bool:
    """Tell whether it takes a passphrase to read a private key, or one of several."""
    if b"-----BEGIN ENCRYPTED PRIVATE KEY-----" in pem:
        return True
    body = re.search(rb"-----BEGIN OPENSSH PRIVATE KEY-----([A-Za-z0-9+/=\s]*)", pem)
    try:
        data = binascii.a2b_base64(body[1] if body else b"")
    except binascii.Error:
        return False  # whoever loads it says what is wrong
    cipher = data.removeprefix(b"openssh-key-v1\0")  # its length in 4 bytes, then its name
    return len(cipher) < len(data) and cipher[:8] != b"\0\0\0\x04none"


def encryption(passphrase: bytes | str | None) -> KeySerializationEncryption:
    """Return how a private key is encrypted in PEM form; raise InvalidError if it can't be."""
    passphrase = _in_bytes(passphrase)
    if passphrase is None:
        return NoEncryption()
    if not 0 < len(passphrase) <= MAX_PASSPHRASE:
        raise InvalidError(f"not a passphrase of 1 to {MAX_PASSPHRASE} bytes")
    return BestAvailableEncryption(passphrase)


def _is_key(raw: bytes) -> bool:
    return nacl.bindings.crypto_core_ed25519_is_valid_point(raw)


def _is_signature(raw: bytes, signature: bytes, data: bytes) -> bool:
    signed = signature + data
    # nacl.bindings.crypto_sign_open would hand out a copy of the data, for a twentieth of the time.
    return bool(lib.crypto_sign_open(ffi.NULL, ffi.NULL, signed, len(signed), raw) == 0)


def _in_bytes(passphrase: object) -> bytes | None:
    """Spell a passphrase in UTF-8, as the command and openssl do."""
    if passphrase is None or isinstance(passphrase, bytes):
        return passphrase
    try:
        if isinstance(passphrase, str):
            return passphrase.encode()
    except UnicodeEncodeError:
        pass
    raise InvalidError(f"not a passphrase: a {type(passphrase).__name__} (expected text or bytes)")


def _label(pem: bytes) -> str:
    """What a PEM says it is (RFC 7468): loaders do odd things with labels that are not expected."""
    match = re.search(rb"-----BEGIN ([A-Z0-9 ]{1,40})-----", pem)
    return match[1].decode() if match else "something else"


def _kind_of(key: object) -> str:
    name = type(key).__name__.removesuffix("PublicKey").removesuffix("PrivateKey").lstrip("_")
    return {"EllipticCurve": "EC", "EC": "EC"}.get(name, name)
