"""A bundle is verified where it lies: its origin, its chains, each of its bytes."""

from __future__ import annotations

import io
from datetime import timedelta

import pytest

from ledger import Keyring, Ledger
from ledger.errors import (
    IntegrityError,
    LedgerError,
    OriginNotPinned,
    TrustError,
    UnsupportedFormatError,
)
from ledger.format.bundle import Header
from ledger.format.layout import entry_key
from ledger.offline import bundle_origin
from ledger.stores import MemoryStore
from ledger.testing import ORIGIN, FixedClock, keyring_for, memory_ledger, signer
from tests.bundles.bundles import (
    NOW,
    assert_named_anywhere,
    bundle,
    bundled,
    check,
    contents,
    filled,
    of_objects,
)
from tests.tampering import (
    OTHER_ORIGIN,
    SCENARIOS,
    address,
    assert_named,
    for_each,
    members,
    objects_of,
    signed,
    small_world,
)


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


def test_a_bundle_is_verified_where_it_lies():
    report = check(bundle(filled()))
    assert report
    assert (report.titles, report.entries, report.findings) == (3, 9, ())
    assert report.not_shown == (
        "whether the bundle has every title, and all that there is of them by now",
    )


@pytest.mark.parametrize("version", [1, 2, 3])
def test_a_pin_may_be_in_any_chain_of_the_bundle(version):
    ledger = filled()
    pin = ledger.entry("TN2", f"v{version}").address
    assert check(bundle(ledger), expect=pin)
    assert_named_anywhere(check(bundle(ledger, ["TN1"]), expect=pin), "pin-missing")


@pytest.mark.parametrize("step", [61, pytest.param(1, marks=pytest.mark.slow)])
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
        cases = [changed]
        if position % 8 == 0:
            flipped = bytes([data[position] ^ 0x20])
            cases += [data[:position], data[:position] + b" " + data[position:]]
            cases += [data[:position] + flipped + data[position + 1 :]]
        for case in cases:
            assert not _held(case), position
            refused += 1
        if position % 16 == 0:
            with pytest.raises(LedgerError):
                target.import_bundle(io.BytesIO(changed))
    assert objects_of(target.store) == before
    assert refused > len(data) // step
    assert check(data)


def _held(data: bytes) -> bool:
    try:
        return bool(check(data))
    except LedgerError:
        return False


def test_tampering_inside_a_bundle_is_found_and_named():
    checked = []

    def check_it(scenario):
        world = small_world()
        named = scenario.change(world)
        if scenario.name == "the_object_is_empty" or b"x" * 1000 in world.objects[named]:
            return  # not even a member of a bundle
        checked.append(scenario)
        report = check(bundled(world), keyring=world.keyring, expect=world.pin)
        if scenario.needs_pin:
            assert_named_anywhere(report, "pin-missing")
        else:
            assert_named(report, scenario.slug, named, scenario.severity)
        if not scenario.needs_pin and scenario.slug != "needs-trust":
            target = Ledger.create(
                MemoryStore(),
                origin=ORIGIN,
                keyring=world.keyring.trust(ORIGIN, signer("z").public_key),
            )
            before = objects_of(target.store)
            with pytest.raises((IntegrityError, TrustError, UnsupportedFormatError)) as caught:
                target.import_bundle(bundled(world))
            assert caught.value.reason == scenario.slug
            assert objects_of(target.store) == before

    names = {"head-missing", "entry-missing", "address-mismatch"}  # a matter of names in a store
    for_each((each for each in SCENARIOS if each.slug not in names), check_it)
    assert len(checked) > 100


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
    extra = signed(signer(), members(ledger.head("TN1"), message="extra"))
    objects.append((entry_key("TN1", address(extra)), extra))
    assert_named_anywhere(check(of_objects(objects)), "malformed-bundle")
    with pytest.raises(IntegrityError):
        memory_ledger(clock=NOW).import_bundle(of_objects(objects))


def test_an_entry_that_comes_twice_is_judged_each_time():
    """Whoever unpacks the bundle has the last one, and others may have the first."""
    ledger = filled(["TN1"])
    objects = contents(bundle(ledger))
    key, root = objects[-1]
    own = ledger.entry("TN1", "v1").address
    # It leads to itself, where the true one follows.
    bad = root.replace(b'"parent":null', b'"parent":"%s"' % own.encode())
    objects.insert(-1, (key, bad))
    assert_named_anywhere(check(of_objects(objects)), "address-mismatch")


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
