"""Verify one title: the bytes of a chain and a keyring in, a Report out.

The walk goes from the head to the root by parent, and trusts no listing, no name and no time.
``Entry.judge`` checks all that can be told from one entry's bytes, ``check_link`` what two
neighbours say of each other. This module walks, judges which texts may be withheld, and turns what
is raised into findings.
"""

from __future__ import annotations

from collections import Counter
from collections.abc import Callable
from enum import Enum
from typing import TYPE_CHECKING, NamedTuple, TypeAlias

from ledger.errors import IntegrityError, LedgerError, TrustError, UnsupportedFormatError
from ledger.format import layout, times
from ledger.format.entry import Entry, address_of, parent_hint
from ledger.format.report import Finding, Report, finding_of
from ledger.format.standing import FindPositions, Stand, Standing
from ledger.format.standing import find_positions as know_none

if TYPE_CHECKING:
    from collections.abc import Iterator
    from datetime import datetime

    from ledger.format.keyring import Keyring

ReadEntry = Callable[[str], bytes | None]
"""Reads the bytes at an address of the title, or None if there are none. It may raise."""

NO_PIN = "whether this is the latest version (pass --expect ADDRESS to detect a rollback)"


def check_link(child: Entry, parent: Entry) -> None:
    """Check what two neighbours say of each other; raises IntegrityError naming the child."""
    if child.parent != parent.address:
        why = f"its parent is {child.parent}, not {parent.address}"
        raise _broken_link(child, why, reason="address-mismatch")
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
    """A step that only has to be counted: the head's own object is there, and is the same."""

    COPY = "copy"


Step: TypeAlias = "Stored | Finding | Held"
"""One thing that a walk meets."""


class SeenPart(NamedTuple):
    """An entry that stands and is one of several parts of a registration."""

    reference: str
    part: tuple[int, int]
    title_number: str
    version: int
    address: str
    recorded_at: str


class Chain:
    """One title under verification: walks down from its head, and judges what was checked.

    ``steps`` reads; it follows what the bytes say, unchecked, so that reading can be ahead of
    checking. ``check`` is pure, and may run anywhere. ``add`` takes the result of every step, in
    their order, and stops believing at the first that does not hold.
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
        find_positions: FindPositions = know_none,
    ) -> None:
        self.title_number = title_number
        self.origin = origin
        self.keyring = keyring
        self.head_key: str = layout.head_key(title_number)
        self.now = now
        self.since = since
        self.pinned: bool = expect is not None or since is not None
        self.missing: set[str] = {pin for pin in (expect, since) if pin}
        self.findings: list[Finding] = []
        self.entries: int = 0
        self.broken: bool = False
        self.head: Entry | None = None
        self.child: Entry | None = None
        self.standing: Standing = Standing(keyring.judge(origin, find_positions))
        self.withheld: Counter[str] = Counter()
        """How many texts are lawfully gone, by what says so."""
        self.trace: bytearray | None = None
        """Set it to have the addresses that are walked added to it, 32 bytes each."""
        self.noted: str | None = None
        """Set it to the address of an entry whose time is wanted."""
        self.noted_at: str = ""
        """That entry's ``recorded_at``."""
        self.each: Callable[[Entry, Stand], None] | None = None
        """Set it to hear of every entry, and how it stands; the newest comes first."""
        self.lowest_named: int | None = None
        """The lowest version that an entry confirms or voids."""
        self.parts: list[SeenPart] = []
        """The parts of registrations that were walked, and stand."""
        self._copied = False

    def steps(self, head: bytes, read: ReadEntry) -> Iterator[Step]:
        """Yield everything that the walk passes, from the head to the root or to ``since``."""
        yield self.head_key, None, head
        own = address_of(head)
        copy = self._read(own, read)
        # The head is a copy: the entry must be there under its own name, and hold as well.
        yield Held.COPY if isinstance(copy, tuple) and copy[2] == head else copy
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
            return Entry.judge(
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
        """Take in the result of the next step."""
        if self.broken:
            return
        if self.child is not None and not self._copied:
            self._copied = True
            self._add_copy(checked, self.child)
        elif isinstance(checked, Finding):
            self.findings.append(checked)
            self.broken = True
        elif isinstance(checked, Entry):
            self._add_entry(checked)

    def _add_copy(self, checked: Entry | Finding | Held, head: Entry) -> None:
        """Judge the head's own object; a bad one breaks nothing: the head names its parent."""
        if isinstance(checked, Finding):
            self.findings.append(checked)
        elif isinstance(checked, Entry) and checked.is_withheld and not head.is_withheld:
            self._find_text_missing(layout.entry_key(self.title_number, head.address))
        else:
            self.entries += 1

    def _add_entry(self, entry: Entry) -> None:
        self.missing.discard(entry.address)
        if self.trace is not None:
            self.trace += bytes.fromhex(entry.address)
        if entry.address == self.noted:
            self.noted_at = entry.recorded_at
        if self.child is None:
            self.head = entry
            self._check_time(entry)
        else:
            try:
                check_link(self.child, entry)
            except IntegrityError as error:
                self.findings.append(finding_of(error, self.head_key))
            self.entries += 1
        self.child = entry
        if named := (*entry.confirms, *entry.voids):
            self.lowest_named = min(self.lowest_named or named[0], *named)
        if entry.unsupported:
            self._find_unsupported(entry)
        if entry.is_withheld or entry.version in self.standing.erased:
            self._check_text(entry)
        stand = self.standing.take(entry)
        if stand.reason and (finding := stand.finding(entry, self._key(entry))) is not None:
            self.findings.append(finding)
        if self.each is not None or entry.part[1] > 1:
            self._tell(entry, stand)

    def _tell(self, entry: Entry, stand: Stand) -> None:
        if self.each is not None:
            self.each(entry, stand)
        if entry.part[1] > 1 and stand.stands:
            place = (entry.title_number, entry.version, entry.address, entry.recorded_at)
            self.parts.append(SeenPart(entry.reference, entry.part, *place))

    def _key(self, entry: Entry) -> str:
        if entry is self.head:
            return self.head_key
        return layout.entry_key(self.title_number, entry.address)

    def _find_unsupported(self, entry: Entry) -> None:
        """Name what this version can't judge; the walk goes on below it."""
        key = self._key(entry)
        try:
            entry.check_supported(key)
        except UnsupportedFormatError as error:
            self.findings.append(finding_of(error, key))

    def _check_text(self, entry: Entry) -> None:
        """A text may be withheld if an entry above orders it, and must be then."""
        key, by = self._key(entry), self.standing.erased.get(entry.version)
        if entry.is_withheld:
            if by is None and entry.version in self.standing.perhaps_erased:
                message = (
                    f"{key}: its text is withheld by an entry above, and nobody can tell whether"
                    " that may erase: its place in the log is not shown"
                )
                self.findings.append(Finding("unchecked", "position-unknown", key, message))
            elif by is None:
                self._find_text_missing(key)
            else:
                case = f" (reference {by.reference})" if by.reference else ""
                self.withheld[f"erased by version {by.version}{case}"] += 1
        elif by is not None:
            message = (
                f"{key}: its text is still there, though version {by.version} orders it erased"
            )
            self.findings.append(Finding("warning", "not-erased", key, message))

    def _find_text_missing(self, key: str) -> None:
        message = f"{key}: its text is withheld, and no entry above that may erase names it"
        self.findings.append(Finding("tampering", "text-missing", key, message))

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
        for by, count in self.withheld.items():
            texts = "the text of 1 entry" if count == 1 else f"the texts of {count} entries"
            not_shown.append(f"{texts} of {self.title_number}, {by}")
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
    trace: bytearray | None = None,
    parts: list[SeenPart] | None = None,
    find_positions: FindPositions = know_none,
) -> Report:
    """Walk one title from its head to its root, or down to ``since``, and check everything.

    ``expect`` is a pin: an address that must be in the chain. ``since`` is an address that an
    earlier verification vouched for: it is checked, and what lies below it is not. ``trace`` gets
    the addresses that are walked, 32 bytes each, ``parts`` the parts of registrations that stand.
    ``find_positions`` tells where the log has them.
    An entry is read after its child was checked.
    """
    chain = Chain(
        title_number,
        origin=origin,
        keyring=keyring,
        now=now,
        expect=expect,
        since=since,
        find_positions=find_positions,
    )
    chain.trace = trace
    if parts is not None:
        chain.parts = parts
    for step in chain.steps(head, read):
        chain.add(chain.check(step))
    return chain.report()
