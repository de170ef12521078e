"""Entries, changes and reports as plain JSON objects: what every face of the ledger shows."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

from ledger.format.diff import ABSENT

if TYPE_CHECKING:
    from ledger.format.diff import Change
    from ledger.format.entry import Entry
    from ledger.format.keyring import Keyring
    from ledger.format.report import Finding, Report

__all__ = ["change_json", "entry_json", "finding_json", "report_json"]


def change_json(change: Change) -> dict[str, Any]:
    """A change as an object; what was added has no ``old``, what was removed no ``new``."""
    values = {"old": change.old, "new": change.new}
    present = {name: value for name, value in values.items() if value is not ABSENT}
    return {"path": change.path, "kind": change.kind, **present}


def entry_json(entry: Entry, keyring: Keyring) -> dict[str, Any]:
    """An entry as an object: the members of the format, but not the document."""
    return {
        "address": entry.address,
        "title_number": entry.title_number,
        "version": entry.version,
        "parent": entry.parent,
        "recorded_at": entry.recorded_at,
        "effective_at": entry.effective_at,
        "message": entry.message,
        "reference": entry.reference,
        "key": entry.key,
        "key_name": keyring.name(entry.ledger, entry.key),
        "ledger": entry.ledger,
        "kind": entry.kind,
    }


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
