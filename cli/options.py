"""The arguments and options that commands share, spelled once."""

from __future__ import annotations

from pathlib import Path
from typing import Annotated

import typer

__all__ = [
    "DebugOption",
    "ExpectOption",
    "JsonOption",
    "KeyOption",
    "QuietOption",
    "RevisionArgument",
    "StoreOption",
    "TitleArgument",
    "TitlesArgument",
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
KeyOption = Annotated[
    Path | None,
    typer.Option("--key", metavar="FILE", help="The private key to sign with (LEDGER_KEY_FILE)."),
]
ExpectOption = Annotated[
    str | None,
    typer.Option("--expect", metavar="ADDRESS", help="A pin: this address has to be in the chain."),
]
JsonOption = Annotated[bool, typer.Option("--json", help="JSON, one object a line.")]
QuietOption = Annotated[bool, typer.Option("--quiet", "-q", help="Errors only.")]
DebugOption = Annotated[bool, typer.Option("--debug", help="Show a traceback with an error.")]
