"""The user's key files: the registrar's own, the log's with its sealer's memory, a witness's."""

from __future__ import annotations

import hashlib
from pathlib import Path
from typing import TYPE_CHECKING

from cli.config import make_own_folder
from ledger import load_key, load_keys
from ledger.errors import KeyUnavailable
from ledger.local.files import write_file

if TYPE_CHECKING:
    from collections.abc import Iterable

    from cli.config import Config
    from ledger import PrivateKey
    from ledger.format.pem import OwnKey, VerifyingKey
    from ledger.tlog import WitnessKey

__all__ = [
    "LOG_KEY",
    "load_witness",
    "log_key_file",
    "log_keys",
    "memory_file",
    "memory_place",
    "new_name_file",
    "own_key",
    "witness_key_file",
    "write_witness",
]

LOG_KEY = "log-key.pem"
WITNESS_KEY = "witness-key.pem"


def own_key(config: Config, flag: Path | None = None) -> PrivateKey:
    """Load the user's private key; ask for its passphrase if it has one."""
    path = config.key_file(flag)
    return load_key(path, config.passphrase(path))


def log_key_file(config: Config, flag: Path | None = None) -> Path:
    """Return the file of the log's key: --key > LEDGER_LOG_KEY_FILE > ``log-key.pem``."""
    named = flag or config.environment.get("LEDGER_LOG_KEY_FILE")
    return Path(named).expanduser() if named else config.folder / LOG_KEY


def log_keys(config: Config, flag: Path | None = None) -> tuple[OwnKey, ...]:
    """Load the log's private keys; ask for their passphrase if they have one."""
    path = log_key_file(config, flag)
    try:
        return load_keys(path, config.passphrase(path))
    except KeyUnavailable as error:
        if path.exists():
            raise
        raise KeyUnavailable(
            f"no private key for the log: {path}",
            hint="'ledger key generate --for log' makes one;"
            " --key and LEDGER_LOG_KEY_FILE name another",
        ) from error


def memory_file(config: Config, origin: str, flag: Path | None = None) -> Path:
    """Return the file of the sealer's memory, one for each origin, and make its folder.

    It is neither cache nor configuration, so it is below ``$XDG_STATE_HOME``. Back it up.
    """
    if flag is not None:
        return flag
    path = memory_place(config, origin)
    make_own_folder(path.parent)
    return path


def memory_place(config: Config, origin: str) -> Path:
    """Return where the memory is unless an option names a file; it may not exist yet."""
    base = config.environment.get("XDG_STATE_HOME") or Path("~/.local/state").expanduser()
    name = f"sealer-{hashlib.sha256(origin.encode()).hexdigest()[:16]}.json"
    return Path(base) / "title-ledger" / name


# -- Witnesses -------------------------------------------------------------------------------------


def witness_key_file(config: Config, flag: Path | None = None) -> Path:
    """Return the file of a witness's key: --key > LEDGER_WITNESS_KEY_FILE > the default."""
    named = flag or config.environment.get("LEDGER_WITNESS_KEY_FILE")
    return Path(named).expanduser() if named else config.folder / WITNESS_KEY


def new_name_file(key_file: Path) -> Path:
    """Return where the name of a new witness goes; raises KeyUnavailable if one is there."""
    path = _name_file(key_file)
    if path.exists():
        raise KeyUnavailable(
            f"there is already a witness's name in {path}",
            hint="it belongs to a key; choose another file, or move this one away",
        )
    return path


def _name_file(key_file: Path) -> Path:
    """Return the file for the name, which is part of the public key; PKCS#8 has no room for it."""
    return key_file.with_suffix(".vkey")


def write_witness(
    key_file: Path, name: str, public: Iterable[VerifyingKey]
) -> tuple[WitnessKey, ...]:
    """Write the public keys of a witness, with its name, beside the private ones: one a line."""
    from ledger.tlog import witness_key  # noqa: PLC0415 -- few commands need witnesses

    keys = tuple(witness_key(name, each) for each in public)
    write_file(_name_file(key_file), "".join(f"{key.vkey}\n" for key in keys).encode())
    return keys


def load_witness(config: Config, flag: Path | None = None) -> tuple[tuple[WitnessKey, OwnKey], ...]:
    """Load a witness's public keys with its name, each with its private key."""
    from ledger.tlog import parse_witness_key  # noqa: PLC0415

    path = witness_key_file(config, flag)
    if not path.exists():
        raise KeyUnavailable(
            f"no private key for a witness: {path}",
            hint="'ledger key generate --for witness --name NAME' makes one;"
            " --key and LEDGER_WITNESS_KEY_FILE name another",
        )
    private = load_keys(path, config.passphrase(path))
    name_file = _name_file(path)
    try:
        public = [parse_witness_key(line) for line in name_file.read_text().splitlines()]
    except (OSError, UnicodeDecodeError) as error:
        raise KeyUnavailable(
            f"cannot read the witness's name: {name_file}",
            hint="it was made with the key and is public: get a copy from somebody who has it",
        ) from error
    if [key.key for key in public] != [key.public_key for key in private]:
        raise KeyUnavailable(
            f"{name_file} does not belong to the keys in {path}",
            hint="restore both files from the same backup",
        )
    return tuple(zip(public, private, strict=True))
