"""``ledger blame``: show which version gave each field its value."""

from __future__ import annotations

from typing import TYPE_CHECKING, Annotated

import typer

from cli import options
from cli.session import find_title, open_ledger
from cli.terminal.output import cut, pager, print_json, signer_name, style
from cli.terminal.text import isolated, json_text, printable
from ledger.format.entry import entry_json

if TYPE_CHECKING:
    from collections.abc import Iterator

    from ledger import Blame, Keyring

LONG = 40
"""Characters of a reference, at most: it is a column."""


def blame(
    title_number: options.TitleArgument,
    path: Annotated[
        str, typer.Argument(metavar="PATH", help="Only what is at this JSON pointer.")
    ] = "",
    *,
    store: options.StoreOption = None,
    as_json: options.JsonOption = False,
    quiet: options.QuietOption = False,
) -> None:
    """Show which version set each field, when, and who signed it.

    Names the version's reference as well, if it has one. An item of a list keeps its history when
    others are put before it.
    """
    with open_ledger(store) as ledger:
        title_number, _ = find_title(ledger, title_number)
        found = ledger.blame(title_number, path)
        if as_json:
            for each in found:
                about = {"path": each.path, "value": each.value, "or_before": each.or_before}
                print_json(about | entry_json(each.entry, ledger.keyring))
        elif not quiet:
            pager(_lines(found, ledger.keyring))


def _lines(found: list[Blame], keyring: Keyring) -> Iterator[str]:
    """Yield a line for each field, those of who set it in columns."""
    columns = [
        (
            each.entry.address[:8],
            f"v{each.entry.version}{' or before' if each.or_before else ''}",
            each.entry.recorded_at[:10],
            printable(signer_name(each.entry, keyring)),
            printable(cut(each.entry.reference, LONG)),
        )
        for each in found
    ]
    widths = [max(map(len, column)) for column in zip(*columns, strict=True)]
    for each, (address, *facts) in zip(found, columns, strict=True):
        about = " ".join(fact.ljust(width) for fact, width in zip(facts, widths[1:], strict=True))
        field = f"{printable(each.path or '/')}: {isolated(json_text(each.value, spaced=True))}"
        yield f"{style(address, typer.colors.YELLOW)} {about} {field}"
