"""Packs, written: everything that verifies, byte for byte, and nothing that does not."""

from __future__ import annotations

import io
import tracemalloc
from contextlib import suppress
from datetime import UTC, datetime

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from ledger import Entry, Ledger
from ledger.errors import StoreUnavailable
from ledger.format import layout
from ledger.format.layout import entry_key, head_key
from ledger.packs.format import Packable, make_pack, open_pack
from ledger.packs.reader import FROM_PACKS, pack_names
from ledger.packs.writer import LAYERS, PACK_BYTES
from ledger.stores import FolderStore, MemoryStore
from ledger.testing import ORIGIN, FixedClock, keyring_for, memory_ledger, signer
from tests.format.test_layout import title_numbers
from tests.laws import examples
from tests.tampering import (
    OTHER_ORIGIN,
    OTHER_TITLE,
    SCENARIOS,
    for_each,
    packs_of_before,
    small_world,
    without,
)
from tests.wrappers import CountingStore, CrashError, CrashingStore, FailingStore, Wrapper

law = settings(deadline=None, max_examples=examples(25))

LARGE = {"text": "x" * (PACK_BYTES // 14)}


def filled(store=None, titles=("A-1", "A", "B"), versions=3, document=None) -> Ledger:
    ledger = memory_ledger(store)
    for version in range(versions):
        for title in titles:
            ledger.append(title, {"v": version, **(document or {})})
    return ledger


def packs(store) -> dict[layout.PackName, list[Packable]]:
    """What is in the packs of a store."""
    return {
        name: [
            Packable(title, address, data)
            for title, entries in open_pack(
                name, store.get(layout.pack_key(name)).data, ORIGIN
            ).items()
            for address, data in entries.items()
        ]
        for name in pack_names(store)
    }


def packed(store) -> list[Packable]:
    return [entry for entries in packs(store).values() for entry in entries]


def chains(ledger: Ledger) -> list[Packable]:
    """Every entry of every title, in the order in which packs have them."""
    return [
        Packable(title, entry.address, entry.data)
        for title in ledger.titles()
        for entry in ledger.log(title)
    ]


def pack_keys(store) -> list[str]:
    return list(store.list(layout.PACKS))


def loose(store) -> dict[str, bytes]:
    """Every object that is no pack."""
    return {key: store.get(key).data for key in store.list() if not key.startswith(layout.PACKS)}


# --- what is packed ------------------------------------------------------------------------------


@law
@given(st.dictionaries(title_numbers, st.integers(1, 4), max_size=6))
def test_every_entry_is_packed_once_byte_for_byte_newest_first(versions):
    ledger = memory_ledger()
    for title, count in versions.items():
        for number in range(count):
            ledger.append(title, {"n": number})
    before = loose(ledger.store)
    done = ledger.pack()
    assert packed(ledger.store) == chains(ledger)
    assert loose(ledger.store) == before
    assert (done.titles, done.entries) == (len(versions), sum(versions.values()))
    assert done.packs == len(pack_keys(ledger.store)) == (1 if versions else 0)
    assert done.findings == ()
    assert ledger.verify_all() or not versions


def test_to_pack_again_changes_nothing():
    ledger = filled()
    ledger.pack()
    before = pack_keys(ledger.store)
    for rebuild in (False, True):
        assert ledger.pack(rebuild=rebuild)[:5] == (0, 0, 0, 0, 0)
        assert pack_keys(ledger.store) == before


@law
@given(
    st.lists(st.one_of(st.none(), st.sampled_from(["A-1", "A", "B", "C"])), max_size=25),
    st.booleans(),
)
def test_however_packing_and_appending_alternate_everything_is_packed_once(steps, rebuild):
    ledger = filled(versions=1)
    for number, title in enumerate(steps):
        if title is None:
            ledger.pack()
        else:
            ledger.append(title, {"n": number})
    ledger.pack(rebuild=rebuild)
    assert sorted(packed(ledger.store)) == sorted(chains(ledger))
    assert len(pack_keys(ledger.store)) == 1


@pytest.mark.slow
def test_of_full_packs_only_what_is_new_is_added():
    ledger = filled(titles=[f"T{number}" for number in range(10)], document=LARGE)
    first = ledger.pack()
    assert first.packs == 3
    full = {name for name in pack_names(ledger.store) if name.size > PACK_BYTES // 2}
    ledger.append("T5", {"new": 1})
    second = ledger.pack()
    assert second.entries < first.entries / 2
    assert full <= set(pack_names(ledger.store))
    assert sorted(packed(ledger.store)) == sorted(chains(ledger))


@pytest.mark.slow
def test_a_pack_is_about_two_mebibytes_and_a_long_title_goes_over_several():
    ledger = filled(titles=["A", "B", "C"], versions=20, document=LARGE)
    done = ledger.pack()
    names = list(pack_names(ledger.store))
    assert done.packs == len(names) == 5
    assert all(name.size < PACK_BYTES * 1.1 for name in names)
    assert any(name.first == name.last for name in names)
    assert packed(ledger.store) == chains(ledger)
    assert done.size == sum(name.size for name in names)
    assert done.titles == 3


@pytest.mark.slow
def test_a_title_of_thousands_of_versions():
    ledger = filled(titles=["A"], versions=2_100)
    ledger.pack()
    assert packed(ledger.store) == chains(ledger)


@pytest.mark.slow
def test_few_packs_lie_over_a_title_however_often_one_packs():
    """And small ones don't pile up: every time, they are put together with what is new."""
    titles = [f"T{number}" for number in range(10)]
    ledger = filled(titles=titles, versions=1)
    for _ in range(12):
        for title in titles:
            ledger.append(title, {"text": "x" * 450_000})
        done = ledger.pack()
        names = list(pack_names(ledger.store))
        over = [
            sum(head_key(n.first) <= head_key(t) < head_key(n.last) for n in names) for t in titles
        ]
        assert max(over) <= LAYERS + 1
        assert sum(name.size < PACK_BYTES // 2 for name in names) <= 1
        assert done.entries < 100
    assert sorted(packed(ledger.store)) == sorted(chains(ledger))


def test_a_dangling_entry_and_one_of_an_unfinished_append_are_not_packed():
    ledger = filled(titles=["A"], versions=2)
    other = memory_ledger(MemoryStore())
    for title in ("A", "B"):
        entry = other.append(title, {"lost": "a race"})
        ledger.store.create(entry_key(title, entry.address), entry.data)
    assert ledger.pack().findings == ()
    assert [each.data for each in packed(ledger.store)] == [each.data for each in ledger.log("A")]


# --- what does not verify ------------------------------------------------------------------------


def test_what_does_not_verify_is_left_out_and_the_rest_is_packed():
    def check(scenario):
        world = small_world()
        scenario.change(world)
        ledger = world.open()
        done = ledger.pack()
        for entry in packed(ledger.store):
            Entry.open(
                entry.data,
                keyring=world.keyring,
                ledger=ORIGIN,
                title_number=entry.title_number,
                address=entry.address,
            )
        if ledger.verify(OTHER_TITLE):
            head = ledger.head(OTHER_TITLE)
            assert head.address in {entry.address for entry in packed(ledger.store)}
        assert {finding.severity for finding in done.findings} <= {"tampering", "unchecked"}
        again = ledger.pack()
        assert (again.packs, again.findings) == (0, done.findings)

    for_each(SCENARIOS, check)


def test_packs_that_are_made_of_a_tampered_store_hide_nothing():
    def check(scenario):
        world = small_world()
        scenario.change(world)
        ledger = world.open()
        before = ledger.verify_all()
        ledger.pack()
        after = ledger.verify_all()
        assert (after.findings, after.titles, after.entries) == (
            before.findings,
            before.titles,
            before.entries,
        )

    for_each(SCENARIOS, check)


def test_packs_that_are_older_than_the_tampering_hide_only_what_lies_under_its_own_name():
    """Where one hides something, the report says that it can, and ``fsck`` finds it."""

    def check(scenario):
        world = small_world()
        world.objects |= packs_of_before()
        scenario.change(world)
        ledger = world.open()
        report = ledger.verify_all()
        unpacked = world.open(without(ledger.store, layout.PACKS))
        # The packs hold texts that have been erased since, which is only a warning.
        found = {finding for finding in report.findings if finding.slug != "not-erased"}
        all_there_is = set(unpacked.verify_all().findings)
        if found != all_there_is:
            hidden = all_there_is - found
            assert found < all_there_is
            assert FROM_PACKS in report.not_shown
            assert {finding.slug for finding in hidden} <= UNDER_ITS_OWN_NAME
            assert hidden <= set(ledger.fsck().findings)

    for_each(SCENARIOS, check)


UNDER_ITS_OWN_NAME = {"entry-missing", "address-mismatch", "text-missing", "text-mismatch"}
"""What is told of the object of an entry, whatever a pack has of it."""


def test_below_what_does_not_hold_nothing_is_packed_and_once_mended_everything_is():
    ledger = filled(titles=["A", "B"], versions=4)
    out = io.BytesIO()
    ledger.export(out)
    bundle = out.getvalue()
    second = list(ledger.log("A"))[2]
    store = ledger.store
    damaged = Damaged(store, {entry_key("A", second.address)})
    broken = Ledger.open(damaged, keyring=ledger.keyring)
    done = broken.pack()
    assert [(f.slug, f.object_key) for f in done.findings] == [
        ("entry-missing", entry_key("A", second.address))
    ]
    assert [(e.title_number, len(e.data) > 0) for e in packed(store)] == [("A", True)] * 2 + [
        ("B", True)
    ] * 4
    assert ledger.import_bundle(io.BytesIO(bundle)).moved == 0
    ledger.pack()
    assert sorted(packed(store)) == sorted(chains(ledger))


class Damaged(Wrapper):
    """A store in which some objects can't be found."""

    def __init__(self, inner, gone: set[str]) -> None:
        super().__init__(inner)
        self.gone = gone

    def get(self, key):
        return None if key in self.gone else super().get(key)

    def list(self, prefix="", *, after="", delimiter=""):
        found = super().list(prefix, after=after, delimiter=delimiter)
        return (key for key in found if key not in self.gone)


def test_what_was_taken_out_of_the_store_is_in_no_pack_that_is_made_after_it():
    ledger = filled(titles=["A", "B"], versions=3)
    ledger.pack()
    erased = list(ledger.log("A"))[1]
    gone = Damaged(ledger.store, {entry_key("A", erased.address)})
    done = Ledger.open(gone, keyring=ledger.keyring).pack(rebuild=True)
    assert [finding.slug for finding in done.findings] == ["entry-missing"]
    assert erased.address not in {entry.address for entry in packed(ledger.store)}
    assert len(packed(ledger.store)) == 4


# --- packs that are of no use --------------------------------------------------------------------


@pytest.mark.slow
def test_a_damaged_pack_is_made_anew():
    """A full one and a small one; in its own place, where that is what its content is called."""
    ledger = filled(titles=[f"T{number}" for number in range(9)], versions=2, document=LARGE)
    ledger.pack()
    whole = {key: ledger.store.get(key).data for key in pack_keys(ledger.store)}
    assert len(whole) == 2
    for key, data in whole.items():
        ledger.store.delete(key)
        ledger.store.create(key, data[:-1] + b"x")
        done = ledger.pack()
        assert [(f.severity, f.slug, f.object_key) for f in done.findings] == [
            ("warning", "damaged-pack", key)
        ]
        assert sorted(packed(ledger.store)) == sorted(chains(ledger))
        ledger.pack(rebuild=True)
        assert {key: ledger.store.get(key).data for key in pack_keys(ledger.store)} == whole


def test_another_ledgers_pack_is_replaced():
    ledger = filled()
    name, data = make_pack(OTHER_ORIGIN, chains(ledger))
    ledger.store.create(layout.pack_key(name), data)
    assert [finding.slug for finding in ledger.pack().findings] == ["damaged-pack"]
    assert packed(ledger.store) == chains(ledger)


def test_a_forged_entry_in_a_pack_is_not_taken_over():
    """It has the sha256 that the pack says, and it is not in the chain."""
    ledger = filled(titles=["A"])
    other = filled(MemoryStore(), titles=["A"], versions=5)
    name, data = make_pack(ORIGIN, chains(other))
    ledger.store.create(layout.pack_key(name), data)
    ledger.pack()
    assert packed(ledger.store) == chains(ledger)


def test_a_rebuild_deletes_what_it_replaces():
    ledger = filled(titles=[f"T{number}" for number in range(5)], versions=2, document=LARGE)
    for number in range(5):
        ledger.append(f"T{number}", LARGE)
        ledger.pack()
    before = pack_keys(ledger.store)
    done = ledger.pack(rebuild=True)
    assert packed(ledger.store) == chains(ledger)
    assert done.deleted == len(set(before) - set(pack_keys(ledger.store))) > 0


# --- crashes, and others -------------------------------------------------------------------------


@pytest.mark.parametrize(
    ("after", "rebuild"),
    [
        (False, False),
        (False, True),
        (True, False),
        (True, True),
    ],
)
@pytest.mark.slow
def test_a_packer_that_crashes_anywhere_does_no_harm(after, rebuild):
    titles = [f"T{number}" for number in range(12)]
    for failing in range(4):
        ledger = filled(titles=titles, versions=1, document=LARGE)
        ledger.pack()
        for title in titles:
            ledger.append(title, LARGE)
        before = loose(ledger.store)
        crashing = CrashingStore(ledger.store, failing, after=after)
        crashing.operations = ("create", "delete")
        with suppress(CrashError):
            Ledger.open(crashing, keyring=ledger.keyring).pack(rebuild=rebuild)
        assert loose(ledger.store) == before
        assert {entry.address for entry in packed(ledger.store)} <= {
            entry.address for entry in chains(ledger)
        }
        ledger.pack()
        assert set(packed(ledger.store)) == set(chains(ledger))
        assert ledger.verify_all()


def test_a_store_that_fails_ends_it_and_the_next_one_goes_on():
    ledger = filled()
    for operation in ("list", "get", "create"):
        failing = FailingStore(ledger.store, 0, error=StoreUnavailable, operations=(operation,))
        broken = Ledger.open(ledger.store, keyring=ledger.keyring)
        broken.history.store = failing
        with pytest.raises(StoreUnavailable):
            broken.pack()
    assert pack_keys(ledger.store) == []
    assert ledger.pack().entries == 9


@law
@given(st.data())
def test_two_who_pack_at_once_leave_everything_packed(draw):
    """One runs as a whole while the other is at any one of its calls."""
    ledger = filled(titles=["A", "B", "C"], versions=2)
    ledger.pack()
    ledger.append("B", {"new": 1})
    mine, theirs = draw.draw(st.booleans()), draw.draw(st.booleans())
    moment = draw.draw(st.integers(0, 25))

    class Interrupted(CountingStore):
        def called(self, operation, key):
            super().called(operation, key)
            if len(self.calls) == moment:
                ledger.append("C", {"new": 2})
                ledger.pack(rebuild=theirs)

    Ledger.open(Interrupted(ledger.store), keyring=ledger.keyring).pack(rebuild=mine)
    ledger.pack()
    assert set(packed(ledger.store)) == set(chains(ledger))


# --- stores, and the rest of the house -----------------------------------------------------------


def test_in_a_folder(tmp_path):
    ledger = filled(FolderStore(tmp_path / "store"))
    ledger.pack()
    ledger.append("A", {"new": 1})
    ledger.pack()
    assert packed(ledger.store) == chains(ledger)
    assert len(pack_keys(ledger.store)) == 1


@pytest.mark.slow
def test_in_a_bucket(s3_store):
    ledger = filled(s3_store)
    ledger.pack()
    ledger.append("A", {"new": 1})
    assert ledger.pack().entries == 10
    assert packed(ledger.store) == chains(ledger)
    assert len(pack_keys(ledger.store)) == 1
    assert ledger.verify_all()


def test_where_everything_is_packed_no_entry_is_read():
    counting = CountingStore(MemoryStore())
    ledger = filled(
        counting, titles=[f"T{number}" for number in range(8)], versions=2, document=LARGE
    )
    ledger.pack()
    calls = counting.during(ledger.pack)
    names = [layout.pack_key(name) for name in pack_names(counting) if name.size > PACK_BYTES // 2]
    small = set(pack_keys(counting)) - set(names)
    gets = [key for call, key in calls if call == "get"]
    assert set(names) <= set(gets)
    # The small pack's titles: their heads are read, for what it holds is packed again.
    heads = {
        head_key(entry.title_number)
        for name, entries in packs(counting).items()
        if layout.pack_key(name) in small
        for entry in entries
    }
    assert set(gets) == {*names, *small, *heads}


def test_packs_are_nothing_to_titles_export_import_and_recover():
    ledger = filled()
    before = io.BytesIO()
    ledger.export(before)
    ledger.pack()
    assert list(ledger.titles()) == ["A-1", "A", "B"]
    after = io.BytesIO()
    assert ledger.export(after) == 3
    assert after.getvalue() == before.getvalue()
    copy = Ledger.create(MemoryStore(), origin=ORIGIN, keyring=ledger.keyring)
    copy.import_bundle(io.BytesIO(after.getvalue()))
    assert pack_keys(copy.store) == []
    head = ledger.head("A")
    lost = without(ledger.store, head_key("A"))
    assert Ledger.open(lost, keyring=ledger.keyring).recover("A") == head
    assert pack_keys(lost) == pack_keys(ledger.store)


def test_each_hears_of_every_title():
    ledger = filled()
    ledger.pack()
    ledger.append("B", {"new": 1})
    heard: list[str] = []
    ledger.pack(each=heard.append)
    assert heard == ["A-1", "A", "B"]


def test_no_key_is_needed():
    ledger = filled()
    reader = Ledger.open(
        ledger.store, keyring=ledger.keyring, clock=FixedClock(datetime(2030, 1, 1, tzinfo=UTC))
    )
    assert reader.pack().entries == 9
    stranger = Ledger.open(ledger.store, keyring=keyring_for(signer("bob")))
    done = stranger.pack(rebuild=True)
    assert {finding.slug for finding in done.findings} == {"unknown-key"}
    assert pack_keys(ledger.store) == []


@pytest.mark.slow
def test_titles_with_large_documents_are_packed_in_little_memory(tmp_path):
    ledger = memory_ledger(FolderStore(tmp_path))
    for number in range(100):
        ledger.append(f"TN{number % 4}", {"plan": "x" * 900_000, "n": number})
    tracemalloc.start()
    packed = ledger.pack()
    _, peak = tracemalloc.get_traced_memory()
    tracemalloc.stop()
    assert (packed.titles, packed.entries) == (4, 100)
    assert peak < packed.size // 2
    assert ledger.fsck()
