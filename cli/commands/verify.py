"""``ledger verify``: walk the chains and check everything."""

from __future__ import annotations

from pathlib import Path
from typing import TYPE_CHECKING, Annotated

import typer

from cli.config import load_config
from cli.options import (
    DebugOption,
    ExpectOption,
    JsonOption,
    QuietOption,
    StoreOption,
    TitlesArgument,
)
from cli.output import counting, print_json, report_json, report_lines
from cli.session import open_ledger
from ledger import NotFoundError, verify_bundle
from ledger.report import Report

if TYPE_CHECKING:
    from ledger import Ledger

__all__ = ["exit_code_of", "print_report", "verify"]

EXIT_CODES = {"verified": 0, "unchecked": 3, "tampered": 20}


def verify(
    title_numbers: TitlesArgument = None,
    *,
    expect: ExpectOption = None,
    since: Annotated[
        str | None,
        typer.Option(
            "--since", metavar="ADDRESS", help="Verified before: take what is below it on trust."
        ),
    ] = None,
    bundle: Annotated[
        Path | None, typer.Option("--bundle", metavar="FILE", help="Verify a bundle, offline.")
    ] = None,
    origin: Annotated[
        str | None,
        typer.Option("--origin", metavar="NAME", help="The ledger that this has to be."),
    ] = None,
    store: StoreOption = None,
    as_json: JsonOption = False,
    quiet: QuietOption = False,
    debug: DebugOption = False,
) -> int:
    """Verify titles, or all of them: every address, signature and link, from head to root.

    Exits with 0 if everything was checked and held, 20 if something does not hold, 3 if something
    could not be checked.
    """
    chosen = title_numbers or []
    if (expect or since) and len(chosen) != 1 and bundle is None:
        raise typer.BadParameter("--expect and --since are about one TITLE: name it")
    if bundle is not None:
        if chosen or since:
            raise typer.BadParameter("--bundle verifies a whole file: no TITLE, no --since")
        report = _verify_bundle(bundle, origin, expect)
    else:
        with open_ledger(store, origin=origin) as ledger:
            report = _verify(ledger, chosen, expect=expect, since=since, quiet=quiet or as_json)
            report = _note_ambiguity(report, ledger, store, origin)
    print_report(report, as_json=as_json, quiet=quiet)
    return exit_code_of(report)


def exit_code_of(report: Report) -> int:
    """What the shell hears of a report."""
    return EXIT_CODES[report.outcome]


def print_report(report: Report, *, as_json: bool, quiet: bool) -> None:
    """Print a report; a quiet one only where it isn't good."""
    if as_json:
        print_json(report_json(report))
    elif not (quiet and report):
        for line in report_lines(report):
            typer.echo(line)


def _verify(
    ledger: Ledger, chosen: list[str], *, expect: str | None, since: str | None, quiet: bool
) -> Report:
    if len(chosen) == 1:
        return ledger.verify(chosen[0], expect=expect, since=since)
    with counting("titles verified", quiet=quiet) as count:
        return ledger.verify_all(chosen or None, each=count)


def _verify_bundle(bundle: Path, origin: str | None, expect: str | None) -> Report:
    try:
        with bundle.open("rb") as source:
            return verify_bundle(
                source, keyring=load_config().keyring(), origin=origin, expect=expect
            )
    except OSError as error:
        raise NotFoundError(f"cannot read {bundle}: {error.strerror}") from error


def _note_ambiguity(
    report: Report, ledger: Ledger, store: str | None, origin: str | None
) -> Report:
    """Say so where nothing but the store itself told which of the known ledgers this is."""
    config = load_config()
    others = len(ledger.keyring.origins) - 1
    if others == 0 or origin or config.origin_of(config.store(store)):
        return report
    note = (
        f"which ledger this should be: your keyring knows {others} more, and another one of theirs"
        " could be in its place (--origin, LEDGER_ORIGIN)"
    )
    return Report(
        report.origin,
        report.titles,
        report.entries,
        report.findings,
        (*report.not_shown, note),
    )
