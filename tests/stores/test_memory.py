"""The store in memory."""

from __future__ import annotations

import pytest

from ledger.stores import MemoryStore
from ledger.stores.contract import StoreContract
from tests.wrappers import KeepingStore


class TestMemoryStore(StoreContract):
    @pytest.fixture
    def store(self) -> MemoryStore:
        return MemoryStore()


class TestKeepingStore(StoreContract):
    """The tests' own store, which stands for a bucket with versioning."""

    @pytest.fixture
    def store(self) -> KeepingStore:
        return KeepingStore()


def test_two_stores_share_nothing() -> None:
    MemoryStore().create("A/1", b"x")
    assert MemoryStore().get("A/1") is None


def test_a_caller_who_changes_a_buffer_changes_no_object() -> None:
    store = MemoryStore()
    buffer = bytearray(b"before")
    store.create("A/1", buffer)
    buffer[:] = b"after!"
    assert store.get("A/1").data == b"before"
