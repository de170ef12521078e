"""Make and read private key files, which only their owner may be able to read."""

from __future__ import annotations

import os
import secrets
import stat
from collections.abc import Callable
from typing import TYPE_CHECKING, TypeAlias, TypeVar

from ledger.errors import InvalidError, KeyUnavailable, MalformedError, StoreUnavailable, TrustError
from ledger.format.mldsa import MLDSAPrivateKey, ParameterSet
from ledger.format.pem import OwnKey, encode_private_keys, read_private_keys
from ledger.format.signing import PrivateKey, is_encrypted
from ledger.local.files import as_path, read_own, write_file

if TYPE_CHECKING:
    from collections.abc import Iterable

MAX_KEY_FILE = 64 << 10

Passphrase: TypeAlias = bytes | str | Callable[[str], bytes | str | None] | None
"""A passphrase, or a function that asks for it with the words that it is given."""

Read = TypeVar("Read")


def create_key(path: str | os.PathLike[str], passphrase: bytes | str | None = None) -> PrivateKey:
    """Make a private key and keep it in a new file (PKCS#8 PEM, mode 0600).

    A passphrase encrypts the file. Raises KeyUnavailable if the file exists or can't be written,
    InvalidError if the passphrase is too long.
    """
    key = PrivateKey(secrets.token_bytes(32))
    _write(path, [key], passphrase)
    return key


def create_keys(
    path: str | os.PathLike[str],
    passphrase: bytes | str | None = None,
    algorithm: ParameterSet = "ML-DSA-44",
) -> tuple[PrivateKey, MLDSAPrivateKey]:
    """Make an Ed25519 key and an ML-DSA key in one new file, as ``create_key`` makes one."""
    keys = (
        PrivateKey(secrets.token_bytes(32)),
        MLDSAPrivateKey(algorithm, secrets.token_bytes(32)),
    )
    _write(path, keys, passphrase)
    return keys


def _write(
    path: str | os.PathLike[str], keys: Iterable[OwnKey], passphrase: bytes | str | None
) -> None:
    path = as_path(path)
    pem = encode_private_keys(keys, passphrase)
    try:
        write_file(path, pem, mode=0o600)
    except InvalidError as error:
        raise KeyUnavailable(
            f"there is a key already: {os.fspath(path)}",
            hint="a key is never overwritten; choose another file, or move this one away",
        ) from error
    except StoreUnavailable as error:
        raise KeyUnavailable(f"no key was made: {error}") from error


def load_key(path: str | os.PathLike[str], passphrase: Passphrase = None) -> PrivateKey:
    """Read a private key, PKCS#8 or OpenSSH's; raises KeyUnavailable or MalformedError.

    Asks for the passphrase only if the key is encrypted. Refuses a file that the group or the world
    can read or write, as ssh does, another user's file, and what is not a plain file.
    """
    return _load(path, passphrase, PrivateKey.from_pem)


def load_keys(path: str | os.PathLike[str], passphrase: Passphrase = None) -> tuple[OwnKey, ...]:
    """Read all private keys of a file, one of an algorithm; see ``load_key``."""
    return _load(path, passphrase, read_private_keys)


def _load(
    path: str | os.PathLike[str],
    passphrase: Passphrase,
    read: Callable[[bytes, bytes | str | None], Read],
) -> Read:
    pem = read_private(path)
    if callable(passphrase):
        words = f"Passphrase for {os.fspath(path)}: "
        passphrase = passphrase(words) if is_encrypted(pem) else None
    try:
        return read(pem, passphrase)
    except (KeyUnavailable, MalformedError) as error:
        if os.fspath(path) in str(error):
            raise
        raise type(error)(f"{os.fspath(path)}: {error}", hint=error.hint) from error


def read_private(path: str | os.PathLike[str]) -> bytes:
    """Read the bytes of a private key file, encrypted or not; raises what ``load_key`` does."""
    target = as_path(path)
    try:
        mode = target.stat().st_mode
        if mode & (stat.S_IRWXG | stat.S_IRWXO) and stat.S_ISREG(mode):
            raise KeyUnavailable(
                f"others can read the private key: {target} (mode {stat.S_IMODE(mode):04o})",
                hint=f"chmod 600 {target};"
                " if others had access to this machine, the key has leaked",
            )
        return read_own(target, MAX_KEY_FILE)
    except FileNotFoundError:
        raise KeyUnavailable(
            f"no private key: {target}",
            hint="'ledger key generate' makes one; --key and LEDGER_KEY name another",
        ) from None
    except OSError as error:
        raise KeyUnavailable(f"cannot read the private key: {target}: {error.strerror}") from error
    except KeyUnavailable:
        raise
    except TrustError as error:
        raise KeyUnavailable(f"the private key: {error}", hint=error.hint) from error
