"""``ledger seal``: add new entries to the transparency log."""

from __future__ import annotations

from pathlib import Path
from typing import TYPE_CHECKING, Annotated, Any

import typer

from cli.config import load_config
from cli.keys import log_keys, memory_file
from cli.options import (
    ConnectionsOption,
    DebugOption,
    JobsOption,
    JsonOption,
    QuietOption,
    StoreOption,
)
from cli.reports import EXIT_CODES
from cli.session import check_place, in_steps, open_ledger
from cli.terminal.output import counted, finding_json, finding_lines, print_json, working
from ledger import Log
from ledger.tlog.note import encode_base64

if TYPE_CHECKING:
    from ledger.sealing.seal import Sealed

__all__ = ["seal"]


def seal(
    *,
    genesis: Annotated[bool, typer.Option("--genesis", help="Begin the log; needed once.")] = False,
    adopt: Annotated[
        bool,
        typer.Option("--adopt", help="Continue a log that this machine has not sealed before."),
    ] = False,
    restored: Annotated[
        str | None,
        typer.Option(
            "--restored", metavar="WORDS", help="Accept that the log was set back, and record why."
        ),
    ] = None,
    every_title: Annotated[
        bool, typer.Option("--all", help="Check every title, not only those appended to.")
    ] = False,
    memory: Annotated[
        Path | None,
        typer.Option("--memory", metavar="FILE", help="The file with what this sealer remembers."),
    ] = None,
    key: Annotated[
        Path | None,
        typer.Option("--key", metavar="FILE", help="The log's keys (LEDGER_LOG_KEY_FILE)."),
    ] = None,
    jobs: JobsOption = None,
    store: StoreOption = None,
    connections: ConnectionsOption = None,
    as_json: JsonOption = False,
    quiet: QuietOption = False,
    debug: DebugOption = False,
) -> int:
    """Add new entries to the transparency log.

    Verifies each title first. One that doesn't verify is named and left out, and the exit code is
    that of 'ledger verify'. The others are sealed.

    This machine remembers what it signed, and never signs anything that contradicts it.

    If the published checkpoint lacks the signature of one of the log's keys, adds it, even if there
    is nothing new.
    """
    if restored is not None and not restored.strip():
        raise typer.BadParameter("--restored needs words that say why the log was set back")
    config = load_config()
    with open_ledger(store, connections=connections) as ledger:
        check_place(config, ledger, store)
        with working("sealing", quiet=quiet or as_json), in_steps():
            done = Log(ledger).seal(
                log_keys(config, key),
                memory_file(config, ledger.origin, memory),
                genesis=genesis,
                adopt=adopt,
                restored=restored or "",
                every_title=every_title,
                jobs=jobs,
            )
    if as_json:
        print_json(_as_json(done))
    else:
        for line in finding_lines(done.report.findings):
            typer.echo(line, err=True)
        if not quiet:
            typer.echo(_summary(done))
    return EXIT_CODES[done.report.outcome]


def _as_json(done: Sealed) -> dict[str, Any]:
    checkpoint = done.signed.checkpoint
    return {
        "origin": checkpoint.origin,
        "sealed": done.leaves,
        "settled": done.markers,
        "signatures": done.signatures,
        "size": checkpoint.size,
        "root": encode_base64(checkpoint.root),
        "findings": [finding_json(finding) for finding in done.report.findings],
    }


def _summary(done: Sealed) -> str:
    checkpoint = done.signed.checkpoint
    sealed = f"sealed {counted(done.leaves, 'entry')}" if done.leaves else "nothing new to seal"
    if done.signatures:
        sealed += (
            f", {counted(done.signatures, 'signature')} added to the checkpoint that was there"
        )
    leaves = counted(checkpoint.size, "leaf")
    return f"{sealed}: {leaves}, checkpoint {encode_base64(checkpoint.root)}"
