"""The user's keys: the registrar's own, the log's with its sealer's memory, a witness's."""

from __future__ import annotations

import hashlib
import re
from pathlib import Path
from typing import TYPE_CHECKING, TypeVar

from cli.config import KEYS, Config, KeyFor, make_own_folder
from ledger.errors import KeyUnavailable
from ledger.local.files import write_file
from ledger.signers import key_file

if TYPE_CHECKING:
    from collections.abc import Callable, Iterable

    from ledger import Signer
    from ledger.format.pem import OwnKey, VerifyingKey
    from ledger.tlog import WitnessKey

T = TypeVar("T")


def own_key(config: Config, flag: str | None = None) -> Signer:
    """Open what the user signs entries with; ask for its passphrase or PIN if it has one."""
    return config.signer(_name(config, flag, "registrar"))


def own_keys(config: Config, flag: str | None, role: KeyFor) -> tuple[Signer | OwnKey, ...]:
    """Open what signs in a role, with every key of a file: the log's, a witness's, a holder's."""
    return config.signers(_name(config, flag, role))


def log_signers(config: Config, flags: list[str] | None) -> tuple[Signer | OwnKey, ...]:
    """Open what signs the log: every key that an option names, and every key of a file."""
    if not flags:
        return own_keys(config, None, "log")
    return tuple(each for flag in flags for each in own_keys(config, flag, "log"))


def reread(names: Iterable[str], load: Callable[[], T]) -> Callable[[], T | None]:
    """Return what loads keys again once a file of theirs was replaced; None before that."""
    files = [path for name in names if (path := key_file(name))]

    def stamps() -> list[tuple[int, int] | None]:
        found = [path.stat() if path.exists() else None for path in files]
        return [(each.st_mtime_ns, each.st_ino) if each else None for each in found]

    seen, loaded = stamps(), None

    def check() -> T | None:
        nonlocal seen, loaded
        if (now := stamps()) != seen:
            loaded = load()
            seen = now
        return loaded

    return check


def _name(config: Config, flag: str | None, role: KeyFor) -> str:
    """Return what names a key; raises KeyUnavailable if it is a file that isn't there."""
    name = config.key(flag, role)
    if is_missing(name):
        words = {
            "registrar": "",
            "log": " for the log",
            "witness": " for a witness",
            "holder": " for a holder",
        }[role]
        how = "" if role == "registrar" else f" --for {role}"
        how += " --name NAME" if role == "witness" else ""
        raise KeyUnavailable(
            f"no private key{words}: {name}",
            hint=f"'ledger key generate{how}' makes one; --key and {KEYS[role][0]} name another",
        )
    return name


def shown_key(name: str) -> str:
    """Return what names a key, without what may be a PIN."""
    return re.sub(r"(?i)^(pkcs11:[^?]*)\?.*", r"\1", name)


def is_missing(name: str) -> bool:
    """Tell whether a key should be in a file that isn't there."""
    path = key_file(name)
    return path is not None and not path.exists()


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


def load_witness(
    config: Config, flag: str | None = None
) -> tuple[tuple[WitnessKey, Signer | OwnKey], ...]:
    """Load a witness's public keys with its name, each with what signs with it."""
    from ledger.tlog import parse_witness_key  # noqa: PLC0415

    key = config.key(flag, "witness")
    signers = own_keys(config, flag, "witness")
    # A device has no room beside it.
    name_file = _name_file(key_file(key) or config.folder / KEYS["witness"][1])
    try:
        public = [parse_witness_key(line) for line in name_file.read_text().splitlines()]
    except (OSError, UnicodeDecodeError) as error:
        raise KeyUnavailable(
            f"cannot read the witness's name: {name_file}",
            hint="it was made with the key and is public: get a copy from somebody who has it;"
            " for a key in a device, 'ledger key show --for witness --name NAME --vkey' prints it",
        ) from error
    if [each.key for each in public] != [each.public_key for each in signers]:
        raise KeyUnavailable(
            f"{name_file} does not belong to the keys in {shown_key(key)}",
            hint="restore both files from the same backup",
        )
    return tuple(zip(public, signers, strict=True))
