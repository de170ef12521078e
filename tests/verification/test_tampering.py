"""Verification: every way to tamper is found, and named; what can't be checked is neither."""

from __future__ import annotations

from datetime import timedelta

import pytest

from ledger import Keyring, Ledger, Report
from ledger.errors import (
    IntegrityError,
    LedgerError,
    NotFoundError,
    OriginNotPinned,
    StoreDenied,
    StoreUnavailable,
    TrustError,
    UnsupportedFormatError,
)
from ledger.format.chain import NO_PIN
from ledger.format.layout import PACKS, PENDING, entry_key, head_key, pending_key
from ledger.packs.reader import FROM_PACKS
from ledger.stores import FolderStore, MemoryStore
from ledger.testing import ORIGIN, keyring_for, signer
from ledger.titles.history import History
from ledger.verification.fsck import fsck as check_store
from ledger.verification.walk import FROM_A_LISTING
from tests.tampering import (
    HEAD,
    OTHER_ORIGIN,
    OTHER_TITLE,
    SCENARIOS,
    TITLE,
    World,
    address,
    assert_named,
    audit_by_the_log,
    audit_in_other_processes,
    for_each,
    fsck,
    members,
    other_ledger,
    signed,
    small_world,
    verify_all,
    verify_all_again,
    verify_all_from_packs,
    verify_all_from_packs_of_before,
    verify_all_in_other_processes,
    verify_all_in_threads,
    verify_all_reading_ahead,
    verify_title,
    verify_title_from_a_listing,
    verify_title_in_threads,
    verify_title_reading_ahead,
)

# Every way of verifying a ledger. A new one (of packs, of a log) is one more line here.
VERIFIERS = {
    "verify": verify_title,
    "verify, reading ahead": verify_title_reading_ahead,
    "verify, from a listing": verify_title_from_a_listing,
    "verify, in threads": verify_title_in_threads,
    "verify_all": verify_all,
    "verify_all, in threads": verify_all_in_threads,
    "verify_all, in other processes": verify_all_in_other_processes,
    "verify_all, reading ahead": verify_all_reading_ahead,
    "verify_all, from packs": verify_all_from_packs,
    "verify_all, from packs of before": verify_all_from_packs_of_before,
    "audit by the log": audit_by_the_log,
    "audit, in other processes": audit_in_other_processes,
    "fsck": fsck,
}
IN_OTHER_PROCESSES = {"verify_all, in other processes", "audit, in other processes"}
TAKE_A_PIN = (
    verify_title,
    verify_title_from_a_listing,
    verify_title_in_threads,
    verify_title_reading_ahead,
)

FROM_A_PACK = (verify_all_from_packs, verify_all_from_packs_of_before)
# Where an entry's own object is missing or damaged and a pack has it, fsck has to tell.
IS_IN_A_PACK = {
    "the_first_entry_is_missing",
    "the_second_entry_is_missing",
    "the_newest_entry_is_missing_under_its_own_name",
    "two_entries_are_swapped",
    "the_newest_two_entries_are_swapped",
    "the_head_and_the_first_entry_are_swapped",
    "a_text_is_withheld_that_no_entry_erases",
    "the_text_of_the_first_version_is_withheld",
    "another_text_is_withheld_than_the_erased_one",
    "the_newest_text_is_withheld_under_its_own_name",
}
# A pack may be from before somebody put another text in its place, but it can't hold that text.
WAS_IN_A_PACK = {
    "a_version_has_the_text_of_another",
    "the_newest_version_has_another_text_under_its_own_name",
    "a_text_has_another_salt",
}


@pytest.fixture(params=VERIFIERS)
def verifier(request):
    return VERIFIERS[request.param]


@pytest.fixture
def world() -> World:
    return small_world()


# --- every scenario, every byte ------------------------------------------------------------------


def test_an_untouched_ledger_verifies(world, verifier):
    report = verifier(world)
    assert report
    assert report.findings == ()
    assert (report.titles, report.entries) in {(1, 3), (2, 4)}


# Other processes judge by the same code: they are shown one scenario of each slug.
ONE_OF_EACH_SLUG = list({each.slug: each for each in reversed(SCENARIOS)}.values())


@pytest.mark.parametrize("name", [each for each in VERIFIERS if each not in IN_OTHER_PROCESSES])
def test_tampering_is_found_and_named(name):
    for_each(SCENARIOS, lambda scenario: _assert_found(scenario, VERIFIERS[name]))


@pytest.mark.parametrize("name", sorted(IN_OTHER_PROCESSES))
@pytest.mark.parametrize(
    "scenarios",
    [
        pytest.param(ONE_OF_EACH_SLUG, id="one of each slug"),
        pytest.param(SCENARIOS, id="all", marks=pytest.mark.slow),
    ],
)
def test_tampering_is_found_and_named_by_other_processes(scenarios, name):
    for_each(scenarios, lambda scenario: _assert_found(scenario, VERIFIERS[name]))


def _assert_found(scenario, verifier):
    slug = scenario.slug
    audits = (audit_by_the_log, audit_in_other_processes)
    if slug == "pin-missing" and verifier in audits:
        slug = "not-as-logged"  # the log has remembered it
    elif scenario.needs_pin and verifier not in {*TAKE_A_PIN, *audits}:
        return  # this way of verifying takes no pin
    world = small_world()
    named = scenario.change(world)
    report = verifier(world)
    before = WAS_IN_A_PACK if verifier is verify_all_from_packs_of_before else set()
    if verifier in FROM_A_PACK and scenario.name in IS_IN_A_PACK | before:
        assert FROM_PACKS in report.not_shown
        report = fsck(world)
    assert_named(report, slug, named, scenario.severity)


def test_packs_that_can_not_be_listed_are_a_warning_and_no_harm(world):
    class NoPacks(MemoryStore):
        def list(self, prefix="", **how):
            if prefix == PACKS:
                raise StoreDenied("not yours")
            return super().list(prefix, **how)

    store = NoPacks()
    store.create_many(world.objects.items())
    report = world.open(store).verify_all()
    assert report
    assert report.entries == 4
    assert [(f.severity, f.slug) for f in report.findings] == [("warning", "unread-pack")]


def test_what_is_only_missing_by_itself_is_verified_from_a_pack_and_the_report_says_so(world):
    """The entries that packs hold are the true ones: nobody is shown anything else."""
    del world.objects[world.key_of(1)]
    report = verify_all_from_packs_of_before(world)
    assert report
    assert report.entries == 4
    assert FROM_PACKS in report.not_shown
    assert not verify_all(world)


BELOW_WHAT_IS_REMEMBERED = {
    "the_first_entry_is_missing": "version 1 lies below the head that verified",
    "the_second_entry_is_missing": "version 2 lies below it",
    "the_newest_entry_is_missing_under_its_own_name": "the head itself is there, unchanged",
    "two_entries_are_swapped": "versions 1 and 2 lie below it",
    "the_newest_two_entries_are_swapped": "the copy of the head, and what is below it",
    "a_text_is_withheld_that_no_entry_erases": "version 2 lies below the head that verified",
    "the_text_of_the_first_version_is_withheld": "version 1 lies below it",
    "another_text_is_withheld_than_the_erased_one": "it lies below what verified, too",
    "the_newest_text_is_withheld_under_its_own_name": "the head itself is there, unchanged",
    "a_version_has_the_text_of_another": "version 2 lies below it",
    "the_newest_version_has_another_text_under_its_own_name": "the head itself is there",
    "a_text_has_another_salt": "version 2 lies below it",
    "an_erased_text_is_replaced_by_another": "version 2 lies below it",
}
"""What a repeated audit does not look at: the head is, byte for byte, the one that verified."""


def test_tampering_since_the_last_audit_is_found_and_named():
    """All of it that the head shows, those that else need a pin, too."""

    def check(scenario):
        world = small_world()
        named = scenario.change(world)
        again = verify_all_again(world)
        if scenario.name not in BELOW_WHAT_IS_REMEMBERED:
            assert_named(again, scenario.slug, named, scenario.severity)
        else:
            assert again
            assert any("taken on trust" in note for note in again.not_shown)
            assert_named(verify_all(world), scenario.slug, named, scenario.severity)

    for_each(SCENARIOS, check)


ITS_CHAIN_IS_SOUND = {
    "the_newest_entry_is_missing_under_its_own_name",
    "the_newest_text_is_withheld_under_its_own_name",
    "the_newest_version_has_another_text_under_its_own_name",
    "the_head_and_the_first_entry_are_swapped",  # and short
}


def test_what_does_not_verify_is_not_handed_out_either():
    """Reading the whole log raises for all that verification finds without a pin."""

    def check(scenario):
        world = small_world()
        named = scenario.change(world)
        with pytest.raises(
            (IntegrityError, TrustError, UnsupportedFormatError, NotFoundError)
        ) as caught:
            list(world.open().log(TITLE))
        if not isinstance(caught.value, NotFoundError):
            assert (caught.value.reason, caught.value.object_key) == (scenario.slug, named)

    def is_refused(scenario):
        if scenario.needs_pin or scenario.name in ITS_CHAIN_IS_SOUND:
            return False  # the chain that the head names is sound
        return scenario.slug != "needs-trust"  # that is handed out: who reads it has to weigh it

    for_each(filter(is_refused, SCENARIOS), check)


def _changed(data: bytes, position: int, value: int) -> bytes:
    return data[:position] + bytes([data[position] ^ value]) + data[position + 1 :]


DAMAGES = {
    "a bit flipped": lambda data, i: _changed(data, i, 0x01),
    "the case flipped": lambda data, i: _changed(data, i, 0x20),
    "the high bit flipped": lambda data, i: _changed(data, i, 0x80),
    "cut here": lambda data, i: data[:i],
    "a byte taken out": lambda data, i: data[:i] + data[i + 1 :],
    "a space put in": lambda data, i: data[:i] + b" " + data[i:],
}


@pytest.mark.parametrize(
    "damage", ["each in turn", *(pytest.param(each, marks=pytest.mark.slow) for each in DAMAGES)]
)
@pytest.mark.parametrize("place", ["head", "version 3", "version 2", "version 1"])
def test_every_changed_byte_of_every_object_is_found_and_named(world, place, damage):
    key = HEAD if place == "head" else world.key_of(int(place[-1]))
    whole = world.objects[key]
    assert len(whole) > 400
    turns = [damage] if damage in DAMAGES else [*DAMAGES]
    for position in range(len(whole) + (turns == ["a space put in"])):
        world.objects[key] = DAMAGES[turns[position % len(turns)]](whole, position)
        report = verify_title(world)
        assert not report, position
        assert [(f.severity, f.object_key) for f in report.findings] == [("tampering", key)]
        assert report.findings[0].slug in {
            "address-mismatch",
            "malformed-entry",
            "bad-signature",
            "text-mismatch",
            "text-missing",
            "unknown-key",
        }


@pytest.mark.parametrize("damage", DAMAGES)
def test_every_changed_byte_of_the_ledgers_own_object_is_refused(world, damage):
    """It carries no signature: what it says is compared with the pin, when it is opened."""
    whole = world.objects["ledger.json"]
    for position in range(len(whole) + (damage == "a space put in")):
        world.objects["ledger.json"] = DAMAGES[damage](whole, position)
        with pytest.raises((IntegrityError, UnsupportedFormatError, TrustError)):
            world.open()
        with pytest.raises((IntegrityError, UnsupportedFormatError, OriginNotPinned)):
            Ledger.open(world.store(), keyring=world.keyring)


def test_bytes_added_after_the_end_are_found(world, verifier):
    if verifier in FROM_A_PACK:
        pytest.skip("the entry is read from a pack, as it was")
    for key in (HEAD, world.key_of(3), world.key_of(2), world.key_of(1)):
        whole = world.objects[key]
        for added in (b"\n", b"\0", b"}", whole):
            world.objects[key] = whole + added
            report = verifier(world)
            assert_named(report, report.findings[0].slug, key)
        world.objects[key] = whole


def test_on_a_folder_as_in_memory(world, tmp_path):
    store = FolderStore(tmp_path)
    store.create_many(world.objects.items())
    ledger = world.open(store)
    assert ledger.verify_all()
    assert ledger.fsck()
    path = tmp_path / world.key_of(1)
    path.write_bytes(path.read_bytes().replace(b"Ada", b"Eve"))
    assert_named(ledger.verify(TITLE), "text-mismatch", world.key_of(1))
    path.unlink()
    path.symlink_to(tmp_path / world.key_of(2))
    assert_named(ledger.verify(TITLE), "damaged", world.key_of(1))


# --- the whole store -----------------------------------------------------------------------------


def test_the_whole_store_replaced_by_another_ledger_of_the_same_registrar(world):
    world.objects = other_ledger(world)
    with pytest.raises(TrustError, match=r"holds the ledger example\.org/other, not") as caught:
        world.open()
    assert (caught.value.reason, caught.value.object_key) == ("wrong-ledger", "ledger.json")
    with pytest.raises(OriginNotPinned, match="which your keyring doesn't know"):
        Ledger.open(world.store(), keyring=world.keyring)


def test_another_ledger_under_this_ones_name(world, verifier):
    """The origin is in every entry: putting ``ledger.json`` back does not help."""
    identity = world.objects["ledger.json"]
    world.objects = other_ledger(world) | {"ledger.json": identity}
    world.keyring = world.keyring.trust(OTHER_ORIGIN, world.key.public_key)
    assert_named(verifier(world), "wrong-ledger", HEAD)


def test_without_its_own_object_a_ledger_is_not_opened(world):
    del world.objects["ledger.json"]
    with pytest.raises(UnsupportedFormatError, match=r"but no ledger\.json"):
        world.open()


def test_an_empty_keyring_trusts_nobody(world):
    with pytest.raises(OriginNotPinned):
        Ledger.open(world.store(), keyring=Keyring())


# --- what could not be checked -------------------------------------------------------------------


class Failing(MemoryStore):
    """Refuses to give some of its objects."""

    def __init__(self, objects, failing, error=StoreDenied) -> None:
        super().__init__()
        self.create_many(objects.items())
        self.failing = failing
        self.error = error

    def get(self, key):
        if key in self.failing:
            raise self.error(f"cannot read {key}: no permission")
        return super().get(key)


@pytest.mark.parametrize("error", [StoreDenied, StoreUnavailable])
@pytest.mark.parametrize("place", ["head", "version 3", "version 2", "version 1"])
def test_what_is_denied_or_unreachable_is_unchecked_neither_tampering_nor_fine(world, place, error):
    key = HEAD if place == "head" else world.key_of(int(place[-1]))
    ledger = world.open(Failing(world.objects, {key}, error))
    for report in (ledger.verify(TITLE), ledger.verify_all(), ledger.fsck()):
        assert_named(report, error.slug, key, severity="unchecked")
        assert not [f for f in report.findings if f.severity == "tampering"]


def test_tampering_outranks_what_could_not_be_checked(world):
    objects = world.objects
    objects[world.key_of(3)] += b"\n"
    report = world.open(Failing(objects, {world.key_of(2)})).verify(TITLE)
    assert report.outcome == "tampered"
    assert {f.severity for f in report.findings} == {"tampering", "unchecked"}


def test_one_title_that_can_not_be_read_does_not_hide_the_others(world):
    del world.objects[world.key_of(1)]
    ledger = world.open(Failing(world.objects, {head_key(OTHER_TITLE)}))
    report = ledger.verify_all()
    assert report.outcome == "tampered"
    assert {f.object_key for f in report.findings} == {world.key_of(1), head_key(OTHER_TITLE)}


def test_an_unsigned_entry_of_another_kind_is_tampering(world, verifier):
    world.objects[HEAD] = world.objects[HEAD].replace(b"registration", b"registratiom")
    assert_named(verifier(world), "bad-signature", HEAD)


# --- erasure -------------------------------------------------------------------------------------


def _erase(world: World, *versions: int) -> None:
    """An order on top of the chain; the texts are still there."""
    world.add(erases=list(versions), reference="ORDER-1")


def test_a_text_that_an_entry_above_erases_may_be_withheld_and_the_report_says_so(world, verifier):
    _erase(world, 1, 2)
    for version in (1, 2):
        world.withhold(version)
    report = verifier(world)
    if verifier in (audit_by_the_log, audit_in_other_processes):  # the order came after the seal
        assert {finding.slug for finding in report.findings} == {"unlogged"}
    else:
        assert report
    if verifier is verify_all_from_packs_of_before:
        return  # they hold the texts
    assert "not-erased" not in {finding.slug for finding in report.findings}
    assert report.entries in {4, 5}
    erased = "the texts of 2 entries of TN1, erased by version 4 (reference ORDER-1)"
    assert erased in report.not_shown


def test_a_text_that_should_be_gone_is_a_warning(world):
    _erase(world, 2)
    report = verify_title(world)
    assert report
    assert [(f.severity, f.slug, f.object_key) for f in report.findings] == [
        ("warning", "not-erased", world.key_of(2))
    ]


def test_an_order_of_an_unknown_kind_erases_too(world):
    world.add(kind="redaction", erases=[2])
    world.withhold(2)
    assert_named(verify_title(world), "unsupported-kind", HEAD, severity="unchecked")


# --- what is no failure --------------------------------------------------------------------------


def test_a_dangling_object_that_is_valid_is_a_warning(world):
    dangling = world.put(signed(world.key, members(world.entries[2], message="lost the race")))
    assert verify_title(world).findings == ()
    report = fsck(world)
    assert report
    assert [(f.severity, f.slug, f.object_key) for f in report.findings] == [
        ("warning", "dangling-entry", dangling)
    ]


def test_a_dangling_object_that_is_not_valid_is_tampering(world):
    dangling = world.put(signed(signer("eve"), members(world.entries[2])))
    assert verify_title(world)
    assert_named(fsck(world), "bad-signature", dangling)


def test_an_object_that_is_none_of_a_ledgers_is_a_warning(world):
    strays = ["README.md", f"{TITLE}/notes.json", "_pending/x", "TN9/x.json", "TN9/y.json"]
    world.objects |= dict.fromkeys(strays, b"hello")
    report = fsck(world)
    assert report
    assert {(f.slug, f.object_key) for f in report.findings} == {
        ("stray-object", k) for k in strays
    }


def test_markers_and_probes_are_known(world):
    assert any(key.startswith("_pending/") for key in world.objects)
    world.objects |= {"_probe/x": b"", "_log/checkpoint": b""}
    assert fsck(world).findings == ()


def test_what_belongs_to_a_log_by_its_name_is_no_stray(world):
    digest = "0" * 64
    world.objects |= dict.fromkeys(
        ("_log/state", "_log/sealed/TN1", f"_log/staging/256-{digest}", "_log/tile/0/x001/234"), b""
    )
    world.objects |= dict.fromkeys(("_log/tile/entries/000", "_log/tile/1/000.p/7"), b"")
    assert fsck(world).findings == ()
    strays = {"_log/notes", "_log/sealed/tn1", f"_log/staging/x-{digest}", "_log/tile/0/000.p/256"}
    strays |= {"_log/tile/0/1", "_log/sealed/TN1/x", "_log/state/x", "_log/tile/64/000", "_log2/x"}
    world.objects |= dict.fromkeys(strays, b"")
    found = {(f.slug, f.object_key) for f in fsck(world).findings}
    assert found == {("stray-object", key) for key in strays}


def test_fsck_holds_few_of_the_markers_at_once(world):
    listed = 0

    class Marked(MemoryStore):
        def list(self, prefix="", **how):
            nonlocal listed
            yield from super().list(prefix, **how)
            if not prefix or PENDING.startswith(prefix):
                for listed in range(1, 50_001):
                    yield pending_key("TN9", listed, "0" * 64)

    store = Marked()
    store.create_many(world.objects.items())
    seen, most = 0, 0
    for report in check_store(History(store, ORIGIN, world.keyring), world.clock(), jobs=1):
        assert report
        seen, most = listed, max(most, listed - seen)
    assert seen == 50_000
    assert most < 10_000


def test_a_time_in_the_future_is_a_warning(world, verifier):
    world.clock.now -= timedelta(days=1, minutes=5)
    early = {(f.slug, f.object_key) for f in verifier(world).findings}
    assert early <= {("time-in-future", head_key(OTHER_TITLE))}  # recorded a day later
    world.clock.forward(microseconds=-1)
    report = verifier(world)
    assert report
    assert ("warning", "time-in-future", HEAD) in {
        (f.severity, f.slug, f.object_key) for f in report.findings
    }


def test_a_first_append_that_was_cut_off_is_a_warning_and_says_what_is_not_shown(world):
    del world.objects[head_key(OTHER_TITLE)]
    report = world.open().verify_all()
    assert [(f.severity, f.slug) for f in report.findings] == [("warning", "unfinished-append")]
    assert f"whether {OTHER_TITLE} ever had a head" in report.not_shown
    assert (report.titles, report.entries) == (1, 3)


def test_of_a_title_that_is_asked_for_by_name_a_missing_head_is_never_fine(world):
    """Whoever names it knows of it: a first append that was cut off looks like a removed head."""
    del world.objects[head_key(OTHER_TITLE)]
    for report in (world.open().verify(OTHER_TITLE), world.open().verify_all([OTHER_TITLE])):
        assert_named(report, "unfinished-append", head_key(OTHER_TITLE), severity="unchecked")


@pytest.mark.parametrize("back_to", [1, 2])
def test_fsck_sees_a_head_that_was_set_back_by_what_lies_beside_the_chain(world, back_to):
    world.objects[HEAD] = world.entries[back_to - 1].data
    assert world.open().verify(TITLE)  # a chain alone can't show it
    newest = world.entries[2]
    if back_to == 1:
        assert_named(fsck(world), "set-back", entry_key(TITLE, newest.address))
    else:  # one version back, it looks like a race that was lost
        assert [f.slug for f in fsck(world).findings] == ["dangling-entry"]


# --- pins, and what is not shown -----------------------------------------------------------------


def test_without_a_pin_the_report_says_that_a_rollback_is_not_shown(world):
    world.objects[HEAD] = world.entries[0].data
    report = world.open().verify(TITLE)
    assert report
    assert report.entries == 1
    assert report.not_shown == (NO_PIN,)


@pytest.mark.parametrize("version", [1, 2, 3])
def test_a_pin_may_be_any_address_of_the_chain(world, version):
    report = world.open().verify(TITLE, expect=world.entries[version - 1].address)
    assert report
    assert report.entries == 3
    assert report.not_shown == ()


def test_a_pin_that_is_no_address_is_refused(world):
    for pin in ("HEAD", world.entries[0].address[:8], world.entries[0].address.upper(), ""):
        for name in ("expect", "since"):
            with pytest.raises(LedgerError, match="not an address"):
                world.open().verify(TITLE, **{name: pin})


@pytest.mark.parametrize("version", [1, 2, 3])
def test_since_an_address_what_is_above_it_is_verified_and_the_rest_said_to_be_trusted(
    world, version
):
    since = world.entries[version - 1].address
    report = world.open().verify(TITLE, since=since)
    assert report
    assert report.entries == 3 - version + 1
    assert len(report.not_shown) == 1
    assert since[:16] in report.not_shown[0]
    if version > 1:
        below = world.key_of(version - 1)
        world.objects[below] = b"changed"
        assert world.open().verify(TITLE, since=since)


@pytest.mark.parametrize("version", [1, 2, 3])
def test_since_an_address_that_is_not_in_the_chain_is_tampering(world, version):
    since = world.entries[version - 1].address
    world.rewrite(1, document={"owner": "Eve"})
    assert_named(world.open().verify(TITLE, since=since), "pin-missing", HEAD)


def test_a_pin_below_since_is_looked_for_and_a_missing_one_is_found(world):
    one, two, three = (entry.address for entry in world.entries)
    assert world.open().verify(TITLE, expect=one, since=two)
    assert world.open().verify(TITLE, expect=three, since=two)
    assert_named(world.open().verify(TITLE, expect="0" * 64, since=two), "pin-missing", HEAD)


def test_a_listing_can_not_show_that_no_title_is_missing(world):
    assert FROM_A_LISTING in verify_all(world).not_shown
    assert FROM_A_LISTING in fsck(world).not_shown
    assert FROM_A_LISTING not in world.open().verify_all([TITLE, OTHER_TITLE]).not_shown
    world.objects = {k: v for k, v in world.objects.items() if OTHER_TITLE not in k}
    assert verify_all(world)
    assert_named(
        world.open().verify_all([TITLE, OTHER_TITLE]), "head-missing", head_key(OTHER_TITLE)
    )


def test_no_listing_and_no_marker_is_believed(world):
    """Verification of a title reads what the chain names, and nothing else."""

    class NoListing(MemoryStore):
        def list(self, *args, **kwargs):
            raise AssertionError("listed")

    store = NoListing()
    store.create_many(world.objects.items())
    assert world.open(store).verify(TITLE)


# --- reports -------------------------------------------------------------------------------------


def test_each_title_is_heard_of_as_it_is_verified(world):
    heard: list[Report] = []
    report = world.open().verify_all(each=heard.append)
    assert [part.titles for part in heard] == [1, 1]
    assert (report.titles, report.entries) == (2, 4)
    heard.clear()
    world.open().fsck(each=heard.append)
    assert sum(part.entries for part in heard) == 4


def test_a_report_counts_the_entries_that_held(world):
    world.objects[world.key_of(1)] += b" "
    assert world.open().verify(TITLE).entries == 2


def test_titles_that_vanish_after_they_were_listed_are_unchecked(world):
    class Vanishing(MemoryStore):
        def get(self, key):
            return super().get(key) if key == "ledger.json" else None

        def list(self, prefix="", **how):
            return iter(()) if prefix else super().list(prefix, **how)

    store = Vanishing()
    MemoryStore.create_many(store, world.objects.items())
    report = world.open(store).verify_all()
    assert report.outcome == "unchecked"


def test_a_title_of_which_nothing_is_known_is_not_found(world):
    with pytest.raises(NotFoundError, match="no such title: TN404"):
        world.open().verify("TN404")
    with pytest.raises(LedgerError, match="not a title number"):
        world.open().verify("../TN1")


def test_a_damaged_marker_or_second_title_does_not_touch_the_first(world):
    world.objects[head_key(OTHER_TITLE)] = b"{}"
    assert world.open().verify(TITLE)
    assert_named(world.open().verify(OTHER_TITLE), "malformed-entry", head_key(OTHER_TITLE))


def test_a_key_that_is_no_longer_trusted_makes_its_entries_fail(world):
    world.keyring = keyring_for(signer("bob"))
    report = world.open().verify(TITLE)
    assert_named(report, "unknown-key", HEAD)
    assert "ledger key trust" not in report.findings[0].message


def test_two_registrars_may_sign_one_chain(world):
    bob = signer("bob")
    keyring = keyring_for(world.key, bob)
    second = Ledger.open(world.store(), keyring=keyring, signer=bob, clock=world.clock)
    entry = second.append(TITLE, {"owner": "Di"})
    assert entry.key == bob.public_key.key_id
    assert second.verify(TITLE, expect=world.entries[0].address)
    alone = Ledger.open(second.store, keyring=world.keyring, clock=world.clock)
    assert_named(alone.verify(TITLE), "unknown-key", HEAD)
    assert entry_key(TITLE, entry.address) not in world.objects
    assert address(entry.data) == entry.address
    assert entry.ledger == ORIGIN
