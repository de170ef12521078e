"""Helpers for the tests of those who embed a ledger or write a store.

::

    from ledger.testing import StoreContract, memory_ledger

    def test_it() -> None:
        ledger = memory_ledger()
        ledger.append("TN1", {"proprietor": "Ada"})

    class TestMyStore(StoreContract):
        @pytest.fixture
        def store(self): ...
"""

from __future__ import annotations

import hashlib
from datetime import UTC, datetime, timedelta
from itertools import count

from ledger.format.keyring import Keyring
from ledger.format.signing import PrivateKey
from ledger.ledger import Ledger
from ledger.stores import MemoryStore, Store
from ledger.stores.contract import StoreContract

__all__ = [
    "ORIGIN",
    "FixedClock",
    "FixedRandom",
    "StoreContract",
    "keyring_for",
    "memory_ledger",
    "signer",
]

ORIGIN = "example.org/titles"


class FixedClock:
    """A clock that stands still until it is told to go on."""

    def __init__(self, now: datetime = datetime(2026, 11, 23, 10, tzinfo=UTC)) -> None:
        self.now: datetime = now

    def __call__(self) -> datetime:
        """The time it stands at."""
        return self.now

    def forward(self, **delta: float) -> None:
        """Move on by a timedelta's arguments: ``clock.forward(hours=1)``."""
        self.now += timedelta(**delta)


class FixedRandom:
    """A source of random bytes that gives the same ones at every run, others at every call."""

    def __init__(self) -> None:
        self._calls = count()

    def __call__(self, size: int) -> bytes:
        """So many bytes."""
        return hashlib.shake_256(b"%d" % next(self._calls)).digest(size)


def signer(name: str = "alice") -> PrivateKey:
    """A private key made of a name: the same for the same name, and no secret."""
    return PrivateKey(hashlib.sha256(f"title-ledger test key {name}".encode()).digest())


def keyring_for(*keys: PrivateKey, origin: str = ORIGIN) -> Keyring:
    """A keyring in which these keys are the registrars."""
    keyring = Keyring()
    for key in keys:
        keyring = keyring.trust(origin, key.public_key)
    return keyring


def memory_ledger(
    store: Store | None = None, *, clock: FixedClock | None = None, origin: str = ORIGIN
) -> Ledger:
    """A ledger in memory (or in the store given), whose entries are the same at every run.

    It has a test signer, a fixed clock and a fixed source of random bytes.
    """
    key = signer()
    return Ledger.create(
        store if store is not None else MemoryStore(),
        origin=origin,
        keyring=keyring_for(key, origin=origin),
        signer=key,
        clock=clock or FixedClock(),
        random_bytes=FixedRandom(),
    )
