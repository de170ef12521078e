"""Compare one title's leaves in the log with its chain."""

from __future__ import annotations

from collections import Counter
from typing import TYPE_CHECKING, NamedTuple

from ledger.format import layout
from ledger.format.report import Finding
from ledger.tlog.objects import AnyLeaf, OtherLeaf, TrustLeaf

if TYPE_CHECKING:
    from collections.abc import Iterable, Iterator

    from ledger.verification.leaf_index import Row
    from ledger.verification.walk import Known, Subject

ADDRESS_BYTES = 32


class OtherLeaves:
    """Notes the leaves that are not about entries, while leaves pass by."""

    def __init__(self) -> None:
        self._counts: Counter[OtherLeaf] = Counter()
        self.trust: list[tuple[int, TrustLeaf]] = []
        """Those that name trust files, and their indexes."""

    def passing(self, leaves: Iterable[AnyLeaf], start: int) -> Iterator[AnyLeaf]:
        """Yield the leaves, of which ``start`` is the index of the first."""
        for at, leaf in enumerate(leaves, start):
            if isinstance(leaf, OtherLeaf):
                self._counts[leaf] += 1
            elif isinstance(leaf, TrustLeaf):
                self.trust.append((at, leaf))
            yield leaf

    def findings(self) -> Iterator[Finding]:
        """Report the types that must not be passed over."""
        for leaf, count in self._counts.items():
            if not leaf.may_be_passed_over:
                what = _leaves(leaf, count)
                message = (
                    f"{layout.LOG}tile/entries: {what}, which this version does not know, and which"
                    " must not be passed over: what it says of the log is not certain"
                )
                key = f"{layout.LOG}tile/entries"
                yield Finding("unchecked", "unsupported-leaf", key, message)

    def not_shown(self) -> list[str]:
        """Say what was not judged."""
        return [
            f"what {_leaves(leaf, count)} of the log say: this version does not judge them"
            for leaf, count in self._counts.items()
            if leaf.may_be_passed_over
        ]


def _leaves(leaf: OtherLeaf, count: int) -> str:
    return f"{count:,} {'leaf' if count == 1 else 'leaves'} of type {leaf.type!a:.40}"


class LoggedVersions(NamedTuple):
    """The leaves of a title that are new to this audit: consecutive versions."""

    first: int
    addresses: bytes
    """32 bytes each."""
    findings: tuple[Finding, ...]
    recent: int = 0
    """The first version that the log did not have yet by the checkpoint of an earlier audit; 0:
    it had all, or there was no such audit."""

    @property
    def last(self) -> int:
        """The last version."""
        return self.first + len(self.addresses) // ADDRESS_BYTES - 1

    def address(self, version: int) -> str:
        """Return the address of one of the versions."""
        at = (version - self.first) * ADDRESS_BYTES
        return self.addresses[at : at + ADDRESS_BYTES].hex()


class Expected(NamedTuple):
    """What an audit knows of a title while its chain is verified."""

    known: Known | None
    logged: int
    """The last version in the log, or 0."""
    since: str
    new: LoggedVersions | None


def with_log(subject: Subject, new: LoggedVersions | None) -> Subject:
    """Return the subject, to be walked as far down as there are leaves to compare."""
    if new is None or not new.addresses:
        return subject
    known = subject.known
    if known is not None and new.first < known.version:
        subject = subject._replace(known=None, expect=known.address)
    noted = new.address(new.recent) if new.recent else None
    return subject._replace(logged=new.address(new.last), noted=noted)


def gather(
    title_number: str, rows: Iterable[Row], logged: int | None = None, seen: int | None = None
) -> LoggedVersions:
    """Collect the versions of a title's leaves, and what is wrong with the leaves themselves.

    ``logged``: the version that they must continue; None: any. ``seen``: how many leaves an earlier
    audit saw; None: there was none.
    """
    addresses = bytearray()
    findings: list[Finding] = []
    first = version = address = None
    recent = 0
    for row in rows:
        if row.version == version:
            findings.append(_twice(title_number, row, str(address)))
            continue
        expected = row.version
        if version is not None:
            expected = version + 1
        elif logged is not None:
            expected = logged + 1
        if row.version > expected:
            findings.append(_skipped(title_number, expected, row))
            break  # the rest would be compared with nothing
        first = first or row.version
        version, address = row.version, row.address
        recent = 0 if seen is None or row.at < seen else recent or version
        addresses += bytes.fromhex(address)
    return LoggedVersions(first or 0, bytes(addresses), tuple(findings), recent)


def _twice(title_number: str, row: Row, address: str) -> Finding:
    key = layout.head_key(title_number)
    if row.address == address:
        message = f"{key}: leaf {row.at} logs version {row.version} a second time, as it was"
        return Finding("warning", "logged-twice", key, message)
    message = (
        f"{key}: the log has two entries as version {row.version}: {address}, and, as leaf"
        f" {row.at}, {row.address}: the title was forked"
    )
    return Finding("tampering", "forked", key, message)


def _skipped(title_number: str, expected: int, row: Row) -> Finding:
    key = layout.head_key(title_number)
    why = f"leaf {row.at} is version {row.version}, but version {expected} is in no leaf"
    return Finding("tampering", "unlogged", key, f"{key}: {why}")


def compare(title_number: str, head: Known, trace: bytes, expected: Expected) -> Iterator[Finding]:
    """Report the first leaf that the chain lacks; the rest would follow from it."""
    new, known = expected.new, expected.known
    if new is None:
        return
    lowest = head.version - len(trace) // ADDRESS_BYTES + 1
    for version in range(new.first, new.last + 1):
        if lowest <= version <= head.version:
            at = (head.version - version) * ADDRESS_BYTES
            address = trace[at : at + ADDRESS_BYTES].hex()
        elif known is not None and version == known.version:
            address = known.address
        else:
            address = ""
        if new.address(version) != address:
            yield not_as_logged(title_number, head.version, version, new.address(version), address)
            return


def not_as_logged(title_number: str, head: int, version: int, logged: str, address: str) -> Finding:
    """Report a leaf that a chain lacks; ``address``: what the chain has there, or ""."""
    key = layout.head_key(title_number)
    if address:
        why = f"its version {version} is {address}: another history was put in its place"
    else:
        why = f"its head is version {head}: it was set back"
    message = f"{key}: the log has version {version} ({logged}), but {why}"
    return Finding("tampering", "not-as-logged", key, message)
