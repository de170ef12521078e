"""``ledger fsck``: check every stored object, including those in no chain."""

from __future__ import annotations

from contextlib import ExitStack
from datetime import timedelta
from typing import Annotated

import typer

from cli import options
from cli.config import load_config
from cli.reports import note_ambiguity, print_report, report_of, was_interrupted
from cli.session import open_ledger
from cli.terminal.progress import heeding, verifying
from ledger import Ledger, Report
from ledger.format.report import Tally


def fsck(
    *,
    prune_losers: Annotated[
        int | None,
        typer.Option(
            "--prune-losers",
            metavar="DAYS",
            min=1,
            max=36500,
            help="Delete the entries this old that lost a race: they hold texts, too.",
        ),
    ] = None,
    store: options.StoreOption = None,
    connections: options.ConnectionsOption = None,
    as_json: options.JsonOption = False,
    quiet: options.QuietOption = False,
    verbose: options.VerboseOption = False,
) -> int:
    """Check every object in the store.

    Verifies all titles, and also checks what is in no chain. Creates the names of references that
    are missing. A text that is ordered erased, and is there, fails. Exits as 'ledger verify' does.
    """
    prune = timedelta(days=prune_losers) if prune_losers else None
    report = report_of(lambda: _fsck(store, connections, prune, quiet=quiet or as_json))
    return print_report(report, as_json=as_json, quiet=quiet, verbose=verbose)


def _fsck(
    asked: str | None, connections: int | None, prune: timedelta | None, *, quiet: bool
) -> Report:
    with ExitStack() as stack:
        ledger = stack.enter_context(open_ledger(asked, connections=connections))
        report = _run(ledger, prune, quiet=quiet)
        if was_interrupted(report):
            stack.pop_all()  # closing would wait for reads in progress
        return note_ambiguity(report, ledger.keyring, load_config().origin_of(ledger.store))


def _run(ledger: Ledger, prune: timedelta | None, *, quiet: bool) -> Report:
    tally = Tally(ledger.origin)
    try:
        with verifying(quiet=quiet) as show:

            def each(report: Report) -> None:
                tally.add(report)
                show(report)

            return heeding(lambda: ledger.fsck(each=each, prune_losers=prune))
    except KeyboardInterrupt:
        return tally.report(interrupted=True)
