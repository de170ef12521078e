"""``ledger export``: write histories to one file."""

from __future__ import annotations

import sys
from contextlib import contextmanager
from pathlib import Path
from typing import TYPE_CHECKING, Annotated, BinaryIO

import typer

from cli import options
from cli.reports import EXIT_CODES
from cli.session import open_ledger
from cli.terminal.output import counted, print_json, whole_output, working
from cli.terminal.text import printable
from ledger import InvalidError, LedgerError
from ledger.format.layout import is_title_number
from ledger.local.files import writing

if TYPE_CHECKING:
    from collections.abc import Iterator


def export(
    file: Annotated[str, typer.Argument(metavar="FILE", help="The new bundle; - is stdout.")],
    title_numbers: options.TitlesArgument = None,
    *,
    since: Annotated[
        list[Path] | None,
        typer.Option(
            "--since",
            metavar="BUNDLE",
            help="An earlier bundle; export only what came after it (repeatable).",
        ),
    ] = None,
    keep_going: Annotated[
        bool,
        typer.Option("--keep-going", help="Leave out titles that do not hold, and name them."),
    ] = False,
    store: options.StoreOption = None,
    connections: options.ConnectionsOption = None,
    as_json: options.JsonOption = False,
    quiet: options.QuietOption = False,
) -> int:
    """Write the histories of titles to one file, a bundle.

    Exports all titles if none is named. A bundle verifies offline and imports into another store.

    Exits with 3 if --keep-going left out a title.
    """
    left_out: list[dict[str, str]] = []

    def leave_out(title_number: str, error: LedgerError) -> None:
        left_out.append({"title_number": title_number, "message": str(error)})

    with open_ledger(store, connections=connections) as ledger:
        if is_title_number(file) and ledger.history.find_head(file):
            raise InvalidError(
                f"{file} is a title, but the first argument is the file to write",
                hint=f"name the file first: ledger export {file}.bundle {file}",
            )
        with new_file(file) as out, working("exporting", quiet=quiet or as_json):
            count = ledger.export(
                out,
                title_numbers or None,
                since=since or [],
                left_out=leave_out if keep_going else None,
            )
    if as_json and file != "-":
        lacks = {"left_out": left_out} if keep_going else {}
        print_json({"file": file, "titles": count} | lacks)
    elif not quiet:
        typer.echo(f"wrote {counted(count, 'title')} to {printable(file)}", err=file == "-")
    for each in left_out:
        typer.echo(f"left out: {each['title_number']}: {printable(each['message'])}", err=True)
    return EXIT_CODES["unchecked" if left_out else "verified"]


@contextmanager
def new_file(name: str) -> Iterator[BinaryIO]:
    """A new file that is there, whole and durable, once everything has been written; or stdout."""
    if name == "-":
        if sys.stdout.isatty():
            raise InvalidError(
                "a bundle is binary, and stdout is a terminal",
                hint="ledger export FILE, or ledger export - > FILE",
            )
        with whole_output() as stdout:
            yield stdout
        return
    with writing(name) as file:
        yield file
