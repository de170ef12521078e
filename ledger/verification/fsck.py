"""fsck: verify every title, and check every other object in the store."""

from __future__ import annotations

from contextlib import suppress
from typing import TYPE_CHECKING

from ledger.errors import LedgerError, NotFoundError
from ledger.format import layout
from ledger.format.report import Finding, Report, finding_of
from ledger.local.parallel import in_chunks
from ledger.packs.reader import check_packs
from ledger.verification.listing import TolerantListing, by_folder
from ledger.verification.log_objects import check_log
from ledger.verification.prefetch import Wanted, fetch
from ledger.verification.walk import TITLES, carry_out, plan_walk, stray

if TYPE_CHECKING:
    from collections.abc import Iterable, Iterator
    from datetime import datetime

    from ledger.titles.history import History

__all__ = ["fsck"]


def fsck(history: History, now: datetime, *, jobs: int = 1) -> Iterator[Report]:
    """Check every object of the store, also those that no chain leads to, and those of the log."""

    def check(folders: list[tuple[str, list[str]]]) -> list[Report]:
        return [report for folder in folders for report in _fsck_folder(history, *folder, now)]

    listing = TolerantListing(history.store.list())
    workers = max(jobs, history.store.concurrency // 2)
    chunk = 1 if jobs < workers else TITLES
    yield from in_chunks(by_folder(listing), check, workers, chunk=chunk)
    yield Report(history.origin, findings=listing.findings)
    yield check_log(history)


def _fsck_folder(history: History, folder: str, keys: list[str], now: datetime) -> Iterator[Report]:
    if layout.is_title_number(folder):
        yield from _fsck_title(history, folder, keys, now)
    elif f"{folder}/" == layout.PACKS:
        yield from check_packs(history)
    else:
        yield Report(history.origin, findings=tuple(_strays(keys)))


def _fsck_title(
    history: History, title_number: str, keys: list[str], now: datetime
) -> Iterator[Report]:
    seen: set[str] = set()
    whole = False
    fetched = None
    if history.store.concurrency > 1:
        fetched = fetch(history.store, [Wanted(title_number)])[0]
    with suppress(NotFoundError):  # only strays are there, and they are reported below
        plan = plan_walk(history, title_number, now, fetched=fetched, seen=seen, listed=True)
        report = carry_out(plan)
        yield report
        whole = bool(report) and report.titles == 1
    findings: list[Finding] = []
    for key in keys:
        parsed = layout.parse_entry_key(key)
        if parsed is None:
            if key != layout.head_key(title_number):
                findings.append(stray(key))
        elif parsed[1] not in seen:
            findings.append(_check_dangling(history, key, parsed, seen if whole else None))
    yield Report(history.origin, findings=tuple(findings))


def _check_dangling(
    history: History, key: str, parsed: tuple[str, str], chain: set[str] | None
) -> Finding:
    """Check an entry that no walk passed; ``chain``: the title's addresses, if it was walked."""
    try:
        entry = history.entry(*parsed)
    except LedgerError as error:
        return finding_of(error, key)
    if chain and entry.parent is not None and entry.parent not in chain:
        # It was signed on top of a head that is not in the chain.
        message = (
            f"{key}: version {entry.version} was put on {entry.parent}, which was the head once and"
            " is in the chain no more: it was set back (or an import was cut off: import again)"
        )
        return Finding("tampering", "set-back", key, message)
    message = f"{key}: valid, but in no chain (a race that was lost, or an append that was cut off)"
    return Finding("warning", "dangling-entry", key, message)


def _strays(keys: Iterable[str]) -> Iterator[Finding]:
    from ledger.tlog.objects import is_log_key  # noqa: PLC0415 -- slow to load

    for key in keys:
        known = key == layout.LEDGER_KEY or layout.parse_pending_key(key) or is_log_key(key)
        if not known and not key.startswith(layout.PROBE):
            yield stray(key)
