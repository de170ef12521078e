"""Hashing the log anew: its leaves give its tiles, and these the root of its checkpoint."""

from __future__ import annotations

from typing import TYPE_CHECKING

from ledger.errors import IntegrityError, LedgerError, UnsupportedFormatError
from ledger.format import layout
from ledger.tlog.objects import Leaf
from ledger.tlog.tiles import ENTRIES, WIDTH, TileBuilder

if TYPE_CHECKING:
    from collections.abc import Iterator

    from ledger.sealing.reader import LogReader
    from ledger.tlog.checkpoint import Checkpoint
    from ledger.tlog.tiles import Tile

__all__ = ["rehash"]

AHEAD = 16
"""How many tiles of hashes are compared at once."""


def rehash(
    log: LogReader, checkpoint: Checkpoint, base: Checkpoint | None = None
) -> Iterator[Leaf]:
    """The leaves of a checkpoint, or those that it has more than an audited one, in order.

    Believe them once the last was taken: then every tile that is new since ``base``, on every
    level, was found to be what the leaves give, and they lead to the root. Raises IntegrityError
    (``wrong-root``, ``tile-missing``, ``malformed-leaf``), UnsupportedFormatError.
    """
    start = base.size if base else 0
    builder = log.builder(start, base.root) if base else TileBuilder()
    due: list[tuple[Tile, bytes]] = []
    unread: LedgerError | None = None
    for index, data in enumerate(log.leaves(checkpoint.size, start), start):
        due += builder.append(data)
        if len(due) >= AHEAD:
            _compare(log, due, start)
            due = []
        try:
            leaf = Leaf.decode(data)
        except LedgerError as error:
            # Whether somebody changed it, or it was signed so, the root will tell.
            unread = unread or _unread(index, error)
        else:
            yield leaf
    _compare(log, due + builder.unfinished(), start)
    if builder.root() != checkpoint.root:
        key = layout.LOG_CHECKPOINT
        raise IntegrityError(
            f"{key}: the {checkpoint.size} leaves of the log do not lead to its root",
            reason="wrong-root",
            object_key=key,
        )
    if unread is not None:
        raise unread


def _compare(log: LogReader, made: list[tuple[Tile, bytes]], start: int) -> None:
    # The tiles of leaves were read to make all this; but of one that others had begun, only the
    # leaves that are new.
    begun = start // WIDTH if start % WIDTH else None
    checked = [each for each in made if each[0].level != ENTRIES or each[0].index == begun]
    read = log.read_tiles([tile for tile, _ in checked])
    for (tile, data), stored in zip(checked, read, strict=True):
        if stored != data:
            key = layout.tile_key(tile.path)
            raise IntegrityError(
                f"{key}: this is not what the leaves of the log give",
                hint="bring it, and the tiles below it, back from a copy of the log",
                reason="wrong-root",
                object_key=key,
            )


def _unread(index: int, error: LedgerError) -> LedgerError:
    key = f"{layout.LOG}tile/entries"
    message = f"{key}: leaf {index}: {error}"
    if isinstance(error, UnsupportedFormatError):
        return UnsupportedFormatError(message)
    return IntegrityError(message, reason="malformed-leaf", object_key=key)
