"""The trust files of a ledger together: what a root leads to, and where keys end."""

from __future__ import annotations

import pickle
from typing import TYPE_CHECKING

import pytest

from ledger.errors import IntegrityError, LedgerError, TrustError, UnsupportedFormatError
from ledger.format.keyring import Root
from ledger.testing import ORIGIN
from ledger.trust.chain import Trust, assemble
from tests.trust.people import (
    ADA,
    ALICE,
    BEN,
    BOB,
    KEYS,
    LOG,
    LOG2,
    after,
    first,
    listed,
    log_key,
    objects,
    people,
    pin,
    registrar,
    revoke,
    root_of,
    signed,
    trust_of,
)

if TYPE_CHECKING:
    from ledger.trust.file import TrustFile

ALICE_MAY_NOT, BOB_MAY = registrar(ALICE, "alice"), registrar(BOB, "bob", erase=True)

ONE = first()
TWO = after(ONE, keys=listed(*KEYS, BOB_MAY), size=20)
THREE = after(TWO, keys=listed(BOB_MAY, log_key(LOG)), size=30)
FOUR = after(THREE, keys=listed(BOB_MAY, log_key(LOG2)), revoked=(revoke(LOG, 35),), size=40)
FILES = [ONE, TWO, THREE, FOUR]


def slugs(trust: Trust) -> list[tuple[str, str, str]]:
    return [(each.severity, each.slug, each.object_key) for each in trust.findings]


def unusable(root: Root, found: dict[int, bytes]) -> LedgerError:
    with pytest.raises(LedgerError) as caught:
        assemble(root, found.get)
    return caught.value


# -- What a root leads to --------------------------------------------------------------------------


@pytest.mark.parametrize("root", FILES)
def test_every_root_leads_to_all_files(root: TrustFile) -> None:
    trust = trust_of(FILES, root)
    assert trust.files == tuple(FILES)
    assert (trust.findings, trust.newest, trust.origin) == ((), FOUR, ORIGIN)


def test_a_file_that_is_not_accepted_ends_the_chain():
    for junk in (b"junk", signed(THREE, ADA).encode(), b'{"signatures":[],"trust":{}}'):
        trust = assemble(root_of(ONE), {**objects(FILES), 3: junk}.get)
        assert trust.files == (ONE, TWO)
        assert slugs(trust) == [("tampering", "trust-not-accepted", "_trust/3.json")]


def test_a_file_of_a_later_format_ends_the_chain_unchecked():
    later = THREE.encode().replace(b'"format":1', b'"format":2')
    trust = assemble(root_of(ONE), {**objects(FILES), 3: later}.get)
    assert trust.files == (ONE, TWO)
    assert slugs(trust) == [("unchecked", "unsupported-trust", "_trust/3.json")]
    error = unusable(root_of(THREE), {**objects(FILES), 3: later})
    assert isinstance(error, UnsupportedFormatError)


def test_files_end_where_the_first_is_missing():
    assert assemble(root_of(ONE), objects([ONE, TWO, FOUR]).get).files == (ONE, TWO)


def test_a_file_before_the_root_that_is_missing_is_found():
    trust = assemble(root_of(THREE), objects([ONE, THREE, FOUR]).get)
    assert trust.files == (THREE, FOUR)
    assert slugs(trust) == [("tampering", "trust-missing", "_trust/2.json")]


def test_a_file_before_the_root_is_the_one_that_is_named():
    other = after(ONE, next="2030-01-01", size=20)
    for junk in (other.encode(), b"junk"):
        trust = assemble(root_of(THREE), {**objects(FILES), 2: junk}.get)
        assert trust.files == (THREE, FOUR)
        assert slugs(trust) == [("tampering", "trust-not-accepted", "_trust/2.json")]


def test_nothing_counts_without_the_file_that_is_pinned():
    error = unusable(root_of(THREE), objects([ONE, TWO]))
    assert isinstance(error, IntegrityError)
    assert error.reason == "trust-missing"
    for junk in (b"junk", first(next="2030-01-01").encode()):
        error = unusable(root_of(ONE), {1: junk})
        assert isinstance(error, TrustError)
        assert error.reason == "trust-not-accepted"


def test_a_root_of_another_ledger_or_version_is_not_this_one():
    assert isinstance(unusable(Root("a/b", ONE.digest, 1), objects(FILES)), TrustError)
    assert isinstance(unusable(Root(ORIGIN, TWO.digest, 1), {1: TWO.encode()}), TrustError)


def test_a_root_counts_though_the_holders_before_it_did_not_sign_it():
    orphaned = after(TWO, "dan", holders=people("dan"), threshold=1, size=30)
    trust = trust_of([ONE, TWO, orphaned], orphaned)
    assert (trust.files, trust.findings) == ((ONE, TWO, orphaned), ())
    assert trust_of([ONE, TWO, orphaned]).files == (ONE, TWO)


def test_signatures_that_were_changed_before_the_root_are_found_and_the_file_counts():
    for altered in (signed(TWO, ADA), TWO.signed(signed(TWO, "dan").signatures)):
        trust = assemble(root_of(THREE), {**objects(FILES), 2: altered.encode()}.get)
        assert [file.digest for file in trust.files] == [file.digest for file in FILES]
        assert slugs(trust) == [("tampering", "trust-not-accepted", "_trust/2.json")]


def test_it_can_be_sent_to_another_process():
    trust = trust_of(FILES)
    assert pickle.loads(pickle.dumps(trust)) == trust


# -- What it says of keys --------------------------------------------------------------------------


def test_a_key_ends_where_the_log_was_when_a_file_listed_it_no_more():
    trust = trust_of(FILES)
    assert trust.end_of(ALICE.key_id) == 30
    assert trust.end_of(BOB.key_id) is None
    assert trust.end_of("0" * 64) is None
    assert trust_of([ONE, TWO]).end_of(ALICE.key_id) is None


def test_a_key_ends_where_it_is_revoked_if_that_is_earlier():
    assert trust_of(FILES).end_of(LOG.key_id) == 35
    revoked = after(THREE, revoked=(revoke(ALICE, 29),), size=40)
    assert trust_of([ONE, TWO, THREE, revoked]).end_of(ALICE.key_id) == 29
    late = after(THREE, revoked=(revoke(ALICE, 31),), size=40)
    assert trust_of([ONE, TWO, THREE, late]).end_of(ALICE.key_id) == 30
    earlier = after(revoked, revoked=(revoke(ALICE, 12),), size=50)
    assert trust_of([ONE, TWO, THREE, revoked, earlier]).end_of(ALICE.key_id) == 12


def test_a_registrar_is_who_some_file_listed_as_one():
    trust = trust_of(FILES)
    assert trust.registrar(ALICE.key_id) == ALICE_MAY_NOT
    assert trust.registrar(LOG.key_id) is None
    assert trust.registrar("0" * 64) is None
    assert (trust.may_erase(ALICE.key_id), trust.may_erase(BOB.key_id)) == (False, True)
    assert not trust.may_erase(LOG.key_id)
    assert (trust.is_current(ALICE.key_id), trust.is_current(BOB.key_id)) == (False, True)
    assert (trust.name(BOB.key_id), trust.name("0" * 64)) == ("bob", "")


def test_a_checkpoint_is_signed_by_the_keys_of_the_file_with_the_largest_log_below():
    trust = trust_of(FILES)
    for size, key in ((0, LOG), (9, LOG), (39, LOG), (40, LOG2), (2**60, LOG2)):
        assert [each.key for each in trust.log_keys_for(size)] == [key]


def test_of_two_files_with_the_same_log_the_newer_says_who_signs():
    two = after(ONE, keys=listed(KEYS[0], KEYS[1], log_key(LOG2)), size=10)
    assert len(trust_of([ONE, two]).log_keys_for(10)) == 2
    assert len(trust_of([ONE, two]).log_keys_for(9)) == 1


def test_pins_are_what_the_log_was():
    again = after(FOUR, ADA, BEN, size=40)
    assert trust_of([*FILES, again]).pins == (pin(10), pin(20), pin(30), pin(40))
