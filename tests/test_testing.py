"""What we ship for the tests of others."""

from __future__ import annotations

from datetime import UTC, datetime
from typing import TYPE_CHECKING

import pytest

from ledger.stores import FolderStore, MemoryStore
from ledger.testing import ORIGIN, FixedClock, StoreContract, keyring_for, memory_ledger, signer

if TYPE_CHECKING:
    from ledger import Ledger


class TestTheContractIsInherited(StoreContract):
    @pytest.fixture
    def store(self):
        return MemoryStore()


def test_a_ledger_in_memory_needs_nothing():
    ledger = memory_ledger()
    entry = ledger.append("TN1", {"proprietor": "Ada"})
    assert ledger.verify("TN1", expect=entry.address)
    assert ledger.origin == ORIGIN


def test_the_same_story_makes_the_same_bytes_every_time(tmp_path):
    def story(ledger: Ledger) -> list[str]:
        return [ledger.append("TN1", {"v": version}).address for version in range(3)]

    assert story(memory_ledger()) == story(memory_ledger(FolderStore(tmp_path)))


def test_two_ledgers_in_memory_share_nothing():
    memory_ledger().append("TN1", {})
    assert list(memory_ledger().titles()) == []


def test_a_ledger_of_another_origin_or_with_a_clock_of_ones_own():
    clock = FixedClock(datetime(2030, 1, 1, tzinfo=UTC))
    ledger = memory_ledger(clock=clock, origin="example.org/other")
    clock.forward(days=1, hours=2)
    entry = ledger.append("TN1", {})
    assert entry.recorded_at == "2030-01-02T02:00:00.000000Z"
    assert entry.ledger == "example.org/other"


def test_a_signer_is_made_of_its_name():
    assert signer("alice").public_key == signer("alice").public_key == signer().public_key
    assert signer("bob").public_key != signer("alice").public_key


def test_a_keyring_of_several_signers():
    keyring = keyring_for(signer("alice"), signer("bob"))
    assert len(keyring) == 2
    assert keyring.origins == [ORIGIN]


def test_two_fixed_clocks_go_by_themselves():
    one, other = FixedClock(), FixedClock()
    one.forward(days=1)
    assert other() == FixedClock()() != one()
