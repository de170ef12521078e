"""``ledger recover``: restore a head that is missing or unreadable."""

from __future__ import annotations

from typing import Annotated

import typer

from cli import options
from cli.session import open_ledger
from cli.terminal.output import print_json
from ledger.format.entry import entry_json
from ledger.format.layout import check_address


def recover(
    title_number: options.TitleArgument,
    *,
    to: Annotated[
        str | None,
        typer.Option(
            "--to", metavar="ADDRESS", help="The entry to use, if several could be the newest."
        ),
    ] = None,
    expect: options.ExpectOption = None,
    store: options.StoreOption = None,
    as_json: options.JsonOption = False,
    quiet: options.QuietOption = False,
) -> None:
    """Restore the head of a title from the entries that are left.

    Works only if the head is missing or unreadable, or if the log shows that it was set back. Any
    other head that can be read never moves.
    """
    for address in (to, expect):
        if address is not None:
            check_address(address)
    with open_ledger(store) as ledger:
        entry = ledger.recover(title_number, to=to, expect=expect)
        if as_json:
            print_json(entry_json(entry, ledger.keyring))
        elif not quiet:
            typer.echo(f"{title_number} is at version {entry.version} again: {entry.address}")
