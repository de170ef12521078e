"""What sealing needs besides a ledger: the log's own key, and the sealer's memory."""

from __future__ import annotations

import hashlib
from pathlib import Path
from typing import TYPE_CHECKING

from cli.config import make_folder
from ledger import load_key
from ledger.errors import KeyUnavailable

if TYPE_CHECKING:
    from cli.config import Config
    from ledger import PrivateKey

__all__ = ["LOG_KEY", "log_key", "log_key_file", "memory_file", "memory_place"]

LOG_KEY = "log-key.pem"


def log_key_file(config: Config, flag: Path | None = None) -> Path:
    """The private key of the log: --key > LEDGER_LOG_KEY_FILE > ``log-key.pem`` beside yours."""
    named = flag or config.environment.get("LEDGER_LOG_KEY_FILE")
    return Path(named).expanduser() if named else config.folder / LOG_KEY


def log_key(config: Config, flag: Path | None = None) -> PrivateKey:
    """The log's private key, its passphrase asked for if it has one."""
    path = log_key_file(config, flag)
    try:
        return load_key(path, config.passphrase(path))
    except KeyUnavailable as error:
        if path.exists():
            raise
        raise KeyUnavailable(
            f"no private key for the log: {path}",
            hint="'ledger key generate --for log' makes one;"
            " --key and LEDGER_LOG_KEY_FILE name another",
        ) from error


def memory_file(config: Config, origin: str, flag: Path | None = None) -> Path:
    """Where the sealer of this ledger keeps its memory: one file for each origin.

    It is no cache and no configuration: below ``$XDG_STATE_HOME``, which backups should have.
    """
    if flag is not None:
        return flag
    path = memory_place(config, origin)
    make_folder(path.parent)
    return path


def memory_place(config: Config, origin: str) -> Path:
    """The memory's file, where no option names another; neither it nor its folder may be there."""
    base = config.environment.get("XDG_STATE_HOME") or Path("~/.local/state").expanduser()
    name = f"sealer-{hashlib.sha256(origin.encode()).hexdigest()[:16]}.json"
    return Path(base) / "title-ledger" / name
