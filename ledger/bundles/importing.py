"""Bringing a bundle into a store: all of it is verified before anything is written."""

from __future__ import annotations

import hashlib
from typing import TYPE_CHECKING, NamedTuple

from ledger.bundles.verifying import check_origins
from ledger.errors import (
    Forked,
    HeadMoved,
    IntegrityError,
    LedgerError,
    MalformedError,
    NotABundle,
    NotFoundError,
    PreconditionFailed,
    UnsupportedFormatError,
)
from ledger.format import layout
from ledger.format.bundle import BUNDLE_KEY, BundleReader, Section
from ledger.format.chain import verify_chain
from ledger.titles.append import check_new, move_head

if TYPE_CHECKING:
    from collections.abc import Iterator
    from datetime import datetime
    from typing import BinaryIO

    from ledger.bundles.log_part import LogImport
    from ledger.format.entry import Entry
    from ledger.format.report import Report
    from ledger.titles.history import Head, History

__all__ = ["Imported", "import_bundle"]

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


def import_bundle(history: History, source: BinaryIO, now: datetime) -> Imported:
    """Bring every title of a bundle to where the bundle has it; repeating it changes nothing.

    ``source`` is read twice: all of it is verified, and compared with what the store has, before
    anything is written. Raises IntegrityError for what doesn't verify, Forked if the store has
    another history. Titles that the store has further are left as they are. Entries that the store
    lost are put back. If it fails on the way, the titles that were moved stay so: import again.
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
        check_origins(reader, history.keyring, history.origin)
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
    except NotABundle:
        raise
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
        if finding.severity in {"tampering", "mismatch"}:
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
        try:
            data = self.section.read(address)
        except LedgerError as error:
            self.failure = error
            raise
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
