"""The Merkle tree of the log: hashes, proofs and their checks (RFC 6962, section 2; RFC 9162, 2.1).

A leaf is hashed behind a 0x00 byte and two hashes behind a 0x01, all sha256. A tree of any size is
made of full subtrees, of 2^level leaves each, the largest on the left. Proofs are made from the
hashes of full subtrees alone, which never change once they are full: ``ReadHashes`` says where
they come from. What it answers need not be trusted: a proof made of wrong hashes does not hold.

Everything here takes steps as the logarithm of the size, and none of it recurses.
"""

from __future__ import annotations

import hashlib
from collections.abc import Callable, Sequence
from dataclasses import dataclass
from typing import TYPE_CHECKING, TypeAlias

from ledger.errors import IntegrityError, InvalidError

if TYPE_CHECKING:
    from collections.abc import Iterable, Iterator

HASH_BYTES = 32

EMPTY_ROOT = hashlib.sha256(b"").digest()
"""The root of the tree without leaves (RFC 6962, section 2.1)."""

MAX_SIZE = 2**63 - 1
"""The largest tree that all readers can count."""


@dataclass(frozen=True, slots=True)
class Subtree:
    """The full subtree over the leaves from ``index << level`` to before ``index + 1 << level``."""

    level: int
    index: int


ReadHashes: TypeAlias = Callable[[Sequence[Subtree]], Sequence[bytes]]
"""Answers the hashes of full subtrees, in the order asked for."""


def hash_leaf(data: bytes) -> bytes:
    """The hash of a leaf with this content."""
    return hashlib.sha256(b"\x00" + data).digest()


def hash_pair(left: bytes, right: bytes) -> bytes:
    """The hash above two hashes."""
    return hashlib.sha256(b"\x01" + left + right).digest()


def root_of(hashes: bytes) -> bytes:
    """The root over a row of hashes, which follow each other in one bytes object.

    All stand for full subtrees of one level, but the last may stand for a smaller tree.
    """
    if not hashes:
        return EMPTY_ROOT
    while len(hashes) > HASH_BYTES:
        paired = len(hashes) - len(hashes) % (2 * HASH_BYTES)
        above = [
            hashlib.sha256(b"\x01" + hashes[at : at + 2 * HASH_BYTES]).digest()
            for at in range(0, paired, 2 * HASH_BYTES)
        ]
        hashes = b"".join(above) + hashes[paired:]  # an odd one moves up as it is
    return bytes(hashes)


class Edge:
    """The right edge of a growing tree: the roots of its full subtrees, the largest first.

    It is all that is needed to append leaves and to know the root; its size is the logarithm of
    the tree's.
    """

    def __init__(self, size: int = 0, hashes: Iterable[bytes] = ()) -> None:
        """Take the edge of a tree of ``size`` leaves; raises InvalidError if it can't be one."""
        self.size: int = _check_size(size)
        self.hashes: list[bytes] = list(hashes)
        expected = size.bit_count()
        if len(self.hashes) != expected or any(len(h) != HASH_BYTES for h in self.hashes):
            raise InvalidError(f"the edge of a tree of {size} leaves is {expected} hashes")

    @classmethod
    def read(cls, size: int, read: ReadHashes) -> Edge:
        """The edge of the tree of the first ``size`` leaves. Compare its root: it isn't checked."""
        return cls(size, read(list(_subtrees(0, _check_size(size)))))

    def append(self, leaf_hash: bytes) -> None:
        """Add a leaf, by its hash, on the right."""
        above = self.size
        while above & 1:  # as adding one to a binary number carries
            leaf_hash = hash_pair(self.hashes.pop(), leaf_hash)
            above >>= 1
        self.hashes.append(leaf_hash)
        self.size += 1

    def root(self) -> bytes:
        """The root of the tree as it is now."""
        return _fold(self.hashes) if self.hashes else EMPTY_ROOT


# -- Making proofs -------------------------------------------------------------------------------


def inclusion_proof(index: int, size: int, read: ReadHashes) -> tuple[bytes, ...]:
    """The proof that a leaf is in the tree of the first ``size`` leaves: PATH(m, D[n]).

    It goes from the leaf's sibling up to the root's child. Raises InvalidError if there is no
    such leaf.
    """
    if not 0 <= index < _check_size(size):
        raise InvalidError(f"no leaf {index} in a tree of {size} leaves")
    start, end = 0, size
    siblings = []
    while end - start > 1:
        middle = start + _split(end - start)
        if index < middle:
            siblings.append((middle, end))
            end = middle
        else:
            siblings.append((start, middle))
            start = middle
    return _read_ranges(siblings[::-1], read)


def consistency_proof(old_size: int, new_size: int, read: ReadHashes) -> tuple[bytes, ...]:
    """The proof that the new tree begins with all the leaves of the old one: PROOF(m, D[n]).

    Empty if the sizes are equal, or the old tree is. Raises InvalidError if the old is larger.
    """
    if not 0 <= old_size <= _check_size(new_size):
        raise InvalidError(f"a tree of {new_size} leaves can't continue one of {old_size}")
    if old_size in (0, new_size):
        return ()
    start, end = 0, new_size
    ranges = []
    while end != old_size:
        middle = start + _split(end - start)
        if old_size <= middle:
            ranges.append((middle, end))
            end = middle
        else:
            ranges.append((start, middle))
            start = middle
    if start:  # else it is the old tree itself, whose root the checker has
        ranges.append((start, end))
    return _read_ranges(ranges[::-1], read)


def _read_ranges(ranges: list[tuple[int, int]], read: ReadHashes) -> tuple[bytes, ...]:
    """The hash of each range of leaves, read all at once."""
    wanted = [list(_subtrees(start, end)) for start, end in ranges]
    hashes = iter(read([subtree for subtrees in wanted for subtree in subtrees]))
    return tuple(_fold([next(hashes) for _ in subtrees]) for subtrees in wanted)


def _subtrees(start: int, end: int) -> Iterator[Subtree]:
    """The full subtrees that make up a range, whose start is a multiple of the largest one."""
    while start < end:
        level = (end - start).bit_length() - 1
        yield Subtree(level, start >> level)
        start += 1 << level


def _fold(hashes: Sequence[bytes]) -> bytes:
    """The root over full subtrees of ever smaller levels."""
    root = hashes[-1]
    for left in reversed(hashes[:-1]):
        root = hash_pair(left, root)
    return root


def _split(size: int) -> int:
    """The largest power of two below the size, which is at least 2: ``k`` of RFC 6962."""
    return 1 << ((size - 1).bit_length() - 1)


def _check_size(size: int) -> int:
    if not 0 <= size <= MAX_SIZE:
        raise InvalidError(f"not the size of a tree: {size}")
    return size


# -- Checking proofs -----------------------------------------------------------------------------


def check_inclusion(
    leaf_hash: bytes, index: int, size: int, proof: Sequence[bytes], root: bytes
) -> None:
    """Check that this is leaf ``index`` of the tree of this size and root (RFC 9162, 2.1.3.2).

    Raises IntegrityError, its reason ``not-included``.
    """
    if not 0 <= index < size or not _are_hashes(leaf_hash, *proof):
        raise _not_included(index, size)
    here, last, found = index, size - 1, leaf_hash
    for sibling in proof:
        if last == 0:  # the root was reached already
            raise _not_included(index, size)
        if here & 1 or here == last:
            found = hash_pair(sibling, found)
            here, last = _skip_levels_without_sibling(here, last)
        else:
            found = hash_pair(found, sibling)
        here, last = here >> 1, last >> 1
    if last != 0 or found != root:
        raise _not_included(index, size)


def check_consistency(
    old_size: int, old_root: bytes, new_size: int, new_root: bytes, proof: Sequence[bytes]
) -> None:
    """Check that the new tree begins with all the leaves of the old one (RFC 9162, 2.1.4.2).

    Every tree continues the empty one, and itself, by the empty proof. Raises IntegrityError, its
    reason ``not-consistent``.
    """
    if old_size in (0, new_size):
        holds = not proof and _trivially_consistent(old_size, old_root, new_size, new_root)
    else:
        holds = 0 < old_size < new_size and _are_hashes(*proof)
        holds = holds and _roots_by(proof, old_size, old_root, new_size) == (old_root, new_root)
    if not holds:
        raise IntegrityError(
            f"the log of {new_size} leaves is no continuation of that of {old_size}",
            reason="not-consistent",
        )


def _trivially_consistent(old_size: int, old_root: bytes, new_size: int, new_root: bytes) -> bool:
    if old_size == 0 and old_root != EMPTY_ROOT:
        return False
    if old_size == new_size:
        return old_root == new_root
    return new_size > 0 and _are_hashes(new_root)


def _roots_by(
    proof: Sequence[bytes], old_size: int, old_root: bytes, new_size: int
) -> tuple[bytes, bytes] | None:
    """Both roots as they follow from the proof; None if it has not the length that it must."""
    path = list(proof)
    if old_size & (old_size - 1) == 0:  # a full subtree of the new tree: the proof leaves it out
        path.insert(0, old_root)
    if not path:
        return None
    here, last = old_size - 1, new_size - 1
    while here & 1:
        here, last = here >> 1, last >> 1
    old = new = path[0]
    for sibling in path[1:]:
        if last == 0:
            return None
        if here & 1 or here == last:
            old, new = hash_pair(sibling, old), hash_pair(sibling, new)
            here, last = _skip_levels_without_sibling(here, last)
        else:
            new = hash_pair(new, sibling)
        here, last = here >> 1, last >> 1
    return (old, new) if last == 0 else None


def _skip_levels_without_sibling(here: int, last: int) -> tuple[int, int]:
    """Move up while there is nothing on the right to be paired with (step 4.b.ii of the RFC)."""
    while here and not here & 1:
        here, last = here >> 1, last >> 1
    return here, last


def _are_hashes(*hashes: bytes) -> bool:
    return all(len(each) == HASH_BYTES for each in hashes)


def _not_included(index: int, size: int) -> IntegrityError:
    return IntegrityError(
        f"the proof does not show this to be leaf {index} of the log of {size} leaves",
        reason="not-included",
    )
