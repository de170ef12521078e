"""Which entries of a chain stand: the judge against the sentences of the specification.

``docs/spec.md``, "When an entry counts", is written here once more, without a thought of speed. If
something about the log is not known, it is asked of every log that there may be.
"""

from __future__ import annotations

from dataclasses import dataclass, field
from itertools import compress, product
from typing import TYPE_CHECKING, Any

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from ledger.format.standing import Positions
from ledger.trust.standing import ChainJudge
from tests.laws import examples

if TYPE_CHECKING:
    from collections.abc import Iterator

    from ledger.format.standing import Stand

KEYS = ("thief", "clerk", "eraser")
SIZE = 4
"""Leaves of the log, which is as long as the last end."""
NEVER = 99


@dataclass(frozen=True)
class Signed:
    """As much of an entry as the judge looks at."""

    version: int
    key: str = "clerk"
    confirms: tuple[int, ...] = ()
    voids: tuple[int, ...] = ()
    erases: tuple[int, ...] = ()

    @property
    def address(self) -> str:
        return f"address {self.version}"


@dataclass(frozen=True)
class Case:
    """A chain, oldest first, the trust files, and what is known of the log."""

    chain: tuple[Signed, ...]
    ends: dict[str, int] = field(default_factory=dict)
    erasers: frozenset[str] = frozenset()
    known: dict[str, int] = field(default_factory=dict)
    """Leaves that were proved."""
    searched: int = 0
    """All leaves below it were looked at."""

    def end_of(self, key_id: str) -> int | None:
        return self.ends.get(key_id)

    def may_erase(self, key_id: str) -> bool:
        return key_id in self.erasers

    def find(self, _end: int, search: bool) -> Positions:
        return Positions(self.known, self.searched if search else 0)

    def judged(self) -> dict[int, Stand]:
        judge = ChainJudge(self, self.find)
        entries: Any = reversed(self.chain)
        return {entry.version: judge(entry) for entry in entries}

    def logs(self) -> Iterator[dict[int, int]]:
        """Every log that there may be: the lowest leaf of each version."""
        places = [
            sorted(
                {
                    min(self.known.get(entry.address, NEVER), at)
                    for at in (*range(self.searched, SIZE), NEVER)
                }
            )
            for entry in self.chain
        ]
        for chosen in product(*places):
            yield {entry.version: at for entry, at in zip(self.chain, chosen, strict=True)}


@dataclass(frozen=True)
class Truth:
    """What is so in one log."""

    counts: bool
    stands: bool
    may_erase: bool
    by: int
    """The newest standing entry above that names it."""


def truth_of(case: Case, log: dict[int, int]) -> dict[int, Truth]:
    """The sentences of the specification, one by one."""
    truth: dict[int, Truth] = {}
    for entry in reversed(case.chain):
        above = [each for each in case.chain if each.version > entry.version]
        # The lowest index of a leaf that names its address or that of an entry above it.
        position = min(log[each.version] for each in (entry, *above))
        end = case.ends.get(entry.key)
        has_right = entry.key in case.erasers
        counts = (end is None or position < end) and (not entry.erases or has_right)
        naming = [
            each
            for each in above
            if truth[each.version].stands and entry.version in (*each.confirms, *each.voids)
        ]
        newest = max(naming, key=lambda each: each.version, default=None)
        is_confirmed = newest is not None and entry.version in newest.confirms
        may_erase = has_right and (
            counts or bool(newest and is_confirmed and truth[newest.version].may_erase)
        )
        truth[entry.version] = Truth(
            counts, counts or is_confirmed, may_erase, newest.version if newest else 0
        )
    return truth


def all_entries(version: int) -> list[Signed]:
    """Every entry that there may be in this place of a chain."""
    below = range(1, version)

    def named(marks: tuple[str, ...], mark: str) -> tuple[int, ...]:
        return tuple(v for v, each in zip(below, marks, strict=True) if each == mark)

    return [
        Signed(version, key, named(answers, "c"), named(answers, "v"), named(erases, "e"))
        for answers in product(".cv", repeat=len(below))
        for erases in product(".e", repeat=len(below))
        for key in KEYS
    ]


# Few draws make many cases: each is from a list of all there are.
ENTRIES = [st.sampled_from(all_entries(version)) for version in range(1, 5)]
ENDS = st.sampled_from(
    [
        {key: end for key, end in zip(KEYS, ends, strict=True) if end != NEVER}
        for ends in product((*range(SIZE + 1), NEVER), repeat=len(KEYS))
    ]
)
RIGHTS = st.sampled_from(
    [frozenset(compress(KEYS, chosen)) for chosen in product((True, False), repeat=len(KEYS))]
)
LOGS = st.sampled_from(list(product(range(len(ENTRIES) + 1), repeat=SIZE)))
"""For each leaf the version that it names, or 0 for another title's."""
SHOWN = st.sampled_from(list(product((True, False), repeat=SIZE)))


@st.composite
def cases(draw: st.DrawFn) -> Case:
    chain = tuple(draw(each) for each in ENTRIES[: draw(st.integers(1, len(ENTRIES)))])
    searched, shown = draw(st.integers(0, SIZE)), draw(SHOWN)
    known: dict[str, int] = {}
    for at, version in enumerate(draw(LOGS)):
        if 1 <= version <= len(chain) and (at < searched or shown[at]):
            known.setdefault(f"address {version}", at)
    return Case(chain, draw(ENDS), draw(RIGHTS), known, searched)


def check_no_log_contradicts(case: Case) -> None:
    """What the judge says for certain is so in every log that there may be."""
    judged = case.judged()
    for log in case.logs():
        for version, truth in truth_of(case, log).items():
            stand = judged[version]
            where = f"version {version} of {case}, if the log is {log}: {stand}, {truth}"
            assert stand.stands in {None, truth.stands}, where
            assert stand.may_erase in {None, truth.may_erase}, where
            if stand.is_void:
                assert (truth.counts, truth.by) == (False, stand.by), where
            elif stand.is_confirmed:
                assert truth.by == stand.by, where
            elif stand.reason == "named-needlessly":
                assert (truth.counts, truth.by) == (True, stand.by), where
            elif stand.stands is False:
                assert (truth.counts, truth.by) == (False, 0), where
                assert stand.reason in {"key-ended", "may-not-erase"}, where
            elif stand.stands is None:
                assert stand.reason == "position-unknown", where


@settings(max_examples=examples(300), deadline=None)
@given(cases())
def test_no_log_that_there_may_be_contradicts_a_certain_verdict(case: Case) -> None:
    check_no_log_contradicts(case)


@settings(max_examples=examples(300), deadline=None)
@given(cases())
def test_who_knows_the_log_knows_all(case: Case) -> None:
    knowing = Case(case.chain, case.ends, case.erasers, case.known, SIZE)
    judged = knowing.judged()
    (log,) = knowing.logs()
    for version, truth in truth_of(knowing, log).items():
        stand = judged[version]
        assert (stand.stands, stand.may_erase) == (truth.stands, truth.may_erase), knowing
        assert stand.reason != "position-unknown"


@settings(max_examples=examples(300), deadline=None)
@given(cases(), st.integers(0, SIZE))
def test_who_learns_more_of_the_log_takes_no_verdict_back(case: Case, searched: int) -> None:
    """Here the log has no more leaves of the title than are known."""
    less, more = sorted((case.searched, max(searched, case.searched)))
    before = Case(case.chain, case.ends, case.erasers, case.known, less).judged()
    after = Case(case.chain, case.ends, case.erasers, case.known, more).judged()
    for version, stand in before.items():
        assert stand.stands in {None, after[version].stands}, (case, more)
        assert stand.may_erase in {None, after[version].may_erase}, (case, more)


# -- The sentences, one by one ---------------------------------------------------------------------


def stands(case: Case) -> dict[int, bool | None]:
    return {version: stand.stands for version, stand in case.judged().items()}


STOLEN = {"thief": 2}


def test_a_key_without_an_end_needs_no_log() -> None:
    case = Case((Signed(1), Signed(2, "eraser", erases=(1,))), erasers=frozenset({"eraser"}))
    assert {s.stands for s in case.judged().values()} == {True}
    assert case.judged()[2].may_erase


def test_before_the_end_is_below_it_and_not_at_it() -> None:
    chain = (Signed(1, "thief"), Signed(2, "thief"))
    case = Case(chain, STOLEN, known={"address 1": 1, "address 2": 2}, searched=3)
    assert stands(case) == {1: True, 2: False}
    assert case.judged()[2].reason == "key-ended"


def test_an_entry_above_in_the_log_vouches_for_those_below() -> None:
    chain = (Signed(1, "thief"), Signed(2, "clerk"))
    assert stands(Case(chain, STOLEN, known={"address 2": 1})) == {1: True, 2: True}


@pytest.mark.parametrize("known", [{}, {"address 1": 2}, {"address 1": 3}])
def test_a_missing_hint_or_a_higher_leaf_shows_nothing(known: dict[str, int]) -> None:
    case = Case((Signed(1, "thief"),), STOLEN, known=known)
    assert stands(case) == {1: None}
    assert stands(Case(case.chain, STOLEN, known=known, searched=2)) == {1: False}


def test_what_stands_for_certain_may_confirm_what_is_not_shown() -> None:
    chain = (Signed(1, "thief"), Signed(2, "clerk", confirms=(1,)))
    assert stands(Case(chain, STOLEN)) == {1: True, 2: True}
    chain = (Signed(1, "thief"), Signed(2, "clerk", voids=(1,)))
    assert stands(Case(chain, STOLEN)) == {1: None, 2: True}
    assert stands(Case(chain, STOLEN, searched=2)) == {1: False, 2: True}


def test_lists_of_an_entry_of_unknown_position_make_what_they_name_unknown() -> None:
    ends = {"thief": 2, "eraser": 3}
    chain = (Signed(1, "thief"), Signed(2, "eraser", voids=(1,)))
    # The thief's key is known to have ended before version 1.
    case = Case(chain, ends, searched=2)
    assert stands(case) == {1: None, 2: None}
    settled = (*chain, Signed(3, "clerk", confirms=(1,)))
    assert stands(Case(settled, ends, searched=2)) == {1: True, 2: None, 3: True}


def test_the_newest_that_stands_decides() -> None:
    chain = (
        Signed(1, "thief"),
        Signed(2, "clerk", confirms=(1,)),
        Signed(3, "clerk", voids=(1,)),
        Signed(4, "thief", confirms=(1,)),
    )
    case = Case(chain, STOLEN, searched=2)
    assert stands(case) == {1: False, 2: True, 3: True, 4: False}
    assert case.judged()[1].by == 3


def test_a_name_of_what_counts_has_no_effect() -> None:
    chain = (Signed(1), Signed(2, voids=(1,)))
    stand = Case(chain).judged()[1]
    assert (stand.stands, stand.reason, stand.by) == (True, "named-needlessly", 2)


def test_an_order_to_erase_stands_by_confirmation_but_erases_only_by_right() -> None:
    order = Signed(2, "eraser", erases=(1,))
    ends, erasers = {"eraser": 0}, frozenset({"eraser", "thief"})
    chain = (Signed(1), order, Signed(3, "clerk", confirms=(2,)))
    stand = Case(chain, ends, erasers).judged()[2]
    assert (stand.stands, stand.may_erase) == (True, False)
    chain = (Signed(1), order, Signed(3, "thief", confirms=(2,)))
    stand = Case(chain, ends, erasers).judged()[2]
    assert (stand.stands, stand.may_erase) == (True, True)


def test_an_order_without_the_right_does_not_stand_wherever_it_is() -> None:
    chain = (Signed(1), Signed(2, "clerk", erases=(1,)))
    stand = Case(chain).judged()[2]
    assert (stand.stands, stand.reason) == (False, "may-not-erase")
