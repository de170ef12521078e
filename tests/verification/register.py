"""A register that is sealed and audited, and whose every object a test may change."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

from ledger import Keyring, Ledger, Log, Report
from ledger.format.layout import LOG_CHECKPOINT, entry_key, head_key, tile_key
from ledger.stores import MemoryStore
from ledger.testing import ORIGIN, FixedClock
from ledger.tlog import Checkpoint, Leaf, TileBuilder, sign_checkpoint
from tests.sealing.sealers import KEYRING, LOG_KEY, Sealer, ledger_in
from tests.tampering import objects_of

if TYPE_CHECKING:
    from pathlib import Path

    from ledger import Entry, PrivateKey
    from ledger.sealing.seal import Sealed
    from ledger.stores.base import Store


def store_of(objects: dict[str, bytes]) -> MemoryStore:
    store = MemoryStore()
    store.create_many(objects.items())
    return store


class Register:
    """TN1 with three versions, TN2 with two, TN3 with one; all logged."""

    def __init__(self, folder: Path) -> None:
        self.folder = folder
        self.clock = FixedClock()
        self.store = MemoryStore()
        self.ledger = ledger_in(self.store, self.clock)
        self.sealer = Sealer(folder)
        self.entries: dict[str, list[Entry]] = {}
        for title_number, versions in (("TN1", 3), ("TN2", 2), ("TN3", 1)):
            self.append(title_number, versions)
        self.seal(genesis=True)

    def append(self, title_number: str, versions: int = 1) -> None:
        for _ in range(versions):
            entries = self.entries.setdefault(title_number, [])
            entries.append(self.ledger.append(title_number, {"owner": len(entries)}))
            self.clock.forward(minutes=1)

    def seal(self, **options: Any) -> Sealed:
        return self.sealer.seal(self.store, **options)

    def objects(self) -> dict[str, bytes]:
        return objects_of(self.store)

    def set_back(self, objects: dict[str, bytes], title_number: str, version: int) -> None:
        """Make an earlier version the head."""
        entry = self.entries[title_number][version - 1]
        objects[head_key(title_number)] = objects[entry_key(title_number, entry.address)]

    def open(self, store: Store, keyring: Keyring = KEYRING) -> Ledger:
        return Ledger.open(store, keyring=keyring, origin=ORIGIN, clock=self.clock)

    def audit(
        self,
        objects: dict[str, bytes] | None = None,
        *,
        state: str | None = None,
        keyring: Keyring = KEYRING,
        **options: Any,
    ) -> Report:
        """Audit these objects, or all as they are; ``state`` names an auditor's file."""
        store = self.store if objects is None else store_of(objects)
        path = self.folder / state if state else None
        return Log(self.open(store, keyring)).audit(state=path, **options).run()


def slugs(report: Report) -> list[str]:
    return [finding.slug for finding in report.findings]


def found(report: Report, slug: str) -> str:
    """The message of the one finding with this slug, in a report that is not what it should be."""
    assert report.outcome in {"tampered", "mismatch"}, report
    (finding,) = (finding for finding in report.findings if finding.slug == slug)
    assert finding.severity == ("mismatch" if slug == "pin-missing" else "tampering")
    return f"{finding.object_key} {finding.message}"


def forged_log(
    leaves: list[Leaf], key: PrivateKey = LOG_KEY, origin: str = ORIGIN
) -> dict[str, bytes]:
    """A log of these leaves, whole and signed: what the holder of the log's key can make."""
    builder = TileBuilder()
    tiles = [tile for leaf in leaves for tile in builder.append(leaf.encode())]
    tiles += builder.unfinished()
    checkpoint = Checkpoint(origin, builder.size, builder.root())
    note = sign_checkpoint(checkpoint, key)
    return {tile_key(tile.path): data for tile, data in tiles} | {LOG_CHECKPOINT: note}


def leaves_of(register: Register, *titles: str) -> list[Leaf]:
    return [
        Leaf(title_number, entry.version, entry.address)
        for title_number in titles
        for entry in register.entries[title_number]
    ]
