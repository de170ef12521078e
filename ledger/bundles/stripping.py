"""Write an old bundle again without the texts that the store's chains order erased."""

from __future__ import annotations

from contextlib import closing
from typing import TYPE_CHECKING, BinaryIO

from ledger.bundles.verifying import NOT_STANDING, verify_bundle
from ledger.errors import Forked, IntegrityError
from ledger.format import layout
from ledger.format.bundle import BUNDLE_KEY, BundleReader, Section, write_bundle
from ledger.format.entry import Entry, address_of, is_short, parent_hint, short_form, version_hint

if TYPE_CHECKING:
    from collections.abc import Callable, Iterator
    from datetime import datetime

    from ledger.bundles.trust_part import BundlePositions
    from ledger.titles.history import History


def strip_bundle(
    history: History,
    source: BinaryIO,
    out: BinaryIO,
    now: datetime,
    counts: Callable[[Entry], bool],
) -> int:
    """Do what ``Ledger.strip_bundle`` does; ``counts`` says whether an order does."""
    start = source.tell()
    from ledger.bundles.trust_part import BundlePositions  # noqa: PLC0415 -- slow to load

    report = verify_bundle(source, history.keyring, now, origin=history.origin)
    for finding in report.findings:
        # What is settled since may be above the bundle's head, in the store.
        if finding.severity == "tampering" and finding.slug not in NOT_STANDING:
            raise IntegrityError(
                f"the bundle doesn't verify: {finding.message}",
                reason=finding.slug,
                object_key=finding.object_key,
            )
    source.seek(start)
    with closing(BundlePositions(source, history.keyring)) as positions:
        return _strip(history, source, out, counts, positions)


def _strip(
    history: History,
    source: BinaryIO,
    out: BinaryIO,
    counts: Callable[[Entry], bool],
    positions: BundlePositions,
) -> int:
    from ledger.bundles.trust_part import either, strip_trust  # noqa: PLC0415 -- slow to load

    reader = BundleReader(source)
    stripped = 0

    def objects() -> Iterator[tuple[str, bytes]]:
        nonlocal stripped
        yield BUNDLE_KEY, reader.header.encode()
        yield layout.LEDGER_KEY, reader.ledger
        yield from strip_trust(history.store, reader.trust)
        for section in reader.sections():
            entries = _read_all(section)
            above = _above(history, section)
            find = either(positions.of(section), history.find_positions(section.title_number))
            standing = history.standing(section.title_number, find)
            erased: set[int] = set()
            for entry in (*above, *map(Entry.unverified, entries)):
                if standing.take(entry).may_erase and entry.erases and counts(entry):
                    erased.update(entry.erases)
            texts = [
                data for data in entries if version_hint(data) in erased and not is_short(data)
            ]
            stripped += len(texts)
            kept = [short_form(data) if data in texts else data for data in entries]
            if texts:
                kept = [*(entry.data for entry in above), *kept]
            yield layout.head_key(section.title_number), kept[0] if texts else section.head
            for data in kept:
                address = address_of(data)
                yield layout.entry_key(section.title_number, address), data
                if address in section.receipts:
                    receipt = section.receipts[address][1]
                    yield layout.receipt_key(section.title_number, address), receipt
        yield from reader.log()

    out.writelines(write_bundle(objects()))
    return stripped


def _read_all(section: Section) -> list[bytes]:
    """Read the entries of a title that the bundle has, newest first."""
    entries: list[bytes] = []
    address: str | None = address_of(section.head)
    while address is not None and (data := section.read(address)) is not None:
        entries.append(data)
        address = parent_hint(data)
    return entries


def _above(history: History, section: Section) -> list[Entry]:
    """Return the entries that the store has above the bundle's head; raises Forked."""
    target = history.find_head(section.title_number)
    version = version_hint(section.head)
    if target is None or target.entry.version < version:
        return []
    above: list[Entry] = []
    for entry in history.walk(target.entry):
        if entry.version > version:
            above.append(entry)
        elif entry.address == address_of(section.head):
            return above
        else:
            break
    raise Forked(
        f"{section.title_number}: the bundle and the store hold two histories that part",
        hint="one of them is not the ledger's; compare both with what auditors remember",
    )
