"""Verify one title: the bytes of a chain and a keyring in, a Report out.

The walk goes from the head to the root by parent, and trusts no listing, no name and no time.
``Entry.open`` checks one entry's bytes, and ``check_link`` what two neighbours say of each other.
This module walks, and turns what they raise into findings.
"""

from __future__ import annotations

import hashlib
from collections.abc import Callable
from enum import Enum
from typing import TYPE_CHECKING, TypeAlias

from ledger.errors import (
    IntegrityError,
    LedgerError,
    TrustError,
    UnsupportedFormatError,
)
from ledger.format import layout, times
from ledger.format.entry import Entry, parent_hint
from ledger.format.report import Finding, Report, finding_of

if TYPE_CHECKING:
    from collections.abc import Iterator
    from datetime import datetime

    from ledger.format.keyring import Keyring

__all__ = ["NO_PIN", "ReadEntry", "check_link", "verify_chain"]

ReadEntry = Callable[[str], bytes | None]
"""Reads the bytes at an address of the title, or None if there are none. It may raise."""

NO_PIN = (
    "that this is the newest state: without an address remembered from before (--expect),"
    " an older valid one, or one that lost a race, looks the same"
)


def check_link(child: Entry, parent: Entry) -> None:
    """Check what two neighbours say of each other; raise IntegrityError naming the child."""
    if child.version != parent.version + 1:
        why = f"it is version {child.version} on top of version {parent.version}"
        raise _broken_link(child, why, reason="wrong-version")
    if child.recorded_at < parent.recorded_at:
        why = f"recorded {child.recorded_at}, before its parent ({parent.recorded_at})"
        raise _broken_link(child, why, reason="time-reversed")


def _broken_link(child: Entry, why: str, *, reason: str) -> IntegrityError:
    where = layout.entry_key(child.title_number, child.address)
    return IntegrityError(f"{where}: {why}", reason=reason, object_key=where)


Stored: TypeAlias = "tuple[str, str | None, bytes]"
"""Bytes to be checked: their key, the address they should have, and the bytes."""


class Held(Enum):
    """A step that is only counted: the head's own entry is there and has the same bytes."""

    COPY = "copy"


Step: TypeAlias = "Stored | Finding | Held"
"""What a walk passes."""


class Chain:
    """One title under verification: walks down from its head, and judges what was checked.

    ``steps`` reads, and follows the unchecked bytes, so that reading can be ahead of checking.
    ``check`` is pure and may run on any thread. ``add`` takes the results of all steps in order,
    and believes nothing after the first that does not hold.
    """

    def __init__(
        self,
        title_number: str,
        *,
        origin: str,
        keyring: Keyring,
        now: datetime,
        expect: str | None = None,
        since: str | None = None,
    ) -> None:
        self.title_number = title_number
        self.origin = origin
        self.keyring = keyring
        self.head_key = layout.head_key(title_number)
        self.now = now
        self.since = since
        self.pinned = expect is not None or since is not None
        self.missing = {pin for pin in (expect, since) if pin}
        self.findings: list[Finding] = []
        self.entries = 0
        self.broken = False
        self.head: Entry | None = None
        self.child: Entry | None = None
        self.trace: bytearray | None = None
        """Set it to collect the addresses of the walk, 32 bytes each."""

    def steps(self, head: bytes, read: ReadEntry) -> Iterator[Step]:
        """Yield everything that the walk passes, from the head to the root or to ``since``."""
        yield self.head_key, None, head
        own = hashlib.sha256(head).hexdigest()
        yield self._copy(own, head, read)
        left = self.missing - {own}
        address = parent_hint(head)
        # Go past ``since`` only for an older pin.
        while address is not None and (left or self.since is None) and not self.broken:
            step = self._read(address, read)
            yield step
            if isinstance(step, Finding):
                return
            left.discard(address)
            address = parent_hint(step[2])

    def _copy(self, address: str, head: bytes, read: ReadEntry) -> Step:
        """Compare the head, which is a copy, with the entry under its own name."""
        step = self._read(address, read)
        if isinstance(step, Finding):
            return step
        key, _, data = step
        if data != head:
            message = f"{key}: its bytes are not the head's"
            return Finding("tampering", "address-mismatch", key, message)
        return Held.COPY

    def _read(self, address: str, read: ReadEntry) -> Stored | Finding:
        key = layout.entry_key(self.title_number, address)
        try:
            data = read(address)
        except LedgerError as error:
            return finding_of(error, key)
        if data is None:
            message = f"{key}: missing, and the chain leads through it"
            return Finding("tampering", "entry-missing", key, message)
        return key, address, data

    def check(self, step: Step) -> Entry | Finding | Held:
        """Check what one entry's bytes tell, without side effects."""
        if not isinstance(step, tuple):
            return step
        key, address, data = step
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
            return finding_of(error, key)

    def add(self, checked: Entry | Finding | Held) -> None:
        """Take the result of the next step."""
        if self.broken:
            return
        if isinstance(checked, Entry):
            self._add_entry(checked)
        elif isinstance(checked, Finding):
            self.findings.append(checked)
            # A bad copy of the head breaks nothing: its parents are known from the head.
            self.broken = checked.object_key != self._copy_key()
        else:
            self.entries += 1

    def _copy_key(self) -> str:
        return layout.entry_key(self.title_number, self.child.address) if self.child else ""

    def _add_entry(self, entry: Entry) -> None:
        self.missing.discard(entry.address)
        if self.trace is not None:
            self.trace += bytes.fromhex(entry.address)
        if self.child is None:
            self.head = entry
            self._check_time(entry)
        else:
            self._check_linked(self.child, entry)
            self.entries += 1
        self.child = entry

    def _check_linked(self, child: Entry, parent: Entry) -> None:
        try:
            if parent.address != child.parent:
                raise IntegrityError(f"{child.address} does not continue {parent.address}")
            check_link(child, parent)
        except IntegrityError as error:
            self.findings.append(finding_of(error, self.head_key))

    def _check_time(self, head: Entry) -> None:
        # Times never go back along a chain, so the head's is the latest.
        if times.parse_time(head.recorded_at) - self.now > times.CLOCK_SKEW:
            what = f"recorded {head.recorded_at}, which is in the future by this clock"
            message = f"{self.head_key}: {what}"
            self.findings.append(Finding("warning", "time-in-future", self.head_key, message))

    def report(self) -> Report:
        """Return the verdict, after every step was added."""
        findings = list(self.findings)
        if not self.broken:
            for address in sorted(self.missing):
                message = f"{self.head_key}: its chain lacks the pinned {address}"
                findings.append(Finding("mismatch", "pin-missing", self.head_key, message))
        not_shown = [] if self.pinned else [NO_PIN]
        if self.since:
            not_shown.append(
                f"what lies below {self.since[:16]}… in {self.title_number}:"
                " taken on trust (--since)"
            )
        return Report(self.origin, 1, self.entries, tuple(findings), tuple(not_shown))


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
    earlier verification vouched for: it is checked, and what lies below it is not. An entry is read
    after its child was checked.
    """
    chain = Chain(title_number, origin=origin, keyring=keyring, now=now, expect=expect, since=since)
    for step in chain.steps(head, read):
        chain.add(chain.check(step))
    return chain.report()
