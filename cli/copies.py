"""Bring what another store has into a copy, and say what came."""

from __future__ import annotations

import shlex
from typing import TYPE_CHECKING

import typer

from cli.session import in_steps
from cli.terminal.output import counted, finding_lines, print_json
from cli.terminal.progress import heeding, verifying
from cli.terminal.text import printable
from ledger import Finding, Ledger, Pulled, Report, Store

if TYPE_CHECKING:
    from cli.config import Config

NOT_FINISHED = 3
"""The exit code if texts are left that should be erased."""


def bring(
    config: Config,
    source: Store,
    origin: str,
    copy: Store,
    *,
    as_json: bool,
    quiet: bool,
    cloning: bool = False,
) -> int:
    """Pull from a store that holds this ledger, and print what came; return the exit code.

    The source of a clone is recorded first, so that 'ledger pull' can finish what was cut off. So
    is the first that a copy is pulled from; another is for once, as it may be the one that lies.
    """
    keyring = config.keyring()
    found: list[Finding] = []
    with (
        Ledger.open(source, keyring=keyring, origin=origin) as there,
        Ledger.for_import(copy, origin=origin, keyring=keyring) as here,
    ):
        with config.changing():
            cloned = None if cloning else config.source_of(copy)
            config.remember_store(copy, origin, cloned or source.url)
        try:
            with verifying(quiet=quiet or as_json) as each, in_steps():

                def hear(report: Report) -> None:
                    found.extend(report.findings)
                    each(report)

                done = heeding(lambda: here.pull(there, each=hear))
        finally:
            for line in finding_lines(found):
                typer.echo(line, err=True)
    _print(done, source.url, copy.url, as_json=as_json, quiet=quiet)
    return NOT_FINISHED if done.not_erased else 0


def _print(done: Pulled, source: str, copy: str, *, as_json: bool, quiet: bool) -> None:
    if as_json:
        print_json(
            {"source": source, "copy": copy, "moved": done.moved, "unchanged": done.unchanged}
            | {"log_leaves": done.leaves, "not_logged": done.unlogged}
            | {"not_erased": list(done.not_erased), "trust_left_out": done.trust_left_out}
            | {"without_log": done.without_log}
        )
        return
    for said in done.not_erased:
        typer.echo(f"not erased: {printable(said)}", err=True)
        title_number = said.partition(":")[0]
        where = f"--store {shlex.quote(copy)}"
        typer.echo(f"to try again: ledger erase {title_number} --finish {where}", err=True)
    if quiet:
        return
    if done.moved or done.unchanged:
        typer.echo(f"titles moved: {done.moved:,}; there already: {done.unchanged:,}")
    elif not done.leaves:
        typer.echo("nothing new")
    if done.leaves:
        typer.echo(f"the log has {counted(done.leaves, 'leaf')} more")
    if done.unlogged:
        typer.echo(
            f"not in the log yet: newer versions of {counted(done.unlogged, 'title')};"
            " they come with a pull after the next seal",
            err=True,
        )
    if done.without_log:
        typer.echo(
            "no log: nobody can tell whether the source left titles out, or set one back", err=True
        )
    if done.trust_left_out:
        typer.echo("the trust files were left out, as you pinned none of them", err=True)
