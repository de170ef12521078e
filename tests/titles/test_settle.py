"""Settling: what a stolen key signed is found, and confirmed or voided, by one entry a title."""

from __future__ import annotations

import io
from collections import Counter
from typing import TYPE_CHECKING

import pytest

from ledger import (
    Draft,
    InvalidError,
    Ledger,
    NotFoundError,
    NotInLaw,
    NotStanding,
    ReferenceConflict,
    TrustError,
)
from ledger.errors import ConflictError, IntegrityError, LedgerError, OutcomeUnknown, TitleClosed
from ledger.format.layout import entry_key, head_key
from ledger.stores import FolderStore, MemoryStore
from ledger.testing import memory_ledger
from tests.tampering import objects_of
from tests.trust.registry import ALICE, ALICE_ID, BOB, CAROL, ERIN, ERIN_ID, Registry
from tests.wrappers import CountingStore, CrashError, CrashingStore, FailingStore, Wrapper

if TYPE_CHECKING:
    from pathlib import Path

    from ledger.stores.base import Store
    from tests.wrappers import Operation

T = "TN1"


def put(store: Store, key: str, data: bytes | None) -> None:
    """Write or delete as somebody who can do anything to the store."""
    objects: dict[str, bytes | None] = {**objects_of(store), key: data}
    store.__init__()  # type: ignore[misc]
    store.create_many([(key, data) for key, data in objects.items() if data is not None])


@pytest.fixture
def registry(tmp_path: Path) -> Registry:
    return Registry(MemoryStore(), tmp_path)


@pytest.fixture
def robbed(registry: Registry) -> Registry:
    """TN1: versions 1 (bob) and 2 (alice) good, 3 (alice) logged after the theft, 4 (alice) waits.

    TN2: version 1 by bob, version 2 by alice after the theft. TN3: alice alone, waiting. TN4: bob.
    """
    registry.write("TN1", BOB)
    registry.write("TN1", ALICE)
    registry.write("TN2", BOB)
    registry.write("TN4", BOB)
    registry.seal()
    good = registry.size()
    registry.write("TN1", ALICE, message="honest work")
    registry.write("TN2", ALICE)
    registry.seal()
    registry.write("TN1", ALICE)
    registry.write("TN3", ALICE)
    registry.revoke(ALICE, good)
    return registry


def listed(ledger: Ledger, key: str = ALICE_ID, *titles: str) -> list[tuple[str, int, str]]:
    found, report = ledger.fallen(key, titles or None)
    assert report, report
    return [(each.entry.title_number, each.entry.version, each.stand.reason) for each in found]


# -- What is found ---------------------------------------------------------------------------------


def test_all_that_fell_with_a_key_is_listed_title_by_title_the_newest_first(
    robbed: Registry,
) -> None:
    assert listed(robbed.ledger()) == [
        ("TN1", 4, "key-ended"),
        ("TN1", 3, "key-ended"),
        ("TN2", 2, "key-ended"),
        ("TN3", 1, "key-ended"),
    ]
    assert listed(robbed.ledger(), ALICE_ID[:16], "TN2") == [("TN2", 2, "key-ended")]
    assert listed(robbed.ledger(), ERIN_ID) == []


def test_what_is_listed_has_its_text_so_that_a_person_can_judge_it(robbed: Registry) -> None:
    found, _ = robbed.ledger().fallen(ALICE_ID)
    assert [each.entry.message for each in found][1] == "honest work"


def test_a_key_is_named_by_digits_that_are_its_own(robbed: Registry) -> None:
    ledger = robbed.ledger(None)
    with pytest.raises(NotFoundError, match="no trust file"):
        ledger.fallen("0" * 64)
    with pytest.raises(InvalidError, match="ambiguous"):
        ledger.fallen("")
    with pytest.raises(InvalidError, match="not a key id"):
        ledger.fallen("TN1")


def test_without_trust_files_there_is_nothing_to_settle() -> None:
    ledger = memory_ledger()
    ledger.append(T, {})
    ledger.append(T, {})
    with pytest.raises(InvalidError, match="trust files"):
        ledger.fallen("00")
    with pytest.raises(InvalidError, match="trust files"):
        ledger.settle(T, voids=[1])
    with pytest.raises(InvalidError, match="trust files"):
        ledger.submit(Draft(T, {}, confirms=(1,)))
    assert ledger.head(T).version == 2


def test_what_else_is_wrong_is_in_the_report(robbed: Registry) -> None:
    bad = robbed.ledger().entry("TN2", "v1")
    put(robbed.store, entry_key("TN2", bad.address), b"{}")
    found, report = robbed.ledger().fallen(ALICE_ID)
    assert {each.entry.title_number for each in found} == {"TN1", "TN2", "TN3"}
    assert [(each.slug, each.object_key[:3]) for each in report.findings] == [
        ("address-mismatch", "TN2")
    ]


# -- What is written -------------------------------------------------------------------------------


def test_one_entry_a_title_settles_all_and_a_stranger_finds_nothing(robbed: Registry) -> None:
    ledger = robbed.ledger()
    first = ledger.settle("TN1", confirms=[3], voids=[4], reference="CRIME 7", message="theft")
    second = ledger.settle("TN2", voids=[2])
    assert (first.entry.confirms, first.entry.voids) == ((3,), (4,))
    assert (first.entry.kind, first.entry.reference) == ("rectification", "CRIME 7")
    assert first.entry.document == {"n": 3}, "what stands now is restated"
    assert second.entry.document == {"n": 1}
    ledger.settle("TN3", voids=[1])
    assert robbed.found() == []
    assert listed(ledger) == []
    robbed.seal()
    assert robbed.audit(), robbed.audit()
    assert ledger.append("TN1", {"n": 6}).version == 6


def test_a_title_of_which_nothing_stands_is_closed_with_an_empty_document(
    robbed: Registry,
) -> None:
    ledger = robbed.ledger()
    entry = ledger.settle("TN3", voids=[1]).entry
    assert (entry.document, entry.status) == ({}, "closed")
    with pytest.raises(TitleClosed):
        ledger.append("TN3", {"n": 2})
    assert ledger.append("TN3", {"n": 2}, status="open").version == 3


def test_such_a_title_can_be_given_a_document(robbed: Registry) -> None:
    entry = robbed.ledger().settle("TN3", voids=[1], change=lambda d: d | {"n": 9}).entry
    assert (entry.document, entry.status) == ({"n": 9}, "open")


def test_what_is_restated_holds_in_law_when_that_does(registry: Registry) -> None:
    times = {"effective_at": "2026-01-01", "effective_until": "2027-01-01"}
    registry.write(T, BOB, status="closed", **times)
    registry.seal()
    registry.plant(T, effective_at="2020-01-01", status="open")
    registry.revoke(ALICE, registry.size())
    entry = registry.ledger().settle(T, voids=[2]).entry
    assert (entry.effective_at, entry.effective_until) == ("2026-01-01", "2027-01-01")
    assert entry.status == "closed"


def test_bounds_that_were_registered_before_are_no_obstacle(registry: Registry) -> None:
    """Though the thief has a version whose bound is the same instant, otherwise spelled."""
    registry.write(T, BOB, effective_at="2026-03-31T22:00:00Z")
    registry.seal()
    registry.plant(T, effective_until="2026-04-01T00:00:00+02:00", effective_at="2020")
    registry.revoke(ALICE, registry.size())
    assert registry.ledger().settle(T, voids=[2]).entry.version == 3


def test_answers_may_come_one_by_one(robbed: Registry) -> None:
    ledger = robbed.ledger()
    ledger.settle("TN1", voids=[4])
    assert listed(ledger, ALICE_ID, "TN1") == [("TN1", 3, "key-ended")]
    assert ledger.head("TN1").document == {"n": 2}
    done = ledger.settle("TN1", confirms=[3], voids=[4])
    assert (done.entry.confirms, done.entry.voids) == ((3,), ()), "the rest was said before"
    assert done.entry.document == {"n": 2}, "the newest that stands, not the newest confirmed"
    assert robbed.found("TN1") == []


def test_the_newest_entry_that_names_a_version_decides(registry: Registry) -> None:
    for _ in range(4):
        registry.write(T, BOB)
    registry.seal()
    good = registry.size()
    registry.write(T, ALICE)
    registry.write(T, BOB)
    registry.write(T, BOB)
    registry.revoke(ALICE, good)
    ledger = registry.ledger()
    assert registry.found() == [("key-ended", T)]
    assert ledger.settle(T, confirms=[5]).entry.version == 8
    assert next(stand.words for _, stand in ledger.history.judged_log(T, "v5")) == (
        "confirmed by version 8"
    )
    assert ledger.settle(T, voids=[5]).entry.version == 9
    assert next(stand.words for _, stand in ledger.history.judged_log(T, "v5")) == (
        "void, by version 9"
    )
    assert registry.found() == []
    assert ledger.settle(T, voids=[5]).entry.version == 9
    assert ledger.settle(T, confirms=[5]).entry.version == 10


def test_an_ordinary_append_may_settle_on_top_of_a_head_that_stands(registry: Registry) -> None:
    registry.write(T, BOB)
    registry.seal()
    good = registry.size()
    registry.write(T, ALICE)
    registry.write(T, BOB, status="closed")
    registry.revoke(ALICE, good)
    ledger = registry.ledger()
    draft = Draft(T, {"n": 4}, voids=(2,), reference="A 1")
    assert ledger.submit(draft).entry.voids == (2,)
    assert ledger.submit(draft).repeated
    with pytest.raises(ReferenceConflict, match="void versions"):
        ledger.submit(Draft(T, {"n": 4}, reference="A 1"))
    with pytest.raises(ReferenceConflict, match="confirmed versions"):
        ledger.submit(Draft(T, {"n": 4}, confirms=(2,), reference="A 1"))
    assert registry.found() == []


# -- What is refused -------------------------------------------------------------------------------


def test_nothing_else_is_written_on_top_of_a_head_that_does_not_stand(robbed: Registry) -> None:
    before = objects_of(robbed.store)
    ledger = robbed.ledger(ERIN)
    for write in (
        lambda: ledger.append("TN1", {}),
        lambda: ledger.append("TN1", {}, kind="rectification"),
        lambda: ledger.submit(Draft("TN1", {}, voids=(3, 4))),
        lambda: ledger.erase("TN1", [1], reference="A", message="b"),
    ):
        with pytest.raises(NotStanding, match="version 4") as caught:
            write()
        assert caught.value.reason == "key-ended"
        assert f"ledger settle {ALICE_ID[:16]}" in caught.value.hint
    (outcome,) = ledger.append_many([Draft("TN1", {})])
    assert isinstance(outcome.error, NotStanding)
    assert objects_of(robbed.store) == before


def test_a_name_of_an_entry_that_counts_is_refused(robbed: Registry) -> None:
    before = objects_of(robbed.store)
    ledger = robbed.ledger()
    for names in ({"voids": [2]}, {"confirms": [2]}, {"voids": [3, 2]}, {"confirms": [1]}):
        with pytest.raises(InvalidError, match="counts"):
            ledger.settle("TN1", **names)  # type: ignore[arg-type]
    with pytest.raises(InvalidError, match="version 1 counts"):
        ledger.submit(Draft("TN4", {}, voids=(1,)))
    assert objects_of(robbed.store) == before


def test_answers_that_say_nothing_or_two_things_are_refused(robbed: Registry) -> None:
    ledger = robbed.ledger()
    with pytest.raises(InvalidError, match="no version"):
        ledger.settle("TN1")
    with pytest.raises(InvalidError, match="both"):
        ledger.settle("TN1", confirms=[3], voids=[3])
    for version in (0, 5):
        with pytest.raises(InvalidError, match=f"versions 1 to 4, not {version}"):
            ledger.settle("TN1", voids=[version])
    with pytest.raises(InvalidError, match="do not ascend"):
        ledger.submit(Draft("TN4", {}, voids=(2,)))
    with pytest.raises(InvalidError, match="do not ascend"):
        ledger.submit(Draft("TN9", {}, voids=(1,)))
    with pytest.raises(NotFoundError):
        ledger.settle("TN9", voids=[1])


def test_a_key_that_has_an_end_settles_nothing(robbed: Registry) -> None:
    with pytest.raises(TrustError, match="not a registrar"):
        robbed.ledger(ALICE).settle("TN1", voids=[3, 4])


def test_where_nobody_can_tell_nothing_is_written(robbed: Registry) -> None:
    for key in list(robbed.store.list("_log/tile/entries")):
        put(robbed.store, key, None)
    ledger = robbed.ledger()
    before = objects_of(robbed.store)
    found, report = ledger.fallen(ALICE_ID)
    assert not found
    assert {each.slug for each in report.findings} == {"position-unknown"}
    with pytest.raises(NotStanding) as caught:
        ledger.append("TN1", {})
    assert caught.value.reason == "position-unknown"
    with pytest.raises(IntegrityError):
        ledger.settle("TN1", voids=[3, 4])
    assert objects_of(robbed.store) == before


def test_lists_of_an_entry_that_does_not_stand_mean_nothing(registry: Registry) -> None:
    registry.write(T, BOB)
    registry.seal()
    good = registry.size()
    registry.write(T, ALICE)
    registry.plant(T, confirms=(2,), voids=(1,))
    registry.revoke(ALICE, good)
    ledger = registry.ledger()
    assert registry.found() == [("key-ended", T), ("key-ended", T)]
    found, _ = ledger.fallen(ALICE_ID)
    assert [(each.entry.version, each.held_by, each.was_confirmed) for each in found] == [
        (3, 0, False),
        (2, 3, True),
    ]
    assert ledger.settle(T, voids=[3]).entry.document == {"n": 1}, "version 1 was never void"
    assert listed(ledger) == [(T, 2, "key-ended")], "nor was version 2 confirmed"


def test_a_thiefs_reference_is_not_taken_for_a_repeat(registry: Registry) -> None:
    registry.write(T, BOB)
    registry.seal()
    registry.plant(T, reference="CRIME 7", document={"n": 1}, kind="rectification")
    registry.revoke(ALICE, registry.size())
    done = registry.ledger().settle(T, voids=[2], reference="CRIME 7")
    assert (done.repeated, done.entry.version) == (False, 3)


# -- Settlements that fall -------------------------------------------------------------------------


@pytest.fixture
def twice_robbed(registry: Registry) -> Registry:
    """Alice settled what a thief did with Erin's key; by then, her own had been stolen."""
    registry.write(T, BOB)
    registry.seal()
    good = registry.size()
    registry.write(T, ERIN)
    registry.write(T, ERIN)
    registry.seal()
    registry.revoke(ERIN, good)
    registry.ledger(ALICE).settle(T, confirms=[2], voids=[3])
    assert registry.found() == []
    registry.seal()
    registry.revoke(ALICE, registry.size() - 1)
    return registry


def test_what_only_a_fallen_settlement_held_is_listed_too(twice_robbed: Registry) -> None:
    found, _ = twice_robbed.ledger().fallen(ALICE_ID)
    assert [(each.entry.version, each.held_by, each.was_confirmed) for each in found] == [
        (4, 0, False),
        (3, 4, False),
        (2, 4, True),
    ]
    assert listed(twice_robbed.ledger(), ERIN_ID) == [(T, 3, "key-ended"), (T, 2, "key-ended")]


def test_if_a_settlement_is_confirmed_it_settles_again(twice_robbed: Registry) -> None:
    twice_robbed.ledger().settle(T, confirms=[4])
    assert twice_robbed.found() == []
    stands = [stand.stands for _, stand in twice_robbed.ledger().history.judged_log(T, "HEAD")]
    assert stands == [True, True, False, True, True]


def test_if_a_settlement_is_voided_what_it_held_is_asked_about_again(
    twice_robbed: Registry,
) -> None:
    ledger = twice_robbed.ledger()
    ledger.settle(T, voids=[4])
    assert listed(ledger) == [(T, 3, "key-ended"), (T, 2, "key-ended")]
    ledger.settle(T, voids=[2, 3])
    assert listed(ledger) == []
    assert twice_robbed.found() == []


def test_all_registrars_are_revoked_at_once_and_a_new_one_settles(robbed: Registry) -> None:
    for key, new in ((BOB, (CAROL,)), (ERIN, ())):
        robbed.revoke(key, robbed.size() - 2, *new)
    assert {slug for slug, _ in robbed.found()} == {"key-ended"}
    with pytest.raises(TrustError):
        robbed.ledger(BOB).settle("TN1", voids=[3, 4])
    carol = robbed.ledger(CAROL)
    for title, versions in (("TN1", [3, 4]), ("TN2", [2]), ("TN3", [1])):
        carol.settle(title, voids=versions)
    assert robbed.found() == []
    robbed.seal()
    assert robbed.audit()


def test_a_title_of_which_everything_fell(registry: Registry) -> None:
    registry.write(T, ALICE)
    registry.write(T, BOB)
    registry.seal()
    registry.revoke(ALICE, 0)
    registry.revoke(BOB, 0, CAROL)
    assert registry.ledger(CAROL).settle(T, confirms=[1, 2]).entry.document == {"n": 2}
    assert registry.found() == []


# -- Erasing ---------------------------------------------------------------------------------------


@pytest.fixture
def erased(registry: Registry) -> tuple[Registry, bytes]:
    """Somebody with Erin's key had a text erased, and a bundle from before still has it."""
    registry.write(T, BOB, message="the deed")
    registry.write(T, BOB)
    registry.seal()
    bundle = io.BytesIO()
    registry.ledger().export(bundle)
    thief = registry.stolen(ERIN)
    thief.erase(T, [1], reference="FAKE", message="by order")
    registry.seal()
    assert thief.finish_erasure(T).is_done
    registry.revoke(ERIN, registry.size() - 1, CAROL)
    return registry, bundle.getvalue()


@pytest.mark.parametrize("settled_first", [True, False])
def test_a_text_that_a_thief_erased_is_restored_from_a_bundle(
    erased: tuple[Registry, bytes], settled_first: bool
) -> None:
    registry, bundle = erased
    assert registry.found() == [("key-ended", T), ("text-missing", T)]
    if settled_first:
        registry.ledger().settle(T, voids=[3])
        assert registry.found() == [("text-missing", T)]
    registry.ledger().import_bundle(io.BytesIO(bundle))
    if not settled_first:
        assert registry.found() == [("key-ended", T)]
        registry.ledger().settle(T, voids=[3])
    assert registry.found() == []
    assert registry.ledger().entry(T, "v1").message == "the deed"


def test_a_text_that_is_lost_is_erased_lawfully(erased: tuple[Registry, bytes]) -> None:
    registry, _ = erased
    registry.ledger().settle(T, voids=[3])
    carol = registry.ledger(CAROL)
    with pytest.raises(IntegrityError):
        carol.erase(T, [1], reference="C 1", message="no copy is known")
    with pytest.raises(TrustError, match="may not order texts erased"):
        registry.ledger(BOB).erase(T, [1], reference="C 1", message="no copy is known", lost=True)
    carol.erase(T, [1], reference="C 1", message="no copy is known", lost=True)
    registry.seal()
    assert carol.finish_erasure(T).is_done
    assert registry.found() == []


def test_a_registrar_without_the_right_confirms_an_erasers_entry_not_its_order(
    erased: tuple[Registry, bytes],
) -> None:
    registry, _ = erased
    registry.ledger(BOB).settle(T, confirms=[3])
    assert registry.found() == [("text-missing", T)]
    registry.ledger(CAROL).settle(T, confirms=[3])
    assert registry.found() == [("text-missing", T)], "bob's answer stands: carol's is the same"


def test_an_eraser_confirms_an_erasers_order(erased: tuple[Registry, bytes]) -> None:
    registry, _ = erased
    registry.ledger(CAROL).settle(T, confirms=[3])
    assert registry.found() == []


def test_the_newest_text_is_gone(registry: Registry) -> None:
    registry.write(T, BOB)
    registry.write(T, BOB)
    registry.plant(T, ERIN, erases=(2,), reference="FAKE")
    registry.seal()
    registry.stolen(ERIN).finish_erasure(T)
    registry.revoke(ERIN, registry.size() - 1)
    ledger = registry.ledger()
    with pytest.raises(IntegrityError, match="version 2 is gone") as caught:
        ledger.settle(T, voids=[3])
    assert "--lost" in caught.value.hint
    entry = ledger.settle(T, voids=[3], lost=True).entry
    assert (entry.document, entry.status) == ({}, "closed")


@pytest.mark.parametrize("confirms", [True, False])
def test_an_order_by_a_key_without_the_right_is_settled_likewise(
    registry: Registry, confirms: bool
) -> None:
    registry.write(T, BOB)
    registry.write(T, BOB)
    registry.plant(T, BOB, erases=(1,), reference="A 1")
    assert registry.found() == [("may-not-erase", T)]
    ledger = registry.ledger()
    assert listed(ledger, BOB.public_key.key_id) == [(T, 3, "may-not-erase")]
    with pytest.raises(NotStanding):
        ledger.append(T, {})
    ledger.settle(T, **{"confirms" if confirms else "voids": [3]})  # type: ignore[arg-type]
    assert registry.found() == []
    assert ledger.entry(T, "v1").document == {"n": 1}, "what may not erase, erases nothing"


# -- Heads that were set back ----------------------------------------------------------------------


def test_a_head_that_lacks_what_the_log_has_is_put_back_first(robbed: Registry) -> None:
    """The thief hides the logged version 3 behind the good version 2."""
    store, ledger = robbed.store, robbed.ledger()
    logged, good = ledger.entry("TN1", "v3"), ledger.entry("TN1", "v2")
    put(store, head_key("TN1"), good.data)
    assert ledger.head("TN1").version == 2
    assert robbed.found("TN1") == []
    with pytest.raises(ConflictError, match="readable"):
        ledger.recover("TN4")
    entry = ledger.recover("TN1")
    assert entry.address == logged.address, "it does not stand, but the log has it"
    assert robbed.found("TN1") == [("key-ended", "TN1")]
    ledger.settle("TN1", voids=[3])
    assert robbed.found("TN1") == []
    robbed.seal()


def test_a_head_beside_what_the_log_has_is_given_up_only_by_choice(robbed: Registry) -> None:
    ledger = robbed.ledger()
    good = ledger.entry("TN1", "v2")
    sibling = robbed.sign("TN1", good, ALICE)
    put(robbed.store, entry_key("TN1", sibling.address), sibling.data)
    put(robbed.store, head_key("TN1"), sibling.data)
    with pytest.raises(IntegrityError, match="which the log has") as caught:
        ledger.settle("TN1", voids=[3])
    assert caught.value.reason == "not-as-logged"
    with pytest.raises(ConflictError, match="not in the chain that the log has") as refused:
        ledger.recover("TN1")
    address = refused.value.hint.split("--to ")[1].split("'")[0]
    assert ledger.recover("TN1", to=address).version == 3
    ledger.settle("TN1", voids=[3])
    assert robbed.found("TN1") == []


def test_recover_passes_over_what_a_stolen_key_left_beside_the_chain(robbed: Registry) -> None:
    head = robbed.ledger().head("TN4")
    forged = robbed.sign("TN4", head, ALICE)
    put(robbed.store, entry_key("TN4", forged.address), forged.data)
    put(robbed.store, head_key("TN4"), None)
    assert robbed.ledger().recover("TN4").address == head.address


# -- Races and crashes -----------------------------------------------------------------------------


class Racer(Wrapper):
    """Another registrar settles a version just before ours is written."""

    def __init__(self, inner: Store, registry: Registry) -> None:
        super().__init__(inner)
        self._registry: Registry | None = registry

    def called(self, operation: Operation, key: str) -> None:
        if operation == "replace" and key == head_key("TN1") and self._registry:
            registry, self._registry = self._registry, None
            outer, registry.store = registry.store, self.inner
            registry.ledger(ERIN).settle("TN1", confirms=[3])
            registry.store = outer


def test_a_settlement_that_loses_a_race_takes_the_others_into_account(robbed: Registry) -> None:
    inner = robbed.store
    robbed.store = Racer(inner, robbed)
    done = robbed.ledger().settle("TN1", confirms=[3], voids=[4])
    assert (done.entry.version, done.entry.confirms, done.entry.voids) == (6, (), (4,))
    assert done.entry.document == {"n": 3}
    assert robbed.found("TN1") == []


def settled(registry: Registry) -> None:
    """See that the settlement is there once, and that all holds."""
    assert registry.found("TN1") == []
    named = [entry for entry in registry.ledger().log("TN1") if entry.voids or entry.confirms]
    assert len(named) == 1
    registry.ledger().settle("TN2", voids=[2])
    registry.ledger().settle("TN3", voids=[1])
    registry.seal()
    assert registry.audit()


@pytest.mark.parametrize("reference", ["", "CRIME 7"])
@pytest.mark.parametrize("after", [False, True])
@pytest.mark.parametrize("step", range(5))
def test_a_crash_at_any_step_is_made_good_by_the_same_call(
    robbed: Registry, step: int, after: bool, reference: str
) -> None:
    inner = robbed.store
    robbed.store = CrashingStore(inner, step, after=after)
    crashed = False
    try:
        robbed.ledger().settle("TN1", confirms=[3], voids=[4], reference=reference)
    except CrashError:
        crashed = True
    assert crashed == (step < (4 if reference else 3))
    robbed.store = inner
    done = robbed.ledger().settle("TN1", confirms=[3], voids=[4], reference=reference)
    assert done.entry.confirms == (3,)
    settled(robbed)


@pytest.mark.parametrize("after", [False, True])
@pytest.mark.parametrize("step", range(3))
def test_a_lost_answer_is_settled_by_reading(robbed: Registry, step: int, after: bool) -> None:
    inner = robbed.store
    robbed.store = FailingStore(inner, step, after=after)
    try:
        robbed.ledger().settle("TN1", confirms=[3], voids=[4])
    except (OutcomeUnknown, LedgerError):
        robbed.store = inner
        robbed.ledger().settle("TN1", confirms=[3], voids=[4])
    robbed.store = inner
    settled(robbed)


# -- Time ------------------------------------------------------------------------------------------


def test_an_answer_about_time_names_what_it_passed_over(robbed: Registry) -> None:
    ledger = robbed.ledger()
    answer = ledger.answer("TN1", recorded="2026-12-01")
    assert answer.entry.version == 2
    assert [(each.version, stand.reason) for each, stand in answer.passed_over] == [
        (4, "key-ended"),
        (3, "key-ended"),
    ]
    robbed.clock.forward(days=30)
    ledger.settle("TN1", confirms=[3], voids=[4])
    for known in ("2026-11-23", "2027-01-01"):
        answer = ledger.answer("TN1", effective="2026-11-23", recorded=known)
        assert answer.entry.version == 3, "at every K"
        assert [(each.version, stand.by) for each, stand in answer.passed_over] == [(4, 5)]
    assert ledger.at("TN1", effective="2026-11-23").version == 3
    assert ledger.answer("TN1", effective="2027-01-01").passed_over == ()


def test_if_nothing_is_in_law_what_was_passed_over_is_named(registry: Registry) -> None:
    registry.write(T, BOB, effective_at="2026-06-01")
    registry.seal()
    registry.plant(T, effective_at="2020-01-01")
    registry.revoke(ALICE, registry.size())
    registry.ledger().settle(T, voids=[2])
    with pytest.raises(NotInLaw, match=r"passed over: version 2 \(void, by version 3\)"):
        registry.ledger().at(T, effective="2021-01-01")


def test_a_folder_is_settled_like_any_store(tmp_path: Path) -> None:
    registry = Registry(FolderStore(tmp_path / "titles"), tmp_path)
    registry.write(T, BOB)
    registry.seal()
    registry.plant(T)
    registry.revoke(ALICE, registry.size())
    registry.ledger().settle(T, voids=[2])
    assert registry.found() == []


def test_a_store_that_follows_newer_trust_files_asks_the_log_again(registry: Registry) -> None:
    """What was read of the log by older files says nothing of what counts by newer ones."""
    registry.write(T, ALICE)
    registry.seal()
    registry.write(T, ALICE)
    registry.seal()
    registry.revoke(ALICE, registry.size() - 1)
    ledger = registry.ledger()
    assert [stand.stands for _, stand in ledger.history.judged_log(T, "HEAD")] == [False, True]
    registry.revoke(ALICE, 0)
    ledger.history.follow_trust()
    assert [stand.stands for _, stand in ledger.history.judged_log(T, "HEAD")] == [False, False]


def test_the_log_is_read_once_however_many_titles_are_asked_about(registry: Registry) -> None:
    for number in range(8):
        registry.write(f"TN{number}", BOB)
    registry.seal()
    good = registry.size()
    for number in range(8):
        registry.write(f"TN{number}", ALICE)
    registry.revoke(ALICE, good)
    registry.store = CountingStore(registry.store)
    ledger = registry.ledger()
    assert len(listed(ledger)) == 8
    read = Counter(key for operation, key in registry.store.calls if operation == "get")
    assert max(n for key, n in read.items() if "_log/" in key) <= 2, read
