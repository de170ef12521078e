"""ML-DSA-44 lines under checkpoints: their bytes, whose they are, and that both are asked for."""

from __future__ import annotations

import hashlib
import json
import struct
from datetime import UTC, datetime, timedelta
from pathlib import Path
from typing import TYPE_CHECKING, Any

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from ledger.errors import IntegrityError, InvalidError, MalformedError, TrustError
from ledger.format.mldsa import MLDSAPrivateKey
from ledger.testing import ORIGIN, signer
from ledger.tlog import (
    EMPTY_ROOT,
    Checkpoint,
    MLDSAKey,
    NoteKey,
    Receipt,
    WitnessKey,
    WitnessPolicy,
    add_signatures,
    check_receipt,
    cosign,
    hash_leaf,
    log_key,
    open_checkpoint,
    parse_log_key,
    parse_witness_key,
    sign_checkpoint,
    sign_note,
    witness_key,
)
from ledger.tlog.note import Signature, parse_unverified
from tests.laws import examples

if TYPE_CHECKING:
    from ledger.format.pem import VerifyingKey
    from ledger.tlog import SignedCheckpoint

PUBLISHED: dict[str, str] = json.loads(
    (Path(__file__).parents[1] / "vectors" / "tlog-mldsa.json").read_bytes()
)


def mldsa(name: str) -> MLDSAPrivateKey:
    return MLDSAPrivateKey("ML-DSA-44", hashlib.sha256(name.encode()).digest())


ROOT = hashlib.sha256(b"root").digest()
CHECKPOINT = Checkpoint(ORIGIN, 70_000, ROOT)
ED, PQ = signer("log"), mldsa("log")
BOTH = [ED.public_key, PQ.public_key]
SIGNED = sign_checkpoint(CHECKPOINT, ED, PQ)
NOON = 1_795_000_000
NOW = datetime.fromtimestamp(NOON, UTC) + timedelta(hours=1)


def opened(note: bytes, *keys: VerifyingKey, **options: Any) -> SignedCheckpoint:
    return open_checkpoint(note, origin=ORIGIN, log_keys=keys or BOTH, **options)


def lines(note: bytes) -> list[Signature]:
    return parse_unverified(note)[1]


def under(text: str, *signatures: Signature) -> bytes:
    return b"".join([text.encode(), b"\n", *(each.encode() for each in signatures)])


ED_LINE, PQ_LINE = lines(SIGNED)


# --- the bytes -----------------------------------------------------------------------------------


def test_a_checkpoint_that_another_implementation_signed_is_read() -> None:
    origin, seed = PUBLISHED["origin"], bytes.fromhex(PUBLISHED["seed"])
    key = MLDSAPrivateKey("ML-DSA-44", seed).public_key
    assert log_key(origin, key).key_hash.hex() == PUBLISHED["key_hash"]
    note = f"{PUBLISHED['text']}\n{PUBLISHED['line']}\n".encode()
    signed = open_checkpoint(note, origin=origin, log_keys=[key])
    assert signed.checkpoint.size == 1
    assert signed.signed_by == (key,)
    larger = note.replace(b"\n1\n", b"\n2\n")
    with pytest.raises(IntegrityError, match="wrong signature"):
        open_checkpoint(larger, origin=origin, log_keys=[key])


@pytest.mark.parametrize(("size", "root"), [(0, EMPTY_ROOT), (1, ROOT), (2**40, ROOT)])
@pytest.mark.parametrize("timestamp", [0, NOON, 2**63 - 1])
def test_the_message_is_that_of_the_specification(size: int, root: bytes, timestamp: int) -> None:
    name = "witness.example/é"
    checkpoint = Checkpoint(ORIGIN, size, root)
    key = witness_key(name, PQ.public_key)
    (line,) = lines(under(checkpoint.text, key.cosign(checkpoint.text, PQ, timestamp)))
    message = b"subtree/v1\n\x00"
    message += struct.pack("B", len(name.encode())) + name.encode()
    message += struct.pack(">Q", timestamp)
    message += struct.pack("B", len(ORIGIN)) + ORIGIN.encode()
    message += struct.pack(">QQ", 0, size) + root
    assert line.body[:8] == struct.pack(">Q", timestamp)
    assert PQ.public_key.verify(line.body[8:], message)
    typed = b"\x06" + PQ.public_key.raw
    assert line.key_hash == hashlib.sha256(f"{name}\n".encode() + typed).digest()[:4]


def test_the_logs_line_bears_its_origin_and_no_time() -> None:
    assert (PQ_LINE.name, PQ_LINE.body[:8]) == (ORIGIN, bytes(8))
    assert len(PQ_LINE.body) == 8 + 2420


def test_keys_are_exchanged_as_vkeys_of_type_6() -> None:
    key = log_key(ORIGIN, PQ.public_key)
    assert isinstance(key, MLDSAKey)
    assert parse_log_key(key.vkey) == key
    witness = witness_key("witness.example/w", PQ.public_key)
    assert parse_witness_key(witness.vkey) == witness
    for parse in (NoteKey.from_vkey, WitnessKey.from_vkey):
        with pytest.raises(MalformedError, match="type 06"):
            parse(key.vkey)
    with pytest.raises(MalformedError, match="type 04, expected 01 or 06"):
        parse_log_key(WitnessKey("w", ED.public_key).vkey)
    with pytest.raises(MalformedError, match="type 01, expected 04 or 06"):
        parse_witness_key(NoteKey("w", ED.public_key).vkey)


def test_a_key_signs_only_as_its_algorithm_can() -> None:
    with pytest.raises(InvalidError, match="type 01"):
        NoteKey(ORIGIN, PQ.public_key)
    with pytest.raises(InvalidError, match="type 06"):
        MLDSAKey(ORIGIN, ED.public_key)
    other = MLDSAPrivateKey("ML-DSA-65", bytes(32))
    with pytest.raises(InvalidError):
        log_key(ORIGIN, other.public_key)
    with pytest.raises(InvalidError):
        sign_checkpoint(CHECKPOINT, other)
    with pytest.raises(InvalidError, match="255"):
        MLDSAKey("n" * 256, PQ.public_key)
    assert MLDSAKey("n" * 255, PQ.public_key).cosign(CHECKPOINT.text, PQ, NOON)
    with pytest.raises(InvalidError, match="can't sign as"):
        sign_note(CHECKPOINT.text, [(log_key(ORIGIN, mldsa("other").public_key), PQ)])


def test_only_a_checkpoint_is_signed() -> None:
    """Extension lines are not in what is signed, so a text that has some is refused."""
    key = log_key(ORIGIN, PQ.public_key)
    with pytest.raises(MalformedError):
        sign_note("not a checkpoint\n", [(key, PQ)])
    extended = CHECKPOINT.text + "extension\n"
    assert not key.verify(extended, PQ_LINE.body)
    with pytest.raises(IntegrityError, match="wrong signature"):
        opened(under(extended, PQ_LINE), PQ.public_key)


@settings(deadline=None, max_examples=examples(60))
@given(st.integers(0, 8 + 2420 - 1), st.integers(1, 255))
def test_no_byte_of_a_line_can_be_changed(place: int, change: int) -> None:
    body = bytearray(PQ_LINE.body)
    body[place] ^= change
    with pytest.raises(IntegrityError, match="wrong signature"):
        opened(under(CHECKPOINT.text, ED_LINE, PQ_LINE._replace(body=bytes(body))))


@pytest.mark.parametrize("length", [1, 7, 8, 72, 8 + 2419, 8 + 2421, 8 + 3309])
def test_no_line_of_another_length_verifies(length: int) -> None:
    body = (PQ_LINE.body + bytes(2000))[:length]
    with pytest.raises(IntegrityError, match="wrong signature"):
        opened(under(CHECKPOINT.text, ED_LINE, PQ_LINE._replace(body=body)))


def test_a_line_does_not_move_to_another_log_or_name() -> None:
    other = "example.org/other"
    text = Checkpoint(other, 70_000, ROOT).text
    moved = Signature(other, log_key(other, PQ.public_key).key_hash, PQ_LINE.body)
    with pytest.raises(IntegrityError, match="wrong signature"):
        open_checkpoint(under(text, moved), origin=other, log_keys=[PQ.public_key])


# --- both are asked for --------------------------------------------------------------------------


def test_a_log_with_two_keys_signs_with_both() -> None:
    signed = opened(SIGNED)
    assert signed.checkpoint == CHECKPOINT
    assert signed.signed_by == tuple(BOTH)
    assert signed.cosignatures == ()
    for key in BOTH:  # whoever knows only one of them asks for that one
        assert opened(SIGNED, key).signed_by == (key,)


@pytest.mark.parametrize("line", [ED_LINE, PQ_LINE], ids=["Ed25519", "ML-DSA-44"])
def test_one_line_is_not_enough_where_both_keys_are_known(line: Signature) -> None:
    """Whoever breaks one algorithm leaves out the other's line."""
    half = under(CHECKPOINT.text, line)
    lacking = "ML-DSA-44" if line is ED_LINE else "Ed25519"
    with pytest.raises(TrustError, match=f"lacks the {lacking} signature") as error:
        opened(half)
    assert error.value.reason == "half-signed"
    assert opened(half, any_algorithm=True).checkpoint == CHECKPOINT
    # What others sign makes up for nothing.
    names = [ORIGIN, "witness.example/w"]
    made = [mldsa("other"), signer("other")]
    for name in names:
        for other in made:
            theirs = witness_key(name, other.public_key).cosign(CHECKPOINT.text, other, 0)
            with pytest.raises(TrustError) as error:
                opened(under(CHECKPOINT.text, line, theirs))
            assert error.value.reason == "half-signed"


@pytest.mark.parametrize(
    ("right", "wrong"), [(ED_LINE, PQ_LINE), (PQ_LINE, ED_LINE)], ids=["ML-DSA-44", "Ed25519"]
)
def test_a_wrong_line_beside_a_right_one_spoils_the_checkpoint(
    right: Signature, wrong: Signature
) -> None:
    forged = wrong._replace(body=wrong.body[:-1] + bytes([wrong.body[-1] ^ 1]))
    for note in (under(CHECKPOINT.text, right, forged), under(CHECKPOINT.text, forged, right)):
        for options in ({}, {"any_algorithm": True}):
            with pytest.raises(IntegrityError) as error:
                opened(note, **options)
            assert error.value.reason == "bad-signature"


def test_of_two_keys_of_one_algorithm_one_is_enough() -> None:
    later = signer("later log")
    keys = [*BOTH, later.public_key, mldsa("later log").public_key]
    for signers in ([ED, PQ], [later, PQ], [ED, mldsa("later log")]):
        assert opened(sign_checkpoint(CHECKPOINT, *signers), *keys).checkpoint == CHECKPOINT
    with pytest.raises(TrustError, match="lacks the ML-DSA-44"):
        opened(sign_checkpoint(CHECKPOINT, ED, later), *keys)


def test_a_log_may_say_a_time() -> None:
    """Ours does not, but other logs may."""
    key = log_key(ORIGIN, PQ.public_key)
    assert isinstance(key, MLDSAKey)
    timed = key.cosign(CHECKPOINT.text, PQ, NOON)
    signed = opened(under(CHECKPOINT.text, ED_LINE, timed))
    assert (signed.signed_by, signed.cosignatures) == (tuple(BOTH), ())


def test_a_receipt_needs_both_lines() -> None:
    leaf = b"leaf"
    checkpoint = Checkpoint(ORIGIN, 1, hash_leaf(leaf))
    for signers, holds in (([ED, PQ], True), ([ED], False), ([PQ], False)):
        receipt = Receipt.decode(Receipt(0, (), sign_checkpoint(checkpoint, *signers)).encode())
        if holds:
            assert check_receipt(receipt, leaf, origin=ORIGIN, log_keys=BOTH)
            continue
        with pytest.raises(TrustError) as error:
            check_receipt(receipt, leaf, origin=ORIGIN, log_keys=BOTH)
        assert error.value.reason == "half-signed"


# --- witnesses -----------------------------------------------------------------------------------

W_ED, W_PQ = signer("witness"), mldsa("witness")
NAME = "city.example/witness"
W_KEYS = (witness_key(NAME, W_ED.public_key), witness_key(NAME, W_PQ.public_key))
BANK, BANK_KEY = mldsa("bank"), witness_key("bank.example/witness", mldsa("bank").public_key)


def cosigned(*times: tuple[WitnessKey, Any, int]) -> bytes:
    note = SIGNED
    for key, holder, timestamp in times:
        note = add_signatures(note, cosign(CHECKPOINT, key, holder, timestamp))
    return note


def policy(*lines: str) -> WitnessPolicy:
    given = (
        f"witness ed {W_KEYS[0].vkey}",
        f"witness pq {W_KEYS[1].vkey} https://city.example",
        f"witness bank {BANK_KEY.vkey}",
    )
    return WitnessPolicy.parse("".join(f"{line}\n" for line in (*given, *lines)))


def judged(asked: WitnessPolicy, note: bytes) -> str:
    found = asked.judge(opened(note, witnesses=asked.witnesses), NOW)
    return found.message if found else ""


def test_a_witness_with_two_keys_counts_once() -> None:
    two = policy("group g 2 ed pq bank", "quorum g")
    both = [(W_KEYS[0], W_ED, NOON), (W_KEYS[1], W_PQ, NOON)]
    assert "not cosigned as the policy asks" in judged(two, cosigned(*both))
    assert not judged(two, cosigned(*both, (BANK_KEY, BANK, NOON)))
    with pytest.raises(MalformedError, match="not a number of witnesses"):
        policy("group g 3 ed pq bank", "quorum g")
    with pytest.raises(MalformedError, match="another key of"):
        policy("group g any ed", "group h any pq", "quorum g")


def test_a_policy_may_ask_for_ml_dsa() -> None:
    asked = policy("quorum pq")
    assert "pq: no cosignature" in judged(asked, cosigned((W_KEYS[0], W_ED, NOON)))
    assert not judged(asked, cosigned((W_KEYS[1], W_PQ, NOON)))


def test_a_cosignature_without_a_time_does_not_count() -> None:
    asked = policy("quorum pq")
    assert "pq: cosigned at no time" in judged(asked, cosigned((W_KEYS[1], W_PQ, 0)))
    assert not judged(asked, cosigned((W_KEYS[1], W_PQ, 0), (W_KEYS[1], W_PQ, NOON)))


def test_a_cosignature_bears_its_time() -> None:
    signed = opened(cosigned((W_KEYS[1], W_PQ, NOON)), witnesses=W_KEYS)
    assert [(each.witness, each.timestamp) for each in signed.cosignatures] == [(W_KEYS[1], NOON)]
    late = lines(signed.note)[-1]
    moved = late._replace(body=struct.pack(">Q", NOON + 1) + late.body[8:])
    with pytest.raises(IntegrityError, match="wrong signature"):
        opened(under(CHECKPOINT.text, ED_LINE, PQ_LINE, moved), witnesses=W_KEYS)


def test_the_logs_own_key_is_no_witness() -> None:
    own = witness_key(NAME, PQ.public_key)
    note = add_signatures(SIGNED, cosign(CHECKPOINT, own, PQ, NOON))
    assert opened(note, witnesses=[own]).cosignatures == ()


def test_a_policy_may_list_the_ml_dsa_key_of_a_log() -> None:
    asked = policy(f"log {log_key(ORIGIN, PQ.public_key).vkey}", "quorum none")
    assert not judged(asked, SIGNED)
    other = policy(f"log {log_key(ORIGIN, mldsa('other').public_key).vkey}", "quorum none")
    assert "signed by no log" in judged(other, SIGNED)
