"""RFC 6962, section 2.1, word for word: what the library must agree with. Recursive, and slow."""

from __future__ import annotations

import hashlib
from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from collections.abc import Callable, Sequence

    from ledger.tlog import Subtree


def sha256(data: bytes) -> bytes:
    return hashlib.sha256(data).digest()


def largest_power_below(n: int) -> int:
    k = 1
    while k * 2 < n:
        k *= 2
    return k


def root(leaves: Sequence[bytes]) -> bytes:
    """MTH(D[n])."""
    if not leaves:
        return sha256(b"")
    if len(leaves) == 1:
        return sha256(b"\x00" + leaves[0])
    k = largest_power_below(len(leaves))
    return sha256(b"\x01" + root(leaves[:k]) + root(leaves[k:]))


def path(m: int, leaves: Sequence[bytes]) -> list[bytes]:
    """PATH(m, D[n])."""
    if len(leaves) == 1:
        return []
    k = largest_power_below(len(leaves))
    if m < k:
        return [*path(m, leaves[:k]), root(leaves[k:])]
    return [*path(m - k, leaves[k:]), root(leaves[:k])]


def proof(m: int, leaves: Sequence[bytes]) -> list[bytes]:
    """PROOF(m, D[n])."""
    return subproof(m, leaves, whole=True)


def subproof(m: int, leaves: Sequence[bytes], *, whole: bool) -> list[bytes]:
    """SUBPROOF(m, D[n], b)."""
    if m == len(leaves):
        return [] if whole else [root(leaves)]
    k = largest_power_below(len(leaves))
    if m <= k:
        return [*subproof(m, leaves[:k], whole=whole), root(leaves[k:])]
    return [*subproof(m - k, leaves[k:], whole=False), root(leaves[:k])]


def reader(leaves: Sequence[bytes]) -> Callable[[Sequence[Subtree]], list[bytes]]:
    """Reads the hashes of full subtrees, without tiles."""

    def read(subtrees: Sequence[Subtree]) -> list[bytes]:
        ranges = [(each.index << each.level, (each.index + 1) << each.level) for each in subtrees]
        assert all(end <= len(leaves) for _, end in ranges), "only full subtrees are read"
        return [root(leaves[start:end]) for start, end in ranges]

    return read


def leaves(size: int) -> list[bytes]:
    """That many leaves, all different."""
    return [b"leaf %d" % number for number in range(size)]
