"""What is certain of an entry whose place in the log is not shown."""

from __future__ import annotations

import pytest

from ledger import Entry
from ledger.format.standing import Positions
from ledger.testing import ORIGIN, signer
from ledger.trust.standing import ChainJudge

ENDED, ERASER, CLERK, GONE = "alice", "bob", "carol", "dora"


class Terms:
    """The keys of alice and dora have an end; carol and dora may not erase."""

    def end_of(self, key_id):
        return 5 if key_id in {signer(each).public_key.key_id for each in (ENDED, GONE)} else None

    def may_erase(self, key_id):
        return key_id not in {signer(each).public_key.key_id for each in (CLERK, GONE)}


def chain_of(*members):
    """Entries by these, from the root up."""
    chain = []
    for name, lists in members:
        chain.append(
            Entry.sign(
                signer(name),
                ledger=ORIGIN,
                title_number="TN1",
                document={},
                recorded_at="2026-11-23T10:00:00.000000Z",
                salt=b"s" * 32,
                parent=chain[-1] if chain else None,
                reference="order",
                **lists,
            )
        )
    return chain


def judged(*members, positions=None):
    """How they stand, from the root up."""
    judge = ChainJudge(Terms(), lambda _end, _search: positions or Positions())
    return [judge(entry) for entry in reversed(chain_of(*members))][::-1]


@pytest.mark.parametrize(("settler", "may_erase"), [(ERASER, True), (CLERK, None)])
def test_what_is_confirmed_erases_if_the_other_may_or_else_perhaps(settler, may_erase):
    """If its own place were shown, it would count, and could erase without anybody's help."""
    stand = judged((CLERK, {}), (ENDED, {"erases": (1,)}), (settler, {"confirms": (2,)}))
    assert (stand[1].stands, stand[1].may_erase) == (True, may_erase)


@pytest.mark.parametrize(("settler", "may_erase"), [(ERASER, True), (CLERK, False)])
def test_what_does_not_count_erases_only_if_the_other_may(settler, may_erase):
    members = (CLERK, {}), (ENDED, {"erases": (1,)}), (settler, {"confirms": (2,)})
    stand = judged(*members, positions=Positions({}, searched=5))
    assert (stand[1].stands, stand[1].may_erase) == (True, may_erase)


def test_what_is_voided_and_may_count_is_unknown():
    stand = judged((ENDED, {}), (ERASER, {"voids": (1,)}))
    assert (stand[0].stands, stand[0].is_void, stand[0].reason) == (None, False, "position-unknown")


@pytest.mark.parametrize("lists", ["confirms", "voids"])
def test_what_an_unknown_entry_names_is_unknown_unless_a_newer_one_names_it(lists):
    unknown = judged((ENDED, {}), (ENDED, {lists: (1,)}), positions=Positions({}, searched=4))
    assert [each.stands for each in unknown] == [None, None]
    settled = judged((ENDED, {}), (ENDED, {lists: (1,)}), (ERASER, {"confirms": (1,)}))
    assert [each.stands for each in settled] == [True, None, True]


@pytest.mark.parametrize(("name", "reason"), [(CLERK, "may-not-erase"), (GONE, "key-ended")])
def test_what_fails_by_more_than_the_right_to_erase_is_said_to_have_ended(name, reason):
    stand = judged((CLERK, {}), (name, {"erases": (1,)}), positions=Positions({}, searched=5))
    assert (stand[1].stands, stand[1].may_erase, stand[1].reason) == (False, False, reason)


def test_all_leaves_below_the_end_have_to_be_known():
    for searched, stands in ((4, None), (5, False), (6, False)):
        (stand,) = judged((ENDED, {}), positions=Positions({}, searched=searched))
        assert stand.stands is stands


@pytest.mark.parametrize(("leaf", "stands"), [(4, True), (5, False)])
def test_a_leaf_counts_if_it_is_below_the_end(leaf, stands):
    members = (ENDED, {}), (ERASER, {})
    for version in (0, 1):  # its own leaf, or that of the entry above it
        address = chain_of(*members)[version].address
        stand = judged(*members, positions=Positions({address: leaf}, searched=9))
        assert stand[0].stands is stands
