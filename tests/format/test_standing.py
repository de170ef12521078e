"""What is said of an entry that stands, or does not, and which orders to erase count."""

from __future__ import annotations

import pytest

from ledger.format.standing import (
    NEEDS_TRUST,
    STANDS,
    Positions,
    Stand,
    Standing,
    find_positions,
    judge_without_trust,
    stand_members,
)
from tests.trust.test_hints import chain_of as signed_chain

VOID = Stand(False, False, by=4)
ENDED = Stand(False, False, "key-ended")
UNKNOWN = Stand(None, None, "position-unknown")


def chain_of(*members):
    """Entries of one signer with these members, from the root up."""
    return signed_chain(*(("alice", lists) for lists in members))


@pytest.mark.parametrize(
    ("stand", "is_void", "is_confirmed", "words", "severity"),
    [
        (STANDS, False, False, "", ""),
        (Stand(True, False), False, False, "", ""),
        (Stand(True, True, by=4), False, True, "confirmed by version 4", ""),
        (
            Stand(True, True, "named-needlessly", 4),
            False,
            False,
            "counts; version 4 names it needlessly",
            "warning",
        ),
        (VOID, True, False, "void, by version 4", ""),
        (
            ENDED,
            False,
            False,
            "does not stand: it is not in the log before its key ends",
            "tampering",
        ),
        (
            Stand(False, False, "may-not-erase"),
            False,
            False,
            "does not stand: it erases texts, and its key may not",
            "tampering",
        ),
        (UNKNOWN, False, False, "may not stand: its place in the log is not shown", "unchecked"),
        (
            UNKNOWN._replace(by=4),
            False,
            False,
            "may not stand: its place in the log is not shown",
            "unchecked",
        ),
        (
            NEEDS_TRUST,
            False,
            False,
            "confirms or voids others: only trust files say what counts",
            "unchecked",
        ),
        (Stand(False, False), False, False, "in no chain", ""),
    ],
)
def test_how_an_entry_stands_is_said_in_words_and_found(
    stand, is_void, is_confirmed, words, severity
):
    assert (stand.is_void, stand.is_confirmed, stand.words) == (is_void, is_confirmed, words)
    (entry,) = chain_of({})
    finding = stand.finding(entry, "TN1/head.json")
    if severity:
        assert (finding.severity, finding.slug) == (severity, stand.reason)
        assert finding.object_key == "TN1/head.json"
        assert finding.message.startswith("TN1/head.json: ")
        assert "version 1" in finding.message
    else:
        assert finding is None
    shown = {"stands": stand.stands, "reason": stand.reason or None, "by": stand.by or None}
    assert stand_members(stand) == ({"standing": shown} if words else {})


def test_without_trust_files_a_list_of_names_is_for_nobody_to_judge():
    plain, _, confirms, voids = chain_of({}, {}, {"confirms": (1,)}, {"voids": (1, 2)})
    assert judge_without_trust(plain) == STANDS
    for entry in (confirms, voids):
        assert judge_without_trust(entry) == NEEDS_TRUST
    assert (NEEDS_TRUST.stands, NEEDS_TRUST.may_erase) == (True, True)


def test_the_newest_order_that_may_erase_is_the_one_that_counts():
    chain = chain_of({}, {}, {}, *({"erases": erases} for erases in ((1,), (1, 2), (1,), (2, 3))))
    may = {7: None, 6: True, 5: True, 4: False}
    standing = Standing(lambda entry: Stand(True, may.get(entry.version, True)))
    for entry in reversed(chain):
        assert standing.take(entry).may_erase is may.get(entry.version, True)
    assert standing.erased == {1: chain[5], 2: chain[4]}
    assert standing.perhaps_erased == {2, 3}


def test_an_entry_outside_of_the_chain_stands_not_and_orders_nothing():
    chain = chain_of({}, {}, {"erases": (1,)})
    standing = Standing(lambda _: STANDS)
    standing.take(chain[2])
    outside = standing.closed()
    (*_, beside) = chain_of({}, {}, {"erases": (2,)})
    assert outside.take(beside) == Stand(False, False)
    assert outside.erased == {1: chain[2]}
    assert not outside.perhaps_erased


def test_nothing_is_known_of_leaves_if_nobody_looks():
    assert find_positions(5, True) == Positions({}, 0)
