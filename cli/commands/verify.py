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
from cli.output import (
    counting,
    print_json,
    report_json,
    report_lines,
    until_closed,
    working,
)
from cli.session import open_ledger
from ledger import Finding, IntegrityError, NotFoundError, Report, TrustError, verify_bundle

if TYPE_CHECKING:
    from collections.abc import Callable

    from ledger import Keyring

__all__ = ["note_ambiguity", "print_report", "report_of", "verify"]

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
    """Verify titles, or all of them, from head to root.

    Checks every address, signature and link.

    Exits with 0 if everything was checked and held, 20 if something does not hold, 3 if something
    could not be checked.
    """
    chosen = title_numbers or []
    pinned = expect is not None or since is not None
    if pinned and len(chosen) != 1 and bundle is None:
        raise typer.BadParameter("--expect and --since are about one TITLE: name it")
    if bundle is not None:
        if chosen or since is not None or store is not None:
            raise typer.BadParameter("--bundle verifies a whole file: no TITLE, --since or --store")
        report = report_of(lambda: _verify_bundle(bundle, origin, expect, quiet=quiet or as_json))
    else:
        report = report_of(
            lambda: _verify(
                chosen,
                expect=expect,
                since=since,
                origin=origin,
                store=store,
                quiet=quiet or as_json,
            )
        )
    return print_report(report, as_json=as_json, quiet=quiet)


def report_of(verification: Callable[[], Report]) -> Report:
    """The report of a verification.

    Where it could not even begin, as the store is not what it should be, that is its finding.
    """
    try:
        return verification()
    except (IntegrityError, TrustError) as error:
        if not error.object_key:
            raise
        message = str(error)
        if error.object_key not in message:
            message = f"{error.object_key}: {message}"
        finding = Finding("tampering", error.reason, error.object_key, message)
        return Report("", findings=(finding,))


def print_report(report: Report, *, as_json: bool, quiet: bool) -> int:
    """Print a report, a quiet one only where it isn't good, and return the exit code for it."""
    with until_closed():
        if as_json:
            print_json(report_json(report))
        elif not (quiet and report):
            for line in report_lines(report):
                typer.echo(line)
    return EXIT_CODES[report.outcome]


def _verify(
    chosen: list[str],
    *,
    expect: str | None,
    since: str | None,
    origin: str | None,
    store: str | None,
    quiet: bool,
) -> Report:
    with open_ledger(store, origin=origin) as ledger:
        if len(chosen) == 1:
            with working("verifying", quiet=quiet):
                report = ledger.verify(chosen[0], expect=expect, since=since)
        else:
            with counting("verified", quiet=quiet) as count:
                report = ledger.verify_all(chosen or None, each=count)
        known = origin or load_config().origin_of(ledger.store)
        return note_ambiguity(report, ledger.keyring, known)


def _verify_bundle(bundle: Path, origin: str | None, expect: str | None, *, quiet: bool) -> Report:
    config = load_config()
    keyring = config.keyring()
    known = config.origin if origin is None else origin
    try:
        with bundle.open("rb") as source, working("verifying", quiet=quiet):
            report = verify_bundle(source, keyring=keyring, origin=known, expect=expect)
    except OSError as error:
        raise NotFoundError(f"cannot read {bundle}: {error.strerror}") from error
    return note_ambiguity(report, keyring, known)


def note_ambiguity(report: Report, keyring: Keyring, known: str | None) -> Report:
    """Say so where only what was verified itself told which of the known ledgers it is."""
    others = len(keyring.origins) - 1
    if known or others < 1:
        return report
    note = (
        f"which ledger this should be: your keyring knows {others} more, and another one of theirs"
        " could be in its place (LEDGER_ORIGIN)"
    )
    return Report(
        report.origin,
        report.titles,
        report.entries,
        report.findings,
        (*report.not_shown, note),
    )
