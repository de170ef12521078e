"""Writing a bundle from a store: everything, some titles, or what is new since an earlier one."""

from __future__ import annotations

from typing import TYPE_CHECKING, BinaryIO

from ledger.bundles.verifying import check_origins
from ledger.errors import (
    ConflictError,
    Forked,
    IntegrityError,
    LedgerError,
    TrustError,
    UnsupportedFormatError,
)
from ledger.format import layout
from ledger.format.bundle import BUNDLE_KEY, BundleReader, Header, write_bundle
from ledger.format.entry import Entry
from ledger.titles.append import check_new
from ledger.titles.identity import encode_identity
from ledger.verification.prefetch import Wanted, fetch_each

if TYPE_CHECKING:
    from collections.abc import Callable, Iterable, Iterator, Mapping

    from ledger.format.keyring import Keyring
    from ledger.titles.history import History
    from ledger.verification.prefetch import Fetched, Near


def export(
    history: History,
    out: BinaryIO,
    titles: Iterable[str],
    known: Mapping[str, Wanted] | None = None,
    *,
    listed: bool = False,
    left_out: Callable[[str, LedgerError], None] | None = None,
) -> int:
    """Write a bundle of these titles (in order) and return how many it holds.

    ``listed``: the titles come from the store's listing. Then a title that has only an unfinished
    first append is left out, and a history without a head raises HeadMissing. ``known`` says of
    titles what an earlier bundle lacks: only that goes in, and titles without any are left out. In
    a bucket, titles are read side by side. Everything is checked as it is exported: raises
    IntegrityError for what does not hold. With ``left_out``, all titles are walked first: those
    that do not hold are left out, the function hears of each, and the bundle names them.
    """
    from ledger.bundles.log_part import published_log, write_log  # noqa: PLC0415 -- slow to load
    from ledger.bundles.receipts import Receipts  # noqa: PLC0415
    from ledger.bundles.trust_part import with_trust  # noqa: PLC0415

    count = 0
    left = set(known or ()) if listed else set()
    lacking: list[str] = []
    if left_out is not None:
        titles, lacking = _sort_out(history, titles, known or {}, left_out, listed=listed)
        left -= set(lacking)

    def objects() -> Iterator[tuple[str, bytes]]:
        nonlocal count
        # First of all: titles that are read later are as far as the log, or further.
        trust, log = with_trust(history, published_log if listed else lambda _: None)
        yield (
            BUNDLE_KEY,
            Header(history.origin, known is None, log is not None, tuple(lacking)).encode(),
        )
        yield layout.LEDGER_KEY, encode_identity(history.origin)
        yield from trust
        receipts = None if listed else Receipts(history)
        for title, fetched in _fetch(history, titles, known or {}):
            head = _head_to_export(history, title, fetched, listed=listed)
            left.discard(title.title_number)
            if head is not None and head.address != title.until:
                count += 1
                yield layout.head_key(title.title_number), head.data
                entries = _entries_down_to(history, head, title.until, fetched.near)
                yield from receipts.behind(entries, head) if receipts else entries
        _check_none_left(left)
        if log is not None:
            yield from write_log(history, log)

    out.writelines(write_bundle(objects()))
    return count


def _fetch(
    history: History, titles: Iterable[str], known: Mapping[str, Wanted]
) -> Iterator[tuple[Wanted, Fetched]]:
    return fetch_each(history.store, (known.get(each) or Wanted(each) for each in titles))


def _check_none_left(titles: set[str]) -> None:
    """Refuse if titles of an earlier bundle are not listed any more."""
    for title_number in sorted(titles):
        raise IntegrityError(
            f"{title_number} is in the earlier bundle, but the store no longer lists it",
            hint="it was dropped: import the earlier bundle to bring it back",
            reason="head-missing",
            object_key=layout.head_key(title_number),
        )


def _sort_out(
    history: History,
    titles: Iterable[str],
    known: Mapping[str, Wanted],
    left_out: Callable[[str, LedgerError], None],
    *,
    listed: bool,
) -> tuple[list[str], list[str]]:
    """Walk the titles, and return those that hold and those that do not."""
    sound: list[str] = []
    lacking: list[str] = []
    for title, fetched in _fetch(history, titles, known):
        try:
            head = _head_to_export(history, title, fetched, listed=listed)
            if head is not None:
                for _ in _entries_down_to(history, head, title.until, fetched.near):
                    pass
        except (IntegrityError, TrustError, ConflictError, UnsupportedFormatError) as error:
            lacking.append(title.title_number)
            left_out(title.title_number, error)
        else:
            sound.append(title.title_number)
    return sound, lacking


def _head_to_export(
    history: History, title: Wanted, fetched: Fetched, *, listed: bool
) -> Entry | None:
    title_number = title.title_number
    head = history.find_head(title_number, fetched.head)
    if head is None and listed:
        check_new(history, title_number)
        return None
    return head.entry if head else history.head(title_number)


def _entries_down_to(
    history: History, head: Entry, stop: str | None, near: Near
) -> Iterator[tuple[str, bytes]]:
    for entry in history.walk(head, lambda address, _: near.get(address)):
        if entry.address == stop:
            return
        yield layout.entry_key(entry.title_number, entry.address), entry.data
    if stop is not None:
        raise Forked(
            f"the earlier bundle has {head.title_number} at {stop}, which is not in its chain now",
            hint="the store was set back, or the bundle is another ledger's; leave out --since",
        )


def lacking_in(source: BinaryIO, origin: str, keyring: Keyring) -> dict[str, Wanted]:
    """What a bundle of this ledger lacks, by title; only the bytes of its heads are checked."""
    reader = BundleReader(source)
    check_origins(reader, keyring, origin)
    heads = {}
    for section in reader.sections():
        entry = Entry.open(
            section.head,
            keyring=keyring,
            ledger=origin,
            title_number=section.title_number,
            object_key=layout.head_key(section.title_number),
        )
        heads[section.title_number] = Wanted(
            section.title_number, until=entry.address, version=entry.version
        )
        reader.skip(section)
    for _ in reader.log():
        pass
    return heads
