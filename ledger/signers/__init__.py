"""What signs, by URI: a key file, an HSM, an ssh-agent, a KMS or a program of your own."""

from __future__ import annotations

import os
import re
from pathlib import Path
from typing import TYPE_CHECKING, Any

from ledger.errors import InvalidError
from ledger.format.given import check_given

if TYPE_CHECKING:
    from ledger.format.keys import Signer
    from ledger.format.pem import OwnKey
    from ledger.local.keyfile import Passphrase

__all__ = ["TIMEOUT", "key_file", "open_signer", "open_signers"]

TIMEOUT = 30.0
"""Seconds in which a device has to answer: long enough for a person who has to touch it."""

KINDS = ("pkcs11", "ssh-agent", "awskms", "exec")
URI = re.compile(r"([A-Za-z][A-Za-z0-9+.-]+):(.*)", re.DOTALL)
EXPECTED = (
    "a key is a file's path, pkcs11:token=T;object=O, ssh-agent:SHA256:FINGERPRINT,"
    " awskms:///ARN or exec:/PROGRAM"
)


def open_signer(
    uri: str | os.PathLike[str],
    *,
    passphrase: Passphrase = None,
    pin: Passphrase = None,
    pkcs11_module: str | os.PathLike[str] | None = None,
    ssh_agent: str | os.PathLike[str] | None = None,
    timeout: float = TIMEOUT,
) -> Signer:
    """Open what signs: the path of a private key, or the URI of a device that holds one.

    Asks a device for its public key at once, and waits at most ``timeout`` seconds for each of its
    answers. ``passphrase`` is that of a file, and ``pin`` that of an HSM whose URI names none;
    either may be a function that asks for it, which is called only if need be. ``pkcs11_module`` is
    the library of the HSM's maker, unless the URI names it; ``ssh_agent`` is the agent's socket.
    Raises KeyUnavailable, InvalidError for a URI of another kind, and MalformedError for what is
    not a key.
    """
    kind, rest = _split(uri)
    # What a device needs is slow to load, and some of it is an extra.
    if kind == "pkcs11":
        from ledger.signers.hsm import HSMSigner  # noqa: PLC0415

        return HSMSigner(rest, module=pkcs11_module, pin=pin, timeout=timeout)
    if kind == "ssh-agent":
        from ledger.signers.agent import AgentSigner  # noqa: PLC0415

        return AgentSigner(rest, place=ssh_agent, timeout=timeout)
    if kind == "awskms":
        from ledger.signers.kms import KMSSigner  # noqa: PLC0415

        return KMSSigner(rest, timeout=timeout)
    if kind == "exec":
        from ledger.signers.program import ProgramSigner  # noqa: PLC0415

        return ProgramSigner(rest, timeout=timeout)
    from ledger.local.keyfile import load_key  # noqa: PLC0415

    return load_key(rest, passphrase)


def open_signers(
    uri: str | os.PathLike[str], *, passphrase: Passphrase = None, **options: Any
) -> tuple[Signer | OwnKey, ...]:
    """Open all that signs: the keys of a file, one of an algorithm, or the one key of a device.

    Takes the options of ``open_signer``.
    """
    path = key_file(uri)
    if path is not None:
        from ledger.local.keyfile import load_keys  # noqa: PLC0415 -- slow to load

        return load_keys(path, passphrase)
    return (open_signer(uri, passphrase=passphrase, **options),)


def key_file(uri: str | os.PathLike[str]) -> Path | None:
    """Return the path, if that is what names the key; None for a device."""
    kind, rest = _split(uri)
    return None if kind else Path(rest)


def _split(uri: str | os.PathLike[str]) -> tuple[str, str]:
    """Return the kind of a device and the rest of its URI; for a path no kind, and the path."""
    check_given(uri, (str, os.PathLike), "the path of a key file, or the URI of a signer")
    text = os.fspath(uri)
    match = URI.fullmatch(text) if isinstance(uri, str) else None
    if match is None:
        return "", text
    kind = match[1].lower()
    if kind not in KINDS:
        raise InvalidError(
            f"no signer is called {kind}:…", hint=f"{EXPECTED}; for a path with a colon, ./PATH"
        )
    return kind, match[2]
