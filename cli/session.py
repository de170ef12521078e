"""From options to an open ledger."""

from __future__ import annotations

from typing import TYPE_CHECKING

from cli.config import load_config
from ledger import Ledger, PrivateKey, load_key

if TYPE_CHECKING:
    from pathlib import Path

    from cli.config import Config

__all__ = ["open_ledger", "own_key"]


def own_key(config: Config, flag: Path | None = None) -> PrivateKey:
    """The user's private key, its passphrase asked for if it has one."""
    path = config.key_file(flag)
    return load_key(path, config.passphrase(path))


def open_ledger(
    store: str | None, *, key: Path | None = None, sign: bool = False, origin: str | None = None
) -> Ledger:
    """Open the ledger that the options, the environment and the files name."""
    config = load_config()
    url = config.store(store)
    return Ledger.open(
        url,
        keyring=config.keyring(),
        origin=origin or config.origin_of(url),
        signer=own_key(config, key) if sign else None,
    )
