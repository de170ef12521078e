"""Verifying a bundle where it lies, without a store."""

from __future__ import annotations

from contextlib import closing, suppress
from functools import partial
from typing import TYPE_CHECKING, BinaryIO, NamedTuple

from ledger.errors import (
    IntegrityError,
    MalformedError,
    NotABundle,
    NotFoundError,
    TrustError,
    UnsupportedFormatError,
)
from ledger.format import layout
from ledger.format.bundle import BUNDLE_KEY, BundleReader
from ledger.format.chain import NO_PIN, ReadEntry, SeenPart, verify_chain
from ledger.format.entry import address_of, parent_hint
from ledger.format.report import Finding, Report, Severity, Tally, finding_of
from ledger.format.standing import find_positions as know_none
from ledger.local.parallel import Shared, in_chunks, twice
from ledger.titles.identity import check_pinned, decode_identity
from ledger.verification.many import check_verified
from ledger.verification.trust import trust_findings
from ledger.verification.walk import Subject, Verified

if TYPE_CHECKING:
    from collections.abc import Callable, Iterator
    from concurrent.futures import Executor
    from datetime import datetime

    from ledger.bundles.trust_part import BundlePositions
    from ledger.format.keyring import Keyring
    from ledger.format.standing import FindPositions
    from ledger.verification.parts import PartIndex

NOT_STANDING = frozenset({"key-ended", "may-not-erase", "position-unknown"})
"""Findings of entries that are signed rightly, and may count or not: the walk goes on below."""

NO_LEAVES = (
    "which entries by keys that have an end do not count: only all leaves of the log show it; the"
    " bundle has receipts, which show what does (verify the store, or a bundle of all titles)"
)

TITLE_BYTES = 64 << 20
"""Bytes of a title that are held in memory, to be sent to a pool."""

NAMED = 3
"""How many registrations a note names."""


class NotInBundle(NotFoundError):
    """A chain goes on below what an incremental bundle holds."""

    slug = "not-in-bundle"


class _Unclean(Exception):
    """A title that was read for a pool is not clean: who reads and judges in turns says it all."""


def verify_bundle(
    source: BinaryIO,
    keyring: Keyring,
    now: datetime,
    *,
    origin: str | None = None,
    expect: str | None = None,
    jobs: int = 1,
    executor: Executor | None = None,
) -> Report:
    """Verify every title of a bundle, offline; raises OriginNotPinned for an unknown origin.

    Raises NotABundle for another file, or one that was cut short, unless what was read before the
    cut was tampered with.

    If the bundle is an incremental one, what lies below it is reported as unchecked. ``expect``
    is a pin: an address that must be in one of its chains. With a root in the keyring, the trust
    files in the bundle say whose keys count, and the log or the receipts in it up to where.

    An ``executor`` judges the titles that are read here, ``jobs`` chunks of them at once. If one is
    not clean, all is read again and judged here, in the order of the file.
    """
    start = source.tell()
    if executor is not None:
        with suppress(_Unclean):
            return _verify(source, keyring, now, origin, expect, _Pool(executor, jobs))
        source.seek(start)
    return _verify(source, keyring, now, origin, expect, None)


class _Pool(NamedTuple):
    """What judges titles beside this thread, and how many chunks of them at once."""

    executor: Executor
    jobs: int


def _verify(  # noqa: PLR0917 -- what verify_bundle was given
    source: BinaryIO,
    keyring: Keyring,
    now: datetime,
    origin: str | None,
    expect: str | None,
    pool: _Pool | None,
) -> Report:
    from ledger.bundles.trust_part import BundlePositions, bundle_keyring  # noqa: PLC0415

    start = source.tell()
    try:
        reader = BundleReader(source)
        check_origins(reader, keyring, origin)
    except NotABundle:
        raise
    except MalformedError as error:
        return _not_a_bundle(origin or "", str(error))
    # One report of a title at a time: a bundle may hold millions.
    not_shown = ["whether the bundle has every title, and all that there is of them by now"]
    if reader.trust and keyring.own.root(reader.header.origin) is None:
        not_shown.append(
            "what the trust files in the bundle say: your keyring has no root of"
            f" {reader.header.origin}, so the keys in it count (ledger trust pin)"
        )
    tally = Tally(reader.header.origin)
    try:
        keyring = bundle_keyring(reader, keyring)
    except (IntegrityError, TrustError, UnsupportedFormatError) as error:
        tally.add(Report(reader.header.origin, findings=(finding_of(error, BUNDLE_KEY),)))
        return tally.report()
    here = source.tell()
    source.seek(start)
    positions = BundlePositions(source, keyring)
    source.seek(here)
    try:
        with closing(positions):
            by = _By(keyring, now, positions)
            for report in _reports(reader, by, expect, not_shown, pool):
                tally.add(report)
    except NotABundle as error:
        if tally.report().outcome != "tampered":
            raise
        tally.add(_not_a_bundle(reader.header.origin, str(error)))
    merged = tally.report()
    return Report(merged.origin, merged.titles, merged.entries, merged.findings, tuple(not_shown))


class _By(NamedTuple):
    """What a bundle is judged by."""

    keyring: Keyring
    now: datetime
    positions: BundlePositions


def _reports(
    reader: BundleReader, by: _By, expect: str | None, unseen: list[str], pool: _Pool | None
) -> Iterator[Report]:
    """A report for each title in turn, one for the log, and one for the bundle as a whole."""
    # Slow to load: SQLite is.
    from ledger.bundles.log_part import AgainstLog, carried_report  # noqa: PLC0415
    from ledger.verification.parts import PartIndex  # noqa: PLC0415

    yield Report(reader.header.origin, findings=trust_findings(by.keyring, by.now))
    for title_number in reader.header.left_out:
        key = layout.head_key(title_number)
        message = f"{key}: left out of the bundle: it did not hold together when it was exported"
        finding = Finding("unchecked", "left-out", key, message)
        yield Report(reader.header.origin, findings=(finding,))

    seen: set[str] = set()
    is_empty = True
    with closing(PartIndex(None, by.now)) as registrations:
        try:
            with closing(AgainstLog()) as against:
                is_plain = reader.header.complete and not by.keyring.has_ends(reader.header.origin)
                judge = partial(_judge_in_pool, pool) if pool and is_plain else _judge_in_turns
                for head, (title_number, _, report, trace, _, parts, *_) in judge(
                    reader, by, expect, seen
                ):
                    is_empty = False
                    registrations.add(parts)
                    if not reader.header.has_log and _lacks_position(report):
                        unseen.append(NO_LEAVES)
                    against.add_chain(title_number, head, trace)
                    unseen += (said for said in report.not_shown if said != NO_PIN)
                    yield report
                if reader.header.has_log:
                    report = carried_report(reader, by.keyring, against, by.now)
                    unseen += report.not_shown
                    yield report
                elif is_empty and by.keyring.keys(reader.header.origin, "log"):
                    yield _nothing(reader.header.origin)
        except NotABundle:
            raise
        except MalformedError as error:
            yield _not_a_bundle(reader.header.origin, str(error))
        # Only a bundle of all titles has the log.
        is_whole = reader.header.has_log and reader.header.complete
        found = _judge_parts(registrations, unseen, is_whole=is_whole)
    yield Report(reader.header.origin, findings=found)
    if expect is not None and expect not in seen:
        message = f"no chain of the bundle leads through the pinned {expect}"
        # Below an incremental bundle it may well be.
        severity: Severity = "mismatch" if reader.header.complete else "unchecked"
        finding = Finding(severity, "pin-missing", BUNDLE_KEY, message)
        yield Report(reader.header.origin, findings=(finding,))


def _judge_parts(
    registrations: PartIndex, unseen: list[str], *, is_whole: bool
) -> tuple[Finding, ...]:
    """Report what is wrong with registrations, and say if the bundle may just lack the others."""
    judged = registrations.judge()  # a bundle of some titles may lack parts of most
    findings = tuple(each for each in judged if is_whole or each.severity == "warning")
    lacking = sorted(registrations.incomplete)
    if is_whole or not lacking:
        return findings
    names = ", ".join(f"{reference!a:.80}" for reference in lacking[:NAMED])
    more = " and others" if len(lacking) > NAMED else ""
    unseen.append(
        "whether every registration is complete: this bundle lacks other parts of"
        f" {names}{more} ('ledger registration' asks the store)"
    )
    return findings


def _nothing(origin: str) -> Report:
    message = (
        f"{BUNDLE_KEY}: the bundle has no title and no log, though your keyring has the key of the"
        f" log of {origin}: nothing shows that this is all there is"
    )
    return Report(origin, findings=(Finding("unchecked", "nothing-there", BUNDLE_KEY, message),))


def check_origins(reader: BundleReader, keyring: Keyring, origin: str | None) -> None:
    """Refuse a bundle whose origin the keyring does not know, or that is not of ``origin``.

    Raises MalformedError, TrustError (reason ``wrong-ledger``), OriginNotPinned.
    """
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


def _judge_in_turns(
    reader: BundleReader, by: _By, expect: str | None, seen: set[str]
) -> Iterator[tuple[bytes, Verified]]:
    """Yield the head of each title and what was found of it: each entry is read, then judged."""
    for section in reader.sections():
        verified = _judge(
            (reader.header.origin, by.keyring, by.now),
            section.title_number,
            section.head,
            _declaring(reader, _noting(section.read, expect, seen)),
            by.positions.of(section),
        )
        passed = {NotInBundle.slug, *NOT_STANDING}
        if any(f.severity != "warning" and f.slug not in passed for f in verified.report.findings):
            reader.skip(section)  # the walk broke off, what follows is another title's
        yield section.head, verified


def _judge(
    by: tuple[str, Keyring, datetime],
    title_number: str,
    head: bytes,
    read: ReadEntry,
    find_positions: FindPositions,
) -> Verified:
    origin, keyring, now = by
    trace = bytearray()
    parts: list[SeenPart] = []
    report = verify_chain(
        title_number,
        origin=origin,
        keyring=keyring,
        head=head,
        read=read,
        now=now,
        trace=trace,
        parts=parts,
        find_positions=find_positions,
    )
    if report.outcome == "tampered":
        trace.clear()
    return Verified(title_number, None, report, bytes(trace), parts=tuple(parts))


# -- In a pool -------------------------------------------------------------------------------------


class _Title(NamedTuple):
    """A title as the bundle has it."""

    title_number: str
    head: bytes
    entries: dict[str, bytes]


def _judge_in_pool(
    pool: _Pool, reader: BundleReader, by: _By, expect: str | None, seen: set[str]
) -> Iterator[tuple[bytes, Verified]]:
    """Do the same, and read the titles ahead; raises _Unclean for any that does not just hold."""
    origin = reader.header.origin
    work = partial(_judge_titles, Shared((origin, by.keyring, by.now)))
    titles, asked = twice(_read_titles(reader, expect, seen))
    found = in_chunks(titles, work, pool.jobs, executor=pool.executor, weigh=_weigh)
    for verified, title in zip(found, asked, strict=True):
        check_verified(verified, Subject(title.title_number), origin)
        if any(finding.severity != "warning" for finding in verified.report.findings):
            raise _Unclean
        yield title.head, verified


def _weigh(title: _Title) -> int:
    return sum(map(len, title.entries.values()))


def _read_titles(reader: BundleReader, expect: str | None, seen: set[str]) -> Iterator[_Title]:
    """Read each title as the unchecked bytes of its entries lead down it."""
    try:
        for section in reader.sections():
            entries: dict[str, bytes] = {}
            room = TITLE_BYTES
            address: str | None = address_of(section.head)
            child = section.head
            while address is not None and (data := section.read(address)) is not None:
                if address in entries:
                    raise _Unclean  # only the last of several would be judged
                # The head's own entry comes first, and its parent is the head's.
                child = data if entries else section.head
                entries[address] = data
                room -= len(data)
                if room < 0:
                    raise _Unclean
                address = parent_hint(child)
            seen.update(entries.keys() & {expect})
            yield _Title(section.title_number, section.head, entries)
    except MalformedError as error:
        raise _Unclean from error


def _judge_titles(
    shared: Shared[tuple[str, Keyring, datetime]], titles: list[_Title]
) -> list[Verified]:
    """Judge titles, wherever this runs."""
    return [
        _judge(shared.value, title.title_number, title.head, title.entries.get, know_none)
        for title in titles
    ]


def _lacks_position(report: Report) -> bool:
    return any(finding.slug == "position-unknown" for finding in report.findings)
