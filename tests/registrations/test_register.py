"""Register: several titles as one. All parts come to stand, or it is said which do."""

from __future__ import annotations

import io
import pickle
from concurrent.futures import ThreadPoolExecutor
from threading import Barrier
from typing import TYPE_CHECKING

import pytest

from ledger import ANY, Draft, Entry, Guards, Ledger, verify_bundle
from ledger.errors import (
    HeadMoved,
    IntegrityError,
    InvalidError,
    LedgerError,
    NotFoundError,
    OutcomeUnknown,
    ReferenceConflict,
    RegistrationIncomplete,
    StoreUnavailable,
    TitleClosed,
)
from ledger.format.layout import head_key, reference_key
from ledger.registrations.registration import find_registration
from ledger.stores import MemoryStore
from ledger.testing import FixedClock, memory_ledger
from tests.sealing.sealers import Sealer, ledger_in
from tests.tampering import objects_of, without
from tests.trust.registry import ALICE, BOB, Registry
from tests.wrappers import Wrapper

if TYPE_CHECKING:
    from pathlib import Path

    from ledger import Report

R = "APP-2026-77"
LIMIT = 60  # seconds: every wait has a limit


@pytest.fixture
def ledger() -> Ledger:
    ledger = memory_ledger()
    ledger.append("P1", {"area": 100})
    return ledger


def split(*, third: str = "P4", **closing: object) -> list[Draft]:
    """P1 is closed, and its land is in three new titles; not in the order of their numbers."""
    return [
        Draft(third, {"area": 40}),
        Draft("P3", {"area": 30}),
        Draft("P1", {"area": 0}, status="closed", **closing),  # type: ignore[arg-type]
        Draft("P2", {"area": 30}),
    ]


def places(entries: tuple[Entry, ...]) -> list[tuple[tuple[int, int], str, int]]:
    return [(entry.part, entry.title_number, entry.version) for entry in entries]


SPLIT = [((1, 4), "P1", 2), ((2, 4), "P2", 1), ((3, 4), "P3", 1), ((4, 4), "P4", 1)]


class Meddling(Wrapper):
    """Does something else just before an object is swapped or created for the first time."""

    def __init__(self, inner: MemoryStore) -> None:
        super().__init__(inner)
        self.before: dict[str, object] = {}

    def called(self, operation: str, key: str) -> None:
        if operation in {"create", "replace"} and (act := self.before.pop(key, None)):
            act()  # type: ignore[operator]


def meddled() -> tuple[Ledger, Ledger, Meddling]:
    """A ledger, the same one for somebody else, and the store that lets him in."""
    other = memory_ledger(store := MemoryStore(), clock=FixedClock())
    meddling = Meddling(store)
    other.append("A", {"n": 1})
    other.append("B", {"n": 1})
    return memory_ledger(meddling), other, meddling


# --- all of it ------------------------------------------------------------------------------------


def test_a_split_is_one_registration_numbered_by_title(ledger: Ledger) -> None:
    done = ledger.register(split(), reference=R)
    assert places(tuple(each.entry for each in done)) == SPLIT
    found = ledger.registration(R)
    assert places(found.entries) == SPLIT
    assert (found.is_complete, found.missing, found.conflicts) == (True, (), ())
    assert found.went_into("P1") == ("P2", "P3", "P4")
    assert {found.came_from(title) for title in ("P2", "P3", "P4")} == {("P1",)}
    assert (found.came_from("P1"), found.went_into("P2")) == ((), ())
    assert list(ledger.titles(status="closed")) == ["P1"]
    assert list(ledger.titles(status="open", limit=2)) == ["P2", "P3"]
    assert ledger.fsck()


def test_the_same_call_again_writes_nothing(ledger: Ledger) -> None:
    done = ledger.register(split(), reference=R)
    before = objects_of(ledger.store)
    again = ledger.register(reversed(split()), reference=R)
    assert [each.entry for each in again] == [each.entry for each in done]
    assert all(each.repeated for each in again)
    assert objects_of(ledger.store) == before


def test_a_merger_into_a_title_that_goes_on(ledger: Ledger) -> None:
    ledger.append("P2", {"area": 5})
    drafts = [Draft("P1", {"area": 105}), Draft("P2", {"area": 0}, status="closed")]
    ledger.register(drafts, reference=R)
    found = ledger.registration(R)
    assert (found.came_from("P1"), found.went_into("P2")) == (("P2",), ("P1",))


def test_a_part_of_a_title_goes_to_a_new_one(ledger: Ledger) -> None:
    ledger.register([Draft("P1", {"area": 60}), Draft("P9", {"area": 40})], reference=R)
    found = ledger.registration(R)
    assert (found.came_from("P9"), found.went_into("P1")) == (("P1",), ("P9",))


def test_land_between_two_titles_makes_neither_of_the_other(ledger: Ledger) -> None:
    ledger.append("P2", {"area": 5})
    ledger.register([Draft("P1", {"area": 60}), Draft("P2", {"area": 45})], reference=R)
    found = ledger.registration(R)
    assert not found.came_from("P1") + found.came_from("P2") + found.went_into("P1")


def test_several_parts_of_one_title_come_in_the_order_given(ledger: Ledger) -> None:
    drafts = [
        Draft("P2", {"n": 1}),
        Draft("P1", {"area": 90}),
        Draft("P2", {"n": 2}),
        Draft("P1", {"area": 80}),
    ]
    ledger.register(drafts, reference=R, parents={"P1": ledger.head("P1"), "P2": None})
    assert places(ledger.registration(R).entries) == [
        ((1, 4), "P1", 2),
        ((2, 4), "P1", 3),
        ((3, 4), "P2", 1),
        ((4, 4), "P2", 2),
    ]
    assert [entry.document for entry in ledger.log("P2")] == [{"n": 2}, {"n": 1}]
    again = ledger.register(drafts, reference=R, parents={"P1": None, "P2": None})
    assert all(each.repeated for each in again)


def test_a_dry_run_says_what_would_be_and_writes_nothing(ledger: Ledger) -> None:
    before = objects_of(ledger.store)
    done = ledger.register(split(), reference=R, dry_run=True)
    assert places(tuple(each.entry for each in done)) == SPLIT
    assert objects_of(ledger.store) == before


# --- none of it -----------------------------------------------------------------------------------


def test_a_part_that_does_not_fit_refuses_all(ledger: Ledger) -> None:
    ledger.append("P4", {"area": 1}, status="closed")
    before = objects_of(ledger.store)
    for dry_run in (True, False):
        with pytest.raises(TitleClosed, match="append to P4"):
            ledger.register(split(), reference=R, dry_run=dry_run)
    assert objects_of(ledger.store) == before


def test_a_title_that_is_not_there_is_not_closed(ledger: Ledger) -> None:
    before = objects_of(ledger.store)
    mistyped = [Draft("P11", {"area": 0}, status="closed"), Draft("P2", {"area": 100})]
    with pytest.raises(InvalidError, match="cannot close P11: there is no such title"):
        ledger.register(mistyped, reference=R)
    assert objects_of(ledger.store) == before
    ledger.register(mistyped, reference=R, parents={"P11": None})
    assert all(each.repeated for each in ledger.register(mistyped, reference=R))
    taken_over = [Draft(f"H{i}", {}, kind="migration", status="closed") for i in range(2)]
    assert len(ledger.register(taken_over, reference="old register")) == 2


def test_a_parent_that_is_not_the_head_refuses_all(ledger: Ledger) -> None:
    old = ledger.head("P1")
    ledger.append("P1", {"area": 99})
    before = objects_of(ledger.store)
    with pytest.raises(HeadMoved, match="append to P1"):
        ledger.register(split(), reference=R, parents={"P1": old})
    assert objects_of(ledger.store) == before


@pytest.mark.parametrize(
    ("drafts", "options", "why"),
    [
        ([], {}, "2 to 1,000 parts, not 0"),
        (split()[:1], {}, "2 to 1,000 parts, not 1"),
        ([Draft(f"T{i}", {}) for i in range(1001)], {}, "not 1,001"),
        (split(), {"reference": ""}, "needs a reference"),
        (split(), {"reference": " x"}, "begins or ends with a blank"),
        ([*split(), Draft("Z", {}, reference="other")], {}, "a reference or part of its own"),
        ([*split(), Draft("Z", {}, part=(2, 2))], {}, "a reference or part of its own"),
        ([*split(), Draft("z", {})], {}, "not a title number"),
        (split(), {"parents": {"P11": None}}, "'P11', which no part is about"),
        (split(), {"guards": Guards(skip_unchanged=True)}, "leaves no part out"),
    ],
)
def test_what_is_no_registration_is_refused(
    ledger: Ledger, drafts: list[Draft], options: dict[str, object], why: str
) -> None:
    before = objects_of(ledger.store)
    with pytest.raises(InvalidError, match=why):
        ledger.register(drafts, **{"reference": R} | options)  # type: ignore[arg-type]
    assert objects_of(ledger.store) == before


@pytest.mark.parametrize(
    "drafts",
    [
        split()[:3],  # one line less
        [*split(), Draft("P5", {})],
        split(third="P5"),
        [*split()[:3], Draft("P2", {"area": 31})],
    ],
)
def test_another_registration_does_not_get_the_same_reference(
    ledger: Ledger, drafts: list[Draft]
) -> None:
    ledger.register(split(), reference=R)
    before = objects_of(ledger.store)
    with pytest.raises(ReferenceConflict, match="taken"):
        ledger.register(drafts, reference=R)
    assert objects_of(ledger.store) == before


def test_an_ordinary_entry_may_have_the_reference(ledger: Ledger) -> None:
    note = ledger.append("P7", {"note": "received"}, reference=R)
    ledger.register(split(), reference=R)
    found = ledger.registration(R)
    assert found.entries[0] == note
    assert places(found.parts) == SPLIT


# --- a part of it ---------------------------------------------------------------------------------


def test_a_head_that_moves_meanwhile_gets_its_part_on_top(ledger: Ledger) -> None:
    ours, other, store = meddled()
    for title in ("A", "B"):  # the first head, and a later one
        store.before[head_key(title)] = lambda title=title: other.append(title, {"n": "theirs"})
    ours.register([Draft("A", {"n": 2}), Draft("B", {"n": 2})], reference=R)
    assert places(ours.registration(R).parts) == [((1, 2), "A", 3), ((2, 2), "B", 3)]
    assert other.verify("A")


def test_a_head_that_moves_meanwhile_and_had_a_parent_leaves_it_incomplete() -> None:
    ours, other, store = meddled()
    parents = {title: ours.head(title) for title in ("A", "B")}
    drafts = [Draft("A", {"n": 2}), Draft("B", {"n": 2})]
    store.before[head_key("B")] = lambda: other.append("B", {"n": "theirs"})
    with pytest.raises(RegistrationIncomplete) as caught:
        ours.register(drafts, reference=R, parents=parents)
    first = ours.head("A")
    for error in (caught.value, pickle.loads(pickle.dumps(caught.value))):
        assert (error.standing, error.missing) == ({1: first.address}, (2,))
        assert "of 2 parts, 1 (A version 2) stand; part 2 (B) does not" in str(error)
    assert ours.registration(R).missing == ((2, 2),)
    assert not ours.registration(R).is_complete
    # As it stands, it goes no further; once somebody has looked at B, it does.
    with pytest.raises(RegistrationIncomplete, match="head moved"):
        ours.register(drafts, reference=R, parents=parents)
    done = ours.register(drafts, reference=R, parents={"A": first.parent, "B": ours.head("B")})
    assert [each.repeated for each in done] == [True, False]
    assert ours.registration(R).is_complete


def test_a_title_that_is_closed_meanwhile_leaves_it_incomplete_until_it_is_reopened() -> None:
    ours, other, store = meddled()
    drafts = [Draft("A", {"n": 2}), Draft("B", {"n": 2})]
    store.before[head_key("B")] = lambda: other.append("B", {}, status="closed")
    with pytest.raises(RegistrationIncomplete, match="version 2 closed it"):
        ours.register(drafts, reference=R)
    other.append("B", {}, status="open")
    assert [each.repeated for each in ours.register(drafts, reference=R)] == [True, False]


def test_two_writers_with_the_same_reference_register_it_once() -> None:
    for key in (head_key("A"), head_key("B")):
        ours, other, store = meddled()
        drafts = [Draft("A", {"n": 2}), Draft("B", {"n": 2})]
        store.before[key] = lambda other=other, drafts=drafts: other.register(drafts, reference=R)
        done = ours.register(drafts, reference=R)
        assert {title: other.head(title).version for title in "AB"} == {"A": 2, "B": 2}
        assert tuple(each.entry for each in done) == other.registration(R).parts


def test_two_writers_with_one_reference_for_two_things_do_not_mix() -> None:
    ours, other, store = meddled()
    theirs = [Draft("A", {"n": 5}), Draft("B", {"n": 5})]
    store.before[head_key("A")] = lambda: other.register(theirs, reference=R)
    with pytest.raises(ReferenceConflict, match="with another document"):
        ours.register([Draft("A", {"n": 2}), Draft("B", {"n": 2})], reference=R)
    assert [entry.document["n"] for entry in ours.registration(R).parts] == [5, 5]


@pytest.mark.parametrize("given", [True, False], ids=["parents given", "on top of anything"])
def test_two_registrations_that_share_titles_in_opposite_order_both_end(*, given: bool) -> None:
    """X(A,B) and Y(B,A): one wins all, and the other is refused whole, or comes on top."""
    memory_ledger(store := MemoryStore())
    ledgers = [memory_ledger(store) for _ in range(2)]
    for title in "AB":
        ledgers[0].append(title, {"n": 0})
    start = Barrier(2)

    def run(number: int, order: str, case: str, parents: dict[str, Entry]) -> object:
        drafts = [Draft(title, {"case": case}) for title in order]
        start.wait(LIMIT)
        try:
            return ledgers[number].register(
                drafts, reference=case, parents=parents if given else {"A": ANY}
            )
        except LedgerError as error:
            return error

    with ThreadPoolExecutor(2) as pool:
        for turn in range(40):
            parents = {title: ledgers[0].head(title) for title in "AB"}
            cases = [f"X{turn}", f"Y{turn}"]
            jobs = [
                pool.submit(run, number, order, case, parents)
                for number, (order, case) in enumerate(zip(("AB", "BA"), cases, strict=True))
            ]
            done = [job.result(LIMIT) for job in jobs]
            won = [isinstance(each, list) for each in done]
            assert won.count(True) == (1 if given else 2), done
            assert all(isinstance(each, list | HeadMoved) for each in done)
            for case, each in zip(cases, won, strict=True):
                assert ledgers[0].registration(case).is_complete == each
    assert ledgers[0].verify_all()


# --- a store that fails ---------------------------------------------------------------------------


def failing(error: LedgerError) -> object:
    def fail() -> None:
        raise error

    return fail


def test_a_store_that_fails_before_the_first_swap_has_registered_nothing() -> None:
    ours, _, store = meddled()
    store.before[head_key("A")] = failing(StoreUnavailable("full"))
    with pytest.raises(StoreUnavailable, match="full"):
        ours.register([Draft("A", {"n": 2}), Draft("B", {"n": 2})], reference=R)
    assert ours.registration(R).entries == ()


def test_a_store_that_fails_later_has_registered_a_part_of_it() -> None:
    ours, _, store = meddled()
    store.before[head_key("B")] = failing(StoreUnavailable("full"))
    drafts = [Draft("A", {"n": 2}), Draft("B", {"n": 2})]
    with pytest.raises(RegistrationIncomplete, match="full"):
        ours.register(drafts, reference=R)
    assert [each.repeated for each in ours.register(drafts, reference=R)] == [True, False]


def test_an_unclear_swap_is_unclear_and_says_what_stands() -> None:
    class Deaf(Wrapper):
        """Answers nothing more about B, once its head was to be swapped."""

        deaf = False

        def called(self, operation: str, key: str) -> None:
            self.deaf = self.deaf or (operation == "replace" and key == head_key("B"))
            if self.deaf and key == head_key("B"):
                raise OutcomeUnknown("timed out")

    ours, _, store = meddled()
    drafts = [Draft("A", {"n": 2}), Draft("B", {"n": 2})]
    with pytest.raises(OutcomeUnknown, match=r"part 2 of 2: .*what stands: 1 \(A version 2\)"):
        memory_ledger(Deaf(store)).register(drafts, reference=R)
    assert len(ours.register(drafts, reference=R)) == 2


# --- what a registration is -----------------------------------------------------------------------


def test_a_name_that_is_in_no_chain_means_nothing(ledger: Ledger) -> None:
    ledger.register(split(), reference=R)
    for title, version, address in (
        ("P1", 2, "0" * 64),
        ("P1", 99, "1" * 64),
        ("P3", 1, ledger.head("P2").address),
        ("NOBODY", 1, "2" * 64),
    ):
        ledger.store.create(reference_key(R, title, version, address), b"")
    assert places(ledger.registration(R).entries) == SPLIT


def test_names_that_lost_tries_left_do_not_hide_a_registration(ledger: Ledger) -> None:
    ledger.register(split(), reference=R)
    for i in range(200):
        ledger.store.create(reference_key(R, "P1", 2, f"{i:064x}"), b"")
    assert find_registration(ledger.history, R, most=4).is_complete
    with pytest.raises(InvalidError, match="more than 3 titles"):
        find_registration(ledger.history, R, most=3)
    for i in range(200, 500):
        ledger.store.create(reference_key(R, "P1", 2, f"{i:064x}"), b"")
    with pytest.raises(InvalidError, match="or too many names"):
        find_registration(ledger.history, R, most=4)


def test_a_name_is_not_believed_about_its_reference(ledger: Ledger) -> None:
    head = ledger.head("P1")
    ledger.store.create(reference_key("stolen", "P1", head.version, head.address), b"")
    assert ledger.registration("stolen").entries == ()


def test_two_entries_that_are_one_part_are_a_conflict(ledger: Ledger) -> None:
    ledger.register(split(), reference=R)
    ledger.submit(Draft("P9", {"n": 1}, reference=R, part=(2, 4)))
    found = ledger.registration(R)
    assert (found.is_complete, found.conflicts) == (True, ((2, 4),))


# --- giving up ------------------------------------------------------------------------------------


def incomplete(*parts: int, effective_at: str | None = None, until: str | None = None) -> Ledger:
    """Of four titles A to D, these parts of a registration stand."""
    ledger = memory_ledger(clock=(clock := FixedClock()))
    for part, title in enumerate("ABCD", 1):
        ledger.append(title, {"n": 1})
        if part in parts:
            law = {"effective_at": effective_at, "effective_until": until}
            draft = Draft(title, {"n": 2}, reference=R, part=(part, 4), **law)
            ledger.submit(draft, guards=Guards(supersede_later=True))
    clock.forward(days=400)
    return ledger


@pytest.mark.parametrize(
    ("parts", "filled"),
    [
        ((1, 2), [("B", (3, 4)), ("B", (4, 4))]),
        ((2, 4), [("B", (1, 4)), ("B", (3, 4))]),
        ((1, 2, 3, 4), []),
    ],
)
def test_what_is_given_up_is_completed_on_titles_that_were_changed(
    parts: tuple[int, ...], filled: list[tuple[str, tuple[int, int]]]
) -> None:
    ledger = incomplete(*parts)
    done = [each.entry for each in ledger.give_up(R, message="withdrawn", author="clerk")]
    assert [(entry.title_number, entry.part) for entry in done] == filled
    assert all(entry.kind == "rectification" and entry.document == {"n": 2} for entry in done)
    assert all((entry.message, entry.author) == ("withdrawn", "clerk") for entry in done)
    assert ledger.registration(R).is_complete
    before = objects_of(ledger.store)
    assert ledger.give_up(R) == []
    assert objects_of(ledger.store) == before
    if filled:
        drafts = [Draft(title, {"n": 2}) for title in "ABCD"]
        with pytest.raises(ReferenceConflict, match="taken"):
            ledger.register(drafts, reference=R)


@pytest.mark.parametrize(
    ("effective_at", "until"),
    [(None, None), ("2020", None), ("2020", "2021"), (None, "2027-01-01"), ("2099", None)],
)
def test_giving_up_leaves_the_law_as_it_was(effective_at: str | None, until: str | None) -> None:
    ledger = incomplete(1, 2, effective_at=effective_at, until=until)

    def law() -> list[object]:
        found: list[object] = []
        for day in ("2019", "2020", "2026", "2027", "2028", "2100"):
            try:
                found.append(ledger.at("B", effective=f"{day}-11-24").document)
            except NotFoundError:
                found.append(None)
        return found

    before = law()
    ledger.give_up(R)
    assert law() == before


def test_giving_up_leaves_a_closed_title_closed(ledger: Ledger) -> None:
    ledger.submit(Draft("P1", {}, status="closed", reference=R, part=(1, 2)))
    (done,) = ledger.give_up(R)
    assert done.entry.status == "closed"
    assert ledger.registration(R).went_into("P1") == ()


@pytest.mark.parametrize("is_gone", [True, False])
def test_a_part_that_the_log_has_is_not_given_up(tmp_path: Path, is_gone: bool) -> None:
    store = MemoryStore()
    ledger = ledger_in(store)
    before = ledger.append("P3", {"area": 1})
    ledger.register([Draft(name, {"area": 2}) for name in ("P2", "P3")], reference=R)
    Sealer(tmp_path).seal(store, genesis=True)
    if is_gone:
        store = without(store, head_key("P3"))
    else:
        store.replace(head_key("P3"), before.data, store.get(head_key("P3")).version)  # type: ignore[union-attr]
    late = ledger_in(store)
    assert late.registration(R).missing == ((2, 2),)
    with pytest.raises(IntegrityError, match="P3 is behind the log"):
        late.give_up(R)
    assert late.head("P2").version == 1


def test_there_is_nothing_to_give_up_of_what_never_stood(ledger: Ledger) -> None:
    with pytest.raises(NotFoundError, match="no part"):
        ledger.give_up("APP-0")


# --- bundles --------------------------------------------------------------------------------------


def bundle_report(ledger: Ledger, titles: list[str] | None = None) -> Report:
    out = io.BytesIO()
    ledger.export(out, titles)
    out.seek(0)
    return verify_bundle(out, keyring=ledger.keyring, clock=ledger.clock)


def test_a_bundle_of_some_titles_says_that_other_parts_are_elsewhere(ledger: Ledger) -> None:
    ledger.register(split(), reference=R)
    some = bundle_report(ledger, ["P1", "P2"])
    assert some
    assert any(f"lacks other parts of '{R}'" in said for said in some.not_shown)
    whole = bundle_report(ledger)
    assert whole
    assert not any(R in said for said in whole.not_shown)


def test_a_bundle_of_all_titles_and_the_log_names_what_is_incomplete(tmp_path: Path) -> None:
    ledger = ledger_in(MemoryStore())
    ledger.submit(Draft("A", {"n": 1}, reference=R, part=(1, 2)))
    Sealer(tmp_path).seal(ledger.store, genesis=True)
    report = bundle_report(ledger)
    assert [(each.severity, each.slug) for each in report.findings] == [
        ("unchecked", "registration-incomplete")
    ]
    ledger.give_up(R)
    assert bundle_report(ledger)


@pytest.mark.parametrize("titles", [None, ["A", "B", "C"], ["A", "C"]])
def test_a_bundle_names_two_entries_of_one_part(titles: list[str] | None) -> None:
    ledger = ledger_in(MemoryStore())
    for title, part in (("A", 1), ("B", 2), ("C", 1)):
        ledger.submit(Draft(title, {"n": 1}, reference=R, part=(part, 2)))
    report = bundle_report(ledger, titles)
    assert report
    assert [(each.severity, each.slug) for each in report.findings] == [
        ("warning", "registration-conflict")
    ]
    assert "part 1 of 2 more than once: A version 1, C version 1" in report.findings[0].message


# --- after a theft --------------------------------------------------------------------------------


def test_a_part_that_does_not_stand_is_missing_until_it_is_confirmed(tmp_path: Path) -> None:
    registry = Registry(MemoryStore(), tmp_path)
    for title in ("A", "B"):
        registry.write(title, BOB)
    registry.seal()
    good = registry.size()
    registry.ledger(BOB).submit(Draft("A", {"n": 2}, reference=R, part=(1, 2)))
    registry.ledger(ALICE).submit(Draft("B", {"n": 2}, reference=R, part=(2, 2)))
    registry.revoke(ALICE, good)
    ledger = registry.ledger(BOB)
    found = ledger.registration(R)
    assert (found.is_complete, found.missing) == (False, ((2, 2),))
    assert [(each.title_number, stand.reason) for each, stand in found.passed_over] == [
        ("B", "key-ended")
    ]
    # Nothing is registered on top of a head that does not stand, so the same call can't finish.
    drafts = [Draft("A", {"n": 2}), Draft("B", {"n": 2})]
    with pytest.raises(RegistrationIncomplete, match=r"part 2 \(B\) does not"):
        ledger.register(drafts, reference=R)
    ledger.settle("B", confirms=[2])
    assert ledger.registration(R).is_complete
    assert all(each.repeated for each in ledger.register(drafts, reference=R))
