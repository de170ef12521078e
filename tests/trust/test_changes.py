"""What the next file is made of, and what it says to those who sign it."""

from __future__ import annotations

from dataclasses import replace
from typing import Any

import pytest

from ledger.errors import InvalidError, MalformedError, NotFoundError, UnsupportedFormatError
from ledger.testing import signer
from ledger.trust import Revocation, check_first, check_next
from ledger.trust.changes import TrustChanges, apply, find_key, first_file
from ledger.trust.explain import explain
from ledger.trust.proposal import MAX_BYTES, Proof, Proposal
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
BOTH = listed(*KEYS, registrar(BOB, "bob", erase=True))
TWO = after(ONE, keys=BOTH)


def made(**changes: Any) -> list[str]:
    """What a file after ``TWO`` with these changes says; it is accepted if ada and ben sign."""
    file = signed(apply([ONE, TWO], TrustChanges(**changes), pin(30)), ADA, BEN, DAN)
    kept = tuple(each for each in file.signatures if each.key_id in _ids(file, TWO))
    check_next([ONE, TWO], replace(file, signatures=kept))
    return explain([ONE, TWO], file)


def _ids(*files: Any) -> set[str]:
    return {key.key_id for file in files for holder in file.holders for key in holder.keys}


def short(key: Any) -> str:
    return f"{key.key_id[:16]}…"


UNTIL = "what it signed counts before leaf 30, and nothing after."
PINNED = "It pins the log at 30 leaves, 10 more than version 2 does."


def test_nothing_changes_but_the_pin():
    assert made() == [PINNED]
    assert made(next="2027-12-01") == [PINNED, "A successor is due on 2027-12-01."]


def test_a_registrar_comes_and_goes():
    new = registrar(LOG2, "dora")
    assert made(keys=(new,)) == [f"dora (key {short(LOG2)}) becomes a registrar.", PINNED]
    assert made(retired=(ALICE.key_id,)) == [
        f"alice (key {short(ALICE)}) is a registrar no more: {UNTIL}",
        PINNED,
    ]


def test_a_key_of_the_log_comes_and_goes():
    assert made(keys=(log_key(LOG2),), retired=(LOG.key_id,)) == [
        f"The key {short(LOG2)} becomes a key of the log (Ed25519).",
        f"The key {short(LOG)} is a key of the log (Ed25519) no more: {UNTIL}",
        PINNED,
    ]


def test_a_key_is_revoked_from_a_position_which_may_fall():
    assert made(revoked=(revoke(ALICE, 15),)) == [
        f"alice (key {short(ALICE)}) is revoked: nothing that it signed counts from leaf 15 on.",
        PINNED,
    ]
    three = after(TWO, keys=listed(log_key(LOG)), revoked=(revoke(ALICE, 15),), size=30)
    four = apply([ONE, TWO, three], TrustChanges(revoked=(revoke(ALICE, 12),)), pin(30))
    assert four.revoked == (Revocation(ALICE.key_id, 12),)
    assert explain([ONE, TWO, three], four)[0] == (
        f"alice (key {short(ALICE)}) was revoked from leaf 15 on, and now from 12 on: what it"
        " signed between stops counting."
    )
    higher = apply([ONE, TWO, three], TrustChanges(revoked=(revoke(ALICE, 20),)), pin(30))
    assert higher.revoked == three.revoked


def test_holders_come_and_go():
    said = made(holders=people(DAN), dropped_holders=(CLEO,))
    assert said == ["dan becomes a holder.", "cleo is a holder no more.", PINNED]
    renewed = person(CLEO, keys="cleo's second").holder
    assert made(holders=(renewed,)) == ["cleo remains a holder, with new keys.", PINNED]
    assert made(threshold=1)[0] == "1 of 3 holders decide; it took 2 of 3: ada, ben, cleo."


def test_the_first_file_is_told_in_full():
    file = first_file(TrustChanges(holders=people(CLEO, ADA, BEN), keys=BOTH[::-1]), pin(1))
    check_first(signed(file, ADA, BEN))
    assert sorted(explain([], file)) == sorted(
        [
            "2 of 3 holders decide: ada, ben, cleo.",
            f"alice (key {short(ALICE)}) is a registrar.",
            f"bob (key {short(BOB)}) is a registrar, who may order texts erased.",
            f"The key {short(LOG)} is a key of the log (Ed25519).",
            "It pins the log at 1 leaf.",
        ]
    )


def test_what_is_not_there_can_not_be_dropped():
    for changes in (TrustChanges(dropped_holders=(DAN,)), TrustChanges(retired=(LOG2.key_id,))):
        with pytest.raises(NotFoundError):
            apply([ONE, TWO], changes, pin(30))


def test_a_revocation_begins_within_the_log():
    apply([ONE, TWO], TrustChanges(revoked=(revoke(ALICE, 30),)), pin(30))
    with pytest.raises(InvalidError, match="the log has 30"):
        apply([ONE, TWO], TrustChanges(revoked=(revoke(ALICE, 31),)), pin(30))


def test_a_key_is_found_by_its_first_digits():
    assert find_key([ONE, TWO], BOB.key_id[:4]).name == "bob"
    assert find_key([ONE, TWO], ALICE.key_id).name == "alice"
    for digits in (BOB.key_id[:3], "0" * 64, ""):
        with pytest.raises(NotFoundError):
            find_key([ONE, TWO], digits)


def test_digits_that_two_keys_begin_with_name_neither():
    seen: dict[str, Any] = {}
    for number in range(5000):
        key = signer(f"registrar {number}").public_key
        if key.key_id[:4] in seen:
            break
        seen[key.key_id[:4]] = key
    two = listed(registrar(key, "x"), registrar(seen[key.key_id[:4]], "y"), log_key(LOG))
    file = first(keys=two)
    assert find_key([file], key.key_id).name == "x"
    with pytest.raises(InvalidError, match="2 keys have an id"):
        find_key([file], key.key_id[:4])


# -- A proposal as bytes ---------------------------------------------------------------------------

PROPOSAL = Proposal(TWO, (ONE,), b"note\n", (Proof(10, (bytes(32), bytes(32))),), continues=True)


def test_a_proposal_is_read_as_it_was_written():
    assert Proposal.decode(PROPOSAL.encode()) == PROPOSAL


@pytest.mark.parametrize(
    ("old", "new"),
    [
        (b'"format":1,"proofs"', b'"format":"1","proofs"'),
        (b'"continues":true', b'"continues":1'),
        (b'"checkpoint":"note\\n"', b'"checkpoint":7'),
        (b'"size":10', b'"size":"10"'),
        (b'"size":10', b'"sizes":10'),
        (b'{"before":', b'{"behind":'),
        (b'"proof":[', b'"proof":[1,'),
    ],
)
def test_another_shape_is_no_proposal(old: bytes, new: bytes) -> None:
    data = PROPOSAL.encode()
    at = data.rindex(old)
    with pytest.raises(MalformedError):
        Proposal.decode(data[:at] + new + data[at + len(old) :])


def test_a_proposal_of_a_later_format_is_unsupported():
    later = PROPOSAL.encode().replace(b'"format":1,"proofs"', b'"format":2,"proofs"')
    with pytest.raises(UnsupportedFormatError):
        Proposal.decode(later)


def test_a_proposal_has_at_most_64_mib():
    with pytest.raises(MalformedError, match="at most 67,108,864"):
        Proposal.decode(bytes(MAX_BYTES + 1))
