"""Python libraries that sign documents: each appends and verifies the same ones, in memory.

Every peer signs with Ed25519 through its own API, writes what it signed as bytes, and reads those
bytes again to verify. Only dulwich and the plain loop chain their documents as the ledger does;
none of them checks all that the ledger checks.
"""

from __future__ import annotations

import time
from functools import partial
from typing import TYPE_CHECKING, Protocol

from benchmarks import worlds
from benchmarks.by_hand import ByHand
from benchmarks.harness import Case, Claim, claims_table, take_turns, times_table
from ledger.stores import MemoryStore

if TYPE_CHECKING:
    from collections.abc import Iterator

    from benchmarks.harness import Size, Table
    from ledger import Ledger
    from ledger.format.canonical import JSONValue

    Documents = list[dict[str, JSONValue]]


ONE = "title-ledger, jobs=1"


def run(size: Size) -> Iterator[Table]:
    from benchmarks.peers_git import Dulwich
    from benchmarks.peers_tuf import Dsse, Tuf

    documents = [worlds.document(number) for number in range(size.entries)]
    ours = Ours()
    peers: list[Peer] = [ours, ByHand(), Dsse(), Tuf(), Dulwich()]
    appends = [Case(p.name, size.entries, partial(p.append, documents)) for p in peers]
    times = take_turns(appends, size.rounds)
    yield times_table(f"Signing and keeping {size.entries:,} documents", times)
    names = [peer.name for peer in peers[1:]]
    yield claims_table(
        "Appending against Python peers", times, [Claim(Ours.name, name, 1) for name in names]
    )

    verifies = [Case(p.name, size.entries, p.verify) for p in peers]
    verifies.insert(1, Case(ONE, size.entries, lambda: ours.verify(jobs=1)))
    times = take_turns(verifies, size.rounds)
    yield times_table("Verifying them", times)
    bounds = {ByHand.name: 6, Dsse.name: 2, Tuf.name: 5}
    claims = [Claim(Ours.name, name, bounds.get(name, 1)) for name in names]
    claims += [Claim(ONE, name) for name in names]
    yield claims_table("Verification against Python peers", times, claims)


class Peer(Protocol):
    """Signs documents and keeps them, then verifies what it kept."""

    name: str

    def append(self, documents: Documents) -> object: ...

    def verify(self) -> None: ...


class Ours:
    """``Ledger.append`` and ``Ledger.verify``, which uses all cores by itself."""

    name = "title-ledger"

    def __init__(self) -> None:
        self.ledger: Ledger
        self.entries = 0

    def append(self, documents: Documents) -> float:
        self.ledger, self.entries = worlds.new_ledger(MemoryStore()), len(documents)
        start = time.perf_counter()  # a store is probed when a ledger is made in it
        for document in documents:
            self.ledger.append("TN1", document)
        return time.perf_counter() - start

    def verify(self, jobs: int | None = None) -> None:
        worlds.check(self.ledger.verify("TN1", jobs=jobs), self.entries)
