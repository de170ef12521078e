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


@settings(
    max_examples=8,
    deadline=None,
    suppress_health_check=[HealthCheck.function_scoped_fixture, HealthCheck.too_slow],
)
@given(seed=st.integers(0, 2**64 - 1))
def test_readers_and_sealers_are_right_whatever_happens_to_keys(tmp_path, seed):
    play(tmp_path, Random(seed))


@pytest.mark.parametrize(
    "histories",
    [pytest.param(150, marks=pytest.mark.slow), pytest.param(3000, marks=pytest.mark.faults)],
)
def test_readers_and_sealers_are_right_through_hundreds_of_histories(tmp_path, histories):
    total: Counter[str] = Counter()
    for seed in range(histories):
        total += play(tmp_path, Random(f"history {seed}"), 30)
    print(dict(total))
    assert total["histories"] == histories
    assert total["settled"] > histories // 2
    assert total["unknown"] > histories // 2
