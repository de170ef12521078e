"""Whatever fails, and then fails again when it is repeated: the third time does it, once."""

from __future__ import annotations

from itertools import product

import pytest

from ledger.errors import OutcomeUnknown, StoreUnavailable
from tests.faults.stores import CRASH_AFTER, REFUSED, UNKNOWN_AND_DONE
from tests.faults.twice import FIRST, SECOND, WORKS, every_pair, fail_twice
from tests.faults.works import Append, opened

SOME = {"Append": 3, "AppendMany": 8, "Recover": 5, "Import": 19, "Seal": 19}
"""Every so-many-th operation of each; ``-m faults`` tries more."""


def _in_turn(work, first, second):
    """Every second failure comes after one of the first ones; after the others it is slow."""
    turn = FIRST.index(first) == SECOND.index(second) % len(FIRST)
    name = f"{work.__name__}-{first}-{second}"
    return pytest.param(work, first, second, id=name, marks=[] if turn else pytest.mark.slow)


PAIRS = [_in_turn(*each) for each in product(WORKS, FIRST, SECOND)]


@pytest.mark.parametrize(("work", "first", "second"), PAIRS)
def test_a_repeat_that_fails_too_leaves_the_old_or_the_new_and_can_be_repeated(work, first, second):
    some = SOME[work.__name__]
    fail_twice(work, first, second, stride=some, again=some).assert_sound()


@pytest.mark.faults
def test_every_pair_of_failures():
    (tally,) = every_pair()
    tally.assert_sound(at_least=5_000)


# --- what finds nothing could be blind -----------------------------------------------------------


class Denying(Append):
    """Says that nothing was written of what it read in its chain."""

    def run(self, store):
        try:
            super().run(store)
        except OutcomeUnknown as error:
            raise StoreUnavailable("nothing was written") from error


class Hasty(Append):
    """Appends with no reference when it is asked for the second time."""

    tries = 0

    def run(self, store):
        self.tries += 1
        if self.tries != 2:
            super().run(store)
        else:
            opened(store).append("A", {"n": 3})


@pytest.mark.parametrize(
    ("work", "kind", "second"), [(Denying, "unclear", REFUSED), (Hasty, "doubled", CRASH_AFTER)]
)
def test_a_writer_that_breaks_a_promise_when_repeating_is_found_out(work, kind, second):
    tally = fail_twice(work, UNKNOWN_AND_DONE, second, stride=2, again=2)
    assert getattr(tally, kind), tally
