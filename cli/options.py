"""The arguments and options that several commands share."""

from __future__ import annotations

import re
from contextlib import suppress
from pathlib import Path
from typing import Annotated

import typer

from ledger import LedgerError
from ledger.format.entry import KINDS
from ledger.stores import MAX_CONNECTIONS

MOST = 200
"""Completions offered at most."""


def complete_title(ctx: typer.Context, incomplete: str) -> list[str]:
    """Return the titles that begin so, for the shell; none if the ledger can't be opened."""
    from cli.session import open_ledger  # noqa: PLC0415 -- only for this

    with suppress(LedgerError), open_ledger(ctx.params.get("store")) as ledger:
        return list(ledger.titles(prefix=incomplete, limit=MOST))
    return []


def complete_revision(ctx: typer.Context, incomplete: str) -> list[str]:
    """Return the versions of the title that is on the line, the newest first."""
    from cli.session import open_ledger  # noqa: PLC0415 -- only for this

    with suppress(LedgerError), open_ledger(ctx.params.get("store")) as ledger:
        head = ledger.head(ctx.params["title_number"]).version
        named = ["HEAD", *(f"v{n}" for n in range(head, 0, -1))]
        return [name for name in named if name.startswith(incomplete)][:MOST]
    return []


TitleArgument = Annotated[
    str,
    typer.Argument(
        metavar="TITLE",
        help="A title number, such as TN1234567.",
        autocompletion=complete_title,
    ),
]
TitlesArgument = Annotated[
    list[str] | None,
    typer.Argument(
        metavar="TITLE",
        help="Title numbers; all, if none is given.",
        autocompletion=complete_title,
    ),
]
WordsOption = Annotated[
    bool, typer.Option("--word-diff", help="Mark the words that differ within a text.")
]
RevisionArgument = Annotated[
    str,
    typer.Argument(
        metavar="REV",
        help="HEAD, HEAD~2, v3, a short address, or @{2026-01-31}.",
        autocompletion=complete_revision,
    ),
]
EffectiveOption = Annotated[
    str | None,
    typer.Option(
        "--effective",
        metavar="DATE",
        help="The version in law on DATE, which is a date, a time with an offset, or 'today'.",
    ),
]
RecordedOption = Annotated[
    str | None,
    typer.Option(
        "--recorded", metavar="DATE", help="As it was known on DATE; of what was recorded by then."
    ),
]
StoreOption = Annotated[
    str | None,
    typer.Option(
        "--store",
        metavar="STORE",
        help="A folder, s3://BUCKET/PREFIX, or a URL to read (LEDGER_STORE).",
    ),
]
SchemaOption = Annotated[
    Path | None,
    typer.Option("--schema", metavar="FILE", help="A JSON Schema that documents have to fit."),
]
ConnectionsOption = Annotated[
    int | None,
    typer.Option(
        "--connections",
        metavar="N",
        min=1,
        max=MAX_CONNECTIONS,
        help="How many requests to a bucket or a URL run at once (LEDGER_CONNECTIONS).",
    ),
]
JobsOption = Annotated[
    int | None,
    typer.Option(
        "--jobs",
        metavar="N",
        min=1,
        max=1000,
        help="How many threads check; default: one per core.",
    ),
]
DaskOption = Annotated[
    str | None,
    typer.Option(
        "--dask",
        metavar="ADDRESS",
        help="Have the workers of a Dask cluster do it: its scheduler's tcp://HOST:PORT.",
    ),
]
KeyOption = Annotated[
    str | None,
    typer.Option(
        "--key", metavar="KEY", help="A private key's file, or a device's URI (LEDGER_KEY)."
    ),
]
ExpectOption = Annotated[
    str | None,
    typer.Option(
        "--expect", metavar="ADDRESS", help="An address that must be in the chain (a pin)."
    ),
]
OriginOption = Annotated[
    str | None,
    typer.Option("--origin", metavar="NAME", help="The name that the ledger must have."),
]
ReportOption = Annotated[
    Path | None,
    typer.Option("--report", metavar="FILE", help="Write the report to a new file, as JSON."),
]
JsonOption = Annotated[bool, typer.Option("--json", help="Print JSON, one object per line.")]
QuietOption = Annotated[bool, typer.Option("--quiet", "-q", help="Print errors only.")]
VerboseOption = Annotated[
    bool, typer.Option("--verbose", "-v", help="Explain all that was not checked.")
]

# Those of what is appended.
MessageOption = Annotated[
    str, typer.Option("--message", "-m", metavar="TEXT", help="Why this version exists.")
]
AuthorOption = Annotated[
    str | None,
    typer.Option("--author", metavar="TEXT", help="Who asks for it (LEDGER_AUTHOR)."),
]
ReferenceOption = Annotated[
    str,
    typer.Option(
        "--reference", metavar="TEXT", help="The case number; makes the append safe to repeat."
    ),
]
BeginsOption = Annotated[
    str | None,
    typer.Option("--effective", metavar="DATE", help="The date from which it holds in law."),
]
EndsOption = Annotated[
    str | None,
    typer.Option("--effective-until", metavar="DATE", help="The date on which that ends."),
]
KindOption = Annotated[
    str, typer.Option("--kind", metavar="KIND", help=f"{', '.join(KINDS[:-1])} or {KINDS[-1]}.")
]
SupersedeOption = Annotated[
    bool,
    typer.Option(
        "--supersede-later", help="Append even if it takes the place of one that begins later."
    ),
]
TrustClockOption = Annotated[
    bool,
    typer.Option("--trust-clock", help="Append even if this clock is far ahead of the store's."),
]
AsDocumentOption = Annotated[
    bool,
    typer.Option(
        "--as-document", help="Append a document even if it looks like an entry or an envelope."
    ),
]
ClampOption = Annotated[
    bool,
    typer.Option("--clamp-time", help="Append even if this clock is far behind the head's time."),
]
DryRunOption = Annotated[
    bool, typer.Option("--dry-run", help="Show what would be registered, but write nothing.")
]

UNITS = {"s": 1, "m": 60, "h": 3600, "d": 86400}
LONGEST = 10**9
"""About thirty years; the system can't wait much longer."""
DURATION = re.compile(r"([0-9]{1,9}(?:\.[0-9]{1,3})?)([smhd])")


def parse_duration(text: str) -> float:
    """Read a length of time such as ``10m``, in seconds; raises BadParameter, for 0 as well."""
    match = DURATION.fullmatch(text.strip())
    seconds = float(match[1]) * UNITS[match[2]] if match else 0.0
    if not 0 < seconds <= LONGEST:
        raise typer.BadParameter(
            f"not a length of time: {text!a:.40}; write it as 5s, 10m, 2h or 1d"
        )
    return seconds
