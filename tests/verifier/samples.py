"""Chains, bundles, logs and receipts for the page to judge."""

from __future__ import annotations

import hashlib
from datetime import UTC, datetime, timedelta
from typing import TYPE_CHECKING, Any

from ledger.format.bundle import BUNDLE_KEY, Header, write_bundle
from ledger.format.entry import Entry
from ledger.format.layout import LEDGER_KEY, LOG_CHECKPOINT, entry_key, head_key, tile_key
from ledger.format.mldsa import MLDSAPrivateKey
from ledger.format.times import format_time
from ledger.log import leaf_of
from ledger.testing import ORIGIN, keyring_for, signer
from ledger.titles.identity import encode_identity
from ledger.tlog import Checkpoint, Receipt, inclusion_proof, sign_checkpoint
from ledger.tlog.tiles import Tile, TileBuilder, hash_reader

if TYPE_CHECKING:
    from collections.abc import Iterator, Sequence

    from ledger import Keyring, PrivateKey
    from ledger.format.pem import OwnKey

REGISTRAR, LOG_KEY, STRANGER = signer("registrar"), signer("log"), signer("stranger")
REGISTRARS = keyring_for(REGISTRAR)
KEYRING = REGISTRARS.trust(ORIGIN, LOG_KEY.public_key, role="log", name="the log")
LOG_MLDSA = MLDSAPrivateKey("ML-DSA-44", hashlib.sha256(b"log").digest())
BEGIN = datetime(2026, 1, 1, tzinfo=UTC)
NOW = datetime(2027, 1, 1, tzinfo=UTC)


def sign(
    title_number: str,
    document: dict[str, Any],
    parent: Entry | None = None,
    key: PrivateKey = REGISTRAR,
    **members: Any,
) -> Entry:
    """The entry that follows ``parent``, recorded a day later."""
    version = parent.version + 1 if parent else 1
    defaults = {
        "ledger": ORIGIN,
        "author": "ada",
        "message": f"change {version}",
        "recorded_at": format_time(BEGIN + timedelta(days=version)),
    }
    return Entry.sign(
        key,
        title_number=title_number,
        document=document,
        parent=parent,
        salt=hashlib.sha256(f"{title_number} {version}".encode()).digest(),
        **(defaults | members),
    )


def chain(title_number: str, length: int, **members: Any) -> list[Entry]:
    """Versions of a title, the first of them first."""
    entries: list[Entry] = []
    for number in range(length):
        parent = entries[-1] if entries else None
        entries.append(sign(title_number, {"owner": f"Ödi {number}"}, parent, **members))
    return entries


def erased_chain(title_number: str) -> list[bytes]:
    """Three versions; the third erases the text of the first, which is withheld."""
    first, second = chain(title_number, 2)
    third = sign(title_number, {"owner": "Cy"}, second, erases=(1,), reference="ORDER 7")
    return [first.short, second.data, third.data]


class Log:
    """A log of these entries, or bytes of leaves: its tiles, and its checkpoint, signed."""

    def __init__(self, entries: Sequence[Entry | bytes], *keys: OwnKey) -> None:
        builder = TileBuilder()
        self.leaves = [
            each if isinstance(each, bytes) else leaf_of(each).encode() for each in entries
        ]
        self.tiles: dict[Tile, bytes] = {}
        for leaf in self.leaves:
            self.tiles |= builder.append(leaf)
        self.tiles |= builder.unfinished()
        self.checkpoint = Checkpoint(ORIGIN, builder.size, builder.root())
        self.note = sign_checkpoint(self.checkpoint, *(keys or [LOG_KEY]))

    def members(self) -> Iterator[tuple[str, bytes]]:
        """The members of a bundle's last part."""
        yield LOG_CHECKPOINT, self.note
        for tile, data in self.tiles.items():
            yield tile_key(tile.path), data

    def receipt(self, entry: Entry) -> bytes:
        """The receipt of an entry that it has."""
        size = self.checkpoint.size
        index = self.leaves.index(leaf_of(entry).encode())
        read = hash_reader(size, lambda tiles: [self.tiles[tile] for tile in tiles])
        return Receipt(index, inclusion_proof(index, size, read), self.note).encode()


def bundle(
    *chains: Sequence[Entry | bytes],
    log: Log | None = None,
    complete: bool = True,
    origin: str = ORIGIN,
    left_out: tuple[str, ...] = (),
) -> bytes:
    """A bundle of these chains, the first version of each first."""

    def objects() -> Iterator[tuple[str, bytes]]:
        yield BUNDLE_KEY, Header(origin, complete, log is not None, left_out).encode()
        yield LEDGER_KEY, encode_identity(origin)
        for entries in chains:
            data = [each if isinstance(each, bytes) else each.data for each in entries]
            title_number = Entry.unverified(data[-1]).title_number
            yield head_key(title_number), data[-1]
            for each in reversed(data):
                yield entry_key(title_number, Entry.unverified(each).address), each
        if log is not None:
            yield from log.members()

    return b"".join(write_bundle(objects()))


def other_ledgers(keyring: Keyring = KEYRING) -> Keyring:
    """A keyring that knows another ledger as well."""
    return keyring.trust("example.org/other", STRANGER.public_key)
