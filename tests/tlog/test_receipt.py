"""Receipts: a leaf, a place, a way up and a checkpoint, checked offline."""

from __future__ import annotations

import itertools
from contextlib import suppress
from dataclasses import replace

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from ledger.errors import IntegrityError, InvalidError, LedgerError, MalformedError, TrustError
from ledger.testing import ORIGIN, signer
from ledger.tlog import (
    Checkpoint,
    Receipt,
    WitnessKey,
    add_signatures,
    check_receipt,
    cosign,
    inclusion_proof,
    sign_checkpoint,
)
from ledger.tlog.note import encode_base64
from tests.laws import examples
from tests.sealing.logs import Log, leaf

law = settings(deadline=None, max_examples=examples(200))

LOG, WITNESS = signer("log"), signer("witness")
WITNESS_KEY = WitnessKey("witness.example/w1", WITNESS.public_key)
SIZE, INDEX = 300, 217
FILES = Log([SIZE])
CHECKPOINT = Checkpoint(ORIGIN, SIZE, FILES.roots[SIZE])
NOTE = sign_checkpoint(CHECKPOINT, LOG)
RECEIPT = Receipt(INDEX, inclusion_proof(INDEX, SIZE, FILES.reader(SIZE)), NOTE)
TEXT = RECEIPT.encode()
LEAF = leaf(INDEX)


def checked(receipt, content=LEAF, **changes):
    arguments = {"origin": ORIGIN, "log_keys": [LOG.public_key], "witnesses": [WITNESS_KEY]}
    return check_receipt(receipt, content, **(arguments | changes))


# --- the text ------------------------------------------------------------------------------------


def test_a_receipt_is_the_index_the_proof_and_the_checkpoint():
    """c2sp.org/tlog-proof."""
    proof = [encode_base64(each) for each in RECEIPT.proof]
    assert TEXT.decode().split("\n") == [
        "c2sp.org/tlog-proof@v1",
        "index 217",
        *proof,
        "",
        *NOTE.decode().split("\n"),
    ]
    assert Receipt.decode(TEXT) == RECEIPT


def test_a_receipt_of_the_only_leaf_has_no_proof():
    note = sign_checkpoint(Checkpoint(ORIGIN, 1, Log([1]).roots[1]), LOG)
    receipt = Receipt(0, (), note)
    assert receipt.encode() == b"c2sp.org/tlog-proof@v1\nindex 0\n\n" + note
    assert checked(Receipt.decode(receipt.encode()), leaf(0)).checkpoint.size == 1


def test_extra_data_of_others_is_kept_and_not_trusted():
    text = TEXT.replace(b"index", b"extra AAEC\nindex")
    receipt = Receipt.decode(text)
    assert receipt.extra == b"\0\1\2"
    assert receipt.encode() == text
    assert checked(receipt).checkpoint == CHECKPOINT


@law
@given(
    st.integers(0, 2**63 - 2),
    st.lists(st.binary(min_size=32, max_size=32), max_size=63).map(tuple),
    st.binary(max_size=99),
)
def test_every_receipt_comes_back(index, proof, extra):
    receipt = Receipt(index, proof, NOTE, extra)
    assert Receipt.decode(receipt.encode()) == receipt


def test_the_longest_proof_is_of_63_hashes():
    receipt = Receipt(2**63 - 2, (bytes(32),) * 63, NOTE)
    assert Receipt.decode(receipt.encode()) == receipt


@pytest.mark.parametrize(
    ("index", "proof", "note"),
    [
        (-1, (), NOTE),
        (2**63 - 1, (), NOTE),
        (0, (bytes(31),), NOTE),
        (0, (bytes(33),), NOTE),
        (0, (bytes(32),) * 64, NOTE),
    ],
)
def test_what_is_no_receipt_is_not_made(index, proof, note):
    with pytest.raises(InvalidError):
        Receipt(index, proof, note)


HASH_LINE = encode_base64(RECEIPT.proof[0]).encode() + b"\n"


@pytest.mark.parametrize(
    ("old", "new"),
    [
        (TEXT, b""),
        (TEXT, NOTE),
        (b"c2sp.org/tlog-proof@v1", b"c2sp.org/tlog-proof@v2"),
        (b"c2sp.org/tlog-proof@v1\n", b""),
        (b"c2sp.org/tlog-proof@v1\n", b"\nc2sp.org/tlog-proof@v1\n"),
        (b"index 217\n", b""),
        (b"index 217\n", b"index 0217\n"),
        (b"index 217\n", b"index +217\n"),
        (b"index 217\n", b"index  217\n"),
        (b"index 217\n", b"index 217 \n"),
        (b"index 217\n", b"index 217\r\n"),
        (b"index 217\n", b"Index 217\n"),
        (b"index 217\n", b"index 2_17\n"),
        (b"index 217\n", "index \N{ARABIC-INDIC DIGIT ONE}\n".encode()),
        (b"index 217\n", b"index 9999999999999999999\n"),
        (b"index 217\n", b"index 217\nindex 217\n"),
        (b"index 217\n", b"index 217\nextra AAEC\n"),
        (b"index 217\n", b"extra \nindex 217\n"),
        (b"index 217\n", b"extra A\nindex 217\n"),
        (b"index 217\n", b"extra AAEC\nextra AAEC\nindex 217\n"),
        (b"index 217\n", b"index 217\n\n"),
        (HASH_LINE, HASH_LINE.replace(b"=", b"")),
        (HASH_LINE, HASH_LINE.replace(b"=", b"==")),
        (HASH_LINE, b" " + HASH_LINE),
        (HASH_LINE, b"AAAA\n"),
        (b"\n\n" + NOTE, b"\n" + NOTE),
        (b"\n\n" + NOTE, b"\n\n\n" + NOTE),
        (b"\n\n" + NOTE, b"\n"),
        (b"\n\n" + NOTE, b"\n\n"),
    ],
)
def test_every_other_text_is_refused(old, new):
    changed = TEXT.replace(old, new, 1)
    assert changed != TEXT
    with pytest.raises(LedgerError):
        checked(Receipt.decode(changed))


@law
@given(st.binary(max_size=200))
def test_any_bytes_are_a_receipt_or_malformed(data):
    for text in (data, b"c2sp.org/tlog-proof@v1\n" + data + b"\n\n" + NOTE):
        with suppress(MalformedError):
            assert Receipt.decode(text).encode() == text


# --- what it proves ------------------------------------------------------------------------------


def test_a_receipt_proves_its_leaf_and_no_other():
    assert checked(RECEIPT).checkpoint == CHECKPOINT
    for content in (leaf(INDEX + 1), leaf(INDEX - 1), LEAF + b" ", LEAF[:-1], b""):
        with pytest.raises(IntegrityError) as caught:
            checked(RECEIPT, content)
        assert caught.value.reason == "not-included"


def test_a_receipt_has_the_cosignatures_of_its_checkpoint():
    note = add_signatures(NOTE, cosign(CHECKPOINT, WITNESS_KEY, WITNESS, 1_795_000_000))
    receipt = Receipt.decode(replace(RECEIPT, note=note).encode())
    assert checked(receipt).cosignatures == ((WITNESS_KEY, 1_795_000_000),)


def test_a_receipt_under_another_logs_key_or_origin_proves_nothing():
    with pytest.raises(TrustError):
        checked(RECEIPT, log_keys=[signer("other log").public_key])
    with pytest.raises(TrustError):
        checked(RECEIPT, origin="example.org/other")


def test_a_receipt_with_another_place_or_way_proves_nothing():
    other = inclusion_proof(INDEX - 1, SIZE, FILES.reader(SIZE))
    for changed in (
        replace(RECEIPT, index=INDEX - 1),
        replace(RECEIPT, index=SIZE),
        replace(RECEIPT, index=INDEX + 2**32),
        replace(RECEIPT, proof=other),
        replace(RECEIPT, proof=RECEIPT.proof[:-1]),
        replace(RECEIPT, proof=RECEIPT.proof[::-1]),
        replace(RECEIPT, proof=()),
    ):
        with pytest.raises(IntegrityError):
            checked(changed)


def test_no_part_of_a_receipt_and_no_changed_byte_proves_anything():
    whole = len(TEXT)
    for start, end in itertools.combinations(range(whole + 1), 2):
        if (start == 0 or end == whole) and (start, end) != (0, whole):
            with pytest.raises(LedgerError):
                checked(Receipt.decode(TEXT[start:end]))
    for place, bit in itertools.product(range(whole), range(8)):
        changed = bytearray(TEXT)
        changed[place] ^= 1 << bit
        with pytest.raises(LedgerError):
            checked(Receipt.decode(bytes(changed)))


def test_a_receipt_holds_a_note():
    with pytest.raises(MalformedError, match="not a signed note"):
        Receipt(0, (), b"no note")


def test_a_receipt_is_at_most_two_megabytes():
    fits = replace(RECEIPT, extra=bytes(1_000_000))
    assert Receipt.decode(fits.encode()) == fits
    with pytest.raises(MalformedError):
        Receipt.decode(replace(RECEIPT, extra=bytes(1_600_000)).encode())


def test_a_proof_is_ascii():
    with pytest.raises(MalformedError, match="not a receipt"):
        Receipt.decode("\N{EM DASH}".encode() + TEXT)
