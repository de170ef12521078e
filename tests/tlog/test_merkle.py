"""The tree: roots and proofs are those of RFC 6962, and nothing else passes for one."""

from __future__ import annotations

import base64
import hashlib
import itertools
import json
from functools import cache

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from ledger.errors import IntegrityError, InvalidError
from ledger.tlog import (
    EMPTY_ROOT,
    Edge,
    Subtree,
    check_consistency,
    check_inclusion,
    consistency_proof,
    hash_leaf,
    inclusion_proof,
)
from ledger.tlog.merkle import MAX_SIZE, hash_pair, root_of
from tests import corpora
from tests.laws import examples
from tests.tlog import reference

law = settings(deadline=None, max_examples=examples(100))

SMALL = 33  # a power of two and one more: every shape of right edge
LEAVES = reference.leaves(SMALL)
READ = reference.reader(LEAVES)
OTHER = hashlib.sha256(b"another").digest()


@cache
def root(size: int) -> bytes:
    return reference.root(LEAVES[:size])


def fails(reason, check, *arguments) -> bool:
    """Whether the check fails; it may only fail for this reason."""
    try:
        check(*arguments)
    except IntegrityError as error:
        return error.reason == reason
    return False


def includes(*arguments) -> bool:
    return not fails("not-included", check_inclusion, *arguments)


def continues(*arguments) -> bool:
    return not fails("not-consistent", check_consistency, *arguments)


# --- roots ---------------------------------------------------------------------------------------


def test_the_empty_tree_has_the_sha256_of_nothing_as_its_root():
    assert Edge().root() == EMPTY_ROOT == root_of(b"") == hashlib.sha256(b"").digest()


def test_the_edge_of_a_growing_tree_has_the_root_of_all_leaves():
    edge = Edge()
    for size, leaf in enumerate(LEAVES):
        assert (edge.size, edge.root()) == (size, root(size))
        edge.append(hash_leaf(leaf))
    assert edge.root() == root(SMALL)


@pytest.mark.parametrize("size", range(SMALL + 1))
def test_the_root_of_a_row_of_hashes_is_that_of_the_tree(size):
    assert root_of(b"".join(map(hash_leaf, LEAVES[:size]))) == root(size)


@law
@given(st.integers(0, SMALL), st.data())
def test_an_edge_that_was_read_grows_as_the_tree_does(size, data):
    until = data.draw(st.integers(size, SMALL))
    edge = Edge.read(size, READ)
    assert edge.root() == root(size)
    for leaf in LEAVES[size:until]:
        edge.append(hash_leaf(leaf))
    assert edge.root() == root(until)
    assert edge.hashes == Edge.read(until, READ).hashes


def test_an_edge_has_as_many_hashes_as_its_size_has_bits():
    edge = Edge(2**40 + 5, [OTHER] * 3)
    edge.append(OTHER)
    assert (edge.size, len(edge.hashes)) == (2**40 + 6, 3)
    wrong = [(1, [b"short"]), (1, [b"\0" + OTHER]), (-1, [])]
    for size, hashes in [(1, []), (2, [OTHER, OTHER]), (3, [OTHER]), *wrong]:
        with pytest.raises(InvalidError):
            Edge(size, hashes)


# --- proofs are those of the RFC, and hold -------------------------------------------------------


@pytest.mark.parametrize("size", range(1, SMALL + 1))
def test_the_inclusion_proof_of_every_leaf(size):
    for index in range(size):
        proof = inclusion_proof(index, size, READ)
        assert list(proof) == reference.path(index, LEAVES[:size])
        check_inclusion(hash_leaf(LEAVES[index]), index, size, proof, root(size))


@pytest.mark.parametrize("new_size", range(SMALL + 1))
def test_the_consistency_proof_from_every_size(new_size):
    for old_size in range(new_size + 1):
        proof = consistency_proof(old_size, new_size, READ)
        if old_size:
            assert list(proof) == reference.proof(old_size, LEAVES[:new_size])
        check_consistency(old_size, root(old_size), new_size, root(new_size), proof)


def test_a_proof_in_a_huge_tree_takes_few_reads_and_no_stack():
    asked: list[Subtree] = []

    def read(subtrees):
        asked.extend(subtrees)
        return [OTHER] * len(subtrees)

    assert len(inclusion_proof(2**62, MAX_SIZE, read)) == 63
    assert len(consistency_proof(2**62 + 1, MAX_SIZE, read)) == 64
    assert len(asked) < 400


@pytest.mark.parametrize(("index", "size"), [(0, 0), (1, 1), (-1, 1), (0, MAX_SIZE + 1), (0, -1)])
def test_there_is_no_proof_for_a_leaf_that_is_not_there(index, size):
    with pytest.raises(InvalidError):
        inclusion_proof(index, size, READ)


@pytest.mark.parametrize(("old_size", "new_size"), [(2, 1), (-1, 1), (0, MAX_SIZE + 1)])
def test_there_is_no_proof_that_a_tree_continues_a_larger_one(old_size, new_size):
    with pytest.raises(InvalidError):
        consistency_proof(old_size, new_size, READ)


# --- and nothing else holds ----------------------------------------------------------------------


def mutations(proof):
    """Every proof that is one change away: a hash changed, left out, doubled, cut, added."""
    proof = list(proof)
    for at in range(len(proof)):
        for changed in (OTHER, proof[at][:-1], b"", proof[at] + b"\0"):
            yield [*proof[:at], changed, *proof[at + 1 :]]
        yield proof[:at] + proof[at + 1 :]
        yield [*proof[:at], proof[at], *proof[at:]]
    for added in (OTHER, b""):
        yield [added, *proof]
        yield [*proof, added]


@pytest.mark.parametrize("size", range(1, 18))
def test_an_inclusion_proof_holds_for_its_leaf_and_place_and_root_only(size):
    for index in range(size):
        leaf, proof = hash_leaf(LEAVES[index]), inclusion_proof(index, size, READ)
        assert includes(leaf, index, size, proof, root(size))
        for other in [*range(-1, size + 2), index + 2**32, index + 2**64]:
            assert includes(leaf, other, size, proof, root(size)) == (other == index)
        assert not includes(OTHER, index, size, proof, root(size))
        for wrong in (leaf[:-1], leaf + b"\0"):
            assert not includes(wrong, index, size, proof, root(size))
        assert not includes(leaf, index, size, proof, OTHER)
        for changed in mutations(proof):
            assert not includes(leaf, index, size, changed, root(size))


@pytest.mark.parametrize("new_size", range(1, 18))
def test_a_consistency_proof_holds_for_its_two_roots_only(new_size):
    for old_size in range(1, new_size):
        proof = consistency_proof(old_size, new_size, READ)
        roots = root(old_size), root(new_size)
        assert continues(old_size, roots[0], new_size, roots[1], proof)
        assert not continues(old_size, OTHER, new_size, roots[1], proof)
        assert not continues(old_size, roots[0], new_size, OTHER, proof)
        assert not continues(new_size, roots[1], old_size, roots[0], proof)
        for other in range(-1, new_size + 2):
            if other != old_size:
                assert not continues(other, roots[0], new_size, roots[1], proof)
        for changed in mutations(proof):
            assert not continues(old_size, roots[0], new_size, roots[1], changed)


@law
@given(st.integers(1, SMALL), st.data())
def test_a_rewritten_log_is_no_continuation(new_size, data):
    """Whatever is changed below the old size, no proof of the new log's leads to the old root."""
    old_size = data.draw(st.integers(1, new_size))
    place = data.draw(st.integers(0, old_size - 1))
    rewritten = [*LEAVES[:place], b"rewritten", *LEAVES[place + 1 : new_size]]
    proof = consistency_proof(old_size, new_size, reference.reader(rewritten))
    assert not continues(old_size, root(old_size), new_size, reference.root(rewritten), proof)


def test_every_tree_continues_the_empty_one_and_itself():
    for size in (1, 2, 7):
        assert continues(0, EMPTY_ROOT, size, root(size), ())
        assert continues(size, root(size), size, root(size), ())
        assert not continues(size, root(size), size, OTHER, ())
        assert not continues(size, root(size), size, root(size), [OTHER])
        assert not continues(0, EMPTY_ROOT, size, root(size), [OTHER])
        for other in (bytes(32), OTHER, b"\xff" * 32):
            assert not continues(0, other, size, root(size), ())
        assert not continues(0, EMPTY_ROOT, size, root(size) + b"\0", ())
        assert not continues(0, EMPTY_ROOT, -size, EMPTY_ROOT, ())
    assert continues(0, EMPTY_ROOT, 0, EMPTY_ROOT, ())
    assert not continues(0, OTHER, 0, OTHER, ())
    assert not continues(0, EMPTY_ROOT, -1, OTHER, ())


@law
@given(
    st.integers(-2, 70),
    st.integers(-2, 70),
    st.lists(st.sampled_from([OTHER, EMPTY_ROOT, b"", bytes(32), bytes(64)]), max_size=9),
)
def test_any_numbers_and_hashes_hold_or_fail_and_never_crash(old_size, new_size, proof):
    assert not includes(OTHER, old_size, new_size, proof, bytes(32))
    assert not continues(old_size, OTHER, new_size, bytes(32), proof)


# --- the vectors of others -----------------------------------------------------------------------


def _bytes(text):
    return base64.b64decode(text)


@pytest.mark.parametrize("path", corpora.params("merkle/inclusion/**/*.json"))
def test_vectors_of_inclusion(path):
    case = json.loads(path.read_text())
    holds = includes(
        _bytes(case["leafHash"]),
        case["leafIdx"],
        case["treeSize"],
        [_bytes(each) for each in case["proof"] or []],
        _bytes(case["root"]),
    )
    assert holds != case["wantErr"], case["desc"]


@pytest.mark.parametrize("path", corpora.params("merkle/consistency/**/*.json"))
def test_vectors_of_consistency(path):
    case = json.loads(path.read_text())
    holds = continues(
        case["size1"],
        _bytes(case["root1"]),
        case["size2"],
        _bytes(case["root2"]),
        [_bytes(each) for each in case["proof"] or []],
    )
    assert holds != case["wantErr"], case["desc"]


@corpora.needs("merkle/**/*.json")
def test_the_vectors_are_all_there():
    inclusion = corpora.files("merkle/inclusion/**/*.json")
    consistency = corpora.files("merkle/consistency/**/*.json")
    wanted = [
        json.loads(path.read_text())["wantErr"] for path in itertools.chain(inclusion, consistency)
    ]
    assert (len(inclusion), len(consistency)) == (98, 98)
    assert {True, False} == set(wanted)


def test_a_proof_that_goes_on_above_the_root_is_refused():
    leaf, sibling = hash_leaf(b"leaf"), hash_leaf(b"sibling")
    check_inclusion(leaf, 0, 1, (), leaf)
    with pytest.raises(IntegrityError):
        check_inclusion(leaf, 0, 1, (sibling,), hash_pair(sibling, leaf))


@pytest.mark.parametrize("size", [-1, MAX_SIZE + 1])
def test_no_tree_is_of_such_a_size(size):
    with pytest.raises(InvalidError):
        Edge(size, [bytes(32)] * size.bit_count())
