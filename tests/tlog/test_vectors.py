"""The checked-in vectors of the log are what the library makes, and what it accepts."""

from __future__ import annotations

import base64
import hashlib
import json
from typing import Any

import pytest

from ledger.tlog import (
    Leaf,
    NoteKey,
    Receipt,
    TileBuilder,
    WitnessKey,
    check_consistency,
    check_receipt,
    hash_leaf,
    open_checkpoint,
)
from tests.tlog import make_vectors

VECTORS: dict[str, Any] = json.loads(make_vectors.FILE.read_bytes())
KEYS: dict[str, Any] = {
    "origin": VECTORS["origin"],
    "log_keys": [NoteKey.from_vkey(VECTORS["log_key"]).key],
    "witnesses": [WitnessKey.from_vkey(VECTORS["witness_key"])],
}
ROOTS = {each["size"]: base64.b64decode(each["root"]) for each in VECTORS["checkpoints"]}


def test_the_file_is_what_the_library_makes():
    assert make_vectors.text() == make_vectors.FILE.read_bytes(), (
        "python -m tests.tlog.make_vectors"
    )


def test_the_leaves_have_the_tiles_and_roots():
    builder = TileBuilder()
    files, roots = {}, {}
    for text in [*VECTORS["leaves"], None]:
        if builder.size in ROOTS:
            roots[builder.size] = builder.root()
            files |= {tile.path: data for tile, data in builder.unfinished()}
        if text is not None:
            assert Leaf.decode(text.encode()).encode() == text.encode()
            files |= {tile.path: data for tile, data in builder.append(text.encode())}
    digests = {path: hashlib.sha256(data).hexdigest() for path, data in files.items()}
    assert (digests, roots) == (VECTORS["tiles"], ROOTS)


@pytest.mark.parametrize("case", VECTORS["checkpoints"], ids=lambda case: str(case["size"]))
def test_a_checkpoint_opens(case):
    opened = open_checkpoint(case["note"].encode(), **KEYS)
    assert (opened.checkpoint.size, opened.checkpoint.root) == (case["size"], ROOTS[case["size"]])
    assert opened.cosignatures == ((KEYS["witnesses"][0], VECTORS["witness_time"]),)


@pytest.mark.parametrize("case", VECTORS["receipts"])
def test_a_receipt_holds(case):
    assert base64.b64decode(case["leaf_hash"]) == hash_leaf(case["leaf"].encode())
    receipt = Receipt.decode(case["receipt"].encode())
    signed = check_receipt(receipt, case["leaf"].encode(), **KEYS)
    assert signed.checkpoint.size == case["size"]
    assert VECTORS["leaves"][receipt.index] == case["leaf"]


@pytest.mark.parametrize("case", VECTORS["consistency"])
def test_a_consistency_proof_holds(case):
    proof = [base64.b64decode(each) for each in case["proof"]]
    check_consistency(case["old"], ROOTS[case["old"]], case["new"], ROOTS[case["new"]], proof)
