"""The log in a bundle: written out whole, checked to its root, and brought into another store.

A bundle has the log's part after all titles: the published checkpoint, then the tiles in the order
in which they come to be when one leaf after the other is appended. Everything but the checkpoint
and the leaves follows from these, and is compared with what follows.
"""

from __future__ import annotations

import hashlib
from contextlib import closing, suppress
from dataclasses import replace
from functools import partial
from itertools import islice
from typing import TYPE_CHECKING, NamedTuple

from ledger.errors import (
    ConflictError,
    IntegrityError,
    LedgerError,
    MalformedError,
    OriginNotPinned,
    OutcomeUnknown,
    TrustError,
    UnsupportedFormatError,
)
from ledger.format import layout
from ledger.format.bundle import BUNDLE_KEY, BundleReader, Header
from ledger.format.entry import version_hint
from ledger.format.ordered import join
from ledger.format.report import Finding, Report, finding_of
from ledger.sealing.disowned import find_disowned
from ledger.sealing.index import SealedIndex
from ledger.sealing.publish import is_published, publish_records, publish_tiles, replace_if_behind
from ledger.sealing.reader import LogReader, open_as_log
from ledger.stores.swap import swap
from ledger.titles.trust_files import accepted_by
from ledger.tlog.merkle import check_consistency
from ledger.tlog.objects import LogState, Staging, decode_leaf
from ledger.tlog.tiles import (
    WIDTH,
    Tile,
    TileBuilder,
    decode_entries,
    encode_entries,
    entries_tiles,
)
from ledger.trust.checkpoints import check_not_behind, not_as_pinned
from ledger.verification.compare import (
    ADDRESS_BYTES,
    Expected,
    LoggedVersions,
    OtherLeaves,
    compare,
    gather,
)
from ledger.verification.leaf_index import LeafIndex
from ledger.verification.trust import MAX_DELAY, judge_trust, leaf_disowned, not_logged
from ledger.verification.walk import Known

if TYPE_CHECKING:
    from collections.abc import Iterable, Iterator
    from datetime import datetime

    from ledger.format.keyring import Keyring
    from ledger.titles.history import History
    from ledger.tlog.checkpoint import Checkpoint, SignedCheckpoint

MANY = 4096
"""Records of titles that are in memory at a time."""


class Batch(NamedTuple):
    """Up to 256 leaves, and the tiles that are whole, or the last of their row, with them."""

    start: int
    leaves: list[bytes]
    tiles: list[tuple[Tile, bytes]]


# -- Out of a store ------------------------------------------------------------------------------


def published_log(history: History) -> SignedCheckpoint | None:
    """The published checkpoint that a bundle is to carry; None: there is no log.

    Raises OriginNotPinned if the keyring has no key of the log: nobody could check it.
    """
    reader = LogReader(history)
    if reader.log_keys:
        return reader.checkpoint()
    if history.store.get(layout.LOG_CHECKPOINT) is None:
        return None
    raise OriginNotPinned(
        f"{history.store.url} has a log, and your keyring no key of the log of {history.origin}:"
        " what is exported is checked",
        hint=f"ledger key trust FILE --origin {history.origin} --role log",
    )


def write_log(history: History, signed: SignedCheckpoint) -> Iterator[tuple[str, bytes]]:
    """The members of the log's part; raises IntegrityError if they don't lead to the root."""
    yield layout.LOG_CHECKPOINT, signed.note
    builder = TileBuilder()
    for leaf in LogReader(history).leaves(signed.checkpoint.size):
        for tile, data in builder.append(leaf):
            yield layout.tile_key(tile.path), data
    for tile, data in builder.unfinished():
        yield layout.tile_key(tile.path), data
    _check_root(builder, signed.checkpoint)


# -- Out of a bundle -----------------------------------------------------------------------------


def check_carried(
    members: Iterable[tuple[str, bytes]],
    origin: str,
    keyring: Keyring,
    there: Checkpoint | None = None,
) -> tuple[SignedCheckpoint, Iterator[Batch]]:
    """The checkpoint of a bundle's log, and its leaves, which are checked as they are taken.

    By trust files, the log has to continue every pin, and the checkpoint to count. ``there``: that
    of the store; this log has to continue it if it is the larger one. If it is the smaller one, the
    caller compares the two, which shows as much as who signed this one.

    Raises MalformedError for other members than ``write_log`` gives, and what opening a checkpoint
    raises; IntegrityError, at the end, if the leaves don't lead to its root.
    """
    rest = iter(members)
    key, note = next(rest, ("", b""))
    if key != layout.LOG_CHECKPOINT:
        raise MalformedError(f"not a bundle with a log: it lacks {layout.LOG_CHECKPOINT}")
    signed = open_as_log(note, origin, keyring, any_algorithm=True)
    accepted = accepted_by(keyring, origin)
    if accepted is None or there is None or there.size <= signed.checkpoint.size:
        signed = open_as_log(note, origin, keyring)
        if accepted is not None:
            check_not_behind(accepted, signed.checkpoint)
    passing = _Passing(there, accepted.pins if accepted else ())
    return signed, _check_batches(rest, signed.checkpoint, passing)


class _Passing:
    """What the log has to be like at some sizes, by what was seen of it before."""

    def __init__(self, there: Checkpoint | None, pins: Iterable[Checkpoint]) -> None:
        self._roots: dict[int, list[tuple[Checkpoint, bool]]] = {}
        for old, is_pin in [(there, False), *((pin, True) for pin in pins)]:
            if old is not None:
                self._roots.setdefault(old.size, []).append((old, is_pin))

    def check(self, builder: TileBuilder) -> None:
        """Raise IntegrityError if the log is another: ``not-consistent``, ``wrong-root``."""
        for old, is_pin in self._roots.get(builder.size, ()):
            root = builder.root()
            if is_pin and root != old.root:
                raise not_as_pinned(old)
            check_consistency(old.size, old.root, old.size, root, ())


def _check_batches(
    rest: Iterator[tuple[str, bytes]], checkpoint: Checkpoint, passing: _Passing
) -> Iterator[Batch]:
    builder = TileBuilder()
    for tile in entries_tiles(checkpoint.size):
        key, data = next(rest, ("", b""))
        if key != layout.tile_key(tile.path):
            raise MalformedError(f"not a bundle: {key!a:.80} where {tile.path} should be")
        start, leaves = builder.size, decode_entries(tile, data)
        tiles = []
        for leaf in leaves:
            tiles += builder.append(leaf)
            passing.check(builder)
        if builder.size == checkpoint.size:
            tiles += builder.unfinished()
        for expected, follows in tiles[1:]:
            if next(rest, None) != (layout.tile_key(expected.path), follows):
                raise MalformedError(
                    f"not a bundle: {expected.path} does not follow from its leaves"
                )
        yield Batch(start, leaves, tiles)
    if next(rest, None) is not None:
        raise MalformedError("not a bundle: something comes after its log")
    _check_root(builder, checkpoint)


def _check_root(builder: TileBuilder, checkpoint: Checkpoint) -> None:
    if (builder.size, builder.root()) != (checkpoint.size, checkpoint.root):
        raise IntegrityError(
            f"the leaves do not lead to the root of {layout.LOG_CHECKPOINT}",
            reason="wrong-root",
            object_key=layout.LOG_CHECKPOINT,
        )


class AgainstLog:
    """Holds the titles of a bundle against the leaves in the same file.

    A writer reads the log before the titles, so each is as far as the log, or further.
    """

    def __init__(self) -> None:
        self._index = LeafIndex()
        self._others = OtherLeaves()
        self.trust_logged: int = 1
        """The last trust file that the leaves name, once they were judged."""

    def close(self) -> None:
        """Let go of the temporary file."""
        self._index.close()

    def add_chain(self, title_number: str, head: bytes, trace: bytes | bytearray) -> None:
        """Note the chain of a title that was read; without a trace it is not judged again."""
        self._index.add_chain(title_number, version_hint(head), bytes(trace))

    def add_leaves(self, batch: Batch) -> None:
        """Note leaves, once more of them are known to lead to the root."""
        leaves = map(decode_leaf, batch.leaves)
        self._index.add_leaves(self._others.passing(leaves, batch.start), batch.start)

    def judge(self, header: Header, keyring: Keyring) -> Iterator[Finding]:
        """Report what the leaves refute, of titles and of trust files.

        An incremental bundle may lack titles, and what is below. Yields one unchecked finding for
        all titles that are in an earlier bundle. Those that the bundle says it left out are
        reported as that.
        """
        yield from self._others.findings()
        self.trust_logged, findings = judge_trust(keyring, self._others.trust)
        yield from findings
        absent = 0
        for title_number, rows, chain in join(self._index.titles(), self._index.chains()):
            if rows is None or (chain is None and title_number in header.left_out):
                continue
            named = list(rows)
            if header.complete if chain is None else chain[1]:
                disowned = find_disowned(keyring, named, partial(_those_in, chain))
                yield from (leaf_disowned(title_number, row) for row in named if row.at in disowned)
                named = [row for row in named if row.at not in disowned]
                if not named:
                    continue
            new = gather(title_number, named)
            yield from new.findings
            if chain is not None:
                yield from compare_chain(title_number, *chain, new)
            elif header.complete:
                key = layout.head_key(title_number)
                message = f"{key}: missing, though the bundle's own log has version {new.last}"
                yield Finding("tampering", "head-missing", key, message)
            else:
                absent += 1
        if absent:
            titles = "1 title" if absent == 1 else f"{absent:,} titles"
            message = f"{titles} that the log has must be in an earlier bundle"
            yield Finding("unchecked", "not-in-bundle", BUNDLE_KEY, message)

    def not_shown(self) -> list[str]:
        """Say what was not judged."""
        return self._others.not_shown()


def _those_in(chain: tuple[int, bytes] | None, named: set[tuple[int, str]]) -> set[tuple[int, str]]:
    """The entries that are in a chain as far as it was walked, or below that."""
    version, trace = chain or (0, b"")
    lowest = version - len(trace) // ADDRESS_BYTES + 1

    def is_there(at: int, address: str) -> bool:
        begin = (version - at) * ADDRESS_BYTES
        return at < lowest or (
            at <= version and trace[begin : begin + ADDRESS_BYTES].hex() == address
        )

    return {each for each in named if is_there(*each)}


def compare_chain(
    title_number: str, version: int, trace: bytes, new: LoggedVersions
) -> Iterator[Finding]:
    """Compare the leaves of a title with its chain, as far down as it was walked."""
    lowest = version - len(trace) // ADDRESS_BYTES + 1
    if not trace:
        return
    if new.first < lowest:  # what is below is in an earlier bundle, or taken on trust
        below = (lowest - new.first) * ADDRESS_BYTES
        new = new._replace(first=lowest, addresses=new.addresses[below:])
    head = Known(version, trace[:ADDRESS_BYTES].hex())
    yield from compare(title_number, head, trace, Expected(None, new.last, "", new))


def carried_report(
    reader: BundleReader, keyring: Keyring, against: AgainstLog, now: datetime
) -> Report:
    """Report on the log of a bundle, once all titles have been read."""
    origin = reader.header.origin
    members = reader.log()
    keys = keyring.keys(origin, "log")
    if not keys:
        for _ in members:
            pass
        said = f"the log in the bundle: your keyring has no key of the log of {origin}"
        return Report(origin, not_shown=(said,) if reader.header.has_log else ())
    try:
        if reader.header.has_log:
            _, batches = check_carried(members, origin, keyring)
            for batch in batches:
                against.add_leaves(batch)
    except (IntegrityError, TrustError) as error:
        found = finding_of(error, layout.LOG_CHECKPOINT)
        if not found.message.startswith(layout.LOG):
            found = replace(found, message=f"{layout.LOG_CHECKPOINT}: {error}")
        return Report(origin, findings=(found,))
    findings = list(against.judge(reader.header, keyring))
    accepted = accepted_by(keyring, origin)
    if accepted and reader.header.has_log and accepted.newest.version > against.trust_logged:
        findings.append(not_logged(against.trust_logged, "", now, MAX_DELAY))
    return Report(origin, findings=tuple(findings), not_shown=tuple(against.not_shown()))


# -- Into a store --------------------------------------------------------------------------------


class LogImport:
    """Brings the log of a bundle into a store, which has none, or an earlier state of the same.

    ``take`` reads the log's part of a bundle, once all titles were read: first to check it, then,
    from the bundle's start again, to keep it.
    """

    def __init__(self, history: History) -> None:
        self.leaves: int = 0
        """Leaves that the store does not have yet."""
        self.left_out: bool = False
        """Whether there is a log that nobody could check: the keyring has no key of it."""
        self._log = LogReader(history)
        self._state: LogState | None = None
        self._version: str | None = None
        self._there: Checkpoint | None = None
        self._digest = ""

    @property
    def base(self) -> Checkpoint | None:
        """What the store's log is committed to; None: nothing yet."""
        return self._state.checkpoint if self._state else None

    @property
    def there(self) -> Checkpoint | None:
        """The newest checkpoint that the store has seen, published or committed to."""
        return self._there

    @property
    def _base(self) -> int:
        return self.base.size if self.base else 0

    def take(self, reader: BundleReader, against: AgainstLog, *, keep: bool) -> None:
        """Check the log's part against the titles, or keep it.

        Raises what ``check_carried`` does, IntegrityError for a title that it refutes,
        ConflictError.
        """
        self.left_out = reader.header.has_log and not self._log.log_keys
        if self.left_out or not reader.header.has_log:
            for _ in reader.log():
                pass
        elif keep:
            self._keep(reader.log())
        else:
            self._check(reader.log(), against, reader.header)

    def _check(
        self, members: Iterable[tuple[str, bytes]], against: AgainstLog, header: Header
    ) -> None:
        self.look()
        signed, batches = self._carried(members)
        digest = hashlib.sha256()
        for batch in batches:
            digest.update(encode_entries(batch.leaves[max(0, self._base - batch.start) :]))
            against.add_leaves(batch)
        self._digest = digest.hexdigest()
        for finding in against.judge(header, self._log.keyring):
            if finding.severity == "tampering":
                raise IntegrityError(
                    f"the bundle's own log refutes it: {finding.message}",
                    reason=finding.slug,
                    object_key=finding.object_key,
                )
            if finding.slug == "unsupported-leaf":
                raise UnsupportedFormatError(finding.message)
        if self._there and signed.checkpoint.size <= self._there.size:
            self._log.check_continues(self._there, signed.checkpoint)
        if not self._is_ahead(signed.checkpoint):
            self.leaves = signed.checkpoint.size - self._base

    def _carried(
        self, members: Iterable[tuple[str, bytes]]
    ) -> tuple[SignedCheckpoint, Iterator[Batch]]:
        return check_carried(members, self._log.origin, self._log.keyring, self._there)

    def look(self) -> None:
        """See how far the store's log is: by its state, or by what is published without one."""
        found = self._log.state(any_algorithm=True)  # the bundle may bring the line that it lacks
        if found:
            self._state, self._version = found
            self._there = self._state.checkpoint
        if self._log.store.get(layout.LOG_CHECKPOINT) is None:
            return  # the ledger itself may not be there yet
        with suppress(IntegrityError, MalformedError, TrustError):  # nobody of ours wrote it
            published = self._log.checkpoint()
            if published and published.checkpoint.size > (self._there.size if self._there else -1):
                self._there = published.checkpoint

    def _is_ahead(self, checkpoint: Checkpoint) -> bool:
        """Whether the store's log has all that the bundle's has: it never moves backward."""
        if self._state and self._state.checkpoint.size >= checkpoint.size:
            return True
        return self._there is not None and self._there.size > checkpoint.size

    def _keep(self, members: Iterable[tuple[str, bytes]]) -> None:
        """Write what the store lacks: the tiles, then the state, which decides, then the rest.

        An import that was cut off after the state was swapped is finished by the next one, or by
        the next seal.
        """
        signed, batches = self._carried(members)
        state = self._to_publish(signed)
        for batch in batches:
            if state and batch.start + len(batch.leaves) > state.staging.base:
                publish_tiles(self._log.store, batch.tiles)
        if state:
            self._commit(state)
            replace_if_behind(self._log, signed)

    def bring(self, signed: SignedCheckpoint, leaves: Iterable[bytes], digest: str) -> None:
        """Keep the log up to a checkpoint, as ``_keep`` does, from leaves that were proved.

        They are those beyond ``base``, and ``digest`` is the sha256 of them, encoded.
        """
        self._digest = digest
        state = self._to_publish(signed)
        if state is None:
            return
        base = self.base
        builder = self._log.builder(base.size, base.root) if base else TileBuilder()
        rest = iter(leaves)
        while taken := list(islice(rest, WIDTH)):
            publish_tiles(
                self._log.store, [each for leaf in taken for each in builder.append(leaf)]
            )
        publish_tiles(self._log.store, builder.unfinished())
        _check_root(builder, signed.checkpoint)
        self._commit(state)
        replace_if_behind(self._log, signed)

    def _to_publish(self, signed: SignedCheckpoint) -> LogState | None:
        """The state that the store is to have; None if all of the bundle's log is there."""
        if not self._is_ahead(signed.checkpoint):
            return LogState(signed, Staging(self._base, self._digest))
        if self._state is None or self._state.checkpoint != signed.checkpoint:
            return None
        state = LogState(signed, self._state.staging)
        with suppress(IntegrityError, MalformedError, TrustError):
            self._log.check_signatures(self._state.signed)
            if is_published(state, self._log.checkpoint()):
                replace_if_behind(self._log, signed)  # it may not be durable yet
                return None
        return state

    def _commit(self, state: LogState) -> None:
        """Swap the state, and write how far titles are logged."""
        with closing(SealedIndex()) as index:
            index.follow(self._log, state.checkpoint)
            self._swap(state)
            titles = index.titles(state.staging.base)
            records = ((title_number, index.record(title_number)) for title_number in titles)
            publish_records(self._log, records, state.checkpoint.size)

    def _swap(self, state: LogState) -> None:
        if not swap(
            self._log.store, layout.LOG_STATE, state.encode(), self._version, unknown=_unknown
        ):
            raise ConflictError(
                "the log was sealed during the import",
                hint="import again: what is there already stays as it is",
            )


def _unknown(why: LedgerError) -> OutcomeUnknown:
    return OutcomeUnknown(
        f"cannot tell whether the log was imported: {why}",
        hint="import again: what is there already stays as it is",
    )
