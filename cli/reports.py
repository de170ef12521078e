"""Run a verification, print its report, keep it as evidence, and choose the exit code."""

from __future__ import annotations

import json
from contextlib import suppress
from dataclasses import replace
from datetime import UTC, datetime
from typing import TYPE_CHECKING, Any, Self

import typer

from cli.terminal.output import print_json, report_lines, until_closed
from cli.terminal.progress import heeding, verifying
from ledger import IntegrityError, Keyring, Ledger, Report, TrustError
from ledger.format.report import finding_of, report_json
from ledger.format.times import format_time
from ledger.local.files import NewFile

if TYPE_CHECKING:
    from collections.abc import Callable
    from pathlib import Path

    from ledger.verification.run import Verification

EXIT_CODES = {"verified": 0, "unchecked": 3, "mismatch": 20, "tampered": 20}
INTERRUPTED = 130


def report_of(verification: Callable[[], Report]) -> Report:
    """Run a verification and return its report.

    If it can't even begin because the store is not what it should be, that is its finding.
    """
    try:
        return verification()
    except (IntegrityError, TrustError) as error:
        if not error.object_key:
            raise
        message = str(error)
        if error.object_key not in message:
            message = f"{error.object_key}: {message}"
        found = finding_of(error, error.object_key)
        return Report("", findings=(replace(found, message=message),))


def was_interrupted(report: Report) -> bool:
    """Tell whether Ctrl-C ended the verification early."""
    return any(finding.slug == "interrupted" for finding in report.findings)


def print_report(
    report: Report,
    *,
    as_json: bool,
    quiet: bool,
    verbose: bool = False,
    new: bool = False,
    facts: dict[str, Any] | None = None,
    more: str = "",
) -> int:
    """Print a report and return its exit code; with ``quiet``, print only a bad one.

    ``verbose`` and ``new`` are those of ``report_lines``.
    ``facts`` are more members of the JSON; ``more`` is another line for people if all is well.
    """
    interrupted = was_interrupted(report)
    with until_closed():
        if as_json:
            ended = {"interrupted": True} if interrupted else {}
            print_json(report_json(report) | (facts or {}) | ended)
        elif not (quiet and report):
            for line in report_lines(report, verbose=verbose, new=new):
                typer.echo(line)
            if more and report:
                typer.echo(more)
    return INTERRUPTED if interrupted else EXIT_CODES[report.outcome]


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
    """Add a note if only the store itself said which of the known ledgers it is."""
    others = len(keyring.origins) - 1
    if known or others < 1:
        return report
    return note(
        report,
        f"which ledger this should be: your keyring knows {others} more, and one of those could be"
        " in its place (LEDGER_ORIGIN names the right one)",
    )


def note(report: Report, what: str) -> Report:
    """Return the report with one more thing that it does not show."""
    return replace(report, not_shown=(*report.not_shown, what))


# -- Evidence --------------------------------------------------------------------------------------

KIND = "title-ledger-audit-report"
LIBRARIES = ("PyNaCl", "cryptography", "msgspec")
"""What signatures, keys and JSON are checked with."""


class Evidence:
    """Notes the circumstances of a verification, and writes them to a file with the report.

    Opens the file at once, so that one that can't be written is found before hours are spent.
    Without a path, writes nothing.
    """

    def __init__(self, path: Path | None) -> None:
        self._file = NewFile(path) if path else None
        self._facts: dict[str, Any] = {"started_at": format_time(datetime.now(UTC))}

    def __enter__(self) -> Self:
        return self

    def __exit__(self, *_: object) -> None:
        if self._file is not None:
            self._file.close()

    def note(self, **facts: Any) -> None:
        """Note more facts."""
        self._facts.update(facts)

    def only(self, name: str) -> dict[str, Any]:
        """Return one fact by its name, or nothing if it was not noted."""
        return {name: self._facts[name]} if name in self._facts else {}

    @property
    def is_of_news(self) -> bool:
        """Whether a memory says what was verified before, so that only new entries were."""
        state = self._facts.get("state")
        return bool(state and state["audited_at"])

    def note_ledger(self, ledger: Ledger) -> None:
        """Note the store and whose signatures count; refuses a file inside the store."""
        if self._file is not None:
            ledger.store.check_outside(self._file.path)
        self.note(store=ledger.store.url, keys=keys_of(ledger.keyring, ledger.origin))

    def write(self, report: Report, *, interrupted: bool) -> None:
        """Write the report; the file appears, whole, with this."""
        if self._file is None:
            return
        content = {
            "kind": KIND,
            "format": 1,
            "software": f"title-ledger {_version('title-ledger')}",
            "commit": _commit(),
            "libraries": {name: _version(name) for name in LIBRARIES},
            "interrupted": interrupted,
            **report_json(report),
            **self._facts,
            "ended_at": format_time(datetime.now(UTC)),
        }
        text = json.dumps(content, indent=2, sort_keys=True) + "\n"
        self._file.write(text.encode())
        self._file.commit()


def keys_of(keyring: Keyring, origin: str) -> list[dict[str, str]]:
    """Return the registrars' keys that count for a ledger."""
    return [
        {"key": trusted.key.key_id, "name": trusted.name}
        for trusted in keyring
        if (trusted.origin, trusted.role) == (origin, "registrar")
    ]


def _version(distribution: str) -> str:
    from importlib.metadata import PackageNotFoundError, version  # noqa: PLC0415 -- slow to load

    with suppress(PackageNotFoundError):  # run from its source
        return version(distribution)
    return "(not installed)"


def _commit() -> str | None:
    """Return the commit this software was installed from, if pip noted one (PEP 610)."""
    from importlib.metadata import PackageNotFoundError, distribution  # noqa: PLC0415

    with suppress(PackageNotFoundError, ValueError, LookupError, TypeError):
        noted = distribution("title-ledger").read_text("direct_url.json")
        return str(json.loads(noted or "{}")["vcs_info"]["commit_id"])
    return None
