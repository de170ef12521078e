"""How much verification costs beyond the signatures themselves."""

from __future__ import annotations

from typing import TYPE_CHECKING

import nacl.bindings
from cryptography.hazmat.primitives.asymmetric.ed25519 import Ed25519PublicKey

from benchmarks import worlds
from benchmarks.harness import Case, Claim, claims_table, take_turns, times_table

if TYPE_CHECKING:
    from collections.abc import Iterator

    from benchmarks.harness import Size, Table

SODIUM, OPENSSL = "libsodium, signatures alone", "OpenSSL, signatures alone"
ONE, TWO = "ledger.verify, jobs=1", "ledger.verify, jobs=2"


def run(size: Size) -> Iterator[Table]:
    """One title of so many versions in memory; the bare checks get their inputs ready-made."""
    ledger, title = worlds.memory(1, size.entries), worlds.title(0)
    inputs = [worlds.signature_of(entry) for entry in ledger.log(title)]
    raw = worlds.KEY.public_key.raw
    key = Ed25519PublicKey.from_public_bytes(raw)

    def sodium() -> None:
        for each in inputs:
            nacl.bindings.crypto_sign_open(each.joined, raw)

    def openssl() -> None:
        for each in inputs:
            key.verify(each.signature, each.data)

    def verify(jobs: int) -> None:
        worlds.check(ledger.verify(title, jobs=jobs), size.entries)

    cases = [
        Case(SODIUM, size.entries, sodium),
        Case(OPENSSL, size.entries, openssl),
        Case(ONE, size.entries, lambda: verify(1)),
        Case(TWO, size.entries, lambda: verify(2)),
    ]
    times = take_turns(cases, size.rounds)
    yield times_table(f"One title of {size.entries:,} versions, in memory", times)
    claims = [Claim(ONE, SODIUM, 0.8), Claim(ONE, OPENSSL, 1.5), Claim(TWO, ONE, 1.7)]
    yield claims_table("Verification against bare signatures", times, claims)
