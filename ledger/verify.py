"""Verification of one title: the bytes of a chain and a keyring in, a Report out.

The walk goes from the head to the root by parent, and trusts no listing, no name and no time. All
that can be told from one entry's bytes is checked by ``Entry.open``; what two neighbours say of
each other by ``check_link``; this module walks, and turns what is raised into findings.
"""

from __future__ import annotations

from collections.abc import Callable
from datetime import datetime, timedelta
from typing import TYPE_CHECKING

from ledger import layout, times
from ledger.entry import Entry
from ledger.errors import (
    IntegrityError,
    LedgerError,
    TrustError,
    UnsupportedFormatError,
)
from ledger.report import Finding, Report

if TYPE_CHECKING:
    from ledger.keyring import Keyring

__all__ = ["CLOCK_SKEW", "ReadEntry", "check_link", "finding_of", "verify_chain"]

CLOCK_SKEW = timedelta(minutes=5)
"""How far honest clocks may differ."""

ReadEntry = Callable[[str], bytes | None]
"""The bytes stored under an address of the title at hand; None: there are none. May raise."""

NO_PIN = (
    "that this is the newest state: without an address remembered from before (--expect),"
    " an older valid one, or one that lost a race, looks the same"
)


def check_link(child: Entry, parent: Entry) -> None:
    """Check what two neighbours say of each other; raises IntegrityError naming the child."""
    where = layout.entry_key(child.title_number, child.address)
    if child.version != parent.version + 1:
        raise IntegrityError(
            f"{where}: it is version {child.version} on top of version {parent.version}",
            reason="wrong-version",
            object_key=where,
        )
    if child.recorded_at < parent.recorded_at:
        raise IntegrityError(
            f"{where}: recorded {child.recorded_at}, before its parent ({parent.recorded_at})",
            reason="time-reversed",
            object_key=where,
        )


def finding_of(error: LedgerError, object_key: str) -> Finding:
    """The finding that an error of reading or checking an object amounts to."""
    match error:
        case IntegrityError() | TrustError():
            return Finding("tampering", error.reason, error.object_key or object_key, str(error))
        case UnsupportedFormatError():
            return Finding("unchecked", "unsupported-kind", object_key, f"{object_key}: {error}")
    return Finding("unchecked", error.slug, object_key, f"{object_key}: {error}")


def verify_chain(
    title_number: str,
    *,
    origin: str,
    keyring: Keyring,
    head: bytes,
    read: ReadEntry,
    now: datetime,
    expect: str | None = None,
    since: str | None = None,
) -> Report:
    """Walk one title from its head to its root, or down to ``since``, and check everything.

    ``expect`` is a pin: an address that must be in the chain. ``since`` is an address that an
    earlier verification vouched for: it is checked, what lies below it is not.
    """
    walk = _Walk(title_number, origin, keyring, read, now)
    walk.run(head, {pin for pin in (expect, since) if pin}, since)
    not_shown = [] if expect or since else [NO_PIN]
    if since:
        not_shown.append(
            f"what lies below {since[:16]}… in {title_number}: taken on trust (--since)"
        )
    return Report(origin, 1, walk.entries, tuple(walk.findings), tuple(not_shown))


class _Walk:
    """The state of one walk: where it is, and what it has found."""

    def __init__(
        self, title_number: str, origin: str, keyring: Keyring, read: ReadEntry, now: datetime
    ) -> None:
        self.title_number = title_number
        self.origin = origin
        self.keyring = keyring
        self.read = read
        self.latest = times.format_time(now + CLOCK_SKEW)
        self.entries = 0
        self.findings: list[Finding] = []

    def run(self, head: bytes, pins: set[str], since: str | None) -> None:
        head_key = layout.head_key(self.title_number)
        child = self._open(head, head_key, None)
        if child is None:
            return
        self._check_time(child)
        missing = pins - {child.address}
        # The head is a copy: the entry must be there under its own name, too.
        copy_key = layout.entry_key(self.title_number, child.address)
        copy = self._read(child.address)
        if copy == head:
            self.entries += 1
        elif copy is not None:
            self._found("address-mismatch", copy_key, f"{copy_key}: its bytes are not the head's")
        # Past ``since`` only for a pin that is older than it.
        while child.parent is not None and (missing or since is None):
            data = self._read(child.parent)
            key = layout.entry_key(self.title_number, child.parent)
            parent = self._open(data, key, child.parent) if data is not None else None
            if parent is None:
                return
            self._check_linked(child, parent)
            self.entries += 1
            missing.discard(parent.address)
            child = parent
        for address in sorted(missing):
            self._found(
                "pin-missing", head_key, f"{head_key}: its chain lacks the pinned {address}"
            )

    def _read(self, address: str) -> bytes | None:
        """Read an entry's bytes by the address that its child (or the head) gave."""
        key = layout.entry_key(self.title_number, address)
        try:
            data = self.read(address)
        except LedgerError as error:
            self.findings.append(finding_of(error, key))
            return None
        if data is None:
            self._found("entry-missing", key, f"{key}: missing, and the chain leads through it")
        return data

    def _open(self, data: bytes, key: str, address: str | None) -> Entry | None:
        try:
            return Entry.open(
                data,
                keyring=self.keyring,
                ledger=self.origin,
                title_number=self.title_number,
                address=address,
                object_key=key,
            )
        except (IntegrityError, TrustError, UnsupportedFormatError) as error:
            self.findings.append(finding_of(error, key))
            return None

    def _check_linked(self, child: Entry, parent: Entry) -> None:
        try:
            check_link(child, parent)
        except IntegrityError as error:
            self.findings.append(finding_of(error, error.object_key))

    def _check_time(self, head: Entry) -> None:
        # Times never go back along a chain, so the head's is the latest.
        if head.recorded_at > self.latest:
            key = layout.head_key(self.title_number)
            message = f"{key}: recorded {head.recorded_at}, which is in the future by this clock"
            self.findings.append(Finding("warning", "time-in-future", key, message))

    def _found(self, slug: str, key: str, message: str) -> None:
        self.findings.append(Finding("tampering", slug, key, message))
