"""Import: there and back, forks, incremental bundles, and what an import mends."""

from __future__ import annotations

import io
import time
from concurrent.futures import CancelledError
from threading import Event
from typing import TYPE_CHECKING

import pytest

from ledger import Ledger
from ledger.bundles import importing
from ledger.errors import Forked, HeadMissing, HeadMoved, IntegrityError, NotFoundError, StoreDenied
from ledger.format.bundle import BundleReader, Header
from ledger.format.layout import entry_key, head_key, pending_key
from ledger.stores import FolderStore, MemoryStore
from ledger.testing import ORIGIN, memory_ledger, signer
from tests.bundles.bundles import NOW, addresses, again, bundle, filled
from tests.tampering import objects_of
from tests.wrappers import CrashError, CrashingStore, Wrapper

if TYPE_CHECKING:
    from ledger import Entry


@pytest.mark.parametrize("kind", ["memory", "folder"])
def test_another_store_has_the_same_addresses_after_an_import(kind, tmp_path):
    ledger = filled()
    other = memory_ledger(MemoryStore() if kind == "memory" else FolderStore(tmp_path), clock=NOW)
    done = other.import_bundle(bundle(ledger))
    assert (done.moved, done.unchanged) == (3, 0)
    assert addresses(other) == addresses(ledger)
    assert other.fsck().findings == ()
    for key, data in objects_of(ledger.store).items():
        if not key.startswith("_pending/"):
            assert other.store.get(key).data == data
    assert bundle(other).getvalue() == bundle(ledger).getvalue()


def test_an_import_goes_on_where_the_other_ledger_went_on():
    ledger = filled()
    other = memory_ledger(clock=NOW)
    other.import_bundle(bundle(ledger))
    entry = other.append("TN1", {"v": "later"})
    done = ledger.import_bundle(bundle(other))
    assert (done.moved, done.unchanged) == (1, 2)
    assert ledger.head("TN1") == entry
    assert addresses(ledger) == addresses(other)


def test_importing_twice_changes_nothing():
    ledger, other = filled(), memory_ledger(clock=NOW)
    other.import_bundle(bundle(ledger))
    before = objects_of(other.store)
    done = other.import_bundle(bundle(ledger))
    assert (done.moved, done.unchanged) == (0, 3)
    assert objects_of(other.store) == before


def test_a_title_that_the_store_has_further_is_left_as_it_is():
    ledger = filled()
    old = bundle(ledger)
    newest = ledger.append("TN1", {"v": "later"})
    done = ledger.import_bundle(old)
    assert (done.moved, done.unchanged) == (0, 3)
    assert ledger.head("TN1") == newest


def forked() -> tuple[Ledger, Ledger]:
    """Two ledgers whose TN1 parts after version 2."""
    one = filled(["TN1"], versions=2)
    other = memory_ledger(clock=NOW)
    other.import_bundle(bundle(one))
    one.append("TN1", {"side": "one"})
    other.append("TN1", {"side": "other"})
    return one, other


@pytest.mark.parametrize("further", [0, 1, 2])
def test_a_history_that_parts_from_the_stores_is_refused(further):
    one, other = forked()
    for _ in range(further):
        other.append("TN1", {"more": True})
    for ledger, incoming in ((one, other), (other, one)):
        before = objects_of(ledger.store)
        with pytest.raises(Forked, match="TN1: the bundle and the store hold two histories"):
            ledger.import_bundle(bundle(incoming))
        assert objects_of(ledger.store) == before


def test_a_fork_in_one_title_keeps_all_others_out_too():
    """Everything is compared before anything is written."""
    one, other = forked()
    other.append("TN0", {})
    other.append("TN2", {})
    before = objects_of(one.store)
    with pytest.raises(Forked):
        one.import_bundle(bundle(other))
    assert objects_of(one.store) == before


def test_an_incremental_bundle_needs_the_earlier_ones_and_says_so():
    ledger = filled()
    full = bundle(ledger)
    ledger.append("TN2", {"v": "later"})
    later = bundle(ledger, since=[full])
    empty = memory_ledger(clock=NOW)
    before = objects_of(empty.store)
    with pytest.raises(NotFoundError, match="is not in this incremental bundle, nor in") as caught:
        empty.import_bundle(later)
    assert "import the earlier bundles first" in caught.value.hint
    assert objects_of(empty.store) == before


def test_an_incremental_bundle_that_begins_below_the_stores_head_is_imported():
    ledger = filled()
    full = bundle(ledger)
    ledger.append("TN1", {"v": 4})
    copy = memory_ledger(clock=NOW)
    copy.import_bundle(again(bundle(ledger)))
    ledger.append("TN1", {"v": 5})
    overlapping = bundle(ledger, since=[again(full)])
    assert copy.import_bundle(overlapping).moved == 1
    assert addresses(copy) == addresses(ledger)
    assert copy.import_bundle(again(overlapping)).unchanged == 1


def test_an_entry_that_can_not_be_read_below_an_incremental_bundle_is_no_tampering():
    ledger = filled()
    full = bundle(ledger)
    ledger.append("TN1", {"v": 4})
    later = bundle(ledger, since=[full])
    copy = memory_ledger(clock=NOW)
    copy.import_bundle(again(full))
    copy.import_bundle(again(later))
    denied = entry_key("TN1", ledger.entry("TN1", "v2").address)

    class Denying(Wrapper):
        def get(self, key):
            if key == denied:
                raise StoreDenied(f"cannot read {key}")
            return self.inner.get(key)

    reader = Ledger.open(Denying(copy.store), keyring=copy.keyring, signer=signer(), clock=NOW)
    with pytest.raises(StoreDenied):
        reader.import_bundle(again(later))


@pytest.mark.parametrize("version", [1, 2, 3])
def test_entries_that_the_store_lost_are_put_back(version):
    ledger = filled()
    data = bundle(ledger)
    lost = entry_key("TN1", ledger.entry("TN1", f"v{version}").address)
    objects = objects_of(ledger.store)
    del objects[lost]
    store = MemoryStore()
    store.create_many(objects.items())
    damaged = Ledger.open(store, keyring=ledger.keyring, signer=signer(), clock=NOW)
    assert not damaged.verify("TN1")
    done = damaged.import_bundle(data)
    assert (done.moved, done.unchanged) == (0, 3)
    assert damaged.fsck().findings == ()


def test_a_lost_head_is_put_back_by_a_bundle_that_has_all_its_entries():
    ledger = filled()
    objects = objects_of(ledger.store)
    head = objects.pop("TN1/head.json")
    store = MemoryStore()
    store.create_many(objects.items())
    mended = Ledger.open(store, keyring=ledger.keyring, signer=signer(), clock=NOW)
    assert mended.import_bundle(bundle(ledger)).moved == 1
    assert objects_of(store)["TN1/head.json"] == head


def test_a_title_without_a_head_that_has_more_entries_than_the_bundle_is_left_alone():
    ledger = filled()
    old = bundle(ledger)
    ledger.append("TN1", {"later": True})
    objects = objects_of(ledger.store)
    del objects["TN1/head.json"]
    store = MemoryStore()
    store.create_many(objects.items())
    headless = Ledger.open(store, keyring=ledger.keyring, signer=signer(), clock=NOW)
    with pytest.raises(HeadMissing):
        headless.import_bundle(old)
    assert objects_of(store) == objects


def test_other_bytes_under_an_address_of_the_bundle_are_not_overwritten():
    ledger = filled(["TN1"])
    objects = objects_of(ledger.store)
    damaged = entry_key("TN1", ledger.entry("TN1", "v1").address)
    objects[damaged] = b"damaged"
    store = MemoryStore()
    store.create_many(objects.items())
    opened = Ledger.open(store, keyring=ledger.keyring, signer=signer(), clock=NOW)
    with pytest.raises(IntegrityError, match="holds other bytes under an address of the bundle"):
        opened.import_bundle(bundle(ledger))
    assert objects_of(store) == objects


@pytest.mark.parametrize("after", [False, True])
def test_an_import_that_was_cut_off_anywhere_can_be_repeated(after):
    ledger = filled(["TN1", "TN2"], versions=2)
    data = bundle(ledger)
    for failing in range(100):
        target = memory_ledger(clock=NOW)
        store = CrashingStore(target.store, failing, after=after)
        crashing = Ledger.open(store, keyring=target.keyring, clock=NOW)
        try:
            crashing.import_bundle(again(data))
        except CrashError:
            for title in target.titles():  # each is there whole, or has no head yet
                blob = target.store.get(head_key(title))
                assert blob is None or target.verify(title)
            target.import_bundle(again(data))
            assert addresses(target) == addresses(ledger)
            assert target.fsck().findings == ()
        else:
            assert failing == 2 * 4  # the entries; the marker of the newest; the head
            return
    raise AssertionError("never without a crash")


def test_an_import_writes_a_marker_before_a_head_moves():
    ledger = filled(["TN1"])
    copy = memory_ledger(clock=NOW)
    moved: list[Entry] = []

    class Watching(Wrapper):
        def called(self, operation, key):
            if key == head_key("TN1") and operation in {"create", "replace"}:
                head = ledger.head("TN1")
                assert pending_key("TN1", 3, head.address) in objects_of(self.inner)
                assert entry_key("TN1", ledger.entry("TN1", "v1").address) in objects_of(self.inner)
                moved.append(head)

    watching = Ledger.open(Watching(copy.store), keyring=copy.keyring, clock=NOW)
    watching.import_bundle(bundle(ledger))
    assert len(moved) == 1


def test_a_title_that_is_appended_to_during_the_import_is_not_overwritten():
    ledger = filled(["TN1"])
    copy = memory_ledger(clock=NOW)
    copy.import_bundle(bundle(ledger))
    ledger.append("TN1", {"v": "theirs"})

    class Raced(Wrapper):
        def called(self, operation, key):
            if operation == "replace":
                copy.append("TN1", {"v": "ours"})

    raced = Ledger.open(Raced(copy.store), keyring=copy.keyring, clock=NOW)
    with pytest.raises(HeadMoved, match="TN1 was appended to during the import"):
        raced.import_bundle(bundle(ledger))
    assert copy.head("TN1").document == {"v": "ours"}
    with pytest.raises(Forked):
        copy.import_bundle(bundle(ledger))


def test_what_was_broken_off_and_is_done_again_is_written_as_a_whole(monkeypatch):
    """As by a store whose own threads are ended: no head moves onto entries that nobody wrote."""

    class BreakingOff(MemoryStore):
        broken = 0

        def create_many(self, objects):
            if not self.broken:
                self.broken += 1
                raise CancelledError
            super().create_many(objects)

    monkeypatch.setattr(importing, "TITLES", 1)
    copy = memory_ledger(BreakingOff(), clock=NOW)
    assert copy.import_bundle(bundle(filled())).moved == 3
    assert copy.store.broken == 1
    assert copy.verify_all().entries == 9


def test_an_import_that_failed_writes_nothing_more(monkeypatch):
    """Else it would put back a text that is erased next."""
    begun, written = Event(), []

    class Failing(Wrapper):
        def called(self, operation, key):
            if operation == "create" and key == head_key("TN1"):
                assert begun.wait(10)
                raise StoreDenied("no")
            if operation == "create" and key == head_key("TN2"):
                begun.set()
                time.sleep(0.2)
                written.append(key)

    monkeypatch.setattr(importing, "TITLES", 1)
    copy = memory_ledger(clock=NOW)
    failing = Ledger.open(Failing(copy.store), keyring=copy.keyring, clock=NOW)
    with pytest.raises(StoreDenied):
        failing.import_bundle(bundle(filled()))
    assert written == [head_key("TN2")]


def test_an_import_needs_no_signer():
    ledger = filled()
    reader = Ledger.create(MemoryStore(), origin=ORIGIN, keyring=ledger.keyring)
    assert reader.import_bundle(bundle(ledger)).moved == 3


def test_a_bundle_is_read_from_where_the_file_stands():
    ledger = filled()
    data = io.BytesIO(b"preface" + bundle(ledger).getvalue())
    data.seek(7)
    assert memory_ledger(clock=NOW).import_bundle(data).moved == 3
    data.seek(7)
    assert BundleReader(data).header == Header(ORIGIN, complete=True)
