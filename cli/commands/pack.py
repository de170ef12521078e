"""``ledger pack``: copy entries into packs, so that verifying reads hundreds at once."""

from __future__ import annotations

from typing import TYPE_CHECKING, Annotated

import typer

from cli import options
from cli.reports import EXIT_CODES
from cli.session import in_steps, open_ledger
from cli.terminal.output import counted, counting, finding_lines, print_json
from cli.workers import workers_for
from ledger import Report
from ledger.format.report import finding_json

if TYPE_CHECKING:
    from ledger.packs.writer import Packed


def pack(
    *,
    rebuild: Annotated[
        bool, typer.Option("--rebuild", help="Make all packs again, and delete the old ones.")
    ] = False,
    store: options.StoreOption = None,
    jobs: options.JobsOption = None,
    dask: options.DaskOption = None,
    connections: options.ConnectionsOption = None,
    as_json: options.JsonOption = False,
    quiet: options.QuietOption = False,
) -> int:
    """Copy entries that are in no pack into packs.

    Verifying all titles reads hundreds of entries from a pack at once. Nothing is signed, and no
    entry moves. Titles that don't verify are left out, and the exit code is then that of
    'ledger verify'.
    """
    with (
        open_ledger(store, connections=connections) as ledger,
        workers_for(ledger, None, jobs, dask) as workers,
        counting("looked at", quiet=quiet or as_json) as each,
        in_steps(),
    ):
        done = ledger.pack(rebuild=rebuild, each=each, **workers._asdict())
    if as_json:
        print_json(_as_json(done))
    else:
        for line in finding_lines(done.findings):
            typer.echo(line, err=True)
        if not quiet:
            typer.echo(_summary(done))
    return EXIT_CODES[Report("", findings=done.findings).outcome]


def _as_json(done: Packed) -> dict[str, object]:
    return {
        "titles": done.titles,
        "entries": done.entries,
        "packs": done.packs,
        "bytes": done.size,
        "deleted": done.deleted,
        "findings": [finding_json(finding) for finding in done.findings],
    }


def _summary(done: Packed) -> str:
    if not done.packs and not done.deleted:
        return "nothing new to pack"
    packed = f"{counted(done.entries, 'entry')} of {counted(done.titles, 'title')}"
    replaced = f", in place of {done.deleted:,} earlier" if done.deleted else ""
    into = f"{counted(done.packs, 'pack')} ({done.size / 1e6:,.1f} MB)"
    return f"packed {packed} into {into}{replaced}"
