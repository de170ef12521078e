"""Batches: titles side by side, the versions of one title in order, every draft once."""

from __future__ import annotations

import errno
import os
import time
from collections import Counter
from threading import Event, Lock, Thread

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from ledger import Appended, Draft, Guards, Ledger
from ledger.errors import (
    IntegrityError,
    InvalidError,
    KeyUnavailable,
    LedgerError,
    MalformedError,
    NotDurable,
    NotFoundError,
    OutcomeUnknown,
    ReferenceConflict,
    Skipped,
    StoreUnavailable,
)
from ledger.format.layout import entry_key, head_key, pending_prefix, reference_prefix
from ledger.stores import FolderStore, MemoryStore
from ledger.testing import FixedClock, keyring_for, memory_ledger, signer
from ledger.titles import batch
from ledger.titles.batch import WINDOW, WINDOW_BYTES, append_together, check_draft
from ledger.titles.history import Tip
from tests.laws import examples
from tests.servers import wait_until
from tests.wrappers import CountingStore, CrashError, CrashingStore, FailingStore, Wrapper

PATIENCE = 30


def reopened(store) -> Ledger:
    return Ledger.open(store, keyring=keyring_for(signer()), signer=signer(), clock=FixedClock())


class LossyStore(FailingStore):
    """Counts the calls of several threads."""

    def __init__(self, *arguments, **options) -> None:
        super().__init__(*arguments, **options)
        self._lock = Lock()

    def _count(self, operation, key):
        with self._lock:
            super()._count(operation, key)


def draft(title_number: str, n: int, reference: str = "") -> Draft:
    return Draft(title_number, {"n": n}, reference=reference)


def chain(ledger: Ledger, title_number: str) -> list[object]:
    """What was registered for a title, oldest first."""
    try:
        return [entry.document["n"] for entry in ledger.log(title_number)][::-1]
    except NotFoundError:
        return []


def appended(ledger: Ledger, drafts) -> list[object]:
    """Append them all, which has to succeed."""
    outcomes = list(ledger.append_many(drafts))
    assert [outcome.error for outcome in outcomes] == [None] * len(outcomes)
    return [outcome.appended for outcome in outcomes]


# --- what comes of it ----------------------------------------------------------------------------


@given(st.lists(st.tuples(st.sampled_from(["TN1", "TN2", "TN3", "TN4"]), st.integers(0, 3))))
@settings(max_examples=examples(50), deadline=None)
def test_the_chains_are_the_drafts_and_the_outcomes_come_in_their_order(pairs):
    ledger = memory_ledger()
    drafts = [draft(*pair) for pair in pairs]
    outcomes = list(ledger.append_many(iter(drafts)))
    assert [outcome.draft for outcome in outcomes] == drafts
    for title_number in {title for title, _ in pairs}:
        assert chain(ledger, title_number) == [n for title, n in pairs if title == title_number]
        assert ledger.verify(title_number)
    for outcome in outcomes:
        assert outcome.error is None
        assert not outcome.appended.repeated
        assert outcome.appended.entry.document == outcome.draft.document


def test_in_a_folder(tmp_path):
    ledger = memory_ledger(FolderStore(tmp_path / "store"))
    entries = [done.entry for done in appended(ledger, (draft(f"TN{n % 7}", n) for n in range(70)))]
    for title in range(7):
        assert chain(ledger, f"TN{title}") == list(range(title, 70, 7))
    assert Counter(entry.version for entry in entries) == dict.fromkeys(range(1, 11), 7)
    assert ledger.fsck()


@pytest.mark.slow
def test_in_a_bucket(s3_store):
    ledger = memory_ledger(s3_store)
    drafts = [draft(f"TN{n % 4}", n, f"case {n}") for n in range(12)]
    appended(ledger, drafts[:6])
    assert [done.repeated for done in appended(ledger, drafts)] == [True] * 6 + [False] * 6
    for title in range(4):
        assert chain(ledger, f"TN{title}") == [title, title + 4, title + 8]
    assert ledger.verify_all()


def test_a_draft_carries_all_that_an_append_does():
    ledger = memory_ledger()
    whole = Draft("TN1", {"n": 1}, "why", "1995-03-01", "case 7")
    (done,) = appended(ledger, [whole])
    entry = done.entry
    assert ledger.head("TN1") == entry
    assert (entry.message, entry.effective_at, entry.reference) == ("why", "1995-03-01", "case 7")


def test_a_batch_given_again_is_there_already():
    ledger = memory_ledger()
    drafts = [draft(f"TN{n % 3}", n, reference=f"case {n}") for n in range(30)]
    first = appended(ledger, drafts[:20])
    again = appended(ledger, drafts)
    assert [done.repeated for done in again] == [True] * 20 + [False] * 10
    assert [done.entry for done in again[:20]] == [done.entry for done in first]


def test_nothing_to_append():
    assert list(memory_ledger().append_many([])) == []


# --- failures ------------------------------------------------------------------------------------


def test_after_a_failure_the_rest_of_the_title_is_left_out_and_the_others_go_on():
    ledger = memory_ledger()
    bad = Draft("TN1", {"sha256": "mine"})
    outcomes = list(
        ledger.append_many(
            [
                *(draft("TN1", 1), draft("TN2", 1), bad, draft("TN2", 2), draft("TN1", 2)),
                *(draft("TN2", 3), draft("TN1", 3)),
            ]
        )
    )
    assert [type(outcome.error) for outcome in outcomes] == [
        *(type(None), type(None), InvalidError, type(None), Skipped, type(None), Skipped)
    ]
    assert outcomes[4].error.draft == outcomes[6].error.draft == 3
    assert "draft 3 of this batch" in str(outcomes[6].error)
    assert all((outcome.appended is None) == (outcome.error is not None) for outcome in outcomes)
    assert chain(ledger, "TN1") == [1]
    assert chain(ledger, "TN2") == [1, 2, 3]


def test_a_title_that_failed_long_ago_is_still_left_out(monkeypatch):
    monkeypatch.setattr(batch, "WINDOW", 50)
    ledger = memory_ledger()
    bad = Draft("TN1", {"sha256": "mine"})
    between = [draft(f"TN{2 + n % 50}", n) for n in range(100)]
    last = list(ledger.append_many([bad, *between, draft("TN1", 1)]))[-1]
    assert isinstance(last.error, Skipped)
    assert "TN1" not in ledger.titles()


def test_a_repeat_of_an_entry_that_has_gone_meanwhile_is_no_title_that_was_not_found():
    store = MemoryStore()
    ledger = memory_ledger(store)
    first = ledger.append("TN1", {"n": 1}, reference="a")
    entry = entry_key("TN1", first.address)

    class Losing(Wrapper):
        lost = False

        def get(self, key):
            return None if key == entry and self.lost else super().get(key)

    losing = Losing(store)

    def drafts():
        yield draft("TN1", 2, reference="b")
        losing.lost = True
        yield draft("TN1", 1, reference="a")

    *_, last = reopened(losing).append_many(drafts())
    assert isinstance(last.error, IntegrityError)
    assert (last.error.reason, last.error.object_key) == ("entry-missing", entry)


def test_a_reference_that_is_taken_is_the_outcome_of_its_draft():
    ledger = memory_ledger()
    outcomes = list(
        ledger.append_many([draft("TN1", 1, "a"), draft("TN1", 2, "b"), draft("TN1", 3, "a")])
    )
    assert isinstance(outcomes[2].error, ReferenceConflict)
    assert outcomes[2].error.address == outcomes[0].appended.entry.address


def test_what_is_no_title_number_is_an_outcome_too():
    (outcome,) = memory_ledger().append_many([draft("tn1", 1)])
    assert isinstance(outcome.error, InvalidError)


@pytest.mark.parametrize("after", [False, True])
@pytest.mark.parametrize("failing", range(18))
def test_a_lost_answer_at_any_write_and_the_batch_again_leaves_every_draft_once(failing, after):
    store = MemoryStore()
    memory_ledger(store)
    drafts = [draft(f"TN{n % 2}", n, reference=f"case {n}") for n in range(6)]
    lossy = LossyStore(store, failing, after=after)
    outcomes = list(reopened(lossy).append_many(drafts))
    assert lossy.failed
    told = [outcome.draft.document["n"] for outcome in outcomes if outcome.appended]
    ledger = reopened(store)
    there = [n for title in ledger.titles() for n in chain(ledger, title)]
    assert set(told) <= set(there)
    appended(ledger, drafts)
    assert chain(ledger, "TN0") == [0, 2, 4]
    assert chain(ledger, "TN1") == [1, 3, 5]


def test_what_could_not_be_forced_to_the_disk_is_not_acknowledged():
    store = MemoryStore()
    memory_ledger(store)
    undurable = FailingStore(store, 2, after=True, error=NotDurable)  # entry, marker, head
    outcomes = list(reopened(undurable).append_many([draft("TN1", 1), draft("TN1", 2)]))
    assert isinstance(outcomes[0].error, OutcomeUnknown)
    assert isinstance(outcomes[1].error, Skipped)


def test_a_store_that_fails_fails_each_title_once():
    class Full(Wrapper):
        def called(self, operation, key):
            if operation == "create":
                raise StoreUnavailable("no room")

    store = MemoryStore()
    memory_ledger(store)
    outcomes = list(reopened(Full(store)).append_many(draft(f"TN{n % 4}", n) for n in range(8)))
    kinds = [type(outcome.error) for outcome in outcomes]
    assert kinds == [StoreUnavailable] * 4 + [Skipped] * 4


def test_a_crash_is_nobodys_outcome_and_comes_through():
    store = MemoryStore()
    memory_ledger(store)
    with pytest.raises(CrashError):
        list(reopened(CrashingStore(store, 3)).append_many(draft("TN1", n) for n in range(5)))


def test_what_the_drafts_raise_comes_after_the_outcomes_of_those_before():
    def drafts():
        yield draft("TN1", 1)
        yield draft("TN2", 1)
        raise ZeroDivisionError

    seen = []
    with pytest.raises(ZeroDivisionError):
        seen.extend(outcome.appended.entry for outcome in memory_ledger().append_many(drafts()))
    # "extend" keeps what came before the error.
    assert [entry.title_number for entry in seen] == ["TN1", "TN2"]


def test_without_a_signer_it_does_not_begin():
    store = MemoryStore()
    memory_ledger(store)
    with pytest.raises(KeyUnavailable):
        Ledger.open(store, keyring=keyring_for(signer())).append_many([])


@pytest.mark.parametrize(
    ("wrong", "words"),
    [
        (Draft("tn1", {}), "not a title number"),
        (Draft("TN1", {"title_number": "TN2"}), "not the entry's, which is TN1"),
        (Draft("TN1", []), "object"),
        (Draft("TN1", {"a": 1e30}), "/a"),
        (Draft("TN1", {"a": "x" * (1 << 20)}), "too large"),
        (Draft("TN1", {}, message=None), "message"),
        (Draft("TN1", {}, effective_at="soon"), "not a year"),
        (Draft("TN1", {}, effective_until="soon"), "not a year"),
        (Draft("TN1", {}, effective_at="2026", effective_until="2025"), "not later"),
        (Draft("TN1", {}, part=(1, 2)), "need a reference"),
        (Draft("TN1", {}, kind="redaction"), "not a kind"),
        (Draft("TN1", {}, status="frozen"), "not a status"),
        (Draft("TN1", {}, reference=7), "reference"),
    ],
)
def test_a_draft_is_checked_as_an_append_would(wrong, words):
    with pytest.raises(MalformedError) as checked:
        check_draft(wrong)
    assert words in str(checked.value)
    (outcome,) = memory_ledger().append_many([wrong])
    assert type(outcome.error) is type(checked.value)
    check_draft(Draft("TN1", {"title_number": "TN1"}, "why", "1995-03-01", "case 7"))


# --- how much is read ----------------------------------------------------------------------------


def test_the_head_of_a_title_is_read_once_and_references_are_listed():
    store = CountingStore(MemoryStore())
    ledger = memory_ledger(store)
    appended(ledger, (draft("TN1", n, f"case {n}") for n in range(20)))
    more = [draft("TN1", n, f"case {n}") for n in range(20, 40)]
    calls = store.during(lambda: appended(ledger, more))
    gets = Counter(key for operation, key in calls if operation == "get")
    assert gets.pop(head_key("TN1")) == 1
    assert not gets  # a name that nobody has needs no reading
    assert Counter(operation for operation, _ in calls) == {
        "get": 1,
        "list": 20,
        "create": 60,
        "replace": 20,
    }


def test_of_a_title_that_the_batch_began_it_knows_the_references():
    store = CountingStore(MemoryStore())
    ledger = memory_ledger(store)
    drafts = [draft("TN1", n, f"case {n}") for n in range(20)]
    done: list[Appended] = []
    calls = store.during(lambda: done.extend(appended(ledger, [*drafts, drafts[7]])))
    assert [each.repeated for each in done] == [False] * 20 + [True]
    listed = [key for operation, key in calls if operation == "list"]
    assert listed == ["TN1/", pending_prefix("TN1"), f"{reference_prefix('case 7')}TN1."]


def test_without_references_nothing_but_the_head_is_read():
    store = CountingStore(MemoryStore())
    ledger = memory_ledger(store)
    appended(ledger, (draft("TN1", n) for n in range(5)))
    calls = store.during(lambda: appended(ledger, (draft("TN1", n) for n in range(5))))
    assert Counter(operation for operation, _ in calls) == {"get": 1, "create": 10, "replace": 5}


def test_a_head_that_moved_in_between_is_read_again():
    store = MemoryStore()
    other = memory_ledger(store)

    class Racing(Wrapper):
        raced = 0

        def called(self, operation, key):
            if operation == "replace" and self.raced < 3:
                self.raced += 1
                other.append("TN1", {"n": -self.raced})

    appended(reopened(Racing(store)), [draft("TN1", n, f"case {n}") for n in range(5)])
    assert sorted(chain(other, "TN1")) == [-3, -2, -1, 0, 1, 2, 3, 4]
    assert [n for n in chain(other, "TN1") if n >= 0] == [0, 1, 2, 3, 4]
    assert other.verify("TN1")


@pytest.mark.parametrize("begun", [False, True])
def test_a_draft_that_another_writer_was_faster_with_is_there_already(begun):
    """Whether the batch began the title, so that it knows its references, or not."""
    store = MemoryStore()
    clock = FixedClock()
    clock.forward(seconds=1)  # else both would make the same entry
    other = memory_ledger(store, clock=clock)

    class Racing(Wrapper):
        raced = False

        def called(self, operation, key):
            if operation == "replace" and not self.raced:
                self.raced = True
                other.append("TN1", {"n": 1}, reference="case 1")

    if not begun:
        other.append("TN1", {"n": 0}, reference="case 0")
    done = appended(reopened(Racing(store)), [draft("TN1", n, f"case {n}") for n in range(4)])
    assert [each.repeated for each in done] == [not begun, True, False, False]
    assert chain(other, "TN1") == [0, 1, 2, 3]


@pytest.mark.timeout(30)
def test_it_goes_on_if_all_that_was_under_way_is_done_before_anybody_looks(monkeypatch):
    """The oldest draft without an outcome may still wait for a writer then."""
    monkeypatch.setattr(batch, "WRITERS", 1)
    ledger = memory_ledger()
    drafts = [draft("TN1", 1), draft("TN1", 2), draft("TN2", 1)]
    outcomes = list(ledger.append_many(drafts, stop=lambda: bool(time.sleep(0.1))))
    assert [outcome.error for outcome in outcomes] == [None] * 3


# --- how many at once ----------------------------------------------------------------------------


def test_no_more_drafts_are_taken_than_the_window_has_room_for(monkeypatch):
    window, taken = 100, 0
    assert window < WINDOW
    monkeypatch.setattr(batch, "WINDOW", window)

    def drafts():
        nonlocal taken
        for taken in range(1, 3 * window):
            yield draft(f"TN{taken % 100}", taken)

    ahead = 0
    for handed_out, _ in enumerate(memory_ledger().append_many(drafts())):
        ahead = max(ahead, taken - handed_out)
    assert 1 < ahead <= window


def test_large_documents_leave_less_room():
    size, taken = 1 << 19, 0

    def drafts():
        nonlocal taken
        for _ in range(60):
            taken += 1
            yield Draft("TN1", {"text": "x" * size})

    ahead = 0
    for handed_out, _ in enumerate(memory_ledger().append_many(drafts())):
        ahead = max(ahead, taken - handed_out)
    assert ahead <= WINDOW_BYTES // size + 1


def test_a_title_with_many_versions_does_not_hold_up_the_next():
    next_one = Event()

    class Waiting(Wrapper):
        """The first version of TN1 is written only when TN2 has been."""

        waited = False

        def called(self, operation, key):
            if operation == "create" and key == head_key("TN1"):
                self.waited = next_one.wait(PATIENCE)

        def returned(self, operation, key):
            if key == head_key("TN2"):
                next_one.set()

    store = MemoryStore()
    memory_ledger(store)
    waiting = Waiting(store)
    drafts = [*(draft("TN1", n) for n in range(WINDOW // 2)), draft("TN2", 0)]
    done = appended(reopened(waiting), drafts)
    assert waiting.waited
    assert [each.entry.title_number for each in done] == ["TN1"] * (WINDOW // 2) + ["TN2"]


# --- stopping ------------------------------------------------------------------------------------


def test_closing_waits_for_what_is_being_written_and_begins_nothing_more():
    writing, go_on = Event(), Event()
    steps = []

    class Slow(Wrapper):
        """TN1 is written when TN2 is about to be, and TN2 when it is told to go on."""

        def called(self, operation, key):
            if (operation, key) == ("create", head_key("TN1")):
                writing.wait(PATIENCE)
            elif (operation, key) == ("create", head_key("TN2")):
                writing.set()
                go_on.wait(PATIENCE)

        def returned(self, operation, key):
            if (operation, key) == ("create", head_key("TN2")):
                steps.append("written")

    def close():
        outcomes.close()
        steps.append("closed")

    store = MemoryStore()
    memory_ledger(store)
    drafts = [draft("TN1", 0), *(draft("TN2", n) for n in range(9))]
    outcomes = reopened(Slow(store)).append_many(drafts)
    assert next(outcomes).draft.title_number == "TN1"
    closing = Thread(target=close)
    closing.start()
    wait_until(lambda: outcomes.gi_running)
    closing.join(0.2)  # time to be wrong
    go_on.set()
    closing.join(PATIENCE)
    assert steps == ["written", "closed"]
    assert chain(reopened(store), "TN2") == [0]


def test_stopped_it_tells_of_all_that_was_written_and_begins_nothing_more():
    ledger = memory_ledger()
    told = []
    outcomes = ledger.append_many(
        (draft(f"TN{n % 40}", n) for n in range(4000)), stop=lambda: len(told) >= 100
    )
    for outcome in outcomes:  # asked for one by one: what was told is how it knows when to stop
        told += [(outcome.draft.title_number, outcome.draft.document["n"])]
    there = {(title, n) for title in ledger.titles() for n in chain(ledger, title)}
    assert set(told) == there
    assert 100 <= len(told) < 2000


def test_stopped_every_outcome_still_says_which_draft_it_is_of():
    go_on = Event()

    class Slow(Wrapper):
        def called(self, operation, key):
            if (operation, key) == ("create", head_key("TN1")):
                go_on.wait(PATIENCE)

    store = MemoryStore()
    memory_ledger(store)
    drafts = [*(draft("TN1", n) for n in range(3)), draft("TN2", 3), draft("TN3", 4)]
    taken = 0

    def taking():
        nonlocal taken
        for taken, each in enumerate(drafts, 1):  # noqa: B007 -- counted
            yield each

    def stop():
        if taken < len(drafts):
            return False
        go_on.set()
        return True

    outcomes = list(reopened(Slow(store)).append_many(taking(), stop=stop))
    assert [outcome.draft for outcome in outcomes] == [drafts[o.number - 1] for o in outcomes]
    assert [outcome.number for outcome in outcomes] == [1, 4, 5]  # 2 and 3 were never begun


# --- written together ----------------------------------------------------------------------------


def written_together(ledger: Ledger, drafts) -> list[object]:
    """What becomes of drafts that are there at once: of an appended one, its version."""
    todo = [(each, Tip(ledger.history, each.title_number)) for each in drafts]
    outcomes = append_together(ledger.history, ledger._pen(), todo, Guards())
    return [each if isinstance(each, LedgerError) else each.entry.version for each in outcomes]


def many(n: int, reference: str = "") -> list[Draft]:
    return [draft(f"TN{title}", n, reference) for title in range(10)]


def test_of_drafts_written_together_one_that_loses_a_race_is_appended_on_top():
    store = MemoryStore()
    ledger = memory_ledger(store)
    appended(ledger, many(1))
    sent = []

    class Raced(Wrapper):
        def swap_many(self, objects, swaps):
            sent.append(len(swaps))
            if len(sent) == 1:
                reopened(store).append("TN7", {"n": 7})
            return super().swap_many(objects, swaps)

    assert written_together(reopened(Raced(store)), many(2)) == [2] * 7 + [3] + [2] * 2
    assert sent == [10, 1]
    assert chain(ledger, "TN7") == [1, 7, 2]
    assert all(chain(ledger, f"TN{n}") == [1, 2] for n in range(10) if n != 7)
    assert ledger.verify_all()


@pytest.mark.parametrize("after", [False, True])
def test_of_drafts_written_together_one_that_is_unclear_is_settled(after):
    """It is the head of the third: nobody else's is touched, and no entry is written twice."""
    store = MemoryStore()
    ledger = memory_ledger(store)
    appended(ledger, many(1))
    lossy = FailingStore(store, 3, after=after, operations=("replace",))
    assert written_together(reopened(lossy), many(2)) == [2] * 10
    assert lossy.failed
    assert all(chain(ledger, f"TN{n}") == [1, 2] for n in range(10))
    assert len([key for key in store.list() if key.endswith(".json")]) == 3 * 10 + 1


def test_of_drafts_written_together_only_the_one_that_is_wrong_fails():
    """What is found wrong before or while it is written."""
    store = MemoryStore()
    ledger = memory_ledger(store)

    class Full(Wrapper):
        def called(self, operation, key):
            if operation == "create" and key.startswith("TN7/"):
                raise StoreUnavailable("no room")

    drafts = [*many(1), Draft("TN10", {"sha256": "mine"}), draft("tn11", 1)]
    outcomes = written_together(reopened(Full(store)), drafts)
    wrong = [7, 10, 11]
    assert [n for n, each in enumerate(outcomes) if each != 1] == wrong
    assert [type(outcomes[n]) for n in wrong] == [StoreUnavailable, InvalidError, InvalidError]
    assert ledger.verify_all().titles == 9
    assert len(list(store.list("TN"))) == 18  # entries and heads


def test_what_a_disk_failed_to_force_is_acknowledged_to_nobody_and_not_tried_again(
    monkeypatch, tmp_path
):
    """A disk may say yes the second time, without having written it."""
    store = FolderStore(tmp_path / "store")
    ledger = memory_ledger(store)
    appended(ledger, many(1, "first"))
    bad, sync, asked = (tmp_path / "store" / "TN7").stat().st_ino, os.fsync, []

    def fsync(descriptor: int) -> None:
        if os.fstat(descriptor).st_ino == bad:
            asked.append(descriptor)
            raise OSError(errno.EIO, "Input/output error")
        sync(descriptor)

    monkeypatch.setattr(os, "fsync", fsync)
    drafts = [*many(2)[:-1], draft("TN9", 1, "first")]  # the last is there already
    *new, last = written_together(ledger, drafts)
    assert len(asked) == 1
    for each, error in zip(drafts, new, strict=False):
        assert isinstance(error, StoreUnavailable)
        assert f"nothing was appended to {each.title_number}" in str(error)
    assert isinstance(last, OutcomeUnknown)
    monkeypatch.undo()
    assert [chain(ledger, f"TN{n}") for n in range(10)] == [[1]] * 10
    assert written_together(ledger, [*many(2)[:-1], drafts[-1]]) == [2] * 9 + [1]
    assert ledger.verify_all()
