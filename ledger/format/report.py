"""The result of a verification: a Report of Findings, true only if everything held."""

from __future__ import annotations

from dataclasses import dataclass
from typing import TYPE_CHECKING, Any, Literal

from ledger.errors import IntegrityError, LedgerError, NotProven, TrustError, UnsupportedFormatError

if TYPE_CHECKING:
    from collections.abc import Iterable

Severity = Literal["tampering", "mismatch", "unchecked", "warning"]
Outcome = Literal["verified", "unchecked", "mismatch", "tampered"]


@dataclass(frozen=True, slots=True)
class Finding:
    """One thing that a verification found.

    ``tampering``: this is not what was registered. ``mismatch``: what is there may be sound, but
    is not the history that was remembered. ``unchecked``: it could not be checked, so nothing is
    known. ``warning``: worth a look, but not a failure.
    """

    severity: Severity
    slug: str
    """Stable, for machines: ``bad-signature``. ``docs/reference/findings.md`` lists them."""
    object_key: str
    message: str

    def __str__(self) -> str:
        return f"{self.severity}: {self.slug}: {self.message}"


@dataclass(frozen=True, slots=True)
class Report:
    """The result of a verification. ``bool(report)`` is true only if all was checked and held."""

    origin: str
    titles: int = 0
    """Titles walked."""
    entries: int = 0
    """Entries that were checked and held."""
    findings: tuple[Finding, ...] = ()
    not_shown: tuple[str, ...] = ()
    """What this verification does not show, in words."""

    def __bool__(self) -> bool:
        return self.outcome == "verified"

    @property
    def outcome(self) -> Outcome:
        """The verdict: the worst of the findings, in the order of ``Severity``."""
        severities = {finding.severity for finding in self.findings}
        if "tampering" in severities:
            return "tampered"
        if "mismatch" in severities:
            return "mismatch"
        return "unchecked" if "unchecked" in severities else "verified"

    @classmethod
    def merge(cls, origin: str, reports: Iterable[Report]) -> Report:
        """Add up many reports; keep their findings, not the reports."""
        tally = Tally(origin)
        for report in reports:
            tally.add(report)
        return tally.report()


class Tally:
    """Adds reports up as they come, and keeps their findings, not the reports."""

    def __init__(self, origin: str) -> None:
        self.origin = origin
        self.titles: int = 0
        self.entries: int = 0
        self._findings: list[Finding] = []
        self._not_shown: dict[str, None] = {}

    def add(self, report: Report) -> None:
        """Add one report."""
        self.titles += report.titles
        self.entries += report.entries
        self._findings += report.findings
        self.note(*report.not_shown)

    def note(self, *not_shown: str) -> None:
        """Add something that this verification does not show."""
        self._not_shown.update(dict.fromkeys(not_shown))

    def report(self, *, interrupted: bool = False) -> Report:
        """Return the sum; if the verification was interrupted, it is never true."""
        findings = tuple(self._findings)
        if interrupted:
            message = "it ended before all was checked: nothing is known of the rest"
            findings += (Finding("unchecked", "interrupted", "", message),)
        return Report(self.origin, self.titles, self.entries, findings, tuple(self._not_shown))


def finding_of(error: LedgerError, object_key: str) -> Finding:
    """Return the finding for an error of reading or checking an object."""
    match error:
        case NotProven() | UnsupportedFormatError():
            severity: Severity = "unchecked"
        case IntegrityError() | TrustError():
            severity = "tampering"
        case _:
            return Finding("unchecked", error.slug, object_key, f"{object_key}: {error}")
    return Finding(severity, error.reason, error.object_key or object_key, str(error))


def finding_json(finding: Finding) -> dict[str, Any]:
    """Return a finding as a JSON object."""
    return {
        "severity": finding.severity,
        "slug": finding.slug,
        "object": finding.object_key,
        "message": finding.message,
    }


def report_json(report: Report) -> dict[str, Any]:
    """Return a report as a JSON object."""
    return {
        "outcome": report.outcome,
        "origin": report.origin,
        "titles": report.titles,
        "entries": report.entries,
        "findings": [finding_json(finding) for finding in report.findings],
        "not_shown": list(report.not_shown),
    }
