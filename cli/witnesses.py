"""Policies, which say whose cosignatures a checkpoint needs, and checkpoints in files."""

from __future__ import annotations

from pathlib import Path
from typing import TYPE_CHECKING, Annotated, Any

import typer

from cli.config import load_config
from cli.inputs import naming, read_input
from cli.terminal.text import printable
from ledger import Keyring, Ledger, LedgerError, Report
from ledger.errors import OriginNotPinned
from ledger.format.layout import LOG_CHECKPOINT
from ledger.format.report import finding_of
from ledger.format.times import format_time

if TYPE_CHECKING:
    from collections.abc import Iterator, Mapping
    from datetime import datetime

    from ledger.tlog import WitnessPolicy

MAX_BYTES = 1_000_001
"""One more than a policy or a checkpoint can have."""

WitnessOption = Annotated[
    Path | None,
    typer.Option(
        "--witness", metavar="POLICY", help="A policy file: which witnesses must have cosigned."
    ),
]


def read_policy(path: Path, keyring: Keyring | None = None) -> WitnessPolicy:
    """Read a policy file whose witnesses have no other role in the keyring, or in the user's.

    Raises NotFoundError, or MalformedError with the name of the file.
    """
    from ledger.tlog import WitnessPolicy  # noqa: PLC0415

    with naming(path):
        policy = WitnessPolicy.parse(read_input(path, MAX_BYTES))
        policy.check_roles(load_config().keyring() if keyring is None else keyring)
    return policy


def read_checkpoint(path: Path) -> bytes:
    """Read a checkpoint that somebody kept or cosigned; raises NotFoundError."""
    return read_input(path, MAX_BYTES)


def judge_published(ledger: Ledger, policy: WitnessPolicy, now: datetime) -> Report:
    """Report what the published checkpoint lacks of what the policy asks for."""
    from ledger import Log  # noqa: PLC0415

    try:
        signed = Log(ledger).checkpoint(witnesses=policy.witnesses)
    except OriginNotPinned:
        raise  # nothing can be checked: the keyring is not set up
    except LedgerError as error:
        return Report(ledger.origin, findings=(finding_of(error, LOG_CHECKPOINT),))
    lacking = policy.judge(signed, now)
    return Report(ledger.origin, findings=(lacking,) if lacking else ())


def cosigned_lines(counted: Mapping[str, datetime]) -> Iterator[str]:
    """Yield a line for each witness that has cosigned, by the policy's name for it."""
    for name, moment in counted.items():
        yield f"cosigned: by {printable(name)}, {moment:%Y-%m-%dT%H:%M:%SZ}"


def cosigned_json(policy: WitnessPolicy, counted: Mapping[str, datetime]) -> list[dict[str, Any]]:
    """Return who has cosigned, and when, as JSON."""
    return [
        {"witness": policy.keys[name].name, "time": format_time(moment)}
        for name, moment in counted.items()
    ]


def address_by(ledger: Ledger, title_number: str, path: Path) -> str | None:
    """Return the address of the newest version that the log had by the checkpoint in a file.

    None if the log did not have the title then.
    """
    from ledger import Log  # noqa: PLC0415

    leaf = Log(ledger).known(title_number, read_checkpoint(path))
    return leaf.address if leaf else None
