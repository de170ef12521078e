"""``ledger titles``: list the titles."""

from __future__ import annotations

from collections import deque
from typing import Annotated

import typer

from cli.options import DebugOption, JsonOption, QuietOption, StoreOption
from cli.session import open_ledger
from cli.terminal.output import pager, print_json

__all__ = ["titles"]


def titles(
    *,
    after: Annotated[
        str,
        typer.Option("--after", metavar="TITLE", help="List only titles that sort after this one."),
    ] = "",
    limit: Annotated[
        int | None, typer.Option("-n", metavar="COUNT", min=0, help="List at most COUNT titles.")
    ] = None,
    store: StoreOption = None,
    as_json: JsonOption = False,
    quiet: QuietOption = False,
    debug: DebugOption = False,
) -> None:
    """List the title numbers in order.

    The list is the store's own, and can't be verified.
    """
    with open_ledger(store) as ledger:
        found = ledger.titles(after=after, limit=limit)
        if as_json:
            for title_number in found:
                print_json({"title_number": title_number})
        elif quiet:
            deque(found, maxlen=0)  # a listing may fail midway
        else:
            pager(found)
