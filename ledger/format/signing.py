"""Signing, and Ed25519 private keys in PEM form: PKCS#8, or as OpenSSH writes them.

libsodium (PyNaCl) signs: it takes two thirds of OpenSSL's time, and lets other threads run. PEM
files go through ``cryptography``, which is slow to load; whoever only verifies waits for none of
it.
"""

from __future__ import annotations

import binascii
import re
from typing import NoReturn

import nacl.bindings
from cryptography.exceptions import InternalError, UnsupportedAlgorithm
from cryptography.hazmat.primitives.asymmetric.ed25519 import Ed25519PrivateKey
from cryptography.hazmat.primitives.serialization import (
    BestAvailableEncryption,
    Encoding,
    KeySerializationEncryption,
    NoEncryption,
    PrivateFormat,
    load_pem_private_key,
    load_ssh_private_key,
)
from nacl._sodium import ffi, lib  # type: ignore[import-not-found]

from ledger.errors import InvalidError, KeyUnavailable, MalformedError
from ledger.format.given import check_given
from ledger.format.keys import AnySigner, PublicKey, kind_of, label_of

OPENSSH = "OPENSSH PRIVATE KEY"
PRIVATE_LABELS = ("PRIVATE KEY", "ENCRYPTED PRIVATE KEY", OPENSSH)

MAX_PASSPHRASE = 1023
"""The longest passphrase, in bytes, that OpenSSL encrypts a key with."""


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


class PrivateKey:
    """An Ed25519 private key; a Signer. Never printed, never logged."""

    limit: None = None

    def __init__(self, seed: bytes) -> None:
        """Take the 32 secret bytes of RFC 8032, section 5.1.5; else raise MalformedError."""
        check_given(seed, bytes, "the 32 bytes of a private key")
        if len(seed) != nacl.bindings.crypto_sign_SEEDBYTES:
            raise MalformedError(f"not an Ed25519 private key: {len(seed)} bytes, expected 32")
        public, self._secret = nacl.bindings.crypto_sign_seed_keypair(seed)
        self.public_key: PublicKey = PublicKey(public)

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
            raise MalformedError(f"not an Ed25519 key but {kind_of(key)}")
        return cls(key.private_bytes_raw())

    def sign(self, data: bytes) -> bytes:
        """The 64 bytes of the signature over the data (RFC 8032, section 5.1.6)."""
        size = nacl.bindings.crypto_sign_BYTES
        signed = ffi.new("unsigned char[]", size + len(data))
        # nacl.bindings.crypto_sign would copy all of it once more.
        if lib.crypto_sign(signed, ffi.NULL, data, len(data), self._secret) != 0:
            raise KeyUnavailable("libsodium could not sign")
        return bytes(ffi.buffer(signed, size))

    def pem(self, passphrase: bytes | str | None = None) -> bytes:
        """The PKCS#8 PEM, encrypted if there is a passphrase."""
        key = Ed25519PrivateKey.from_private_bytes(
            self._secret[: nacl.bindings.crypto_sign_SEEDBYTES]
        )
        return key.private_bytes(Encoding.PEM, PrivateFormat.PKCS8, encryption(passphrase))

    def __reduce__(self) -> NoReturn:
        """Refuse to be sent to another process, or copied: raise TypeError, as Python does."""
        raise TypeError("a private key can't be pickled")

    def __repr__(self) -> str:
        return f"PrivateKey({self.public_key.key_id[:16]}…)"


def load_private(pem: bytes, passphrase: bytes | str | None) -> object:
    """Read a private key of any algorithm; raise what ``PrivateKey.from_pem`` does."""
    passphrase = _in_bytes(passphrase)
    label = label_of(pem)
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
