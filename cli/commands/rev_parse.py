"""``ledger rev-parse``: print the address that a revision stands for."""

from __future__ import annotations

import typer

from cli import options
from cli.session import find_title, open_ledger
from cli.terminal.output import print_json


def rev_parse(
    title_number: options.TitleArgument,
    revision: options.RevisionArgument = "HEAD",
    *,
    store: options.StoreOption = None,
    as_json: options.JsonOption = False,
    quiet: options.QuietOption = False,
) -> None:
    """Print the full address of a version.

    'ledger rev-parse 81be04aa' finds the entry by how its address begins, whatever its title.
    """
    with open_ledger(store) as ledger:
        title_number, revision = find_title(ledger, title_number, revision)
        entry = ledger.entry(title_number, revision)
    if as_json:
        about = {"title_number": title_number, "version": entry.version}
        print_json(about | {"address": entry.address})
    elif not quiet:
        typer.echo(entry.address)
