"""Reading the log from a store: its checkpoint, tiles and leaves, and proofs made of them.

Signatures are checked here. Tiles, leaves and records are only what the store says. A proof that is
made of them is checked before it is handed out. For everything else, the caller computes the root
and compares it with that of a checkpoint.
"""

from __future__ import annotations

from itertools import islice
from typing import TYPE_CHECKING

from ledger.errors import (
    IntegrityError,
    LedgerError,
    MalformedError,
    NotFoundError,
    TrustError,
)
from ledger.format import layout
from ledger.format.report import Finding, finding_of
from ledger.titles.identity import check_there
from ledger.tlog.checkpoint import Checkpoint, SignedCheckpoint, open_checkpoint
from ledger.tlog.merkle import (
    Edge,
    ReadHashes,
    check_consistency,
    consistency_proof,
    inclusion_proof,
)
from ledger.tlog.objects import LogState, SealedRecord
from ledger.tlog.receipt import Receipt, check_receipt
from ledger.tlog.tiles import (
    WIDTH,
    Tile,
    TileBuilder,
    cut_tile,
    decode_entries,
    entries_tiles,
    hash_reader,
    unfinished_tiles,
)

if TYPE_CHECKING:
    from collections.abc import Iterable, Iterator, Sequence

    from ledger.format.keyring import Keyring
    from ledger.format.keys import PublicKey
    from ledger.stores.base import Store
    from ledger.tlog.checkpoint import WitnessKey
    from ledger.tlog.objects import Leaf

__all__ = ["AHEAD", "LogReader", "check_remembered", "judge_remembered", "open_remembered"]

AHEAD = 16
"""How many tiles of leaves are asked for at once."""


class LogReader:
    """The log of one ledger, in its store."""

    def __init__(self, store: Store, origin: str, keyring: Keyring) -> None:
        self.store = store
        self.origin = origin
        self.keyring = keyring

    @property
    def log_keys(self) -> list[PublicKey]:
        """The keys that may sign for this log."""
        return self.keyring.keys(self.origin, "log")

    # -- What is signed ------------------------------------------------------------------------

    def open(self, note: bytes, witnesses: Iterable[WitnessKey] = ()) -> SignedCheckpoint:
        """Check a signed checkpoint as one of this log; raises what ``open_checkpoint`` does."""
        return open_checkpoint(
            note, origin=self.origin, log_keys=self.log_keys, witnesses=witnesses
        )

    def open_state(self, data: bytes) -> LogState:
        """Check the bytes of a state as one of this log."""
        return LogState.open(data, origin=self.origin, log_keys=self.log_keys)

    def state(self) -> tuple[LogState, str] | None:
        """What the log is committed to, and the version of ``_log/state`` to replace it by."""
        blob = self.store.get(layout.LOG_STATE)
        return (self.open_state(blob.data), blob.version) if blob else None

    def checkpoint(self, witnesses: Iterable[WitnessKey] = ()) -> SignedCheckpoint | None:
        """The checkpoint that is published; None: there is none yet.

        Raises what ``open_checkpoint`` does, but for what is no checkpoint at all: IntegrityError
        (reason ``damaged``).
        """
        key = layout.LOG_CHECKPOINT
        blob = self.store.get(key)
        if blob is None:
            check_there(self.store, self.origin)
        try:
            return self.open(blob.data, witnesses) if blob else None
        except MalformedError as error:
            raise IntegrityError(f"{key}: {error}", reason="damaged", object_key=key) from error
        except (IntegrityError, TrustError) as error:
            raise type(error)(
                f"{key}: {error}", hint=error.hint, reason=error.reason, object_key=key
            ) from error

    # -- What leads to it ----------------------------------------------------------------------

    def read_tiles(self, tiles: Sequence[Tile]) -> list[bytes]:
        """The bytes of tiles, in order; a partial one may have been cut of the full one.

        Raises IntegrityError (reason ``tile-missing``).
        """
        found = self.store.get_many([layout.tile_key(tile.path) for tile in tiles])
        return [
            blob.data if blob else self._cut(tile)
            for tile, (_, blob) in zip(tiles, found, strict=True)
        ]

    def _cut(self, tile: Tile) -> bytes:
        key = layout.tile_key(tile.full.path)
        blob = self.store.get(key) if tile.width < WIDTH else None
        if blob is None:
            check_there(self.store, self.origin)
            key = layout.tile_key(tile.path)
            raise IntegrityError(
                f"{key}: missing, and the log's checkpoint stands on it",
                hint="bring it back from a copy of the log",
                reason="tile-missing",
                object_key=key,
            )
        try:
            return cut_tile(tile, blob.data)
        except MalformedError as error:
            raise _wrong_tile(key, error) from error

    def hashes(self, size: int) -> ReadHashes:
        """Reads the hashes of the tree of ``size`` leaves, for ``ledger.tlog`` to make proofs."""
        return hash_reader(size, self.read_tiles)

    def leaves(self, size: int, start: int = 0) -> Iterator[bytes]:
        """The leaves from ``start`` to before ``size``, as the tiles have them."""
        tiles = entries_tiles(size, start)
        skip = start % WIDTH
        while ahead := list(islice(tiles, AHEAD)):
            for tile, data in zip(ahead, self.read_tiles(ahead), strict=True):
                yield from self._decode(tile, data)[skip:]
                skip = 0

    def _decode(self, tile: Tile, data: bytes) -> list[bytes]:
        try:
            return decode_entries(tile, data)
        except MalformedError as error:
            raise _wrong_tile(layout.tile_key(tile.path), error) from error

    def builder(self, size: int, root: bytes | None = None) -> TileBuilder:
        """What continues the log at this size, from its tiles.

        Without a root the tiles are believed: whoever appends to them compares the root that comes
        of it. Raises IntegrityError (reason ``wrong-root``, ``tile-missing``).
        """
        tiles = unfinished_tiles(size)
        data = dict(zip(tiles, self.read_tiles(tiles), strict=True))
        try:
            if root is None:
                read = hash_reader(size, lambda wanted: [data[tile] for tile in wanted])
                root = Edge.read(size, read).root()
            return TileBuilder.resume(size, data.values(), root)
        except MalformedError as error:
            raise _wrong_tile(f"{layout.LOG}tile/", error) from error

    def record(self, title_number: str) -> tuple[SealedRecord, str] | None:
        """How far a title is logged, and the version of the record; None: not at all.

        Nothing vouches for it: the title's chain has to lead through it, and so has the log.
        """
        key = layout.sealed_key(layout.check_title_number(title_number))
        blob = self.store.get(key)
        return (SealedRecord.decode(blob.data, key), blob.version) if blob else None

    # -- Proofs --------------------------------------------------------------------------------

    def check_continues(self, new: Checkpoint, old: Checkpoint) -> None:
        """Check, by the tiles, that the new tree begins with all the leaves of the old one.

        Raises IntegrityError (reason ``not-consistent``, or if tiles are missing or wrong).
        """
        proof: tuple[bytes, ...] = ()
        if old.size < new.size:
            try:
                proof = consistency_proof(old.size, new.size, self.hashes(new.size))
            except MalformedError as error:
                raise _wrong_tile(f"{layout.LOG}tile/", error) from error
        check_consistency(old.size, old.root, new.size, new.root, proof)

    def receipt(self, leaf: Leaf, signed: SignedCheckpoint | None = None) -> Receipt:
        """The receipt of an entry, by the checkpoint given, or the one that is published.

        Found at once for the newest logged version of a title; for an earlier one the leaves before
        it are read, the newest first. Raises NotFoundError if the entry is not in the log yet.
        """
        signed = signed or self.checkpoint()
        size = signed.checkpoint.size if signed else 0
        index = self.find(leaf, size)
        if signed is None or index is None:
            raise NotFoundError(
                f"{leaf.title_number} version {leaf.version} ({leaf.address}) is not in the log",
                hint="if it was appended just now, it will be there after the next 'ledger seal'",
            )
        return self.prove(leaf, index, signed)

    def prove(self, leaf: Leaf, index: int, signed: SignedCheckpoint) -> Receipt:
        """The receipt of the leaf at this index; raises IntegrityError if it is not there."""
        try:
            proof = inclusion_proof(
                index, signed.checkpoint.size, self.hashes(signed.checkpoint.size)
            )
        except MalformedError as error:
            raise _wrong_tile(f"{layout.LOG}tile/", error) from error
        receipt = Receipt(index, proof, signed.note)
        check_receipt(receipt, leaf.encode(), origin=self.origin, log_keys=self.log_keys)
        return receipt

    def find(self, leaf: Leaf, size: int) -> int | None:
        """The index of a leaf in the log of this size, as records and tiles have it; None: none."""
        found = self.record(leaf.title_number)
        if found is None or size == 0 or found[0].version < leaf.version:
            return None
        record = found[0]
        if record.version == leaf.version:
            logged = record.address == leaf.address and record.leaf < size
            return record.leaf if logged else None
        return self.search([leaf], size, min(size, record.leaf + 1)).get(leaf)

    def search(
        self, leaves: Iterable[Leaf], size: int, below: int, *, most: int | None = None
    ) -> dict[Leaf, int]:
        """The indexes of these leaves, of those that are below an index in the log of this size.

        Reads backwards, and no more than ``most`` tiles of 256 leaves each.
        """
        wanted = {leaf.encode(): leaf for leaf in leaves}
        found: dict[Leaf, int] = {}
        first = 0 if most is None else max(0, -(-below // WIDTH) - most)
        tiles = list(entries_tiles(below, first * WIDTH))[::-1]
        taken = 1  # what was logged last is asked for most
        while tiles and wanted:
            ahead = [_whole(tile, size) for tile in tiles[:taken]]
            del tiles[:taken]
            taken = min(2 * taken, AHEAD)
            for tile, data in zip(ahead, self.read_tiles(ahead), strict=True):
                if any(each in data for each in wanted):
                    for index, each in enumerate(self._decode(tile, data), tile.index * WIDTH):
                        if each in wanted:
                            found[wanted.pop(each)] = index
        return found


def open_remembered(log: LogReader, note: str) -> Checkpoint | Finding:
    """Open a checkpoint that an auditor kept. Return a finding if no trusted key signed it."""
    try:
        return log.open(note.encode()).checkpoint
    except (IntegrityError, TrustError) as error:
        message = f"the remembered checkpoint can't be compared with the log: {error}"
        return Finding("unchecked", "unknown-key", layout.LOG_CHECKPOINT, message)


def check_remembered(log: LogReader, published: SignedCheckpoint | None, old: Checkpoint) -> None:
    """Check that what is published has all that the old checkpoint had, and in its order.

    Raises IntegrityError: ``log-set-back`` if it is gone or smaller, ``not-consistent`` if
    it is another log, or what is wrong with the tiles that should tell.
    """
    key = layout.LOG_CHECKPOINT
    new = published.checkpoint if published else None
    if new is None or new.size < old.size:
        what = f"the log has {new.size:,} leaves" if new else "missing: the log is gone"
        raise IntegrityError(
            f"{key}: {what}, and had {old.size:,} by a checkpoint from before: an older state is"
            " served, or it was set back",
            hint="keep the checkpoint: the log's key signed it; ask the registry",
            reason="log-set-back",
            object_key=key,
        )
    try:
        log.check_continues(new, old)
    except IntegrityError as error:
        if error.reason != "not-consistent":
            raise
        raise IntegrityError(
            f"{key}: {error} from before: the log was rewritten, or forked, and the log's key"
            " signed both",
            hint="keep both: they are the evidence",
            reason="not-consistent",
            object_key=key,
        ) from error


def judge_remembered(log: LogReader, note: str) -> tuple[Finding, ...]:
    """``check_remembered`` of what is published now, as findings."""
    old = open_remembered(log, note)
    if isinstance(old, Finding):
        return (old,)
    try:
        check_remembered(log, log.checkpoint(), old)
    except LedgerError as error:
        return (finding_of(error, layout.LOG_CHECKPOINT),)
    return ()


def _whole(tile: Tile, size: int) -> Tile:
    """The tile at the same place that a log of this size has."""
    return Tile(tile.level, tile.index, min(WIDTH, size - tile.index * WIDTH))


def _wrong_tile(key: str, error: LedgerError) -> IntegrityError:
    return IntegrityError(f"{key}: {error}", reason="wrong-root", object_key=key)
