"""Trust files in bundles: whose keys count, and where bundles show entries to be in the log."""

from __future__ import annotations

import io
import random
from dataclasses import replace
from typing import TYPE_CHECKING

import pytest

from ledger import Ledger, NotFoundError, NotStanding, TrustError, accept, verify_bundle
from ledger.errors import IntegrityError, LedgerError, NotProven
from ledger.format.keyring import Keyring
from ledger.format.layout import entry_key
from ledger.offline import audit_bundle, bundle_trust
from ledger.stores import MemoryStore
from ledger.testing import ORIGIN
from ledger.titles.trust_files import trust_objects
from tests.bundles.bundles import contents, of_objects
from tests.laws import examples
from tests.tampering import objects_of
from tests.trust.people import ADA, listed, log_key, root_of, signed
from tests.trust.registry import ALICE, ALICE_ID, BOB, CAROL, ERIN, Registry, retire, rob, settle
from tests.trust.world import SEALER, slugs
from tests.wrappers import Operation, Wrapper

if TYPE_CHECKING:
    from pathlib import Path

    from ledger import Keyring as AnyKeyring
    from ledger import Report


@pytest.fixture
def registry(tmp_path: Path) -> Registry:
    return Registry(MemoryStore(), tmp_path)


@pytest.fixture
def retired(registry: Registry) -> Registry:
    retire(registry)
    return registry


@pytest.fixture
def robbed(registry: Registry) -> Registry:
    rob(registry)
    return registry


def bundle(registry: Registry, *titles: str, ledger: Ledger | None = None) -> io.BytesIO:
    out = io.BytesIO()
    (ledger or registry.ledger(None)).export(out, titles or None)
    return io.BytesIO(out.getvalue())


def verify(registry: Registry, source: io.BytesIO, keyring: AnyKeyring | None = None) -> Report:
    source.seek(0)
    return verify_bundle(source, keyring=keyring or registry.keyring, clock=registry.clock)


def verdict(report: Report) -> tuple[str, list[tuple[str, str]]]:
    """What a report says, and of which objects, in any order."""
    return report.outcome, sorted((each.slug, each.object_key) for each in report.findings)


def names(source: io.BytesIO) -> list[str]:
    return [name for name, _ in contents(source)]


def changed(source: io.BytesIO, key: str, data: bytes | None) -> io.BytesIO:
    """The bundle with another member in the place of one, or without it."""
    return of_objects(
        [
            (name, old if name != key else data)
            for name, old in contents(source)
            if name != key or data is not None
        ]
    )


def bring(registry: Registry, source: io.BytesIO, store: MemoryStore) -> Ledger:
    source.seek(0)
    ledger = Ledger.for_import(store, origin=ORIGIN, keyring=registry.keyring)
    ledger.import_bundle(source)
    return ledger


# -- What is in a bundle ---------------------------------------------------------------------------


def test_a_bundle_has_the_trust_files_and_verifies_from_every_root(retired: Registry) -> None:
    source = bundle(retired)
    assert names(source)[:4] == ["bundle.json", "ledger.json", "_trust/1.json", "_trust/2.json"]
    assert not [name for name in names(source) if name.endswith(".receipt")]
    for root in retired.files:
        keyring = Keyring(roots=[root_of(root)])
        assert verdict(verify(retired, source, keyring)) == ("verified", [])
        source.seek(0)
        assert audit_bundle(source, keyring=keyring, clock=retired.clock)


def test_without_a_root_trust_files_are_ignored_and_named(retired: Registry) -> None:
    report = verify(retired, bundle(retired), retired._before)
    assert report.outcome == "verified"
    assert any("ledger trust pin" in said for said in report.not_shown)


def test_single_titles_have_one_receipt_for_each_key_that_ended(retired: Registry) -> None:
    source = bundle(retired, "TN1", "TN2")
    third = retired.ledger().entry("TN1", "v3")
    assert [name for name in names(source) if name.endswith(".receipt")] == [
        f"TN1/{third.address}.receipt"
    ]
    assert verdict(verify(retired, source)) == ("verified", [])


def test_a_head_by_a_key_that_ended_has_its_receipt_in_time(registry: Registry) -> None:
    registry.write("TN1", ALICE)
    registry.seal()
    registry.publish(keys=registry.without("alice"))
    registry.seal()
    assert verdict(verify(registry, bundle(registry, "TN1"))) == ("verified", [])


def test_without_its_receipt_nobody_can_tell(retired: Registry) -> None:
    source = bundle(retired, "TN1")
    receipt = next(name for name in names(source) if name.endswith(".receipt"))
    for damaged in (None, b"", b"c2sp.org/tlog-proof@v1\n", dict(contents(source))[receipt][:-9]):
        report = verify(retired, changed(source, receipt, damaged))
        assert (report.outcome, set(slugs(report))) == ("unchecked", {"position-unknown"})
        assert any("receipts" in said for said in report.not_shown)


def test_a_receipt_must_be_behind_its_entry(retired: Registry) -> None:
    members = contents(bundle(retired, "TN1"))
    receipt = next(each for each in members if each[0].endswith(".receipt"))
    rest = [each for each in members if each != receipt]
    for at in (2, 5, len(rest)):
        report = verify(retired, of_objects([*rest[:at], receipt, *rest[at:]]))
        assert report.outcome != "verified"


# -- After a theft ---------------------------------------------------------------------------------


def test_a_bundle_gives_the_verdict_of_the_store(robbed: Registry) -> None:
    for step in ("before", "after"):
        if step == "after":
            settle(robbed)
        source = bundle(robbed)
        assert verdict(verify(robbed, source)) == verdict(robbed.audit())
    assert robbed.audit().outcome == "verified"


@pytest.mark.parametrize(
    "seed", [0, 1, *(pytest.param(seed, marks=pytest.mark.slow) for seed in range(2, 8))]
)
def test_a_bundle_gives_the_verdict_of_the_store_whatever_happened(
    seed: int, registry: Registry
) -> None:
    dice = random.Random(seed)
    titles = ["TN1", "TN2", "TN3"]
    good = registry.size()
    keys = [ALICE, BOB]
    for _ in range(12):
        match dice.randrange(5):
            case 0 | 1 | 2:
                registry.write(dice.choice(titles), dice.choice(keys))
            case 3:
                registry.seal()
            case 4 if dice.random() < 0.3:
                good = registry.size()
    registry.seal()
    registry.revoke(ALICE, min(good, registry.size()))
    registry.seal()
    for _ in range(2):
        source = bundle(registry)
        assert verdict(verify(registry, source)) == verdict(registry.audit()), seed
        for title in registry.ledger().titles():
            single = verify(registry, bundle(registry, title))
            # A bundle of single titles never says more than the log does.
            assert single.outcome in {registry.verify(title).outcome, "unchecked"}
        fallen, _ = registry.ledger().fallen(ALICE_ID)
        for title in {each.entry.title_number for each in fallen}:
            which = [each.entry.version for each in fallen if each.entry.title_number == title]
            cut = dice.randrange(len(which) + 1)
            registry.ledger().settle(title, voids=which[:cut], confirms=which[cut:])
        registry.seal()


def test_a_single_title_with_a_void_entry_is_unchecked_and_says_why(robbed: Registry) -> None:
    settle(robbed)
    report = verify(robbed, bundle(robbed, "TN1"))
    assert (report.outcome, slugs(report)) == ("unchecked", ["position-unknown"])
    assert any("all leaves of the log" in said for said in report.not_shown)


def test_a_single_title_with_a_confirmed_entry_verifies(robbed: Registry) -> None:
    settle(robbed)
    assert verdict(verify(robbed, bundle(robbed, "TN2"))) == ("verified", [])


def test_an_older_bundle_is_judged_by_newer_trust_files(robbed: Registry, tmp_path: Path) -> None:
    """Trust files at hand say what ended since; the bundle's own log is older than they are."""
    old = bundle(robbed, ledger=robbed.stolen(None))
    robbed.publish(keys=robbed.without("erin"))
    files = dict(enumerate(trust_objects(robbed.store), 1))
    robbed.seal()
    robbed.publish(keys=robbed.with_registrar("carol"))
    files = dict(enumerate(trust_objects(robbed.store), 1))
    report = verify(robbed, old, accept(robbed.keyring, files, origin=ORIGIN))
    assert report.outcome == "unchecked"
    assert {"log-behind-pin", "position-unknown"} <= set(slugs(report))


# -- Damage ----------------------------------------------------------------------------------------


def test_a_bundle_without_the_root_can_not_be_judged(retired: Registry) -> None:
    source = bundle(retired)
    for version in (2, 1):
        source = changed(source, f"_trust/{version}.json", None)
    report = verify(retired, source)
    assert (report.outcome, slugs(report)) == ("unchecked", ["trust-missing"])
    with pytest.raises(NotProven, match="not at hand"):
        bring(retired, source, MemoryStore())


def test_a_trust_file_that_was_taken_away_is_missed_by_the_log(retired: Registry) -> None:
    report = verify(retired, changed(bundle(retired), "_trust/2.json", None))
    assert (report.outcome, slugs(report)) == ("tampered", ["trust-missing"])


def test_another_trust_file_is_refused(retired: Registry) -> None:
    source = bundle(retired)
    forged = signed(replace(retired.files[1], keys=retired.files[0].keys), ADA).encode()
    for key, data in (
        ("_trust/1.json", forged),
        ("_trust/1.json", b"{}"),
        ("_trust/2.json", forged),
        ("_trust/2.json", b"junk"),
    ):
        report = verify(retired, changed(source, key, data))
        assert report.outcome == "tampered"
        assert "trust-not-accepted" in slugs(report)
        with pytest.raises((TrustError, IntegrityError)):
            bring(retired, changed(source, key, data), MemoryStore())


def test_members_out_of_place_are_refused(retired: Registry) -> None:
    members = contents(bundle(retired))
    first, second = members[2:4]
    for found in (
        [*members[:2], second, first, *members[4:]],
        [*members[:2], second, *members[4:]],
        [*members[:2], *members[4:6], first, second, *members[6:]],
        [*members[:4], second, *members[4:]],
        [*members, first],
    ):
        assert verify(retired, of_objects(found)).outcome != "verified"


@pytest.mark.parametrize("which", ["all", "TN1"])
def test_no_damage_is_a_traceback(which: str, robbed: Registry) -> None:
    settle(robbed)
    data = bundle(robbed, *([] if which == "all" else [which])).getvalue()
    dice = random.Random(which)
    sound = verdict(verify(robbed, io.BytesIO(data)))
    for _ in range(examples(60)):
        at = dice.randrange(min(len(data), 60_000))
        damaged = io.BytesIO(
            data[:at] + bytes([data[at] ^ (1 << dice.randrange(8))]) + data[at + 1 :]
        )
        try:
            found = verify(robbed, damaged)
        except LedgerError:
            pass
        else:
            assert found.outcome != "verified" or verdict(found) == sound
        with pytest.raises(LedgerError):
            bring(robbed, damaged, MemoryStore())


# -- Into a store ----------------------------------------------------------------------------------


def test_a_restored_ledger_has_its_trust_files_and_verdict(robbed: Registry) -> None:
    settle(robbed)
    source = bundle(robbed)
    store = MemoryStore()
    ledger = bring(robbed, source, store)
    assert list(trust_objects(store)) == list(trust_objects(robbed.store))
    assert bundle(robbed, ledger=ledger).getvalue() == source.getvalue()
    robbed.store = store
    assert robbed.audit().outcome == "verified"


def test_a_mirror_imports_the_settlement(robbed: Registry) -> None:
    mirror = MemoryStore()
    ledger = Ledger.create(mirror, origin=ORIGIN, keyring=robbed._before)
    ledger.import_bundle(bundle(robbed, ledger=robbed.stolen(None)))  # as on the evening before
    bring(robbed, bundle(robbed), mirror)  # the trust file alone: all heads are there already
    settle(robbed)
    bring(robbed, bundle(robbed), mirror)
    robbed.store = mirror
    assert robbed.audit().outcome == "verified"


def test_a_head_that_does_not_stand_is_not_imported(robbed: Registry) -> None:
    with pytest.raises(NotStanding, match="before its key"):
        bring(robbed, bundle(robbed), MemoryStore())


def test_a_head_of_which_nobody_can_tell_is_not_imported(robbed: Registry) -> None:
    with pytest.raises(NotProven, match="where TN1 version 2 is in the log") as raised:
        bring(robbed, bundle(robbed, "TN1"), MemoryStore())
    assert raised.value.exit_code == 3


def test_another_trust_file_in_the_store_is_refused(retired: Registry) -> None:
    store = MemoryStore()
    source = bundle(retired)
    bring(retired, source, store)
    objects = objects_of(store)
    objects["_trust/2.json"] = b"junk"
    store = MemoryStore()
    store.create_many(list(objects.items()))
    with pytest.raises(TrustError, match="two different files"):
        bring(retired, source, store)
    assert objects_of(store) == objects


def test_without_a_root_trust_files_are_left_out(retired: Registry) -> None:
    store = MemoryStore()
    ledger = Ledger.create(store, origin=ORIGIN, keyring=retired._before)
    assert ledger.import_bundle(bundle(retired)).trust_left_out
    assert not list(trust_objects(store))


def test_an_older_bundle_imports_into_a_store_that_is_ahead(robbed: Registry) -> None:
    old = bundle(robbed)
    settle(robbed)
    robbed.publish(keys=robbed.with_registrar("carol"))
    robbed.seal()
    before = objects_of(robbed.store)
    bring(robbed, old, robbed.store)
    assert objects_of(robbed.store) == before


def test_an_erasure_by_an_entry_that_may_not_erase_is_not_carried_out(registry: Registry) -> None:
    registry.write("TN1", BOB)
    registry.seal()
    good = registry.size()
    mirror = MemoryStore()
    bring(registry, bundle(registry), mirror)
    first = registry.ledger().entry("TN1", "v1")
    registry.plant("TN1", ERIN, erases=(1,), reference="a forged order")
    registry.write("TN1", BOB)
    registry.seal()
    registry.revoke(ERIN, good, CAROL)
    registry.ledger().settle("TN1", voids=[2])
    registry.seal()
    bring(registry, bundle(registry), mirror)
    assert mirror.get(entry_key("TN1", first.address)).data == first.data  # type: ignore[union-attr]


def test_an_old_bundle_is_stripped_by_what_the_store_knows_now(registry: Registry) -> None:
    registry.write("TN1", ALICE)
    registry.write("TN2", ALICE)
    registry.seal()
    old = bundle(registry, "TN1", "TN2")
    registry.publish(keys=listed(*registry.without("alice")))
    registry.seal()
    registry.ledger(ERIN).erase("TN1", [1], reference="order 7", message="as ordered")
    registry.seal()
    registry.ledger(ERIN).finish_erasure("TN1")
    out = io.BytesIO()
    assert registry.ledger(None).strip_bundle(old, out) == 1
    assert "_trust/2.json" in names(out)
    assert verify(registry, out).outcome != "tampered"


def test_the_logs_key_is_the_one_of_the_trust_files(retired: Registry) -> None:
    """A bundle with a log whose checkpoint is signed by a key with an end shows no position."""
    old = bundle(retired)
    new = log_key(CAROL.public_key)
    retired.publish(keys=listed(*retired.keys, new))
    retired.seal([SEALER, CAROL])
    retired.publish(
        keys=listed(*(each for each in retired.keys if each.key_id != SEALER.public_key.key_id))
    )
    files = dict(enumerate(trust_objects(retired.store), 1))
    report = verify(retired, old, accept(retired.keyring, files, origin=ORIGIN))
    assert report.outcome == "unchecked"
    old.seek(0)
    assert list(bundle_trust(old)) == [1, 2]


def test_audit_asks_for_the_log(retired: Registry) -> None:
    with pytest.raises(NotFoundError, match="carries no log"):
        audit_bundle(bundle(retired, "TN1"), keyring=retired.keyring)


def test_a_gap_in_the_trust_files_is_not_exported(retired: Registry) -> None:
    objects = objects_of(retired.store)
    del objects["_trust/1.json"]
    store = MemoryStore()
    store.create_many(list(objects.items()))
    ledger = Ledger.open(store, keyring=Keyring(roots=[root_of(retired.files[1])]))
    with pytest.raises(IntegrityError, match=r"_trust/1\.json: missing"):
        bundle(retired, ledger=ledger)


def test_a_trust_file_that_comes_meanwhile_is_in_the_bundle(retired: Registry) -> None:
    """It was not there when the files were read, and is when the reader follows them."""
    objects = objects_of(retired.store)
    key = "_trust/2.json"
    late = objects.pop(key)
    seen = 0

    class Growing(Wrapper):
        def called(self, operation: Operation, asked: str) -> None:
            nonlocal seen
            seen += (operation, asked) == ("get", key)
            if seen == 2:
                self.inner.create(key, late)

    store = MemoryStore()
    store.create_many(list(objects.items()))
    ledger = Ledger.open(Growing(store), keyring=Keyring(roots=[root_of(retired.files[0])]))
    seen = 0
    source = bundle(retired, "TN1", ledger=ledger)
    assert names(source)[:4] == ["bundle.json", "ledger.json", "_trust/1.json", key]
    assert verdict(verify(retired, source)) == ("verified", [])


def test_a_file_that_is_no_trust_file_by_its_size_ends_them(retired: Registry) -> None:
    retired.store.create("_trust/3.json", bytes((4 << 20) + 1))
    assert verdict(verify(retired, bundle(retired))) == ("verified", [])
