"""``ledger index``: keep the index that ``ledger find`` searches."""

from __future__ import annotations

from contextlib import ExitStack
from pathlib import Path
from typing import Annotated, Any

import typer

from cli import options
from cli.config import load_config
from cli.reports import print_report
from cli.session import open_ledger
from cli.terminal.progress import heeding, verifying
from cli.workers import workers_for


def index(
    file: Annotated[
        Path | None,
        typer.Argument(metavar="FILE", help="The index; default: LEDGER_INDEX, or one of yours."),
    ] = None,
    *,
    jobs: options.JobsOption = None,
    dask: options.DaskOption = None,
    connections: options.ConnectionsOption = None,
    store: options.StoreOption = None,
    as_json: options.JsonOption = False,
    quiet: options.QuietOption = False,
    verbose: options.VerboseOption = False,
) -> int:
    """Make a SQLite file of all verified entries, or update it.

    It is a cache: delete it, and this makes it again. Titles that don't verify are left out and
    named, and the exit code is that of 'ledger verify'.
    """
    from ledger.index import Index  # noqa: PLC0415 -- slow to load

    with ExitStack() as stack:
        ledger = stack.enter_context(open_ledger(store, connections=connections))
        path = load_config().index(ledger.origin, file)
        found = Index(ledger, path)
        try:
            with (
                workers_for(ledger, [] if path.exists() else None, jobs, dask) as workers,
                verifying(quiet=quiet or as_json) as each,
            ):
                report = heeding(lambda: found.update(each=each, **workers._asdict()))
        except KeyboardInterrupt:
            stack.pop_all()  # closing would wait for reads in progress
            raise
        coverage = found.coverage()
        found.close()
    facts: dict[str, Any] = {"index": {"file": str(path), **coverage._asdict()}}
    more = f"{path}: as of leaf {coverage.leaf:,}" if coverage.leaf is not None else str(path)
    return print_report(
        report, as_json=as_json, quiet=quiet, verbose=verbose, facts=facts, more=more
    )
