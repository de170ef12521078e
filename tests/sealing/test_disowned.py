"""Which leaves a thief of the log's key made, or may as well have: those that the chain lacks."""

from __future__ import annotations

import pytest

from ledger import Keyring
from ledger.format.layout import entry_key, head_key
from ledger.sealing.disowned import disowned_ranges, find_bogus, is_doubtful
from ledger.stores import MemoryStore
from ledger.trust.keyring import AcceptedKeyring
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
from tests.trust.test_hints import chain_of

T = "TN1"
ONE = first(keys=listed(registrar(ALICE), log_key(LOG), log_key(LOG2)))
TWO = after(ONE, keys=listed(registrar(ALICE), log_key(LOG2)), revoked=(revoke(LOG, 30),), size=40)
ROBBED = AcceptedKeyring(trust_of([ONE, TWO]))
"""A thief may have made leaves 30 to 39."""

UNTOUCHED = AcceptedKeyring(trust_of([ONE]))
CHAIN = chain_of(*[("alice", {})] * 5)
ADDRESS = {entry.version: entry.address for entry in CHAIN}
FALSE = "f" * 64


@pytest.fixture
def store():
    store = MemoryStore()
    for entry in CHAIN:
        store.create(entry_key(T, entry.address), entry.data)
    store.create(head_key(T), CHAIN[-1].data)
    return store


def without(store, *addresses, head=None):
    """The store without some entries, and with another head."""
    other = MemoryStore()
    for key in store.list():
        if not any(address in key for address in addresses) and key != head_key(T):
            other.create(key, store.get(key).data)
    if head is not None:
        other.create(head_key(T), head.data)
    return other


def row(at, version, address=None):
    return version, address or ADDRESS[version], at


def bogus(store, *rows, keyring=ROBBED, **logged):
    return find_bogus(store, keyring, T, rows, **logged)


def test_leaves_are_doubtful_from_where_the_key_was_revoked_to_where_that_was_known():
    assert disowned_ranges(ROBBED) == ((30, 40),)
    assert [at for at in range(50) if is_doubtful(ROBBED, at)] == list(range(30, 40))
    for keyring in (UNTOUCHED, Keyring()):
        assert disowned_ranges(keyring) == ()
        assert not is_doubtful(keyring, 30)


def test_what_no_thief_can_have_made_is_never_disowned(store):
    rows = row(29, 1, FALSE), row(40, 2, FALSE)
    assert bogus(store, *rows) == set()
    for keyring in (UNTOUCHED, Keyring()):
        assert bogus(store, row(30, 1, FALSE), keyring=keyring) == set()
    assert bogus(store) == set()


def test_what_the_chain_has_is_not_disowned(store):
    assert bogus(store, *(row(29 + each, each) for each in ADDRESS)) == set()
    assert bogus(store, row(30, 5), logged=4) == set()
    assert bogus(store, row(30, 1)) == set()


def test_what_the_chain_does_not_have_is_disowned(store):
    assert bogus(store, row(30, 1, FALSE), row(39, 1)) == {30}
    assert bogus(store, row(39, 1, FALSE)) == {39}
    assert bogus(store, row(31, 2, ADDRESS[3]), logged=2) == {31}  # another's address
    assert bogus(store, row(31, 6, FALSE), logged=5) == {31}


def test_a_leaf_that_leaves_out_a_version_is_disowned_though_it_is_true(store):
    assert bogus(store, row(30, 3), logged=1) == {30}
    assert bogus(store, row(30, 2)) == {30}
    # After those that it left out, in the order of the log, it is one that a sealer logs.
    assert bogus(store, row(33, 3), row(32, 2), row(31, 3), logged=1) == {31}
    assert bogus(store, row(29, 2), row(30, 3), logged=1) == set()
    # What is disowned fills no gap, and one that is there twice makes none.
    assert bogus(store, row(30, 2, FALSE), row(31, 3), logged=1) == {30, 31}
    assert bogus(store, row(29, 4), row(30, 1), row(31, 5)) == set()


def test_an_entry_that_a_head_was_set_back_behind_is_not_in_the_chain(store):
    back = without(store, head=CHAIN[1])
    assert bogus(back, row(30, 2), row(31, 3), logged=1) == {31}


@pytest.mark.parametrize(
    "broken", ["no head", "a head that is none", "an entry missing", "another in its place"]
)
def test_if_the_chain_breaks_off_what_the_store_has_is_not_disowned(store, broken):
    if "head" in broken:
        other = without(store)
        if broken != "no head":
            other.create(head_key(T), b"{}")
    else:
        other = without(store, ADDRESS[4], head=CHAIN[4])
        if broken != "an entry missing":  # whose parent it is again, and so on for ever
            other.create(entry_key(T, ADDRESS[4]), CHAIN[4].data)
    rows = row(30, 1), row(31, 2), row(32, 3), row(33, 4)
    assert bogus(other, *rows) == (set() if "head" in broken else {33})
    assert bogus(other, row(30, 1), row(31, 2, FALSE)) == {31}
    assert bogus(other, row(30, 2, ADDRESS[1]), logged=1) == {30}  # of another version


@pytest.mark.parametrize("missing", [1, 2])
def test_a_chain_that_breaks_off_below_is_whole_as_far_as_it_is_asked_about(store, missing):
    loser = chain_of(*[("alice", {})] * 2, ("alice", {"erases": (1,)}))[2]
    other = without(store, ADDRESS[missing], head=CHAIN[4])
    other.create(entry_key(T, loser.address), loser.data)
    assert bogus(other, row(30, 3, loser.address), row(31, 3), logged=2) == {30}


def test_junk_at_an_entrys_key_is_not_the_entry(store):
    other = without(store, ADDRESS[2])
    other.create(
        entry_key(T, ADDRESS[2]), CHAIN[1].data.replace(b'"reference":"', b'"reference":"x')
    )
    assert bogus(other, row(30, 1), row(31, 2)) == {31}
