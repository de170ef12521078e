"""``ledger log``: show the history of a title."""

from __future__ import annotations

from collections import deque
from functools import partial
from itertools import islice
from typing import TYPE_CHECKING, Annotated, TypeAlias

import typer

from cli.options import (
    DebugOption,
    JsonOption,
    QuietOption,
    RevisionArgument,
    StoreOption,
    TitleArgument,
    WordsOption,
)
from cli.session import find_title, note_in_force, open_ledger
from cli.terminal.changes import change_lines
from cli.terminal.output import (
    change_json,
    entry_json,
    entry_lines,
    pager,
    print_json,
    signer_name,
    stand_mark,
    stand_members,
    style,
)
from cli.terminal.text import printable
from ledger import Erased
from ledger.format.diff import changes
from ledger.format.entry import CLOSED
from ledger.format.law import recorded_within

if TYPE_CHECKING:
    from collections.abc import Iterable, Iterator

    from ledger import Change, Entry, Ledger
    from ledger.titles.history import Judged

__all__ = ["log"]

Step: TypeAlias = "tuple[Judged, Entry | None]"
"""An entry, with how it stands, and its parent, to show what changed."""


def log(
    title_number: TitleArgument,
    revision: RevisionArgument = "HEAD",
    *,
    oneline: Annotated[bool, typer.Option("--oneline", help="Print one line per entry.")] = False,
    limit: Annotated[
        int | None, typer.Option("-n", metavar="COUNT", min=0, help="Show at most COUNT entries.")
    ] = None,
    reverse: Annotated[bool, typer.Option("--reverse", help="Show the oldest first.")] = False,
    since: Annotated[
        str | None,
        typer.Option(
            "--since", metavar="DATE", help="Recorded on DATE or later; days begin at 00:00 UTC."
        ),
    ] = None,
    until: Annotated[
        str | None,
        typer.Option(
            "--until", metavar="DATE", help="Recorded on DATE or earlier, that day included."
        ),
    ] = None,
    word_diff: WordsOption = False,
    store: StoreOption = None,
    as_json: JsonOption = False,
    quiet: QuietOption = False,
    debug: DebugOption = False,
) -> None:
    """Show the history of a title, newest first.

    Shows who signed what, when and why, and what changed, and which entries are void or don't
    stand, by the trust files. A note says so if another version than the newest is in force today.
    Exits with 20 if the history is broken;
    'ledger verify' says more.
    """
    with open_ledger(store) as ledger:
        title_number, revision = find_title(ledger, title_number, revision)
        head = ledger.head(title_number)
        entries = ledger.history.judged_log(title_number, revision, head)
        steps = ((entry, None) for entry in entries) if oneline else _with_parents(entries)
        chosen: Iterable[Step] = islice(
            recorded_within(steps, lambda step: step[0][0], since, until), limit
        )
        if reverse:
            chosen = list(chosen)[::-1]
        if as_json:
            for (entry, stand), parent in chosen:
                shown = entry_json(entry, ledger.keyring) | stand_members(stand)
                if entry.is_withheld:
                    order = _order(ledger, entry)
                    shown["erased"] = {"version": order.version, "reference": order.reference}
                if not oneline:
                    found = _changes(entry, parent)
                    shown["changes"] = found and [change_json(c) for c in found]
                print_json(shown)
        elif quiet:
            deque(chosen, maxlen=0)  # reading checks the entries
        else:
            one = _oneline if oneline else partial(_in_full, words=word_diff)
            pager(line for step in chosen for line in one(step, ledger, head.address))
        if revision == "HEAD" and not quiet:
            note_in_force(ledger, head)


def _with_parents(entries: Iterator[Judged]) -> Iterator[Step]:
    """Pair each entry with the one before it; reads one entry ahead."""
    entry = next(entries, None)
    while entry is not None:
        parent = next(entries, None)
        yield entry, parent and parent[0]
        entry = parent


def _order(ledger: Ledger, entry: Entry) -> Erased:
    """Return the error that names the order by which a text was erased."""
    try:
        ledger.history.read_text(entry)
    except Erased as error:
        return error
    raise AssertionError(entry)


def _changes(entry: Entry, parent: Entry | None) -> list[Change] | None:
    """Return what an entry changed; None if its text, or that of its parent, is erased."""
    if entry.is_withheld or (parent is not None and parent.is_withheld):
        return None
    return changes(parent.document if parent else {}, entry.document)


def _oneline(step: Step, ledger: Ledger, head: str) -> Iterator[str]:
    entry, stand = step[0]
    address = style(entry.address[:8], typer.colors.YELLOW)
    mark = style(" (HEAD)", typer.colors.CYAN) if entry.address == head else ""
    first_line = printable(entry.message.split("\n")[0])
    if entry.is_withheld:
        first_line = f"(erased by version {_order(ledger, entry).version})"
    mark += style(" (closed)", typer.colors.CYAN) if entry.status == CLOSED else ""
    mark += stand_mark(stand)
    who = printable(signer_name(entry, ledger.keyring))
    yield f"{address} v{entry.version} {entry.recorded_at[:19]}Z {who}{mark} {first_line}".rstrip()


def _in_full(step: Step, ledger: Ledger, head: str, *, words: bool) -> Iterator[str]:
    (entry, stand), parent = step
    yield from entry_lines(entry, ledger.keyring, head=entry.address == head, stand=stand)
    yield ""
    found = _changes(entry, parent)
    if found is None:
        withheld = entry if entry.is_withheld else parent
        yield f"    not shown: {printable(str(_order(ledger, withheld)))}" if withheld else ""
    else:
        yield from (f"    {line}" for line in change_lines(found, words=words))
    yield ""
