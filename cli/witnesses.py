"""Policies, which say whose cosignatures a checkpoint needs, and checkpoints in files."""

from __future__ import annotations

from pathlib import Path
from typing import TYPE_CHECKING, Annotated

import typer

from cli.inputs import read_input
from ledger import LedgerError, MalformedError, Report
from ledger.errors import OriginNotPinned
from ledger.format.chain import finding_of
from ledger.format.layout import LOG_CHECKPOINT

if TYPE_CHECKING:
    from datetime import datetime

    from ledger import Ledger
    from ledger.tlog import WitnessPolicy

__all__ = [
    "WitnessOption",
    "address_by",
    "judge_published",
    "read_checkpoint",
    "read_policy",
]

MAX_BYTES = 1_000_001
"""One more than any of these files could have."""

WitnessOption = Annotated[
    Path | None,
    typer.Option(
        "--witness", metavar="POLICY", help="A file: which witnesses have to have cosigned."
    ),
]


def read_policy(path: Path) -> WitnessPolicy:
    """Read a policy file; what is wrong is said with its name."""
    from ledger.tlog import WitnessPolicy  # noqa: PLC0415

    try:
        return WitnessPolicy.parse(read_input(path, MAX_BYTES))
    except MalformedError as error:
        raise MalformedError(f"{path}: {error}") from error


def read_checkpoint(path: Path) -> bytes:
    """The bytes of a checkpoint that somebody kept, or signed."""
    return read_input(path, MAX_BYTES)


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
