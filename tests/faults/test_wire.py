"""Whatever breaks between a ledger and its bucket: nothing is lost, doubled, or answered wrongly.

Each request of an operation breaks in its turn, in each way, until the operation needs no more. It
then either has done what it says, or raises an error that says so; and done again, it succeeds.
"""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

import pytest

from ledger.stores import s3 as s3_module
from tests.faults.wire import (
    FAULTS,
    PATIENCE,
    STALLS,
    altered,
    conflict,
    doubled,
    failed_after,
    late,
    lost,
    truncated,
)
from tests.faults.wire_works import WORKS, AppendVersion, Striking, Verify, Work

if TYPE_CHECKING:
    from tests.faults.proxy import Between

pytestmark = pytest.mark.xdist_group("moto")


@pytest.fixture(scope="module")
def run(moto_url: str, moto_client: Any, tmp_path_factory: pytest.TempPathFactory) -> Striking:
    return Striking(moto_url, moto_client, tmp_path_factory.mktemp("striking"))


TELLING = (lost, truncated, doubled, conflict, failed_after)


@pytest.mark.parametrize("fault", TELLING, ids=lambda fault: fault.__name__)
def test_an_append_survives_every_broken_request(run: Striking, fault: Between) -> None:
    assert run(AppendVersion, fault) > 3


@pytest.mark.parametrize("work", WORKS)
def test_no_answer_at_all_leaves_no_work_half_done(run: Striking, work: type[Work]) -> None:
    """The server is gone from the first request on, or from a later one."""
    assert run(work, lost, for_good=True, step=5) >= 1


@pytest.mark.faults
@pytest.mark.parametrize("for_good", [False, True], ids=["once", "for good"])
@pytest.mark.parametrize("fault", FAULTS, ids=lambda fault: fault.__name__)
@pytest.mark.parametrize("work", WORKS)
def test_every_work_survives_every_broken_request(
    run: Striking, work: type[Work], fault: Between, for_good: bool
) -> None:
    if (work, fault) == (Verify, altered):
        pytest.skip("what was altered on the way is called damaged, and has to be")
    assert run(work, fault, for_good=for_good) >= 3


@pytest.mark.faults
@pytest.mark.parametrize("fault", STALLS, ids=lambda fault: fault.__name__)
@pytest.mark.parametrize("work", WORKS)
def test_every_work_survives_every_request_that_stalls_or_comes_late(
    run: Striking, work: type[Work], fault: Between, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(s3_module, "READ_TIMEOUT", PATIENCE)
    assert run(work, fault) >= 3


def test_an_append_survives_a_request_that_comes_late(
    run: Striking, monkeypatch: pytest.MonkeyPatch
) -> None:
    """Its sender has given up, and sent it again."""
    monkeypatch.setattr(s3_module, "READ_TIMEOUT", PATIENCE)
    assert run(AppendVersion, late, step=2) >= 2
