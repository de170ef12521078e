"""What a log already had by a checkpoint that somebody kept: the newest version of a title.

Nothing is taken from the store unproved: the leaves from that version on are read, and have to
lead to the root of the kept checkpoint. So one checkpoint is worth as much as an address of every
title, remembered.
"""

from __future__ import annotations

from typing import TYPE_CHECKING

from ledger import layout
from ledger.errors import IntegrityError, MalformedError, TrustError
from ledger.tlog.leaf import Leaf
from ledger.tlog.merkle import Edge, hash_leaf
from ledger.tlog.read import AHEAD
from ledger.tlog.tiles import WIDTH, entries_tiles

if TYPE_CHECKING:
    from ledger.tlog.checkpoint import Checkpoint
    from ledger.tlog.read import LogReader

__all__ = ["check_kept", "last_logged"]

KEPT = "the kept checkpoint"


def last_logged(log: LogReader, title_number: str, note: bytes) -> Leaf | None:
    """The newest version of a title that was logged by a kept checkpoint; None: none was.

    Reads the log from its end back to the version, and forth again. Raises what ``check_kept``
    does, and IntegrityError (reason ``wrong-root``) where the leaves do not lead to the checkpoint.
    """
    sought = f'"title_number":"{layout.check_title_number(title_number)}",'.encode()
    kept = _open_kept(log, note)
    check_kept(log, kept)
    start = _last_tile(log, sought, kept.size)
    found = _prove(log, sought, start, kept)
    if found is None and start > 0:  # the store said so only once
        found = _prove(log, sought, 0, kept)
    return found


def _open_kept(log: LogReader, note: bytes) -> Checkpoint:
    """Open a kept checkpoint; what is wrong with it is not said of the one that is published."""
    try:
        return log.open(note).checkpoint
    except MalformedError as error:
        raise MalformedError(f"{KEPT}: {error}") from error
    except TrustError as error:
        raise TrustError(f"{KEPT}: {error}", reason=error.reason) from error
    except IntegrityError as error:
        raise IntegrityError(f"{KEPT}: {error}", reason=error.reason) from error


def check_kept(log: LogReader, kept: Checkpoint) -> None:
    """Check that the published log continues a checkpoint that was kept.

    Raises IntegrityError (reason ``log-set-back``, ``not-consistent``, or where tiles are missing
    or wrong).
    """
    signed = log.checkpoint()
    if signed is None or signed.checkpoint.size < kept.size:
        there = f"{signed.checkpoint.size:,} leaves" if signed else "none at all"
        raise IntegrityError(
            f"{layout.LOG_CHECKPOINT}: the log has {there}, but the checkpoint that was kept is of"
            f" {kept.size:,} leaves, and the log's key signed it",
            hint="keep it: it shows what the log had; ask the registry for a declaration",
            reason="log-set-back",
            object_key=layout.LOG_CHECKPOINT,
        )
    try:
        log.check_continues(signed.checkpoint, kept)
    except IntegrityError as error:
        if error.reason != "not-consistent":
            raise
        raise IntegrityError(
            f"{layout.LOG_CHECKPOINT}: {error} that was kept, and the log's key signed both",
            hint="keep both: they show that the log was forked",
            reason="not-consistent",
            object_key=layout.LOG_CHECKPOINT,
        ) from error


def _last_tile(log: LogReader, sought: bytes, size: int) -> int:
    """The first leaf of the last tile that speaks of the title; 0 where none does.

    As the store says.
    """
    tiles = list(entries_tiles(size))[::-1]
    for at in range(0, len(tiles), AHEAD):
        ahead = tiles[at : at + AHEAD]
        for tile, data in zip(ahead, log.read_tiles(ahead), strict=True):
            if sought in data:
                return tile.index * WIDTH
    return 0


def _prove(log: LogReader, sought: bytes, start: int, kept: Checkpoint) -> Leaf | None:
    """The last leaf from ``start`` on that speaks of the title, all of them led to the root."""
    found: bytes | None = None
    try:
        edge = Edge.read(start, log.hashes(kept.size))
        for leaf in log.leaves(kept.size, start):
            edge.append(hash_leaf(leaf))
            if sought in leaf:
                found = leaf
        if edge.root() != kept.root:
            raise MalformedError("the leaves do not lead to the root of the kept checkpoint")
        return None if found is None else Leaf.decode(found)
    except MalformedError as error:
        key = f"{layout.LOG}tile/"
        raise IntegrityError(f"{key}: {error}", reason="wrong-root", object_key=key) from error
