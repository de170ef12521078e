"""``ledger titles``: list the titles."""

from __future__ import annotations

from collections import deque
from typing import Annotated

import typer

from cli.options import DebugOption, JsonOption, QuietOption, StoreOption
from cli.session import open_ledger
from cli.terminal.output import pager, print_json
from ledger.format.entry import CLOSED, OPEN

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
    is_open: Annotated[
        bool, typer.Option("--open", help="List only titles that are open.")
    ] = False,
    closed: Annotated[
        bool, typer.Option("--closed", help="List only titles that are closed.")
    ] = False,
    store: StoreOption = None,
    as_json: JsonOption = False,
    quiet: QuietOption = False,
    debug: DebugOption = False,
) -> None:
    """List the title numbers in order.

    The list is the store's own, and can't be verified. With --open or --closed, each title's
    newest entry that stands is read, and verified.
    """
    if is_open and closed:
        raise typer.BadParameter("--open and --closed can't be used together")
    with open_ledger(store) as ledger:
        status = OPEN if is_open else CLOSED if closed else ""
        found = ledger.titles(after=after, limit=limit, status=status)
        if as_json:
            for title_number in found:
                print_json({"title_number": title_number})
        elif quiet:
            deque(found, maxlen=0)  # a listing may fail midway
        else:
            pager(found)
