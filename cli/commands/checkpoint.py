"""``ledger checkpoint``: print the signed state of the transparency log."""

from __future__ import annotations

import sys
from datetime import UTC, datetime
from pathlib import Path
from typing import TYPE_CHECKING, Annotated, Any

import typer

from cli import options
from cli.reports import EXIT_CODES
from cli.session import open_ledger
from cli.terminal.output import finding_lines, print_json, whole_output
from cli.witnesses import WitnessOption, cosigned_json, cosigned_lines, read_checkpoint, read_policy
from ledger import Log, Report
from ledger.format.report import finding_json
from ledger.tlog.note import encode_base64

if TYPE_CHECKING:
    from ledger.tlog import SignedCheckpoint, WitnessPolicy

VERIFIED = "verified: signed by the log's key, and its newest tiles lead to it"


def checkpoint(
    *,
    verify: Annotated[
        bool, typer.Option("--verify", help="Also check that the newest tiles lead to its root.")
    ] = False,
    witness: WitnessOption = None,
    add_cosignatures: Annotated[
        Path | None,
        typer.Option(
            "--add-cosignatures", metavar="FILE", help="Add a witness's cosignature and publish it."
        ),
    ] = None,
    store: options.StoreOption = None,
    connections: options.ConnectionsOption = None,
    as_json: options.JsonOption = False,
    quiet: options.QuietOption = False,
) -> int:
    """Print the signed checkpoint of the log.

    Checks its signature. Keep it, and you can tell later whether the log lost anything.

    Exits with 3 if it is not cosigned as --witness asks.
    """
    if add_cosignatures is not None and witness is None:
        raise typer.BadParameter(
            "--add-cosignatures needs --witness, which has the keys to check them"
        )
    policy = read_policy(witness) if witness is not None else None
    keys = policy.witnesses if policy else ()
    with open_ledger(store, connections=connections) as ledger:
        log = Log(ledger)
        if add_cosignatures is not None:
            log.add_cosignatures(read_checkpoint(add_cosignatures), keys)
        signed = log.checkpoint(verify=verify, witnesses=keys)
    now = datetime.now(UTC)
    found = policy.judge(signed, now) if policy else None
    report = Report(signed.checkpoint.origin, findings=(found,) if found else ())
    counted = policy.counted(signed, now) if policy else {}
    if as_json:
        with whole_output():
            print_json(_as_json(signed) | (_judged(policy, counted, report) if policy else {}))
            sys.stdout.flush()
    else:
        with whole_output() as stdout:
            stdout.write(signed.note)
        if verify and not quiet:
            typer.echo(VERIFIED, err=True)
        for line in () if quiet else cosigned_lines(counted):
            typer.echo(line, err=True)
        for line in finding_lines(report.findings):
            typer.echo(line, err=True)
    return EXIT_CODES[report.outcome]


def _as_json(signed: SignedCheckpoint) -> dict[str, Any]:
    found = signed.checkpoint
    return {
        "origin": found.origin,
        "size": found.size,
        "root": encode_base64(found.root),
        "note": signed.note.decode(),
    }


def _judged(policy: WitnessPolicy, counted: dict[str, datetime], report: Report) -> dict[str, Any]:
    findings = [finding_json(finding) for finding in report.findings]
    cosigned = cosigned_json(policy, counted)
    return {"outcome": report.outcome, "cosigned": cosigned, "findings": findings}
