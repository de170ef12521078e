"""Between bundles and stores: export, import, and verifying a bundle where it lies."""

from __future__ import annotations

import hashlib
from typing import TYPE_CHECKING, NamedTuple

from ledger.errors import (
    Forked,
    HeadMoved,
    IntegrityError,
    LedgerError,
    MalformedError,
    NotFoundError,
    PreconditionFailed,
    TrustError,
    UnsupportedFormatError,
)
from ledger.format import layout
from ledger.format.bundle import BUNDLE_KEY, BundleReader, Header, Section, pack
from ledger.format.chain import verify_chain
from ledger.format.entry import Entry
from ledger.format.report import Finding, Report
from ledger.titles.append import check_new, move_head
from ledger.titles.identity import check_pinned, decode_identity, encode_identity

if TYPE_CHECKING:
    from collections.abc import Callable, Iterable, Iterator, Mapping
    from datetime import datetime
    from typing import BinaryIO

    from ledger.bundles.log_part import LogImport
    from ledger.format.keyring import Keyring
    from ledger.format.report import Severity
    from ledger.titles.history import Head, History

__all__ = ["Imported", "export", "heads_of", "import_bundle", "verify_bundle"]

BATCH = 64
"""How many objects an import creates side by side."""


class Imported(NamedTuple):
    """What an import did: titles whose head moved, titles that were there already."""

    moved: int
    unchanged: int
    leaves: int = 0
    """How many leaves the log got."""
    left_out: bool = False
    """Whether the bundle's log was left out: the keyring has no key of it."""


class NotInBundle(NotFoundError):
    """A chain goes on below what an incremental bundle holds."""

    slug = "not-in-bundle"


# -- Export --------------------------------------------------------------------------------------


def export(
    history: History,
    out: BinaryIO,
    titles: Iterable[str],
    known: Mapping[str, str] | None = None,
    *,
    listed: bool = False,
) -> int:
    """Write a bundle of these titles (in order) and return how many it holds.

    Where the titles are ``listed`` by the store, those are left out that have nothing but a first
    append that never finished; HeadMissing is raised for a history without a head. ``known`` maps
    titles to the heads that an earlier bundle holds: only what came after them goes in, and titles
    without anything new are left out. What is exported has been checked: raises IntegrityError for
    what does not hold together.
    """
    from ledger.bundles.log_part import published_log, write_log  # noqa: PLC0415 -- slow to load

    count = 0
    left = set(known or ()) if listed else set()

    def objects() -> Iterator[tuple[str, bytes]]:
        nonlocal count
        # First of all: titles that are read later are as far as the log, or further.
        log = published_log(history) if listed else None
        yield BUNDLE_KEY, Header(history.origin, known is None, log is not None).encode()
        yield layout.LEDGER_KEY, encode_identity(history.origin)
        for title_number in titles:
            stop = known.get(title_number) if known else None
            head = _head_to_export(history, title_number, listed=listed)
            left.discard(title_number)
            if head is not None and head.address != stop:
                count += 1
                yield layout.head_key(title_number), head.data
                yield from _entries_down_to(history, head, stop)
        for title_number in sorted(left):
            raise IntegrityError(
                f"{title_number} is in the earlier bundle, and the store lists it no more",
                hint="it was dropped: import the earlier bundle to bring it back",
                reason="head-missing",
                object_key=layout.head_key(title_number),
            )
        if log is not None:
            yield from write_log(history, log)

    out.writelines(pack(objects()))
    return count


def _head_to_export(history: History, title_number: str, *, listed: bool) -> Entry | None:
    head = history.find_head(title_number)
    if head is None and listed:
        check_new(history, title_number)
        return None
    return head.entry if head else history.head(title_number)


def _entries_down_to(
    history: History, head: Entry, stop: str | None
) -> Iterator[tuple[str, bytes]]:
    for entry in history.walk(head):
        if entry.address == stop:
            return
        yield layout.entry_key(entry.title_number, entry.address), entry.data
    if stop is not None:
        raise Forked(
            f"the earlier bundle has {head.title_number} at {stop}, which is not in its chain now",
            hint="the store was set back, or the bundle is another ledger's; leave out --since",
        )


def heads_of(source: BinaryIO, origin: str, keyring: Keyring) -> dict[str, str]:
    """The heads that a bundle of this ledger holds, by title; only their own bytes are checked."""
    reader = BundleReader(source)
    _check_origins(reader, keyring, origin)
    heads = {}
    for section in reader.sections():
        entry = Entry.open(
            section.head,
            keyring=keyring,
            ledger=origin,
            title_number=section.title_number,
            object_key=layout.head_key(section.title_number),
        )
        heads[section.title_number] = entry.address
        reader.skip(section)
    for _ in reader.log():
        pass
    return heads


# -- Verify --------------------------------------------------------------------------------------


def verify_bundle(
    source: BinaryIO,
    keyring: Keyring,
    now: datetime,
    *,
    origin: str | None = None,
    expect: str | None = None,
) -> Report:
    """Verify every title of a bundle, offline; raises OriginNotPinned for an unknown origin.

    Where the bundle is an incremental one, what lies below it is reported as unchecked. ``expect``
    is a pin: an address that must be in one of its chains.
    """
    try:
        reader = BundleReader(source)
        _check_origins(reader, keyring, origin)
    except MalformedError as error:
        return _not_a_bundle(origin or "", str(error))
    # One report of a title at a time: a bundle may hold millions.
    not_shown = ["that the bundle holds every title, and all there is of them by now"]
    merged = Report.merge(reader.header.origin, _reports(reader, keyring, now, expect, not_shown))
    return Report(merged.origin, merged.titles, merged.entries, merged.findings, tuple(not_shown))


def _reports(
    reader: BundleReader, keyring: Keyring, now: datetime, expect: str | None, unseen: list[str]
) -> Iterator[Report]:
    """A report for each title in turn, one for the log, and one for the bundle as a whole."""
    seen: set[str] = set()
    try:
        for section in reader.sections():
            read = _declaring(reader, _noting(section.read, expect, seen))
            yield _verify_section(reader, section, keyring, now, read)
        if reader.header.has_log:
            from ledger.bundles.log_part import carried_report  # noqa: PLC0415 -- slow to load

            report = carried_report(reader, keyring)
            unseen += report.not_shown
            yield report
    except MalformedError as error:
        yield _not_a_bundle(reader.header.origin, str(error))
    if expect is not None and expect not in seen:
        message = f"no chain of the bundle leads through the pinned {expect}"
        # Below an incremental bundle it may well be.
        severity: Severity = "tampering" if reader.header.complete else "unchecked"
        finding = Finding(severity, "pin-missing", BUNDLE_KEY, message)
        yield Report(reader.header.origin, findings=(finding,))


def _check_origins(reader: BundleReader, keyring: Keyring, origin: str | None) -> None:
    claimed = reader.header.origin
    if decode_identity(reader.ledger) != claimed:
        raise MalformedError("bundle.json and ledger.json name different origins")
    if origin is not None and claimed != origin:
        raise TrustError(
            f"the bundle is of the ledger {claimed}, not of {origin}",
            reason="wrong-ledger",
            object_key=BUNDLE_KEY,
        )
    check_pinned(claimed, keyring, "the bundle")


def _not_a_bundle(origin: str, why: str) -> Report:
    return Report(origin, findings=(Finding("tampering", "malformed-bundle", BUNDLE_KEY, why),))


def _noting(
    read: Callable[[str], bytes | None], pin: str | None, seen: set[str]
) -> Callable[[str], bytes | None]:
    def noting(address: str) -> bytes | None:
        if address == pin:
            seen.add(address)
        return read(address)

    return noting


def _declaring(
    reader: BundleReader, read: Callable[[str], bytes | None]
) -> Callable[[str], bytes | None]:
    """Say what the bundle is to blame for.

    Bytes that no bundle has are tampering, not something that could not be checked. In an
    incremental bundle, an entry that isn't there is elsewhere, not missing.
    """

    def declared(address: str) -> bytes | None:
        try:
            data = read(address)
        except MalformedError as error:
            raise IntegrityError(
                f"{BUNDLE_KEY}: {error}", reason="malformed-bundle", object_key=BUNDLE_KEY
            ) from None
        if data is None and not reader.header.complete:
            raise NotInBundle(f"{address} and all below it are in an earlier bundle")
        return data

    return declared


def _verify_section(
    reader: BundleReader,
    section: Section,
    keyring: Keyring,
    now: datetime,
    read: Callable[[str], bytes | None],
) -> Report:
    report = verify_chain(
        section.title_number,
        origin=reader.header.origin,
        keyring=keyring,
        head=section.head,
        read=read,
        now=now,
    )
    if any(f.severity != "warning" and f.slug != NotInBundle.slug for f in report.findings):
        reader.skip(section)  # the walk broke off, what follows is another title's
    return report


# -- Import --------------------------------------------------------------------------------------


def import_bundle(history: History, source: BinaryIO, now: datetime) -> Imported:
    """Bring every title of a bundle to where the bundle has it; repeating it changes nothing.

    ``source`` is read twice: all of it is verified, and compared with what the store has, before
    anything is written. Raises IntegrityError for what doesn't verify, Forked where the store has
    another history. Titles that the store has further are left as they are. Entries that the store
    lost are put back. Where it fails on the way, the titles that were moved stay so: import again.
    """
    from ledger.bundles.log_part import LogImport  # noqa: PLC0415 -- slow to load

    start = source.tell()
    log = LogImport(history)
    for _ in _titles(history, source, now, log, keep=False):
        pass
    source.seek(start)
    moved = unchanged = 0
    for head, target in _titles(history, source, now, log, keep=True):
        if target is not None and target.entry.version >= head.version:
            unchanged += 1
            continue
        if not move_head(history, head, target.version if target else None):
            raise HeadMoved(
                f"{head.title_number} was appended to during the import",
                hint="import again: what is there already stays as it is",
            )
        moved += 1
    return Imported(moved, unchanged, log.leaves, log.left_out)


def _titles(
    history: History, source: BinaryIO, now: datetime, log: LogImport, *, keep: bool
) -> Iterator[tuple[Entry, Head | None]]:
    """Verify each title of the bundle, then its log, against the store; ``keep``: store them."""
    try:
        reader = BundleReader(source)
        _check_origins(reader, history.keyring, history.origin)
        for section in reader.sections():
            target = history.find_head(section.title_number)
            incoming = _Incoming(history, reader, section, keep=keep)
            head = _check_section(incoming, target, now)
            if target is None:
                check_new(history, section.title_number, incoming.addresses)
            incoming.flush()
            yield head, target
            if not reader.header.complete:
                reader.skip(section)  # an incremental bundle may begin below what the store has
        log.take(reader, keep=keep)
    except MalformedError as error:
        raise IntegrityError(str(error), reason="malformed-bundle", object_key=BUNDLE_KEY) from None


def _check_section(incoming: _Incoming, target: Head | None, now: datetime) -> Entry:
    history, section = incoming.history, incoming.section
    head_key = layout.head_key(section.title_number)
    head = history.open(section.head, section.title_number, head_key)
    pin = target.entry.address if target and head.version > target.entry.version else None
    report = verify_chain(
        section.title_number,
        origin=history.origin,
        keyring=history.keyring,
        head=section.head,
        read=incoming.read,
        now=now,
        expect=pin,
        # An incremental bundle continues what the store has, which was verified when it came.
        since=None if incoming.complete else pin,
    )
    if pin:
        forked = any(finding.slug == "pin-missing" for finding in report.findings)
    else:
        forked = target is not None and not history.descends(
            target.entry, head.address, head.version
        )
    if forked:
        raise Forked(
            f"{section.title_number}: the bundle and the store hold two histories that part",
            hint="one of them is not the ledger's; compare both with what auditors remember",
        )
    if not report:
        raise _refusal(report, incoming.failure)
    return head


def _refusal(report: Report, failure: LedgerError | None) -> LedgerError:
    """What to raise for a title that doesn't verify: it is wrong, or it could not be checked."""
    for finding in report.findings:
        if finding.severity == "tampering":
            return IntegrityError(
                f"the bundle doesn't verify: {finding.message}",
                reason=finding.slug,
                object_key=finding.object_key,
            )
    unchecked = next(finding for finding in report.findings if finding.severity == "unchecked")
    return failure or UnsupportedFormatError(f"the bundle can't be verified: {unchecked.message}")


class _Incoming:
    """The entries of one title: from the bundle, or, below an incremental one, from the store."""

    def __init__(
        self, history: History, reader: BundleReader, section: Section, *, keep: bool
    ) -> None:
        self.history = history
        self.section = section
        self.complete = reader.header.complete
        self.addresses: set[str] = set()
        self.failure: LedgerError | None = None
        """Why an entry could not be read."""
        self._keep = keep
        self._batch: list[tuple[str, bytes]] = []

    def read(self, address: str) -> bytes | None:
        key = layout.entry_key(self.section.title_number, address)
        self.addresses.add(address)
        data = self.section.read(address)
        if data is None:
            return None if self.complete else self._stored(key)
        if self._keep and hashlib.sha256(data).hexdigest() == address:
            self._batch.append((key, data))
            if len(self._batch) >= BATCH:
                self.flush()
        return data

    def _stored(self, key: str) -> bytes:
        try:
            blob = self.history.store.get(key)
            if blob is None:
                raise NotFoundError(
                    f"{key} is not in this incremental bundle, nor in {self.history.store.url}",
                    hint="import the earlier bundles first, the oldest first",
                )
        except LedgerError as error:
            self.failure = error
            raise
        return blob.data

    def flush(self) -> None:
        batch, self._batch = self._batch, []
        try:
            self.history.store.create_many(batch)
        except PreconditionFailed as error:
            raise IntegrityError(
                f"the store holds other bytes under an address of the bundle: {error}",
                hint=f"'ledger fsck' names it; nothing of {self.section.title_number} was moved",
                reason="address-mismatch",
                object_key=layout.head_key(self.section.title_number),
            ) from error
