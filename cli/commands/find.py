"""``ledger find``: search the ledger by its index."""

from __future__ import annotations

from itertools import islice
from pathlib import Path
from typing import TYPE_CHECKING, Annotated, Any

import typer

from cli import options
from cli.config import load_config
from cli.session import open_ledger
from cli.terminal.output import note, pager, print_json
from cli.terminal.text import printable
from ledger.format.law import is_future
from ledger.registrations.registration import spell_parts

if TYPE_CHECKING:
    from collections.abc import Iterable, Iterator

    from ledger.index import Coverage, Found, Index

CHECKED = 100
"""Titles whose heads are read at once."""


def find(
    text: Annotated[
        list[str] | None,
        typer.Argument(
            metavar="TEXT", help="Words to look for, as Ada or Lovel*, or how a number begins."
        ),
    ] = None,
    *,
    reference: Annotated[
        str | None, typer.Option("--reference", metavar="TEXT", help="With this reference.")
    ] = None,
    path: Annotated[
        str,
        typer.Option(
            "--path",
            metavar="POINTER=TEXT",
            help="With this value there; * is any member or item: /proprietors/*/name=Ada.",
        ),
    ] = "",
    effective: options.EffectiveOption = None,
    recorded: options.RecordedOption = None,
    every_version: Annotated[
        bool,
        typer.Option("--every-version", help="Search all versions, not the newest of each title."),
    ] = False,
    limit: Annotated[
        int | None, typer.Option("-n", metavar="COUNT", min=0, help="Find at most COUNT.")
    ] = None,
    index: Annotated[
        Path | None,
        typer.Option("--index", metavar="FILE", help="The index to search (LEDGER_INDEX)."),
    ] = None,
    store: options.StoreOption = None,
    as_json: options.JsonOption = False,
    quiet: options.QuietOption = False,
) -> None:
    """Find titles by names, addresses, words and references.

    Searches the newest version of each title, or the one in law on a day. With --reference and
    nothing else, searches every version. Answers from the index that 'ledger index' keeps, and
    names the titles among them that have changed since.
    """
    from ledger.index import Index  # noqa: PLC0415 -- slow to load

    words = " ".join(text or ())
    alone = reference is not None and not (words or path or effective or recorded)
    with open_ledger(store) as ledger:
        searched = Index(ledger, load_config().index(ledger.origin, index))
        coverage = searched.coverage()
        found = searched.find(
            words,
            reference=reference,
            path=path,
            effective=effective,
            recorded=recorded,
            every_version=every_version or alone,
            limit=limit,
        )
        changed: list[str] = []
        checked = _check(searched, found, changed)
        if as_json:
            for each, is_current in checked:
                print_json(_members(each) | {"current": is_current})
        else:
            lines = (_line(each) for each, _ in checked)
            pager(lines if not quiet else (line for line in lines if not line))
        if not quiet:
            _note(coverage, changed)
            if is_future(ledger.clock(), *(day for day in (effective, recorded) if day != "today")):
                note("this is about the future: what is registered by then may still change it")


def _check(
    searched: Index, found: Iterable[Found], changed: list[str]
) -> Iterator[tuple[Found, bool]]:
    """Yield what was found, and whether its title is still as the index has it."""
    rest = iter(found)
    while some := list(islice(rest, CHECKED)):
        moved = searched.changed(dict.fromkeys(each.title_number for each in some))
        changed += sorted(moved)
        yield from ((each, each.title_number not in moved) for each in some)


def _note(coverage: Coverage, changed: list[str]) -> None:
    from cli.histories import note_coverage  # noqa: PLC0415 -- slow to load

    note_coverage(coverage)
    if changed:
        named = ", ".join(changed[:10]) + (", …" if len(changed) > 10 else "")
        note(f"changed since: {named}; 'ledger index' brings the index up to date")


def _line(found: Found) -> str:
    since = found.effective_at or found.recorded_at[:10]
    until = f" until {found.effective_until}" if found.effective_until else ""
    facts = [found.title_number, f"version {found.version}", f"from {since}{until}"]
    facts += [f"reference {found.reference}"] if found.reference else []
    facts += [f"part {spell_parts([found.part])}"] if found.part[1] > 1 else []
    facts += ["closed"] if found.status == "closed" else []
    facts += [f"text erased by version {found.erased_by}"] if found.erased_by else []
    facts += [found.standing] if found.standing else []
    return printable("  ".join(facts))


def _members(found: Found) -> dict[str, Any]:
    return found._asdict() | {"part": list(found.part)}
