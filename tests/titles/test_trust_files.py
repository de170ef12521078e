"""Reading trust files: how much is asked of the store, and that nobody goes back."""

from __future__ import annotations

from typing import TYPE_CHECKING

import pytest

from ledger.format.layout import trust_key
from ledger.stores import MemoryStore
from ledger.testing import ORIGIN
from ledger.titles.trust_files import accepted_by, read_trust
from tests.titles.test_settle import put
from tests.trust.world import World
from tests.wrappers import CountingStore

if TYPE_CHECKING:
    from pathlib import Path


@pytest.fixture
def world(tmp_path: Path) -> World:
    return World(tmp_path, CountingStore(MemoryStore()))


def asked(world: World) -> list[str]:
    """The trust files that were asked for since the last time."""
    store = world.store
    assert isinstance(store, CountingStore)
    keys = [key for _, key in store.calls if key.startswith("_trust/")]
    store.calls.clear()
    return keys


def test_a_running_service_asks_only_for_the_next_file(world: World) -> None:
    for _ in range(6):
        world.publish()
    asked(world)
    ledger = world.open()
    assert ledger.keyring == world.open().keyring
    assert set(asked(world)) >= {trust_key(version) for version in range(1, 9)}
    before = ledger.keyring
    ledger.history.follow_trust()
    assert asked(world) == [trust_key(8)]
    assert ledger.keyring is before
    newest = world.publish()
    asked(world)
    ledger.history.follow_trust()
    assert asked(world) == [trust_key(8), trust_key(9)]
    accepted = accepted_by(ledger.keyring)
    assert accepted
    assert accepted.newest == newest


def test_a_file_that_vanished_goes_on_counting_and_is_named(world: World) -> None:
    newest = world.publish()
    known = read_trust(world.store, ORIGIN, world.keyring)
    assert known
    assert known.newest == newest
    assert isinstance(world.store, CountingStore)
    put(world.store.inner, trust_key(newest.version), None)
    again = read_trust(world.store, ORIGIN, world.keyring, known)
    assert again
    assert again.newest == newest
    assert [each.slug for each in again.findings] == ["trust-missing"]
    put(world.store.inner, trust_key(newest.version), newest.encode())
    assert read_trust(world.store, ORIGIN, world.keyring, again) == known
