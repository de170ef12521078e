"""Verification of what a store holds: brings the bytes, ``Chain`` judges them."""

from __future__ import annotations

import itertools
from contextlib import suppress
from typing import TYPE_CHECKING, TypeAlias

from ledger import layout
from ledger.entry import Entry
from ledger.errors import LedgerError, NotFoundError
from ledger.pool import in_chunks
from ledger.report import Finding, Report
from ledger.verify import Chain, Stored, finding_of

if TYPE_CHECKING:
    from collections.abc import Iterable, Iterator
    from datetime import datetime

    from ledger.history import History
    from ledger.verify import Held, Step

__all__ = ["FROM_A_LISTING", "fsck", "verify_title", "verify_titles"]

PREFETCH = 20_000
"""How many entries of a title are read ahead at most: they are held in memory."""

FROM_A_LISTING = "that no title is missing: the titles come from the store's own listing"


def verify_titles(
    history: History, titles: Iterable[str], now: datetime, *, listed: bool, jobs: int = 1
) -> Iterator[Report]:
    """A report for each of the titles, in turn; reading and checking overlap.

    ``listed``: the store itself named them. Otherwise somebody remembers them, and one that is gone
    is a finding.
    """

    def plan(taken: list[str]) -> list[_Plan]:
        return [_plan_known(history, title_number, now, listed=listed) for title_number in taken]

    # Where reading means waiting, several titles are waited for at once.
    plans = in_chunks(titles, plan, history.store.concurrency // 2, chunk=1)
    yield from _carry_out(plans, jobs)


def _plan_known(history: History, title_number: str, now: datetime, *, listed: bool) -> _Plan:
    try:
        return _plan(history, title_number, now, listed=listed)
    except NotFoundError as error:
        key = layout.head_key(title_number)
        if listed:
            finding = _stray(f"{title_number}/")
        else:
            finding = Finding("tampering", "head-missing", key, f"{key}: {error}")
        return Report(history.origin, findings=(finding,))


def verify_title(
    history: History,
    title_number: str,
    now: datetime,
    *,
    expect: str | None = None,
    since: str | None = None,
    jobs: int = 1,
) -> Report:
    """Verify one title; raises NotFoundError where nothing is known of it."""
    plan = _plan(history, title_number, now, expect=expect, since=since)
    return next(_carry_out(iter([plan]), jobs))


_Plan: TypeAlias = "Report | tuple[Chain, Iterator[Step]]"
"""What is to be done for a title: walk a chain; or nothing, as the report is there already."""


def _plan(
    history: History,
    title_number: str,
    now: datetime,
    *,
    expect: str | None = None,
    since: str | None = None,
    seen: set[str] | None = None,
    listed: bool = False,
) -> _Plan:
    """Read the head and make a plan; ``seen`` collects the addresses that the walk asks for."""
    key = layout.head_key(layout.check_title_number(title_number))
    try:
        blob = history.store.get(key)
        if blob is None:
            return _verify_headless(history, title_number, expect or since, listed=listed)
    except NotFoundError:
        raise
    except LedgerError as error:
        return Report(history.origin, findings=(finding_of(error, key),))

    near = {} if since else _prefetch(history, title_number)

    def read(address: str) -> bytes | None:
        if seen is not None:
            seen.add(address)
        if address in near:
            return near.pop(address)
        stored = history.store.get(layout.entry_key(title_number, address))
        return stored.data if stored else None

    chain = Chain(
        title_number,
        origin=history.origin,
        keyring=history.keyring,
        now=now,
        expect=expect,
        since=since,
    )
    return chain, chain.steps(blob.data, read)


def _prefetch(history: History, title_number: str) -> dict[str, bytes]:
    """The entries that the store lists for a title, where a walk would wait for one after another.

    The listing is not believed: what it lacks, the walk reads; what it has too much, nobody asks
    for.
    """
    near: dict[str, bytes] = {}
    if history.store.concurrency > 1:
        with suppress(LedgerError):  # the walk meets it again, and says so
            keys = itertools.islice(history.store.list(f"{title_number}/"), PREFETCH)
            for key, blob in history.store.get_many(filter(layout.parse_entry_key, keys)):
                parsed = layout.parse_entry_key(key)
                if blob is not None and parsed is not None:
                    near[parsed[1]] = blob.data
    return near


def _carry_out(plans: Iterator[_Plan], jobs: int) -> Iterator[Report]:
    """Carry out the plans: read in this thread, check in the pool, judge in order."""

    def steps() -> Iterator[tuple[Chain | Report, Step | None]]:
        for plan in plans:
            if isinstance(plan, Report):
                yield plan, None
            else:
                chain, walk = plan
                for step in walk:
                    yield chain, step
                yield chain, None

    for subject, checked in in_chunks(steps(), _check_all, jobs, weigh=_weigh):
        if isinstance(subject, Report):
            yield subject
        elif checked is None:
            yield subject.report()
        else:
            subject.add(checked)


def _weigh(step: tuple[Chain | Report, Step | None]) -> int:
    return len(step[1].data) if isinstance(step[1], Stored) else 0


def _check_all(
    steps: list[tuple[Chain | Report, Step | None]],
) -> list[tuple[Chain | Report, Entry | Finding | Held | None]]:
    return [
        (subject, subject.check(step) if isinstance(subject, Chain) and step is not None else None)
        for subject, step in steps
    ]


def _verify_headless(
    history: History, title_number: str, pin: str | None, *, listed: bool
) -> Report:
    """A title without a head: never there, a first append that crashed, or a head taken away.

    Which of the last two can't be told. Of a title that the store lists, that is a warning; of one
    that somebody asks for by name, the answer can't be yes.
    """
    key = layout.head_key(title_number)
    keys = [k for k in history.store.list(f"{title_number}/") if layout.parse_entry_key(k)]
    prepared = max((version for version, _ in history.markers(title_number)), default=0)
    if not keys and prepared == 0 and pin is None:
        raise NotFoundError(f"no such title: {title_number}", hint="'ledger titles' lists them")
    if pin is None and prepared <= 1 and all(_is_first_version(history, k) for k in keys):
        message = (
            f"{key}: no head, and only first versions: an append that never finished,"
            " or a head that was taken away"
        )
        return Report(
            history.origin,
            findings=(
                Finding("warning" if listed else "unchecked", "unfinished-append", key, message),
            ),
            not_shown=(f"whether {title_number} ever had a head",),
        )
    if pin is not None:
        what = f"{pin} was pinned"
    else:
        what = f"{keys[0]} is there" if keys else f"version {prepared} was prepared"
    message = f"{key}: missing, though {what} (if an import was cut off: import again)"
    return Report(history.origin, findings=(Finding("tampering", "head-missing", key, message),))


def _is_first_version(history: History, key: str) -> bool:
    blob = history.store.get(key)
    try:
        return blob is not None and Entry.unverified(blob.data).version == 1
    except LedgerError:
        return False


def fsck(history: History, now: datetime) -> Iterator[Report]:
    """Check every object of the store, those that no chain leads through, too."""
    for folder, keys in itertools.groupby(history.store.list(), lambda key: key.partition("/")[0]):
        if layout.is_title_number(folder):
            yield from _fsck_title(history, folder, list(keys), now)
        else:
            yield Report(history.origin, findings=tuple(_strays(keys)))


def _fsck_title(
    history: History, title_number: str, keys: list[str], now: datetime
) -> Iterator[Report]:
    seen: set[str] = set()
    whole = False
    with suppress(NotFoundError):  # only strays are there: they are named below
        plan = _plan(history, title_number, now, seen=seen, listed=True)
        report = next(_carry_out(iter([plan]), 1))
        yield report
        whole = bool(report) and report.titles == 1
    findings: list[Finding] = []
    for key in keys:
        parsed = layout.parse_entry_key(key)
        if parsed is None:
            if key != layout.head_key(title_number):
                findings.append(_stray(key))
        elif parsed[1] not in seen:
            findings.append(_check_dangling(history, key, parsed, seen if whole else None))
    yield Report(history.origin, findings=tuple(findings))


def _check_dangling(
    history: History, key: str, parsed: tuple[str, str], chain: set[str] | None
) -> Finding:
    """Look at an entry that no walk came by; ``chain``: the title's, if it could be walked."""
    try:
        entry = history.entry(*parsed)
    except LedgerError as error:
        return finding_of(error, key)
    if chain and entry.parent is not None and entry.parent not in chain:
        # It was signed on top of a head that the chain does not lead through.
        message = (
            f"{key}: version {entry.version} was put on {entry.parent}, which was the head once and"
            " is in the chain no more: it was set back (or an import was cut off: import again)"
        )
        return Finding("tampering", "set-back", key, message)
    message = f"{key}: valid, but in no chain (a race that was lost, or an append that was cut off)"
    return Finding("warning", "dangling-entry", key, message)


def _strays(keys: Iterable[str]) -> Iterator[Finding]:
    for key in keys:
        known = key == layout.LEDGER_KEY or layout.parse_pending_key(key)
        if not known and not key.startswith((layout.PROBE, layout.LOG)):
            yield _stray(key)


def _stray(key: str) -> Finding:
    return Finding("warning", "stray-object", key, f"{key}: no object of a ledger")
