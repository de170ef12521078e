"""The trust files in a bundle: which keyring they make, and where the bundle shows entries to be.

Positions in the log come from the log that a bundle carries, all leaves of it, or from the receipts
behind the entries of single titles.
"""

from __future__ import annotations

from collections.abc import Mapping
from contextlib import suppress
from itertools import islice
from typing import TYPE_CHECKING, BinaryIO

from ledger.errors import (
    IntegrityError,
    LedgerError,
    MalformedError,
    PreconditionFailed,
    TrustError,
    UnsupportedFormatError,
)
from ledger.format import layout
from ledger.format.bundle import BundleReader, Section, trust_members
from ledger.format.standing import FindPositions, Positions
from ledger.titles.trust_files import accept, accepted_by, trust_objects
from ledger.trust.file import TrustFile

if TYPE_CHECKING:
    from collections.abc import Callable, Iterator

    from ledger.format.keyring import Keyring
    from ledger.sealing.index import SealedIndex
    from ledger.stores.base import Store
    from ledger.titles.history import History
    from ledger.tlog.checkpoint import SignedCheckpoint
    from ledger.trust.chain import Trust


# -- Out of a store ------------------------------------------------------------------------------


def with_trust(
    history: History, read_log: Callable[[History], SignedCheckpoint | None]
) -> tuple[list[tuple[str, bytes]], SignedCheckpoint | None]:
    """Read the trust files of a store, as members of a bundle, and its log, which belong together.

    The log is as far as every file pins it, and names no file that is not there. ``read_log`` is
    asked once the history follows the files. Raises IntegrityError (``trust-missing``) if they have
    a gap.
    """
    while True:
        members = list(trust_members(trust_objects(history.store)))
        history.follow_trust()
        log = read_log(history)
        accepted = accepted_by(history.keyring, history.origin)
        is_behind = accepted is not None and len(members) < accepted.newest.version
        if log is None and not is_behind:  # nothing that the files have to go with
            break
        if members == list(trust_members(trust_objects(history.store))):
            break
    if is_behind:
        key = layout.trust_key(len(members) + 1)
        raise IntegrityError(
            f"{key}: missing, and later trust files follow it",
            hint="bring it back from a copy of the ledger",
            reason="trust-missing",
            object_key=key,
        )
    return members, log


def strip_trust(store: Store, files: Mapping[int, bytes]) -> Iterator[tuple[str, bytes]]:
    """The trust files of an old bundle, and those that the store has by now, as members.

    Entries that the store has above those of the bundle may be by keys that only later files list.
    Raises TrustError if the two have different files.
    """
    check_trust(store, files)
    later = islice(trust_objects(store), len(files), None)
    return trust_members([*files.values(), *later])


# -- Out of a bundle -----------------------------------------------------------------------------


def bundle_keyring(reader: BundleReader, keyring: Keyring) -> Keyring:
    """Return the keyring that counts for a bundle: that of its trust files, or the reader's own.

    Raises what ``accept`` does.
    """
    return accept(keyring, reader.trust, origin=reader.header.origin)


class BundlePositions:
    """Where a bundle shows its entries to be in the log.

    With a key that has an end, the log's part is read before the titles: it comes after them, and
    the leaves say which of their entries count.
    """

    def __init__(self, source: BinaryIO, keyring: Keyring) -> None:
        """``source`` stands at the bundle's start, and does so again afterwards."""
        self._keyring = keyring
        self._index: SealedIndex | None = None
        start = source.tell()
        reader = BundleReader(source)
        self._origin = reader.header.origin
        if reader.header.has_log and keyring.has_ends(self._origin):
            self._read_log(reader)
        source.seek(start)

    def close(self) -> None:
        """Let go of the temporary file."""
        if self._index is not None:
            self._index.close()

    def of(self, section: Section) -> FindPositions:
        """What tells where the entries of a title are, as far as it was read."""
        receipts = _Proved(section, accepted_by(self._keyring, self._origin), self._keyring)

        def find(_end: int, _search: bool) -> Positions:
            if self._index is not None:
                return self._index.positions(section.title_number)
            return Positions(receipts)

        return find

    def _read_log(self, reader: BundleReader) -> None:
        from ledger.bundles.log_part import check_carried  # noqa: PLC0415 -- slow to load
        from ledger.sealing.index import SealedIndex  # noqa: PLC0415

        index = SealedIndex()
        try:
            for section in reader.sections():
                reader.skip(section)
            signed, batches = check_carried(reader.log(), self._origin, self._keyring)
            index.fill((leaf for batch in batches for leaf in batch.leaves), signed.checkpoint)
        except (MalformedError, IntegrityError, TrustError, UnsupportedFormatError):
            # It shows nothing, and whoever comes to it after the titles says why.
            index.close()
        else:
            self._index = index


class _Proved(Mapping[str, int]):
    """The leaves that receipts in a bundle prove, by the address of their entry.

    It grows: a receipt lies behind its entry, and is there once that was read.
    """

    def __init__(self, section: Section, accepted: Trust | None, keyring: Keyring) -> None:
        self._section = section
        self._accepted = accepted
        self._keyring = keyring
        self._known: dict[str, int | None] = {}

    def __getitem__(self, address: str) -> int:
        if address not in self._known:
            self._known[address] = self._prove(address)
        found = self._known[address]
        if found is None:
            raise KeyError(address)
        return found

    def __iter__(self) -> Iterator[str]:
        return (address for address in self._section.receipts if address in self)

    def __len__(self) -> int:
        return sum(1 for _ in self)

    def _prove(self, address: str) -> int | None:
        from ledger.tlog.objects import Leaf  # noqa: PLC0415 -- slow to load
        from ledger.tlog.receipt import Receipt  # noqa: PLC0415
        from ledger.trust.checkpoints import check_receipt_alone, shows_positions  # noqa: PLC0415

        if self._accepted is None or address not in self._section.receipts:
            return None
        version, data = self._section.receipts[address]
        keys = self._keyring.keys(self._accepted.origin, "log")
        with suppress(LedgerError):  # what does not hold shows nothing
            receipt = Receipt.decode(data)
            leaf = Leaf(self._section.title_number, version, address).encode()
            signed = check_receipt_alone(self._accepted, receipt, leaf, keys)
            if shows_positions(self._accepted, signed.checkpoint):
                return receipt.index
        return None


class _Lowest(Mapping[str, int]):
    """The lower of two leaves for each address."""

    def __init__(self, one: Mapping[str, int], other: Mapping[str, int]) -> None:
        self._both = one, other

    def __getitem__(self, address: str) -> int:
        found = [at for each in self._both if (at := each.get(address)) is not None]
        if not found:
            raise KeyError(address)
        return min(found)

    def __iter__(self) -> Iterator[str]:
        return iter({*self._both[0], *self._both[1]})

    def __len__(self) -> int:
        return sum(1 for _ in self)


def either(one: FindPositions, other: FindPositions) -> FindPositions:
    """Tell what either of two knows of the leaves of a title."""

    def find(end: int, search: bool) -> Positions:
        first = one(end, search)
        if first.searched >= end:
            return first
        second = other(end, search)
        if not first.leaves and not second.searched:
            first, second = second, first
        return Positions(_Lowest(first.leaves, second.leaves), max(first.searched, second.searched))

    return find


# -- Into a store --------------------------------------------------------------------------------


def check_trust(store: Store, files: Mapping[int, bytes]) -> None:
    """Check that a store has no other trust files than a bundle, as far as it has them.

    Raises TrustError (``trust-not-accepted``).
    """
    for version, data in files.items():
        key = layout.trust_key(version)
        found = store.get(key)
        if found is not None and not _says_the_same(found.data, data):
            raise TrustError(
                f"{key}: the bundle and the store have two different files: nothing was written",
                hint="'ledger trust log' shows the store's; if a junk file lies there, 'ledger"
                " trust publish' replaces it",
                reason="trust-not-accepted",
                object_key=key,
            )


def _says_the_same(one: bytes, other: bytes) -> bool:
    """Whether two trust files differ at most in who signed them."""
    if one == other:
        return True
    try:
        return TrustFile.decode(one).digest == TrustFile.decode(other).digest
    except LedgerError:
        return False


def put_trust(store: Store, accepted: Trust) -> None:
    """Create the accepted trust files that a store lacks, the first before those that follow it."""
    for file in accepted.files:
        data = file.encode()
        try:
            store.create(file.object_key, data)
        except PreconditionFailed:
            check_trust(store, {file.version: data})
