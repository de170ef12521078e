"""Witnesses: their keys, and the policy that says whose cosignatures are asked for."""

from __future__ import annotations

from pathlib import Path
from typing import TYPE_CHECKING, Annotated

import typer

from ledger import LedgerError, MalformedError, NotFoundError, Report
from ledger import load_key as load_private_key
from ledger.errors import KeyUnavailable, OriginNotPinned
from ledger.format.layout import LOG_CHECKPOINT
from ledger.format.report import finding_of
from ledger.local.newfile import NewFile

if TYPE_CHECKING:
    from datetime import datetime

    from cli.config import Config
    from ledger import Ledger, PrivateKey, PublicKey
    from ledger.tlog import WitnessKey, WitnessPolicy

__all__ = [
    "WitnessOption",
    "address_by",
    "judge_published",
    "load_witness",
    "new_name_file",
    "read_checkpoint",
    "read_policy",
    "witness_key_file",
    "write_witness",
]

WITNESS_KEY = "witness-key.pem"
MAX_BYTES = 1_000_001
"""One more than any of these files could have."""

WitnessOption = Annotated[
    Path | None,
    typer.Option(
        "--witness", metavar="POLICY", help="A file: which witnesses have to have cosigned."
    ),
]


# -- Keys ------------------------------------------------------------------------------------------


def witness_key_file(config: Config, flag: Path | None = None) -> Path:
    """The private key of a witness: --key > LEDGER_WITNESS_KEY_FILE > ``witness-key.pem``."""
    named = flag or config.environment.get("LEDGER_WITNESS_KEY_FILE")
    return Path(named).expanduser() if named else config.folder / WITNESS_KEY


def new_name_file(key_file: Path) -> Path:
    """Where the name of a new witness will be; raises KeyUnavailable where one is there already."""
    path = _name_file(key_file)
    if path.exists():
        raise KeyUnavailable(
            f"there is the name of a witness already: {path}",
            hint="it belongs to a key; choose another file, or move this one away",
        )
    return path


def _name_file(key_file: Path) -> Path:
    """A witness's name is a part of its public key, and no private key has room for it."""
    return key_file.with_suffix(".vkey")


def write_witness(key_file: Path, name: str, public: PublicKey) -> WitnessKey:
    """Keep the public key of a witness, with its name, beside the private one."""
    from ledger.tlog import WitnessKey  # noqa: PLC0415 -- most commands ask for no witness

    witness = WitnessKey(name, public)
    with NewFile(_name_file(key_file)) as file:
        file.write(f"{witness.vkey}\n".encode())
        file.commit()
    return witness


def load_witness(config: Config, flag: Path | None = None) -> tuple[WitnessKey, PrivateKey]:
    """A witness's public key, with its name, and its private one."""
    from ledger.tlog import WitnessKey  # noqa: PLC0415

    path = witness_key_file(config, flag)
    if not path.exists():
        raise KeyUnavailable(
            f"no private key for a witness: {path}",
            hint="'ledger key generate --for witness --name NAME' makes one;"
            " --key and LEDGER_WITNESS_KEY_FILE name another",
        )
    private = load_private_key(path, config.passphrase(path))
    name_file = _name_file(path)
    try:
        witness = WitnessKey.from_vkey(name_file.read_text().strip())
    except (OSError, UnicodeDecodeError) as error:
        raise KeyUnavailable(
            f"cannot read the witness's name: {name_file}",
            hint="it was made with the key, and is public: bring it back from whoever has it",
        ) from error
    if witness.key != private.public_key:
        raise KeyUnavailable(f"{name_file} is not of the key in {path}")
    return witness, private


# -- Policies --------------------------------------------------------------------------------------


def read_policy(path: Path) -> WitnessPolicy:
    """Read a policy file; what is wrong is said with its name."""
    from ledger.tlog import WitnessPolicy  # noqa: PLC0415

    try:
        return WitnessPolicy.parse(_read(path))
    except MalformedError as error:
        raise MalformedError(f"{path}: {error}") from error


def read_checkpoint(path: Path) -> bytes:
    """The bytes of a checkpoint that somebody kept, or signed."""
    return _read(path)


def _read(path: Path) -> bytes:
    try:
        with path.open("rb") as file:
            return file.read(MAX_BYTES)
    except OSError as error:
        raise NotFoundError(f"cannot read {path}: {error.strerror}") from error


def judge_published(ledger: Ledger, policy: WitnessPolicy, now: datetime) -> Report:
    """What the published checkpoint lacks of what the policy asks for, as a report."""
    from ledger import Log  # noqa: PLC0415

    try:
        signed = Log(ledger).checkpoint(witnesses=policy.witnesses)
    except OriginNotPinned:
        raise  # nothing can be said: the keyring is not set up
    except LedgerError as error:
        return Report(ledger.origin, findings=(finding_of(error, LOG_CHECKPOINT),))
    lacking = policy.judge(signed, now)
    return Report(ledger.origin, findings=(lacking,) if lacking else ())


def address_by(ledger: Ledger, title_number: str, path: Path) -> str | None:
    """The newest version of a title that the log had by a checkpoint in a file; None: none."""
    from ledger import Log  # noqa: PLC0415

    leaf = Log(ledger).known(title_number, read_checkpoint(path))
    return leaf.address if leaf else None
