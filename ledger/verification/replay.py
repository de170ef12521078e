"""Replay the log: hash all its leaves anew, and compare with its tiles and its checkpoint.

Nothing is taken from the store unproved: leaves count once they lead to the root of a checkpoint
that is signed. So one checkpoint that somebody kept is worth as much as an address of every title.
"""

from __future__ import annotations

from typing import TYPE_CHECKING

from ledger.errors import IntegrityError, LedgerError, MalformedError, TrustError
from ledger.format import layout
from ledger.sealing.reader import LogReader, check_remembered, judge_disowned, read_leaf
from ledger.titles.trust_files import accepted_by
from ledger.tlog.merkle import HASH_BYTES, check_inclusion, inclusion_proof
from ledger.tlog.objects import AnyLeaf, Leaf, decode_leaf
from ledger.tlog.tiles import ENTRIES, WIDTH, Tile, TileBuilder

if TYPE_CHECKING:
    from collections.abc import Iterator

    from ledger.tlog.checkpoint import Checkpoint, SignedCheckpoint

AHEAD = 16
"""Tiles of hashes compared at once."""

WIDTH_BITS = WIDTH.bit_length() - 1

KEPT = "the kept checkpoint"


def rehash(
    log: LogReader, checkpoint: Checkpoint, base: Checkpoint | None = None
) -> Iterator[AnyLeaf]:
    """Yield the leaves of a checkpoint, or those it has beyond ``base``, in order.

    Believe them only after the last one. By then every tile that is new since ``base``, on every
    level, was found to be what the leaves give, and the leaves lead to the root.

    Raises IntegrityError (``wrong-root``, ``tile-missing``, ``malformed-leaf``), naming the object
    that is damaged.
    """
    start = base.size if base else 0
    builder = log.builder(start, base.root) if base else TileBuilder()
    due: list[tuple[Tile, bytes]] = []
    unread: LedgerError | None = None
    for index, data in enumerate(log.leaves(checkpoint.size, start), start):
        due += builder.append(data)
        if len(due) >= AHEAD:
            _compare(log, due, start, checkpoint)
            due = []
        try:
            leaf = read_leaf(index, data)
        except IntegrityError as error:
            # The root will tell whether somebody changed it or it was signed so.
            unread = unread or error
        else:
            yield leaf
    _compare(log, due + builder.unfinished(), start, checkpoint)
    if builder.root() != checkpoint.root:
        key = layout.LOG_CHECKPOINT
        raise IntegrityError(
            f"{key}: the {checkpoint.size} leaves of the log do not lead to its root",
            reason="wrong-root",
            object_key=key,
        )
    if unread is not None:
        raise unread


def _compare(
    log: LogReader, made: list[tuple[Tile, bytes]], start: int, checkpoint: Checkpoint
) -> None:
    # The tiles of leaves were read to get here. Of a tile that ``base`` had begun, only the new
    # leaves were used, so it is compared as well.
    begun = start // WIDTH if start % WIDTH else None
    checked = [each for each in made if each[0].level != ENTRIES or each[0].index == begun]
    read = log.read_tiles([tile for tile, _ in checked])
    for (tile, data), stored in zip(checked, read, strict=True):
        if stored != data:
            damaged = _find_damaged(log, tile, data, stored, checkpoint)
            key = layout.tile_key(damaged.path)
            raise IntegrityError(
                f"{key}: it does not lead to the root of the log's checkpoint",
                hint="bring it back from a copy of the log",
                reason="wrong-root",
                object_key=key,
            )


def _find_damaged(
    log: LogReader, tile: Tile, made: bytes, stored: bytes, checkpoint: Checkpoint
) -> Tile:
    """Of a tile of hashes and the one below it that it contradicts, the one the root refutes."""
    if tile.level == ENTRIES:
        return tile
    at = next(n for n in range(tile.width) if _hash_at(made, n) != _hash_at(stored, n))
    level, index = WIDTH_BITS * tile.level, tile.index * WIDTH + at
    try:
        proof = inclusion_proof(index << level, checkpoint.size, log.hashes(checkpoint.size))
        # Above its own level, the proof of a node's first leaf is that of the node.
        size = ((checkpoint.size - 1) >> level) + 1
        hashed = _hash_at(stored, at)
        check_inclusion(hashed, index, size, proof[level:], checkpoint.root)
    except LedgerError:
        return tile
    if tile.level == 0:
        width = min(WIDTH, checkpoint.size - tile.index * WIDTH)
        return Tile(ENTRIES, tile.index, width)
    return Tile(tile.level - 1, index, WIDTH)


def _hash_at(tile: bytes, at: int) -> bytes:
    return tile[at * HASH_BYTES : (at + 1) * HASH_BYTES]


def last_logged(log: LogReader, title_number: str, note: bytes) -> Leaf | None:
    """Return the newest version of a title in the log as of a kept checkpoint, or None.

    This reads the log from its first leaf up to the kept size. The last leaf of a title need not be
    its newest version: a sealer that lost its records logs a second time. Raises what
    ``check_remembered`` does, and IntegrityError if the leaves do not lead to the checkpoint
    (reason ``wrong-root``) or give one version two addresses (``forked``).
    """
    sought = f'"title_number":"{layout.check_title_number(title_number)}",'.encode()
    kept = check_kept(log, log.checkpoint(), note)
    found: dict[Leaf, None] = {}
    for data in log.proved_leaves(kept):
        if sought in data and isinstance(leaf := decode_leaf(data), Leaf):
            found[leaf] = None
    return _newest(list(found))


def _newest(leaves: list[Leaf]) -> Leaf | None:
    """Return the leaf with the highest version, of distinct leaves of one title."""
    newest = max(leaves, key=lambda leaf: leaf.version, default=None)
    for leaf in leaves:
        if newest and leaf.version == newest.version and leaf != newest:
            key = layout.head_key(leaf.title_number)
            raise IntegrityError(
                f"{key}: the log has two entries as version {leaf.version}: {leaf.address} and"
                f" {newest.address}",
                reason="forked",
                object_key=key,
            )
    return newest


def check_kept(log: LogReader, published: SignedCheckpoint | None, note: bytes) -> Checkpoint:
    """Check that the log continues a checkpoint that was kept, and return that one.

    Raises what ``check_remembered`` does, but IntegrityError (reason ``memory-disowned``) if a
    thief of the log's key may have signed what was kept, and MalformedError, TrustError if it is no
    checkpoint of this log.
    """
    kept = _open_kept(log, note)
    try:
        check_remembered(log, published, kept)
    except IntegrityError as error:
        disagrees = error.reason in {"log-set-back", "not-consistent"}
        if not disagrees or judge_disowned(log, note) is None:
            raise
        raise IntegrityError(
            f"{KEPT} of {kept.size:,} leaves disagrees with the log, and is signed by no key of the"
            " log that counts any more: a thief may have made it",
            hint=f"what you have of the log from leaf {_first_doubtful(log, note)} on may be the"
            " thief's",
            reason="memory-disowned",
            object_key=layout.LOG_CHECKPOINT,
        ) from error
    return kept


def _first_doubtful(log: LogReader, note: bytes) -> int:
    """The leaf from which on none of the keys that signed a checkpoint counts any more."""
    accepted = accepted_by(log.keyring)
    signed_by = log.open(note, any_algorithm=True).signed_by
    ends = [accepted.end_of(key.key_id) for key in signed_by] if accepted else []
    return min((end for end in ends if end is not None), default=0)


def _open_kept(log: LogReader, note: bytes) -> Checkpoint:
    """Open a kept checkpoint; errors name it, as the published one is not to blame."""
    try:
        return log.open(note, any_algorithm=True).checkpoint
    except MalformedError as error:
        raise MalformedError(f"{KEPT}: {error}") from error
    except TrustError as error:
        raise TrustError(f"{KEPT}: {error}", reason=error.reason) from error
    except IntegrityError as error:
        raise IntegrityError(f"{KEPT}: {error}", reason=error.reason) from error
