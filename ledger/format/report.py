"""What a verification found: a Report of Findings, true only where everything held."""

from __future__ import annotations

from dataclasses import dataclass
from typing import TYPE_CHECKING, Any, Literal

from ledger.errors import IntegrityError, LedgerError, TrustError, UnsupportedFormatError

if TYPE_CHECKING:
    from collections.abc import Iterable

__all__ = [
    "Finding",
    "Outcome",
    "Report",
    "Severity",
    "Tally",
    "finding_json",
    "finding_of",
    "report_json",
]

Severity = Literal["tampering", "unchecked", "warning"]
Outcome = Literal["verified", "unchecked", "tampered"]


@dataclass(frozen=True, slots=True)
class Finding:
    """One thing that a verification found.

    ``tampering``: this is not what was registered. ``unchecked``: it could not be looked at, so
    nothing is known. ``warning``: worth a look, and no failure.
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
    """How many titles were walked."""
    entries: int = 0
    """How many entries were checked and held."""
    findings: tuple[Finding, ...] = ()
    not_shown: tuple[str, ...] = ()
    """What this verification can't show, in words."""

    def __bool__(self) -> bool:
        return self.outcome == "verified"

    @property
    def outcome(self) -> Outcome:
        """Tampering outranks what could not be checked; that outranks everything else."""
        severities = {finding.severity for finding in self.findings}
        if "tampering" in severities:
            return "tampered"
        return "unchecked" if "unchecked" in severities else "verified"

    @classmethod
    def merge(cls, origin: str, reports: Iterable[Report]) -> Report:
        """One report of many; keeps the findings, not the reports."""
        tally = Tally(origin)
        for report in reports:
            tally.add(report)
        return tally.report()


class Tally:
    """Adds reports up as they come; keeps their findings, not the reports."""

    def __init__(self, origin: str) -> None:
        self.origin = origin
        self.titles = 0
        self.entries = 0
        self._findings: list[Finding] = []
        self._not_shown: dict[str, None] = {}

    def add(self, report: Report) -> None:
        """Add one report."""
        self.titles += report.titles
        self.entries += report.entries
        self._findings += report.findings
        self.note(*report.not_shown)

    def note(self, *not_shown: str) -> None:
        """Add something that this verification can't show."""
        self._not_shown.update(dict.fromkeys(not_shown))

    def report(self, *, interrupted: bool = False) -> Report:
        """The sum; one that was interrupted is never true."""
        findings = tuple(self._findings)
        if interrupted:
            message = "it ended before all was checked: nothing is known of the rest"
            findings += (Finding("unchecked", "interrupted", "", message),)
        return Report(self.origin, self.titles, self.entries, findings, tuple(self._not_shown))


def finding_of(error: LedgerError, object_key: str) -> Finding:
    """The finding that an error of reading or checking an object amounts to."""
    match error:
        case IntegrityError() | TrustError():
            return Finding("tampering", error.reason, error.object_key or object_key, str(error))
        case UnsupportedFormatError():
            return Finding("unchecked", error.reason, error.object_key or object_key, str(error))
    return Finding("unchecked", error.slug, object_key, f"{object_key}: {error}")


def finding_json(finding: Finding) -> dict[str, Any]:
    """A finding as an object."""
    return {
        "severity": finding.severity,
        "slug": finding.slug,
        "object": finding.object_key,
        "message": finding.message,
    }


def report_json(report: Report) -> dict[str, Any]:
    """A report as an object."""
    return {
        "outcome": report.outcome,
        "origin": report.origin,
        "titles": report.titles,
        "entries": report.entries,
        "findings": [finding_json(finding) for finding in report.findings],
        "not_shown": list(report.not_shown),
    }
