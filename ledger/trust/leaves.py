"""The trust files that the log names: each from the second on, in order, once."""

from __future__ import annotations

from typing import TYPE_CHECKING

from ledger.format import layout
from ledger.format.report import Finding, Severity
from ledger.tlog.objects import TrustLeaf

if TYPE_CHECKING:
    from collections.abc import Iterable, Iterator

    from ledger.trust.chain import Trust


def judge_leaves(
    accepted: Trust, leaves: Iterable[tuple[int, TrustLeaf]], logged: int
) -> tuple[int, tuple[Finding, ...]]:
    """Compare the trust leaves of the log with the accepted files.

    ``leaves`` are those from some leaf on, with their indexes; ``logged`` is the last version that
    the leaves before them name. Returns the last version that the log names, and what is wrong.
    """
    findings: list[Finding] = []
    for at, leaf in leaves:
        file = accepted.file(leaf.version)
        is_true = file is not None and file.digest == leaf.digest
        if not is_true and accepted.is_disowned(at):
            findings.append(_finding("warning", "leaf-disowned", at, leaf, _DISOWNED))
            continue
        if leaf.version <= logged:
            if is_true:
                findings.append(_finding("warning", "trust-logged-twice", at, leaf, _TWICE))
            else:
                findings.append(_finding("tampering", "trust-not-as-logged", at, leaf, _OTHER))
            continue
        if leaf.version > logged + 1:
            findings.append(_finding("tampering", "trust-not-as-logged", at, leaf, _SKIPPED))
        elif file is None:
            findings.append(_finding("tampering", "trust-missing", at, leaf, _MISSING))
        elif not is_true:
            findings.append(_finding("tampering", "trust-not-as-logged", at, leaf, _OTHER))
        logged = leaf.version
    return logged, tuple(findings)


def due_leaves(accepted: Trust, leaves: Iterable[tuple[int, TrustLeaf]]) -> Iterator[TrustLeaf]:
    """Yield the leaves that the log lacks, in order; ``leaves`` are all that it has."""
    logged, _ = judge_leaves(accepted, leaves, 1)
    for file in accepted.files:
        if file.version > logged:
            yield TrustLeaf(file.version, file.digest)


_DISOWNED = "a revoked key of the log may have made it, and the accepted files say what is true"
_TWICE = "an earlier leaf names the same file"
_OTHER = "the accepted file of that version is another"
_SKIPPED = "no leaf before it names the version before"
_MISSING = "the store has no such file that is accepted"


def _finding(severity: Severity, slug: str, at: int, leaf: TrustLeaf, why: str) -> Finding:
    key = layout.trust_key(leaf.version)
    message = f"{key}: leaf {at} of the log names it ({leaf.digest}): {why}"
    return Finding(severity, slug, key, message)
