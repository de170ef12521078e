"""Reading the log from a store: its checkpoint, tiles and leaves, and proofs made of them.

Signatures are checked here. Tiles, leaves and records are only what the store says. A proof that is
made of them is checked before it is handed out. For everything else, the caller computes the root
and compares it with that of a checkpoint.
"""

from __future__ import annotations

from contextlib import suppress
from dataclasses import replace
from itertools import islice
from typing import TYPE_CHECKING, TypeVar

from ledger.errors import (
    IntegrityError,
    LedgerError,
    MalformedError,
    NotFoundError,
    OriginNotPinned,
    TrustError,
)
from ledger.format import layout
from ledger.format.keyring import TRUST_THE_LOG, Keyring
from ledger.format.report import Finding, finding_of
from ledger.sealing.disowned import find_bogus, is_doubtful
from ledger.titles.identity import check_there
from ledger.titles.trust_files import accepted_by
from ledger.tlog.checkpoint import (
    Checkpoint,
    SignedCheckpoint,
    WitnessKey,
    check_algorithms,
    open_checkpoint,
)
from ledger.tlog.merkle import (
    HASH_BYTES,
    Edge,
    ReadHashes,
    check_consistency,
    check_inclusion,
    consistency_proof,
    hash_leaf,
    inclusion_proof,
)
from ledger.tlog.objects import (
    AnyLeaf,
    Leaf,
    LogState,
    OtherLeaf,
    SealedRecord,
    TrustLeaf,
    decode_leaf,
    leaf_of,
)
from ledger.tlog.receipt import Receipt
from ledger.tlog.tiles import (
    ENTRIES,
    WIDTH,
    Tile,
    TileBuilder,
    check_tile,
    cut_tile,
    decode_entries,
    encode_entries,
    entries_tiles,
    hash_reader,
    unfinished_tiles,
)
from ledger.trust.checkpoints import check_not_behind, check_signatures, is_signed, not_as_pinned

if TYPE_CHECKING:
    from collections.abc import Callable, Iterable, Iterator, Sequence

    from ledger.format.entry import Entry
    from ledger.format.pem import VerifyingKey
    from ledger.stores.base import Store
    from ledger.titles.history import History
    from ledger.trust.chain import Trust

WIDTH_BITS = WIDTH.bit_length() - 1

_K = TypeVar("_K")

AHEAD = 16
"""How many tiles of leaves are asked for at once."""


class LogReader:
    """The log of one ledger, in its store; whose keys count is up to the history."""

    def __init__(self, history: History) -> None:
        self._history = history
        self.origin: str = history.origin
        self._agreed: tuple[Trust, Checkpoint] | None = None
        """The last checkpoint that was found to continue all pins, and by which trust files."""

    @property
    def store(self) -> Store:
        """The store that the log is in."""
        return self._history.store

    @property
    def keyring(self) -> Keyring:
        """Whose signatures count by now."""
        return self._history.keyring

    @property
    def log_keys(self) -> list[VerifyingKey]:
        """The keys that may sign for this log."""
        return self.keyring.keys(self.origin, "log")

    # -- What is signed ------------------------------------------------------------------------

    def open(
        self,
        note: bytes,
        witnesses: Iterable[WitnessKey] = (),
        *,
        any_algorithm: bool = False,
    ) -> SignedCheckpoint:
        """Check a signed checkpoint as one of this log; raises what ``open_checkpoint`` does.

        By trust files it also has to be signed by keys without an end, or to be pinned: else it
        raises NotProven. ``any_algorithm``: one that the caller kept; any key of the log will do.
        """
        return open_as_log(note, self.origin, self.keyring, witnesses, any_algorithm=any_algorithm)

    def check_signatures(self, signed: SignedCheckpoint, object_key: str = "") -> None:
        """Check that a checkpoint that was opened is signed as it must be; see ``open``."""
        _check_signatures(signed, self.origin, self.keyring, object_key)

    def open_state(self, data: bytes, *, any_algorithm: bool = False) -> LogState:
        """Check the bytes of a state as one of this log."""
        state = LogState.open(data, origin=self.origin, log_keys=self.log_keys)
        if not any_algorithm:
            self.check_signatures(state.signed, layout.LOG_STATE)
        return state

    def state(self, *, any_algorithm: bool = False) -> tuple[LogState, str] | None:
        """What the log is committed to, and the version of ``_log/state`` to replace it by."""
        blob = self.store.get(layout.LOG_STATE)
        if blob is None:
            return None
        return self.open_state(blob.data, any_algorithm=any_algorithm), blob.version

    def checkpoint(
        self, witnesses: Iterable[WitnessKey] = (), *, any_algorithm: bool = False
    ) -> SignedCheckpoint | None:
        """The checkpoint that is published; None: there is none yet.

        Raises what ``open_checkpoint`` does, but for what is no checkpoint at all: IntegrityError
        (reason ``damaged``).
        """
        key = layout.LOG_CHECKPOINT
        blob = self.store.get(key)
        if blob is None:
            check_there(self.store, self.origin)
        try:
            if blob is None:
                return None
            signed = self.open(blob.data, witnesses, any_algorithm=any_algorithm)
            if not any_algorithm:
                self.check_pins(signed.checkpoint)
        except MalformedError as error:
            raise IntegrityError(f"{key}: {error}", reason="damaged", object_key=key) from error
        except (IntegrityError, TrustError) as error:
            said = str(error)
            said = said if said.startswith(key) else f"{key}: {said}"
            raise type(error)(said, hint=error.hint, reason=error.reason, object_key=key) from error
        return signed

    def check_pins(self, checkpoint: Checkpoint) -> None:
        """Check that the log continues what every accepted trust file pins.

        Raises IntegrityError (``wrong-root``), or NotProven (``log-behind-pin``).
        """
        accepted = accepted_by(self.keyring)
        if accepted is None or (accepted, checkpoint) == self._agreed:
            return
        check_not_behind(accepted, checkpoint)
        # Most pins need the same ones.
        hashes = _once(hash_reader(checkpoint.size, _once(self.read_tiles)))
        for pin in accepted.pins:
            try:
                self._check_continues(checkpoint, pin, hashes)
            except IntegrityError as error:
                if error.reason != "not-consistent":
                    raise
                raise not_as_pinned(pin) from error
        self._agreed = accepted, checkpoint

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

    def leaves(self, size: int, start: int = 0, within: int | None = None) -> Iterator[bytes]:
        """The leaves from ``start`` to before ``size``, as the tiles have them.

        ``within``: a later size, of which the tiles are there.
        """
        tiles = entries_tiles(size, start)
        skip = start % WIDTH
        while ahead := list(islice(tiles, AHEAD)):
            stored = [_whole(tile, within or size) for tile in ahead]
            for tile, whole, data in zip(ahead, stored, self.read_tiles(stored), strict=True):
                yield from self._decode(whole, data)[skip : tile.width]
                skip = 0

    def _decode(self, tile: Tile, data: bytes) -> list[bytes]:
        try:
            return decode_entries(tile, data)
        except MalformedError as error:
            raise _wrong_tile(layout.tile_key(tile.path), error) from error

    def builder(
        self, size: int, root: bytes | None = None, within: int | None = None
    ) -> TileBuilder:
        """What continues the log at this size, from its tiles, or from those of a later size.

        Without a root the tiles are believed: whoever appends to them compares the root that comes
        of it. Raises IntegrityError (reason ``wrong-root``, ``tile-missing``).
        """
        tiles = unfinished_tiles(size)
        stored = [_whole(tile, within or size) for tile in tiles]
        read_tiles = zip(tiles, stored, self.read_tiles(stored), strict=True)
        try:
            data = {tile: _begin_of(tile, whole, found) for tile, whole, found in read_tiles}
            if root is None:
                read = hash_reader(size, lambda wanted: [data[tile] for tile in wanted])
                root = Edge.read(size, read).root()
            return TileBuilder.resume(size, data.values(), root)
        except MalformedError as error:
            raise _wrong_tile(f"{layout.LOG}tile/", error) from error

    def proved_leaves(
        self,
        checkpoint: Checkpoint,
        start: int = 0,
        root: bytes | None = None,
        within: int | None = None,
    ) -> Iterator[bytes]:
        """The leaves of a checkpoint from ``start`` on: believe them only after the last one.

        ``root``: that of the first ``start`` leaves, if they have to be the ones that somebody has
        seen. ``within``: a later size, of which the tiles are there. Raises IntegrityError
        (``wrong-root``) at the end, if they don't lead to the checkpoint's.
        """
        builder = self.builder(start, root, within or checkpoint.size)
        for leaf in self.leaves(checkpoint.size, start, within):
            builder.append(leaf)
            yield leaf
        if builder.root() != checkpoint.root:
            raise _not_leading(checkpoint)

    def proved_part(self, checkpoint: Checkpoint, start: int, end: int) -> list[bytes]:
        """The leaves of a checkpoint from ``start`` to before ``end``, all of them proved.

        Raises IntegrityError (``wrong-root``, ``tile-missing``).
        """
        if start >= end:
            return []
        tiles = [_whole(tile, checkpoint.size) for tile in entries_tiles(end, start)]
        read = zip(tiles, self.read_tiles(tiles), strict=True)
        leaves = [leaf for tile, data in read for leaf in self._decode(tile, data)]
        leaves = leaves[start % WIDTH :][: end - start]
        try:
            # The store's word, but the root that comes of it is proved.
            edge = Edge.read(start, self.hashes(checkpoint.size))
            for leaf in leaves:
                edge.append(hash_leaf(leaf))
            self.check_continues(checkpoint, replace(checkpoint, size=end, root=edge.root()))
        except MalformedError as error:
            raise _wrong_tile(f"{layout.LOG}tile/", error) from error
        except IntegrityError as error:
            if error.reason != "not-consistent":
                raise
            raise _not_leading(checkpoint) from error
        return leaves

    # -- Records of titles ---------------------------------------------------------------------

    def record(self, title_number: str) -> tuple[SealedRecord, str] | None:
        """What the store says of how far a title is logged, and the version of that object.

        Nothing vouches for it, nor for there being none. Raises IntegrityError (``bad-record``).
        """
        key = layout.sealed_key(layout.check_title_number(title_number))
        blob = self.store.get(key)
        return (SealedRecord.decode(blob.data, key), blob.version) if blob else None

    def proved_record(
        self, title_number: str, checkpoint: Checkpoint
    ) -> tuple[Leaf, SealedRecord] | None:
        """The newest leaf of a title that its record names in a checkpoint, proved, and the record.

        None: there is no record, or it names only later leaves, or one that a thief of the log's
        key made, of an entry that is not there; that shows nothing. There may be
        later leaves of the title than the record says. Raises IntegrityError: ``bad-record`` if the
        log has another leaf in that place, or what is wrong with the tiles.
        """
        found = self.record(title_number)
        if found is None:
            return None
        record = found[0]
        versions = range(record.version - len(record.leaves) + 1, record.version + 1)
        places = zip(versions, record.leaves, strict=True)
        version, index = max(
            ((version, index) for version, index in places if index < checkpoint.size),
            default=(0, 0),
        )
        if not version:
            return None
        leaf = self.leaf_at(index, checkpoint)
        said = Leaf(title_number, version, record.address)
        if version != record.version and isinstance(leaf, Leaf):
            said = said._replace(address=leaf.address)
        if leaf != said:
            raise refuted(title_number, index, leaf)
        row = (version, said.address, index)
        if find_bogus(self.store, self.keyring, title_number, [row], logged=version):
            return None
        return said, record

    def claimed_leaf(self, title_number: str) -> Leaf | None:
        """The newest leaf of a title in the published log, if the title has a record at all.

        One read for a title that has none; then nothing is known. Raises OriginNotPinned if there
        is a record, and the keyring has no key to tell whether it is true; IntegrityError.
        """
        if self.store.get(layout.sealed_key(title_number)) is None:
            return None
        return self.logged_leaf(title_number)

    def logged_leaf(self, title_number: str) -> Leaf | None:
        """The newest leaf of a title in the published log, proved; see ``newest_leaf``.

        None: there is none, or the keyring has no key of a log and the store no log. Raises
        OriginNotPinned, IntegrityError.
        """
        checkpoint = self.required_checkpoint(title_number)
        return self.newest_leaf(title_number, checkpoint) if checkpoint else None

    def required_checkpoint(self, title_number: str) -> Checkpoint | None:
        """The published checkpoint, for one who has to know what the log has of a title.

        Raises what ``logged_leaf`` does.
        """
        if not self.log_keys and self.store.get(layout.LOG_CHECKPOINT) is not None:
            raise OriginNotPinned(
                f"cannot tell what the log has of {title_number}: your keyring has no key of the"
                f" log of {self.origin}",
                hint=TRUST_THE_LOG.format(self.origin),
            )
        signed = self.checkpoint()
        if signed is None and self.log_keys:
            key = layout.LOG_CHECKPOINT
            raise IntegrityError(
                f"{key}: missing, and your keyring has a key of the log: nobody can tell what it"
                f" has of {title_number}",
                hint="'ledger seal' publishes it again; or bring it back from a copy",
                reason="log-set-back",
                object_key=key,
            )
        return signed.checkpoint if signed else None

    def leaf_at(self, index: int, checkpoint: Checkpoint) -> AnyLeaf:
        """A leaf of a checkpoint, proved to be in it; raises IntegrityError."""
        tile = _whole(Tile(ENTRIES, index // WIDTH), checkpoint.size)
        (entries,) = self.read_tiles([tile])
        data = self._decode(tile, entries)[index % WIDTH]
        self._check_included(data, index, checkpoint)
        return decode_leaf(data)

    # -- Proofs --------------------------------------------------------------------------------

    def check_continues(self, new: Checkpoint, old: Checkpoint) -> None:
        """Check, by the tiles, that the new tree begins with all the leaves of the old one.

        Raises IntegrityError (reason ``not-consistent``, or if tiles are missing or wrong).
        """
        self._check_continues(new, old, self.hashes(new.size))

    def _check_continues(self, new: Checkpoint, old: Checkpoint, hashes: ReadHashes) -> None:
        proof = _prove_continues(old.size, new.size, hashes) if old.size < new.size else ()
        check_consistency(old.size, old.root, new.size, new.root, proof)

    def consistency(self, old_size: int, new_size: int) -> tuple[bytes, ...]:
        """Make the proof that the tree of the new size continues that of the old one, by the tiles.

        Raises IntegrityError if tiles are missing or wrong.
        """
        return _prove_continues(old_size, new_size, self.hashes(new_size))

    def receipt(self, leaf: Leaf, signed: SignedCheckpoint | None = None) -> Receipt:
        """The receipt of an entry, by the checkpoint given, or the one that is published.

        The title's record tells where its newest thousand leaves are. If it does not, or is wrong,
        the leaves are searched. Raises NotFoundError if the entry is not in the log yet: then every
        leaf after the newest that is proved was read.
        """
        signed = signed or self.checkpoint()
        if signed is not None:
            receipt = self.recorded_receipt(leaf, signed)
            index = None if receipt else self._search_all(leaf, signed.checkpoint)
            if receipt or index is not None:
                return receipt or self.prove(leaf, index or 0, signed)
        raise NotFoundError(
            f"{leaf.title_number} version {leaf.version} ({leaf.address}) is not in the log",
            hint="if it was appended just now, it will be there after the next 'ledger seal'",
        )

    def has(self, entry: Entry, signed: SignedCheckpoint) -> bool:
        """Whether a checkpoint covers an entry, which is proved."""
        try:
            self.receipt(leaf_of(entry), signed)
        except NotFoundError:
            return False
        return True

    def recorded_receipt(self, leaf: Leaf, signed: SignedCheckpoint) -> Receipt | None:
        """The receipt of an entry, if its title's record says rightly where its leaf is.

        None does not say that it is not in the log.
        """
        with suppress(IntegrityError):
            found = self.record(leaf.title_number)
            index = found[0].leaf_of(leaf.version) if found else None
            if index is not None and index < signed.checkpoint.size:
                return self.prove(leaf, index, signed)
        return None

    def prove(self, leaf: Leaf, index: int, signed: SignedCheckpoint) -> Receipt:
        """The receipt of the leaf at this index; raises IntegrityError if it is not there."""
        proof = self._check_included(leaf.encode(), index, signed.checkpoint)
        return Receipt(index, proof, signed.note)

    def _check_included(self, leaf: bytes, index: int, checkpoint: Checkpoint) -> tuple[bytes, ...]:
        """Make the proof that the leaf is there, by the tiles, and check it."""
        try:
            proof = inclusion_proof(index, checkpoint.size, self.hashes(checkpoint.size))
        except MalformedError as error:
            raise _wrong_tile(f"{layout.LOG}tile/", error) from error
        check_inclusion(hash_leaf(leaf), index, checkpoint.size, proof, checkpoint.root)
        return proof

    def newest_leaf(self, title_number: str, checkpoint: Checkpoint) -> Leaf | None:
        """The newest version of a title in the log; None: there is none. All of it is proved.

        Reads all leaves after the newest that the title's record proves, so a wrong record costs
        time, and hides nothing. Raises IntegrityError for tiles that don't lead to the root.
        """
        newest, start = self._start(title_number, checkpoint)
        title = f'"title_number":"{title_number}",'.encode()
        found: dict[int, Leaf] = {start - 1: newest} if newest else {}
        for at, data in enumerate(self.proved_leaves(checkpoint, start), start):
            if title in data:
                leaf = decode_leaf(data)
                if isinstance(leaf, Leaf) and leaf.title_number == title_number:
                    found[at] = leaf
        rows = ((leaf.version, leaf.address, at) for at, leaf in found.items())
        for at in find_bogus(self.store, self.keyring, title_number, rows):
            del found[at]
        return max(found.values(), key=lambda each: each.version, default=None)

    def _start(self, title_number: str, checkpoint: Checkpoint) -> tuple[Leaf | None, int]:
        """The newest leaf of a title that its record proves, and from where on to look further."""
        with suppress(IntegrityError):
            found = self.proved_record(title_number, checkpoint)
            if found:
                at = found[1].leaf_of(found[0].version) or 0
                if not is_doubtful(self.keyring, at):
                    return found[0], at + 1
        return None, 0

    def _search_all(self, leaf: Leaf, checkpoint: Checkpoint) -> int | None:
        """The index of a leaf; None: there is none, which is proved by reading all leaves."""
        newest, start = self._start(leaf.title_number, checkpoint)
        if newest and newest.version >= leaf.version:
            start = 0
        sought = leaf.encode()
        for index, data in enumerate(self.proved_leaves(checkpoint, start), start):
            if data == sought:
                return index  # ``prove`` checks it
        return None

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


def _once(read: Callable[[list[_K]], Iterable[bytes]]) -> Callable[[Sequence[_K]], list[bytes]]:
    """Return what reads as ``read`` does, and nothing twice."""
    found: dict[_K, bytes] = {}

    def read_missing(wanted: Sequence[_K]) -> list[bytes]:
        missing = [each for each in dict.fromkeys(wanted) if each not in found]
        found.update(zip(missing, read(missing), strict=True))
        return [found[each] for each in wanted]

    return read_missing


def open_as_log(
    note: bytes,
    origin: str,
    keyring: Keyring,
    witnesses: Iterable[WitnessKey] = (),
    *,
    any_algorithm: bool = False,
) -> SignedCheckpoint:
    """Check a signed checkpoint as one of this ledger's log; see ``LogReader.open``."""
    log_keys = keyring.keys(origin, "log")
    signed = open_checkpoint(
        note, origin=origin, log_keys=log_keys, witnesses=witnesses, any_algorithm=True
    )
    if not any_algorithm:
        _check_signatures(signed, origin, keyring)
    return signed


def _check_signatures(
    signed: SignedCheckpoint, origin: str, keyring: Keyring, object_key: str = ""
) -> None:
    accepted = accepted_by(keyring, origin)
    if accepted is None:
        check_algorithms(signed, keyring.keys(origin, "log"), object_key)
    else:
        check_signatures(accepted, signed, object_key)


def refuted(title_number: str, index: int, leaf: AnyLeaf | None) -> IntegrityError:
    """The error of a record that the log's leaves refute."""
    key = layout.sealed_key(title_number)
    there = (
        "no leaf"
        if leaf is None
        else f"a leaf of type {leaf.type!a:.40}"
        if isinstance(leaf, OtherLeaf)
        else f"trust file {leaf.version}"
        if isinstance(leaf, TrustLeaf)
        else f"version {leaf.version} of {leaf.title_number} ({leaf.address})"
    )
    return IntegrityError(
        f"{key}: it is not as the log has it, where leaf {index} is {there}",
        hint="the record is only a hint, and the title is as it was:"
        " 'ledger seal --all' writes it again from the log",
        reason="bad-record",
        object_key=key,
    )


def open_remembered(log: LogReader, note: str) -> Checkpoint | Finding:
    """Open a checkpoint that an auditor kept. Return a finding if no trusted key signed it."""
    try:
        return log.open(note.encode(), any_algorithm=True).checkpoint
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


def judge_disowned(log: LogReader, note: bytes) -> Finding | None:
    """Report a remembered checkpoint that disagrees with the log, and that a thief may have signed.

    By the newest trust file it counts no more: nobody but holders of keys that have an end signed
    it. None: it counts, and the log is to blame.
    """
    accepted = accepted_by(log.keyring)
    if accepted is None:
        return None
    signed = log.open(note, any_algorithm=True)
    if signed.checkpoint in accepted.pins or is_signed(accepted, signed):
        return None
    key = layout.LOG_CHECKPOINT
    message = (
        f"{key}: the remembered checkpoint of {signed.checkpoint.size:,} leaves disagrees with the"
        " log, and is signed by no key of the log that counts any more: it is forgotten"
    )
    return Finding("warning", "memory-disowned", key, message)


def judge_remembered(log: LogReader, note: str) -> tuple[Finding, ...]:
    """``check_remembered`` of what is published now, as findings."""
    old = open_remembered(log, note)
    if isinstance(old, Finding):
        return (old,)
    return compare_remembered(log, log.checkpoint, note, old)


def compare_remembered(
    log: LogReader, published: Callable[[], SignedCheckpoint | None], note: str, old: Checkpoint
) -> tuple[Finding, ...]:
    """Compare what is published with a remembered checkpoint, that of the note."""
    try:
        check_remembered(log, published(), old)
    except LedgerError as error:
        disagrees = getattr(error, "reason", "") in {"log-set-back", "not-consistent"}
        disowned = judge_disowned(log, note.encode()) if disagrees else None
        return (disowned or finding_of(error, layout.LOG_CHECKPOINT),)
    return ()


def _whole(tile: Tile, size: int) -> Tile:
    """The tile at the same place that a log of this size has."""
    hashes = size >> (WIDTH_BITS * max(tile.level, 0))
    return Tile(tile.level, tile.index, min(WIDTH, hashes - tile.index * WIDTH))


def _begin_of(tile: Tile, whole: Tile, data: bytes) -> bytes:
    """The bytes of a tile, from those of a wider one in its place."""
    if tile.level == ENTRIES:
        return encode_entries(decode_entries(whole, data)[: tile.width])
    return check_tile(whole, data)[: tile.width * HASH_BYTES]


def _prove_continues(old_size: int, new_size: int, hashes: ReadHashes) -> tuple[bytes, ...]:
    try:
        return consistency_proof(old_size, new_size, hashes)
    except MalformedError as error:
        raise _wrong_tile(f"{layout.LOG}tile/", error) from error


def read_leaf(index: int, data: bytes) -> AnyLeaf:
    """Read a leaf; raises IntegrityError (reason ``malformed-leaf``) that says which it is."""
    try:
        return decode_leaf(data)
    except MalformedError as error:
        key = f"{layout.LOG}tile/entries"
        raise IntegrityError(
            f"{key}: leaf {index}: {error}", reason="malformed-leaf", object_key=key
        ) from error


def _not_leading(checkpoint: Checkpoint) -> IntegrityError:
    key = f"{layout.LOG}tile/"
    return IntegrityError(
        f"{key}: the leaves do not lead to the root of the checkpoint of {checkpoint.size} leaves",
        hint="'ledger audit' names the object that is damaged",
        reason="wrong-root",
        object_key=key,
    )


def _wrong_tile(key: str, error: LedgerError) -> IntegrityError:
    return IntegrityError(f"{key}: {error}", reason="wrong-root", object_key=key)
