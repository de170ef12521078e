"""What is due to be logged: of each title, the entries between its record and its head.

A title is verified before anything of it is logged, from the head down to the address that the log
already has. A title that does not hold is reported. It is left as it is, and so are its markers.
"""

from __future__ import annotations

from itertools import groupby, islice
from typing import TYPE_CHECKING, NamedTuple, TypeAlias

from ledger.errors import LedgerError
from ledger.format import layout
from ledger.format.chain import Chain
from ledger.format.entry import Entry, address_of, holds_text
from ledger.format.report import Finding, finding_of
from ledger.local.parallel import in_chunks
from ledger.tlog.objects import Leaf

if TYPE_CHECKING:
    from collections.abc import Iterable, Iterator
    from datetime import datetime

    from ledger.sealing.reader import LogReader
    from ledger.stores.base import Store
    from ledger.titles.history import History
    from ledger.tlog.objects import SealedRecord

__all__ = ["Due", "Moved", "all_titles", "find_due", "pending_titles"]

CHUNK = 50
"""Titles in a task, if reading does not wait for a network."""


class Marker(NamedTuple):
    """A durable note that a head was about to move."""

    key: str
    version: int
    address: str


Moved: TypeAlias = "tuple[str, tuple[Marker, ...]]"
"""A title that may have moved, and the markers that say so."""


class Due(NamedTuple):
    """What is to be done for a title."""

    title_number: str
    leaves: tuple[Leaf, ...] = ()
    """Of the entries that are not logged yet, the oldest first."""
    record_version: str | None = None
    """The version of the title's record; None: there is none."""
    settled: tuple[str, ...] = ()
    """The keys of the markers that mean nothing any more once the leaves are logged."""
    findings: tuple[Finding, ...] = ()
    titles: int = 0
    entries: int = 0
    """How many were checked."""


def pending_titles(store: Store, most: int | None = None) -> Iterator[Moved]:
    """Yield the titles that have markers, in order. Read at most ``most`` markers."""
    keys = islice(store.list(layout.PENDING), most)
    parsed = ((key, layout.parse_pending_key(key)) for key in keys)
    moves = ((named[0], Marker(key, *named[1:])) for key, named in parsed if named)
    for title_number, group in groupby(moves, lambda move: move[0]):
        yield title_number, tuple(marker for _, marker in group)


def all_titles(store: Store) -> Iterator[Moved]:
    """Every title that the store lists, without markers."""
    for folder in store.list(delimiter="/"):
        if layout.is_title_number(folder.removesuffix("/")):
            yield folder.removesuffix("/"), ()


def find_due(
    history: History, log: LogReader, moved: Iterable[Moved], now: datetime, jobs: int
) -> Iterator[Due]:
    """Yield what is due for each title, in turn. Few of them are in memory at a time."""

    def find(taken: list[Moved]) -> list[Due]:
        return [_find(history, log, title, markers, now) for title, markers in taken]

    waits = history.store.concurrency > 1
    workers = max(jobs, history.store.concurrency)
    return in_chunks(moved, find, workers, chunk=1 if waits else CHUNK)


def _find(
    history: History,
    log: LogReader,
    title_number: str,
    markers: tuple[Marker, ...],
    now: datetime,
) -> Due:
    key = layout.head_key(title_number)
    try:
        found = log.record(title_number)
        record, version = found or (None, None)
        head = history.store.get(key)
    except LedgerError as error:
        return Due(title_number, findings=(finding_of(error, key),))
    if head is None:
        return Due(title_number, findings=_judge_headless(key, record, markers))
    if record and address_of(head.data) == record.address and holds_text(head.data):
        return _settle(Due(title_number), record.version, markers)
    due, reached = _walk(history, title_number, record, head.data, now)
    try:
        # Its writer may have been stopped, and a power cut take it back: not what is logged.
        if due.leaves:
            history.store.make_durable(key)
    except LedgerError as error:
        return Due(title_number, findings=(*due.findings, finding_of(error, key)))
    return _settle(due._replace(record_version=version), reached, markers)


def _settle(due: Due, reached: int, markers: tuple[Marker, ...]) -> Due:
    """Say which markers are settled: the verified head has reached their versions.

    That includes the markers of appends that lost a race: no head can move to their entries now.
    """
    return due._replace(settled=tuple(m.key for m in markers if m.version <= reached))


def _judge_headless(
    key: str, record: SealedRecord | None, markers: tuple[Marker, ...]
) -> tuple[Finding, ...]:
    """Report a missing head, unless a first append is under way or was cut off."""
    prepared = max((marker.version for marker in markers), default=0)
    if record:
        why = f"the log has version {record.version} ({record.address})"
    elif prepared > 1:
        why = f"version {prepared} was prepared"
    else:
        return ()
    return (Finding("tampering", "head-missing", key, f"{key}: missing, though {why}"),)


def _walk(
    history: History,
    title_number: str,
    record: SealedRecord | None,
    head: bytes,
    now: datetime,
) -> tuple[Due, int]:
    """Verify from the head down to the record; what is due, and the version of the head."""

    def read(address: str) -> bytes | None:
        blob = history.store.get(layout.entry_key(title_number, address))
        return blob.data if blob else None

    since = record.address if record else None
    chain = Chain(
        title_number, origin=history.origin, keyring=history.keyring, now=now, since=since
    )
    path: list[Leaf] = []
    for step in chain.steps(head, read):
        checked = chain.check(step)
        chain.add(checked)
        if isinstance(checked, Entry):
            path.append(Leaf(title_number, checked.version, checked.address))
    report = chain.report()
    findings = tuple(_explain(each, record) for each in report.findings)
    due = Due(title_number, (), None, (), findings, report.titles, report.entries)
    if not report:
        return due, 0
    if record and path[-1].version != record.version:
        return due._replace(findings=(*findings, _contradicts(path[-1], record))), 0
    leaves = tuple(reversed(path[:-1] if record else path))
    return due._replace(leaves=leaves), path[0].version


def _explain(finding: Finding, record: SealedRecord | None) -> Finding:
    if finding.slug != "pin-missing" or record is None:
        return finding
    key = finding.object_key
    message = (
        f"{key}: its chain lacks version {record.version} ({record.address}), which the log has:"
        " the head was set back, or another history was put in its place"
    )
    return Finding("tampering", "not-as-logged", key, message)


def _contradicts(leaf: Leaf, record: SealedRecord) -> Finding:
    key = layout.sealed_key(leaf.title_number)
    message = f"{key}: it calls {record.address} version {record.version}, not {leaf.version}"
    return Finding("tampering", "bad-record", key, message)
