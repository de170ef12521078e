"""Ed25519 keys (RFC 8032), their ids and their PEM form; the protocol of what signs.

Signatures are checked by libsodium (PyNaCl), which refuses what OpenSSL lets pass: small-order
public keys, for which one signature fits every message, and small-order R. A library of another
version might judge otherwise, and two readers would then disagree about one signature; so it is
tested before its first use.
"""

from __future__ import annotations

import hashlib
import re
from binascii import a2b_base64, b2a_base64
from functools import cache
from typing import Final, Protocol

import nacl.bindings
from nacl._sodium import ffi, lib  # type: ignore[import-not-found]

from ledger.errors import LibraryUnsafe, MalformedError
from ledger.format.given import check_given

SPKI_PREFIX = bytes.fromhex("302a300506032b6570032100")
"""What precedes the 32 bytes of an Ed25519 key in a SubjectPublicKeyInfo (RFC 8410, section 4)."""

ED25519_PEM = re.compile(
    rb"-----BEGIN PUBLIC KEY-----\n"
    rb"(MCowBQYDK2VwAyEA[A-Za-z0-9+/]{42}[AEIMQUYcgkosw048]=)\n"  # the last digit has four bits
    rb"-----END PUBLIC KEY-----\n?"
)
"""One spelling of such a PEM: the prefix in base64, then the key."""
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
        own = read_ed25519(pem)
        if own is not None:
            return own
        from cryptography.hazmat.primitives.asymmetric.ed25519 import Ed25519PublicKey

        key = load_public(pem)
        if not isinstance(key, Ed25519PublicKey):
            raise MalformedError(f"not an Ed25519 key but {kind_of(key)}")
        return cls(key.public_bytes_raw())

    @property
    def spki(self) -> bytes:
        """The SubjectPublicKeyInfo DER (RFC 8410, section 4)."""
        return SPKI_PREFIX + self.raw

    def pem(self) -> bytes:
        """The SubjectPublicKeyInfo PEM."""
        body = b2a_base64(self.spki)
        return b"-----BEGIN PUBLIC KEY-----\n" + body + b"-----END PUBLIC KEY-----\n"

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


def read_ed25519(pem: bytes) -> PublicKey | None:
    """Read an Ed25519 key as OpenSSL and we spell it; None for anything else, which may be a key.

    Most keyrings hold no other keys, and so most readers need not load ``cryptography``.
    """
    body = ED25519_PEM.fullmatch(pem)
    return PublicKey(a2b_base64(body[1])[len(SPKI_PREFIX) :]) if body else None


def load_public(pem: bytes) -> object:
    """Read a SubjectPublicKeyInfo PEM of any algorithm; raise MalformedError for anything else."""
    label = label_of(pem)
    if label != "PUBLIC KEY":
        hint = ""
        if "PRIVATE" in label:
            hint = "this is a private key; 'ledger key show' prints its public key"
        raise MalformedError(f"not a public key in PEM form but {label}", hint=hint)
    from cryptography.exceptions import InternalError, UnsupportedAlgorithm
    from cryptography.hazmat.primitives.serialization import load_pem_public_key

    try:
        return load_pem_public_key(pem)
    except (ValueError, UnsupportedAlgorithm, InternalError):
        raise MalformedError("not a public key in PEM form") from None


def _is_key(raw: bytes) -> bool:
    return nacl.bindings.crypto_core_ed25519_is_valid_point(raw)


def _is_signature(raw: bytes, signature: bytes, data: bytes) -> bool:
    signed = signature + data
    # nacl.bindings.crypto_sign_open would hand out a copy of the data, for a twentieth of the time.
    return bool(lib.crypto_sign_open(ffi.NULL, ffi.NULL, signed, len(signed), raw) == 0)


def label_of(pem: bytes) -> str:
    """What a PEM says it is (RFC 7468): loaders do odd things with labels that are not expected."""
    match = re.search(rb"-----BEGIN ([A-Z0-9 ]{1,40})-----", pem)
    return match[1].decode() if match else "something else"


def kind_of(key: object) -> str:
    """The algorithm of what ``cryptography`` read, for a message."""
    name = type(key).__name__.removesuffix("PublicKey").removesuffix("PrivateKey").lstrip("_")
    return {"EllipticCurve": "EC", "EC": "EC"}.get(name, name)
