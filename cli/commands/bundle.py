"""``ledger bundle``: work on bundles that were written before."""

from __future__ import annotations

from pathlib import Path
from typing import Annotated

import typer

from cli import options
from cli.session import open_ledger
from cli.terminal.output import print_json, working
from cli.terminal.text import printable


def strip(
    old: Annotated[Path, typer.Argument(metavar="OLD", help="A bundle from before.")],
    new: Annotated[Path, typer.Argument(metavar="NEW", help="The new bundle.")],
    *,
    store: options.StoreOption = None,
    connections: options.ConnectionsOption = None,
    as_json: options.JsonOption = False,
    quiet: options.QuietOption = False,
) -> None:
    """Write an old bundle again, without the texts that the store's titles order erased.

    A title of which a text goes is written as far as the store has it, so that the new bundle says
    who ordered it. OLD stays as it is: delete it yourself.
    """
    with (
        open_ledger(store, connections=connections) as ledger,
        working("stripping", quiet=quiet or as_json),
    ):
        count = ledger.strip_bundle(old, new)
    if as_json:
        print_json({"file": str(new), "erased": count})
    elif not quiet:
        texts = "1 text" if count == 1 else f"{count:,} texts"
        typer.echo(f"wrote {printable(str(new))} without {texts}; {printable(str(old))} has them")
