"""What is due to be logged: of each title, the entries between its newest leaf and its head.

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
from ledger.format.standing import Positions
from ledger.local.parallel import in_chunks
from ledger.tlog.objects import Leaf

if TYPE_CHECKING:
    from collections.abc import Iterable, Iterator
    from datetime import datetime

    from ledger.sealing.index import SealedIndex
    from ledger.stores.base import Store
    from ledger.titles.history import History

CHUNK = 50
"""Titles in a task, if reading does not wait for a network."""


class Marker(NamedTuple):
    """A durable note that a head was about to move."""

    key: str
    version: int
    address: str


Moved: TypeAlias = "tuple[str, tuple[Marker, ...]]"
"""A title that may have moved, and the markers that say so."""


class _InLog(NamedTuple):
    """What the sealer's index has of a title."""

    newest: Leaf | None
    positions: Positions
    """Left empty if no key has an end."""


class Due(NamedTuple):
    """What is to be done for a title."""

    title_number: str
    leaves: tuple[Leaf, ...] = ()
    """Of the entries that are not logged yet, the oldest first."""
    settled: tuple[str, ...] = ()
    """The keys of the markers that mean nothing any more once the leaves are logged."""
    findings: tuple[Finding, ...] = ()
    titles: int = 0
    entries: int = 0
    """How many were checked."""
    has_parts: bool = False
    """Whether parts of registrations are among them."""


def pending_titles(store: Store, most: int | None = None) -> Iterator[Moved]:
    """Yield the titles that have markers, each once. Read at most ``most`` markers.

    They come in the order of the folders that their hashes spread them over, not in their own.
    """
    keys = islice(store.list(layout.PENDING), most)
    parsed = ((key, layout.parse_pending_key(key)) for key in keys)
    moves = ((named[0], Marker(key, *named[1:])) for key, named in parsed if named)
    for _, folder in groupby(moves, lambda move: move[1].key.split("/")[1]):
        # Within a folder, markers of A.1 come between those of A.
        titles: dict[str, list[Marker]] = {}
        for title_number, marker in folder:
            titles.setdefault(title_number, []).append(marker)
        for title_number, markers in titles.items():
            yield title_number, tuple(markers)


def all_titles(store: Store) -> Iterator[Moved]:
    """Every title that the store lists, without markers."""
    for folder in store.list(delimiter="/"):
        if layout.is_title_number(folder.removesuffix("/")):
            yield folder.removesuffix("/"), ()


def find_due(
    history: History, index: SealedIndex, moved: Iterable[Moved], now: datetime, jobs: int
) -> Iterator[Due]:
    """Yield what is due for each title, in turn. Few of them are in memory at a time."""

    def find(taken: list[tuple[Moved, _InLog]]) -> list[Due]:
        return [_find(history, *each, in_log, now) for each, in_log in taken]

    has_ends = history.keyring.has_ends(history.origin)
    asked = (
        (each, _InLog(index.newest(each[0]), index.positions(each[0]) if has_ends else Positions()))
        for each in moved
    )
    waits = history.store.concurrency > 1
    workers = max(jobs, history.store.concurrency)
    return in_chunks(asked, find, workers, chunk=1 if waits else CHUNK)


def _find(
    history: History,
    title_number: str,
    markers: tuple[Marker, ...],
    in_log: _InLog,
    now: datetime,
) -> Due:
    logged = in_log.newest
    key = layout.head_key(title_number)
    try:
        head = history.store.get(key)
    except LedgerError as error:
        return Due(title_number, findings=(finding_of(error, key),))
    if head is None:
        return Due(title_number, findings=_judge_headless(key, logged, markers))
    # What is in the log was verified when it was sealed.
    if logged and address_of(head.data) == logged.address and holds_text(head.data):
        return _settle(Due(title_number), logged.version, markers)
    due, reached = _walk(history, title_number, in_log, head.data, now)
    try:
        # Its writer may have been stopped, and a power cut take it back: not what is logged.
        if due.leaves:
            history.store.make_durable(key)
    except LedgerError as error:
        return Due(title_number, findings=(*due.findings, finding_of(error, key)))
    return _settle(due, reached, markers)


def _settle(due: Due, reached: int, markers: tuple[Marker, ...]) -> Due:
    """Say which markers are settled: the verified head has reached their versions.

    That includes the markers of appends that lost a race: no head can move to their entries now.
    """
    return due._replace(settled=tuple(m.key for m in markers if m.version <= reached))


def _judge_headless(
    key: str, logged: Leaf | None, markers: tuple[Marker, ...]
) -> tuple[Finding, ...]:
    """Report a missing head, unless a first append is under way or was cut off."""
    prepared = max((marker.version for marker in markers), default=0)
    if logged:
        why = f"the log has version {logged.version} ({logged.address})"
    elif prepared > 1:
        why = f"version {prepared} was prepared"
    else:
        return ()
    return (Finding("tampering", "head-missing", key, f"{key}: missing, though {why}"),)


def _walk(
    history: History,
    title_number: str,
    in_log: _InLog,
    head: bytes,
    now: datetime,
) -> tuple[Due, int]:
    """Verify from the head down to what is logged; what is due, and the version of the head."""

    def read(address: str) -> bytes | None:
        blob = history.store.get(layout.entry_key(title_number, address))
        return blob.data if blob else None

    logged = in_log.newest
    since = logged.address if logged else None
    chain = Chain(
        title_number,
        origin=history.origin,
        keyring=history.keyring,
        now=now,
        since=since,
        find_positions=lambda _end, _search: in_log.positions,
    )
    path: list[Leaf] = []
    for step in chain.steps(head, read):
        checked = chain.check(step)
        chain.add(checked)
        if isinstance(checked, Entry):
            path.append(Leaf(title_number, checked.version, checked.address))
    report = chain.report()
    findings = tuple(_explain(each, logged) for each in report.findings)
    due = Due(
        title_number, (), (), findings, report.titles, report.entries, has_parts=bool(chain.parts)
    )
    if not report:
        return due, 0
    leaves = tuple(reversed(path[:-1] if logged else path))
    return due._replace(leaves=leaves), path[0].version


def _explain(finding: Finding, logged: Leaf | None) -> Finding:
    if finding.slug != "pin-missing" or logged is None:
        return finding
    key = finding.object_key
    message = (
        f"{key}: its chain lacks version {logged.version} ({logged.address}), which the log has:"
        " the head was set back, or another history was put in its place"
    )
    return Finding("tampering", "not-as-logged", key, message)
