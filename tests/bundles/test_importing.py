"""Bundles between stores: export, import, and verification where they lie."""

from __future__ import annotations

import io
import json
import subprocess
import tarfile
from datetime import UTC, datetime, timedelta
from typing import TYPE_CHECKING

import pytest

from ledger import Keyring, Ledger, Report, verify_bundle
from ledger.errors import (
    Forked,
    HeadMissing,
    HeadMoved,
    IntegrityError,
    InvalidError,
    LedgerError,
    NotFoundError,
    OriginNotPinned,
    StoreDenied,
    TrustError,
    UnsupportedFormatError,
)
from ledger.format.bundle import BundleReader, Header, pack
from ledger.format.layout import entry_key, head_key
from ledger.offline import bundle_origin
from ledger.stores import FolderStore, MemoryStore
from ledger.testing import ORIGIN, FixedClock, keyring_for, memory_ledger, signer
from tests.tampering import (
    OTHER_ORIGIN,
    SCENARIOS,
    TITLE,
    World,
    address,
    assert_named,
    members,
    objects_of,
    sealed,
    small_world,
    without,
)
from tests.wrappers import CrashError, CrashingStore, Wrapper

if TYPE_CHECKING:
    from ledger import Entry

NOW = FixedClock(datetime(2027, 1, 1, tzinfo=UTC))


def filled(titles=("TN1", "TN2", "TN3"), versions=3, store=None) -> Ledger:
    clock = FixedClock()
    ledger = memory_ledger(store, clock=clock)
    for version in range(versions):
        for title in titles:
            ledger.append(title, {"v": version})
        clock.forward(days=1)
    clock.now = NOW.now
    return ledger


def bundle(ledger: Ledger, titles=None, since=()) -> io.BytesIO:
    out = io.BytesIO()
    ledger.export(out, titles, since=since)
    out.seek(0)
    return out


def check(data: io.BytesIO | bytes, **changes) -> Report:
    source = io.BytesIO(data) if isinstance(data, bytes) else data
    source.seek(0)
    return verify_bundle(source, **({"keyring": keyring_for(signer()), "clock": NOW} | changes))


def addresses(ledger: Ledger) -> dict[str, list[str]]:
    return {title: [e.address for e in ledger.log(title)] for title in ledger.titles()}


def of_objects(objects: list[tuple[str, bytes]]) -> io.BytesIO:
    return io.BytesIO(b"".join(pack(objects)))


def contents(data: io.BytesIO) -> list[tuple[str, bytes]]:
    data.seek(0)
    with tarfile.open(fileobj=data) as archive:
        return [(member.name, archive.extractfile(member).read()) for member in archive]


def again(data: io.BytesIO) -> io.BytesIO:
    """The same bundle, to be read from its start."""
    data.seek(0)
    return data


def assert_named_anywhere(report: Report, slug: str, severity: str = "tampering") -> None:
    assert not report
    assert (severity, slug) in {(f.severity, f.slug) for f in report.findings}, report.findings


# --- there and back ------------------------------------------------------------------------------


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


def test_some_titles_are_exported_in_the_order_of_their_keys_each_once():
    ledger = filled(["A", "A-1", "A0", "B"])
    whole = bundle(ledger)
    assert check(whole).titles == 4
    some = bundle(ledger, ["A0", "A", "A-1", "A"])
    assert some.getvalue() == bundle(ledger, ["A", "A-1", "A0"]).getvalue()
    assert check(some).titles == 3
    out = io.BytesIO()
    assert ledger.export(out, ["A"]) == 1


def test_a_bundle_has_the_same_bytes_from_every_store(tmp_path):
    ledger = filled(["A", "A-1", "A_1", "A0"])
    other = memory_ledger(FolderStore(tmp_path), clock=NOW)
    other.import_bundle(bundle(ledger))
    assert bundle(other).getvalue() == bundle(ledger).getvalue()


def test_an_empty_ledger_has_a_bundle():
    empty = bundle(memory_ledger())
    assert check(empty)
    assert check(empty).titles == 0
    assert filled().import_bundle(again(empty)).moved == 0


def test_a_title_that_is_not_there_is_not_exported():
    with pytest.raises(NotFoundError, match="no such title: TN404"):
        bundle(filled(), ["TN404"])
    with pytest.raises(InvalidError):
        bundle(filled(), ["../TN1"])


def test_a_first_append_that_was_cut_off_does_not_hinder_the_backup_of_all():
    ledger = filled()
    objects = objects_of(ledger.store)
    first = memory_ledger(clock=NOW).append("TN2", {"v": 0})
    whole = {k: v for k, v in objects.items() if "TN2" not in k}
    store = MemoryStore()
    store.create_many((whole | {entry_key("TN2", first.address): first.data}).items())
    unfinished = Ledger.open(store, keyring=ledger.keyring, clock=NOW)
    assert list(unfinished.titles()) == ["TN1", "TN2", "TN3"]
    assert check(bundle(unfinished)).titles == 2
    with pytest.raises(NotFoundError):
        bundle(unfinished, ["TN2"])


def test_a_title_that_lost_its_head_is_not_left_out_of_the_backup_of_all_without_a_word():
    ledger = filled()
    objects = objects_of(ledger.store)
    del objects["TN2/head.json"]
    store = MemoryStore()
    store.create_many(objects.items())
    with pytest.raises(HeadMissing, match="TN2 has entries"):
        bundle(Ledger.open(store, keyring=ledger.keyring, clock=NOW))


def test_the_real_tar_makes_a_folder_store_of_it(tmp_path):
    ledger = filled()
    (tmp_path / "b.tar").write_bytes(bundle(ledger).getvalue())
    (tmp_path / "store").mkdir()
    subprocess.run(
        ["tar", "xf", tmp_path / "b.tar", "-C", tmp_path / "store"], check=True, timeout=60
    )
    opened = Ledger.open(
        str(tmp_path / "store"), keyring=ledger.keyring, signer=signer(), clock=NOW
    )
    assert addresses(opened) == addresses(ledger)
    assert opened.verify_all()
    assert opened.append("TN1", {}).version == 4
    assert [f.object_key for f in opened.fsck().findings] == ["bundle.json"]
    for path in (tmp_path / "store" / "TN1").glob("????*.json"):
        if path.name != "head.json":
            digest = subprocess.check_output(["sha256sum", path], text=True, timeout=60).split()[0]
            assert path.name == f"{digest}.json"


def test_what_does_not_hold_together_is_not_exported():
    world = small_world()
    world.objects[world.key_of(1)] += b"\n"
    with pytest.raises(IntegrityError) as caught:
        bundle(world.open())
    assert caught.value.object_key == world.key_of(1)


# --- origins -------------------------------------------------------------------------------------


def test_a_bundle_of_another_ledger_is_refused():
    other = memory_ledger(origin=OTHER_ORIGIN)
    other.append("TN1", {})
    keyring = keyring_for(signer()).trust(OTHER_ORIGIN, signer().public_key)
    ledger = Ledger.create(MemoryStore(), origin=ORIGIN, keyring=keyring, signer=signer())
    before = objects_of(ledger.store)
    with pytest.raises(TrustError, match=r"the bundle is of the ledger example\.org/other, not of"):
        ledger.import_bundle(bundle(other))
    assert objects_of(ledger.store) == before
    with pytest.raises(TrustError):
        bundle(ledger, since=[bundle(other)])
    with pytest.raises(TrustError):
        check(bundle(other), origin=ORIGIN, keyring=keyring)
    assert check(bundle(other), keyring=keyring)


def test_a_bundle_of_an_origin_that_is_not_pinned_is_not_verified():
    with pytest.raises(
        OriginNotPinned, match=r"the bundle says it is the ledger example\.org/titles"
    ):
        check(bundle(filled()), keyring=Keyring())


def test_what_a_bundle_says_its_origin_is_can_be_read_before_a_store_is_made():
    data = bundle(filled())
    assert bundle_origin(data) == ORIGIN
    assert data.tell() == 0


def test_an_origin_that_the_two_headers_give_differently_is_refused():
    objects = contents(bundle(filled()))
    objects[0] = (objects[0][0], Header(OTHER_ORIGIN, complete=True).encode())
    report = check(of_objects(objects))
    assert_named_anywhere(report, "malformed-bundle")
    with pytest.raises(IntegrityError, match="name different origins"):
        filled().import_bundle(of_objects(objects))


# --- verification --------------------------------------------------------------------------------


def test_a_bundle_is_verified_where_it_lies():
    report = check(bundle(filled()))
    assert report
    assert (report.titles, report.entries, report.findings) == (3, 9, ())
    assert report.not_shown == (
        "that the bundle holds every title, and all there is of them by now",
    )


@pytest.mark.parametrize("version", [1, 2, 3])
def test_a_pin_may_be_in_any_chain_of_the_bundle(version):
    ledger = filled()
    pin = ledger.entry("TN2", f"v{version}").address
    assert check(bundle(ledger), expect=pin)
    assert_named_anywhere(check(bundle(ledger, ["TN1"]), expect=pin), "pin-missing")


@pytest.mark.parametrize("step", [11, pytest.param(1, marks=pytest.mark.slow)])
def test_every_changed_cut_or_added_byte_of_a_bundle_is_refused(step):
    clock = FixedClock()
    ledger = memory_ledger(clock=clock)
    ledger.append("TN1", {"a": 1})
    ledger.append("TN1", {"a": 2})
    data = bundle(ledger).getvalue()
    target = memory_ledger(clock=clock)
    before = objects_of(target.store)
    refused = 0
    for position in range(0, len(data), step):
        changed = data[:position] + bytes([data[position] ^ 0x01]) + data[position + 1 :]
        cases = [changed, data[:position]]
        if position % 8 == 0:
            flipped = bytes([data[position] ^ 0x20])
            cases += [data[:position] + b" " + data[position:]]
            cases += [data[:position] + flipped + data[position + 1 :]]
        for case in cases:
            assert not _held(case), position
            refused += 1
        if position % 16 == 0:
            with pytest.raises(LedgerError):
                target.import_bundle(io.BytesIO(changed))
    assert objects_of(target.store) == before
    assert refused > 2 * len(data) // step
    assert check(data)


def _held(data: bytes) -> bool:
    try:
        return bool(check(data))
    except LedgerError:
        return False


def bundled(world: World) -> io.BytesIO:
    """A bundle of the world's title, put together without any check."""
    objects = [("bundle.json", Header(ORIGIN, complete=True).encode())]
    objects.append(("ledger.json", world.objects["ledger.json"]))
    head = world.objects.get(f"{TITLE}/head.json")
    if head is None:
        return of_objects(objects)
    objects.append((f"{TITLE}/head.json", head))
    parent = address(head)
    while parent:
        key = entry_key(TITLE, parent)
        if key not in world.objects:
            break
        objects.append((key, world.objects[key]))
        try:
            parent = json.loads(world.objects[key])["entry"]["parent"]
        except (ValueError, TypeError, KeyError):
            break
        if not isinstance(parent, str) or len(parent) != 64:
            break
    return of_objects(objects)


@pytest.mark.parametrize("scenario", SCENARIOS, ids=lambda scenario: scenario.name)
def test_tampering_inside_a_bundle_is_found_and_named(scenario):
    if scenario.slug in {"head-missing", "entry-missing", "address-mismatch"}:
        pytest.skip("a matter of names in a store")
    world = small_world()
    named = scenario.change(world)
    if scenario.name == "the_object_is_empty" or b"x" * 1000 in world.objects[named]:
        pytest.skip("not even a member of a bundle")
    report = check(bundled(world), keyring=world.keyring, expect=world.pin)
    if scenario.needs_pin:
        assert_named_anywhere(report, "pin-missing")
    else:
        assert_named(report, scenario.slug, named)
    if not scenario.needs_pin:
        target = Ledger.create(
            MemoryStore(),
            origin=ORIGIN,
            keyring=world.keyring.trust(ORIGIN, signer("z").public_key),
        )
        before = objects_of(target.store)
        with pytest.raises((IntegrityError, TrustError)) as caught:
            target.import_bundle(bundled(world))
        assert caught.value.reason == scenario.slug
        assert objects_of(target.store) == before


def test_an_entry_of_a_kind_to_come_is_unchecked_and_not_imported():
    world = small_world()
    later = world.rewrite(2, kind="redaction")
    data = bundled(world)
    assert_named(check(data), "unsupported-kind", later, severity="unchecked")
    with pytest.raises(UnsupportedFormatError, match="redaction"):
        memory_ledger().import_bundle(bundled(world))


def test_a_time_in_the_future_does_not_hinder_an_import():
    ledger = filled()
    early = FixedClock()
    early.now -= timedelta(days=100)
    report = check(bundle(ledger), clock=early)
    assert report
    assert {f.slug for f in report.findings} == {"time-in-future"}
    memory_ledger(clock=early).import_bundle(bundle(ledger))


def test_entries_after_the_root_are_refused():
    """A bundle holds nothing that no chain leads through."""
    ledger = filled(["TN1"])
    objects = contents(bundle(ledger))
    extra = sealed(signer(), members(ledger.head("TN1"), message="extra"))
    objects.append((entry_key("TN1", address(extra)), extra))
    assert_named_anywhere(check(of_objects(objects)), "malformed-bundle")
    with pytest.raises(IntegrityError):
        memory_ledger(clock=NOW).import_bundle(of_objects(objects))


# --- forks ---------------------------------------------------------------------------------------


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


# --- incremental bundles -------------------------------------------------------------------------


def test_since_an_earlier_bundle_only_what_came_after_it_is_written():
    ledger = filled()
    full = bundle(ledger)
    newest = ledger.append("TN2", {"v": "later"})
    ledger.append("TN4", {})
    later = bundle(ledger, since=[full])
    keys = [key for key, _ in contents(later)]
    assert keys[:4] == [
        "bundle.json",
        "ledger.json",
        "TN2/head.json",
        entry_key("TN2", newest.address),
    ]
    assert keys[4] == "TN4/head.json"
    assert len(keys) == 6
    assert len(later.getvalue()) < len(full.getvalue())
    copy = memory_ledger(clock=NOW)
    copy.import_bundle(again(full))
    done = copy.import_bundle(again(later))
    assert (done.moved, done.unchanged) == (2, 0)
    assert addresses(copy) == addresses(ledger)
    assert copy.fsck().findings == ()


def test_what_lies_below_an_incremental_bundle_is_unchecked():
    ledger = filled()
    full = bundle(ledger)
    ledger.append("TN2", {"v": "later"})
    ledger.append("TN4", {})
    report = check(bundle(ledger, since=[full]))
    assert report.outcome == "unchecked"
    assert [(f.severity, f.slug, f.object_key) for f in report.findings] == [
        ("unchecked", "not-in-bundle", entry_key("TN2", ledger.entry("TN2", "v3").address))
    ]
    assert report.entries == 2


def test_a_pin_below_an_incremental_bundle_is_unchecked_not_tampering():
    ledger = filled()
    full = bundle(ledger)
    newest = ledger.append("TN2", {"v": "later"})
    later = bundle(ledger, since=[full])
    for revision in ("v1", "v3"):
        pin = ledger.entry("TN2", revision).address
        assert check(later, expect=pin).outcome == "unchecked"
    pinned = check(later, expect=newest.address)
    assert {f.slug for f in pinned.findings} == {"not-in-bundle"}


def test_several_earlier_bundles_make_a_chain_of_backups():
    ledger = filled()
    backups = [bundle(ledger)]
    for day in range(3):
        ledger.append("TN1", {"day": day})
        ledger.append(f"DAY{day}", {})
        backups.append(bundle(ledger, since=[again(backup) for backup in backups]))
    assert len(contents(backups[-1])) == 6
    copy = memory_ledger(clock=NOW)
    for backup in backups:
        copy.import_bundle(again(backup))
    assert addresses(copy) == addresses(ledger)
    assert copy.verify_all()


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


def test_nothing_new_makes_a_bundle_without_titles():
    ledger = filled()
    nothing = bundle(ledger, since=[bundle(ledger)])
    assert [key for key, _ in contents(nothing)] == ["bundle.json", "ledger.json"]
    assert check(nothing)
    assert ledger.import_bundle(again(nothing)).moved == 0


def test_a_store_that_was_set_back_is_found_when_the_next_backup_is_made():
    ledger = filled()
    full = bundle(ledger)
    back = ledger.entry("TN1", "v2")
    blob = ledger.store.get("TN1/head.json")
    ledger.store.replace("TN1/head.json", back.data, blob.version)
    with pytest.raises(Forked, match="which is not in its chain now"):
        bundle(ledger, since=[full])


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


# --- what an import mends, and what it leaves ----------------------------------------------------


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
            assert failing == 2 * 5  # the entries; the newest again, and its marker; the head
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
                assert f"_pending/TN1.3-{head.address}" in objects_of(self.inner)
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


def test_a_title_that_an_earlier_bundle_has_and_the_store_lists_no_more_is_named():
    whole = memory_ledger()
    for title_number in ("TN1", "TN2"):
        whole.append(title_number, {"a": 1})
    earlier = io.BytesIO()
    whole.export(earlier)
    ledger = memory_ledger(without(whole.store, "TN2/"))
    earlier.seek(0)
    with pytest.raises(IntegrityError, match="TN2 is in the earlier bundle") as caught:
        ledger.export(io.BytesIO(), since=[earlier])
    assert caught.value.reason == "head-missing"
    earlier.seek(0)
    assert ledger.export(io.BytesIO(), ["TN1"], since=[earlier]) == 0  # TN2 was not asked for
