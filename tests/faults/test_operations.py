"""Whatever operation of the store fails, in whatever way: nothing is lost, doubled or torn."""

from __future__ import annotations

import pytest

from ledger.errors import StoreError, StoreUnavailable
from ledger.format.layout import entry_key
from tests.faults.operations import every_operation, fail_each, in_a_folder
from tests.faults.stores import (
    CONFLICT,
    CONFLICT_AND_DONE,
    CRASH_AFTER,
    CRASH_BEFORE,
    CUT,
    DELAYED,
    DENIED,
    EMPTY,
    FAULTS,
    FLIPPED,
    LASTING,
    NOT_DURABLE,
    OTHER,
    REFUSED,
    UNKNOWN_AND_DONE,
    UNKNOWN_AND_NOT_DONE,
)
from tests.faults.tally import table
from tests.faults.works import WORKS, Append, Import, Init, opened

LONG = {"Import": 9, "Clone": 7, "Pull": 11, "PullErasure": 9, "Seal": 7, "Begin": 11, "Init": 41}
"""Of the longer ones, every so-many-th operation; ``-m faults`` tries each."""
ALIKE = [
    (REFUSED, UNKNOWN_AND_NOT_DONE, DENIED),
    (UNKNOWN_AND_DONE, NOT_DURABLE),
    (CONFLICT, CONFLICT_AND_DONE),
    (CUT, EMPTY, OTHER, FLIPPED),
    (CRASH_AFTER, CRASH_BEFORE),  # a crash before leaves what one after the call before it leaves
]
"""Of these, each work meets one after the other; to meet all of them is slow."""


def _met(number, work, fault):
    family = next((each for each in ALIKE if fault in each), (fault,))
    slow = fault != family[number % len(family)]
    name = f"{work.__name__}-{fault}"
    return pytest.param(work, fault, id=name, marks=pytest.mark.slow if slow else [])


@pytest.mark.parametrize(
    ("work", "fault"),
    [_met(number, work, fault) for number, work in enumerate(WORKS) for fault in FAULTS],
)
def test_an_operation_that_fails_once_leaves_the_old_or_the_new_and_can_be_repeated(work, fault):
    """Each fault strikes other operations: together they strike all of them."""
    stride = 1 if work is Append else LONG.get(work.__name__, 5)
    first = FAULTS.index(fault) % min(stride, 5)
    if "get" not in fault.operations and work is not Init:  # writes are few
        stride, first = min(stride, 4), 0
    if fault.operations == ("list",):
        first = 0
    tally = fail_each(work, fault, first=first, stride=stride)
    tally.assert_sound(at_least=0 if fault.operations == ("replace",) else 1)


@pytest.mark.parametrize("fault", LASTING, ids=repr)
def test_a_store_that_fails_for_good_leaves_the_old_or_the_new_until_it_is_mended(fault):
    fail_each(Append, fault).assert_sound()


@pytest.mark.parametrize(
    "fault", [CRASH_AFTER, pytest.param(CRASH_BEFORE, marks=pytest.mark.slow)], ids=repr
)
def test_a_crash_in_a_folder_leaves_the_old_or_the_new(fault):
    fail_each(Append, fault, in_a_folder).assert_sound()


@pytest.mark.slow
@pytest.mark.parametrize("fault", [REFUSED, UNKNOWN_AND_DONE, CRASH_AFTER], ids=repr)
@pytest.mark.parametrize("work", WORKS, ids=lambda work: work.__name__)
def test_every_operation_fails(work, fault):
    fail_each(work, fault).assert_sound(at_least=2)


@pytest.mark.faults
def test_every_operation_of_everything_fails_in_every_way():
    (tally,) = every_operation()
    tally.assert_sound(at_least=3_000)


# --- what finds nothing could be blind -----------------------------------------------------------


class Forgetful(Append):
    """Acknowledges what it did not append."""

    def run(self, store):
        opened(store)
        self.acknowledged["A"] = [7]


class Hasty(Append):
    """Appends with no reference, so that a repeat appends again."""

    def run(self, store):
        opened(store).append("A", {"n": 3})


class Liar(Append):
    """Says that nothing happened, whatever did."""

    def run(self, store):
        super().run(store)
        self.nothing_happened["A"] = [3]


class Denying(Import):
    """Says that nothing was written, whatever was."""

    def run(self, store):
        try:
            super().run(store)
        except StoreError as error:
            raise StoreUnavailable("nothing was written") from error


class DenyingOne(Import):
    """Says it of a title whose head has moved."""

    def run(self, store):
        try:
            super().run(store)
        except StoreError as error:
            raise StoreUnavailable("nothing was appended to A: busy") from error


class Damaging(Append):
    """Leaves an entry cut off."""

    def run(self, store):
        super().run(store)
        store.create(entry_key("A", "0" * 64), b"{")


@pytest.mark.parametrize(
    ("work", "kind", "fault"),
    [
        (Forgetful, "lost", REFUSED),
        (Hasty, "doubled", UNKNOWN_AND_DONE),
        (Liar, "unclear", DELAYED),
        (Denying, "unclear", REFUSED),
        (DenyingOne, "unclear", REFUSED),
        (Damaging, "torn", DELAYED),
    ],
)
def test_a_writer_that_breaks_a_promise_is_found_out(work, kind, fault):
    tally = fail_each(work, fault, stride=5 if issubclass(work, Import) else 1)
    assert getattr(tally, kind), tally
    assert tally.broken == len(tally.problems)
    assert any(f" {getattr(tally, kind)} |" in line for line in table([tally]))
