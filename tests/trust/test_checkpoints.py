"""Which checkpoints count by trust files: whose keys signed them, and what is pinned."""

from __future__ import annotations

import pytest

from ledger.errors import IntegrityError, NotProven
from ledger.format.mldsa import MLDSAPrivateKey
from ledger.testing import ORIGIN, signer
from ledger.tlog import Checkpoint, Leaf, Receipt, sign_checkpoint
from ledger.tlog.checkpoint import SignedCheckpoint
from ledger.tlog.merkle import hash_leaf
from ledger.tlog.tiles import TileBuilder
from ledger.trust.checkpoints import (
    check_not_behind,
    check_receipt_alone,
    check_signatures,
    is_signed,
    shows_positions,
)
from tests.trust.people import (
    ALICE,
    KEYS,
    LOG,
    LOG2,
    after,
    first,
    listed,
    log_key,
    pin,
    registrar,
    trust_of,
)

BESIDE = MLDSAPrivateKey("ML-DSA-44", bytes(32))
BOTH = (log_key(LOG2), log_key(BESIDE.public_key))
OTHERS = [signer(f"other {number}").public_key for number in range(6)]

ONE = first()
TWO = after(ONE, keys=listed(*KEYS, *BOTH), size=20)
THREE = after(TWO, keys=listed(registrar(ALICE, "alice"), *BOTH), size=30)
KEPT, RETIRED = trust_of([ONE, TWO]), trust_of([ONE, TWO, THREE])
"""In the second, the log's first key has an end."""

L, L2, Q = LOG, LOG2, BESIDE.public_key


def by(size, *keys, of="another"):
    return SignedCheckpoint(pin(size, of), (), b"", tuple(keys), b"")


@pytest.mark.parametrize(
    ("accepted", "size", "keys", "counts"),
    [
        (KEPT, 0, [L], True),  # below the first file, by its keys
        (KEPT, 19, [L], True),
        (KEPT, 19, [L2, Q], False),  # not listed yet
        (KEPT, 19, [], False),
        (KEPT, 20, [L], False),
        (KEPT, 20, [L, Q], True),
        (KEPT, 20, [L2, Q], True),
        (KEPT, 20, [Q], False),
        (KEPT, 20, [L, L2], False),
        (RETIRED, 19, [L], False),
        (RETIRED, 20, [L, Q], False),
        (RETIRED, 20, [L, L2, Q], True),
        (RETIRED, 30, [L, Q], False),
        (RETIRED, 30, [L2, Q], True),
    ],
)
def test_a_key_without_an_end_signs_for_each_algorithm(accepted, size, keys, counts):
    signed = by(size, *keys)
    assert is_signed(accepted, signed) is counts
    if counts:
        check_signatures(accepted, signed)
        return
    with pytest.raises(NotProven, match=r"^a/b: the checkpoint of \d+ leaves") as raised:
        check_signatures(accepted, signed, "a/b")
    assert (raised.value.reason, raised.value.object_key) == ("checkpoint-unproven", "a/b")


@pytest.mark.parametrize("other", [*OTHERS, L2])
def test_the_key_of_another_log_signs_nothing(other):
    assert not is_signed(KEPT, by(15, other))


def test_a_pin_needs_no_signature():
    check_signatures(RETIRED, by(20, of=""))
    with pytest.raises(NotProven, match=r"^the checkpoint"):
        check_signatures(RETIRED, by(20))


def test_positions_are_shown_by_pins_and_from_the_newest_pin_on():
    shown = [size for size in range(9, 33) if shows_positions(RETIRED, pin(size))]
    assert shown == [10, 20, 30, 31, 32]
    assert [size for size in range(9, 33) if shows_positions(RETIRED, pin(size, "b"))] == shown[2:]


def test_a_log_is_behind_below_the_newest_pin():
    check_not_behind(RETIRED, pin(30))
    check_not_behind(RETIRED, pin(31))
    with pytest.raises(NotProven) as raised:
        check_not_behind(RETIRED, pin(29))
    assert (raised.value.reason, raised.value.object_key) == ("log-behind-pin", "_log/checkpoint")


# -- Receipts with no log at hand ------------------------------------------------------------------

LEAVES = [Leaf("TN1", version, f"{version:064}").encode() for version in (1, 2, 3, 4)]
OLD = signer("log")


def receipt_of(size, *signers, leaves=LEAVES):
    """The receipt of the first leaf, by a log of one, two or four leaves; and its root."""
    builder = TileBuilder()
    for leaf in leaves[:size]:
        builder.append(leaf)
    right = TileBuilder()
    for leaf in leaves[2:]:
        right.append(leaf)
    proof = (hash_leaf(leaves[1]), right.root())[: size.bit_length() - 1]
    checkpoint = Checkpoint(ORIGIN, size, builder.root())
    return Receipt(0, proof, sign_checkpoint(checkpoint, *signers)), checkpoint


PINNED = receipt_of(2, OLD)[1]
FORKS = [[LEAVES[0], f'{{"fork":{number}}}'.encode(), *LEAVES[2:]] for number in range(4)]
ONE_OF_2 = first(log=PINNED)
TWO_OF_2 = after(ONE_OF_2, keys=TWO.keys, log=PINNED)
OPEN = trust_of([ONE_OF_2])
CLOSED = trust_of(
    [
        ONE_OF_2,
        TWO_OF_2,
        after(TWO_OF_2, keys=THREE.keys, log=PINNED),
    ]
)


def check(accepted, receipt, leaf=LEAVES[0]):
    return check_receipt_alone(accepted, receipt, leaf, [L, L2, Q]).checkpoint


@pytest.mark.parametrize("size", [1, 2, 4])
def test_a_receipt_by_a_key_of_the_log_is_enough(size):
    receipt, checkpoint = receipt_of(size, OLD)
    assert check(OPEN, receipt) == checkpoint
    with pytest.raises(IntegrityError):
        check(OPEN, receipt, LEAVES[2])


@pytest.mark.parametrize("size", [1, 2, 4])
def test_a_receipt_by_a_key_with_an_end_is_enough_only_for_a_pin(size):
    receipt, checkpoint = receipt_of(size, OLD)
    if checkpoint == PINNED:
        assert check(CLOSED, receipt) == PINNED
        return
    with pytest.raises(NotProven) as raised:
        check(CLOSED, receipt)
    assert raised.value.reason == "checkpoint-unproven"


@pytest.mark.parametrize("fork", FORKS)
def test_a_log_of_the_size_of_a_pin_has_its_root(fork):
    receipt, _ = receipt_of(2, OLD, signer("log 2"), BESIDE, leaves=fork)
    for accepted in (OPEN, CLOSED):
        with pytest.raises(IntegrityError, match="trust file pins") as raised:
            check(accepted, receipt)
        assert (raised.value.reason, raised.value.object_key) == ("wrong-root", "_log/checkpoint")
