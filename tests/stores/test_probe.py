"""The probe passes every store of ours and finds each way in which another's is unsafe."""

from __future__ import annotations

import time
from threading import Barrier, Lock, Thread, current_thread

import pytest

from ledger.errors import (
    OutcomeUnknown,
    PreconditionFailed,
    StoreDenied,
    StoreUnavailable,
    StoreUnsafe,
)
from ledger.stores import Blob, FolderStore, MemoryStore
from ledger.stores.probe import THREADS, probe


class IgnoresConditions(MemoryStore):
    """As s3rver and rclone's S3 are: the last one to write wins."""

    def create(self, key, data):
        self.delete(key)
        return super().create(key, data)

    def replace(self, key, data, expected):
        return self.create(key, data)


class IgnoresVersions(MemoryStore):
    """Keeps the condition of a creation only."""

    def replace(self, key, data, expected):
        return super().replace(key, data, self.get(key).version)


class RefusesItsVersions(MemoryStore):
    """As Ceph 16 and 18 do, which compare an ETag with its quotes to one without."""

    def get(self, key):
        there = super().get(key)
        return there and Blob(there.data, f'"{there.version}"')


class ChecksThenWrites(MemoryStore):
    """As a bucket with versions on Ceph is: right for one writer, wrong for several at once."""

    def __init__(self):
        super().__init__()
        self.meeting = Barrier(THREADS)

    def meet(self):
        """Let nobody write before everybody has checked."""
        if current_thread().name.startswith("probe"):
            self.meeting.wait(60)

    def create(self, key, data):
        there = self.get(key)
        self.meet()
        if there is None:
            self.delete(key)
        return super().create(key, data)

    def replace(self, key, data, expected):
        there = self.get(key)
        if there.version != expected:
            raise PreconditionFailed(key)
        self.meet()
        return super().replace(key, data, self.get(key).version)


class LosesSwapsOnly(ChecksThenWrites):
    create = MemoryStore.create


class ForgetsWrites(MemoryStore):
    """Says it has written, and hasn't."""

    def replace(self, key, data, expected):
        there = self.get(key)
        if there is None or there.version != expected:
            raise PreconditionFailed(key)
        return "version"


class ReadsAnEarlierState(MemoryStore):
    def get(self, key):
        return None


class MayNotDelete(MemoryStore):
    def delete(self, key):
        raise StoreDenied(f"{key}: no permission")


class IsNotThere(MemoryStore):
    def create(self, key, data):
        raise StoreUnavailable("no route to host")

    def delete(self, key):
        raise StoreUnavailable("no route to host")


class AnswersRacesWithErrors(MemoryStore):
    """As Ceph 18: some who lose, or win, get a 500; that is no reason to refuse it."""

    def __init__(self):
        super().__init__()
        self.asked, self.counting = 0, Lock()

    def replace(self, key, data, expected):
        try:
            version = super().replace(key, data, expected)
        finally:
            with self.counting:
                self.asked += 1
                unclear = self.asked > 2 and self.asked % 2
            if unclear:
                raise OutcomeUnknown("500")
        return version


def test_a_folder_passes_quickly_and_is_left_empty(tmp_path):
    store = FolderStore(tmp_path)
    start = time.perf_counter()
    assert probe(store) == []
    assert time.perf_counter() - start < 10  # 0.1 s on an idle machine
    assert list(store.list()) == []


def test_memory_passes(tmp_path):
    store = MemoryStore()
    probe(store)
    assert list(store.list()) == []


@pytest.mark.slow
def test_a_bucket_passes_and_is_left_empty(s3_store):
    probe(s3_store)
    assert list(s3_store.list()) == []


@pytest.mark.parametrize(
    ("store", "test"),
    [
        (IgnoresConditions(), "create twice"),
        (IgnoresVersions(), "stale swap"),
        (RefusesItsVersions(), "swap: it refused the version .ETag. that it had just given itself"),
        (ChecksThenWrites(), "create race"),
        (LosesSwapsOnly(), "swap race"),
        (ForgetsWrites(), "swap"),
        (ReadsAnEarlierState(), "read after create"),
    ],
    ids=lambda value: type(value).__name__ if isinstance(value, MemoryStore) else "",
)
def test_an_unsafe_store_is_refused_by_the_test_it_fails(store, test):
    with pytest.raises(StoreUnsafe, match=f"not safe for a ledger: {test}") as caught:
        probe(store)
    assert caught.value.hint
    assert list(store.list()) == []


def test_a_store_that_may_not_delete_passes():
    store = MayNotDelete()
    left = probe(store)
    assert all(key.startswith("_probe/") for key in left)
    assert list(store.list()) == left


def test_a_store_that_is_not_there_is_unavailable_not_unsafe():
    with pytest.raises(StoreUnavailable, match="no route"):
        probe(IsNotThere())


def test_unclear_answers_in_a_race_are_no_reason_to_refuse():
    probe(AnswersRacesWithErrors())


def test_probes_of_one_store_do_not_meet():
    store = MayNotDelete()
    probe(store)
    probe(store)


def test_threads_that_cannot_start_end_it(monkeypatch):
    """Those that could start don't wait for them for ever; nothing of the probe is left."""
    starts, start = iter(range(THREADS // 2)), Thread.start

    def start_some(thread):
        if thread.name.startswith("probe") and next(starts, None) is None:
            raise RuntimeError("can't start new thread")
        start(thread)

    monkeypatch.setattr(Thread, "start", start_some)
    store = MemoryStore()
    with pytest.raises(StoreUnavailable, match="can't start new thread"):
        probe(store)
    assert not list(store.list())
