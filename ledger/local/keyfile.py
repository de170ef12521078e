"""Private keys on disk: made once, for the owner alone, refused when others could read them."""

from __future__ import annotations

import os
import secrets
import stat
from pathlib import Path

from ledger.errors import KeyUnavailable
from ledger.format.keys import PrivateKey

__all__ = ["create_key", "load_key", "read_private"]

MAX_KEY_FILE = 64 << 10


def create_key(path: str | os.PathLike[str], passphrase: bytes | None = None) -> PrivateKey:
    """Make a private key and keep it in a new file (PKCS#8 PEM, mode 0600), encrypted or not.

    Raises KeyUnavailable where the file is there already, or can't be written.
    """
    key = PrivateKey(secrets.token_bytes(32))
    target = Path(path)
    try:
        descriptor = os.open(target, os.O_WRONLY | os.O_CREAT | os.O_EXCL | os.O_NOFOLLOW, 0o600)
        try:
            with os.fdopen(descriptor, "wb") as file:
                file.write(key.pem(passphrase))
                file.flush()
                os.fsync(file.fileno())
        except BaseException:
            target.unlink()  # half a key is none, and would be in the way of the next
            raise
    except FileExistsError:
        raise KeyUnavailable(
            f"there is a key already: {target}",
            hint="a key is never overwritten; choose another file, or move this one away",
        ) from None
    except OSError as error:
        raise KeyUnavailable(f"cannot write the key: {target}: {error.strerror}") from error
    return key


def load_key(path: str | os.PathLike[str], passphrase: bytes | None = None) -> PrivateKey:
    """Read a private key; raises KeyUnavailable or MalformedError.

    A file that the group or the world can read or write is refused, as ssh does.
    """
    return PrivateKey.from_pem(read_private(path), passphrase)


def read_private(path: str | os.PathLike[str]) -> bytes:
    """The bytes of a private key's file, encrypted or not; raises what ``load_key`` does."""
    target = Path(path)
    try:
        with target.open("rb") as file:
            mode = os.fstat(file.fileno()).st_mode
            pem = file.read(MAX_KEY_FILE)
    except FileNotFoundError:
        raise KeyUnavailable(
            f"no private key: {target}",
            hint="'ledger key generate' makes one; --key and LEDGER_KEY_FILE name another",
        ) from None
    except OSError as error:
        raise KeyUnavailable(f"cannot read the private key: {target}: {error.strerror}") from error
    if mode & (stat.S_IRWXG | stat.S_IRWXO):
        raise KeyUnavailable(
            f"others can read the private key: {target} (mode {stat.S_IMODE(mode):04o})",
            hint=f"chmod 600 {target}; if others had access to this machine, the key has leaked",
        )
    return pem
