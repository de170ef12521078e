"""Records of titles are hints: to forge or delete one steers no sealer and no reader."""

from __future__ import annotations

from dataclasses import dataclass
from functools import cache
from typing import TYPE_CHECKING

import pytest

from ledger import Entry, Log
from ledger.errors import NotFoundError
from ledger.format.canonical import MAX_INTEGER
from ledger.format.entry import address_of
from ledger.format.layout import PENDING, entry_key, head_key, sealed_key, tile_key
from ledger.stores import MemoryStore
from ledger.tlog.objects import SealedRecord, leaf_of
from tests.sealing.sealers import ORIGIN, REGISTRAR, Sealer, assert_sealed, ledger_in, logged, read
from tests.sealing.test_seal import put, slugs
from tests.tampering import objects_of

if TYPE_CHECKING:
    from pathlib import Path

    from ledger import Ledger
    from ledger.sealing.seal import Sealed
    from ledger.stores.base import Store


@dataclass
class Attacked:
    """TN1 with Alice and Bob logged, and an entry of Mallory's that lost its race against Bob's."""

    store: MemoryStore
    ledger: Ledger
    sealer: Sealer
    bob: Entry
    loser: Entry

    def seal(self, **options: bool) -> Sealed:
        return self.sealer.seal(self.store, **options)

    def put(self, key: str, data: bytes | None) -> None:
        put(self.store, key, data)

    def put_record(self, address: str, leaf: int, version: int) -> None:
        self.put(sealed_key("TN1"), SealedRecord(version, address, (leaf,)).encode())


@pytest.fixture
def attacked(tmp_path: Path) -> Attacked:
    store = MemoryStore()
    ledger = ledger_in(store)
    sealer = Sealer(tmp_path)
    sealer.seal(store, genesis=True)
    alice = ledger.append("TN1", {"owner": "Alice"})
    bob = ledger.append("TN1", {"owner": "Bob"})
    loser = Entry.sign(
        REGISTRAR,
        ledger=ORIGIN,
        title_number="TN1",
        document={"owner": "Mallory"},
        recorded_at=bob.recorded_at,
        salt=bytes(32),
        parent=alice,
    )
    store.create(entry_key("TN1", loser.address), loser.data)
    sealer.seal(store)
    return Attacked(store, ledger, sealer, bob, loser)


@pytest.mark.parametrize("record", ["forged", "deleted"])
def test_the_loser_of_a_race_as_head_is_not_logged_whatever_the_record_says(
    attacked: Attacked, record: str
) -> None:
    attacked.put(head_key("TN1"), attacked.loser.data)
    if record == "forged":
        attacked.put_record(attacked.loser.address, 1, 2)
    else:
        attacked.put(sealed_key("TN1"), None)
    carol = attacked.ledger.append("TN1", {"owner": "Carol"})
    assert carol.parent == attacked.loser.address
    for options in ({}, {"every_title": True}):
        done = attacked.seal(**options)
        assert ("not-as-logged", head_key("TN1")) in slugs(done)
        assert done.leaves == 0
    assert [leaf.address for leaf in logged(attacked.store)][1:] == [attacked.bob.address]
    assert list(attacked.store.list(PENDING))


@pytest.mark.parametrize("every_title", [False, True])
def test_a_record_that_names_an_unlogged_head_hides_it_from_no_seal(
    attacked: Attacked, every_title: bool
) -> None:
    carol = attacked.ledger.append("TN1", {"owner": "Carol"})
    attacked.put_record(carol.address, 1, 3)
    if every_title:
        for key in list(attacked.store.list(PENDING)):
            attacked.store.delete(key)
    done = attacked.seal(every_title=every_title)
    assert done.leaves == 1
    assert slugs(done) == [("bad-record", sealed_key("TN1"))]
    assert done.report.outcome == "verified"
    assert logged(attacked.store)[-1] == leaf_of(carol)
    assert_sealed(attacked.ledger)


def test_a_garbage_head_and_a_record_of_the_last_version_delete_no_marker(
    attacked: Attacked,
) -> None:
    attacked.ledger.append("TN1", {"owner": "Carol"})
    markers = list(attacked.store.list(PENDING))
    attacked.put(head_key("TN1"), b"garbage")
    attacked.put_record(address_of(b"garbage"), 1, MAX_INTEGER)
    done = attacked.seal()
    assert (done.leaves, done.markers) == (0, 0)
    assert ("malformed-entry", head_key("TN1")) in slugs(done)
    assert markers
    assert list(attacked.store.list(PENDING)) == markers


def flipped(address: str) -> str:
    return ("1" if address[0] == "0" else "0") + address[1:]


def test_a_record_with_a_wrong_digit_is_mended_by_the_next_seal(attacked: Attacked) -> None:
    before = read(attacked.store, sealed_key("TN1"))
    attacked.put_record(flipped(attacked.bob.address), 1, 2)
    attacked.ledger.append("TN1", {"owner": "Carol"})
    done = attacked.seal()
    assert (done.leaves, done.report.outcome) == (1, "verified")
    assert_sealed(attacked.ledger)
    attacked.put(sealed_key("TN1"), before)
    assert slugs(attacked.seal(every_title=True)) == [("bad-record", sealed_key("TN1"))]
    assert_sealed(attacked.ledger)


@pytest.mark.parametrize(
    "record",
    [
        None,
        b"",
        b"{}",
        b'{"address":"","leaves":[0],"version":1}',
        SealedRecord(1, "0" * 64, (0,)).encode(),
        SealedRecord(2, "0" * 64, (1,)).encode(),
        SealedRecord(7, "0" * 64, (1,)).encode(),
        SealedRecord(2, "0" * 64, (0,)).encode(),
        SealedRecord(2, "0" * 64, (5,)).encode(),
    ],
)
def test_a_wrong_record_denies_no_receipt_and_a_seal_of_all_titles_mends_it(
    attacked: Attacked, record: bytes | None
) -> None:
    right = read(attacked.store, sealed_key("TN1"))
    attacked.put(sealed_key("TN1"), record)
    log = Log(attacked.ledger)
    assert log.receipt("TN1").index == 1
    assert log.receipt("TN1", "v1").index == 0
    assert log.newest_of("TN1") == leaf_of(attacked.bob)
    with pytest.raises(NotFoundError, match="not in the log"):
        log.reader.receipt(leaf_of(attacked.loser))
    done = attacked.seal(every_title=True)
    assert done.leaves == 0
    assert slugs(done) == [("bad-record", sealed_key("TN1"))]
    assert read(attacked.store, sealed_key("TN1")) == right
    assert slugs(attacked.seal(every_title=True)) == []


def test_that_a_title_is_not_logged_is_said_only_if_all_leaves_are_right(
    attacked: Attacked,
) -> None:
    key = tile_key("tile/entries/000.p/2")
    tile = read(attacked.store, key)
    assert tile is not None
    attacked.put(key, tile.replace(attacked.bob.address.encode(), b"0" * 64))
    attacked.put(sealed_key("TN1"), None)
    log = Log(attacked.ledger)
    with pytest.raises(Exception, match="do not lead to the root"):
        log.receipt("TN1")
    with pytest.raises(Exception, match="do not lead to the root"):
        log.newest_of("TN1")


class Reading(MemoryStore):
    """Notes what is read."""

    def __init__(self) -> None:
        super().__init__()
        self.asked: list[str] = []

    def get(self, key: str):
        self.asked.append(key)
        return super().get(key)


def tiles_read(store: Store, sealer: Sealer) -> bool:
    assert isinstance(store, Reading)
    store.asked.clear()
    sealer.seal(store)
    return any("tile/entries" in key for key in store.asked)


@cache
def large() -> dict[str, bytes]:
    """The objects of a ledger of 300 titles, before they are sealed."""
    ledger = ledger_in(MemoryStore())
    for number in range(300):
        ledger.append(f"TN{number}", {})
    return objects_of(ledger.store)


def sealed(store: MemoryStore, sealer: Sealer) -> Ledger:
    """Those, with a log that has them."""
    store.create_many(large().items())
    sealer.seal(store, genesis=True)
    sealer.seal(store)
    return ledger_in(store)


@pytest.mark.parametrize("damage", [None, b"", b"garbage" * 1000, "cut"])
def test_an_index_that_is_gone_or_damaged_is_made_again_from_the_log(
    tmp_path: Path, damage: bytes | str | None
) -> None:
    store = Reading()
    sealer = Sealer(tmp_path)
    ledger = sealed(store, sealer)
    index = sealer.memory.with_name(f"{sealer.memory.name}.index")
    assert index.stat().st_mode & 0o777 == 0o600
    if damage is None:
        index.unlink()
    elif isinstance(damage, str):
        index.write_bytes(index.read_bytes()[:100])
    else:
        index.write_bytes(damage)
    ledger.append("TN7", {})
    assert tiles_read(store, sealer)
    assert_sealed(ledger)
    assert not tiles_read(store, sealer)


def test_an_index_that_is_behind_reads_only_what_it_lacks(tmp_path: Path) -> None:
    store = Reading()
    one, two = Sealer(tmp_path, "one"), Sealer(tmp_path, "two")
    ledger = sealed(store, one)
    two.seal(store, adopt=True)
    ledger.append("TN1", {})
    two.seal(store)
    store.asked.clear()
    one.seal(store)
    assert {key for key in store.asked if "tile/entries" in key} == {
        tile_key("tile/entries/001.p/45"),
    }
    ledger.append("TN1", {})
    one.seal(store)
    assert_sealed(ledger)


@pytest.mark.parametrize(
    "size", [1, 255, 256, 257, *(pytest.param(n, marks=pytest.mark.slow) for n in (511, 512, 700))]
)
def test_what_a_record_proves_is_where_the_search_begins(tmp_path: Path, size: int) -> None:
    """The newest leaf of a title is found whatever tiles the log was published in."""
    store = MemoryStore()
    ledger = ledger_in(store)
    sealer = Sealer(tmp_path)
    sealer.seal(store, genesis=True)
    for number in range(size):
        ledger.append(f"T{number}", {})
    sealer.seal(store)
    log = Log(ledger)
    waiting = ledger.append("T0", {})
    for number in {0, size // 2, size - 1}:
        assert log.newest_of(f"T{number}") == leaf_of(ledger.entry(f"T{number}", "v1"))
    with pytest.raises(NotFoundError, match="not in the log"):
        log.receipt("T0")
    sealer.seal(store)
    assert log.newest_of("T0") == leaf_of(waiting)
    assert log.receipt("T0").index == size
