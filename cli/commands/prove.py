"""``ledger prove``: write the receipt of an entry, which anybody can check without the store."""

from __future__ import annotations

import sys
from pathlib import Path
from typing import TYPE_CHECKING, Annotated, Any

import typer

from cli import options
from cli.session import find_title, open_ledger
from cli.terminal.output import print_json, whole_output
from cli.terminal.text import printable
from ledger import Entry, Log
from ledger.local.files import write_file

if TYPE_CHECKING:
    from ledger.tlog import Receipt


def prove(
    title_number: options.TitleArgument,
    revision: options.RevisionArgument = "HEAD",
    *,
    output: Annotated[
        Path | None,
        typer.Option(
            "--output", "-o", metavar="FILE", help="Write to this new file; default: stdout."
        ),
    ] = None,
    store: options.StoreOption = None,
    connections: options.ConnectionsOption = None,
    as_json: options.JsonOption = False,
    quiet: options.QuietOption = False,
) -> None:
    """Write a receipt, which proves that an entry is in the log.

    'ledger check' checks it offline, with the entry and the log's key. Other tools can as well.
    """
    with open_ledger(store, connections=connections) as ledger:
        title_number, revision = find_title(ledger, title_number, revision)
        entry = ledger.entry(title_number, revision)
        receipt = Log(ledger).receipt(title_number, entry.address)
    if output is not None:
        write_file(output, receipt.encode())
    if as_json:
        with whole_output():
            print_json(_as_json(entry, receipt))
            sys.stdout.flush()
    elif output is None:
        with whole_output() as stdout:
            stdout.write(receipt.encode())
    elif not quiet:
        typer.echo(
            f"{entry.title_number} version {entry.version} is leaf {receipt.index:,}", nl=False
        )
        typer.echo(f" of the log: wrote {printable(str(output))}")


def _as_json(entry: Entry, receipt: Receipt) -> dict[str, Any]:
    """Return the JSON object of a receipt."""
    return {
        "title_number": entry.title_number,
        "version": entry.version,
        "address": entry.address,
        "leaf": receipt.index,
        "receipt": receipt.encode().decode(),
    }
