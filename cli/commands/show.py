"""``ledger show`` and ``ledger cat``: show one version of a title, or its exact bytes."""

from __future__ import annotations

import sys
from typing import TYPE_CHECKING, Annotated

import typer

from cli.options import (
    DebugOption,
    JsonOption,
    QuietOption,
    RevisionArgument,
    StoreOption,
    TitleArgument,
)
from cli.session import open_ledger
from cli.terminal.output import document_lines, entry_json, entry_lines, pager, print_json

if TYPE_CHECKING:
    from ledger import Entry, Ledger

__all__ = ["cat", "show"]


def show(
    title_number: TitleArgument,
    revision: RevisionArgument = "HEAD",
    *,
    in_law: Annotated[
        str | None,
        typer.Option("--effective", metavar="DATE", help="Show the version in force on DATE."),
    ] = None,
    store: StoreOption = None,
    as_json: JsonOption = False,
    quiet: QuietOption = False,
    debug: DebugOption = False,
) -> None:
    """Show one version of a title with its document."""
    if in_law is not None and revision != "HEAD":
        raise typer.BadParameter("--effective can't be used with REV")
    with open_ledger(store) as ledger:
        entry = ledger.history.read_text(_find(ledger, title_number, revision, in_law))
        if as_json:
            shown = entry_json(entry, ledger.keyring)
            print_json(shown | {"digest": entry.digest, "document": entry.document})
        elif not quiet:
            pager(
                [*entry_lines(entry, ledger.keyring), "", *document_lines(entry.document)],
            )


def _find(ledger: Ledger, title_number: str, revision: str, in_law: str | None) -> Entry:
    if in_law is None:
        return ledger.entry(title_number, revision)
    return ledger.at(title_number, effective=in_law)


def cat(
    title_number: TitleArgument,
    revision: RevisionArgument = "HEAD",
    *,
    store: StoreOption = None,
    as_json: JsonOption = False,
    quiet: QuietOption = False,
    debug: DebugOption = False,
) -> None:
    """Write the exact bytes of an entry.

    Their sha256 is the entry's address. They are JSON, with or without --json.
    """
    with open_ledger(store) as ledger:
        data = ledger.history.read_text(ledger.entry(title_number, revision)).data
    if not quiet:
        sys.stdout.buffer.write(data)
        sys.stdout.buffer.flush()
