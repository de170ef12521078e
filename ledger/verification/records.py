"""Compare the records of how far titles are logged with the leaves of the log.

A record only says where to look, so a wrong one hides nothing. But it makes readers search, and
somebody wrote it who may write nothing there.
"""

from __future__ import annotations

from itertools import islice
from typing import TYPE_CHECKING

from ledger.errors import IntegrityError
from ledger.format import layout
from ledger.format.report import Finding, Severity
from ledger.tlog.objects import RECORDED, SealedRecord

if TYPE_CHECKING:
    from collections.abc import Collection, Iterable, Iterator

    from ledger.sealing.reader import LogReader
    from ledger.stores.base import Blob
    from ledger.verification.leaf_index import Row

BATCH = 256


def judge_records(
    log: LogReader,
    titles: Iterable[tuple[str, Iterable[Row]]],
    start: int,
    size: int,
    disowned: Collection[str] = (),
) -> Iterator[Finding]:
    """Report the records that are not as the leaves from ``start`` to ``size`` have their titles.

    ``titles``: those that have such leaves, with the leaves by version and index. ``disowned``:
    those that had others, which count for nothing: their records may be from before that was known.
    """
    wanted = ((title, record) for title, rows in titles if (record := _record_of(rows)))
    while taken := dict(islice(wanted, BATCH)):
        keys = [layout.sealed_key(title) for title in taken]
        for (title, record), (key, blob) in zip(
            taken.items(), log.store.get_many(keys), strict=True
        ):
            if blob is None:
                message = f"{key}: missing, though the log has the title: readers have to search"
                yield Finding("warning", "bad-record", key, message)
            elif why := _refute(log, blob, record, start, size):
                message = f"{key}: {why}; the record is to blame, and not the title"
                severity: Severity = "warning" if title in disowned else "tampering"
                yield Finding(severity, "bad-record", key, message)


def _record_of(rows: Iterable[Row]) -> SealedRecord | None:
    """The record that leaves of a title make: a version that is logged twice counts once."""
    first: dict[int, Row] = {}
    for row in rows:
        first.setdefault(row.version, row)
    if not first:
        return None
    newest = version = max(first)
    leaves: list[int] = []
    while version in first and len(leaves) < RECORDED:
        leaves.append(first[version].at)
        version -= 1
    return SealedRecord(newest, first[newest].address, tuple(reversed(leaves)))


def _refute(log: LogReader, blob: Blob, record: SealedRecord, start: int, size: int) -> str | None:
    """What is wrong with a record, or None."""
    try:
        found = SealedRecord.decode(blob.data)
    except IntegrityError as error:
        return str(error).removeprefix(": ")
    if found.leaf >= size and _is_sealed(log, found.leaf):
        return None
    new = tuple(leaf for leaf in found.leaves if leaf >= start)
    right = (record.version, record.address, record.leaves)
    if (found.version, found.address, found.leaves if not start else new) == right:
        return None
    return (
        f"it says version {found.version} ({found.address}) is leaf {found.leaf}, but the log ends"
        f" at version {record.version} ({record.address}), leaf {record.leaf}"
    )


def _is_sealed(log: LogReader, leaf: int) -> bool:
    """Whether the log has been sealed up to this leaf meanwhile."""
    found = log.state()
    return found is not None and found[0].checkpoint.size > leaf
