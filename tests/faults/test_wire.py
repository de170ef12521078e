"""Whatever breaks between a ledger and its bucket: nothing is lost, doubled, or answered wrongly.

Each request of an operation breaks in its turn, in each way, until the operation needs no more. It
then either has done what it says, or raises an error that says so; and done again, it succeeds.
"""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

import pytest

from ledger.errors import StoreUnavailable
from tests.faults.requests import every_request
from tests.faults.wire import (
    FAULTS,
    STALLS,
    altered,
    conflict,
    doubled,
    failed_after,
    lost,
    truncated,
)
from tests.faults.wire_works import SECOND, WORKS, AppendVersion, Striking, Verify, Work, on

if TYPE_CHECKING:
    from tests.faults.proxy import Between

pytestmark = pytest.mark.xdist_group("moto")


@pytest.fixture(scope="module")
def run(moto_url: str, moto_client: Any, tmp_path_factory: pytest.TempPathFactory) -> Striking:
    return Striking(moto_url, moto_client, tmp_path_factory.mktemp("striking"))


TELLING = (lost, truncated, doubled, conflict, failed_after)


@pytest.mark.parametrize(
    "fault",
    [TELLING[0], *(pytest.param(fault, marks=pytest.mark.slow) for fault in TELLING[1:])],
    ids=lambda fault: fault.__name__,
)
def test_an_append_survives_every_broken_request(run: Striking, fault: Between) -> None:
    run(AppendVersion, fault).assert_sound(at_least=2)


@pytest.mark.slow
@pytest.mark.parametrize("work", WORKS)
@pytest.mark.parametrize("fault", FAULTS, ids=lambda fault: fault.__name__)
def test_every_work_survives_a_request_that_breaks_in_any_way(
    run: Striking, work: type[Work], fault: Between
) -> None:
    """Each fault at one of its requests; ``-m faults`` tries each at each."""
    if (work, fault) != (Verify, altered):
        run(work, fault, start=FAULTS.index(fault) % 5, most=1).assert_sound(at_least=0)


@pytest.mark.parametrize(
    "work",
    [w if w is AppendVersion else pytest.param(w, marks=pytest.mark.slow) for w in WORKS],
)
def test_no_answer_at_all_leaves_no_work_half_done(run: Striking, work: type[Work]) -> None:
    """The server is gone from the first request on, or from a later one."""
    run(work, lost, for_good=True, step=5).assert_sound(at_least=1)


@pytest.mark.slow
@pytest.mark.parametrize("stall", STALLS, ids=lambda fault: fault.__name__)
def test_an_append_survives_a_request_that_stalls_or_comes_late(
    run: Striking, stall: Between
) -> None:
    """Its sender has given up, and sent it again."""
    run(AppendVersion, stall, start=2, step=2).assert_sound(at_least=1)


@pytest.mark.faults
def test_every_work_survives_every_broken_request() -> None:
    (tally,) = every_request()
    tally.assert_sound(at_least=1500)


# --- what finds nothing could be blind -----------------------------------------------------------


class Forgetful(AppendVersion):
    """Acknowledges another entry than the one that is there."""

    def run(self, store, memory):
        return [(self.draft, on(store).head("OLD"))]


class Hasty(AppendVersion):
    """Appends what was appended."""

    def run(self, store, memory):
        entry = on(store).append("OLD", {"n": 2})
        return [(SECOND, on(store).append("OLD", {"n": 2}, parent=entry.address))]


class Liar(AppendVersion):
    """Says that nothing happened, whatever did."""

    def run(self, store, memory):
        super().run(store, memory)
        return [(self.draft, StoreUnavailable("nothing was written"))]


class Helpless(AppendVersion):
    """Fails in its own way."""

    def run(self, store, memory):
        raise KeyError(store.url)


@pytest.mark.parametrize(
    ("work", "kind"),
    [(Forgetful, "lost"), (Hasty, "doubled"), (Liar, "unclear"), (Helpless, "unclear")],
)
def test_a_writer_that_breaks_a_promise_is_found_out(
    run: Striking, work: type[Work], kind: str
) -> None:
    assert getattr(run(work, lost, start=99), kind)
