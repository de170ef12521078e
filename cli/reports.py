"""What verify, audit, check and fsck share: run, report, print, exit."""

from __future__ import annotations

import os
from contextlib import contextmanager
from dataclasses import replace
from itertools import islice
from typing import TYPE_CHECKING, Any

import typer

from cli.terminal.output import print_json, report_json, report_lines, until_closed
from cli.terminal.progress import heeding, verifying
from ledger import Finding, IntegrityError, LedgerError, Report, TrustError
from ledger.local.parallel import cores
from ledger.stores import FolderStore

if TYPE_CHECKING:
    from collections.abc import Callable, Iterator
    from concurrent.futures import Executor

    from ledger import Keyring, Ledger
    from ledger.verification.run import Verification

__all__ = [
    "note",
    "note_ambiguity",
    "print_report",
    "processes_for",
    "report_of",
    "run_verification",
    "was_interrupted",
]

EXIT_CODES = {"verified": 0, "unchecked": 3, "tampered": 20}
INTERRUPTED = 130

MANY = 1_000
"""Titles from which on it pays to start processes."""


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


def was_interrupted(report: Report) -> bool:
    """Whether a Ctrl-C ended the verification before it was through."""
    return any(finding.slug == "interrupted" for finding in report.findings)


def print_report(
    report: Report,
    *,
    as_json: bool,
    quiet: bool,
    facts: dict[str, Any] | None = None,
    more: str = "",
) -> int:
    """Print a report, a quiet one only where it isn't good, and return the exit code for it.

    ``facts`` go into the JSON; ``more`` is a line for a person, where all held.
    """
    interrupted = was_interrupted(report)
    with until_closed():
        if as_json:
            ended = {"interrupted": True} if interrupted else {}
            print_json(report_json(report) | (facts or {}) | ended)
        elif not (quiet and report):
            for line in report_lines(report):
                typer.echo(line)
            if more and report:
                typer.echo(more)
    return INTERRUPTED if interrupted else EXIT_CODES[report.outcome]


@contextmanager
def processes_for(
    ledger: Ledger, titles: list[str] | None, jobs: int | None
) -> Iterator[Executor | None]:
    """Make processes for many titles in a folder, and nothing for others.

    Reading and decoding such a title takes nearly as long as checking its signatures, and threads
    would do that in turns.
    """
    jobs = jobs or cores()
    if jobs == 1 or type(ledger.store) is not FolderStore or not _are_many(ledger, titles):
        yield None
        return
    from ledger.local.processes import Processes  # noqa: PLC0415 -- slow to load

    # After a Ctrl-C the resource tracker cleans up what they leave, and need not say so.
    os.environ.setdefault("PYTHONWARNINGS", "ignore:resource_tracker")
    processes = Processes(jobs)
    try:
        yield processes
    finally:
        # This waits for a process that is just being started, which would complain otherwise.
        processes.shutdown(wait=False, cancel_futures=True)


def _are_many(ledger: Ledger, titles: list[str] | None) -> bool:
    try:
        return len(list(islice(ledger.titles() if titles is None else titles, MANY))) == MANY
    except LedgerError:
        return False  # the verification will hit the error again


def run_verification(
    ledger: Ledger, verification: Verification, titles: list[str] | None, *, silent: bool
) -> Report:
    """Run a verification with its progress shown; Ctrl-C ends it with what was found by then."""

    def count() -> int:
        return sum(1 for _ in ledger.titles())

    shown = verifying(
        quiet=silent,
        total=None if titles is None else len(titles),
        count=count if titles is None else None,
    )
    try:
        with shown as each:
            return heeding(lambda: verification.run(each))
    except KeyboardInterrupt:
        return verification.stop()


def note_ambiguity(report: Report, keyring: Keyring, known: str | None) -> Report:
    """Say so where only what was verified itself told which of the known ledgers it is."""
    others = len(keyring.origins) - 1
    if known or others < 1:
        return report
    return note(
        report,
        f"which ledger this should be: your keyring knows {others} more, and another one of theirs"
        " could be in its place (LEDGER_ORIGIN)",
    )


def note(report: Report, what: str) -> Report:
    """The report, with one more thing that it can't show."""
    return replace(report, not_shown=(*report.not_shown, what))
