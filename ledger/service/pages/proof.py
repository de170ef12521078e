"""Say in a sentence what is proved of the entry that a page shows, by its chain and by the log."""

from __future__ import annotations

from typing import TYPE_CHECKING, NamedTuple

from ledger.format.standing import FALLEN

if TYPE_CHECKING:
    from ledger.format.entry import Entry
    from ledger.format.report import Report
    from ledger.service.log_view import LogSummary

BAD_TRUST = {"trust-missing", "trust-not-accepted"}
"""Findings of trust files. The title itself may be sound."""

ASK = "Do not rely on it before the registry has explained that."
FAILED = {
    "unchecked": (
        "Could not check everything",
        "What was checked holds. The rest may or may not be sound.",
    ),
    "mismatch": (
        "NOT what was remembered",
        f"The history of this title does not lead through the entry that was asked for. {ASK}",
    ),
    "standing": (
        "NOT all of it stands",
        f"It is as it was signed, but not every key that signed still counted by then. {ASK}",
    ),
    "trust": (
        "A trust file does NOT hold",
        f"So it is not certain that every key that signed still counts. {ASK}",
    ),
    "log": (
        "NOT as it was logged",
        f"The log has a later version of this title, or another one in its place. {ASK}",
    ),
    "entries": (
        "NOT as it was signed",
        f"What is stored for this title is not what was registered. {ASK}",
    ),
}
"""What a verification that failed is called, and what it means."""
LOGGED = {
    "logged": "It is in the log, so nobody can change or withdraw it unnoticed.",
    "earlier": "It is in the log, so nobody can change or withdraw it unnoticed.",
    "waiting": "It is not in the log yet: until the next seal, it could be replaced unnoticed.",
    "unknown": "Where it is in the log is not known right now.",
}


class Words(NamedTuple):
    """A proof in words."""

    outcome: str
    """``verified``, ``unchecked``, ``mismatch`` or ``tampered``; never better than the report's."""
    word: str
    meaning: str
    """For people who are about to rely on it."""


class Proof(NamedTuple):
    """What was found out about a title, and about the newest entry that a page shows of it."""

    entry: Entry
    report: Report
    """Of the title: its chain and the log, whichever is worse."""
    log: LogSummary
    in_chain: bool = True
    """Whether all entries of the page are in the chain that was verified."""

    @property
    def words(self) -> Words:
        """The verdict."""
        words = words_of(self.report)
        if words.outcome != "verified":
            return words
        if not self.in_chain:
            return Words(
                "unchecked",
                "In no chain",
                "The history of the title holds, but does not lead through this entry.",
            )
        place = self.log.places.get(self.entry.address)
        if place is not None and place.state == "contradicted":
            return Words("tampered", *FAILED["log"])
        if place is not None:
            said = LOGGED[place.state]
        elif self.log.size is None and not self.log.problem:
            said = "There is no log to tell whether it was set back to an earlier version."
        else:
            said = "The log could not be asked whether it was set back to an earlier version."
        return words._replace(meaning=f"This is what the registrar signed. {said}")


def words_of(report: Report) -> Words:
    """Put the verdict on a title in words."""
    if report.outcome == "tampered":
        return Words("tampered", *FAILED[_what_fails(report)])
    if report.outcome != "verified":
        return Words(report.outcome, *FAILED[report.outcome])
    if not report.entries:
        return Words("unchecked", "Nothing was verified", "There was no entry to check.")
    return Words("verified", "Verified", "This is what the registrar signed.")


def _what_fails(report: Report) -> str:
    """Tell what the tampering is about: ``log``, ``standing``, ``trust``, or else ``entries``."""
    slugs = {each.slug for each in report.findings if each.severity == "tampering"}
    if slugs == {"not-as-logged"}:
        return "log"
    if slugs <= FALLEN:
        return "standing"
    return "trust" if slugs <= FALLEN | BAD_TRUST else "entries"
