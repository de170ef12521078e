"""The leaves that name trust files: each from the second on, in order, once; the rest is named."""

from __future__ import annotations

import pytest

from ledger.tlog.objects import TrustLeaf
from ledger.trust.leaves import due_leaves, judge_leaves
from tests.trust.people import (
    ALICE,
    LOG,
    LOG2,
    after,
    first,
    listed,
    log_key,
    registrar,
    revoke,
    trust_of,
)

ONE = first()
TWO = after(ONE, keys=listed(*ONE.keys, log_key(LOG2)), size=20)
THREE = after(
    TWO, keys=listed(registrar(ALICE), log_key(LOG2)), revoked=(revoke(LOG, 30),), size=40
)
FOUR = after(THREE, size=50)
TRUST = trust_of([ONE, TWO, THREE, FOUR])
"""A thief may have made leaves 30 to 39."""

LEAF = {file.version: TrustLeaf(file.version, file.digest) for file in TRUST.files}
OTHER = TrustLeaf(3, "0" * 64)
LATER = TrustLeaf(5, "1" * 64)


def judged(*leaves, logged=1):
    last, findings = judge_leaves(TRUST, leaves, logged)
    return last, [(each.severity, each.slug, each.object_key) for each in findings]


def test_that_each_file_is_named_in_order_is_good():
    named = (20, LEAF[2]), (45, LEAF[3]), (51, LEAF[4])
    assert judged(*named) == (4, [])
    assert judged(*named[1:], logged=2) == (4, [])
    assert judged() == (1, [])


@pytest.mark.parametrize(
    ("leaf", "last", "severity", "slug"),
    [
        pytest.param(LEAF[2], 2, "warning", "trust-logged-twice", id="the same again"),
        pytest.param(TrustLeaf(2, "0" * 64), 2, "tampering", "trust-not-as-logged", id="another"),
        pytest.param(LEAF[1], 2, "warning", "trust-logged-twice", id="the first"),
        pytest.param(TrustLeaf(1, "0" * 64), 2, "tampering", "trust-not-as-logged", id="no first"),
        pytest.param(TrustLeaf(3, "f" * 64), 3, "tampering", "trust-not-as-logged", id="a third"),
        pytest.param(OTHER, 3, "tampering", "trust-not-as-logged", id="another as is accepted"),
        pytest.param(LEAF[4], 4, "tampering", "trust-not-as-logged", id="one is left out"),
        pytest.param(LATER, 5, "tampering", "trust-not-as-logged", id="two, and it is not there"),
    ],
)
@pytest.mark.parametrize("at", [29, 40])
def test_any_other_leaf_is_named(leaf, last, severity, slug, at):
    """At the edges of what a thief may have made, too."""
    key = f"_trust/{leaf.version}.json"
    assert judged((at, leaf), logged=2) == (last, [(severity, slug, key)])


def test_a_file_that_the_log_names_and_that_is_not_there_is_missing():
    assert judged((60, LATER), logged=4) == (5, [("tampering", "trust-missing", "_trust/5.json")])


@pytest.mark.parametrize("at", [30, 39])
@pytest.mark.parametrize("leaf", [TrustLeaf(2, "0" * 64), OTHER, LATER])
def test_what_a_thief_may_have_made_counts_for_nothing_unless_it_is_true(leaf, at):
    disowned = ("warning", "leaf-disowned", f"_trust/{leaf.version}.json")
    assert judged((at, leaf), (45, LEAF[3]), (46, LEAF[4]), logged=2) == (4, [disowned])
    assert judged((at, LEAF[3]), (45, LEAF[4]), logged=2) == (4, [])
    twice = ("warning", "trust-logged-twice", "_trust/2.json")
    assert judged((at, LEAF[2]), (45, LEAF[3]), logged=2) == (3, [twice])


def test_what_is_due_is_what_the_log_does_not_name():
    assert list(due_leaves(TRUST, [])) == [LEAF[2], LEAF[3], LEAF[4]]
    assert list(due_leaves(TRUST, [(20, LEAF[2])])) == [LEAF[3], LEAF[4]]
    assert list(due_leaves(TRUST, [(20, LEAF[2]), (30, OTHER)])) == [LEAF[3], LEAF[4]]
    assert list(due_leaves(TRUST, [(at, LEAF[at]) for at in (2, 3, 4)])) == []
    from_two = trust_of([TWO, THREE, FOUR])  # the first is not at hand
    assert list(due_leaves(from_two, [])) == [LEAF[2], LEAF[3], LEAF[4]]


def test_a_finding_says_where_and_what():
    _, (finding,) = judge_leaves(TRUST, [(45, LEAF[2])], 2)
    assert f"_trust/2.json: leaf 45 of the log names it ({TWO.digest}): an earlier" in (
        finding.message
    )
