"""A keyring by trust files: whose keys count, as what, and which of the reader's own are kept."""

from __future__ import annotations

import pytest

from ledger import Entry, Keyring
from ledger.format.keyring import Root, TrustedKey
from ledger.format.mldsa import MLDSAPrivateKey
from ledger.format.standing import STANDS, Positions
from ledger.testing import ORIGIN, signer
from ledger.trust.keyring import AcceptedKeyring
from ledger.trust.keys import OtherKey
from tests.trust.people import (
    ALICE,
    BOB,
    LOG,
    LOG2,
    after,
    first,
    listed,
    log_key,
    registrar,
    revoke,
    root_of,
    trust_of,
)

BEFORE, BEHIND = "a.example/titles", "z.example/titles"
CAROL, DORA, WITNESS = (signer(name).public_key for name in ("carol", "dora", "witness"))
STRANGE = OtherKey(bytes.fromhex("3043300506032b6571033a00") + bytes(57))
LATTICE = MLDSAPrivateKey("ML-DSA-44", bytes(32)).public_key
LOG_LATTICE = MLDSAPrivateKey("ML-DSA-44", b"l" * 32).public_key

KEPT = (registrar(BOB, "bob"), log_key(LOG2), log_key(LOG_LATTICE))
ONE = first(
    keys=listed(*KEPT, registrar(ALICE), registrar(STRANGE), registrar(LATTICE), log_key(LOG))
)
NO_END, LOG_ENDED = (
    trust_of([ONE]),
    trust_of([ONE, after(ONE, keys=listed(*(key for key in ONE.keys if key.key != LOG)))]),
)
ALICE_ENDED = trust_of([ONE, after(ONE, keys=listed(*KEPT, log_key(LOG)))])

OWN = Keyring(
    [
        TrustedKey(origin, role, key)
        for origin, role, key in [
            (ORIGIN, "registrar", CAROL),
            (ORIGIN, "log", DORA),
            (ORIGIN, "witness", WITNESS),
            (ORIGIN, "witness", LOG2),  # a key of the ledger is no witness
            (BEFORE, "registrar", ALICE),
            (BEFORE, "log", LOG),
            (BEHIND, "registrar", CAROL),
            (BEHIND, "witness", BOB),
        ]
    ],
    [root_of(ONE), Root("b.example/titles", "0" * 64, 1), Root("y.example/titles", "0" * 64, 1)],
)


def test_keys_of_the_ledger_are_those_of_its_files_and_all_others_are_the_readers():
    keyring = AcceptedKeyring(ALICE_ENDED, OWN)
    assert {(each.origin, each.role, each.key) for each in keyring} == {
        (ORIGIN, "registrar", ALICE),
        (ORIGIN, "registrar", BOB),
        (ORIGIN, "log", LOG),
        (ORIGIN, "log", LOG2),
        (ORIGIN, "log", LOG_LATTICE),
        (ORIGIN, "witness", WITNESS),
        *((each.origin, each.role, each.key) for each in OWN if each.origin != ORIGIN),
    }
    assert [root.origin for root in keyring.roots] == ["b.example/titles", "y.example/titles"]
    assert keyring.name(ORIGIN, BOB.key_id) == "bob"
    assert keyring.own == OWN
    assert AcceptedKeyring(NO_END).own == Keyring()
    assert AcceptedKeyring(NO_END).origins == [ORIGIN]


@pytest.mark.parametrize("key", [STRANGE, LATTICE])
def test_a_registrars_key_that_checks_no_entry_is_unsupported(key):
    keyring = AcceptedKeyring(NO_END, OWN)
    assert keyring.is_unsupported(ORIGIN, key.key_id)
    for origin in (BEFORE, BEHIND):
        assert not keyring.is_unsupported(origin, key.key_id)
    for other in (ALICE, BOB, CAROL, LOG, LOG_LATTICE):
        assert not keyring.is_unsupported(ORIGIN, other.key_id)


def test_only_ends_of_registrars_make_positions_matter():
    ended = AcceptedKeyring(ALICE_ENDED, OWN)
    assert ended.has_ends(ORIGIN)
    for accepted in (NO_END, LOG_ENDED):
        assert not AcceptedKeyring(accepted, OWN).has_ends(ORIGIN)
    for origin in (BEFORE, BEHIND):
        assert not ended.has_ends(origin)


def test_a_registrars_key_may_sign_if_the_newest_file_lists_it():
    keyring = AcceptedKeyring(ALICE_ENDED, OWN)
    may = {key for key in (ALICE, BOB, CAROL, LOG, LOG2) if keyring.may_sign(ORIGIN, key.key_id)}
    assert may == {BOB}
    for origin, expected in ((BEFORE, {ALICE}), (BEHIND, {CAROL})):
        assert {
            key for key in (ALICE, BOB, CAROL, LOG) if keyring.may_sign(origin, key.key_id)
        } == expected


@pytest.mark.parametrize("origin", [ORIGIN, BEFORE, BEHIND])
def test_entries_of_the_ledger_alone_are_judged_by_its_files(origin):
    judge = AcceptedKeyring(ALICE_ENDED, OWN).judge(origin, lambda _end, _search: Positions())
    entry = Entry.sign(
        signer("alice"),
        ledger=origin,
        title_number="TN1",
        document={},
        recorded_at="2026-11-23T10:00:00.000000Z",
        salt=b"s" * 32,
    )
    stand = judge(entry)
    assert stand.reason == ("position-unknown" if origin == ORIGIN else "")
    assert (stand == STANDS) == (origin != ORIGIN)


def test_two_are_equal_that_judge_alike():
    keyring = AcceptedKeyring(ALICE_ENDED, OWN)
    assert keyring == AcceptedKeyring(ALICE_ENDED, OWN)
    assert hash(keyring) == hash(AcceptedKeyring(ALICE_ENDED, OWN))
    revoked = after(ONE, keys=ALICE_ENDED.newest.keys, revoked=(revoke(ALICE, 3),))
    others = [
        AcceptedKeyring(trust_of([ONE, revoked]), OWN),  # the same keys, and another end
        AcceptedKeyring(ALICE_ENDED),
        Keyring(keyring, keyring.roots),
    ]
    for other in others:
        assert keyring != other
        assert other != keyring
