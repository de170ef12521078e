"""What a writer is kept from: a clock that is wrong, and versions that say nothing new."""

from __future__ import annotations

import secrets
from datetime import UTC, datetime, timedelta

import pytest

from ledger.errors import ClockAhead, ReferenceConflict, StoreUnavailable
from ledger.stores import MemoryStore
from ledger.testing import FixedClock, memory_ledger, signer
from ledger.titles.append import append
from ledger.titles.draft import Draft, Guards, Pen
from ledger.titles.history import Tip

TITLE = "TN1"
NOW = datetime(2026, 11, 23, 10, tzinfo=UTC)


class TellingStore(MemoryStore):
    """A store that tells the time: what it said last, and what it says if it is asked."""

    def __init__(self, told: datetime | None, now: datetime = NOW) -> None:
        super().__init__()
        self.told, self.now = told, now
        self.asked = 0

    def server_time(self, *, remembered: bool = False) -> datetime | None:
        self.asked += not remembered
        return self.told if remembered else self.now


def test_a_clock_far_ahead_of_the_stores_is_not_signed_by():
    store = TellingStore(NOW)
    clock = FixedClock(NOW + timedelta(minutes=5))
    ledger = memory_ledger(store, clock=clock)
    ledger.append(TITLE, {"n": 1})
    assert not store.asked
    clock.forward(microseconds=1)
    for attempt in (ledger.submit, ledger.preview):
        with pytest.raises(
            ClockAhead, match=r"^cannot append to TN1: this clock says 2026"
        ) as told:
            attempt(Draft(TITLE, {"n": 2}))
        assert "--trust-clock" in told.value.hint
    assert ledger.head(TITLE).version == 1
    entry = ledger.append(TITLE, {"n": 2}, guards=Guards(trust_clock=True))
    assert entry.recorded_at == "2026-11-23T10:05:00.000001Z"


def test_a_store_is_asked_again_before_a_clock_is_refused():
    """This machine may have slept since the store told the time."""
    store = TellingStore(NOW - timedelta(hours=8))
    assert memory_ledger(store, clock=FixedClock(NOW)).append(TITLE, {"n": 1})
    assert store.asked == 1


def test_a_store_that_cannot_tell_the_time_when_asked_is_an_error():
    class Silent(TellingStore):
        def server_time(self, *, remembered: bool = False) -> datetime | None:
            if remembered:
                return self.told
            raise StoreUnavailable("it doesn't say")

    with pytest.raises(StoreUnavailable, match="doesn't say"):
        memory_ledger(Silent(NOW - timedelta(hours=8))).append(TITLE, {"n": 1})


def test_an_s3_server_tells_the_time_by_its_date(s3_store):
    clock = FixedClock(datetime.now(UTC))
    ledger = memory_ledger(s3_store, clock=clock)
    ledger.append(TITLE, {"n": 1})
    clock.forward(minutes=7)
    with pytest.raises(ClockAhead, match="this clock says"):
        ledger.append(TITLE, {"n": 2})
    assert ledger.append(TITLE, {"n": 2}, guards=Guards(trust_clock=True)).version == 2


@pytest.mark.parametrize("told", [None, NOW + timedelta(days=9)])
def test_a_clock_behind_the_stores_or_beside_one_that_tells_nothing_is_signed_by(told):
    assert memory_ledger(TellingStore(told), clock=FixedClock(NOW)).append(TITLE, {"n": 1})


@pytest.mark.parametrize(
    "more",
    [
        {"document": {"n": 2}},
        {"effective_at": "2027"},
        {"effective_until": "2030"},
        {"kind": "rectification"},
        {"status": "closed"},
    ],
)
def test_a_version_that_says_nothing_new_is_told_or_left_out(more):
    ledger = memory_ledger()
    same = {"title_number": TITLE, "document": {"n": 1}}
    first = ledger.submit(Draft(**same, message="first"))
    assert not first.unchanged
    skip = Guards(skip_unchanged=True)
    skipped = ledger.submit(Draft(**same, message="again", author="Ada"), guards=skip)
    assert skipped == (first.entry, False, True)
    assert ledger.preview(Draft(**same), guards=skip) == skipped
    assert ledger.preview(Draft(**same)).unchanged
    assert ledger.head(TITLE) == first.entry
    assert ledger.submit(Draft(**same)).unchanged
    done = ledger.submit(Draft(**(same | more)), guards=skip)
    assert (done.entry.version, done.unchanged) == (3, False)


def test_a_batch_leaves_out_what_says_nothing_new():
    ledger = memory_ledger()
    drafts = [Draft(TITLE, {"n": n}) for n in (1, 1, 2, 2, 1)]
    done = [
        outcome.appended
        for outcome in ledger.append_many(drafts, guards=Guards(skip_unchanged=True))
    ]
    assert [(each.entry.version, each.unchanged) for each in done] == [
        *((1, False), (1, True), (2, False), (2, True), (3, False))
    ]


def test_what_has_the_reference_of_the_head_is_a_repeat_and_not_unchanged():
    ledger = memory_ledger()
    skip = Guards(skip_unchanged=True)
    for number, reference in enumerate("ABA", 1):
        ledger.append(TITLE, {"is": reference}, reference=f"{reference}{number}")
    draft = Draft(TITLE, {"is": "A"}, reference="A3")
    assert ledger.submit(draft, guards=skip)[1:] == (True, False)
    # Nothing is written, so nobody looks whether an older version has the reference.
    for reference in ("A1", "B2", "A9", ""):
        done = ledger.submit(Draft(TITLE, {"is": "A"}, reference=reference), guards=skip)
        assert (done.entry.version, done.repeated, done.unchanged) == (3, False, True)
    with pytest.raises(ReferenceConflict):
        ledger.submit(Draft(TITLE, {"is": "C"}, reference="A1"), guards=skip)
    parted = Draft(TITLE, {"is": "A"}, reference="A3", part=(1, 2))
    assert ledger.submit(parted, guards=skip)[1:] == (False, True)
    assert ledger.head(TITLE).version == 3


def test_a_batch_does_not_say_unchanged_of_a_head_that_somebody_else_has_moved_since():
    ledger = memory_ledger()
    tip = Tip(ledger.history, TITLE)
    pen = Pen(signer(), ledger.clock, secrets.token_bytes, lambda _: None)
    same, skip = Draft(TITLE, {"n": 1}), Guards(skip_unchanged=True)
    assert append(ledger.history, pen, same, guards=skip, tip=tip).entry.version == 1
    ledger.append(TITLE, {"n": 2})
    done = append(ledger.history, pen, same, guards=skip, tip=tip)
    assert (done.entry.version, done.unchanged) == (3, False)
