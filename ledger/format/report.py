"""What a verification found: a Report of Findings, true only where everything held."""

from __future__ import annotations

from dataclasses import dataclass
from typing import TYPE_CHECKING, Literal

if TYPE_CHECKING:
    from collections.abc import Iterable

__all__ = ["Finding", "Outcome", "Report", "Severity"]

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
        titles = entries = 0
        findings: list[Finding] = []
        not_shown: dict[str, None] = {}
        for report in reports:
            titles += report.titles
            entries += report.entries
            findings += report.findings
            not_shown.update(dict.fromkeys(report.not_shown))
        return cls(origin, titles, entries, tuple(findings), tuple(not_shown))
