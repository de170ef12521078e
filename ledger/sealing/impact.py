"""What a trust file would do to the entries of a ledger: which of them stop counting."""

from __future__ import annotations

from dataclasses import replace
from typing import TYPE_CHECKING, NamedTuple

from ledger.errors import LedgerError
from ledger.format import layout
from ledger.format.report import Finding, finding_of
from ledger.sealing.pending import pending_titles
from ledger.tlog.objects import Leaf, decode_leaf

if TYPE_CHECKING:
    from collections.abc import Iterator

    from ledger.format.entry import Entry
    from ledger.sealing.reader import LogReader
    from ledger.titles.history import History
    from ledger.tlog.checkpoint import Checkpoint
    from ledger.trust.chain import Trust
    from ledger.trust.file import TrustFile


class Stopped(NamedTuple):
    """An entry that counts now, and would not any more."""

    title_number: str
    version: int
    address: str
    key_id: str
    position: int | None
    """Its place in the log; None: it is not logged."""
    named_by: int | None
    """The newest version that confirms or voids it, which has had no effect until now."""


def find_stopped(
    history: History, log: LogReader, checkpoint: Checkpoint, trust: Trust, file: TrustFile
) -> Iterator[Stopped | Finding]:
    """Yield the entries that stop counting if a file comes after those of ``trust``.

    Titles that can't be read are findings. Reads all leaves of the log if a key gets an end.
    """
    after = replace(trust, files=(*trust.files, file))
    ends = {
        each.key_id: end
        for past in trust.files
        for each in past.keys
        if (end := after.end_of(each.key_id)) is not None and end != trust.end_of(each.key_id)
    }
    if not ends:
        return
    places: dict[str, dict[str, int]] = {}
    newest: dict[str, int] = {}
    for index, data in enumerate(log.proved_leaves(checkpoint)):
        leaf = decode_leaf(data)
        if isinstance(leaf, Leaf):
            places.setdefault(leaf.title_number, {}).setdefault(leaf.address, index)
            newest[leaf.title_number] = index
    waiting = {title for title, _ in pending_titles(history.store)}
    titles = {title for title, index in newest.items() if index >= min(ends.values())}
    for title in sorted(titles | waiting):
        try:
            walked = list(history.walk(history.head(title)))
        except LedgerError as error:
            yield finding_of(error, layout.head_key(title))
            continue
        yield from _of_title(walked, places.get(title, {}), trust, after)


def _of_title(
    entries: list[Entry], places: dict[str, int], trust: Trust, after: Trust
) -> Iterator[Stopped]:
    position: int | None = None
    named: dict[int, int] = {}
    for entry in entries:
        own = places.get(entry.address)
        position = min((each for each in (own, position) if each is not None), default=None)
        if _is_before_end(trust, entry, position) and not _is_before_end(after, entry, position):
            yield Stopped(
                entry.title_number,
                entry.version,
                entry.address,
                entry.key,
                position,
                named.get(entry.version),
            )
        for version in (*entry.confirms, *entry.voids):
            named.setdefault(version, entry.version)


def _is_before_end(trust: Trust, entry: Entry, position: int | None) -> bool:
    end = trust.end_of(entry.key)
    return end is None or (position is not None and position < end)
