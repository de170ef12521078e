"""Verify what a store holds: this module brings the bytes, and ``Chain`` judges them."""

from __future__ import annotations

from dataclasses import replace
from typing import TYPE_CHECKING, NamedTuple, TypeAlias

from ledger.errors import LedgerError, NotFoundError
from ledger.format import layout
from ledger.format.chain import Chain, ReadEntry, SeenPart, Step
from ledger.format.entry import Entry, address_of, erases_hint, holds_text, is_short, version_hint
from ledger.format.report import Finding, Report, finding_of
from ledger.local.parallel import in_chunks
from ledger.verification.prefetch import Fetched, Near, Wanted, fetch
from ledger.verification.trust import trust_findings

if TYPE_CHECKING:
    from collections.abc import Callable, Iterator, Mapping
    from datetime import datetime

    from ledger.format.standing import FindPositions, Judged, Positions, Stand
    from ledger.titles.history import History

FROM_A_LISTING = "whether a title is missing: the titles come from the store's own listing"
FROM_THE_LOG = "titles that the log does not have yet: the store can't be listed"


class Known(NamedTuple):
    """A version of a title that an earlier verification vouched for, with all below it."""

    version: int
    address: str


class Subject(NamedTuple):
    """A title to be verified."""

    title_number: str
    known: Known | None = None
    """A version that must be in the chain; what lies below it is taken on trust."""
    listed: bool = False
    """Whether the store itself named the title. If not, it is remembered, and its absence is a
    finding."""
    expect: str | None = None
    """An address that must be in the chain, with nothing taken on trust."""
    logged: str | None = None
    """The title's newest address in the log, if there are leaves to compare with the chain. The
    title must exist then, and the trace is wanted."""
    noted: str | None = None
    """The address of an entry whose time is wanted."""
    entries: bool = False
    """Whether the entries that are walked are wanted."""
    positions: Positions | None = None
    """Where the log has the title's entries, if that is known already."""


class Verified(NamedTuple):
    """The result for a subject."""

    title_number: str
    head: Known | None
    """The title's head, if everything held."""
    report: Report
    trace: bytes = b""
    """The addresses of the chain, 32 bytes each, the head first, if they were wanted and everything
    held."""
    noted_at: str = ""
    """When the entry was recorded whose time was wanted, if everything held."""
    parts: tuple[SeenPart, ...] = ()
    """The parts of registrations that were walked, and stand."""
    entries: tuple[Judged, ...] = ()
    """The entries from the head down, to the root or to the version that was known, if they were
    wanted and everything held. None has a text that the chain orders erased."""
    erased: Mapping[int, int] = {}
    """With the entries: the versions whose texts they order erased, and the version that does."""


def verify_subject(history: History, subject: Subject, fetched: Fetched, now: datetime) -> Verified:
    """Verify one title of many, of which some was read ahead."""
    title_number, known, listed, expect, logged, noted, entries, positions = subject
    judged: list[Judged] = []
    try:
        plan = plan_walk(
            history,
            title_number,
            now,
            known=known,
            expect=expect,
            logged=logged,
            fetched=fetched,
            listed=listed,
            find_positions=None if positions is None else lambda _end, _search: positions,
        )
    except NotFoundError as error:
        plan = _judge_absence(history, subject, error)
    if isinstance(plan, tuple):
        plan[0].noted = noted
        if entries:
            plan[0].each = lambda entry, stand: judged.append((entry, stand))
    report = carry_out(plan)
    lowest = plan[0].lowest_named if isinstance(plan, tuple) else None
    if known and lowest and lowest <= known.version:
        # How the entries below stand may be another now, and what they may erase.
        whole = subject._replace(known=None, expect=known.address)
        return verify_subject(history, whole, fetched, now)
    if known:
        # What is taken on trust comes first, and is said once for all titles.
        report = replace(report, not_shown=report.not_shown[1:])
    if fetched.near.used_packs:
        from ledger.packs.reader import FROM_PACKS  # noqa: PLC0415 -- slow to load

        report = replace(report, not_shown=(*report.not_shown, FROM_PACKS))
    walk = plan[0] if isinstance(plan, tuple) else None
    parts = tuple(walk.parts) if walk else ()
    if not report or report.titles == 0:
        return Verified(title_number, None, report, parts=parts)
    if walk is None or walk.head is None:
        return Verified(title_number, known, report)
    head = Known(walk.head.version, walk.head.address)
    trace = bytes(walk.trace or b"")
    verified = Verified(title_number, head, report, trace, walk.noted_at, parts)
    return _with_entries(verified, judged, walk.standing.erased) if entries else verified


def _judge_absence(history: History, subject: Subject, error: NotFoundError) -> Report:
    """Judge a title of which there is nothing."""
    title_number = subject.title_number
    key = layout.head_key(title_number)
    if subject.listed and _has_only_strays(history, title_number):
        finding = stray(f"{title_number}/")
    elif subject.listed:
        finding = finding_of(error, key)  # it was listed a moment ago: a disk that went away
    else:
        finding = Finding("tampering", "head-missing", key, f"{key}: {error}")
    return Report(history.origin, findings=(finding,))


def _with_entries(
    verified: Verified, judged: list[Judged], erased: Mapping[int, Entry]
) -> Verified:
    """Add what was walked, without the texts that are ordered erased."""
    shown = ((e.without_text() if e.version in erased else e, stand) for e, stand in judged)
    by = {version: entry.version for version, entry in erased.items()}
    return verified._replace(entries=tuple(shown), erased=by)


def _has_only_strays(history: History, title_number: str) -> bool:
    """Tell whether the store has keys below the title, and none that belongs there."""
    try:
        keys = list(history.store.list(f"{title_number}/"))
    except LedgerError:
        return False
    own = layout.head_key(title_number)
    return bool(keys) and not any(key == own or layout.parse_entry_key(key) for key in keys)


def verify_title(
    history: History,
    title_number: str,
    now: datetime,
    *,
    expect: str | None = None,
    since: str | None = None,
    each: Callable[[Entry, Stand], None] | None = None,
    jobs: int = 1,
) -> Report:
    """Verify one title; raise NotFoundError if nothing is known of it.

    ``each`` gets the entries that are walked, the newest first, and how each stands.
    """
    fetched = None
    if history.store.concurrency > 1 and since is None:
        fetched = fetch(history.store, [Wanted(layout.check_title_number(title_number))])[0]
    plan = plan_walk(history, title_number, now, expect=expect, since=since, fetched=fetched)
    if isinstance(plan, tuple):
        plan[0].each = each
    report = carry_out(plan, jobs)
    return replace(report, findings=(*trust_findings(history.keyring, now), *report.findings))


def carry_out(plan: _Plan, jobs: int = 1) -> Report:
    """Walk a chain: read in this thread, check on others, judge in order."""
    if isinstance(plan, Report):
        return plan
    walk, steps = plan
    if jobs == 1:
        for step in steps:
            walk.add(walk.check(step))
    else:
        for checked in in_chunks(
            steps, lambda taken: list(map(walk.check, taken)), jobs, weigh=_weigh
        ):
            walk.add(checked)
    return walk.report()


def _weigh(step: Step) -> int:
    return len(step[2]) if isinstance(step, tuple) else 0


_Plan: TypeAlias = "Report | tuple[Chain, Iterator[Step]]"
"""What to do for a title: walk a chain, or nothing if its report is ready."""


def plan_walk(
    history: History,
    title_number: str,
    now: datetime,
    *,
    expect: str | None = None,
    since: str | None = None,
    known: Known | None = None,
    logged: str | None = None,
    fetched: Fetched | None = None,
    seen: set[str] | None = None,
    listed: bool = False,
    find_positions: FindPositions | None = None,
) -> _Plan:
    """Read the head and make a plan; ``seen`` collects the addresses that the walk asks for."""
    key = layout.head_key(layout.check_title_number(title_number))
    near = fetched.near if fetched else None
    try:
        blob = (fetched and fetched.head) or history.store.get(key)
        if blob is None:
            pin = known.address if known else expect or since or logged
            return _verify_headless(history, title_number, pin, listed=listed)
    except NotFoundError:
        raise
    except LedgerError as error:
        return Report(history.origin, findings=(finding_of(error, key),))
    if known and address_of(blob.data) == known.address and holds_text(blob.data):
        return Report(history.origin, titles=1)

    read = _reader(history, title_number, blob.data, near, seen)
    walk = Chain(
        title_number,
        origin=history.origin,
        keyring=history.keyring,
        now=now,
        expect=expect,
        since=known.address if known else since,
        find_positions=find_positions or history.find_positions(title_number),
    )
    if logged:
        walk.trace = bytearray()
    return walk, walk.steps(blob.data, read)


def _reader(
    history: History, title_number: str, head: bytes, near: Near | None, seen: set[str] | None
) -> ReadEntry:
    """Return what reads the entries of a title, from the head down: near, or from the store."""
    get, key_of = history.store.get, layout.entry_key
    erased = set(erases_hint(head))

    def read(address: str) -> bytes | None:
        if seen is not None:
            seen.add(address)
        data = near.get(address) if near is not None else None
        if data is not None and near is not None and near.is_packed(address):
            # A pack may be from before an erasure, or from before a text was brought back, and
            # what orders the erasure may not be allowed to. The entry's own object tells.
            data = None if is_short(data) or version_hint(data) in erased else data
        if data is None:
            stored = get(key_of(title_number, address))
            if stored is None:
                history.check_there()
                return None
            data = stored.data
        if near is not None:
            erased.update(erases_hint(data))
        return data

    return read


def _verify_headless(
    history: History, title_number: str, pin: str | None, *, listed: bool
) -> Report:
    """Judge a title without a head: unknown, a first append that crashed, or a head taken away.

    The last two look the same. For a title that the store lists, that is a warning; for one that is
    asked for by name, it is unchecked.
    """
    key = layout.head_key(title_number)
    listed_keys = history.store.list(f"{title_number}/") if history.store.is_listable else ()
    keys = [k for k in listed_keys if layout.parse_entry_key(k)]
    prepared = max((version for version, _ in history.markers(title_number)), default=0)
    if not keys and prepared == 0:
        history.check_there()
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
        what = f"{pin} was there once"
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


def stray(key: str) -> Finding:
    """Report an object that does not belong in a ledger."""
    return Finding("warning", "stray-object", key, f"{key}: no object of a ledger")
