"""Which trust files are accepted: every way to forge one, and what is allowed."""

from __future__ import annotations

from dataclasses import replace
from typing import Any

import pytest

from ledger.errors import TrustError, UnsupportedFormatError
from ledger.format.mldsa import MLDSAPrivateKey
from ledger.trust.accept import check_first, check_next
from ledger.trust.file import Holder, HolderSignature, TrustFile
from ledger.trust.keys import OtherKey
from tests.trust.people import (
    ADA,
    ALICE,
    BEN,
    BOB,
    CLEO,
    DAN,
    KEYS,
    LOG,
    LOG2,
    after,
    first,
    listed,
    log_key,
    people,
    person,
    pin,
    registrar,
    revoke,
    signed,
)

ONE = first()
BOTH = listed(*KEYS, registrar(BOB, "bob"))
TWO = after(ONE, keys=BOTH)
EDDY = listed(registrar(BOB, "bob"), log_key(LOG))


def refused(files: list[TrustFile], file: TrustFile) -> str:
    with pytest.raises(TrustError) as caught:
        check_next(files, file)
    assert caught.value.reason == "trust-not-accepted"
    assert caught.value.object_key == f"_trust/{file.version}.json"
    return str(caught.value)


def without(file: TrustFile, *key_ids: str) -> TrustFile:
    kept = tuple(each for each in file.signatures if each.key_id not in key_ids)
    return replace(file, signatures=kept)


def forged(file: TrustFile, key_id: str, signature: bytes) -> TrustFile:
    return file.signed([HolderSignature(key_id, signature)])


# -- What is allowed -------------------------------------------------------------------------------


def test_a_threshold_of_its_holders_makes_the_first_file():
    check_first(ONE)
    check_first(first(ADA, BEN, CLEO))
    check_first(first(ADA, threshold=1))


@pytest.mark.parametrize(
    "file",
    [
        pytest.param(after(ONE), id="nothing changes but the pin"),
        pytest.param(after(ONE, size=10), id="the log has not grown"),
        pytest.param(after(ONE, BEN, CLEO), id="other holders sign"),
        pytest.param(after(ONE, keys=BOTH), id="a registrar more"),
        pytest.param(after(ONE, keys=EDDY), id="a registrar leaves"),
        pytest.param(after(ONE, keys=EDDY, revoked=(revoke(ALICE, 3),)), id="a key is revoked"),
        pytest.param(after(ONE, keys=listed(log_key(LOG))), id="no registrar is left"),
        pytest.param(
            after(ONE, keys=listed(log_key(LOG2)), revoked=(revoke(LOG, 3),)), id="the log's key"
        ),
        pytest.param(
            after(ONE, ADA, BEN, DAN, holders=people(ADA, BEN, DAN)), id="a holder is replaced"
        ),
        pytest.param(
            after(ONE, ADA, BEN, DAN, holders=people(BEN, DAN)), id="one of N alone signs no more"
        ),
        pytest.param(
            after(ONE, ADA, BEN, DAN, holders=people(DAN), threshold=1), id="all are replaced"
        ),
        pytest.param(after(ONE, next="2027-12-01"), id="a day"),
        pytest.param(after(ONE, ADA, BEN, CLEO, threshold=3), id="a higher threshold"),
    ],
)
def test_a_threshold_of_the_holders_of_both_files_makes_the_next(file: TrustFile) -> None:
    check_next([ONE], file)


def test_the_position_of_a_revocation_may_fall_but_not_rise():
    two = after(ONE, keys=EDDY, revoked=(revoke(ALICE, 5),))
    for position in (4, 5):
        check_next([ONE, two], after(two, revoked=(revoke(ALICE, position),)))
    assert "may only fall" in refused([ONE, two], after(two, revoked=(revoke(ALICE, 6),)))


# -- Who signed ------------------------------------------------------------------------------------


def test_one_of_three_holders_can_not_decide_alone():
    assert "must have signed it with all their keys" in refused([ONE], after(ONE, ADA))
    with pytest.raises(TrustError, match="2 of its own holders must have signed"):
        check_first(first(ADA))


def test_a_stolen_holder_can_not_name_herself_the_only_one():
    file = after(ONE, ADA, holders=people(ADA), threshold=1)
    assert "1 did (ada)" in refused([ONE], file)


def test_new_holders_must_have_signed_too():
    file = after(ONE, ADA, BEN, holders=people(CLEO, DAN))
    assert "2 of its own holders" in refused([ONE], file)


@pytest.mark.parametrize("stays", ["ed25519", "mldsa"])
def test_signatures_by_one_algorithm_alone_are_no_voice(stays: str) -> None:
    dropped = {"ed25519": "mldsa", "mldsa": "ed25519"}[stays]
    ids = [getattr(person(name), dropped).public_key.key_id for name in (ADA, BEN)]
    assert "none did" in refused([ONE], without(after(ONE), *ids))
    with pytest.raises(TrustError, match="none did"):
        check_first(without(ONE, *ids))


def test_a_wrong_signature_spoils_the_file_though_enough_are_right():
    file = after(ONE)
    ben = person(CLEO).ed25519.public_key.key_id
    assert "is wrong" in refused([ONE], forged(file, ben, bytes(64)))
    with pytest.raises(TrustError, match="is wrong"):
        check_first(forged(ONE, ben, bytes(64)))


def test_a_signature_over_another_file_is_wrong():
    other = after(ONE, next="2030-01-01")
    assert "none did" in refused([ONE], replace(after(ONE), signatures=other.signatures))


def test_the_signature_of_nobody_s_key_spoils_the_file():
    dan = person(DAN)
    assert "which is no holder's" in refused([ONE], after(ONE).signed(dan.sign(after(ONE))))
    with pytest.raises(TrustError, match="no holder's"):
        check_first(ONE.signed(dan.sign(ONE)))


def test_a_signature_over_t_that_is_not_in_dsse_does_not_count():
    file = after(ONE, ADA)
    ben = person(BEN)
    plain = [
        HolderSignature(key.public_key.key_id, key.sign(file.payload))
        for key in (ben.ed25519, ben.mldsa)
    ]
    refused([ONE], file.signed(plain))


# -- Where it belongs ------------------------------------------------------------------------------


def test_a_version_can_not_be_skipped_or_repeated():
    assert "version 3, and follows 1" in refused([ONE], after(ONE, version=3))
    assert "version 2, and follows 2" in refused([ONE, TWO], after(TWO, version=2))
    with pytest.raises(TrustError, match="no file comes before it"):
        check_first(TWO)


def test_a_file_follows_the_one_it_names():
    assert "it follows" in refused([ONE], after(first(ADA, BEN, next="2030-01-01")))


def test_a_file_of_another_ledger_does_not_follow():
    log = replace(pin(20), origin="example.org/other")
    assert "example.org/other" in refused([ONE], after(ONE, log=log))


def test_a_pin_can_not_go_back():
    assert "and had 10" in refused([ONE], after(ONE, size=9))


def test_a_pin_of_the_same_size_has_the_same_root():
    assert "another root" in refused([ONE], after(ONE, log=pin(10, "fork")))


# -- What it says ----------------------------------------------------------------------------------


def test_a_revocation_can_not_be_taken_back():
    two = after(ONE, keys=EDDY, revoked=(revoke(ALICE, 3),))
    assert "takes back" in refused([ONE, two], after(two, revoked=()))


def test_a_revoked_key_is_not_listed():
    assert "and revokes it" in refused([ONE], after(ONE, revoked=(revoke(ALICE, 3),)))


def test_only_a_key_that_a_file_listed_can_be_revoked():
    assert "no file before it lists" in refused([ONE], after(ONE, revoked=(revoke(BOB, 3),)))
    ada = person(ADA).ed25519.public_key
    assert "no file before it lists" in refused([ONE], after(ONE, revoked=(revoke(ada, 3),)))
    with pytest.raises(TrustError, match="no file before it lists"):
        check_first(first(revoked=(revoke(BOB, 3),)))


def test_a_dropped_key_does_not_come_back():
    two = after(ONE, keys=EDDY)
    assert "can't come back" in refused([ONE, two], after(two, keys=BOTH))
    two = after(ONE, ADA, BEN, holders=people(ADA, BEN))
    assert "can't come back" in refused([ONE, two], after(two, holders=people(ADA, BEN, CLEO)))


def test_a_registrar_s_key_does_not_become_the_log_s():
    file = after(ONE, keys=listed(log_key(ALICE), log_key(LOG)))
    assert "can't be the log's" in refused([ONE], file)
    two, three = after(ONE, keys=BOTH), listed(*KEYS, log_key(BOB))
    assert "can't be the log's" in refused([ONE, two], after(two, keys=three))


def test_a_registrar_does_not_gain_or_lose_erase_under_one_key():
    file = after(ONE, keys=listed(registrar(ALICE, erase=True), log_key(LOG)))
    assert "that may erase" in refused([ONE], file)
    one = first(keys=file.keys)
    assert "may not erase" in refused([one], after(one, keys=KEYS))


def test_a_holder_s_key_is_nothing_else():
    key = person(ADA).ed25519.public_key
    assert "can't be a registrar" in refused([ONE], after(ONE, keys=listed(*KEYS, registrar(key))))
    with pytest.raises(TrustError, match="can't be the log's"):
        check_first(first(keys=listed(*KEYS, log_key(key))))
    late = listed(*KEYS, registrar(person(CLEO).ed25519.public_key))
    two = after(ONE, holders=people(ADA, BEN))
    assert "can't be a registrar" in refused([ONE, two], after(two, keys=late))


def test_a_key_does_not_pass_from_one_holder_to_another():
    heir = person("zoe", keys=CLEO).holder
    file = after(ONE, holders=(*people(ADA, BEN), heir))
    assert "can't be the holder zoe's" in refused([ONE], file)


def test_a_holder_keeps_her_name_with_new_keys():
    renewed = person(CLEO, keys="cleo's second").holder
    check_next([ONE], after(ONE, holders=(*people(ADA, BEN), renewed)))


# -- What this version does not know ---------------------------------------------------------------

# A key of Ed448 (RFC 8410), of which this version knows nothing.
ED448 = OtherKey(bytes.fromhex("3043300506032b6571033a00") + bytes(57))


def test_a_registrar_s_key_of_an_unknown_algorithm_is_listed_like_any_other():
    check_next([ONE], after(ONE, keys=listed(*KEYS, registrar(ED448))))


@pytest.mark.parametrize(
    "changes",
    [
        {"keys": listed(*KEYS, log_key(ED448))},
        {"keys": listed(*KEYS, log_key(person(DAN).mldsa.public_key))},
        {"holders": (*people(ADA, BEN), Holder(CLEO, (ED448,)))},
    ],
)
def test_a_key_that_must_be_judged_and_is_not_known_is_unsupported(changes: Any) -> None:
    with pytest.raises(UnsupportedFormatError) as caught:
        check_next([ONE], after(ONE, **changes))
    assert caught.value.reason == "unsupported-trust"
    assert "none did" in refused([ONE], signed(after(ONE, **changes)))  # anybody could write it


def test_the_log_may_have_a_key_of_ml_dsa_44():
    key = MLDSAPrivateKey("ML-DSA-44", bytes(32)).public_key
    check_next([ONE], after(ONE, keys=listed(*KEYS, log_key(key))))
