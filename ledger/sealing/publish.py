"""Publishing what the log is committed to: tiles, records of titles, the checkpoint.

Everything here follows from a state that the log's key signed. Anybody may do it again at any time:
a tile has only one possible content, and records and the checkpoint only move forward. None of it
is written before ``_log/state`` commits to it.
"""

from __future__ import annotations

from typing import TYPE_CHECKING, NamedTuple

from ledger.errors import (
    IntegrityError,
    LedgerError,
    MalformedError,
    OutcomeUnknown,
    PreconditionFailed,
)
from ledger.format import layout
from ledger.format.report import Finding
from ledger.local.parallel import in_chunks
from ledger.stores.swap import update
from ledger.tlog.note import add_signatures, parse_unverified
from ledger.tlog.objects import Leaf, LogState, SealedRecord, Staging, decode_leaf

if TYPE_CHECKING:
    from collections.abc import Callable, Iterable

    from ledger.sealing.index import SealedIndex
    from ledger.sealing.reader import LogReader
    from ledger.stores.base import Store
    from ledger.tlog.checkpoint import SignedCheckpoint
    from ledger.tlog.tiles import Tile, TileBuilder


class Commit(NamedTuple):
    """Leaves that continue the log, and what follows from them."""

    staging: Staging
    staged: bytes
    leaves: list[bytes]
    tiles: list[tuple[Tile, bytes]]
    builder: TileBuilder
    """The log with the leaves; its root is what a checkpoint signs."""

    def titles(self) -> list[str]:
        """The titles that have a leaf in it."""
        leaves = map(decode_leaf, self.leaves)
        return list(dict.fromkeys(leaf.title_number for leaf in leaves if isinstance(leaf, Leaf)))


def extend(builder: TileBuilder, leaves: list[bytes]) -> Commit:
    """Append the leaves to the log; the builder goes into the commit and is used up."""
    staging, staged = Staging.encode(builder.size, leaves)
    tiles = [tile for leaf in leaves for tile in builder.append(leaf)]
    return Commit(staging, staged, leaves, tiles + builder.unfinished(), builder)


def recover_commit(log: LogReader, state: LogState) -> Commit:
    """Make the commit of a state again, from its staged leaves and the tiles that they continue.

    If only the checkpoint was not published, or was taken away, the leaves are in tiles already.
    Neither is believed: together they have to lead to the root that is signed. Raises
    IntegrityError (reason ``bad-staging``, or if tiles are missing or wrong).
    """
    key = layout.staging_key(state.staging.name)
    size = state.checkpoint.size
    blob = log.store.get(key)
    try:
        if blob is None:
            leaves = _published_leaves(log, state)
        else:
            leaves = state.staging.decode(blob.data, size)
        commit = extend(log.builder(state.staging.base), leaves)
        if (commit.builder.size, commit.builder.root()) != (size, state.checkpoint.root):
            raise MalformedError("it does not lead to the root that the log's key signed")
    except MalformedError as error:
        raise IntegrityError(
            f"{key}: {error}",
            hint="bring it, and the tiles, back from a copy of the store",
            reason="bad-staging",
            object_key=key,
        ) from error
    return commit


def _published_leaves(log: LogReader, state: LogState) -> list[bytes]:
    try:
        return list(log.leaves(state.checkpoint.size, state.staging.base))
    except IntegrityError as error:
        raise MalformedError(f"missing, and its leaves are not published ({error})") from error


def is_published(state: LogState, published: SignedCheckpoint | None) -> bool:
    """Whether the published checkpoint is at least this state, so that all of it was published.

    Of the same size, it also has to have the log's lines that the state has.

    Raises IntegrityError (reason ``not-consistent``) if the log's key signed two logs.
    """
    if published is None or published.checkpoint.size < state.checkpoint.size:
        return False
    same_size = published.checkpoint.size == state.checkpoint.size
    if same_size and published.checkpoint != state.checkpoint:
        raise IntegrityError(
            f"{layout.LOG_CHECKPOINT}: another root than {layout.LOG_STATE} has for"
            f" {state.checkpoint.size} leaves, and the log's key signed both",
            hint="keep both: they show that the log was forked",
            reason="not-consistent",
            object_key=layout.LOG_CHECKPOINT,
        )
    return not same_size or set(state.signed.signed_by) <= set(published.signed_by)


def publish(
    log: LogReader, state: LogState, commit: Commit, index: SealedIndex, jobs: int = 1
) -> list[Finding]:
    """Write the tiles, then the records, then the checkpoint, each durably before the next.

    Returns what the records were that had to be replaced, if they were not as the log had them.
    """
    publish_tiles(log.store, commit.tiles)
    index.follow(log, state.checkpoint)
    records = ((title, index.record(title)) for title in commit.titles())
    findings = publish_records(log, records, state.checkpoint.size, jobs)
    replace_if_behind(log, state.signed, state.lines)
    return findings


def publish_tiles(store: Store, tiles: Iterable[tuple[Tile, bytes]]) -> None:
    """Write tiles, side by side; raises IntegrityError (``foreign-tile``) for one of others'."""
    try:
        store.create_many((layout.tile_key(tile.path), data) for tile, data in tiles)
    except PreconditionFailed as error:
        raise IntegrityError(
            f"a tile of the log cannot be published: {error}",
            hint="this log never wrote it: keep it as evidence, take it away, and seal again",
            reason="foreign-tile",
        ) from error


def replace_if_behind(log: LogReader, signed: SignedCheckpoint, lines: bytes | None = None) -> None:
    """Publish a checkpoint, unless a later one is published already.

    One of the same tree keeps its lines, those of witnesses too, and gets the log's that it lacks:
    those that were verified, or ``lines``.
    """
    lines = signed.lines if lines is None else lines

    def forward(found: bytes | None) -> bytes | None:
        if found is None:
            return signed.note
        try:
            if parse_unverified(found)[0] == signed.checkpoint.text:
                both = add_signatures(found, lines)
                log.open(both, any_algorithm=True)
                return both
            is_behind = log.open(found).checkpoint.size < signed.checkpoint.size
        except LedgerError:
            is_behind = True  # nobody of ours wrote it
        return signed.note if is_behind else None

    update(log.store, layout.LOG_CHECKPOINT, forward, unknown=_unknown(layout.LOG_CHECKPOINT))


def replace_checkpoint(log: LogReader, state: LogState) -> None:
    """Publish the checkpoint in the place of any other: only after a declared restore."""
    key, note = layout.LOG_CHECKPOINT, state.signed.note
    update(log.store, key, lambda _: note, unknown=_unknown(key))


def publish_records(
    log: LogReader,
    records: Iterable[tuple[str, SealedRecord | None]],
    size: int,
    jobs: int = 1,
    *,
    mend: bool = False,
) -> list[Finding]:
    """Write the records of titles, as they are in the log of this size.

    Returns the records that were not as the log had them before, as warnings: they are mended now.
    ``mend``: write only those.

    After a failure, a few may still be written: a record only goes forward, by compare-and-swap, so
    it may come late, and also beside another sealer's.
    """

    def write(taken: list[tuple[str, SealedRecord | None]]) -> list[Finding]:
        found = [
            _publish_record(log, title, record, size, mend=mend)
            for title, record in taken
            if record is not None
        ]
        return [finding for finding in found if finding]

    return list(in_chunks(records, write, max(jobs, log.store.concurrency), chunk=8))


def _publish_record(
    log: LogReader, title_number: str, record: SealedRecord, size: int, *, mend: bool
) -> Finding | None:
    key, data = layout.sealed_key(title_number), record.encode()
    wrong: IntegrityError | None = None

    def forward(found: bytes | None) -> bytes | None:
        nonlocal wrong
        wrong = None
        if found is None and mend:
            wrong = IntegrityError(f"{key}: missing, though the log has the title")
        elif found == data:
            return None if mend else data  # whoever wrote it may not have made it durable
        elif found is not None:
            try:
                there = SealedRecord.decode(found, key)
            except IntegrityError as error:
                wrong = error
            else:
                if there.leaf >= size and _is_ahead(log, there.leaf):
                    return None
                behind = there.version < record.version and not mend
                if not behind or record.leaf_of(there.version) != there.leaf:
                    wrong = IntegrityError(f"{key}: it was not as the log has the title")
        return data

    update(log.store, key, forward, unknown=_unknown(key))
    if wrong is None:
        return None
    return Finding("warning", "bad-record", key, f"{wrong}; it was written again from the log")


def _is_ahead(log: LogReader, leaf: int) -> bool:
    """Whether another sealer has committed to this leaf by now."""
    found = log.state(any_algorithm=True)  # the sealer judged the one that it publishes
    return found is not None and found[0].checkpoint.size > leaf


def _unknown(key: str) -> Callable[[LedgerError], OutcomeUnknown]:
    return lambda why: OutcomeUnknown(
        f"cannot tell whether {key} was written: {why}", hint="seal again"
    )


def clean(store: Store, state: LogState) -> None:
    """Delete the staged leaves that nobody needs, once the state is published.

    Those that continue the committed size stay: another sealer may be about to commit to them.
    """
    for key in list(store.list(layout.STAGING)):
        staging = Staging.parse(key.removeprefix(layout.STAGING))
        if staging and (staging.base < state.checkpoint.size or staging == state.staging):
            store.delete(key)


def delete_all(store: Store, keys: Iterable[str]) -> int:
    """Delete objects, side by side if that is faster. Return how many.

    After a failure, a few may still be deleted: pass only what nobody will need again.
    """

    def delete(taken: list[str]) -> list[str]:
        for key in taken:
            store.delete(key)
        return taken

    return sum(1 for _ in in_chunks(keys, delete, store.concurrency, chunk=8))
