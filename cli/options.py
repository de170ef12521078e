"""The arguments and options that commands share, spelled once."""

from __future__ import annotations

import re
from pathlib import Path
from typing import Annotated

import typer

from ledger.stores import MAX_CONNECTIONS

__all__ = [
    "ConnectionsOption",
    "DebugOption",
    "ExpectOption",
    "JobsOption",
    "JsonOption",
    "KeyOption",
    "OriginOption",
    "QuietOption",
    "ReportOption",
    "RevisionArgument",
    "StoreOption",
    "TitleArgument",
    "TitlesArgument",
    "parse_duration",
]

TitleArgument = Annotated[
    str, typer.Argument(metavar="TITLE", help="A title number, such as TN1234567.")
]
TitlesArgument = Annotated[
    list[str] | None, typer.Argument(metavar="TITLE", help="Title numbers; none: all.")
]
RevisionArgument = Annotated[
    str,
    typer.Argument(metavar="REV", help="HEAD, HEAD~2, v3, a short address, or @{2026-01-31}."),
]
StoreOption = Annotated[
    str | None,
    typer.Option(
        "--store", metavar="STORE", help="A folder, or s3://BUCKET/PREFIX (LEDGER_STORE)."
    ),
]
ConnectionsOption = Annotated[
    int | None,
    typer.Option(
        "--connections",
        metavar="N",
        min=1,
        max=MAX_CONNECTIONS,
        help="How many requests to a bucket are under way at once (LEDGER_CONNECTIONS).",
    ),
]
JobsOption = Annotated[
    int | None,
    typer.Option(
        "--jobs", metavar="N", min=1, max=1000, help="How many threads check; default: all cores."
    ),
]
KeyOption = Annotated[
    Path | None,
    typer.Option("--key", metavar="FILE", help="The private key to sign with (LEDGER_KEY_FILE)."),
]
ExpectOption = Annotated[
    str | None,
    typer.Option("--expect", metavar="ADDRESS", help="A pin: this address has to be in the chain."),
]
OriginOption = Annotated[
    str | None,
    typer.Option("--origin", metavar="NAME", help="The ledger that this has to be."),
]
ReportOption = Annotated[
    Path | None,
    typer.Option("--report", metavar="FILE", help="Keep the report in a new file, as JSON."),
]
JsonOption = Annotated[bool, typer.Option("--json", help="JSON, one object a line.")]
QuietOption = Annotated[bool, typer.Option("--quiet", "-q", help="Errors only.")]
DebugOption = Annotated[bool, typer.Option("--debug", help="Show a traceback with an error.")]

UNITS = {"s": 1, "m": 60, "h": 3600, "d": 86400}
LONGEST = 10**9
"""Some thirty years: what the system can wait for is not much more."""
DURATION = re.compile(r"([0-9]{1,9}(?:\.[0-9]{1,3})?)([smhd])")


def parse_duration(text: str) -> float:
    """The seconds; raises BadParameter for what is no length of time, or none at all."""
    match = DURATION.fullmatch(text.strip())
    seconds = float(match[1]) * UNITS[match[2]] if match else 0.0
    if not 0 < seconds <= LONGEST:
        raise typer.BadParameter(f"not a length of time: {text!a:.40}; write 5s, 10m, 2h or 1d")
    return seconds
