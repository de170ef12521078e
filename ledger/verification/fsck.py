"""fsck: verify every title, check every other object in the store, and mend what is derived."""

from __future__ import annotations

from contextlib import suppress
from dataclasses import replace
from typing import TYPE_CHECKING, NamedTuple

from ledger.errors import LedgerError, NotFoundError, UnsupportedFormatError
from ledger.format import layout
from ledger.format.entry import Entry
from ledger.format.report import Finding, Report, finding_of
from ledger.local.parallel import in_chunks
from ledger.packs.reader import check_packs
from ledger.titles.append import names_of
from ledger.verification.listing import TolerantListing, by_folder
from ledger.verification.log_objects import check_log, judge_emptiness
from ledger.verification.prefetch import TITLES, Wanted, fetch
from ledger.verification.trust import trust_findings
from ledger.verification.walk import plan_walk, stray

if TYPE_CHECKING:
    from collections.abc import Callable, Iterable, Iterator
    from datetime import datetime

    from ledger.format.chain import Chain, Step
    from ledger.titles.history import History


class Prune(NamedTuple):
    """Which entries that lost a race are to be deleted: they hold texts, too."""

    before: str
    """Those recorded before this time (RFC 3339, UTC)."""
    is_logged: Callable[[Entry], bool]
    """Whether the log has an entry: then it lost no race, whatever the head says."""


def fsck(
    history: History, now: datetime, *, jobs: int = 1, prune: Prune | None = None
) -> Iterator[Report]:
    """Check every object of the store, also those that no chain leads to.

    The log's objects are checked against the root that its key signed. Creates the reference
    objects that are missing.
    """

    def check(folders: list[tuple[str, list[str]]]) -> list[Report]:
        return [
            report for folder in folders for report in _fsck_folder(history, *folder, now, prune)
        ]

    history.check_there()
    listing = TolerantListing(history.store.list())
    workers = max(jobs, history.store.concurrency // 2)
    chunk = 1 if jobs < workers else TITLES
    titles = 0
    history.expect_all()
    for report in in_chunks(by_folder(listing), check, workers, chunk=chunk):
        titles += report.titles
        yield report
    yield Report(history.origin, findings=listing.findings)
    if not titles and not listing.findings and (empty := judge_emptiness(history)):
        yield Report(history.origin, findings=(empty,))
    yield check_log(history)
    yield Report(history.origin, findings=trust_findings(history.keyring, now))


def _fsck_folder(
    history: History, folder: str, keys: list[str], now: datetime, prune: Prune | None
) -> Iterator[Report]:
    if layout.is_title_number(folder):
        yield from _fsck_title(history, folder, keys, now, prune)
    elif f"{folder}/" == layout.PACKS:
        yield from check_packs(history)
    elif f"{folder}/" == layout.REFERENCES:
        yield Report(history.origin, findings=tuple(_check_names(history, keys)))
    else:
        yield Report(history.origin, findings=tuple(_strays(keys)))


def _fsck_title(
    history: History, title_number: str, keys: list[str], now: datetime, prune: Prune | None
) -> Iterator[Report]:
    seen: set[str] = set()
    head: Entry | None = None
    fetched = None
    if history.store.concurrency > 1:
        fetched = fetch(history.store, [Wanted(title_number)])[0]
    with suppress(NotFoundError):  # only strays are there, and they are reported below
        plan = plan_walk(history, title_number, now, fetched=fetched, seen=seen, listed=True)
        report, entries = _carry_out(plan)
        yield replace(report, findings=tuple(map(_strictly, report.findings)))
        if report and entries:
            head = entries[0]
            yield Report(history.origin, findings=tuple(_mend_references(history, entries)))
    findings = _check_others(history, title_number, keys, seen, head, prune)
    yield Report(history.origin, findings=tuple(findings))


def _check_others(  # noqa: PLR0917 -- one caller, next to it
    history: History,
    title_number: str,
    keys: list[str],
    seen: set[str],
    head: Entry | None,
    prune: Prune | None,
) -> Iterable[Finding]:
    """Check what the walk from the head did not pass, and prune what lost a race."""
    findings: dict[str, Finding] = {}
    dangling: dict[str, Entry] = {}
    for key in keys:
        parsed = layout.parse_entry_key(key)
        if parsed is None:
            if key != layout.head_key(title_number):
                findings[key] = stray(key)
        elif parsed[1] not in seen:
            findings[key], entry = _check_dangling(history, key, parsed, seen if head else None)
            if entry and prune:
                dangling[key] = entry.without_text()
    # What another entry was put on was the head once, and lost no race.
    followed = {entry.parent for entry in dangling.values()}
    for key, entry in dangling.items():
        lost = findings[key].slug == "dangling-entry" and entry.address not in followed
        if prune and lost and head and entry.version <= head.version:
            findings[key] = _prune(history, key, entry, prune) or findings[key]
    return findings.values()


def _carry_out(plan: Report | tuple[Chain, Iterator[Step]]) -> tuple[Report, list[Entry]]:
    """Walk a chain; return its head, and the entries below that have a reference, beside it."""
    if isinstance(plan, Report):
        return plan, []
    walk, steps = plan
    entries: list[Entry] = []
    for step in steps:
        checked = walk.check(step)
        walk.add(checked)
        if isinstance(checked, Entry) and (checked.reference or not entries):
            entries.append(checked.without_text())  # of a large title, all are in memory
    return walk.report(), entries


def _strictly(finding: Finding) -> Finding:
    """A text that was ordered erased, and is there, fails here: this is how that is settled."""
    return replace(finding, severity="tampering") if finding.slug == "not-erased" else finding


def _reference_key(entry: Entry) -> str:
    return layout.reference_key(entry.reference, entry.title_number, entry.version, entry.address)


def _mend_references(history: History, entries: list[Entry]) -> Iterator[Finding]:
    """Create the reference objects that are missing: a repeat would not find its first try."""
    keys = [_reference_key(entry) for entry in entries if entry.reference]
    try:
        missing = [key for key, blob in history.store.get_many(keys) if blob is None]
    except LedgerError as error:
        yield finding_of(error, layout.REFERENCES)
        return
    for key in missing:
        done = "it is there again"
        try:
            history.store.create(key, b"")
        except LedgerError as error:
            done = f"and can't be created: {error}"
        yield Finding("warning", "reference-missing", key, f"{key}: it was missing, {done}")


def _check_names(history: History, keys: list[str]) -> Iterator[Finding]:
    """Check that the names of references are those of entries that have them."""
    named: dict[str, str] = {}
    for key in keys:
        parsed = layout.parse_reference_key(key)
        if parsed is None:
            yield stray(key)
        else:
            named[key] = layout.entry_key(parsed.title_number, parsed.address)
    try:
        found = dict(history.store.get_many(set(named.values())))
        dangling = [
            key
            for key, entry_key in named.items()
            if (blob := found[entry_key]) is None or not _has_reference(blob.data, key)
        ]
        for key in dangling:
            if history.store.get(key) is None:
                continue  # it went since it was listed, with an entry that was pruned
            message = f"{key}: no entry has this reference there; the name means nothing"
            yield Finding("warning", "dangling-reference", key, message)
    except LedgerError as error:
        yield finding_of(error, layout.REFERENCES)


def _has_reference(data: bytes, key: str) -> bool:
    try:
        return _reference_key(Entry.unverified(data)) == key
    except UnsupportedFormatError:
        return True  # who knows
    except LedgerError:
        return False


def _prune(history: History, key: str, loser: Entry, prune: Prune) -> Finding | None:
    """Delete an entry that lost a race, its names first, or return why it stays.

    The head was read after the entry was listed and has reached its version, so no head can move to
    it any more.
    """
    if loser.recorded_at >= prune.before:
        return None
    store = history.store
    try:
        if prune.is_logged(loser):
            message = (
                f"{key}: the log has version {loser.version}, but the head does not lead to it"
            )
            return Finding("tampering", "not-as-logged", key, message)
        for name, _ in names_of(loser):
            store.delete(name)
        store.delete(key)
        left = store.purge(key, lambda found, _: found == key)
    except LedgerError as error:
        return finding_of(error, key)
    if left:
        return Finding("unchecked", "not-pruned", key, f"{key}: deleted, but for {'; '.join(left)}")
    return Finding("warning", "pruned", key, f"{key}: it had lost a race, and was deleted")


def _check_dangling(
    history: History, key: str, parsed: tuple[str, str], chain: set[str] | None
) -> tuple[Finding, Entry | None]:
    """Check an entry that no walk passed; ``chain``: the title's addresses, if it was walked.

    Return the entry, too, if it holds; it may have lost a race if the finding is a warning.
    """
    try:
        entry = history.entry(*parsed)
    except LedgerError as error:
        return finding_of(error, key), None
    if chain and entry.parent is not None and entry.parent not in chain:
        # It was signed on top of a head that is not in the chain.
        message = (
            f"{key}: version {entry.version} was put on {entry.parent}, which was the head once and"
            " is in the chain no more: it was set back (or an import was cut off: import again)"
        )
        return Finding("tampering", "set-back", key, message), entry
    message = f"{key}: valid, but in no chain (a race that was lost, or an append that was cut off)"
    return Finding("warning", "dangling-entry", key, message), entry


def _strays(keys: Iterable[str]) -> Iterator[Finding]:
    from ledger.tlog.objects import is_log_key  # noqa: PLC0415 -- slow to load

    for key in keys:
        known = key == layout.LEDGER_KEY or is_log_key(key) or layout.parse_trust_key(key)
        name = layout.parse_pending_key(key) or layout.parse_reference_key(key)
        if not known and not name and not key.startswith(layout.PROBE):
            yield stray(key)
