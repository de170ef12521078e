"""Check every object of the log: what is signed, tiles of every size, and records of titles."""

from __future__ import annotations

from contextlib import closing
from itertools import islice
from typing import TYPE_CHECKING

from ledger.errors import LedgerError, MalformedError
from ledger.format import layout
from ledger.format.report import Finding, Report, finding_of
from ledger.sealing.disowned import find_bogus
from ledger.sealing.publish import is_published, recover_commit
from ledger.sealing.reader import LogReader
from ledger.tlog.objects import Leaf, decode_leaf
from ledger.tlog.tiles import ENTRIES, WIDTH, Tile, check_tile, decode_entries, parse_tile
from ledger.verification.compare import OtherLeaves
from ledger.verification.leaf_index import LeafIndex
from ledger.verification.records import judge_records
from ledger.verification.replay import rehash
from ledger.verification.trust import drop_disowned, judge_trust

if TYPE_CHECKING:
    from collections.abc import Iterator

    from ledger.titles.history import History
    from ledger.tlog.checkpoint import Checkpoint, SignedCheckpoint

BATCH = 64
TILES = f"{layout.LOG}tile/"


def check_log(history: History) -> Report:
    """Check the log's objects against the root that its key signed; titles are not looked at."""
    log = LogReader(history)
    others = OtherLeaves()
    not_shown: list[str] = []
    try:
        # Staged leaves alone are what a first seal leaves that was cut off.
        keys = history.store.list(layout.LOG)
        is_there = any(not key.startswith(layout.STAGING) for key in keys)
        if log.log_keys:
            findings = list(_check(log, others) if is_there else _lacking())
        else:
            findings = []
            if is_there:
                not_shown.append(f"the log: your keyring has no key of the log of {history.origin}")
    except LedgerError as error:
        findings = [finding_of(error, layout.LOG)]
    return Report(
        history.origin, findings=tuple(findings), not_shown=(*not_shown, *others.not_shown())
    )


def _lacking() -> Iterator[Finding]:
    key = layout.LOG_CHECKPOINT
    message = (
        f"{key}: the store has no log, though your keyring has the key of one: it was not begun"
        " yet, or it was taken away"
    )
    yield Finding("unchecked", "log-missing", key, message)


def judge_emptiness(history: History) -> Finding | None:
    """Judge a store that lists no title: new, or emptied. The log, or its key, may tell."""
    log = LogReader(history)
    if not log.log_keys and history.store.get(layout.LOG_CHECKPOINT) is None:
        return None
    try:
        signed = log.checkpoint() if log.log_keys else None
        if signed is not None and not _names_an_entry(log, signed.checkpoint):
            return None
    except LedgerError as error:
        return finding_of(error, layout.LOG_CHECKPOINT)
    if signed is not None:
        message = f"the store lists no title, though its log has {signed.checkpoint.size:,} leaves"
        return Finding("tampering", "nothing-there", layout.LOG_CHECKPOINT, message)
    message = "the store lists no title, though this ledger has a log: it may have been emptied"
    return Finding("unchecked", "nothing-there", layout.LOG_CHECKPOINT, message)


def _names_an_entry(log: LogReader, checkpoint: Checkpoint) -> bool:
    """Whether the log has an entry of a title. It is read to its end, and proved, if it has none.

    Trust files are logged from the first seal on, before there is a title.
    """
    for at, data in enumerate(log.proved_leaves(checkpoint)):
        leaf = decode_leaf(data)
        if isinstance(leaf, Leaf):
            row = leaf.version, leaf.address, at
            if not find_bogus(log.store, log.keyring, leaf.title_number, [row]):
                return True
    return False


def _check(log: LogReader, others: OtherLeaves) -> Iterator[Finding]:
    signed: SignedCheckpoint | None = None
    try:
        signed = log.checkpoint()
        yield from _check_state(log, signed)
    except LedgerError as error:
        yield finding_of(error, layout.LOG_CHECKPOINT)
    if signed is None:
        return
    size = signed.checkpoint.size
    with closing(LeafIndex()) as index:
        try:
            index.add_leaves(others.passing(rehash(log, signed.checkpoint), 0), 0)
        except LedgerError as error:
            yield finding_of(error, layout.LOG)
            return
        yield from others.findings()
        yield from judge_trust(log.keyring, others.trust)[1]
        yield from drop_disowned(log, index)
        yield from judge_records(log, index.titles(), 0, size, index.dropped)
        yield from _check_tiles(log, signed.checkpoint)


def _check_state(log: LogReader, signed: SignedCheckpoint | None) -> Iterator[Finding]:
    found = log.state()
    if found is None:
        key = layout.LOG_STATE
        message = f"{key}: missing, though the store has a log"
        yield Finding("tampering", "log-missing", key, message)
        return
    state = found[0]
    if is_published(state, signed):
        return
    recover_commit(log, state)  # raises if it can't be published
    key = layout.LOG_CHECKPOINT
    if signed is None and state.checkpoint.size:
        message = (
            f"{key}: missing, though the log has {state.checkpoint.size} leaves (if an import was"
            " cut off: import again; 'ledger seal' publishes it)"
        )
        yield Finding("tampering", "log-missing", key, message)
    else:
        message = (
            f"{key}: behind {layout.LOG_STATE}: a seal is at work, or was cut off ('ledger seal'"
            " publishes the rest)"
        )
        yield Finding("warning", "unpublished", key, message)


def _check_tiles(log: LogReader, checkpoint: Checkpoint) -> Iterator[Finding]:
    """Compare the tiles of earlier sizes with those of this one, which were all compared."""
    keys = (key for key in log.store.list(TILES) if (tile := _parse(key)) and tile.width < WIDTH)
    while taken := list(islice(keys, BATCH)):
        for key, blob in log.store.get_many(taken):
            tile = _parse(key)
            newest = tile and _of_size(tile, checkpoint.size)
            if tile is None or newest is None or blob is None or newest == tile:
                continue
            (data,) = log.read_tiles([newest])
            if not (data.startswith(blob.data) and _is_whole(tile, blob.data)):
                message = f"{key}: it is not the beginning of {newest.path}"
                yield Finding("tampering", "wrong-root", key, message)


def _is_whole(tile: Tile, data: bytes) -> bool:
    try:
        return bool(decode_entries(tile, data) if tile.level == ENTRIES else check_tile(tile, data))
    except MalformedError:
        return False


def _parse(key: str) -> Tile | None:
    try:
        return parse_tile(key.removeprefix(layout.LOG))
    except MalformedError:
        return None


def _of_size(tile: Tile, size: int) -> Tile | None:
    """The tile in the same place in a log of this size; None: it has no such, or a smaller one."""
    level = 0 if tile.level == ENTRIES else tile.level
    width = min(WIDTH, (size >> (8 * level)) - tile.index * WIDTH)
    return Tile(tile.level, tile.index, width) if width >= tile.width else None
