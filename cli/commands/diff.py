"""``ledger diff``: show the fields that differ between two versions of a title."""

from __future__ import annotations

from typing import Annotated

import typer

from cli import options
from cli.session import open_ledger
from cli.terminal.changes import change_lines
from cli.terminal.output import pager, print_json, until_closed
from cli.terminal.text import printable
from ledger import Erased
from ledger.format.diff import change_json

DIFFERENT = 1


def diff(
    title_number: options.TitleArgument,
    old: Annotated[
        str,
        typer.Argument(
            metavar="A", help="The older revision.", autocompletion=options.complete_revision
        ),
    ] = "HEAD~1",
    new: Annotated[
        str,
        typer.Argument(
            metavar="B", help="The newer revision.", autocompletion=options.complete_revision
        ),
    ] = "HEAD",
    *,
    exit_code: Annotated[
        bool, typer.Option("--exit-code", help="Exit with 1 if there are differences.")
    ] = False,
    word_diff: options.WordsOption = False,
    store: options.StoreOption = None,
    as_json: options.JsonOption = False,
    quiet: options.QuietOption = False,
) -> int:
    """Show what changed between two versions of a title.

    Prints each field that differs from revision A to revision B, with its old and new value; A..B
    works as well. If the text of one is erased, says so, and counts as different.
    """
    if ".." in old:
        old, new = (each or "HEAD" for each in old.split("..", 1))
    with open_ledger(store) as ledger:
        try:
            found = ledger.diff(title_number, old, new)
        except Erased as error:
            typer.echo(f"not shown: {printable(str(error))}", err=True)
            return DIFFERENT if exit_code else 0
    if as_json:
        with until_closed():
            for change in found:
                print_json(change_json(change))
    elif not quiet:
        with until_closed():
            pager(change_lines(found, words=word_diff))
    return DIFFERENT if found and exit_code else 0
