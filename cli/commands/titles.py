"""``ledger titles``: list the titles."""

from __future__ import annotations

import re
from collections import deque
from fnmatch import fnmatchcase
from itertools import islice
from typing import TYPE_CHECKING, Annotated, Any

import typer

from cli import options
from cli.session import open_ledger
from cli.terminal.output import cut, pager, print_json, style
from cli.terminal.text import printable
from ledger.format.entry import CLOSED, OPEN
from ledger.local.parallel import in_chunks

if TYPE_CHECKING:
    from collections.abc import Iterable, Iterator

    from ledger import Ledger

LONG = 72
"""Characters of a message in a line, at most."""


def titles(
    pattern: Annotated[
        str | None,
        typer.Argument(
            metavar="PATTERN",
            help="Only titles that fit, as 'TN12*': * is anything, ? one character.",
            autocompletion=options.complete_title,
        ),
    ] = None,
    *,
    long: Annotated[
        bool,
        typer.Option("--long", "-l", help="Show versions, date, status and message of each."),
    ] = False,
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
    store: options.StoreOption = None,
    as_json: options.JsonOption = False,
    quiet: options.QuietOption = False,
) -> None:
    """List the title numbers in order.

    The list is the store's own, and can't be verified. With --open, --closed or --long, each
    title's newest entry that stands is read, and verified.
    """
    if is_open and closed:
        raise typer.BadParameter("--open and --closed can't be used together")
    with open_ledger(store) as ledger:
        status = OPEN if is_open else CLOSED if closed else ""
        begin = "".join(re.findall(r"\A[A-Z0-9][A-Z0-9_-]*", pattern or ""))
        listed = ledger.titles(prefix=begin, after=after, status=status)
        fitting = (title for title in listed if pattern is None or fnmatchcase(title, pattern))
        found = islice(fitting, limit)
        facts = _facts(ledger, found) if long else ({"title_number": title} for title in found)
        if as_json:
            for each in facts:
                print_json(each)
        elif quiet:
            deque(facts, maxlen=0)  # a listing may fail midway
        else:
            pager(_line(each) if long else each["title_number"] for each in facts)


def _facts(ledger: Ledger, found: Iterable[str]) -> Iterator[dict[str, Any]]:
    """Yield what there is to say of each title, in turn."""
    history = ledger.history

    def read(taken: list[str]) -> list[dict[str, Any]]:
        return [_facts_of(title_number) for title_number in taken]

    def _facts_of(title_number: str) -> dict[str, Any]:
        head = history.find_head(title_number)
        newest = next(history.standing_entries(head.entry), None) if head else None
        return {
            "title_number": title_number,
            "versions": head.entry.version if head else 0,
            "newest": newest and newest.version,
            "recorded_at": newest and newest.recorded_at,
            "status": newest and newest.status,
            "message": None if newest is None or newest.is_withheld else newest.message,
        }

    return in_chunks(found, read, max(1, ledger.store.concurrency), chunk=1)


def _line(facts: dict[str, Any]) -> str:
    title_number = style(f"{facts['title_number']:<10}", typer.colors.YELLOW)
    versions = f"v{facts['versions']}"
    if facts["newest"] is None:
        return f"{title_number} {versions:<4} (no version that stands)"
    words = [title_number, f"{versions:<4}", facts["recorded_at"][:10], f"{facts['status']:<6}"]
    if facts["newest"] != facts["versions"]:
        words.append(style(f"(version {facts['newest']} stands)", typer.colors.RED))
    message = facts["message"]
    words.append("(erased)" if message is None else cut(printable(message.split("\n")[0]), LONG))
    return " ".join(words).rstrip()
