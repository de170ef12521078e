"""Random histories with rotation, theft, forged hints and settlements: every reader is right.

0 false passes, 0 false alarms with honest hints, and an honest way out of each.
"""

from __future__ import annotations

from collections import Counter
from random import Random

import pytest
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st

from tests.trust.histories import play

HISTORIES = 400
"""How many a slow run plays: some five minutes."""


@settings(
    max_examples=8,
    deadline=None,
    suppress_health_check=[HealthCheck.function_scoped_fixture, HealthCheck.too_slow],
)
@given(seed=st.integers(0, 2**64 - 1))
def test_readers_and_sealers_are_right_whatever_happens_to_keys(tmp_path, seed):
    play(tmp_path, Random(seed))


@pytest.mark.slow
def test_readers_and_sealers_are_right_through_hundreds_of_histories(tmp_path):
    total: Counter[str] = Counter()
    for seed in range(HISTORIES):
        total += play(tmp_path, Random(f"history {seed}"), 30)
    print(dict(total))
    assert total["histories"] == HISTORIES
    assert total["settled"] > HISTORIES // 2
    assert total["unknown"] > HISTORIES // 2
