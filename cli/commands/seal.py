"""``ledger seal``: add new entries to the transparency log."""

from __future__ import annotations

from dataclasses import replace
from pathlib import Path
from typing import TYPE_CHECKING, Annotated, Any

import typer

from cli import options
from cli.config import load_config
from cli.keys import log_signers, memory_file
from cli.reports import EXIT_CODES
from cli.session import check_place, in_steps, open_ledger
from cli.terminal.output import counted, finding_lines, print_json, working
from cli.witnesses import cosigned_json, cosigned_lines, read_policy
from ledger import Log, Report
from ledger.format.report import finding_json
from ledger.tlog.note import encode_base64

if TYPE_CHECKING:
    from ledger.sealing.seal import Sealed


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
        list[str] | None,
        typer.Option(
            "--key", metavar="KEY", help="A key of the log (LEDGER_LOG_KEY); may be repeated."
        ),
    ] = None,
    witness: Annotated[
        Path | None,
        typer.Option(
            "--witness", metavar="POLICY", help="Ask the witnesses in this policy to cosign."
        ),
    ] = None,
    jobs: options.JobsOption = None,
    store: options.StoreOption = None,
    connections: options.ConnectionsOption = None,
    as_json: options.JsonOption = False,
    quiet: options.QuietOption = False,
) -> int:
    """Add new entries to the transparency log.

    Verifies each title first. One that doesn't verify is named and left out, and the exit code is
    that of 'ledger verify'. The others are sealed.

    This machine remembers what it signed, and never signs anything that contradicts it.

    If the published checkpoint lacks the signature of one of the log's keys, adds it, even if there
    is nothing new.

    With --witness, exits with 3 if the sealed log is not cosigned as the policy asks.
    """
    if restored is not None and not restored.strip():
        raise typer.BadParameter("--restored needs words that say why the log was set back")
    config = load_config()
    with open_ledger(store, connections=connections) as ledger:
        ledger.store.check_writable()
        check_place(config, ledger, store)
        policy = read_policy(witness, ledger.keyring) if witness is not None else None
        log = Log(ledger)
        witnesses = log.witnesses(policy) if policy else None
        with working("sealing", quiet=quiet or as_json), in_steps():
            done = log.seal(
                log_signers(config, key),
                memory_file(config, ledger.origin, memory),
                genesis=genesis,
                adopt=adopt,
                restored=restored or "",
                every_title=every_title,
                jobs=jobs,
            )
        cosigned = None
        if witnesses:
            with working("asking witnesses", quiet=quiet or as_json):
                cosigned = witnesses.ask()
    report = done.report
    if cosigned:
        report = replace(report, findings=(*report.findings, *cosigned.findings))
    if as_json:
        shown = _as_json(done, report)
        if policy and cosigned:
            shown["cosigned"] = cosigned_json(policy, cosigned.counted)
        print_json(shown)
    else:
        for line in finding_lines(report.findings):
            typer.echo(line, err=True)
        if not quiet:
            typer.echo(_summary(done))
            for line in cosigned_lines(cosigned.counted) if cosigned else ():
                typer.echo(line)
    return EXIT_CODES[report.outcome]


def _as_json(done: Sealed, report: Report) -> dict[str, Any]:
    checkpoint = done.signed.checkpoint
    return {
        "origin": checkpoint.origin,
        "sealed": done.leaves,
        "settled": done.markers,
        "signatures": done.signatures,
        "size": checkpoint.size,
        "root": encode_base64(checkpoint.root),
        "findings": [finding_json(finding) for finding in report.findings],
    }


def _summary(done: Sealed) -> str:
    checkpoint = done.signed.checkpoint
    entries = done.leaves - done.trust
    new = [counted(entries, "entry")] if entries else []
    new += [counted(done.trust, "trust file")] if done.trust else []
    sealed = f"sealed {' and '.join(new)}" if new else "nothing new to seal"
    if done.signatures:
        sealed += (
            f", {counted(done.signatures, 'signature')} added to the checkpoint that was there"
        )
    leaves = counted(checkpoint.size, "leaf")
    return f"{sealed}: {leaves}, checkpoint {encode_base64(checkpoint.root)}"
